// Called by tools/make_explain_pictures.py: screenshots of pages, one job on stdin.
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

for (const { name, page: file = "clip", width, height, scheme, before, steps } of job.pictures) {
  const page = await browser.newPage({
    viewport: { width, height },
    colorScheme: scheme,
    reducedMotion: "reduce",
  });
  await page.goto(pathToFileURL(path.join(job.folder, `${file}.html`)).href);
  await page.waitForSelector("body[data-ready]");
  await page.evaluate(before);
  for (const [k, step] of (steps ?? [""]).entries()) {
    await page.evaluate(step);
    await page.evaluate("new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn, 50)))");
    await page.screenshot({ path: path.join(job.folder, `${name}-${k}.png`) });
  }
  await page.close();
}
await browser.close();
