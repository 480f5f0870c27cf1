"""``npreslstm explain``: page, text and figure; bad input in one line. No browser is needed here."""

import dataclasses
import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from explain_pages import NETWORKS, baseline_network, other_network
from samples import voice, write_wav

from npreslstm.assets import demo_clip_path, package_folder
from npreslstm.checkpoint import save_checkpoint
from npreslstm.cli import main
from npreslstm.explain.hearing import hear
from npreslstm.explain.page import LIVE_SCRIPTS, SCRIPTS, explain_page
from npreslstm.explain.tags import tagged_lines
from npreslstm.explain.text import explain_text
from npreslstm.explain.units import Unit, find_unit, gates_of
from npreslstm.recognizer import Recognizer

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.filterwarnings("ignore::npreslstm.recognizer.RecognitionWarning")


@pytest.fixture(scope="module")
def heard():
    return hear(demo_clip_path())


def explain(*arguments):
    return main(["explain", *map(str, arguments)])


@pytest.mark.parametrize("name", list(NETWORKS))
def test_what_is_heard_is_what_the_recognizer_hears(name):
    weights = NETWORKS[name]()
    heard, prediction = hear(demo_clip_path(), weights), Recognizer(weights).process_file(demo_clip_path())
    expected = list(prediction.probabilities.values())
    np.testing.assert_allclose(heard.probabilities, expected, rtol=0, atol=4e-6)  # achieved 4e-7
    np.testing.assert_allclose(heard.attention, prediction.attention, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(heard.times, prediction.times)
    assert heard.label == prediction.label
    np.testing.assert_allclose(heard.running_probabilities()[-1], heard.probabilities, rtol=0, atol=1e-15)


@pytest.mark.parametrize("weights", ["robust", "mcu", "paper"])
def test_a_page_is_small(weights, tmp_path):
    """At most 400 kB, and 30 kB a second."""
    path = write_wav(tmp_path / "ten.wav", voice(10.0, 48000, seed=1), 48000)
    assert len(explain_page(hear(path, weights)).encode()) <= 400_000 + 10 * 30_000
    assert len(explain_page(hear(demo_clip_path(), weights)).encode()) <= 400_000 + 2.58 * 30_000


def test_pictures_are_small():
    """Those of README and docs, together."""
    pictures = [*(ROOT / "docs/figures").glob("explain*"), ROOT / "docs/figures/listen.gif"]
    assert len(pictures) >= 6 and sum(path.stat().st_size for path in pictures) <= 600_000


def test_running_probabilities_are_those_of_shorter_clips(heard):
    running = heard.running_probabilities()
    for T in (1, 30, 80):
        logits, _ = heard.model.infer(heard.x[None, :T], [T])
        e = np.exp(logits[0] - logits[0].max())
        np.testing.assert_allclose(running[T - 1], e / e.sum(), rtol=0, atol=1e-14)  # achieved 2e-16


def test_sensitivity_is_the_size_of_a_gradient(heard):
    t, d = 40, 1e-6
    step = np.random.default_rng(0).normal(size=heard.x.shape[1])
    best = int(heard.logits.argmax())
    moved = heard.x.copy()

    def probability(sign):
        moved[t] = heard.x[t] + sign * d * step
        logits = heard.model.forward(moved[None], [len(moved)])[0][0]
        return np.exp(logits - logits.max())[best] / np.exp(logits - logits.max()).sum()

    slope = (probability(1) - probability(-1)) / (2 * d)
    assert 0 < abs(slope) <= heard.sensitivity()[t] * np.linalg.norm(step) * (1 + 1e-6)


def test_the_page_is_one_file(tmp_path, capsys):
    out = tmp_path / "clip.html"
    assert explain(demo_clip_path(), "--out", out) == 0
    html = out.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", html.replace('href="#${', ""))
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", html)
    assert "default-src 'none'" in html and "<!--" not in html
    assert "it holds the recording" in capsys.readouterr().err
    assert str(tmp_path) not in html  # and not where it came from


@pytest.mark.filterwarnings("ignore::npreslstm.audio.resampling.ResamplingWarning")
@pytest.mark.parametrize("name", ["robust", "mcu", "paper"])
def test_size_of_the_page(name, tmp_path):
    """At most 400 kB and 30 kB a second of sound; the bench prints 619 kB for 10 s, 652 with paper's
    features."""
    path = write_wav(tmp_path / "ten.wav", voice(10.0, seed=1))
    for clip, seconds in ((demo_clip_path(), 2.58), (path, 10.0)):
        assert len(explain_page(hear(clip, name)).encode()) <= 400e3 + 30e3 * seconds


def test_every_file_of_the_page_is_in_it(heard):
    files = {
        file.name for file in (package_folder() / "explain" / "page").iterdir() if file.name.endswith(".js")
    }
    assert {*SCRIPTS, *LIVE_SCRIPTS, "worklet.js"} == files
    html, live = explain_page(heard), explain_page(heard, live=True)
    assert all(f'<script id="{name}">' in html for name in SCRIPTS)
    assert all(f'<script id="{name}"' in live and f'id="{name}"' not in html for name in files - set(SCRIPTS))


def test_a_name_with_markup_is_a_name(tmp_path):
    path = write_wav(tmp_path / "<b>&'.wav", voice(0.5, seed=1))
    html = explain_page(hear(path))
    assert "<b>&'.wav" not in html and "\\u003cb>&'.wav" in html


def test_every_tag_has_its_python_line():
    places = tagged_lines()
    for tag in ("L1", "L2", "L3", "L4", "A1", "A2", "A3", "R1", "R2", "R3", "R4", "B2", "S2", "L1'", "R1'"):
        place = places[tag][0]
        lines = (package_folder().parent / place.file).read_text(encoding="utf-8").split("\n")
        assert place.code and lines[place.line - 1].strip().startswith(place.code), tag
        assert f"({tag})" in lines[place.line - 1] or (tag, place.function) == ("S2", "softmax")
    script = (package_folder() / "explain" / "page" / "engine.js").read_text(encoding="utf-8")
    assert {"L1", "L2", "L3", "L4", "A1", "A2", "A3", "R1", "R2", "R3", "R4"} <= set(
        re.findall(r"\(([A-Z]\d)\)", script)
    )


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize("blocks", [True, False])
def test_text_has_sixty_columns(name, blocks):
    heard = hear(demo_clip_path(), NETWORKS[name]())
    text = explain_text(heard, find_unit(heard), blocks)
    assert max(map(len, text.split("\n"))) <= 60
    assert blocks or text.isascii()
    assert f"{heard.label} {heard.probabilities.max():.3f}" in text


def test_text_shows_where_things_are(heard):
    lines = {line[:12].strip(): line[12:50] for line in explain_text(heard, Unit("lstm2", 0, 17)).split("\n")}
    peak = heard.attention.argmax() / len(heard.x)
    assert abs(lines["attention"].index("█") / 38 - peak) < 0.05
    assert lines["label"][-1] == heard.label[0] and "lstm2 unit 1" in lines


def test_units(heard):
    assert find_unit(heard, "lstm1:45") == Unit("lstm1", 0, 45)
    gates = gates_of(heard, Unit("lstm2", 0, 17))
    c_before = np.append(0, gates["c"][:-1])
    np.testing.assert_allclose(
        gates["c"], gates["f"] * c_before + gates["i"] * gates["g"], rtol=0, atol=1e-15
    )
    assert find_unit(heard).lstm == "lstm2"


@pytest.mark.oracle
def test_plot(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "clip.svg"
    assert explain(demo_clip_path(), "--plot", path, "--unit", "lstm1:3") == 0
    assert path.read_text(encoding="utf-8").startswith("<?xml")


def test_a_part_of_a_file(tmp_path):
    rate = 16000
    y = voice(3.0, seed=2)
    path = write_wav(tmp_path / "long.wav", y)
    part = hear(path, "mcu", start=0.5, seconds=1.25)
    assert (part.start, part.duration) == (0.5, 1.25)
    whole = hear(path, "mcu")
    assert len(part.samples) == 1.25 * rate
    np.testing.assert_array_equal(part.samples, whole.samples[8000:28000])
    assert hear(path, "mcu", start=2.5, seconds=10).duration == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to do; expected --out FILE.html, --text or --plot FILE"),
        (["--out", "clip.txt"], "--out is clip.txt; expected a name that ends in .html or .htm"),
        (["--plot", "clip.gif"], "--plot is clip.gif; expected a name that ends in .png or .svg or .pdf"),
        (["--text", "--unit", "lstm2:64"], "expected lstm1:0 to lstm1:45 or lstm2:0 to lstm2:63"),
        (["--text", "--unit", "17"], "--unit is '17'; expected"),
        (["--text", "--start", "3"], "--start is 3 s; demo.wav ends after 2.58 s"),
        (["--text", "--start", "-1"], "--start is -1.0; expected seconds from 0"),
        (["--text", "--start", "nan"], "--start is nan; expected seconds from 0"),
        (["--text", "--seconds", "31"], "--seconds is 31.0; expected above 0 and up to 30"),
        (["--text", "--seconds", "0"], "--seconds is 0.0; expected above 0 and up to 30"),
    ],
)
def test_bad_use_is_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert explain(demo_clip_path(), *arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
    assert list(tmp_path.iterdir()) == []


def test_ten_minutes_say_how_to_choose(tmp_path, capsys):
    path = write_wav(tmp_path / "talk.wav", np.zeros(600 * 16000, np.float32))
    assert explain(path, "--out", tmp_path / "talk.html") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "talk.wav is 600 s long; a page explains at most 30 s: choose a part, for example" in error
    assert "--start 0 --seconds 10" in error


@pytest.mark.parametrize(("level", "rate"), [(0, 16000), (0.5, 16000), (0.5, 44100)])
def test_silence_is_one_line(tmp_path, capsys, level, rate):
    path = write_wav(tmp_path / "silence.wav", np.full(rate, level, np.float32), rate)
    out = tmp_path / "silence.html"
    assert explain(path, "--out", out) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "silence.wav is silent" in error and "--start" in error
    assert not out.exists()


def test_weights_without_statistics_are_one_line(tmp_path, capsys):
    bare = dataclasses.replace(baseline_network(), mean=None, std=None, features=None)
    save_checkpoint(tmp_path / "bare.npz", bare)
    out = tmp_path / "page.html"
    assert explain(demo_clip_path(), "--weights", tmp_path / "bare.npz", "--out", out) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "bare.npz has no statistics, no feature configuration" in error
    assert "npreslstm convert" in error and not out.exists()


def test_weights_from_a_file(tmp_path):
    save_checkpoint(tmp_path / "other.npz", other_network())
    out = tmp_path / "page.html"
    assert explain(demo_clip_path(), "--weights", tmp_path / "other.npz", "--out", out) == 0
    assert '"weights": "other.npz"' in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["hearing", "page", "tags", "text"])
def test_examples_of_the_docstrings(name):
    done = doctest.testmod(importlib.import_module(f"npreslstm.explain.{name}"))
    assert done.failed == 0 and done.attempted > 0
