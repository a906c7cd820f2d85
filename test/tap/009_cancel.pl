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
sql("CALL opsrunbook.run_maintenance('5 seconds')");
is(sql(task_of('gone', 'status, attempt')), 'pending|1', 'what is not tried again within the window waits');
let_go($holder);
sql('DROP TABLE gone');
sql('CALL opsrunbook.run_maintenance()');
is(sql(task_of('gone', 'status, message')), 'skipped|no longer needed, or replaced by another task', 'it is retired with its table');
is(sql("SELECT count(*) FROM opsrunbook.tasks WHERE status = 'pending'"), 0, 'nothing waits any more');
sql("UPDATE opsrunbook.task_end SET finished_at = now() - interval '2 days'; SELECT cleanup_maintenance_history(1)");
is(sql(task_of('gone', 'status')), '', 'and its history can go');

$node->stop;
done_testing();
