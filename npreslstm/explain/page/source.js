"use strict";
// The engine's own text, as it runs in this page, with a line for each tag; and where Python computes the
// same.

const SHOWN_SOURCES = ["engine.js", "backward.js"];
const TAG_PATTERN = /\(([A-Z]\d'?)\)/g;
let places = {}; // {tag: {file, line, function, code}} of the Python package

function tagLink(tag) {
  const place = places[tag];
  const where = place ? `${place.file}, line ${place.line}` : "this page's engine";
  const name = `(${tag}): the line of code`;
  const attributes = `href="#${tagId(tag)}" data-tag="${tag}" title="${where}" aria-label="${name}"`;
  return `<a class="tag" ${attributes}>${tag}</a>`;
}

function tagId(tag) {
  return `tag-${tag.replace("'", "-back")}`;
}

function sourceLine(line, seen) {
  const comment = line.indexOf("// ");
  const tags = comment < 0 ? [] : [...line.slice(comment).matchAll(TAG_PATTERN)].map((match) => match[1]);
  const text = escapeHtml(line).replace(/\/\/ .*$/, (part) => `<span class="comment">${part}</span>`);
  const fresh = tags.filter((tag) => !seen.has(tag));
  fresh.forEach((tag) => seen.add(tag));
  const ids = fresh.map((tag) => `<span id="${tagId(tag)}"></span>`).join("");
  return `<span class="code-line" data-tags=" ${tags.join(" ")} ">${ids}${text}\n</span>`;
}

function showSources(element) {
  const seen = new Set();
  element.innerHTML = SHOWN_SOURCES.map((id) => {
    const lines = find(id).textContent.trim().split("\n");
    const body = lines.map((line) => sourceLine(line, seen)).join("");
    return `<h3>${id}</h3><pre tabindex="0">${body}</pre>`;
  }).join("");
}

// Open the engine at the lines of a tag, and name the Python line. The button Back leads to `link` again.
function showTag(tag, link) {
  find("source").open = true;
  document.querySelectorAll(".code-line.lit").forEach((line) => line.classList.remove("lit"));
  const lines = [...document.querySelectorAll(`.code-line[data-tags*=" ${CSS.escape(tag)} "]`)];
  lines.forEach((line) => line.classList.add("lit"));
  const place = places[tag];
  find("python-line").innerHTML = place
    ? `<b>(${escapeHtml(tag)})</b> in Python: <code>${escapeHtml(place.file)}</code>, line ${place.line}, in
       <code>${escapeHtml(place.function)}</code>: <code>${escapeHtml(place.code)}</code>`
    : `<b>(${escapeHtml(tag)})</b>`;
  const target = find(tagId(tag)) ?? find("source");
  target.scrollIntoView({ block: "center" });
  find("python-line").focus({ preventScroll: true });
  find("source-back").hidden = false;
  find("source-back").onclick = () => {
    const back = link.isConnected ? link : find("timeline"); // its frame may be gone
    back.focus({ preventScroll: true });
    back.scrollIntoView({ block: "center" });
  };
}
