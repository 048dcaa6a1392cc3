// Answers on their way to the server. Each lies in the browser's storage from the
// moment it is pressed until the server has said yes; then, and only then, it goes.

const RETRY = 1500; // milliseconds
const BATCH = 50;

export class Outbox {
  // onChange(state, reason): "saved", "sending", "offline", "full", "refused", "locked".
  constructor(project, onChange) {
    this.prefix = `skdfal/${project}/`;
    this.onChange = onChange;
    this.state = "saved";
    this.isSending = false;
    this.waiting = [];
    addEventListener("online", () => this.send());
  }

  keys() {
    return Object.keys(localStorage).filter((key) => key.startsWith(this.prefix)).sort();
  }

  events() {
    return this.keys().map((key) => JSON.parse(localStorage.getItem(key)));
  }

  get isFull() {
    return this.state === "full";
  }

  add(event) {
    localStorage.setItem(this.nextKey(event), JSON.stringify(event));
    this.send();
  }

  remove(id) {
    const key = this.keys().find((one) => one.endsWith(`/${id}`));
    if (key) localStorage.removeItem(key);
  }

  // Resolves once nothing waits any more.
  settled() {
    if (!this.events().length) return Promise.resolve();
    this.send();
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  // Behind all that wait, also where the clock was set back since.
  nextKey(event) {
    const last = this.keys().pop()?.slice(this.prefix.length).split("/")[0] ?? 0;
    const order = Math.max(Math.round(event.time * 1000), Number(last) + 1);
    return `${this.prefix}${String(order).padStart(16, "0")}/${event.id}`;
  }

  async send() {
    if (this.isSending) return;
    this.isSending = true;
    clearTimeout(this.timer);
    try {
      for (let events; (events = this.events().slice(0, this.size ?? BATCH)).length; ) {
        if (this.state === "saved") this.become("sending");
        if (!(await this.post(events))) {
          this.timer = setTimeout(() => this.send(), RETRY);
          return;
        }
      }
      this.become("saved");
      this.waiting.splice(0).forEach((resolve) => resolve());
    } finally {
      this.isSending = false;
    }
  }

  // Whether to go on at once.
  async post(events) {
    let answer;
    try {
      answer = await fetch("/api/events", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(events),
      });
    } catch {
      this.become("offline");
      return false;
    }
    if (answer.ok) {
      const { saved } = await answer.json();
      events
        .filter((event) => saved.includes(event.id))
        .forEach((event) => this.remove(event.id));
      this.size = BATCH;
      return true;
    }
    const reason = await answer.json().then((found) => found.error, () => "");
    if (answer.status === 400 && events.length > 1) {
      this.size = 1; // to find the one
      return true;
    }
    if (answer.status === 400) {
      this.remove(events[0].id);
      this.become("refused", reason);
      return true;
    }
    const states = { 507: "full", 401: "locked", 403: "locked" };
    this.become(states[answer.status] ?? "offline", reason);
    return false;
  }

  become(state, reason = "") {
    const before = this.state;
    this.state = state;
    this.onChange(state, reason, before);
  }
}
