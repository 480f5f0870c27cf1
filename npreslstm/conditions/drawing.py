"""Conditions drawn at random, to train under. Those of `table` are none of them: its rooms, bit rates and
noises are held back.
"""

import numpy as np

from npreslstm.conditions.condition import Condition

GAINS = (-24.0, 20.0)  # dB about LEVEL
LEVEL = -26.0  # dB of full scale, of the active speech: ITU-T P.56's usual level
RATES = (8000, 11025, 12000, 16000, 22050)  # Hz; higher ones leave all that 16 kHz features hear
NOISY = 0.7  # share of draws with a noise
BABBLE = 0.4  # share of noises that are other voices, the hardest to tell from the one that is meant
NOISE = (0.0, 35.0)  # dB below the active speech
# Kbit/s, at 16 kHz:
MP3 = (16, 24, 40)
OPUS = (8, 10, 12, 20, 24)
VORBIS = (35, 45, 60)


def draw(
    rng: np.random.Generator, kinds: tuple[str, ...] = ("white", "pink", "speech", "babble")
) -> Condition:
    """A random condition: ends, room, noise, microphone, line, file, level, each with a chance of its own.

    Parameters
    ----------
    rng : numpy.random.Generator
    kinds : tuple of str
        Noises that there are sources for.

    Returns
    -------
    Condition

    Examples
    --------
    >>> import numpy as np
    >>> draw(np.random.default_rng(0)) == draw(np.random.default_rng(0))
    True
    """
    chosen = {"level_db": LEVEL, "gain_db": float(rng.uniform(*GAINS))}
    chosen |= _ends(rng)
    if rng.random() < 0.35:
        chosen["room"] = (float(rng.uniform(0.1, 1.0)), float(rng.uniform(-3, 15)))
    if rng.random() < NOISY:
        chosen |= {"noise": _kind(rng, kinds), "noise_db": float(rng.uniform(*NOISE))}
    chosen |= _microphone(rng)
    chosen |= _line(rng)
    if rng.random() < 0.1:
        chosen["offset"] = float(rng.uniform(-0.02, 0.02))
    return Condition(**chosen)


def _kind(rng, kinds):
    """A kind of noise: babble in a share of its own, the others alike."""
    others = [kind for kind in kinds if kind != "babble"]
    if "babble" in kinds and (not others or rng.random() < BABBLE):
        return "babble"
    return str(rng.choice(others))


def _ends(rng):
    """A third trimmed, a fifth trimmed and padded, a fifth padded, the rest as they are."""
    chance = rng.random()
    chosen = {}
    if chance < 0.53:
        chosen["trim_db"] = float(rng.uniform(20, 50))
    if 0.33 < chance < 0.73:
        chosen["pad"] = (float(rng.uniform(0, 1.5)), float(rng.uniform(0, 1.5)))
        chosen["pad_noisy"] = bool(rng.random() < 0.5)
    return chosen


def _microphone(rng):
    """A tilt, and cut-offs at either end, each in two fifths of the draws."""
    chosen = {"order": int(rng.integers(1, 5))}
    if rng.random() < 0.4:
        chosen["tilt"] = float(rng.uniform(-3, 3))
    if rng.random() < 0.4:
        chosen["high_pass"] = float(rng.uniform(40, 400))
    if rng.random() < 0.4:
        chosen["low_pass"] = float(rng.uniform(2500, 7600))
    return chosen


def _line(rng):
    """A telephone, a lower sample rate or a codec, or none of them."""
    chance = rng.random()
    if chance < 0.12:
        return {"telephone": str(rng.choice(["mu-law", "a-law"]))}
    if chance < 0.24:
        return {"file_rate": int(rng.choice(RATES))}
    if chance < 0.27:
        return {"codec": ("mp3", float(rng.choice(MP3)))}
    if chance < 0.285:
        return {"codec": ("opus", float(rng.choice(OPUS)))}
    if chance < 0.3:
        return {"codec": ("vorbis", float(rng.choice(VORBIS)))}
    return {}
