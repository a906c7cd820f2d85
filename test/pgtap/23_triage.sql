\ir common/prologue.sql

SELECT no_plan();

SELECT set_config('client_min_messages', 'error', false);
CREATE ROLE bystander LOGIN;
CREATE ROLE watcher;
GRANT pg_monitor TO watcher;

-- kill_long_queries: a statement, an idle session, and one that the caller may not signal
SELECT pg_temp.link('runner') AS runner \gset
SELECT pg_temp.link('idler') AS idler \gset
SELECT is((SELECT count(*) FROM performance.kill_long_queries(30)), 0::bigint, 'kill_long_queries: nothing runs for long');
SELECT dblink_send_query('runner', 'SELECT pg_sleep(600), ''mine''') \g /dev/null
SELECT ok(pg_temp.comes_true(format('EXISTS (SELECT FROM performance.active_queries WHERE pid = %s AND state = ''active'')', :runner)), 'active_queries shows it');
BEGIN;
SET LOCAL ROLE watcher;
SELECT method AS refused FROM performance.kill_long_queries(0) WHERE killed_pid = :runner \gset
COMMIT;
SELECT matches(:'refused'::text, '^not permitted: .+', 'kill_long_queries: refused by the server''s own rule, and says so');
SELECT is((SELECT count(*) FROM performance.kill_long_queries(30)), 0::bigint, 'kill_long_queries: not yet long');
SELECT results_eq(format('SELECT killed_pid, query_duration_minutes, query_text, method FROM performance.kill_long_queries(0) WHERE killed_pid IN (%s, %s)', :runner, :idler),
    format($$VALUES (%s, 0, 'SELECT pg_sleep(600), ''mine''', 'cancel')$$, :runner), 'kill_long_queries: cancelled, and nothing else');
SELECT ok(EXISTS (SELECT FROM pg_stat_activity WHERE pid = :runner), 'kill_long_queries: its session lives on');
SELECT throws_ok('SELECT * FROM performance.kill_long_queries(-1)', '22023', NULL, 'kill_long_queries: a negative time is refused');
SELECT throws_ok('SELECT * FROM performance.kill_long_queries(NULL)', '22023', NULL, 'kill_long_queries: and so is NULL');
SELECT dblink_disconnect('runner') \g /dev/null

-- One that ignores the cancel: it catches it and goes on.
CREATE FUNCTION stubborn() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR attempt IN 1 .. 100 LOOP
        BEGIN
            PERFORM pg_sleep(600);
        EXCEPTION WHEN query_canceled THEN NULL;
        END;
    END LOOP;
END $$;
SELECT pg_temp.link('stubborn') AS stubborn \gset
SELECT dblink_send_query('stubborn', 'SELECT stubborn()') \g /dev/null
SELECT ok(pg_temp.comes_true(format('EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event = ''PgSleep'')', :stubborn)), 'a statement that ignores cancels runs');
SELECT is((SELECT method FROM performance.kill_long_queries(0) WHERE killed_pid = :stubborn), 'terminate', 'kill_long_queries: who ignores the cancel is disconnected');
SELECT ok(pg_temp.comes_true(format('NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)', :stubborn)), 'kill_long_queries: and gone');
SELECT dblink_disconnect('stubborn') \g /dev/null

-- reset_idle_connections
SELECT pg_temp.link('sitter') AS sitter \gset
SELECT dblink_exec('sitter', 'BEGIN') \g /dev/null
SELECT ok(pg_temp.comes_true(format('(SELECT count(*) = 2 FROM pg_stat_activity WHERE pid IN (%s, %s) AND state LIKE ''idle%%'')', :sitter, :idler)), 'one idles, one in a transaction');
SELECT is((SELECT count(*) FROM performance.reset_idle_connections()), 0::bigint, 'reset_idle_connections: not idle for ten minutes');
SELECT is((SELECT array_agg(pid) FROM performance.reset_idle_connections(0, false) WHERE pid IN (:sitter, :idler)), ARRAY[:idler], 'reset_idle_connections: transactions are spared when asked');
SELECT results_eq(format('SELECT pid, state, method FROM performance.reset_idle_connections(0) WHERE pid = %s', :sitter),
    format($$VALUES (%s, 'idle in transaction', 'terminate')$$, :sitter), 'reset_idle_connections: and ended otherwise');
SELECT ok(NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid IN (:sitter, :idler)) OR pg_temp.comes_true(format('NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid IN (%s, %s))', :sitter, :idler)), 'reset_idle_connections: both are gone');
SELECT dblink_disconnect(c) FROM unnest(ARRAY['idler', 'sitter']) c \g /dev/null

-- connection_pool_status
SELECT is((SELECT status FROM performance.connection_pool_status WHERE state = 'active'), 'OK', 'connection_pool_status: room enough');
SELECT pg_temp.set_thresholds('connections_pct', 0.5, 0.9);
SELECT is((SELECT status FROM performance.connection_pool_status WHERE state = 'active'), 'CRITICAL', 'connection_pool_status: by the thresholds in force');
SELECT pg_temp.set_thresholds('connections_pct', 75, 90);

-- table_access_patterns
CREATE TABLE counted (n integer PRIMARY KEY, m integer) WITH (fillfactor = 50);
CREATE INDEX counted_m ON counted (m);
INSERT INTO counted SELECT n, n FROM generate_series(1, 10) n;
UPDATE counted SET m = m + 1 WHERE n <= 5;
SELECT pg_stat_force_next_flush();
SELECT results_eq('SELECT inserts, updates, deletes, hot_updates, hot_update_ratio FROM performance.table_access_patterns WHERE tablename = ''counted''',
    'VALUES (10::bigint, 5::bigint, 0::bigint, 0::bigint, 0.00)', 'table_access_patterns: what was written, and that no update was HOT');

-- maintenance mode
SELECT pg_temp.link('before') AS before \gset
SELECT is((SELECT active FROM opsrunbook.maintenance_mode), false, 'maintenance_mode: off');
SELECT throws_ok('SELECT opsrunbook.exit_maintenance_mode()', '55000', NULL, 'exit_maintenance_mode: only when in it');
SELECT throws_ok('SELECT * FROM opsrunbook.enter_maintenance_mode(''  '')', '22023', NULL, 'enter_maintenance_mode: needs a reason');
SELECT results_eq('SELECT pid, action FROM opsrunbook.enter_maintenance_mode(''moving house: it''''s late'') WHERE pid IS NOT NULL',
    format($$VALUES (%s, 'can still write')$$, :before), 'enter_maintenance_mode: lists the session that was open');
SELECT results_eq('SELECT active, reason, entered_by, read_only_in_force, sessions_able_to_write >= 1 FROM opsrunbook.maintenance_mode',
    format($$VALUES (true, 'moving house: it''s late', %L, true, true)$$, session_user), 'maintenance_mode: on, with the reason');
SELECT throws_ok('SELECT * FROM opsrunbook.enter_maintenance_mode(''again'')', '55000', NULL, 'enter_maintenance_mode: not twice');
SELECT is(dblink_exec('before', 'INSERT INTO counted VALUES (11, 11)'), 'INSERT 0 1', 'a session that was open still writes');
SELECT pg_temp.link('after') AS after \gset
SELECT throws_ok($$SELECT dblink_exec('after', 'INSERT INTO counted VALUES (12, 12)')$$, '25006', NULL, 'a session that starts now does not');
CREATE FUNCTION pg_temp.hint_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE statement;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN hint;
END $$;
SELECT current_setting('shared_preload_libraries') LIKE '%opsrunbook%' AS preloaded \gset
\if :preloaded
SELECT is(pg_temp.hint_of($$SELECT dblink_exec('after', 'DELETE FROM counted')$$), 'The database is in maintenance mode: moving house: it''s late', 'and is told why');
\endif
SELECT is((SELECT count(*) FROM dblink('after', 'SELECT count(*) FROM opsrunbook.findings()') AS d(n bigint)), 1::bigint, 'what reads works in it');
SELECT throws_ok($$SELECT dblink_exec('after', 'BEGIN READ ONLY; SELECT opsrunbook.exit_maintenance_mode()')$$, NULL, NULL, 'dblink_exec wants a command');
SELECT dblink_exec('after', 'ROLLBACK') \g /dev/null
SELECT matches((SELECT t FROM dblink('after', 'SELECT opsrunbook.exit_maintenance_mode()') AS d(t text)), '^maintenance mode ended after ', 'exit_maintenance_mode: also from a session that is read-only by it');
SELECT is((SELECT active OR read_only_in_force FROM opsrunbook.maintenance_mode), false, 'maintenance_mode: off again');
SELECT is((SELECT count(*) FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())), 0::bigint, 'nothing is left of it in the database''s settings');
SELECT dblink_disconnect('after') \g /dev/null
SELECT ok(pg_temp.comes_true(format('NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)', :after)), 'that session has ended');

-- with sessions disconnected, and a previous setting put back
SELECT format('ALTER DATABASE %I SET default_transaction_read_only = off', current_database()) \gexec
SELECT results_eq('SELECT pid, action FROM opsrunbook.enter_maintenance_mode(''again'', true) WHERE pid IS NOT NULL',
    format($$VALUES (%s, 'terminated')$$, :before), 'enter_maintenance_mode: disconnects who could write, when asked');
SELECT is((SELECT sessions_terminated FROM opsrunbook.maintenance_period WHERE left_at IS NULL), 1::bigint, 'and keeps count');
SELECT opsrunbook.exit_maintenance_mode();
SELECT is((SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())),
    ARRAY['default_transaction_read_only=off'], 'exit_maintenance_mode: the setting is what it was');
SELECT dblink_disconnect('before') \g /dev/null

-- rights
BEGIN;
SET LOCAL ROLE watcher;
SELECT throws_ok('SELECT * FROM opsrunbook.enter_maintenance_mode(''me too'')', '42501', NULL, 'enter_maintenance_mode: for the database''s owner');
SELECT lives_ok('SELECT * FROM performance.blocking_tree', 'blocking_tree: for pg_monitor');
COMMIT;
BEGIN;
SET LOCAL ROLE bystander;
SELECT throws_ok(format('SELECT * FROM %s', r), '42501', NULL, r || ': not for everybody')
FROM unnest(ARRAY['performance.kill_long_queries(30)', 'performance.reset_idle_connections(10)', 'performance.optimize_cache()', 'performance.active_queries',
    'performance.connection_pool_status', 'performance.blocking_tree', 'opsrunbook.list_blocking_tree()', 'opsrunbook.exit_maintenance_mode()']) r;
SELECT lives_ok('SELECT reason FROM opsrunbook.maintenance_mode', 'maintenance_mode: for everybody');
COMMIT;

DROP ROLE watcher, bystander;
SELECT * FROM finish();
