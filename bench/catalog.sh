#!/bin/bash
# How long a look at the whole database takes, beside what people run today, on catalogs of growing size.

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib/common.sh"

usage()
{
    cat <<'TEXT'
bench/catalog.sh [--tables N[,N]...] [--rounds N] [--installed]

Starts a throwaway server, makes many tables with two indexes each (bench/make_tables.sh), and times, in one run and
taking turns,
  here   calculate_database_health_score(), performance.check_alerts(), detect_performance_bottlenecks()
  SQL    what runbooks do instead: pg_stat_user_tables; pg_statio_user_tables; pg_stat_user_indexes where idx_scan = 0
         with the size of each; pg_total_relation_size() of each table; bloat of tables and indexes, estimated from the
         row widths of pg_stats
once in a new session, as a cron job or a monitoring agent calls them, and once more in the same session, where the
server has everything at hand.  Prints the median of the rounds, the spread, the ratios, and how the time grows with
the number of relations.  Nothing is asserted and nothing is left behind.

  --tables     sizes to measure at (default 2500,25000,100000: 10,000, 100,000 and 400,000 relations)
  --rounds     how often both sides take turns (default 5)
  --installed  takes the extension as it is installed instead of building and installing it first

PG_MAJOR=17, PG_CONFIG=/path/to/pg_config or PG_BIN=/path/to/bin choose the server; the default is Debian's 15.
100,000 tables take about 6 GB below /tmp (TMPDIR) and, with 5 rounds, 10 minutes.
TEXT
}

sizes=2500,25000,100000
rounds=5
installed=no
arguments=("$@")
while [[ $# -gt 0 ]]; do
    case $1 in
        --tables) sizes=${2:?--tables needs a number}; shift ;;
        --rounds) rounds=${2:?--rounds needs a number}; shift ;;
        --installed) installed=yes ;;
        -h | --help) usage; exit 0 ;;
        *) die "unknown option $1; see --help" ;;
    esac
    shift
done
[[ $sizes =~ ^[0-9]+(,[0-9]+)*$ && $rounds =~ ^[1-9][0-9]*$ ]] || die "sizes and rounds are numbers; see --help"
IFS=, read -r -a sizes <<<"$sizes"

here=(
    'SELECT count(*) FROM calculate_database_health_score()'
    'SELECT count(*) FROM performance.check_alerts()'
    'SELECT count(*) FROM detect_performance_bottlenecks()'
)
here_names=(calculate_database_health_score check_alerts detect_performance_bottlenecks)
plain=(
    'SELECT count(*), sum(n_live_tup), sum(n_dead_tup) FROM pg_stat_user_tables'
    'SELECT count(*), sum(pg_relation_size(indexrelid)) FROM pg_stat_user_indexes WHERE idx_scan = 0'
    'SELECT count(*), sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables'
    'SELECT count(*), sum(heap_blks_read), sum(heap_blks_hit), sum(idx_blks_hit) FROM pg_statio_user_tables'
    # Pages beyond what the rows would fill at their mean width (28 bytes of header and line pointer each).
    "SELECT count(*), sum(greatest(relpages - needed, 0)) FROM (
        SELECT c.relpages, ceil(c.reltuples * (28 + s.width) / (current_setting('block_size')::int - 24)
               * 100 / coalesce(substring(array_to_string(c.reloptions, ' ') FROM 'fillfactor=(\d+)')::int, 100)) AS needed
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN (SELECT schemaname, tablename, sum((1 - null_frac) * avg_width) AS width FROM pg_stats GROUP BY 1, 2) s
        ON s.schemaname = n.nspname AND s.tablename = c.relname
        WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')) t"
    # The same of btrees: 12 bytes an entry, pages 90 % full, one for the meta page.
    "SELECT count(*), sum(greatest(relpages - needed, 0)) FROM (
        SELECT i.relpages, 1 + ceil(i.reltuples * (12 + sum((1 - s.null_frac) * s.avg_width)) /
               (current_setting('block_size')::int - 40)
               * 100 / coalesce(substring(array_to_string(i.reloptions, ' ') FROM 'fillfactor=(\d+)')::int, 90)) AS needed
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam AND m.amname = 'btree'
        JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (x.indkey)
        JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
        GROUP BY i.oid, i.relpages, i.reltuples, i.reloptions) t"
)
plain_names=('pg_stat_user_tables' 'unused indexes and their sizes' 'pg_total_relation_size of each table'
    'pg_statio_user_tables' 'bloat of tables, from pg_stats' 'bloat of btrees, from pg_stats')

# Runs statements twice in one new session; appends "first" and "again" milliseconds of each to its files.
time_session()  # PREFIX STATEMENT...
{
    local prefix=$1 i times=()
    shift
    {
        printf '\\timing on\n'
        for i in 1 2; do printf '%s;\n' "$@"; done
    } >"$work/statements.sql"
    mapfile -t times < <(psql_quiet -d many -At -f "$work/statements.sql" | sed -nE 's/^Time: ([0-9.]+) ms.*/\1/p')
    [[ ${#times[@]} -eq $((2 * $#)) ]] || die "a statement was not timed"
    for ((i = 0; i < $#; i++)); do
        printf '%s\n' "${times[i]}" >>"$work/$prefix-$i-first"
        printf '%s\n' "${times[i + $#]}" >>"$work/$prefix-$i-again"
    done
    for i in first again; do
        paste "$work/$prefix"-[0-9]-"$i" | tail -n 1 |
            awk '{ for (f = 1; f <= NF; f++) sum += $f; print sum }' >>"$work/$prefix-sum-$i"
    done
}

median() { sort -n "$1" | awk '{ t[NR] = $1 } END { print (NR % 2 ? t[(NR + 1) / 2] : (t[NR / 2] + t[NR / 2 + 1]) / 2) }'; }
spread() { sort -n "$1" | awk 'NR == 1 { least = $1 } { most = $1 } END { printf "%.0f-%.0f", least, most }'; }

report_line()  # NAME PREFIX [RATIO FIRST, RATIO AGAIN]
{
    printf '  %-42s %9.0f %15s %9.0f %15s %7s %7s\n' "$1" "$(median "$work/$2-first")" "$(spread "$work/$2-first")" \
        "$(median "$work/$2-again")" "$(spread "$work/$2-again")" "${3:-}" "${4:-}"
}

ratio() { awk -v a="$(median "$1")" -v b="$(median "$2")" 'BEGIN { printf "%.1f", a / b }'; }

measure()  # TABLES
{
    local relations round i
    rm -f "$work"/here[0-9]-* "$work"/plain-*
    relations=$(psql_quiet -d many -Atc 'SELECT count(*) FROM pg_class')
    for ((round = 1; round <= rounds; round++)); do
        # Each of ours in a session of its own, so that each pays for a first call.
        for i in "${!here[@]}"; do time_session "here$i" "${here[i]}"; done
        time_session plain "${plain[@]}"
        printf '      round %d of %d\n' "$round" "$rounds"
    done
    {
        printf '\n%s tables, %s relations; milliseconds, median and range of %s rounds\n' "$1" "$relations" "$rounds"
        printf '  %-42s %9s %15s %9s %15s %7s %7s\n' '' 'new' '' 'same' '' 'ratio' 'ratio'
        printf '  %-42s %9s %15s %9s %15s %7s %7s\n' '' 'session' 'range' 'session' 'range' 'new' 'same'
        for i in "${!plain[@]}"; do report_line "SQL: ${plain_names[i]}" "plain-$i"; done
        report_line 'SQL: together' plain-sum
        for i in "${!here[@]}"; do
            report_line "${here_names[i]}" "here$i-0" "$(ratio "$work/plain-sum-first" "$work/here$i-0-first")" \
                "$(ratio "$work/plain-sum-again" "$work/here$i-0-again")"
        done
    } | tee -a "$work/report"
    awk -v relations="$relations" -v ours="$(median "$work/here0-0-again")" -v sql="$(median "$work/plain-sum-again")" \
        -v first="$(median "$work/here0-0-first")" 'BEGIN { printf "  %10d %14.0f %14.0f %18.2f %14.0f %18.2f\n", relations,
        first, ours, 1000 * ours / relations, sql, 1000 * sql / relations }' >>"$work/linear"
}

require_root "${arguments[@]}"
if [[ -n ${PG_BIN:-} ]]; then PG_CONFIG=$PG_BIN/pg_config; fi
choose_server
make_work_directory
steps_total=$((2 + 2 * ${#sizes[@]}))

if [[ $installed == no ]]; then
    step "building and installing for PostgreSQL $PG_MAJOR"
    mapfile -t packages < <(server_packages)
    install_packages "${packages[@]}"
    lock_server_version
    build_and_install
else
    step "taking the extension that is installed for PostgreSQL $PG_MAJOR"
    bin_directory=$("$PG_CONFIG" --bindir)
fi

step "starting a throwaway server"
# Autovacuum would come by at different moments of the two sides.
start_server main "shared_buffers = '512MB'" "max_locks_per_transaction = 512" "autovacuum = off" "jit = off" \
    "max_wal_size = '16GB'" "checkpoint_timeout = '1h'" "shared_preload_libraries = 'opsrunbook'"
psql_quiet -c 'CREATE DATABASE many'
psql_quiet -d many -c 'CREATE EXTENSION opsrunbook'

install -m 755 "$project/bench/make_tables.sh" "$work/make_tables.sh"
made=0
for tables in "${sizes[@]}"; do
    [[ $tables -gt $made ]] || die "sizes must grow"
    step "making tables up to $tables"
    as_postgres "${server[@]}" PGDATABASE=many "$work/make_tables.sh" $((tables - made)) $((made + 1)) 2>&1 |
        sed 's/^NOTICE: /     /'
    made=$tables
    # What a server that has been running for a while has: statistics, and catalogs that know their own size.
    as_postgres "${server[@]}" "$bin_directory/vacuumdb" --quiet --analyze-only --jobs 2 many
    psql_quiet -d many -c 'VACUUM ANALYZE pg_class, pg_index, pg_attribute, pg_constraint, pg_depend, pg_namespace, pg_statistic' \
        -c 'CHECKPOINT'
    step "timing both sides with $tables tables"
    measure "$tables"
done

printf '\nPostgreSQL %s, %s processors, %s MB of memory, shared_buffers 512 MB, tables with three rows\n' \
    "$(psql_quiet -Atc 'SHOW server_version')" "$(nproc)" "$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)"
printf '\ncalculate_database_health_score() and the SQL together, by size of the catalog\n'
printf '  %10s %14s %14s %18s %14s %18s\n' relations 'new session ms' 'same session ms' 'us a relation' 'SQL ms' 'us a relation'
cat "$work/linear"
