// Run the engine of a page under Node: `node engine.mjs PAGE.html < QUERIES.json`, one answer a query.
import fs from "node:fs";

const html = fs.readFileSync(process.argv[2], "utf8");
const scriptOf = (id) =>
  html.split(`<script id="${id}"`)[1].split(">").slice(1).join(">").split("</script>")[0];
const SOURCES = ["engine.js", "backward.js", "features.js", "what_if.js", "units.js", "data.js"];
const NAMES = "readData runClip noChanges backward ofProbability weightGradient seriesOf chain unitsLike";
const engine = new Function(
  `${SOURCES.map(scriptOf).join("\n")}\nreturn { ${NAMES.split(" ").join(", ")} };`,
)();
const data = await engine.readData(scriptOf("header"), scriptOf("data"));

const flat = (rows) => rows.map((row) => Array.from(row));

function gradientOf(result, da, cell, part) {
  const { H, D } = result.network.cells[cell];
  const width = part === "W_ih" ? D : H;
  return Array.from({ length: 4 * H }, (_, row) =>
    Array.from({ length: width }, (_, column) =>
      engine
        .weightGradient(result.frames, da, cell, part, row, column)
        .reduce((sum, value) => sum + value, 0),
    ),
  );
}

// What else may be told of a run, by name.
const MORE = {
  x: ({ result }) => flat(result.frames.map((frame) => frame.x)),
  cells: ({ result, da }) =>
    result.network.cells.map((_, k) => ({
      ...Object.fromEntries(
        ["i", "f", "g", "o", "c", "h"].map((name) => [
          name,
          flat(result.frames.map((f) => f.steps[k][name])),
        ]),
      ),
      dW_hh: gradientOf(result, da, k, "W_hh"),
      dW_ih: gradientOf(result, da, k, "W_ih"),
    })),
  said: ({ result }) =>
    Array.from(result.constant, (value, c) => result.said.reduce((sum, s) => sum + s[c], value)),
  running: ({ result }) => result.frames.map((frame) => frame.p),
  h: ({ result }) => flat(result.frames.map((frame) => frame.steps[0].h)),
  chain: ({ result }) => engine.chain(engine.seriesOf(result.frames, 0)),
  like: ({ result }) => engine.unitsLike(engine.seriesOf(result.frames, 0), 3),
  sound: () => Array.from(data.sound),
};

function answer({ changes, tell = [] }) {
  const result = engine.runClip(data, { ...engine.noChanges(), ...changes });
  const { dx, da } = engine.backward(
    result.network,
    result.frames,
    engine.ofProbability(result.p, result.best),
  );
  const told = { logits: Array.from(result.logits), attention: Array.from(result.alpha), dx: flat(dx) };
  for (const name of tell) {
    told[name] = MORE[name]({ result, da });
  }
  return told;
}

const queries = JSON.parse(fs.readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(queries.map(answer)));
