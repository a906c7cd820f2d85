\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS opsrunbook;

CREATE ROLE thresholds_reader;
GRANT pg_monitor TO thresholds_reader;

-- Dead rows of a table, as the check sees them; OK when there is no finding.
CREATE FUNCTION pg_temp.severity(about text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT severity FROM opsrunbook.findings(ARRAY['dead_tuples']) WHERE object = about), 'OK')
$$;
CREATE FUNCTION pg_temp.set_threshold(about text, at_warning numeric, at_critical numeric) RETURNS void LANGUAGE sql AS $$
    INSERT INTO performance.alert_thresholds (metric_name, object, warning_threshold, critical_threshold)
        VALUES ('dead_tuples', about, at_warning, at_critical)
$$;

-- The same check in the system's health, with the thresholds printed.
CREATE FUNCTION pg_temp.printed() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(', ', substring(current_value FROM 'shop[.][a-z]+'), threshold) FROM check_system_health() WHERE health_check LIKE 'dead tuples %'
$$;

SELECT no_plan();

CREATE SCHEMA shop;
CREATE TABLE shop.orders (n integer) WITH (autovacuum_enabled = off);
CREATE TABLE shop.items (n integer) WITH (autovacuum_enabled = off);
INSERT INTO shop.orders SELECT generate_series(1, 2000);
INSERT INTO shop.items SELECT generate_series(1, 2000);
DELETE FROM shop.orders;
DELETE FROM shop.items;
SELECT pg_stat_force_next_flush() \g /dev/null

SELECT results_eq($$SELECT warning_threshold, critical_threshold, direction, unit, enabled FROM performance.alert_thresholds WHERE metric_name = 'dead_tuples'$$,
    $$VALUES (10000::numeric, 50000::numeric, 'above', 'rows', true)$$, 'the defaults are the runbook''s');
SELECT is(pg_temp.severity('shop.orders'), 'OK', 'dead_tuples: near miss: 2000 dead rows are fine');

UPDATE performance.alert_thresholds SET warning_threshold = 1000, critical_threshold = 5000 WHERE metric_name = 'dead_tuples';
SELECT is(pg_temp.severity('shop.orders'), 'WARNING', 'dead_tuples: fires: a lower threshold for all');
SELECT is((SELECT threshold FROM opsrunbook.findings(ARRAY['dead_tuples']) WHERE object = 'shop.orders'), 1000::numeric, 'which the finding names');
SELECT is(pg_temp.printed(), 'shop.orders, above 1000 / 5000 rows', 'and check_system_health()');
SELECT pg_temp.set_threshold('shop.*', 100, 1500) \g /dev/null
SELECT is(pg_temp.severity('shop.orders'), 'CRITICAL', 'a pattern comes before all');
SELECT pg_temp.set_threshold('shop.o*', 100, 9000) \g /dev/null
SELECT is(pg_temp.severity('shop.orders'), 'WARNING', 'a longer pattern before a shorter one');
SELECT is(pg_temp.severity('shop.items'), 'CRITICAL', 'for what it matches only');
SELECT pg_temp.set_threshold('shop.orders', 3000, 9000) \g /dev/null
SELECT is(pg_temp.severity('shop.orders'), 'OK', 'and the name before any pattern');
SELECT is((SELECT count(*) FROM performance.alert_thresholds WHERE metric_name = 'dead_tuples'), 4::bigint, 'the view lists them all');

UPDATE performance.alert_thresholds SET enabled = false WHERE metric_name = 'dead_tuples' AND object = 'shop.*';
SELECT is(pg_temp.severity('shop.items'), 'OK', 'a disabled one switches the check off for its objects');
SELECT pg_temp.set_threshold('shop.items', 100, NULL) \g /dev/null
SELECT is(pg_temp.severity('shop.items'), 'WARNING', 'but for those with one of their own; no critical threshold: never CRITICAL');
SELECT is(pg_temp.printed(), 'shop.items, above 100 rows', 'check_system_health() prints the one of what it names');

DELETE FROM performance.alert_thresholds WHERE metric_name = 'dead_tuples' AND object <> '';
SELECT is(pg_temp.severity('shop.items'), 'WARNING', 'without exceptions the one for all counts');
DELETE FROM performance.alert_thresholds WHERE metric_name = 'dead_tuples';
SELECT is((SELECT warning_threshold FROM performance.alert_thresholds WHERE metric_name = 'dead_tuples'), 10000::numeric, 'DELETE resets to the default');
SELECT is(pg_temp.severity('shop.items'), 'OK', 'which counts again');
SELECT is(pg_temp.printed(), 'above 10000 / 50000 rows', 'and is printed again');

SELECT throws_ok($$INSERT INTO performance.alert_thresholds (metric_name, warning_threshold) VALUES ('no such metric', 1)$$, '42704', 'metric "no such metric" does not exist', 'a metric must exist');
SELECT throws_ok($$UPDATE performance.alert_thresholds SET warning_threshold = 60000 WHERE metric_name = 'dead_tuples'$$, '22023', NULL, 'critical before warning is refused');
SELECT throws_ok($$UPDATE performance.alert_thresholds SET critical_threshold = 95 WHERE metric_name = 'cache_hit_ratio'$$, '22023', NULL, 'in either direction');
SELECT throws_ok($$UPDATE performance.alert_thresholds SET object = 'x' WHERE metric_name = 'dead_tuples'$$, '0A000', NULL, 'a row stays what it is about');
SELECT is((SELECT count(*) FROM opsrunbook.threshold), 0::bigint, 'what was refused changed nothing');
SET ROLE thresholds_reader;
SELECT lives_ok($$SELECT * FROM performance.alert_thresholds$$, 'monitors read thresholds');
SELECT throws_ok($$UPDATE performance.alert_thresholds SET enabled = false$$, '42501', NULL, 'and do not change them');
RESET ROLE;

SELECT * FROM finish();

DROP OWNED BY thresholds_reader;
DROP ROLE thresholds_reader;
