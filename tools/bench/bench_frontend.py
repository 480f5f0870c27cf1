"""Time the features of a clip beside librosa's, in turns, one thread each; then time and memory over the
length of a file.

    python tools/bench frontend [--rounds 10] [--seconds 1 10 60 600 3600] [--format table|csv|json]

Milliseconds a clip, for each of 12 clips the fastest of the rounds. `librosa`: feature.mfcc
and feature.chroma_stft as people call them. `librosa ready`: its functions from a ready STFT and with ready
filter banks: magnitude squared, mel product, power_to_db, mfcc; estimate_tuning, chroma product, normalize.
`npreslstm`: extract_features. `npreslstm ready`: the same from the ready STFT. `FFT`: the real transforms
alone, np.fft.rfft of ready windowed frames. Then the ratios, and FFT / npreslstm, the share of the transform.

Growth: extract_file in a fresh process on a 16-bit WAV file; seconds, real-time factor, peak memory of the
process (from /proc, so on Linux).
"""

import argparse
import glob
import os
import subprocess
import sys
import tempfile
import time
import wave

import bench_lib
import numpy as np

from npreslstm.audio import chroma, spectrum
from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.features import _features_of_spectra, extract_features

CLIP_SECONDS = 3.7  # the mean of RAVDESS
CLIPS = 12

CHILD = """
import sys, time
from npreslstm.audio.config import FeatureConfig
from npreslstm.audio.features import extract_file
start = time.perf_counter()
features = extract_file(sys.argv[1], FeatureConfig.named(sys.argv[2]))
took = time.perf_counter() - start
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(took, int(peak) / 1000, len(features))
"""


def speech_like(seconds, sample_rate, seed):
    """Harmonics of a gliding pitch in bursts, over a little noise: (n,) float32."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    phase = (
        2 * np.pi * np.cumsum(rng.uniform(90, 250) * (1 + 0.2 * np.sin(2 * np.pi * 0.7 * t))) / sample_rate
    )
    voice = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 30))
    bursts = np.clip(np.sin(2 * np.pi * rng.uniform(2, 4) * t), 0, 1)
    return (0.05 * voice * bursts + 3e-4 * rng.standard_normal(len(t))).astype(np.float32)


def clips(config):
    """(what they are, [signals at the configuration's rate]) of about 3.7 s."""
    folder = os.environ.get("NPRESLSTM_RAVDESS")
    if not folder:
        return "synthetic speech", [
            speech_like(CLIP_SECONDS, config.sample_rate, seed) for seed in range(CLIPS)
        ]
    from npreslstm.audio.reader import read_audio
    from npreslstm.audio.resampling import resample
    from npreslstm.audio.signal import to_mono

    paths = sorted(glob.glob(os.path.join(folder, "**", "*.flac"), recursive=True))[:: 1440 // CLIPS][:CLIPS]
    signals = [resample(to_mono(y), rate, config.sample_rate) for y, rate in map(read_audio, paths)]
    return "RAVDESS clips", signals


def contenders(config, signals):
    """{name: callable that takes one clip's number}."""
    import librosa

    rate, n_fft, hop, tuning = config.sample_rate, config.n_fft, config.hop_length, config.tuning
    shape = {"n_fft": n_fft, "hop_length": hop}
    padded = [spectrum.frame_blocks(y, n_fft, hop, config.framing, 10**6) for y in signals]
    frames = [next(blocks) for blocks in padded]
    windowed = [one * spectrum.hann(n_fft) for one in frames]
    # librosa has no causal framing: it gets as many frames, centred
    stft = [librosa.stft(y, **shape) for y in signals]
    mel_bank = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=config.n_mels)
    chroma_banks = {
        step / 100: librosa.filters.chroma(sr=rate, n_fft=n_fft, tuning=step / 100) for step in range(-50, 51)
    }

    def as_called(k):
        y = signals[k]
        librosa.feature.mfcc(y=y, sr=rate, n_mfcc=config.n_mfcc, n_mels=config.n_mels, **shape)
        librosa.feature.chroma_stft(y=y, sr=rate, tuning=tuning, **shape)

    def ready(k):
        power = np.abs(stft[k]) ** 2
        mel = np.einsum("ft,mf->mt", power, mel_bank, optimize=True)
        librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=config.n_mfcc)
        found = librosa.estimate_tuning(S=power, sr=rate, bins_per_octave=12) if tuning is None else tuning
        raw = np.einsum("cf,ft->ct", chroma_banks[round(found, 2)], power, optimize=True)
        librosa.util.normalize(raw, norm=np.inf, axis=-2)

    rows = [np.ascontiguousarray(one.T) for one in stft]
    return {
        "librosa": as_called,
        "librosa ready": ready,
        "npreslstm": lambda k: extract_features(signals[k], rate, config),
        "npreslstm ready": lambda k: _features_of_spectra([np.abs(rows[k]) ** 2], config),
        "FFT": lambda k: np.fft.rfft(windowed[k]),
    }


def fastest(contenders, count, rounds):
    """{name: milliseconds a clip}: for each clip the fastest of all rounds, and the mean of these.

    In turns, each after a call that is not timed. The fastest, because other work on the machine only ever
    adds.
    """
    times = {name: np.full(count, np.inf) for name in contenders}
    for _ in range(rounds):
        for k in range(count):
            for name, run in contenders.items():
                run(k)
                start = time.perf_counter()
                run(k)
                times[name][k] = min(times[name][k], 1e3 * (time.perf_counter() - start))
    return {name: float(column.mean()) for name, column in times.items()}


def speed(name, rounds):
    """One row of the first table, and what the clips were."""
    config = FeatureConfig.named(name)
    what, signals = clips(config)
    for step in range(-50, 50):  # the banks of every tuning, which librosa's ready functions have too
        chroma.chroma_filter_bank(
            config.sample_rate, config.n_fft, config.n_chroma, float(chroma.TUNING_EDGES[step + 50])
        )
    times = fastest(contenders(config, signals), len(signals), rounds)
    ratios = {
        "librosa /": times["librosa"] / times["npreslstm"],
        "ready / ready": times["librosa ready"] / times["npreslstm ready"],
        "librosa ready / npreslstm": times["librosa ready"] / times["npreslstm"],
        "FFT share": times["FFT"] / times["npreslstm"],
    }
    return what, {"configuration": name, **times, **ratios}


def growth(name, seconds, folder):
    """One row of the second table."""
    config = FeatureConfig.named(name)
    path = os.path.join(folder, "long.wav")
    piece = (speech_like(10, config.sample_rate, 0) * 32767).astype(np.int16).tobytes()
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, config.sample_rate, 0, "NONE", ""))
        for left in range(seconds, 0, -10):
            file.writeframesraw(piece[: 2 * min(left, 10) * config.sample_rate])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, path, name], capture_output=True, text=True, check=True
    )
    took, peak, frames = map(float, done.stdout.split())
    return {
        "configuration": name,
        "audio s": seconds,
        "frames": int(frames),
        "s": took,
        "x real time": seconds / took,
        "peak MB": peak,
    }


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10, help="times that each clip is taken")
    parser.add_argument(
        "--seconds", type=int, nargs="*", default=[1, 10, 60, 600, 3600], help="lengths of the second table"
    )
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    args = parser.parse_args(argv)
    (what, paper), (_, mcu) = speed("paper", args.rounds), speed("mcu", args.rounds)
    import librosa

    facts = {"data": what, "librosa": librosa.__version__, **bench_lib.environment()}
    bench_lib.report([paper, mcu], facts, args.format)
    if args.seconds:
        with tempfile.TemporaryDirectory() as folder:
            rows = [growth(name, seconds, folder) for name in ("paper", "mcu") for seconds in args.seconds]
        bench_lib.report(
            rows,
            {"data": "synthetic speech, 16-bit WAV at the configuration's rate", **bench_lib.environment()},
            args.format,
        )


if __name__ == "__main__":
    sys.exit(main())
