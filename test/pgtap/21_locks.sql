\ir common/prologue.sql

SELECT no_plan();

CREATE SCHEMA "Odd schema";
CREATE TABLE "Odd schema"."T" (n integer PRIMARY KEY);
INSERT INTO "Odd schema"."T" VALUES (1);

SELECT pg_temp.link('root') AS root \gset
SELECT pg_temp.link('middle') AS middle \gset
SELECT pg_temp.link('leaf') AS leaf \gset
SELECT pg_temp.link('row') AS row \gset

SELECT is(pg_temp.severity('blocked_sessions'), 'OK', 'nobody waits');
SELECT is((SELECT count(*) FROM performance.blocking_tree), 0::bigint, 'and the tree is empty');

-- A reader that idles in its transaction, a DDL that waits for it, and a reader that queues behind the DDL.
SELECT dblink_exec('root', 'BEGIN') \g /dev/null
SELECT n FROM dblink('root', 'SELECT n FROM "Odd schema"."T"') AS d(n integer);
SELECT dblink_exec('middle', 'BEGIN') \g /dev/null
SELECT dblink_send_query('middle', 'ALTER TABLE "Odd schema"."T" ADD COLUMN m integer') \g /dev/null
SELECT ok(pg_temp.comes_true(format('pg_blocking_pids(%s) = ARRAY[%s]', :middle, :root)), 'the ALTER TABLE waits');
SELECT dblink_send_query('leaf', 'SELECT count(*) FROM "Odd schema"."T"') \g /dev/null
SELECT ok(pg_temp.comes_true(format('%s = ANY (pg_blocking_pids(%s))', :middle, :leaf)), 'a reader queues behind it');

SELECT results_eq(
    format('SELECT root_pid, blocked_pid, blocked_by, depth, relation, mode, held_up_by_root FROM performance.blocking_tree WHERE root_pid = %s ORDER BY depth', :root),
    format($$VALUES (%1$s, %2$s, %1$s, 1, '"Odd schema"."T"', 'AccessExclusiveLock', 2), (%1$s, %3$s, %2$s, 2, '"Odd schema"."T"', 'AccessShareLock', 2)$$, :root, :middle, :leaf),
    'blocking_tree: the DDL below the idle reader, the other reader below the DDL');
SELECT is((SELECT DISTINCT command FROM performance.blocking_tree), format('SELECT pg_terminate_backend(%s);', :root), 'blocking_tree: ending the root is the way out');
SELECT is((SELECT DISTINCT root_state FROM performance.blocking_tree), 'idle in transaction', 'blocking_tree: what the root does');
SELECT is((SELECT blocked_by FROM performance.active_queries WHERE pid = :middle), ARRAY[:root], 'active_queries: blocked_by');

SELECT is(pg_temp.severity('blocked_sessions'), 'OK', 'blocked_sessions: near miss: not for long');
SELECT pg_temp.set_thresholds('lock_wait_seconds', 0, 300);
SELECT is(pg_temp.severity('blocked_sessions', 'pid ' || :root), 'WARNING', 'blocked_sessions: fires: above the threshold, under the root''s name');
SELECT is((SELECT count(*) FROM opsrunbook.findings('{blocked_sessions}')), 1::bigint, 'blocked_sessions: one finding a root');
SELECT matches((SELECT cause FROM opsrunbook.findings('{blocked_sessions}')), format('pid %s.* -> pid %s.*AccessExclusiveLock on "Odd schema"."T" -> pid %s', :root, :middle, :leaf), 'blocked_sessions: the chain as the cause');
SELECT is((SELECT evidence -> 'blocked' FROM opsrunbook.findings('{blocked_sessions}')), '2'::jsonb, 'blocked_sessions: two are held up');
SELECT is((SELECT severity FROM detect_performance_bottlenecks() WHERE bottleneck = 'blocked_sessions'), 'WARNING', 'blocked_sessions: a bottleneck');

-- Meanwhile, with an ACCESS EXCLUSIVE lock waited for, and in a moment held: every function that reads answers.
SET statement_timeout = '5s';
SELECT lives_ok(format('SELECT * FROM %s', r), r || ' answers while a lock is waited for')
FROM unnest(ARRAY['opsrunbook.findings()', 'calculate_database_health_score()', 'detect_performance_bottlenecks()', 'generate_performance_report()',
    'check_system_health()', 'performance.dashboard()', 'performance.check_alerts()', 'backup_recovery.health_check()', 'performance.optimize_cache()',
    'performance.active_queries', 'performance.connection_pool_status', 'performance.blocking_tree', 'performance.table_access_patterns',
    'opsrunbook.maintenance_mode', 'performance.alert_thresholds', 'opsrunbook.checks']) r;
RESET statement_timeout;
SELECT pg_temp.run_fix('blocked_sessions', 'pid ' || :root);
SELECT ok(pg_temp.comes_true(format('EXISTS (SELECT FROM pg_locks WHERE pid = %s AND granted AND mode = ''AccessExclusiveLock'' AND relation = ''"Odd schema"."T"''::regclass)', :middle)), 'the root ended, and the DDL has its lock');
SELECT is(pg_temp.severity('blocked_sessions', 'pid ' || :root), 'OK', 'blocked_sessions: clears: the remedy clears that root');
SELECT is(pg_temp.severity('blocked_sessions', 'pid ' || :middle), 'WARNING', 'blocked_sessions: now the DDL, idle in its transaction, is the root');
SET statement_timeout = '5s';
SELECT lives_ok(format('SELECT * FROM %s', r), r || ' answers while the lock is held')
FROM unnest(ARRAY['opsrunbook.findings()', 'calculate_database_health_score()', 'detect_performance_bottlenecks()', 'generate_performance_report()',
    'check_system_health()', 'performance.dashboard()', 'performance.check_alerts()', 'backup_recovery.health_check()', 'performance.optimize_cache()',
    'performance.active_queries', 'performance.connection_pool_status', 'performance.blocking_tree', 'performance.table_access_patterns',
    'opsrunbook.maintenance_mode', 'performance.alert_thresholds', 'opsrunbook.checks']) r;
RESET statement_timeout;
SELECT pg_terminate_backend(:middle);
SELECT ok(pg_temp.comes_true('NOT EXISTS (SELECT FROM opsrunbook.findings(''{blocked_sessions}''))'), 'blocked_sessions: clear');
SELECT dblink_disconnect(c) FROM unnest(ARRAY['root', 'middle', 'leaf']) c \g /dev/null

-- A row lock: the tree names the table, not only a transaction id.  The holder is this very session.
BEGIN;
UPDATE "Odd schema"."T" SET n = 2;
SELECT dblink_send_query('row', 'DELETE FROM "Odd schema"."T"') \g /dev/null
SELECT ok(pg_temp.comes_true(format('cardinality(pg_blocking_pids(%s)) > 0', :row)), 'a DELETE waits for a row');
SELECT results_eq('SELECT root_pid, blocked_pid, relation FROM performance.blocking_tree',
    format($$VALUES (pg_backend_pid(), %s, '"Odd schema"."T"')$$, :row), 'blocking_tree: the caller himself as the root, and the row''s table');
COMMIT;
SELECT ok(pg_temp.comes_true(format('pg_blocking_pids(%s) = ''{}''', :row)), 'it goes on');
SELECT dblink_disconnect('row') \g /dev/null

SELECT is(pg_temp.severity('autovacuum_blocked'), 'OK', 'autovacuum_blocked: nothing waits');

SELECT * FROM finish();
