-- The checks of VACUUM and ANALYZE, on tables that autovacuum leaves alone.
\ir common/prologue.sql

CREATE FUNCTION pg_temp.worst(check_id text, object text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT f.severity FROM opsrunbook.findings(ARRAY[$1]) f WHERE $2 IS NULL OR f.object = $2 LIMIT 1), 'OK')
$$;
CREATE FUNCTION pg_temp.fix(check_id text, object text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT f.fix FROM opsrunbook.findings(ARRAY[$1]) f WHERE $2 IS NULL OR f.object = $2 LIMIT 1
$$;
-- Runs a statement in a session that sees the settings as the server has them now.
CREATE FUNCTION pg_temp.elsewhere(command text) RETURNS text LANGUAGE sql AS $$
    SELECT * FROM public.dblink(format('host=%s port=%s dbname=%L', split_part(current_setting('unix_socket_directories'), ',', 1),
        current_setting('port'), current_database()), $1) AS t(answer text)
$$;

SELECT no_plan();

-- Autovacuum off for the server
ALTER SYSTEM SET autovacuum = on;
SELECT pg_reload_conf() \g /dev/null
SELECT ok(pg_temp.comes_true($$pg_temp.elsewhere('SHOW autovacuum') = 'on'$$), 'autovacuum is on');
SELECT is(pg_temp.elsewhere($$SELECT count(*)::text FROM opsrunbook.findings('{autovacuum_off}')$$), '0', 'autovacuum_off: near miss: it is on');
ALTER SYSTEM SET autovacuum = off;
SELECT pg_reload_conf() \g /dev/null
SELECT ok(pg_temp.comes_true($$pg_temp.elsewhere('SHOW autovacuum') = 'off'$$), 'autovacuum is off');
SELECT is(pg_temp.elsewhere($$SELECT severity FROM opsrunbook.findings('{autovacuum_off}') WHERE object IS NULL OR object = ''$$), 'CRITICAL', 'autovacuum_off: fires: off for the server');
SELECT pg_temp.elsewhere($$SELECT fix FROM opsrunbook.findings('{autovacuum_off}') LIMIT 1$$) AS fix \gset
SELECT is(:'fix'::text, 'ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();', 'autovacuum_off: what to run');
CREATE TABLE "Left alone" (n integer) WITH (autovacuum_enabled = off);
SELECT is(pg_temp.worst('autovacuum_off', 'public."Left alone"'), 'WARNING', 'autovacuum_off: off for one table');
SELECT pg_temp.fix('autovacuum_off', 'public."Left alone"') \gexec
SELECT is(pg_temp.worst('autovacuum_off', 'public."Left alone"'), 'OK', 'autovacuum_off: clears: after its fix');
ALTER TABLE "Left alone" SET (autovacuum_enabled = off);

-- Dead rows: many, and more than autovacuum itself tolerates
INSERT INTO "Left alone" SELECT generate_series(1, 90000);
SELECT pg_stat_force_next_flush() \g /dev/null
VACUUM (ANALYZE) "Left alone";
DELETE FROM "Left alone" WHERE n <= 9000;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT is(pg_temp.worst('dead_tuples', 'public."Left alone"'), 'OK', 'dead_tuples: 9,000 are few');
SELECT is(pg_temp.worst('vacuum_overdue'), 'OK', 'vacuum_overdue: near miss: fewer dead rows than a fifth');
SELECT is(pg_temp.worst('stale_statistics'), 'OK', 'stale_statistics: near miss: a tenth of the rows at most changed');
DELETE FROM "Left alone" WHERE n <= 20000;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT is(pg_temp.worst('dead_tuples', 'public."Left alone"'), 'WARNING', 'dead_tuples: 20,000, more than a fifth, and nobody to clean them');
SELECT is(pg_temp.worst('vacuum_overdue'), 'WARNING', 'vacuum_overdue: fires: more than a fifth');
SELECT is(pg_temp.worst('stale_statistics'), 'WARNING', 'stale_statistics: fires: more than a tenth changed');
SELECT is(pg_temp.fix('stale_statistics'), 'ANALYZE public."Left alone";', 'stale_statistics: what to run');
SELECT pg_temp.fix('stale_statistics') \gexec
SELECT is(pg_temp.worst('stale_statistics'), 'OK', 'stale_statistics: clears: after its fix');
SELECT is(pg_temp.worst('vacuum_overdue'), 'WARNING', 'which removes no dead row');
SELECT is(pg_temp.fix('dead_tuples'), 'VACUUM public."Left alone";', 'dead_tuples: what to run');
SELECT pg_temp.fix('vacuum_overdue') \gexec
SELECT is(pg_temp.worst('vacuum_overdue'), 'OK', 'vacuum_overdue: clears: after its fix');
SELECT is(pg_temp.worst('dead_tuples', 'public."Left alone"'), 'OK', 'dead_tuples: clears: by the same');

-- Never analyzed
CREATE TABLE unknown_to_the_planner (n integer) WITH (autovacuum_enabled = off);
INSERT INTO unknown_to_the_planner SELECT generate_series(1, 40);
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT is(pg_temp.worst('stale_statistics'), 'OK', 'a handful of rows may do without statistics');
INSERT INTO unknown_to_the_planner SELECT generate_series(1, 4000);
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT matches((SELECT message FROM opsrunbook.findings('{stale_statistics}')), '1 never analyzed', 'thousands may not');
SELECT cmp_ok(update_table_statistics(), '>=', 1, 'update_table_statistics() sees to it');
SELECT is(pg_temp.worst('stale_statistics'), 'OK', 'and all is well');

ALTER SYSTEM RESET autovacuum;
SELECT pg_reload_conf() \g /dev/null
SELECT * FROM finish();
