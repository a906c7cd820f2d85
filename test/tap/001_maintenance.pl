# Maintenance runs through what can go wrong: locked tables, killed workers, a crashed server, no free slot, no
# preloading, roles without rights, two callers at once, a cancelled caller.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('maintenance', preload => 0, restart_after_crash => 'on', max_prepared_transactions => 1,
	'opsrunbook.lock_timeout' => '200ms');

sub dirty
{
	my ($table) = @_;
	$node->safe_psql('postgres',
		"CREATE TABLE IF NOT EXISTS $table (id int PRIMARY KEY, v text);"
		  . "INSERT INTO $table SELECT g, 'x' FROM generate_series(1, 5000) g ON CONFLICT (id) DO UPDATE SET v = 'y';"
		  . "UPDATE $table SET v = v || 'z'");
}

sub dead { my ($table) = @_; return $node->safe_psql('postgres', "SELECT pg_stat_get_dead_tuples('$table'::regclass)") }

sub tasks_of
{
	my ($object, $columns) = @_;
	return $node->safe_psql('postgres',
		"SELECT $columns FROM opsrunbook.tasks WHERE object_name = '$object' ORDER BY task_id DESC LIMIT 1");
}

# Not preloaded: a plain SELECT vacuums.
dirty('plain');
cmp_ok(dead('plain'), '>', 0, 'there are dead rows');
like(
	$node->safe_psql('postgres', "SELECT status, result_message FROM run_automated_maintenance() WHERE object_name = 'public.plain'"),
	qr/^completed\|[\d,]+ dead rows removed/, 'a SELECT vacuums, without preloading');
is(dead('plain'), 0, 'no dead row is left');
is( $node->safe_psql('postgres', "SELECT status, result_message FROM run_automated_maintenance()"),
	'skipped|nothing needs maintenance now', 'a second run has nothing to do and says so');

# A caller in REPEATABLE READ sees what its workers committed.
dirty('repeatable');
like(
	$node->safe_psql('postgres',
		"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; SELECT status FROM run_automated_maintenance() WHERE object_name = 'public.repeatable'; COMMIT"),
	qr/completed/, 'a repeatable-read caller sees the outcome');

# A locked table is given up, by name, with who holds it; the others are done.
dirty('locked');
dirty('free');
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE; SELECT 1');
like(
	$node->safe_psql('postgres', "SELECT status, result_message FROM run_automated_maintenance() WHERE object_name = 'public.locked'"),
	qr/^skipped\|could not lock public\.locked within the lock timeout: process \d+ \(.*\) holds AccessExclusiveLock/,
	'a locked table is skipped and says who holds the lock');
is(tasks_of('public.locked', 'attempt'), 3, 'it was tried three times');
is(tasks_of('public.free', 'status'), 'completed', 'the other table was done');

# kill -9 of a worker: the server restarts, the task has failed with a message, the next run does the work.
$node->safe_psql('postgres', "ALTER SYSTEM SET opsrunbook.lock_timeout = '10min'; SELECT pg_reload_conf()");
my $caller = $node->background_psql('postgres', on_error_stop => 0);
$caller->query_until(qr/started/, "\\echo started\nSELECT * FROM run_automated_maintenance();\n");
ok(wait_for($node, "SELECT EXISTS (SELECT FROM opsrunbook.tasks WHERE object_name = 'public.locked' AND status = 'running')"),
	'the task is running');
my $worker = tasks_of('public.locked', 'worker_pid');
like($node->safe_psql('postgres', 'SELECT running_tasks FROM get_maintenance_status()'), qr/^1$/, 'the status counts it');
kill 'KILL', $worker;
$node->poll_start if $node->can('poll_start');
ok(wait_for($node, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker)"), 'the server is back');
$holder->{run}->finish;
$caller->{run}->finish;
like(tasks_of('public.locked', 'status, message'), qr/^failed\|worker process $worker ended without reporting/,
	'a killed worker leaves failed, with a message');
is($node->safe_psql('postgres', "SELECT count(*) FROM opsrunbook.tasks WHERE status = 'running'"), 0, 'nothing stays running');
# A crash takes the statistics along, so there must be something new to find.
dirty('locked');
like(
	$node->safe_psql('postgres', "SELECT status FROM run_automated_maintenance() WHERE object_name = 'public.locked'"),
	qr/^completed$/, 'the next run does the work');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM opsrunbook.task_start s WHERE NOT EXISTS (SELECT FROM opsrunbook.task_end e WHERE e.task_id = s.task_id AND e.attempt = s.attempt)"),
	0, 'and writes the end that the killed worker could not');

# An immediate stop in the middle is the same, and so is signal 9 for the postmaster.  A session that held the lock
# would let it go at the end of its postmaster, and the worker might be done before it notices that end itself.
for my $end (qw(stopped killed))
{
	dirty($end);
	$node->safe_psql('postgres', "BEGIN; LOCK TABLE $end IN ACCESS EXCLUSIVE MODE; PREPARE TRANSACTION '$end'");
	$caller = $node->background_psql('postgres', on_error_stop => 0);
	$caller->query_until(qr/started/, "\\echo started\nSELECT * FROM run_automated_maintenance();\n");
	ok(wait_for($node, "SELECT EXISTS (SELECT FROM opsrunbook.tasks WHERE object_name = 'public.$end' AND status = 'running')"),
		'the task is running');
	# A session of psql ends when it finds no server to connect to again.
	$end eq 'stopped' ? $node->stop('immediate') : $node->kill9;
	$caller->{run}->finish;
	$end eq 'stopped' ? $node->start : ok(kill_postmaster($node), 'the server is back');
	like(tasks_of("public.$end", 'status'), qr/^failed$/, "$end: the task has failed");
	is($node->safe_psql('postgres', "SELECT count(*) FROM opsrunbook.tasks WHERE status = 'running'"), 0, "$end: nothing stays running");
	$node->safe_psql('postgres', "ROLLBACK PREPARED '$end'");
	dirty($end);
	like(
		$node->safe_psql('postgres', "SELECT status FROM run_automated_maintenance() WHERE object_name = 'public.$end'"),
		qr/^completed$/, "$end: the next run does the work");
}

# A cancelled caller ends its workers, the helpers too: of three tables two are locked, and each has a worker at it.
dirty($_) for qw(cancelled_1 cancelled_2 cancelled_3);
$holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE cancelled_1, cancelled_2 IN ACCESS EXCLUSIVE MODE; SELECT 1');
$caller = $node->background_psql('postgres', on_error_stop => 0);
my $caller_pid = $caller->query_safe('SELECT pg_backend_pid()');
$caller->query_until(qr/started/, "\\echo started\nSELECT * FROM run_automated_maintenance();\n");
ok( wait_for($node, "SELECT count(DISTINCT worker_pid) = 2 FROM opsrunbook.tasks WHERE object_name IN ('public.cancelled_1', 'public.cancelled_2') AND status = 'running'"),
	'two workers wait for a lock');
is($node->safe_psql('postgres', "SELECT pg_cancel_backend($caller_pid)"), 't', 'the caller is cancelled');
ok(wait_for($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'opsrunbook maintenance%'"),
	'its workers are gone');
my $starts = $node->safe_psql('postgres', 'SELECT count(*) FROM opsrunbook.task_start');
$holder->query_safe('COMMIT');
$_->quit for $holder, $caller;
is($node->safe_psql('postgres', 'SELECT count(*) FROM opsrunbook.task_start'), $starts, 'and nothing was started since');
is($node->safe_psql('postgres', "SELECT count(*) FROM opsrunbook.tasks WHERE object_name LIKE 'public.cancelled%' AND status = 'running'"),
	0, 'and nothing stays running');

# No slot.
$node->append_conf('postgresql.conf', "max_worker_processes = 0");
$node->restart;
my $error = fails_with($node, 'SELECT * FROM run_automated_maintenance()', '53400', 'no worker slot');
like($error, qr/HINT:.*max_worker_processes/s, 'the hint names the setting');
$node->append_conf('postgresql.conf', "max_worker_processes = 8");
$node->restart;

# Rights: a monitor works on what it owns; a role without rights is told what to ask for.
dirty('owned_by_postgres');
$node->safe_psql('postgres',
	"CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor; CREATE ROLE nobody LOGIN; GRANT CREATE ON SCHEMA public TO monitor");
$node->safe_psql('postgres',
	"CREATE TABLE mine AS SELECT g FROM generate_series(1, 5000) g; DELETE FROM mine", extra_params => [ '-U', 'monitor' ]);
my $monitored = $node->safe_psql('postgres', 'SELECT object_name, status FROM run_automated_maintenance()',
	extra_params => [ '-U', 'monitor' ]);
like($monitored, qr/^public\.mine\|completed$/m, 'a monitor maintains its own table');
like($monitored, qr/^public\.owned_by_postgres\|skipped$/m, 'and not that of others');
like($node->safe_psql('postgres', 'SELECT score FROM calculate_database_health_score() LIMIT 1', extra_params => [ '-U', 'monitor' ]),
	qr/^[\d.]+$/, 'a monitor sees the score');
for my $call ('run_automated_maintenance()', 'calculate_database_health_score()', 'performance.check_alerts()', 'get_maintenance_status()')
{
	$error = fails_with($node, "SELECT * FROM $call", '42501', "$call without rights", role => 'nobody');
	like($error, qr/HINT:.*GRANT pg_monitor TO nobody/s, 'the hint says what to ask for');
}

# Two callers at once do each table once.
dirty('twice');
my @callers = map { $node->background_psql('postgres') } 1 .. 2;
$_->query_until(qr/started/, "\\echo started\nSELECT * FROM run_automated_maintenance();\n") for @callers;
$_->quit for @callers;
is(dead('twice'), 0, 'the table is clean after two runs at once');
is( $node->safe_psql('postgres', "SELECT count(*) FROM opsrunbook.tasks WHERE status IN ('running', 'failed') AND object_name = 'public.twice'"),
	0, 'neither failed');

# What a statement's old snapshot shows is what was: a task at work then, not one whose worker vanished.
dirty('long_ago');
$holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE long_ago IN ACCESS EXCLUSIVE MODE; SELECT 1');
$caller = $node->background_psql('postgres');
$caller->query_until(qr/started/, "\\echo started\nSELECT * FROM run_automated_maintenance();\n");
ok(wait_for($node, "SELECT EXISTS (SELECT FROM opsrunbook.tasks WHERE object_name = 'public.long_ago' AND status = 'running')"),
	'the task is running');
my $old = $node->background_psql('postgres');
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM opsrunbook.task_start');
$holder->query_safe('COMMIT');
$holder->quit;
$caller->quit;
is(tasks_of('public.long_ago', 'status'), 'completed', 'the task has ended');
like($old->query_safe("SELECT status FROM opsrunbook.tasks WHERE object_name = 'public.long_ago'"), qr/^running$/,
	'a snapshot taken before shows it running');
$old->quit;

# A transaction keeps its first list of sessions; a worker that started since lives all the same.
dirty('just_now');
my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN; SELECT count(*) FROM pg_stat_activity');
$holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE just_now IN ACCESS EXCLUSIVE MODE; SELECT 1');
$caller = $node->background_psql('postgres');
$caller->query_until(qr/started/, "\\echo started\nSELECT * FROM run_automated_maintenance();\n");
ok(wait_for($node, "SELECT EXISTS (SELECT FROM opsrunbook.tasks WHERE object_name = 'public.just_now' AND status = 'running')"),
	'another task is running');
like($reader->query_safe("SELECT status FROM opsrunbook.tasks WHERE object_name = 'public.just_now'"), qr/^running$/,
	'a transaction that listed the sessions before shows it running');
$_->quit for $reader, $holder, $caller;

# REINDEX CONCURRENTLY is not waited for by a SELECT, and CALL waits for it.
$node->safe_psql('postgres',
	"CREATE TABLE broken (v int); INSERT INTO broken SELECT generate_series(1, 1000); CREATE INDEX broken_v ON broken (v);"
	  . "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken_v'::regclass");
$holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE broken IN ROW EXCLUSIVE MODE; SELECT 1'); # which it waits for
like(
	$node->safe_psql('postgres', "SELECT status, result_message FROM run_automated_maintenance() WHERE object_name = 'public.broken_v'"),
	qr/^pending\|goes on behind/, 'a SELECT reports REINDEX CONCURRENTLY as pending');
$holder->query_safe('COMMIT');
$holder->quit;
ok(wait_for($node, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'broken_v'::regclass"), 'it goes on behind');
$node->safe_psql('postgres', "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken_v'::regclass");
$node->safe_psql('postgres', 'CALL opsrunbook.run_maintenance()');
is($node->safe_psql('postgres', "SELECT indisvalid FROM pg_index WHERE indexrelid = 'broken_v'::regclass"), 't', 'CALL waits for it');
fails_with($node, 'BEGIN; CALL opsrunbook.run_maintenance()', '55000', 'CALL refuses a transaction block');

# What failed is an error of CALL, once the rest is done.
dirty('beside_a_failure');
$node->safe_psql('postgres', 'CREATE TABLE doubled AS SELECT 1 AS v FROM generate_series(1, 2)');
$node->psql('postgres', 'CREATE UNIQUE INDEX CONCURRENTLY doubled_v ON doubled (v)');
$error = fails_with($node, 'CALL opsrunbook.run_maintenance()', '38000', 'CALL says that a task failed');
like($error, qr/ERROR:.* 1 of \d+ maintenance tasks failed.*DETAIL:.*doubled_v: .*could not create unique index.*HINT:/s, 'which, and why');
is(dead('beside_a_failure'), 0, 'the others are done');
$node->safe_psql('postgres', 'DROP TABLE doubled');

# An empty database divides nothing by zero.
$node->safe_psql('postgres', 'CREATE DATABASE empty');
$node->safe_psql('empty', 'CREATE EXTENSION opsrunbook');
like($node->safe_psql('empty', 'SELECT score FROM calculate_database_health_score() LIMIT 1'), qr/^[\d.]+$/, 'a score of an empty database');
is($node->safe_psql('empty', 'SELECT status FROM run_automated_maintenance()'), 'skipped', 'nothing to maintain in it');

$node->stop;
done_testing();
