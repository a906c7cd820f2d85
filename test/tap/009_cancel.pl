# Tasks that end before they are done: cancelled or retired while they wait, cancelled while they run, cancelled a moment
# too late.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('cancel', 'opsrunbook.lock_timeout' => '200ms', 'opsrunbook.max_parallel_tasks' => 1);

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub dirty
{
	my ($table) = @_;
	sql("CREATE TABLE $table (id int PRIMARY KEY, v text); INSERT INTO $table SELECT g, 'x' FROM generate_series(1, 5000) g;"
		  . "UPDATE $table SET v = 'y'");
}

sub task_of
{
	my ($table, $columns) = @_;
	return "SELECT $columns FROM opsrunbook.tasks WHERE object_name = 'public.$table' ORDER BY task_id DESC LIMIT 1";
}

sub locking
{
	my ($what) = @_;
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; LOCK TABLE $what; SELECT 1");
	return $session;
}

sub let_go { my ($session) = @_; $session->query_safe('COMMIT'); return $session->quit }

sub run_behind
{
	my ($statement) = @_;
	my $caller = $node->background_psql('postgres', on_error_stop => 0);
	$caller->query_until(qr/started/, "\\echo started\n$statement;\n");
	return $caller;
}

# A task that waits for its second attempt is cancelled.
dirty('waiting');
my $holder = locking('waiting IN ACCESS EXCLUSIVE MODE');
my $caller = run_behind('CALL opsrunbook.run_maintenance()');
my $to_be_tried_again = "SELECT status = 'pending' AND attempt = 1 FROM (" . task_of('waiting', '*') . ') t';
ok(wait_for($node, $to_be_tried_again), 'a locked table is to be tried again');
is(sql("SELECT opsrunbook.cancel_task(task_id) FROM (" . task_of('waiting', 'task_id') . ') t'), 't', 'it is cancelled');
is(sql(task_of('waiting', 'status, message, attempt')), 'skipped|cancelled by postgres|1', 'and has ended');
is(sql("SELECT opsrunbook.cancel_task(task_id) FROM (" . task_of('waiting', 'task_id') . ') t'), 'f', 'once');
let_go($holder);
$caller->quit;
is(sql(task_of('waiting', 'status, attempt')), 'skipped|1', 'the run does not try it again');
is(sql("SELECT count(*) FROM opsrunbook.task_start WHERE attempt > 1"), 0, 'at no time');

# One whose second attempt would come after the window is retired by the next run once its table is gone.
dirty('gone');
$holder = locking('gone IN ACCESS EXCLUSIVE MODE');
sql("CALL opsrunbook.run_maintenance('10 seconds')");
is(sql(task_of('gone', 'status, attempt')), 'pending|1', 'what is not tried again within the window waits');
let_go($holder);
sql('DROP TABLE gone');
sql('CALL opsrunbook.run_maintenance()');
is(sql(task_of('gone', 'status, message')), 'skipped|no longer needed, or replaced by another task', 'it is retired with its table');
is(sql("SELECT count(*) FROM opsrunbook.tasks WHERE status = 'pending'"), 0, 'nothing waits any more');
sql("UPDATE opsrunbook.task_end SET finished_at = now() - interval '2 days'; SELECT cleanup_maintenance_history(1)");
is(sql(task_of('gone', 'status')), '', 'and its history can go');

# A cancellation that comes while the end of the task is written changes nothing of that end, and does not hit the next
# task.
dirty($_) for qw(first second);
my $table_holder = locking('first, second IN ACCESS EXCLUSIVE MODE');
sql("ALTER SYSTEM SET opsrunbook.lock_timeout = '10min'; SELECT pg_reload_conf()");
$caller = run_behind('CALL opsrunbook.run_maintenance()');
my $at_work = "SELECT object_name FROM opsrunbook.tasks WHERE status = 'running'";
ok(wait_for($node, "SELECT count(*) = 1 FROM ($at_work) t"), 'one of two tasks runs');
my $table = sql($at_work) =~ s/public\.//r;
my $worker = sql(task_of($table, 'worker_pid'));
my $id = sql(task_of($table, 'task_id'));
my $journal_holder = locking('opsrunbook.task_end IN SHARE MODE');
let_go($table_holder);
my $writing = "SELECT count(*) = 1 FROM pg_locks WHERE pid = $worker AND relation = 'opsrunbook.task_end'::regclass AND NOT granted";
ok(wait_for($node, $writing), 'it is done, and its end is being written');
my $log = -s $node->logfile;
is(sql("SELECT pg_cancel_backend($worker)"), 't', 'a signal comes too late');
$node->wait_for_log(qr/\[$worker\].* ERROR: .*canceling statement due to user request/, $log);
ok(wait_for($node, $writing), 'the end is written again');
my $canceller = $node->background_psql('postgres');
$canceller->query_until(qr/asked/, "\\echo asked\nSELECT 'cancelled: ' || opsrunbook.cancel_task($id);\n");
ok(wait_for($node, "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'object' AND classid = 'opsrunbook.task'::regclass AND objid = $id AND objsubid = 1 AND NOT granted"),
	'who cancels the task waits for that');
let_go($journal_holder);
like($canceller->query('SELECT 1'), qr/cancelled: false/, 'and learns that there was nothing left to cancel');
$canceller->quit;
$caller->quit;
is(sql("SELECT string_agg(DISTINCT status, ',') FROM opsrunbook.tasks WHERE object_name IN ('public.first', 'public.second')"),
	'completed', 'both tasks are done');
is(sql("SELECT count(DISTINCT worker_pid) FROM opsrunbook.task_start s JOIN opsrunbook.task t ON t.id = s.task_id WHERE object_name IN ('public.first', 'public.second')"),
	1, 'by the same worker');

# A running one is cancelled, and the next is done.
dirty($_) for qw(third fourth);
$holder = locking('third IN ACCESS EXCLUSIVE MODE');
$caller = run_behind('CALL opsrunbook.run_maintenance()');
ok(wait_for($node, "SELECT status = 'running' FROM (" . task_of('third', '*') . ') t'), 'a task runs');
is(sql("SELECT opsrunbook.cancel_task(task_id) FROM (" . task_of('third', 'task_id') . ') t'), 't', 'it is cancelled');
ok(wait_for($node, "SELECT status || ': ' || message FROM (" . task_of('third', '*') . ') t', 'skipped: cancelled'), 'and says so');
$caller->quit;
is(sql(task_of('fourth', 'status')), 'completed', 'the next one is done');
let_go($holder);

# A retention task that waits for a table's lock, or between its tries, is cancelled in the same way, and the worker goes
# on.
sub retained
{
	my ($name) = @_;
	sql("CREATE TABLE $name (at timestamptz); INSERT INTO $name SELECT now() - interval '1 year' FROM generate_series(1, 5000);"
		  . "SELECT opsrunbook.set_retention('$name', 'at', '30 days')");
	sql("VACUUM ANALYZE $name"); # nothing else is to be done to it
}
sub retention_of { my ($name, $columns) = @_; return "SELECT $columns FROM opsrunbook.tasks WHERE kind = 'retention delete' AND object_name = 'public.$name' ORDER BY task_id DESC LIMIT 1" }
for ([ 'held_long', '10min', "wait_event_type = 'Lock'" ], [ 'held_often', '200ms', "wait_event = 'Extension'" ])
{
	my ($name, $timeout, $waits) = @$_;
	sql("ALTER SYSTEM SET opsrunbook.lock_timeout = '$timeout'; SELECT pg_reload_conf()");
	retained($name);
	$holder = locking("$name IN EXCLUSIVE MODE"); # its size can be asked for
	$caller = run_behind('CALL opsrunbook.run_maintenance()');
	ok(wait_for($node, "SELECT count(*) = 1 FROM (" . retention_of($name, '*') . ") t JOIN pg_stat_activity a ON a.pid = t.worker_pid WHERE t.status = 'running' AND a.$waits"),
		"$name: a retention task waits");
	my $at_it = sql(retention_of($name, 'worker_pid'));
	is(sql("SELECT opsrunbook.cancel_task(task_id) FROM (" . retention_of($name, 'task_id') . ') t'), 't', 'it is cancelled');
	ok(wait_for($node, "SELECT status || ': ' || message FROM (" . retention_of($name, '*') . ') t', 'skipped: cancelled'), 'and says so');
	let_go($holder);
	$caller->quit;
	is(sql("SELECT status FROM opsrunbook.retention_runs WHERE relation = 'public.$name'"), 'failed', 'its step has ended, too');
	is(sql("SELECT count(*) FROM opsrunbook.tasks WHERE status IN ('pending', 'running', 'failed')"), 0, "and the run of process $at_it has gone on");
	sql("DROP TABLE $name; SELECT opsrunbook.drop_retention('public', '$name')");
}

$node->stop;
done_testing();
