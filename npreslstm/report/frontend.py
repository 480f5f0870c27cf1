"""A picture of what the frontend makes of a clip."""

import os

import numpy as np

from npreslstm.audio import mfcc, spectrum
from npreslstm.audio.config import PITCH_NAMES
from npreslstm.audio.features import extract_features, frames_at_once, prepare_signal
from npreslstm.audio.signal import trim_silence
from npreslstm.errors import InputError
from npreslstm.files import atomic_write

FREQUENCY_TICKS = (100, 300, 1000, 3000, 10000, 30000)  # Hz


def plot_frontend(signal, sample_rate, config, path, title=""):
    """Draw waveform, log-mel bands, MFCC and chroma on one time axis.

    Parameters
    ----------
    signal, sample_rate, config
        As of `extract_features`.
    path : str
        .png, .svg or .pdf; written whole or not at all.
    title : str

    Raises
    ------
    InputError
        If matplotlib is not installed, or the signal cannot be used.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("pictures need matplotlib: pip install matplotlib, or npreslstm[plot]") from None
    y = prepare_signal(signal, sample_rate, config, stacklevel=3)
    y = y if config.trim_db is None else trim_silence(y, config.trim_db)
    figure = Figure(figsize=(9, 9), layout="constrained")  # without pyplot: no window, nothing to close
    FigureCanvasAgg(figure)
    axes = figure.subplots(4, 1, sharex=True, height_ratios=(1, 2, 2, 1.5))
    _draw(axes, y, config)
    axes[0].set_title(title)
    with atomic_write(path) as file:
        figure.savefig(file, format=os.path.splitext(path)[1][1:].lower(), dpi=120)


def _draw(axes, y, config):
    features = extract_features(y, config.sample_rate, config)  # (T, n_mfcc + n_chroma)
    edges = _time_edges(len(features), config)
    axes[0].plot(np.arange(len(y)) / config.sample_rate, y, linewidth=0.4, color="0.25")
    axes[0].set(ylabel="amplitude", xlim=(0, max(edges[-1], len(y) / config.sample_rate)))
    _bands(axes[1], edges, _log_mel(y, config), config)
    coefficients = features[:, : config.n_mfcc]
    # A few large values would leave the rest without colour: MFCC 0, the loudness, has no say in it.
    limit = max(1.0, np.percentile(np.abs(coefficients[:, min(1, config.n_mfcc - 1) :]), 95))
    _image(axes[2], edges, coefficients, "MFCC", "coefficient", cmap="RdBu_r", vmin=-limit, vmax=limit)
    _image(
        axes[3], edges, features[:, config.n_mfcc :], "chroma", "pitch class", cmap="magma", vmin=0, vmax=1
    )
    if config.n_chroma == 12:
        axes[3].set_yticks(range(0, 12, 2), PITCH_NAMES[::2])
    axes[3].set_xlabel("time in seconds")


def _bands(ax, edges, log_mel, config):
    _image(ax, edges, log_mel, "dB", "mel bands, Hz", cmap="magma")
    centres = mfcc.mel_edges(config.n_mels, config.fmin, config.upper_hz)[1:-1]
    ticks = [hz for hz in FREQUENCY_TICKS if centres[0] <= hz <= centres[-1]]
    ax.set_yticks(np.interp(ticks, centres, np.arange(config.n_mels)), [f"{hz:,}" for hz in ticks])


def _image(ax, edges, columns, label, ylabel, **colours):
    rows = np.arange(columns.shape[1] + 1) - 0.5
    image = ax.pcolormesh(edges, rows, columns.T, rasterized=True, **colours)
    ax.set_ylabel(ylabel)
    beyond = "both" if label == "MFCC" else "neither"  # its colours do not reach to the largest values
    ax.figure.colorbar(image, ax=ax, label=label, pad=0.01, extend=beyond)


def _time_edges(count, config):
    """Where each frame's column starts and ends: hop_length wide about the middle of the frame, (count + 1,)
    seconds.
    """
    middle = (
        np.arange(count + 1) * config.hop_length
        + config.n_fft // 2
        - spectrum.lead_in(config.n_fft, config.hop_length, config.framing)
    )
    return (middle - config.hop_length / 2) / config.sample_rate


def _log_mel(y, config):
    shape = config.n_fft, config.hop_length, config.framing
    power = (
        spectrum.power_spectrum(frames) for frames in spectrum.frame_blocks(y, *shape, frames_at_once(config))
    )
    mel = np.concatenate(
        [
            mfcc.mel_spectrogram(block, config.sample_rate, config.n_mels, config.fmin, config.upper_hz)
            for block in power
        ]
    )
    log_mel = mfcc.power_to_db(mel, config.floor_db)
    return log_mel if config.top_db is None else np.maximum(log_mel, log_mel.max() - config.top_db)
