"""Where the files that come with the package are: bundled weights and the demo clip."""

from pathlib import Path

DEFAULT_WEIGHTS = "paper"  # what is taken where nobody names weights
_PACKAGE = Path(__file__).resolve().parent


def weights_folder():
    """The folder of the bundled weights: ``npreslstm/weights`` where installed, ``weights`` beside the package in a checkout."""
    installed = _PACKAGE / "weights"
    return installed if installed.is_dir() else _PACKAGE.parent / "weights"


def weights_path(name):
    """Path of the bundled weights called `name`.

    Parameters
    ----------
    name : str
        File name without ``.npz``: ``"paper"``.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    FileNotFoundError
        If no bundled weights have that name; the message lists those that there are.
    """
    path = weights_folder() / f"{name}.npz"
    if not path.is_file():
        names = ", ".join(sorted(other.stem for other in path.parent.glob("*.npz"))) or "none"
        raise FileNotFoundError(f"no bundled weights called {name!r} in {path.parent}; there are: {names}")
    return path


def demo_clip_path():
    """Path of the demo clip: one synthetic sentence, 16-bit PCM WAV at 48 kHz, made by ``tools/make_demo_clip.sh``."""
    return _PACKAGE / "data" / "demo.wav"
