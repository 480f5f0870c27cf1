// Called by bench_explain.py: processor time that a page's work takes, one job on stdin.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const job = JSON.parse(fs.readFileSync(0, "utf8"));
const { chromium } = createRequire(path.join(job.modules, "x"))("playwright-core");
const args = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking".split(
  " ",
);
const browser = await chromium.launch({ executablePath: job.chromium, headless: true, args });
const page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
await page.goto(pathToFileURL(job.page).href);
await page.waitForSelector("body[data-ready]");
const tools = await page.context().newCDPSession(page);
await tools.send("Performance.enable");
const used = async () => {
  const { metrics } = await tools.send("Performance.getMetrics");
  return 1000 * metrics.find((metric) => metric.name === "ThreadTime").value;
};
const times = {};
for (const [name, code] of Object.entries(job.work)) {
  const repeat = (rounds) =>
    page.evaluate(`(async () => {
      for (let n = 0; n < ${rounds}; n++) {
        ${code};
        await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn, 0)));
      }
    })()`);
  await repeat(3); // until the code is compiled
  const before = await used();
  await repeat(job.rounds);
  times[name] = ((await used()) - before) / job.rounds;
}
await browser.close();
process.stdout.write(JSON.stringify(times));
