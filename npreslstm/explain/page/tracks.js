"use strict";
// The tracks: everything over time, one under the other, on one axis in seconds.

const PICKED_GATES = "ifgo";
const SHOWN_DB = 80; // from the loudest band to the darkest colour

// Seconds from the first frame's left edge to the last one's right, the whole sound within.
function timeAxis(data) {
  const { times, header } = data;
  const half = header.hop / 2;
  return {
    from: Math.min(0, times[0] - half),
    to: Math.max(header.duration, times[times.length - 1] + half),
  };
}

// Draw columns of numbers, one pixel a number: `columns[j][row]`, at frame `numbers[j]` of `total`.
function paintHeat(canvas, columns, numbers, total, rows, colours, low, high) {
  if (canvas.width !== total || canvas.height !== rows.length) {
    canvas.width = total;
    canvas.height = rows.length;
  }
  const context = canvas.getContext("2d");
  const image = context.createImageData(total, rows.length);
  const pixels = new Uint32Array(image.data.buffer);
  const scale = 255 / (high - low || 1);
  columns.forEach((column, j) => {
    for (let y = 0; y < rows.length; y++) {
      const level = (column[rows[y]] - low) * scale + 0.5;
      pixels[y * total + numbers[j]] = colours[level < 0 ? 0 : level > 255 ? 255 : level | 0];
    }
  });
  context.putImageData(image, 0, 0);
}

// Bars from the bottom, one a frame: a path in a box of `total` by 1.
function barsPath(values, numbers, largest) {
  return numbers.map((n, j) => `M${n} 1V${(1 - values[j] / (largest || 1)).toFixed(4)}h1V1z`).join("");
}

function linePath(values, numbers) {
  return numbers.map((n, j) => `${j ? "L" : "M"}${n + 0.5} ${(1 - values[j]).toFixed(4)}`).join("");
}

function wavePath(samples, columns) {
  const size = samples.length / columns;
  const largest = largestSize(samples) || 1;
  let path = "";
  for (let x = 0; x < columns; x++) {
    const part = samples.subarray(Math.floor(x * size), Math.max(Math.floor((x + 1) * size), x * size + 1));
    let [low, high] = [0, 0];
    for (const value of part) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    path += `M${x + 0.5} ${(1 - high / largest).toFixed(3)}V${(1 - low / largest + 0.01).toFixed(3)}`;
  }
  return path;
}

// What a frame says for each class, against what it says for all of them, which softmax does not hear.
function lessTheirMean(said) {
  const mean = sumOf(said) / said.length;
  return said.map((value) => value - mean);
}

// One track: a name, a lane with a picture, and what its rows are.
class Track {
  constructor(spec, axis, frameSpan) {
    this.spec = spec;
    this.lane = make("div", { class: "lane", id: `lane-${spec.id}`, style: `--height:${spec.height}px` });
    this.lane.setAttribute("role", "img");
    this.lane.setAttribute("aria-label", spec.description);
    const [from, to] = spec.span === "sound" ? [0, axis.sound] : frameSpan;
    const width = axis.to - axis.from;
    const place = `left:${(100 * (from - axis.from)) / width}%;width:${(100 * (to - from)) / width}%`;
    this.picture = spec.heat
      ? make("canvas", { style: place })
      : makeSvg("svg", { style: place, preserveAspectRatio: "none" });
    this.picture.setAttribute("aria-hidden", "true"); // the lane has its name
    this.lane.append(this.picture);
    if (spec.id === "running") {
      this.lane.append(make("span", { class: "scale" }));
    }
    this.mark = spec.rows ? make("div", { class: "row-mark" }) : null;
    if (this.mark) {
      this.lane.append(this.mark);
    }
    const name = make("div", { class: "name" });
    name.innerHTML = spec.name;
    this.element = make("div", { class: "track" }, name, this.lane);
  }

  // Put the mark on a row of `count`, or nowhere.
  markRow(row, count) {
    this.mark.hidden = row === null;
    if (row !== null) {
      this.mark.style.top = `${(100 * row) / count}%`;
      this.mark.style.height = `${100 / count}%`;
    }
  }
}

// All tracks, and how they are drawn from what the page computed.
class Timeline {
  constructor(place, data, network) {
    this.data = data;
    this.total = data.times.length; // there may be fewer frames as yet
    this.axis = { ...timeAxis(data), sound: data.header.duration };
    const half = data.header.hop / 2;
    const span = [data.times[0] - half, data.times[this.total - 1] + half];
    this.tracks = trackSpecs(data, network).map((spec) => new Track(spec, this.axis, span));
    let group = place;
    for (const track of this.tracks) {
      if (track.spec.group) {
        group = make("details", { open: "", class: "group" });
        const heading = make("summary", {}, make("h3", {}, track.spec.group));
        heading.append(" ", make("span", { class: "dim" }, track.spec.groupNote ?? ""));
        group.append(heading);
        place.append(group);
      }
      group.append(track.element);
    }
    this.place = place;
    this.frameMark = make("div", { class: "frame-mark" });
    this.cursor = make("div", { class: "cursor" });
    place.append(make("div", { class: "marks" }, this.frameMark, this.cursor));
    this.frameMark.style.width = `${(100 * data.header.hop) / (this.axis.to - this.axis.from)}%`;
    this.drawAxis();
    this.drawWave();
  }

  get(id) {
    return this.tracks.find((track) => track.spec.id === id);
  }

  drawAxis() {
    const width = this.axis.to - this.axis.from;
    const step = [0.1, 0.2, 0.5, 1, 2, 5].find((size) => width / size <= 12);
    const lane = make("div", { class: "lane axis", "aria-hidden": "true" });
    for (let time = 0; time <= this.axis.to; time += step) {
      const left = (100 * (time - this.axis.from)) / width;
      lane.append(make("span", { style: `left:${left}%` }, `${+time.toFixed(1)} s`));
    }
    this.place.prepend(make("div", { class: "track" }, make("div", { class: "name" }), lane));
  }

  drawWave() {
    const { picture } = this.get("sound");
    picture.setAttribute("viewBox", "0 0 600 2");
    picture.replaceChildren(makeSvg("path", { d: wavePath(this.data.sound, 600), class: "wave" }));
  }

  // The frame number at a time, the nearest one.
  numberAt(time) {
    const number = Math.round((time - this.data.times[0]) / this.data.header.hop);
    return Math.max(0, Math.min(this.total - 1, number));
  }

  timeAtPointer(event, lane) {
    const box = lane.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return this.axis.from + share * (this.axis.to - this.axis.from);
  }

  // Everything that depends on the run; `view` are orders of units and the sensitivity.
  draw(result, view) {
    const colours = colourTables();
    const { frames, numbers } = result;
    for (const { spec, picture } of this.tracks) {
      if (!spec.heat) {
        continue;
      }
      const { columns, rows, table: name, low, high } = this.heatOf(spec, result, view);
      paintHeat(picture, columns, numbers, this.total, rows, colours[name], low, high);
    }
    this.drawBars("attention", result.alpha, numbers, "attention-bar");
    const even = 1 - 1 / frames.length / (largestOf(result.alpha) || 1);
    this.get("attention").picture.append(makeSvg("path", { d: `M0 ${even}H${this.total}`, class: "even" }));
    const graded = numbers.slice(0, view.sensitivity.length); // fewer while the clip grows
    this.drawBars("sensitivity", view.sensitivity, graded, "sensitivity-bar");
    this.drawRunning(result);
  }

  heatOf(spec, result, view) {
    const { frames } = result;
    const count = spec.rows.count;
    const plain = [...Array(count).keys()];
    const signed = (columns, rows) => {
      const size = columns.reduce((most, column) => Math.max(most, largestSize(column)), 0) || 1;
      return { columns, rows, table: "signed", low: -size, high: size };
    };
    if (spec.id === "mel") {
      const high = largestOf(result.mel.map(largestOf));
      const low = Math.max(high - SHOWN_DB, Math.min(...result.mel.map((row) => Math.min(...row))));
      return { columns: result.mel, rows: plain.reverse(), table: "glow", low, high };
    }
    if (spec.id === "features" || spec.id === "residual") {
      const columns = frames.map((frame) => (spec.id === "features" ? frame.x : frame.y));
      return { ...signed(columns, plain), low: -3, high: 3 };
    }
    if (spec.id === "said") {
      return signed(result.said.map(lessTheirMean), plain);
    }
    const columns = frames.map((frame) => frame.steps[spec.cell][spec.letter]);
    const rows = view.orders[spec.cell];
    const isGate = "ifo".includes(spec.letter);
    return isGate ? { columns, rows, table: "gate", low: 0, high: 1 } : signed(columns, rows);
  }

  drawBars(id, values, numbers, className) {
    const { picture } = this.get(id);
    picture.setAttribute("viewBox", `0 0 ${this.total} 1`);
    const path = barsPath(values, numbers, largestOf(values));
    picture.replaceChildren(makeSvg("path", { d: path, class: className }));
  }

  drawRunning({ frames, numbers, best }) {
    const { picture } = this.get("running");
    picture.setAttribute("viewBox", `0 -0.02 ${this.total} 1.04`);
    const most = frames.reduce((largest, frame) => Math.max(largest, ...frame.p), 0);
    const top = Math.ceil(10 * most) / 10; // the height of the picture
    this.get("running").lane.querySelector(".scale").textContent = top.toFixed(1);
    const lines = this.data.header.classes.map((_, c) => {
      const d = linePath(
        frames.map((frame) => frame.p[c] / top),
        numbers,
      );
      const style = `stroke:${classColour(c)}`;
      return makeSvg("path", { d, style, class: c === best ? "line best" : "line" });
    });
    picture.replaceChildren(...lines);
    const last = frames[frames.length - 1].p;
    const order = [...last.keys()].sort((a, b) => last[b] - last[a]).slice(0, 4);
    find("legend").innerHTML = order
      .map((c) => `<span style="color:${classColour(c)}">${escapeHtml(this.data.header.classes[c])}</span>`)
      .join(" ");
  }

  // What depends on the marked frame: the mark itself, and attention as of then.
  markFrame(result, index) {
    const { times, header } = this.data;
    const left = times[result.numbers[index]] - header.hop / 2 - this.axis.from;
    this.frameMark.style.left = `${(100 * left) / (this.axis.to - this.axis.from)}%`;
    const { picture } = this.get("attention");
    picture.querySelector(".so-far")?.remove();
    const soFar = attentionOf(result.frames.slice(0, index + 1));
    const largest = largestOf(result.alpha) || 1;
    const heights = Array.from(soFar, (value) => Math.min(1.02, value / largest));
    picture.append(
      makeSvg("path", { d: linePath(heights, result.numbers.slice(0, index + 1)), class: "so-far" }),
    );
  }

  // The line that runs with the sound; null takes it away.
  markTime(time) {
    this.cursor.hidden = time === null;
    const left = ((time ?? 0) - this.axis.from) / (this.axis.to - this.axis.from);
    this.cursor.style.transform = `translateX(${100 * left}%)`;
  }

  markUnit(cell, unit, view) {
    for (const track of this.tracks) {
      const { spec } = track;
      if (spec.cell !== undefined) {
        const rows = spec.letter === "y" ? [...Array(spec.rows.count).keys()] : view.orders[spec.cell];
        track.markRow(spec.cell === cell ? rows.indexOf(unit) : null, spec.rows.count);
      } else if (track.mark) {
        track.markRow(null);
      }
    }
  }
}
