"use strict";
// The tour for a class, and the exercises: words about this clip, with its own numbers.

// Frames with the largest values, as many as hold half of their sum.
function halfHeldBy(values) {
  const order = [...values.keys()].sort((a, b) => values[b] - values[a]);
  const half = sumOf(values) / 2;
  let [sum, count] = [0, 0];
  while (sum < half) {
    sum += values[order[count]];
    count += 1;
  }
  return count;
}

// The middle of a distribution over frames, in seconds of the clip.
function centreOf(values, numbers, times) {
  return sumOf(numbers.map((n, j) => values[j] * times[n])) / sumOf(values);
}

// Eight steps. Each says what to look at, and what to put the page to before.
function tourSteps(page) {
  const { base, data, network } = page;
  const { header } = data;
  const classes = header.classes;
  const top = network.cells.length - 1;
  const label = classes[base.best];
  const peak = indexOfLargest(base.alpha);
  const peakTime = seconds(data.times[base.numbers[peak]]);
  const attended = centreOf(base.alpha, base.numbers, data.times);
  const heard = centreOf(page.baseSensitivity, base.numbers, data.times);
  const unit = page.mostTelling();
  const step = base.frames[peak].steps[top];
  const probability = (result) => `${classes[result.best]} (${percent(result.p[result.best])})`;
  const forgetful = runClip(data, { ...noChanges(), held: { [top]: { f: 0 } } });
  const even = runClip(data, { ...noChanges(), evenAttention: true });
  const kept = step.f[unit];
  const halfLife = kept > 0 && kept < 1 ? Math.log(0.5) / Math.log(kept) : Infinity;
  const title = cellTitle(network, top);
  return [
    {
      look: "lane-sound",
      title: "A sound comes in",
      text: `This is <b>${escapeHtml(header.name)}</b>, ${seconds(header.duration)} long. Press play and
        follow the line. The network does not hear samples: it gets ${data.frames.length} frames, one every
        ${Math.round(1000 * header.hop)} ms.`,
    },
    {
      look: "lane-features",
      title: `Each frame is ${header.columns.length} numbers`,
      text: `Loudness in ${header.features.n_mels} bands (log-mel) is turned into ${header.features.n_mfcc}
        MFCC, the shape of the spectrum, and ${header.features.n_chroma} chroma, its pitches. Orange is more
        than usual, blue is less: the numbers are z-scores.`,
    },
    {
      look: `lane-f-${top}`,
      title: "A cell remembers",
      unit,
      index: peak,
      text: `Each row is one of the ${network.cells[top].H} units of ${title}. Unit ${unit} is marked. Its
        forget gate f is ${fmt(kept, 2)} here: that is how much of its memory it keeps from frame to frame${
          Number.isFinite(halfLife) ? `, so half of it is left after ${halfLife.toFixed(1)} frames` : ""
        }.`,
    },
    {
      look: "cell-card",
      title: "One unit, one frame",
      unit,
      index: peak,
      text: `The drawing is that unit in frame ${peak}. Follow the top wire: the cell before, times f, plus
        i times g, is the cell now. Below, the same as equations with their numbers; click a tag such as L3
        to see the line of code that computes it.`,
    },
    {
      look: "lane-attention",
      title: "Attention reads the answer out",
      index: peak,
      text: `Attention weighs the frames. Half of it lies on ${halfHeldBy(base.alpha)} of
        ${base.frames.length} frames; the most, ${percent(base.alpha[peak], 1)}, on the one at ${peakTime}.`,
    },
    {
      look: "lane-sensitivity",
      title: "But where was it heard?",
      text: `|dp/dx| says how much p(${escapeHtml(label)}) would move if a frame's features did. On average
        attention lies at ${seconds(attended)}, |dp/dx| at ${seconds(heard)}: ${
          heard < attended
            ? "the answer is read out later than it was heard, since the cells carried it there."
            : "here the answer is read out where it was heard."
        }`,
    },
    {
      look: "lane-said",
      title: "What the frames say adds up",
      text: `Each frame votes for and against each class. The sum of a row, and a constant, is that class's
        logit, exactly; softmax makes probabilities of the logits: ${escapeHtml(probability(base))}. With
        even attention it would be ${escapeHtml(probability(even))}.`,
    },
    {
      look: "what-if",
      title: "Take its memory away",
      changes: { ...noChanges(), held: { [top]: { f: 0 } } },
      text: `Now f = 0 in ${title}: its cells keep nothing, and of the past there is only h of the frame
        before. The answer was ${escapeHtml(probability(base))}, and is
        ${escapeHtml(probability(forgetful))}. Everything on the page has been computed anew. Undo it, and
        try the rest.`,
    },
  ];
}

// Five questions; the answers are computed when they are asked for.
function exercises(page) {
  const { data, base, network } = page;
  const classes = data.header.classes;
  const top = network.cells.length - 1;
  const label = classes[base.best];
  const run = (changes) => runClip(data, { ...noChanges(), ...changes });
  const said = (result) => `${classes[result.best]} ${percent(result.p[result.best], 1)}`;
  return [
    {
      question: `Remove the frame that attention likes best. Does the answer change, and who gets its share?`,
      answer: () => {
        const peak = indexOfLargest(base.alpha);
        const without = run({ removed: [base.numbers[peak]] });
        return `Frame ${base.numbers[peak]} had ${percent(base.alpha[peak], 1)} of the attention. Without it:
          ${said(without)}, before: ${said(base)}. (A2) divides by the sum of all, so the others take its
          share in the proportions that they have; and the frames after it hear a state that has never seen
          it.`;
      },
    },
    {
      question: `Add up what the frames say for ${label}. Which number is missing to the logit, and why is
        it the same for every clip?`,
      answer: () => {
        const sum = sumOf(base.said.map((row) => row[base.best]));
        return `The frames say ${fmt(sum)}; the logit is ${fmt(base.logits[base.best])}. Missing is
          ${fmt(base.constant[base.best])}: the logit of a context of zeros, that is what batch norm's shift
          and the bias come to (R4). No frame enters into it.`;
      },
    },
    {
      question: `Set f = 0 in ${cellTitle(network, top)}, then f = 1. What is lost, and what goes wrong with
        a memory that forgets nothing?`,
      answer: () => {
        const [none, all] = [run({ held: { [top]: { f: 0 } } }), run({ held: { [top]: { f: 1 } } })];
        const cells = (result) =>
          largestSize(result.frames[result.frames.length - 1].steps[top].c).toFixed(1);
        return `f = 0: ${said(none)}; c is i g, and only what h of the frame before says is left of the
          past. f = 1: ${said(all)}; the cell is a sum of all frames, up to ${cells(all)} at the end instead
          of ${cells(base)}, where tanh is flat.`;
      },
    },
    {
      question: `Make the clip 12 dB quieter. Which features move, and which do not? Why?`,
      answer: () => {
        const quiet = run({ gain: -12 });
        const moved = (k) =>
          largestOf(quiet.frames.map((frame, t) => Math.abs(frame.x[k] - base.frames[t].x[k])));
        const n = data.header.features.n_mfcc;
        const chroma = largestOf(data.header.columns.map((_, k) => (k < n ? 0 : moved(k))));
        return `mfcc_0, the loudness, moves wherever there is sound, by up to ${fmt(moved(0), 2)} standard
          deviations. The other MFCC are shapes: they move only in frames where bands reach the floor of
          ${Math.round(data.header.features.floor)} dB, mfcc_1 by up to ${fmt(moved(1), 2)}. Chroma is
          divided by its largest pitch: it moves by ${fmt(chroma, 2)}. The answer: ${said(quiet)}.`;
      },
    },
    {
      question: `Look for frames that have much |dp/dx| and little attention. How can the answer depend on a
        frame that it is not read from?`,
      answer: () => {
        const share = page.baseSensitivity.map(
          (value, t) => value / largestOf(page.baseSensitivity) - base.alpha[t] / largestOf(base.alpha),
        );
        const t = indexOfLargest(share);
        return `The clearest is frame ${base.numbers[t]}, at ${seconds(data.times[base.numbers[t]])}, with
          ${percent(base.alpha[t], 1)} of the attention. Its features went into the cells, and f kept them
          until the frames that attention reads: a gradient comes back along (L3'), times f in each frame.`;
      },
    },
  ];
}
