"use strict";
// The controls of "what if": they write `page.changes`, and are written from it.

const WAYS = [
  ["", "as learned"],
  ["f0", "f = 0: forget everything"],
  ["f1", "f = 1: forget nothing"],
];

// The controls of a page; `apply` runs the clip anew.
class Changes {
  constructor(page, apply) {
    this.page = page;
    this.apply = apply;
    for (const id of ["forget", "residual-way", "attention-way", "ends"]) {
      find(id).addEventListener("change", () => this.read());
    }
    find("gain").addEventListener("input", () => this.read());
    find("silence").addEventListener("change", () => this.silence());
    find("remove").addEventListener("click", () => this.remove());
    find("reset").addEventListener("click", () => this.set(noChanges()));
  }

  // The choices that there are for the clip that is shown.
  fill() {
    const { network, data } = this.page;
    const options = (select, entries) =>
      find(select).replaceChildren(...entries.map(([value, text]) => make("option", { value }, text)));
    const ways = network.cells.flatMap((_, k) =>
      WAYS.slice(1).map(([way, text]) => [`${k} ${way}`, `${cellTitle(network, k)}, ${text}`]),
    );
    options("forget", [WAYS[0], ...ways]);
    options("residual-way", [
      ["", "as learned"],
      ["noShortcut", "no residual: y = h"],
      ["noFirst", "no LSTM 1: y = x"],
    ]);
    find("residual-field").hidden = !network.residual;
    options("attention-way", [
      ["", "as learned"],
      ["even", "even: all frames alike"],
    ]);
    options("ends", [["-1", "as recorded"], ...data.cuts.map((cut, k) => [String(k), cut.name])]);
  }

  // Put the changes of `changes` into force, and the controls where they belong.
  set(changes) {
    this.page.changes = changes;
    this.write();
    this.apply();
  }

  read() {
    const { changes } = this.page;
    const [cell, way] = find("forget").value.split(" ");
    const held = {};
    for (const [k, value] of Object.entries(changes.held)) {
      if (value.silent !== undefined) {
        held[k] = { silent: value.silent };
      }
    }
    if (way) {
      held[cell] = { ...held[cell], f: Number(way[1]) };
    }
    const residual = find("residual-way").value;
    this.set({
      ...changes,
      held,
      noShortcut: residual === "noShortcut",
      noFirst: residual === "noFirst",
      evenAttention: find("attention-way").value === "even",
      gain: Number(find("gain").value),
      cut: Number(find("ends").value),
    });
  }

  silence() {
    const { changes, cell, unit } = this.page;
    const held = { ...changes.held };
    const { silent, ...rest } = held[cell] ?? {};
    held[cell] = silent === unit ? rest : { ...rest, silent: unit };
    if (Object.keys(held[cell]).length === 0) {
      delete held[cell];
    }
    this.set({ ...changes, held });
  }

  // Take the marked frame away; one frame is always left.
  remove() {
    const { changes, result, index } = this.page;
    if (result.numbers.length > 1) {
      this.set({ ...changes, removed: [...changes.removed, result.numbers[index]] });
    }
  }

  edit(edit) {
    this.set({ ...this.page.changes, edit });
  }

  write() {
    const { changes } = this.page;
    const forgetting = Object.entries(changes.held).find(([, held]) => held.f !== undefined);
    find("forget").value = forgetting ? `${forgetting[0]} f${forgetting[1].f}` : "";
    find("residual-way").value = changes.noShortcut ? "noShortcut" : changes.noFirst ? "noFirst" : "";
    find("attention-way").value = changes.evenAttention ? "even" : "";
    find("gain").value = changes.gain;
    find("gain").setAttribute("aria-valuetext", `${changes.gain} dB`);
    find("gain-value").textContent = `${changes.gain > 0 ? "+" : ""}${fmt(changes.gain, 0)} dB`;
    find("ends").value = changes.cut;
    find("reset").disabled = !isChanged(changes);
    this.list();
  }

  // In words, what is otherwise.
  list() {
    const { changes, network } = this.page;
    const words = [];
    for (const [k, held] of Object.entries(changes.held)) {
      if (held.silent !== undefined) {
        words.push(`unit ${held.silent} of ${cellTitle(network, Number(k))} is silent`);
      }
    }
    if (changes.removed.length) {
      words.push(`without frame ${changes.removed.join(", ")}`);
    }
    if (changes.edit) {
      words.push(`${changes.edit.text} is ${fmt(changes.edit.value)}`);
    }
    find("changed-words").textContent = words.join("; ");
    this.markUnit();
  }

  markUnit() {
    const { changes, cell, unit } = this.page;
    find("silence").checked = changes.held[cell]?.silent === unit;
  }
}
