-- Index trials: indexes hidden from the planner until their time is over or a query needs them.

CREATE TABLE opsrunbook.index_trial (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    index oid NOT NULL,
    schema_name text NOT NULL,
    index_name text NOT NULL,
    table_name text NOT NULL,
    definition text NOT NULL,
    undo text NOT NULL,
    reason text,
    started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    until timestamptz NOT NULL,
    started_by text NOT NULL,
    state text NOT NULL DEFAULT 'trial' CHECK (state IN ('trial', 'restored', 'dropped')),
    ended_at timestamptz,
    restored_reason text,
    saved_cost float8
);
CREATE UNIQUE INDEX index_trial_present ON opsrunbook.index_trial (schema_name, index_name) WHERE state = 'trial';
COMMENT ON TABLE opsrunbook.index_trial IS 'indexes that are or were hidden from the planner, by name (index: the OID when the trial began); definition: CREATE INDEX; undo: what brings a dropped one back; saved_cost: planner cost that the query which ended the trial saves. Written by start_index_trial() and its like only';
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.index_trial', '');
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.index_trial_id_seq', '');

CREATE VIEW opsrunbook.index_trials AS
    SELECT t.id AS trial_id, t.schema_name AS schemaname, t.table_name AS tablename, t.index_name AS indexname, t.state,
           t.state = 'trial' AND t.until <= pg_catalog.clock_timestamp() AS finished,
           t.started_at, t.until, t.started_by, t.reason, t.ended_at, t.restored_reason, t.saved_cost, t.definition,
           t.undo, t.index AS index_oid
    FROM opsrunbook.index_trial t;
COMMENT ON VIEW opsrunbook.index_trials IS 'index trials: state trial (hidden), restored (a query needed it, or somebody ended the trial) or dropped; finished: the time is over, see finished_index_trials()';
GRANT SELECT ON opsrunbook.index_trials TO pg_monitor;

CREATE FUNCTION opsrunbook.start_index_trial(index regclass, days integer DEFAULT 14, reason text DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_start_index_trial';
COMMENT ON FUNCTION opsrunbook.start_index_trial(regclass, integer, text) IS 'hides an index from the planner for some days while it stays maintained; a query that would be cheaper with it by more than opsrunbook.index_trial_min_gain (EXPLAIN of it, too) uses it and ends the trial; returns the trial''s id';

CREATE FUNCTION opsrunbook.end_index_trial(index regclass) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_end_index_trial';
COMMENT ON FUNCTION opsrunbook.end_index_trial(regclass) IS 'shows a hidden index to the planner again; returns the trial''s id';

CREATE FUNCTION opsrunbook.drop_trial_index(index regclass) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_drop_trial_index';
COMMENT ON FUNCTION opsrunbook.drop_trial_index(regclass) IS 'drops an index (CONCURRENTLY, in a background worker with the caller''s rights) whose trial is over without any query having needed it; returns the id of the maintenance run: SELECT * FROM opsrunbook.tasks WHERE run_id = it. Once that has begun no query brings the index back; while it waits for its lock, opsrunbook.cancel_task() calls it off';

CREATE FUNCTION opsrunbook.finished_index_trials(OUT schemaname text, OUT tablename text, OUT indexname text, OUT index_bytes bigint,
    OUT index_size text, OUT started_at timestamptz, OUT until timestamptz, OUT note text, OUT drop_command text, OUT undo text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_finished_index_trials';
COMMENT ON FUNCTION opsrunbook.finished_index_trials() IS 'indexes whose trial is over without any query having needed them, with the command that drops them and the one that brings them back';

-- Declared standbys, whose use of an index counts as much as the primary's; standbys.hpp says how it gets here.
CREATE TABLE opsrunbook.standby (
    name text PRIMARY KEY,
    declared_by text NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    counted_at timestamptz
);
COMMENT ON TABLE opsrunbook.standby IS 'declared standbys; counted_at: of when the newest counts are that import_index_usage() was given';
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.standby', '');
GRANT SELECT ON opsrunbook.standby TO pg_monitor;

-- This server's own state, worth nothing elsewhere: not for pg_dump.
CREATE TABLE opsrunbook.streaming_standby (
    name text PRIMARY KEY REFERENCES opsrunbook.standby (name) ON DELETE CASCADE,
    streamed_at timestamptz NOT NULL,
    timeline text NOT NULL
);
COMMENT ON TABLE opsrunbook.streaming_standby IS 'declared standbys that stream or streamed from this server, and when opsrunbook.observe_alerts() last saw it, on which timeline; check missing_standby expects them to go on, but not after a promotion';
GRANT SELECT ON opsrunbook.streaming_standby TO pg_monitor;

CREATE TABLE opsrunbook.standby_index_usage (
    standby text NOT NULL REFERENCES opsrunbook.standby (name) ON DELETE CASCADE,
    schemaname text NOT NULL,
    indexname text NOT NULL,
    scans bigint NOT NULL,
    used_at timestamptz NOT NULL,
    PRIMARY KEY (standby, schemaname, indexname)
);
CREATE INDEX standby_index_usage_index ON opsrunbook.standby_index_usage (schemaname, indexname);
COMMENT ON TABLE opsrunbook.standby_index_usage IS 'indexes that declared standbys use: scans as last counted; used_at: of the last scan, as far as is known';
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.standby_index_usage', '');
GRANT SELECT ON opsrunbook.standby_index_usage TO pg_monitor;

CREATE FUNCTION opsrunbook.declare_standby(name text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_declare_standby';
COMMENT ON FUNCTION opsrunbook.declare_standby(text) IS 'declares a standby (by its application_name, best): from now on no index is dropped after a trial before the standby''s counts from after it are here, and once it was seen streaming from here its absence is a finding (missing_standby); false when it was declared already';

CREATE FUNCTION opsrunbook.forget_standby(name text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_forget_standby';
COMMENT ON FUNCTION opsrunbook.forget_standby(text) IS 'forgets a declared standby and its counts; false when there was none';

CREATE FUNCTION opsrunbook.export_index_usage() RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'opsrunbook_export_index_usage';
COMMENT ON FUNCTION opsrunbook.export_index_usage() IS 'for standbys: which indexes of this database this server has scanned, how often and (from PostgreSQL 16 on) when last, for opsrunbook.import_index_usage() on the primary';

CREATE FUNCTION opsrunbook.import_index_usage(standby text, usage jsonb) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_import_index_usage';
COMMENT ON FUNCTION opsrunbook.import_index_usage(text, jsonb) IS
    'records what opsrunbook.export_index_usage() returned on a declared standby, and returns how many indexes it has used; such an index is not hidden or dropped for 35 days after its last use there. A monitoring agent may carry it, or a daily job with dblink: SELECT opsrunbook.import_index_usage(''replica'', (SELECT u FROM dblink(''host=replica dbname=app'', ''SELECT opsrunbook.export_index_usage()'') AS d(u jsonb)))';
