"""The engine of the explaining page, under Node: it computes what NumPy does in float64, whatever a reader
changes. The other side of each change is a run of the reference on altered weights or features.
"""

import dataclasses

import numpy as np
import pytest
from explain_pages import NETWORKS, ask, make_page, node

from npreslstm.explain.frames import Frames, features_of, frames_of
from npreslstm.layers.activations import softmax
from npreslstm.layers.attention import attention_forward
from npreslstm.layers.batchnorm import batchnorm_frozen
from npreslstm.layers.dense import linear_forward
from npreslstm.layers.lstm import LSTMParams, lstm_forward
from npreslstm.schema import lstm_names

pytestmark = pytest.mark.filterwarnings("ignore::npreslstm.recognizer.RecognitionWarning")

OPEN, SHUT = 1e4, -1e4  # biases that hold a gate at 1 and at 0, exactly
GAINS = [-40.0, -6.0, 12.5, 40.0]  # dB


def queries(heard):
    """All that is asked of one page, by name."""
    last = f"{heard.checkpoint.config.lstms[-1]}.weight_hh_l0"
    asked = {
        "plain": {
            "changes": {},
            "tell": ["x", "cells", "said", "running", "h", "chain", "like", "sound"],
        },
        "even": {"changes": {"evenAttention": True}},
        "edited": {"changes": {"edit": {"name": last, "index": 7, "value": 2.5}}},
        "removed": {"changes": {"removed": [3, 20]}},
        "noShortcut": {"changes": {"noShortcut": True}},
        "noFirst": {"changes": {"noFirst": True}},
        "together": {
            "changes": {"gain": -10, "removed": [11], "evenAttention": True, "held": {0: {"f": 0}}},
        },
    }
    for cell, _ in enumerate(layers(heard)):
        for name, held in (("f = 0", {"f": 0}), ("f = 1", {"f": 1}), ("silent", {"silent": 5})):
            asked[f"{name} in {cell}"] = {"changes": {"held": {cell: held}}}
    asked |= {f"{gain} dB": {"changes": {"gain": gain}, "tell": ["x"]} for gain in GAINS}
    return asked | {f"cut {k}": {"changes": {"cut": k}, "tell": ["x"]} for k, _ in enumerate(heard.cuts)}


@pytest.fixture(scope="module", params=list(NETWORKS))
def page(request, tmp_path_factory):
    """(hearing, answers) of the demo clip under one network."""
    node()
    heard, path = make_page(request.param, tmp_path_factory.mktemp("pages"))
    asked = queries(heard)
    return heard, dict(zip(asked, ask(path, list(asked.values())), strict=True))


def layers(heard):
    """(prefix, layer) of each LSTM layer, in the page's order."""
    config = heard.checkpoint.config
    return [(prefix, layer) for prefix in config.lstms for layer in range(config.num_layers)]


def close(answer, expected, tolerance=1e-12):
    """To 1e-12; achieved 2e-13 for features, 4e-14 for logits, 7e-15 for gates and gradients."""
    np.testing.assert_allclose(np.array(answer), expected, rtol=0, atol=tolerance)


def altered(heard, change=lambda state: None, x=None):
    """(logits, attention, dx, gradients, cache) of a run with other weights or features; the gradients are of
    the label's probability.
    """
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


def test_everything_equals_numpy(page):
    heard, answers = page
    answer, expected = answers["plain"], altered(heard)
    same(answer, expected)
    close(answer["x"], heard.x)
    close(answer["said"], heard.logits)
    close(answer["running"], heard.running_probabilities())
    for cell, (prefix, layer) in zip(answer["cells"], layers(heard), strict=True):
        cache = expected[4].lstms[prefix][layer]
        for name in "ifgoch":
            close(cell[name], getattr(cache, name)[:, 0])
        close(cell["dW_hh"], expected[3][f"{prefix}.weight_hh_l{layer}"])
        close(cell["dW_ih"], expected[3][f"{prefix}.weight_ih_l{layer}"])


def test_units_are_compared_by_correlation(page):
    _, answers = page
    answer = answers["plain"]
    r = np.corrcoef(np.array(answer["h"]).T)
    assert sorted(answer["chain"]) == list(range(len(r)))
    assert answer["chain"][1] == abs(r[0] - np.eye(len(r))[0]).argmax()
    for other in answer["like"]:
        assert abs(other["r"] - r[3, other["unit"]]) < 1e-13  # achieved 2e-15


def test_what_if_a_gate_is_held_or_a_unit_is_silent(page):
    heard, answers = page
    for cell, (prefix, layer) in enumerate(layers(heard)):
        H = heard.checkpoint.state[f"{prefix}.weight_hh_l{layer}"].shape[1]
        for name, rows, bias in (
            ("f = 0", slice(H, 2 * H), SHUT),
            ("f = 1", slice(H, 2 * H), OPEN),
            ("silent", 3 * H + 5, SHUT),
        ):
            change = _bias(f"{prefix}.bias_ih_l{layer}", rows, bias)
            same(answers[f"{name} in {cell}"], altered(heard, change))


def _bias(name, rows, value):
    """A change of a state: these biases hold a gate."""

    def change(state):
        state[name][rows] = value

    return change


def test_what_if_attention_is_even_or_a_weight_edited(page):
    heard, answers = page
    name = f"{heard.checkpoint.config.lstms[-1]}.weight_hh_l0"

    def flatten(state):
        state["attention_vector"][...] = 0

    def write(state):
        state[name].reshape(-1)[7] = 2.5

    same(answers["even"], altered(heard, flatten))
    close(answers["even"]["attention"], np.full(len(heard.x), 1 / len(heard.x)))
    same(answers["edited"], altered(heard, write))


def test_what_if_frames_are_removed(page):
    heard, answers = page
    same(answers["removed"], altered(heard, x=np.delete(heard.x, [3, 20], axis=0)))


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
    heard, answers = page
    if heard.checkpoint.config.kind == "lstm-sa":  # which has none: nothing changes
        close(answers["noShortcut"]["logits"], heard.logits)
        return
    for name, shortcut in (("noShortcut", False), ("noFirst", True)):
        logits, attention = without_path(heard, shortcut)
        close(answers[name]["logits"], logits)
        close(answers[name]["attention"], attention)


def test_what_if_the_sound_is_louder(page):
    """As the bands have it to 1e-12; as the scaled samples give in float32 to 1e-4 of a z-score, achieved
    1.6e-5.
    """
    heard, answers = page
    first, last = heard.heard
    for gain in GAINS:
        answer = answers[f"{gain} dB"]
        same(answer, altered(heard, x=features_of(heard.frames, heard.checkpoint, gain)))
        scaled = heard.samples[first:last] * np.float32(10 ** (gain / 20))
        direct = features_of(frames_of(scaled, heard.checkpoint.features), heard.checkpoint)
        close(answer["x"], direct, 1e-4)


def test_what_if_ends_are_cut(page):
    """As the cut samples give, to the rounding of their spectra in float32; achieved 4e-6."""
    heard, answers = page
    config = heard.checkpoint.features
    assert len(heard.cuts) >= 2
    for k, cut in enumerate(heard.cuts):
        answer = answers[f"cut {k}"]
        same(answer, altered(heard, x=features_of(_cut_frames(heard, cut), heard.checkpoint)))
        first, last = (heard.heard[0] + end for end in cut.samples)
        direct = features_of(frames_of(heard.samples[first:last], config), heard.checkpoint)
        close(answer["x"], direct, 2e-5)
        if config.framing == "causal":  # only the first frame reaches before the cut
            assert max(map(len, cut.changed)) <= 1


def _cut_frames(heard, cut):
    """The frames of a cut clip, put together as the page does."""
    T = cut.last - cut.first
    parts = []
    for whole, numbers, rows in zip(heard.frames, cut.changed, cut.frames):
        kept = np.zeros((T, whole.shape[1]), whole.dtype)
        part = whole[cut.first : cut.last]
        kept[: len(part)] = part
        kept[numbers] = rows
        parts.append(kept)
    return Frames(*parts)


def test_changes_add_up(page):
    heard, answers = page
    prefix, layer = layers(heard)[0]
    H = heard.checkpoint.state[f"{prefix}.weight_hh_l{layer}"].shape[1]

    def change(state):
        state["attention_vector"][...] = 0
        state[f"{prefix}.bias_hh_l{layer}"][H : 2 * H] = SHUT

    x = np.delete(features_of(heard.frames, heard.checkpoint, -10.0), 11, axis=0)
    same(answers["together"], altered(heard, change, x))


def test_sound_of_the_page(page):
    """Mu-law in 8 bits: achieved 37.6 dB above its noise."""
    heard, answers = page
    played = np.array(answers["plain"]["sound"])
    assert len(played) == len(heard.sound)
    noise = np.mean((played - heard.sound) ** 2) / np.mean(heard.sound**2)
    assert -40 < 10 * np.log10(noise) < -36
