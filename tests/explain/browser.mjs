// Open a page in headless Chromium and do what a reader does: `node browser.mjs JOB.json` prints a report.
// A job: {modules, chromium, page, tampered, units: [{cell, unit, index}]}.
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const job = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const { chromium } = createRequire(path.join(job.modules, "x"))("playwright-core");
const FLAGS =
  "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking " +
  "--disable-component-update --disable-sync";
const browser = await chromium.launch({
  executablePath: job.chromium,
  headless: true,
  args: FLAGS.split(" "),
});
const server = http.createServer((request, response) => {
  const found = request.url === "/page.html";
  response.writeHead(found ? 200 : 404, { "content-type": "text/html; charset=utf-8" });
  response.end(found ? fs.readFileSync(job.page) : "");
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));

// A page that has shown itself, and what it asked for and complained of.
async function open(url, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 }, ...options });
  const heard = { requests: [], errors: [] };
  page.on("request", (request) => heard.requests.push(request.url()));
  page.on("pageerror", (error) => heard.errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && heard.errors.push(message.text()));
  await page.goto(url);
  await page.waitForSelector("body[data-ready]", { timeout: 60000 });
  return { page, heard };
}

const texts = (page, selector) =>
  page.$$eval(selector, (found) => found.map((element) => element.textContent.trim()));
const state = (page) =>
  page.evaluate("({ cell: page.cell, unit: page.unit, index: page.index, gate: page.gate })");

// Click the middle of a frame and a row of a lane, by the geometry that a reader sees.
async function clickLane(page, lane, index, row, rows) {
  const picture = page.locator(`#${lane} canvas, #${lane} svg`).first();
  await page.locator(`#${lane}`).scrollIntoViewIfNeeded();
  await page.evaluate(`find("${lane}").scrollIntoView({ block: "center", behavior: "instant" })`);
  const box = await picture.boundingBox();
  const total = await page.evaluate("page.data.frames.length");
  const y = box.y + ((row + 0.5) / rows) * box.height;
  await page.mouse.click(box.x + ((index + 0.5) / total) * box.width, y);
}

async function readerOf({ page, heard }) {
  const report = {};
  report.selfCheck = await page.textContent("#self-check");
  report.title = await page.title();
  const top = await page.evaluate("page.network.cells.length - 1");
  const H = await page.evaluate("page.network.cells[page.network.cells.length - 1].H");
  await clickLane(page, `lane-f-${top}`, 20, 17, H);
  report.clicked = await state(page);
  report.clickedTitle = await page.textContent("#frame-title");
  report.units = [];
  for (const { cell, unit, index } of job.units) {
    await page.evaluate(`page.index = ${index}; pickUnit(${cell}, ${unit})`);
    report.units.push({
      equations: await texts(page, "#equations .formula"),
      cell: await texts(page, "#cell .number"),
    });
  }
  await page.evaluate(`page.index = 20; pickUnit(${top}, 17)`);
  await page.selectOption("#gate", "f");
  await page.locator("#terms button.weight").nth(2).focus();
  await page.keyboard.press("Enter");
  report.focusAfterWeight = await page.evaluate("document.activeElement.closest('tr')?.className");
  report.weight = await page.evaluate("({ ...page.weight, row: pickedRow(), entry: weightEntry() })");
  report.gradient = await texts(page, "#gradient-equations .formula");
  report.terms = await texts(page, "#terms td, #terms th");
  await page.fill("#edit", "1.25");
  await page.click("#edit-apply");
  report.edited = await page.evaluate("Array.from(page.result.logits)");
  report.editedWords = await page.textContent("#changed-words");
  await page.click("#reset");
  report.changes = {};
  for (const [select, option] of [
    ["#forget", `${top} f0`],
    ["#residual-way", "noShortcut"],
    ["#attention-way", "even"],
    ["#ends", "1"],
  ]) {
    await page.selectOption(select, option);
    report.changes[select] = await page.evaluate("Array.from(page.result.logits)");
    report.verdict = await page.textContent("#verdict");
    await page.click("#reset");
  }
  await page.focus("#timeline");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  report.keys = await state(page);
  report.announced = await page.textContent("#announcement");
  await page.locator("#equations a.tag").nth(8).click();
  report.lit = await texts(page, ".code-line.lit");
  report.pythonLine = await page.textContent("#python-line");
  await page.click("#source-back");
  report.focusAfterTag = await page.evaluate("document.activeElement.dataset.tag");
  await page.click("#tour-start");
  report.tour = [];
  for (let k = 0; k < 8; k++) {
    report.tour.push(await page.textContent("#tour-text"));
    await page.click("#tour-next");
  }
  report.tourEnded = await page.isHidden("#tour");
  report.focusAfterTour = await page.evaluate("document.activeElement.id");
  await page.locator("#alike button").nth(1).focus();
  await page.keyboard.press("Enter");
  report.focusAfterAlike = await page.evaluate("document.activeElement.dataset.unit");
  await page.click("#reset").catch(() => {});
  for (const summary of await page.$$("#exercise-list summary")) {
    await summary.click();
  }
  await page.waitForFunction(
    "[...document.querySelectorAll('#exercise-list details p')].every((p) => p.textContent)",
  );
  report.answers = await texts(page, "#exercise-list details p");
  report.nameless = await page.$$eval("button, select, input, [role=button], [role=img]", (found) =>
    found
      .filter(
        (e) => !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.[0]?.textContent.trim()),
      )
      .map((e) => e.outerHTML.slice(0, 80)),
  );
  await page.click("#play");
  await page.waitForFunction("page.player.audio.currentTime > 0.2", undefined, { timeout: 20000 });
  report.playing = await page.textContent("#play");
  await page.click("#play");
  report.duration = await page.evaluate("page.player.audio.duration");
  return { ...report, ...heard };
}

// How far the text stands out from what is behind it, by WCAG's contrast, and whether it fits the window.
async function looks(options) {
  const { page, heard } = await open(pathToFileURL(job.page).href, options);
  await page.evaluate("document.querySelectorAll('details').forEach((e) => (e.open = true))");
  const contrast = await page.evaluate(() => {
    const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
    const light = (colour) => {
      const [r, g, b] = parse(colour).map((v) =>
        v / 255 <= 0.03928 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4,
      );
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
      for (let e = element; e; e = e.parentElement) {
        const colour = getComputedStyle(e).backgroundColor;
        if (!colour.endsWith(", 0)")) {
          return colour;
        }
      }
      return "rgb(255, 255, 255)";
    };
    const ownText = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const seen = [...document.querySelectorAll("body *:not(script, option)")].filter(ownText);
    return seen
      .filter((e) => e.getClientRects().length && !e.disabled && !e.closest("[aria-hidden=true]"))
      .map((e) => {
        const { color, fill } = getComputedStyle(e);
        const own = e.closest("svg") ? fill : color;
        const [a, b] = [light(own), light(behind(e))].sort((p, q) => q - p);
        return { what: e.outerHTML.slice(0, 60), ratio: (a + 0.05) / (b + 0.05) };
      });
  });
  const worst = contrast.sort((a, b) => a.ratio - b.ratio)[0];
  const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
  // Where frames are narrower than the mark is at least, how far it is from its frame.
  const markAway = await page.evaluate(() => {
    find("timeline").style.width = "180px";
    pickFrame(60);
    const lane = page.timeline.get("attention").picture.getBoundingClientRect();
    const mark = page.timeline.frameMark.getBoundingClientRect();
    const hop = lane.width / page.timeline.total;
    return { hop, away: Math.abs(mark.left - (lane.left + 60 * hop)) };
  });
  await page.close();
  return { worst, overflow, markAway, ...heard };
}

const report = { port: server.address().port };
report.file = await readerOf(await open(pathToFileURL(job.page).href));
report.localhost = (await open(`http://localhost:${server.address().port}/page.html`)).heard;
report.light = await looks({ colorScheme: "light" });
report.dark = await looks({ colorScheme: "dark" });
report.phone = await looks({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
const { page: bad } = await open(pathToFileURL(job.tampered).href);
report.tampered = { visible: await bad.isVisible("#error"), text: await bad.textContent("#error") };
await browser.close();
server.close();
process.stdout.write(JSON.stringify(report));
