-- Retention policies as tasks of a maintenance run.
\ir common/prologue.sql

SELECT no_plan();
CREATE FUNCTION pg_temp.planned(relation text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM opsrunbook.plan_maintenance() WHERE kind = 'retention delete' AND object_name = relation
$$;

CREATE TABLE "Event" (id integer PRIMARY KEY, at timestamptz NOT NULL, day date);
INSERT INTO "Event" SELECT i, now() - i * interval '1 hour' + interval '30 minutes', now() FROM generate_series(1, 4800) i;
CREATE INDEX event_at ON "Event" (at);
CREATE TABLE part (at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE part_old PARTITION OF part FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE part_new PARTITION OF part FOR VALUES FROM ('2020-01-01') TO (MAXVALUE);
INSERT INTO part SELECT CASE WHEN i % 2 = 0 THEN date '2019-06-01' ELSE now()::date END FROM generate_series(1, 1000) i;

SELECT opsrunbook.set_retention('"Event"', 'at', '100 days') \g /dev/null
SELECT opsrunbook.set_retention('part', 'at', '1000 days') \g /dev/null
SELECT is(pg_temp.planned('public."Event"'), 0::bigint, 'nothing is known of a table that was never analyzed');
ANALYZE "Event";
ANALYZE part;
SELECT is(pg_temp.planned('public."Event"'), 1::bigint, 'half of the rows are older than the policy keeps');
SELECT matches((SELECT reason FROM opsrunbook.plan_maintenance() WHERE object_name = 'public."Event"' AND kind = 'retention delete'),
    '^about (49|50|51)[.0-9]* % of its rows are older than its retention policy keeps \(100 days\)$', 'the reason says how many');
SELECT is((SELECT command FROM opsrunbook.plan_maintenance() WHERE object_name = 'public."Event"' AND kind = 'retention delete'),
    'SELECT * FROM opsrunbook.apply_retention(''public."Event"'')', 'and the command can be run by hand');
SELECT ok((SELECT predicted_seconds > 0 AND benefit > 8192 FROM opsrunbook.plan_maintenance() WHERE object_name = 'public."Event"' AND kind = 'retention delete'),
    'with its duration and benefit');
SELECT is(pg_temp.planned('public.part'), 1::bigint, 'most common values count as well');
SELECT opsrunbook.set_retention('"Event"', 'at', '100 days', enabled => false) \g /dev/null
SELECT is(pg_temp.planned('public."Event"'), 0::bigint, 'a policy that is off plans nothing');
SELECT opsrunbook.set_retention('"Event"', 'at', '100 days', enabled => true) \g /dev/null

SELECT results_eq($$SELECT object_name, status FROM run_automated_maintenance() WHERE task_name = 'retention delete' ORDER BY 1$$,
    $$VALUES ('public."Event"', 'completed'), ('public.part', 'completed')$$, 'a run applies them');
SELECT is((SELECT count(*) FROM "Event"), 2400::bigint, 'what is older is gone');
SELECT is((SELECT min(at) >= now() - interval '100 days' FROM "Event"), true, 'and nothing else');
SELECT is(to_regclass('part_old'), NULL, 'a whole partition is dropped');
SELECT matches((SELECT message FROM opsrunbook.tasks WHERE kind = 'retention delete' AND object_name = 'public."Event"'),
    '^2,?400 rows older than ', 'the task says what went');
SELECT is((SELECT count(*) FROM opsrunbook.retention_runs WHERE relation = 'public."Event"' AND status = 'completed'), 1::bigint,
    'the steps are in retention_runs');
SELECT ok((SELECT bytes_before IS NOT NULL AND attempt = 1 FROM opsrunbook.tasks WHERE kind = 'retention delete' AND object_name = 'public."Event"'), 'with what was measured');
ANALYZE "Event";
SELECT is(pg_temp.planned('public."Event"'), 0::bigint, 'nothing is left to do');

-- Without an index on its column, a table larger than the limit is refused, with the index to create.
CREATE TABLE plain AS SELECT id, at FROM "Event";
INSERT INTO plain SELECT i, now() - interval '200 days' FROM generate_series(1, 60000) i;
ANALYZE plain;
SELECT opsrunbook.set_retention('plain', 'at', '100 days') \g /dev/null
SET opsrunbook.retention_seqscan_limit_mb = 1;
SELECT matches((SELECT result_message FROM run_automated_maintenance() WHERE task_name = 'retention delete' AND object_name = 'public.plain'),
    'no index leads with at', 'a scan of a large table for nothing is refused');
RESET opsrunbook.retention_seqscan_limit_mb;
SELECT is_empty($$SELECT * FROM opsrunbook.tasks WHERE message LIKE 'another maintenance worker%' AND status <> 'completed'$$, 'no task is left out because its run was at the table with another');
SELECT is((SELECT count(*) FROM plain WHERE at < now() - interval '100 days'), 60000::bigint, 'and nothing is deleted');

-- An error gives the table free: the worker goes on with other policies, and other maintenance is not kept out.
CREATE TABLE referred (id integer PRIMARY KEY, at timestamptz);
CREATE TABLE referring (id integer REFERENCES referred);
INSERT INTO referred SELECT i, now() - interval '200 days' FROM generate_series(1, 1000) i;
INSERT INTO referring SELECT i FROM generate_series(1, 1000) i;
CREATE INDEX ON referred (at);
CREATE TABLE waits (at timestamptz);
INSERT INTO waits VALUES (now() - interval '200 days');
CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_catalog.pg_advisory_xact_lock(4712); RETURN OLD; END$$;
CREATE TRIGGER wait BEFORE DELETE ON waits FOR EACH ROW EXECUTE FUNCTION public.wait();
SELECT opsrunbook.set_retention('referred', 'at', '100 days') \g /dev/null
SELECT opsrunbook.set_retention('waits', 'at', '100 days') \g /dev/null
SELECT pg_advisory_lock(4712) \g /dev/null
SELECT pg_temp.link('retention') \g /dev/null
SELECT dblink_exec('retention', 'SET opsrunbook.lock_timeout = ''60s''') \g /dev/null
SELECT dblink_send_query('retention', 'SELECT count(*) FROM opsrunbook.apply_retention()') \g /dev/null
SELECT ok(pg_temp.comes_true($$EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)$$), 'the worker is at the policy after the one that failed');
SELECT is((SELECT status FROM opsrunbook.retention_runs WHERE relation = 'public.referred'), 'failed', 'a foreign key has stopped that one');
SELECT set_eq($$SELECT objid::regclass::text FROM pg_locks WHERE locktype = 'object' AND classid = 'opsrunbook.task'::regclass$$,
    $$VALUES ('waits')$$, 'and its table is not held any more');
SELECT pg_advisory_unlock(4712) \g /dev/null
SELECT * FROM dblink_get_result('retention') AS r(n bigint) \g /dev/null
SELECT dblink_disconnect('retention') \g /dev/null

-- A policy that cannot be applied is a task that failed, so that the job which runs it alerts.
ANALYZE referred;
SELECT results_eq($$SELECT status FROM run_automated_maintenance() WHERE task_name = 'retention delete' AND object_name = 'public.referred'$$,
    $$VALUES ('failed')$$, 'a policy that a foreign key stops is a failed task');
SELECT matches((SELECT message FROM opsrunbook.tasks WHERE object_name = 'public.referred' AND kind = 'retention delete' ORDER BY task_id DESC LIMIT 1),
    '^stopped: .*violates foreign key', 'which says why');

-- So is one that does not stand, which takes none of the window.
CREATE ROLE retention_setter;
GRANT pg_monitor TO retention_setter;
GRANT CREATE ON SCHEMA public TO retention_setter;
SET ROLE retention_setter;
CREATE TABLE given AS SELECT now() - interval '200 days' AS at FROM generate_series(1, 5000);
ANALYZE given;
SELECT opsrunbook.set_retention('given', 'at', '100 days') \g /dev/null
RESET ROLE;
SELECT predicted_seconds AS standing FROM opsrunbook.plan_maintenance() WHERE kind = 'retention delete' AND object_name = 'public.given' \gset
ALTER TABLE given OWNER TO CURRENT_USER;
SELECT ok(reason ~ '^its retention policy is not applied: role retention_setter set it' AND predicted_seconds < :standing, 'a policy that does not stand is planned without work')
    FROM opsrunbook.plan_maintenance() WHERE kind = 'retention delete' AND object_name = 'public.given';
SELECT results_eq($$SELECT status FROM run_automated_maintenance() WHERE task_name = 'retention delete' AND object_name = 'public.given'$$,
    $$VALUES ('failed')$$, 'and fails');
SELECT matches((SELECT message FROM opsrunbook.tasks WHERE object_name = 'public.given' AND kind = 'retention delete' ORDER BY task_id DESC LIMIT 1),
    'role retention_setter set it', 'which says why');
SELECT is((SELECT count(*) FROM given), 5000::bigint, 'and nothing is deleted');
DROP OWNED BY retention_setter;
DROP ROLE retention_setter;

-- Its owner changes between two batches: the rest is nobody's to delete.
SELECT opsrunbook.drop_retention(relation) FROM opsrunbook.retention_policies \g /dev/null
CREATE TABLE handed_over (id integer, at timestamptz);
INSERT INTO handed_over SELECT i, now() - interval '300 days' + i * interval '1 minute' FROM generate_series(1, 20) i;
CREATE INDEX ON handed_over (at);
CREATE ROLE retention_heir;
CREATE FUNCTION public.wait_once() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    IF OLD.id = 1 THEN PERFORM pg_catalog.pg_advisory_xact_lock(4713); END IF;
    RETURN OLD;
END$$;
CREATE TRIGGER wait BEFORE DELETE ON handed_over FOR EACH ROW EXECUTE FUNCTION public.wait_once();
SELECT opsrunbook.set_retention('handed_over', 'at', '100 days', batch_size => 10) \g /dev/null
SELECT pg_advisory_lock(4713) \g /dev/null
SELECT pg_temp.link('retention'), pg_temp.link('owner') \g /dev/null
SELECT dblink_exec('retention', $$SET opsrunbook.lock_timeout = '60s'$$) \g /dev/null
SELECT dblink_send_query('retention', 'SELECT count(*) FROM opsrunbook.apply_retention()') \g /dev/null
SELECT ok(pg_temp.comes_true($$EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)$$), 'the first batch waits');
SELECT dblink_send_query('owner', 'ALTER TABLE handed_over OWNER TO retention_heir') \g /dev/null
SELECT ok(pg_temp.comes_true($$EXISTS (SELECT FROM pg_locks WHERE relation = 'handed_over'::regclass AND NOT granted)$$), 'and a new owner for its end');
SELECT pg_advisory_unlock(4713) \g /dev/null
SELECT * FROM dblink_get_result('retention') AS r(n bigint) \g /dev/null
SELECT * FROM dblink_get_result('owner') AS r(n text) \g /dev/null
SELECT matches((SELECT status || ': ' || details FROM opsrunbook.retention_runs WHERE relation = 'public.handed_over'), '^failed: stopped: ', 'the policy stops');
SELECT is((SELECT count(*) FROM handed_over), 10::bigint, 'after the batch that had the rights');
DROP TABLE handed_over;
DROP ROLE retention_heir;

SELECT * FROM finish();
