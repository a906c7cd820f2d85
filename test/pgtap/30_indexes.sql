-- The checks on indexes: a situation where each fires, near misses, and its own fix.
\ir common/prologue.sql

CREATE FUNCTION pg_temp.objects(wanted text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(object, ' ' ORDER BY object), 'none') FROM opsrunbook.findings(ARRAY[wanted]) $$;

SELECT no_plan();
CREATE SCHEMA "Odd schema";
SET search_path = "Odd schema", public;

-- invalid_indexes ------------------------------------------------------------------------------------------
SELECT is(pg_temp.objects('invalid_indexes'), 'none', 'no invalid index at first');
CREATE TABLE broken (n integer);
INSERT INTO broken VALUES (1), (1);
\set VERBOSITY terse
SET client_min_messages = error;
\set ON_ERROR_STOP off
CREATE UNIQUE INDEX CONCURRENTLY "Broken index" ON broken (n);
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SELECT is(pg_temp.objects('invalid_indexes'), '"Odd schema"."Broken index"', 'invalid_indexes: fires: a failed CREATE INDEX CONCURRENTLY leaves an invalid index');
CREATE TABLE parted (n integer) PARTITION BY LIST (n);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE INDEX parted_n ON ONLY parted (n);
SELECT is(pg_temp.objects('invalid_indexes'), '"Odd schema"."Broken index"', 'invalid_indexes: near miss: a partitioned index that waits for its parts is not meant');
DELETE FROM broken WHERE ctid = '(0,1)';
SELECT fix AS remedy FROM opsrunbook.findings('{invalid_indexes}') \gset
:remedy
SELECT is(pg_temp.objects('invalid_indexes'), 'none', 'invalid_indexes: clears: its fix clears it: ' || :'remedy');

CREATE TABLE building (n integer);
SELECT pg_temp.link('holder'), pg_temp.link('builder') \g /dev/null
SELECT dblink_exec('holder', 'BEGIN; INSERT INTO "Odd schema".building VALUES (1)') \g /dev/null
SELECT dblink_send_query('builder', 'CREATE INDEX CONCURRENTLY building_n ON "Odd schema".building (n)') \g /dev/null
SELECT ok(pg_temp.comes_true($$EXISTS (SELECT FROM pg_index WHERE indrelid = '"Odd schema".building'::regclass AND NOT indisvalid)$$), 'an index is being built');
SELECT is(pg_temp.objects('invalid_indexes'), 'none', 'and is not called invalid meanwhile');
-- Waiting for the build here would wait for ever: it waits for this session's snapshot.
SELECT dblink_cancel_query('builder'), dblink_disconnect('builder'), dblink_disconnect('holder') \g /dev/null
DROP TABLE building;

-- The table and its TOAST table are rebuilt together; the server reports the progress of one at a time.
CREATE TABLE building (n integer PRIMARY KEY, t text);
SELECT pg_temp.link('holder'), pg_temp.link('builder') \g /dev/null
SELECT dblink_exec('holder', 'BEGIN; INSERT INTO "Odd schema".building VALUES (1)') \g /dev/null
SELECT dblink_send_query('builder', 'REINDEX TABLE CONCURRENTLY "Odd schema".building') \g /dev/null
SELECT ok(pg_temp.comes_true('2 = (SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indexrelid::regclass::text LIKE ''%_ccnew'')'), 'the indexes of a table and of its TOAST table are being rebuilt');
SELECT is(pg_temp.objects('invalid_indexes'), 'none', 'invalid_indexes: near miss: none of them is called invalid');
SELECT is((SELECT count(*) FROM opsrunbook.plan_maintenance() WHERE object_name LIKE '%_ccnew'), 0::bigint, 'nor is it planned to drop one');
SELECT dblink_cancel_query('builder') \g /dev/null
SELECT ok(pg_temp.comes_true('2 = (SELECT count(*) FROM opsrunbook.findings(''{invalid_indexes}''))'), 'invalid_indexes: fires: both, when the command was cancelled');
SELECT dblink_disconnect('builder') \g /dev/null
SELECT pg_temp.link('builder') \g /dev/null
SELECT dblink_send_query('builder', 'DROP INDEX CONCURRENTLY "Odd schema".building_pkey_ccnew') \g /dev/null
SELECT ok(pg_temp.comes_true('EXISTS (SELECT FROM pg_locks WHERE relation = ''"Odd schema".building_pkey_ccnew''::regclass)'), 'one is being dropped, which waits for the writer');
SELECT alike(pg_temp.objects('invalid_indexes'), 'pg_toast.pg_toast_%_index_ccnew', 'invalid_indexes: near miss: one that somebody is dropping');
SELECT dblink_cancel_query('builder'), dblink_disconnect('builder'), dblink_disconnect('holder') \g /dev/null
DROP TABLE building;
CREATE TABLE building (n integer);
CREATE INDEX x_ccnew ON building (n, n);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'x_ccnew'::regclass;
SELECT is(fix, 'DROP INDEX CONCURRENTLY "Odd schema".x_ccnew;', 'a leftover of REINDEX CONCURRENTLY is dropped') FROM opsrunbook.findings('{invalid_indexes}');
SELECT alike(undo, 'CREATE INDEX x_ccnew ON "Odd schema".building%', 'and can be made again') FROM opsrunbook.findings('{invalid_indexes}');
DROP INDEX CONCURRENTLY x_ccnew;

-- duplicate_indexes ----------------------------------------------------------------------------------------
CREATE TABLE twins (a integer PRIMARY KEY, b text, c text, d integer);
CREATE INDEX i_b ON twins (b);
CREATE INDEX i_c ON twins (c);
CREATE INDEX i_c_partial ON twins (c) WHERE a > 0;
CREATE INDEX i_c_partial_2 ON twins (c) WHERE a > 1;
CREATE INDEX i_c_lower ON twins (lower(c));
CREATE INDEX i_c_upper ON twins (upper(c));
CREATE INDEX i_c_collation ON twins (c COLLATE "POSIX");
CREATE INDEX i_c_class ON twins (c text_pattern_ops);
CREATE INDEX i_c_desc ON twins (c DESC);
CREATE INDEX i_c_hash ON twins USING hash (c);
CREATE UNIQUE INDEX i_u ON twins (d);
CREATE UNIQUE INDEX i_u_nulls ON twins (d) NULLS NOT DISTINCT;
SELECT is(pg_temp.objects('duplicate_indexes'), 'none', 'duplicate_indexes: near miss: indexes that differ in anything are no duplicates');
CREATE INDEX "I b" ON twins (b);
SELECT is(pg_temp.objects('duplicate_indexes'), '"Odd schema"."I b"', 'duplicate_indexes: fires: the same twice: the newer one goes');
SELECT fix AS remedy, undo FROM opsrunbook.findings('{duplicate_indexes}') \gset
:remedy
SELECT is(pg_temp.objects('duplicate_indexes'), 'none', 'duplicate_indexes: clears: its fix clears it: ' || :'remedy');
:undo
SELECT is(pg_temp.objects('duplicate_indexes'), '"Odd schema"."I b"', 'its undo brings it back: ' || :'undo');
DROP INDEX "I b";
CREATE INDEX i_b_more ON twins (b, c);
SELECT is(pg_temp.objects('duplicate_indexes'), '"Odd schema".i_b', 'a prefix of another index is redundant');
DROP INDEX i_b;
CREATE UNIQUE INDEX i_pk ON twins (a);
SELECT is(pg_temp.objects('duplicate_indexes'), '"Odd schema".i_pk', 'beside a primary key it is the other one that goes');
ALTER TABLE twins REPLICA IDENTITY USING INDEX i_pk;
SELECT is(pg_temp.objects('duplicate_indexes'), 'none', 'unless it is the replica identity');
ALTER TABLE twins REPLICA IDENTITY DEFAULT;
DROP INDEX i_pk;
CREATE INDEX i_pk_plain ON twins (a);
SELECT is(pg_temp.objects('duplicate_indexes'), '"Odd schema".i_pk_plain', 'a plain index beside a unique one of the same columns');
DROP INDEX i_pk_plain;

-- unindexed_foreign_keys -----------------------------------------------------------------------------------
CREATE TABLE parent (x integer, y integer, PRIMARY KEY (x, y));
INSERT INTO parent VALUES (1, 1);
CREATE TABLE child ("X" integer, y integer, z integer, CONSTRAINT "Child key" FOREIGN KEY ("X", y) REFERENCES parent);
INSERT INTO child SELECT 1, 1, g FROM generate_series(1, 50000) g;
SELECT is(pg_temp.objects('unindexed_foreign_keys'), 'none', 'unindexed_foreign_keys: near miss: a small table needs no index for its foreign key');
UPDATE performance.alert_thresholds SET warning_threshold = 1, critical_threshold = 1000 WHERE metric_name = 'child_table_mb';
SELECT is(pg_temp.objects('unindexed_foreign_keys'), '"Odd schema".child', 'unindexed_foreign_keys: fires: a large one does');
CREATE INDEX child_wrong ON child (z, "X", y);
CREATE INDEX child_partial ON child ("X", y) WHERE z > 10;
CREATE INDEX child_half ON child ("X");
SELECT is(pg_temp.objects('unindexed_foreign_keys'), '"Odd schema".child', 'not first, partial, or half of the columns will not do');
SELECT fix AS remedy FROM opsrunbook.findings('{unindexed_foreign_keys}') \gset
SELECT is(:'remedy'::text, 'CREATE INDEX CONCURRENTLY ON "Odd schema".child ("X", y);', 'the fix names the columns');
:remedy
SELECT is(pg_temp.objects('unindexed_foreign_keys'), 'none', 'unindexed_foreign_keys: clears: its fix clears it');
DROP INDEX "child_X_y_idx";
CREATE INDEX child_turned ON child (y, "X", z);
SELECT is(pg_temp.objects('unindexed_foreign_keys'), 'none', 'the order of the columns does not matter');

SELECT current_setting('server_version_num')::int >= 160000 AS last_scan_known \gset
-- unused_indexes -------------------------------------------------------------------------------------------
UPDATE performance.alert_thresholds SET warning_threshold = 1 WHERE metric_name = 'unused_index_mb';
CREATE TABLE dusty (id integer PRIMARY KEY, n integer);
INSERT INTO dusty SELECT g, g FROM generate_series(1, 100000) g;
CREATE INDEX dusty_n ON dusty (n);
VACUUM ANALYZE dusty;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT is(pg_temp.objects('unused_indexes'), 'none', 'an index of today is not called unused');
SELECT ok(update_index_usage() > 0, 'its use is recorded');
UPDATE opsrunbook.index_usage_history SET observed_from = now() - interval '34 days' WHERE indexname LIKE 'dusty%';
SELECT is(pg_temp.objects('unused_indexes'), 'none', 'unused_indexes: near miss: nor is one watched for 34 days');
UPDATE opsrunbook.index_usage_history SET observed_from = now() - interval '36 days' WHERE indexname LIKE 'dusty%';
SELECT is(pg_temp.objects('unused_indexes'), '"Odd schema".dusty_n', 'unused_indexes: fires: one without a scan in 36 days is, and the primary key is not');
SELECT fix AS remedy, undo FROM opsrunbook.findings('{unused_indexes}') \gset
SELECT is_empty('SELECT pg_temp.bad_remedies()', 'the remedies of all that is found here are statements');
SELECT is(:'undo'::text, 'CREATE INDEX dusty_n ON "Odd schema".dusty USING btree (n);', 'undo');
-- One scan, long ago, is no use today: counted on an older counter's last day and never again.
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(*) FROM dusty WHERE n = 1 \g /dev/null
RESET enable_seqscan;
RESET enable_bitmapscan;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT is((SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'dusty_n'), 1::bigint, 'it was scanned once');
SELECT is(pg_temp.objects('unused_indexes'), 'none', 'unused_indexes: near miss: one that was used today');
\if :last_scan_known
\else
SELECT ok(update_index_usage() > 0, 'that is recorded too');
UPDATE opsrunbook.index_usage_history SET observed_from = now() - interval '36 days' WHERE indexname LIKE 'dusty%';
SELECT is(pg_temp.objects('unused_indexes'), '"Odd schema".dusty_n', 'unused_indexes: fires: one whose only scan is 36 days old');
SELECT ok((SELECT droppable FROM get_unused_indexes() WHERE indexname = 'dusty_n'), 'as get_unused_indexes() says');
DELETE FROM opsrunbook.index_usage_history;
\endif
SELECT pg_stat_reset_single_table_counters('dusty_n'::regclass) \g /dev/null
SELECT ok(update_index_usage() > 0, 'counted anew');
UPDATE opsrunbook.index_usage_history SET observed_from = now() - interval '36 days' WHERE indexname LIKE 'dusty%';
SELECT is(pg_temp.objects('unused_indexes'), '"Odd schema".dusty_n', 'and unused again');
ALTER TABLE dusty ADD FOREIGN KEY (n) REFERENCES dusty;
SELECT is(pg_temp.objects('unused_indexes'), 'none', 'a foreign key needs it');
ALTER TABLE dusty DROP CONSTRAINT dusty_n_fkey;
:remedy
SELECT is(pg_temp.objects('unused_indexes'), 'none', 'unused_indexes: clears: its fix clears it: ' || :'remedy');

-- A partitioned one is dropped as a whole, and judged by the sum of its parts.
CREATE TABLE sold (year integer, n integer) PARTITION BY LIST (year);
CREATE TABLE sold_1 PARTITION OF sold FOR VALUES IN (1);
CREATE TABLE sold_2 PARTITION OF sold FOR VALUES IN (2);
INSERT INTO sold SELECT 1 + g % 2, g FROM generate_series(1, 90000) g;
CREATE INDEX sold_n ON sold (n);
VACUUM ANALYZE sold;
SELECT ok(update_index_usage() > 0, 'the use of its parts is recorded');
UPDATE opsrunbook.index_usage_history SET observed_from = now() - interval '36 days' WHERE indexname LIKE 'sold%';
SELECT is(pg_temp.objects('unused_indexes'), '"Odd schema".sold_n', 'unused_indexes: fires: a partitioned one that nobody scanned');
SELECT fix AS remedy, undo FROM opsrunbook.findings('{unused_indexes}') \gset
SELECT is(:'undo'::text, 'CREATE INDEX sold_n ON "Odd schema".sold USING btree (n);', 'whose undo makes the parts too');
:remedy
SELECT is(pg_temp.objects('unused_indexes'), 'none', 'unused_indexes: clears: the whole is dropped: ' || :'remedy');
SELECT * FROM finish();
