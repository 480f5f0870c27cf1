"""What the commands that read corpora have in common: one or several, and what their labels mean."""

DATA = "RAVDESS folder, or manifest CSV with the columns file, label, speaker"


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


def background_files(args):
    """Sound files of --background; none without it."""
    from npreslstm.audio.reader import find_audio

    return tuple(find_audio([args.background])) if args.background else ()


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
    from npreslstm.training.dataset import load_dataset, merge, relabel

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
    from npreslstm.cli import say
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
        label, sign, name = text.partition("=")
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
