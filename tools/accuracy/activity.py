#!/usr/bin/env python3
"""How much speech the voice-activity gate keeps, and how much else: the table of docs/frontend.md.

    python tools/accuracy/activity.py RAVDESS [--others] [--seed 0]

The clips are those of the speakers that the bundled weights hold out; with --others those of the other
speakers, on whom the constants of audio/activity.py were chosen. A hop counts as speech where the clean clip
has more than a thousandth of the energy of its loudest hop (30 dB below it); the mean energy of these hops is
the level that noise is set against. The columns for 20 and 40 dB count speech otherwise, at the same level of
the noise.
"""

import argparse
import sys

import numpy as np

from npreslstm.audio.activity import HOP, SAMPLE_RATE, VoiceActivity
from npreslstm.audio.reader import read_audio
from npreslstm.audio.resampling import resample
from npreslstm.audio.signal import to_mono
from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import guarded
from npreslstm.errors import InputError
from npreslstm.training.dataset import load_dataset

REFERENCES = (20, 30, 40)  # dB below the loudest hop
VOICES = 6  # of babble


class Voices:
    """Clips that noise is made of, and the square root of their long-term spectrum."""

    def __init__(self, clips):
        self.clips = clips
        some = clips[::20]
        frames = np.concatenate(
            [y[: len(y) // 1024 * 1024].reshape(-1, 1024) / active_level(y) for y in some]
        )
        self.envelope = np.sqrt(np.square(np.abs(np.fft.rfft(frames * np.hanning(1024)))).mean(axis=0))


def energies(y):
    """Mean square of each hop."""
    return np.square(y[: len(y) // HOP * HOP].reshape(-1, HOP)).mean(axis=1)


def speech(y, decibels=30):
    """Whether each hop of a clean clip is speech."""
    e = energies(y)
    return e > e.max() * 10 ** (-decibels / 10)


def active_level(y):
    """Root mean square of the hops with speech."""
    return np.sqrt(energies(y)[speech(y)].mean())


def white(n, voices, rng):
    return rng.normal(size=n)


def pink(n, voices, rng):
    spectrum = np.fft.rfft(rng.normal(size=n))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), n)


def shaped(n, voices, rng):
    """Noise with the long-term spectrum of the voices."""
    spectrum, envelope = np.fft.rfft(rng.normal(size=n)), voices.envelope
    frequencies = np.linspace(0, 1, len(spectrum))
    return np.fft.irfft(spectrum * np.interp(frequencies, np.linspace(0, 1, len(envelope)), envelope), n)


def babble(n, voices, rng):
    """Several voices at once, equally loud, from somewhere in their speech on."""
    total = np.zeros(n)
    for k in rng.integers(len(voices.clips), size=VOICES):
        y = voices.clips[k]
        kept = np.flatnonzero(speech(y))
        voice = y[kept[0] * HOP : (kept[-1] + 1) * HOP] / active_level(y)
        total += np.roll(np.resize(voice, n), rng.integers(n))
    return total


def hum(n, voices, rng):
    """Mains of 50 Hz with its harmonics."""
    t = np.arange(n) / SAMPLE_RATE
    return sum(np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6)) / k for k in (1, 2, 3, 5))


def add(y, kind, below, voices, rng):
    """`y` with noise so many decibels below the level of its speech."""
    noise = kind(len(y), voices, rng)
    return y + noise * active_level(y) * 10 ** (-below / 20) / np.sqrt(np.square(noise).mean())


def noisy(kind, below, gain=0):
    """Add noise, then make everything louder."""
    return lambda y, voices, rng: add(y, kind, below, voices, rng) * 10 ** (gain / 20)


def surrounded(y, voices, rng):
    """Noise 10 dB below the speech, then half a second of digital silence on both sides."""
    return np.pad(add(y, white, 10, voices, rng), 16 * HOP)


def humming(y, voices, rng):
    """White noise and hum, 10 dB below the speech each, and an offset."""
    return add(add(y, white, 10, voices, rng), hum, 10, voices, rng) + 0.1


def without_lead(y, voices, rng):
    """White noise 10 dB below the speech; the clip begins with its first word."""
    return add(y, white, 10, voices, rng)[np.flatnonzero(speech(y))[0] * HOP :]


NOISES = {"white": white, "pink": pink, "speech-shaped": shaped, "babble": babble}
CONDITIONS = {
    f"{name} noise, {below} dB": noisy(kind, below) for below in (10, 20, 5) for name, kind in NOISES.items()
}
CONDITIONS |= {f"white noise, 10 dB, all {gain:+d} dB": noisy(white, 10, gain) for gain in (-24, 20)}
CONDITIONS |= {
    "white noise, 10 dB, digital silence around": surrounded,
    "white noise, 10 dB, hum, 10 dB, offset": humming,
    "white noise, 10 dB, from the first word on": without_lead,
    "as recorded": lambda y, voices, rng: y,
}


def decisions(y):
    """One decision for every hop."""
    activity = VoiceActivity()
    return np.concatenate([activity.push(np.clip(y, -1, 32767 / 32768)), activity.flush()])


def counts(y, change, voices, rng):
    """(speech kept, speech, others kept, others) in hops, for each reference: (len(REFERENCES), 4)."""
    changed = change(y, voices, rng)
    kept, rows = decisions(changed), []
    for decibels in REFERENCES:
        expected = np.zeros(len(kept), bool)
        if len(changed) >= len(y):  # as many hops were put before it as after it
            inner = speech(y, decibels)
            first = (len(changed) - len(y)) // 2 // HOP
            expected[first : first + len(inner)] = inner
        else:
            expected[:] = speech(y, decibels)[-len(kept) :]
        rows.append([(kept & expected).sum(), expected.sum(), (kept & ~expected).sum(), (~expected).sum()])
    return np.array(rows)


def read(paths):
    """Mono samples of files at 16 kHz, float64."""
    return [resample(to_mono(y).astype(np.float64), rate, SAMPLE_RATE) for y, rate in map(read_audio, paths)]


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="the RAVDESS folder")
    parser.add_argument(
        "--others", action="store_true", help="the speakers on whom the constants were chosen"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    args = parser.parse_args(argv)
    dataset = load_dataset(args.data)
    held_out = dataset.of(load_checkpoint("mcu").notes["speakers held out"])
    others = [clip for clip in dataset.clips if clip not in held_out]
    if not held_out or not others:
        raise InputError(f"{args.data} has no clips of speakers that the weights hold out, or of no others")
    voices = Voices(read(clip.path for clip in others))
    clips = voices.clips if args.others else read(clip.path for clip in held_out)
    titles = " | ".join(f"speech: {decibels} dB | others" for decibels in REFERENCES)
    print(f"| {len(clips)} clips, kept % | {titles} |\n|---|" + "---|---|" * len(REFERENCES))
    for name, change in CONDITIONS.items():
        rng = np.random.default_rng(args.seed)
        total = sum(counts(y, change, voices, rng) for y in clips)
        cells = [f"{100 * a / b:.1f} | {100 * c / d:.1f}" for a, b, c, d in total]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(guarded(main))
