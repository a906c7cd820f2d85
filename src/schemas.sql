-- The house and its doors: schemas, and a clear refusal when a promised name is already taken.

DO LANGUAGE plpgsql $install$
DECLARE
    door name;
    door_owner oid;
BEGIN
    FOREACH door IN ARRAY ARRAY['performance', 'backup_recovery', 'opsrunbook'] LOOP
        SELECT n.nspowner INTO door_owner FROM pg_catalog.pg_namespace n WHERE n.nspname OPERATOR(pg_catalog.=) door;
        IF NOT FOUND THEN
            EXECUTE pg_catalog.format('CREATE SCHEMA %I', door);
            EXECUTE pg_catalog.format('COMMENT ON SCHEMA %I IS %L', door, 'functions and views of opsrunbook that runbooks qualify by this name');
        ELSIF NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) door_owner) THEN
            -- its owner could replace what we put there
            RAISE EXCEPTION 'schema "%" already exists and is owned by a role that is not a superuser', door
                USING ERRCODE = 'duplicate_schema',
                      HINT = pg_catalog.format('ALTER SCHEMA %I OWNER TO %I; or rename it, then run CREATE EXTENSION again.', door, CURRENT_USER);
        END IF;
    END LOOP;
END
$install$;

GRANT USAGE ON SCHEMA performance, backup_recovery, opsrunbook TO PUBLIC;

COMMENT ON SCHEMA opsrunbook IS 'the operations runbook: its tables, its configuration and every capability beyond the runbooks'' own names';
