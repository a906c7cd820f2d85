-- The scheduler: jobs, their runs, the calls that change them.  A job runs as the role that scheduled it.
-- scheduler.hpp and turn.hpp say how.
--
-- Whoever needs both locks job before job_run, also an upgrade script that changes them: it begins with
-- LOCK TABLE opsrunbook.job, opsrunbook.job_run IN ACCESS EXCLUSIVE MODE;

CREATE TABLE opsrunbook.job (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    cron text,
    run_at timestamptz,
    after_job bigint REFERENCES opsrunbook.job (id),
    command text NOT NULL,
    timezone text NOT NULL,
    missed text NOT NULL DEFAULT 'run_once' CHECK (missed IN ('skip', 'run_once', 'run_all')),
    max_retries integer NOT NULL DEFAULT 0,
    retry_seconds integer NOT NULL DEFAULT 60,
    timeout_seconds integer,
    jitter_seconds integer NOT NULL DEFAULT 0,
    enabled boolean NOT NULL DEFAULT true,
    role text NOT NULL,
    since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    run_now boolean NOT NULL DEFAULT false,
    problem text,
    CHECK (pg_catalog.num_nonnulls(cron, run_at, after_job) OPERATOR(pg_catalog.=) 1)
);
COMMENT ON TABLE opsrunbook.job IS 'scheduled jobs; since: what was due until then does not count; problem: why it cannot be scheduled';

-- Not dumped: a dump's roles may be others.  A job without a row here belongs to whoever has its role's name now.
CREATE TABLE opsrunbook.job_role (
    job_id bigint PRIMARY KEY REFERENCES opsrunbook.job (id) ON DELETE CASCADE,
    role_oid oid NOT NULL
);
COMMENT ON TABLE opsrunbook.job_role IS 'which role scheduled a job, so that another one of the same name does not inherit it';

CREATE TABLE opsrunbook.job_run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id bigint NOT NULL,
    job_name text NOT NULL,
    scheduled_for timestamptz NOT NULL,
    attempt integer NOT NULL,
    reason text NOT NULL,
    role text NOT NULL,
    command text NOT NULL,
    launched_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    worker_pid integer,
    worker_started_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    status text CHECK (status IN ('completed', 'failed', 'skipped')),
    sqlstate text,
    message text,
    CHECK ((finished_at IS NULL) OPERATOR(pg_catalog.=) (status IS NULL))
);
CREATE INDEX job_run_job_id_idx ON opsrunbook.job_run (job_id, id);
CREATE INDEX job_run_completed_idx ON opsrunbook.job_run (job_id, id) WHERE status OPERATOR(pg_catalog.=) 'completed';
CREATE INDEX job_run_unfinished_idx ON opsrunbook.job_run (id) WHERE finished_at IS NULL;
CREATE INDEX job_run_finished_at_idx ON opsrunbook.job_run (finished_at);
COMMENT ON TABLE opsrunbook.job_run IS 'runs of jobs, each committed before its worker starts; status null: no end was recorded yet';

SELECT pg_catalog.pg_extension_config_dump('opsrunbook.job', '');
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.job_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.job_run', '');
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.job_run_id_seq', '');

CREATE FUNCTION opsrunbook.schedule(name text, cron text, command text, timezone text DEFAULT NULL, missed text DEFAULT 'run_once',
    max_retries integer DEFAULT 0, retry_seconds integer DEFAULT 60, timeout_seconds integer DEFAULT NULL,
    jitter_seconds integer DEFAULT 0, after text DEFAULT NULL, enabled boolean DEFAULT true) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_schedule';
COMMENT ON FUNCTION opsrunbook.schedule(text, text, text, text, text, integer, integer, integer, integer, text, boolean) IS
    'runs a statement, or work given by its type (alerts, maintenance, maintenance queue, statistics, verification, retention, orphaned objects, index usage, storage sizes, history cleanup), by five cron fields, a nickname (@daily) or an interval (30 seconds), or each time that the job "after" has succeeded (cron null); as the calling role, in this database; an own job of that name is replaced; timezone null: the session''s; missed: skip, run_once or run_all; what happens where clocks change, see opsrunbook.next_runs(); returns the job''s id';

CREATE FUNCTION opsrunbook.run_once(name text, command text, at timestamptz DEFAULT pg_catalog.now()) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_run_once';
COMMENT ON FUNCTION opsrunbook.run_once(text, text, timestamptz) IS 'runs a statement, or work given by its type as for opsrunbook.schedule(), once, as the calling role; the job goes when its run is older than opsrunbook.job_history_days, one that failed when it is disabled, too; returns the job''s id';

CREATE FUNCTION opsrunbook.run_job_now(name text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_run_job_now';
COMMENT ON FUNCTION opsrunbook.run_job_now(text) IS 'runs a job at once beside its schedule, also a disabled one; if it is running, when that has ended; returns its id';

CREATE FUNCTION opsrunbook.unschedule(name text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_unschedule';
COMMENT ON FUNCTION opsrunbook.unschedule(text) IS 'removes a job; a run under way goes on, and past runs stay in opsrunbook.job_runs';

CREATE FUNCTION opsrunbook.enable_job(name text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_enable_job';
COMMENT ON FUNCTION opsrunbook.enable_job(text) IS 'lets a job run again by its schedule, from now on; also confirms that it runs as the role that has its role''s name now (superusers)';

CREATE FUNCTION opsrunbook.disable_job(name text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_disable_job';
COMMENT ON FUNCTION opsrunbook.disable_job(text) IS 'keeps a job from running by its schedule; a run under way goes on';

CREATE FUNCTION opsrunbook.enable_default_schedule(timezone text DEFAULT NULL) RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_enable_default_schedule';
COMMENT ON FUNCTION opsrunbook.enable_default_schedule(text) IS 'schedules the runbooks'' own jobs as the calling role: maintenance at 3:00, queueing each hour, and so on; those of these names that another role scheduled become a superuser''s who calls it; returns how many';

CREATE FUNCTION opsrunbook.disable_default_schedule() RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_disable_default_schedule';
COMMENT ON FUNCTION opsrunbook.disable_default_schedule() IS 'removes the jobs of enable_default_schedule(); returns how many';

CREATE FUNCTION opsrunbook.list_jobs(OUT job_id bigint, OUT name text, OUT cron text, OUT command text, OUT timezone text, OUT enabled boolean,
    OUT role text, OUT status text, OUT next_run timestamptz, OUT last_run timestamptz, OUT last_status text, OUT last_message text,
    OUT run_at timestamptz, OUT after text, OUT missed text, OUT max_retries integer, OUT retry_seconds integer,
    OUT timeout_seconds integer, OUT jitter_seconds integer, OUT problem text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_list_jobs';
COMMENT ON FUNCTION opsrunbook.list_jobs() IS 'scheduled jobs with their next run, computed now; status: idle, running or disabled';

-- Where the clocks change, next_run.hpp says more.
CREATE FUNCTION opsrunbook.next_runs(cron text, timezone text DEFAULT NULL, after timestamptz DEFAULT pg_catalog.now(), count integer DEFAULT 10,
    OUT number integer, OUT run_at timestamptz)
    RETURNS SETOF record LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'opsrunbook_next_runs';
COMMENT ON FUNCTION opsrunbook.next_runs(text, text, timestamptz, integer) IS
    'when a schedule runs next, in a time zone (null: the session''s), later than a moment; where the clocks are put forward, a time that does not exist runs once, at the first moment after the gap, unless its hour field begins with *; where they are put back, a time that comes twice runs the first time only, unless its minute or hour field begins with *, which follows real time; fewer rows when there is none within 40 years';

CREATE VIEW opsrunbook.jobs AS SELECT * FROM opsrunbook.list_jobs();
COMMENT ON VIEW opsrunbook.jobs IS 'scheduled jobs with their next run, computed now; status: idle, running or disabled';
GRANT SELECT ON opsrunbook.jobs TO pg_monitor;

CREATE VIEW opsrunbook.job_runs AS
    SELECT r.id AS run_id, r.job_id, r.job_name, r.scheduled_for, r.attempt, r.reason,
           CASE WHEN r.status IS NOT NULL THEN r.status
                WHEN r.worker_pid IS NULL THEN 'pending'
                WHEN a.pid IS NOT NULL OR opsrunbook.still_at_work('job', r.id, r.attempt, r.worker_pid, r.worker_started_at) THEN 'running'
                ELSE 'failed' END AS status,
           CASE WHEN r.status IS NULL AND a.pid IS NULL AND r.worker_pid IS NOT NULL
                     AND NOT opsrunbook.still_at_work('job', r.id, r.attempt, r.worker_pid, r.worker_started_at)
                THEN pg_catalog.format('worker process %s ended without reporting: it was killed, or the server restarted', r.worker_pid)
                ELSE r.message END AS message,
           r.started_at, r.finished_at,
           coalesce(r.finished_at, CASE WHEN a.pid IS NOT NULL THEN pg_catalog.clock_timestamp() END) - r.started_at AS duration,
           r.sqlstate, r.role, r.command, r.launched_at,
           CASE WHEN a.pid IS NOT NULL THEN r.worker_pid END AS worker_pid
    FROM opsrunbook.job_run r
         LEFT JOIN pg_catalog.pg_stat_activity a ON r.status IS NULL AND a.pid = r.worker_pid AND a.backend_start = r.worker_started_at;
COMMENT ON VIEW opsrunbook.job_runs IS 'runs of jobs with their status: pending, running, completed, failed, skipped (passed over, or cancelled by a person)';
GRANT SELECT ON opsrunbook.job_runs TO pg_monitor;

