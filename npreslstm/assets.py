"""Where the files that come with the package are: bundled weights, the demo clip, the C sources.

They are found through importlib.resources: the package may lie in a zip file or a wheel on ``sys.path``, or
in a frozen program. A file in a zip file that must be opened by its path is copied to a temporary folder
until the process ends.
"""

import atexit
import contextlib
import functools
import importlib.resources
from pathlib import Path

DEFAULT_WEIGHTS = "robust"  # what is taken where nobody names weights

_copies = contextlib.ExitStack()
atexit.register(_copies.close)


def package_folder():
    """The folder of the package: a Path, or for a package in a zip file what importlib.resources has in its
    place.
    """
    return importlib.resources.files("npreslstm")


def weights_folder():
    """The folder of the bundled weights: ``npreslstm/weights`` where installed, ``weights`` beside the
    package in a checkout.
    """
    package = package_folder()
    installed = package / "weights"
    return installed if installed.is_dir() else package.parent / "weights"


def weights_path(name):
    """Path of the bundled weights called `name`.

    Parameters
    ----------
    name : str
        File name without ``.npz``: ``"robust"``.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    FileNotFoundError
        If no bundled weights have that name; the message lists those that there are.
    """
    folder = weights_folder()
    if not (folder / f"{name}.npz").is_file():
        files = folder.iterdir() if folder.is_dir() else []
        names = ", ".join(sorted(file.name[:-4] for file in files if file.name.endswith(".npz")))
        if not names:
            remedy = "give a weights file, or train one: npreslstm train CORPUS --out mine.npz"
            raise FileNotFoundError(
                f"no bundled weights called {name!r}: none came with this installation; {remedy}"
            )
        raise FileNotFoundError(f"no bundled weights called {name!r} in {folder}; there are: {names}")
    return _real_path("weights", f"{name}.npz")


def demo_clip_path():
    """Path of the demo clip: one synthetic sentence, 16-bit PCM WAV at 48 kHz, made by
    ``tools/make_demo_clip.sh``.
    """
    return _real_path("data", "demo.wav")


@functools.cache
def _real_path(folder, name):
    """The file itself, or a copy with the same name if it is in a zip file."""
    file = (weights_folder() if folder == "weights" else package_folder() / folder) / name
    if isinstance(file, Path):
        return file
    import tempfile

    copies = _copies.enter_context(tempfile.TemporaryDirectory(prefix="npreslstm-"))
    copy = Path(copies, name)
    copy.write_bytes(file.read_bytes())
    return copy
