// The page: who presses what, and when to ask the server how it stands.

import { $, getJSON } from "./dom.js";
import { Labeling, layClasses } from "./labeling.js";
import { Outbox } from "./outbox.js";
import { Overview } from "./overview.js";
import { showStatus } from "./panel.js";

const ACTIONS = { u: "undo", s: "skip", d: "dont_know", x: "exclude", Backspace: "undo" };
const OFTEN = 700; // milliseconds between two looks while a net is trained
const SELDOM = 4000;
const FLASH = 140;

const MESSAGES = {
  offline: "The server does not respond. Answers are kept in this browser and will be sent again.",
  full: "Not saved; retrying. The disk may be full. ",
  refused: "An answer was rejected: ",
  locked: "Open the address with the token again, as printed in the terminal.",
};

let status, labeling, overview, outbox, timer;

async function start() {
  try {
    status = await getJSON("/api/status");
  } catch {
    setTimeout(start, 1500);
    return;
  }
  document.title = `${status.title} · skdfal label`;
  outbox = new Outbox(status.project, saved);
  rememberInput($("annotator"), "skdfal-annotator");
  labeling = new Labeling(outbox, () => $("annotator").value.trim());
  overview = new Overview(labeling, status.classes);
  layClasses($("classes"), status.classes, (label) => act("label", label));
  listen();
  labeling.told(status);
  showStatus(status);
  watch();
  saved("saved");
  await labeling.start().catch(() => labeling.refresh());
}

function rememberInput(input, name) {
  input.value = localStorage.getItem(name) ?? "";
  input.addEventListener("change", () => {
    localStorage.setItem(name, input.value.trim());
    labeling.fetch(true);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === "Escape") input.blur();
  });
}

// Saved or not

function saved(state, reason = "", before = state) {
  const n = outbox.events().length;
  const texts = { saved: "All saved", sending: "Saving", full: "Not saved", refused: "Rejected" };
  $("saved").textContent = texts[state] ?? `${n} not saved yet`;
  $("saved").dataset.state = { saved: "good", sending: "good", offline: "waiting" }[state] ?? "bad";
  if (state === "saved" && before === "refused") return;
  $("banner").hidden = !(state in MESSAGES);
  $("banner").textContent = (MESSAGES[state] ?? "") + reason;
  if (state === "full" && before !== "full") labeling.goBack();
  if (state === "saved") {
    labeling?.goOn();
    look();
  }
}

// How it stands

async function look() {
  clearTimeout(timer);
  try {
    const rounds = status.training.rounds;
    const since = labeling.nAnswers;
    status = await getJSON("/api/status");
    showStatus(status);
    if (labeling.nAnswers === since && !outbox.events().length) labeling.told(status);
    if (status.training.rounds !== rounds) labeling.refresh();
    if (outbox.state === "offline") outbox.send();
    if (!labeling.current && !labeling.outbox.events().length) labeling.refresh();
  } catch {
    // The outbox tells if the server is gone.
  }
  watch();
}

function watch() {
  clearTimeout(timer);
  timer = setTimeout(look, status.training.is_busy ? OFTEN : SELDOM);
}

// Keys and clicks

function act(kind, label = null) {
  if (!$("view-overview").hidden) return;
  const done = kind === "undo" ? labeling.undo() : labeling.answer(kind, label);
  if (done) flash(kind, label);
}

function flash(kind, label) {
  const button = kind === "label"
    ? [...$("classes").children].find((one) => one.dataset.label === label)
    : document.querySelector(`.stage [data-action="${kind}"]`);
  button?.classList.add("pressed");
  setTimeout(() => button?.classList.remove("pressed"), FLASH);
}

function pressed(event) {
  if (event.repeat || event.altKey || event.metaKey) return;
  if (event.target.matches("input:not([type=checkbox])")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isUndo = event.ctrlKey && key === "z";
  if (event.ctrlKey && !isUndo) return;
  const label = status.classes.find((one) => one.key === key)?.name;
  const action = isUndo ? "undo" : ACTIONS[key];
  if ($("dialog").open) {
    if (label !== undefined) overview.correct("label", label);
    else if (action === "dont_know" || action === "exclude") overview.correct(action);
    else return;
  } else if (key === "o") {
    go($("view-overview").hidden);
  } else if (key === "Escape") {
    go(false);
  } else if (label !== undefined) {
    act("label", label);
  } else if (action) {
    act(action);
  } else {
    return;
  }
  event.preventDefault();
}

function go(toOverview) {
  $("view-label").hidden = toOverview;
  $("view-overview").hidden = !toOverview;
  $("go-label").setAttribute("aria-pressed", String(!toOverview));
  $("go-overview").setAttribute("aria-pressed", String(toOverview));
  document.activeElement?.blur();
  if (toOverview) getJSON("/api/status").then((found) => overview.open((status = found)));
}

function listen() {
  document.addEventListener("keydown", pressed);
  $("go-label").addEventListener("click", () => go(false));
  $("go-overview").addEventListener("click", () => go(true));
  for (const button of document.querySelectorAll("[data-action]")) {
    button.addEventListener("click", () => act(button.dataset.action));
  }
  // A button that keeps the focus would take Space and Enter for a second press.
  document.querySelector(".stage").addEventListener("mouseup", () => document.activeElement.blur());
  $("show-guess").addEventListener("change", () => labeling.showGuess());
  $("beyond").addEventListener("click", () => labeling.goBeyond());
  $("train").addEventListener("click", async () => {
    const headers = { "Content-Type": "application/json" };
    await fetch("/api/train", { method: "POST", headers, body: "{}" }).catch(() => {});
    look();
  });
}

start();
