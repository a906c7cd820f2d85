\ir common/prologue.sql

SELECT no_plan();
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;

CREATE FUNCTION pg_temp.churn(commits integer, rolled_back integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM dblink_exec('worker', 'BEGIN; COMMIT', false) FROM generate_series(1, commits);
    PERFORM dblink_exec('worker', 'BEGIN; ROLLBACK', false) FROM generate_series(1, rolled_back);
    -- commits alone do not make a session report: it must have read something
    PERFORM count(*) FROM dblink('worker', 'SELECT pg_stat_force_next_flush()::text FROM pg_class LIMIT 1') AS d(t text);
END $$;

SELECT is((SELECT count(*) FROM opsrunbook.findings('{cache_hit_ratio,temp_files,deadlocks,rollbacks,conflicts,slow_statements,dominant_statement,statement_evictions}')),
    0::bigint, 'a fresh database raises no alarm about its performance');

-- rollbacks: a floor first, then the share
SELECT pg_temp.link('worker');
SELECT pg_stat_reset();
SELECT pg_temp.churn(0, 150);
SELECT ok(pg_temp.comes_true('(SELECT xact_rollback >= 150 FROM pg_stat_database WHERE datname = current_database())'), '150 rollbacks are counted');
SELECT is(pg_temp.severity('rollbacks'), 'OK', 'rollbacks: too few transactions to tell');
SELECT pg_temp.churn(1400, 0);
SELECT ok(pg_temp.comes_true('(SELECT xact_commit >= 1400 FROM pg_stat_database WHERE datname = current_database())'), '1,400 commits are counted');
SELECT is(pg_temp.severity('rollbacks'), 'OK', 'rollbacks: near miss: below ten percent');
SELECT pg_temp.churn(0, 200);
SELECT ok(pg_temp.comes_true('pg_temp.severity(''rollbacks'') = ''WARNING'''), 'rollbacks: fires: above ten percent');
SELECT pg_temp.churn(2200, 0);
SELECT ok(pg_temp.comes_true('pg_temp.severity(''rollbacks'') = ''OK'''), 'rollbacks: clears: clear once they are rare again');

-- deadlocks and temporary files: rates, and none over a window of seconds
CREATE TABLE pair AS SELECT n FROM generate_series(1, 2) n;
SELECT pg_temp.link('other');
SELECT dblink_exec(c, 'SET deadlock_timeout = ''10ms''') FROM unnest(ARRAY['worker', 'other']) c \g /dev/null
SELECT dblink_exec('worker', 'BEGIN; UPDATE pair SET n = n WHERE n = 1') \g /dev/null
SELECT dblink_exec('other', 'BEGIN; UPDATE pair SET n = n WHERE n = 2') \g /dev/null
SELECT dblink_send_query('worker', 'UPDATE pair SET n = n WHERE n = 2') \g /dev/null
SELECT dblink_exec('other', 'UPDATE pair SET n = n WHERE n = 1', false) \g /dev/null
SELECT dblink_disconnect('other') \g /dev/null
SELECT dblink_disconnect('worker') \g /dev/null
SELECT ok(pg_temp.comes_true('(SELECT deadlocks > 0 FROM pg_stat_database WHERE datname = current_database())'), 'a deadlock is counted');
SELECT pg_temp.set_thresholds('deadlocks_per_day', 0, 100);
SELECT is(pg_temp.severity('deadlocks'), 'OK', 'deadlocks: no rate over a window of seconds');
SELECT pg_temp.set_thresholds('deadlocks_per_day', 5, 100);

-- cache_hit_ratio: a floor first, then a table too large to stay cached (its scans go round a small ring)
SELECT setting::bigint / 4 + 100 AS pages, setting::bigint <= 131072 AS small_cache FROM pg_settings WHERE name = 'shared_buffers' \gset
\if :small_cache
CREATE TABLE wide AS SELECT repeat('x', 1900) AS filler FROM generate_series(1, 4 * :pages);
SET default_statistics_target = 1;
ANALYZE wide;
SET max_parallel_workers_per_gather = 0;
-- Each scan leaves its ring in the cache, and from 18 on the ring grows with these: some scans, and all would be cached.
SELECT set_config(name, '1', false) FROM pg_settings WHERE name IN ('effective_io_concurrency', 'io_combine_limit') \g /dev/null
SELECT pg_stat_force_next_flush();
SELECT pg_stat_reset();
SELECT is(pg_temp.severity('cache_hit_ratio'), 'OK', 'cache_hit_ratio: near miss: too few accesses to tell');
DO $$ BEGIN FOR i IN 1 .. (SELECT greatest(150000, 4 * setting::integer) FROM pg_settings WHERE name = 'shared_buffers') / (SELECT pages FROM (SELECT setting::integer / 4 + 100 AS pages FROM pg_settings WHERE name = 'shared_buffers') p) + 1 LOOP PERFORM count(*) FROM wide; END LOOP; END $$;
SELECT pg_stat_force_next_flush();
SELECT ok(pg_temp.comes_true('(SELECT blks_read > greatest(50000, (SELECT setting::integer FROM pg_settings WHERE name = ''shared_buffers'')) FROM pg_stat_database WHERE datname = current_database())'), 'more blocks are read than fill the cache');
SELECT is(pg_temp.severity('cache_hit_ratio'), 'CRITICAL', 'cache_hit_ratio: fires: hardly anything is found in the cache');
SELECT is((SELECT severity FROM detect_performance_bottlenecks() WHERE bottleneck = 'cache_hit_ratio'), 'CRITICAL', 'cache_hit_ratio: a bottleneck');
SELECT isnt((SELECT action_required FROM performance.optimize_cache() WHERE metric = 'cache hit ratio'), 'none', 'optimize_cache: asks for action');
SELECT is((SELECT action_required FROM performance.optimize_cache() WHERE metric = 'table public.wide'), 'look for a missing index', 'optimize_cache: names the table that misses');
SELECT pg_stat_reset();
SELECT is(pg_temp.severity('cache_hit_ratio'), 'OK', 'cache_hit_ratio: clears: clear once the counters start anew');
DROP TABLE wide;
\else
SELECT skip('the cache is too large to outgrow here', 7);
\endif
SELECT cmp_ok((SELECT count(*) FROM performance.optimize_cache()), '>=', 3::bigint, 'optimize_cache: at least three rows');
SELECT is((SELECT count(*) FROM performance.optimize_cache() WHERE fix_command IS NOT NULL AND action_required = 'none'), 0::bigint, 'optimize_cache: a command only where something is to be done');

-- slow_statements
SELECT current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%' AS counted \gset
\if :counted
SELECT pg_temp.set_thresholds('slow_statement_mean_ms', 30, NULL);
SELECT pg_sleep(0.2); SELECT pg_sleep(0.2); SELECT pg_sleep(0.2); SELECT pg_sleep(0.2);
SELECT is((SELECT count(*) FROM opsrunbook.findings('{slow_statements}') WHERE message LIKE '%pg_sleep(%'), 0::bigint, 'slow_statements: near miss: four calls are too few');
SELECT pg_sleep(0.2);
SELECT is((SELECT severity FROM opsrunbook.findings('{slow_statements}') WHERE message LIKE '%pg_sleep(%'), 'WARNING', 'slow_statements: fires: slow on average, five calls');
SELECT cmp_ok((SELECT impact_pct FROM detect_performance_bottlenecks() WHERE bottleneck = 'slow_statements' AND description LIKE '%pg_sleep(%'), '>', 1::numeric,
    'slow_statements: with its share of the time');
SELECT is((SELECT count(*) FROM opsrunbook.findings('{dominant_statement}')), 0::bigint, 'dominant_statement: a second in all dominates nothing');
-- made fast, it is no longer slow on average
SELECT 'SELECT pg_sleep(0.0001)' FROM generate_series(1, 60) \gexec
SELECT is((SELECT count(*) FROM opsrunbook.findings('{slow_statements}') WHERE message LIKE '%pg_sleep(%'), 0::bigint, 'slow_statements: clears: made fast');
SELECT pg_temp.set_thresholds('slow_statement_mean_ms', 1000, NULL);
SELECT is((SELECT count(*) FROM opsrunbook.findings('{slow_statements}') WHERE message LIKE '%pg_sleep(%'), 0::bigint, 'slow_statements: not by the usual threshold');
\endif
DROP EXTENSION pg_stat_statements;
SELECT is((SELECT severity FROM opsrunbook.findings('{slow_statements}')), 'UNKNOWN', 'slow_statements: UNKNOWN without pg_stat_statements');
SELECT pg_temp.run_fix('slow_statements');
SELECT isnt(pg_temp.severity('slow_statements'), 'UNKNOWN', 'slow_statements: its remedy installs it');

SELECT * FROM finish();
