"""What a network heard, as one figure. Drawn by matplotlib (extra `plot`)."""

import numpy as np

from npreslstm.explain.frames import floor_of
from npreslstm.explain.hearing import PLAYED, Hearing
from npreslstm.explain.units import Unit, gates_of
from npreslstm.report.plots import new_figure

HEIGHTS = (1, 2, 2, 1.2, 1, 2)
NAMES = {"i": "i lets in", "f": "f keeps", "g": "g candidate", "o": "o shows", "c": "c cell", "h": "h hidden"}


def explain_figure(heard: Hearing, unit: Unit):
    """Waveform, log-mel bands, one unit, attention beside |dp/dx|, and the running probabilities.

    Parameters
    ----------
    heard : Hearing
    unit : Unit

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If matplotlib is not installed.
    """
    figure = new_figure(9, 10.5)
    panels = figure.subplots(6, 1, sharex=True, height_ratios=HEIGHTS)
    hop = heard.checkpoint.features.hop_length / heard.checkpoint.features.sample_rate
    edges = np.append(heard.times, heard.times[-1] + hop) - hop / 2  # (T + 1,)
    panels[0].plot(np.arange(len(heard.sound)) / PLAYED, heard.sound, linewidth=0.4, color="0.25")
    panels[0].set(ylabel="sound", title=f"{heard.name}: {heard.label} {heard.probabilities.max():.3f}")
    _draw_bands(panels[1], edges, heard)
    _draw_unit(panels[2], edges, heard, unit)
    panels[3].stairs(heard.attention, edges, fill=True, color="C1")
    panels[3].axhline(1 / len(heard.x), color="0.4", linewidth=0.8, linestyle=":")
    panels[3].set_ylabel("attention")
    panels[4].stairs(heard.sensitivity(), edges, fill=True, color="C0")
    panels[4].set_ylabel("|dp/dx|")
    _draw_running(panels[5], heard)
    panels[5].set(xlim=(min(0.0, edges[0]), max(heard.duration, edges[-1])))
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_bands(panel, edges, heard):
    config = heard.checkpoint.features
    log_mel = np.maximum(heard.frames.log_mel, floor_of(config))
    panel.pcolormesh(edges, np.arange(config.n_mels + 1), log_mel.T, cmap="magma", rasterized=True)
    panel.set_ylabel("mel band")


def _draw_unit(panel, edges, heard, unit):
    for k, (name, values) in enumerate(gates_of(heard, unit).items()):
        width = 2 if name in "ch" else 1.1
        panel.plot(heard.times, values, color=f"C{k}", linewidth=width, label=NAMES[name])
    panel.axhline(0, color="0.7", linewidth=0.6)
    panel.set_ylabel(str(unit))
    panel.legend(frameon=False, fontsize=8, ncols=6, loc="upper center", bbox_to_anchor=(0.5, 1.14))


def _draw_running(panel, heard):
    running = heard.running_probabilities()
    order = running[-1].argsort()[::-1]
    for k in order:
        classes = heard.checkpoint.classes
        width = 2.2 if k == order[0] else 1
        panel.plot(heard.times, running[:, k], color=f"C{k % 10}", linewidth=width, label=classes[k])
    panel.set(ylabel="probability, so far", xlabel="time in seconds", ylim=(0, None))
    panel.legend(frameon=False, fontsize=8, ncols=4)
