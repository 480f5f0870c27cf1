"use strict";
// Picking a frame, a unit, a gate or a weight: by pointer, by keys, by the panels' controls.

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
  const graded = index < page.view.sensitivity.length;
  const values = {
    mel: () => `${spec.rows.what(row)}: ${fmt(result.mel[index][row], 1)} dB`,
    features: () => `${spec.rows.what(row)}: ${fmt(frame.x[row], 2)}`,
    residual: () => `${spec.rows.what(row)}: y = ${fmt(frame.y[row], 2)}`,
    said: () => `${spec.rows.what(row)}: ${fmtSmall(lessTheirMean(result.said[index])[row])} in its logit`,
    attention: () => `attention ${percent(result.alpha[index], 1)}`,
    sensitivity: () => `|dp/dx| ${graded ? fmtSmall(page.view.sensitivity[index]) : "comes within a second"}`,
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
    " ": () => find("play").click(),
  };
  if (actions[event.key] && event.target === find("timeline")) {
    event.preventDefault();
    actions[event.key]();
    announce();
  }
}

function pickCellGate(event) {
  const box = event.target.closest(".gate");
  if (box) {
    pickGate(box.dataset.gate);
  }
}

function onPress(element, action) {
  element.addEventListener("click", action);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      action(event);
    }
  });
}

function listenToTimeline() {
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
  find("tall").addEventListener("change", (event) => timeline.classList.toggle("tall", event.target.checked));
  find("order").addEventListener("change", (event) => {
    page.order = event.target.value;
    sortUnits();
    drawAll();
  });
}

function listenToPanels() {
  const chosen = (id, event, action) =>
    find(id).addEventListener(event, ({ target }) => action(target.value));
  chosen("frame", "input", (value) => pickFrame(Number(value)));
  chosen("layer", "change", (value) => pickUnit(Number(value), 0));
  chosen("unit", "change", (value) => pickUnit(page.cell, Number(value)));
  chosen("gate", "change", pickGate);
  onPress(find("cell"), pickCellGate);
  const clicked = (id, selector, action) =>
    find(id).addEventListener("click", ({ target }) => {
      const button = target.closest(selector);
      if (button) {
        action(button.dataset);
      }
    });
  clicked("terms", "button.weight", ({ part, column }) => pickWeight(part, Number(column)));
  clicked("alike", "button", ({ unit }) => pickUnit(page.cell, Number(unit)));
  find("edit-apply").addEventListener("click", () => {
    const value = Number(find("edit").value);
    if (Number.isFinite(value)) {
      page.controls.edit({ ...weightEntry(), value });
    }
  });
}
