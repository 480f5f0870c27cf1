"""Pictures of how a model does: confusion, reliability, embeddings, attention, curves of training. Drawn by
matplotlib (extra `plot`).
"""

import os

import numpy as np

from npreslstm.errors import InputError
from npreslstm.files import atomic_write

FORMATS = ("png", "svg")
MARKERS = "osD^vPX*"  # one a class, for those who see colours alike
POINTS = 60  # of relative time, in the picture of attention


def new_figure(width, height):
    """A matplotlib figure without pyplot: no window, nothing to close."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("pictures need matplotlib: pip install matplotlib, or npreslstm[plot]") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain_text():
    """Have names drawn as they are, in this whole process: matplotlib takes what stands between two $ for
    mathematics.
    """
    new_figure(1, 1)  # which says so if there is no matplotlib
    import matplotlib

    matplotlib.rcParams["text.parse_math"] = False


def save_pictures(figures, folder, file_format="png"):
    """Write figures {name: figure or None}, whole or not at all, into a folder that is made if needed;
    returns the paths.
    """
    os.makedirs(folder, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        if figure is not None:
            paths.append(os.path.join(folder, f"{name}.{file_format}"))
            with atomic_write(paths[-1]) as file:
                figure.savefig(
                    file,
                    format=file_format,
                    dpi=130,
                    metadata={"Date": None} if file_format == "svg" else None,
                )
    return paths


def confusion_figure(confusion, classes, title=""):
    """Confusion matrix (C, C), rows the true classes: shares of each row as colour, in per cent, with counts
    beneath.
    """
    confusion = np.asarray(confusion)
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    figure = new_figure(1.6 + 0.75 * len(classes), 1.2 + 0.68 * len(classes))
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for true, row in enumerate(share):
        for predicted, value in enumerate(row):
            colour = "white" if value > 0.55 else "0.15"
            axes.text(predicted, true - 0.1, f"{100 * value:.0f}", ha="center", va="center", color=colour)
            axes.text(
                predicted,
                true + 0.27,
                f"{confusion[true, predicted]:,}",
                ha="center",
                va="center",
                color=colour,
                fontsize=6.5,
                alpha=0.8,
            )
    axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    axes.spines[:].set_visible(False)
    figure.colorbar(
        image, ax=axes, shrink=0.8, pad=0.02, label="share of the true class"
    ).outline.set_visible(False)
    return figure


def reliability_figure(found, title=""):
    """Share of right labels in each bin of the largest probability, with its clips; the diagonal is perfect.

    Parameters
    ----------
    found : Reliability
        See `npreslstm.training.calibration.reliability`.
    title : str

    Returns
    -------
    Figure
    """
    figure = new_figure(5.2, 4.8)
    axes = figure.subplots()
    accuracy = np.nan_to_num(found.accuracy)
    widths = np.diff(found.edges)
    bars = axes.bar(found.edges[:-1], accuracy, widths, align="edge", color=_colour(0), edgecolor="white")
    counts = [f"{clips:,}" if clips else "" for clips in found.clips]
    axes.bar_label(bars, counts, padding=2, fontsize=6.5)
    axes.plot(found.confidence, found.accuracy, ".", color="0.15", label="at the bin's mean probability")
    axes.plot([0, 1], [0, 1], color="0.4", linewidth=0.9, linestyle="--", label="perfectly calibrated")
    axes.set(xlabel="largest probability", ylabel="share of right labels", xlim=(0, 1), ylim=(0, 1.05))
    axes.set_title(title, fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    return figure


def _draw_components(axes, vectors, labels, classes):
    """The two first principal components of vectors (N, D), in the colour of each one's class."""
    points, explained = principal_components(vectors)
    style = {"s": 20, "alpha": 0.75, "linewidths": 0}
    for k, label in enumerate(classes):
        marker = MARKERS[k % len(MARKERS)]
        axes.scatter(*points[labels == k].T, color=_colour(k), marker=marker, label=label, **style)
    axes.set(
        xlabel=f"component 1 ({100 * explained[0]:.0f} %)",
        ylabel=f"component 2 ({100 * explained[1]:.0f} %)",
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])


def embedding_figure(averages, contexts, labels, classes):
    """The two first principal components of averaged features (N, D) and of the model's context vectors (N,
    H), side by side.

    Titles say how much of the variance in all dimensions lies between the classes: 0 for clouds on one
    centre, 1 for points.
    """
    figure = new_figure(11, 5.2)
    panels = figure.subplots(1, 2)
    for axes, name, vectors in zip(
        panels, ("averaged features", "context vectors of the model"), (averages, contexts)
    ):
        _draw_components(axes, vectors, labels, classes)
        between = 100 * share_between(vectors, labels)
        axes.set_title(f"{name}\n{between:.0f} % of their variance lies between the classes", fontsize=11)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(classes),
        frameon=False,
        markerscale=1.6,
    )
    return figure


def principal_components(vectors, count=2):
    """Coordinates (N, count) along the directions of most variance, and the share of variance in each
    (count,).
    """
    centred = vectors - vectors.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    points, shares = left * singular, singular**2 / max((singular**2).sum(), np.finfo(float).tiny)
    missing = max(0, count - len(singular))  # a single clip has one direction
    return np.pad(points, ((0, 0), (0, missing)))[:, :count], np.pad(shares, (0, missing))[:count]


def share_between(vectors, labels):
    """Share of the variance of vectors (N, D) that lies between the means of the classes."""
    centred = vectors - vectors.mean(axis=0)
    between = sum(
        (labels == k).sum() * (centred[labels == k].mean(axis=0) ** 2).sum() for k in np.unique(labels)
    )
    return float(between / max((centred**2).sum(), np.finfo(float).tiny))


def attention_figure(attention, labels, classes):
    """Attention over each clip's time from start to end, by class: median and quartiles, in multiples of an
    even weight.
    """
    time = (np.arange(POINTS) + 0.5) / POINTS
    curves = np.array(
        [
            len(alpha) * np.interp(time, (np.arange(len(alpha)) + 0.5) / len(alpha), alpha)
            for alpha in attention
        ]
    )
    shown = [k for k in range(len(classes)) if (labels == k).any()]
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(2.8 * columns, 0.6 + 2.1 * rows)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(shown) :]:
        axes.set_visible(False)
    for axes, k in zip(panels.flat, shown):
        low, middle, high = np.quantile(curves[labels == k], [0.25, 0.5, 0.75], axis=0)
        axes.axhline(1, color="0.7", linewidth=0.8, linestyle=":")
        axes.fill_between(time, low, high, color=_colour(k), alpha=0.25, linewidth=0)
        axes.plot(time, middle, color=_colour(k))
        axes.set_title(f"{classes[k]} ({(labels == k).sum()})", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0, 0].set(xlim=(0, 1), ylim=(0, None))
    figure.supxlabel("share of the clip's time", fontsize=10)
    figure.supylabel("attention / even attention", fontsize=10)
    return figure


def training_figure(histories):
    """Loss, and validation UAR where it was followed, over the epochs of several trainings: each thin, their
    mean thick.

    Parameters
    ----------
    histories : list of dict
        {'loss': [...], 'validation UAR': [...]}, one number an epoch.

    Returns
    -------
    Figure or None
        None if there is nothing to draw.
    """
    names = [name for name in ("loss", "validation UAR") if any(name in history for history in histories)]
    if not names:
        return None
    figure = new_figure(5.2 * len(names), 3.8)
    for axes, name, k in zip(figure.subplots(1, len(names), squeeze=False)[0], names, (0, 2)):
        curves = [history[name] for history in histories if name in history]
        thin = {"linewidth": 0.7, "alpha": 0.3} if len(curves) > 1 else {}
        for curve in curves:
            axes.plot(range(1, len(curve) + 1), curve, color=_colour(k), **thin)
        if len(curves) > 1 and len(set(map(len, curves))) == 1:
            axes.plot(range(1, len(curves[0]) + 1), np.mean(curves, axis=0), color=_colour(k), linewidth=2)
            axes.set_title(f"{len(curves)} trainings and their mean", fontsize=11)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def search_figure(numbers, values, pruned):
    """Validation UAR of the trials of a search in their order, and the best so far; `pruned` trials as marks
    at their last value.
    """
    figure = new_figure(7, 4)
    axes = figure.subplots()
    numbers, values, pruned = (
        np.asarray(numbers),
        np.asarray(values, dtype=float),
        np.asarray(pruned, dtype=bool),
    )
    axes.scatter(numbers[pruned], values[pruned], marker="x", s=22, color="0.65", label="stopped early")
    axes.scatter(numbers[~pruned], values[~pruned], s=22, color=_colour(0), label="complete")
    if not pruned.all():
        axes.step(
            numbers[~pruned],
            np.maximum.accumulate(values[~pruned]),
            where="post",
            color=_colour(3),
            label="best so far",
        )
    axes.set(xlabel="trial", ylabel="validation UAR")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def importance_figure(importances):
    """Bars of {field of the recipe: share of what decides the score}, the largest on top; None
    without any.
    """
    if not importances:
        return None
    names = sorted(importances, key=importances.get)
    figure = new_figure(6, 0.9 + 0.4 * len(names))
    axes = figure.subplots()
    bars = axes.barh(names, [importances[name] for name in names], color=_colour(0))
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(xlabel="importance (PED-ANOVA)", xlim=(0, 1.12 * max(importances.values()) or 1))
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _colour(k):
    return f"C{k % 10}"
