# The scheduler: jobs run repeatedly, fail, are retried and alert; roles, databases and the extension go while it
# runs; processes are killed; a promoted standby takes over.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node(
	'primary',
	allows_streaming => 1,
	max_worker_processes => 24,
	'opsrunbook.scheduler_naptime' => '1s',
	restart_after_crash => 'on');
my $done = "SELECT count(*) >= %d FROM opsrunbook.job_runs WHERE job_name = '%s' AND status = '%s'";

sub runs
{
	my ($name, $status, $count, $test_name, $database) = @_;
	ok(wait_for($node, sprintf($done, $count, $name, $status), 't', $database), $test_name);
}

ok(wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'opsrunbook scheduler'"),
	'the scheduler is there');

# Runs
$node->safe_psql('postgres', 'CREATE TABLE hits (job text, at timestamptz DEFAULT clock_timestamp())');
$node->safe_psql('postgres', "SELECT opsrunbook.schedule('often', '1 second', 'INSERT INTO hits VALUES (''often'')')");
$node->safe_psql('postgres', "SELECT opsrunbook.run_once('once', 'INSERT INTO hits VALUES (''once'')')");
$node->safe_psql('postgres', "SELECT opsrunbook.schedule('toplevel', '1 second', 'VACUUM hits')");
$node->safe_psql('postgres', "SELECT opsrunbook.schedule('follower', NULL, 'INSERT INTO hits VALUES (''follower'')', after => 'often')");
$node->safe_psql('postgres', "SELECT opsrunbook.schedule('slow', '1 second', 'SELECT pg_sleep(600)', timeout_seconds => 1)");
runs('often', 'completed', 3, 'an interval of seconds runs again and again');
runs('once', 'completed', 1, 'run_once runs');
runs('toplevel', 'completed', 2, 'VACUUM runs as a top-level statement');
runs('follower', 'completed', 1, 'a job runs after another one');
runs('slow', 'failed', 1, 'a job is ended by its timeout');

# Maintenance of which a task fails is a job that fails.
$node->safe_psql('postgres', 'CREATE TABLE doubled AS SELECT 1 AS v FROM generate_series(1, 2)');
$node->psql('postgres', 'CREATE UNIQUE INDEX CONCURRENTLY doubled_v ON doubled (v)');
$node->safe_psql('postgres', "SELECT opsrunbook.run_once('maintenance', 'CALL opsrunbook.run_maintenance()')");
runs('maintenance', 'failed', 1, 'maintenance of which a task fails is a job that fails');
like($node->safe_psql('postgres', "SELECT message FROM opsrunbook.job_runs WHERE job_name = 'maintenance'"),
	qr/maintenance tasks failed/, 'and says so');
$node->safe_psql('postgres', 'DROP TABLE doubled');
$node->safe_psql('postgres', "SELECT opsrunbook.unschedule('slow')");
$node->safe_psql('postgres', "SELECT opsrunbook.unschedule('toplevel')");
is($node->safe_psql('postgres', "SELECT count(*) FROM hits WHERE job = 'once'"), '1', 'run_once ran once');

# A failing job is retried, then alerts, and stops nobody
my $log = -s $node->logfile;
$node->safe_psql('postgres',
	"SELECT opsrunbook.schedule('bad', '0 0 1 1 *', 'SELECT 1/0', max_retries => 1, retry_seconds => 1); SELECT opsrunbook.run_job_now('bad')");
runs('bad', 'failed', 2, 'a failed job is retried');
ok( wait_for($node, "SELECT max(attempt) = 2 AND count(*) = 2 FROM opsrunbook.job_runs WHERE job_name = 'bad'"),
	'as often as was asked for');
$node->wait_for_log(qr/WARNING:  job "bad" failed: division by zero/, $log);
pass('and then a warning is logged');
is( $node->safe_psql('postgres', "SELECT alert_level, current_value, message FROM performance.check_alerts() WHERE metric = 'failed_job_runs' AND object_name = 'bad'"),
	'WARNING|1|job "bad" failed: division by zero', 'and an alert is there');

# Roles
$node->safe_psql('postgres',
	"CREATE ROLE alice LOGIN; GRANT pg_monitor TO alice; CREATE ROLE bob LOGIN; GRANT pg_monitor TO bob; GRANT INSERT ON hits TO bob");
for my $role (qw(alice bob))
{
	$node->safe_psql('postgres',
		"SELECT opsrunbook.schedule('of $role', '1 second', 'INSERT INTO public.hits VALUES (current_user)')",
		extra_params => [ '-U', $role ]);
}
runs('of bob', 'completed', 1, 'a job runs with the rights of its role');
runs('of alice', 'failed', 1, 'and with no others');
fails_with($node, "SELECT opsrunbook.unschedule('of alice')", '42501', 'a job belongs to its role', role => 'bob');
$node->safe_psql('postgres', 'DROP ROLE alice');
ok( wait_for($node,
		"SELECT count(*) > 0 FROM opsrunbook.job_runs WHERE job_name = 'of alice' AND message LIKE '%does not exist any more'"),
	'the job of a dropped role fails and says why');
$node->safe_psql('postgres', 'CREATE ROLE alice LOGIN SUPERUSER');
ok( wait_for($node,
		"SELECT count(*) > 0 FROM opsrunbook.job_runs WHERE job_name = 'of alice' AND message LIKE '%another of the same name%'"),
	'another role of the same name does not inherit it');
my $before = $node->safe_psql('postgres', "SELECT count(*) FROM hits WHERE job = 'often'");
ok(wait_for($node, "SELECT count(*) > $before + 1 FROM hits WHERE job = 'often'"), 'the others go on');
$node->safe_psql('postgres', "SELECT opsrunbook.unschedule('of alice'), opsrunbook.unschedule('of bob'), opsrunbook.unschedule('bad')");

# What the database's sessions may take does not end the work: a job and a maintenance task of two seconds and more.
my @timeouts = qw(statement_timeout lock_timeout idle_in_transaction_session_timeout);
push @timeouts, 'transaction_timeout' if $node->safe_psql('postgres', 'SHOW server_version_num') >= 170000;
$node->safe_psql('postgres', 'CREATE DATABASE hasty');
$node->safe_psql('hasty', q{
	CREATE EXTENSION opsrunbook;
	CREATE TABLE slow (v int);
	CREATE FUNCTION slow(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 FROM (SELECT pg_sleep(2)) s';
	INSERT INTO slow SELECT 1;
	CREATE INDEX slow_v ON slow (slow(v));
	UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'slow_v'::regclass;
});
$node->safe_psql('hasty', join('', map { "ALTER DATABASE hasty SET $_ = '1s';" } @timeouts));
{
	# They begin after that, but this session is not to end by it.
	local $ENV{PGOPTIONS} = join(' ', map { "-c $_=0" } @timeouts);
	$node->safe_psql('hasty', q{SELECT opsrunbook.run_once('patient', 'SELECT pg_sleep(2)'), opsrunbook.run_once('maintenance', 'CALL opsrunbook.run_maintenance()')});
}
runs('patient', 'completed', 1, 'a job outlasts the timeouts of the database: ' . join(', ', @timeouts), 'hasty');
ok(wait_for($node, "SELECT count(*) = 1 FROM opsrunbook.tasks WHERE kind = 'reindex' AND status = 'completed'", 't', 'hasty'), 'so does a maintenance task');
SKIP:
{
	skip 'transaction_timeout came with PostgreSQL 17', 1 unless grep { $_ eq 'transaction_timeout' } @timeouts;
	is($node->safe_psql('hasty', 'SHOW transaction_timeout'), '1s', 'transaction_timeout among them');
}
# Its job ends later than the task, and what has ended does not hold the database for long.
runs('maintenance', 'completed', 1, 'nor does the run around it fail', 'hasty');
drop_database($node, 'hasty');

# Databases and extensions go
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION opsrunbook; CREATE TABLE hits (n int)');
$node->safe_psql('other', "SELECT opsrunbook.schedule('x', '1 second', 'INSERT INTO hits VALUES (1)')");
runs('x', 'completed', 1, 'jobs of another database run', 'other');
$node->safe_psql('other', 'DROP EXTENSION opsrunbook');
pass('DROP EXTENSION works while its jobs run');
$node->safe_psql('other', 'CREATE EXTENSION opsrunbook');
$node->safe_psql('other', "SELECT opsrunbook.schedule('x', '1 second', 'INSERT INTO hits VALUES (1)')");
runs('x', 'completed', 1, 'and they run again after CREATE EXTENSION', 'other');
drop_database($node, 'other');
pass('DROP DATABASE works while its jobs run');

# Killed processes
sub kill_and_wait
{
	my ($pid, $what) = @_;
	my $count = $node->safe_psql('postgres', 
		"SELECT count(*) FROM opsrunbook.job_runs WHERE job_name = 'often' AND status = 'completed'");
	kill 'KILL', $pid or die "no process $pid";
	ok( $node->poll_query_until('postgres',
			"SELECT count(*) > $count FROM opsrunbook.job_runs WHERE job_name = 'often' AND status = 'completed'"),
		"the schedule goes on after signal 9 to $what");
}
kill_and_wait(
	$node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'opsrunbook scheduler'"),
	'the launcher');
$node->safe_psql('postgres', "SELECT opsrunbook.run_once('long', 'SELECT pg_sleep(600)')");
my $running = "SELECT worker_pid FROM opsrunbook.job_runs WHERE job_name = 'long' AND status = 'running'";
ok(wait_for($node, "SELECT count(*) = 1 FROM ($running) r"), 'a long job runs');
kill_and_wait($node->safe_psql('postgres', $running), 'a worker');
runs('long', 'failed', 1, 'its run has failed');
$node->safe_psql('postgres', "SELECT opsrunbook.schedule('ended', '0 0 1 1 *', 'SELECT pg_sleep(600)'); SELECT opsrunbook.run_job_now('ended')");
$running =~ s/long/ended/;
ok(wait_for($node, "SELECT count(*) = 1 FROM ($running) r"), 'another long job runs');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(($running))");
runs('ended', 'failed', 1, 'a terminated worker leaves no run behind');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM opsrunbook.job_run WHERE finished_at IS NULL AND launched_at < clock_timestamp() - interval '30 seconds'"),
	'0', 'no run stays running');
my $launcher = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'opsrunbook scheduler'");
$node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher)");
ok( wait_for($node,
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'opsrunbook scheduler' AND pid <> $launcher"),
	'a terminated launcher comes back');

$node->safe_psql('postgres', "SELECT opsrunbook.unschedule('follower'); SELECT opsrunbook.unschedule('often')");

# Without a free slot for its worker, what was asked for by hand waits for one.
my $narrow = new_node(
	'narrow',
	max_worker_processes => 3,    # the scheduler, its turn, and one job
	max_logical_replication_workers => 0,
	'opsrunbook.job_history_rows' => 10,
	'opsrunbook.scheduler_naptime' => '1s');
$narrow->safe_psql('postgres', "SELECT opsrunbook.run_once('long', 'SELECT pg_sleep(600)')");
ok(wait_for($narrow, "SELECT count(*) = 1 FROM opsrunbook.job_runs WHERE status = 'running'"), 'a job has the last slot');
$narrow->safe_psql('postgres', "SELECT opsrunbook.schedule('asked for', '0 0 1 1 *', 'SELECT 1'); SELECT opsrunbook.run_job_now('asked for')");
ok(wait_for($narrow, 'SELECT last_value >= 3 FROM opsrunbook.job_run_id_seq'), 'the scheduler has tried to run another one, twice');
# A run is written down before its worker is asked for, and deleted when there is none.
ok(wait_for($narrow, "SELECT count(*) = 0 FROM opsrunbook.job_runs WHERE job_name = 'asked for'"), 'and could not');
$narrow->safe_psql('postgres', "SELECT pg_terminate_backend(worker_pid) FROM opsrunbook.job_runs WHERE status = 'running'");
ok(wait_for($narrow, "SELECT count(*) = 1 FROM opsrunbook.job_runs WHERE job_name = 'asked for' AND status = 'completed'"),
	'it runs when there is one');

# What is remembered is bounded, also of jobs that never get as far as a worker, and jobs that are done are not kept for ever.
$narrow->safe_psql('postgres', 'CREATE ROLE gone LOGIN; GRANT pg_monitor TO gone');
$narrow->safe_psql('postgres', "SELECT opsrunbook.schedule('of gone', '1 second', 'SELECT 1', enabled => false)", extra_params => [ '-U', 'gone' ]);
$narrow->safe_psql('postgres', q{
	INSERT INTO opsrunbook.job_run (job_id, job_name, scheduled_for, attempt, reason, role, command, finished_at, status)
		SELECT j.id, j.name, clock_timestamp() - interval '1 minute', 1, 'scheduled', j.role, j.command, clock_timestamp(), 'completed'
		FROM opsrunbook.job j, generate_series(1, 30) WHERE j.name = 'of gone';
	DROP ROLE gone;
	SELECT opsrunbook.enable_job('of gone');
});
ok(wait_for($narrow, "SELECT count(*) > 0 FROM opsrunbook.job_runs WHERE job_name = 'of gone' AND status = 'failed'"), 'the job of a dropped role fails');
is($narrow->safe_psql('postgres', "SELECT count(*) FROM opsrunbook.job_runs WHERE job_name = 'of gone'"), '10', 'and no more of its runs are kept than of others');
$narrow->safe_psql('postgres', "SELECT opsrunbook.unschedule('of gone')");
$narrow->safe_psql('postgres', "SELECT opsrunbook.run_once('done', 'SELECT 1'), opsrunbook.run_once('failed', 'SELECT 1/0'), opsrunbook.run_once('given up', 'SELECT 1/0'), opsrunbook.run_once('awaited', 'SELECT 1'), opsrunbook.run_once('recent', 'SELECT 1')");
ok(wait_for($narrow, "SELECT count(*) = 5 FROM opsrunbook.job_runs WHERE reason = 'run once' AND job_name NOT IN ('long', 'asked for') AND finished_at IS NOT NULL"), 'jobs run once');
$narrow->safe_psql('postgres', q{
	SELECT opsrunbook.schedule('follower', NULL, 'SELECT 1', after => 'awaited', enabled => false);
	SELECT opsrunbook.disable_job('given up');
	UPDATE opsrunbook.job SET run_at = run_at - interval '31 days' WHERE name IN ('done', 'failed', 'given up', 'awaited');
	UPDATE opsrunbook.job_run SET scheduled_for = scheduled_for - interval '31 days', finished_at = finished_at - interval '31 days' WHERE job_name IN ('done', 'failed', 'given up', 'awaited');
	SELECT opsrunbook.run_job_now('asked for');
});
ok(wait_for($narrow, "SELECT string_agg(name, ', ' ORDER BY name) = 'asked for, awaited, failed, follower, long, recent' FROM opsrunbook.jobs"),
	'when their history has gone, so have they, but for what is an alert, what another job waits for');
$narrow->stop('fast');

# Stopping and taking over
$node->safe_psql('postgres', "SELECT opsrunbook.schedule('often', '1 second', 'INSERT INTO hits VALUES (''often'')')");
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay');
is( $standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'opsrunbook scheduler'"),
	'0', 'no scheduler on a standby');
$node->stop('fast');
$standby->promote;
$before = $standby->safe_psql('postgres', 'SELECT count(*) FROM hits');
ok($standby->poll_query_until('postgres', "SELECT count(*) > $before FROM hits"), 'a promoted standby takes over');
$standby->stop('fast');

done_testing();
