"""The scores of a weights file for people."""

from npreslstm.report.crossval import confusion_table, corpora_table
from npreslstm.report.text import bar, table
from npreslstm.training.calibration import SCORES


def evaluation_text(scores, classes, blocks=True):
    """Text of what `npreslstm.experiments.evaluate.scores` returns."""
    spread = (
        "one speaker"
        if scores["UAR interval"] is None
        else "95 % over speakers: {:.4f} to {:.4f}".format(*scores["UAR interval"])
    )
    head = [
        f"{scores['clips']:,} clips",
        f"UAR {scores['UAR']:.4f}   {spread}",
        f"accuracy {scores['accuracy']:.4f}",
    ]
    head += [f"{words} {scores[key]:.4f}" for key, words in SCORES.items()]
    found = [
        (name, "-", "") if value is None else (name, f"{value:.4f}", bar(value, 25, blocks))
        for name, value in scores["recalls"].items()
    ]
    several = [corpora_table(scores["corpora"])] if "corpora" in scores else []
    sections = [
        "\n".join(head),
        *several,
        table(("class", "recall", ""), found),
        confusion_table(classes, scores["confusion"]),
    ]
    for group, members in scores["groups"].items():
        rows = [
            (name, str(score["clips"]), f"{score['UAR']:.4f}", f"{score['accuracy']:.4f}")
            for name, score in members.items()
        ]
        sections.append(table((group, "clips", "UAR", "accuracy"), rows, right={1, 2, 3}))
    return "\n\n".join(sections) + "\n"
