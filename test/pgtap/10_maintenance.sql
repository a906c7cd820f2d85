-- Maintenance: only what needs work is worked on, each outcome with its proof.
\ir common/prologue.sql
SELECT no_plan();

CREATE TABLE half_updated (id int PRIMARY KEY, v text);
INSERT INTO half_updated SELECT g, 'x' FROM generate_series(1, 20000) g;
CREATE TABLE untouched AS SELECT g FROM generate_series(1, 20000) g;
CREATE TABLE "Odd ""name" (id int PRIMARY KEY);
INSERT INTO "Odd ""name" SELECT generate_series(1, 5000);
CREATE TABLE changed AS SELECT g FROM generate_series(1, 20000) g;
SELECT pg_stat_force_next_flush() \g /dev/null
VACUUM ANALYZE;
UPDATE half_updated SET v = 'y' WHERE id % 2 = 0;
DELETE FROM "Odd ""name" WHERE id > 10;
SELECT pg_stat_force_next_flush() \g /dev/null

SELECT results_eq(
    $$SELECT object_name FROM opsrunbook.plan_maintenance() ORDER BY 1$$,
    ARRAY['public."Odd ""name"', 'public.half_updated'],
    'the plan names the tables that need work, and no other');
SELECT is((SELECT count(*) FROM opsrunbook.tasks), 0::bigint, 'planning alone queues nothing');

SELECT is(auto_schedule_maintenance(), 2, 'two tasks are queued');
SELECT is(auto_schedule_maintenance(), 0, 'and not queued twice');
SELECT is((SELECT pending_tasks FROM get_maintenance_status()), 2::bigint, 'the status counts them');
SELECT ok(opsrunbook.cancel_task((SELECT min(task_id) FROM opsrunbook.tasks)), 'one is cancelled');
SELECT is((SELECT status || ': ' || message FROM opsrunbook.tasks ORDER BY task_id LIMIT 1), 'skipped: cancelled by ' || current_user, 'and says by whom');
SELECT throws_ok('SELECT opsrunbook.cancel_task(-1)', '42704', 'task -1 does not exist', 'a task that is not there');

CREATE TEMP TABLE before AS SELECT score FROM calculate_database_health_score() WHERE component = 'overall';
CREATE TEMP TABLE outcome AS SELECT * FROM run_automated_maintenance();
SELECT results_eq($$SELECT object_name, status FROM outcome ORDER BY 1$$,
    $$VALUES ('public."Odd ""name"', 'completed'), ('public.half_updated', 'completed')$$, 'both tables are done');
SELECT is((SELECT sum(n_dead_tup) FROM pg_stat_user_tables)::bigint, 0::bigint, 'no dead row is left in any table');
SELECT ok((SELECT bytes_reclaimed > 0 FROM outcome WHERE object_name LIKE '%Odd%'), 'bytes were given back');
SELECT ok((SELECT bool_and(started_at IS NOT NULL AND duration > interval '0') FROM outcome), 'with start and duration');
SELECT is((SELECT count(*) FROM pg_stat_user_tables WHERE relname = 'untouched' AND vacuum_count = 1), 1::bigint, 'the table in order was left alone');
SELECT cmp_ok((SELECT score FROM calculate_database_health_score() WHERE component = 'overall'), '>=', (SELECT score FROM before), 'the score is not lower');

INSERT INTO changed SELECT generate_series(1, 20000);
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT is(update_table_statistics(), 1, 'one table is analyzed');
SELECT is(update_table_statistics(), 0, 'and then none');
DELETE FROM changed WHERE g < 5000;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT matches(optimize_database(), '^1 table vacuumed, .* dead rows removed', 'optimize_database() says what it did');
DELETE FROM changed WHERE g < 9000;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT matches((SELECT string_agg(maintenance_log, ' ') FROM backup_recovery.perform_maintenance()), 'VACUUM .*public\.changed: completed', 'perform_maintenance() logs a line a task');
DELETE FROM changed WHERE g < 12000;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT results_eq($$SELECT maintenance_task, status FROM perform_routine_maintenance()$$, $$VALUES ('vacuum public.changed', 'completed')$$, 'perform_routine_maintenance()');
SELECT is((SELECT failed_tasks FROM get_maintenance_status()), 0::bigint, 'nothing failed');

SELECT * FROM finish();
