"""Print the largest differences between the features and librosa's.

    python tools/accuracy/frontend_parity.py [FOLDER]

Rows: the signals of tests/goldens/frontend.npz; with FOLDER (RAVDESS, say) every sound file in it under both
named configurations, `mcu` after our resampling to 16 kHz. Columns: MFCC and chroma in float32 and in
float64; in how many clips several bins of the tuning histogram are equally full, and in how many the tuning
is another than librosa's; how many clips are beyond 1e-3 (MFCC) or 1e-5 (chroma). Those are listed.
"""

import argparse
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from npreslstm.audio import chroma, spectrum
from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.features import extract_features
from npreslstm.audio.reader import find_audio, read_audio
from npreslstm.audio.resampling import resample
from npreslstm.audio.signal import to_mono, trim_silence
from npreslstm.cli import guarded
from tools.goldens.make_frontend_goldens import cases, librosa_features, signals

LIMITS = {"MFCC": 1e-3, "chroma": 1e-5}


def differences(y, config):
    """{(columns, type): largest difference} of one clip."""
    found = {}
    for dtype in (np.float32, np.float64):
        error = np.abs(
            extract_features(y.astype(dtype), config.sample_rate, config, dtype)
            - librosa_features(y.astype(dtype), config)
        )
        found["MFCC", np.dtype(dtype).name] = float(error[:, : config.n_mfcc].max())
        found["chroma", np.dtype(dtype).name] = float(error[:, config.n_mfcc :].max())
    return found


def tunings(y, config):
    """Whether the tuning histogram is tied, and whether the tuning is another than librosa's."""
    if config.tuning is not None:
        return False, False
    frames = next(spectrum.frame_blocks(y, config.n_fft, config.hop_length, config.framing, len(y) + 1))
    peaks = chroma.spectral_peaks(spectrum.power_spectrum(frames), config.sample_rate)
    counts = np.sort(chroma.tuning_histogram(*peaks, config.n_chroma))
    return counts[-1] == counts[-2] > 0, chroma.tuning_of_peaks(*peaks, config.n_chroma) != librosa_tuning(
        y, config
    )


def librosa_tuning(y, config):
    import librosa

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # short signals, silence
        power = np.abs(librosa.stft(y, n_fft=config.n_fft, hop_length=config.hop_length)) ** 2
        return librosa.estimate_tuning(S=power, sr=config.sample_rate, bins_per_octave=config.n_chroma)


def row(label, clips):
    """One line of the table for (name, signal, configuration) triples."""
    worst, count, tied, other, beyond = {}, 0, 0, 0, []
    for name, y, config in clips:
        found = differences(y, config)
        worst = {key: max(value, worst.get(key, 0.0)) for key, value in found.items()}
        count, (tie, differs) = count + 1, tunings(y, config)
        tied, other = tied + tie, other + differs
        if any(value > LIMITS[columns] for (columns, _), value in found.items()):
            beyond.append(name)
    figures = "  ".join(
        f"{worst[columns, kind]:>14.1e}" for kind in ("float32", "float64") for columns in ("MFCC", "chroma")
    )
    print(f"{label:14}  {count:5d}  {figures}  {tied:4d}  {other:12d}  {len(beyond):6d}", flush=True)
    for name in beyond:
        print(f"  beyond the limits: {name}")
    return len(beyond)


def corpus(folder, config):
    for path in find_audio([folder]):
        signal, rate = read_audio(path)
        yield path, resample(to_mono(signal), rate, config.sample_rate), config


def trimmed(folder):
    """The corpus without the silence at its ends: trimming itself is held to librosa's in every sample by the
    tests.
    """
    for path, y, config in corpus(folder, FeatureConfig()):
        yield path, trim_silence(y, 30.0), config


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", metavar="FOLDER")
    args = parser.parse_args(argv)
    columns = [f"{what} {kind}" for kind in ("float32", "float64") for what in ("MFCC", "chroma")]
    print(
        f"{'':14}  {'clips':>5}  {'  '.join(f'{column:>14}' for column in columns)}  {'tied':>4} "
        f" {'other tuning':>12}  {'beyond':>6}"
    )
    waves = {name: (wave / 32768).astype(np.float32) for name, wave in signals().items()}
    beyond = row("synthetic", ((name, waves[signal], config) for name, (signal, config) in cases().items()))
    if args.folder:
        beyond += row("paper", corpus(args.folder, FeatureConfig()))
        beyond += row("paper, trimmed", trimmed(args.folder))
        beyond += row("mcu", corpus(args.folder, FeatureConfig.named("mcu")))
    return int(beyond > 0)


if __name__ == "__main__":
    sys.exit(guarded(main))
