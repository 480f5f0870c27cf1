"use strict";
// The microphone: what it hears is drawn while it is spoken, and each utterance is then shown as a clip.

const EVERY = 60; // ms between two pictures, at least
const PATIENCE = 1500; // ms until sound that does not start is given up
const QUIETEST = -60; // dB, the left end of the level
const BY_KIND = {
  NotAllowedError: "the browser does not allow it: allow the microphone beside the address of this page",
  NotFoundError: "there is none",
  NotReadableError: "another program has it, or the system does not allow it",
};

const live = { stop: null, frames: [], rows: [], drawing: false };

// The microphone as a stream of blocks of samples; throws what a reader can do something about.
async function openMicrophone(onBlock) {
  if (!isSecureContext || !navigator.mediaDevices) {
    throw new Error("this page came by plain http: open the file itself, or serve it by https or localhost");
  }
  if (typeof AudioWorkletNode === "undefined") {
    throw new Error("this browser has no AudioWorklet: use one of 2021 or later");
  }
  const off = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, ...off } });
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
  return { rate: context.sampleRate, close };
}

const toInt16 = (block) =>
  Int16Array.from(block, (value) => Math.max(-32768, Math.min(32767, Math.round(32768 * value))));

// The data of a clip that was heard: `total` frames wide.
function heardData(frames, total) {
  const { header } = page.own;
  const sound = new Float32Array(512 * total);
  frames.forEach(({ pcm }, t) => pcm.forEach((value, k) => (sound[512 * t + k] = value / 32768)));
  const duration = total * header.hop;
  const clip = { name: "your voice", note: "", start: 0, duration };
  const times = Float64Array.from({ length: total }, (_, t) => t * header.hop);
  return { ...page.own, header: { ...header, ...clip }, cuts: [], frames, total, times, sound };
}

function hearFrame(frame, isFirst) {
  if (isFirst) {
    live.frames = [];
    live.rows = [];
    live.network = new Network(page.own.header.model, page.own.tensors);
    showClip(heardData([frame], WINDOW));
  }
  const { rows, mel } = featuresOf([frame], page.own.header.features, page.own.statistics);
  frame.pcm.forEach((value, k) => (page.data.sound[512 * live.frames.length + k] = value / 32768));
  live.frames.push(frame);
  live.rows.push({ mel: mel[0], ...live.network.step(rows[0]) });
}

// The utterance so far.
function drawGrowing() {
  const frames = live.rows;
  const alpha = attentionOf(frames);
  const { logits, p } = frames[frames.length - 1];
  page.result = page.base = {
    network: live.network,
    frames,
    alpha,
    logits,
    p,
    best: indexOfLargest(p),
    numbers: [...frames.keys()],
    mel: frames.map((frame) => frame.mel),
    ...saidByFrames(live.network, frames, alpha),
  };
  page.data.frames = live.frames;
  page.view.sensitivity = new Float64Array(frames.length);
  page.weight = page.gradients = null;
  page.index = frames.length - 1;
  page.timeline.drawWave();
  drawAll();
}

// A picture, and then as long a time for the sound as the picture took.
function drawInTurn(utterances) {
  const begin = performance.now();
  if (utterances.speaking) {
    drawGrowing();
  }
  const free = () => (live.drawing = false);
  setTimeout(() => setTimeout(free, Math.max(EVERY, performance.now() - begin)));
}

function endUtterance() {
  showClip(heardData(live.frames, live.frames.length));
}

function showLevel(frame, speaking) {
  const peak = largestSize(frame.pcm) / 32768;
  const level = Math.max(QUIETEST, 20 * Math.log10(peak || 1e-9));
  find("level").value = level - QUIETEST;
  find("level").setAttribute("aria-valuetext", `${level.toFixed(0)} dB`);
  find("heard").textContent = speaking ? "speech" : "silence";
}

async function listenLive() {
  let [ears, microphone] = [null, null];
  const utterances = new Utterances(hearFrame, endUtterance);
  const hear = (samples) => {
    for (const frame of ears.push(samples)) {
      utterances.push(frame);
      showLevel(frame, utterances.speaking);
    }
    if (utterances.speaking && !live.drawing) {
      live.drawing = true;
      requestAnimationFrame(() => drawInTurn(utterances));
    }
  };
  microphone = await openMicrophone((block) => ears && hear(toInt16(block)));
  live.stop = () => {
    microphone.close();
    utterances.end();
    ears = live.stop = null;
    showListening();
  };
  try {
    ears = await Ears.load(page.own.ears, microphone.rate);
  } catch (error) {
    live.stop();
    throw error;
  }
  showListening();
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
  find("listen").addEventListener("click", onListen);
}
