-- What holds for everything the extension owns: each object has a comment, and tables of the house with what users or
-- the past wrote into them are dumped.  (That every check and every function is tested: scripts/lib/check_coverage.pl.)
\ir common/prologue.sql
SELECT no_plan();

CREATE TEMP VIEW owned AS
    SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS name
    FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
    WHERE e.extname = 'opsrunbook' AND d.deptype = 'e';

SELECT is_empty($$
    SELECT o.name FROM owned o
    WHERE o.classid IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_namespace'::regclass, 'pg_type'::regclass,
                        'pg_operator'::regclass, 'pg_cast'::regclass, 'pg_opclass'::regclass, 'pg_event_trigger'::regclass)
      -- the row types and arrays of tables and views come with them
      AND NOT (o.classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t WHERE t.oid = o.objid AND (t.typrelid <> 0 OR t.typelem <> 0)))
      -- a sequence that a column owns has the column's meaning
      AND NOT (o.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
          AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') WHERE c.oid = o.objid AND c.relkind = 'S'))
      AND obj_description(o.objid, o.classid::regclass::text) IS NULL
    ORDER BY 1$$, 'every object has a comment');
SELECT is_empty($$
    SELECT o.name FROM owned o WHERE coalesce(obj_description(o.objid, o.classid::regclass::text), 'x') IN ('', ' ') $$, 'that says something');

-- These are about roles, tables, slots, standbys, counters, sessions and files of the running server: their comments say so.
SELECT set_eq($$
    SELECT c.relname::text FROM owned o JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid
    WHERE c.relkind IN ('r', 'p') AND c.oid <> ALL ((SELECT extconfig FROM pg_extension WHERE extname = 'opsrunbook')::oid[])$$,
    $$VALUES ('alert_state'), ('counter_sample'), ('inactive_slot'), ('job_role'), ('measured_bloat'), ('orphan_rule_identity'), ('retention_policy_identity'), ('streaming_standby'), ('verified')$$,
    'pg_dump takes every table but those that mean nothing elsewhere');
SELECT is_empty($$
    SELECT c.relname FROM owned o JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid
    WHERE c.relkind = 'S' AND c.oid <> ALL ((SELECT extconfig FROM pg_extension WHERE extname = 'opsrunbook')::oid[])$$,
    'and every sequence, so that ids do not come twice');
SELECT is_empty($$
    SELECT o.name FROM owned o JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'S') AND n.nspname <> 'opsrunbook'$$,
    'real tables live in the house only');

-- Functions say how they may be planned and run
SELECT is_empty($$
    SELECT o.name FROM owned o JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid JOIN pg_language l ON l.oid = p.prolang
    WHERE l.lanname IN ('sql', 'plpgsql') AND NOT coalesce(p.proconfig, '{}') @> '{"search_path=pg_catalog, pg_temp"}'$$,
    'functions in SQL have a fixed search_path');

SELECT * FROM finish();
