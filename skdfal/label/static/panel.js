// How it stands: numbers, the learning curve, the training.

import { $, count, element, percent } from "./dom.js";

const FEWEST = 5; // pictures held out, below which a share says nothing

export function showStatus(status) {
  showProgress(status.counts, status.budget, status.broken);
  showQuality(status.quality, status.counts, status.training);
  $("curve").replaceChildren(...drawCurve(status.curve));
  showStopping(status.stopping);
  showTraining(status.training);
  showClasses(status.classes, status.quality.classes);
  $("folder").textContent = status.folder;
}

function showProgress(counts, budget, broken) {
  const isSpent = budget && counts.label >= budget;
  $("n-labelled").textContent = count(counts.label);
  $("of-pictures").textContent = budget
    ? `of ${count(budget)} labels${isSpent ? ": the budget is spent" : ""}`
    : `of ${count(counts.pictures)} pictures have a label`;
  setWidth($("progress"), counts.label / Math.max(1, budget || counts.pictures));
  $("others").textContent = [
    [budget && counts.pictures, "pictures"],
    [counts.dont_know, "don’t know"],
    [counts.exclude, "excluded"],
    [counts.skip, "skipped"],
    [counts.disagreements, "disagreements"],
  ].filter(([n]) => n).map(([n, what]) => `${count(n)} ${what}`).join(" · ");
  const names = Object.entries(broken);
  $("broken").hidden = !names.length;
  $("broken").firstElementChild.textContent = `${count(names.length)} ${names.length === 1 ? "file" : "files"} left out`;
  $("broken").lastElementChild.replaceChildren(
    ...names.map(([name, reason]) => element("li", {}, `${name}: ${reason}`)),
  );
}

function showQuality(quality, counts, training) {
  const known = quality.n >= FEWEST;
  $("accuracy").textContent = known ? percent(quality.accuracy) : "–";
  $("interval").textContent = known
    ? `correct on ${count(quality.n)} held-out pictures; 95 % interval ` +
      `${percent(quality.low)} to ${percent(quality.high)}`
    : training.rounds
      ? `Shown from ${FEWEST} held-out pictures on; so far ${quality.n}.`
      : "Shown after the first training.";
}

// Two measures that need no labels: whether nets agree, and what is still in doubt.
function showStopping({ is_settled: isSettled, rounds }) {
  const last = rounds[rounds.length - 1];
  $("stopping").textContent = !last
    ? "Shown after a few trainings."
    : isSettled
      ? "The last networks agree on the unlabelled pictures: further labels will change little."
      : `The last two networks agree ${percent(Math.max(0, last.kappa))} beyond chance on the` +
        " unlabelled pictures. Labels still help; at 99\u00a0% they hardly do.";
  $("doubts").replaceChildren(...drawLines(rounds.map(({ labels, kappa, margin }) => ({
    labels, values: [Math.max(0, kappa), margin],
  })), ["agreement", "smallest margin"]));
}

function showTraining(training) {
  const { is_busy: isBusy, until_next: n } = training;
  const trained = training.rounds
    ? `Round ${training.rounds}, trained on ${count(training.n_labels)} labels. `
    : "";
  $("training").textContent = isBusy
    ? `Training for ${Math.round(training.seconds)} s. Keep labelling.`
    : !training.has_two_classes
      ? `${trained}Starts when two classes have labels.`
      : `${trained}Next after ${count(n)} more ${n === 1 ? "label" : "labels"}.`;
  const share = isBusy ? training.seconds / (training.last_seconds ?? 10) : 0;
  $("training-track").classList.toggle("busy", isBusy);
  $("training-track").hidden = !isBusy;
  setWidth($("training-bar"), Math.min(0.97, share));
  $("training-error").hidden = !training.error;
  $("training-error").textContent = training.error
    ? `The last training failed: ${training.error} You can keep labelling; the next training starts as usual.`
    : "";
  $("train").disabled = isBusy || !training.has_two_classes;
}

function showClasses(classes, quality) {
  const most = Math.max(1, ...classes.map((one) => one.count));
  const found = new Map(quality.map((one) => [one.name, one]));
  $("class-rows").replaceChildren(...classes.map((one) => {
    const bar = element("div");
    setWidth(bar, one.count / most);
    const { n, right, low, high } = found.get(one.name) ?? { n: 0 };
    const title = n ? `95 % interval ${percent(low)} to ${percent(high)}` : "";
    return element("tr", {},
      element("td", { title: one.name }, one.name),
      element("td", {}, count(one.count)),
      element("td", {}, element("div", { className: "track" }, bar)),
      element("td", { title }, n ? `${right} of ${n}` : ""),
    );
  }));
}

function setWidth(bar, share) {
  bar.style.width = `${Math.min(100, 100 * share)}%`;
}

// The learning curve, with the interval as a band.

const WIDTH = 300;
const HEIGHT = 130;
const LEFT = 44;
const BOTTOM = 18;

function drawCurve(points) {
  if (points.length < 2) return [];
  const { x, y, frame } = axes(points);
  const high = points.map((p) => [x(p.labels), y(p.high)]);
  const low = points.map((p) => [x(p.labels), y(p.low)]).reverse();
  const line = points.map((p) => [x(p.labels), y(p.accuracy)]);
  const [endX, endY] = line[line.length - 1];
  return [frame("Accuracy against labels",
    svg("polygon", { class: "band", points: path([...high, ...low]) }),
    svg("polyline", { class: "line", points: path(line) }),
    svg("circle", { cx: endX, cy: endY, r: 3.2 }),
  )];
}

function drawLines(points, names) {
  if (points.length < 2) return [];
  const { x, y, frame } = axes(points);
  return [frame(names.join(" and "), ...names.flatMap((name, i) => {
    const line = points.map((p) => [x(p.labels), y(p.values[i])]);
    const [endX, endY] = line[line.length - 1];
    const above = endY > 24 ? -6 : 14;
    return [
      svg("polyline", { class: i ? "line second" : "line", points: path(line) }),
      svg("text", { x: endX, y: endY + above, "text-anchor": "end" }, name),
    ];
  }))];
}

function axes(points) {
  const last = points[points.length - 1].labels;
  const first = Math.min(points[0].labels, last - 1);
  const right = WIDTH - 6;
  const x = (n) => LEFT + (right - LEFT) * ((n - first) / (last - first));
  const y = (share) => 6 + (HEIGHT - BOTTOM - 6) * (1 - share);
  const grid = [0, 0.5, 1].flatMap((share) => [
    svg("line", { class: "grid", x1: LEFT, x2: right, y1: y(share), y2: y(share) }),
    svg("text", { x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, percent(share)),
  ]);
  const frame = (label, ...children) =>
    svg("svg", { class: "curve", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
      ...grid,
      ...children,
      svg("text", { x: LEFT, y: HEIGHT - 3 }, `${first}`),
      svg("text", { x: right, y: HEIGHT - 3, "text-anchor": "end" }, `${last} labels`),
    );
  return { x, y, frame };
}

const path = (points) => points.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" ");

function svg(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
