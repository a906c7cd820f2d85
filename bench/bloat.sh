#!/bin/bash
# Sampled bloat against the truth: pgstattuple for tables, the size before and after REINDEX for indexes, and the
# time on one large table against pgstattuple's.  Both sides in one run, in a database of its own, which is
# dropped at the end.  Prints the table and its summary; asserts nothing.

set -Eeuo pipefail

usage()
{
    cat <<'TEXT'
bench/bloat.sh [--rounds N] [--scale F] [--large-gb N] [--keep]

Needs a running server (the usual PG* variables) with the extensions opsrunbook and pgstattuple installed, and a
superuser.
  --rounds N     independent samples of each case (default 20)
  --scale F      factor on the rows of each case (default 1: about 1.5 GB in all)
  --large-gb N   size of the large table (default 2; 0: without it)
  --keep         leaves the database bloat_bench behind
TEXT
}

rounds=20
scale=1
large=2
keep=no
while [[ $# -gt 0 ]]; do
    case $1 in
        --rounds) rounds=$2; shift ;;
        --scale) scale=$2; shift ;;
        --large-gb) large=$2; shift ;;
        --keep) keep=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 1 ;;
    esac
    shift
done

run() { PGOPTIONS='-c client_min_messages=warning' psql -X -q -v ON_ERROR_STOP=1 -d bloat_bench "$@"; }

psql -X -q -d postgres -c 'DROP DATABASE IF EXISTS bloat_bench' -c 'CREATE DATABASE bloat_bench' \
    -c "ALTER DATABASE bloat_bench SET bench.scale = $scale"
finish() { [[ $keep == yes ]] || psql -X -q -d postgres -c 'DROP DATABASE IF EXISTS bloat_bench WITH (FORCE)'; }
trap finish EXIT

run <<'SQL'
SELECT setseed(0.42) \g /dev/null
CREATE EXTENSION opsrunbook;
CREATE EXTENSION pgstattuple;
CREATE TABLE cases (name text PRIMARY KEY, relation regclass);
CREATE TABLE results (name text, truth numeric, pct numeric, low numeric, high numeric, sampled bigint, pages bigint, ms numeric, truth_ms numeric);
-- n(rows): scaled
CREATE FUNCTION n(bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT greatest(2000, $1 * current_setting('bench.scale')::float8)::bigint $$;

CREATE TABLE fresh WITH (autovacuum_enabled = off) AS SELECT g AS id, md5(g::text) AS t FROM generate_series(1, n(1500000)) g;
VACUUM ANALYZE fresh;
CREATE TABLE half_deleted WITH (autovacuum_enabled = off) AS SELECT g AS id, md5(g::text) AS t FROM generate_series(1, n(1500000)) g;
DELETE FROM half_deleted WHERE random() < 0.5;
CREATE TABLE half_deleted_vacuumed WITH (autovacuum_enabled = off) AS SELECT g AS id, md5(g::text) AS t FROM generate_series(1, n(1500000)) g;
DELETE FROM half_deleted_vacuumed WHERE random() < 0.5;
VACUUM half_deleted_vacuumed;
CREATE TABLE range_deleted WITH (autovacuum_enabled = off) AS SELECT g AS id, md5(g::text) AS t FROM generate_series(1, n(1500000)) g;
DELETE FROM range_deleted WHERE id BETWEEN n(300000) AND n(700000);
VACUUM range_deleted;
CREATE TABLE updated_hot (id int, v int, t text) WITH (autovacuum_enabled = off, fillfactor = 70);
INSERT INTO updated_hot SELECT g, 0, md5(g::text) FROM generate_series(1, n(1000000)) g;
CREATE INDEX updated_hot_id ON updated_hot (id);
UPDATE updated_hot SET v = v + 1 WHERE random() < 0.3;
UPDATE updated_hot SET v = v + 1 WHERE random() < 0.3;
CREATE TABLE updated_cold (id int, v int, t text) WITH (autovacuum_enabled = off);
INSERT INTO updated_cold SELECT g, g, md5(g::text) FROM generate_series(1, n(1000000)) g;
CREATE INDEX updated_cold_v ON updated_cold (v);
CREATE UNIQUE INDEX updated_cold_id ON updated_cold (id);
UPDATE updated_cold SET v = v + 1000000 WHERE id % 5 = 0;
VACUUM updated_cold;
UPDATE updated_cold SET v = v + 1 WHERE id % 7 = 0;
CREATE TABLE toasted (id int, big text) WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off);
ALTER TABLE toasted ALTER big SET STORAGE EXTERNAL;
INSERT INTO toasted SELECT g, repeat(md5(g::text), 60 + (random() * 200)::int) FROM generate_series(1, n(15000)) g;
DELETE FROM toasted WHERE random() < 0.3;
CREATE TABLE fillfactor_50 (id int, t text) WITH (autovacuum_enabled = off, fillfactor = 50);
INSERT INTO fillfactor_50 SELECT g, md5(g::text) FROM generate_series(1, n(600000)) g;
VACUUM fillfactor_50;
CREATE TABLE wide (id int, t text) WITH (autovacuum_enabled = off);
ALTER TABLE wide ALTER t SET STORAGE PLAIN;
INSERT INTO wide SELECT g, repeat('x', 500 + (random() * 3000)::int) FROM generate_series(1, n(30000)) g;
DELETE FROM wide WHERE random() < 0.2;
VACUUM wide;
CREATE TABLE stale WITH (autovacuum_enabled = off) AS SELECT g AS id, md5(g::text) AS t FROM generate_series(1, n(100000)) g;
ANALYZE stale;
INSERT INTO stale SELECT g, repeat('y', 300) FROM generate_series(1, n(400000)) g;
DELETE FROM stale WHERE length(t) > 100 AND random() < 0.8;
CREATE TABLE churned (id int, v int, t text) WITH (autovacuum_enabled = off);
INSERT INTO churned SELECT g, 0, repeat('x', (random() * 200)::int) FROM generate_series(1, n(800000)) g;
DELETE FROM churned WHERE (id / 5000) % 3 = 0 AND random() < 0.9;
VACUUM churned;
UPDATE churned SET v = 1 WHERE id % 1000 < 30;
INSERT INTO cases VALUES ('table, fresh', 'fresh'), ('table, half deleted', 'half_deleted'),
    ('table, half deleted, vacuumed', 'half_deleted_vacuumed'), ('table, a range deleted, vacuumed', 'range_deleted'),
    ('table, HOT updates, fillfactor 70', 'updated_hot'), ('table, updates without HOT', 'updated_cold'),
    ('table with TOAST, main', 'toasted'), ('table, fillfactor 50', 'fillfactor_50'), ('table, wide rows', 'wide'),
    ('table, stale statistics', 'stale'), ('table, part vacuumed', 'churned');
INSERT INTO cases SELECT 'TOAST table, 30 % deleted', reltoastrelid FROM pg_class WHERE oid = 'toasted'::regclass;

-- indexes
CREATE TABLE i (id int, few int, r int, t text, a int, b int) WITH (autovacuum_enabled = off);
INSERT INTO i SELECT g, g % 5000, (random() * 1e9)::int, md5((g / 3)::text), g % 300, (random() * 1e6)::int FROM generate_series(1, n(1000000)) g;
CREATE INDEX i_fresh ON i (id);
CREATE INDEX i_dedup_grown ON i (few) WHERE id > 0;
CREATE INDEX i_random ON i (r);
CREATE UNIQUE INDEX i_unique ON i (id, r);
CREATE INDEX i_text ON i (t);
CREATE INDEX i_two ON i (a, b);
CREATE INDEX i_partial ON i (id) WHERE few < 1500;
CREATE INDEX i_expression ON i ((t || a::text));
CREATE INDEX i_no_dedup ON i (few) WITH (deduplicate_items = off);
CREATE INDEX i_fillfactor ON i (r) WITH (fillfactor = 60);
CREATE INDEX i_include ON i (a) INCLUDE (b, r);
CREATE INDEX i_numeric ON i ((few::numeric));
INSERT INTO i SELECT n(1000000) + g, (random() * 5000)::int, (random() * 1e9)::int, md5((random() * 1e6)::int::text), (random() * 300)::int, (random() * 1e6)::int FROM generate_series(1, n(600000)) g;
DELETE FROM i WHERE random() < 0.3 OR id BETWEEN n(200000) AND n(280000);
VACUUM i;
DELETE FROM i WHERE random() < 0.1;
CREATE INDEX i_really_fresh ON i (few);
CREATE TABLE j (id int PRIMARY KEY, k int) WITH (autovacuum_enabled = off);
INSERT INTO j SELECT g, g FROM generate_series(1, n(1200000)) g;
CREATE INDEX j_k ON j (k);
UPDATE j SET k = k + 1 WHERE id % 3 = 0;
UPDATE j SET k = k + 1 WHERE id % 3 = 0;
VACUUM j;
INSERT INTO cases SELECT 'index ' || relname, oid FROM pg_class WHERE relkind = 'i' AND relam = 403
    AND (relname ~ '^(i_|j_)' OR relname ~ '^updated_') ORDER BY oid;
CHECKPOINT;
SQL

if [[ $large != 0 ]]; then
    run -v gb="$large" <<'SQL'
CREATE TABLE large (id int, v int, t text) WITH (autovacuum_enabled = off);
INSERT INTO large SELECT g, g, repeat('x', 40 + g % 120) FROM generate_series(1, (:gb * 7900000)::int) g;
DELETE FROM large WHERE id % 11 = 0 AND id < :gb * 4000000;
VACUUM large;
UPDATE large SET v = 0 WHERE id % 200 = 0 AND id > :gb * 5000000;
INSERT INTO cases VALUES ('table of ' || pg_size_pretty(pg_relation_size('large')), 'large');
CHECKPOINT;
SQL
fi

# Tables first: rebuilding the indexes does not touch them.
run -c "ALTER DATABASE bloat_bench SET bench.rounds = $rounds"
run <<'SQL'
DO $$
DECLARE
    c record; m record; truth numeric; t0 timestamptz; truth_ms numeric; ms numeric; before bigint; r int;
BEGIN
    FOR c IN SELECT name, relation, relkind FROM cases JOIN pg_class ON pg_class.oid = relation ORDER BY relkind <> 'i', name LOOP
        IF c.relkind <> 'i' THEN
            PERFORM pgstattuple(c.relation);
            t0 := clock_timestamp();
            SELECT (dead_tuple_len + free_space) * 100.0 / nullif(table_len, 0) INTO truth FROM pgstattuple(c.relation);
            truth_ms := extract(epoch FROM clock_timestamp() - t0) * 1000;
        END IF;
        FOR r IN 1..current_setting('bench.rounds')::int LOOP
            t0 := clock_timestamp();
            SELECT * INTO m FROM opsrunbook.measure_bloat(c.relation);
            ms := extract(epoch FROM clock_timestamp() - t0) * 1000;
            INSERT INTO results VALUES (c.name, truth, m.bloat_pct, m.interval_low_pct, m.interval_high_pct, m.pages_sampled, m.pages, ms, truth_ms);
        END LOOP;
    END LOOP;
END $$;
SQL
# REINDEX in a transaction of its own each, so that rows deleted before are dead to all.
while IFS='|' read -r name index before; do
    run -c "REINDEX INDEX $index" -c "UPDATE results SET truth = greatest(0, 100 * (1 - pg_relation_size('$index') / ${before}.0)) WHERE name = '$name'"
done < <(run -At -c "SELECT name, relation, pg_relation_size(relation) FROM cases JOIN pg_class ON pg_class.oid = relation WHERE relkind = 'i' ORDER BY 1")

run <<'SQL'
\pset footer off
\pset numericlocale on
CREATE VIEW judged AS SELECT ctid AS place, *, abs(pct - truth) AS error, truth BETWEEN low - 0.005 AND high + 0.005 AS inside FROM results;
SELECT name, max(pages) AS pages, round(avg(sampled)) AS sampled, round(avg(truth), 2) AS truth_pct, round(avg(pct), 2) AS mean_pct,
       round(avg(error), 2) AS mean_error, round(max(error), 2) AS worst, round(avg(high - low) / 2, 2) AS half_width,
       round(100.0 * avg(inside::int)) AS inside_pct, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 2) AS ms,
       round(max(ms), 2) AS ms_max
FROM judged GROUP BY name ORDER BY min(place);
SELECT count(DISTINCT name) AS cases, count(*) AS samples, round(avg(error), 3) AS mean_error, round(max(error), 2) AS worst_error,
       round(100.0 * avg(inside::int), 1) AS inside_pct FROM judged;
SELECT name, round(max(truth_ms), 1) AS pgstattuple_ms, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 2) AS sampled_ms,
       round((max(truth_ms) / percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric), 0) AS ratio,
       round((max(truth_ms) / max(ms)), 0) AS ratio_slowest
FROM results WHERE name LIKE 'table of %' GROUP BY name;
SQL
