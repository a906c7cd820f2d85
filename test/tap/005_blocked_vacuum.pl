# A worker of autovacuum waits for a lock only when it must freeze the table; then whoever holds the lock keeps it from
# all other tables.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node(
	'blocked_vacuum',
	autovacuum => 'on',
	autovacuum_naptime => '1s',
	autovacuum_freeze_max_age => 100000, # the least that the server takes
	autovacuum_vacuum_cost_delay => 0,
	log_autovacuum_min_duration => 0);

my $severity = "SELECT coalesce(max(severity), 'OK') FROM opsrunbook.findings(ARRAY['autovacuum_blocked'])";
my $waiting = "SELECT count(*) FROM pg_stat_activity
	WHERE backend_type = 'autovacuum worker' AND wait_event_type = 'Lock' AND cardinality(pg_blocking_pids(pid)) > 0";

$node->safe_psql('postgres',
	'CREATE TABLE held (n integer) WITH (autovacuum_vacuum_threshold = 0, autovacuum_analyze_threshold = 1000000);
	 INSERT INTO held SELECT generate_series(1, 100)');
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN');
$holder->query_safe('LOCK TABLE held IN SHARE UPDATE EXCLUSIVE MODE');

# Dead rows alone are no reason to wait.
my $log = -s $node->logfile;
$node->safe_psql('postgres', 'DELETE FROM held WHERE n > 50');
$node->wait_for_log(qr/skipping vacuum of "held" --- lock not available/, $log);
is($node->safe_psql('postgres', $severity), 'OK', 'autovacuum_blocked: near miss: a worker that skips a locked table');

# The age of the table is one.
$node->safe_psql('postgres',
	'DO $$ BEGIN FOR i IN 1 .. 101000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$');
ok(wait_for($node, $waiting, '1'), 'a worker waits to freeze the table');
is($node->safe_psql('postgres', $severity), 'OK', 'autovacuum_blocked: near miss: it has only begun to wait');
$node->safe_psql('postgres',
	"UPDATE performance.alert_thresholds SET warning_threshold = 0 WHERE metric_name = 'autovacuum_wait_minutes' AND object = ''"
);
ok(wait_for($node, $severity, 'WARNING'), 'autovacuum_blocked: fires: it waits for longer than the threshold');
like(
	$node->safe_psql('postgres', "SELECT message FROM opsrunbook.findings(ARRAY['autovacuum_blocked'])"),
	qr/waiting for a lock on public\.held /, 'autovacuum_blocked: names the table');

my $fix = $node->safe_psql('postgres', "SELECT fix FROM opsrunbook.findings(ARRAY['autovacuum_blocked'])");
$node->safe_psql('postgres', $fix);
ok(wait_for($node, "SELECT age(relfrozenxid) < 100000 FROM pg_class WHERE relname = 'held'"), 'the table was frozen');
is($node->safe_psql('postgres', $severity), 'OK', 'autovacuum_blocked: clears: without the session that held the lock');
eval { $holder->quit };

$node->stop;
done_testing();
