#!/bin/bash
# Shows the extension at work: a database with planted problems, its score, the maintenance, the score again.

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

usage()
{
    cat <<'TEXT'
scripts/demo.sh [--keep] [--scale N]

Sets the machine up (through apt, as root or with sudo), builds and installs the extension, starts a throwaway
server, loads pgbench and plants problems, and shows score, maintenance, score.

  --keep      leaves the server running, and says how to connect and how to remove it
  --scale N   pgbench's scale, 100,000 accounts each (default 10)

PG_MAJOR=17 or PG_CONFIG=/path/to/pg_config choose the server; the default is Debian's PostgreSQL 15.
TEXT
}

keep=no
scale=10
columns=$(tput cols 2>/dev/null) || columns=0
if [[ ! -t 1 || $columns -lt 100 ]]; then columns=140; fi
arguments=("$@")
while [[ $# -gt 0 ]]; do
    case $1 in
        --keep) keep=yes ;;
        --scale)
            [[ ${2:-} =~ ^[1-9][0-9]{0,4}$ ]] || die "--scale needs a number from 1 to 99999"
            scale=$2
            shift ;;
        -h | --help) usage; exit 0 ;;
        *) die "unknown argument $1; see --help" ;;
    esac
    shift
done

show()  # HEADING SENTENCE SQL
{
    local bold='' plain=''
    if [[ -t 1 ]]; then bold=$'\033[1m' plain=$'\033[0m'; fi
    printf '\n%s== %s ==%s\n%s\n\n  %s\n\n' "$bold" "$1" "$plain" "$2" "$3"
    # Findings are sentences: wrapped within their column, and no pager stops the show.
    as_postgres "${server[@]}" PGDATABASE=demo psql -X -v ON_ERROR_STOP=1 -P pager=off \
        -P format=wrapped -P columns="$columns" -P linestyle=unicode -c "$3"
}

plant_problems()
{
    psql_quiet -c 'CREATE DATABASE demo' || return 1
    psql_quiet -d demo -c 'SET client_min_messages = warning' -c 'CREATE EXTENSION pg_stat_statements' \
        -c 'CREATE EXTENSION opsrunbook' || return 1
    as_postgres "${server[@]}" pgbench --initialize --quiet --scale="$scale" demo || return 1
    psql_quiet -d demo <<'SQL' || return 1
-- Half of the rows leave a dead version behind.
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid % 2 = 0;
-- An index that nothing reads.
CREATE INDEX accounts_filler_never_used ON pgbench_accounts (filler, bid);
SQL
    # An index whose concurrent build failed half-way stays behind as invalid, and is kept up to date for nothing.
    psql_quiet -d demo \
        -c 'CREATE UNIQUE INDEX CONCURRENTLY accounts_left_invalid ON pgbench_accounts (bid)' && return 1
    # Work, so that the cache and the statements have a record.
    as_postgres "${server[@]}" pgbench --no-vacuum --client=2 --transactions=500 demo
}

# A client that began a transaction and went away to think.  It reads from a pipe that stays open until we end.
leave_a_transaction_open()
{
    local pipe=$work/idle
    mkfifo "$pipe"
    as_postgres "${server[@]}" PGDATABASE=demo PGAPPNAME=forgotten_session psql -X -q <"$pipe" >"$work/log/idle" 2>&1 &
    exec {idle_fd}>"$pipe"
    printf 'BEGIN;\nSELECT count(*) FROM pgbench_tellers;\n' >&"$idle_fd"
    # Nobody waits five minutes for a demonstration: here a second is called long.
    psql_quiet -d demo -c "UPDATE performance.alert_thresholds SET warning_threshold = 1.0 / 60
        WHERE metric_name = 'idle_in_transaction_minutes' AND object = ''"
    wait_until "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'forgotten_session'
        AND state = 'idle in transaction' AND state_change < now() - interval '2 seconds'"
}

wait_until()  # QUERY that answers t
{
    local _
    for _ in {1..100}; do
        [[ $(psql_quiet -d demo -Atc "$1") != t ]] || return 0
        sleep 0.1
    done
    die "waited in vain for: $1"
}

require_root "${arguments[@]}"
choose_server
make_work_directory
steps_total=5
if [[ $keep == yes ]]; then
    rmdir "$work/log" "$work"
    work=$(mktemp -d /tmp/opsrunbook-demo.XXXXXX)
    mkdir "$work/log"
    chmod 755 "$work"
fi

step "looking for missing packages"
mapfile -t packages < <(server_packages)
install_packages "${packages[@]}"
lock_server_version

step "building and installing for PostgreSQL $PG_MAJOR"
build_and_install

step "starting a throwaway server"
start_server server "shared_preload_libraries = 'pg_stat_statements,opsrunbook'" "autovacuum = off" "fsync = on" \
    "shared_buffers = '256MB'"

step "loading pgbench at scale $scale and planting problems"
logged plant plant_problems

step "leaving a session idle in a transaction"
leave_a_transaction_open

show "The score" \
    "One row for the whole and one a component, each with what cost it points and what to do about it." \
    "SELECT * FROM calculate_database_health_score();"
show "The maintenance" \
    "What needs work is vacuumed and analyzed by background workers, from a plain SELECT." \
    "SELECT * FROM run_automated_maintenance();"
show "The score afterwards" \
    "What was repaired costs nothing any more; what only a person may decide is still named." \
    "SELECT * FROM calculate_database_health_score();"

exec {idle_fd}>&-
wait

if [[ $keep == yes ]]; then
    keep_work=yes
    cat <<TEXT

The server is left running.  Connect with:
  $bin_directory/psql -h $work/server/socket -U postgres demo
Stop and remove it with (as root):
  cd / && runuser -u postgres -- $bin_directory/pg_ctl -D $work/server/data stop -m fast && rm -rf $work
TEXT
fi
