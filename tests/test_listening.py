"""Listener with windows that overlap: what it says of a long utterance is what a fresh network says of just
those frames.
"""

import math
import pickle

import numpy as np
import pytest
from c_models import checkpoint as quantizable
from samples import checkpoint, voice

from npreslstm.audio.activity import as_pcm
from npreslstm.audio.config import FEATURE_CONFIGS
from npreslstm.audio.decimation import Decimator
from npreslstm.audio.streaming import StreamingFeatures
from npreslstm.errors import InputError
from npreslstm.integer import fixed_point, frontend_tables
from npreslstm.integer.frontend import IntegerFrontend, z_score
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.layers.activations import softmax
from npreslstm.listening import LEAD, PERIOD, WINDOW, EventKind, Listener, overlap_hops
from npreslstm.streaming import StreamingResLSTM
from npreslstm.streaming_recognizer import StreamingRecognizer

OVERLAPS = (0.0, 0.032, 4.96)  # 0, 1, 155 hops


def talk(*lengths, rate=16000):
    """Utterances of so many seconds, with silence of a second around each: (n,) int16."""
    quiet = 1e-4 * np.random.default_rng(3).standard_normal(rate).astype(np.float32)
    parts = [quiet]
    for seed, seconds in enumerate(lengths):
        parts += [np.resize(voice(2.5, rate, seed=seed), round(seconds * rate)), quiet]
    return as_pcm(np.concatenate(parts))


PCM = talk(27.0)  # two new windows with half a window of overlap, and part of a third


def events_of(listener, pcm, size=None):
    size = size or len(pcm)
    heard = [event for at in range(0, len(pcm), size) for event in listener.push(pcm[at : at + size])]
    return heard + listener.finish()


def assert_same(found, expected):
    """In every bit."""
    assert [event[:3] for event in found] == [event[:3] for event in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.probabilities, other.probabilities)


@pytest.fixture(scope="module")
def weights():
    return checkpoint(FEATURE_CONFIGS["mcu"])


def float_answer(made, pcm):
    """`answer(first, last)`: the probabilities of a network that was given just these frames."""
    features = StreamingFeatures(made.features).push(Decimator(16000).push(pcm))
    x = (features - made.mean.astype(np.float32)) * (1 / made.std).astype(np.float32)

    def answer(first, last):
        network = StreamingResLSTM(made.model())
        network.push(x[first:last])
        p = softmax(network.result()[None])[0]
        whole = softmax(made.model().infer(x[None, first:last], [last - first])[0])[0]
        np.testing.assert_allclose(whole, p, rtol=0, atol=1e-6)  # 1.8e-7
        return p

    return answer


def integer_answer(made, pcm):
    quantized = QuantizedModel.from_checkpoint(made)
    features = IntegerFrontend(made.features).push(Decimator(16000).push(pcm))
    x = z_score(features, frontend_tables.statistics(made, quantized.x_bits))

    def answer(first, last):
        state = quantized.start(1)
        for frame in x[first:last]:
            quantized.step(frame[None], state)
        return fixed_point.softmax(quantized.logits(quantized.context(state)))[0]

    return answer


def mixed(arithmetic, before, now, n):
    if arithmetic == "integer":
        return np.floor((PERIOD * 1.0 * before + n * 1.0 * now) / (n + PERIOD) + 0.5).astype(np.uint16)
    return before + np.float32(n / (n + PERIOD)) * (now - before)


def results(arithmetic, answer, first, last, K):
    """[(hop, probabilities)] of the utterance of the hops from `first` to `last`, by the equations."""
    told, before, since = [], None, 0
    for t in range(1, last - first + 1):
        since, end = since + 1, t == last - first
        if since == PERIOD or end:
            m = max(0, math.ceil((t - WINDOW) / (WINDOW - K)))
            p = answer(first + m * (WINDOW - K), first + t)
            if before is not None and not (end and m == 0):
                p = mixed(arithmetic, before, p, since)
            told.append((last if end else first + t - 1, p))
            before, since = p, 0
    return told


@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("arithmetic", ["float32", "integer"])
def test_a_fresh_network_says_the_same_of_these_frames(weights, arithmetic, overlap):
    made = weights if arithmetic == "float32" else quantizable("h32")
    found = events_of(Listener(made, 16000, arithmetic, overlap), PCM)
    start, *told = found
    assert start.kind is EventKind.START and told[-1].kind is EventKind.END
    answer = (float_answer if arithmetic == "float32" else integer_answer)(made, PCM)
    K = overlap_hops(overlap)
    expected = results(arithmetic, answer, start.hop - LEAD, told[-1].hop, K)
    assert [event.hop for event in told] == [hop for hop, _ in expected]
    assert told[-1].hop - start.hop + LEAD > 2 * WINDOW + PERIOD
    for event, (_, p) in zip(told, expected, strict=True):
        np.testing.assert_array_equal(event.probabilities, p)


@pytest.mark.parametrize(("rate", "overlap"), [(16000, 7.0), (44100, 4.96), (48000, 0.032)])
def test_blocks_of_any_size(weights, rate, overlap):
    """Silence between utterances that are longer and shorter than a window; the last ends with the sound."""
    pcm = talk(12.0, 0.5, 16.0, rate=rate)[: -rate // 2]
    whole = events_of(Listener(weights, rate, overlap=overlap), pcm)
    kinds = [event.kind for event in whole]
    assert kinds.count(EventKind.START) == kinds.count(EventKind.END) == 3
    assert kinds.count(EventKind.RESULT) > 2 * WINDOW // PERIOD
    listener = Listener(weights, rate, overlap=overlap)
    for size in (997, 40_000):
        assert_same(events_of(listener, pcm, size), whole)  # and it is ready for another recording


def test_when_there_are_events_does_not_depend_on_it(weights):
    pcm = talk(12.0, 3.0, 16.0)
    apart, *others = (events_of(Listener(weights, 16000, overlap=overlap), pcm) for overlap in OVERLAPS)
    for other in others:
        assert [event[:2] for event in other] == [event[:2] for event in apart]
        first_new = next(k for k, event in enumerate(apart) if event.hop > apart[0].hop - LEAD + WINDOW)
        assert_same(other[:first_new], apart[:first_new])
        assert not np.array_equal(other[first_new].probabilities, apart[first_new].probabilities)
        short = [k for k, event in enumerate(apart) if event.kind is EventKind.START][1]
        end = next(k for k in range(short, len(apart)) if apart[k].kind is EventKind.END)
        assert_same(other[short : end + 1], apart[short : end + 1])  # heard in one window


def test_memory_is_constant(weights):
    """Of what a listener keeps: as much after 24 s as after 12."""
    listener, sizes = Listener(weights, 16000, overlap=4.96), []
    for part in np.split(PCM[: 24 * 16000], [12 * 16000]):
        listener.push(part)
        sizes.append(len(pickle.dumps(listener)))
    assert sizes[0] > 155 * 46 * 4 and abs(sizes[1] - sizes[0]) < 300


def test_a_streaming_recognizer_passes_it_on(weights):
    expected = events_of(Listener(weights, 16000, overlap=4.96), PCM)
    recognizer = StreamingRecognizer(weights, overlap=4.96)
    seconds = [*recognizer.push(PCM), *recognizer.finish()]
    assert_same([event for second in seconds for event in second.events], expected)
    apart = StreamingRecognizer(weights).push(PCM)
    same = [one.probabilities == other.probabilities for one, other in zip(apart, seconds)]
    assert same.index(False) == 11  # the first result of a second window


@pytest.mark.parametrize(
    "overlap", [-0.001, 9.92, 1e308, 10**400, float("nan"), float("inf"), "5", None, True, [5]]
)
def test_other_overlaps_are_refused(weights, overlap):
    for kind in (lambda: Listener(weights, 16000, overlap=overlap), lambda: overlap_hops(overlap)):
        with pytest.raises(
            InputError, match=r"overlap is .*; expected seconds from 0 to less than 9.92"
        ) as e:
            kind()
        assert len(str(e.value)) < 140


@pytest.mark.parametrize(
    ("overlap", "hops"),
    [(0, 0), (-0.0, 0), (0.015, 0), (0.017, 1), (4.96, 155), (np.float32(4.96), 155), (9.919, 309)],
)
def test_it_is_a_number_of_hops(overlap, hops):
    assert overlap_hops(overlap) == hops


def test_all_but_one_hop(weights):
    """The longest overlap: each new frame begins a window."""
    pcm = talk(11.0)
    start, *told = events_of(Listener(weights, 16000, overlap=9.888), pcm)
    answer, first = float_answer(weights, pcm), start.hop - LEAD
    expected = results("float32", answer, first, told[-1].hop, WINDOW - 1)
    assert [event.hop for event in told] == [hop for hop, _ in expected]
    for event, (_, p) in zip(told, expected, strict=True):
        np.testing.assert_array_equal(event.probabilities, p)
