"""The integer frontend: near the float one, within 32 bits for any samples, the same in pieces as whole."""

import dataclasses
import doctest

import numpy as np
import pytest
from c_models import checkpoint
from integer_sounds import RATE, extremes, ordinary

from npreslstm import integer_recognizer
from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.features import extract_features
from npreslstm.audio.spectrum import Framer
from npreslstm.checkpoint import load_checkpoint
from npreslstm.errors import InputError
from npreslstm.integer import fixed_point, frontend, frontend_tables
from npreslstm.integer.quantize import QuantizedModel
from npreslstm.integer_recognizer import IntegerRecognizer
from npreslstm.layers.activations import softmax

MCU = FeatureConfig.named("mcu")
TABLES = frontend_tables.tables(MCU)
COSINE = TABLES.cosine.astype(np.int64)
SMALL = dataclasses.replace(MCU, n_fft=256, hop_length=128, n_mels=32, n_mfcc=20, n_chroma=24, floor_db=-60.0)
ALL = {**extremes(), **ordinary()}


def frames_of(pcm, config=MCU):
    framer = Framer(config.n_fft, config.hop_length, config.framing, np.int16)
    return np.concatenate((framer.push(pcm), framer.flush())).astype(np.int64)


def fits(v, bits):
    """Whether integers fit a signed type of so many bits."""
    return -(2 ** (bits - 1)) <= v.min() and v.max() < 2 ** (bits - 1)


# Seen, in steps of 2^-11 standard deviations of the network's input: MFCC 2 and chroma 1 at most, 0.25 in the
# mean; of the chirp 27 and 1.1.
@pytest.mark.parametrize("name", ordinary())
def test_it_is_near_the_float_frontend(name):
    made = load_checkpoint("mcu")
    quantized = QuantizedModel.from_checkpoint(made)
    pcm = ordinary()[name]
    z = (extract_features(pcm, RATE, MCU) - made.mean) / made.std
    by_float = quantized.quantize(z).astype(int)
    statistics = frontend_tables.statistics(made, quantized.x_bits)
    step = np.abs(frontend.z_score(frontend.features_of_clip(pcm, MCU), statistics) - by_float)
    assert step[:, 34:].max() <= 4
    assert step[:, :34].max() <= (100 if name == "chirp" else 10)
    assert step.mean() <= (5 if name == "chirp" else 1)


@pytest.mark.parametrize("config", [MCU, SMALL], ids=["mcu", "small"])
def test_raw_features_are_those_of_floats(config):
    """In units: MFCC in decibels, chroma from 0 to 1. Seen: 0.0063 dB, 1.8e-4."""
    units = frontend_tables.units(config)
    for name in ("speech", "speech in noise", "noise"):
        pcm = ordinary()[name]
        difference = np.abs(
            frontend.features_of_clip(pcm, config) * units - extract_features(pcm, RATE, config)
        )
        assert difference[:, : config.n_mfcc].max() < 0.03
        assert difference[:, config.n_mfcc :].max() < 3e-4


@pytest.mark.parametrize("name", ALL)
def test_every_step_fits_32_bits(name):
    """The bounds of docs/frontend.md, on inputs that come near them."""
    z, up = frontend.window(frames_of(ALL[name]), COSINE)
    assert fits(z, 32) and np.abs(z).max() <= 2**30 and up.min() >= -1 and up.max() <= 30
    re, im = frontend.transform(z[:, ::2], z[:, 1::2], COSINE)
    assert fits(re, 32) and fits(im, 32)
    re, im = frontend.spectrum(re, im, COSINE)
    assert fits(re, 32) and fits(im, 32)
    mantissa, exponent = frontend.power(re, im)
    assert 0 <= mantissa.min() and mantissa.max() < 2**31 and 0 <= exponent.min() and exponent.max() <= 32
    levels = frontend.log_mel(mantissa, exponent, TABLES.unit - 2 * up, TABLES)
    assert levels.min() >= TABLES.floor and levels.max() < 40 * 2**16
    assert fits(frontend.cepstrum(levels, 34, COSINE), 32)
    chroma = frontend.chroma(mantissa, exponent, TABLES)
    assert chroma.min() >= 0 and chroma.max() in (0, 2**30)
    assert (chroma.max(axis=1) == 2**30)[mantissa.max(axis=1) > 0].all()


def test_the_transform_never_outgrows_its_input():
    """Inputs that add up in one bin: all numbers of the largest size, in phase with it."""
    H = MCU.n_fft // 2
    n = np.arange(H)
    largest = 2.0**30 * np.sqrt(2)
    for k in (0, 1, 37, H // 4, H // 2, H - 1):
        wave = np.exp(2j * np.pi * (k * n / H + 1 / 8))
        re, im = (np.where(part < 0, -(2**30), 2**30)[None] for part in (wave.real, wave.imag))
        for size in 2 ** np.arange(1, 10):
            cosine = frontend_tables.cosine_table(2 * size).astype(np.int64)
            out = frontend.transform(re[:, :size], im[:, :size], cosine)
            assert max(np.abs(part).max() for part in out) <= largest * 1.001 < 2**31


def test_the_spectrum_is_that_of_numpy():
    """Largest difference over the largest magnitude: 2.8e-5 was seen, the cosines' 16 bits."""
    for name in ("speech", "noise", "signs", "constant, lowest"):
        frames = frames_of(ALL[name])
        z, _ = frontend.window(frames, COSINE)
        found = frontend.spectrum(*frontend.transform(z[:, ::2], z[:, 1::2], COSINE), COSINE)
        expected = np.fft.rfft(z) / MCU.n_fft
        difference = np.abs(found[0] + 1j * np.abs(found[1]) - expected.real - 1j * np.abs(expected.imag))
        assert difference.max() < 1e-4 * np.abs(expected).max()


def test_sums_of_weights_leave_room():
    """What bounds (I9), (I11) and (I12) for all samples."""
    at = 0
    for count in TABLES.mel_count.tolist():
        assert 65000 < TABLES.mel_weights[at : at + count].astype(int).sum() <= 65535 < 2**32 / 2**16
        at += count
    assert at == len(TABLES.mel_weights)
    assert frontend.half(np.int64(2**22), TABLES.chroma_bank().max(axis=1)).sum() < 2**31
    most = max(-TABLES.floor, 40 * 2**16) << (frontend.CEPSTRUM_BITS + 1)
    assert MCU.n_mels // 2 * (frontend.half(most, 32768) + 1) < 2**31
    assert frontend_tables.LOWEST_FLOOR / frontend_tables.DECIBELS > -40


def test_the_logarithm():
    v = np.concatenate((np.arange(1, 5000), 2 ** np.arange(33) - 1, 2 ** np.arange(32)))
    v = v[(v > 0) & (v < 2**32)]
    # Achieved: 2.0 steps; the table's last entry is one short.
    assert np.abs(frontend.log2(v, TABLES.log2) - 65536 * np.log2(v)).max() < 3
    assert frontend.log2(np.array([0]), TABLES.log2)[0] == 0


def test_silence_is_the_floor_and_no_pitch():
    features = frontend.features_of_clip(np.zeros(2000, np.int16), MCU)
    floor = extract_features(np.zeros(2000, np.int16), RATE, MCU)[0, 0]
    assert features[0, 0] * frontend_tables.units(MCU)[0] == pytest.approx(floor, abs=1e-3)
    assert (features[:, 34:] == 0).all() and np.abs(features[:, 1:34]).max() <= 32 * 33  # of roundings


def test_pieces_give_what_the_whole_gives():
    pcm = ALL["speech in noise"][:7777]
    whole = frontend.features_of_clip(pcm, MCU)
    assert whole.shape == (-(-7777 // 512), 46) and whole.dtype == np.int32
    rng, stream, start, rows = np.random.default_rng(3), frontend.IntegerFrontend(MCU), 0, []
    stream.push(pcm[:100])
    stream.reset()
    while start < len(pcm):
        size = int(rng.choice([0, 1, 2, 511, 512, 513, 2000]))
        rows.append(stream.push(pcm[start : start + size]))
        start += size
    rows.append(stream.flush())
    assert np.array_equal(np.concatenate(rows), whole)
    assert np.array_equal(np.concatenate((stream.push(pcm), stream.flush())), whole)
    assert stream.flush().shape == (0, 46)


def test_many_frames_give_what_one_gives(monkeypatch):
    pcm = ALL["speech"]
    whole = frontend.features_of_clip(pcm, MCU)
    monkeypatch.setattr(frontend, "FRAMES_AT_ONCE", 5)
    assert np.array_equal(frontend.features_of_clip(pcm, MCU), whole)


def test_other_types_of_samples_are_rounded_to_16_bits():
    pcm = ALL["speech"]
    expected = frontend.features_of_clip(pcm, MCU)
    stream = frontend.IntegerFrontend(MCU)
    for samples in (pcm / 32768, np.stack((pcm, pcm), axis=1), pcm.astype(np.int32) << 16):
        assert np.array_equal(np.concatenate((stream.push(samples), stream.flush())), expected)


@pytest.mark.parametrize("x_bits", [9, 11, 15])
def test_z_scores_are_those_of_floats(x_bits):
    made = checkpoint("h64")
    units = frontend_tables.units(MCU)
    statistics = frontend_tables.statistics(made, x_bits)
    features = frontend.features_of_clip(ALL["speech"], MCU)
    exact = (features * units - made.mean) / made.std * 2.0**x_bits
    found = frontend.z_score(features, statistics)
    assert found.dtype == np.int16
    expected = np.clip(exact, -32768, 32767)
    # The multiplier has 15 bits: 3e-5 of the feature's part, and a step for rounding.
    part = np.abs(features * units / made.std) * 2.0**x_bits
    assert (np.abs(found - expected) <= 1 + 4e-5 * part).all()


def test_z_scores_of_any_integer_saturate():
    statistics = frontend_tables.statistics(checkpoint("h64"), 11)
    lowest, highest = (np.full((1, 46), v, np.int32) for v in (-(2**31), 2**31 - 1))
    assert (frontend.z_score(lowest, statistics)[:, :34] == -32768).all()
    assert (frontend.z_score(highest, statistics)[:, :34] == 32767).all()
    for features in (lowest, highest):
        product = frontend.half(features.astype(np.int64), statistics.multiplier)
        assert fits(product + statistics.offset, 32)


@pytest.mark.parametrize(
    ("field", "value"), [("std", 1e-6), ("std", 1e-300), ("mean", 1e9), ("mean", -1e300)]
)
def test_absurd_statistics_are_refused(field, value):
    made = checkpoint("h64")
    values = getattr(made, field).copy()
    values[3] = value
    with pytest.raises(InputError, match=r"feature 3 has mean .* std .*: out of range"):
        frontend_tables.statistics(dataclasses.replace(made, **{field: values}), 11)
    with pytest.raises(InputError, match="no statistics"):
        frontend_tables.statistics(dataclasses.replace(made, mean=None), 11)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"framing": "centered"}, "samples still to come"),
        ({"tuning": None}, "samples still to come"),
        ({"n_fft": 2048}, "n_fft is 2048"),
        ({"n_fft": 1000}, "n_fft is 1000"),
        ({"n_mels": 128}, "n_mels is 128; expected 2 to 64"),
        ({"floor_db": -130.0}, "floor_db is -130"),
        ({"n_chroma": 13}, "n_chroma is 13"),
    ],
)
def test_other_features_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        frontend.IntegerFrontend(dataclasses.replace(MCU, **changes))


def test_probabilities():
    rng = np.random.default_rng(0)
    logits = (65536 * rng.normal(size=(200, 8)) * rng.uniform(0, 6, (200, 1))).astype(np.int32)
    found = fixed_point.softmax(logits)
    assert found.dtype == np.uint16
    # Achieved: 5.7e-5; a step is 3.1e-5.
    assert np.abs(found / 32768 - softmax(logits / 65536.0)).max() < 1e-4
    extreme = np.array([[2**31 - 1, -(2**31), 0], [-(2**31)] * 3], np.int64)
    assert fixed_point.softmax(extreme).tolist() == [[32768, 0, 0], [10923, 10923, 10923]]


def test_the_recognizer_hears_in_integers():
    made, pcm = load_checkpoint("mcu"), ALL["speech"]
    recognizer = IntegerRecognizer(made)
    heard = recognizer.process_signal(pcm, RATE)
    quantized = recognizer.quantized
    features = frontend.features_of_clip(pcm, MCU)
    x = frontend.z_score(features, frontend_tables.statistics(made, quantized.x_bits))
    expected = fixed_point.softmax(quantized.infer_integer(x[None], [len(x)]))[0] / 32768
    assert np.array_equal(list(heard.probabilities.values()), expected)
    assert heard.attention.sum() == pytest.approx(1) and len(heard.attention) == len(x)
    with pytest.raises(InputError, match="the integer frontend cannot compute"):
        IntegerRecognizer("paper")


@pytest.mark.parametrize("module", [frontend, integer_recognizer])
def test_the_examples(module):
    failed, attempted = doctest.testmod(module)
    assert failed == 0 < attempted
