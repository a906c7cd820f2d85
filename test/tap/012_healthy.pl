# No alarm on a healthy server: idle and new, under pgbench's load, and freshly restored.  Default settings.

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The test framework's servers are neither durable nor of the default size.
my $node = new_node(
	'healthy',
	fsync => 'on',
	max_connections => 100,
	wal_level => 'replica',
	max_wal_senders => 10,
	max_wal_size => '1GB',
	shared_buffers => '128MB',
	max_worker_processes => 8,
	autovacuum => 'on');

sub no_alarm
{
	my ($database, $name) = @_;
	is( $node->safe_psql($database,
			"SELECT alert_level, metric, object_name, message FROM performance.check_alerts() WHERE alert_level IN ('WARNING', 'CRITICAL')"
		),
		'', "no alarm: $name");
	is( $node->safe_psql($database,
			"SELECT metric, message FROM performance.check_alerts() WHERE alert_level = 'UNKNOWN'"
		),
		'', "nothing unmeasured that a superuser may see: $name")
	  if $name =~ /idle/;
}

$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements');
no_alarm('postgres', 'an idle new database');

$node->safe_psql('postgres', 'CREATE DATABASE bench');
$node->safe_psql('bench', 'CREATE EXTENSION pg_stat_statements; CREATE EXTENSION opsrunbook');
$node->command_ok([ 'pgbench', '-i', '-s', '5', '-q', 'bench' ], 'pgbench tables');
no_alarm('bench', 'just loaded');

my $output = '';
my $pgbench = IPC::Run::start([ 'pgbench', '-c', '4', '-T', '15', '-n', '-h', $node->host, '-p', $node->port, 'bench' ],
	'>', \$output, '2>', \$output);
ok(wait_for($node, 'SELECT count(*) >= 1000 FROM pgbench_history', 't', 'bench'), 'pgbench is at work');
my $looks = 0;
while ($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = 'bench' AND backend_type = 'client backend'") > 0
	&& $looks++ < 5)
{
	no_alarm('bench', "under load, look $looks");
}
ok($pgbench->finish, 'pgbench ended well') or diag($output);
cmp_ok($looks, '>', 0, 'looked while pgbench was at work');
no_alarm('bench', 'after the load');

my $dump = $node->basedir . '/bench.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'bench' ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-d', 'restored', $dump ], 'restored');
no_alarm('restored', 'freshly restored');
cmp_ok(
	$node->safe_psql('restored', "SELECT score FROM calculate_database_health_score() WHERE component = 'overall'"),
	'>', 90, 'a freshly restored database is in excellent health');

$node->stop;

# Restored into a server that has been up for hours: clock_ahead.c has it start two hours ago.
my $clock = PostgreSQL::Test::Utils::tempdir . '/clock';
(my $source = __FILE__) =~ s,[^/]*$,clock_ahead.c,;
system_or_bail('cc', '-shared', '-fPIC', '-O1', '-o', "$clock.so", $source, '-ldl');
sub set_clock
{
	my ($seconds) = @_;
	open my $file, -e $clock ? '+<' : '>', $clock or die "$clock: $!";
	syswrite $file, pack('q', $seconds);
	close $file;
	return;
}
set_clock(-2 * 3600);
{
	local $ENV{LD_PRELOAD} = "$clock.so";
	local $ENV{CLOCK_AHEAD} = $clock;
	$node->start;
}
set_clock(0);
cmp_ok($node->safe_psql('postgres', 'SELECT extract(epoch FROM now() - pg_postmaster_start_time())'), '>', 7000, 'a server that has been up for hours');
$node->safe_psql('postgres', 'CREATE DATABASE again');
$node->command_ok([ 'pg_restore', '-d', 'again', $dump ], 'restored once more');
ok(wait_for($node, "SELECT sum(n_live_tup) >= 500000 FROM pg_stat_user_tables", 't', 'again'), 'its rows are counted');
no_alarm('again', 'freshly restored into a server that has been up for hours');

$node->stop;
done_testing();
