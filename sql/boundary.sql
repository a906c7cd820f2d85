-- C++ exceptions and server errors across the boundary, in every direction.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS opsrunbook;
\getenv abs_srcdir PG_ABS_SRCDIR
\set module :abs_srcdir '/build/boundary/opsrunbook_boundary_test.so'
CREATE FUNCTION throw_error(what text) RETURNS text LANGUAGE c AS :'module', 'boundary_throw_error';
CREATE FUNCTION throw_message(message text) RETURNS text LANGUAGE c AS :'module', 'boundary_throw_message';
CREATE FUNCTION run_query(query text) RETURNS text LANGUAGE c AS :'module', 'boundary_run_query';
CREATE FUNCTION attempt_query(query text) RETURNS text LANGUAGE c AS :'module', 'boundary_attempt_query';
CREATE FUNCTION attempt_latest(query text) RETURNS text LANGUAGE c AS :'module', 'boundary_attempt_latest';
CREATE FUNCTION attempt_nested() RETURNS text LANGUAGE c AS :'module', 'boundary_attempt_nested';
CREATE FUNCTION attempt_throw(what text) RETURNS text LANGUAGE c AS :'module', 'boundary_attempt_throw';
CREATE FUNCTION throw_then_raise() RETURNS text LANGUAGE c AS :'module', 'boundary_throw_then_raise';
CREATE FUNCTION house_owner_gone_wrong(how text) RETURNS text LANGUAGE c AS :'module', 'boundary_house_owner_gone_wrong';
CREATE FUNCTION many_attempts(how_many bigint) RETURNS bigint LANGUAGE c AS :'module', 'boundary_many_attempts';
CREATE FUNCTION spin(in_attempt boolean) RETURNS text LANGUAGE c AS :'module', 'boundary_spin';
CREATE FUNCTION to_integer(what text) RETURNS integer LANGUAGE c AS :'module', 'boundary_convert';
CREATE FUNCTION to_bigint(what text) RETURNS bigint LANGUAGE c AS :'module', 'boundary_convert';
CREATE FUNCTION to_oid(what text) RETURNS oid LANGUAGE c AS :'module', 'boundary_convert';
CREATE FUNCTION to_text(what text) RETURNS text LANGUAGE c AS :'module', 'boundary_convert';
CREATE FUNCTION to_integers(what text) RETURNS integer[] LANGUAGE c AS :'module', 'boundary_convert';
CREATE FUNCTION alive() RETURNS integer LANGUAGE c AS :'module', 'boundary_alive';
CREATE FUNCTION malloc_in_use() RETURNS bigint LANGUAGE c AS :'module', 'boundary_malloc_in_use';
CREATE TABLE public.boundary_row (what text);

-- What arrives of an error, as another language sees it.
CREATE FUNCTION caught(query text, OUT state text, OUT message text, OUT detail text, OUT hint text, OUT context text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    message := 'no error';
EXCEPTION WHEN OTHERS OR query_canceled THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
        hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
END
$$;

-- C++ exceptions
SELECT what, state, message, detail, hint
FROM unnest(ARRAY['invalid_input', 'undefined', 'undefined_table', 'duplicate', 'not_allowed', 'not_ready', 'read_only', 'unsupported', 'no_resources',
                  'bad_alloc', 'length_error', 'logic_error', 'int']) WITH ORDINALITY w (what, n),
     caught(format('SELECT throw_error(%L)', what))
ORDER BY n;
\set VERBOSITY sqlstate
SELECT throw_error('not_ready');
\set VERBOSITY default
SELECT throw_error('not_ready');
SELECT alive();

-- A text that is too long is cut between characters.
SELECT octet_length(repeat) AS given, octet_length(message) AS message, octet_length(detail) AS detail, octet_length(hint) AS hint,
       starts_with(repeat, message) AS a_head
FROM (VALUES (repeat('ä', 600)), ('x' || repeat('ä', 600)), (repeat('€', 400)), ('xx' || repeat('𝄞', 300)), (repeat('x', 1023)), ('short ä')) v (repeat),
     caught(format('SELECT throw_message(%L)', repeat));

-- Server errors keep all that they carry.
CREATE FUNCTION fails() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a server error' USING ERRCODE = '23514', DETAIL = 'its detail', HINT = 'its hint';
END
$$;
SELECT * FROM caught('SELECT run_query(''SELECT public.fails()'')') \gx
SELECT * FROM caught('SELECT run_query(''SELECT no_such_column'')') \gx
SELECT run_query('SELECT public.fails()');
SELECT run_query('SELECT ''fine''::text');
SELECT alive();

-- Swallowed, and life goes on.
SELECT attempt_query('SELECT public.fails()');
SELECT attempt_query('SELECT ''fine''::text');
SELECT attempt_query('CREATE TABLE public.boundary_row ()');
SELECT attempt_latest('SELECT public.fails()');
SELECT attempt_latest('SELECT 1');
SELECT attempt_latest('CREATE TABLE public.not_here ()');
SELECT attempt_nested();
SELECT * FROM public.boundary_row;
TRUNCATE public.boundary_row;
SELECT attempt_throw('not_ready');
SELECT attempt_throw('bad_alloc');
SELECT state, message FROM caught('SELECT attempt_throw(''int'')');
SELECT * FROM public.boundary_row;
SELECT alive();

-- Exceptions caught in C++ leave the server's handlers as they were, and the search path too.
SELECT throw_then_raise();
SELECT state, message FROM caught('SELECT throw_then_raise()');
SHOW search_path;
SELECT alive();

-- The house's owner does not outlive what went wrong.
CREATE ROLE regress_boundary_guest;
GRANT USAGE ON SCHEMA public TO regress_boundary_guest;
SET ROLE regress_boundary_guest;
SELECT house_owner_gone_wrong('raise');
SELECT house_owner_gone_wrong('throw');
SELECT current_user;
RESET ROLE;

-- A loop in C++ can be cancelled, also where errors are swallowed; who calls from a subtransaction gets it back whole.
SET statement_timeout = '100ms';
SELECT spin(false);
SELECT spin(true);
SELECT state, message FROM caught('SELECT spin(true)');
RESET statement_timeout;
SELECT alive();

-- Values that do not fit are errors, not other values.
SELECT to_integer('seven'), to_bigint('large'), to_oid('seven'), to_text('large'), to_text('text');
SELECT call, state, message
FROM unnest(ARRAY['to_integer(''large'')', 'to_oid(''large'')', 'to_bigint(''largest real'')', 'to_bigint(''not a number'')',
                  'to_integers(''integers'')', 'to_text(''integers'')', 'to_text(''texts'')', 'to_integer(''text'')'])
     WITH ORDINALITY c (call, n), caught('SELECT ' || call)
ORDER BY n;

-- 10,000 errors: in one call, and as many calls.  Once before, so that every cache is warm.
CREATE FUNCTION many_calls(how_many integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    failed integer := 0;
BEGIN
    FOR i IN 1 .. how_many LOOP
        BEGIN
            IF i % 2 = 0 THEN PERFORM throw_error('not_ready'); ELSE PERFORM run_query('SELECT 1 / 0'); END IF;
        EXCEPTION WHEN OTHERS THEN
            failed := failed + 1;
        END;
    END LOOP;
    RETURN failed;
END
$$;
CREATE FUNCTION server_memory() RETURNS bigint LANGUAGE sql AS 'SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts';
SELECT many_attempts(100), many_calls(100), server_memory() > 0 AS server, malloc_in_use() > 0 AS malloc;
SELECT server_memory() AS server_before, malloc_in_use() AS malloc_before \gset
SELECT many_attempts(5000);
SELECT many_calls(10000);
SELECT server_memory() - :server_before < 300000 AS server_memory_is_the_same, malloc_in_use() - :malloc_before < 300000 AS malloc_is_the_same;
-- While they last, too.
BEGIN;
SELECT server_memory() AS server_before \gset
SELECT many_attempts(2000), server_memory() - :server_before < 1000000 AS no_growth_within_a_call;
COMMIT;
SELECT alive();

DROP OWNED BY regress_boundary_guest;
DROP ROLE regress_boundary_guest;
DROP TABLE public.boundary_row;
