# Retention as a job through signal 9 in the middle: what was committed batch by batch stays gone and is counted, nothing
# else is, and the next run goes on to the end.  A policy that cannot be applied fails the job, which alerts.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('retention', 'opsrunbook.scheduler_naptime' => '1s', restart_after_crash => 'on');
sub sql { return $node->safe_psql('postgres', $_[0]) }
my ($old, $young, $batch) = (5000, 700, 100);

# Rows from the middle on wait for an advisory lock, so that the worker can be hit between two batches or inside one.
sql(qq{
	CREATE TABLE event (id int, at timestamptz);
	CREATE TABLE archive (id int, at timestamptz);
	INSERT INTO event SELECT g, now() - interval '90 days' + g * interval '1 second' FROM generate_series(1, $old) g;
	INSERT INTO event SELECT -g, now() FROM generate_series(1, $young) g;
	CREATE INDEX ON event (at);
	CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
		IF OLD.id >= 2050 THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN OLD; END \$\$;
	CREATE TRIGGER gate BEFORE DELETE ON event FOR EACH ROW EXECUTE FUNCTION gate();
	VACUUM ANALYZE event;
	SELECT opsrunbook.set_retention('event', 'at', '30 days', archive_to => 'archive', batch_size => $batch);
	SELECT opsrunbook.enable_default_schedule();
	-- Whatever the hour, retention runs only when it is asked to, and nothing else does.
	SELECT opsrunbook.disable_job(name) FROM opsrunbook.jobs WHERE name <> 'opsrunbook retention';
	SELECT opsrunbook.schedule(name, '0 0 29 2 *', command) FROM opsrunbook.jobs WHERE name = 'opsrunbook retention';
});
my $gone = "SELECT $old + $young - count(*) FROM event";
my $worker = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'opsrunbook retention' AND wait_event = 'advisory'";
my $ended = "SELECT count(*) FROM opsrunbook.job_runs WHERE job_name = 'opsrunbook retention' AND status = ";
sub gated { my $gate = $node->background_psql('postgres'); $gate->query_safe('SELECT pg_advisory_lock(42)'); return $gate }

my $runs = 0;
for my $crash ('signal 9 to the worker', 'an immediate stop', 'the end of the worker by pg_terminate_backend()')
{
	my $gate = gated();
	sql("SELECT opsrunbook.run_job_now('opsrunbook retention')");
	ok(wait_for($node, "SELECT count(*) = 1 FROM ($worker) w"), "the worker is in the middle of a batch");
	if ($crash =~ /signal 9/) { kill 'KILL', sql($worker) }
	elsif ($crash =~ /stop/) { $node->stop('immediate'); $node->start }
	else { sql("SELECT pg_terminate_backend(pid) FROM ($worker) w") }
	eval { $gate->quit };
	++$runs;
	ok($node->poll_query_until('postgres', $ended . "'failed'", $runs), "$crash: the job has failed");
	is(sql($gone), 2000, 'the batches that were committed stay');
	is(sql("SELECT count(*), max(id) FROM archive"), '2000|2000', 'in the archive, whole batches only');
	is(sql('SELECT sum(rows_affected) FROM opsrunbook.retention_runs'), 2000, 'as many as are counted');
	is(sql("SELECT count(*) FROM opsrunbook.retention_runs WHERE status = 'running'"), 0, 'no step stays running');
}
is(sql("SELECT count(*) FROM performance.check_alerts() WHERE metric = 'failed_job_runs' AND object_name = 'opsrunbook retention'"), 1, 'a job that fails is an alert');

sql("SELECT opsrunbook.run_job_now('opsrunbook retention')");
ok(wait_for($node, $ended . "'completed'", 1), 'the next run goes on to the end');
is(sql($gone), $old, 'every old row is gone');
is(sql('SELECT count(*) FROM event WHERE id < 0'), $young, 'no young one');
is(sql('SELECT count(*), count(DISTINCT id) FROM archive'), "$old|$old", 'each was archived once');
is(sql('SELECT sum(rows_affected) FROM opsrunbook.retention_runs'), $old, 'and counted');
is(sql("SELECT count(*) FROM performance.check_alerts() WHERE metric = 'failed_job_runs' AND object_name = 'opsrunbook retention'"), 0, 'the alert is over');

# A policy that is refused.
sql(q{
	CREATE TABLE unindexed (at timestamptz, filler text);
	INSERT INTO unindexed SELECT now() - interval '1 year', repeat('x', 1000) FROM generate_series(1, 3000);
	SELECT opsrunbook.set_retention('unindexed', 'at', '30 days');
	ALTER SYSTEM SET opsrunbook.retention_seqscan_limit_mb = 1;
	SELECT pg_reload_conf();
});
sql("SELECT opsrunbook.run_job_now('opsrunbook retention')");
ok(wait_for($node, $ended . "'failed'", $runs + 1), 'a policy that cannot be applied fails the job');
like(sql("SELECT last_message FROM opsrunbook.jobs WHERE name = 'opsrunbook retention'"), qr/retention was not done everywhere.*public\.unindexed: refused: no index leads with at/, 'which says why');
like(fails_with($node, 'CALL opsrunbook.run_retention()', '55000', 'as the procedure does'), qr/HINT:\s+CREATE INDEX CONCURRENTLY ON public\.unindexed \(at\)/, 'with the index to create');
fails_with($node, 'BEGIN; CALL opsrunbook.run_retention();', '55000', 'it commits, so not inside a transaction');

$node->stop;
done_testing();
