-- Checks of storage: each is planted, narrowly missed, and repaired by its own fix.
\ir common/prologue.sql

SELECT no_plan();

CREATE FUNCTION pg_temp.myself() RETURNS text LANGUAGE sql AS $$
    SELECT format('host=%s port=%s dbname=%s', split_part(current_setting('unix_socket_directories'), ',', 1),
                  current_setting('port'), quote_literal(current_database()))
$$;
CREATE FUNCTION pg_temp.worst(check_id text, object text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT f.severity FROM opsrunbook.findings(ARRAY[$1]) f WHERE f.object = $2 LIMIT 1), 'OK')
$$;
-- the finding's own fix; \gexec runs it outside of any transaction, as CONCURRENTLY needs
CREATE FUNCTION pg_temp.fix(check_id text, object text) RETURNS text LANGUAGE sql AS $$
    SELECT f.fix FROM opsrunbook.findings(ARRAY[$1]) f WHERE f.object = $2 LIMIT 1
$$;
CREATE FUNCTION pg_temp.undo(check_id text, object text) RETURNS text LANGUAGE sql AS $$
    SELECT f.undo FROM opsrunbook.findings(ARRAY[$1]) f WHERE f.object = $2 LIMIT 1
$$;

-- database size, by a threshold of our own
SELECT is((SELECT count(*)::int FROM opsrunbook.findings('{database_size}')), 0, 'database_size: near miss: a small database is fine');
UPDATE performance.alert_thresholds SET warning_threshold = 0.000001, critical_threshold = 1 WHERE metric_name = 'database_size_gb';
SELECT is((SELECT severity FROM opsrunbook.findings('{database_size}')), 'WARNING', 'database_size: fires: beyond the threshold it is not');
SELECT results_eq($$SELECT object_type, status FROM get_storage_usage_stats(0) WHERE object_type = 'database'$$, $$VALUES ('database', 'WARNING')$$, 'get_storage_usage_stats() says the same');
SELECT matches((SELECT note FROM get_storage_usage_stats(0) LIMIT 1), '^database .* has .*; growth is not known: no size was recorded', 'and why');
-- the remedy that its fix names: a threshold of one's own
UPDATE performance.alert_thresholds SET warning_threshold = 100, critical_threshold = 200 WHERE metric_name = 'database_size_gb';
SELECT is((SELECT count(*)::int FROM opsrunbook.findings('{database_size}')), 0, 'database_size: clears: with a threshold of one''s own');
SELECT is((SELECT status FROM get_storage_usage_stats(0) LIMIT 1), 'OK', 'and get_storage_usage_stats() with it');
DELETE FROM performance.alert_thresholds WHERE metric_name = 'database_size_gb';

-- sequences: by the column's type, not the sequence's own
CREATE TABLE "Counted" (id serial PRIMARY KEY, small smallint);
CREATE SEQUENCE wide OWNED BY "Counted".small;
SELECT is(pg_temp.worst('sequence_exhaustion', 'public.wide'), 'OK', 'a fresh sequence');
\o /dev/null
SELECT setval('wide', 24000), setval('"Counted_id_seq"', 1600000000);
\o
SELECT is(pg_temp.worst('sequence_exhaustion', 'public.wide'), 'OK', 'sequence_exhaustion: near miss: 73 % of smallint');
SELECT is(pg_temp.worst('sequence_exhaustion', 'public."Counted_id_seq"'), 'OK', '74.5 % of integer');
\o /dev/null
SELECT setval('wide', 25000), setval('"Counted_id_seq"', 2000000000);
\o
SELECT is(pg_temp.worst('sequence_exhaustion', 'public.wide'), 'WARNING', 'sequence_exhaustion: fires: 76 % of smallint, though the sequence is bigint');
SELECT is(pg_temp.worst('sequence_exhaustion', 'public."Counted_id_seq"'), 'CRITICAL', '93 % of integer');
SELECT pg_temp.fix('sequence_exhaustion', 'public.wide') \gexec
SELECT pg_temp.fix('sequence_exhaustion', 'public."Counted_id_seq"') \gexec
SELECT is_empty('SELECT * FROM opsrunbook.findings(''{sequence_exhaustion}'')', 'sequence_exhaustion: clears: and there is room again');
-- one that somebody holds locked is not waited for, and not called fine
SELECT dblink_connect('locker', pg_temp.myself()) \g /dev/null
SELECT dblink_exec('locker', 'BEGIN; DROP SEQUENCE wide') \g /dev/null
SET statement_timeout = '10s';
SELECT matches((SELECT message FROM opsrunbook.findings('{sequence_exhaustion}') WHERE severity = 'UNKNOWN'), '1 sequence not read, because somebody holds it locked: public.wide', 'a locked sequence is passed over');
RESET statement_timeout;
SELECT dblink_disconnect('locker') \g /dev/null
SELECT ok(pg_temp.comes_true('NOT EXISTS (SELECT FROM opsrunbook.findings(''{sequence_exhaustion}''))'), 'and read again afterwards');
CREATE SEQUENCE down INCREMENT -1 MINVALUE -100 START -1;
CREATE SEQUENCE round MAXVALUE 100 CYCLE;
\o /dev/null
SELECT setval('down', -95), setval('round', 99);
\o
SELECT is(pg_temp.worst('sequence_exhaustion', 'public.down'), 'CRITICAL', 'a sequence that counts down');
SELECT is(pg_temp.worst('sequence_exhaustion', 'public.round'), 'OK', 'one that cycles never ends');
SELECT pg_temp.fix('sequence_exhaustion', 'public.down') \gexec
SELECT is(pg_temp.worst('sequence_exhaustion', 'public.down'), 'OK', 'and clears it');
CREATE TABLE defaulted (id int DEFAULT nextval('down'));
\o /dev/null
SELECT setval('down', -2147483000);
\o
SELECT is(pg_temp.worst('sequence_exhaustion', 'public.down'), 'CRITICAL', 'a default''s column counts as well as an owner');

-- narrow keys: the planner's row count stands for rows
UPDATE pg_class SET reltuples = 600e6 WHERE oid = 'defaulted'::regclass;
SELECT is(pg_temp.worst('int4_primary_key', 'public.defaulted'), 'OK', 'no primary key, no verdict');
ALTER TABLE defaulted ADD PRIMARY KEY (id);
UPDATE pg_class SET reltuples = 500e6 WHERE oid = 'defaulted'::regclass;
SELECT is(pg_temp.worst('int4_primary_key', 'public.defaulted'), 'OK', 'int4_primary_key: near miss: 23 % of integer');
UPDATE pg_class SET reltuples = 600e6 WHERE oid = 'defaulted'::regclass;
SELECT is(pg_temp.worst('int4_primary_key', 'public.defaulted'), 'WARNING', 'int4_primary_key: fires: 28 % of integer');
SELECT pg_temp.fix('int4_primary_key', 'public.defaulted') \gexec
UPDATE pg_class SET reltuples = 600e6 WHERE oid = 'defaulted'::regclass;
SELECT is(pg_temp.worst('int4_primary_key', 'public.defaulted'), 'OK', 'int4_primary_key: clears: a bigint key has room');

-- tables without a key
CREATE TABLE keyless (a int);
INSERT INTO keyless SELECT generate_series(1, 1500);
\o /dev/null
SELECT pg_stat_force_next_flush();
\o
SELECT is(pg_temp.worst('tables_without_primary_key', 'public.keyless'), 'OK', 'tables_without_primary_key: near miss: a log needs no key');
UPDATE keyless SET a = a + 1;
\o /dev/null
SELECT pg_stat_force_next_flush();
\o
SELECT is(pg_temp.worst('tables_without_primary_key', 'public.keyless'), 'WARNING', 'tables_without_primary_key: fires: rows that change do');
SELECT pg_temp.fix('tables_without_primary_key', 'public.keyless') \gexec
SELECT is(pg_temp.worst('tables_without_primary_key', 'public.keyless'), 'OK', 'tables_without_primary_key: clears: and clears it');

-- unlogged
CREATE UNLOGGED TABLE fast (id int PRIMARY KEY);
SELECT is(pg_temp.worst('unlogged_tables', 'public.fast'), 'OK', 'unlogged_tables: near miss: an empty one loses nothing');
INSERT INTO fast VALUES (1);
\o /dev/null
SELECT pg_stat_force_next_flush();
\o
SELECT is(pg_temp.worst('unlogged_tables', 'public.fast'), 'WARNING', 'unlogged_tables: fires: one with rows does');
SELECT pg_temp.fix('unlogged_tables', 'public.fast') \gexec
SELECT is(pg_temp.worst('unlogged_tables', 'public.fast'), 'OK', 'unlogged_tables: clears: and clears it');

-- replica identity
CREATE TABLE published (a int);
SET client_min_messages = error; -- wal_level need not be logical here
CREATE PUBLICATION inserts FOR TABLE published WITH (publish = 'insert');
SELECT is(pg_temp.worst('replica_identity', 'public.published'), 'OK', 'replica_identity: near miss: inserts need no identity');
CREATE PUBLICATION everything FOR TABLE published, keyless;
SELECT is(pg_temp.worst('replica_identity', 'public.published'), 'WARNING', 'replica_identity: fires: updates do');
SELECT is(pg_temp.worst('replica_identity', 'public.keyless'), 'OK', 'a primary key is one');
SELECT pg_temp.fix('replica_identity', 'public.published') \gexec
SELECT is(pg_temp.worst('replica_identity', 'public.published'), 'OK', 'replica_identity: clears: and clears it');

SET client_min_messages = warning;

-- constraints
ALTER TABLE published ADD CONSTRAINT positive CHECK (a > 0) NOT VALID, ADD CONSTRAINT small CHECK (a < 9);
SELECT is((SELECT array_agg(evidence->>'constraint') FROM opsrunbook.findings('{not_valid_constraints}')), '{positive}', 'not_valid_constraints: fires: NOT VALID is found, and, not_valid_constraints: near miss: valid is not');
SELECT pg_temp.fix('not_valid_constraints', 'public.published') \gexec
SELECT is(pg_temp.worst('not_valid_constraints', 'public.published'), 'OK', 'not_valid_constraints: clears: and clears it');

-- default partition
CREATE TABLE split (n int) PARTITION BY RANGE (n);
CREATE TABLE split_rest PARTITION OF split DEFAULT;
INSERT INTO split SELECT generate_series(1, 1000);
\o /dev/null
SELECT pg_stat_force_next_flush();
\o
SELECT is(pg_temp.worst('default_partition', 'public.split_rest'), 'OK', 'default_partition: near miss: a thousand rows');
INSERT INTO split VALUES (1001);
\o /dev/null
SELECT pg_stat_force_next_flush();
\o
SELECT is(pg_temp.worst('default_partition', 'public.split_rest'), 'WARNING', 'default_partition: fires: and one more');
BEGIN;
ALTER TABLE split DETACH PARTITION split_rest;
CREATE TABLE split_first PARTITION OF split FOR VALUES FROM (1) TO (2000);
WITH moved AS (DELETE FROM split_rest RETURNING *) INSERT INTO split SELECT * FROM moved;
ALTER TABLE split ATTACH PARTITION split_rest DEFAULT;
COMMIT;
ANALYZE split_rest;
SELECT is(pg_temp.worst('default_partition', 'public.split_rest'), 'OK', 'default_partition: clears: its rows have a partition of their own');
SET client_min_messages = error;
CREATE PUBLICATION of_parts FOR TABLE split;
SET client_min_messages = warning;
SELECT is(pg_temp.worst('replica_identity', 'public.split_first'), 'WARNING', 'a partition is published with its parent');
DROP PUBLICATION of_parts;

-- temporary tables without a session: a table moved into the schema of a session that is not there
CREATE TEMP TABLE mine (a int);
SET allow_system_table_mods = on;
CREATE SCHEMA pg_temp_7777;
CREATE TABLE lost (a int);
UPDATE pg_class SET relnamespace = 'pg_temp_7777'::regnamespace, relpersistence = 't', relfrozenxid = '3294968000'::xid WHERE oid = 'lost'::regclass;
RESET allow_system_table_mods;
SELECT is(pg_temp.worst('orphan_temp_tables', 'pg_temp_7777.lost'), 'CRITICAL', 'orphan_temp_tables: fires: an old orphan is found');
SELECT is((SELECT count(*)::int FROM opsrunbook.findings('{orphan_temp_tables}')), 1, 'orphan_temp_tables: near miss: a living session''s table is none');
SELECT pg_temp.fix('orphan_temp_tables', 'pg_temp_7777.lost') \gexec
SELECT is((SELECT count(*)::int FROM opsrunbook.findings('{orphan_temp_tables}')), 0, 'orphan_temp_tables: clears: and clears it');

-- the report of storage
SELECT cmp_ok((SELECT count(*) FROM get_storage_usage_stats()), '>=', 5::bigint, 'storage has lines');
SELECT results_eq('SELECT object_type, pct_of_database FROM get_storage_usage_stats() LIMIT 1', $$VALUES ('database', 100::numeric)$$, 'the whole comes first');

-- growth, from recorded sizes
SELECT cmp_ok(opsrunbook.record_storage_sizes(), '>', 5, 'sizes are recorded');
SELECT is(opsrunbook.record_storage_sizes(), (SELECT count(*)::int FROM opsrunbook.storage_history WHERE day = (now() AT TIME ZONE 'UTC')::date), 'once a day and object');
SELECT matches((SELECT note FROM get_storage_usage_stats() LIMIT 1), 'growth is not known yet: its first size was recorded 0.0 hours ago', 'an hour says nothing of days');
SELECT is((SELECT growth_bytes_per_day FROM get_storage_usage_stats() LIMIT 1), NULL, 'so there is no number');
UPDATE opsrunbook.storage_history SET recorded_at = now() - interval '10 days', bytes = bytes - 1000000 WHERE object_name = 'public."Counted"';
SELECT is((SELECT growth_bytes_per_day FROM get_storage_usage_stats(100000) WHERE object_name = 'public."Counted"'), 100000::numeric, 'a million bytes in ten days');
CREATE SEQUENCE ending MAXVALUE 10;
SELECT setval('ending', 10) \g /dev/null
CREATE ROLE storage_reader;
GRANT pg_monitor TO storage_reader;
CREATE ROLE storage_nobody;
SET ROLE storage_reader;
SELECT lives_ok('SELECT * FROM get_storage_usage_stats()', 'a monitor reads it');
SELECT is_empty($$SELECT * FROM opsrunbook.findings('{sequence_exhaustion}') WHERE severity = 'UNKNOWN'$$, 'and sequences that it may not SELECT from are measured');
SELECT is((SELECT severity FROM opsrunbook.findings('{sequence_exhaustion}') WHERE object = 'public.ending'), 'CRITICAL', 'with the same verdict');
SET ROLE storage_nobody;
SELECT throws_ok('SELECT * FROM get_storage_usage_stats()', '42501', NULL, 'nobody else does');
SELECT throws_ok('SELECT opsrunbook.record_storage_sizes()', '42501', NULL, 'nor records');
RESET ROLE;
SELECT throws_ok('SELECT * FROM get_storage_usage_stats(-1)', '22023', 'max_objects must not be negative', 'less than nothing');
DROP OWNED BY storage_reader, storage_nobody;
DROP ROLE storage_reader, storage_nobody;

-- more sequences than a look at everything reads: those in use are among them, and the check by its name reads all
DO $$ BEGIN FOR i IN 1 .. 4100 LOOP EXECUTE format('CREATE SEQUENCE idle_%s MAXVALUE 10', i); IF i % 500 = 0 THEN COMMIT; END IF; END LOOP; END $$;
CREATE SEQUENCE busy MAXVALUE 10;
SELECT nextval('busy') FROM generate_series(1, 10) \g /dev/null
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT is((SELECT severity FROM opsrunbook.findings() WHERE check_id = 'sequence_exhaustion' AND object = 'public.busy'), 'CRITICAL', 'the sequence in use is read');
DROP SEQUENCE busy, ending;
SELECT matches((SELECT message FROM opsrunbook.findings(include_ok => true) WHERE check_id = 'sequence_exhaustion'), '^the 4,000 most used of 4,1.. sequences; the fullest is', 'and it is said that there are more');
SELECT matches((SELECT message FROM opsrunbook.findings('{sequence_exhaustion}', true)), '^4,1.. sequences; the fullest is', 'by its name the check reads them all');

SELECT * FROM finish();
