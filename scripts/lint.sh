#!/bin/bash
# clang-tidy over every source, and clang-format's opinion.  Not part of the tests: it takes long and its findings
# depend on the version.  Prints what it found and ends with status 1 when that is anything.
#
#   scripts/lint.sh [FILE]...    the files below src/ and test/unit, or only these

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for tool in clang-tidy clang-format; do
    if ! command -v "$tool" >/dev/null; then
        printf 'lint.sh: %s is not installed (apt-get install %s)\n' "$tool" "$tool" >&2
        exit 2
    fi
done
pg_config=${PG_CONFIG:-/usr/lib/postgresql/${PG_MAJOR:-15}/bin/pg_config}
command -v "$pg_config" >/dev/null || { printf 'lint.sh: PG_CONFIG=%s is not there\n' "$pg_config" >&2; exit 2; }

sources=("$@")
formatted=("$@")
if [[ $# -eq 0 ]]; then
    mapfile -t sources < <(find src test/unit -name '*.cpp' | sort)
    mapfile -t formatted < <(find src test/unit \( -name '*.cpp' -o -name '*.hpp' \) | sort)
fi

status=0
printf 'clang-format on %d files\n' "${#formatted[@]}"
clang-format --dry-run --Werror "${formatted[@]}" || status=1
printf 'clang-tidy on %d files\n' "${#sources[@]}"
flags=(-std=c++20 -Isrc -isystem "$("$pg_config" --includedir-server)" -D_GNU_SOURCE)
# The counts of suppressed warnings on the error stream say nothing; findings come on the other one.
export flags_text="${flags[*]}"
# shellcheck disable=SC2016 # expanded by the inner shell
printf '%s\0' "${sources[@]}" |
    xargs -0 -P "$(nproc)" -n 1 bash -c '
        clang-tidy --quiet "$1" -- $flags_text 2>/dev/null && exit
        echo "lint.sh: $1 has findings"
        exit 1' _ || status=1
exit "$status"
