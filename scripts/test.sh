#!/bin/bash
# Builds and installs the extension and runs its tests on throwaway servers.  Ends with "N passed, N failed".

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

usage()
{
    cat <<'TEXT'
scripts/test.sh [--only KIND[,KIND]...] [NAME]...

Sets the machine up (through apt, as root or with sudo), builds and installs the extension, and runs the tests:
  symbols    what the module exports, the wall between decisions and server headers, META.json, and whether each check
             and function has its tests
  unit       GoogleTest under the address and undefined-behaviour sanitizers
  regress    pg_regress: sql/ and expected/
  isolation  pg_isolation_regress: test/isolation
  pgtap      pg_prove: test/pgtap, each file in a database of its own
  tap        PostgreSQL::Test::Cluster: test/tap (restarts, crashes, standbys)

NAME limits isolation, pgtap and tap to the files of that name (without folder and suffix).
PG_MAJOR=17 or PG_CONFIG=/path/to/pg_config choose the server; the default is Debian's PostgreSQL 15.
TEST_JOBS says how many TAP files run at once (default: one a processor).
TEXT
}

all_kinds=(symbols unit regress isolation pgtap tap)
kinds=()
names=()
arguments=("$@")
while [[ $# -gt 0 ]]; do
    case $1 in
        --only)
            [[ $# -ge 2 ]] || die "--only needs a kind; see --help"
            IFS=, read -r -a wanted <<<"$2"
            kinds+=("${wanted[@]}")
            shift ;;
        -h | --help) usage; exit 0 ;;
        -*) die "unknown option $1; see --help" ;;
        *) names+=("$1") ;;
    esac
    shift
done
[[ ${#kinds[@]} -gt 0 ]] || kinds=("${all_kinds[@]}")
for kind in "${kinds[@]}"; do
    [[ " ${all_kinds[*]} " == *" $kind "* ]] || die "there is no kind of test called '$kind'; see --help"
done
selected() { [[ " ${kinds[*]} " == *" $1 "* ]]; }

# ---- counting --------------------------------------------------------------------------------------------------

passed=0
failed=0
complete=no

# A run that stops half-way has not passed, whatever it had counted until then.
at_exit()
{
    if [[ $complete == no ]]; then failed=$((failed + 1)); fi
    printf '%d passed, %d failed\n' "$passed" "$failed"
}

begin()  # KIND, phrase for the step
{
    step "$2 ($1, PostgreSQL $PG_MAJOR)"
    kind_started=$SECONDS
    kind_passed=0
    kind_failed=0
}

count()  # PASSED FAILED
{
    kind_passed=$((kind_passed + $1))
    kind_failed=$((kind_failed + $2))
}

finish()
{
    printf '      %d passed, %d failed in %d s\n' "$kind_passed" "$kind_failed" $((SECONDS - kind_started))
    passed=$((passed + kind_passed))
    failed=$((failed + kind_failed))
}

show_failure()  # TITLE FILE [LINES]
{
    printf '\n---- FAILED: %s ----\n' "$1"
    if [[ -s $2 ]]; then tail -n "${3:-200}" "$2"; else printf '(no output)\n'; fi
    printf -- '----\n\n'
}

verdict()  # TITLE COMMAND...: one test, passed when the command succeeds
{
    local title=$1
    shift
    if logged "verdict" "$@"; then
        count 1 0
    else
        count 0 1
        show_failure "$title" "$log_file"
    fi
}

# Adds up the assertions of one file's TAP output.  A file that failed without a failed assertion (a plan not kept,
# a died script) counts as one failure.
count_tap()  # TITLE LOG STATUS
{
    local ok not_ok
    ok=$(grep -cE '^ok |^not ok .*# TODO' "$2" || true)
    not_ok=$(grep -E '^not ok ' "$2" | grep -cv '# TODO' || true)
    if [[ $3 -ne 0 && $not_ok -eq 0 ]]; then not_ok=1; fi
    count "$ok" "$not_ok"
    if [[ $not_ok -gt 0 ]]; then show_failure "$1" "$2"; fi
}

wanted_name()  # FILE
{
    local stem
    stem=$(basename "$1")
    stem=${stem%.*}
    [[ ${#names[@]} -eq 0 || " ${names[*]} " == *" $stem "* ]]
}

# The files of one kind, below the build tree, that were asked for.
find_tests()  # FOLDER SUFFIX
{
    local file
    for file in "$build_tree/$1"/*."$2"; do
        if wanted_name "$file"; then printf '%s\n' "$file"; fi
    done
}

# ---- the kinds -------------------------------------------------------------------------------------------------

exports_are_the_agreed_ones()
{
    local others
    others=$(nm -D --defined-only "$build_tree/opsrunbook.so" | awk '{ print $NF }' |
        grep -vE '^(Pg_magic_func|_PG_init|pg_finfo_opsrunbook_[a-z0-9_]+|opsrunbook_[a-z0-9_]+)$' || true)
    if [[ -n $others ]]; then
        printf 'the module also exports:\n%s\n' "$others"
        return 1
    fi
    # Not through grep -q, which closes the pipe early: nm would die of it, and pipefail call that a failure.
    [[ $(nm -D --defined-only "$build_tree/opsrunbook.so") == *' Pg_magic_func'* ]]
}

# The linker leaves a missing function of our own to the moment the server loads the module.
nothing_of_ours_is_undefined()
{
    ! nm -D -C --undefined-only "$build_tree/opsrunbook.so" | grep 'opsrunbook::'
}

# Every file outside src/pg must refuse to be compiled together with a server header.  Preprocessing shows that.
# The module's table of contents, src/opsrunbook.cpp, stands on the server's side.
decisions_refuse_server_headers()
{
    local file status=0
    while IFS= read -r file; do
        if g++ -std=c++20 -E -DPOSTGRES_H -I"$build_tree/src" -isystem "$("$PG_CONFIG" --includedir-server)" \
            "$file" -o /dev/null 2>"$work/log/wall.err"; then
            printf '%s compiles with POSTGRES_H defined: include "base/no_server_headers.hpp" last\n' \
                "${file#"$build_tree/"}"
            status=1
        elif ! grep -q 'server headers belong in src/pg' "$work/log/wall.err"; then
            printf '%s fails for another reason:\n' "${file#"$build_tree/"}"
            cat "$work/log/wall.err"
            status=1
        fi
    done < <(find "$build_tree/src" -name '*.cpp' ! -path "$build_tree/src/pg/*" \
        ! -path "$build_tree/src/opsrunbook.cpp" | sort)
    return "$status"
}

# The other half of the wall: only src/pg names a header of the server.
only_src_pg_includes_the_server()
{
    local headers='(postgres|fmgr|funcapi|miscadmin|access/|catalog/pg_|executor/|postmaster/|storage/|utils/)'
    ! grep -rnE "#include \"$headers" "$build_tree/src" --include='*.cpp' --include='*.hpp' \
        --exclude-dir=pg --exclude=opsrunbook.cpp
}

run_symbols()
{
    begin symbols "checking the module's exports, the wall, META.json and what is tested"
    verdict "exported symbols" exports_are_the_agreed_ones
    verdict "undefined symbols" nothing_of_ours_is_undefined
    verdict "decisions refuse server headers" decisions_refuse_server_headers
    verdict "only src/pg includes the server" only_src_pg_includes_the_server
    verdict "every check and function has its tests" perl "$build_tree/scripts/lib/check_coverage.pl" "$build_tree"
    verdict "META.json" perl "$build_tree/scripts/lib/check_meta.pl" "$build_tree"
    finish
}

run_unit()
{
    local status=0 ok not_ok
    begin unit "building and running the unit tests"
    if [[ -z $(find_tests test/unit cpp) && ${#names[@]} -eq 0 ]]; then say "      none yet"; return; fi
    logged unit as_postgres timeout 900 make -C "$build_tree" -j"$(nproc)" unit PG_CONFIG="$PG_CONFIG" \
        UBSAN_OPTIONS=print_stacktrace=1 || status=$?
    ok=$(grep -c '^\[       OK \]' "$log_file" || true)
    not_ok=$(grep -cE '^\[  FAILED  \] [^ ]+ \([0-9]+ ms\)$' "$log_file" || true)
    # A compiler error, or a sanitizer that ended the run.
    if [[ $status -ne 0 && $not_ok -eq 0 ]]; then not_ok=1; fi
    count "$ok" "$not_ok"
    if [[ $not_ok -gt 0 ]]; then
        grep -vE '^\[( RUN      |       OK |----------)\]' "$log_file" >"$work/log/unit.failed" || true
        show_failure "unit tests" "$work/log/unit.failed"
    fi
    finish
}

# pg_regress until 15 says "test x ... ok", from 16 on it speaks TAP.
count_regress()  # TITLE LOG STATUS DIFFS
{
    local ok not_ok
    ok=$(grep -cE '^(ok [0-9]+ |test .* \.\.\. ok( |$)|     .* \.\.\. ok( |$))' "$2" || true)
    not_ok=$(grep -cE '^(not ok [0-9]+ |test .* \.\.\. FAILED|     .* \.\.\. FAILED)' "$2" || true)
    if [[ $3 -ne 0 && $not_ok -eq 0 ]]; then not_ok=1; fi
    count "$ok" "$not_ok"
    if [[ $not_ok -gt 0 ]]; then
        if [[ -s $4 ]]; then show_failure "$1" "$4" 400; else show_failure "$1" "$2"; fi
        show_failure "$1: the server's log" "$work/main/server.log" 20
    fi
}

run_regress()
{
    local status=0
    begin regress "running pg_regress"
    if [[ -z $(find "$build_tree/sql" -name '*.sql' 2>/dev/null) ]]; then say "      none yet"; return; fi
    rm -rf "$build_tree"/regression.* "$build_tree/results"
    logged regress as_postgres "${server[@]}" timeout 600 \
        make -C "$build_tree" installcheck PG_CONFIG="$PG_CONFIG" || status=$?
    count_regress "pg_regress" "$log_file" "$status" "$build_tree/regression.diffs"
    finish
}

run_isolation()
{
    local status=0 specs=() file output=$work/isolation
    begin isolation "running the isolation tests"
    while IFS= read -r file; do specs+=("$(basename "$file" .spec)"); done < <(find_tests test/isolation/specs spec)
    if [[ ${#specs[@]} -eq 0 ]]; then say "      none yet"; return; fi
    install -d -o postgres -g postgres "$output"
    logged isolation as_postgres "${server[@]}" timeout 600 "$pgxs_directory/src/test/isolation/pg_isolation_regress" \
        --inputdir="$build_tree/test/isolation" --outputdir="$output" --bindir="$bin_directory" \
        --dbname=isolation_regression --load-extension=opsrunbook "${specs[@]}" || status=$?
    count_regress "isolation tests" "$log_file" "$status" "$output/regression.diffs"
    finish
}

run_pgtap()
{
    local status file name database
    begin pgtap "running the pgTAP tests"
    if [[ -z $(find_tests test/pgtap sql) ]]; then say "      none yet"; return; fi
    while IFS= read -r file; do
        name=$(basename "$file" .sql)
        database=pgtap_$name
        status=0
        logged "pgtap-$name" prove_in_fresh_database "$database" "$file" || status=$?
        count_tap "test/pgtap/$name.sql" "$log_file" "$status"
    done < <(find_tests test/pgtap sql)
    finish
}

prove_in_fresh_database()  # DATABASE FILE
{
    psql_quiet -c "CREATE DATABASE \"$1\"" || return 1
    psql_quiet -d "$1" -c 'CREATE EXTENSION pgtap' -c 'CREATE EXTENSION pg_stat_statements' \
        -c 'CREATE EXTENSION opsrunbook' || return 1
    as_postgres "${server[@]}" timeout 300 pg_prove --verbose --dbname "$1" "$2"
}

# The environment that PostgreSQL::Test::Cluster reads; the names differ between versions, so all are given.
prove_tap_file()  # FILE
{
    local name directory
    name=$(basename "$1" .pl)
    directory=$work/tap/$name
    install -d -o postgres -g postgres "$directory"
    as_postgres TMPDIR="$work/tap" TESTDIR="$directory" TESTDATADIR="$directory/tmp_check" \
        TESTLOGDIR="$directory/tmp_check/log" PG_REGRESS="$pgxs_directory/src/test/regress/pg_regress" \
        PG_TEST_PORT_DIR="$work/tap/ports" top_builddir="$build_tree" PGPORT=65432 PG_TEST_TIMEOUT_DEFAULT=180 \
        timeout 600 prove --verbose -I "$pgxs_directory/src/test/perl" -I "$build_tree/test/tap" "$1"
}

run_tap()
{
    local file name status running=0 jobs=${TEST_JOBS:-$(nproc)}
    begin tap "running the TAP tests"
    if [[ -z $(find_tests test/tap pl) ]]; then say "      none yet"; return; fi
    install -d -o postgres -g postgres "$work/tap" "$work/tap/ports"
    while IFS= read -r file; do
        name=$(basename "$file" .pl)
        if [[ $running -ge $jobs ]]; then
            wait -n || true
            running=$((running - 1))
        fi
        {
            prove_tap_file "$file" >"$work/log/tap-$name" 2>&1 </dev/null || echo $? >"$work/log/tap-$name.status"
        } &
        running=$((running + 1))
    done < <(find_tests test/tap pl)
    wait
    while IFS= read -r file; do
        name=$(basename "$file" .pl)
        status=0
        if [[ -e $work/log/tap-$name.status ]]; then status=$(<"$work/log/tap-$name.status"); fi
        # The test's own log says what the servers were asked and answered.
        if [[ $status -ne 0 ]]; then
            tail -n 60 "$work/tap/$name"/tmp_check/log/regress_log_* >>"$work/log/tap-$name" 2>/dev/null || true
        fi
        count_tap "test/tap/$name.pl" "$work/log/tap-$name" "$status"
    done < <(find_tests test/tap pl)
    finish
}

# ---- the run ---------------------------------------------------------------------------------------------------

require_root "${arguments[@]}"
choose_server
make_work_directory
steps_total=$((2 + ${#kinds[@]}))
needs_server=no
if selected regress || selected isolation || selected pgtap; then
    needs_server=yes
    steps_total=$((steps_total + 1))
fi

step "looking for missing packages"
packages=()
mapfile -t packages < <(server_packages; test_packages; if selected unit; then printf 'libgtest-dev\n'; fi)
install_packages "${packages[@]}"
lock_server_version

step "building and installing for PostgreSQL $PG_MAJOR"
build_and_install
pgxs_directory=$(dirname "$(dirname "$(dirname "$("$PG_CONFIG" --pgxs)")")")

if selected symbols; then run_symbols; fi
if selected unit; then run_unit; fi
if [[ $needs_server == yes ]]; then
    step "starting a throwaway server"
    # Autovacuum would repair the situations that the tests plant.
    start_server main "shared_preload_libraries = 'pg_stat_statements,opsrunbook'" "autovacuum = off" \
        "max_worker_processes = 16" "max_prepared_transactions = 10"
fi
if selected regress; then run_regress; fi
if selected isolation; then run_isolation; fi
if selected pgtap; then run_pgtap; fi
if selected tap; then run_tap; fi

complete=yes
[[ $failed -eq 0 ]] || exit 1
