"""Features of files as CSV, JSON or .npz; the functions take the results of
`npreslstm.audio.folder.extract_folder`.
"""

import json

import numpy as np

from npreslstm.audio.spectrum import lead_in
from npreslstm.files import CsvWriter


def frame_times(count, config):
    """Seconds at which each frame starts and ends: (count,) and (count,); the zeros before the first sample
    are left out.

    With trimming, counted from where the sound starts.
    """
    first = np.arange(count) * config.hop_length - lead_in(config.n_fft, config.hop_length, config.framing)
    return np.maximum(first, 0) / config.sample_rate, (first + config.n_fft) / config.sample_rate


def write_csv(results, config, file):
    """``file, start, end, <one column a feature>``, one row a frame; a file without features has a row with
    its name alone.
    """
    writer = CsvWriter(file)
    writer.writerow(["file", "start", "end", *config.columns])
    for path, features, _ in results:
        if features is None:
            writer.writerow([path] + [""] * (2 + config.n_features))
            continue
        for start, end, row in zip(*frame_times(len(features), config), features):
            writer.writerow([path, f"{start:.3f}", f"{end:.3f}", *(f"{value:.7g}" for value in row)])


def write_json(results, config, file):
    """One object: the configuration, the columns, and for each file its features or the error."""
    clips = [
        {"file": path, "features": None if features is None else _digits(features), "error": error}
        for path, features, error in results
    ]
    json.dump({"config": config.to_dict(), "columns": config.columns, "clips": clips}, file)
    file.write("\n")


def write_npz(results, config, file):
    """files (N,), lengths (N,), features (sum of lengths, D), columns (D,), config (JSON); a file without
    features has length 0.
    """
    features = [
        np.zeros((0, config.n_features), np.float32) if clip is None else clip for _, clip, _ in results
    ]
    np.savez(
        file,
        files=np.array([path for path, _, _ in results]),
        lengths=np.array([len(clip) for clip in features]),
        features=np.concatenate(features),
        columns=np.array(config.columns),
        config=np.array(json.dumps(config.to_dict())),
    )


def _digits(features):
    """Nested lists of the shortest decimals that give the same float32 again."""
    return [[float(str(value)) for value in row] for row in features]
