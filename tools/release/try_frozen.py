"""Freeze the command line with PyInstaller and compare what the frozen program says with what Python says.

    pip install . pyinstaller
    python tools/release/try_frozen.py              # a folder, then one file

PyInstaller finds the package's hook by its entry point, so the package must be installed (not on PYTHONPATH).
Exit status 1 if any command differs.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = "import sys\n\nfrom npreslstm.cli import main\n\nif __name__ == '__main__':\n    sys.exit(main())\n"
COMMANDS = (
    ("predict", "clips", "--format", "csv"),
    ("features", "clips", "--jobs", "2", "--output", "OUT.csv"),
    ("info", "clips/mcu.npz"),
    ("export", "c", "mcu", "--out", "OUT"),
    ("convert", "paper", "OUT.pt"),
    ("train", "--synthetic", "--set", "epochs=1", "--hidden", "4", "--out", "OUT.npz"),
    *((command, "--help") for command in ("crossval", "search", "calibrate", "evaluate", "gradcheck")),
)


def freeze(folder, form):
    """Path of the program that PyInstaller makes."""
    (folder / "program.py").write_text(PROGRAM)
    command = [
        sys.executable,
        "-m",
        "PyInstaller",
        "--noconfirm",
        "--log-level",
        "WARN",
        f"--{form}",
        "program.py",
    ]
    subprocess.run(command, cwd=folder, check=True)
    made = folder / "dist" / "program"
    return made / "program" if form == "onedir" else made


def result(command, folder):
    """(exit status, stdout, bytes of the files it wrote) of a command in a new folder beside the clips."""
    folder.mkdir()
    shutil.copytree(folder.parent / "clips", folder / "clips")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("OUT*"))
        if path.is_file()
    }
    shutil.rmtree(folder)
    return done.returncode, done.stdout, files, done.stderr


def differences(program, folder):
    """Compare all commands; returns how many differ."""
    wrong = 0
    for arguments in COMMANDS:
        frozen = result([str(program), *arguments], folder / "run")
        plain = result([sys.executable, "-m", "npreslstm", *arguments], folder / "run")
        same = frozen[:3] == plain[:3] and frozen[0] == 0
        wrong += not same
        print(f"{'same' if same else 'DIFFERENT'}  {' '.join(arguments)}", flush=True)
        if not same:
            print(f"frozen: {frozen[0]} {frozen[3][-2000:]}\nPython: {plain[0]} {plain[3][-2000:]}")
    return wrong


def main():
    from npreslstm.assets import demo_clip_path, weights_path

    wrong = 0
    for form in ("onedir", "onefile"):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "clips").mkdir()
            for k in range(4):
                shutil.copy(demo_clip_path(), folder / "clips" / f"{k}.wav")
            shutil.copy(weights_path("mcu"), folder / "clips")
            program = freeze(folder, form)
            print(f"{form}:")
            wrong += differences(program, folder)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
