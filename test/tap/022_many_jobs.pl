# Two databases with 2,000 jobs each that are due at the same moment: each runs exactly once, no more at a time than the
# setting allows, and the bad ones among them stop nobody.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $jobs = 2000;
my $at_once = 6;
my $node = new_node(
	'many',
	max_worker_processes => 24,
	'opsrunbook.max_running_jobs' => $at_once,
	'opsrunbook.scheduler_naptime' => '1s',
	fsync => 'off');
my @databases = qw(first second);
for my $database (@databases)
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION opsrunbook; CREATE TABLE ran (job integer)');
}
# Every fiftieth fails.
my $due = $node->safe_psql('postgres', "SELECT date_trunc('second', clock_timestamp()) + interval '10 seconds'");
for my $database (@databases)
{
	$node->safe_psql($database,
		"SELECT count(opsrunbook.run_once('job ' || g, CASE WHEN g % 50 = 0 THEN 'SELECT 1/0' ELSE format('INSERT INTO ran VALUES (%s)', g) END, '$due'))"
		  . " FROM generate_series(1, $jobs) g");
}

my $bad = $jobs / 50;
for my $database (@databases)
{
	ok(wait_for($node, "SELECT count(*) >= $jobs FROM opsrunbook.job_run WHERE finished_at IS NOT NULL", 't', $database), "all jobs of $database end");
	is( $node->safe_psql($database, "SELECT count(*), count(DISTINCT job_id), count(*) FILTER (WHERE status = 'completed'), count(*) FILTER (WHERE status = 'failed') FROM opsrunbook.job_run"),
		"$jobs|$jobs|" . ($jobs - $bad) . "|$bad",
		'each ran once; the bad ones failed, all others did not');
	is($node->safe_psql($database, 'SELECT count(*), count(DISTINCT job) FROM ran'), ($jobs - $bad) . '|' . ($jobs - $bad), 'each did its work once');
	is($node->safe_psql($database, "SELECT count(*) FROM opsrunbook.job_run WHERE started_at < '$due'"), '0', 'none before its time');
	my $most = $node->safe_psql($database, q{
		SELECT max(running) FROM (SELECT sum(step) OVER (ORDER BY at, step) AS running FROM (
			SELECT started_at AS at, 1 AS step FROM opsrunbook.job_run UNION ALL SELECT finished_at, -1 FROM opsrunbook.job_run) e) s});
	cmp_ok($most, '<=', $at_once, 'no more at a time than the setting allows');
	cmp_ok($most, '>', 1, 'but several');
	note $node->safe_psql($database, "SELECT $jobs || ' jobs in ' || max(finished_at) - '$due' FROM opsrunbook.job_run");
}
ok(wait_for($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'opsrunbook job'"), 'no worker is left');

$node->stop;
done_testing();
