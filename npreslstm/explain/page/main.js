"use strict";
// The page: what is picked, what is otherwise, and what has to be drawn when either changes.
// A frame is named by its number in the whole clip, and found by its index among those that are left.

const WRONG = 1e-9; // a larger difference from Python's numbers is an error
const page = {
  data: null,
  network: null, // as learned
  base: null, // the run as it is
  baseGradients: null,
  baseSensitivity: null,
  series: [], // h of each layer's units over time
  changes: noChanges(),
  result: null, // the run with the changes
  gradients: null, // of the probability of its label
  cell: 0, // the picked layer
  unit: 0,
  index: 0, // the picked frame of the result
  gate: "i",
  weight: null, // {part, column} of the picked term
  order: "number",
  view: { orders: [], sensitivity: [] },
  timeline: null,
  player: null,

  // The unit of the last layer on whose gates the label depends most.
  mostTelling() {
    return indexOfLargest(influenceOf(this.base, this.baseGradients, this.network.cells.length - 1));
  },

  gradientsOf(result) {
    return backward(result.network, result.frames, ofProbability(result.p, result.best));
  },
};

function normsOf(rows) {
  return rows.map((row) => Math.sqrt(sumOf(row.map((value) => value * value))));
}

// How much the label's probability depends on the gates of each unit of a layer.
function influenceOf(result, gradients, cell) {
  const { H } = result.network.cells[cell];
  const influence = new Array(H).fill(0);
  for (const da of gradients.da[cell]) {
    da.forEach((value, row) => (influence[row % H] += Math.abs(value)));
  }
  return influence;
}

// ---- computing

function compute() {
  const number = page.result?.numbers[page.index] ?? 0;
  page.result = isChanged(page.changes) ? runClip(page.data, page.changes) : page.base;
  page.gradients = page.result === page.base ? page.baseGradients : page.gradientsOf(page.result);
  page.index = nearest(page.result.numbers, number);
  page.view.sensitivity = normsOf(page.gradients.dx);
}

function nearest(numbers, number) {
  return indexOfLargest(numbers.map((other) => -Math.abs(other - number)));
}

// Orders are those of the run as it is, so that rows stay where they are while something is changed.
function sortUnits() {
  page.view.orders = page.series.map((series, cell) => {
    const influence = influenceOf(page.base, page.baseGradients, cell);
    return ORDERS[page.order](series, influence);
  });
}

// ---- drawing

function drawAll() {
  page.timeline.draw(page.result, page.view);
  page.timeline.markUnit(page.cell, page.unit, page.view);
  find("sensitivity-of").textContent = `of p(${page.data.header.classes[page.result.best]}), the whole clip`;
  showVerdict();
  showPicked();
}

function showVerdict() {
  const { classes } = page.data.header;
  const words = (result) =>
    `<b style="color:${classColour(result.best)}">${escapeHtml(classes[result.best])}</b> ` +
    percent(result.p[result.best], 1);
  const before = words(page.base);
  find("verdict").innerHTML =
    page.result === page.base
      ? `it says ${before}`
      : `${before} &rarr; ${words(page.result)} <span class="dim">what if</span>`;
}

function showPicked() {
  page.timeline.markFrame(page.result, page.index);
  showFrame();
  showUnit();
  showTerms();
}

function showFrame() {
  const { data, result, index } = page;
  const { classes } = data.header;
  const frame = result.frames[index];
  const number = result.numbers[index];
  find("frame-title").innerHTML =
    `Frame ${number} <span class="dim">at ${seconds(data.times[number])}: the clip so far
    sounds</span> ${escapeHtml(classes[indexOfLargest(frame.p)])}`;
  find("frame").max = result.frames.length - 1;
  find("frame").value = index;
  find("frame").setAttribute("aria-valuetext", `frame ${number}, ${seconds(data.times[number])}`);
  const before = page.base.frames[Math.min(number, page.base.frames.length - 1)];
  const changed = result !== page.base;
  find("bars").innerHTML = classes
    .map((name, c) => {
      const mark = changed
        ? `<u style="left:${100 * before.p[c]}%" title="before: ${fmt(before.p[c], 3)}"></u>`
        : "";
      const fill = `<i style="width:${100 * frame.p[c]}%;background:${classColour(c)}"></i>`;
      const figure = `<span class="figure">${fmt(frame.p[c], 3)}</span>`;
      return `<span>${escapeHtml(name)}</span><span class="bar-lane">${fill}${mark}</span>${figure}`;
    })
    .join("");
  find("remove").textContent = `Remove frame ${number}`;
  find("clock").textContent = `${seconds(data.times[number])} of ${seconds(data.header.duration)}`;
}

function showUnit() {
  const { result, cell, unit, index, data } = page;
  const { network } = result;
  const frame = result.frames[index];
  const step = frame.steps[cell];
  find("layer").value = cell;
  const units = find("unit");
  if (units.options.length !== network.cells[cell].H) {
    const numbers = [...Array(network.cells[cell].H).keys()];
    units.replaceChildren(...numbers.map((u) => make("option", { value: u }, String(u))));
  }
  units.value = unit;
  find("cell").innerHTML = drawCell(step, unit);
  find("cell-words").textContent = describeCell(step, unit);
  const lines = lstmEquations(network.cells[cell], step, unit, page.changes.held[cell]);
  const { name, layer } = network.cells[cell];
  const isLast = layer === network.model.num_layers - 1;
  if (name === "lstm1" && isLast) {
    lines.push(...residualEquations({ network, frame, columns: data.header.columns }, unit));
  } else if (isLast) {
    const { classes } = data.header;
    lines.push(...answerEquations({ network, result, frame, index, classes }, unit));
  }
  find("equations").innerHTML = lines.join("");
  find("silence-text").textContent = `silence unit ${unit} of ${cellTitle(network, cell)}`;
  page.controls.markUnit();
}

function showAlike() {
  const like = unitsLike(page.series[page.cell], page.unit).slice(0, 5);
  find("alike").replaceChildren(
    ...like.map(({ unit, r }) => {
      const button = make("button", { "data-unit": unit }, `unit ${unit}`);
      return make("li", {}, button, ` r = ${fmt(r, 3)}`);
    }),
  );
}

function pickedRow() {
  return GATES.indexOf(page.gate) * page.network.cells[page.cell].H + page.unit;
}

function showTerms() {
  const { result, cell, index, data, weight } = page;
  const step = result.frames[index].steps[cell];
  find("gate").value = page.gate;
  document.querySelectorAll("#cell .gate").forEach((box) => {
    box.classList.toggle("picked", box.dataset.gate === page.gate);
  });
  find("terms").innerHTML = termsTable(result.network, cell, step, pickedRow(), data.header.columns, weight);
  find("gradient").hidden = weight === null;
  find("gradient-hint").hidden = weight !== null;
  if (weight !== null) {
    showGradient();
  }
}

function showGradient() {
  const { result, gradients, cell, weight, index, data } = page;
  const row = pickedRow();
  const name = inputName(result.network, cell, weight.part, weight.column, data.header.columns);
  const shown = gradientView({
    result,
    gradients,
    cell,
    row,
    picked: weight,
    index,
    total: data.frames.length,
    label: data.header.classes[result.best],
    name,
  });
  find("gradient-title").innerHTML =
    `The gradient of W<sub>${weight.part.slice(2)}</sub>[${row}, ${weight.column}],
    frame by frame ${tagLink("L1'")}`;
  find("gradient-picture").setAttribute("viewBox", shown.viewBox);
  find("gradient-picture").innerHTML = shown.picture;
  find("gradient-equations").innerHTML = shown.equations;
  find("gradient-words").innerHTML = shown.words;
  find("edit").value = weightEntry().value.toFixed(4);
}

// The picked weight among the tensors: {name, index, value, text}.
function weightEntry() {
  const { result, cell, weight } = page;
  const { name, layer, H, D } = page.network.cells[cell];
  const tensor = `${name}.${weight.part === "W_ih" ? "weight_ih" : "weight_hh"}_l${layer}`;
  const row = pickedRow();
  const index = row * (weight.part === "W_ih" ? D : H) + weight.column;
  const value = result.network.tensors[tensor][index];
  return { name: tensor, index, value, text: `${tensor}[${row}, ${weight.column}]` };
}

// ---- picking

function pickFrame(index) {
  page.index = Math.max(0, Math.min(page.result.frames.length - 1, index));
  showPicked();
}

function pickUnit(cell, unit) {
  page.weight = cell === page.cell && unit === page.unit ? page.weight : null;
  page.cell = cell;
  page.unit = unit;
  page.timeline.markUnit(cell, unit, page.view);
  showPicked();
  showAlike();
}

function pickGate(gate) {
  page.weight = gate === page.gate ? page.weight : null;
  page.gate = gate;
  showTerms();
}

function pickWeight(part, column) {
  page.weight = { part, column };
  showTerms();
}

function announce() {
  const { result, index, cell, unit, data } = page;
  const step = result.frames[index].steps[cell];
  const title = cellTitle(result.network, cell);
  find("announcement").textContent =
    `frame ${result.numbers[index]}, ${title} unit ${unit}: c ${fmt(step.c[unit], 2)}, ` +
    `h ${fmt(step.h[unit], 2)}; so far ${data.header.classes[indexOfLargest(result.frames[index].p)]}`;
}

// What a pointer is on: its track, frame and row.
function pointed(event) {
  const lane = event.target.closest(".lane");
  const track = page.timeline.tracks.find((other) => other.lane === lane);
  if (!track) {
    return null;
  }
  const { spec } = track;
  const time = page.timeline.timeAtPointer(event, lane);
  const index = nearest(page.result.numbers, page.timeline.numberAt(time));
  if (!spec.rows) {
    return { spec, time, index };
  }
  const box = lane.getBoundingClientRect();
  const share = Math.max(0, Math.min(0.9999, (event.clientY - box.top) / box.height));
  const at = Math.floor(share * spec.rows.count);
  const plain = spec.cell === undefined || spec.letter === "y";
  const row = plain ? at : page.view.orders[spec.cell][at];
  return { spec, time, index, row: spec.id === "mel" ? spec.rows.count - 1 - at : row };
}

function pickPointed(event) {
  const on = pointed(event);
  if (!on) {
    return;
  }
  page.index = on.index;
  page.player.seek(on.time);
  if (on.spec.cell !== undefined) {
    if (PICKED_GATES.includes(on.spec.letter)) {
      pickGate(on.spec.letter);
    }
    pickUnit(on.spec.cell, on.row);
  } else {
    showPicked();
  }
  page.timeline.markTime(on.time);
}

// The number under a pointer, in words.
function tell({ spec, index, row }) {
  const { result, data } = page;
  const frame = result.frames[index];
  const where = `frame ${result.numbers[index]}, ${seconds(data.times[result.numbers[index]])}`;
  const values = {
    mel: () => `${spec.rows.what(row)}: ${fmt(result.mel[index][row], 1)} dB`,
    features: () => `${spec.rows.what(row)}: ${fmt(frame.x[row], 2)}`,
    residual: () => `${spec.rows.what(row)}: y = ${fmt(frame.y[row], 2)}`,
    said: () => `${spec.rows.what(row)}: ${fmtSmall(lessTheirMean(result.said[index])[row])} in its logit`,
    attention: () => `attention ${percent(result.alpha[index], 1)}`,
    sensitivity: () => `|dp/dx| ${fmtSmall(page.view.sensitivity[index])}`,
    running: () => data.header.classes.map((name, c) => `${name} ${fmt(frame.p[c], 2)}`).join(", "),
    sound: () => "",
  };
  const value =
    values[spec.id] ??
    (() => `unit ${row}: ${spec.letter} = ${fmt(frame.steps[spec.cell][spec.letter][row], 3)}`);
  return `${where}. ${value()}`;
}

function showTooltip(event) {
  const tooltip = find("tooltip");
  const on = event.pointerType === "touch" ? null : pointed(event);
  tooltip.hidden = !on;
  if (on) {
    tooltip.textContent = tell(on);
    const left = Math.min(event.clientX + 14, innerWidth - tooltip.offsetWidth - 8);
    tooltip.style.transform = `translate(${left}px, ${event.clientY + 16}px)`;
  }
}

function onKey(event) {
  const { view, cell, unit } = page;
  const order = view.orders[cell];
  const other = (by) => order[(order.indexOf(unit) + by + order.length) % order.length];
  const actions = {
    ArrowLeft: () => pickFrame(page.index - 1),
    ArrowRight: () => pickFrame(page.index + 1),
    ArrowUp: () => pickUnit(cell, other(-1)),
    ArrowDown: () => pickUnit(cell, other(1)),
    Home: () => pickFrame(0),
    End: () => pickFrame(page.result.frames.length - 1),
    " ": () => page.player.toggle(),
  };
  if (actions[event.key] && event.target === find("timeline")) {
    event.preventDefault();
    actions[event.key]();
    announce();
  }
}

// ---- hearing

function onTime(time) {
  page.timeline.markTime(time);
  const index = nearest(page.result.numbers, page.timeline.numberAt(time));
  if (index !== page.index) {
    pickFrame(index);
  }
}

function onState(playing) {
  find("play").innerHTML = playing ? "&#10074;&#10074; Stop" : "&#9654; Play";
}

function fail(text) {
  find("error").hidden = false;
  find("error").textContent = text;
}

// ---- the tour and the exercises

const tour = {
  at: -1,
  steps: [],

  go(at) {
    document.querySelector(".looked-at")?.classList.remove("looked-at");
    this.at = at;
    find("tour").hidden = at < 0;
    document.body.classList.toggle("touring", at >= 0);
    if (at < 0) {
      return;
    }
    const step = this.steps[at];
    page.controls.set(step.changes ?? noChanges());
    if (step.unit !== undefined) {
      page.index = step.index;
      pickUnit(page.network.cells.length - 1, step.unit);
    } else if (step.index !== undefined) {
      pickFrame(step.index);
    }
    find("tour-title").textContent = step.title;
    find("tour-text").innerHTML = step.text;
    find("tour-count").textContent = `${at + 1} of ${this.steps.length}`;
    find("tour-back").disabled = at === 0;
    find("tour-next").textContent = at === this.steps.length - 1 ? "Done" : "Next";
    const target = find(step.look);
    target.closest("details")?.setAttribute("open", "");
    target.classList.add("looked-at");
    target.scrollIntoView({ block: "center" });
    find("tour-title").focus({ preventScroll: true });
  },

  start() {
    this.steps = tourSteps(page);
    this.go(0);
  },
};

function listExercises() {
  for (const { question, answer } of exercises(page)) {
    const text = make("p");
    const details = make("details", {}, make("summary", {}, "Answer"), text);
    details.addEventListener("toggle", () => {
      text.textContent = answer();
    });
    find("exercise-list").append(make("li", {}, make("p", {}, question), details));
  }
}

// ---- beginning

function checkMyself() {
  const { expected, header } = page.data;
  const away = (a, b) => largestSize(Array.from(a, (value, k) => value - b[k]));
  const logits = away(page.base.logits, expected.logits);
  const attention = away(page.base.alpha, expected.attention);
  const right = logits <= WRONG && attention <= WRONG && page.base.alpha.length === expected.attention.length;
  const found = `logits within ${logits.toExponential(1)} and attention within ${attention.toExponential(1)}`;
  find("self-check").textContent = right
    ? `This page has computed everything anew from the weights that it holds: ${found} of what Python ` +
      "computed."
    : `Error: this page does not compute what Python computed: ${found}, expected ${WRONG}. Do not trust it.`;
  if (!right) {
    fail(find("self-check").textContent);
  }
  find("about").textContent =
    `npreslstm ${header.version}, weights ${header.weights}` +
    `${header.licence ? ` (${header.licence})` : ""}. ` +
    "This file holds the recording itself and needs no network. A label is a guess about acted voices, not " +
    `a finding about a person.`;
}

function introduce() {
  const { header } = page.data;
  const start = header.start ? `, from ${seconds(header.start)} on` : "";
  document.title = `How a network hears ${header.name}`;
  find("title").textContent = document.title;
  find("subtitle").innerHTML =
    `A residual LSTM with attention (weights <b>${escapeHtml(header.weights)}</b>) has listened
    to ${seconds(header.duration)} of sound${start}. Below is everything that it computed on the way to its
    answer, from top to bottom. ${escapeHtml(header.note ? `${header.note}.` : "")}`;
}

function listen() {
  const timeline = find("timeline");
  let dragging = false;
  timeline.addEventListener("pointerdown", (event) => {
    dragging = event.pointerType !== "touch" && event.target.closest(".lane") !== null;
    if (event.target.closest(".lane")) {
      pickPointed(event);
    }
  });
  timeline.addEventListener("pointermove", (event) => {
    showTooltip(event);
    if (dragging) {
      pickPointed(event);
    }
  });
  addEventListener("pointerup", () => (dragging = false));
  timeline.addEventListener("pointerleave", () => (find("tooltip").hidden = true));
  timeline.addEventListener("keydown", onKey);
  find("frame").addEventListener("input", (event) => pickFrame(Number(event.target.value)));
  find("layer").addEventListener("change", (event) => pickUnit(Number(event.target.value), 0));
  find("unit").addEventListener("change", (event) => pickUnit(page.cell, Number(event.target.value)));
  find("gate").addEventListener("change", (event) => pickGate(event.target.value));
  find("order").addEventListener("change", (event) => {
    page.order = event.target.value;
    sortUnits();
    drawAll();
  });
  find("tall").addEventListener("change", (event) => timeline.classList.toggle("tall", event.target.checked));
  find("speed").addEventListener("change", (event) => page.player.setSpeed(Number(event.target.value)));
  find("play").addEventListener("click", () =>
    page.player.toggle().catch((error) => fail(`No sound: ${error.message}`)),
  );
  find("edit-apply").addEventListener("click", () => {
    const value = Number(find("edit").value);
    if (Number.isFinite(value)) {
      page.controls.edit({ ...weightEntry(), value });
    }
  });
  find("tour-start").addEventListener("click", () => tour.start());
  find("tour-back").addEventListener("click", () => tour.go(tour.at - 1));
  find("tour-next").addEventListener("click", () =>
    tour.go(tour.at + 1 < tour.steps.length ? tour.at + 1 : -1),
  );
  find("tour-end").addEventListener("click", () => tour.go(-1));
  find("cell").addEventListener("click", (event) => pickCellGate(event));
  find("cell").addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      pickCellGate(event);
    }
  });
  find("terms").addEventListener("click", (event) => {
    const button = event.target.closest("button.weight");
    if (button) {
      pickWeight(button.dataset.part, Number(button.dataset.column));
    }
  });
  find("alike").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) {
      pickUnit(page.cell, Number(button.dataset.unit));
    }
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.tag");
    if (link) {
      event.preventDefault();
      event.stopPropagation();
      showTag(link.dataset.tag);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && tour.at >= 0) {
      tour.go(-1);
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
}

function pickCellGate(event) {
  const box = event.target.closest(".gate");
  if (box) {
    pickGate(box.dataset.gate);
  }
}

async function begin() {
  page.data = await readData(find("header").textContent, find("data").textContent);
  const { data } = page;
  places = data.header.places;
  page.base = runClip(data, noChanges());
  page.network = page.base.network;
  page.result = page.base;
  page.baseGradients = page.gradientsOf(page.base);
  page.baseSensitivity = normsOf(page.baseGradients.dx);
  page.series = page.network.cells.map((_, cell) => seriesOf(page.base.frames, cell));
  sortUnits();
  page.timeline = new Timeline(find("timeline"), data, page.network);
  page.player = new Player(data.sound, data.header.played, onTime, onState);
  const recompute = () => {
    compute();
    drawAll();
  };
  page.controls = new Changes(page, recompute);
  const layers = page.network.cells.map((_, k) => make("option", { value: k }, cellTitle(page.network, k)));
  find("layer").replaceChildren(...layers);
  page.cell = page.network.cells.length - 1;
  page.unit = page.mostTelling();
  page.index = indexOfLargest(page.base.alpha);
  introduce();
  showSources(find("source-text"));
  recompute();
  showAlike();
  page.controls.write();
  page.timeline.markTime(null);
  listen();
  listExercises();
  checkMyself();
  document.body.dataset.ready = "1";
}

begin().catch((error) =>
  fail(`This page cannot be shown: ${error.message}. It needs a browser of 2023 or later.`),
);
