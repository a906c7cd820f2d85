# Transaction ids and multixacts that nobody freezes, and who keeps VACUUM from it: the ages are small and the
# thresholds with them, the rest is as on a server that ran for years.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('ageing');
my $distance = 2**31;

sub severity
{
	my ($check, $object) = @_;
	return $node->safe_psql('postgres',
		"SELECT coalesce(max(severity), 'OK') FROM opsrunbook.findings(ARRAY['$check']) WHERE coalesce(object, '') = '$object'");
}

sub threshold
{
	my ($metric, $warning) = @_;
	$node->safe_psql('postgres',
		"UPDATE performance.alert_thresholds SET warning_threshold = $warning, critical_threshold = 99999999 WHERE metric_name = '$metric' AND object = ''"
	);
}

# The fix is for the oldest table; the next one is the oldest then.
sub freeze_as_told
{
	my ($check) = @_;
	for my $round (1 .. 500)
	{
		my $fix = $node->safe_psql('postgres',
			"SELECT fix FROM opsrunbook.findings(ARRAY['$check']) WHERE object = 'postgres'");
		return if $fix eq '';
		$node->safe_psql('postgres', $fix);
	}
}

my $burn = 'DO $$ BEGIN FOR i IN 1 .. %d LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$';

$node->safe_psql('postgres', 'CREATE TABLE t (n integer); INSERT INTO t VALUES (0)');
$node->safe_psql($_, 'VACUUM (FREEZE)') for qw(postgres template1);

# Transaction ids
threshold('xid_age_pct', 100 * 2000 / $distance);
is(severity('xid_age', 'postgres'), 'OK', 'xid_age: near miss: just frozen');
$node->safe_psql('postgres', sprintf($burn, 2500));
is(severity('xid_age', 'postgres'), 'WARNING', 'xid_age: fires: older than the threshold');
is(severity('xid_age', 'template0'), 'WARNING', 'databases that nobody may connect to count');
freeze_as_told('xid_age');
is(severity('xid_age', 'postgres'), 'OK', 'xid_age: clears: as told');

# Multixacts: a row locked and then updated by a subtransaction
threshold('mxid_age_pct', 100 * 200 / $distance);
is(severity('mxid_age', 'postgres'), 'OK', 'mxid_age: near miss: hardly any');
$node->safe_psql('postgres',
	'DO $$ BEGIN FOR i IN 1 .. 400 LOOP PERFORM FROM t FOR KEY SHARE; BEGIN UPDATE t SET n = n + 1; EXCEPTION WHEN division_by_zero THEN NULL; END; COMMIT; END LOOP; END $$');
is(severity('mxid_age', 'postgres'), 'WARNING', 'mxid_age: fires: older than the threshold');
freeze_as_told('mxid_age');
is(severity('mxid_age', 'postgres'), 'OK', 'mxid_age: clears: as told');

# Their members: two each, 52,352 of them a file of 256 kB, of which there can be 82,041
threshold('multixact_members_pct', 100 * 2.5 / 82041);
is(severity('multixact_members', ''), 'OK', 'multixact_members: near miss: two files at most');
$node->safe_psql('postgres',
	'DO $$ BEGIN FOR i IN 1 .. 90000 LOOP PERFORM FROM t FOR KEY SHARE; BEGIN UPDATE t SET n = n + 1; EXCEPTION WHEN division_by_zero THEN NULL; END; COMMIT; END LOOP; END $$');
is(severity('multixact_members', ''), 'WARNING', 'multixact_members: fires: more of them');
like($node->safe_psql('postgres', "SELECT fix FROM opsrunbook.findings('{multixact_members}')"), qr/in every database: VACUUM \(FREEZE\)/, 'with its remedy');
$node->safe_psql('postgres', 'ALTER DATABASE template0 ALLOW_CONNECTIONS true');
$node->safe_psql($_, 'VACUUM (FREEZE)') for qw(template0 template1 postgres);
$node->safe_psql('postgres', 'ALTER DATABASE template0 ALLOW_CONNECTIONS false; CHECKPOINT');
is(severity('multixact_members', ''), 'OK', 'multixact_members: clears: as told');

# An old snapshot
threshold('xmin_age', 1000);
my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t');
my $pid = $reader->query_safe('SELECT pg_backend_pid()');
$pid =~ s/\D//g;
my $holder = "SELECT coalesce(max(severity), 'OK') FROM opsrunbook.findings(ARRAY['xmin_horizon']) WHERE fix = 'SELECT pg_terminate_backend($pid);'";
is($node->safe_psql('postgres', $holder), 'OK', 'xmin_horizon: near miss: a young snapshot');
$node->safe_psql('postgres', sprintf($burn, 1500));
is($node->safe_psql('postgres', $holder), 'WARNING', 'xmin_horizon: fires: an old one');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
ok(wait_for($node, $holder, 'OK'), 'xmin_horizon: clears: without its holder');
eval { $reader->quit };

$node->stop;
done_testing();
