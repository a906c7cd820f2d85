-- Storage: where the bytes of the database are, and how fast they grow.

CREATE TABLE opsrunbook.storage_history (
    object_type text NOT NULL,
    object_name text NOT NULL,
    day date NOT NULL,
    recorded_at timestamptz NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (object_type, object_name, day)
);
COMMENT ON TABLE opsrunbook.storage_history IS 'sizes by day (UTC) of the database, its tablespaces and its largest 1000 objects, recorded by opsrunbook.record_storage_sizes() and kept for 90 days';
SELECT pg_catalog.pg_extension_config_dump('opsrunbook.storage_history', '');

CREATE FUNCTION opsrunbook.record_storage_sizes() RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_record_storage_sizes';
COMMENT ON FUNCTION opsrunbook.record_storage_sizes() IS 'records the sizes that growth is computed from, one a day and object, and returns how many objects; the default schedule calls it daily';

CREATE FUNCTION @extschema@.get_storage_usage_stats(max_objects integer DEFAULT 200, OUT object_type text, OUT object_name text,
    OUT size_bytes bigint, OUT size text, OUT pct_of_database numeric, OUT growth_bytes_per_day numeric, OUT status text, OUT note text)
    RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_get_storage_usage_stats';
COMMENT ON FUNCTION @extschema@.get_storage_usage_stats(integer) IS 'bytes of this database: the whole, its tablespaces, and the largest tables, TOAST tables and indexes (main files); growth_bytes_per_day: over up to 30 days of opsrunbook.storage_history, NULL without it; status: the worst that the checks of size, disk space, bloat and indexes find of the object; note: why';
