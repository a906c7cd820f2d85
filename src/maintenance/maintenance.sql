-- Maintenance: tasks, the runs that plan and execute them, what came of it.
-- What is known of a task follows from its rows here, never from a status that somebody must survive to correct. Rows are
-- added, never changed, but for the end of an attempt whose next one is given up.  See runner.hpp for a run's life.

CREATE SEQUENCE opsrunbook.run_id;
COMMENT ON SEQUENCE opsrunbook.run_id IS 'ids of maintenance runs, drawn by the caller before the run''s worker starts';

CREATE TABLE opsrunbook.run (
    id bigint PRIMARY KEY,
    requested_by text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    worker_pid integer NOT NULL,
    worker_started_at timestamptz NOT NULL,
    window_seconds float8,
    tables_seen bigint NOT NULL,
    note text
);
COMMENT ON TABLE opsrunbook.run IS 'maintenance runs: who asked, which worker planned, within which window (seconds; null: no limit)';

CREATE TABLE opsrunbook.task (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    relation oid,
    object_name text NOT NULL,
    command text NOT NULL,
    undo text,
    reason text NOT NULL,
    benefit float8 NOT NULL DEFAULT 0,
    work_bytes float8 NOT NULL DEFAULT 0,
    predicted_seconds float8,
    emergency boolean NOT NULL DEFAULT false,
    background boolean NOT NULL DEFAULT false,
    role text NOT NULL,
    queued_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE opsrunbook.task IS 'maintenance tasks; role: whose rights it is executed with; background: cannot be waited for by a transaction; work_bytes: what its duration is proportional to';

CREATE TABLE opsrunbook.run_task (
    run_id bigint NOT NULL REFERENCES opsrunbook.run (id) ON DELETE CASCADE,
    task_id bigint NOT NULL REFERENCES opsrunbook.task (id) ON DELETE CASCADE,
    position integer,
    decision text NOT NULL,
    PRIMARY KEY (run_id, task_id)
);
CREATE INDEX run_task_task_id_idx ON opsrunbook.run_task (task_id);
COMMENT ON TABLE opsrunbook.run_task IS 'what a run decided about a task; position null: carried over to a later run';

CREATE TABLE opsrunbook.task_start (
    task_id bigint NOT NULL REFERENCES opsrunbook.task (id) ON DELETE CASCADE,
    attempt integer NOT NULL,
    run_id bigint NOT NULL,
    worker_pid integer NOT NULL,
    worker_started_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    bytes_before bigint,
    dead_rows_before bigint,
    PRIMARY KEY (task_id, attempt)
);
COMMENT ON TABLE opsrunbook.task_start IS 'committed before a task''s statement starts';

CREATE TABLE opsrunbook.task_end (
    task_id bigint NOT NULL REFERENCES opsrunbook.task (id) ON DELETE CASCADE,
    attempt integer NOT NULL,
    status text NOT NULL CHECK (status IN ('completed', 'failed', 'skipped')),
    retry_at timestamptz,
    finished_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    sqlstate text,
    message text NOT NULL,
    bytes_after bigint,
    dead_rows_after bigint,
    PRIMARY KEY (task_id, attempt)
);
COMMENT ON TABLE opsrunbook.task_end IS 'committed after a task''s statement ended, or when it was given up; attempt 0: never started; retry_at: not before then is it tried again, unless it is given up before, which is written here';

SELECT pg_catalog.pg_extension_config_dump('opsrunbook.run_id', '');
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.run', '');
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.task', '');
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.task_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.run_task', '');
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.task_start', '');
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.task_end', '');

CREATE FUNCTION opsrunbook.still_at_work(journal text, id bigint, part integer, worker_pid integer, worker_started_at timestamptz)
    RETURNS boolean LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_still_at_work';
COMMENT ON FUNCTION opsrunbook.still_at_work(text, bigint, integer, integer, timestamptz) IS
    'whether a worker that pg_stat_activity does not list was at work all the same when the asking statement''s snapshot was taken: it has reported its end since, is listed now, or works on the primary of this standby; journal: task, job or retention; part: the attempt or step';

CREATE VIEW opsrunbook.tasks AS
    SELECT t.id AS task_id, t.kind, t.object_name, t.command,
           CASE WHEN e.status IS NOT NULL AND e.retry_at IS NULL THEN e.status
                WHEN s.attempt IS NULL OR e.retry_at IS NOT NULL THEN 'pending'
                WHEN a.pid IS NOT NULL OR opsrunbook.still_at_work('task', t.id, s.attempt, s.worker_pid, s.worker_started_at) THEN 'running'
                ELSE 'failed' END AS status,
           CASE WHEN e.message IS NOT NULL AND e.retry_at IS NULL THEN e.message
                WHEN s.attempt IS NULL OR e.retry_at IS NOT NULL THEN coalesce(e.message, r.decision, t.reason)
                WHEN a.pid IS NOT NULL OR opsrunbook.still_at_work('task', t.id, s.attempt, s.worker_pid, s.worker_started_at)
                THEN pg_catalog.format('running since %s in process %s', s.started_at, s.worker_pid)
                ELSE pg_catalog.format('worker process %s ended without reporting: it was killed, or the server restarted', s.worker_pid) END AS message,
           t.reason, t.benefit, t.predicted_seconds, t.role, t.queued_at, r.run_id, s.attempt, s.started_at, e.finished_at,
           coalesce(e.finished_at, CASE WHEN a.pid IS NOT NULL THEN pg_catalog.clock_timestamp() END) - s.started_at AS duration,
           e.sqlstate, s.bytes_before, e.bytes_after, s.dead_rows_before, e.dead_rows_after,
           CASE WHEN a.pid IS NOT NULL AND e.status IS NULL THEN s.worker_pid END AS worker_pid, t.relation, t.background, t.emergency, t.undo,
           t.work_bytes, p.phase, pg_catalog.round(100.0 * p.done / nullif(p.total, 0), 1) AS percent
    FROM opsrunbook.task t
         LEFT JOIN LATERAL (SELECT * FROM opsrunbook.task_start x WHERE x.task_id = t.id ORDER BY x.attempt DESC LIMIT 1) s ON true
         LEFT JOIN LATERAL (SELECT * FROM opsrunbook.task_end x WHERE x.task_id = t.id AND x.attempt = coalesce(s.attempt, 0)) e ON true
         LEFT JOIN LATERAL (SELECT * FROM opsrunbook.run_task x WHERE x.task_id = t.id ORDER BY x.run_id DESC LIMIT 1) r ON true
         LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.worker_pid AND a.backend_start = s.worker_started_at AND e.status IS NULL
         LEFT JOIN (SELECT v.pid, v.phase, CASE v.phase WHEN 'vacuuming heap' THEN v.heap_blks_vacuumed ELSE v.heap_blks_scanned END AS done,
                           v.heap_blks_total AS total
                    FROM pg_catalog.pg_stat_progress_vacuum v
                    UNION ALL
                    SELECT n.pid, n.phase, n.sample_blks_scanned, n.sample_blks_total FROM pg_catalog.pg_stat_progress_analyze n
                    UNION ALL
                    SELECT i.pid, i.phase,
                           CASE WHEN i.phase LIKE 'waiting %' THEN i.lockers_done WHEN i.tuples_total > 0 THEN i.tuples_done ELSE i.blocks_done END,
                           CASE WHEN i.phase LIKE 'waiting %' THEN i.lockers_total WHEN i.tuples_total > 0 THEN i.tuples_total ELSE i.blocks_total END
                    FROM pg_catalog.pg_stat_progress_create_index i) p ON p.pid = a.pid;
COMMENT ON VIEW opsrunbook.tasks IS 'maintenance tasks with their status: pending, running, completed, failed, skipped; of a running one the server''s phase, and how many percent of that phase are done';
GRANT SELECT ON opsrunbook.tasks TO pg_monitor;

CREATE FUNCTION @extschema@.run_automated_maintenance(OUT task_id bigint, OUT task_name text, OUT status text, OUT result_message text,
    OUT object_name text, OUT started_at timestamptz, OUT duration interval, OUT bytes_reclaimed bigint)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_run_automated_maintenance';
COMMENT ON FUNCTION @extschema@.run_automated_maintenance() IS 'vacuums and analyzes what needs it, and lets go what retention policies no longer keep, in background workers with the caller''s rights, and waits for them; what cannot be waited for (REINDEX CONCURRENTLY) is reported pending and goes on behind';

CREATE FUNCTION @extschema@.get_maintenance_status(OUT total_tasks bigint, OUT pending_tasks bigint, OUT running_tasks bigint,
    OUT completed_tasks bigint, OUT failed_tasks bigint, OUT failed_tasks_24h bigint, OUT avg_execution_time interval,
    OUT scheduler_running boolean, OUT last_run timestamptz, OUT next_run timestamptz, OUT next_task text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_get_maintenance_status';
COMMENT ON FUNCTION @extschema@.get_maintenance_status() IS 'how many maintenance tasks there are in which status, when the last run was and what comes next';

CREATE FUNCTION @extschema@.auto_schedule_maintenance() RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_auto_schedule_maintenance';
COMMENT ON FUNCTION @extschema@.auto_schedule_maintenance() IS 'queues what needs maintenance for the next run of the calling role or of a superuser; returns how many tasks it queued, 0 when nothing is needed or all is queued already';

CREATE FUNCTION @extschema@.optimize_database() RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_optimize_database';
COMMENT ON FUNCTION @extschema@.optimize_database() IS 'as run_automated_maintenance(), summed up in one line';

CREATE FUNCTION @extschema@.update_table_statistics() RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_update_table_statistics';
COMMENT ON FUNCTION @extschema@.update_table_statistics() IS 'analyzes the tables whose planner statistics are stale or missing; returns how many';

CREATE FUNCTION @extschema@.perform_routine_maintenance(OUT maintenance_task text, OUT status text, OUT details text, OUT duration_ms bigint)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_perform_routine_maintenance';
COMMENT ON FUNCTION @extschema@.perform_routine_maintenance() IS 'as run_automated_maintenance(), in the columns of another runbook';

CREATE FUNCTION backup_recovery.perform_maintenance(OUT maintenance_log text)
    RETURNS SETOF text LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_perform_maintenance';
COMMENT ON FUNCTION backup_recovery.perform_maintenance() IS 'as run_automated_maintenance(), one line of text a task';

CREATE PROCEDURE opsrunbook.run_maintenance("window" interval DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'opsrunbook_run_maintenance';
COMMENT ON PROCEDURE opsrunbook.run_maintenance(interval) IS 'as run_automated_maintenance(), and waits for REINDEX CONCURRENTLY too; window: does the best that fits into it and carries the rest over. Tasks that failed make it an error (38000) when everything else is done';

CREATE FUNCTION opsrunbook.plan_maintenance("window" interval DEFAULT NULL, OUT "position" integer, OUT kind text, OUT object_name text,
    OUT command text, OUT reason text, OUT predicted_seconds float8, OUT prediction_basis text, OUT benefit float8, OUT decision text,
    OUT permitted boolean, OUT background boolean)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_plan_maintenance';
COMMENT ON FUNCTION opsrunbook.plan_maintenance(interval) IS 'what a maintenance run would do now, in which order and for how long, without doing it; position null: carried over to a later window';

CREATE FUNCTION opsrunbook.cancel_task(task_id bigint) RETURNS boolean
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_cancel_task';
COMMENT ON FUNCTION opsrunbook.cancel_task(bigint) IS 'takes a pending maintenance task out of the queue or cancels a running one; false when it has ended already';
