# REINDEX CONCURRENTLY that is interrupted half-way leaves an invalid index behind: whatever ended it, the next run
# removes that, does the work, and nothing stays "running".

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('reindex', preload => 0, restart_after_crash => 'on');

sub one { my ($query) = @_; return $node->safe_psql('postgres', $query) }

one('CREATE TABLE worn (id int PRIMARY KEY)');

sub wear_out
{
	one('INSERT INTO worn SELECT g FROM generate_series(1, 200000) g ON CONFLICT DO NOTHING');
	one('DELETE FROM worn WHERE id % 10 <> 0');
	one('VACUUM ANALYZE worn');
}

my $build = "SELECT count(*) FROM opsrunbook.tasks WHERE status = 'running' AND kind = 'reindex'"
  . " AND phase = 'waiting for writers before build'";
my $leftovers = 'SELECT count(*) FROM pg_index WHERE NOT indisvalid';

# Leaves REINDEX CONCURRENTLY waiting for a writer, with the new index already there; calls $interrupt; then all must be
# well after another run.
sub interrupted
{
	my ($name, $interrupt) = @_;
	wear_out();
	my $worn = one("SELECT pg_relation_size('worn_pkey')");
	my $writer = $node->background_psql('postgres', on_error_stop => 0);
	$writer->query_safe('BEGIN; INSERT INTO worn VALUES (-1); SELECT 1');
	# In the background, so that nobody's snapshot is in the way.
	one('SELECT count(*) FROM run_automated_maintenance()');
	ok(wait_for($node, $build, 1), "$name: the task is in the middle of its work");
	is(one($leftovers), 1, "$name: the new index is there and invalid");
	my $task = one("SELECT task_id FROM opsrunbook.tasks WHERE status = 'running'");
	my $worker = one("SELECT worker_pid FROM opsrunbook.tasks WHERE task_id = $task");
	$interrupt->($worker);
	$writer->quit;
	ok( wait_for($node, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker)"),
		"$name: the server is back, the worker gone");
	is(one("SELECT count(*) FROM opsrunbook.tasks WHERE status = 'running'"), 0, "$name: no task stays running");
	like(one("SELECT status, message FROM opsrunbook.tasks WHERE task_id = $task"),
		qr/^(?:failed\|worker process \d+ ended without reporting|skipped\|cancelled|failed\|terminating)/,
		"$name: the task says what became of it");
	is(one($leftovers), 1, "$name: the invalid index was left behind");

	$node->safe_psql('postgres', 'CALL opsrunbook.run_maintenance()');
	is(one($leftovers), 0, "$name: the next run removed it");
	is(one("SELECT count(*) FROM pg_class WHERE relname LIKE 'worn_pkey%'"), 1, "$name: one index, of its old name");
	cmp_ok(one("SELECT pg_relation_size('worn_pkey')"), '<', $worn / 5, "$name: the next run did the work");
	is(one("SELECT count(*) FROM opsrunbook.tasks WHERE status IN ('pending', 'running')"), 0,
		"$name: nothing is left to do");
	is(one("SELECT count(*) FROM opsrunbook.plan_maintenance() WHERE kind IN ('reindex', 'drop leftover')"),
		0, "$name: nor planned");
}

interrupted('immediate stop', sub { $node->stop('immediate'); $node->start });
interrupted('SIGKILL of the worker', sub { kill 'KILL', $_[0] });
interrupted('fast stop', sub { $node->stop('fast'); $node->start });
interrupted('SIGKILL of the postmaster', sub { kill_postmaster($node) or die 'the server does not start' });
interrupted('cancel_task', sub {
		one("SELECT opsrunbook.cancel_task(task_id) FROM opsrunbook.tasks WHERE status = 'running'");
		wait_for($node, "SELECT count(*) FROM opsrunbook.tasks WHERE status = 'running'", 0);
	});

$node->stop;
done_testing();
