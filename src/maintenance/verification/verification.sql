-- Verification of tables and their btree indexes with amcheck.

-- Not dumped: in another database the tables have other OIDs, and were not verified.
CREATE TABLE opsrunbook.verified (
    relation oid PRIMARY KEY,
    verified_at timestamptz NOT NULL,
    sqlstate text,
    damage text
);
CREATE INDEX verified_at_idx ON opsrunbook.verified (verified_at);
CREATE INDEX verified_damage_idx ON opsrunbook.verified (verified_at) WHERE damage IS NOT NULL;
COMMENT ON TABLE opsrunbook.verified IS 'when each table was last verified, and the damage found then';

CREATE VIEW opsrunbook.verifications AS
    SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation_name, v.verified_at, v.sqlstate, v.damage
    FROM opsrunbook.verified v
         JOIN pg_catalog.pg_class c ON c.oid = v.relation
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace;
COMMENT ON VIEW opsrunbook.verifications IS 'when each table was last verified with amcheck, and the damage found then; sqlstate XX001: in the table itself, XX002: in indexes only';
GRANT SELECT ON opsrunbook.verifications TO pg_monitor;

CREATE FUNCTION opsrunbook.verify_table(relation regclass, OUT object text, OUT status text, OUT message text)
    RETURNS SETOF record LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'opsrunbook_verify_table';
COMMENT ON FUNCTION opsrunbook.verify_table(regclass) IS
    'reads a table with its TOAST through, and checks of each btree index that it is in order and has every row, with the functions of the extension amcheck; status: completed, failed (damaged), skipped (could not be read); the outcome stays in opsrunbook.verifications';
