"use strict";
// What would come out if something were otherwise.

// Nothing is otherwise. `held` is by layer: {1: {f: 0}}, {0: {silent: 17}}; `edit` is {name, index, value};
// `removed` are frames; `cut` is a number in the list of the clip's cuts, -1 for none.
function noChanges() {
  return {
    held: {},
    noShortcut: false,
    noFirst: false,
    evenAttention: false,
    removed: [],
    edit: null,
    gain: 0,
    cut: -1,
  };
}

function isChanged(changes) {
  return JSON.stringify(changes) !== JSON.stringify(noChanges());
}

// The tensors, with the edited one a copy.
function editedTensors(tensors, edit) {
  if (!edit) {
    return tensors;
  }
  const edited = tensors[edit.name].slice();
  edited[edit.index] = edit.value;
  return { ...tensors, [edit.name]: edited };
}

// Run a clip with its changes. `numbers` are the frame numbers of the whole clip that are left.
function runClip(data, changes) {
  const { header } = data;
  const cut = data.cuts[changes.cut];
  const all = cut ? cutFrames(data.frames, cut) : data.frames;
  const offset = cut ? cut.first : 0;
  const features = featuresOf(all, header.features, data.statistics, changes.gain);
  const numbers = all.map((_, t) => t + offset).filter((t) => !changes.removed.includes(t));
  const rows = numbers.map((t) => features.rows[t - offset]);
  const network = changedNetwork(data, changes);
  const mel = numbers.map((t) => features.mel[t - offset]);
  return resultOf(network, network.run(rows), numbers, mel);
}

function changedNetwork({ header, tensors }, changes) {
  return new Network(header.model, editedTensors(tensors, changes.edit), changes);
}

// What is shown of the frames that a network has been given.
function resultOf(network, frames, numbers, mel) {
  const alpha = attentionOf(frames);
  const { logits, p } = frames[frames.length - 1];
  const best = p.indexOf(Math.max(...p));
  return { network, frames, numbers, alpha, mel, logits, p, best, ...saidByFrames(network, frames, alpha) };
}
