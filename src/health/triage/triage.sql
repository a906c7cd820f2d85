-- Live triage: who does what right now, and how to make it stop.

-- The views below name functions and operators as the server's own: nobody's overload is to creep in.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE VIEW performance.active_queries AS
    SELECT a.pid, a.usename, a.application_name, a.client_addr, a.backend_start, a.xact_start, a.query_start, a.state,
           a.wait_event_type, a.wait_event,
           round(extract(epoch FROM clock_timestamp() - a.query_start)::numeric, 3) AS query_duration_seconds,
           left(regexp_replace(a.query, '\s+', ' ', 'g'), 200) AS query_snippet,
           CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) ELSE '{}' END AS blocked_by,
           a.query_id, a.datname, a.backend_type
    FROM pg_stat_activity a
    WHERE a.state <> 'idle' AND a.pid <> pg_backend_pid();
COMMENT ON VIEW performance.active_queries IS 'what every session does that is not idle, idle transactions included; blocked_by: the sessions whose locks it waits for';
GRANT SELECT ON performance.active_queries TO pg_monitor;

CREATE VIEW performance.connection_pool_status AS
    WITH session AS (
        SELECT coalesce(a.state, 'unknown') AS state, clock_timestamp() - a.backend_start AS age, clock_timestamp() - a.state_change AS in_state
        FROM pg_stat_activity a WHERE a.backend_type = 'client backend'
    ), usable AS (
        SELECT current_setting('max_connections')::numeric - current_setting('superuser_reserved_connections')::numeric
               - coalesce(current_setting('reserved_connections', true)::numeric, 0) AS slots
    ), pool AS (
        SELECT s.state, count(*) AS count, max(extract(epoch FROM s.age)) AS oldest, avg(extract(epoch FROM s.age)) AS mean_age,
               max(extract(epoch FROM s.in_state)) AS longest, 100 * sum(count(*)) OVER () / max(u.slots) AS total_pct,
               100 * count(*) / max(u.slots) AS pct
        FROM session s CROSS JOIN usable u GROUP BY s.state
    ), judged AS (
        -- the whole pool's share decides for every row; a long idle transaction for its own
        SELECT p.*, CASE WHEN p.total_pct > full_at.critical_threshold OR idle_at.critical_threshold * 60 < p.longest AND p.state LIKE 'idle in transaction%' THEN 'CRITICAL'
                         WHEN p.total_pct > full_at.warning_threshold OR idle_at.warning_threshold * 60 < p.longest AND p.state LIKE 'idle in transaction%' THEN 'WARNING'
                         ELSE 'OK' END AS status
        FROM pool p
             LEFT JOIN performance.alert_thresholds full_at ON full_at.metric_name = 'connections_pct' AND full_at.object = '' AND full_at.enabled
             LEFT JOIN performance.alert_thresholds idle_at ON idle_at.metric_name = 'idle_in_transaction_minutes' AND idle_at.object = '' AND idle_at.enabled
    )
    SELECT j.state, j.count, round(j.oldest, 1) AS max_connection_age_sec, round(j.mean_age, 1) AS avg_connection_age_sec,
           j.status, round(j.pct, 1) AS pct_of_limit, round(j.longest, 1) AS longest_in_state_sec
    FROM judged j;
COMMENT ON VIEW performance.connection_pool_status IS 'client connections by state; pct_of_limit: of the connections that ordinary roles may use; status: by the thresholds connections_pct (of all states together) and idle_in_transaction_minutes';
GRANT SELECT ON performance.connection_pool_status TO pg_monitor;

CREATE FUNCTION opsrunbook.list_blocking_tree(OUT root_pid integer, OUT blocked_pid integer, OUT blocked_by integer, OUT depth integer,
    OUT relation text, OUT mode text, OUT wait_seconds numeric, OUT blocked_query text, OUT blocked_user text, OUT root_query text,
    OUT root_user text, OUT root_state text, OUT root_transaction_seconds numeric, OUT held_up_by_root integer, OUT command text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_list_blocking_tree';
COMMENT ON FUNCTION opsrunbook.list_blocking_tree() IS 'the rows of performance.blocking_tree';

CREATE VIEW performance.blocking_tree AS SELECT * FROM opsrunbook.list_blocking_tree();
COMMENT ON VIEW performance.blocking_tree IS 'who waits for a lock, below the session at the root that holds all of them up (NULL: a prepared transaction); command ends what the root does';
GRANT SELECT ON performance.blocking_tree TO pg_monitor;

CREATE VIEW performance.table_access_patterns AS
    SELECT t.schemaname, t.relname AS tablename, t.seq_scan, t.seq_tup_read, coalesce(t.idx_scan, 0) AS idx_scan,
           coalesce(t.idx_tup_fetch, 0) AS idx_tup_fetch, t.n_tup_ins AS inserts, t.n_tup_upd AS updates, t.n_tup_del AS deletes,
           t.n_tup_hot_upd AS hot_updates,
           round(100.0 * t.n_tup_hot_upd / nullif(t.n_tup_upd, 0), 2) AS hot_update_ratio,
           round(100.0 * coalesce(t.idx_scan, 0) / nullif(t.seq_scan + coalesce(t.idx_scan, 0), 0), 2) AS index_usage_ratio
    FROM pg_stat_user_tables t;
COMMENT ON VIEW performance.table_access_patterns IS 'how each table is read and written; ratios in percent, NULL where nothing was updated or scanned';
GRANT SELECT ON performance.table_access_patterns TO pg_monitor;

CREATE FUNCTION performance.kill_long_queries(minutes integer DEFAULT 30, OUT killed_pid integer, OUT query_duration_minutes integer,
    OUT query_text text, OUT method text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_kill_long_queries';
COMMENT ON FUNCTION performance.kill_long_queries(integer) IS 'cancels clients'' statements that have been running for that many minutes, in all databases, and disconnects who ignores it for 3 seconds; never the caller, replication, autovacuum or background workers. method: cancel, terminate, or not permitted and why (the rules are those of pg_cancel_backend)';

CREATE FUNCTION performance.reset_idle_connections(idle_minutes integer DEFAULT 10, include_in_transaction boolean DEFAULT true,
    OUT pid integer, OUT usename text, OUT datname text, OUT application_name text, OUT state text, OUT idle_seconds numeric, OUT method text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_reset_idle_connections';
COMMENT ON FUNCTION performance.reset_idle_connections(integer, boolean) IS 'disconnects clients that have been idle for that many minutes, in all databases; include_in_transaction: also those idle in a transaction, which is rolled back. method: terminate, or not permitted and why';

CREATE FUNCTION performance.optimize_cache(OUT metric text, OUT current_value text, OUT recommendation text, OUT action_required text,
    OUT fix_command text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_optimize_cache';
COMMENT ON FUNCTION performance.optimize_cache() IS 'how well the cache serves, and what to change: nothing is changed by the call; action_required: none, or what to do';

CREATE TABLE opsrunbook.maintenance_period (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason text NOT NULL,
    entered_at timestamptz NOT NULL,
    entered_by text NOT NULL,
    previous_setting text,
    sessions_terminated bigint NOT NULL DEFAULT 0,
    left_at timestamptz,
    left_by text
);
COMMENT ON TABLE opsrunbook.maintenance_period IS 'when and why the database was in maintenance mode; the row without left_at is the present one. previous_setting: what the database''s default_transaction_read_only was before, NULL for none';
CREATE UNIQUE INDEX maintenance_period_present ON opsrunbook.maintenance_period ((true)) WHERE left_at IS NULL;
-- A dump carries no setting of the database, so a period still open would be a lie in the copy.
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.maintenance_period', 'WHERE left_at IS NOT NULL');
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.maintenance_period_id_seq', '');

CREATE VIEW opsrunbook.maintenance_mode AS
    SELECT p.id IS NOT NULL AS active, p.reason, p.entered_at AS since, p.entered_by,
           EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
                   WHERE s.setrole = 0 AND 'default_transaction_read_only=on' = ANY (s.setconfig)) AS read_only_in_force,
           p.previous_setting,
           CASE WHEN p.id IS NOT NULL AND pg_has_role('pg_read_all_stats', 'USAGE') THEN
               (SELECT count(*) FROM pg_stat_activity a WHERE a.datname = current_database() AND a.backend_start < p.entered_at
                AND a.backend_type NOT IN ('autovacuum worker', 'walsender', 'parallel worker')) END AS sessions_able_to_write,
           CASE WHEN p.id IS NOT NULL THEN 'SELECT opsrunbook.exit_maintenance_mode();' END AS exit_command
    FROM (SELECT) one LEFT JOIN opsrunbook.maintenance_period p ON p.left_at IS NULL;
COMMENT ON VIEW opsrunbook.maintenance_mode IS 'whether the database is in maintenance mode, why and since when; sessions_able_to_write: those that were open before (NULL: the caller may not see the sessions)';
GRANT SELECT ON opsrunbook.maintenance_mode TO PUBLIC;

CREATE FUNCTION opsrunbook.enter_maintenance_mode(reason text, terminate_writers boolean DEFAULT false, OUT pid integer, OUT usename text,
    OUT application_name text, OUT state text, OUT transaction_seconds numeric, OUT action text, OUT command text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_enter_maintenance_mode';
COMMENT ON FUNCTION opsrunbook.enter_maintenance_mode(text, boolean) IS 'makes the database read-only for whoever connects from now on (ALTER DATABASE SET default_transaction_read_only: a guard against mistakes, which a session may set aside), also across restarts; for the database''s owner. Lists the sessions that are open and so can still write; terminate_writers: disconnects them';

CREATE FUNCTION opsrunbook.exit_maintenance_mode() RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_exit_maintenance_mode';
COMMENT ON FUNCTION opsrunbook.exit_maintenance_mode() IS 'ends maintenance mode and puts the database''s setting back as it was';

SET LOCAL search_path = @extschema@, pg_temp;
