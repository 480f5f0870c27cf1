#!/usr/bin/env python3
"""Write manifests of nEMO and of the part of EmoSpeech, with the labels named as RAVDESS's where they mean
the same.

    python tools/accuracy/manifests.py CORPORA OUT

CORPORA holds nemo/SPEAKER_EMOTION_SENTENCE.ogg and emospeech/SPEAKER_EMOTION_KEYWORD_ENVIRONMENT_NN.ogg; OUT,
made if needed, gets nemo.csv and emospeech.csv, whose files are relative to it. emospeech/background/ is
without speech and no part of them.
"""

import argparse
import csv
import os
import re
import sys
from pathlib import Path

from npreslstm.cli import guarded
from npreslstm.errors import InputError
from npreslstm.files import atomic_write
from npreslstm.training.manifest import refuse

NEMO = {
    "anger": "angry",
    "fear": "fear",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprised": "surprised",
}
EMOSPEECH = {"angry": "angry", "calm": "calm", "fearful": "fear", "happy": "happy"}
CORPORA = {
    "nemo": (re.compile(r"([A-Z0-9]+)_([a-z]+)_\d+\.ogg"), NEMO),
    "emospeech": (re.compile(r"(S\d+)_([a-z]+)_[a-z]+_[a-z]+_\d+\.ogg"), EMOSPEECH),
}


def rows_of(
    folder: Path, name_of_clip: re.Pattern, labels: dict[str, str], out: Path, every: int = 1
) -> list[tuple[str, str, str]]:
    """(file relative to `out`, label, speaker) of the clips in a folder, or one in so many, in the order of
    their names.

    Raises
    ------
    InputError
        If there are no clips, or some are named otherwise.
    """
    names = sorted(path.name for path in folder.glob("*.ogg") if not path.name.startswith("."))
    if not names:
        raise InputError(
            f"{folder} holds no .ogg files; expected a corpus as tools/accuracy/manifests.py --help describes"
            " it"
        )
    found = {name: name_of_clip.fullmatch(name) for name in names}
    refuse(
        [name for name, match in found.items() if not match or match[2] not in labels],
        f"{folder} holds unknown names",
    )
    return [
        (Path(os.path.relpath(folder / name, out)).as_posix(), labels[match[2]], match[1])
        for name, match in list(found.items())[::every]
    ]


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpora", type=Path, help="folder that holds nemo/ and emospeech/")
    parser.add_argument("out", type=Path, help="folder of the manifests")
    parser.add_argument(
        "--every",
        type=int,
        default=1,
        metavar="K",
        help="list one in K clips of nEMO, the larger one (default: all)",
    )
    args = parser.parse_args(argv)
    if args.every < 1:
        parser.error(f"--every is {args.every}; expected 1 or more")
    every = {"nemo": args.every, "emospeech": 1}
    made = {
        name: rows_of(args.corpora / name, *naming, args.out, every[name]) for name, naming in CORPORA.items()
    }
    args.out.mkdir(parents=True, exist_ok=True)
    for name, rows in made.items():
        with atomic_write(args.out / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("file", "label", "speaker"))
            writer.writerows(rows)
        speakers = len({speaker for _, _, speaker in rows})
        print(
            f"{args.out / name}.csv: {len(rows):,} clips of {speakers} speakers;"
            f" {', '.join(sorted({label for _, label, _ in rows}))}"
        )


if __name__ == "__main__":
    sys.exit(guarded(main))
