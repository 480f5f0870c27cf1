"use strict";
// The microphone: what it hears is drawn while it is spoken, and each utterance is then shown as a clip.

const EVERY = 60; // ms between two pictures, at least
const PATIENCE = 1500; // ms until sound that does not start is given up
const QUIETEST = -60; // dB, the left end of the level
const HOP = 512; // samples at 16 kHz of a frame
const KEPT = 20; // clips in the list of what was heard
const BY_KIND = {
  NotAllowedError: "the browser does not allow it: allow the microphone beside the address of this page",
  NotFoundError: "there is none",
  NotReadableError: "another program has it, or the system does not allow it",
};

const live = {
  stop: null, // a function, while it listens
  clip: null, // that grows
  altered: null, // the same with the changes
  answer: null, // the newest probabilities of an utterance
  due: false, // gradients are
  drawing: false,
  isNew: false, // the clip has not been shown
};

// The microphone as a stream of blocks of samples; throws what a reader can do something about. `gone` is
// kept when it is unplugged.
async function openMicrophone(onBlock) {
  if (!isSecureContext || !navigator.mediaDevices) {
    throw new Error("this page came by plain http: open the file itself, or serve it by https or localhost");
  }
  if (typeof AudioWorkletNode === "undefined") {
    throw new Error("this browser has no AudioWorklet: use one of 2021 or later");
  }
  const off = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, ...off } });
  const gone = new Promise((done) => stream.getTracks()[0].addEventListener("ended", done));
  let context = new AudioContext();
  if (![16000, 44100, 48000].includes(context.sampleRate)) {
    context.close();
    context = new AudioContext({ sampleRate: 48000 });
  }
  const close = () => {
    stream.getTracks().forEach((track) => track.stop());
    context.close();
  };
  try {
    const late = new Promise((done) => setTimeout(done, PATIENCE));
    await Promise.race([context.resume(), late]);
    if (context.state !== "running") {
      throw new Error("the browser waits for a click: press Listen once more");
    }
    const source = find("worklet.js").textContent;
    await context.audioWorklet.addModule(`data:text/javascript,${encodeURIComponent(source)}`);
    const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0 });
    tap.port.onmessage = ({ data }) => onBlock(data);
    context.createMediaStreamSource(stream).connect(tap);
  } catch (error) {
    close();
    throw error;
  }
  return { rate: context.sampleRate, close, gone };
}

const toInt16 = (block) =>
  Int16Array.from(block, (value) => Math.max(-32768, Math.min(32767, Math.round(32768 * value))));

// One more of the clip that grows.
function addFrame(frame) {
  const { sound, frames } = live.clip.data;
  frame.pcm.forEach((value, k) => (sound[HOP * frames.length + k] = value / 32768));
  frames.push(frame);
}

const voice = {
  begin(hop, frames) {
    if (live.clip) {
      keepClip(); // a window of an utterance that goes on
    }
    const { header } = page.own;
    const total = WINDOW;
    const data = {
      ...page.own,
      header: {
        ...header,
        name: "your voice",
        note: "",
        start: hop * header.hop,
        duration: total * header.hop,
      },
      grows: true,
      cuts: [],
      frames: [],
      times: Float64Array.from({ length: total }, (_, t) => t * header.hop),
      sound: new Float32Array(HOP * total),
    };
    live.clip = new GrowingClip(data, noChanges());
    live.altered = live.clip;
    live.isNew = true;
    frames.forEach(addFrame);
  },

  hear(frame) {
    addFrame(frame);
    live.clip.catchUp();
    if (live.isNew) {
      live.isNew = false;
      showGrowing();
    }
  },

  get p() {
    return live.clip.p;
  },
};

// The clip that grows, as it is now: one that grows no more.
function clipSoFar() {
  const { data } = live.clip;
  const total = data.frames.length;
  return {
    ...data,
    grows: false,
    header: { ...data.header, duration: total * data.header.hop },
    frames: data.frames.slice(),
    times: data.times.slice(0, total),
    sound: data.sound.slice(0, HOP * total),
  };
}

// Changes that do not name a frame stay in force for the next clip.
function lastingChanges() {
  return { ...page.changes, removed: [], cut: -1 };
}

function showGrowing() {
  if (live.clip && find("follow").checked && tour.at < 0) {
    showClip(live.clip.data, lastingChanges());
    markKept(null);
  }
}

// The clip that grows as the changes would have it.
function alteredClip() {
  if (!isChanged(page.changes)) {
    return live.clip;
  }
  if (live.altered.changes !== page.changes) {
    live.altered = new GrowingClip(live.clip.data, page.changes);
  }
  live.altered.catchUp();
  return live.altered;
}

// The utterance so far. Gradients go with every result, once a second, and with every change.
function drawGrowing(withGradients) {
  const wasNewest = page.index === page.result.frames.length - 1;
  page.base = live.clip.result;
  const altered = alteredClip();
  page.result = altered === live.clip ? page.base : altered.result;
  const newest = page.result.frames.length - 1;
  page.index = wasNewest ? newest : Math.min(page.index, newest);
  if (withGradients) {
    page.gradients = page.gradientsOf(page.result);
    page.view.sensitivity = normsOf(page.gradients.dx);
  }
  page.timeline.drawWave();
  drawAll();
}

// A picture, and then as long a time for the sound as the picture took.
function drawInTurn() {
  const begin = performance.now();
  if (live.clip?.data === page.data) {
    drawGrowing(live.due);
    live.due = false;
  }
  const free = () => (live.drawing = false);
  setTimeout(() => setTimeout(free, Math.max(EVERY, performance.now() - begin)));
}

// What Utterances tells.
function onEvent({ kind, p }) {
  live.answer = p;
  live.due = kind === "result";
  if (kind === "end") {
    const wasShown = live.clip.data === page.data;
    const { data, button } = keepClip(p);
    live.clip = null;
    if (wasShown) {
      showClip(data, page.changes);
      markKept(button);
    }
  }
}

// Put the clip that has grown into the list; `whole` are the probabilities of the utterance that it ends.
function keepClip(whole = null) {
  const data = clipSoFar();
  const { classes, start, duration } = data.header;
  const words = (p) => `${classes[indexOfLargest(p)]} ${percent(largestOf(p))}`;
  const text = `${start.toFixed(1)} to ${seconds(start + duration, 1)}: ${words(live.clip.p)}`;
  const goesOn = whole === null ? ", goes on" : "";
  const all =
    whole && Math.abs(largestOf(whole) - largestOf(live.clip.p)) > 1e-9 ? `, all: ${words(whole)}` : "";
  const button = make("button", {}, text + goesOn + all);
  button.addEventListener("click", () => {
    find("follow").checked = false;
    showClip(data);
    markKept(button);
  });
  find("utterance-list").append(make("li", {}, button));
  while (find("utterance-list").children.length > KEPT) {
    find("utterance-list").firstChild.remove();
  }
  find("utterances").hidden = false;
  find("announcement").textContent = button.textContent;
  return { data, button };
}

// Which of the kept clips is shown.
function markKept(button) {
  find("utterance-list")
    .querySelectorAll("button")
    .forEach((other) => other.setAttribute("aria-pressed", other === button));
}

// Whether the page shows what is spoken; if not, it stays at what it shows.
function onFollow() {
  if (find("follow").checked) {
    showGrowing();
  } else if (page.data.grows) {
    showClip(clipSoFar(), page.changes);
  }
}

function showLevel(frame, speaking) {
  const peak = largestSize(frame.pcm) / 32768;
  const level = Math.max(QUIETEST, 20 * Math.log10(peak || 1e-9));
  find("level").value = level - QUIETEST;
  find("level").setAttribute("aria-valuetext", `${level.toFixed(0)} dB`);
  const { classes } = page.own.header;
  const { answer } = live;
  const newest = answer ? `: ${classes[indexOfLargest(answer)]} ${percent(largestOf(answer))}` : "";
  find("heard").textContent = speaking ? `speech${newest}` : "silence";
}

async function listenLive() {
  let [ears, microphone] = [null, null];
  const utterances = new Utterances(voice, onEvent);
  const hear = (samples) => {
    for (const frame of ears.push(samples)) {
      utterances.push(frame);
      showLevel(frame, utterances.speaking);
    }
    if (live.clip && !live.drawing) {
      live.drawing = true;
      requestAnimationFrame(drawInTurn);
    }
  };
  microphone = await openMicrophone((block) => ears && hear(toInt16(block)));
  live.stop = () => {
    microphone.close();
    ears?.finish().forEach((decision) => utterances.decide(decision));
    utterances.end();
    ears = live.stop = null;
    showListening();
  };
  try {
    ears = await Ears.load(page.own.ears, microphone.rate, page.own.header.features);
  } catch (error) {
    live.stop();
    throw error;
  }
  find("utterance-list").replaceChildren();
  find("follow").checked = true;
  showListening();
  microphone.gone.then(() => {
    live.stop?.();
    fail("No microphone: it was taken away.");
  });
}

function showListening() {
  find("listen").innerHTML = live.stop ? "&#9632; Stop listening" : "&#9679; Listen";
  find("hearing").hidden = !live.stop;
}

function onListen() {
  find("error").hidden = true;
  if (live.stop) {
    live.stop();
    return;
  }
  find("listen").disabled = true;
  listenLive()
    .catch((error) => fail(`No microphone: ${BY_KIND[error.name] ?? error.message}.`))
    .finally(() => (find("listen").disabled = false));
}

function beginLive() {
  page.own = page.data;
  page.drawGrowing = drawGrowing;
  find("listen").addEventListener("click", onListen);
  find("follow").addEventListener("change", onFollow);
}
