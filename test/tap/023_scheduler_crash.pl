# The scheduler through crashes: signal 9 to the launcher, to a job's worker, to a turn and to the postmaster, and an
# immediate stop, each in the middle of runs.  After each, no run stays running, the schedule goes on, and no job runs
# twice at once.  Then what was missed while the server was down is judged by each job's policy.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node(
	'crash',
	max_worker_processes => 24,
	restart_after_crash => 'on',
	'opsrunbook.max_running_jobs' => 8,
	'opsrunbook.scheduler_naptime' => '1s');
sub sql { return $node->safe_psql('postgres', $_[0]) }

# A job that fails when it meets itself.
sql('CREATE TABLE hits (at timestamptz DEFAULT clock_timestamp())');
sql(q{SELECT opsrunbook.schedule('alone', '1 second', $job$
	DO $$ BEGIN
		IF NOT pg_try_advisory_lock(4711) THEN RAISE 'twice at once'; END IF;
		INSERT INTO hits DEFAULT VALUES; PERFORM pg_sleep(0.3);
	END $$ $job$)});
# Started by hand alone; a run that is lost is not tried again.
sql(q{SELECT opsrunbook.schedule('long', '0 0 1 1 *', 'SELECT pg_sleep(3600)')});
# Lost, it is tried once more, and then ends.
sql('CREATE TABLE tried (at timestamptz DEFAULT clock_timestamp())');
sql(q{SELECT opsrunbook.schedule('again', '0 0 1 1 *', $job$
	DO $$ BEGIN
		IF (SELECT max(attempt) FROM opsrunbook.job_run WHERE job_name = 'again' AND finished_at IS NULL) = 1 THEN PERFORM pg_sleep(3600); END IF;
		INSERT INTO tried DEFAULT VALUES;
	END $$ $job$, max_retries => 1, retry_seconds => 1)});

# Both long jobs at work, and the launcher there.
my $crashes = 0;
sub at_work
{
	sql("SELECT opsrunbook.run_job_now('long'), opsrunbook.run_job_now('again')");
	ok(wait_for($node, "SELECT count(*) = 2 FROM opsrunbook.job_runs WHERE job_name IN ('long', 'again') AND status = 'running'"), 'two long jobs are at work');
	ok(wait_for($node, "SELECT count(*) > 0 FROM hits WHERE at > clock_timestamp() - interval '30 seconds'"), 'and one that comes often');
	return sql("SELECT clock_timestamp()");
}

sub recovered
{
	my ($crash, $what) = @_;
	++$crashes;
	ok($node->poll_query_until('postgres', "SELECT count(*) > 1 FROM hits WHERE at > '$crash'"), "$what: the schedule goes on");
	ok(wait_for($node, "SELECT count(*) = 0 FROM opsrunbook.job_run WHERE finished_at IS NULL AND launched_at < '$crash'"), 'no run from before stays running');
	is(sql("SELECT count(*) FROM opsrunbook.job_runs WHERE job_name = 'long' AND status = 'failed' AND message LIKE '%without reporting%'"), $crashes, 'the run that was lost has failed and says why');
	ok(wait_for($node, "SELECT count(*) = $crashes FROM tried"), 'one with a retry is done by its retry');
	is(sql("SELECT count(*) FROM opsrunbook.job_runs WHERE job_name = 'again' AND status = 'failed'"), $crashes, 'tried no more than that');
	is(sql("SELECT count(*) FROM opsrunbook.job_runs WHERE job_name = 'long' AND status <> 'failed'"), 0, 'and one without is not tried again');
}

sub backend_of { return sql("SELECT pid FROM pg_stat_activity WHERE backend_type = '$_[0]' LIMIT 1") }

my $crash = at_work();
kill 'KILL', backend_of('opsrunbook scheduler');
recovered($crash, 'signal 9 to the launcher');

$crash = at_work();
kill 'KILL', sql("SELECT worker_pid FROM opsrunbook.job_runs WHERE job_name = 'long' AND status = 'running'");
recovered($crash, 'signal 9 to a worker in the middle of its job');

# A turn is short: held by a lock on the table of runs, it can be hit.
$crash = at_work();
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE opsrunbook.job IN ACCESS EXCLUSIVE MODE; SELECT 1');
ok(wait_for($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'opsrunbook scheduler turn' AND wait_event_type = 'Lock'"), 'a turn waits');
kill 'KILL', backend_of('opsrunbook scheduler turn');
eval { $holder->quit };
recovered($crash, 'signal 9 to a turn');

$crash = at_work();
$node->stop('immediate');
$node->start;
recovered($crash, 'an immediate stop');

$crash = at_work();
ok(kill_postmaster($node), 'the server starts after signal 9 to the postmaster');
recovered($crash, 'signal 9 to the postmaster');

is(sql("SELECT count(*) FROM opsrunbook.job_run WHERE message LIKE '%twice at once%'"), 0, 'no job ever met itself');
is( sql(q{SELECT count(*) FROM opsrunbook.job_run a JOIN opsrunbook.job_run b ON b.job_id = a.job_id AND b.id > a.id
		WHERE a.started_at IS NOT NULL AND b.started_at < a.finished_at}),
	0, 'no two runs of a job overlap');

# Three hours of sleep: everything that is remembered moves back by as much, while no scheduler runs.
my $minute = sql('SELECT (extract(minute FROM now())::int + 30) % 60');
for my $policy (qw(skip run_once run_all))
{
	sql("SELECT opsrunbook.schedule('$policy', '$minute * * * *', 'SELECT 1', missed => '$policy')");
}
sql('SELECT opsrunbook.unschedule(name) FROM opsrunbook.jobs WHERE name IN (\'alone\', \'long\', \'again\')');
$node->append_conf('postgresql.conf', 'opsrunbook.scheduler = off');
$node->restart;
is(backend_of('opsrunbook scheduler'), '', 'the scheduler is switched off');
sql("UPDATE opsrunbook.job SET since = since - interval '3 hours'");
$node->append_conf('postgresql.conf', 'opsrunbook.scheduler = on');
$node->stop('immediate');
$node->start;
my $ended = "SELECT count(*) >= %d FROM opsrunbook.job_runs WHERE job_name = '%s' AND status = '%s'";
ok(wait_for($node, sprintf($ended, 1, 'skip', 'skipped')), 'what was missed is passed over where the job says so');
ok(wait_for($node, sprintf($ended, 1, 'run_once', 'completed')), 'runs once');
ok(wait_for($node, sprintf($ended, 3, 'run_all', 'completed')), 'or as often as it was missed');
is( sql("SELECT string_agg(DISTINCT reason, ',') FROM opsrunbook.job_run WHERE job_name IN ('run_once', 'run_all')"),
	'missed run', 'which the reason tells');
is( sql("SELECT array_agg(scheduled_for ORDER BY id) = array_agg(scheduled_for ORDER BY scheduled_for) AND count(DISTINCT scheduled_for) = 3 FROM opsrunbook.job_run WHERE job_name = 'run_all'"),
	't', 'each of its own time, the oldest first');
# A second later nothing more has come.
my $turns = sql('SELECT clock_timestamp()');
sql("SELECT opsrunbook.run_once('marker', 'SELECT 1')");
ok(wait_for($node, sprintf($ended, 1, 'marker', 'completed')), 'another turn has been');
is( sql("SELECT string_agg(job_name || ' ' || n, ', ' ORDER BY job_name) FROM (SELECT job_name, count(*) AS n FROM opsrunbook.job_run WHERE job_name IN ('skip', 'run_once', 'run_all') GROUP BY 1) c"),
	'run_all 3, run_once 1, skip 1', 'and brought nothing twice');

$node->stop;
done_testing();
