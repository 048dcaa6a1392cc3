// One picture after the other: what is shown, and what a key does. A key never waits:
// the next pictures are loaded, and answers are sent in the background.

import { $, count, element, getJSON, image, percent } from "./dom.js";

const AHEAD = 6; // pictures that are loaded before they are needed
const GAP = 8; // pixels between two buttons, as in page.css
const TOO_SOON = 200; // milliseconds: nobody sees a picture in less; a double press is

export class Labeling {
  constructor(outbox, annotator) {
    this.outbox = outbox;
    this.annotator = annotator;
    this.client = sessionStorage.getItem("skdfal-client") ?? newId();
    sessionStorage.setItem("skdfal-client", this.client);
    this.queue = [];
    this.current = null;
    this.past = [];
    this.answered = new Map(); // picture: number of the answer
    this.nAnswers = 0;
    this.nLabels = this.budget = 0;
    this.isBeyond = false; // the person goes on although the budget is spent
  }

  // How many labels there are; between two looks at the server it counts by itself.
  told({ counts, budget }) {
    this.nLabels = counts.label;
    if (budget !== this.budget) this.isBeyond = false;
    this.budget = budget;
  }

  get isSpent() {
    return this.budget > 0 && this.nLabels >= this.budget && !this.isBeyond;
  }

  goBeyond() {
    this.isBeyond = true;
    this.next();
  }

  async start() {
    await this.outbox.settled();
    await this.fetch(true);
    this.next();
  }

  // Pictures

  async fetch(isStart = false) {
    const since = this.nAnswers;
    const query = new URLSearchParams({ annotator: this.annotator(), client: this.client, n: 2 * AHEAD });
    if (isStart) query.set("undoable", "");
    const found = await getJSON(`/api/queue?${query}`);
    if (isStart) this.past = found.undoable;
    const loaded = new Map(this.queue.map((entry) => [entry.picture, entry]));
    this.queue = found.pictures
      .filter((entry) => entry.picture !== this.current?.picture)
      .filter((entry) => !((this.answered.get(entry.picture) ?? -1) >= since))
      .slice(0, AHEAD)
      .map((entry) => Object.assign(loaded.get(entry.picture) ?? this.load(entry), {
        guess: entry.guess,
      }));
  }

  load(entry) {
    const img = image(`/picture/${entry.picture}`, entry.name);
    return { ...entry, img };
  }

  // Replace what is ahead, as a new ranking asks; what is on show stays.
  async refresh() {
    if (this.isFetching) return;
    this.isFetching = true;
    try {
      await this.outbox.settled();
      await this.fetch();
      if (!this.current) this.next();
    } catch {
      setTimeout(() => this.refresh(), 1500);
    } finally {
      this.isFetching = false;
    }
  }

  next() {
    this.show(this.isSpent ? null : this.queue.shift() ?? null);
    if (this.queue.length < AHEAD - 1) this.refresh();
  }

  show(entry, was = null) {
    this.current = entry;
    this.shownAt = performance.now();
    $("picture").replaceChildren(...(entry ? [entry.img] : []));
    $("picture").dataset.picture = entry?.picture ?? "";
    $("name").textContent = entry?.name ?? "";
    this.showNotice(entry ? null : this.whyNothing());
    this.showGuess();
    for (const button of $("classes").children) {
      button.classList.toggle("was", was?.label === button.dataset.label);
    }
    if (!entry) return;
    if (hasFailed(entry.img)) this.dropUnreadable(entry); // ahead of time: it says so no more
    else entry.img.addEventListener("error", () => this.dropUnreadable(entry), { once: true });
  }

  whyNothing() {
    const n = this.outbox.events().length;
    if (this.isSpent) {
      return `The budget of ${count(this.budget)} labels is spent. All labels are saved.`;
    }
    return this.outbox.state === "offline"
      ? `The server does not respond. ${n} answers are kept in this browser.`
      : "All pictures are done. Thank you!";
  }

  dropUnreadable(entry) {
    if (this.current === entry) this.next();
  }

  showNotice(text) {
    $("notice").hidden = !text;
    $("notice-text").textContent = text ?? "";
    $("beyond").hidden = !text || !this.isSpent;
  }

  showGuess() {
    const guess = this.current?.guess;
    $("guess").hidden = !guess || !$("show-guess").checked;
    if (guess) $("guess").textContent = `Network: ${guess.label}, ${percent(guess.confidence)}`;
  }

  // Answers

  canAnswer() {
    const img = this.current?.img;
    return (
      img?.complete && !hasFailed(img) && !this.outbox.isFull &&
      performance.now() - this.shownAt >= TOO_SOON
    );
  }

  answer(kind, label = null) {
    if (!this.canAnswer()) return false;
    const { picture, name, img, guess } = this.current;
    const seconds = (performance.now() - this.shownAt) / 1000;
    const event = this.send({ picture, kind, label, seconds });
    this.past.push({ ...event, name, img, guess });
    if (kind === "label") this.nLabels++;
    this.next();
    return true;
  }

  undo() {
    if (this.outbox.isFull || !this.past.length) return false;
    const last = this.past.pop();
    const annotator = last.annotator ?? this.annotator(); // whose it was: undo is one's own
    this.send({ picture: last.picture, kind: "undo", label: null, undoes: last.id, annotator });
    if (last.kind === "label") this.nLabels--;
    if (this.current) this.queue.unshift(this.current);
    this.queue = this.queue.filter((entry) => entry.picture !== last.picture);
    this.show(last.img ? { ...last } : this.load(last), last);
    return true;
  }

  correct(entry, kind, label) {
    const event = this.send({ picture: entry.picture, kind, label });
    this.past.push({ ...event, name: entry.name, guess: entry.guess });
    this.queue = this.queue.filter((other) => other.picture !== entry.picture);
  }

  send(fields) {
    const event = {
      id: newId(),
      annotator: this.annotator(),
      time: Date.now() / 1000,
      seconds: null,
      ...fields,
    };
    this.answered.set(event.picture, this.nAnswers++);
    this.outbox.add(event);
    return event;
  }

  // A full disk: back to the first picture that is not saved, and no step further.

  goBack() {
    const first = this.outbox.events()[0];
    const unsaved = this.past.find((event) => event.id === first?.id);
    this.ahead ??= this.current;
    this.show(unsaved ? (unsaved.img ? unsaved : this.load(unsaved)) : this.ahead);
  }

  goOn() {
    if (this.ahead === undefined) return;
    const ahead = this.ahead;
    this.ahead = undefined;
    if (ahead) this.show(ahead);
    else this.next();
  }
}

const hasFailed = (img) => img.complete && !img.naturalWidth;

// crypto.randomUUID is there on secure pages only, which --host is not.
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Put a button for each class into a grid of full rows.
export function layClasses(grid, classes, onPress) {
  grid.replaceChildren(...classes.map(({ name, key }) =>
    element(
      "button",
      { type: "button", title: name, "data-label": name, onclick: () => onPress(name) },
      key ? element("kbd", {}, key) : null,
      element("span", {}, name),
    ),
  ));
  const longest = Math.max(...classes.map(({ name }) => name.length));
  const narrowest = Math.min(220, 60 + 7.6 * longest);
  new ResizeObserver(() => {
    const most = Math.max(1, Math.floor((grid.clientWidth + GAP) / (narrowest + GAP)));
    const rows = Math.ceil(classes.length / most);
    grid.style.setProperty("--columns", Math.ceil(classes.length / rows));
  }).observe(grid);
}
