"""A small corpus that the package makes itself: tones whose "emotion" anybody can hear.

calm is a steady tone, happy a rising chirp, sad a falling one, fear a trembling one. Each of the speakers has
a pitch and a timbre of its own, so that unseen speakers are as much of a task here as in a real corpus.
"""

import numpy as np

from npreslstm.audio.features import FeatureConfig

CLASSES = ("calm", "happy", "sad", "fear")
SPEAKERS = 20
VALIDATION = ("17", "18", "19", "20")  # speakers
CONFIG = FeatureConfig.named("mcu")


def synthetic_clips(rng, speakers=SPEAKERS, takes=3):
    """Signals of every speaker and class.

    Parameters
    ----------
    rng : numpy.random.Generator
    speakers, takes : int
        Takes of each class a speaker.

    Yields
    ------
    signal : (n,) float32 array
        0.8 to 1.2 seconds at `CONFIG.sample_rate`.
    label : int
        Index into `CLASSES`.
    speaker : str
        From '1'.
    """
    for speaker in range(1, speakers + 1):
        pitch = 110 * 2 ** rng.uniform(0, 1.5)  # Hz
        timbre = rng.dirichlet(np.ones(5))  # share of each harmonic
        for label in range(len(CLASSES)):
            for _ in range(takes):
                yield synthetic_signal(label, pitch, timbre, rng), label, str(speaker)


def synthetic_signal(label, pitch, timbre, rng):
    """One take: a harmonic tone whose pitch contour says the class, with a little noise."""
    rate = CONFIG.sample_rate
    n = int(rate * rng.uniform(0.8, 1.2))
    t = np.arange(n) / rate  # seconds
    octaves = {
        "calm": 0.0 * t,
        "happy": rng.uniform(0.6, 1.0) * t / t[-1],
        "sad": -rng.uniform(0.6, 1.0) * t / t[-1],
        "fear": rng.uniform(0.15, 0.3) * np.sin(2 * np.pi * rng.uniform(5, 8) * t),
    }[CLASSES[label]]
    phase = 2 * np.pi * np.cumsum(pitch * 2 ** (octaves + rng.uniform(-0.1, 0.1))) / rate
    tone = sum(share * np.sin((k + 1) * phase) for k, share in enumerate(timbre))
    fade = np.minimum(1, np.minimum(t, t[-1] - t) / 0.05)  # 50 ms in and out
    return (0.3 * fade * tone + 0.003 * rng.standard_normal(n)).astype(np.float32)
