"""Features of files as CSV, JSON or .npz; the functions take the results of
`npreslstm.audio.folder.extract_folder`.
"""

import io
import json
import zipfile

import numpy as np

from npreslstm.audio.spectrum import lead_in
from npreslstm.files import CsvWriter

AT_ONCE = 1 << 12  # names of files in memory as an array


def frame_times(count, config):
    """Seconds at which each frame starts and ends: (count,) and (count,); the zeros before the first sample
    are left out.

    With trimming, counted from where the sound starts.
    """
    first = np.arange(count) * config.hop_length - lead_in(config.n_fft, config.hop_length, config.framing)
    return np.maximum(first, 0) / config.sample_rate, (first + config.n_fft) / config.sample_rate


class CsvFrames:
    """``file, start, end, <one column a feature>``, one row a frame; a file without features has a row with
    its name alone.

    `body` and `tail` as of `npreslstm.report.predictions.CsvRows`.
    """

    tail = ""

    def __init__(self, config):
        self._config = config

    def body(self, results, first):
        """The text of some results; `first` if they are the first ones."""
        text, config = io.StringIO(), self._config
        writer = CsvWriter(text)
        if first:
            writer.writerow(["file", "start", "end", *config.columns])
        for path, features, _ in results:
            if features is None:
                writer.writerow([path] + [""] * (2 + config.n_features))
                continue
            for start, end, row in zip(*frame_times(len(features), config), features):
                writer.writerow([path, f"{start:.3f}", f"{end:.3f}", *(f"{value:.7g}" for value in row)])
        return text.getvalue()


class JsonFrames:
    """One object: the configuration, the columns, and for each file its features or the error."""

    tail = "]}\n"

    def __init__(self, config):
        self._config = config

    def body(self, results, first):
        """As of `CsvFrames`."""
        about = json.dumps({"config": self._config.to_dict(), "columns": self._config.columns, "clips": []})
        clips = [json.dumps(_record(*result)) for result in results]
        return (about[: -len("]}")] if first else ", ") + ", ".join(clips)


class JsonLines:
    """One JSON object a line and file: its features or the error."""

    tail = ""

    def body(self, results, first):
        """As of `CsvFrames`."""
        return "".join(json.dumps(_record(*result)) + "\n" for result in results)


class NpzFrames:
    """files (N,), lengths (N,), features (sum of lengths, D), columns (D,), config (JSON); a file without
    features has length 0.

    The body of some results: how many they are, their lengths, their features.
    """

    def __init__(self, config):
        self._config = config

    def body(self, results, first):
        """The bytes of some results."""
        clips = [features for _, features, _ in results if features is not None]
        lengths = [0 if features is None else len(features) for _, features, _ in results]
        return b"".join(
            [np.array([len(lengths), *lengths], "<i8").tobytes(), *(clip.tobytes() for clip in clips)]
        )

    def write(self, file, files, contents):
        """Write the archive, as `numpy.savez` does, without ever holding all features.

        Parameters
        ----------
        file : binary file
        files : list of str
        contents : callable
            Gives an iterator of all bodies, each time it is called.
        """
        config = self._config
        lengths = np.concatenate([_lengths(body)[0] for body in contents()])
        features = (body[_lengths(body)[1] :] for body in contents())
        names = np.dtype(("U", max(map(len, files))))
        parts = (files[k : k + AT_ONCE] for k in range(0, len(files), AT_ONCE))
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            _add(archive, "files", (len(files),), names, (np.array(part, names) for part in parts))
            _add(archive, "lengths", lengths.shape, lengths.dtype, [lengths])
            _add(archive, "features", (int(lengths.sum()), config.n_features), np.dtype("<f4"), features)
            for name, array in (("columns", config.columns), ("config", json.dumps(config.to_dict()))):
                array = np.array(array)
                _add(archive, name, array.shape, array.dtype, [array])


def _lengths(body):
    """Lengths (n,) of the files in a body, and the byte at which the features begin."""
    count = int(np.frombuffer(body, "<i8", 1)[0])
    return np.frombuffer(body, "<i8", count, 8).astype(np.int64), 8 + 8 * count


def _add(archive, name, shape, dtype, pieces):
    """Add an array of a shape and a type to an archive, of which the pieces are the content."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for piece in pieces:
            member.write(piece)


def _record(path, features, error):
    return {"file": path, "features": None if features is None else _digits(features), "error": error}


def _digits(features):
    """Nested lists of the shortest decimals that give the same float32 again."""
    return [[float(str(value)) for value in row] for row in features]
