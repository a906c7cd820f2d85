-- More large relations than one diagnosis samples: the observations of alerts get to each of them in turn, and what
-- they measured stands for it meanwhile.  The catalogs are told that small relations are large.
\ir common/prologue.sql
SELECT no_plan();

-- A diagnosis reads at most 8000 pages, at least 50 of each.
DO $$
BEGIN
    FOR i IN 1 .. 170 LOOP
        EXECUTE format('CREATE TABLE large_%s WITH (autovacuum_enabled = off) AS SELECT g AS n FROM generate_series(1, 100) g', i);
        EXECUTE format('UPDATE pg_class SET relpages = 140000 + %s, reltuples = 100 WHERE oid = ''large_%s''::regclass', i, i);
    END LOOP;
END $$;
CREATE INDEX large_index ON large_1 (n); -- which counts the table's pages again
UPDATE pg_class SET relpages = CASE relkind WHEN 'i' THEN 131073 ELSE 140001 END WHERE relname IN ('large_index', 'large_1');

CREATE FUNCTION pg_temp.unmeasured(checked text) RETURNS bigint LANGUAGE sql AS
$$ SELECT count(*) FROM opsrunbook.findings(ARRAY[checked]) WHERE severity = 'UNKNOWN' $$;

SELECT is(pg_temp.unmeasured('bloat'), 1::bigint, 'not all are measured at once');
SELECT is(pg_temp.unmeasured('index_bloat'), 1::bigint, 'least of all the smallest one, an index');
SELECT is(pg_temp.unmeasured('bloat'), 1::bigint, 'looking again, without an observation, changes nothing');
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT ok(EXISTS (SELECT FROM opsrunbook.measured_bloat WHERE relation = 'large_170'::regclass), 'the largest is measured first');
SELECT ok(count(*) BETWEEN 1 AND 160, 'and as many as there is time for') FROM opsrunbook.measured_bloat;
-- On a busy machine 50 ms may be few relations.
DO $$
BEGIN
    FOR i IN 1 .. 200 LOOP
        PERFORM opsrunbook.observe_alerts();
        EXIT WHEN (SELECT count(*) FROM opsrunbook.measured_bloat) = 171;
    END LOOP;
END $$;
SELECT is((SELECT count(*) FROM opsrunbook.measured_bloat), 171::bigint, 'a few observations get to all of them');
SELECT is(pg_temp.unmeasured('bloat'), 0::bigint, 'which are known then');
SELECT is(pg_temp.unmeasured('index_bloat'), 0::bigint, 'the index too');

-- The one measured longest ago comes first, whatever its size.
UPDATE opsrunbook.measured_bloat SET measured_at = measured_at - interval '1 hour' WHERE relation = 'large_index'::regclass;
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT is((SELECT measured_at FROM opsrunbook.measured_bloat WHERE relation = 'large_index'::regclass),
    (SELECT max(measured_at) FROM opsrunbook.measured_bloat), 'the longest unmeasured one is next');

-- What was measured stands for it while others have their turn, and for no other file, and not for ever.
UPDATE opsrunbook.measured_bloat SET measured_at = now() - interval '1 minute' WHERE relation <> 'large_1'::regclass;
UPDATE opsrunbook.measured_bloat SET measured_at = now(), bloat_pct = 60, dead_pct = 50, relation_bytes = 4::bigint << 30
    WHERE relation = 'large_1'::regclass;
SELECT results_eq($$SELECT severity, object FROM opsrunbook.findings(ARRAY['bloat'])$$, $$VALUES ('CRITICAL', 'public.large_1')$$,
    'as it was measured');
SELECT matches((SELECT message FROM opsrunbook.findings(ARRAY['bloat'])), 'measured .* ago', 'and how long ago');
UPDATE opsrunbook.measured_bloat SET file = 1 WHERE relation = 'large_1'::regclass;
SELECT is_empty($$SELECT * FROM opsrunbook.findings(ARRAY['bloat']) WHERE severity = 'CRITICAL'$$, 'not of a file that is gone');
DROP TABLE large_1;
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT is((SELECT count(*) FROM opsrunbook.measured_bloat), 169::bigint, 'dropped relations are forgotten');

SELECT * FROM finish();
