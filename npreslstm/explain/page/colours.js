"use strict";
// Colours of numbers and of classes, in light and in dark. Blue and orange stay apart for all eyes.

const PALETTES = {
  light: { paper: [255, 255, 255], ink: [23, 63, 95], below: [21, 101, 192], above: [200, 80, 10] },
  dark: { paper: [22, 27, 34], ink: [190, 225, 250], below: [96, 175, 255], above: [255, 150, 70] },
};
const GLOW = [
  [4, 4, 20],
  [60, 15, 112],
  [140, 41, 129],
  [222, 73, 104],
  [254, 159, 109],
  [252, 253, 191],
];
// Hue of each class, and the lightness with which it can still be read on white.
const CLASS_COLOURS = [
  [220, 43],
  [175, 29],
  [42, 32],
  [210, 43],
  [4, 43],
  [275, 43],
  [95, 29],
  [325, 43],
  [25, 39],
  [150, 29],
  [245, 43],
  [60, 27],
];
const LIGHTNESS_ON_BLACK = 70; // with which each can be read
const CLASS_GREY = 0; // the class that is drawn without a hue

function isDark() {
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

function mix(a, b, share) {
  return a.map((value, k) => Math.round(value + share * (b[k] - value)));
}

// 256 colours as one number each, as an ImageData has them.
function table(colourAt) {
  return Uint32Array.from({ length: 256 }, (_, k) => {
    const [r, g, b] = colourAt(k / 255);
    return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  });
}

const soft = (size) => size ** 0.75; // small numbers show too

function colourTables() {
  const { paper, ink, below, above } = PALETTES[isDark() ? "dark" : "light"];
  return {
    gate: table((share) => mix(paper, ink, share)), // from 0 to 1
    signed: table((share) => {
      const value = 2 * share - 1;
      return mix(paper, value < 0 ? below : above, soft(Math.abs(value)));
    }), // from -1 to 1
    glow: table((share) => {
      const at = share * (GLOW.length - 1);
      const k = Math.min(GLOW.length - 2, Math.floor(at));
      return mix(GLOW[k], GLOW[k + 1], at - k);
    }),
  };
}

function classColour(c) {
  const [hue, onWhite] = CLASS_COLOURS[c % CLASS_COLOURS.length];
  const lightness = isDark() ? LIGHTNESS_ON_BLACK : onWhite;
  return `hsl(${hue} ${c === CLASS_GREY ? 8 : 68}% ${lightness}%)`;
}

// The colour of one number from -1 to 1, for lines and text.
function signedColour(value) {
  const { below, above } = PALETTES[isDark() ? "dark" : "light"];
  return `rgb(${(value < 0 ? below : above).join(" ")})`;
}
