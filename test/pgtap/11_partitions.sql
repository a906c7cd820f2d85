-- Maintenance of partitioned tables: the statistics of the whole, which autovacuum never makes.
\ir common/prologue.sql
SELECT no_plan();

CREATE TABLE log (day date NOT NULL, kind int) PARTITION BY RANGE (day);
CREATE TABLE log_2023 PARTITION OF log FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE log_2024 PARTITION OF log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (kind);
CREATE TABLE log_2024_1 PARTITION OF log_2024 FOR VALUES IN (1);
CREATE TABLE log_2024_other PARTITION OF log_2024 DEFAULT;
CREATE TABLE without_rows (a int) PARTITION BY LIST (a);
CREATE TABLE without_rows_1 PARTITION OF without_rows FOR VALUES IN (1);
CREATE INDEX ON log (day);
INSERT INTO log SELECT date '2023-01-01' + g % 730, g % 3 FROM generate_series(0, 29999) g;
SELECT pg_stat_force_next_flush() \g /dev/null
VACUUM log_2023, log_2024_1, log_2024_other;
ANALYZE log_2023; ANALYZE log_2024_1; ANALYZE log_2024_other;
SELECT pg_stat_force_next_flush() \g /dev/null

SELECT is((SELECT count(*) FROM pg_stats WHERE inherited), 0::bigint, 'with its partitions analyzed, the whole has no statistics');
SELECT results_eq(
    $$SELECT object_name, command FROM opsrunbook.plan_maintenance() WHERE object_name LIKE 'public.%' ORDER BY 1$$,
    CASE WHEN current_setting('server_version_num')::int < 180000
         THEN $$VALUES ('public.log', 'ANALYZE public.log'), ('public.log_2024', 'ANALYZE public.log_2024')$$
         ELSE $$VALUES ('public.log', 'ANALYZE ONLY public.log'), ('public.log_2024', 'ANALYZE ONLY public.log_2024')$$ END,
    'the partitioned tables with rows are planned, at each depth, and no other');
SELECT matches((SELECT reason FROM opsrunbook.plan_maintenance() WHERE object_name = 'public.log'),
    '^never analyzed as a whole, its partitions hold 30,000 rows', 'with the reason');

SELECT set_eq($$SELECT object_name, status FROM run_automated_maintenance() WHERE object_name LIKE 'public.%'$$,
    $$VALUES ('public.log', 'completed'), ('public.log_2024', 'completed')$$, 'both are done');
SELECT is((SELECT count(DISTINCT tablename) FROM pg_stats WHERE inherited), 2::bigint, 'both have statistics of the whole');
SELECT is_empty($$SELECT * FROM opsrunbook.plan_maintenance() WHERE object_name LIKE 'public.%'$$, 'and need nothing any more');

INSERT INTO log SELECT '2023-07-01', 1 FROM generate_series(1, 2000) g;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT is_empty($$SELECT * FROM opsrunbook.plan_maintenance() WHERE object_name = 'public.log'$$, 'a few rows more change nothing');
INSERT INTO log SELECT '2023-07-01', 1 FROM generate_series(1, 2000) g;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT matches((SELECT reason FROM opsrunbook.plan_maintenance() WHERE object_name = 'public.log'),
    '^its partitions hold 34,000 rows, 30,000 when it was last analyzed as a whole', 'many rows more make it stale');
SELECT is_empty($$SELECT * FROM opsrunbook.plan_maintenance() WHERE object_name = 'public.log_2024'$$, 'but not its other half');
SELECT cmp_ok(update_table_statistics(), '>=', 1, 'update_table_statistics() does it too');
SELECT is_empty($$SELECT * FROM opsrunbook.plan_maintenance() WHERE object_name = 'public.log'$$, 'so that it is in order');

SELECT * FROM finish();
