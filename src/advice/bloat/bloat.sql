-- Bloat, measured by sampling pages, and what indexes are worth.

CREATE FUNCTION opsrunbook.measure_bloat(relation regclass, max_pages integer DEFAULT NULL,
    OUT bloat_pct numeric, OUT interval_low_pct numeric, OUT interval_high_pct numeric, OUT confidence text, OUT method text,
    OUT reason text, OUT relation_bytes bigint, OUT bloat_bytes bigint, OUT bloat_size text, OUT pages bigint, OUT pages_sampled bigint,
    OUT dead_pct numeric, OUT free_pct numeric, OUT reserved_pct numeric, OUT deleted_pages_pct numeric)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_measure_bloat';
COMMENT ON FUNCTION opsrunbook.measure_bloat(regclass, integer) IS
'bloat of one table (dead rows and free space, as pgstattuple''s dead_tuple_percent + free_percent) or btree index (what a REINDEX would give back), in percent of its size, with a 95 % interval; a relation of at most max_pages pages (default 2000) is read completely, of a larger one at most max_pages (default 3000) are sampled; reserved_pct: the part of free_pct that no rewrite would give back, because fillfactor asked for it or another row of that width does not fit; NULL with the reason where it cannot be measured. Waits for no lock';

-- The server's own state, as opsrunbook.alert_state is: not for pg_dump.  At most one row a relation of 1 GB.
CREATE TABLE opsrunbook.measured_bloat (
    relation oid PRIMARY KEY,
    file oid NOT NULL,
    is_index boolean NOT NULL,
    measured_at timestamptz NOT NULL,
    relation_bytes bigint NOT NULL,
    bloat_pct double precision NOT NULL,
    interval_low_pct double precision NOT NULL,
    interval_high_pct double precision NOT NULL,
    dead_pct double precision NOT NULL,
    reserved_pct double precision NOT NULL,
    method text NOT NULL,
    confidence text NOT NULL
);
COMMENT ON TABLE opsrunbook.measured_bloat IS 'relations of 1 GB and more as opsrunbook.observe_alerts() last measured them: where there is no time for all, those measured longest ago come first, and what was measured within a day speaks for the rest; file: the file number then, so that a rewritten relation counts as not measured';
GRANT SELECT ON opsrunbook.measured_bloat TO pg_monitor;

CREATE FUNCTION opsrunbook.estimate_bloat(page_budget integer DEFAULT 100000,
    OUT schemaname name, OUT tablename name, OUT table_bytes bigint, OUT table_size text, OUT bloat_bytes bigint, OUT bloat_size text,
    OUT bloat_pct numeric, OUT confidence text, OUT method text, OUT n_dead_tup bigint, OUT n_live_tup bigint, OUT last_vacuum timestamptz,
    OUT recommendation text, OUT fix_command text, OUT interval_low_pct numeric, OUT interval_high_pct numeric, OUT dead_pct numeric,
    OUT free_pct numeric, OUT reserved_pct numeric, OUT reason text, OUT toast_of text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_estimate_bloat';
COMMENT ON FUNCTION opsrunbook.estimate_bloat(integer) IS
'bloat of every user table and its TOAST table, most wasted bytes first, reading at most page_budget pages in all; table_bytes: the main file, without indexes and TOAST; bloat_pct: dead rows and free space in percent of it, the part that fillfactor reserves or that is too narrow for another row (reserved_pct) included; recommendation: does not hold the reserved part against the table; confidence: high (interval within 1 point on each side), medium (3), low, withheld (see reason)';

CREATE VIEW performance.table_bloat_analysis AS SELECT * FROM opsrunbook.estimate_bloat();
COMMENT ON VIEW performance.table_bloat_analysis IS 'bloat of the user tables measured by sampling their pages, with a 95 % interval, most wasted bytes first; a table that could not be measured says why (reason)';
GRANT SELECT ON performance.table_bloat_analysis TO pg_monitor;

CREATE FUNCTION @extschema@.analyze_index_efficiency(page_budget integer DEFAULT 100000,
    OUT schemaname name, OUT tablename name, OUT indexname name, OUT idx_scan bigint, OUT idx_tup_read bigint, OUT idx_tup_fetch bigint,
    OUT efficiency_pct numeric, OUT index_bytes bigint, OUT index_size text, OUT bloat_pct numeric, OUT bloat_confidence text,
    OUT verdict text, OUT recommendation text, OUT interval_low_pct numeric, OUT interval_high_pct numeric, OUT deleted_pages_pct numeric,
    OUT method text, OUT reason text, OUT fix_command text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_analyze_index_efficiency';
COMMENT ON FUNCTION @extschema@.analyze_index_efficiency(integer) IS
'every user index: its use, and its bloat (what a REINDEX would give back) measured by sampling at most page_budget pages in all. efficiency_pct: index entries read by plain index scans that led to a live row, 100 * idx_tup_fetch / idx_tup_read; bitmap and index-only scans read entries without fetching through the index, so a low value is a question, not a fault. verdict: invalid, bloated, unused, healthy, used (in use, bloat not measured, see reason)';
