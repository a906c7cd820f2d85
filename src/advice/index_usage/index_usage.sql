-- How much indexes are used, and which can go.

CREATE TABLE opsrunbook.index_usage_history (
    schemaname name NOT NULL,
    indexname name NOT NULL,
    counted_from timestamptz NOT NULL,
    shape bigint NOT NULL,
    scans bigint NOT NULL,
    observed_from timestamptz NOT NULL,
    observed_until timestamptz NOT NULL,
    PRIMARY KEY (schemaname, indexname, counted_from)
) WITH (fillfactor = 70);
COMMENT ON TABLE opsrunbook.index_usage_history IS 'for each index and each time that its counter began anew (counted_from): the number of scans as last seen, and from when until when it stood at that number; written by update_index_usage(), kept for 400 days. shape: a hash of the definition, so that another index of the same name starts anew';
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.index_usage_history', '');

CREATE FUNCTION @extschema@.get_unused_indexes(OUT schemaname name, OUT tablename name, OUT indexname name, OUT index_size text,
    OUT index_bytes bigint, OUT idx_scan bigint, OUT observed_since timestamptz, OUT last_idx_scan timestamptz, OUT droppable boolean,
    OUT reason text, OUT drop_command text, OUT undo_command text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_get_unused_indexes';
COMMENT ON FUNCTION @extschema@.get_unused_indexes() IS 'user indexes without a scan since their counters began, or for 35 days; observed_since: since when that is known (update_index_usage() keeps it through resets of the statistics); droppable: nothing else needs it and it was watched for 35 days at least, otherwise reason says why not; undo_command: the statement that creates it again. Waits for no lock';

CREATE FUNCTION @extschema@.find_unused_indexes(OUT schemaname name, OUT tablename name, OUT indexname name, OUT index_size text,
    OUT index_bytes bigint, OUT idx_scan bigint, OUT observed_since timestamptz, OUT last_idx_scan timestamptz, OUT droppable boolean,
    OUT reason text, OUT drop_command text, OUT undo_command text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_find_unused_indexes';
COMMENT ON FUNCTION @extschema@.find_unused_indexes() IS 'the same as get_unused_indexes()';

CREATE VIEW performance.unused_indexes AS SELECT * FROM @extschema@.get_unused_indexes();
COMMENT ON VIEW performance.unused_indexes IS 'the rows of get_unused_indexes()';
GRANT SELECT ON performance.unused_indexes TO pg_monitor;

CREATE FUNCTION @extschema@.get_index_usage_stats(OUT schemaname name, OUT tablename name, OUT indexname name, OUT idx_scan bigint,
    OUT idx_tup_read bigint, OUT idx_tup_fetch bigint, OUT index_size text, OUT index_bytes bigint, OUT usage text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_get_index_usage_stats';
COMMENT ON FUNCTION @extschema@.get_index_usage_stats() IS 'every user index with its counters since the statistics began and its size in bytes, most used first; usage: never used, rarely used (below 50 scans), used';

CREATE FUNCTION @extschema@.analyze_index_usage(OUT schemaname name, OUT tablename name, OUT indexname name, OUT idx_scan bigint,
    OUT idx_tup_read bigint, OUT idx_tup_fetch bigint, OUT index_size text, OUT index_bytes bigint, OUT usage text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_analyze_index_usage';
COMMENT ON FUNCTION @extschema@.analyze_index_usage() IS 'the same as get_index_usage_stats()';

CREATE FUNCTION @extschema@.update_index_usage() RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_update_index_usage';
COMMENT ON FUNCTION @extschema@.update_index_usage() IS 'records how often each user index has been used in opsrunbook.index_usage_history and returns how many there are; call it daily, so that get_unused_indexes() knows the time before a reset of the statistics';
