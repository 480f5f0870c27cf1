"use strict";
// The panels beside the tracks: the marked frame, the picked unit, its gate and its weight.

function drawAll() {
  page.timeline.draw(page.result, page.view);
  page.timeline.markUnit(page.cell, page.unit, page.view);
  find("sensitivity-of").textContent = sensitivityWords();
  showVerdict();
  showPicked();
}

// What |dp/dx| is of.
function sensitivityWords() {
  const { header, times, grows } = page.data;
  const { best, numbers } = page.gradients.result;
  const until = seconds(times[numbers[numbers.length - 1]], 1);
  return `of p(${header.classes[best]}), ${grows ? `until ${until}` : "the whole clip"}`;
}

function showVerdict() {
  const { classes } = page.data.header;
  const words = (result) =>
    `<b style="color:${classColour(result.best)}">${escapeHtml(classes[result.best])}</b> ` +
    percent(result.p[result.best], 1);
  const before = words(page.base);
  const verdict =
    page.result === page.base
      ? `it says ${before}`
      : `${before} &rarr; ${words(page.result)} <span class="dim">what if</span>`;
  // a screen reader says what is new here, but not many times a second
  find("verdict").setAttribute("aria-live", page.data.grows ? "off" : "polite");
  if (verdict !== page.verdict) {
    page.verdict = verdict;
    find("verdict").innerHTML = verdict;
  }
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
  const hadFocus = find("alike").contains(document.activeElement);
  find("alike").replaceChildren(
    ...like.map(({ unit, r }) => {
      const button = make("button", { "data-unit": unit }, `unit ${unit}`);
      return make("li", {}, button, ` r = ${fmt(r, 3)}`);
    }),
  );
  if (hadFocus) {
    find("alike").querySelector("button").focus();
  }
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
  const hadFocus = find("terms").contains(document.activeElement);
  find("terms").innerHTML = termsTable(result.network, cell, step, pickedRow(), data.header.columns, weight);
  if (hadFocus) {
    (find("terms").querySelector(".picked button") ?? find("gate")).focus();
  }
  find("gradient").hidden = weight === null;
  find("gradient-hint").hidden = weight !== null;
  if (weight !== null) {
    showGradient();
  }
}

function showGradient() {
  const { gradients, cell, weight, data } = page;
  const { result } = gradients;
  const index = Math.min(page.index, result.frames.length - 1);
  const row = pickedRow();
  const name = inputName(result.network, cell, weight.part, weight.column, data.header.columns);
  const shown = gradientView({
    result,
    gradients,
    cell,
    row,
    picked: weight,
    index,
    total: page.timeline.total,
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
