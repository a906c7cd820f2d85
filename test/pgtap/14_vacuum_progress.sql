-- A VACUUM with too little memory for the dead rows, stopped in the midst of its passes over the index.
\ir common/prologue.sql

SELECT no_plan();

-- A VACUUM waits for the page, after at least so many passes.
CREATE FUNCTION pg_temp.waits(passes integer) RETURNS boolean LANGUAGE sql AS
$$ SELECT EXISTS (SELECT FROM pg_stat_progress_vacuum v JOIN pg_stat_activity USING (pid)
                  WHERE v.phase = 'vacuuming indexes' AND v.index_vacuum_count >= passes AND wait_event_type LIKE 'Buffer%') $$;
CREATE FUNCTION pg_temp.worst() RETURNS text LANGUAGE sql AS
$$ SELECT coalesce(max(severity), 'OK') FROM opsrunbook.findings('{vacuum_index_passes}') $$;

CREATE TABLE wide_delete (id integer) WITH (autovacuum_enabled = off);
CREATE INDEX wide_delete_id ON wide_delete (id);
-- A session whose cursor stands on the index entry of a row that is there, and keeps its page pinned: VACUUM waits for
-- that in each pass.
CREATE FUNCTION pg_temp.pin(session text, id integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.link(session);
    PERFORM dblink_exec(session, 'SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; BEGIN;'
        || format(' DECLARE holding CURSOR FOR SELECT id FROM wide_delete WHERE id >= %s ORDER BY id', id));
    PERFORM * FROM dblink(session, 'FETCH 1 FROM holding') AS d(id integer);
END $$;
CREATE FUNCTION pg_temp.delete_most() RETURNS void LANGUAGE sql AS $$
    TRUNCATE wide_delete;
    INSERT INTO wide_delete SELECT generate_series(1, 600000);
    DELETE FROM wide_delete WHERE id % 1000 <> 0;
$$;
SELECT pg_temp.delete_most() \g /dev/null

-- As little memory as the server allows: the first pass waits near the end of the index ...
SELECT pg_temp.link('vacuum') \g /dev/null
SELECT dblink_exec('vacuum', 'SET maintenance_work_mem = ' || min_val) FROM pg_settings WHERE name = 'maintenance_work_mem' \g /dev/null
SELECT pg_temp.pin('late', 599000) \g /dev/null
SELECT dblink_send_query('vacuum', 'VACUUM (PARALLEL 0, TRUNCATE off) wide_delete') \g /dev/null
SELECT ok(pg_temp.comes_true($$ pg_temp.waits(0) $$), 'a VACUUM is at its first pass');
SELECT is(pg_temp.worst(), 'OK', 'vacuum_index_passes: near miss: one pass is usual');

-- ... and the next one at its beginning.
SELECT pg_temp.pin('early', 1000) \g /dev/null
SELECT dblink_disconnect('late') \g /dev/null
SELECT ok(pg_temp.comes_true($$ pg_temp.waits(1) $$), 'it is at its second pass');
SELECT results_eq($$ SELECT severity, object, category FROM opsrunbook.findings('{vacuum_index_passes}') $$,
    $$ VALUES ('WARNING', 'public.wide_delete', 'vacuum') $$, 'vacuum_index_passes: fires: memory for fewer rows than are dead');
SELECT ok((evidence ->> 'needed_bytes')::bigint > (evidence ->> 'memory_bytes')::bigint, 'and how much it takes is said: ' || evidence::text)
    FROM opsrunbook.findings('{vacuum_index_passes}');
SELECT matches(fix, '^-- the session that vacuums has less memory', 'by itself the server gives enough') FROM opsrunbook.findings('{vacuum_index_passes}');
SELECT substring(fix FROM 'SET maintenance_work_mem = ''\d+MB''') AS remedy FROM opsrunbook.findings('{vacuum_index_passes}') \gset
SELECT dblink_cancel_query('vacuum') \g /dev/null
SELECT dblink_disconnect('vacuum') \g /dev/null
SELECT dblink_disconnect('early') \g /dev/null
SELECT ok(pg_temp.comes_true($$ NOT EXISTS (SELECT FROM pg_stat_progress_vacuum) $$), 'which is cancelled');

-- As told, and as many rows dead again.
SELECT pg_temp.delete_most() \g /dev/null
SELECT pg_temp.pin('late', 599000) \g /dev/null
SELECT pg_temp.link('vacuum') \g /dev/null
SELECT dblink_exec('vacuum', :'remedy') \g /dev/null
SELECT dblink_send_query('vacuum', 'VACUUM (PARALLEL 0, TRUNCATE off) wide_delete') \g /dev/null
SELECT ok(pg_temp.comes_true($$ pg_temp.waits(0) $$), 'a VACUUM is at its first pass');
SELECT is(pg_temp.worst(), 'OK', 'vacuum_index_passes: clears: with the memory that the fix names');
SELECT is(heap_blks_scanned, heap_blks_total, 'that pass is the only one') FROM pg_stat_progress_vacuum;
SELECT dblink_disconnect('late') \g /dev/null
SELECT ok(pg_temp.comes_true($$ NOT EXISTS (SELECT FROM pg_stat_progress_vacuum) $$), 'it ends');

SELECT * FROM finish();
SELECT dblink_disconnect('vacuum') \g /dev/null
