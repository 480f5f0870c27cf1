"""Arguments that several commands have in common, and what they lead to: corpora, plans of training,
pictures, speeds.
"""

import argparse
import os

from npreslstm.terminal import say

DATA = "RAVDESS folder, or manifest CSV with the columns file, label, speaker"


def add_key_argument(parser):
    """Which network, of files that hold several."""
    key = "which of several networks in a checkpoint, as the message about them calls it: state_dict.ema"
    parser.add_argument("--key", help=key)


def add_features_argument(parser, **options):
    """What the features are; --config, its former name, is understood as well."""
    parser.add_argument("--features", **options)
    options |= {"help": argparse.SUPPRESS, "default": argparse.SUPPRESS}
    parser.add_argument("--config", dest="features", **options)


def add_corpus_arguments(parser):
    """Several corpora, and names of labels."""
    parser.add_argument(
        "--corpus",
        action="append",
        default=[],
        metavar="DATA",
        help="one of several corpora, as DATA; repeatable",
    )
    label = (
        "what a label means: a class, or - to leave its clips out; of one corpus with its name before it,"
        " nemo.csv/anger=angry; repeatable"
    )
    parser.add_argument("--label", action="append", default=[], metavar="LABEL=CLASS", help=label)
    parser.add_argument(
        "--labels",
        metavar="MAP.csv",
        help="the same from a CSV file with the columns label, class and, if need be, corpus",
    )


def add_background_argument(parser):
    """Sounds for conditions with noise."""
    background = "folder of sounds without speech, to lay behind clips where the recipe draws conditions"
    parser.add_argument("--background", metavar="DIR", help=background)


def background_files(args, recipe):
    """Sound files of --background; none without it. Says so if the recipe has no use for them."""
    from npreslstm.audio.reader import find_audio

    if not args.background:
        return ()
    if not recipe.conditions:
        say("warning: --background has no part in this: the recipe draws no conditions (--set conditions=12)")
    return tuple(find_audio([args.background]))


def corpus_paths(args):
    """All corpora that the arguments name."""
    return [*([args.data] if args.data else []), *args.corpus]


def read_paths(args):
    """Files that the arguments of `add_corpus_arguments` read."""
    return [*corpus_paths(args), *([args.labels] if args.labels else [])]


def load_data(args, known=()):
    """The `Dataset` that the arguments name.

    Parameters
    ----------
    args : argparse.Namespace
        Of `add_corpus_arguments`, and ``data``.
    known : sequence of str, optional
        Classes of a model: labels that need no word on what they mean.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        As of `load_dataset`, `merge` and `relabel`; or if --corpus is there for a single one.
    """
    from npreslstm.errors import InputError
    from npreslstm.training.dataset import load_dataset
    from npreslstm.training.merging import merge, relabel

    paths = corpus_paths(args)
    if args.corpus and len(paths) == 1:
        raise InputError(
            f"one corpus only: --corpus {paths[0]}; give at least two, or {paths[0]} without --corpus"
        )
    labels = label_mapping(args)
    mapped = {*labels, *(label.partition("/")[2] for label in labels)}
    datasets = [load_dataset(path, mapped) for path in paths]
    if len(datasets) == 1:
        return relabel(datasets[0], labels) if labels else datasets[0]
    there = {label for dataset in datasets for label in dataset.classes}
    return merge(datasets, {label: label for label in known if label in there} | labels)


def load_training_data(args):
    """As `load_data`; says what the corpora are, and which clips are there under two names."""
    from npreslstm.training.inspection import warn_of_copies

    dataset = load_data(args)
    for part in dataset.parts if dataset.several else ():
        classes = ", ".join(dataset.classes[k] for k in part.corpora[0].classes)
        say(f"{part.name}: {len(part.clips)} clips of {len(part.speakers)} speakers; {classes}")
    warn_of_copies(dataset)
    return dataset


def label_mapping(args):
    """{label: class} of --labels and --label."""
    from npreslstm.errors import InputError

    pairs = _pairs_of(args.labels) if args.labels else []
    for text in args.label:
        label, sign, name = text.rpartition("=")
        if not sign or not label.strip():
            raise InputError(f"--label is {text!r}; expected LABEL=CLASS, e.g. anger=angry")
        pairs.append((label.strip(), name.strip()))
    mapping = {}
    for label, name in pairs:
        if mapping.setdefault(label, name) != name:
            raise InputError(f"the label {label} has two meanings: {mapping[label]} and {name}; expected one")
    return mapping


def _pairs_of(path):
    from npreslstm.errors import InputError
    from npreslstm.training.manifest import read_table

    rows = [
        {name: text.strip() for name, text in row.values.items()}
        for row in read_table(path, ("label", "class"), ("corpus",))
    ]
    if not rows:
        raise InputError(f"{path} lists no labels; expected one a line, with its class")
    return [
        (f"{row['corpus']}/{row['label']}" if row.get("corpus") else row["label"], row["class"])
        for row in rows
    ]


def add_training_arguments(parser):
    """What `crossval` and `search` have in common."""
    _add_protocol(parser)
    add_network_arguments(parser)
    _add_work(parser)


def _add_protocol(parser):
    add_corpus_arguments(parser)
    folds = (
        "paper (default), emobox, a number of folds for any corpus, or corpus, which leaves out one of"
        " several"
    )
    parser.add_argument("--folds", default="paper", metavar="F", help=folds)
    add_recipe_arguments(parser, default="default")
    add_background_argument(parser)


def add_recipe_arguments(parser, default=None):
    """How the network is trained."""
    recipe = (
        "default, student (with --teachers), robust (with --start), original (the paper's settings) or a JSON"
        " file of fields"
    )
    parser.add_argument("--recipe", default=default, metavar="R", help=recipe)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change a field of the recipe, e.g. lr=1e-3; repeatable",
    )


def add_network_arguments(parser):
    """What the network hears, and of what size it is."""
    add_features_argument(
        parser, default="paper", metavar="F", help="paper (default), mcu, or a JSON file of fields"
    )
    parser.add_argument(
        "--model", default="reslstm-sa", choices=("reslstm-sa", "lstm-sa"), help="default: reslstm-sa"
    )
    parser.add_argument(
        "--hidden", type=int, default=64, metavar="H", help="hidden units of the last LSTM (default 64)"
    )
    parser.add_argument(
        "--layers", type=int, default=1, metavar="L", help="layers stacked in each LSTM (default 1)"
    )


def _add_work(parser):
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="everything random follows from it (default 0)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: as many as cores)")
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="train on a dask.distributed cluster, e.g. tcp://host:8786"
    )
    parser.add_argument(
        "--cache", metavar="DIR", help="folder of features, to share between results (default: inside --out)"
    )


def make_plan(args, **options):
    """The `Plan` that arguments describe; says on standard error what it amounts to."""
    from npreslstm.experiments.plan import Plan
    from npreslstm.experiments.protocol import TABLES, missing_clips
    from npreslstm.schema import ModelConfig
    from npreslstm.training.dataset import RAVDESS
    from npreslstm.training.recipe import load_recipe, training_features, with_settings

    recipe = with_settings(load_recipe(args.recipe), args.set)
    dataset = load_training_data(args)
    model = ModelConfig(args.model, hidden_size=args.hidden, num_layers=args.layers)
    options["backgrounds"] = background_files(args, recipe)
    plan = Plan.make(
        dataset,
        args.folds,
        training_features(args.features, recipe.trim_db),
        model,
        recipe,
        seed=args.seed,
        **options,
    )
    ravdess = [part for part in dataset.parts if part.name == RAVDESS]
    if ravdess and args.folds in TABLES and (missing := missing_clips(ravdess[0])):
        more = " ..." if len(missing) > 5 else ""
        lacks = f"{_folder(args)} lacks {len(missing)} of RAVDESS's 1,440 clips"
        say(f"warning: {lacks}, so scores cannot be compared: {', '.join(missing[:5])}{more}")
    return plan


def _folder(args):
    """The corpus that is a folder, and so RAVDESS."""
    return next(path for path in corpus_paths(args) if os.path.isdir(path))


def add_plot_arguments(parser):
    """Where pictures go."""
    parser.add_argument("--plots", metavar="DIR", help="draw pictures into DIR")
    parser.add_argument("--plot-format", choices=("png", "svg"), default="png", help="default: png")


def check_plots(args):
    """Find out before the work whether pictures can be drawn after it."""
    if args.plots:
        from npreslstm.files import check_folder
        from npreslstm.report.plots import plain_text

        plain_text()
        check_folder("--plots", args.plots)


def add_speeds_argument(parser):
    """At which playback speeds clips are heard."""
    parser.add_argument(
        "--speeds",
        default="1",
        metavar="S",
        help="hear everything at several speeds and average, e.g. 1,0.85,1.15 (default 1)",
    )


def parse_speeds(text):
    """(1.0, 0.85, 1.15) of the text ``1,0.85,1.15``."""
    from npreslstm.audio.signal import check_speeds
    from npreslstm.errors import InputError

    try:
        speeds = tuple(map(float, text.split(",")))
    except ValueError:
        raise InputError(f"--speeds is {text!r}; expected numbers with commas, such as 1,0.85,1.15") from None
    check_speeds(speeds)
    return speeds
