"use strict";
// Numbers and words as the page shows them.

const MINUS = "\u2212";
const DIGITS = 4;

// A number with four decimals, and a minus sign that is as wide as a plus.
function fmt(value, digits = DIGITS) {
  const rounded = value.toFixed(digits);
  const zero = Number(rounded) === 0;
  return (zero ? rounded.replace("-", "") : rounded).replace("-", MINUS);
}

// A number that may be tiny: with decimals if they show it, else as 1.2e−6.
function fmtSmall(value, digits = DIGITS) {
  if (value === 0 || Math.abs(value) >= 10 ** (1 - digits)) {
    return fmt(value, digits);
  }
  return value.toExponential(1).replaceAll("-", MINUS);
}

// A term of a sum: " + 0.1" or " − 0.1".
function term(value, digits = DIGITS) {
  const text = fmt(value, digits);
  return text.startsWith(MINUS) ? ` ${MINUS} ${text.slice(1)}` : ` + ${text}`;
}

// A factor of a product, in brackets where it is negative.
function factor(value, digits = DIGITS) {
  const text = fmt(value, digits);
  return text.startsWith(MINUS) ? `(${text})` : text;
}

function percent(share, digits = 0) {
  return `${(100 * share).toFixed(digits)} %`;
}

function seconds(time, digits = 2) {
  return `${time.toFixed(digits)} s`;
}

function indexOfLargest(values) {
  let best = 0;
  for (let k = 1; k < values.length; k++) {
    best = values[k] > values[best] ? k : best;
  }
  return best;
}

function largestOf(values) {
  return values[indexOfLargest(values)];
}

function largestSize(values) {
  let most = 0;
  for (let k = 0; k < values.length; k++) {
    most = Math.max(most, Math.abs(values[k]));
  }
  return most;
}

function sumOf(values) {
  let sum = 0;
  for (let k = 0; k < values.length; k++) {
    sum += values[k];
  }
  return sum;
}

// ---- pieces of the page

function find(id) {
  return document.getElementById(id);
}

function escapeHtml(text) {
  const marks = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return String(text).replace(/[&<>"]/g, (mark) => marks[mark]);
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
