"""Print how well `Listener` hears long utterances, by how much its windows overlap.

    python tools/accuracy/overlap.py RAVDESS [--weights robust] [--overlap 0 4.96]

Takes the speakers that the weights hold out. What one of them says with one emotion is cut where there is no
speech and joined, all clips of that emotion in one utterance without a pause; those of less than one window
and a half are left out. Answers are counted from the second window on: the share of right ones, averaged over
the emotions, of the first two seconds of each window but the first, and of all after the first window.
"""

import argparse
import glob
import os
import sys
from collections import defaultdict
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import numpy as np

from npreslstm.audio.activity import HOP, SAMPLE_RATE, as_pcm, speech_spans
from npreslstm.audio.reader import read_audio
from npreslstm.audio.resampling import resample
from npreslstm.audio.signal import to_mono
from npreslstm.checkpoint import load_checkpoint
from npreslstm.cli import guarded
from npreslstm.experiments.evaluate import choose_speakers
from npreslstm.listening import LEAD, PERIOD, WINDOW, EventKind, Listener, overlap_hops
from npreslstm.training.dataset import load_dataset

FIRST = 2 * PERIOD  # hops of a new window: two seconds


def utterances(folder, speakers):
    """{(speaker, emotion): samples at 16 kHz} of those that are long enough."""
    joined = defaultdict(list)
    for path in sorted(glob.glob(os.path.join(folder, "Actor_*", "*.flac"))):
        numbers = [int(number) for number in Path(path).stem.split("-")]
        if numbers[6] in speakers:
            y, rate = read_audio(path)
            y = resample(to_mono(y), rate, SAMPLE_RATE)
            spans = speech_spans(y, SAMPLE_RATE)
            parts = [y[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] for start, end in spans]
            joined[numbers[6], numbers[2] - 1].extend(parts)
    whole = {key: as_pcm(np.concatenate(parts)) for key, parts in joined.items() if parts}
    return {key: pcm for key, pcm in whole.items() if len(pcm) >= 1.5 * WINDOW * HOP}


def answers(listener, pcm, hops):
    """(whether it is one of the first of its window, class) of each answer after the first window."""
    start = None
    for event in [*listener.push(pcm), *listener.finish()]:
        if event.kind is EventKind.START:
            start = max(0, event.hop - LEAD)
        elif event.kind is EventKind.RESULT and event.hop - start >= WINDOW:
            new = (event.hop - start - WINDOW) % (WINDOW - hops)
            yield new < FIRST, int(event.probabilities.argmax())


def main(argv=None):
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("ravdess")
    parser.add_argument("--weights", default="robust")
    parser.add_argument("--overlap", type=float, nargs="+", default=[0.0, 4.96])
    args = parser.parse_args(argv)
    checkpoint = load_checkpoint(args.weights)
    speakers = {int(actor) for actor in choose_speakers(checkpoint, load_dataset(args.ravdess))}
    spoken = utterances(args.ravdess, speakers)
    seconds = sum(map(len, spoken.values())) / SAMPLE_RATE
    print(f"{len(spoken)} utterances of {seconds / len(spoken):.1f} s on average")
    for overlap in args.overlap:
        listener, hops = Listener(checkpoint, SAMPLE_RATE, overlap=overlap), overlap_hops(overlap)
        first, every = defaultdict(list), defaultdict(list)
        for (_, emotion), pcm in spoken.items():
            for is_first, label in answers(listener, pcm, hops):
                every[emotion].append(label == emotion)
                if is_first:
                    first[emotion].append(label == emotion)
        shares = [np.mean([np.mean(right) for right in kind.values()]) for kind in (first, every)]
        count = sum(map(len, every.values()))
        print(
            f"overlap {hops * HOP / SAMPLE_RATE:.2f} s: first two seconds of a window {shares[0]:.3f}, all"
            f" {count} answers {shares[1]:.3f}"
        )


if __name__ == "__main__":
    sys.exit(guarded(main))
