-- get_unused_indexes() and its like: columns, verdicts, history, locks, rights.
\ir common/prologue.sql
SELECT no_plan();

CREATE FUNCTION pg_temp.columns(function text) RETURNS text LANGUAGE sql AS $$
    SELECT array_to_string(proargnames, ' ') FROM pg_proc WHERE oid = function::regprocedure $$;
CREATE FUNCTION pg_temp.droppable(name text) RETURNS boolean LANGUAGE sql AS $$
    SELECT droppable FROM get_unused_indexes() WHERE indexname = name $$;
CREATE FUNCTION pg_temp.reason(name text) RETURNS text LANGUAGE sql AS $$
    SELECT reason FROM get_unused_indexes() WHERE indexname = name $$;

SELECT is(pg_temp.columns('get_unused_indexes()'), 'schemaname tablename indexname index_size index_bytes idx_scan observed_since last_idx_scan droppable reason drop_command undo_command', 'columns of get_unused_indexes()');
SELECT is(pg_temp.columns('find_unused_indexes()'), pg_temp.columns('get_unused_indexes()'), 'find_unused_indexes() is the same');
SELECT is(pg_temp.columns('get_index_usage_stats()'), 'schemaname tablename indexname idx_scan idx_tup_read idx_tup_fetch index_size index_bytes usage', 'columns of get_index_usage_stats()');
SELECT is(pg_temp.columns('analyze_index_usage()'), pg_temp.columns('get_index_usage_stats()'), 'analyze_index_usage() is the same');
SELECT lives_ok('SELECT * FROM get_unused_indexes()', 'an empty database');

CREATE SCHEMA "Odd schema";
CREATE TABLE "Odd schema"."T" (id integer PRIMARY KEY, u integer UNIQUE, a text, "B" integer, r integer NOT NULL,
    parent integer REFERENCES "Odd schema"."T");
CREATE INDEX "Never ""used" ON "Odd schema"."T" (lower(a), "B" DESC) WHERE id > 5;
CREATE INDEX t_parent ON "Odd schema"."T" (parent);
CREATE UNIQUE INDEX t_r ON "Odd schema"."T" (r);
ALTER TABLE "Odd schema"."T" REPLICA IDENTITY USING INDEX t_r;
CREATE INDEX t_used ON "Odd schema"."T" ("B");
INSERT INTO "Odd schema"."T" SELECT g, g, g::text, g, g FROM generate_series(1, 1000) g;
SET enable_seqscan = off;
SELECT count(*) FROM "Odd schema"."T" WHERE "B" = 7 \g /dev/null
RESET enable_seqscan;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT pg_stat_clear_snapshot() \g /dev/null
CREATE TABLE parted (n integer, m integer) PARTITION BY LIST (n);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
CREATE INDEX parted_m ON parted (m);
CREATE TEMP TABLE temporary (n integer PRIMARY KEY);

SELECT is((SELECT count(*) FROM get_unused_indexes() WHERE indexname IN ('t_used', 'temporary_pkey')), 0::bigint, 'used ones and temporary ones are not listed');
SELECT is((SELECT count(*) FROM get_unused_indexes() WHERE droppable), 0::bigint, 'nothing is droppable on the first day');
SELECT alike(pg_temp.reason('Never "used'), 'watched for % only%', 'which the reason says');
SELECT is((SELECT idx_scan FROM get_index_usage_stats() WHERE indexname = 't_used'), 1::bigint, 'get_index_usage_stats() counts');
SELECT is((SELECT usage FROM get_index_usage_stats() WHERE indexname = 't_used'), 'rarely used', 'and has a word for it');
SELECT is((SELECT usage FROM get_index_usage_stats() WHERE indexname = 'Never "used'), 'never used', 'never used');

-- History ---------------------------------------------------------------------------------------------------
SELECT is(update_index_usage()::bigint, (SELECT count(*) FROM get_index_usage_stats()), 'update_index_usage() says how many it recorded');
SELECT update_index_usage() \g /dev/null
SELECT is((SELECT max(c) FROM (SELECT count(*) AS c FROM opsrunbook.index_usage_history GROUP BY schemaname, indexname) s), 1::bigint, 'twice a day: still one row an index');
UPDATE opsrunbook.index_usage_history SET observed_from = now() - interval '40 days';
SELECT is(pg_temp.droppable('Never "used'), true, 'watched for 40 days: droppable');
SELECT is((SELECT now() - observed_since FROM get_unused_indexes() WHERE indexname = 'Never "used') >= interval '39 days 23 hours', true, 'observed_since goes back to the first record');
SELECT is(pg_temp.reason('T_pkey'), 'it is the primary key', 'a primary key stays');
SELECT is(pg_temp.droppable('T_u_key'), false, 'so does a unique constraint''s');
SELECT is(pg_temp.reason('t_r'), 'it is the table''s replica identity', 'and a replica identity');
SELECT alike(pg_temp.reason('t_parent'), 'a foreign key needs it%', 'and what a foreign key needs');
SELECT is(pg_temp.droppable('parted_m'), true, 'a partitioned index goes as a whole');
SELECT is((SELECT array_agg(droppable) FROM get_unused_indexes() WHERE indexname ~ '^parted_[12]'), '{f,f}', 'its parts do not');
SELECT is((SELECT bool_or(droppable) FROM get_unused_indexes() WHERE indexname LIKE '%pkey'), false, 'no primary key is droppable');
SELECT bag_eq('SELECT indexname, droppable FROM performance.unused_indexes', 'SELECT indexname, droppable FROM find_unused_indexes()', 'the view and the other name say the same');

SELECT pg_stat_reset() \g /dev/null
SELECT is(pg_temp.droppable('Never "used'), true, 'a reset of the statistics forgets nothing that was recorded');
UPDATE opsrunbook.index_usage_history SET observed_until = now() - interval '3 days';
SELECT is(pg_temp.droppable('Never "used'), false, 'unless nobody looked for three days before it');
UPDATE opsrunbook.index_usage_history SET observed_until = now() - interval '401 days' WHERE indexname = 't_used';
SELECT update_index_usage() \g /dev/null
SELECT is((SELECT count(*) FROM opsrunbook.index_usage_history WHERE indexname = 't_used'), 1::bigint, 'what is older than 400 days goes');
UPDATE opsrunbook.index_usage_history SET observed_from = now() - interval '40 days';
CREATE TABLE "Odd schema".counts AS SELECT scans FROM opsrunbook.index_usage_history WHERE indexname = 'T_pkey';
INSERT INTO parted SELECT 1, g FROM generate_series(1, 1000) g;
SET enable_seqscan = off;
SELECT count(*) FROM parted WHERE n = 1 AND m = 3 \g /dev/null
RESET enable_seqscan;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT pg_stat_clear_snapshot() \g /dev/null
SELECT alike(pg_temp.reason('parted_2_m_idx'), 'the same index is used on another partition: public.parted_1_m_idx', 'the index of a partition stays when its sibling is used');
SELECT is((SELECT count(*) FROM get_unused_indexes() WHERE indexname = 'parted_m'), 0::bigint, 'and the partitioned index is in use');

-- Locks -----------------------------------------------------------------------------------------------------
SELECT dblink_connect('locker', format('dbname=%L host=%L port=%s user=%L', current_database(),
    split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), CURRENT_USER)) \g /dev/null
SELECT dblink_exec('locker', 'BEGIN; LOCK TABLE "Odd schema"."T" IN ACCESS EXCLUSIVE MODE') \g /dev/null
SET statement_timeout = '5s';
SELECT is((SELECT undo_command FROM get_unused_indexes() WHERE indexname = 'Never "used'), NULL, 'behind ACCESS EXCLUSIVE it does not wait');
SELECT alike(pg_temp.reason('Never "used'), '%its definition cannot be read while somebody locks the table', 'and says what it could not read');
SELECT lives_ok('SELECT * FROM get_index_usage_stats()', 'nor do the counters');
SELECT lives_ok('SELECT update_index_usage()', 'nor does the recording');
RESET statement_timeout;
SELECT dblink_exec('locker', 'ROLLBACK') \g /dev/null
SELECT is((SELECT count(*) FROM pg_locks WHERE relation = '"Odd schema"."T"'::regclass), 0::bigint, 'no lock is left behind');

-- Drop, and undo --------------------------------------------------------------------------------------------
SELECT drop_command, undo_command, pg_get_indexdef('"Odd schema"."Never ""used"'::regclass) AS before FROM get_unused_indexes() WHERE indexname = 'Never "used' \gset
:drop_command
SELECT is((SELECT count(*) FROM get_unused_indexes() WHERE indexname = 'Never "used'), 0::bigint, 'drop_command: ' || :'drop_command');
:undo_command
SELECT is(pg_get_indexdef('"Odd schema"."Never ""used"'::regclass), :'before', 'undo_command makes it again');
CREATE TABLE parted_b (n integer, m integer) PARTITION BY LIST (n);
CREATE TABLE parted_b_1 PARTITION OF parted_b FOR VALUES IN (1);
CREATE INDEX "Whole" ON parted_b (m);
SELECT drop_command, undo_command FROM get_unused_indexes() WHERE indexname = 'Whole' \gset
:drop_command
:undo_command
SELECT is((SELECT indisvalid FROM pg_index WHERE indexrelid = '"Whole"'::regclass), true, 'a partitioned index comes back with its parts: ' || :'undo_command');

-- Rights ----------------------------------------------------------------------------------------------------
CREATE ROLE index_usage_reader IN ROLE pg_monitor;
CREATE ROLE index_usage_nobody;
SET ROLE index_usage_reader;
SELECT isnt_empty('SELECT * FROM performance.unused_indexes', 'a member of pg_monitor reads the view');
SELECT lives_ok('SELECT update_index_usage()', 'and records');
SELECT throws_ok('DELETE FROM opsrunbook.index_usage_history', '42501', NULL, 'but does not change the history by hand');
SET ROLE index_usage_nobody;
SELECT throws_ok('SELECT * FROM get_unused_indexes()', '42501', NULL, 'others do not');
RESET ROLE;
DROP ROLE index_usage_reader, index_usage_nobody;
SELECT * FROM finish();
