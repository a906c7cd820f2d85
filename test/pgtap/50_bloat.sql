-- Sampled bloat against pgstattuple (tables) and REINDEX (indexes), what is withheld, rights and locks.
\ir common/prologue.sql
CREATE EXTENSION IF NOT EXISTS pgstattuple;
SELECT no_plan();

CREATE FUNCTION pg_temp.truth(regclass) RETURNS numeric LANGUAGE sql AS
$$ SELECT ((dead_tuple_len + free_space) * 100.0 / nullif(table_len, 0))::numeric FROM pgstattuple($1) $$;
-- Inside the stated interval, or within 2 points: one interval in twenty may miss.
CREATE FUNCTION pg_temp.near(relation regclass, truth numeric, what text) RETURNS text LANGUAGE sql AS
$$ SELECT ok(truth BETWEEN interval_low_pct AND interval_high_pct OR abs(bloat_pct - truth) <= 2,
             format('%s: %s (%s to %s), truth %s', what, bloat_pct, interval_low_pct, interval_high_pct, round(truth, 2)))
   FROM opsrunbook.measure_bloat(relation) $$;

-- Tables ---------------------------------------------------------------------------------------------------
CREATE TABLE fresh AS SELECT g AS id, md5(g::text) AS t FROM generate_series(1, 20000) g;
CREATE TABLE sampled AS SELECT g AS id, md5(g::text) AS t FROM generate_series(1, 400000) g;
DELETE FROM sampled WHERE id % 2 = 0;
CREATE TABLE ff50 (id int, t text) WITH (fillfactor = 50);
INSERT INTO ff50 SELECT g, md5(g::text) FROM generate_series(1, 20000) g;
CREATE TABLE hot (id int, v int) WITH (fillfactor = 70);
INSERT INTO hot SELECT g, 0 FROM generate_series(1, 20000) g;
CREATE INDEX ON hot (id);
UPDATE hot SET v = 1 WHERE id % 4 = 0;
CREATE TABLE toasted (id int, t text);
ALTER TABLE toasted ALTER t SET STORAGE EXTERNAL;
INSERT INTO toasted SELECT g, repeat('x', 5000) FROM generate_series(1, 1000) g;
DELETE FROM toasted WHERE id % 3 = 0;
CREATE TABLE "Odd ""Name" AS SELECT g AS id FROM generate_series(1, 50000) g;
DELETE FROM "Odd ""Name" WHERE id > 25000;
VACUUM (TRUNCATE off) "Odd ""Name";
CREATE TABLE wide (id int, t text);
ALTER TABLE wide ALTER t SET STORAGE PLAIN;
INSERT INTO wide SELECT g, repeat('w', 4450) FROM generate_series(1, 5000) g;
CREATE TABLE empty (id int);

SELECT pg_temp.near('fresh', pg_temp.truth('fresh'), 'fresh table');
SELECT pg_temp.near('sampled', pg_temp.truth('sampled'), 'half deleted');
SELECT pg_temp.near('ff50', pg_temp.truth('ff50'), 'fillfactor 50');
SELECT pg_temp.near('hot', pg_temp.truth('hot'), 'HOT updates');
SELECT pg_temp.near(c.reltoastrelid::regclass, pg_temp.truth(c.reltoastrelid::regclass), 'TOAST table') FROM pg_class c WHERE c.oid = 'toasted'::regclass;
SELECT pg_temp.near('"Odd ""Name"', pg_temp.truth('"Odd ""Name"'), 'quoted name, vacuumed');
SELECT is(abs(bloat_pct - pg_temp.truth('fresh')) < 0.01 AND interval_low_pct = interval_high_pct, true, 'a small table is read completely: exact, no interval')
FROM opsrunbook.measure_bloat('fresh');
SELECT ok(pages_sampled < pages AND interval_low_pct < bloat_pct AND bloat_pct < interval_high_pct, 'a larger one is sampled, and says how sure it is')
FROM opsrunbook.measure_bloat('sampled');
SELECT is(confidence, 'high', 'confidence') FROM opsrunbook.measure_bloat('sampled');
SELECT ok(reserved_pct BETWEEN 45 AND 51.5, 'fillfactor''s reserve is shown: ' || reserved_pct) FROM opsrunbook.measure_bloat('ff50');
SELECT ok(free_pct BETWEEN 44 AND 46 AND abs(reserved_pct - free_pct) < 0.2, 'and what is too narrow for another row: ' || reserved_pct) FROM opsrunbook.measure_bloat('wide');
SELECT is(recommendation, 'nothing to do: new rows reuse the free space', 'which a rewrite would not give back') FROM performance.table_bloat_analysis WHERE tablename = 'wide';
SELECT is(bloat_pct, 0::numeric, 'an empty table has no bloat') FROM opsrunbook.measure_bloat('empty');
VACUUM sampled;
SELECT pg_temp.near('sampled', pg_temp.truth('sampled'), 'half deleted, vacuumed');
SELECT is(dead_pct, 0::numeric, 'VACUUM leaves no dead rows') FROM opsrunbook.measure_bloat('sampled');

-- The view -------------------------------------------------------------------------------------------------
SELECT pg_stat_force_next_flush();
SELECT is((SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = 'performance.table_bloat_analysis'::regclass AND a.attnum BETWEEN 1 AND 14),
          '{schemaname,tablename,table_bytes,table_size,bloat_bytes,bloat_size,bloat_pct,confidence,method,n_dead_tup,n_live_tup,last_vacuum,recommendation,fix_command}'::name[],
          'the promised columns come first');
SELECT is((SELECT reason FROM performance.table_bloat_analysis WHERE tablename = 'empty'), 'smaller than 64 kB: nothing to gain', 'small tables are not read, and say so');
SELECT is((SELECT toast_of FROM performance.table_bloat_analysis WHERE schemaname = 'pg_toast'), 'public.toasted', 'TOAST tables name their owner');
SELECT is((SELECT count(*) FROM performance.table_bloat_analysis WHERE fix_command LIKE 'VACUUM (FULL%'), 0::bigint, 'VACUUM FULL is never the reflex');
SELECT is((SELECT count(bloat_pct) FROM opsrunbook.estimate_bloat(0)), 0::bigint, 'a budget of no pages reads none');
SELECT is((SELECT reason FROM opsrunbook.estimate_bloat(0) WHERE tablename = 'sampled'), 'the budget of 0 pages went to larger relations', 'and says why');
SELECT throws_ok('SELECT * FROM opsrunbook.estimate_bloat(-1)', '22023');
SELECT throws_ok('SELECT * FROM opsrunbook.measure_bloat(''sampled'', 0)', '22023');
-- The remedy clears what it is for: dead rows.
CREATE TABLE remedied AS SELECT g AS id, repeat('x', 500) AS t FROM generate_series(1, 40000) g;
DELETE FROM remedied WHERE id % 2 = 0;
SELECT fix_command AS fix FROM performance.table_bloat_analysis WHERE tablename = 'remedied' \gset
SELECT is(:'fix'::text, 'VACUUM (ANALYZE) public.remedied;', 'dead rows are VACUUM''s work');
:fix
SELECT is(fix_command, NULL, 'nothing is left to do: new rows reuse the space') FROM performance.table_bloat_analysis WHERE tablename = 'remedied';

-- Indexes --------------------------------------------------------------------------------------------------
CREATE TABLE i (id int, few int, r int, t text);
INSERT INTO i SELECT g, g % 100, (g * 7919::bigint % 1000003)::int, md5(g::text) FROM generate_series(1, 60000) g;
CREATE UNIQUE INDEX i_unique ON i (id);
CREATE INDEX i_dedup ON i (few);
CREATE INDEX i_no_dedup ON i (few) WITH (deduplicate_items = off);
CREATE INDEX i_random ON i (r);
CREATE INDEX i_text ON i (t);
CREATE INDEX i_partial ON i (id) WHERE few < 30;
CREATE INDEX i_expression ON i (lower(t), few);
CREATE INDEX i_include ON i (few) INCLUDE (r);
CREATE INDEX i_hash ON i USING hash (r);
INSERT INTO i SELECT 60000 + g, g % 100, (g * 104729::bigint % 1000003)::int, md5((-g)::text) FROM generate_series(1, 40000) g;
DELETE FROM i WHERE id % 3 = 0;
VACUUM i;
DELETE FROM i WHERE id % 10 = 1;
CREATE INDEX i_fresh ON i (t, few);
CREATE TABLE before AS SELECT x.relation::regclass::text AS name, pg_relation_size(x.relation::regclass) AS bytes, m.bloat_pct, m.interval_low_pct, m.interval_high_pct
FROM unnest('{i_unique,i_dedup,i_no_dedup,i_random,i_text,i_partial,i_expression,i_include,i_fresh}'::text[]) AS x (relation), opsrunbook.measure_bloat(x.relation::regclass) m;
REINDEX TABLE i;
SELECT ok(t.truth BETWEEN interval_low_pct AND interval_high_pct OR abs(bloat_pct - t.truth) <= 2,
          format('index %s: %s (%s to %s), truth %s', name, bloat_pct, interval_low_pct, interval_high_pct, round(t.truth, 2)))
FROM before, LATERAL (SELECT greatest(0, 100 - 100.0 * pg_relation_size(name::regclass) / bytes)) t (truth) ORDER BY name;
SELECT matches(reason, 'not a btree', 'other access methods are withheld with the reason') FROM opsrunbook.measure_bloat('i_hash');
SELECT is(bloat_pct, NULL, 'without a number') FROM opsrunbook.measure_bloat('i_hash');
SELECT is((SELECT count(*) FROM analyze_index_efficiency() WHERE tablename = 'i'), 10::bigint, 'analyze_index_efficiency() lists every index');
SELECT is((SELECT bloat_confidence FROM analyze_index_efficiency() WHERE indexname = 'i_hash'), 'withheld', 'and withholds what it cannot know');

-- Withheld -------------------------------------------------------------------------------------------------
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
SELECT matches(reason, 'no storage', 'a partitioned table') FROM opsrunbook.measure_bloat('parted');
CREATE VIEW v AS SELECT 1;
SELECT matches(reason, 'no storage', 'a view') FROM opsrunbook.measure_bloat('v');
SELECT matches(reason, 'dropped', 'a relation that is gone') FROM opsrunbook.measure_bloat(4294967290::oid::regclass);

-- Locks: nothing waits ---------------------------------------------------------------------------------------
SELECT dblink_connect('other', format('host=%s port=%s dbname=%s user=%s', split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database(), current_user)) \g /dev/null
SELECT dblink_exec('other', 'BEGIN') \g /dev/null
SELECT dblink_exec('other', 'LOCK TABLE sampled, i IN ACCESS EXCLUSIVE MODE') \g /dev/null
SET statement_timeout = '10s';
SELECT matches(reason, 'locked', 'a locked table is skipped with the reason') FROM opsrunbook.measure_bloat('sampled');
SELECT matches(reason, 'table is locked', 'so is an index of a locked table') FROM opsrunbook.measure_bloat('i_text');
SELECT matches(reason, 'locked', 'the view goes on without it') FROM performance.table_bloat_analysis WHERE tablename = 'sampled';
SELECT isnt(bloat_pct, NULL, 'and measures the others') FROM performance.table_bloat_analysis WHERE tablename = 'fresh';
RESET statement_timeout;
SELECT dblink_exec('other', 'ROLLBACK') \g /dev/null
SELECT dblink_disconnect('other') \g /dev/null
SELECT is(reason, NULL, 'measured again afterwards') FROM opsrunbook.measure_bloat('sampled');
SELECT is(count(*), 0::bigint, 'no lock is left behind') FROM pg_locks WHERE pid = pg_backend_pid() AND relation IN ('sampled'::regclass, 'i'::regclass, 'i_text'::regclass);

-- Rights: a member of pg_monitor without SELECT gets the same numbers -----------------------------------------
CREATE ROLE bloat_reader ROLE CURRENT_USER;
CREATE ROLE bloat_nobody ROLE CURRENT_USER;
GRANT pg_monitor TO bloat_reader;
SELECT pg_temp.truth('sampled') AS truth \gset
SET ROLE bloat_reader;
SELECT throws_ok('SELECT * FROM public.sampled', '42501');
SELECT ok(abs(bloat_pct - :truth) <= 2, 'pg_monitor sees what a superuser sees') FROM opsrunbook.measure_bloat('sampled');
SELECT ok(abs(bloat_pct - :truth) <= 2, 'in the view, too') FROM performance.table_bloat_analysis WHERE tablename = 'sampled';
SET ROLE bloat_nobody;
SELECT throws_ok('SELECT * FROM opsrunbook.measure_bloat(''sampled'')', '42501');
SELECT throws_ok('SELECT * FROM opsrunbook.estimate_bloat()', '42501');
SELECT throws_ok('SELECT * FROM performance.table_bloat_analysis', '42501');
SELECT throws_ok('SELECT * FROM analyze_index_efficiency()', '42501');
RESET ROLE;
DROP ROLE bloat_reader, bloat_nobody;

-- Checks: nothing of 1 GB here ---------------------------------------------------------------------------------
SELECT is((SELECT string_agg(severity, ',') FROM opsrunbook.findings('{bloat,index_bloat}', true)), 'OK,OK', 'small relations raise no alarm');
SELECT * FROM finish();
