-- A window: the best that fits into it now, the rest in the next one.
\ir common/prologue.sql

SELECT no_plan();
SELECT format('CREATE TABLE t%s AS SELECT g AS id, repeat(''x'', 100) AS filler FROM generate_series(1, 5000) g', n),
       format('DELETE FROM t%s WHERE id %% 2 = 0', n) FROM generate_series(1, 12) n \gexec
ANALYZE;
SELECT pg_stat_force_next_flush();
SELECT is((SELECT count(*) FROM opsrunbook.plan_maintenance() WHERE decision LIKE 'no window:%'), 12::bigint, 'without a window all run');

-- Each table took twenty minutes yesterday, so that an hour has no room for all, however fast they are tonight.
SELECT is(auto_schedule_maintenance(), 12, 'all are queued');
INSERT INTO opsrunbook.task_start (task_id, attempt, run_id, worker_pid, worker_started_at, started_at)
    SELECT id, 1, 0, 0, now() - interval '1 day', now() - interval '1 day' FROM opsrunbook.task;
INSERT INTO opsrunbook.task_end (task_id, attempt, status, finished_at, message)
    SELECT task_id, 1, 'completed', started_at + interval '20 minutes', 'planted' FROM opsrunbook.task_start;
SELECT cmp_ok((SELECT count(*) FROM opsrunbook.plan_maintenance('1 hour') WHERE position IS NOT NULL), '<', 12::bigint, 'a short one has no room for all');
SELECT ok((SELECT sum(predicted_seconds) <= 3600 * current_setting('opsrunbook.max_parallel_tasks')::int
    FROM opsrunbook.plan_maintenance('1 hour') WHERE position IS NOT NULL), 'what is chosen fits by its prediction');
SELECT matches((SELECT string_agg(decision, E'\n') FROM opsrunbook.plan_maintenance('1 hour') WHERE position IS NULL), '^carried over: needs ', 'the rest is carried over');
SET client_min_messages = error;
SELECT throws_ok($$CALL opsrunbook.run_maintenance('-1 s')$$, '22023', NULL, 'a window is longer than nothing');
CALL opsrunbook.run_maintenance('1 hour');
CREATE TEMP TABLE first_night AS SELECT * FROM opsrunbook.tasks WHERE run_id IS NOT NULL;
SELECT cmp_ok((SELECT count(*) FROM first_night WHERE status = 'completed'), '>', 0::bigint, 'some are done');
SELECT cmp_ok((SELECT count(*) FROM first_night WHERE status = 'pending'), '>', 0::bigint, 'some wait');
SELECT is((SELECT windows_waited FROM (SELECT count(*) AS windows_waited FROM opsrunbook.run_task r JOIN first_night f USING (task_id)
    WHERE f.status = 'pending' GROUP BY task_id) w LIMIT 1), 1::bigint, 'those that wait have waited for one window');
CALL opsrunbook.run_maintenance();
SELECT is_empty($$SELECT * FROM opsrunbook.tasks WHERE status <> 'completed'$$, 'the next run does the rest');
SELECT is((SELECT count(*) FROM opsrunbook.tasks t JOIN first_night f USING (task_id) WHERE f.status = 'pending'),
    (SELECT count(*) FROM first_night WHERE status = 'pending'), 'as the same tasks');
SELECT is((SELECT sum(n_dead_tup) FROM pg_stat_user_tables WHERE relname ~ '^t\d+$'), 0::numeric, 'and no dead row is left');

-- What one role has queued, the run of another neither does, nor ends, nor judges.
CREATE ROLE queue_monitor;
GRANT pg_monitor TO queue_monitor;
DELETE FROM t1 WHERE id % 3 = 0;
DELETE FROM t2 WHERE id % 3 = 0;
SELECT pg_stat_force_next_flush() \g /dev/null
CREATE TEMP TABLE queued AS SELECT auto_schedule_maintenance() AS tasks;
SELECT is((SELECT tasks FROM queued), 2, 'a superuser queues two tasks');
CREATE TEMP TABLE superusers AS SELECT * FROM opsrunbook.tasks WHERE status = 'pending';
VACUUM (ANALYZE) t2;
ALTER TABLE t3 OWNER TO queue_monitor;
DELETE FROM t3 WHERE id % 3 = 0;
SELECT pg_stat_force_next_flush() \g /dev/null
SET ROLE queue_monitor;
SELECT results_eq('SELECT object_name, status FROM run_automated_maintenance() ORDER BY 1', $$VALUES ('public.t1', 'skipped'), ('public.t3', 'completed')$$,
    'a monitor''s run does its own table and skips the other');
RESET ROLE;
SELECT results_eq('SELECT t.object_name, t.status FROM superusers s JOIN opsrunbook.tasks t USING (task_id) ORDER BY 1', $$VALUES ('public.t1', 'pending'), ('public.t2', 'pending')$$,
    'the superuser''s queue is as it was');
SELECT count(*) FROM run_automated_maintenance() \g /dev/null
SELECT results_eq('SELECT t.object_name, t.status FROM superusers s JOIN opsrunbook.tasks t USING (task_id) ORDER BY 1', $$VALUES ('public.t1', 'completed'), ('public.t2', 'skipped')$$,
    'until a run of its own');
-- A role that has lost a table leaves its task to those who may do it.
DELETE FROM t3 WHERE id % 5 = 0;
SELECT pg_stat_force_next_flush() \g /dev/null
SET ROLE queue_monitor;
SELECT auto_schedule_maintenance() \g /dev/null
RESET ROLE;
ALTER TABLE t3 OWNER TO CURRENT_USER;
SET ROLE queue_monitor;
SELECT count(*) FROM run_automated_maintenance() \g /dev/null
RESET ROLE;
SELECT is((SELECT string_agg(format('%s %s', role, status), ', ') FROM opsrunbook.tasks WHERE object_name = 'public.t3' AND status = 'pending'),
    'queue_monitor pending', 'a role that has lost a table leaves its task in the queue');
DROP ROLE queue_monitor;
SELECT is((SELECT string_agg(status, ', ') FROM run_automated_maintenance() WHERE object_name = 'public.t3'), 'completed', 'where a superuser''s run finds it, though the role is gone');
SELECT is_empty($$SELECT * FROM opsrunbook.tasks WHERE status = 'pending'$$, 'and nothing waits any more');

-- None begins after the window, which closes (by the record of when it began) while the first task waits for a lock.
SELECT format('DELETE FROM t%s WHERE id %% 10 IN (1, 3, 7)', n) FROM generate_series(1, 3) n \gexec
SELECT pg_stat_force_next_flush();
DO $$ BEGIN
    PERFORM pg_temp.link('holder'), pg_temp.link('caller');
    PERFORM dblink_exec('holder', 'BEGIN; LOCK TABLE t1, t2, t3 IN ACCESS EXCLUSIVE MODE');
    PERFORM dblink_exec('caller', $set$SET opsrunbook.max_parallel_tasks = 1; SET opsrunbook.lock_timeout = '10min'; SET client_min_messages = error$set$);
    PERFORM dblink_send_query('caller', $call$CALL opsrunbook.run_maintenance('1 day')$call$);
END $$;
SELECT ok(pg_temp.comes_true($$(SELECT count(*) = 1 FROM opsrunbook.tasks WHERE status = 'running')$$), 'a task waits for its lock');
SELECT is((SELECT count(*) FROM opsrunbook.run_task WHERE run_id = (SELECT max(id) FROM opsrunbook.run) AND position IS NOT NULL), 3::bigint, 'the first of three');
UPDATE opsrunbook.run SET started_at = started_at - interval '2 days' WHERE id = (SELECT max(id) FROM opsrunbook.run);
SELECT dblink_exec('holder', 'COMMIT');
SELECT is((SELECT count(*) FROM dblink_get_result('caller') AS d(done text)), 1::bigint, 'the run ends');
SELECT results_eq($$SELECT t.status, count(*) FROM opsrunbook.tasks t WHERE run_id = (SELECT max(id) FROM opsrunbook.run) GROUP BY 1 ORDER BY 1$$,
    $$VALUES ('completed', 1::bigint), ('pending', 2)$$, 'it finishes what it has begun, and none begins after the window');
SELECT dblink_disconnect('holder'), dblink_disconnect('caller');

SELECT * FROM finish();
