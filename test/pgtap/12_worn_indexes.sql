-- Indexes that lost most of their rows are rebuilt; those that only grew are not.

\ir common/prologue.sql

SELECT plan(9);

CREATE TABLE worn (id int PRIMARY KEY, "when" int);
CREATE INDEX "worn ""when" ON worn ("when");
INSERT INTO worn SELECT g, g FROM generate_series(1, 200000) g;
CREATE TABLE grown (id int PRIMARY KEY);
INSERT INTO grown SELECT (g * 7919::bigint) % 200000 FROM generate_series(1, 200000) g;
DELETE FROM worn WHERE id % 10 <> 0;
DELETE FROM grown WHERE id % 50 = 0;
VACUUM ANALYZE worn, grown;
SELECT pg_stat_force_next_flush();
SELECT pg_stat_clear_snapshot();

CREATE TEMP TABLE sizes AS SELECT pg_relation_size('worn_pkey') AS key, pg_relation_size('"worn ""when"') AS other;
CREATE TEMP TABLE planned AS SELECT * FROM opsrunbook.plan_maintenance() WHERE kind = 'reindex';
SELECT is((SELECT count(*) FROM planned), 2::bigint, 'both indexes of the worn table are to be rebuilt, the grown one is not');
SELECT is((SELECT command FROM planned WHERE object_name LIKE '%when%'), 'REINDEX INDEX CONCURRENTLY public."worn ""when"',
    'the command quotes what must be quoted');
SELECT matches((SELECT max(reason) FROM planned), '^[89]\d % of its \d+(\.\d)? MB are waste \(\d+ to \d+ %, ', 'the reason says how much of it is waste');
SELECT ok((SELECT bool_and(background AND permitted AND predicted_seconds > 0) FROM planned), 'they run behind');

COMMIT;
CALL opsrunbook.run_maintenance();
SELECT cmp_ok(pg_relation_size('worn_pkey'), '<', (SELECT key / 5 FROM sizes), 'the primary key has shrunk');
SELECT cmp_ok(pg_relation_size('"worn ""when"'), '<', (SELECT other / 5 FROM sizes), 'the other index has shrunk');
SELECT is((SELECT count(*) FROM opsrunbook.tasks WHERE kind = 'reindex' AND status = 'completed' AND bytes_after < bytes_before
    AND message LIKE '% given back'), 2::bigint, 'before and after are on record');
SELECT is((SELECT count(*) FROM opsrunbook.plan_maintenance() WHERE kind = 'reindex'), 0::bigint, 'a second run finds nothing to rebuild');
SELECT is((SELECT count(*) FROM pg_index WHERE NOT indisvalid), 0::bigint, 'nothing is left behind');

SELECT * FROM finish();
