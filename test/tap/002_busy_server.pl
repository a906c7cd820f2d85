# Maintenance gives way to a busy server, tries again what was only locked, and shows how far a task has come.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('busy',
	allows_streaming => 1, archive_mode => 'on', archive_command => 'false', log_min_messages => 'warning',
	'opsrunbook.lock_timeout' => '100ms', 'opsrunbook.max_wal_files_to_archive' => 2, 'opsrunbook.busy_wait' => '2s');

sub dirty
{
	my ($table) = @_;
	$node->safe_psql('postgres',
		"CREATE TABLE IF NOT EXISTS $table (id int PRIMARY KEY, v text);"
		  . "INSERT INTO $table SELECT g, 'x' FROM generate_series(1, 5000) g ON CONFLICT (id) DO UPDATE SET v = 'y';"
		  . "UPDATE $table SET v = v || 'z'");
}

sub last_task
{
	my ($table, $columns) = @_;
	return $node->safe_psql('postgres',
		"SELECT $columns FROM opsrunbook.tasks WHERE object_name = 'public.$table' ORDER BY task_id DESC LIMIT 1");
}

sub set_to
{
	my ($setting, $value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET $setting = '$value'");
	$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
	wait_for($node, "SELECT current_setting('$setting') = '$value'");
}

# ---- the load guard --------------------------------------------------------------------------------------------

dirty('busy');
for my $n (1 .. 4)
{
	dirty("filler_$n");
	$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
}
ok( wait_for(
		$node, "SELECT count(*) > 2 FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"),
	'WAL files wait for an archive_command that fails');
like(
	$node->safe_psql('postgres',
		"SELECT status, result_message FROM run_automated_maintenance() WHERE object_name = 'public.busy'"),
	qr/^pending\|carried over, the server is busy: paused: \d+ WAL files to archive, limit 2$/,
	'a run on a busy server carries its tasks over and says why');
is( $node->safe_psql('postgres', "SELECT count(*) FROM opsrunbook.tasks WHERE status IN ('running', 'completed')"),
	0, 'nothing was started');
like(
	$node->safe_psql('postgres', "SELECT decision FROM opsrunbook.run_task WHERE position IS NULL LIMIT 1"),
	qr/busy/, 'the decision is on record');

# A run that waits goes on by itself when the load goes down.
set_to('opsrunbook.busy_wait', '3min');
my $caller = $node->background_psql('postgres');
$caller->query_until(qr/started/, "\\echo started\nSELECT * FROM run_automated_maintenance();\n");
ok(wait_for($node, "SELECT bool_or(message LIKE 'paused: %') FROM opsrunbook.tasks WHERE status = 'pending'"),
	'while it is paused, its tasks say so');
set_to('archive_command', 'true');
$caller->query_safe('SELECT 1');
is(last_task('busy', 'status'), 'completed', 'the paused run did its work once the archive was clear');
is($node->safe_psql('postgres', "SELECT pg_stat_get_dead_tuples('busy'::regclass)"), 0, 'no dead row is left');
$caller->quit;

# Sessions at work count; the one that asked does not.
set_to('opsrunbook.busy_wait', '0');
set_to('opsrunbook.max_active_sessions', '1');
dirty('busy');
is( $node->safe_psql('postgres', "SELECT status FROM run_automated_maintenance() WHERE object_name = 'public.busy'"),
	'completed', 'who asked is no load');
$node->safe_psql('postgres', "ALTER SYSTEM RESET opsrunbook.max_active_sessions");
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');

# ---- another attempt -------------------------------------------------------------------------------------------

dirty('locked');
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE; SELECT 1');
$caller = $node->background_psql('postgres');
$caller->query_until(qr/started/, "SET client_min_messages = warning;\n\\echo started\nCALL opsrunbook.run_maintenance();\n");
ok( wait_for(
		$node, "SELECT status = 'pending' AND message LIKE '%; lock not available: attempt 2 of 5 in %'"
		  . " FROM opsrunbook.tasks WHERE object_name = 'public.locked'"),
	'a locked table is to be tried again, and says when');
$holder->query_safe('COMMIT');
$holder->quit;
# Nobody wants to wait for ten seconds here.
$node->safe_psql('postgres', 'UPDATE opsrunbook.task_end SET retry_at = clock_timestamp() WHERE retry_at IS NOT NULL');
$caller->query_safe('SELECT 1');
$caller->quit;
is(last_task('locked', 'status, attempt'), 'completed|2', 'the second attempt did the work');

# ---- progress --------------------------------------------------------------------------------------------------

$node->safe_psql('postgres',
	'CREATE TABLE indexed (id int); INSERT INTO indexed SELECT g % 100 FROM generate_series(1, 1000) g');
$node->psql('postgres', 'CREATE UNIQUE INDEX CONCURRENTLY indexed_id ON indexed (id)');
my $old = $node->background_psql('postgres');
$old->query_safe('BEGIN; INSERT INTO indexed VALUES (1000); SELECT 1');
$node->safe_psql('postgres', "DELETE FROM indexed a USING indexed b WHERE a.id = b.id AND a.ctid > b.ctid");
$node->safe_psql('postgres', 'SELECT count(*) FROM run_automated_maintenance()');
ok( wait_for(
		$node, "SELECT phase = 'waiting for writers before build' AND percent = 0 FROM opsrunbook.tasks"
		  . " WHERE object_name = 'public.indexed_id' AND status = 'running'"),
	'a running task shows the phase it is in and how much of it is done');
$old->query_safe('COMMIT');
$old->quit;
ok(wait_for($node, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'indexed_id'::regclass"), 'it goes on and ends');
ok( wait_for(
		$node, "SELECT status = 'completed' AND phase IS NULL AND percent IS NULL FROM opsrunbook.tasks"
		  . " WHERE object_name = 'public.indexed_id'"),
	'a task that has ended has no phase');

$node->stop;
done_testing();
