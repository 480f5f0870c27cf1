"""What the self-test of an exported folder compares with: a piece of sound, and everything that NumPy makes
of it and of features.

The sound proves the frontend and the way through it to the probabilities. The features prove the network, in
every bit where it is one of integers: they go further than sound does, so that integers saturate.
"""

import numpy as np

from npreslstm.audio import activity
from npreslstm.audio.decimation import Decimator
from npreslstm.audio.features import extract_features
from npreslstm.errors import InputError
from npreslstm.integer import fixed_point, frontend, frontend_tables
from npreslstm.layers.activations import softmax
from npreslstm.listening import Listener
from npreslstm.ports import c_tables, c_text
from npreslstm.streaming import StreamingResLSTM

FRAMES, SEED = 24, 6
SOUND_HOPS = 12
# How loud each hop of the gate's noise is, of 256: silence, noise, a loud part, a click, noise that stays
# louder, the end.
LOUDNESS = (0, 0, 0, *[2] * 9, *[24] * 7, *[3] * 2, *[2] * 11, 256, *[2] * 6, *[4] * 3, *[3] * 5)
LOUDNESS += (*[6] * 30, 0, 1, 200, 200)
# The stream's: two utterances, with a pause between them that is longer than its hangover.
SPOKEN = (*LOUDNESS, *[0] * 24, *LOUDNESS[:20])
RATE_SAMPLES = 600  # for each rate conversion: noise with a constant, at full scale in its middle
# The network of integers has none. Its probabilities from sound have a larger one: a feature may be rounded
# to the next integer.
TOLERANCES = {"float32": {"": 1e-5, "PROBABILITY_": 2e-6}, "int8": {"": 0.0, "PROBABILITY_": 1e-3}}
SOUND_TOLERANCES = {"MFCC_": 5e-4, "CHROMA_": 5e-6}


def statistics(checkpoint):
    """mean and 1 / std, float32; 0 and 1 where the checkpoint has none: then C takes what it is given as
    z-scored.
    """
    D = checkpoint.config.input_size
    mean = np.zeros(D) if checkpoint.mean is None else checkpoint.mean
    std = np.ones(D) if checkpoint.std is None else checkpoint.std
    with np.errstate(over="ignore"):
        mean, inverse_std = mean.astype(np.float32), (1 / std).astype(np.float32)
    if not (np.isfinite(mean).all() and np.isfinite(inverse_std).all()):
        raise InputError(
            f"a mean or 1 / std of the features exceeds float32: the smallest std is {std.min():g}"
        )
    return mean, inverse_std


def z_score(checkpoint, features):
    """Features (T, D) float32 as the network takes them, in the arithmetic of C."""
    mean, inverse_std = statistics(checkpoint)
    return (features - mean) * inverse_std


def random_features(checkpoint):
    """Raw features (FRAMES, D) float32.

    Slow random walks about the mean; every sixth frame is ten times as far from it, so that integers
    saturate.
    """
    rng = np.random.default_rng(SEED)
    z = rng.normal(size=(FRAMES, checkpoint.config.input_size))
    for before, row in zip(z, z[1:]):
        row += 0.8 * before
    z[5::6] *= 10
    mean, inverse_std = statistics(checkpoint)
    return (z / inverse_std + mean).astype(np.float32)


def sound(config):
    """int16 samples at the rate of a `FeatureConfig`, SOUND_HOPS frames and a part of one.

    A gliding tone with harmonics, two steady ones, and noise in the second half; silence but for single steps
    at first, then swelling beyond full scale, so that samples saturate too, then fainter than where `paper`
    trims.
    """
    n = SOUND_HOPS * config.hop_length + config.hop_length // 3
    rng = np.random.default_rng(SEED)
    part = np.arange(n) / n  # of the whole, in [0, 1)
    phase = 2 * np.pi * np.cumsum(130 + 90 * part) / config.sample_rate
    wave = sum(np.sin(k * phase + k * k) / k for k in range(1, 15)) + (part > 0.5) * rng.normal(size=n)
    for pitch in (28.102, 31.102):  # semitones above A440: the tuning that `paper` finds is theirs
        wave += 0.6 * np.sin(2 * np.pi * 440 * 2 ** (pitch / 12) / config.sample_rate * np.arange(n))
    loudness = np.interp(part, [0.2, 0.25, 0.7, 0.85, 0.9, 1.0], [0, 2, 10000, 10000, 10, 2])
    wave *= loudness
    wave[[1, 2 * config.hop_length + 5]] = 1, -1
    return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)


def noise_as_loud_as(loudness):
    """int16 samples, a hop for each number of `loudness`, by a linear congruential generator that the
    self-test has as well.
    """
    noise, state = np.empty((len(loudness), activity.HOP), np.int64), SEED
    for k in range(noise.size):
        state = (1664525 * state + 1013904223) % 2**32
        noise.flat[k] = (state >> 16) - 32768
    return np.trunc(noise * np.array(loudness)[:, None] / 256).astype(np.int16).reshape(-1)


def activity_vectors():
    """What the voice-activity gate makes of that: the score of each hop, and the decision about it."""
    gate, hops = activity.VoiceActivity(), noise_as_loud_as(LOUDNESS).reshape(-1, activity.HOP)
    scores, decisions = [], []
    for hop in hops:
        decisions.extend(gate.push(hop))
        scores.append(gate.score)
    decisions.extend(gate.flush())
    loudness, scores, speech = (
        np.array(LOUDNESS, np.int32),
        np.array(scores, np.int32),
        np.array(decisions, np.int8),
    )
    return {"loudness": loudness, "scores": scores, "speech": speech}


def stream_vectors(checkpoint, arithmetic):
    """Events of noise as loud as SPOKEN, and what the rate conversions make of noise.

    Returns
    -------
    dict
        spoken (hops,) int32; events (E, 3) int32, the kind, hop and label of each; chances (E, C), their
        probabilities; noise (RATE_SAMPLES,) int16; from_44100 and from_48000 int16, the same at 16 kHz.
    """
    ear = Listener(checkpoint, activity.SAMPLE_RATE, arithmetic)
    events = [*ear.push(noise_as_loud_as(SPOKEN)), *ear.finish()]
    nothing = np.zeros_like(next(e.probabilities for e in events if e.probabilities is not None))
    chances = np.array([nothing if e.probabilities is None else e.probabilities for e in events])
    rows = [(e.kind.value, e.hop, p.argmax()) for e, p in zip(events, chances)]
    noise = np.random.default_rng(SEED).normal(3000, 6000, RATE_SAMPLES)
    third = RATE_SAMPLES // 3
    noise[third : 2 * third] = np.where(np.sin(np.arange(third) ** 1.6 / 20) > 0, 32767, -32768)
    noise = np.clip(np.rint(noise), -32768, 32767).astype(np.int16)
    rates = {f"from_{rate}": Decimator(rate).push(noise) for rate in (44_100, 48_000)}
    spoken = np.array(SPOKEN, np.int32)
    return {"spoken": spoken, "events": np.array(rows, np.int32), "chances": chances, "noise": noise} | rates


def sound_vectors(checkpoint, quantized=None):
    """A piece of sound and what comes of it.

    Returns
    -------
    dict
        pcm (n,) int16, sound (T, D) features, probabilities (C,), of `quantized` if it is given.
    """
    config = checkpoint.features
    pcm = sound(config)
    features = extract_features(pcm, config.sample_rate, config)
    z = z_score(checkpoint, features)
    logits = (
        quantized.infer(z[None], [len(z)])
        if quantized
        else checkpoint.model(np.float64).infer(z[None], [len(z)])[0]
    )
    return {"pcm": pcm, "sound": features, "probabilities": softmax(logits)[0].astype(np.float32)}


def integer_features(checkpoint):
    """`random_features` as the integer frontend would give them: (FRAMES, D) int32."""
    raw = random_features(checkpoint) / frontend_tables.units(checkpoint.features)
    return np.clip(np.rint(raw), -(2**31), 2**31 - 1).astype(np.int32)


def integer_sound_vectors(checkpoint, quantized):
    """`sound_vectors` by the integer frontend: sound (T, D) int32, probabilities (C,) uint16 in Q15."""
    pcm = sound(checkpoint.features)
    features = frontend.features_of_clip(pcm, checkpoint.features)
    x = frontend.z_score(features, frontend_tables.statistics(checkpoint, quantized.x_bits))
    probabilities = fixed_point.softmax(quantized.infer_integer(x[None], [len(x)]))
    return {"pcm": pcm, "sound": features, "probabilities": probabilities[0]}


def float_trace(checkpoint, x):
    """What C must have after every frame of x (T, D), by the float64 reference.

    Returns
    -------
    dict
        x (T, D), h and c (T, units of all layers), total (T, 1) of attention's weights, context (T, H),
        logits (T, C).
    """
    model = checkpoint.model(np.float64)
    # clip n is the first n + 1 frames
    _, alpha = model.infer(np.repeat(x[None], len(x), axis=0), np.arange(1, len(x) + 1))
    rows = {
        "x": x,
        "h": [],
        "c": [],
        "total": 1 / alpha.max(axis=1, keepdims=True),
        "context": [],
        "logits": [],
    }
    stream = StreamingResLSTM(model)
    for frame in x:  # the largest weight is 1 before the division by the total
        stream.push(frame)
        for name, values in (("h", [h for h, _ in stream.states]), ("c", [c for _, c in stream.states])):
            rows[name].append(np.concatenate(values))
        rows["context"].append(stream.context)
        rows["logits"].append(stream.result())
    return {name: np.array(values).astype(np.float32) for name, values in rows.items()}


def int8_trace(quantized, z):
    """The same by the integer model, for z-scored features z (T, D)."""
    return quantized_trace(quantized, quantized.quantize(z))


def quantized_trace(quantized, x):
    """The same by the integer model, for its input x (T, D) int16."""
    state = quantized.start(1)
    rows = {"h": [], "c": [], "total": [], "context": [], "logits": []}
    for frame in x:
        quantized.step(frame[None], state)
        context = quantized.context(state)
        rows["h"].append(np.concatenate(state.h, axis=1)[0])
        rows["c"].append(np.concatenate(state.c, axis=1)[0])
        rows["total"].append(state.total.copy())
        rows["context"].append(context[0])
        rows["logits"].append(quantized.logits(context)[0])
    dtypes = {"h": np.int16, "c": np.int16, "total": np.int64, "context": np.int16, "logits": np.int32}
    return {"x": x} | {name: np.array(values).astype(dtypes[name]) for name, values in rows.items()}


def files(checkpoint, quantized=None, integer=False):
    """{name: text} of npr_vectors.h and npr_vectors.c; `quantized` is the integer model, if that is what is
    exported, `integer` whether its frontend is the integer one.
    """
    if integer:
        raw = integer_features(checkpoint)
        x = frontend.z_score(raw, frontend_tables.statistics(checkpoint, quantized.x_bits))
        heard = integer_sound_vectors(checkpoint, quantized)
    else:
        raw = random_features(checkpoint)
        z = z_score(checkpoint, raw)
        x = quantized.quantize(z) if quantized else z
        heard = {} if checkpoint.features is None else sound_vectors(checkpoint, quantized)
    trace = quantized_trace(quantized, x) if quantized else float_trace(checkpoint, x)
    arrays = {"features": raw} | trace
    features = checkpoint.features
    arithmetic = "integer" if integer else "int8" if quantized else "float32"
    gated = activity_vectors() if features is not None and c_tables.has_activity(features) else {}
    streamed = stream_vectors(checkpoint, arithmetic) if c_tables.has_stream(features) else {}
    tolerances = SOUND_TOLERANCES | TOLERANCES["int8" if quantized else "float32"]
    tolerances = {name: np.int32(0) if integer else np.float32(value) for name, value in tolerances.items()}
    definitions = [
        c_text.array(f"npr_vector_{name}", values)
        for name, values in (arrays | heard | gated | streamed).items()
    ]
    return {
        "npr_vectors.h": _declarations(heard, gated, streamed, tolerances),
        "npr_vectors.c": '#include "npr_vectors.h"\n\n' + "\n".join(definitions),
    }


def _declarations(heard, gated, streamed, tolerances):
    """Text of npr_vectors.h."""
    parts = [_of_network(tolerances)]
    parts += [_of_sound(heard)] if heard else []
    parts += [_of_gate(gated)] if gated else []
    parts += [_of_stream(streamed)] if streamed else []
    lines = ["#ifndef NPR_VECTORS_H", "#define NPR_VECTORS_H", "", '#include "npr.h"', ""]
    for numbers, _ in parts:
        lines += [f"#define {name} {c_text.literal(value)}" for name, value in numbers.items()]
    arrays = [array for _, arrays in parts for array in arrays]
    return "\n".join([*lines, "", *(f"extern const {array};" for array in arrays), "", "#endif", ""])


def _of_network(tolerances):
    """({macro: number}, declarations of arrays) of the frames that go through the network."""
    numbers = {"NPR_VECTOR_FRAMES": FRAMES}
    numbers |= {f"NPR_{name}TOLERANCE": value for name, value in tolerances.items()}
    rows = [
        ("npr_feature", "features", "NPR_INPUTS"),
        ("npr_value", "x", "NPR_INPUTS"),
        ("npr_value", "h", "NPR_UNITS"),
        ("npr_value", "c", "NPR_UNITS"),
        ("npr_sum", "total", "1"),
        ("npr_value", "context", "NPR_HIDDEN"),
        ("npr_logit", "logits", "NPR_CLASSES"),
    ]
    return numbers, [f"{kind} npr_vector_{name}[NPR_VECTOR_FRAMES][{size}]" for kind, name, size in rows]


def _of_sound(heard):
    """The same of the sound."""
    numbers = {"NPR_SOUND_SAMPLES": len(heard["pcm"]), "NPR_SOUND_FRAMES": len(heard["sound"])}
    return numbers, [
        "int16_t npr_vector_pcm[NPR_SOUND_SAMPLES]",
        "npr_feature npr_vector_sound[NPR_SOUND_FRAMES][NPR_INPUTS]",
        "npr_probability npr_vector_probabilities[NPR_CLASSES]",
    ]


def _of_gate(gated):
    """The same of the voice-activity gate."""
    numbers = {"NPR_ACTIVITY_SEED": SEED, "NPR_ACTIVITY_HOPS": len(LOUDNESS)}
    kinds = {"loudness": "int32_t", "scores": "int32_t", "speech": "int8_t"}
    return numbers, [f"{kinds[name]} npr_vector_{name}[NPR_ACTIVITY_HOPS]" for name in gated]


def _of_stream(streamed):
    """The same of the stream."""
    numbers = {
        "NPR_RATE_SAMPLES": RATE_SAMPLES,
        "NPR_EVENTS": len(streamed["events"]),
        "NPR_SPOKEN_HOPS": len(SPOKEN),
    }
    return numbers, [
        "int32_t npr_vector_spoken[NPR_SPOKEN_HOPS]",
        "int32_t npr_vector_events[NPR_EVENTS][3]",
        "npr_probability npr_vector_chances[NPR_EVENTS][NPR_CLASSES]",
        "int16_t npr_vector_noise[NPR_RATE_SAMPLES]",
        *(f"int16_t npr_vector_{name}[{len(streamed[name])}]" for name in ("from_44100", "from_48000")),
    ]
