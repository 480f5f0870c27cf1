"""Make tests/goldens/frontend.npz: synthetic signals and what librosa computes of them.

    python tools/goldens/make_frontend_goldens.py            write the file
    python tools/goldens/make_frontend_goldens.py --check    compare it with the librosa that is installed

The signals are stored (16 bits), so that nothing depends on how a machine computes a sine. For each case
`NAME/config` is the FeatureConfig (JSON), `NAME/signal` the name of its signal, `NAME/float32` and
`NAME/float64` are the features (T, n_mfcc + n_chroma) that librosa gives for audio of that type. `versions`
says what made them.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np

from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.spectrum import lead_in, lead_out
from npreslstm.files import atomic_write

PATH = Path(__file__).resolve().parents[2] / "tests" / "goldens" / "frontend.npz"
TOLERANCE = 1e-3  # of --check, another machine's librosa against the file


def signals():
    """{name: (n,) int16}."""
    rng = np.random.default_rng(20260101)
    n = 9600
    t = np.arange(n) / 48000
    phase = 2 * np.pi * np.cumsum(140 + 30 * np.sin(2 * np.pi * 7 * t)) / 48000
    voice = sum(np.sin(k * phase) / k for k in range(1, 25)) * np.clip(np.sin(2 * np.pi * 6 * t), 0, 1)
    noise = rng.standard_normal(n)
    waves = {
        "speech": 0.15 * voice + 3e-4 * noise,
        "silence": np.zeros(5000),
        "tone": 0.5 * np.sin(2 * np.pi * 440 * t),
        "detuned chord": 0.2 * sum(np.sin(2 * np.pi * 1.013 * f * t) for f in (220, 277.18, 329.63)),
        "chirp": 0.7 * np.sin(2 * np.pi * (100 * t + 50000 * t**2)),
        "noise": 0.1 * noise,
        "quiet noise": 4e-5 * noise,
        "clipped": np.clip(2 * np.sin(2 * np.pi * 300 * t), -1, 1),
        "offset": 0.3 + 0.05 * noise,
        "click": np.where(np.arange(6000) == 4000, 0.9, 0.0),
        "short": 0.2 * noise[:700],
        "one sample": np.array([0.5]),
    }
    return {name: np.round(32767 * wave).clip(-32768, 32767).astype(np.int16) for name, wave in waves.items()}


def cases():
    """{name: (name of the signal, FeatureConfig)}."""
    # spectra whose peaks are rounding errors, and so is an estimated tuning: it is fixed
    flat = ("click", "one sample")
    found = {
        f"paper, {name}": (name, FeatureConfig(tuning=0.0 if name in flat else None)) for name in signals()
    }
    found |= {
        f"mcu, {name}": (name, FeatureConfig.named("mcu"))
        for name in ("speech", "tone", "noise", "quiet noise", "short", "one sample")
    }
    small = FeatureConfig(sample_rate=8000, n_fft=256, hop_length=80, n_mels=20, n_mfcc=13, n_chroma=24)
    usual = FeatureConfig(sample_rate=22050, n_fft=2048, hop_length=512, n_mels=128, n_mfcc=20)
    wide = FeatureConfig(
        sample_rate=44100,
        n_fft=1000,
        hop_length=1000,
        n_mels=30,
        n_mfcc=30,
        n_chroma=36,
        fmin=50.0,
        fmax=15000.0,
    )
    fast = FeatureConfig(sample_rate=192000, n_fft=8192, hop_length=3000, tuning=-0.17)
    for label, config in (("small", small), ("usual", usual), ("wide", wide), ("fast", fast)):
        found |= {f"{label}, {name}": (name, config) for name in ("speech", "detuned chord", "noise")}
    return found


def librosa_features(y, config):
    """What librosa computes of a mono signal of the configuration's rate: (T, n_mfcc + n_chroma),
    dtype of y.
    """
    import librosa

    shape = {"n_fft": config.n_fft, "hop_length": config.hop_length}
    # librosa has no such framing: it gets the zeros, and frames that are not centred
    if config.framing == "causal":
        before, after = (
            lead_in(config.n_fft, config.hop_length, "causal"),
            lead_out(len(y), config.n_fft, config.hop_length, "causal"),
        )
        y, shape = np.pad(y, (before, after)), shape | {"center": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # short signals, silence, bands narrower than a bin
        mel = librosa.feature.melspectrogram(
            y=y, sr=config.sample_rate, n_mels=config.n_mels, fmin=config.fmin, fmax=config.upper_hz, **shape
        )
        log_mel = librosa.power_to_db(mel, amin=10.0 ** (config.floor_db / 10), top_db=config.top_db)
        mfcc = librosa.feature.mfcc(S=log_mel, n_mfcc=config.n_mfcc)
        chroma = librosa.feature.chroma_stft(
            y=y, sr=config.sample_rate, n_chroma=config.n_chroma, tuning=config.tuning, **shape
        )
    return np.concatenate((mfcc, chroma)).T


def make():
    """All arrays of the file."""
    import librosa
    import scipy

    waves = signals()
    arrays = {f"signals/{name}": wave for name, wave in waves.items()}
    for name, (signal, config) in cases().items():
        arrays[f"{name}/signal"], arrays[f"{name}/config"] = (
            np.array(signal),
            np.array(json.dumps(config.to_dict())),
        )
        for dtype in (np.float32, np.float64):
            arrays[f"{name}/{np.dtype(dtype).name}"] = librosa_features(
                (waves[signal] / 32768).astype(dtype), config
            )
    arrays["versions"] = np.array(
        f"librosa {librosa.__version__}, scipy {scipy.__version__}, numpy {np.__version__}"
    )
    return arrays


def check():
    """Largest difference between the file and the installed librosa; 1 if it is too large or the cases
    differ.
    """
    made = make()
    with np.load(PATH, allow_pickle=False) as file:
        stored = {name: file[name] for name in file.files}
    print(f"{PATH.name}: made by {stored.pop('versions')}; here {made.pop('versions')}")
    if stored.keys() != made.keys():
        print(f"other arrays: {sorted(stored.keys() ^ made.keys())}")
        return 1
    worst = 0.0
    for name, array in made.items():
        if array.dtype.kind != "f":
            if not np.array_equal(array, stored[name]):
                print(f"{name} differs")
                return 1
            continue
        worst = max(worst, float(np.abs(array - stored[name]).max()))
    print(f"largest difference {worst:.3g} (at most {TOLERANCE:g})")
    return int(worst > TOLERANCE)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if parser.parse_args(argv).check:
        return check()
    PATH.parent.mkdir(exist_ok=True)
    with atomic_write(PATH) as file:
        np.savez_compressed(file, **make())
    print(f"{PATH}: {PATH.stat().st_size / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
