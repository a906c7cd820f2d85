#!/bin/bash
# Maintenance of what needs it, beside maintenance of everything; how well a window is filled; how well durations are
# predicted.

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib/common.sh"

usage()
{
    cat <<'TEXT'
bench/maintenance.sh [--rounds N] [--rows N] [--databases N] [--installed]

Starts a throwaway server with a database of 200 tables of different sizes, of which 20 need work in different ways:
dead rows after updates and deletes (also in TOAST, also a single one), never analyzed, changed since the last ANALYZE,
many rows inserted.  In each round both sides, taking turns at going first, get the same 20 tables in the same state:
  vacuumdb   vacuumdb --analyze --jobs=2
  here       SELECT * FROM run_automated_maintenance(), with max_parallel_tasks 2
It prints both times, the end states (dead rows left, tables whose statistics autovacuum's rule calls stale), and how
often a table of the other 180 was worked on; then, of the last rounds, how far predicted durations were off when the
rounds before them were all the history there was; then (bench/window.cpp) which share of the possible benefit the plan
of a window takes: of these 20 tables after unevenly spread reads, and of random databases.  Nothing is asserted and
nothing is left behind.

  --rounds     how often both sides take turns (default 6; the first three make history)
  --rows       rows of a middling table (default 20000)
  --databases  how many random databases the window is planned for (default 200)
  --installed  takes the extension as it is installed instead of building and installing it first

PG_MAJOR=17, PG_CONFIG=/path/to/pg_config or PG_BIN=/path/to/bin choose the server; the default is Debian's 15.
TEXT
}

rounds=6
rows=20000
databases=200
installed=no
arguments=("$@")
while [[ $# -gt 0 ]]; do
    case $1 in
        --rounds) rounds=${2:?--rounds needs a number}; shift ;;
        --rows) rows=${2:?--rows needs a number}; shift ;;
        --databases) databases=${2:?--databases needs a number}; shift ;;
        --installed) installed=yes ;;
        -h | --help) usage; exit 0 ;;
        *) die "unknown option $1; see --help" ;;
    esac
    shift
done
[[ $rounds =~ ^[1-9][0-9]*$ && $rows =~ ^[1-9][0-9]*$ && $databases =~ ^[1-9][0-9]*$ ]] ||
    die "rounds, rows and databases are numbers; see --help"

in_shop() { psql_quiet -d shop "$@"; }

# The 200 tables: t1 to t20 get into need of work, t21 to t200 never.  Sizes are log-normal quantiles, in an order that
# gives both groups large and small ones.
make_tables()
{
    in_shop >/dev/null <<SQL
CREATE EXTENSION opsrunbook;
CREATE EXTENSION pg_visibility;
CREATE TABLE public.size AS
    SELECT n, greatest(50, least(50 * $rows, exp(ln($rows) + 1.2 * sqrt(2) * z)))::int AS rows,
           CASE n WHEN 1 THEN 'one' WHEN 2 THEN 'toast' WHEN 3 THEN 'toast' WHEN 4 THEN 'never' WHEN 5 THEN 'never'
                  WHEN 6 THEN 'inserted' WHEN 7 THEN 'inserted' WHEN 8 THEN 'changed' WHEN 9 THEN 'changed'
                  WHEN 10 THEN 'changed' WHEN 11 THEN 'deleted' WHEN 12 THEN 'deleted' WHEN 13 THEN 'deleted'
                  WHEN 14 THEN 'deleted' ELSE 'updated' END AS need
    FROM (SELECT n, ln(q / (1 - q)) / 2.4 AS z
          FROM (SELECT n, ((n * 37) % 200 + 0.5) / 200.0 AS q FROM generate_series(1, 200) n) p) q;
CREATE SCHEMA bench;
CREATE FUNCTION bench.fill(n int, count int) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
    EXECUTE format('INSERT INTO public.t%s SELECT g, g %% 100, md5(g::text) || repeat(''x'', 40), NULL FROM generate_series(1, %s) g', n, count);
END \$\$;
CREATE FUNCTION bench.make(n int) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
    EXECUTE format('CREATE TABLE public.t%s (id int, kind int, body text, big text)', n);
    EXECUTE format('ALTER TABLE public.t%s ALTER big SET STORAGE EXTERNAL', n);
    EXECUTE format('CREATE UNIQUE INDEX ON public.t%s (id)', n);
    EXECUTE format('CREATE INDEX ON public.t%s (kind)', n);
END \$\$;
-- Brings one of the 20 into its first state: the same pages, the same statistics.
CREATE FUNCTION bench.restore(n int) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE s public.size := (SELECT x FROM public.size x WHERE x.n = restore.n);
BEGIN
    IF s.need = 'never' THEN
        EXECUTE format('DROP TABLE IF EXISTS public.t%s', n);
        PERFORM bench.make(n);
    ELSE
        EXECUTE format('TRUNCATE public.t%s', n);
        PERFORM bench.fill(n, s.rows);
        IF s.need = 'toast' THEN
            EXECUTE format('UPDATE public.t%s SET big = repeat(md5(id::text), 100) WHERE id <= 1000', n);
        END IF;
    END IF;
END \$\$;
CREATE FUNCTION bench.disturb(n int) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE s public.size := (SELECT x FROM public.size x WHERE x.n = disturb.n);
BEGIN
    CASE s.need
        WHEN 'never' THEN PERFORM bench.fill(n, s.rows);
        WHEN 'one' THEN EXECUTE format('DELETE FROM public.t%s WHERE id = 1', n);
        WHEN 'toast' THEN EXECUTE format('UPDATE public.t%s SET big = repeat(md5(body), 100) WHERE id <= 1000', n);
        WHEN 'inserted' THEN EXECUTE format('INSERT INTO public.t%s SELECT -g, g, md5(g::text), NULL FROM generate_series(1, %s) g', n, 1100 + s.rows * 3 / 10);
        WHEN 'changed' THEN EXECUTE format('INSERT INTO public.t%s SELECT -g, g, md5(g::text), NULL FROM generate_series(1, %s) g', n, 60 + s.rows * 15 / 100);
        WHEN 'deleted' THEN EXECUTE format('DELETE FROM public.t%s WHERE id %% 3 = 0', n);
        WHEN 'updated' THEN EXECUTE format('UPDATE public.t%s SET kind = kind + 1 WHERE id %% 2 = 0', n);
    END CASE;
END \$\$;
-- How often each of the 20 is read follows Zipf's law; the larger a table, the rarer is a sequential scan.
CREATE PROCEDURE bench.read(most int) LANGUAGE plpgsql AS \$\$
DECLARE s public.size; rank int;
BEGIN
    FOR s IN SELECT * FROM public.size x WHERE x.n <= 20 LOOP
        rank := 1 + (s.n * 7) % 20;
        FOR i IN 1 .. most / rank LOOP
            EXECUTE format('SELECT body FROM public.t%s WHERE id = %s', s.n, i);
        END LOOP;
        FOR i IN 1 .. most / 100 / rank / (1 + s.rows / 20000) LOOP
            EXECUTE format('SELECT count(body) FROM public.t%s', s.n);
        END LOOP;
    END LOOP;
END \$\$;
SELECT count(bench.make(n)) FROM generate_series(1, 200) n;
SELECT count(bench.fill(n, rows)) FROM public.size WHERE n > 20;
VACUUM ANALYZE;
SQL
}

# REINDEX goes on behind the answer of the side that asked for it.
wait_for_background()
{
    until [[ $(in_shop -Atc "SELECT count(*) FROM opsrunbook.tasks WHERE finished_at IS NULL") -eq 0 ]]; do sleep 0.1; done
}

prepare()
{
    wait_for_background
    # Each statement in a transaction of its own: in the database's own transaction nothing would be dead yet.
    {
        printf 'SELECT count(bench.restore(n)) FROM generate_series(1, 20) n;\n'
        in_shop -At -c "SELECT format('VACUUM ANALYZE public.t%s;', n) FROM public.size WHERE n <= 20 AND need <> 'never'"
        printf 'SELECT count(bench.disturb(n)) FROM generate_series(1, 20) n;\n'
        printf 'SELECT pg_stat_force_next_flush();\nCHECKPOINT;\n'
    } >"$work/prepare.sql"
    in_shop -f "$work/prepare.sql" >/dev/null
}

# Dead rows, tables with stale statistics, and what was ever done to the other 180.
state()
{
    in_shop -At -F ' ' <<'SQL'
SELECT (SELECT sum(pg_stat_get_dead_tuples(c.oid)) FROM pg_class t JOIN pg_class c ON c.oid IN (t.oid, t.reltoastrelid)
        WHERE t.relnamespace = 'public'::regnamespace AND t.relkind = 'r'),
       (SELECT count(*) FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid WHERE schemaname = 'public'
        AND (n_mod_since_analyze > 50 + 0.1 * reltuples OR reltuples < 0
             OR NOT EXISTS (SELECT FROM pg_statistic WHERE starelid = c.oid))),
       (SELECT sum(vacuum_count + analyze_count) FROM pg_stat_user_tables
        WHERE schemaname = 'public' AND relname ~ '^t(2[1-9]|[3-9][0-9]|[0-9]{3})$')
SQL
}

run_vacuumdb() { as_postgres "${server[@]}" vacuumdb --quiet --analyze --jobs=2 shop; }
run_here() { in_shop -c 'SELECT * FROM run_automated_maintenance()' >>"$work/outcome"; }

# Times one side; appends milliseconds to its file and prints what it left.
time_side()  # NAME
{
    local before after started ended
    prepare
    before=$(state)
    started=$(date +%s%N)
    "run_$1"
    ended=$(date +%s%N)
    # Backends that have ended report what they counted until then.
    in_shop -c 'SELECT pg_stat_force_next_flush()' >/dev/null
    after=$(state)
    awk -v t=$((ended - started)) 'BEGIN { printf "%.1f\n", t / 1e6 }' >>"$work/time-$1"
    read -r -a before <<<"$before"
    read -r -a after <<<"$after"
    printf '      %-9s %8.0f ms  dead rows %s -> %s, stale statistics %s -> %s, the other 180 worked on %s times\n' "$1" \
        "$(tail -n 1 "$work/time-$1")" "${before[0]}" "${after[0]}" "${before[1]}" "${after[1]}" \
        $((after[2] - before[2]))
}

# The twenty tables as PostgreSQL 19's autovacuum would see them (of a table and its TOAST table the one with more dead
# rows for its size), and what our plan says of each.
plan_and_states()
{
    in_shop -At -F ' ' <<'SQL'
SELECT p.benefit, p.predicted_seconds, v.rows, v.dead, coalesce(pg_stat_get_ins_since_vacuum(t.oid), 0),
       coalesce(pg_stat_get_mod_since_analyze(t.oid), 0), age(t.relfrozenxid), mxid_age(t.relminmxid),
       1 - coalesce((pg_visibility_map_summary(t.oid)).all_frozen / nullif(t.relpages, 0)::float8, 0)
FROM opsrunbook.plan_maintenance() p JOIN pg_class t ON t.oid = to_regclass(p.object_name),
     LATERAL (SELECT greatest(c.reltuples, 0) AS rows, coalesce(pg_stat_get_dead_tuples(c.oid), 0) AS dead FROM pg_class c
              WHERE c.oid IN (t.oid, t.reltoastrelid) ORDER BY 2 / (50 + 0.2 * greatest(c.reltuples, 0)) DESC LIMIT 1) v
WHERE t.relkind = 'r'
SQL
}

median() { sort -n "$1" | awk '{ t[NR] = $1 } END { print (NR % 2 ? t[(NR + 1) / 2] : (t[NR / 2] + t[NR / 2 + 1]) / 2) }'; }
spread() { sort -n "$1" | awk 'NR == 1 { least = $1 } { most = $1 } END { printf "%.0f-%.0f", least, most }'; }

require_root "${arguments[@]}"
if [[ -n ${PG_BIN:-} ]]; then PG_CONFIG=$PG_BIN/pg_config; fi
choose_server
make_work_directory
steps_total=7

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
start_server main "shared_buffers = '512MB'" "autovacuum = off" "jit = off" "max_wal_size = '16GB'" \
    "checkpoint_timeout = '1h'" "maintenance_work_mem = '64MB'" "max_worker_processes = 16" \
    "shared_preload_libraries = 'opsrunbook'" "opsrunbook.max_parallel_tasks = 2"
psql_quiet -c 'CREATE DATABASE shop'

step "making 200 tables"
make_tables
in_shop -At -c "SELECT format('      %s tables, %s rows, %s; in need of work: %s tables, %s rows, %s', count(*),
        sum(rows), pg_size_pretty(pg_database_size('shop')), count(*) FILTER (WHERE n <= 20),
        sum(rows) FILTER (WHERE n <= 20), string_agg(DISTINCT need, ', ') FILTER (WHERE n <= 20)) FROM public.size"

step "timing both sides"
for ((round = 1; round <= rounds; round++)); do
    printf '    round %d of %d\n' "$round" "$rounds"
    if ((round % 2)); then sides=(vacuumdb here); else sides=(here vacuumdb); fi
    for side in "${sides[@]}"; do time_side "$side"; done
done
printf '\n  milliseconds, median and range of %s rounds\n' "$rounds"
for side in vacuumdb here; do
    printf '  %-34s %8.0f %14s\n' "$side" "$(median "$work/time-$side")" "$(spread "$work/time-$side")"
done
awk -v a="$(median "$work/time-here")" -v b="$(median "$work/time-vacuumdb")" \
    'BEGIN { printf "  here / vacuumdb: %.3f (goal: at most 0.333)\n\n", a / b }'

step "comparing predicted durations with actual ones"
in_shop -At <<'SQL'
WITH done AS (
    SELECT dense_rank() OVER (ORDER BY run_id) AS night, t.object_name, t.kind, predicted_seconds AS predicted,
           extract(epoch FROM duration)::float8 AS actual
    FROM opsrunbook.tasks t WHERE status = 'completed' AND object_name LIKE 'public.%'),
off AS (SELECT *, abs(predicted - actual) / actual AS error FROM done)
SELECT format('  night %s: %s tasks, actual %s ms in all, predicted %s ms; error of a task: median %s %%, of the longer half %s %%',
              night, count(*), round(1000 * sum(actual)), round(1000 * sum(predicted)),
              round((100 * percentile_cont(0.5) WITHIN GROUP (ORDER BY error))::numeric, 1),
              round((100 * percentile_cont(0.5) WITHIN GROUP (ORDER BY error) FILTER (WHERE long))::numeric, 1))
FROM (SELECT *, actual >= percentile_cont FROM off JOIN (SELECT night, percentile_cont(0.5) WITHIN GROUP (ORDER BY actual)
      FROM off GROUP BY night) m USING (night)) x (night, object_name, kind, predicted, actual, error, middle, long)
GROUP BY night ORDER BY night;
WITH done AS (
    SELECT dense_rank() OVER (ORDER BY run_id) AS night, predicted_seconds AS predicted,
           extract(epoch FROM duration)::float8 AS actual
    FROM opsrunbook.tasks t WHERE status = 'completed' AND object_name LIKE 'public.%')
SELECT format('  after three nights of history: median error %s %% of %s tasks (goal: at most 15 %%)',
              round((100 * percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(predicted - actual) / actual))::numeric, 1), count(*))
FROM done WHERE night > 3;
SQL
if [[ -n ${BENCH_DETAILS:-} ]]; then
    in_shop -c "SELECT run_id, object_name, kind, round(work_bytes) AS bytes, round(1000 * predicted_seconds::numeric, 1) AS predicted,
        round(1000 * extract(epoch FROM duration)::numeric, 1) AS actual FROM opsrunbook.tasks WHERE status = 'completed' ORDER BY object_name, run_id"
fi

step "planning a window for the 20 tables"
install -d "$work/window"
g++ -std=c++20 -O2 -I"$project/src" -I"$project/test/unit" -isystem "$("$PG_CONFIG" --includedir-server)" \
    "$project/bench/window.cpp" "$project/src/maintenance/window.cpp" "$project/src/base/text.cpp" -o "$work/window/bench"
prepare
in_shop -c 'CALL bench.read(20000)' -c 'SELECT pg_stat_force_next_flush()' >/dev/null
plan_and_states >"$work/window/states"
for workers in 1 2; do "$work/window/bench" "$work/window/states" "$workers"; done

step "planning windows for random databases"
"$work/window/bench" "$databases"

printf '\nPostgreSQL %s, %s processors, %s MB of memory, shared_buffers 512 MB, fsync off\n' \
    "$(psql_quiet -Atc 'SHOW server_version')" "$(nproc)" "$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)"
