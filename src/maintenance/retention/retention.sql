-- Retention: which rows may go after which time, the runs that let them go, and objects that nothing refers to.
-- Policies and rules name their objects by schema and name, so that they survive dump and restore; the OIDs beside them
-- keep them from applying to other objects that get these names later.

CREATE TABLE opsrunbook.retention_policy (
    relation_schema text NOT NULL,
    relation_name text NOT NULL,
    time_column text NOT NULL,
    keep interval NOT NULL,
    condition text,
    archive_schema text,
    archive_name text,
    batch_size integer NOT NULL CHECK (batch_size BETWEEN 1 AND 1000000),
    enabled boolean NOT NULL,
    role text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (relation_schema, relation_name)
);
COMMENT ON TABLE opsrunbook.retention_policy IS 'retention policies, written by opsrunbook.set_retention(); role: who set it last';
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.retention_policy', '');

-- Not dumped: a dump's tables and roles have other OIDs (standing.hpp).
CREATE TABLE opsrunbook.retention_policy_identity (
    relation_schema text NOT NULL,
    relation_name text NOT NULL,
    relation_oid oid NOT NULL,
    archive_oid oid,
    role_oid oid NOT NULL,
    PRIMARY KEY (relation_schema, relation_name),
    FOREIGN KEY (relation_schema, relation_name) REFERENCES opsrunbook.retention_policy ON DELETE CASCADE
);
COMMENT ON TABLE opsrunbook.retention_policy_identity IS 'which table and archive a policy was set on, and by which role, so that others of the same names do not inherit it';

CREATE SEQUENCE opsrunbook.retention_run_id;
COMMENT ON SEQUENCE opsrunbook.retention_run_id IS 'ids of opsrunbook.retention_run, drawn before its rows are written';
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.retention_run_id', '');

CREATE TABLE opsrunbook.retention_run (
    run_id bigint NOT NULL,
    step integer NOT NULL,
    relation text NOT NULL,
    action text NOT NULL,
    rows_affected bigint,
    batches integer NOT NULL DEFAULT 0,
    status text NOT NULL CHECK (status IN ('running', 'completed', 'failed', 'refused', 'skipped', 'planned')),
    details text NOT NULL DEFAULT '',
    command text NOT NULL DEFAULT '',
    undo text NOT NULL DEFAULT '',
    role text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    worker_pid integer NOT NULL,
    worker_started_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, step)
) WITH (fillfactor = 50);
COMMENT ON TABLE opsrunbook.retention_run IS 'what retention did, a row a step; counted up in the transaction of each batch, so it shows exactly what is committed';
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.retention_run', '');

CREATE FUNCTION opsrunbook.reason_against(relation oid, relation_then oid, other oid, other_then oid, role text, role_then oid) RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'opsrunbook_reason_against';
COMMENT ON FUNCTION opsrunbook.reason_against(oid, oid, oid, oid, text, oid) IS
    'why nothing is done by a retention policy or orphan rule: what its tables and the role that set it were then, and are now (null: unknown, or gone); null when it stands';

CREATE VIEW opsrunbook.retention_policies AS
    SELECT pg_catalog.to_regclass(pg_catalog.format('%I.%I', p.relation_schema, p.relation_name)) AS relation, p.time_column, p.keep, p.condition,
           CASE WHEN p.archive_name IS NOT NULL THEN pg_catalog.to_regclass(pg_catalog.format('%I.%I', p.archive_schema, p.archive_name)) END AS archive_to,
           p.batch_size, p.enabled, p.role, p.changed_at, p.relation_schema, p.relation_name,
           opsrunbook.reason_against(pg_catalog.to_regclass(pg_catalog.format('%I.%I', p.relation_schema, p.relation_name)), k.relation_oid,
               CASE WHEN p.archive_name IS NOT NULL THEN pg_catalog.to_regclass(pg_catalog.format('%I.%I', p.archive_schema, p.archive_name)) END, k.archive_oid, p.role, k.role_oid) AS problem
    FROM opsrunbook.retention_policy p
         LEFT JOIN opsrunbook.retention_policy_identity k USING (relation_schema, relation_name);
COMMENT ON VIEW opsrunbook.retention_policies IS 'the retention policies; relation is null when no table has the name any more; problem: why the policy is not applied, null when it stands';
GRANT SELECT ON opsrunbook.retention_policies TO pg_monitor;

CREATE VIEW opsrunbook.retention_runs AS
    SELECT r.run_id, r.step, r.relation, r.action, r.rows_affected, r.batches,
           CASE WHEN r.status = 'running' AND a.pid IS NULL
                     AND NOT opsrunbook.still_at_work('retention', r.run_id, r.step, r.worker_pid, r.worker_started_at)
                THEN 'failed' ELSE r.status END AS status,
           CASE WHEN r.status = 'running' AND a.pid IS NULL
                     AND NOT opsrunbook.still_at_work('retention', r.run_id, r.step, r.worker_pid, r.worker_started_at)
                THEN pg_catalog.format('worker process %s ended without reporting; the batches it committed are counted', r.worker_pid)
                ELSE r.details END AS details,
           r.command, r.role, r.started_at, r.updated_at, CASE WHEN a.pid IS NOT NULL THEN r.worker_pid END AS worker_pid,
           r.undo
    FROM opsrunbook.retention_run r
         LEFT JOIN pg_catalog.pg_stat_activity a
         ON a.pid = r.worker_pid AND a.backend_start = r.worker_started_at AND r.status = 'running';
COMMENT ON VIEW opsrunbook.retention_runs IS 'what retention did and does: rows and batches committed until now; undo: the statement that attaches a detached partition again, or moves the archived rows back (all that the archive has of their stretch of time); empty where nothing can be undone';
GRANT SELECT ON opsrunbook.retention_runs TO pg_monitor;

CREATE FUNCTION opsrunbook.set_retention(relation regclass, time_column name, keep interval, condition text DEFAULT NULL,
    archive_to regclass DEFAULT NULL, batch_size integer DEFAULT 10000, enabled boolean DEFAULT true)
    RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_set_retention';
COMMENT ON FUNCTION opsrunbook.set_retention(regclass, name, interval, text, regclass, integer, boolean) IS
    'sets or replaces a table''s retention: rows whose time_column is older than keep, and that meet the condition, are deleted (or moved into archive_to) by opsrunbook.apply_retention(); only who has the rights of the table''s owner may; a policy is not applied to another table that gets the name later, nor when the role that set it has not the rights of the owner any more: then it is refused until it is set again; returns what will be deleted, as a statement';

CREATE FUNCTION opsrunbook.drop_retention(relation regclass) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_drop_retention';
COMMENT ON FUNCTION opsrunbook.drop_retention(regclass) IS 'removes a table''s retention policy; false when it had none';

CREATE FUNCTION opsrunbook.drop_retention(relation_schema text, relation_name text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_drop_retention_by_name';
COMMENT ON FUNCTION opsrunbook.drop_retention(text, text) IS 'removes a retention policy, also of a table that does not exist any more; false when there was none';

CREATE FUNCTION opsrunbook.apply_retention(relation regclass DEFAULT NULL, dry_run boolean DEFAULT false,
    OUT relation text, OUT action text, OUT rows_affected bigint, OUT batches integer, OUT status text, OUT details text, OUT command text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_apply_retention';
COMMENT ON FUNCTION opsrunbook.apply_retention(regclass, boolean) IS
    'applies a table''s retention policy, or every enabled one, in a background worker that commits batch by batch, with the rights of each table''s owner and as a security-restricted operation (conditions and triggers cannot create temporary tables, change roles, or leave anything to the commit; deferrable constraints are checked at once); old partitions go as a whole; dry_run counts what would go; a row a step: completed, planned, skipped, refused (with the index to create), failed';

CREATE PROCEDURE opsrunbook.run_retention() LANGUAGE c AS 'MODULE_PATHNAME', 'opsrunbook_run_retention';
COMMENT ON PROCEDURE opsrunbook.run_retention() IS
    'applies every enabled retention policy, as opsrunbook.apply_retention() does, and fails when one of them could not be applied, so that as a job it alerts; what is committed stays; holds no snapshot while it waits; a notice a step';

CREATE FUNCTION @extschema@.cleanup_old_user_events(days integer) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_cleanup_old_user_events';
COMMENT ON FUNCTION @extschema@.cleanup_old_user_events(integer) IS
    'deletes rows of the table user_events on the search path that are older than so many days, by its retention policy; without one: by created_at, and only rows with processed = true where there is such a column; returns how many rows it deleted. Committed batch by batch: a rollback does not bring them back';

CREATE FUNCTION @extschema@.cleanup_maintenance_history(days integer) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_cleanup_maintenance_history';
COMMENT ON FUNCTION @extschema@.cleanup_maintenance_history(integer) IS
    'deletes what maintenance and retention recorded more than so many days ago, never what is pending or running; returns how many tasks, runs and steps it deleted. A superuser''s call covers every role''s history, another role''s its own';

CREATE TABLE opsrunbook.orphan_rule (
    name text PRIMARY KEY,
    object_schema text NOT NULL,
    object_name text NOT NULL,
    name_column text NOT NULL,
    bucket_column text,
    size_column text,
    age_column text,
    min_age interval NOT NULL,
    reference_schema text NOT NULL,
    reference_name text NOT NULL,
    reference_column text NOT NULL,
    match text NOT NULL CHECK (match IN ('exact', 'suffix', 'contains')),
    role text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE opsrunbook.orphan_rule IS 'which column refers to the objects of which table, written by opsrunbook.add_orphan_rule(); an object is an orphan when no rule of its table finds a reference';
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.orphan_rule', '');

-- Not dumped, as retention_policy_identity.
CREATE TABLE opsrunbook.orphan_rule_identity (
    name text PRIMARY KEY REFERENCES opsrunbook.orphan_rule ON DELETE CASCADE,
    object_oid oid NOT NULL,
    reference_oid oid NOT NULL,
    role_oid oid NOT NULL
);
COMMENT ON TABLE opsrunbook.orphan_rule_identity IS 'which tables an orphan rule was set on, and by which role, so that others of the same names do not inherit it';
GRANT SELECT ON opsrunbook.orphan_rule TO pg_monitor;

-- One text for what a URL says in two ways; what does not decode stays as it is.
CREATE FUNCTION opsrunbook.decode_url(url text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF strpos(url, '%') = 0 THEN
        RETURN url;
    END IF;
    RETURN (SELECT convert_from(string_agg(CASE WHEN p.part[1] ~ '^%[0-9A-Fa-f]{2}$' THEN decode(substr(p.part[1], 2), 'hex')
                                                ELSE convert_to(p.part[1], 'UTF8') END, '' ORDER BY p.n), 'UTF8')
            FROM regexp_matches(url, '%[0-9A-Fa-f]{2}|%|[^%]+', 'g') WITH ORDINALITY AS p(part, n));
EXCEPTION WHEN data_exception THEN
    RETURN url;
END
$body$;
COMMENT ON FUNCTION opsrunbook.decode_url(text) IS 'a URL with its percent-encoded bytes decoded; unchanged when they are no valid UTF-8';

CREATE FUNCTION opsrunbook.add_orphan_rule(name text, object_relation regclass, name_column name, reference_relation regclass,
    reference_column name, match text DEFAULT 'exact', bucket_column name DEFAULT NULL, size_column name DEFAULT NULL,
    age_column name DEFAULT NULL, min_age interval DEFAULT '1 day')
    RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_add_orphan_rule';
COMMENT ON FUNCTION opsrunbook.add_orphan_rule(text, regclass, name, regclass, name, text, name, name, name, interval) IS
    'says which column refers to the objects that a table lists (as storage.objects does). match: exact (the same text), suffix (a URL that ends with /name), contains (the name anywhere in it). Objects younger than min_age by age_column (default: created_at) are left alone. Several rules on one table: an object stays when any of them finds a reference. Only who has the rights of the object table''s owner may; that owner must be able to read the references. A rule whose tables were dropped and created anew, or whose role has lost the owner''s rights, is skipped until it is removed and added again';

CREATE FUNCTION opsrunbook.remove_orphan_rule(name text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_remove_orphan_rule';
COMMENT ON FUNCTION opsrunbook.remove_orphan_rule(text) IS 'removes a rule; false when there was none. With fewer rules more objects count as orphans';

CREATE FUNCTION @extschema@.cleanup_orphaned_images(dry_run boolean DEFAULT false, OUT image_name text, OUT bucket text,
    OUT size_bytes bigint, OUT action text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_cleanup_orphaned_images';
COMMENT ON FUNCTION @extschema@.cleanup_orphaned_images(boolean) IS
    'deletes the rows of object tables that nothing refers to any more, by the rules in opsrunbook.orphan_rule, in the caller''s transaction, each table with its owner''s rights (which the caller must have) and as a security-restricted operation; deferrable constraints are checked at once from there on; a table that cannot be cleaned up is skipped with a warning; dry_run only lists them';

CREATE PROCEDURE opsrunbook.run_orphan_cleanup() LANGUAGE c AS 'MODULE_PATHNAME', 'opsrunbook_run_orphan_cleanup';
COMMENT ON PROCEDURE opsrunbook.run_orphan_cleanup() IS
    'does what cleanup_orphaned_images() does, commits, and then fails when a table that the caller may clean up was skipped, so that as a job it alerts';
