// The answers given so far, the net's most doubtful ones first; a click corrects.

import { $, count, element, getJSON, image, percent } from "./dom.js";
import { layClasses } from "./labeling.js";

const N_TILES = 60;
const OTHERS = [
  ["disagreement", "Disagreements"],
  ["dont_know", "Don’t know"],
  ["exclude", "Excluded"],
  ["skip", "Skipped"],
];

export class Overview {
  constructor(labeling, classes) {
    this.labeling = labeling;
    this.filter = { kind: "label", label: null };
    this.corrected = null;
    $("more").addEventListener("click", () => this.fill($("tiles").childElementCount));
    layClasses($("dialog-classes"), classes, (label) => this.correct("label", label));
    for (const button of $("dialog").querySelectorAll("[data-correct]")) {
      button.addEventListener("click", () => this.correct(button.dataset.correct));
    }
  }

  async open(status) {
    this.showFilters(status);
    await this.fill(0);
  }

  showFilters({ classes, counts, budget }) {
    const entries = [
      [{ kind: "label", label: null }, "All labels", counts.label, budget],
      ...classes.map(({ name, count: n }) => [{ kind: "label", label: name }, name, n]),
      ...OTHERS.map(([kind, text]) => [
        { kind, label: null }, text, counts[kind === "disagreement" ? "disagreements" : kind],
      ]).filter(([, , n]) => n),
    ];
    $("filters").replaceChildren(...entries.map(([filter, text, n, most]) => {
      const isOn = filter.kind === this.filter.kind && filter.label === this.filter.label;
      return element("button", {
        type: "button",
        "aria-pressed": String(isOn),
        onclick: () => {
          this.filter = filter;
          this.showFilters({ classes, counts, budget });
          this.fill(0);
        },
      }, text, element("small", {}, most ? `${count(n)} of ${count(most)}` : count(n)));
    }));
  }

  async fill(start) {
    await this.labeling.outbox.settled();
    const filter = this.filter;
    const query = new URLSearchParams({ kind: filter.kind, start, n: N_TILES });
    if (filter.label !== null) query.set("label", filter.label);
    const { n, pictures } = await getJSON(`/api/answers?${query}`);
    // Another filter was pressed meanwhile, or More twice.
    if (filter !== this.filter || (start && start !== $("tiles").childElementCount)) return;
    const tiles = pictures.map((entry) => this.tile(entry));
    if (start) $("tiles").append(...tiles);
    else $("tiles").replaceChildren(...tiles);
    $("more").hidden = start + tiles.length >= n;
    $("overview-note").textContent = n
      ? "The labels that the network doubts most come first. Click a picture to correct it."
      : "No pictures.";
  }

  tile(entry) {
    const { guess, label } = entry;
    const isDoubtful = guess && label && guess.label !== label;
    return element("button", {
      type: "button",
      className: isDoubtful ? "tile doubtful" : "tile",
      title: entry.name,
      "data-picture": entry.picture,
      onclick: () => this.ask(entry),
    },
      image(`/thumbnail/${entry.picture}`, entry.name),
      element("span", {}, label ?? entry.kind.replace("dont_know", "don’t know")),
      element("small", {}, this.note(entry)),
    );
  }

  note({ said, guess, label, held_out: isHeldOut }) {
    if (said) return Object.entries(said).map(([who, what]) => `${who || "?"}: ${what}`).join(", ");
    if (guess && guess.label !== label) return `network: ${guess.label} ${percent(guess.confidence)}`;
    return isHeldOut ? "held out" : guess ? `network agrees ${percent(guess.confidence)}` : "";
  }

  ask(entry) {
    this.corrected = entry;
    $("dialog-picture").replaceChildren(image(`/picture/${entry.picture}`, entry.name));
    $("dialog-name").textContent = entry.name;
    $("dialog-note").textContent = this.note(entry);
    for (const button of $("dialog-classes").children) {
      button.classList.toggle("was", button.dataset.label === entry.label);
    }
    $("dialog").showModal();
  }

  correct(kind, label = null) {
    const entry = this.corrected;
    $("dialog").close();
    if (!kind || (kind === entry.kind && label === entry.label)) return;
    this.labeling.correct(entry, kind, label);
    const tile = $("tiles").querySelector(`[data-picture="${entry.picture}"]`);
    tile?.replaceWith(this.tile({ ...entry, kind, label, said: null }));
  }
}
