-- Health: checks, thresholds, score, alerts, reports.

CREATE TABLE opsrunbook.threshold (
    metric_name text NOT NULL,
    object text NOT NULL DEFAULT '',
    warning numeric,
    critical numeric,
    enabled boolean NOT NULL DEFAULT true,
    PRIMARY KEY (metric_name, object)
);
COMMENT ON TABLE opsrunbook.threshold IS 'thresholds that differ from the checks'' defaults; written through performance.alert_thresholds. object: empty for all, a name, or a pattern with *';
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.threshold', '');

CREATE FUNCTION opsrunbook.list_checks(OUT id text, OUT title text, OUT category text, OUT points numeric, OUT metric text,
    OUT unit text, OUT direction text, OUT warning numeric, OUT critical numeric, OUT bottleneck boolean, OUT explanation text, OUT source text)
    RETURNS SETOF record LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'opsrunbook_list_checks';
COMMENT ON FUNCTION opsrunbook.list_checks() IS 'the registry of health checks, with default thresholds';

CREATE VIEW performance.alert_thresholds AS
    SELECT c.metric AS metric_name,
           CASE WHEN t.metric_name IS NULL THEN c.warning ELSE t.warning END AS warning_threshold,
           CASE WHEN t.metric_name IS NULL THEN c.critical ELSE t.critical END AS critical_threshold,
           c.direction, c.unit, coalesce(t.enabled, true) AS enabled, c.title AS description, coalesce(t.object, '') AS object
    FROM opsrunbook.list_checks() c
         LEFT JOIN opsrunbook.threshold t ON t.metric_name = c.metric AND t.object = ''
    WHERE c.metric IS NOT NULL
    UNION ALL
    SELECT t.metric_name, t.warning, t.critical, c.direction, c.unit, t.enabled, c.title, t.object
    FROM opsrunbook.threshold t JOIN opsrunbook.list_checks() c ON c.metric = t.metric_name
    WHERE t.object <> '';
COMMENT ON VIEW performance.alert_thresholds IS 'the thresholds in force; UPDATE a row to change one, INSERT a row with an object (name or pattern with *) for an exception, DELETE a row to go back to the default';
GRANT SELECT ON performance.alert_thresholds TO pg_monitor;

CREATE FUNCTION opsrunbook.write_threshold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    bad_side boolean;
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM opsrunbook.threshold t WHERE t.metric_name = OLD.metric_name AND t.object = coalesce(OLD.object, '');
        RETURN OLD;
    END IF;
    IF NOT EXISTS (SELECT FROM opsrunbook.list_checks() c WHERE c.metric = NEW.metric_name) THEN
        RAISE EXCEPTION 'metric "%" does not exist', NEW.metric_name USING ERRCODE = 'undefined_object',
            HINT = 'SELECT metric_name FROM performance.alert_thresholds lists the metrics there are.';
    END IF;
    SELECT CASE c.direction WHEN 'above' THEN NEW.critical_threshold < NEW.warning_threshold
                            ELSE NEW.critical_threshold > NEW.warning_threshold END
        INTO bad_side FROM opsrunbook.list_checks() c WHERE c.metric = NEW.metric_name;
    IF bad_side THEN
        RAISE EXCEPTION 'critical threshold % of metric "%" would be reached before warning threshold %',
            NEW.critical_threshold, NEW.metric_name, NEW.warning_threshold USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Set both thresholds in one statement.';
    END IF;
    IF TG_OP = 'UPDATE' AND (OLD.metric_name, coalesce(OLD.object, '')) <> (NEW.metric_name, coalesce(NEW.object, '')) THEN
        RAISE EXCEPTION 'a threshold''s metric and object cannot be changed' USING ERRCODE = 'feature_not_supported',
            HINT = 'INSERT a new row and DELETE the old one.';
    END IF;
    INSERT INTO opsrunbook.threshold AS t (metric_name, object, warning, critical, enabled)
        VALUES (NEW.metric_name, coalesce(NEW.object, ''), NEW.warning_threshold, NEW.critical_threshold, coalesce(NEW.enabled, true))
        ON CONFLICT (metric_name, object) DO UPDATE
            SET warning = EXCLUDED.warning, critical = EXCLUDED.critical, enabled = EXCLUDED.enabled;
    RETURN NEW;
END
$body$;
COMMENT ON FUNCTION opsrunbook.write_threshold() IS 'keeps what is written to performance.alert_thresholds in opsrunbook.threshold';
REVOKE ALL ON FUNCTION opsrunbook.write_threshold() FROM PUBLIC;
CREATE TRIGGER write_threshold INSTEAD OF INSERT OR UPDATE OR DELETE ON performance.alert_thresholds
    FOR EACH ROW EXECUTE FUNCTION opsrunbook.write_threshold();

CREATE FUNCTION opsrunbook.findings(check_ids text[] DEFAULT NULL, include_ok boolean DEFAULT false,
    OUT check_id text, OUT category text, OUT severity text, OUT object text, OUT metric text, OUT value numeric,
    OUT threshold numeric, OUT unit text, OUT message text, OUT since timestamptz, OUT evidence jsonb, OUT cause text,
    OUT fix text, OUT undo text, OUT checked text, OUT muted boolean, OUT mute text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_findings';
COMMENT ON FUNCTION opsrunbook.findings(text[], boolean) IS 'what the health checks found, with the numbers, the cause where one is known, the statement that fixes it and the one that undoes that; include_ok: also what was checked and is fine; since: first observed, where opsrunbook.observe_alerts() follows it; muted: listed here, but neither an alert nor in the score, and mute says who muted it, until when and why';

CREATE FUNCTION @extschema@.calculate_database_health_score(OUT component text, OUT score numeric, OUT weight numeric,
    OUT status text, OUT points_lost numeric, OUT top_finding text, OUT action text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_calculate_database_health_score';
COMMENT ON FUNCTION @extschema@.calculate_database_health_score() IS 'the health score from 0 to 100 (row "overall"; above 90 Excellent, above 75 Good), then one row a category with the points it costs and what to do';

CREATE FUNCTION @extschema@.detect_performance_bottlenecks(OUT bottleneck text, OUT severity text, OUT object_name text,
    OUT description text, OUT impact_pct numeric, OUT evidence jsonb, OUT recommendation text, OUT fix_command text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_detect_performance_bottlenecks';
COMMENT ON FUNCTION @extschema@.detect_performance_bottlenecks() IS 'what slows the database down now, worst first; impact_pct: share of the database''s time, where it can be measured';

CREATE FUNCTION @extschema@.generate_performance_report(OUT section text, OUT metric text, OUT value text, OUT status text, OUT description text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_generate_performance_report';
COMMENT ON FUNCTION @extschema@.generate_performance_report() IS 'the whole picture: score, headline numbers, every check, the statements that take most time';

CREATE FUNCTION @extschema@.check_system_health(OUT health_check text, OUT current_value text, OUT threshold text, OUT status text, OUT alert_level text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_check_system_health';
COMMENT ON FUNCTION @extschema@.check_system_health() IS 'one row a check: what was seen, the thresholds (warning / critical) in force for it, the alert level';

CREATE FUNCTION performance.dashboard(OUT category text, OUT metric text, OUT value text, OUT status text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_dashboard';
COMMENT ON FUNCTION performance.dashboard() IS 'the numbers to look at first, each with the status of the check behind it';

CREATE FUNCTION performance.check_alerts(OUT alert_level text, OUT metric text, OUT current_value numeric, OUT threshold numeric,
    OUT message text, OUT object_name text, OUT since timestamptz, OUT runbook_action text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_check_alerts';
COMMENT ON FUNCTION performance.check_alerts() IS 'what is WARNING or worse, and what could not be measured (UNKNOWN), worst first; no row: all is well';

CREATE FUNCTION backup_recovery.health_check(OUT check_name text, OUT status text, OUT message text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_health_check';
COMMENT ON FUNCTION backup_recovery.health_check() IS 'what decides whether this database could be brought back: backups, WAL, replication, integrity, wraparound, storage';
