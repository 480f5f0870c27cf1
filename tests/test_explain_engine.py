"""The engine of the explaining page, under Node: it computes what NumPy does in float64, whatever a reader
changes. The other side of each change is a run of the reference on altered weights or features.
"""

import dataclasses

import numpy as np
import pytest
from explain_pages import NETWORKS, ask, make_page, node

from npreslstm.explain.hearing import Frames, features_of, frames_of
from npreslstm.explain.page import mu_law
from npreslstm.layers.activations import softmax
from npreslstm.layers.attention import attention_forward
from npreslstm.layers.batchnorm import batchnorm_frozen
from npreslstm.layers.dense import linear_forward
from npreslstm.layers.lstm import LSTMParams, lstm_forward
from npreslstm.schema import lstm_names

pytestmark = pytest.mark.filterwarnings("ignore::npreslstm.recognizer.RecognitionWarning")

TOLERANCE = 1e-12  # achieved: see each test
OPEN, SHUT = 1e4, -1e4  # biases that hold a gate at 1 and at 0, exactly


@pytest.fixture(scope="module", params=list(NETWORKS))
def page(request, tmp_path_factory):
    node()
    return make_page(request.param, tmp_path_factory.mktemp("pages"))


def close(answer, expected, tolerance=TOLERANCE):
    np.testing.assert_allclose(np.array(answer), expected, rtol=0, atol=tolerance)


def altered(heard, change=lambda state: None, x=None):
    """(logits, attention, dx) of a run with other weights or features: dx of the label's probability."""
    state = {name: tensor.copy() for name, tensor in heard.checkpoint.state.items()}
    change(state)
    model = dataclasses.replace(heard.checkpoint, state=state).model(np.float64, backend="reference")
    x = heard.x if x is None else x
    logits, cache = model.forward(x[None], [len(x)])
    p, best = softmax(logits[0]), int(logits.argmax())
    dlogits = p[best] * (np.eye(len(p))[best] - p)
    grads, dx = model.backward(dlogits[None], cache, return_dx=True)
    return logits[0], cache.attention.alpha.reshape(-1), dx[0], grads, cache


def same(answer, expected):
    close(answer["logits"], expected[0])
    close(answer["attention"], expected[1])
    close(answer["dx"], expected[2])


def cell_names(heard):
    config = heard.checkpoint.config
    return [(prefix, layer) for prefix in config.lstms for layer in range(config.num_layers)]


def test_everything_equals_numpy(page):
    """Achieved: 2e-13, of features; gates 6e-15, logits 1e-15, gradients 5e-17."""
    heard, path = page
    [answer] = ask(path, [{"changes": {}, "tell": ["x", "cells", "said", "running"]}])
    expected = altered(heard)
    same(answer, expected)
    close(answer["x"], heard.x)
    close(answer["said"], heard.logits)
    close(answer["running"], heard.running_probabilities())
    for cell, (prefix, layer) in zip(answer["cells"], cell_names(heard), strict=True):
        cache = expected[4].lstms[prefix][layer]
        for name in "ifgoch":
            close(cell[name], getattr(cache, name)[:, 0])
        close(cell["dW_hh"], expected[3][f"{prefix}.weight_hh_l{layer}"])
        close(cell["dW_ih"], expected[3][f"{prefix}.weight_ih_l{layer}"])


def test_units_are_compared_by_correlation(page):
    heard, path = page
    [answer] = ask(path, [{"changes": {}, "tell": ["h", "chain", "like"]}])
    h = np.array(answer["h"])
    r = np.corrcoef(h.T)
    assert sorted(answer["chain"]) == list(range(h.shape[1]))
    assert answer["chain"][1] == np.abs(r[0] - np.eye(len(r))[0]).argmax()
    for other in answer["like"]:
        assert abs(other["r"] - r[3, other["unit"]]) < 1e-12


def test_what_if_a_gate_is_held_or_a_unit_is_silent(page):
    heard, path = page
    for cell, (prefix, layer) in enumerate(cell_names(heard)):
        H = heard.checkpoint.state[f"{prefix}.weight_hh_l{layer}"].shape[1]
        bias = f"{prefix}.bias_ih_l{layer}"

        def hold(state, rows, value, bias=bias):
            state[bias][rows] = value

        changes = [{"f": 0}, {"f": 1}, {"silent": 5}]
        answers = ask(path, [{"changes": {"held": {cell: held}}} for held in changes])
        same(answers[0], altered(heard, lambda state: hold(state, slice(H, 2 * H), SHUT)))
        same(answers[1], altered(heard, lambda state: hold(state, slice(H, 2 * H), OPEN)))
        same(answers[2], altered(heard, lambda state: hold(state, 3 * H + 5, SHUT)))


def test_what_if_attention_is_even_and_a_weight_edited(page):
    heard, path = page
    last = heard.checkpoint.config.lstms[-1]
    name = f"{last}.weight_hh_l0"
    edit = {"name": name, "index": 7, "value": 2.5}
    even, edited = ask(path, [{"changes": {"evenAttention": True}}, {"changes": {"edit": edit}}])

    def flatten(state):
        state["attention_vector"][...] = 0

    def write(state):
        state[name].reshape(-1)[7] = 2.5

    same(even, altered(heard, flatten))
    close(even["attention"], np.full(len(heard.x), 1 / len(heard.x)))
    same(edited, altered(heard, write))


def test_what_if_frames_are_removed(page):
    heard, path = page
    [answer] = ask(path, [{"changes": {"removed": [3, 20]}}])
    same(answer, altered(heard, x=np.delete(heard.x, [3, 20], axis=0)))


def without_path(heard, shortcut):
    """Logits and attention by the layers themselves, with one of the two terms of (R1) alone."""
    tensors = heard.model.tensors

    def lstm(prefix, x):
        for layer in range(heard.checkpoint.config.num_layers):
            x, _, _ = lstm_forward(x, LSTMParams(*(tensors[name] for name in lstm_names(prefix, layer))))
        return x

    def normalise(name, x):
        parts = ("weight", "bias", "running_mean", "running_var")
        return batchnorm_frozen(x, *(tensors[f"{name}.{part}"] for part in parts))[0]

    x = heard.x[:, None]
    z = lstm("lstm2", normalise("bn_residual", x if shortcut else lstm("lstm1", x)))
    context, cache = attention_forward(z, tensors["attention_vector"], tensors.get("head_combine.weight"))
    logits = linear_forward(normalise("bn", context), tensors["fc.weight"], tensors["fc.bias"])
    return logits[0], cache.alpha[:, 0]


def test_what_if_there_is_no_residual_connection(page):
    heard, path = page
    if heard.checkpoint.config.kind == "lstm-sa":
        return
    answers = ask(path, [{"changes": {"noShortcut": True}}, {"changes": {"noFirst": True}}])
    for answer, shortcut in zip(answers, (False, True)):
        logits, attention = without_path(heard, shortcut)
        close(answer["logits"], logits)
        close(answer["attention"], attention)


def test_what_if_the_sound_is_louder(page):
    """Equal to 1e-12 as the bands have it; to 1.6e-5 of a z-score what the scaled samples give in float32."""
    heard, path = page
    gains = [-40.0, -6.0, 12.5, 40.0]
    answers = ask(path, [{"changes": {"gain": gain}, "tell": ["x"]} for gain in gains])
    for gain, answer in zip(gains, answers):
        x = features_of(heard.frames, heard.checkpoint, gain)
        same(answer, altered(heard, x=x))
        first, last = heard.heard
        scaled = heard.samples[first:last] * np.float32(10 ** (gain / 20))
        direct = features_of(frames_of(scaled, heard.checkpoint.features), heard.checkpoint)
        close(answer["x"], direct, 1e-4)


def test_what_if_ends_are_cut(page):
    heard, path = page
    config = heard.checkpoint.features
    assert len(heard.cuts) >= 2
    answers = ask(path, [{"changes": {"cut": k}, "tell": ["x"]} for k in range(len(heard.cuts))])
    for cut, answer in zip(heard.cuts, answers):
        mel, chroma = (part[cut.first : cut.last].copy() for part in heard.frames)
        missing = cut.last - cut.first - len(mel)
        mel, chroma = (np.append(part, part[-1:].repeat(missing, axis=0), axis=0) for part in (mel, chroma))
        mel[cut.changed], chroma[cut.changed] = cut.frames
        same(answer, altered(heard, x=features_of(Frames(mel, chroma), heard.checkpoint)))
        # a causal clip of whole hops begins with sample first * hop; the frame that reaches before it differs
        if config.framing == "causal":
            y = heard.samples[cut.first * config.hop_length : cut.last * config.hop_length]
            direct = features_of(frames_of(y, config), heard.checkpoint)
            close(answer["x"], direct, 2e-5)
            assert len(cut.changed) <= 1


def test_changes_add_up(page):
    heard, path = page
    changes = {"gain": -10, "removed": [11], "evenAttention": True, "held": {0: {"f": 0}}}
    [answer] = ask(path, [{"changes": changes}])
    prefix, layer = cell_names(heard)[0]
    H = heard.checkpoint.state[f"{prefix}.weight_hh_l{layer}"].shape[1]

    def change(state):
        state["attention_vector"][...] = 0
        state[f"{prefix}.bias_hh_l{layer}"][H : 2 * H] = SHUT

    x = np.delete(features_of(heard.frames, heard.checkpoint, -10.0), 11, axis=0)
    same(answer, altered(heard, change, x))


def test_sound_of_the_page(page):
    """Mu-law of 8 bits: 38 dB above its noise at any level; achieved 37.6 dB here."""
    heard, path = page
    [answer] = ask(path, [{"changes": {}, "tell": ["sound"]}])
    played = np.array(answer["sound"])
    assert len(played) == len(mu_law(heard.sound))
    noise = np.mean((played - heard.sound) ** 2) / np.mean(heard.sound**2)
    assert -45 < 10 * np.log10(noise) < -35
