// A page that listens, in headless Chromium whose microphone plays a file: `node live.mjs JOB.json` prints a
// report.
// A job: {modules, chromium, page, clips: {rate: WAV}}.
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const job = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const { chromium } = createRequire(path.join(job.modules, "x"))("playwright-core");
const FLAGS =
  "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking " +
  "--disable-component-update --disable-sync --use-fake-device-for-media-stream";
const launch = (more) =>
  chromium.launch({ executablePath: job.chromium, headless: true, args: [...FLAGS.split(" "), ...more] });
const ALLOWED = "--use-fake-ui-for-media-stream";

async function open(browser, url, script) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
  const heard = { requests: [], errors: [] };
  page.on("request", (request) => heard.requests.push(request.url()));
  page.on("pageerror", (error) => heard.errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && heard.errors.push(message.text()));
  if (script) {
    await page.addInitScript(script);
  }
  await page.goto(url);
  await page.waitForSelector("body[data-ready]", { timeout: 120000 });
  return { page, heard };
}

// As if the system's sound ran at another rate; and keep all that the ears are given.
const atRate = (rate) => `
  const Plain = AudioContext;
  globalThis.AudioContext = class extends Plain {
    constructor() { super({ sampleRate: ${rate} }); }
  };`;
// While the utterance grows, its twelfth frame makes a change and picks a weight; the twentieth holds the
// page there, and lets it go on.
const KEEP = `
  globalThis.kept = { raw: [], pcm: [], growing: 0, clips: [], level: 0, events: [], whileItGrows: null };
  const push = Ears.prototype.push;
  Ears.prototype.push = function (samples) {
    const frames = push.call(this, samples);
    kept.raw.push(...samples);
    frames.forEach((frame) => kept.pcm.push(...frame.pcm));
    return frames;
  };
  const { hear } = voice;
  voice.hear = (frame) => {
    hear(frame);
    kept.begun ??= Math.round(live.clip.data.header.start / live.clip.data.header.hop);
    if (kept.taken === 310) { // a new window
      kept.turned = { index: page.index, total: page.base.frames.length };
    }
    kept.taken = live.clip.taken;
    if (live.clip.taken === 12) {
      find("forget").value = "1 f0";
      find("forget").dispatchEvent(new Event("change"));
      pickWeight("W_hh", 3);
      kept.whileItGrows = {
        grows: page.data.grows,
        graded: page.view.sensitivity.length,
        words: find("sensitivity-of").textContent,
        gradient: find("gradient-words").textContent,
        verdict: find("verdict").textContent,
      };
    }
    if (live.clip.taken === 20) {
      find("follow").click();
      kept.held = { grows: page.data.grows, total: page.data.times.length, altered: isChanged(page.changes) };
      find("follow").click();
      kept.followedAgain = { grows: page.data.grows, altered: isChanged(page.changes) };
    }
  };
  const draw = drawGrowing;
  globalThis.drawGrowing = (due) => { draw(due); kept.growing += 1; };
  const show = showLevel;
  globalThis.showLevel = (...told) => {
    show(...told);
    kept.level = Math.max(kept.level, find("level").value);
  };
  const on = onEvent;
  globalThis.onEvent = (event) => {
    on(event);
    kept.events.push({ kind: event.kind, hop: event.hop, p: event.p && [...event.p] });
    if (event.kind === "end") {
      const { logits, p, alpha } = page.base;
      const altered = [...page.result.logits];
      const { header, sound } = page.data;
      const first = HOP * Math.round(header.start / header.hop);
      const played = sound.every((value, k) => value === kept.pcm[first + k] / 32768);
      const heard = { start: header.start, played, title: document.title };
      kept.clips.push({ logits: [...logits], p: [...p], alpha: [...alpha], altered, ...heard });
    }
  };`;

async function listenAt(rate) {
  const browser = await launch([ALLOWED, `--use-file-for-fake-audio-capture=${job.clips[rate]}%noloop`]);
  const { page, heard } = await open(browser, pathToFileURL(job.page).href, atRate(rate));
  await page.evaluate(KEEP);
  await page.click("#listen");
  await page.waitForFunction(() => kept.clips.length > 0, undefined, { timeout: 120000 });
  const report = { button: await page.textContent("#listen"), metered: await page.isVisible("#level") };
  await page.click("#listen");
  await page.waitForFunction(() => live.stop === null);
  report.stopped = await page.textContent("#listen");
  const text = await page.evaluate("JSON.stringify(kept)"); // long: as one string
  Object.assign(report, JSON.parse(text), heard);
  report.clicked = await page.evaluate("pickFrame(3); find('frame-title').textContent");
  report.list = await page.$$eval("#utterance-list button", (found) => found.map((e) => e.textContent));
  await page.evaluate("page.controls.set(noChanges())");
  await page.click("#utterance-list li:last-child button");
  report.shown = await page.evaluate(
    `({ logits: [...page.result.logits], follows: find("follow").checked,
        subtitle: find("subtitle").textContent,
        pressed: document.querySelector("#utterance-list [aria-pressed=true]")?.textContent })`,
  );
  await browser.close();
  return report;
}

// What the page says when there is no microphone for it.
async function refused(args, url, script) {
  const browser = await launch(args);
  const { page, heard } = await open(browser, url, script);
  await page.click("#listen");
  await page.waitForSelector("#error:not([hidden])", { timeout: 60000 });
  const [text, button] = [await page.textContent("#error"), await page.textContent("#listen")];
  const report = { text, button, ...heard };
  await browser.close();
  return report;
}

const server = http.createServer((request, response) => {
  response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
  response.end(fs.readFileSync(job.page));
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const file = pathToFileURL(job.page).href;
const report = { rates: {} };
for (const rate of Object.keys(job.clips)) {
  report.rates[rate] = await listenAt(rate);
}
// a name that is not localhost, as of another machine
report.http = await refused(
  [ALLOWED, "--host-resolver-rules=MAP other.test 127.0.0.1"],
  `http://other.test:${server.address().port}/`,
);
report.denied = await refused(["--deny-permission-prompts"], file);
report.noWorklet = await refused([ALLOWED], file, "delete globalThis.AudioWorkletNode;");
report.noGesture = await refused(
  [ALLOWED],
  file,
  `AudioContext.prototype.resume = () => new Promise(() => {});
   Object.defineProperty(AudioContext.prototype, "state", { get: () => "suspended" });`,
);
report.noDevice = await refused(
  [ALLOWED],
  file,
  `navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NotFoundError"));`,
);
report.unplugged = await refused(
  [ALLOWED],
  file,
  `const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
   navigator.mediaDevices.getUserMedia = async (wishes) => {
     const stream = await ask(wishes);
     setTimeout(() => stream.getTracks()[0].dispatchEvent(new Event("ended")), 1000);
     return stream;
   };`,
);
server.close();
process.stdout.write(JSON.stringify(report));
