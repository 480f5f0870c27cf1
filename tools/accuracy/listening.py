"""Print how well `Listener`, and so ``npr_stream``, hears the clips of RAVDESS.

    python tools/accuracy/listening.py RAVDESS [--weights mcu] [--every K]

Takes the clips of the speakers that the weights hold out. First whole clips, brought to 16 kHz by the
package's resampler and, from 48 and 44.1 kHz, by `Decimator`: the share of equal labels, and UAR. Then what a
`Listener` at 48 kHz says at the end of the longest utterance that it finds in a clip.
"""

import argparse
import glob
import os
import sys
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import numpy as np

from npreslstm.audio.decimation import Decimator
from npreslstm.audio.features import extract_features
from npreslstm.audio.reader import read_audio
from npreslstm.audio.resampling import resample
from npreslstm.audio.signal import to_mono
from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import guarded
from npreslstm.errors import InputError
from npreslstm.experiments.evaluate import choose_speakers
from npreslstm.listening import EventKind, Listener
from npreslstm.training.dataset import load_dataset

WAYS = ("resampled", "from 48000 Hz", "from 44100 Hz", "utterance from 48000 Hz")


def answers(checkpoint, model, listener, path):
    """The number of the class that a clip gets by each of WAYS; -1 where no utterance is found."""
    y, rate = read_audio(path)
    y = to_mono(y)
    at_48000 = as_pcm(y if rate == 48_000 else resample(y, rate, 48_000))
    at_44100 = as_pcm(resample(y, rate, 44_100))
    whole = as_pcm(y if rate == 16_000 else resample(y, rate, 16_000))
    for pcm in (whole, Decimator(48_000).push(at_48000), Decimator(44_100).push(at_44100)):
        raw = extract_features(pcm, checkpoint.features.sample_rate, checkpoint.features)
        z = ((raw - checkpoint.mean) / checkpoint.std).astype(np.float32)
        yield model.infer(z[None], [len(z)])[0][0].argmax()
    yield longest_utterance([*listener.push(at_48000), *listener.finish()])


def longest_utterance(events):
    """The number of the class of the utterance with most hops."""
    spans, start = [(0, -1)], 0
    for event in events:
        if event.kind is EventKind.START:
            start = event.hop
        elif event.kind is EventKind.END:
            spans.append((event.hop - start, int(event.probabilities.argmax())))
    return max(spans)[1]


def as_pcm(y):
    return np.clip(np.rint(32768 * y), -32768, 32767).astype(np.int16)


def uar(labels, hits):
    """Mean recall over the classes that occur."""
    return np.mean([hits[labels == k].mean() for k in set(labels.tolist())])


def main(argv=None):
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("ravdess")
    parser.add_argument("--weights", default="mcu")
    parser.add_argument("--every", type=int, default=1)
    args = parser.parse_args(argv)
    if args.every < 1:
        raise InputError(f"--every is {args.every}; expected at least 1")
    checkpoint = load_checkpoint(args.weights)
    if checkpoint.features is None or checkpoint.features.sample_rate != 16_000:
        raise InputError(f"{args.weights} hears another rate than 16000 Hz; expected weights as mcu")
    model = checkpoint.model()
    held_out = {int(actor) for actor in choose_speakers(checkpoint, load_dataset(args.ravdess))}
    paths = sorted(glob.glob(os.path.join(args.ravdess, "Actor_*", "*.flac")))
    paths = [path for path in paths if int(path.split("-")[-1].split(".")[0]) in held_out][:: args.every]
    labels = np.array([int(os.path.basename(path).split("-")[2]) - 1 for path in paths])
    listener = Listener(checkpoint, 48_000)
    rows = [list(answers(checkpoint, model, listener, path)) for path in paths]
    for way, given in zip(WAYS, np.array(rows).T):
        same = 100 * (given == np.array(rows)[:, 0]).mean()
        print(
            f"{way}: {len(paths)} clips, {same:.1f} % the label of {WAYS[0]}, UAR "
            f"{uar(labels, given == labels):.4f}"
        )


if __name__ == "__main__":
    sys.exit(guarded(main))
