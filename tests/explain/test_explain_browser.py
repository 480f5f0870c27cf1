"""The explaining page in headless Chromium: it asks for nothing, what is clicked is shown, what is printed
multiplies out. Skipped without Node.js, Chromium or playwright-core, which `.ci/run` installs.
"""

import dataclasses
import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from explain_pages import FOLDER, node

from npreslstm.assets import demo_clip_path
from npreslstm.explain.frames import features_of
from npreslstm.explain.hearing import hear
from npreslstm.explain.page import explain_page
from npreslstm.explain.tags import tagged_lines
from npreslstm.explain.units import most_telling
from npreslstm.layers.activations import softmax

MODULES = Path(__file__).parents[2] / "build" / "browser" / "node_modules"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
UNITS = [(0, 0, 0), (0, 7, 30), (0, 45, 80), (1, 0, 1), (1, 17, 61), (1, 63, 80)]  # layer, unit, frame
NUMBER = r"[−-]?\d+\.?\d*"


def chromium():
    """Chromium, or a skip that says what is missing."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    if not (MODULES / "playwright-core").is_dir():
        pytest.skip("playwright-core is not installed: npm install --prefix build/browser playwright-core")
    return found


@pytest.fixture(scope="module")
def heard():
    return hear(demo_clip_path())


@pytest.fixture(scope="module")
def report(heard, tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    job = {"modules": str(MODULES), "chromium": chromium()}
    wrong = dataclasses.replace(heard, logits=heard.logits + 1e-8)
    for name, clip in (("page", heard), ("tampered", wrong)):
        path = folder / f"{name}.html"
        path.write_text(explain_page(clip), encoding="utf-8")
        job[name] = str(path)
    job["units"] = [dict(zip(("cell", "unit", "index"), unit)) for unit in UNITS]
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    done = subprocess.run(
        [node(), FOLDER / "browser.mjs", folder / "job.json"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def value_of(text):
    """What a printed formula comes to, or None where it holds names."""
    text = text.replace("−", "-").replace("·", "*").replace("√", "sqrt").replace("σ", "sigmoid")
    if re.search(r"[^\d.+*/() -]", re.sub(r"sqrt|sigmoid|tanh|exp", "", text)):
        return None
    functions = {"sqrt": math.sqrt, "tanh": math.tanh, "exp": math.exp}
    return eval(text, {"__builtins__": {}, "sigmoid": lambda a: 1 / (1 + math.exp(-a)), **functions})


def check_formula(text):
    """All parts of a chain of equations that are numbers alone are equal, to what four decimals leave."""
    values = [value for value in map(value_of, text.split(" = ")) if value is not None]
    rounding = 5e-5 * (1 + sum(abs(float(n.replace("−", "-"))) + 1 for n in re.findall(NUMBER, text)))
    for value in values[1:]:
        assert abs(value - values[0]) < rounding, text
    return len(values)


def test_it_asks_for_nothing_and_complains_of_nothing(report):
    file, local = report["file"], report["localhost"]
    assert [url for url in file["requests"] if not url.startswith("blob:")] == [file["requests"][0]]
    assert file["requests"][0].startswith("file:") and file["errors"] == []
    own = f"http://localhost:{report['port']}/page.html"
    assert {url for url in local["requests"] if not url.startswith("blob:")} == {own}
    assert local["errors"] == []


def test_it_checks_itself(report):
    assert "has computed everything anew" in report["file"]["selfCheck"]
    assert report["tampered"]["visible"]
    assert "does not compute what Python computed: logits within 1.0e-8" in report["tampered"]["text"]


def test_a_click_picks_what_it_is_on(report):
    assert report["file"]["clicked"] == {"cell": 1, "unit": 17, "index": 20, "gate": "f"}
    assert report["file"]["clickedTitle"].startswith("Frame 20 at 0.64 s")


def test_the_drawn_cell_has_the_numbers_of_python(report, heard):
    for (cell, unit, index), shown in zip(UNITS, report["file"]["units"], strict=True):
        cache = heard.cache.lstms[("lstm1", "lstm2")[cell]][0]
        numbers = {float(text.replace("−", "-")) for text in shown["cell"]}
        for name in ("i", "f", "g", "o", "c", "h", "c_before"):
            assert round(float(getattr(cache, name)[index, 0, unit]), 4) in numbers, name


def test_printed_equations_multiply_out(report):
    for (cell, _, _), shown in zip(UNITS, report["file"]["units"], strict=True):
        assert len(shown["equations"]) == (12 if cell == 0 else 15)
        counts = [check_formula(text) for text in shown["equations"]]
        assert min(counts) >= 2, shown["equations"]


def test_the_check_of_equations_can_fail():
    assert check_formula("c = 0.5000 · (−0.2000) + 0.1000 = 0.0000") == 2
    with pytest.raises(AssertionError):
        check_formula("c = 0.5000 · (−0.2000) + 0.1000 = 0.0020")


def test_a_click_on_a_weight_shows_its_gradient(report, heard):
    weight, gradient = report["file"]["weight"], report["file"]["gradient"]
    p, best = heard.probabilities, int(heard.logits.argmax())
    grads = heard.model.backward((p[best] * (np.eye(len(p))[best] - p))[None], heard.cache)
    name = "weight_ih" if weight["part"] == "W_ih" else "weight_hh"
    expected = float(grads[f"lstm2.{name}_l0"][weight["row"], weight["column"]])
    scale = 10 ** max(0, math.ceil(-math.log10(abs(expected))))
    printed = float(gradient[1].split(" = ")[-1].replace("−", "-"))
    assert weight["row"] == 64 + 17 and abs(printed - scale * expected) <= 5.1e-5
    assert all(check_formula(text) >= 2 for text in gradient)
    terms = report["file"]["terms"]
    assert terms[0] == "term" and abs(float(terms[-2].replace("−", "-"))) > 0


def logits(heard, change=None, x=None):
    state = {name: tensor.copy() for name, tensor in heard.checkpoint.state.items()}
    if change:
        change(state)
    model = dataclasses.replace(heard.checkpoint, state=state).model(np.float64, backend="reference")
    x = heard.x if x is None else x
    return model.forward(x[None], [len(x)])[0][0]


def test_what_if_by_the_controls(report, heard):
    entry = report["file"]["weight"]["entry"]

    def edit(state):
        state[entry["name"]].reshape(-1)[entry["index"]] = 1.25

    def forget(state):
        state["lstm2.bias_ih_l0"][64:128] = -1e4

    def flatten(state):
        state["attention_vector"][...] = 0

    changed = report["file"]["changes"]
    cut = heard.cuts[1]
    assert sum(map(len, cut.changed)) == 0
    pairs = [
        (report["file"]["edited"], logits(heard, edit)),
        (changed["#forget"], logits(heard, forget)),
        (changed["#attention-way"], logits(heard, flatten)),
        (changed["#ends"], logits(heard, x=heard.x[cut.first : cut.last])),
    ]
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)  # achieved 3e-14
    assert entry["text"] in report["file"]["editedWords"]
    best = int(softmax(pairs[3][1]).argmax())
    assert f"→ {heard.checkpoint.classes[best]} " in report["file"]["verdict"]


def test_keys_move_and_are_announced(report):
    assert report["file"]["keys"] == {"cell": 1, "unit": 18, "index": 1, "gate": "f"}
    assert re.match(r"frame 1, LSTM 2 unit 18: c .*; so far \w+", report["file"]["announced"])


def test_tags_lead_to_the_engine_and_name_the_python_line(report):
    place = tagged_lines()["L3"][0]
    assert any("step.f[u] * before.c[u] + step.i[u] * step.g[u]" in line for line in report["file"]["lit"])
    named = " ".join(report["file"]["pythonLine"].split())
    assert f"{place.file}, line {place.line}, in {place.function}: {place.code}" in named


def test_tour_and_exercises(report):
    assert len(set(report["file"]["tour"])) == 8 and report["file"]["tourEnded"]
    assert len(set(report["file"]["answers"])) == 5
    for text in report["file"]["tour"] + report["file"]["answers"]:
        assert len(text) > 80 and not re.search("NaN|undefined|Infinity|null", text), text


def words(text):
    return " ".join(text.split())


def run(heard, change=None, x=None):
    """(label, its probability in per cent, cache) of a run of the reference, altered."""
    state = {name: tensor.copy() for name, tensor in heard.checkpoint.state.items()}
    if change:
        change(state)
    model = dataclasses.replace(heard.checkpoint, state=state).model(np.float64, backend="reference")
    x = heard.x if x is None else x
    found, cache = model.forward(x[None], [len(x)])
    p = softmax(found)[0]
    return heard.checkpoint.classes[int(p.argmax())], 100 * p.max(), cache


def set_forget_gate(bias):
    def change(state):
        state["lstm2.bias_ih_l0"][64:128] = bias

    return change


def test_answers_of_the_exercises_are_those_of_python(report, heard):
    answers = [words(text) for text in report["file"]["answers"]]
    label, share, cache = run(heard)
    plain, peak = f"{label} {share:.1f} %", int(heard.attention.argmax())
    other, less, _ = run(heard, x=np.delete(heard.x, peak, axis=0))
    assert f"Frame {peak} had {100 * heard.attention[peak]:.1f} % of the attention" in answers[0]
    assert f"Without it: {other} {less:.1f} %, before: {plain}" in answers[0]

    best = int(heard.logits.argmax())
    tensors = heard.model.tensors
    zero = (0 - tensors["bn.running_mean"]) / np.sqrt(tensors["bn.running_var"] + 1e-5)
    zero = zero * tensors["bn.weight"] + tensors["bn.bias"]
    constant = float(tensors["fc.weight"][best] @ zero + tensors["fc.bias"][best])
    numbers = [float(n.replace("−", "-")) for n in re.findall(r"[−-]?\d+\.\d{4}", answers[1])]
    expected = [heard.logits[best] - constant, heard.logits[best], constant]
    np.testing.assert_allclose(numbers, expected, rtol=0, atol=5.1e-5)

    forgetful, faithful = run(heard, set_forget_gate(-1e4)), run(heard, set_forget_gate(1e4))
    largest = [abs(kind[2].lstms["lstm2"][0].c[-1]).max() for kind in (faithful, (0, 0, cache))]
    assert "f = 0: {} {:.1f} %".format(*forgetful) in answers[2]
    assert "f = 1: {} {:.1f} %".format(*faithful) in answers[2]
    assert f"up to {largest[0]:.1f} at the end instead of {largest[1]:.1f}" in answers[2]

    quiet = features_of(heard.frames, heard.checkpoint, -12.0)
    moved = abs(quiet - heard.x).max(axis=0)
    assert (
        f"by up to {moved[0]:.2f} standard" in answers[3] and f"mfcc_1 by up to {moved[1]:.2f}" in answers[3]
    )
    assert f"it moves by {moved[34:].max():.2f}" in answers[3]
    assert "The answer: {} {:.1f} %".format(*run(heard, x=quiet)) in answers[3]

    sensitivity = heard.sensitivity()
    clearest = int((sensitivity / sensitivity.max() - heard.attention / heard.attention.max()).argmax())
    assert f"frame {clearest}, at {heard.times[clearest]:.2f} s" in answers[4]
    assert f"with {100 * heard.attention[clearest]:.1f} % of the attention" in answers[4]


def test_numbers_of_the_tour_are_those_of_python(report, heard):
    steps = [words(text) for text in report["file"]["tour"]]
    attention, sensitivity, peak = heard.attention, heard.sensitivity(), int(heard.attention.argmax())
    assert f"gets {len(heard.x)} frames, one every 32 ms" in steps[0]
    assert steps[1].startswith("Loudness in 64 bands (log-mel) is turned into 34 MFCC")
    unit = most_telling(heard)
    f = float(heard.cache.lstms["lstm2"][0].f[peak, 0, unit])
    assert f"Unit {unit} is marked. Its forget gate f is {f:.2f} here" in steps[2]
    assert f"half of it is left after {math.log(0.5) / math.log(f):.1f} frames" in steps[2]
    assert f"that unit in frame {peak}" in steps[3]
    held = 1 + int(np.searchsorted(np.cumsum(np.sort(attention)[::-1]), 0.5))
    assert f"lies on {held} of {len(heard.x)} frames; the most, {100 * attention[peak]:.1f} %" in steps[4]
    centres = [np.average(heard.times, weights=weights) for weights in (attention, sensitivity)]
    assert "attention lies at {:.2f} s, |dp/dx| at {:.2f} s".format(*centres) in steps[5]
    assert ("later than it was heard" in steps[5]) == (centres[1] < centres[0])

    def flatten(state):
        state["attention_vector"][...] = 0

    answers = [run(heard), run(heard, flatten), run(heard, set_forget_gate(-1e4))]
    plain, even, forgetful = (f"{label} ({share:.0f} %)" for label, share, _ in answers)
    assert plain in steps[6] and f"even attention it would be {even}" in steps[6]
    assert f"was {plain}, and is {forgetful}" in steps[7]


def test_it_plays(report, heard):
    assert "Stop" in report["file"]["playing"]
    assert abs(report["file"]["duration"] - heard.duration) < 0.01


def test_keyboard_keeps_its_place(report):
    """Whatever is drawn anew, the focus is where a reader left it."""
    file = report["file"]
    assert file["focusAfterWeight"] == "picked" and file["focusAfterTag"] == "L3"
    assert file["focusAfterTour"] == "tour-start" and file["focusAfterAlike"].isdecimal()


def test_every_control_has_a_name(report):
    assert report["file"]["nameless"] == []


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_it_can_be_read(report, look):
    """WCAG AA asks for 4.5."""
    assert report[look]["worst"]["ratio"] >= 4.5, report[look]["worst"]
    assert report[look]["overflow"] <= 0
    assert report[look]["errors"] == []


def test_the_mark_is_on_its_frame(report):
    """Be frames as narrow as those of a long clip."""
    mark = report["phone"]["markAway"]
    assert mark["hop"] < 2 and mark["away"] < 0.1
