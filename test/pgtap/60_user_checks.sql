\ir common/prologue.sql

CREATE ROLE "User checks' author";
CREATE ROLE user_checks_other;
GRANT pg_monitor TO "User checks' author", user_checks_other;

SELECT no_plan();

CREATE SCHEMA shop;
CREATE TABLE shop.stock (pieces numeric);
INSERT INTO shop.stock VALUES (50);
GRANT USAGE ON SCHEMA shop TO "User checks' author";
GRANT SELECT ON shop.stock TO "User checks' author";
CREATE TABLE public.secret AS SELECT 1 AS n;

CREATE FUNCTION pg_temp.result(wanted text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(severity, ',') FROM opsrunbook.findings(ARRAY[wanted], true)
$$;
CREATE FUNCTION pg_temp.message(wanted text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(message, ',') FROM opsrunbook.findings(ARRAY[wanted], true)
$$;

-- Only what can work is added.
SELECT throws_ok($$SELECT opsrunbook.add_check('x', 'SELEC 1', 1, 2)$$, '22023', 'the query of check "x" cannot be used', 'a syntax error is refused');
SELECT throws_ok($$SELECT opsrunbook.add_check('x', 'SELECT 1; SELECT 2', 1, 2)$$, '22023', NULL, 'so are two statements');
SELECT throws_ok($$SELECT opsrunbook.add_check('x', '', 1, 2)$$, '22023', NULL, 'and none');
SELECT throws_ok($$SELECT opsrunbook.add_check('x', 'DELETE FROM shop.stock', 1, 2)$$, '22023', NULL, 'and what is not a SELECT');
SELECT throws_ok($$SELECT opsrunbook.add_check('x', 'WITH d AS (DELETE FROM shop.stock RETURNING 1) SELECT count(*) FROM d', 1, 2)$$, '22023', NULL, 'and a SELECT that deletes');
SELECT throws_ok($$SELECT opsrunbook.add_check('x', 'SELECT 1 INTO shop.made', 1, 2)$$, '22023', NULL, 'and one that creates a table');
SELECT throws_ok($$SELECT opsrunbook.add_check('x', 'SELECT ''a''', 1, 2)$$, '22023', NULL, 'and a text');
SELECT throws_ok($$SELECT opsrunbook.add_check('x', 'SELECT 1, 2', 1, 2)$$, '22023', NULL, 'and two columns');
SELECT throws_ok($$SELECT opsrunbook.add_check('x', 'SELECT 1 UNION ALL SELECT 2', 1, 2)$$, '22023', NULL, 'and two rows');
SELECT throws_ok($$SELECT opsrunbook.add_check('x', 'SELECT ''NaN''::float8', 1, 2)$$, '22023', NULL, 'and what is not a number');
SELECT throws_ok($$SELECT opsrunbook.add_check('x', 'SELECT 1 FROM pg_sleep(60)', 1, 2, timeout_ms => 100)$$, '22023', NULL, 'and a query that takes too long');
SELECT throws_ok($$SELECT opsrunbook.add_check('x', 'SELECT 1', 2, 1)$$, '22023', NULL, 'thresholds in the wrong order are refused');
SELECT throws_ok($$SELECT opsrunbook.add_check('x', 'SELECT 1', NULL, NULL)$$, '22023', NULL, 'and none at all');
SELECT throws_ok($$SELECT opsrunbook.add_check('x', 'SELECT 1', 1, 2, 'sideways')$$, '22023', NULL, 'and a direction that is none');
SELECT throws_ok($$SELECT opsrunbook.add_check('dead_tuples', 'SELECT 1', 1, 2)$$, '42710', NULL, 'and the name of a built-in check');
SELECT is((SELECT count(*) FROM opsrunbook.user_checks), 0::bigint, 'nothing was added');
SELECT is((SELECT count(*) FROM shop.stock), 1::bigint, 'and nothing changed');

-- A number, a level, a score.
SELECT lives_ok($$SELECT opsrunbook.add_check('low "stock"', 'SELECT min(pieces) FROM shop.stock', 10, 3, 'below', 'pieces', false, 1000, 'order more')$$, 'a check is added');
SELECT throws_ok($$SELECT opsrunbook.add_check('low "stock"', 'SELECT 1', 1, 2)$$, '42710', NULL, 'a name is taken once');
SELECT is(pg_temp.result('low "stock"'), 'OK', 'it is fine');
UPDATE shop.stock SET pieces = 10;
SELECT is(pg_temp.result('low "stock"'), 'OK', 'at the threshold it still is');
UPDATE shop.stock SET pieces = 9;
SELECT is(pg_temp.result('low "stock"'), 'WARNING', 'below it, it is a warning');
SELECT is((SELECT score FROM calculate_database_health_score() WHERE component = 'user'), NULL, 'that costs no points when it was not asked to');
UPDATE shop.stock SET pieces = 2.5;
SELECT results_eq($$SELECT category, severity, metric, value, threshold, unit, message FROM opsrunbook.findings(ARRAY['low "stock"'])$$,
    $$VALUES ('user', 'CRITICAL', 'low "stock"', 2.5::numeric, 3::numeric, 'pieces', 'low "stock" is 2.5 pieces (below 3): order more')$$, 'a finding like any other');
SELECT is((SELECT alert_level FROM performance.check_alerts() WHERE metric = 'low "stock"'), 'CRITICAL', 'an alert');
SELECT is((SELECT alert_level FROM check_system_health() WHERE health_check = 'low "stock"'), 'CRITICAL', 'a row of the system''s health');
SELECT lives_ok($$SELECT opsrunbook.add_check('scored', 'SELECT -sum(pieces) FROM shop.stock', -10, -3, in_score => true)$$, 'another one, for the score');
SELECT is((SELECT score FROM calculate_database_health_score() WHERE component = 'user'), 50::numeric, 'it costs points');
UPDATE shop.stock SET pieces = 50;
SELECT is((SELECT score FROM calculate_database_health_score() WHERE component = 'user'), 100::numeric, 'until it is fine');
SELECT results_eq($$SELECT count(*) FROM opsrunbook.findings(ARRAY['scored', 'low "stock"'])$$, $$VALUES (0::bigint)$$, 'both are');

-- Broken ones are UNKNOWN, and nobody else suffers.
TRUNCATE shop.stock;
SELECT is(pg_temp.result('low "stock"'), 'UNKNOWN', 'NULL is not healthy');
ALTER TABLE shop.stock RENAME TO moved;
SELECT is(pg_temp.message('low "stock"'), 'the check''s query failed: relation "shop.stock" does not exist (SQLSTATE 42P01)', 'an error is told');
SELECT ok((SELECT count(*) FROM check_system_health()) > 20, 'and the other checks go on');
ALTER TABLE shop.moved RENAME TO stock;
INSERT INTO shop.stock VALUES (50);
SELECT lives_ok($$SELECT opsrunbook.add_check('slow', 'SELECT count(*) FROM pg_sleep((SELECT 50 - pieces FROM shop.stock)::float8)', 10, 20, timeout_ms => 100)$$, 'a check that can be slow');
UPDATE shop.stock SET pieces = 20;
SELECT performs_ok($$SELECT pg_temp.result('slow')$$, 10000, 'is stopped');
SELECT is(pg_temp.message('slow'), 'the check''s query timed out after 100 ms (SQLSTATE 57014)', 'and says so');
SELECT is(pg_temp.result('low "stock"'), 'OK', 'the session goes on');
SELECT lives_ok($$SELECT opsrunbook.remove_check('slow')$$, 'it is removed');
SELECT opsrunbook.add_check('recursive', 'SELECT CASE WHEN (SELECT pieces FROM shop.stock) = 20 THEN 1 ELSE (SELECT count(*) FROM opsrunbook.findings(ARRAY[''low "stock"''], true) WHERE severity = ''UNKNOWN'') END', 10, 20) \g /dev/null
UPDATE shop.stock SET pieces = 30;
SELECT is((SELECT value FROM opsrunbook.findings(ARRAY['recursive'], true)), NULL, 'a check that runs the checks');
SELECT is(pg_temp.message('recursive'), 'recursive is 1', 'finds that they are not run again');
SELECT opsrunbook.remove_check('recursive') \g /dev/null

-- Rights: those of the author, whoever looks.
SET ROLE "User checks' author";
SELECT throws_ok($$SELECT opsrunbook.add_check('secret', 'SELECT n FROM public.secret', 1, 2)$$, '22023', NULL, 'an author has no more rights than its own');
SET search_path = shop, public;
SELECT lives_ok($$SELECT opsrunbook.add_check('authors', 'SELECT min(pieces) FROM stock', 10, 3, 'below')$$, 'what it may read, it may check');
RESET search_path;
SELECT throws_ok($$SELECT opsrunbook.remove_check('low "stock"')$$, '42501', NULL, 'others'' checks it may not remove');
RESET ROLE;
SELECT is((SELECT role::text FROM opsrunbook.user_checks WHERE name = 'authors'), 'User checks'' author', 'the author is known');
CREATE TEMP TABLE stock AS SELECT 0 AS pieces;
SELECT is(pg_temp.result('authors'), 'OK', 'names mean what they meant to the author');
REVOKE SELECT ON shop.stock FROM "User checks' author";
SELECT is(pg_temp.message('authors'), 'the check''s query failed: permission denied for table stock (SQLSTATE 42501)', 'a superuser who looks lends it no rights');
GRANT SELECT ON shop.stock TO "User checks' author";
SET ROLE user_checks_other;
SELECT is(pg_temp.result('authors'), 'OK', 'and one without rights on the table sees the result');
RESET ROLE;
CREATE FUNCTION shop.climb() RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT pieces FROM shop.stock) = 30 THEN RETURN 1; END IF;
    EXECUTE 'RESET ROLE';
    RETURN 2;
END $$;
SET ROLE "User checks' author";
SELECT lives_ok($$SELECT opsrunbook.add_check('climbs', 'SELECT shop.climb()', 10, 20)$$, 'a check that waits for a superuser');
RESET ROLE;
UPDATE shop.stock SET pieces = 40;
SELECT matches(pg_temp.message('climbs'), 'SQLSTATE 42501', 'does not become one');
CREATE FUNCTION shop.tamper() RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT pieces FROM shop.stock) = 40 THEN RETURN 1; END IF;
    EXECUTE 'SET work_mem = ''65kB''';
    RETURN 2;
END $$;
SELECT opsrunbook.add_check('tampers', 'SELECT shop.tamper()', 10, 20) \g /dev/null
UPDATE shop.stock SET pieces = 45;
SELECT is(pg_temp.message('tampers'), 'tampers is 2', 'a check that changes a setting');
SELECT isnt(current_setting('work_mem'), '65kB', 'leaves nothing behind');
SELECT is(CURRENT_USER::text, SESSION_USER::text, 'and everybody is who they were');
SELECT is(current_setting('transaction_read_only'), 'off', 'in a transaction that can write');
SET ROLE "User checks' author";
SELECT lives_ok($$SELECT opsrunbook.remove_check('authors')$$, 'authors remove their own');
RESET ROLE;
SELECT throws_ok($$SELECT opsrunbook.remove_check('authors')$$, '42704', NULL, 'once');
SELECT opsrunbook.add_check('of a role that goes', 'SELECT 1', 10, 20) \g /dev/null
UPDATE opsrunbook.user_check SET role = (SELECT max(oid::bigint) + 12345 FROM pg_roles)::oid::regrole WHERE name = 'of a role that goes';
SELECT is(pg_temp.message('of a role that goes'), 'the role that added the check does not exist any more', 'without its role a check is UNKNOWN');
SET ROLE user_checks_other;
SELECT throws_ok($$SELECT * FROM opsrunbook.user_check$$, '42501', NULL, 'the table is the house''s');
SELECT lives_ok($$SELECT * FROM opsrunbook.user_checks$$, 'its view is for monitors');
RESET ROLE;

SELECT * FROM finish();

SELECT opsrunbook.remove_check(name) FROM opsrunbook.user_checks \g /dev/null
DROP OWNED BY "User checks' author", user_checks_other;
DROP ROLE "User checks' author", user_checks_other;
