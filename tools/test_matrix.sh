#!/usr/bin/env bash
# Run the tests on every Python from 3.10 to 3.13 that is found, each with the oldest and the newest NumPy it supports, and print a table.
#
#   tools/test_matrix.sh [PYTEST ARGUMENT ...]
#
# Interpreters come from PATH and from pyenv. The virtual environments stay in .matrix/, so that a second run is quick; logs are beside them.
set -uo pipefail
cd "$(dirname "$0")/.."
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

find_python() {  # VERSION -> path, or nothing
  local candidate
  for candidate in "$HOME"/.pyenv/versions/"$1".*/bin/python "$(command -v "python$1")"; do
    if [ -x "$candidate" ] && "$candidate" -c 'import venv' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
}

run_one() {  # VERSION PYTHON NUMPY_REQUIREMENT PYTEST_ARGUMENT ... -> one line of the table
  local version=$1 python=$2 numpy=$3 name venv log summary
  shift 3
  name="py$version-${numpy//[^0-9.]/}"
  venv=.matrix/$name
  log=.matrix/$name.log
  if [ ! -x "$venv/bin/python" ]; then
    "$python" -m venv "$venv" || return 1
  fi
  if ! "$venv/bin/python" -m pip --disable-pip-version-check -q install "$numpy" -e ".[test]" >"$log" 2>&1; then
    printf '%-8s %-10s %s\n' "$version" "$numpy" "not installable, see $log"
    return 1
  fi
  "$venv/bin/python" -m pytest -q "$@" >"$log" 2>&1
  local status=$?
  summary=$(tail -n 1 "$log")
  printf '%-8s %-8s %-8s %s\n' "$version" "$("$venv/bin/python" -c 'import numpy; print(numpy.__version__)')" \
    "$("$venv/bin/python" -c 'import scipy; print(scipy.__version__)')" "$summary"
  return $status
}

mkdir -p .matrix
failed=0
printf '%-8s %-8s %-8s %s\n' Python NumPy SciPy tests
for version in 3.10 3.11 3.12 3.13; do
  python=$(find_python "$version")
  if [ -z "$python" ]; then
    printf '%-8s %s\n' "$version" "not found"
    continue
  fi
  oldest="numpy==1.26.*"
  [ "$version" = 3.13 ] && oldest="numpy==2.1.*"  # the first NumPy with wheels for it
  for numpy in "$oldest" "numpy>=2.2"; do
    run_one "$version" "$python" "$numpy" "$@" || failed=1
  done
done
exit $failed
