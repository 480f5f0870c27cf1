"""The tables of docs/accuracy.md and its notebook, recomputed from the committed predictions."""

import re
from pathlib import Path

import numpy as np
import pytest

from npreslstm.checkpoint import load_checkpoint
from npreslstm.experiments.packed import FILES, open_results
from npreslstm.experiments.summary import pooled_uar, summarise
from npreslstm.training.calibration import expected_calibration_error
from npreslstm.training.dataset import RAVDESS
from npreslstm.training.metrics import confusion_matrix, uar

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOTEBOOK = DOCS / "notebook"
ROBUST = ("robust", "robust-first")
SEVERAL = (*ROBUST, "emobox-robust")  # of several corpora; the pages have what they say on RAVDESS
RESULTS = sorted(path.name for path in DOCS.glob("results/*") if path.name not in SEVERAL)
# rows of the accuracy page itself
FINAL = ("original", "paper", "mcu", "mcu-own-teachers", "emobox")
FINAL += ("paper-three-speeds", "mcu-three-speeds", "mcu-own-teachers-three-speeds")

pytestmark = pytest.mark.skipif(
    not RESULTS, reason="docs/results is in the repository, not in the source distribution"
)


def committed(name):
    return open_results(str(DOCS / "results" / name))


def with_spread(score):
    return f"{score['mean']:.4f}" + ("" if score["std"] is None else f" ± {score['std']:.4f}")


@pytest.mark.parametrize("name", [*RESULTS, *SEVERAL])
def test_results_are_two_files(name):
    assert sorted(path.name for path in (DOCS / "results" / name).iterdir()) == sorted(FILES)


@pytest.mark.parametrize("name", RESULTS)
def test_the_row_is_what_the_predictions_give(name):
    journal = committed(name)
    summary = summarise(journal.config, journal.entries())
    low, high = summary["UAR interval"]
    folds = " ".join(f"{value:.4f}" for value in summary["UAR by fold"])
    together = "" if summary["ensemble UAR"] is None else f"{summary['ensemble UAR']:.4f}"
    cells = [
        f"`{name}`",
        len(summary["runs"]),
        with_spread(summary["UAR"]),
        f"{low:.4f} to {high:.4f}",
        f"{summary['accuracy']['mean']:.4f}",
    ]
    page = (NOTEBOOK / "folds.md").read_text(encoding="utf-8")
    row = "\n| " + " | ".join(map(str, [*cells, folds, together])).rstrip() + " |\n"
    assert row in page
    assert (row in (DOCS / "accuracy.md").read_text(encoding="utf-8")) == (name in FINAL)
    if len(summary["runs"]) > 1:
        assert f"    {name}: " + " ".join(f"{value:.4f}" for value in summary["UAR by run"]) + "\n" in page
    steps = (NOTEBOOK / "recipe.md").read_text(encoding="utf-8")
    assert f"(`{name}`) | {with_spread(summary['UAR'])} | {len(summary['runs'])} |" in steps
    stored, again = journal.summary["UAR"], summary["UAR"]
    assert stored.keys() == again.keys()
    # another machine adds in another order or to more bits; achieved on i386: 6e-15. None, of one run, is NaN
    stored, again = (np.array(list(scores.values()), float) for scores in (stored, again))
    assert np.allclose(stored, again, rtol=5e-14, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", ROBUST)
def test_the_folds_of_robust_are_what_the_predictions_give(name):
    journal = committed(name)
    found = summarise(journal.config, journal.entries())["corpora"][RAVDESS]
    runs, (low, high) = found["UAR by run"], found["UAR interval"]
    score = {"mean": np.mean(runs), "std": np.std(runs, ddof=1) if len(runs) > 1 else None}
    row = f"| `{name}` | {len(runs)} | {with_spread(score)} | {low:.4f} to {high:.4f} |"
    for page in (NOTEBOOK / "robust.md", DOCS / "accuracy.md"):
        assert row in page.read_text(encoding="utf-8")


def test_the_speakers_of_the_bundled_files_are_not_needed_for_the_decisions():
    means, names = [], ("mcu-labels", "mcu-100-epochs", "mcu-200-epochs", "mcu-lr-2e-3", "mcu-alike")
    for name in names:
        entries = committed(name).entries()
        runs = {run for run, _ in entries}
        means.append(np.mean([pooled_uar([entries[run, fold] for fold in range(1, 5)], 8) for run in runs]))
    page = " ".join((NOTEBOOK / "recipe.md").read_text(encoding="utf-8").split())
    assert means == sorted(means)
    assert "On folds 1 to 4 alone, without the speakers that the bundled files are tested on, " in page
    *before, last = names
    *figures, of_last = (f"{mean:.4f}" for mean in means)
    assert (
        ", ".join(f"`{name}`" for name in before) + f" and `{last}` give {', '.join(figures)} and {of_last}."
        in page
    )


def test_differences_run_by_run():
    page = " ".join((NOTEBOOK / "folds.md").read_text(encoding="utf-8").split())
    found = re.findall(
        r"- \*\*`([\w-]+)`\*\*((?:(?!- \*\*).)*?)Run by run, (?:it lies|they lie) ([\d.]+ ± [\d.]+) above"
        r" `([\w-]+)`",
        page,
    )
    assert len(found) == page.count("Run by run") == 6
    for name, _, stated, other in found:
        runs, others = (committed(which).summary["UAR by run"] for which in (name, other))
        difference = np.subtract(runs, others)
        assert stated == f"{difference.mean():.4f} ± {difference.std(ddof=1):.4f}"


def test_what_silence_is_worth_to_the_features_of_the_paper():
    """The same runs, trimmed and not."""
    untrimmed, trimmed = (committed(name) for name in ("paper-untrimmed", "paper-teachers"))
    runs = untrimmed.summary["UAR by run"]
    assert len(runs) == 3 and untrimmed.config["recipe"]["trim_db"] == 0.0
    assert trimmed.config["recipe"] == untrimmed.config["recipe"] | {"trim_db": 30.0}
    assert trimmed.config["seed"] == untrimmed.config["seed"]
    difference = np.subtract(runs, trimmed.summary["UAR by run"][:3])
    stated = f"It lies {difference.mean():.4f} ± {difference.std(ddof=1):.4f} above those three."
    assert stated in (NOTEBOOK / "folds.md").read_text(encoding="utf-8")


def test_what_two_teachers_of_other_features_add():
    """The same student with and without them."""
    both, alone = (committed(name) for name in ("mcu-two-features", "mcu-two-teachers"))
    assert both.config["recipe"] == alone.config["recipe"] and both.config["seed"] == alone.config["seed"]
    for more, less in zip(both.config["teachers"], alone.config["teachers"]):
        assert less == more[:2] and len(more) == 4
    gain = both.summary["UAR"]["mean"] - alone.summary["UAR"]["mean"]
    assert f"It lies {gain:.4f} above it" in (NOTEBOOK / "folds.md").read_text(encoding="utf-8")


def of_ravdess(name):
    """{clip: (label, [probabilities of each run])} of the clips of RAVDESS."""
    found = {}
    for entry in committed(name).entries().values():
        for file, label, probabilities in zip(entry.files, entry.labels, entry.probabilities):
            corpus, _, clip = file.rpartition("/")
            if corpus in ("", RAVDESS):
                found.setdefault(clip, (label, []))[1].append(probabilities)
    return found


def probabilities_of_runs(name):
    """Labels (N,) of the clips of RAVDESS, and probabilities (runs, N, C)."""
    labels, probabilities = zip(*of_ravdess(name).values())
    return np.array(labels), np.array(probabilities).transpose(1, 0, 2)


@pytest.mark.parametrize("name", ROBUST)
def test_the_calibration_error_of_robust_is_what_the_predictions_give(name):
    labels, runs = probabilities_of_runs(name)
    errors = [expected_calibration_error(probabilities, labels) for probabilities in runs]
    score = {"mean": np.mean(errors), "std": np.std(errors, ddof=1) if len(errors) > 1 else None}
    page = (DOCS / "accuracy.md").read_text(encoding="utf-8")
    assert re.search(rf"\n\| `{name}` \|.* \| {re.escape(with_spread(score))} \|\n", page)


def test_what_the_temperature_of_the_bundled_file_does_to_that_of_the_folds():
    labels, (probabilities,) = probabilities_of_runs("robust")
    tempered = probabilities ** (1 / load_checkpoint("robust").notes["temperature"]["value"])
    tempered /= tempered.sum(axis=1, keepdims=True)
    before, after = (expected_calibration_error(p, labels) for p in (probabilities, tempered))
    page = " ".join((DOCS / "accuracy.md").read_text(encoding="utf-8").split())
    assert f"That of the bundled file would lower {before:.4f} to {after:.4f}." in page


def uar_together(names, speakers):
    """UAR of all runs of some results together, over the clips of some speakers."""
    each = [of_ravdess(name) for name in names]
    clips = [clip for clip in each[0] if int(clip[-2:]) in speakers]
    labels = [each[0][clip][0] for clip in clips]
    means = [np.mean(sum((found[clip][1] for found in each), []), axis=0) for clip in clips]
    return uar(confusion_matrix(labels, np.argmax(means, axis=1), 8))


def test_what_unlike_teachers_know_together():
    """All six, and either three; on all folds, and without the speakers of the bundled files."""
    held_out = {2, 5, 14, 15, 16}
    page = " ".join((NOTEBOOK / "folds.md").read_text(encoding="utf-8").split())
    for speakers, words in (
        (range(1, 25), "Together the six have"),
        ({*range(1, 25)} - held_out, "On folds 1 to 4 alone"),
    ):
        both = ("robust-first", "paper-untrimmed")
        all_six, robust, untrimmed = (uar_together(names, speakers) for names in (both, both[:1], both[1:]))
        assert (
            f"{words} {all_six:.4f}, those of `robust-first` {robust:.4f}, those of `paper-untrimmed`"
            f" {untrimmed:.4f}" in page
        )
    paper, mcu = (committed(name).config for name in ("paper", "mcu"))
    assert paper["teachers"] == mcu["teachers"] and [len(of_fold) for of_fold in mcu["teachers"]] == [6] * 5
    assert paper["seed"] == mcu["seed"] and paper["recipe"] == mcu["recipe"]
    first, second = np.subtract(*(committed(name).summary["UAR by run"] for name in ("paper", "mcu")))
    assert f"Its runs lie {first:.4f} and {second:.4f} below those." in page


def test_what_the_teachers_of_emobox_know():
    """Two of either kind, and the first of either, on the clips of RAVDESS."""
    robust, untrimmed = (of_ravdess(name) for name in ("emobox-robust", "emobox-untrimmed"))
    labels = [label for label, _ in robust.values()]

    def together(kinds, runs):
        likeliest = [np.argmax(sum(kind[clip][1][run] for kind in kinds for run in runs)) for clip in robust]
        return uar(confusion_matrix(labels, likeliest, 8))

    page = " ".join((NOTEBOOK / "folds.md").read_text(encoding="utf-8").split())
    alone = [together([robust], [run]) for run in (0, 1)]
    assert "`emobox-robust` have {:.4f} and {:.4f} on the clips of RAVDESS".format(*alone) in page
    assert f"together the four know {together([robust, untrimmed], [0, 1]):.4f}." in page
    assert f"which together know {together([robust, untrimmed], [0]):.4f}." in page
    four, first, alike = (committed(name) for name in ("emobox", "emobox-unlike", "emobox-alike"))
    assert {len(of_fold) for of_fold in four.config["teachers"]} == {
        4
    } and "teachers by run" not in four.config
    assert [of_fold[::2] for of_fold in four.config["teachers"]] == first.config[
        "teachers"
    ]  # run 0 of either
    gain = four.summary["UAR"]["mean"] - alike.summary["UAR"]["mean"]
    assert f"The mean lies {gain:.4f} above that of `emobox-alike`." in page


def test_runs_that_share_no_teacher():
    """The same six teachers as `mcu` in pairs, one of either kind, run by run."""
    own, mcu = (committed(name) for name in ("mcu-own-teachers", "mcu"))
    runs = own.summary["runs"]
    assert own.config["teachers by run"] is True and own.config["teachers"] == mcu.config["teachers"]
    assert own.config["recipe"] == mcu.config["recipe"] and own.config["features"] == mcu.config["features"]
    assert len(mcu.config["teachers"][0]) == 2 * len(runs)  # so no pair came twice
    robust, untrimmed = (of_ravdess(name) for name in ("robust-first", "paper-untrimmed"))
    labels = [label for label, _ in robust.values()]
    pairs = []
    for run in runs:
        likeliest = [np.argmax(robust[clip][1][run] + untrimmed[clip][1][run]) for clip in robust]
        pairs.append(uar(confusion_matrix(labels, likeliest, 8)))
    gain = own.summary["UAR"]["mean"] - mcu.summary["UAR"]["mean"]
    page = " ".join((NOTEBOOK / "folds.md").read_text(encoding="utf-8").split())
    assert "which together have {:.4f}, {:.4f} and {:.4f}.".format(*pairs) in page
    assert f"The mean lies {gain:.4f} above that of `mcu`" in page


def test_what_the_four_teachers_know_together():
    journal = committed("mcu-labels")
    four = {key: entry for key, entry in journal.entries().items() if key[0] in (6, 7, 8, 9)}
    together = f"Together these four teachers score {summarise(journal.config, four)['ensemble UAR']:.4f}"
    assert together in (NOTEBOOK / "folds.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RESULTS)
def test_no_scored_speaker_was_trained_on(name):
    """By the committed configuration: the folds cover all speakers once, and the statistics are of training
    speakers.
    """
    config = committed(name).config
    tested = [speaker for fold in config["folds"] for speaker in fold["test"]]
    assert sorted(tested, key=int) == [str(k) for k in range(1, 25)]
    assert config["scored speakers"] == [fold["test"] for fold in config["folds"]]
    assert name == "original" or (config["recipe"]["statistics"], config["recipe"]["keep"]) == (
        "training",
        "last",
    )


def test_the_readme_has_the_same_figures():
    readme = " ".join((DOCS.parent / "README.md").read_text(encoding="utf-8").split())
    page = (DOCS / "accuracy.md").read_text(encoding="utf-8")
    names = re.findall(r"`(\w+)`", re.search(r"\| UAR \(95 % over speakers\) \|(.*)", page)[1])
    over_conditions = dict(
        zip(names, re.findall(r"\*\*(0\.\d{4})\*\*", re.search(r"\| \*\*mean\*\* \|(.*)", page)[1]))
    )
    as_recorded = dict(zip(names, re.findall(r"(0\.\d{4}) \(", re.search(r"\| as recorded \|(.*)", page)[1])))
    for name in ("robust", "mcu", "paper"):
        uar = f"{load_checkpoint(name).notes['scores held out']['uar']:.4f}"
        assert re.search(rf"\| `{name}`[^|]*\|[^|]*\| {uar} \| {over_conditions[name]} \|", readme), name
        assert re.search(rf"\| `{name}\.npz`.*\| {uar} \|", page) and as_recorded[name] == uar
    paper, mcu, paper_three, mcu_three = (
        with_spread(committed(name + speeds).summary["UAR"])
        for speeds in ("", "-three-speeds")
        for name in ("paper", "mcu-own-teachers")
    )
    assert (
        f"recipe gives {paper} with `paper` (mean and standard deviation of two runs) and {mcu} with"
        in readme
    )
    assert f"Hearing each clip at three speeds raises them to {paper_three} and {mcu_three}." in readme
