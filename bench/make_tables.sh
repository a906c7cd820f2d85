#!/bin/bash
# Makes a catalog of the size that breaks other tools: many small tables, two indexes each.

set -euo pipefail

usage()
{
    cat <<'TEXT'
bench/make_tables.sh [TABLES [FIRST]]

Makes TABLES (default 100,000) tables in schema many of the database that PGHOST, PGPORT, PGUSER and PGDATABASE
name, counting from FIRST (default 1).  Each has three rows and two indexes, every second one a column with a TOAST
table: four relations a table on average, so 100,000 tables are 400,000 relations.  A database that has them already
can be given more with FIRST.
TEXT
}

case ${1:-} in -h | --help) usage; exit 0 ;; esac
tables=${1:-100000}
first=${2:-1}
last=$((first + tables - 1))

# A transaction of 1,000 tables takes some 8,000 locks, which the default settings have room for; and a commit now
# and then keeps the server's invalidation messages and relation cache of this session small.
psql -X -q -v ON_ERROR_STOP=1 <<SQL
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS many;
SET client_min_messages = notice;
\set VERBOSITY terse
SET synchronous_commit = off;
DO \$\$
DECLARE
    started timestamptz := clock_timestamp();
BEGIN
    FOR n IN $first .. $last LOOP
        EXECUTE format('CREATE TABLE many.table_%s (id bigint PRIMARY KEY, at timestamptz DEFAULT now()%s)',
                       n, CASE WHEN n % 2 = 0 THEN ', note text' ELSE '' END);
        EXECUTE format('CREATE INDEX table_%1\$s_at ON many.table_%1\$s (at)', n);
        EXECUTE format('INSERT INTO many.table_%s (id) VALUES (1), (2), (3)', n);
        IF n % 1000 = 0 OR n = $last THEN
            COMMIT;
            IF n % 10000 = 0 OR n = $last THEN
                RAISE NOTICE 'made tables $first to % in % s', n,
                    round(extract(epoch FROM clock_timestamp() - started)::numeric, 0);
            END IF;
        END IF;
    END LOOP;
END
\$\$;
SQL
