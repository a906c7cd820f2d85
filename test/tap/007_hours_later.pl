# What is judged over hours: the situation is real, and then the server's clock goes ahead.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Every process of the servers looks into this file with each look at the clock (clock_ahead.c).
my $clock = PostgreSQL::Test::Utils::tempdir . '/clock';
my $library = "$clock.so";
my $ahead = 0;
sub seconds_later
{
	$ahead += shift;
	open my $file, '+<', $clock or die "$clock: $!";
	syswrite $file, pack('q', $ahead);
	close $file;
	return;
}
append_to_file($clock, pack('q', 0));
(my $source = __FILE__) =~ s,[^/]*$,clock_ahead.c,;
system_or_bail('cc', '-shared', '-fPIC', '-O1', '-o', $library, $source, '-ldl');
local $ENV{LD_PRELOAD} = $library;
local $ENV{CLOCK_AHEAD} = $clock;
my $hours = 2;
sub hours_later { return seconds_later($hours * 3600) }

my $node = new_node(
	'later',
	allows_streaming => 1,
	shared_buffers => '128kB',
	wal_buffers => '32kB',
	max_wal_size => '32MB',
	min_wal_size => '32MB',
	checkpoint_timeout => '1h',
	work_mem => '64kB',
	deadlock_timeout => '10ms',
	autovacuum => 'off',
	max_connections => 20,
	max_wal_senders => 4,
	'pg_stat_statements.max' => 100,
	'opsrunbook.scheduler' => 'off');
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement) }
my $version = sql("SELECT current_setting('server_version_num')::int / 10000");

sub severity
{
	my ($check, $server) = @_;
	return ($server // $node)->safe_psql('postgres', "SELECT coalesce(max(severity), 'OK') FROM opsrunbook.findings(ARRAY['$check'])");
}
sub fix { my ($check) = @_; return sql("SELECT fix FROM opsrunbook.findings(ARRAY['$check']) LIMIT 1") }
sub run_fix
{
	my ($check) = @_;
	my $fix = fix($check);
	sql($_) for grep { /\S/ } split /;/, $fix =~ s/--.*//r;
	return;
}
sub threshold
{
	my ($metric, $warning) = @_;
	sql("UPDATE performance.alert_thresholds SET warning_threshold = $warning, critical_threshold = 99999999 WHERE metric_name = '$metric' AND object = ''");
	return;
}

sql(q{
	CREATE EXTENSION dblink; CREATE EXTENSION pg_stat_statements;
	CREATE TABLE pair AS SELECT n, 0 AS value FROM generate_series(1, 2) n;
	CREATE TABLE words AS SELECT md5(n::text) AS word FROM generate_series(1, 4000) n;
	CREATE TABLE scratch (filler text);
});

# Two sessions lock two rows, each the other's first; in order: both the same first.
sub lock_both
{
	my ($times, $in_order) = @_;
	my ($first, $second) = $in_order ? (1, 2) : (2, 1);
	my $here = "'dbname=postgres host=' || current_setting('unix_socket_directories') || ' port=' || current_setting('port')";
	sql(qq{
		DO \$\$
		BEGIN
			FOR i IN 1 .. $times LOOP
				PERFORM dblink_connect('a', $here), dblink_connect('b', $here);
				PERFORM dblink_exec('a', 'BEGIN; UPDATE pair SET value = 1 WHERE n = 1');
				IF $first = 2 THEN
					PERFORM dblink_exec('b', 'BEGIN; UPDATE pair SET value = 2 WHERE n = 2');
				END IF;
				PERFORM dblink_send_query('b', 'UPDATE pair SET value = 2 WHERE n = 1');
				PERFORM dblink_exec('a', 'UPDATE pair SET value = 1 WHERE n = 2; COMMIT', false);
				PERFORM dblink_disconnect('a'), dblink_disconnect('b');
			END LOOP;
		END \$\$});
	return;
}
sub spill { sql("DO \$\$ BEGIN FOR i IN 1 .. 300 LOOP PERFORM word FROM words ORDER BY word OFFSET 3999; END LOOP; END \$\$"); return }
sub distinct_statements { my ($count) = @_; sql(join ';', map { 'SELECT ' . join ', ', (1) x $_ } 1 .. $count); return }
# A megabyte a transaction, each flushed.
sub write_wal
{
	my ($megabytes) = @_;
	sql("DO \$\$ BEGIN FOR i IN 1 .. $megabytes LOOP PERFORM pg_logical_emit_message(true, 'test', repeat('x', 1000000)); COMMIT; END LOOP; END \$\$");
	return;
}
my $requested = $version < 17 ? 'SELECT checkpoints_req FROM pg_stat_bgwriter' : 'SELECT num_requested FROM pg_stat_checkpointer';

# Near misses: the hours have passed, and little happened in them.
lock_both(5, 0);
ok(wait_for($node, "SELECT deadlocks = 5 FROM pg_stat_database WHERE datname = 'postgres'"), 'five deadlocks are counted');
spill();
distinct_statements(30);
write_wal(1);
sql('CHECKPOINT') for 1 .. 12;
is(severity('deadlocks'), 'OK', 'five deadlocks in minutes tell nothing');
hours_later();
is(severity('deadlocks'), 'OK', 'deadlocks: near miss: five a day');
is(severity('temp_files'), 'OK', 'temp_files: near miss: less than a gigabyte an hour');
is(severity('statement_evictions'), 'OK', 'statement_evictions: near miss: all statements find room');
is(severity('wal_buffers_full'), 'OK', 'wal_buffers_full: near miss: a few times an hour');
is(severity('checkpoints'), 'OK', 'checkpoints: near miss: many, by command, with little WAL');
is(severity('checkpoint_age'), 'OK', 'checkpoint_age: near miss: nothing was written since');
threshold('backend_fsyncs_per_hour', 1000000);
is(severity('backend_writes'), 'OK', 'backend_writes: near miss: fewer than the threshold');

# One deadlock more; the other amounts against thresholds of their size.
lock_both(1, 0);
ok(wait_for($node, "SELECT deadlocks = 6 FROM pg_stat_database WHERE datname = 'postgres'"), 'a sixth deadlock is counted');
is(severity('deadlocks'), 'WARNING', 'deadlocks: fires: six a day');
threshold('temp_gigabytes_per_hour', 0.01);
is(severity('temp_files'), 'WARNING', 'temp_files: fires: more than ten megabytes an hour');
threshold('wal_buffers_full_per_minute', 0.1);
is(severity('wal_buffers_full'), 'WARNING', 'wal_buffers_full: fires: once in ten minutes');
distinct_statements(200);
is(severity('statement_evictions'), 'WARNING', 'statement_evictions: fires: more statements than there is room for');
my $before = sql($requested);
for (1 .. 40)
{
	write_wal(20);
	last if sql($requested) >= $before + 14;
}
hours_later();
isnt(severity('checkpoints'), 'OK', 'checkpoints: fires: forced by WAL');

# The checkpointer does nothing more, and much is written.
my $checkpointer = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'");
sql('CHECKPOINT');
kill 'STOP', $checkpointer;
write_wal(20);
# More files than its queue has room for.
sql("SELECT count(*) FROM pg_class") for 1 .. 2;
sql(join ';', map { "CREATE UNLOGGED TABLE file_$_ AS SELECT repeat('x', 1000) AS filler FROM generate_series(1, 200)" } 1 .. 40);
seconds_later(8 * 3600);
my $redo_file = $node->data_dir . '/pg_wal/' . sql('SELECT redo_wal_file FROM pg_control_checkpoint()');
my @written = (stat $redo_file)[ 8, 9 ];
my $minute_ago = sql('SELECT extract(epoch FROM clock_timestamp())::bigint') - 60;
utime($minute_ago, $minute_ago, $redo_file) or die "$redo_file: $!";
is(severity('checkpoint_age'), 'OK', 'checkpoint_age: near miss: after idle hours WAL began to grow a minute ago');
utime(@written, $redo_file) or die "$redo_file: $!";
is(severity('checkpoint_age'), 'WARNING', 'checkpoint_age: fires: no checkpoint for hours');
kill 'CONT', $checkpointer;
run_fix('checkpoint_age');
is(severity('checkpoint_age'), 'OK', 'checkpoint_age: clears: as told');
if ($version < 17)
{
	ok(wait_for($node, 'SELECT buffers_backend_fsync > 0 FROM pg_stat_bgwriter'), 'sessions had to fsync');
	threshold('backend_fsyncs_per_hour', 0.1);
	is(severity('backend_writes'), 'WARNING', 'backend_writes: fires: the queue of the checkpointer was full');
}

# A statement that takes minutes; while it runs, the clock goes on.
sql('SELECT pg_stat_statements_reset()');
sql('SELECT pg_sleep(0.12) AS dominant') for 1 .. 5;
is(severity('dominant_statement'), 'OK', 'dominant_statement: near miss: half a second in all');
my $sleeper = $node->background_psql('postgres');
$sleeper->query_until(qr/started/, "\\echo started\nSELECT pg_sleep(100.0) AS dominant;\n");
ok(wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(100.0)%' AND wait_event = 'PgSleep'"), 'it runs');
seconds_later(120);
sql('SELECT pg_reload_conf()'); # wakes it to look at the clock
$sleeper->quit;
is(severity('dominant_statement'), 'WARNING', 'dominant_statement: fires: most of the time is its');

# A job, and a scheduler that is switched off.
is(severity('scheduler_stopped'), 'OK', 'scheduler_stopped: near miss: there is no job to start');
sql("SELECT opsrunbook.schedule('nightly', '0 3 * * *', 'SELECT 1')");
is(severity('scheduler_stopped'), 'CRITICAL', 'scheduler_stopped: fires: nothing starts the job');

# As told, and the same work again.
for my $round (1 .. 6)
{
	for my $check (qw(temp_files wal_buffers_full statement_evictions checkpoints backend_writes scheduler_stopped))
	{
		run_fix($check) if severity($check) ne 'OK';
	}
	$node->restart;
	sql('SELECT pg_stat_reset(), pg_stat_statements_reset()');
	sql("SELECT pg_stat_reset_shared('$_')") for qw(bgwriter wal), $version < 17 ? () : 'checkpointer';
	lock_both(6, 1);
	spill();
	distinct_statements(200);
	write_wal(20) for 1 .. 14;
	sql('SELECT pg_sleep(0.01) AS dominant') for 1 .. 10;
	hours_later();
	last unless grep { severity($_) ne 'OK' } qw(temp_files statement_evictions);
}
is(severity('deadlocks'), 'OK', 'deadlocks: clears: rows are locked in one order');
is(severity('temp_files'), 'OK', 'temp_files: clears: sorts find room in work_mem');
is(severity('wal_buffers_full'), 'OK', 'wal_buffers_full: clears: with larger wal_buffers');
is(severity('statement_evictions'), 'OK', 'statement_evictions: clears: with room for all');
is(severity('checkpoints'), 'OK', 'checkpoints: clears: with a larger max_wal_size');
is(severity('backend_writes'), 'OK', 'backend_writes: clears: with a larger queue');
is(severity('dominant_statement'), 'OK', 'dominant_statement: clears: made fast');
is(severity('scheduler_stopped'), 'OK', 'scheduler_stopped: clears: switched on');

# Where alerts are observed, yesterday's deadlocks are over, however few hours the counters have run.
lock_both(12, 0);
ok(wait_for($node, "SELECT deadlocks >= 12 FROM pg_stat_database WHERE datname = 'postgres'"), 'twelve deadlocks are counted');
is(severity('deadlocks'), 'WARNING', 'a dozen in a day');
sql('SELECT opsrunbook.observe_alerts()');
is(sql("SELECT value >= 12 FROM opsrunbook.counter_sample WHERE counter = 'database.deadlocks'"), 't', 'they are in the sample');
sql('SELECT opsrunbook.observe_alerts()');
is(sql('SELECT count(DISTINCT taken_at) FROM opsrunbook.counter_sample'), '1', 'one sample an hour');
is(severity('deadlocks'), 'WARNING', 'a sample just taken is too young to count from');
hours_later();
is(severity('deadlocks'), 'OK', 'none since the sample');
lock_both(6, 0);
ok(wait_for($node, "SELECT deadlocks >= 18 FROM pg_stat_database WHERE datname = 'postgres'"), 'six more are counted');
is(sql("SELECT value FROM opsrunbook.findings('{deadlocks}')"), '6', 'those since the sample count');
seconds_later(30 * 3600);
sql('SELECT opsrunbook.observe_alerts()');
is(sql("SELECT count(*) FROM opsrunbook.counter_sample WHERE taken_at < now() - interval '25 hours'"), '0', 'samples are kept for a day');
sql('DELETE FROM opsrunbook.counter_sample');

# A standby that ends queries which are in the way of replay.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('later_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = 0\nhot_standby_feedback = off");
$standby->start;
sub in_the_way
{
	my $reader = $standby->background_psql('postgres', on_error_stop => 0);
	$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM words');
	sql('UPDATE words SET word = word; VACUUM words');
	$node->wait_for_catchup($standby, 'replay');
	$reader->quit;
	return;
}
sub conflicts { return $standby->safe_psql('postgres', "SELECT conflicts FROM pg_stat_database WHERE datname = 'postgres'") }
$standby->safe_psql('postgres', 'SELECT pg_stat_reset()');
in_the_way() for 1 .. 2;
ok(wait_for($standby, "SELECT conflicts = 2 FROM pg_stat_database WHERE datname = 'postgres'"), 'two queries are ended');
hours_later();
is(severity('conflicts', $standby), 'OK', 'conflicts: near miss: one an hour');
in_the_way();
ok(wait_for($standby, "SELECT conflicts = 3 FROM pg_stat_database WHERE datname = 'postgres'"), 'and a third');
is(severity('conflicts', $standby), 'WARNING', 'conflicts: fires: more than one an hour');
my $fix = $standby->safe_psql('postgres', "SELECT fix FROM opsrunbook.findings('{conflicts}')");
$standby->safe_psql('postgres', $_) for grep { /\S/ } split /;/, $fix;
ok(wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'walsender'"), 'the standby follows');
$standby->safe_psql('postgres', 'SELECT pg_stat_reset()');
in_the_way() for 1 .. 3;
hours_later();
is(severity('conflicts', $standby), 'OK', 'conflicts: clears: the primary waits for the standby');

$standby->stop('immediate');
$node->stop('immediate');
done_testing();
