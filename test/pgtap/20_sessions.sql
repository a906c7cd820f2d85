\ir common/prologue.sql

SELECT no_plan();

-- Nothing planted: nothing found.
SELECT is((SELECT count(*) FROM opsrunbook.findings(ARRAY['long_query', 'long_transaction', 'idle_in_transaction',
    'prepared_transactions', 'connections', 'active_connections', 'role_or_database_limit'])), 0::bigint, 'a quiet server raises no alarm about its sessions');

-- connections
SELECT pg_temp.link('one') AS one \gset
SELECT is(pg_temp.severity('connections'), 'OK', 'connections: near miss: one connection is no shortage');
SELECT pg_temp.set_thresholds('connections_pct', 0.5, 95);
SELECT is(pg_temp.severity('connections'), 'WARNING', 'connections: fires: above the threshold');
SELECT ok(pg_temp.comes_true(format('EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s AND state = ''idle'')', :one)), 'the session is idle');
SELECT is((SELECT fix FROM opsrunbook.findings('{connections}')), 'SELECT * FROM performance.reset_idle_connections(10);', 'connections: idle ones are to be reset');
SELECT isnt((SELECT count(*) FROM performance.reset_idle_connections(0)), 0::bigint, 'connections: the remedy, at once');
SELECT ok(pg_temp.comes_true('NOT EXISTS (SELECT FROM opsrunbook.findings(''{connections}''))'), 'connections: clears: clear again');
SELECT pg_temp.set_thresholds('connections_pct', 75, 90);
SELECT dblink_disconnect('one') \g /dev/null

-- active_connections and long_query
SELECT pg_temp.link('busy') AS busy \gset
SELECT pg_temp.set_thresholds('active_connections', 0, 80);
SELECT pg_temp.set_thresholds('longest_query_minutes', 0, 10);
SELECT is(pg_temp.severity('long_query', 'pid ' || :busy), 'OK', 'long_query: near miss: an idle session runs nothing');
SELECT is(pg_temp.severity('active_connections'), 'OK', 'active_connections: near miss: idle ones do not count');
SELECT dblink_send_query('busy', 'SELECT pg_sleep(600)') \g /dev/null
SELECT ok(pg_temp.comes_true(format('pg_temp.severity(''active_connections'') = ''WARNING''')), 'active_connections: fires: a running one counts');
SELECT is(pg_temp.severity('long_query', 'pid ' || :busy), 'WARNING', 'long_query: fires: above the threshold');
SELECT matches((SELECT message FROM opsrunbook.findings('{long_query}') WHERE object = 'pid ' || :busy), 'pg_sleep', 'long_query: the message has the statement');
SELECT pg_temp.run_fix('long_query', 'pid ' || :busy);
SELECT ok(pg_temp.comes_true(format('pg_temp.severity(''long_query'', ''pid %s'') = ''OK''', :busy)), 'long_query: clears: the remedy clears it');
SELECT is(pg_temp.severity('active_connections'), 'OK', 'active_connections: clears: cleared with it');
SELECT dblink_disconnect('busy') \g /dev/null
SELECT pg_temp.link('pg_dump') AS dump \gset
SELECT dblink_send_query('pg_dump', 'SELECT pg_sleep(600)') \g /dev/null
SELECT ok(pg_temp.comes_true(format('EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s AND state = ''active'')', :dump)), 'a dump runs');
SELECT is(pg_temp.severity('long_query', 'pid ' || :dump), 'OK', 'long_query: a dump is long by nature');
SELECT pg_cancel_backend(:dump);
SELECT dblink_disconnect('pg_dump') \g /dev/null
SELECT pg_temp.set_thresholds('active_connections', 50, 80);
SELECT pg_temp.set_thresholds('longest_query_minutes', 5, 10);

-- role_or_database_limit
CREATE ROLE "Limited one" LOGIN CONNECTION LIMIT 10;
SELECT pg_temp.link('limited', 'Limited one') AS limited \gset
SELECT is(pg_temp.severity('role_or_database_limit'), 'OK', 'role_or_database_limit: near miss: one of ten');
ALTER ROLE "Limited one" CONNECTION LIMIT 1;
SELECT is(pg_temp.severity('role_or_database_limit', '"Limited one"'), 'CRITICAL', 'role_or_database_limit: fires: one of one');
SELECT pg_temp.run_fix('role_or_database_limit', '"Limited one"');
SELECT is(pg_temp.severity('role_or_database_limit'), 'OK', 'role_or_database_limit: clears: the remedy clears it');
SELECT dblink_disconnect('limited') \g /dev/null

-- idle_in_transaction and long_transaction
CREATE TABLE held(n integer);
SELECT pg_temp.set_thresholds('idle_in_transaction_minutes', 0, 15);
SELECT pg_temp.set_thresholds('longest_transaction_minutes', 0, 60);
SELECT pg_temp.link('sitter') AS sitter \gset
SELECT dblink_exec('sitter', 'BEGIN') \g /dev/null
SELECT ok(pg_temp.comes_true(format('EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s AND state = ''idle in transaction'')', :sitter)), 'a session sits in a transaction');
SELECT is(pg_temp.severity('idle_in_transaction', 'pid ' || :sitter), 'OK', 'idle_in_transaction: near miss: it holds nothing and harms nobody');
SELECT is(pg_temp.severity('long_transaction', 'pid ' || :sitter), 'OK', 'long_transaction: near miss: it holds nothing and harms nobody');
SELECT dblink_exec('sitter', 'INSERT INTO held VALUES (1)') \g /dev/null
SELECT ok(pg_temp.comes_true(format('EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s AND state = ''idle in transaction'')', :sitter)), 'it wrote and sits again');
SELECT is(pg_temp.severity('idle_in_transaction', 'pid ' || :sitter), 'WARNING', 'idle_in_transaction: fires: a writer is found by its transaction id and locks');
SELECT is(pg_temp.severity('long_transaction', 'pid ' || :sitter), 'WARNING', 'long_transaction: fires: several statements, open above the threshold');
SELECT is((SELECT message LIKE '%idle_in_transaction_session_timeout is 0%' FROM opsrunbook.findings('{idle_in_transaction}') WHERE object = 'pid ' || :sitter),
    current_setting('idle_in_transaction_session_timeout') = '0', 'idle_in_transaction: says when nothing would end it');
SELECT pg_temp.run_fix('idle_in_transaction', 'pid ' || :sitter);
SELECT ok(pg_temp.comes_true(format('pg_temp.severity(''idle_in_transaction'', ''pid %s'') = ''OK''', :sitter)), 'idle_in_transaction: clears: the remedy clears it');
SELECT is(pg_temp.severity('long_transaction', 'pid ' || :sitter), 'OK', 'long_transaction: clears: cleared with it');
SELECT dblink_disconnect('sitter') \g /dev/null
SELECT pg_temp.set_thresholds('idle_in_transaction_minutes', 5, 15);
SELECT pg_temp.set_thresholds('longest_transaction_minutes', 30, 60);

-- prepared_transactions, where the server allows any
SELECT current_setting('max_prepared_transactions')::integer > 0 AS two_phase \gset
\if :two_phase
BEGIN;
INSERT INTO held VALUES (2);
PREPARE TRANSACTION 'it''s left over';
SELECT is(pg_temp.severity('prepared_transactions'), 'OK', 'prepared_transactions: near miss: a young one');
SELECT pg_temp.set_thresholds('prepared_transaction_minutes', 0, 60);
SELECT is(pg_temp.severity('prepared_transactions', 'it''s left over'), 'WARNING', 'prepared_transactions: fires: an old one');
SELECT fix FROM opsrunbook.findings('{prepared_transactions}') WHERE object = 'it''s left over' \gexec
SELECT is(pg_temp.severity('prepared_transactions'), 'OK', 'prepared_transactions: clears: the remedy clears it');
\else
SELECT skip('max_prepared_transactions is 0', 3);
\endif

-- The same verdict for a member of pg_monitor, and UNKNOWN with the privilege named where it cannot see.
CREATE ROLE watcher;
GRANT pg_monitor TO watcher;
SELECT pg_temp.link('seen') AS seen \gset
BEGIN;
SET LOCAL ROLE watcher;
SELECT coalesce(string_agg(severity, ','), '') AS sighted FROM opsrunbook.findings('{connections,active_connections,long_query}') \gset
ROLLBACK;
SELECT is(:'sighted'::text, ''::text, 'a member of pg_monitor sees what a superuser sees');
BEGIN;
REVOKE pg_read_all_stats FROM pg_monitor;
SET LOCAL ROLE watcher;
SELECT string_agg(DISTINCT severity, ',') AS blind, string_agg(DISTINCT fix, ',') AS remedy
FROM opsrunbook.findings('{connections,active_connections,long_query,long_transaction,idle_in_transaction,role_or_database_limit}') \gset
ROLLBACK;
SELECT is(:'blind'::text, 'UNKNOWN', 'who may not see others'' sessions gets UNKNOWN');
SELECT is(:'remedy'::text, 'GRANT pg_read_all_stats TO watcher;', 'with the missing privilege as the remedy');
SELECT dblink_disconnect('seen') \g /dev/null

DROP ROLE "Limited one", watcher;
SELECT * FROM finish();
