#!/usr/bin/env bash
# Run the tests on every Python from 3.10 to 3.14 that is found, each with the oldest and the newest NumPy and soundfile it supports,
# and print a table.
#
#   tools/release/test_matrix.sh [PYTEST ARGUMENT ...]
#   VERSIONS="3.10 3.13" tools/release/test_matrix.sh -n 2
#
# Interpreters come from pyenv and from PATH. The virtual environments stay in .matrix/, so that a second run is quick; logs are beside them.
set -uo pipefail
cd "$(dirname "$0")/../.."
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

row() { printf '%-8s %-7s %-7s %-10s %-7s %s\n' "$@"; }

find_python() {  # VERSION -> path, or nothing
  local candidate
  for candidate in "$HOME"/.pyenv/versions/"$1".*/bin/python "$(command -v "python$1")"; do
    if [ -x "$candidate" ] && "$candidate" -c 'import venv' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
}

run_one() {  # VERSION NAME PYTHON "REQUIREMENTS" PYTEST_ARGUMENT ... -> one row
  local version=$1 venv=.matrix/$1-$2 python=$3 requirements=$4 status
  shift 4
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || return 1
  # shellcheck disable=SC2086  # the requirements are words
  if ! "$venv/bin/python" -m pip --disable-pip-version-check install --upgrade $requirements -e ".[test]" >"$venv.log" 2>&1; then
    row "$version" - - - - "not installable, see $venv.log"
    return 1
  fi
  "$venv/bin/python" -m pytest -q "$@" >"$venv.log" 2>&1
  status=$?
  # shellcheck disable=SC2046  # four words
  row $("$venv/bin/python" -c 'import platform as p, importlib.metadata as m; print(p.python_version(), *map(m.version, ["numpy", "soundfile", "pytest"]))') \
    "$(tail -n 1 "$venv.log")"
  return $status
}

mkdir -p .matrix
failed=0
row Python NumPy soundfile pytest tests
for version in ${VERSIONS:-3.10 3.11 3.12 3.13 3.14}; do
  python=$(find_python "$version")
  if [ -z "$python" ]; then
    row "$version" - - - - "not found"
    continue
  fi
  case $version in
    3.10) oldest="numpy==1.21.* soundfile==0.10.*" ;;  # the floors of setup.py; of the others, the first with wheels for it
    3.11) oldest="numpy==1.23.* soundfile==0.10.*" ;;
    3.13) oldest="numpy==2.1.* soundfile==0.12.*" ;;
    3.14) oldest="numpy==2.3.* soundfile==0.13.*" ;;
    *) oldest="numpy==1.26.* soundfile==0.12.*" ;;
  esac
  run_one "$version" oldest "$python" "$oldest" "$@" || failed=1
  run_one "$version" newest "$python" "numpy soundfile" "$@" || failed=1
done
exit $failed
