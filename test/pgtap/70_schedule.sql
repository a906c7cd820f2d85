-- The SQL surface of the scheduler: what is accepted and refused, whose jobs are whose, when they run next.
\ir common/prologue.sql
SET client_min_messages = error;
SELECT no_plan();

-- Nothing here is committed, so nothing here runs.
BEGIN;
SET TimeZone = 'Europe/Berlin';

SELECT ok(opsrunbook.schedule('nightly', '0 3 * * *', 'SELECT 1') > 0, 'schedule() returns an id');
SELECT is((SELECT timezone FROM opsrunbook.jobs WHERE name = 'nightly'), 'Europe/Berlin', 'the session''s time zone is its own');
SELECT is((SELECT extract(hour FROM next_run)::int FROM opsrunbook.jobs WHERE name = 'nightly'), 3, 'next_run is at 3 o''clock there');
SELECT ok((SELECT next_run > now() AND next_run <= now() + interval '25 hours' FROM opsrunbook.jobs WHERE name = 'nightly'), 'within a day');
SELECT is(opsrunbook.schedule('nightly', '0 4 * * *', 'SELECT 2', timezone => 'America/New_York'),
          (SELECT job_id FROM opsrunbook.jobs WHERE name = 'nightly'), 'an own job is replaced');
SELECT is((SELECT extract(hour FROM next_run AT TIME ZONE 'America/New_York')::int FROM opsrunbook.jobs WHERE name = 'nightly'), 4, 'by the other time zone');
SELECT is((SELECT role FROM opsrunbook.jobs WHERE name = 'nightly'), current_user::text, 'it is the caller''s');

SELECT throws_ok($$SELECT opsrunbook.schedule('bad', '61 * * * *', 'SELECT 1')$$, '22023', NULL, 'no such minute');
SELECT throws_ok($$SELECT opsrunbook.schedule('bad', '0 0 30 2 *', 'SELECT 1')$$, '22023', NULL, 'no such day');
SELECT throws_ok($$SELECT opsrunbook.schedule('bad', NULL, 'SELECT 1')$$, '22023', NULL, 'neither a schedule nor another job');
SELECT throws_ok($$SELECT opsrunbook.schedule('bad', '@daily', 'SELECT 1', after => 'nightly')$$, '22023', NULL, 'both');
SELECT throws_ok($$SELECT opsrunbook.schedule('bad', NULL, 'SELECT 1', after => 'nobody')$$, '42704', NULL, 'after a job that is not there');
SELECT throws_ok($$SELECT opsrunbook.schedule(NULL, '@daily', 'SELECT 1')$$, '22023', NULL, 'no name');
SELECT throws_ok($$SELECT opsrunbook.schedule('bad', '@daily', 'SELECT 1', timezone => 'Mars/Olympus')$$, '22023', 'time zone "Mars/Olympus" is not known', 'no such time zone');
SELECT throws_ok($$SELECT opsrunbook.schedule('bad', '@daily', 'SELECT 1', missed => 'often')$$, '22023', NULL, 'no such policy');
SELECT throws_ok($$SELECT opsrunbook.schedule('bad', '@daily', 'SELECT 1', max_retries => -1)$$, '22023', NULL, 'negative retries');
SELECT throws_ok($$SELECT opsrunbook.schedule('bad', '@daily', 'SELECT 1', timeout_seconds => 0)$$, '22023', NULL, 'no time at all');
SELECT throws_ok($$SELECT opsrunbook.schedule('bad', '@daily', 'SELECT 1; SELECT 2')$$, '22023', 'a job''s command must be a single statement', 'two statements');
SELECT throws_ok($$SELECT opsrunbook.schedule('bad', '@daily', ' ')$$, '22023', NULL, 'no statement');
SELECT throws_ok($$SELECT opsrunbook.schedule('bad', '@daily', 'COMMIT')$$, '22023', NULL, 'a transaction''s end');
SELECT throws_ok($$SELECT opsrunbook.schedule('bad', '@daily', 'SELEC 1')$$, '42601', NULL, 'not SQL');
CREATE FUNCTION pg_temp.hint_for(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
    PERFORM opsrunbook.schedule('bad', '@daily', command);
    RETURN 'accepted';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN hint;
END$$;
SELECT is(pg_temp.hint_for('maintenence'), 'A command is one SQL statement, or one of these: alerts, maintenance, maintenance queue, statistics, verification, retention, orphaned objects, index usage, storage sizes, history cleanup.', 'what is no SQL gets the list of task types');
SELECT is(pg_temp.hint_for('COMMIT'), 'Put several statements into a procedure or a DO block.', 'what is SQL does not');
SELECT is((SELECT count(*) FROM opsrunbook.jobs), 1::bigint, 'what was refused changed nothing');
SELECT is((SELECT count(*) FROM opsrunbook.list_jobs()), 1::bigint, 'list_jobs() is what the view shows');

SELECT ok(opsrunbook.schedule('second', NULL, 'SELECT 1', after => 'nightly') > 0, 'a job after another one');
SELECT is((SELECT after FROM opsrunbook.jobs WHERE name = 'second'), 'nightly', 'is shown so');
SELECT throws_ok($$SELECT opsrunbook.schedule('nightly', NULL, 'SELECT 1', after => 'second')$$, '22023', 'job "nightly" would wait for itself', 'no circles');
SELECT throws_ok($$SELECT opsrunbook.unschedule('nightly')$$, '55000', 'other jobs run after this one', 'a job that others wait for stays');
SELECT lives_ok($$SELECT opsrunbook.unschedule('second')$$, 'unschedule');
SELECT throws_ok($$SELECT opsrunbook.unschedule('second')$$, '42704', 'job "second" does not exist', 'it is gone');

SELECT lives_ok($$SELECT opsrunbook.disable_job('nightly')$$, 'disable');
SELECT results_eq($$SELECT status, next_run FROM opsrunbook.jobs WHERE name = 'nightly'$$, $$VALUES ('disabled', NULL::timestamptz)$$, 'a disabled job has no next run');
SELECT lives_ok($$SELECT opsrunbook.enable_job('nightly')$$, 'enable');
SELECT ok((SELECT next_run IS NOT NULL FROM opsrunbook.jobs WHERE name = 'nightly'), 'an enabled one has');
SELECT lives_ok($$SELECT opsrunbook.run_once('later', 'VACUUM', now() + interval '1 hour')$$, 'run_once');
SELECT is((SELECT next_run FROM opsrunbook.jobs WHERE name = 'later'), now() + interval '1 hour', 'at its time');
SELECT lives_ok($$SELECT opsrunbook.run_job_now('later')$$, 'run_job_now');
SELECT ok((SELECT next_run < now() + interval '1 minute' FROM opsrunbook.jobs WHERE name = 'later'), 'is due now');
SELECT is((SELECT count(*) FROM opsrunbook.job_runs), 0::bigint, 'no run without a commit');

-- A job that fails is an alert until it succeeds, and so is one that nothing can start.
CREATE FUNCTION pg_temp.plant(job text, scheduled timestamptz, tries integer, outcome text, words text DEFAULT 'planted') RETURNS void LANGUAGE sql AS $$
    INSERT INTO opsrunbook.job_run (job_id, job_name, scheduled_for, attempt, reason, role, command, started_at, finished_at, status, sqlstate, message)
    SELECT j.id, j.name, scheduled, tries, 'scheduled', j.role, j.command, scheduled, scheduled + interval '1 minute', outcome, '22012', words
    FROM opsrunbook.job j WHERE j.name = job
$$;
CREATE FUNCTION pg_temp.alerts(job text) RETURNS text LANGUAGE sql AS
    $$SELECT string_agg(format('%s %s %s', alert_level, metric, current_value), ', ') FROM performance.check_alerts() WHERE object_name = job$$;
SELECT opsrunbook.schedule('night''s work', '0 3 * * *', 'SELECT 1/0', max_retries => 1) \g /dev/null
SELECT is(pg_temp.alerts('night''s work'), NULL, 'a job that never ran is no alert');
SELECT pg_temp.plant('night''s work', now() - interval '4 days', 1, 'completed') \g /dev/null
SELECT pg_temp.plant('night''s work', now() - interval '3 days', 1, 'failed') \g /dev/null
SELECT is(pg_temp.alerts('night''s work'), NULL, 'failed_jobs: near miss: nor is one that will be retried');
SELECT pg_temp.plant('night''s work', now() - interval '3 days', 2, 'failed', 'division by zero') \g /dev/null
SELECT is(pg_temp.alerts('night''s work'), 'WARNING failed_job_runs 1', 'failed_jobs: fires: the failure of its last retry is');
SELECT results_eq($$SELECT message, fix, undo, since FROM opsrunbook.findings(ARRAY['failed_jobs']) WHERE object = 'night''s work'$$,
    $$VALUES ('job "night''s work" failed: division by zero', 'SELECT opsrunbook.run_job_now(''night''''s work'');', 'SELECT opsrunbook.disable_job(''night''''s work'');', now() - interval '3 days' + interval '1 minute')$$,
    'it says why, since when and what to run');
SELECT pg_temp.plant('night''s work', now() - interval '2 days', 1, 'failed'), pg_temp.plant('night''s work', now() - interval '2 days', 2, 'failed'),
       pg_temp.plant('night''s work', now() - interval '1 day', 1, 'failed'), pg_temp.plant('night''s work', now() - interval '1 day', 2, 'failed') \g /dev/null
SELECT is(pg_temp.alerts('night''s work'), 'CRITICAL failed_job_runs 3', 'three nights are worse');
SELECT pg_temp.plant('night''s work', now(), 0, 'skipped') \g /dev/null
SELECT is(pg_temp.alerts('night''s work'), 'CRITICAL failed_job_runs 3', 'a run that was passed over makes nothing well');
SELECT lives_ok((SELECT fix FROM opsrunbook.findings(ARRAY['failed_jobs']) WHERE object = 'night''s work'), 'the fix is a statement');
SELECT ok((SELECT run_now FROM opsrunbook.job WHERE name = 'night''s work'), 'that runs the job');
SELECT lives_ok($$SELECT opsrunbook.disable_job('night''s work')$$, 'a person may give it up');
SELECT is(pg_temp.alerts('night''s work'), NULL, 'then it is no alert');
SELECT opsrunbook.enable_job('night''s work') \g /dev/null
SELECT pg_temp.plant('night''s work', now(), 1, 'completed') \g /dev/null
SELECT is(pg_temp.alerts('night''s work'), NULL, 'failed_jobs: clears: nor when it has succeeded');
UPDATE opsrunbook.job SET problem = 'time zone "Mars" is not known' WHERE name = 'night''s work';
SELECT results_eq($$SELECT severity, message FROM opsrunbook.findings(ARRAY['failed_jobs']) WHERE object = 'night''s work'$$,
    $$VALUES ('CRITICAL', 'job "night''s work" cannot be scheduled: time zone "Mars" is not known')$$, 'a job that cannot be scheduled is');
SELECT opsrunbook.unschedule('night''s work') \g /dev/null
SELECT is_empty($$SELECT * FROM opsrunbook.findings(ARRAY['failed_jobs', 'scheduler_stopped'])$$, 'the scheduler is at work, and no job fails');

-- What the scheduler knows of a job's last run survives the cleaning of the history.
SELECT opsrunbook.run_once('purge', 'SELECT 1', now() - interval '40 days'), opsrunbook.schedule('monthly', '0 0 1 1 *', 'SELECT 1') \g /dev/null
UPDATE opsrunbook.job SET since = now() - interval '500 days' WHERE name = 'monthly';
SELECT pg_temp.plant('purge', now() - interval '40 days', 1, 'completed'), pg_temp.plant('monthly', now() - interval '450 days', 1, 'completed'),
       pg_temp.plant('monthly', date_trunc('year', now()), 1, 'completed') \g /dev/null
UPDATE opsrunbook.job_run SET finished_at = now() - interval '31 days' WHERE job_name IN ('purge', 'monthly');
CREATE TEMPORARY TABLE before_cleanup AS SELECT name, next_run FROM opsrunbook.jobs WHERE name IN ('purge', 'monthly');
SELECT is((SELECT next_run FROM before_cleanup WHERE name = 'purge'), NULL, 'a job that ran once has no next run');
SELECT is(cleanup_maintenance_history(30), 1::bigint, 'of the old runs those go that a newer one follows');
SELECT results_eq($$SELECT name, next_run FROM opsrunbook.jobs WHERE name IN ('purge', 'monthly') ORDER BY name$$, 'SELECT name, next_run FROM before_cleanup ORDER BY name', 'and no job runs again for it');
SELECT opsrunbook.unschedule('purge'), opsrunbook.unschedule('monthly') \g /dev/null
SELECT is(cleanup_maintenance_history(30), 2::bigint, 'the runs of a job that is gone all go');

-- A job that verifies the data, and does not get to it.
SELECT results_eq($$SELECT severity, message FROM opsrunbook.findings(ARRAY['amcheck_age'], true)$$,
    $$VALUES ('OK', 'nothing verifies this database that leaves a trace here; pg_amcheck does not')$$, 'without a job that calls amcheck there is nothing to judge');
SELECT opsrunbook.schedule('verify', '0 5 * * 0', 'SELECT bt_index_check(c.oid) FROM pg_class c WHERE c.oid = ''pg_class_oid_index''::regclass') \g /dev/null
SELECT opsrunbook.schedule('rebt_index_checks', '0 5 * * 0', 'SELECT not_bt_index_check()') \g /dev/null
SELECT is(pg_temp.alerts('verify'), NULL, 'a new job has its time');
UPDATE opsrunbook.job SET since = now() - interval '15 days' WHERE name IN ('verify', 'rebt_index_checks');
SELECT results_eq($$SELECT severity, object, message FROM opsrunbook.findings(ARRAY['amcheck_age'])$$,
    $$VALUES ('WARNING', 'verify', 'job "verify", scheduled 15 d ago, has not verified its tables and indexes yet')$$, 'amcheck_age: fires: nothing was verified since it was scheduled');
SELECT pg_temp.plant('verify', now() - interval '16 days', 1, 'completed') \g /dev/null
SELECT pg_temp.plant('verify', now() - interval '9 days', 1, 'failed') \g /dev/null
SELECT pg_temp.plant('verify', now() - interval '2 days', 1, 'skipped') \g /dev/null
SELECT results_eq($$SELECT severity, message, fix FROM opsrunbook.findings(ARRAY['amcheck_age'])$$,
    $$VALUES ('WARNING', 'job "verify" last verified its tables and indexes 15 d 23 h ago', 'SELECT opsrunbook.run_job_now(''verify'');')$$, 'a failed run verified nothing');
SELECT lives_ok((SELECT fix FROM opsrunbook.findings(ARRAY['amcheck_age'])), 'the fix runs the job');
SELECT pg_temp.plant('verify', now() - interval '13 days', 1, 'completed') \g /dev/null
SELECT is(pg_temp.alerts('verify'), NULL, 'amcheck_age: clears: a run has completed; near miss: 13 days ago');
SELECT opsrunbook.unschedule('verify'), opsrunbook.unschedule('rebt_index_checks') \g /dev/null

SELECT is(opsrunbook.enable_default_schedule('UTC'), 8, 'the default schedule');
SELECT results_eq($$SELECT name, cron, command FROM opsrunbook.jobs WHERE name LIKE 'opsrunbook %' ORDER BY name$$, $$VALUES
    ('opsrunbook health observation', '* * * * *', 'SELECT opsrunbook.observe_alerts()'),
    ('opsrunbook history cleanup', '30 4 * * *', 'SELECT public.cleanup_maintenance_history(30)'),
    ('opsrunbook index usage', '0 4 * * *', 'SELECT public.update_index_usage()'),
    ('opsrunbook maintenance queue', '0 * * * *', 'SELECT public.auto_schedule_maintenance()'),
    ('opsrunbook nightly maintenance', '0 3 * * *', 'CALL opsrunbook.run_maintenance()'),
    ('opsrunbook orphaned objects', '0 5 * * 0', 'CALL opsrunbook.run_orphan_cleanup()'),
    ('opsrunbook retention', '30 2 * * *', 'CALL opsrunbook.run_retention()'),
    ('opsrunbook storage sizes', '15 4 * * *', 'SELECT opsrunbook.record_storage_sizes()')$$, 'has the runbooks'' times');
SELECT is((SELECT extract(hour FROM next_run AT TIME ZONE 'UTC')::int FROM opsrunbook.jobs WHERE name = 'opsrunbook nightly maintenance'), 3, 'maintenance at 3:00');
SELECT is(opsrunbook.enable_default_schedule('UTC'), 8, 'a second call changes nothing');
SELECT is(opsrunbook.disable_default_schedule(), 8, 'and away with it');
SELECT is((SELECT count(*) FROM opsrunbook.jobs WHERE name LIKE 'opsrunbook%'), 0::bigint, 'all of it');

-- Task types instead of statements
SELECT opsrunbook.schedule(type, '@daily', type) FROM unnest(ARRAY['alerts', 'maintenance', 'maintenance queue', 'statistics', 'verification',
    'retention', 'orphaned objects', 'index usage', 'storage sizes', 'history cleanup', 'analyze']) type \g /dev/null
SELECT opsrunbook.run_once('once by type', 'statistics', now() + interval '1 hour') \g /dev/null
SELECT results_eq($$SELECT name, left(command, 70) FROM opsrunbook.jobs WHERE name NOT IN ('nightly', 'later') ORDER BY name COLLATE "C"$$, $q$VALUES
    ('alerts', 'SELECT opsrunbook.observe_alerts()'),
    ('analyze', 'analyze'),
    ('history cleanup', 'SELECT public.cleanup_maintenance_history(30)'),
    ('index usage', 'SELECT public.update_index_usage()'),
    ('maintenance', 'CALL opsrunbook.run_maintenance()'),
    ('maintenance queue', 'SELECT public.auto_schedule_maintenance()'),
    ('once by type', 'SELECT public.update_table_statistics()'),
    ('orphaned objects', 'CALL opsrunbook.run_orphan_cleanup()'),
    ('retention', 'CALL opsrunbook.run_retention()'),
    ('statistics', 'SELECT public.update_table_statistics()'),
    ('storage sizes', 'SELECT opsrunbook.record_storage_sizes()'),
    ('verification', 'DO $' || '$DECLARE relation oid; parts bigint; damaged bigint := 0; BEGIN FO')$q$, 'the name of a task type stands for its statement, what is SQL for itself');
SELECT opsrunbook.unschedule(name) FROM opsrunbook.jobs WHERE name NOT IN ('nightly', 'later') \g /dev/null

-- Rights
CREATE ROLE schedule_nobody;
CREATE ROLE schedule_monitor;
GRANT pg_monitor TO schedule_monitor;
SET LOCAL ROLE schedule_nobody;
SELECT throws_ok($$SELECT opsrunbook.schedule('mine', '@daily', 'SELECT 1')$$, '42501', NULL, 'scheduling needs pg_monitor');
SELECT throws_ok($$SELECT * FROM opsrunbook.jobs$$, '42501', NULL, 'so does reading jobs');
SELECT throws_ok($$SELECT * FROM opsrunbook.job_runs$$, '42501', NULL, 'and runs');
SET LOCAL ROLE schedule_monitor;
SELECT lives_ok($$SELECT opsrunbook.schedule('mine', '@daily', 'SELECT 1')$$, 'a pg_monitor member schedules');
SELECT is((SELECT role FROM opsrunbook.jobs WHERE name = 'mine'), 'schedule_monitor', 'as itself');
SELECT throws_ok(format('SELECT opsrunbook.%s(%L)', f, 'nightly'), '42501', 'permission denied for job "nightly"', f || '() of another''s job')
  FROM unnest(ARRAY['unschedule', 'enable_job', 'disable_job', 'run_job_now']) f;
SELECT throws_ok($$SELECT opsrunbook.schedule('nightly', '@daily', 'SELECT 1')$$, '42501', NULL, 'nor is it replaced');
SELECT throws_ok($$UPDATE opsrunbook.job SET role = 'postgres'$$, '42501', NULL, 'and the table is nobody''s to write');
RESET ROLE;

-- The default schedule is the caller's, whoever has scheduled a job of such a name before.
SELECT opsrunbook.schedule('opsrunbook retention', '@daily', 'SELECT 1') \g /dev/null
SET LOCAL ROLE schedule_monitor;
SELECT opsrunbook.schedule('opsrunbook nightly maintenance', '@daily', 'SELECT 1') \g /dev/null
SELECT throws_ok('SELECT opsrunbook.enable_default_schedule()', '42501', 'permission denied for job "opsrunbook retention"', 'a superuser''s is not taken over');
RESET ROLE;
SELECT is(opsrunbook.enable_default_schedule(), 8, 'a superuser enables the default schedule');
SELECT is((SELECT string_agg(DISTINCT role, ', ') FROM opsrunbook.jobs WHERE name LIKE 'opsrunbook %'), current_user::text, 'and each of its jobs is his');
SELECT results_eq($$SELECT k.role_oid FROM opsrunbook.job j JOIN opsrunbook.job_role k ON k.job_id = j.id WHERE j.name = 'opsrunbook nightly maintenance'$$,
    'SELECT oid FROM pg_roles WHERE rolname = current_user', 'for good');
SET LOCAL ROLE schedule_monitor;
SELECT throws_ok($$SELECT opsrunbook.disable_job('opsrunbook nightly maintenance')$$, '42501', NULL, 'and no longer the other role''s');
RESET ROLE;
SELECT lives_ok($$SELECT opsrunbook.disable_job('mine')$$, 'a superuser may change any job');
SELECT is((SELECT role FROM opsrunbook.jobs WHERE name = 'mine'), 'schedule_monitor', 'which stays its role''s');

SELECT * FROM finish();
ROLLBACK;
