\ir common/prologue.sql

SELECT no_plan();

-- what set_retention refuses
CREATE TABLE "Odd ""Table" (id bigint PRIMARY KEY, "At Time" timestamptz, note text);
CREATE VIEW a_view AS SELECT 1 AS one, now() AS at;
SELECT throws_ok($$SELECT opsrunbook.set_retention('a_view', 'at', '1 day')$$, '22023', NULL, 'set_retention: a view');
SELECT throws_ok($$SELECT opsrunbook.set_retention('"Odd ""Table"', 'nope', '1 day')$$, '22023', NULL, 'set_retention: no such column');
SELECT throws_ok($$SELECT opsrunbook.set_retention('"Odd ""Table"', 'note', '1 day')$$, '22023', NULL, 'set_retention: a column that is no time');
SELECT throws_ok($$SELECT opsrunbook.set_retention('"Odd ""Table"', 'At Time', '0')$$, '22023', NULL, 'set_retention: keeps nothing');
SELECT throws_ok($$SELECT opsrunbook.set_retention('"Odd ""Table"', 'At Time', NULL)$$, '22023', NULL, 'set_retention: null');
SELECT throws_ok($$SELECT opsrunbook.set_retention('"Odd ""Table"', 'At Time', '1 day', batch_size => 0)$$, '22023', NULL, 'set_retention: empty batches');
SELECT throws_ok($$SELECT opsrunbook.set_retention('"Odd ""Table"', 'At Time', '1 day', 'note')$$, '22023', NULL, 'set_retention: a condition that is not boolean');
SELECT throws_ok($$SELECT opsrunbook.set_retention('"Odd ""Table"', 'At Time', '1 day', 'true) OR (true')$$, '22023', NULL, 'set_retention: a condition that would escape the time');
SELECT throws_ok($$SELECT opsrunbook.set_retention('"Odd ""Table"', 'At Time', '1 day', 'true /*')$$, '22023', NULL, 'set_retention: an open comment');
SELECT throws_ok($$SELECT opsrunbook.set_retention('"Odd ""Table"', 'At Time', '1 day', archive_to => '"Odd ""Table"')$$, '22023', NULL, 'set_retention: its own archive');
CREATE TABLE narrow (id bigint);
SELECT throws_ok($$SELECT opsrunbook.set_retention('"Odd ""Table"', 'At Time', '1 day', archive_to => 'narrow')$$, '22023', NULL, 'set_retention: an archive that lacks columns');
CREATE ROLE retention_stranger;
GRANT pg_monitor TO retention_stranger;
SET ROLE retention_stranger;
SELECT throws_ok($$SELECT opsrunbook.set_retention('"Odd ""Table"', 'At Time', '1 day')$$, '42501', NULL, 'set_retention: only with the rights of the owner');
RESET ROLE;
SELECT is((SELECT count(*) FROM opsrunbook.retention_policies), 0::bigint, 'refused policies leave nothing');
SELECT throws_ok($$SELECT * FROM opsrunbook.apply_retention('narrow')$$, '42704', NULL, 'apply_retention: a table without a policy');
SELECT is_empty($$SELECT * FROM opsrunbook.apply_retention()$$, 'apply_retention: without policies, no row');

-- by index, in batches; months stay months
INSERT INTO "Odd ""Table" SELECT g, now() - make_interval(days => g), CASE WHEN g % 2 = 0 THEN 'even' END FROM generate_series(1, 400) g;
CREATE INDEX ON "Odd ""Table" ("At Time");
SELECT opsrunbook.set_retention('"Odd ""Table"', 'At Time', '1 year', 'note IS NOT NULL -- the even', batch_size => 5) \g /dev/null
SELECT is((SELECT keep::text FROM opsrunbook.retention_policies), '1 year', 'a year is kept as a year');
SELECT count(*) AS expected FROM "Odd ""Table" WHERE "At Time" < now() - interval '1 year' AND note IS NOT NULL \gset
SELECT results_eq($$SELECT rows_affected, status FROM opsrunbook.apply_retention(dry_run => true)$$, format('VALUES (%s::bigint, ''planned'')', :expected), 'dry run counts');
SELECT is((SELECT count(*) FROM "Odd ""Table"), 400::bigint, 'dry run deletes nothing');
SELECT results_eq($$SELECT relation, action, rows_affected, batches, status FROM opsrunbook.apply_retention()$$,
    format($$VALUES ('public."Odd ""Table"', 'delete', %s::bigint, ceil(%s / 5.0)::integer, 'completed')$$, :expected, :expected), 'apply deletes in batches');
SELECT is((SELECT count(*) FROM "Odd ""Table"), 400::bigint - :expected, 'the old rows that meet the condition are gone');
SELECT is((SELECT count(*) FROM "Odd ""Table" WHERE note IS NULL), 200::bigint, 'no other row is');
SELECT is((SELECT rows_affected FROM opsrunbook.apply_retention()), 0::bigint, 'nothing is left for a second run');

-- without an index: in ranges of blocks up to the limit, refused above it, with the index that makes it work
CREATE TABLE unindexed (id integer, at date, filler text);
INSERT INTO unindexed SELECT g, current_date - g % 100, repeat('x', 500) FROM generate_series(1, 4000) g;
SELECT opsrunbook.set_retention('unindexed', 'at', '50 days', batch_size => 100) \g /dev/null
SET opsrunbook.retention_seqscan_limit_mb = 1;
SELECT status, command FROM opsrunbook.apply_retention('unindexed') \gset
SELECT is(:'status'::text, 'refused', 'a big table without an index is refused');
SELECT is(:'command'::text, 'CREATE INDEX CONCURRENTLY ON public.unindexed (at);', 'with the index to create');
SELECT is((SELECT count(*) FROM unindexed), 4000::bigint, 'and nothing deleted');
RESET opsrunbook.retention_seqscan_limit_mb;
SELECT is((SELECT rows_affected FROM opsrunbook.apply_retention('unindexed', true)), 1960::bigint, 'within the limit it is read');
CREATE TABLE copy AS TABLE unindexed;
SELECT ok(rows_affected = 1960 AND batches > 10 AND status = 'completed', 'in ranges of blocks') FROM opsrunbook.apply_retention('unindexed');
SELECT is((SELECT count(*) FROM unindexed), 2040::bigint, 'each block once');
ALTER TABLE copy RENAME TO remedied;
SELECT opsrunbook.set_retention('remedied', 'at', '50 days') \g /dev/null
SET opsrunbook.retention_seqscan_limit_mb = 1;
SELECT command AS remedy FROM opsrunbook.apply_retention('remedied') \gset
:remedy
SELECT is((SELECT rows_affected FROM opsrunbook.apply_retention('remedied')), 1960::bigint, 'the index it names makes it work');
RESET opsrunbook.retention_seqscan_limit_mb;

-- into an archive, in the same statement
CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamp, twice bigint GENERATED ALWAYS AS (2 * 21) STORED);
INSERT INTO events (at) SELECT localtimestamp - make_interval(days => g) FROM generate_series(1, 100) g;
CREATE INDEX ON events (at);
CREATE TABLE events_archive (LIKE events INCLUDING ALL, archived_at timestamptz DEFAULT now());
SELECT opsrunbook.set_retention('events', 'at', '30 days', archive_to => 'events_archive', batch_size => 7) \g /dev/null
SELECT results_eq($$SELECT action, rows_affected, status FROM opsrunbook.apply_retention('events')$$, $$VALUES ('archive', 71::bigint, 'completed')$$, 'archives');
SELECT is((SELECT count(*) FROM events) + (SELECT count(*) FROM events_archive), 100::bigint, 'every row is in one of the two');
SELECT is((SELECT count(*) FROM events JOIN events_archive USING (id)), 0::bigint, 'and in no more than one');

-- a foreign key stops one policy, not the others
CREATE TABLE parent (id integer PRIMARY KEY, at timestamptz);
CREATE TABLE child (parent_id integer REFERENCES parent);
INSERT INTO parent VALUES (1, now() - interval '9 days'), (2, now() - interval '8 days');
INSERT INTO child VALUES (2);
CREATE INDEX ON parent (at);
SELECT opsrunbook.set_retention('parent', 'at', '1 day', batch_size => 1) \g /dev/null
INSERT INTO unindexed VALUES (0, '2020-01-01');
SELECT results_eq($$SELECT status, rows_affected FROM opsrunbook.apply_retention() WHERE relation IN ('public.parent', 'public.unindexed') ORDER BY relation$$,
    $$VALUES ('failed', 1::bigint), ('completed', 1::bigint)$$, 'a foreign key stops its policy; the next goes on; the batches before stay');
SELECT matches((SELECT details FROM opsrunbook.retention_runs WHERE relation = 'public.parent' ORDER BY run_id DESC LIMIT 1), 'violates foreign key', 'and says so');
SELECT is((SELECT array_agg(id) FROM parent), ARRAY[2], 'the row that is referred to stays');
SELECT opsrunbook.drop_retention('parent') AS dropped \gset
SELECT ok(:'dropped' AND NOT opsrunbook.drop_retention('parent'), 'drop_retention tells whether there was a policy');

-- a locked row does not block the others
SELECT pg_temp.link('locker') \g /dev/null
TRUNCATE "Odd ""Table";
INSERT INTO "Odd ""Table" SELECT g, now() - interval '3 years', 'x' FROM generate_series(1, 20) g;
SELECT opsrunbook.set_retention('"Odd ""Table"', 'At Time', '1 year', batch_size => 6) \g /dev/null
SELECT dblink_exec('locker', 'BEGIN') \g /dev/null
SELECT * FROM dblink('locker', 'SELECT id FROM "Odd ""Table" WHERE id = 3 FOR UPDATE') AS l(id bigint) \g /dev/null
SELECT rows_affected, status, details FROM opsrunbook.apply_retention('"Odd ""Table"') \gset
SELECT is(:rows_affected, 19, 'all rows but the locked one go');
SELECT matches(:'details'::text, '1 row held by other transactions', 'and the outcome tells of the one');
SELECT dblink_exec('locker', 'COMMIT') \g /dev/null
SELECT is((SELECT rows_affected FROM opsrunbook.apply_retention('"Odd ""Table"')), 1::bigint, 'the next run takes it');

-- batches are committed one by one: seen from outside while the worker waits in the middle
CREATE FUNCTION public.wait_at_ten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.id = 11 THEN
        PERFORM pg_catalog.pg_advisory_xact_lock(4711);
    END IF;
    RETURN OLD;
END $$;
INSERT INTO "Odd ""Table" SELECT g, now() - interval '4 years' + make_interval(mins => g), 'x' FROM generate_series(1, 20) g;
SELECT opsrunbook.set_retention('"Odd ""Table"', 'At Time', '1 year', batch_size => 5) \g /dev/null
CREATE TRIGGER wait_at_ten BEFORE DELETE ON "Odd ""Table" FOR EACH ROW EXECUTE FUNCTION public.wait_at_ten();
SELECT pg_advisory_lock(4711) \g /dev/null
SET opsrunbook.lock_timeout = '2s';
SELECT dblink_exec('locker', 'SET opsrunbook.lock_timeout = ''60s''') \g /dev/null
SELECT dblink_send_query('locker', $$SELECT rows_affected FROM opsrunbook.apply_retention('"Odd ""Table"')$$) \g /dev/null
SELECT ok(pg_temp.comes_true($$EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)$$), 'the worker is in its third batch');
SELECT is((SELECT count(*) FROM "Odd ""Table"), 10::bigint, 'two batches are committed while it works');
SELECT results_eq($$SELECT rows_affected, batches, status FROM opsrunbook.retention_runs ORDER BY run_id DESC LIMIT 1$$,
    $$VALUES (10::bigint, 2, 'running')$$, 'and opsrunbook.retention_runs shows them');
SELECT pg_advisory_unlock(4711) \g /dev/null
SELECT is((SELECT n FROM dblink_get_result('locker') AS r(n bigint)), 20::bigint, 'then it goes on to the end');
SELECT dblink_disconnect('locker') \g /dev/null
DROP TRIGGER wait_at_ten ON "Odd ""Table";

-- a trigger that keeps the rows ends the walk
CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE TRIGGER keep BEFORE DELETE ON "Odd ""Table" FOR EACH ROW EXECUTE FUNCTION public.keep();
INSERT INTO "Odd ""Table" SELECT g, '2020-01-01', 'x' FROM generate_series(1, 20) g;
SELECT is((SELECT status FROM opsrunbook.apply_retention('"Odd ""Table"')), 'failed', 'a trigger that keeps the rows does not keep the worker');
SELECT opsrunbook.drop_retention('"Odd ""Table"') \g /dev/null

-- partitions: old ones go as a whole, young ones are not read, the straddling one row by row
CREATE TABLE log (id integer, at timestamptz) PARTITION BY RANGE (at);
SELECT format('CREATE TABLE log_%s PARTITION OF log FOR VALUES FROM (%L) TO (%L)', n, now() - make_interval(days => 40 - 10 * n), now() - make_interval(days => 30 - 10 * n))
FROM generate_series(0, 3) n \gexec
CREATE TABLE log_rest PARTITION OF log DEFAULT;
INSERT INTO log SELECT g, now() - make_interval(days => g) + interval '1 hour' FROM generate_series(1, 60) g;
SELECT opsrunbook.set_retention('log', 'at', '25 days') \g /dev/null
SELECT results_eq($$SELECT relation, action, status FROM opsrunbook.apply_retention('log', true) ORDER BY 1$$,
    $$VALUES ('public.log', 'delete', 'planned'), ('public.log_0', 'drop partition', 'planned')$$, 'dry run names the old partition');
SELECT ok(to_regclass('log_0') IS NOT NULL, 'and leaves it');
SELECT results_eq($$SELECT relation, action, status, rows_affected FROM opsrunbook.apply_retention('log') ORDER BY 1$$,
    $$VALUES ('public.log', 'delete', 'completed', 25::bigint), ('public.log_0', 'drop partition', 'completed', NULL)$$, 'drops it, and deletes from the others');
SELECT is(to_regclass('log_0'), NULL, 'the old partition is gone');
SELECT is((SELECT min(at) > now() - interval '25 days' FROM log), true, 'no old row is left');
CREATE TABLE log_archive (LIKE log);
SELECT opsrunbook.set_retention('log', 'at', '15 days', archive_to => 'log_archive') \g /dev/null
SELECT results_eq($$SELECT relation, action, status FROM opsrunbook.apply_retention('log') WHERE action <> 'archive'$$,
    $$VALUES ('public.log_1', 'detach partition', 'completed')$$, 'with an archive, the partition is detached');
SELECT ok(NOT (SELECT relispartition FROM pg_class WHERE relname = 'log_1'), 'and stands on its own');
SELECT opsrunbook.set_retention('log', 'at', '5 days', 'id < 0') \g /dev/null
SELECT is((SELECT count(*) FROM opsrunbook.apply_retention('log') WHERE action LIKE '%partition'), 0::bigint, 'a condition spares the partition');

-- what can be undone says how, whatever dates look like here and there
SET timezone = 'Europe/Berlin';
SELECT format('ALTER DATABASE %I SET datestyle = %L', current_database(), 'SQL, DMY') \gexec
CREATE TABLE metric (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz, twice bigint GENERATED ALWAYS AS (2 * 21) STORED) PARTITION BY RANGE (at);
CREATE TABLE metric_old PARTITION OF metric FOR VALUES FROM ('2024-02-05') TO ('2024-04-06');
CREATE TABLE metric_new PARTITION OF metric FOR VALUES FROM ('2024-04-06') TO (MAXVALUE);
INSERT INTO metric (at) SELECT timestamptz '2024-02-05' + make_interval(days => g) FROM generate_series(0, 99) g;
INSERT INTO metric (at) VALUES (now());
CREATE TABLE metric_before AS TABLE metric;
CREATE TABLE metric_archive (note text, twice bigint, at timestamptz, id bigint);
INSERT INTO metric_archive (at) VALUES ('2023-01-01');
SELECT opsrunbook.set_retention('metric', 'at', '1 week', archive_to => 'metric_archive', batch_size => 10) \g /dev/null
SELECT results_eq($$SELECT status, rows_affected FROM opsrunbook.apply_retention('metric') ORDER BY action$$,
    $$VALUES ('completed', 39::bigint), ('completed', NULL)$$, 'rows go into the archive, a partition is detached');
SELECT string_agg(undo, E'\n' ORDER BY step DESC) AS undo FROM opsrunbook.retention_runs
    WHERE run_id = (SELECT max(run_id) FROM opsrunbook.retention_runs) \gset
SET datestyle = 'SQL, MDY';
:undo
RESET datestyle;
RESET timezone;
SELECT set_eq('SELECT tableoid::regclass::text AS part, id, at, twice FROM metric', $$SELECT CASE WHEN at < '2024-04-06 00:00+02' THEN 'metric_old' ELSE 'metric_new' END AS part, id, at, twice FROM metric_before$$, 'what undo says brings all of it back');
SELECT is((SELECT count(*) FROM metric_archive), 1::bigint, 'and leaves in the archive what was there before');
SELECT is_empty($$SELECT * FROM opsrunbook.retention_runs WHERE undo <> '' AND action NOT IN ('archive', 'detach partition')$$, 'what is deleted has no undo');
SELECT format('ALTER DATABASE %I RESET datestyle', current_database()) \gexec
SELECT opsrunbook.drop_retention('metric') \g /dev/null

-- rights: the batch runs as the owner of the table, never as who called
CREATE ROLE retention_owner;
GRANT CREATE ON SCHEMA public TO retention_owner;
SET ROLE retention_owner;
CREATE TABLE owned (id integer, at timestamptz);
CREATE TABLE who (name text);
CREATE FUNCTION public.tell_who() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.who VALUES (CURRENT_USER); RETURN NULL; END$$;
CREATE CONSTRAINT TRIGGER tell AFTER DELETE ON owned DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.tell_who();
INSERT INTO owned VALUES (1, '2020-01-01');
RESET ROLE;
SELECT opsrunbook.set_retention('owned', 'at', '1 day') \g /dev/null
SELECT is((SELECT status FROM opsrunbook.apply_retention('owned')), 'completed', 'a superuser applies another''s policy');
SELECT results_eq('SELECT name FROM who', $$VALUES ('retention_owner')$$, 'and even deferred triggers run as the owner');
SET ROLE retention_stranger;
SELECT is((SELECT status FROM opsrunbook.apply_retention('owned')), 'skipped', 'a role without the owner''s rights is told so');
RESET ROLE;
DROP TABLE owned;
SELECT matches((SELECT details FROM opsrunbook.apply_retention() WHERE relation = 'public.owned'), 'does not exist any more', 'a dropped table is named');
SELECT ok(opsrunbook.drop_retention('public', 'owned'), 'and its policy can be forgotten by name');

-- the runbook's function
SELECT throws_ok('SELECT cleanup_old_user_events(30)', '42P01', NULL, 'cleanup_old_user_events: no such table');
CREATE SCHEMA app;
CREATE TABLE app.user_events (id bigint, created_at timestamptz, processed boolean);
INSERT INTO app.user_events SELECT g, now() - make_interval(days => g), g % 2 = 0 FROM generate_series(1, 100) g;
SET search_path = app, public;
SELECT throws_ok('SELECT cleanup_old_user_events(0)', '22023', NULL, 'cleanup_old_user_events: no days');
SELECT throws_ok('SELECT cleanup_old_user_events(NULL)', '22023', NULL, 'cleanup_old_user_events: null');
SELECT is(cleanup_old_user_events(50), 26::bigint, 'cleanup_old_user_events: the processed ones');
SELECT is((SELECT count(*) FROM app.user_events), 74::bigint, 'are gone');
SELECT opsrunbook.set_retention('user_events', 'created_at', '1 day') \g /dev/null
SELECT is(cleanup_old_user_events(50), 25::bigint, 'cleanup_old_user_events: a policy of the table decides');
RESET search_path;

-- history
SELECT throws_ok('SELECT cleanup_maintenance_history(0)', '22023', NULL, 'cleanup_maintenance_history: no days');
SELECT is(cleanup_maintenance_history(1), 0::bigint, 'cleanup_maintenance_history: nothing is old');
UPDATE opsrunbook.retention_run SET updated_at = now() - interval '40 days' WHERE run_id = 1;
INSERT INTO opsrunbook.task (kind, object_name, command, reason, role, queued_at) VALUES ('VACUUM', 'old and pending', 'x', 'x', CURRENT_USER, now() - interval '90 days'),
    ('VACUUM', 'old and done', 'x', 'x', CURRENT_USER, now() - interval '90 days');
INSERT INTO opsrunbook.task_end (task_id, attempt, status, finished_at, message) SELECT id, 0, 'completed', now() - interval '89 days', 'x' FROM opsrunbook.task WHERE object_name = 'old and done';
SELECT cmp_ok(cleanup_maintenance_history(30), '>=', 2::bigint, 'cleanup_maintenance_history: what is old and done');
SELECT results_eq('SELECT object_name FROM opsrunbook.task', $$VALUES ('old and pending')$$, 'never what is pending');

SELECT * FROM finish();
DROP TABLE who;
DROP FUNCTION public.tell_who();
REVOKE CREATE ON SCHEMA public FROM retention_owner;
DROP ROLE retention_owner, retention_stranger;
