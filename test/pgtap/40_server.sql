-- Checks of the server as a whole: what can be planted, missed narrowly and repaired in one server.  What needs a
-- standby, an archiver or a restart is in test/tap; fsync and its like are unit tests on built observations.
\ir common/prologue.sql


SELECT no_plan();

CREATE FUNCTION pg_temp.worst(check_id text, object text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT f.severity FROM opsrunbook.findings(ARRAY[$1]) f WHERE $2 IS NULL OR f.object = $2 LIMIT 1), 'OK')
$$;
CREATE FUNCTION pg_temp.fix(check_id text, object text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT f.fix FROM opsrunbook.findings(ARRAY[$1]) f WHERE $2 IS NULL OR f.object = $2 LIMIT 1
$$;
CREATE FUNCTION pg_temp.myself() RETURNS text LANGUAGE sql AS $$
    SELECT format('host=%s port=%s dbname=%s', split_part(current_setting('unix_socket_directories'), ',', 1),
                  current_setting('port'), quote_literal(current_database()))
$$;
-- in a session of its own, where ALTER DATABASE's settings count and ALTER SYSTEM may run
CREATE FUNCTION pg_temp.elsewhere(command text) RETURNS text LANGUAGE sql AS $$
    SELECT * FROM public.dblink(pg_temp.myself(), $1) AS t(answer text)
$$;
CREATE FUNCTION pg_temp.run_elsewhere(command text) RETURNS text LANGUAGE sql AS $$
    SELECT public.dblink_exec(pg_temp.myself(), $1)
$$;
CREATE FUNCTION pg_temp.worst_elsewhere(check_id text, object text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.elsewhere(format($q$SELECT coalesce((SELECT severity FROM opsrunbook.findings(ARRAY[%L]) WHERE object = %L LIMIT 1), 'OK')$q$, $1, $2))
$$;
CREATE FUNCTION pg_temp.fix_elsewhere(check_id text, object text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.elsewhere(format('SELECT fix FROM opsrunbook.findings(ARRAY[%L]) WHERE object = %L LIMIT 1', $1, $2))
$$;
CREATE FUNCTION pg_temp.wait_for(condition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE answer boolean;
BEGIN
    FOR attempt IN 1..9000 LOOP
        PERFORM pg_stat_clear_snapshot();
        EXECUTE 'SELECT ' || condition INTO answer;
        IF answer THEN RETURN true; END IF;
        PERFORM pg_sleep(0.02);
    END LOOP;
    RETURN false;
END
$$;

-- Everything of these categories is measured for a superuser, and has what a reader needs
SELECT is_empty(
    $$SELECT check_id, message FROM opsrunbook.findings() WHERE severity = 'UNKNOWN'
      AND category IN ('replication', 'wal', 'integrity', 'configuration', 'storage', 'wraparound')$$,
    'nothing is unmeasured for a superuser');
SELECT is_empty(
    $$SELECT id FROM opsrunbook.checks WHERE explanation = '' OR source = '' OR title = ''$$,
    'every check says what it does and where its formula comes from');
SELECT is((SELECT count(*) FROM opsrunbook.list_checks()), (SELECT count(DISTINCT check_id) FROM opsrunbook.findings(include_ok => true)),
    'each check of the registry has its say');
SELECT is_empty(
    $$SELECT check_id FROM opsrunbook.findings() WHERE severity IN ('WARNING', 'CRITICAL') AND fix IS NULL$$,
    'every finding names its remedy');

-- dangerous_settings and planner_switches: set for this database
SELECT is(pg_temp.worst_elsewhere('dangerous_settings', 'zero_damaged_pages'), 'OK', 'dangerous_settings: zero_damaged_pages is off');
SET zero_damaged_pages = on;
SELECT is(pg_temp.worst('dangerous_settings', 'zero_damaged_pages'), 'OK', 'dangerous_settings: near miss: a setting of one session is no finding');
RESET zero_damaged_pages;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET zero_damaged_pages = on', current_database()); END $$;
SELECT is(pg_temp.worst_elsewhere('dangerous_settings', 'zero_damaged_pages'), 'CRITICAL', 'dangerous_settings: fires: on for the database');
SELECT pg_temp.run_elsewhere(pg_temp.fix_elsewhere('dangerous_settings', 'zero_damaged_pages')) \g /dev/null
SELECT is(pg_temp.worst_elsewhere('dangerous_settings', 'zero_damaged_pages'), 'OK', 'dangerous_settings: clears: clear after its fix');

SET enable_seqscan = off;
SELECT is(pg_temp.worst('planner_switches'), 'OK', 'planner_switches: near miss: an experiment in a session is no finding');
RESET enable_seqscan;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET enable_nestloop = off', current_database()); END $$;
SELECT is(pg_temp.worst_elsewhere('planner_switches', 'enable_nestloop'), 'WARNING', 'planner_switches: fires: off for the database');
SELECT pg_temp.run_elsewhere(pg_temp.fix_elsewhere('planner_switches', 'enable_nestloop')) \g /dev/null
SELECT is(pg_temp.worst_elsewhere('planner_switches', 'enable_nestloop'), 'OK', 'planner_switches: clears: clear after its fix');

-- pending_restart, which is no error of the configuration files; and a real error, which is
SELECT is(pg_temp.worst('pending_restart'), 'OK', 'pending_restart: near miss: nothing waits');
ALTER SYSTEM SET max_files_per_process = 1234;
SELECT pg_reload_conf() \g /dev/null
SELECT ok(pg_temp.wait_for($$(SELECT pending_restart FROM pg_settings WHERE name = 'max_files_per_process')
    OR pg_temp.elsewhere('SELECT bool_or(pending_restart)::text FROM pg_settings')::boolean$$), 'the reload was seen');
SELECT is(pg_temp.elsewhere($$SELECT severity FROM opsrunbook.findings(ARRAY['pending_restart'])$$), 'WARNING', 'pending_restart: fires: one waits');
SELECT is(pg_temp.elsewhere($$SELECT coalesce(max(severity), 'OK') FROM opsrunbook.findings(ARRAY['configuration_file_errors'])$$), 'OK',
    'configuration_file_errors: near miss: what waits for a restart is no error');
-- a value that is merely removed would stay marked: the server compares only what the file contains
DO $$ BEGIN PERFORM pg_temp.run_elsewhere(format('ALTER SYSTEM SET max_files_per_process = %s', current_setting('max_files_per_process'))); END $$;
SELECT pg_reload_conf() \g /dev/null
SELECT ok(pg_temp.wait_for($$NOT pg_temp.elsewhere('SELECT bool_or(pending_restart)::text FROM pg_settings')::boolean$$), 'taken back');
SELECT is(pg_temp.elsewhere($$SELECT coalesce(max(severity), 'OK') FROM opsrunbook.findings(ARRAY['pending_restart'])$$), 'OK', 'pending_restart: clears: clear');
ALTER SYSTEM RESET max_files_per_process;
SELECT pg_reload_conf() \g /dev/null

SELECT current_setting('data_directory') || '/postgresql.auto.conf' AS auto_conf \gset
SELECT pg_read_file(:'auto_conf') AS auto_conf_before \gset
COPY (SELECT unnest(string_to_array(rtrim(:'auto_conf_before', E'\n'), E'\n') || ARRAY['work_mem = ''plenty'''])) TO PROGRAM 'cat > postgresql.auto.conf';
SELECT is(pg_temp.worst('configuration_file_errors'), 'CRITICAL', 'configuration_file_errors: fires: a value that does not parse');
ALTER SYSTEM RESET work_mem;
SELECT is(pg_temp.worst('configuration_file_errors'), 'OK', 'configuration_file_errors: clears: clear once the line is gone');

-- pg_hba.conf: read by the view, never loaded here
SELECT is(pg_temp.worst('hba_errors'), 'OK', 'hba_errors: near miss: the file is right');
COPY (SELECT 'local all all md6') TO PROGRAM 'cp pg_hba.conf pg_hba.conf.before && cat >> pg_hba.conf';
SELECT is(pg_temp.worst('hba_errors'), 'CRITICAL', 'hba_errors: fires: a method that does not exist');
COPY (SELECT 1) TO PROGRAM 'mv pg_hba.conf.before pg_hba.conf';
SELECT is(pg_temp.worst('hba_errors'), 'OK', 'hba_errors: clears: clear once corrected');

-- invalid_databases
CREATE DATABASE "Half dropped";
SELECT is(pg_temp.worst('invalid_databases', 'Half dropped'), 'OK', 'invalid_databases: near miss: a whole one');
UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'Half dropped';
SELECT is(pg_temp.worst('invalid_databases', 'Half dropped'), 'WARNING', 'invalid_databases: fires: left over');
SELECT pg_temp.fix('invalid_databases', 'Half dropped') AS command \gset
:command;
SELECT is(pg_temp.worst('invalid_databases'), 'OK', 'invalid_databases: clears: clear after its fix');

-- collation_version: a collation that an index uses, made to look old
CREATE COLLATION "Old One" (provider = icu, locale = 'de');
CREATE TABLE sorted (t text COLLATE "Old One");
UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'Old One';
SELECT is(pg_temp.worst('collation_version'), 'OK', 'collation_version: near miss: no index uses it');
CREATE INDEX ON sorted (t);
SELECT is(pg_temp.worst('collation_version', 'collation public."Old One"'), 'WARNING', 'collation_version: fires: an index uses it');
SELECT pg_temp.fix('collation_version', 'collation public."Old One"') AS command \gset
:command
SELECT is(pg_temp.worst('collation_version'), 'OK', 'collation_version: clears: clear after its fix: ' || :'command');
DROP TABLE sorted;

-- … and the database's own
UPDATE pg_database SET datcollversion = '1.0' WHERE datname = current_database() AND datcollversion IS NOT NULL;
SELECT is(pg_temp.worst('collation_version'),
    CASE WHEN datcollversion IS NULL THEN 'OK' ELSE 'WARNING' END, 'collation_version: the database was built with another library')
    FROM pg_database WHERE datname = current_database();
SELECT coalesce(pg_temp.fix('collation_version', current_database()), '-- nothing to do') AS command \gset
:command
SELECT is(pg_temp.worst('collation_version'), 'OK', 'collation_version: clear after its fix: ' || :'command');

-- extension_updates
CREATE EXTENSION hstore VERSION '1.4';
SELECT is(pg_temp.worst('extension_updates', 'hstore'), 'WARNING', 'extension_updates: fires: an old version');
SELECT pg_temp.fix('extension_updates', 'hstore') AS command \gset
:command;
SELECT is(pg_temp.worst('extension_updates', 'hstore'), 'OK', 'extension_updates: clears: clear after its fix');
UPDATE pg_extension SET extversion = '99.0' WHERE extname = 'hstore';
SELECT is(pg_temp.worst('extension_updates', 'hstore'), 'OK', 'extension_updates: near miss: newer than the default is fine');
UPDATE pg_extension SET extname = 'no_such_files' WHERE extname = 'hstore';
SELECT is(pg_temp.worst('extension_updates', 'no_such_files'), 'WARNING', 'extension_updates: the files are gone');
UPDATE pg_extension SET extname = 'hstore' WHERE extname = 'no_such_files';
DROP EXTENSION hstore;

-- Thresholds: what is measured lies between two of them
CREATE FUNCTION pg_temp.threshold(metric text, warning numeric, critical numeric) RETURNS void LANGUAGE sql AS $$
    UPDATE performance.alert_thresholds t SET warning_threshold = $2, critical_threshold = $3 WHERE t.metric_name = $1 AND t.object = ''
$$;
SELECT pg_temp.threshold('disk_free_pct', 100, 0) \g /dev/null
SELECT matches(pg_temp.worst('disk_space'), '^(WARNING|OK)$', 'disk_space: less than all is free, or there is plenty');
SELECT pg_temp.threshold('memory_commitment_pct', 0, 100000) \g /dev/null
SELECT is(pg_temp.worst('memory_settings'), 'WARNING', 'memory_settings: fires: more than nothing is promised');
SELECT pg_temp.threshold('memory_commitment_pct', 100, 200) \g /dev/null
SELECT is(pg_temp.worst('memory_settings'), 'OK', 'memory_settings: near miss: clear');
SELECT pg_temp.threshold('multixact_members_pct', 0, 50) \g /dev/null
SELECT is(pg_temp.worst('multixact_members'), 'WARNING', 'multixact_members: fires: there is a first segment');
SELECT pg_temp.threshold('multixact_members_pct', 50, 75) \g /dev/null
SELECT is(pg_temp.worst('multixact_members'), 'OK', 'multixact_members: near miss: clear');

-- notify_queue: a listener in a transaction keeps the queue from being emptied; its fix tells who it may be
SELECT pg_temp.threshold('notify_queue_pct', 0, 50) \g /dev/null
SELECT is(pg_temp.worst('notify_queue'), 'OK', 'notify_queue: near miss: empty');
SELECT dblink_connect('listener', pg_temp.myself()) \g /dev/null
SELECT dblink_exec('listener', 'LISTEN c') \g /dev/null
SELECT dblink_exec('listener', 'BEGIN') \g /dev/null
SELECT count(pg_notify('c', g || repeat('x', 4000))) FROM generate_series(1, 10) g \g /dev/null
SELECT is(pg_temp.worst('notify_queue'), 'WARNING', 'notify_queue: fires: a listener sits in a transaction');
SELECT pg_temp.fix('notify_queue') AS command \gset
SELECT matches(:'command'::text, '^-- ', 'notify_queue: its fix ends nobody');
SELECT substring(:'command' FROM 'SELECT [^;]*') AS candidates \gset
:candidates \gset
SELECT is(:'query'::text, 'BEGIN', 'but its statement shows the session in a transaction');
SELECT pg_temp.elsewhere(format('SELECT pg_terminate_backend(%s)', :'pid')) \g /dev/null
SELECT ok(pg_temp.wait_for('pg_notification_queue_usage() = 0'), 'the queue is read');
SELECT is(pg_temp.worst('notify_queue'), 'OK', 'notify_queue: clears: clear after its fix');
SELECT pg_temp.threshold('notify_queue_pct', 50, 75) \g /dev/null

-- A pg_monitor member sees the same, except for the files that are the superuser's
CREATE ROLE server_monitor;
GRANT pg_monitor TO server_monitor;
CREATE TEMP TABLE as_superuser AS SELECT check_id, severity FROM opsrunbook.findings(include_ok => true)
    WHERE category IN ('replication', 'wal', 'integrity', 'configuration', 'storage', 'wraparound');
GRANT SELECT ON as_superuser TO server_monitor;
SET ROLE server_monitor;
CREATE TEMP TABLE as_monitor AS SELECT check_id, severity, fix FROM opsrunbook.findings(include_ok => true)
    WHERE category IN ('replication', 'wal', 'integrity', 'configuration', 'storage', 'wraparound');
RESET ROLE;
SELECT set_eq(
    $$SELECT check_id, severity FROM as_monitor WHERE check_id NOT IN ('configuration_file_errors', 'hba_errors')$$,
    $$SELECT check_id, severity FROM as_superuser WHERE check_id NOT IN ('configuration_file_errors', 'hba_errors')$$,
    'a pg_monitor member gets the same verdicts');
SELECT set_eq(
    $$SELECT check_id, severity FROM as_monitor WHERE fix LIKE 'GRANT SELECT ON pg_catalog.%'$$,
    $$VALUES ('configuration_file_errors', 'UNKNOWN'), ('hba_errors', 'UNKNOWN')$$,
    'or UNKNOWN with the missing privilege');
SELECT fix AS command FROM as_monitor WHERE check_id = 'hba_errors' \gset
:command;
SET ROLE server_monitor;
SELECT is(pg_temp.worst('hba_errors'), 'OK', 'and the fix is the privilege');
RESET ROLE;
DROP OWNED BY server_monitor;
DROP ROLE server_monitor;

SELECT * FROM finish();
