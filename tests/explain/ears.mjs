// The ears of a page that listens, under Node: `node ears.mjs PAGE.html < JOB.json` prints what they tell.
// A job: {rate: file of 16-bit samples}.
import fs from "node:fs";

const html = fs.readFileSync(process.argv[2], "utf8");
const scriptOf = (id) =>
  html.split(`<script id="${id}"`)[1].split(">").slice(1).join(">").split("</script>")[0];
const SOURCES = ["engine.js", "features.js", "what_if.js", "data.js", "ears.js", "growing.js"];
const NAMES = "readData runClip noChanges chromaWeights Ears Utterances GrowingClip";
const page = new Function(
  `${SOURCES.map(scriptOf).join("\n")}\nreturn { ${NAMES.split(" ").join(", ")} };`,
)();
const own = await page.readData(scriptOf("header"), scriptOf("data"));
const CHANGES = { ...page.noChanges(), held: { 1: { f: 0 } }, gain: -6, removed: [4, 9] };

function weightsOf({ c }) {
  const table = (Type, at, length) => Array.from(new Type(c.memory.buffer, at, length));
  const bins = own.header.features.n_fft / 2 + 1;
  const count = table(Uint8Array, c.chroma_count(), bins);
  const total = count.reduce((sum, value) => sum + value, 0);
  return table(Float32Array, c.chroma_weights(), total);
}

// Events of a recording, and of the clips that grew how far they are from the same clips run at once.
async function listen(rate, file) {
  const ears = await page.Ears.load(own.ears, rate, own.header.features);
  const events = [];
  const clips = [];
  const voice = {
    begin(hop, frames) {
      const data = { ...own, frames: [...frames], cuts: [] };
      clips.push([page.noChanges(), CHANGES].map((changes) => new page.GrowingClip(data, changes)));
    },
    hear(frame) {
      const [clip, altered] = clips[clips.length - 1];
      clip.data.frames.push(frame);
      clip.catchUp();
      altered.catchUp();
    },
    get p() {
      return clips[clips.length - 1][0].p;
    },
  };
  const tell = ({ kind, hop, p }) => events.push({ kind, hop, p: p && Array.from(p) });
  const utterances = new page.Utterances(voice, tell);
  const bytes = fs.readFileSync(file);
  const samples = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  for (let at = 0; at < samples.length; at += 1024) {
    ears.push(samples.subarray(at, at + 1024)).forEach((frame) => utterances.push(frame));
  }
  ears.finish().forEach((decision) => utterances.decide(decision));
  utterances.end();
  const away = clips.flat().map((clip) => {
    const { logits } = page.runClip(clip.data, clip.changes);
    return Math.max(...logits.map((value, c) => Math.abs(value - clip.result.logits[c])));
  });
  return { events, lengths: clips.map(([clip]) => clip.taken), away: Math.max(...away) };
}

const report = {
  weights: weightsOf(await page.Ears.load(own.ears, 16000, own.header.features)),
  refused: await page.Ears.load(own.ears, 22050, own.header.features).catch((error) => error.message),
  rates: {},
};
for (const [rate, file] of Object.entries(JSON.parse(fs.readFileSync(0, "utf8")))) {
  report.rates[rate] = await listen(Number(rate), file);
}
process.stdout.write(JSON.stringify(report));
