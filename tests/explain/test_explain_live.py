"""The page that listens: its ears are made of the sources that are here, and in headless Chromium, whose
microphone plays a file, its utterances are those of Listener. Skipped without clang 14 and lld 14, or without
a browser.
"""

import dataclasses
import importlib.util
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from explain_pages import FOLDER, node
from samples import voice, write_wav, write_weights
from test_explain_browser import MODULES, chromium

from npreslstm.assets import demo_clip_path
from npreslstm.audio.config import FEATURE_CONFIGS, FeatureConfig
from npreslstm.audio.decimation import Decimator
from npreslstm.audio.streaming import StreamingFeatures
from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import main
from npreslstm.explain.hearing import hear, hear_nothing
from npreslstm.explain.page import explain_page
from npreslstm.layers.activations import softmax
from npreslstm.listening import EventKind, Listener
from npreslstm.ports.c_tables import tables

ROOT = Path(__file__).parents[2]
RATES = (16000, 44100, 48000)
OVERLAP = 4.96  # seconds: half a window, as the page has it


@pytest.fixture(scope="module")
def build_ears():
    spec = importlib.util.spec_from_file_location("build_ears", ROOT / "tools/release/build_ears.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestEars:
    def test_they_are_of_these_sources(self, build_ears, tmp_path):
        build_ears.write_sources(tmp_path)
        known = json.loads((build_ears.PAGE / "ears.json").read_text(encoding="utf-8"))
        assert known["sources"] == build_ears.digest_of(tmp_path), (
            "make them anew: tools/release/build_ears.py"
        )
        rate = (tmp_path / "npr_rate.c").read_text(encoding="utf-8")
        (tmp_path / "npr_rate.c").write_text(f"/* a word */\n{rate}", encoding="utf-8")
        assert known["sources"] == build_ears.digest_of(tmp_path)
        (tmp_path / "npr_rate.c").write_text(rate.replace("1 << 14", "1 << 13"), encoding="utf-8")
        assert known["sources"] != build_ears.digest_of(tmp_path)

    def test_compiling_gives_the_same_bytes(self, build_ears, tmp_path):
        if build_ears.compiler() is None:
            pytest.skip("clang 14 and lld 14 are not installed: apt-get install clang-14 lld-14")
        build_ears.write_sources(tmp_path)
        assert build_ears.compile_ears(tmp_path) == (build_ears.PAGE / "ears.wasm").read_bytes()


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the page's ears tell, under Node, of the same voice at three rates: seventeen seconds without a
    pause, a pause, and an utterance during which the recording ends.
    """
    folder = tmp_path_factory.mktemp("ears")
    page = folder / "live.html"
    page.write_text(explain_page(hear_nothing(), live=True), encoding="utf-8")
    sounds, files = {}, {}
    for rate in RATES:
        spoken, pause, last = (
            voice(17.0, rate, seed=2),
            np.zeros(rate, np.float32),
            voice(0.7, rate, seed=3),
        )
        sounds[rate] = np.rint(32768 * np.concatenate([pause, spoken, pause, last])).astype("<i2")
        files[rate] = str(folder / f"{rate}.pcm")
        sounds[rate].tofile(files[rate])
    command = [node(), FOLDER / "ears.mjs", page]
    done = subprocess.run(command, input=json.dumps(files), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return sounds, json.loads(done.stdout)


class TestEngine:
    """What is in the page, without a browser."""

    def test_its_pitch_classes_are_the_exported_ones(self, told):
        """To the bit, though each side computes them."""
        expected = tables(FeatureConfig.named("mcu"))["npr_chroma_weights"]
        np.testing.assert_array_equal(np.float32(told[1]["weights"]), expected)

    @pytest.mark.parametrize("rate", RATES)
    def test_events_are_those_of_listener(self, told, rate):
        """Starts, a result a second, ends; across two windows after which the network begins anew."""
        expected, apart = (
            [*listener.push(told[0][rate].astype(np.int16)), *listener.finish()]
            for listener in (Listener(load_checkpoint(), rate, overlap=overlap) for overlap in (OVERLAP, 0))
        )
        events = told[1]["rates"][str(rate)]["events"]
        assert [(event["kind"], event["hop"]) for event in events] == [
            (event.kind.name.lower(), event.hop) for event in expected
        ]
        assert len(expected) >= 21 and [event.kind for event in expected].count(EventKind.END) == 2
        away = {True: 0.0, False: 0.0}  # from windows that overlap, and from others
        for event, *others in zip(events, expected, apart, strict=True):
            for other in others:
                if other.probabilities is not None:
                    size = np.abs(event["p"] - other.probabilities).max()
                    away[other is others[0]] = max(size, away[other is others[0]])
        assert away[True] < 1e-6 and away[False] > 1e-3

    @pytest.mark.parametrize("rate", RATES)
    def test_a_growing_clip_is_the_clip(self, told, rate):
        """Changed or not, its logits are those of all its frames run at once."""
        heard = told[1]["rates"][str(rate)]
        assert heard["lengths"][:2] == [310, 310] and len(heard["lengths"]) == 4
        assert heard["away"] == 0

    def test_other_rates_are_refused(self, told):
        assert told[1]["refused"] == "the microphone is at 22050 Hz; expected 16000, 44100 or 48000"


class TestCommand:
    def explain(self, *arguments):
        return main(["explain", *map(str, arguments)])

    def test_without_a_clip(self, tmp_path, capsys):
        out = tmp_path / "live.html"
        assert self.explain("--live", "--out", out) == 0
        html = out.read_text(encoding="utf-8")
        assert 'id="listen"' in html and "Nothing leaves this" in html and "<!--" not in html
        assert "it listens when asked" in capsys.readouterr().err
        assert len(html.encode()) <= 400_000 + 0.5 * 30_000 + 40_000

    @pytest.mark.parametrize("clip", [None, demo_clip_path()])
    def test_other_pages_do_not_listen(self, clip):
        heard = hear(clip) if clip else hear_nothing()
        plain, live = (explain_page(heard, way) for way in (False, True))
        assert "getUserMedia" not in plain and "wasm-unsafe-eval" not in plain
        assert len(live) - len(plain) <= 40_000  # 39,200 and 39,300; 39,600 for ten seconds

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--live", "--weights", "paper", "--out", "x.html"], "as those of the weights robust and mcu"),
            (["--live"], "--live is for a page; expected --out FILE.html"),
            (["--out", "x.html"], "no clip; expected PATH, or --live"),
            (["--live", "--text", "--out", "x.html"], "no clip; expected PATH, or --live"),
        ],
    )
    def test_bad_use_is_one_line(self, tmp_path, monkeypatch, capsys, options, words):
        monkeypatch.chdir(tmp_path)
        assert self.explain(*options) == 2
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1 and not (tmp_path / "x.html").exists()

    def test_causal_features_of_another_kind(self, tmp_path, capsys):
        features = FeatureConfig.from_dict({**FEATURE_CONFIGS["mcu"].to_dict(), "n_mels": 40})
        weights = write_weights(tmp_path / "w.npz", features=features)
        assert self.explain("--live", "--weights", weights, "--out", tmp_path / "x.html") == 2
        assert "not those that a page can listen with" in capsys.readouterr().err


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    job = {"modules": str(MODULES), "chromium": chromium(), "page": str(folder / "live.html"), "clips": {}}
    Path(job["page"]).write_text(explain_page(hear_nothing(), live=True), encoding="utf-8")
    for rate in RATES:
        signal = np.concatenate([voice(12.5, rate, seed=1), np.zeros(rate, np.float32)])
        job["clips"][rate] = str(write_wav(folder / f"{rate}.wav", signal, rate))
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    command = [node(), FOLDER / "live.mjs", folder / "job.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("rate", RATES)
class TestMicrophone:
    def test_its_resampler_is_that_of_python(self, report, rate):
        """To the bit."""
        heard = report["rates"][str(rate)]
        expected = Decimator(rate).push(np.array(heard["raw"], np.int16))
        assert np.abs(expected).max() > 1000
        np.testing.assert_array_equal(heard["pcm"], expected[: len(heard["pcm"])])

    def test_events_are_those_of_listener(self, report, rate):
        """Of which the last ones are of a second window, half of which is that of the first."""
        heard = report["rates"][str(rate)]
        raw, checkpoint = np.array(heard["raw"], np.int16), load_checkpoint()
        expected = Listener(checkpoint, rate, overlap=OVERLAP).push(raw)
        assert [event.kind for event in expected[:3]] == [EventKind.START, EventKind.RESULT, EventKind.RESULT]
        for event, other in zip(heard["events"], expected):
            assert (event["kind"], event["hop"]) == (other.kind.name.lower(), other.hop)
            if other.probabilities is not None:
                np.testing.assert_allclose(event["p"], other.probabilities, rtol=0, atol=1e-6)  # 1.3e-7
        assert len(heard["events"]) >= 13 and heard["events"][-1]["kind"] == "end"
        apart = Listener(checkpoint, rate).push(raw)[11]  # the first result of the second window
        assert np.abs(heard["events"][11]["p"] - apart.probabilities).max() > 1e-3

    def test_logits_are_those_of_python(self, report, rate):
        """Of just the frames of the second window, which begins with half of the first: as heard, and with
        f = 0, which was chosen while the first one grew."""
        heard = report["rates"][str(rate)]
        checkpoint, clip = load_checkpoint(), heard["clips"][0]
        features = StreamingFeatures(checkpoint.features, np.float64).push(np.array(heard["pcm"], np.int16))
        x = (features - checkpoint.mean) / checkpoint.std
        forgetful = {name: tensor.copy() for name, tensor in checkpoint.state.items()}
        forgetful["lstm2.bias_ih_l0"][64:128] = -1e4
        altered = dataclasses.replace(checkpoint, state=forgetful)
        first, T = round(clip["start"] / 0.032), len(clip["alpha"])
        assert first == heard["begun"] + 155 and 155 < T < 310
        for logits, weights in ((clip["logits"], checkpoint), (clip["altered"], altered)):
            expected = weights.model(np.float64).infer(x[None, first : first + T], [T])[0][0]
            assert np.abs(expected - logits).max() < 1.5e-6  # achieved 1.6e-7
        assert clip["played"]  # the samples of the same frames
        np.testing.assert_allclose(clip["p"], softmax(np.array(clip["logits"])[None])[0], atol=1e-12)
        assert not np.allclose(clip["logits"], clip["altered"], atol=0.01)

    def test_gradients_and_changes_while_it_grows(self, report, rate):
        seen = report["rates"][str(rate)]["whileItGrows"]
        assert seen["grows"] and seen["graded"] == 12
        assert seen["words"].endswith("until 0.4 s")  # frame 11
        assert re.search(r"p\(\w+\) would change by about\s+−?\d\.", seen["gradient"])
        assert "what if" in seen["verdict"]

    def test_it_can_be_held(self, report, rate):
        """What was heard until then is a clip, with the changes; and it goes on after it."""
        heard = report["rates"][str(rate)]
        assert heard["held"] == {"grows": False, "total": 20, "altered": True}
        assert heard["followedAgain"] == {"grows": True, "altered": True}

    def test_it_draws_and_then_shows_a_clip(self, report, rate):
        heard = report["rates"][str(rate)]
        assert heard["turned"] == {"index": 155, "total": 156}  # a new window shows its newest frame
        assert heard["growing"] > 0 and heard["clips"][0]["title"] == "How a network hears your voice"
        loudest = 20 * np.log10(np.abs(heard["pcm"]).max() / 32768)
        assert heard["metered"] and heard["level"] == pytest.approx(60 + loudest, abs=0.01)
        assert "Stop" in heard["button"] and "Listen" in heard["stopped"]
        assert heard["clicked"].startswith("Frame 3 at 0.10 s")

    def test_what_was_heard_is_kept(self, report, rate):
        heard = report["rates"][str(rate)]
        shown, texts, number = heard["shown"], heard["list"], r"(\d+\.\d)"
        first = re.fullmatch(rf"{number} to {number} s: \w+ \d+ %, goes on", texts[0])
        second = re.fullmatch(rf"{number} to {number} s: \w+ \d+ %, all: \w+ \d+ %", texts[1])
        assert len(texts) == 2 and shown["pressed"] == texts[1]
        assert float(second[1]) == pytest.approx(float(first[1]) + OVERLAP, abs=0.1)  # one decimal each
        assert float(second[1]) < float(first[2]) < float(second[2])
        assert not shown["follows"] and "has listened to" in shown["subtitle"]
        assert shown["logits"] == heard["clips"][0]["logits"]

    def test_it_asks_for_nothing_and_complains_of_nothing(self, report, rate):
        heard = report["rates"][str(rate)]
        assert heard["errors"] == []
        others = [url for url in heard["requests"] if not url.startswith(("blob:", "data:"))]
        assert len(others) == 1 and others[0].startswith("file:")


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("http", "came by plain http"),
        ("denied", "the browser does not allow it"),
        ("noWorklet", "no AudioWorklet"),
        ("noGesture", "waits for a click"),
        ("noDevice", "there is none"),
        ("unplugged", "it was taken away"),
    ],
)
def test_no_microphone_is_one_line(report, why, words):
    told = report[why]
    assert told["text"].startswith("No microphone: ") and words in told["text"] and "\n" not in told["text"]
    assert "Listen" in told["button"] and told["errors"] == []
