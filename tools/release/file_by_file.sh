#!/usr/bin/env bash
# Run test files one at a time with other_machine.sh, and keep what became of each in a journal: a run that was stopped goes on
# after the last file in it, which on an emulated machine may take days.
#
#   tools/release/file_by_file.sh JOURNAL ARCHITECTURE FOLDER [PYTEST OPTION ...] FILE ...
#   tools/release/file_by_file.sh armhf.txt armhf /dev/shm/armhf tests/layers/*.py tests/integer/test_*.py
#
# The journal has one line a file, its name and the last line of pytest; JOURNAL.log has all that pytest said. The sums are printed at the end.
# Options begin with - or @ and hold for every file; tools/release/long_tests.py makes such a file of options. A FILE may also be a folder of tests.
set -uo pipefail
cd "$(dirname "$0")/../.."
journal=$(realpath "$1") architecture=$2 folder=$3
shift 3
touch "$journal"
options=(-m "not oracle")
while [[ $1 == [-@]* ]]; do
  options+=("$1")
  shift
done

for file in "$@"; do
  if cut -f 1 "$journal" | grep -qxF "$file"; then
    continue
  fi
  last=$(tools/release/other_machine.sh "$architecture" "$folder" "${options[@]}" "$file" </dev/null 2>&1 | tee -a "$journal.log" | tail -n 1)
  printf '%s\t%s\n' "$file" "$last" | tee -a "$journal"
done
awk -F '\t' '{
  n = split($2, words, /[ ,=]+/)
  for (k = 2; k <= n; k++) if (words[k] ~ /^(passed|failed|skipped|deselected|errors?)$/) sums[words[k]] += words[k - 1]
} END {
  printf "%d files", NR
  for (word in sums) printf ", %d %s", sums[word], word
  print ""
}' "$journal"
