-- Alerting: the users' own checks, mutes, and what is remembered between observations.

CREATE TABLE opsrunbook.user_check (
    name text PRIMARY KEY,
    sql text NOT NULL,
    warning numeric,
    critical numeric,
    direction text NOT NULL CHECK (direction IN ('above', 'below')),
    unit text,
    in_score boolean NOT NULL,
    timeout_ms integer NOT NULL CHECK (timeout_ms BETWEEN 1 AND 60000),
    description text,
    role regrole NOT NULL,
    search_path text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE opsrunbook.user_check IS 'checks that users added with opsrunbook.add_check(); role: whose rights the query has';
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.user_check', '');

CREATE VIEW opsrunbook.user_checks AS
    SELECT name, sql, warning, critical, direction, unit, in_score, timeout_ms, description,
           pg_catalog.pg_get_userbyid(role) AS role, search_path, added_at
    FROM opsrunbook.user_check;
COMMENT ON VIEW opsrunbook.user_checks IS 'the users'' own checks; their results are rows of category user in opsrunbook.findings()';
GRANT SELECT ON opsrunbook.user_checks TO pg_monitor;

-- A user's own check is shown to those who may see its results, and to its role.
CREATE VIEW opsrunbook.checks AS
    SELECT * FROM opsrunbook.list_checks()
    UNION ALL
    SELECT c.name, coalesce(c.description, c.name), 'user', CASE WHEN c.in_score THEN 50 ELSE 0 END, NULL, c.unit, c.direction,
           c.warning, c.critical, false, coalesce(c.description, 'added by ' || pg_catalog.pg_get_userbyid(c.role)), c.sql
    FROM opsrunbook.user_check c
    WHERE pg_catalog.pg_has_role('pg_monitor', 'USAGE') OR pg_catalog.pg_has_role(c.role, 'USAGE');
COMMENT ON VIEW opsrunbook.checks IS 'every health check, the users'' own among them: what it looks at, in which unit, from which thresholds, and where its formula comes from';
GRANT SELECT ON opsrunbook.checks TO PUBLIC;

CREATE FUNCTION opsrunbook.add_check(name text, sql text, warning numeric, critical numeric, direction text DEFAULT 'above',
    unit text DEFAULT NULL, in_score boolean DEFAULT false, timeout_ms integer DEFAULT 1000, description text DEFAULT NULL)
    RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_add_check';
COMMENT ON FUNCTION opsrunbook.add_check(text, text, numeric, numeric, text, text, boolean, integer, text) IS 'adds a check of your own: one SELECT that returns one number, run read-only with the rights of the role that adds it, for at most timeout_ms; direction: above or below is bad; in_score: it counts in the health score. Runs the query once; an unusable one is error 22023, a name that is taken 42710';

CREATE FUNCTION opsrunbook.remove_check(name text) RETURNS boolean LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'opsrunbook_remove_check';
COMMENT ON FUNCTION opsrunbook.remove_check(text) IS 'removes a check that was added with opsrunbook.add_check(), and its mutes; for the role that added it and superusers. An unknown name is error 42704';

-- Not dumped: another server has other counters.
CREATE TABLE opsrunbook.counter_sample (
    taken_at timestamptz NOT NULL,
    counter text NOT NULL,
    since timestamptz,
    value bigint NOT NULL,
    PRIMARY KEY (taken_at, counter)
);
COMMENT ON TABLE opsrunbook.counter_sample IS 'the server''s counters once an hour, of the last day, kept by opsrunbook.observe_alerts(); since: when the counter was last reset. With them checks of rates look at the last day instead of at all the time since the reset';
GRANT SELECT ON opsrunbook.counter_sample TO pg_monitor;

CREATE TABLE opsrunbook.mute (
    check_id text NOT NULL,
    object text NOT NULL,
    until timestamptz NOT NULL,
    reason text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('OK', 'WARNING', 'CRITICAL', 'UNKNOWN')),
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (check_id, object)
);
COMMENT ON TABLE opsrunbook.mute IS 'alerts silenced with opsrunbook.mute_alert(); object: a name, or a pattern with *';
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.mute', '');

CREATE VIEW opsrunbook.mutes AS
    SELECT check_id, object, until, reason, severity, set_by, set_at, until > pg_catalog.now() AS active
    FROM opsrunbook.mute;
COMMENT ON VIEW opsrunbook.mutes IS 'who muted what, until when and why; severity: the worst that it hid when it was set; active: false once it has expired';
GRANT SELECT ON opsrunbook.mutes TO pg_monitor;

CREATE FUNCTION opsrunbook.mute_alert(check_id text, object text DEFAULT '*', until timestamptz DEFAULT pg_catalog.now() + interval '1 day',
    reason text DEFAULT NULL) RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_mute_alert';
COMMENT ON FUNCTION opsrunbook.mute_alert(text, text, timestamptz, text) IS 'silences a check, or one object of it (a name, or a pattern with *), until a time at most a year away; a reason is required. What is muted is neither an alert nor in the score; opsrunbook.findings() still shows it. Muting again replaces the mute';

CREATE FUNCTION opsrunbook.unmute_alert(check_id text, object text DEFAULT '*') RETURNS boolean LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'opsrunbook_unmute_alert';
COMMENT ON FUNCTION opsrunbook.unmute_alert(text, text) IS 'ends the mute of a check and object, named as they were muted; error 42704 when there is none';

-- The server's own state, worth nothing elsewhere: not for pg_dump.
CREATE TABLE opsrunbook.alert_state (
    check_id text NOT NULL,
    object text NOT NULL DEFAULT '',
    severity text NOT NULL,
    message text NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    fired_at timestamptz,
    observations_bad integer NOT NULL,
    observations_critical integer NOT NULL,
    observations_good integer NOT NULL,
    notified boolean NOT NULL,
    PRIMARY KEY (check_id, object)
);
COMMENT ON TABLE opsrunbook.alert_state IS 'problems that opsrunbook.observe_alerts() follows: fired_at is NULL until opsrunbook.alert_fire_after observations in a row found it; the row goes when opsrunbook.alert_clear_after in a row did not; the counts are of observations in a row';
GRANT SELECT ON opsrunbook.alert_state TO pg_monitor;

-- Likewise the server's own state.
CREATE TABLE opsrunbook.inactive_slot (
    name text PRIMARY KEY,
    position text NOT NULL,
    since timestamptz NOT NULL
);
COMMENT ON TABLE opsrunbook.inactive_slot IS 'replication slots that nobody reads, and since when opsrunbook.observe_alerts() has seen them so at that position; used before PostgreSQL 17, which tells itself';
GRANT SELECT ON opsrunbook.inactive_slot TO pg_monitor;

CREATE FUNCTION opsrunbook.observe_alerts(OUT fired integer, OUT cleared integer)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'opsrunbook_observe_alerts';
COMMENT ON FUNCTION opsrunbook.observe_alerts() IS 'one observation of all alerts, which the scheduler makes every minute: what has been there (or gone) for long enough is written to the server log and sent as NOTIFY opsrunbook_alert with a JSON object {event: fired|escalated|cleared, check, severity, object, message, value, threshold, since, fix}; returns how many alerts fired and cleared';
