\ir common/prologue.sql

CREATE ROLE alerts_reader;
GRANT pg_monitor TO alerts_reader;
CREATE ROLE alerts_nobody;

-- Another session that listens.
SELECT dblink_connect('listener', format('dbname=%L host=%L port=%s user=%L', current_database(),
    split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), CURRENT_USER)) \g /dev/null
SELECT dblink_exec('listener', 'LISTEN opsrunbook_alert') \g /dev/null
CREATE TEMP TABLE heard (payload jsonb);

-- What was heard of our check since the last time, and forgets it.  NOTIFY is delivered at commit, and the
-- listener has it when it answers its next statement.
CREATE FUNCTION pg_temp.hear() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    events text;
BEGIN
    PERFORM * FROM dblink('listener', 'SELECT 1') AS d(n integer);
    TRUNCATE heard;
    INSERT INTO heard SELECT extra::jsonb FROM dblink_get_notify('listener') WHERE extra::jsonb ->> 'check' = 'queue';
    SELECT string_agg(payload ->> 'event', ',') INTO events FROM heard;
    RETURN coalesce(events, '');
END $$;
CREATE FUNCTION pg_temp.alerts() RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(alert_level, ','), '') FROM performance.check_alerts() WHERE metric = 'queue'
$$;

SELECT no_plan();

CREATE TABLE queue (length integer);
INSERT INTO queue VALUES (0);
SELECT opsrunbook.add_check('queue', 'SELECT length FROM queue', 10, 100, in_score => true) \g /dev/null

-- Two observations fire, two clear.
SELECT isnt_empty($$SELECT * FROM opsrunbook.observe_alerts()$$, 'an observation') ;
UPDATE queue SET length = 11;
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT is(pg_temp.hear(), '', 'one observation does not fire');
SELECT is((SELECT fired_at FROM opsrunbook.alert_state WHERE check_id = 'queue'), NULL, 'but is remembered');
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT is(pg_temp.hear(), 'fired', 'two fire');
SELECT is((SELECT payload - 'since' FROM heard), '{"event": "fired", "check": "queue", "severity": "WARNING", "object": null, "message": "queue is 11 (above 10)", "value": 11, "threshold": 10, "fix": "SELECT length FROM queue"}'::jsonb, 'with all that is known');
SELECT is((SELECT (payload ->> 'since')::timestamptz FROM heard), (SELECT first_seen FROM opsrunbook.alert_state WHERE check_id = 'queue'), 'since the first');
SELECT is((SELECT since FROM performance.check_alerts() WHERE metric = 'queue'), (SELECT first_seen FROM opsrunbook.alert_state WHERE check_id = 'queue'), 'which the alerts know');
SELECT is((SELECT since FROM opsrunbook.findings(ARRAY['queue'])), (SELECT first_seen FROM opsrunbook.alert_state WHERE check_id = 'queue'), 'and the findings');
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT is(pg_temp.hear(), '', 'it fires once');
UPDATE queue SET length = 101;
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT is(pg_temp.hear(), '', 'one CRITICAL observation');
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT is(pg_temp.hear(), 'escalated', 'and the second escalates');
SELECT is((SELECT payload ->> 'severity' FROM heard), 'CRITICAL', 'to CRITICAL');
UPDATE queue SET length = NULL;
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT is(pg_temp.hear(), '', 'what cannot be measured clears nothing');
UPDATE queue SET length = 0;
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT is(pg_temp.hear(), '', 'one good observation does not clear');
SELECT results_eq($$SELECT cleared FROM opsrunbook.observe_alerts()$$, $$VALUES (1)$$, 'two do');
SELECT is(pg_temp.hear(), 'cleared', 'and it is said');
SELECT is((SELECT count(*) FROM opsrunbook.alert_state WHERE check_id = 'queue'), 0::bigint, 'it is over');
SET opsrunbook.alert_fire_after = 1;
UPDATE queue SET length = 11;
SELECT results_eq($$SELECT fired FROM opsrunbook.observe_alerts()$$, $$VALUES (1)$$, 'with other settings one observation fires');
UPDATE queue SET length = 0;
SET opsrunbook.alert_clear_after = 1;
SELECT results_eq($$SELECT cleared FROM opsrunbook.observe_alerts()$$, $$VALUES (1)$$, 'and clears');
SELECT is(pg_temp.hear(), 'fired,cleared', 'in this order');

-- What cannot be looked at keeps its alert; that another object is locked keeps none.
CREATE SEQUENCE stuck MAXVALUE 100;
CREATE SEQUENCE freed MAXVALUE 100;
SELECT setval('stuck', 95), setval('freed', 95) \g /dev/null
SET opsrunbook.alert_fire_after = 1;
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT set_eq($$SELECT object FROM opsrunbook.alert_state WHERE check_id = 'sequence_exhaustion' AND fired_at IS NOT NULL$$,
    $$VALUES ('public.stuck'), ('public.freed')$$, 'two alerts of one check');
SELECT setval('freed', 1) \g /dev/null
SELECT dblink_connect('locker', format('dbname=%L host=%L port=%s user=%L', current_database(),
    split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), CURRENT_USER)) \g /dev/null
SELECT dblink_exec('locker', 'BEGIN; DROP SEQUENCE stuck') \g /dev/null
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT set_eq($$SELECT object FROM opsrunbook.alert_state WHERE check_id = 'sequence_exhaustion'$$,
    $$VALUES ('public.stuck')$$, 'the one that was read and is fine is over; the locked one stays');
SELECT dblink_exec('locker', 'COMMIT') \g /dev/null
SELECT dblink_disconnect('locker') \g /dev/null
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT is_empty($$SELECT object FROM opsrunbook.alert_state WHERE check_id = 'sequence_exhaustion'$$, 'until it is gone');

-- Mutes.
SELECT throws_ok($$SELECT opsrunbook.mute_alert('queue')$$, '22023', 'a mute needs a reason', 'a mute needs a reason');
SELECT throws_ok($$SELECT opsrunbook.mute_alert('queue', until => now() - interval '1 s', reason => 'x')$$, '22023', NULL, 'and an end in the future');
SELECT throws_ok($$SELECT opsrunbook.mute_alert('queue', until => now() + interval '2 years', reason => 'x')$$, '22023', NULL, 'within a year');
SELECT throws_ok($$SELECT opsrunbook.mute_alert('no such check', reason => 'x')$$, '42704', NULL, 'and a check that exists');
SELECT throws_ok($$SELECT opsrunbook.unmute_alert('queue')$$, '42704', NULL, 'what is not muted cannot be unmuted');
UPDATE queue SET length = 11;
SELECT is(pg_temp.alerts(), 'WARNING', 'an alert');
SELECT is((SELECT score FROM calculate_database_health_score() WHERE component = 'user'), 75::numeric, 'that costs points');
SET ROLE alerts_reader;
SELECT matches(opsrunbook.mute_alert('queue', reason => 'the import runs'), 'check queue is muted until .*; it is WARNING now', 'is muted');
SELECT results_eq($$SELECT check_id, object, severity, reason, active FROM opsrunbook.mutes$$, $$VALUES ('queue', '*', 'WARNING', 'the import runs', true)$$, 'the view says why');
RESET ROLE;
SELECT is((SELECT set_by FROM opsrunbook.mutes), SESSION_USER::text, 'and who');
SELECT is(pg_temp.alerts(), '', 'it is no alert any more');
SELECT is((SELECT score FROM calculate_database_health_score() WHERE component = 'user'), 100::numeric, 'and costs nothing');
SELECT results_eq($$SELECT severity, muted, mute ~ 'the import runs' FROM opsrunbook.findings(ARRAY['queue'])$$, $$VALUES ('WARNING', true, true)$$, 'but is found');
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT is(pg_temp.hear(), '', 'nobody is told');
SELECT is_empty($$SELECT * FROM opsrunbook.findings(ARRAY['mute_hides_worse'])$$, 'mute_hides_worse: near miss: it is no worse than it was');
UPDATE queue SET length = 101;
SELECT results_eq($$SELECT severity, category, object, message LIKE '%queue%' || SESSION_USER || '%', fix FROM opsrunbook.findings(ARRAY['mute_hides_worse'])$$,
    $$VALUES ('WARNING', 'configuration', 'queue *', true, 'SELECT opsrunbook.unmute_alert(''queue'', ''*'');')$$, 'mute_hides_worse: fires: now it is');
SELECT is((SELECT count(*) FROM performance.check_alerts() WHERE metric = 'mute_hides_worse'), 1::bigint, 'which is an alert of its own');
SELECT matches(opsrunbook.mute_alert('queue', reason => 'yes, I saw it'), 'CRITICAL', 'muted again, knowing that');
SELECT is_empty($$SELECT * FROM opsrunbook.findings(ARRAY['mute_hides_worse'])$$, 'there is nothing worse');
UPDATE opsrunbook.mute SET severity = 'WARNING';
\o /dev/null
SELECT fix FROM opsrunbook.findings(ARRAY['mute_hides_worse']) \gexec
\o
SELECT is_empty($$SELECT * FROM opsrunbook.findings(ARRAY['mute_hides_worse'])$$, 'mute_hides_worse: clears: its fix makes it fine');
SELECT is(pg_temp.alerts(), 'CRITICAL', 'by ending the mute');
SELECT * FROM opsrunbook.observe_alerts() \g /dev/null
SELECT is(pg_temp.hear(), 'fired', 'and what was muted is told');
SELECT opsrunbook.mute_alert('queue', 'another object', reason => 'x') \g /dev/null
SELECT is(pg_temp.alerts(), 'CRITICAL', 'a mute of another object mutes nothing');
SELECT opsrunbook.mute_alert('queue', reason => 'x') \g /dev/null
SELECT is(pg_temp.alerts(), '', 'one of all does');
UPDATE opsrunbook.mute SET until = now() - interval '1 s';
SELECT is(pg_temp.alerts(), 'CRITICAL', 'until it expires');
SELECT is((SELECT bool_or(active) FROM opsrunbook.mutes), false, 'which the view shows');

-- One object of a check.
CREATE TABLE loud (n integer) WITH (autovacuum_enabled = off);
CREATE TABLE quiet (n integer) WITH (autovacuum_enabled = off);
SELECT opsrunbook.mute_alert('autovacuum_off', 'public.qu*', reason => 'loaded once') \g /dev/null
SELECT results_eq($$SELECT object, muted FROM opsrunbook.findings(ARRAY['autovacuum_off']) WHERE object <> '' ORDER BY 1$$,
    $$VALUES ('public.loud', false), ('public.quiet', true)$$, 'a pattern mutes what it matches');

-- Rights.
SET ROLE alerts_nobody;
SELECT throws_ok($$SELECT * FROM opsrunbook.observe_alerts()$$, '42501', NULL, 'not for everybody: observing');
SELECT throws_ok($$SELECT opsrunbook.mute_alert('queue', reason => 'x')$$, '42501', NULL, 'muting');
SELECT throws_ok($$SELECT opsrunbook.add_check('x', 'SELECT 1', 1, 2)$$, '42501', NULL, 'adding checks');
SELECT throws_ok($$SELECT * FROM opsrunbook.mutes$$, '42501', NULL, 'seeing mutes');
SET ROLE alerts_reader;
SELECT throws_ok($$DELETE FROM opsrunbook.mute$$, '42501', NULL, 'the tables are the house''s');
SELECT lives_ok($$SELECT * FROM opsrunbook.observe_alerts()$$, 'a monitor may observe');
RESET ROLE;

SELECT * FROM finish();

SELECT dblink_disconnect('listener') \g /dev/null
DROP OWNED BY alerts_reader, alerts_nobody;
DROP ROLE alerts_reader, alerts_nobody;
