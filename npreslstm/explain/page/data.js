"use strict";
// What Python has put into this page: a header in JSON, and arrays, deflated, in base64.

const TYPES = { uint8: Uint8Array, int32: Int32Array, float32: Float32Array, float64: Float64Array };

async function inflate(text) {
  const packed = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// One array. Its first bytes come first, then its second ones: so they deflate better.
function readArray(bytes, { at, shape, type }) {
  const count = shape.reduce((size, side) => size * side, 1);
  const size = TYPES[type].BYTES_PER_ELEMENT;
  const ordered = new Uint8Array(count * size);
  for (let byte = 0; byte < size; byte++) {
    for (let k = 0; k < count; k++) {
      ordered[k * size + byte] = bytes[at + byte * count + k];
    }
  }
  return new TYPES[type](ordered.buffer);
}

// Samples of one byte each, mu-law, as numbers in [-1, 1].
function expand(bytes) {
  const levels = Float32Array.from({ length: 256 }, (_, byte) => {
    const y = (2 * byte) / 255 - 1;
    return (Math.sign(y) * (256 ** Math.abs(y) - 1)) / 255;
  });
  return Float32Array.from(bytes, (byte) => levels[byte]);
}

async function readData(headerText, packed) {
  const header = JSON.parse(headerText);
  const bytes = await inflate(packed);
  const array = (name) => readArray(bytes, header.arrays[name]);
  const melOf = (prefix) => rowsOf(array(`${prefix}log_mel`), header.features.n_mels);
  const chromaOf = (prefix) => rowsOf(array(`${prefix}chroma`), header.features.n_chroma);
  const chroma = chromaOf("");
  const tensors = {};
  for (const name of header.tensors) {
    tensors[name] = Float64Array.from(array(`tensor ${name}`));
  }
  const cuts = header.cuts.map((cut, k) => ({
    ...cut,
    changed: [
      { name: "mel", numbers: array(`cut ${k} log_mel changed`), rows: melOf(`cut ${k} `) },
      { name: "chroma", numbers: array(`cut ${k} chroma changed`), rows: chromaOf(`cut ${k} `) },
    ],
  }));
  return {
    header,
    tensors,
    cuts,
    frames: melOf("").map((mel, t) => ({ mel, chroma: chroma[t] })),
    statistics: { mean: array("mean"), std: array("std") },
    times: array("times"),
    sound: expand(array("sound")),
    ears: header.live && new Uint8Array(array("ears").buffer, 0, header.live.bytes),
    expected: { logits: array("logits"), attention: array("attention") },
  };
}
