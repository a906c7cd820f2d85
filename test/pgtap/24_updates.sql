-- Updates that write every index: for want of room on the page, or because an index holds what changes.
\ir common/prologue.sql

SELECT no_plan();

CREATE FUNCTION pg_temp.updated(relation regclass) RETURNS bigint LANGUAGE sql AS $$
    SELECT n_tup_upd FROM pg_stat_all_tables WHERE relid = relation
$$;

-- 2,000 rows: 100,000 updates are fifty a row
CREATE TABLE "Roomy" (id integer PRIMARY KEY, n integer) WITH (fillfactor = 45);
CREATE TABLE indexed (id integer PRIMARY KEY, n integer) WITH (fillfactor = 45);
CREATE INDEX indexed_n ON indexed (n);
CREATE TABLE "Packed" (id integer PRIMARY KEY, n integer);
INSERT INTO "Roomy" SELECT i, 0 FROM generate_series(1, 2000) i;
INSERT INTO indexed SELECT i, 0 FROM generate_series(1, 2000) i;
INSERT INTO "Packed" SELECT i, 0 FROM generate_series(1, 2000) i;

SELECT 'UPDATE "Roomy" SET n = n + 1' FROM generate_series(1, 50) \gexec
SELECT pg_stat_force_next_flush();
SELECT is(pg_temp.updated('"Roomy"'), 100000::bigint, 'a table with room is updated 100,000 times');
SELECT is(pg_temp.severity('hot_updates'), 'OK', 'hot_updates: near miss: there is room on the pages');

SELECT 'UPDATE indexed SET n = n + 1' FROM generate_series(1, 49) \gexec
SELECT pg_stat_force_next_flush();
SELECT is(pg_temp.updated('indexed'), 98000::bigint, 'an indexed column is updated 98,000 times');
SELECT is(pg_temp.severity('hot_updates'), 'OK', 'hot_updates: near miss: too few updates to tell');
UPDATE indexed SET n = n + 1;
SELECT pg_stat_force_next_flush();
SELECT is(pg_temp.updated('indexed'), 100000::bigint, 'and 100,000 times');
SELECT is(pg_temp.severity('hot_updates', 'public.indexed'), 'WARNING', 'hot_updates: fires: an index holds the column');
SELECT current_setting('server_version_num')::int >= 160000 AS moves_counted \gset
\if :moves_counted
SELECT matches((SELECT fix FROM opsrunbook.findings('{hot_updates}')), '^-- is every index', 'no fillfactor would help that');
SELECT substring(fix FROM 'SELECT [^;]*') AS look FROM opsrunbook.findings('{hot_updates}') \gset
SELECT isnt_empty(:'look', 'and the statement it names shows the indexes of the table');
\endif
DROP INDEX indexed_n;
VACUUM FULL indexed;
SELECT pg_stat_reset_single_table_counters('indexed'::regclass) \g /dev/null
SELECT 'UPDATE indexed SET n = n + 1' FROM generate_series(1, 50) \gexec
SELECT pg_stat_force_next_flush();
SELECT is(pg_temp.updated('indexed'), 100000::bigint, 'without the index it is updated as often');
SELECT is(pg_temp.severity('hot_updates'), 'OK', 'and its updates leave the primary key alone');

-- A page full of live rows has no room for all of them again.
SELECT 'UPDATE "Packed" SET n = n + 1' FROM generate_series(1, 50) \gexec
SELECT pg_stat_force_next_flush();
SELECT is(pg_temp.updated('"Packed"'), 100000::bigint, 'a full table is updated 100,000 times');
SELECT is(pg_temp.severity('hot_updates', 'public."Packed"'), 'WARNING', 'hot_updates: fires: the pages are full');
SELECT fix, undo AS way_back FROM opsrunbook.findings('{hot_updates}') \gset
SELECT is(:'fix'::text, 'ALTER TABLE public."Packed" SET (fillfactor = 75);', 'its remedy is room on the pages');
SELECT is(:'way_back'::text, 'ALTER TABLE public."Packed" RESET (fillfactor);', 'with the way back');
SELECT is_empty('SELECT pg_temp.bad_remedies()', 'the remedies are statements');
:fix
VACUUM FULL "Packed";
SELECT pg_stat_reset_single_table_counters('"Packed"'::regclass) \g /dev/null
SELECT 'UPDATE "Packed" SET n = n + 1' FROM generate_series(1, 50) \gexec
SELECT pg_stat_force_next_flush();
SELECT is(pg_temp.updated('"Packed"'), 100000::bigint, 'as often with some room');
SELECT is(pg_temp.severity('hot_updates'), 'OK', 'hot_updates: clears: with room on the pages');

SELECT * FROM finish();
