"""A small corpus and its cross-validation, for the tests of crossval and search."""

from samples import voice, write_wav

from npreslstm.cli import main
from npreslstm.experiments.plan import Plan
from npreslstm.schema import ModelConfig
from npreslstm.training.dataset import load_dataset
from npreslstm.training.recipe import Recipe, training_features

RUNS, FOLDS, EPOCHS = 2, 3, 12  # epochs enough for a kill to come in between
SMALL = [
    "--folds",
    str(FOLDS),
    "--features",
    "mcu",
    "--hidden",
    "4",
    "--set",
    f"epochs={EPOCHS}",
    "--set",
    "speeds=1",
    "--seed",
    "7",
]


def make_corpus(folder):
    """Manifest of 24 short clips: six speakers, two labels."""
    rows = ["file,label,speaker"]
    for k in range(24):
        write_wav(folder / f"{k}.wav", voice(0.3, seed=k))
        rows.append(f"{k}.wav,{'ab'[k % 2]},s{k // 4}")
    (folder / "corpus.csv").write_text("\n".join(rows))
    return folder / "corpus.csv"


def run_whole(corpus, out):
    """Folder of the results of a cross-validation that nothing interrupted."""
    assert (
        main(["crossval", str(corpus), *SMALL, "--runs", str(RUNS), "--workers", "1", "--out", str(out)]) == 0
    )
    return out


def command(corpus, whole, out, *more):
    """Arguments of the same cross-validation into another folder, with the features that are there."""
    return [
        "crossval",
        str(corpus),
        *SMALL,
        "--runs",
        str(RUNS),
        "--cache",
        str(whole / "features"),
        "--out",
        str(out),
        *more,
    ]


def results(folder):
    """{name: bytes} of all that must be the same."""
    files = [*(folder / "predictions").iterdir(), folder / "config.json", folder / "summary.json"]
    return {file.name: file.read_bytes() for file in files if not file.name.startswith(".")}


def finished(folder):
    return len(list(folder.glob("predictions/run*.csv")))


def small_model():
    return ModelConfig(hidden_size=4)


def quick_recipe(epochs, **options):
    return Recipe(epochs=epochs, speeds=(1.0,), **options)


def plan_of(corpus, epochs=1, folds="3", recipe=None, **options):
    return Plan.make(
        load_dataset(corpus),
        folds,
        training_features("mcu"),
        small_model(),
        recipe or quick_recipe(epochs),
        **options,
    )
