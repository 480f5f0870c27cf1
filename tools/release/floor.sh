#!/usr/bin/env bash
# With the oldest Python, NumPy and soundfile that setup.py allows: import every module, and classify the demo clip. A few seconds; all tests
# run so by tools/release/test_matrix.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."

for python in "$HOME"/.pyenv/versions/3.10.*/bin/python "$(command -v python3.10)"; do
  [ -x "$python" ] && break
done
if [ ! -x "$python" ]; then
  echo "no Python 3.10 here: not checked" >&2
  exit
fi
venv=.matrix/floor
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip --disable-pip-version-check -q install "numpy==1.21.*" "soundfile==0.10.*"
export PYTHONPATH=.
"$venv/bin/python" - <<'END'
import importlib
import pkgutil

import numpy
import soundfile

import npreslstm

names = [module.name for module in pkgutil.walk_packages(npreslstm.__path__, "npreslstm.")]
names = [name for name in names if not name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(f"NumPy {numpy.__version__}, soundfile {soundfile.__version__}: {len(names)} modules imported")
END
"$venv/bin/python" -m npreslstm predict npreslstm/data/demo.wav --weights mcu
