-- What the pgTAP files share: the extensions, quiet output, other sessions, waiting, findings and their fixes.
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS dblink;
CREATE EXTENSION IF NOT EXISTS opsrunbook;

-- Another session of this database, by name.
CREATE FUNCTION pg_temp.link(name text, username text DEFAULT CURRENT_USER) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM dblink_connect(name, format('dbname=%L host=%L port=%s user=%L application_name=%L', current_database(),
        split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), username, name));
    RETURN (SELECT pid FROM dblink(name, 'SELECT pg_backend_pid()') AS d(pid integer));
END $$;

-- Waits for a condition, at most three minutes, as the TAP tests do; what it ends up as.
CREATE FUNCTION pg_temp.comes_true(condition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    is_true boolean;
    give_up_at timestamptz := clock_timestamp() + interval '180 seconds';
BEGIN
    LOOP
        PERFORM pg_stat_clear_snapshot();
        EXECUTE 'SELECT ' || condition INTO is_true;
        EXIT WHEN is_true OR clock_timestamp() > give_up_at;
        PERFORM pg_sleep(0.02);
    END LOOP;
    RETURN coalesce(is_true, false);
END $$;

CREATE FUNCTION pg_temp.severity(wanted text, about text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT severity FROM opsrunbook.findings(ARRAY[wanted]) WHERE about IS NULL OR object = about LIMIT 1), 'OK')
$$;

CREATE FUNCTION pg_temp.run_fix(wanted text, about text DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    remedy text;
BEGIN
    SELECT fix INTO STRICT remedy FROM opsrunbook.findings(ARRAY[wanted]) WHERE about IS NULL OR object = about LIMIT 1;
    EXECUTE remedy;
END $$;

CREATE FUNCTION pg_temp.set_thresholds(metric text, at_warning numeric, at_critical numeric) RETURNS void LANGUAGE sql AS $$
    UPDATE performance.alert_thresholds SET warning_threshold = at_warning, critical_threshold = at_critical WHERE metric_name = metric
$$;

-- Remedies, and what undoes them, that are neither statements which the server understands nor comments.
CREATE FUNCTION pg_temp.bad_remedies() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT check_id, remedy FROM opsrunbook.findings(), LATERAL (VALUES (fix), (undo)) r(remedy)
               WHERE remedy IS NOT NULL AND remedy NOT LIKE '-- %' LOOP
        BEGIN
            EXECUTE format('CREATE OR REPLACE FUNCTION pg_temp.understood() RETURNS void LANGUAGE sql AS %L', one.remedy);
        EXCEPTION WHEN OTHERS THEN
            RETURN NEXT format('%s: %s: %s', one.check_id, one.remedy, SQLERRM);
        END;
    END LOOP;
END $$;
