"""What PyInstaller asks for, by the entry point ``pyinstaller40``: where its hook for this package is, and
what the hook says.

Commands and public names are imported when they are used, by names that no analysis of the code sees, and the
weights, the demo clip and the sources of the ports are files. With the hook, ``pyinstaller my_program.py``
needs no options for this package.
"""

import pkgutil
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


def hook_folders():
    """Folders with hooks.

    Returns
    -------
    list of str
    """
    return [str(_FOLDER)]


def modules():
    """Names of all modules of the package.

    Returns
    -------
    list of str
        Sorted; without this one, which a frozen program has no use for.
    """
    import npreslstm

    names = [module.name for module in pkgutil.walk_packages(npreslstm.__path__, "npreslstm.")]
    return sorted(name for name in names if not name.startswith("npreslstm.freezing"))


def data_files():
    """The files that belong to the package and are no modules.

    Returns
    -------
    list of (str, str)
        Path of a file, and the folder that it has in a frozen program.
    """
    from npreslstm.assets import package_folder, weights_folder

    package, weights = package_folder(), weights_folder()
    files = {path: Path("npreslstm", "weights") for path in weights.glob("*.npz")}
    for path in package.rglob("*"):
        module = path.suffix == ".py" and "micropython" not in path.parts  # those are copied, never imported
        if path.is_file() and not module and path.suffix != ".pyc" and path.parent != weights:
            files[path] = Path("npreslstm", path.parent.relative_to(package))
    return sorted((str(path), folder.as_posix()) for path, folder in files.items())
