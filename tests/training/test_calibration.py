"""Calibration: scores by hand, the temperature against a search and a closed form, all forms of a network."""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
from c_models import library
from samples import checkpoint, voice

import npreslstm.training.calibration
from npreslstm.audio.config import FeatureConfig
from npreslstm.checkpoint import load_checkpoint, save_checkpoint
from npreslstm.conversion import convert
from npreslstm.errors import InputError
from npreslstm.formats.onnx import export_onnx
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.layers.activations import softmax
from npreslstm.recognizer import Recognizer
from npreslstm.streaming import StreamingResLSTM
from npreslstm.training.calibration import (
    calibrated,
    expected_calibration_error,
    fit_temperature,
    log_probabilities,
    negative_log_likelihood,
    reliability,
    temperature_scores,
    temperature_text,
)
from tools.accuracy import compare_calibrations

ROOT = Path(__file__).resolve().parents[2]
COMPARED = ("mcu-alike", "mcu-labels", "paper-trimmed", "original")
RECORD = {"clips": 7, "speakers": ["1", "3"], "how": "by hand"}
RECORD |= {"NLL before": 1.5, "NLL after": 1.25, "ECE before": 0.2, "ECE after": 0.05}


def answers(clips=200, classes=4, spread=2.0, seed=0):
    """Logits (N, C) and labels drawn by them, so that they are calibrated but for chance."""
    rng = np.random.default_rng(seed)
    logits = spread * rng.normal(size=(clips, classes))
    labels = np.array([rng.choice(classes, p=row) for row in softmax(logits)])
    return logits, labels


def test_examples_of_the_module():
    done = doctest.testmod(npreslstm.training.calibration)
    assert done.failed == 0 and done.attempted >= 5


def naive_bins(probabilities, labels, bins):
    """[(clips, confidence, accuracy)] clip by clip."""
    found = []
    for k in range(bins):
        pairs = [(max(p), p.argmax() == y) for p, y in zip(probabilities, labels)]
        inside = [pair for pair in pairs if k / bins < pair[0] <= (k + 1) / bins]
        found.append((len(inside), *(np.mean(inside, axis=0) if inside else (np.nan, np.nan))))
    return found


def test_bins_and_calibration_error_equal_their_naive_twins():
    logits, labels = answers()
    probabilities = softmax(2 * logits)
    found, expected = reliability(probabilities, labels), naive_bins(probabilities, labels, 15)
    assert found.clips.tolist() == [count for count, *_ in expected]
    assert found.clips.sum() == 200 and 0 in found.clips
    for column, values in ((1, found.confidence), (2, found.accuracy)):
        np.testing.assert_allclose(values, [row[column] for row in expected], rtol=5e-16)  # achieved 0
    error = sum(count * abs(accuracy - confidence) for count, confidence, accuracy in expected if count) / 200
    assert error > 0.05
    found = expected_calibration_error(probabilities, labels)
    assert found == pytest.approx(error, rel=5e-16)  # achieved 0


def test_a_confidence_on_the_edge_is_of_the_lower_bin():
    found = reliability([[0.5, 0.5, 0], [0.75, 0.25, 0], [1, 0, 0]], [0, 0, 1], bins=4)
    assert found.clips.tolist() == [0, 1, 1, 1] and found.accuracy[3] == 0
    assert found.edges.tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_likelihood_by_hand_and_of_the_impossible():
    expected = -(np.log(0.5) + np.log(0.75)) / 2
    assert negative_log_likelihood([[0.5, 0.5], [0.25, 0.75]], [0, 1]) == expected
    assert negative_log_likelihood([[1.0, 0.0]], [1]) == -np.log(5e-6)
    assert log_probabilities(np.array([[1.0, 0.0]])).tolist() == [[0.0, np.log(5e-6)]]


def golden_section(logits, labels):
    """The best temperature by a search that knows nothing of slopes."""

    def loss(log_t):
        return -np.log(softmax(logits / np.exp(log_t))[np.arange(len(labels)), labels]).mean()

    low, high, ratio = np.log(0.01), np.log(100.0), (5**0.5 - 1) / 2
    while high - low > 1e-9:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return np.exp((low + high) / 2)


@pytest.mark.parametrize("factor", [0.2, 1.0, 7.0])
def test_the_temperature_equals_that_of_a_search(factor):
    logits, labels = answers()
    found = fit_temperature(factor * logits, labels)
    assert found == pytest.approx(golden_section(factor * logits, labels), rel=2e-7)  # achieved 3e-8
    assert found == pytest.approx(factor * fit_temperature(logits, labels), rel=1e-15)  # achieved 1.1e-16


def test_the_temperature_of_two_classes_has_a_closed_form():
    logits = np.tile([3.0, 0.0], (10, 1))
    found = fit_temperature(logits, [0] * 8 + [1] * 2)
    assert found == pytest.approx(3 / np.log(4), rel=2e-15)  # achieved 2e-16


def test_what_a_network_is_too_sure_of_is_found_out():
    logits, labels = answers(clips=20_000, seed=1)
    assert fit_temperature(2.5 * logits, labels) == pytest.approx(2.5, rel=0.02)  # achieved 0.004
    scores = temperature_scores(2.5 * logits, labels, 2.5)
    assert scores["ECE before"] > 0.1 and scores["ECE after"] < 0.01
    assert scores["NLL after"] < scores["NLL before"]
    assert scores["NLL after"] == negative_log_likelihood(softmax(logits), labels)


def test_constants_added_to_rows_change_nothing():
    logits, labels = answers()
    expected = fit_temperature(logits, labels)
    moved = fit_temperature(logits + np.arange(200)[:, None], labels)
    assert moved == pytest.approx(expected, rel=6e-15)  # achieved 7e-16
    rounded = log_probabilities(softmax(logits).round(5))
    assert fit_temperature(rounded, labels) == pytest.approx(expected, rel=1e-4)  # achieved 1e-5


@pytest.mark.parametrize(
    "logits, labels, message",
    [
        ([[1.0, 0.0], [0.0, 2.0]], [0, 1], "2 clips: all are labelled rightly, so the lower the better"),
        ([[1.0, 1.0], [0.0, 2.0]], [0, 1], "all are labelled rightly"),
        ([[1.0, 0.0], [0.0, 2.0]], [1, 0], "no better than chance, so the higher the better"),
        ([[1.0, 1.0]], [0], "the lower the better|the higher the better"),
        ([[1.0, np.nan]], [0], "a logit is not finite"),
        ([[1.0, -np.inf]], [0], "a logit is not finite"),
        ([[1.0, 1e300]], [0], "a logit is not finite"),
        ([[1.0, 0.0]], [2], r"labels run from 2 to 2; expected class numbers in \[0, 2\)"),
        ([[1.0, 0.0]], [-1], "labels run from -1 to -1"),
        ([[1.0, 0.0]], [0.0], "labels are of type float64; expected class numbers"),
        ([[1.0, 0.0]], [0, 1], r"logits \(1, 2\) and labels \(2,\); expected \(N, C\) and \(N,\)"),
        ([1.0, 0.0], [0, 1], r"logits \(2,\) and labels \(2,\)"),
        (np.zeros((0, 3)), np.zeros(0, int), r"logits \(0, 3\) and labels \(0,\)"),
    ],
)
def test_logits_that_have_no_temperature(logits, labels, message):
    with pytest.raises(InputError, match=message):
        fit_temperature(logits, labels)


@pytest.mark.parametrize("score", [reliability, expected_calibration_error, negative_log_likelihood])
def test_what_are_no_probabilities(score):
    for wrong in ([[0.7, 0.2]], [[1.5, -0.5]], [[np.nan, 1.0]]):
        with pytest.raises(InputError, match="probabilities run from .* expected rows of numbers"):
            score(wrong, [0])
    with pytest.raises(InputError, match="labels run from 3 to 3"):
        score([[0.5, 0.5]], [3])
    score([[0.33333, 0.33333, 0.33333]], [0])  # as in a table of five decimals
    with pytest.raises(InputError, match="bins is 0; expected at least 1"):
        reliability([[0.5, 0.5]], [0], bins=0)


@pytest.fixture(scope="module")
def pair():
    """A network with a temperature, and as it was before."""
    plain = checkpoint(features=FeatureConfig.named("mcu"))
    plain.state["fc.bias"] += np.array([0.5, -0.2, 0.1], np.float32)
    return plain, calibrated(plain, 2.5, RECORD)


def tempered(probabilities, temperature):
    powers = np.array(list(probabilities.values())) ** (1 / temperature)
    return powers / powers.sum()


def test_only_the_head_and_the_notes_change(pair):
    plain, made = pair
    changed = {name for name in plain.state if not np.array_equal(plain.state[name], made.state[name])}
    assert changed == {"fc.weight", "fc.bias"} and made.state["fc.weight"].dtype == np.float32
    assert made.notes == plain.notes | {"temperature": {"value": 2.5} | RECORD}
    assert "temperature" not in plain.notes and made.sha256 != plain.sha256


def test_the_recognizer_gives_calibrated_probabilities_and_the_same_labels(pair):
    before, after = (Recognizer(which) for which in pair)
    for seed in range(4):
        signal = voice(1.0, seed=seed)
        one, other = (recognizer.process_signal(signal, 16000) for recognizer in (before, after))
        found = np.array(list(other.probabilities.values()))
        expected = tempered(one.probabilities, 2.5)
        np.testing.assert_allclose(found, expected, rtol=0, atol=7e-7)  # achieved 7.4e-8
        assert other.label == one.label and (other.attention == one.attention).all()


@pytest.mark.oracle
def test_a_temperature_is_what_a_general_optimiser_finds():
    pytest.importorskip("scipy")
    logits, labels = answers()
    scale, bias = compare_calibrations.fit(logits, labels, False, False, False)
    assert 1 / scale[0] == pytest.approx(fit_temperature(logits, labels), rel=1e-4)  # achieved 1.8e-5
    assert not bias.any()


@pytest.mark.oracle
def test_the_page_has_the_figures_of_the_ways_to_calibrate(capsys):
    pytest.importorskip("scipy")
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    compare_calibrations.main([str(ROOT / "docs" / "results" / name) for name in COMPARED])
    tables = capsys.readouterr().out.strip().split("\n\n")
    for name, table in zip(COMPARED, tables, strict=True):
        for row in table.splitlines()[1:]:
            way, *figures = re.split("  +", row)
            assert " | ".join([f"| `{name}`", way, *(f"{float(figure):.3f}" for figure in figures)]) in page


@pytest.mark.parametrize("clips, expected", [(300, 0.065), (1440, 0.03)])
def test_chance_alone_makes_some_calibration_error(clips, expected):
    """As docs/protocol.md says: labels drawn by the probabilities, which are like those of the bundled
    weights.
    """
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(50):
        probabilities = softmax(2.2 * rng.normal(size=(clips, 8)))
        labels = (probabilities.cumsum(axis=1) < rng.random((clips, 1))).sum(axis=1)
        errors.append(expected_calibration_error(probabilities, np.minimum(labels, 7)))
    assert np.mean(errors) == pytest.approx(expected, rel=0.1)  # achieved 0.03


KINDS = {"reslstm-sa": {}, "lstm-sa": {"kind": "lstm-sa"}}
KINDS |= {"three vectors": {"attention_vectors": 3, "head_combine": True}}


CLIPS = np.random.default_rng(0).normal(size=(3, 20, 46)).astype(np.float32)  # z-scored


def logits_of(made):
    """Logits (3, C) of the clips."""
    return made.model().infer(CLIPS, np.full(3, 20))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_logits_of_every_kind_of_network_are_divided(kind):
    plain = checkpoint(**KINDS[kind])
    one, other = (logits_of(made) for made in (plain, calibrated(plain, 0.4, RECORD)))
    np.testing.assert_allclose(other, one / 0.4, rtol=0, atol=4e-6)  # achieved 4.8e-7
    assert np.abs(one).max() > 0.5


def test_streaming_and_integers_give_the_same_calibrated_probabilities(pair):
    plain, made = pair
    stream, integer = StreamingResLSTM(made.model()), QuantizedModel.from_checkpoint(made)
    stream.push(CLIPS[0])
    expected = softmax(logits_of(plain) / 2.5)
    np.testing.assert_allclose(softmax(stream.result()), expected[0], rtol=0, atol=5e-7)  # achieved 6e-8
    found = softmax(integer.infer(CLIPS, np.full(3, 20)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.009)  # achieved 0.0009


@pytest.mark.parametrize("type", ["float32", "int8"])
def test_the_c_port_gives_them_too(pair, tmp_path, type):
    plain, made = pair
    port = library(made, type, tmp_path)
    for frames, expected in zip(CLIPS, softmax(logits_of(plain) / 2.5)):
        port.call("npr_init")
        for row in frames * plain.std + plain.mean:
            port.push(port.normalise(row.astype(np.float32)))
        error = np.abs(port.result()[0] - expected).max()
        assert error < {"float32": 5e-7, "int8": 0.009}[type]  # achieved 6e-8 and 0.0009


@pytest.mark.oracle
def test_onnx_gives_them_too(pair, tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    export_onnx(pair[1], tmp_path / "model.onnx")
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    logits, _ = session.run(None, {"features": CLIPS, "lengths": np.full(3, 20)})
    np.testing.assert_allclose(logits, logits_of(pair[0]) / 2.5, rtol=0, atol=1e-5)  # achieved 1e-6


def test_a_file_of_pytorch_carries_the_temperature_in_its_head(pair, tmp_path):
    save_checkpoint(tmp_path / "w.npz", pair[1])
    convert(tmp_path / "w.npz", tmp_path / "w.pt")
    convert(tmp_path / "w.pt", tmp_path / "again.npz", like=tmp_path / "w.npz")
    again = load_checkpoint(tmp_path / "again.npz")
    assert again.sha256 == pair[1].sha256 and again.notes["temperature"]["value"] == 2.5


def test_a_second_temperature_and_what_is_none_are_refused(pair):
    with pytest.raises(InputError, match=r"calibrated already \(temperature 2.5000, fitted on 7 clips of 2"):
        calibrated(pair[1], 1.5, RECORD)
    for wrong in (0, -1, np.nan, np.inf):
        with pytest.raises(InputError, match=f"temperature is {wrong}; expected a finite number above 0"):
            calibrated(pair[0], wrong, RECORD)
    with pytest.raises(InputError, match="temperature is 1e-60: the head overflows; expected one near 1"):
        calibrated(pair[0], 1e-60, RECORD)


def test_the_line_about_it_stands_any_notes(pair):
    line = "temperature 2.5000, fitted on 7 clips of 2 training speakers: "
    line += "expected calibration error 0.2000 -> 0.0500, negative log-likelihood 1.5000 -> 1.2500 there"
    assert temperature_text(pair[1].notes) == line
    assert temperature_text({}) is None
    half = {"value": "1.2"} | RECORD, {"value": 1} | RECORD | {"clips": "7"}
    for strange in (3, None, [1], {}, {"value": "x"}, *half):
        assert temperature_text({"temperature": strange}).startswith("temperature ")
