"use strict";
// The page begins: it reads its data, runs the clip, draws, listens, and checks itself.

const WRONG = 1e-9; // a larger difference from Python's numbers is an error

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

function listenToPlayer() {
  find("speed").addEventListener("change", (event) => page.player.setSpeed(Number(event.target.value)));
  find("play").addEventListener("click", () =>
    page.player.toggle().catch((error) => fail(`No sound: ${error.message}`)),
  );
}

function listenToTags() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.tag");
    if (link) {
      event.preventDefault();
      showTag(link.dataset.tag, link);
    }
  });
}

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
  const { header, grows } = page.data;
  const start = header.start ? `, from ${seconds(header.start)} on` : "";
  document.title = `How a network hears ${header.name}`;
  find("title").textContent = document.title;
  find("subtitle").innerHTML = `A residual LSTM with attention (weights <b>${escapeHtml(header.weights)}</b>)
    ${grows ? "is listening" : `has listened to ${seconds(header.duration)} of sound`}${start}. Below is
    everything that it computed on the way to its answer, from top to bottom.
    ${escapeHtml(header.note ? `${header.note}.` : "")}`;
}

function recompute() {
  if (page.data.grows) {
    page.drawGrowing(true);
    return;
  }
  compute();
  drawAll();
}

// Show a clip from its beginning.
function showClip(data, changes = noChanges()) {
  page.player?.release();
  page.data = data;
  page.changes = changes;
  page.weight = null;
  page.base = runClip(data, noChanges());
  page.network = page.base.network;
  page.result = page.base;
  page.baseGradients = page.gradientsOf(page.base);
  page.baseSensitivity = normsOf(page.baseGradients.dx);
  page.series = page.network.cells.map((_, cell) => seriesOf(page.base.frames, cell));
  sortUnits();
  find("timeline").replaceChildren();
  page.timeline = new Timeline(find("timeline"), data, page.network);
  page.player = new Player(data.sound, data.header.played, onTime, onState);
  page.controls ??= new Changes(page, recompute);
  page.controls.fill();
  page.index = data.grows ? page.base.frames.length - 1 : indexOfLargest(page.base.alpha);
  introduce();
  recompute();
  showAlike();
  page.controls.write();
  page.timeline.markTime(null);
  listExercises();
  const whole = !data.grows; // what follows is about a whole clip
  find("play").disabled = find("tour-start").disabled = !whole;
  find("exercises").hidden = find("alike-card").hidden = !whole;
}

async function begin() {
  page.data = await readData(find("header").textContent, find("data").textContent);
  places = page.data.header.places;
  showSources(find("source-text"));
  const network = new Network(page.data.header.model, page.data.tensors);
  const layers = network.cells.map((_, k) => make("option", { value: k }, cellTitle(network, k)));
  find("layer").replaceChildren(...layers);
  page.cell = network.cells.length - 1;
  showClip(page.data);
  pickUnit(page.cell, page.mostTelling());
  listenToTimeline();
  listenToPanels();
  listenToPlayer();
  listenToTour();
  listenToTags();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  checkMyself();
  globalThis.beginLive?.();
  document.body.dataset.ready = "1";
}

begin().catch((error) =>
  fail(`This page cannot be shown: ${error.message}. It needs a browser of 2023 or later.`),
);
