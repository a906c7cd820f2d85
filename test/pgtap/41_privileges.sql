-- Rights that let one role act as another.
\ir common/prologue.sql

SELECT no_plan();
CREATE ROLE "Caller";

SELECT is(pg_temp.severity('open_schemas'), 'OK', 'open_schemas: near miss: from PostgreSQL 15 on schema public is its owner''s');
GRANT CREATE ON SCHEMA public TO "Caller";
SELECT is(pg_temp.severity('open_schemas'), 'OK', 'open_schemas: near miss: one role may create there');
GRANT CREATE ON SCHEMA public TO PUBLIC;
CREATE SCHEMA "Shared Tools";
GRANT ALL ON SCHEMA "Shared Tools" TO PUBLIC;
SELECT set_eq($$SELECT object, severity FROM opsrunbook.findings('{open_schemas}')$$,
    $$VALUES ('public', 'WARNING'), ('"Shared Tools"', 'WARNING')$$, 'open_schemas: fires: every role may create there');
SELECT undo FROM opsrunbook.findings('{open_schemas}') WHERE object = 'public' \gset
SELECT is(:'undo'::text, 'GRANT CREATE ON SCHEMA public TO PUBLIC;', 'with the way back');
SELECT pg_temp.run_fix('open_schemas', 'public');
SELECT pg_temp.run_fix('open_schemas', '"Shared Tools"');
SELECT is(pg_temp.severity('open_schemas'), 'OK', 'open_schemas: clears: revoked');

CREATE FUNCTION settled(n integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS 'BEGIN RETURN n; END';
CREATE FUNCTION standard(n integer) RETURNS integer LANGUAGE sql SECURITY DEFINER RETURN n;
CREATE FUNCTION invoker(n integer) RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN n; END';
CREATE FUNCTION private(n integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN n; END';
REVOKE EXECUTE ON FUNCTION private(integer) FROM PUBLIC;
SELECT is(pg_temp.severity('definer_search_path'), 'OK', 'definer_search_path: near miss: set, not needed, or nobody else''s to call');
GRANT EXECUTE ON FUNCTION private(integer) TO "Caller";
CREATE PROCEDURE "Shared Tools"."Pay"(INOUT n integer DEFAULT 3, VARIADIC more text[] DEFAULT '{}') LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN n := 1; END';
SELECT is(pg_temp.severity('definer_search_path', 'public.private(n integer)'), 'WARNING', 'definer_search_path: fires: one role may call it');
SELECT matches((SELECT message FROM opsrunbook.findings('{definer_search_path}') WHERE object LIKE '%"Pay"%'), 'superuser .*everybody may call it', 'and so may everybody');
SELECT is((SELECT count(*) FROM opsrunbook.findings('{definer_search_path}')), 2::bigint, 'and no more');
SELECT pg_temp.run_fix('definer_search_path');
SELECT pg_temp.run_fix('definer_search_path');
SELECT is(pg_temp.severity('definer_search_path'), 'OK', 'definer_search_path: clears: each has its own');
SELECT is((SELECT proconfig FROM pg_proc WHERE proname = 'Pay'), ARRAY['search_path="Shared Tools", pg_temp'], 'that of its schema');
CALL "Shared Tools"."Pay"() \g /dev/null

SET ROLE "Caller";
SELECT throws_ok($$SELECT * FROM opsrunbook.findings('{open_schemas}')$$, '42501', NULL, 'findings are for pg_monitor');
RESET ROLE;
DROP FUNCTION private(integer);
REVOKE CREATE ON SCHEMA public FROM "Caller";
DROP ROLE "Caller";

SELECT * FROM finish();
