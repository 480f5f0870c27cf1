"""npreslstm train: a weights file from a corpus."""

import contextlib
import os
import sys

from npreslstm.commands.arguments import (
    DATA,
    add_background_argument,
    add_corpus_arguments,
    add_network_arguments,
    add_recipe_arguments,
    background_files,
    corpus_paths,
    load_training_data,
    read_paths,
)
from npreslstm.terminal import ClipLine, EpochLine, printable, show

HELP = "train a model on a RAVDESS folder, on your own corpus, or on synthetic tones"
EXAMPLES = """\
examples:
  npreslstm train --synthetic --out tones.npz
  npreslstm train ravdess/ --test 2,5,14,15,16 --out mine.npz --jobs 2 --cache features/
  npreslstm train corpus.csv --validation anna,ben --features mcu --set epochs=100 --set keep=best \\
      --out mine.npz
  npreslstm train corpus.csv --test anna,ben --calibrate 4 --out mine.npz
  npreslstm train ravdess/ --test 2,5,14,15,16 --features mcu --start mcu --recipe robust --out mine.npz
      go on from bundled weights
  npreslstm train corpus.csv --recipe student --seed 3 --teacher one.npz --teacher two.npz --out mine.npz
      one in place of two
  npreslstm train --corpus ravdess/ --corpus nemo.csv --label anger=angry --label sadness=sad \\
      --label happiness=happy --test "RAVDESS speech/2,nemo.csv/SB0" --features mcu --out both.npz

A corpus of your own is a CSV file with the columns file (relative to it), label and speaker. Of several
corpora, speakers go by the name of theirs: nemo.csv/SB0. Their classes are those of all; a corpus has no say
in the classes that it lacks. Labels of equal names are one class; where others may be two names of one, you
are asked what they mean. The feature statistics and the weights come from the training speakers alone; the
test speakers are scored once, at the end. A run that was interrupted goes on where it was when it is started
again with the same arguments. A .pt, .pth or .safetensors holds tensors alone: an .npz of the same name is
written beside it, with all that predict needs.

--calibrate 4 deals the training speakers into four groups and trains four more networks, each without one of
them. A temperature is fitted on what each makes of the group it has not heard, and the head of the network is
divided by it: labels stay, and probabilities become how often it is right. With teachers:
npreslstm calibrate.
"""


def add_arguments(parser):
    _add_data(parser)
    add_network_arguments(parser)
    _add_recipe(parser)
    _add_work(parser)


def _add_data(parser):
    parser.add_argument("data", nargs="?", help=DATA)
    add_corpus_arguments(parser)
    parser.add_argument(
        "--synthetic",
        action="store_true",
        help="train on tones and chirps that the package makes, in under a minute",
    )
    parser.add_argument(
        "--out", required=True, metavar="W", help="weights file to write: .npz, .pt, .pth or .safetensors"
    )
    parser.add_argument(
        "--test",
        default="",
        metavar="SPEAKERS",
        help="speakers to hold out and score at the end, with commas",
    )
    parser.add_argument(
        "--validation",
        default="",
        metavar="SPEAKERS",
        help="speakers to score after every epoch, with commas",
    )


def _add_recipe(parser):
    add_recipe_arguments(parser)
    parser.add_argument(
        "--teacher",
        action="append",
        default=[],
        metavar="W.npz",
        help="learn from this network of the same speakers, of any features; repeatable",
    )
    start = (
        "go on from this network in place of random weights: a file, or the name of bundled weights; its"
        " classes must be those of DATA"
    )
    parser.add_argument("--start", metavar="W", help=start)
    add_background_argument(parser)


def _add_work(parser):
    calibrate = "train K networks more, inside the training speakers, to calibrate the probabilities by"
    parser.add_argument("--calibrate", type=int, metavar="K", help=calibrate)
    parser.add_argument("--seed", type=int, default=0, help="everything random follows from it (default: 0)")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes that extract features (default: 1)"
    )
    parser.add_argument("--cache", metavar="DIR", help="keep extracted features here for the next run")


def execute(args):
    from npreslstm.checkpoint import load_checkpoint
    from npreslstm.experiments.temperature import inner_snapshots
    from npreslstm.schema import ModelConfig
    from npreslstm.training.fit import fit
    from npreslstm.training.recipe import SYNTHETIC, load_recipe, with_settings

    _check(args)
    _check_out(args)
    recipe = with_settings(
        SYNTHETIC if args.synthetic and not args.recipe else load_recipe(args.recipe or "default"), args.set
    )
    model = ModelConfig(args.model, hidden_size=args.hidden, num_layers=args.layers)
    teachers = [load_checkpoint(path) for path in args.teacher]
    start = load_checkpoint(args.start) if args.start else None
    model = start.config if start else model
    examples, split, *others = _synthetic(args, recipe) if args.synthetic else _corpus(args, recipe, teachers)
    speakers = len(set(examples.speakers[split.train]))
    show(f"training on {len(split.train)} clips of {speakers} speakers, seed {args.seed}", sys.stderr)
    snapshot = args.out + ".training"
    learnt = EpochLine(), snapshot, teachers, start, others
    checkpoint = fit(examples, split, model, recipe, args.seed, *learnt)
    if args.calibrate is not None:
        checkpoint = _calibrated(args, checkpoint, examples, split, model, recipe)
    written = _save(args.out, checkpoint)
    for path in (snapshot, *inner_snapshots(snapshot)):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
    _report(written, checkpoint.notes)


def _check(args):
    """Refuse arguments that contradict each other."""
    from npreslstm.errors import InputError

    if bool(corpus_paths(args)) == args.synthetic:
        raise InputError(
            "give either DATA (a RAVDESS folder or a manifest CSV), or several --corpus, or --synthetic"
        )
    if args.seed < 0:
        raise InputError(f"--seed is {args.seed}; expected 0 or more")
    if args.calibrate is not None and (args.teacher or args.start):
        remedy = "leave one of them out, or use npreslstm calibrate afterwards"
        raise InputError(
            f"--calibrate trains networks without speakers whom a --teacher or --start has heard; {remedy}"
        )


def _check_out(args):
    """Find out before the training whether its result can be written."""
    from npreslstm.conversion import check_format
    from npreslstm.errors import InputError
    from npreslstm.files import check_output

    check_output("--out", args.out, [*args.teacher, *read_paths(args)])
    check_format(args.out)
    beside = _complete_file(args.out)
    if beside != args.out and os.path.exists(beside) and not _is_pair(args.out, beside):
        remedy = "give another --out, or move that file"
        raise InputError(
            f"{args.out} holds tensors alone, and the complete weights would replace {beside}; {remedy}"
        )


def _is_pair(out, beside):
    """Whether both are of one earlier training, which this one replaces."""
    from npreslstm.checkpoint import load_checkpoint
    from npreslstm.conversion import same_tensors
    from npreslstm.errors import InputError

    try:
        return same_tensors(load_checkpoint(out), load_checkpoint(beside))
    except (InputError, OSError):
        return False


def _complete_file(out):
    """Where features, statistics, classes and notes go: into `out`, or, if its format has no place, an .npz
    beside it.
    """
    from npreslstm.conversion import holds_tensors_alone

    return os.path.splitext(out)[0] + ".npz" if holds_tensors_alone(out) else out


def _save(out, checkpoint):
    """Write the weights in the format that the ending of `out` says; returns the names of the files."""
    from npreslstm.checkpoint import save_checkpoint
    from npreslstm.conversion import write_weights

    write_weights(out, checkpoint)
    beside = _complete_file(out)
    if beside == out:
        return [out]
    save_checkpoint(beside, checkpoint)
    return [out, beside]


def _calibrated(args, checkpoint, examples, split, model, recipe):
    """The checkpoint with its temperature; says on standard error which network is being trained for it."""
    from npreslstm.experiments.temperature import calibrate_by_training

    def begin(number, part):
        who = f"{len(set(examples.speakers[part.train]))} of its speakers"
        show(f"to calibrate by: network {number + 1}/{args.calibrate}, trained on {who}", sys.stderr)

    snapshot = args.out + ".training"
    arguments = checkpoint, examples, split, model, recipe, args.seed, args.calibrate
    return calibrate_by_training(*arguments, begin, EpochLine(), snapshot)


def _synthetic(args, recipe):
    from npreslstm.training.examples import split_by_speaker, synthetic_examples
    from npreslstm.training.synthetic import VALIDATION

    examples = synthetic_examples(args.seed)
    validation, test = _speakers(args.validation) or VALIDATION, _speakers(args.test)
    split = split_by_speaker(examples.speakers, validation, test)
    _check_groups(args, examples.speakers, examples.labels, examples.classes, split, recipe)
    return examples, split


def _corpus(args, recipe, teachers):
    """Examples and split of DATA, and examples in the features of teachers that have others; whatever is
    wrong with the call shows before the features are extracted.
    """
    from npreslstm.experiments.protocol import check_classes
    from npreslstm.training.examples import prepare_examples, split_by_speaker
    from npreslstm.training.recipe import training_features

    config = training_features(args.features, recipe.trim_db)
    dataset = load_training_data(args)
    validation, test = _speakers(args.validation), _speakers(args.test)
    split = split_by_speaker([clip.speaker for clip in dataset.clips], validation, test)
    check_classes(dataset, {*validation, *test})
    labels = [clip.label for clip in dataset.clips]
    _check_groups(args, [clip.speaker for clip in dataset.clips], labels, dataset.classes, split, recipe)
    arguments = args.jobs, args.cache, ClipLine(), recipe.conditions, background_files(args, recipe)
    kinds = dict.fromkeys([config, *(teacher.features for teacher in teachers if teacher.features)])
    examples, *others = [prepare_examples(dataset, kind, recipe.speeds, *arguments) for kind in kinds]
    return examples, split, *others


def _check_groups(args, speakers, labels, classes, split, recipe):
    """Find out whether there are groups of speakers to calibrate by."""
    from npreslstm.experiments.temperature import inner_splits

    if args.calibrate is not None:
        inner_splits(speakers, labels, classes, split, args.calibrate, recipe)


def _speakers(text):
    from npreslstm.training.dataset import speaker_names

    return tuple(speaker_names(text))


def _report(paths, notes):
    from npreslstm.training.calibration import temperature_text

    beside = "".join(f", which holds tensors alone, and {path} with all else" for path in paths[1:])
    show(printable(f"wrote {paths[0]}{beside}"))
    if line := temperature_text(notes):
        show(line)
    for what in ("scores validation", "scores held out"):
        if what in notes:
            scores = notes[what]
            found = ", ".join(
                f"{printable(name)} {'-' if value is None else format(value, '.3f')}"
                for name, value in scores["recalls"].items()
            )
            show(
                f"{what.removeprefix('scores ')}: UAR {scores['uar']:.4f} on {scores['clips']} clips of"
                f" speakers not trained on; recall {found}"
            )
            for corpus, score in scores.get("corpora", {}).items():
                show(f"  {printable(corpus)}: UAR {score['uar']:.4f} on {score['clips']} clips")
