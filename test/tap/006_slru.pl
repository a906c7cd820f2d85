# The cache of transactions' status is smaller than what is asked of it, and what its remedy brings.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Before 17 the cache of transactions' status has a 512th of shared_buffers, of at least 4 blocks; from then on its own
# setting, of at least 16.  A block holds 32,768 transactions.
my $node = new_node('slru', shared_buffers => '1MB', max_connections => 20);
my $sized = $node->safe_psql('postgres', "SELECT current_setting('transaction_buffers', true) IS NOT NULL") eq 't';
if ($sized)
{
	$node->append_conf('postgresql.conf', 'transaction_buffers = 16');
	$node->restart;
}
my $blocks = $sized ? 40 : 20;

sub severity
{
	return $node->safe_psql('postgres',
		"SELECT coalesce(max(severity), 'OK') FROM opsrunbook.findings('{slru_cache}') WHERE object = 'transaction'");
}

# Asks for the status of transactions all over the past.
sub look_up
{
	my ($times) = @_;
	$node->safe_psql('postgres', "DO \$\$ DECLARE newest bigint := pg_snapshot_xmin(pg_current_snapshot())::text; oldest bigint := newest - $blocks * 32768;
		BEGIN FOR i IN 1 .. $times LOOP PERFORM pg_xact_status((oldest + floor(random() * (newest - oldest)))::bigint::text::xid8); END LOOP; END \$\$");
}

# Subtransactions take an id each.
for (1 .. 10)
{
	my $each = int($blocks * 32768 / 10) + 1;
	$node->safe_psql('postgres',
		"CREATE TABLE IF NOT EXISTS t (n integer); DO \$\$ BEGIN FOR i IN 1 .. $each LOOP BEGIN INSERT INTO t VALUES (i); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END \$\$; TRUNCATE t"
	);
}

$node->safe_psql('postgres', "SELECT pg_stat_reset_slru(NULL)");
look_up(5000);
is(severity(), 'OK', 'slru_cache: near miss: too few look-ups to tell');
look_up(40000);
isnt(severity(), 'OK', 'slru_cache: fires: most look-ups read a block');
my $fix = $node->safe_psql('postgres', "SELECT fix FROM opsrunbook.findings('{slru_cache}') WHERE object = 'transaction'");
if ($sized)
{
	like($fix, qr/^ALTER SYSTEM SET transaction_buffers = '128'; -- and restart/, 'the cache has a setting');
	$node->safe_psql('postgres', $fix);
}
else
{
	like($fix, qr/grows with shared_buffers/, 'the cache grows with shared_buffers');
	$node->append_conf('postgresql.conf', "shared_buffers = '512MB'");
}
$node->restart;
$node->safe_psql('postgres', "SELECT pg_stat_reset_slru(NULL)");
look_up(45000);
is(severity(), 'OK', 'slru_cache: clears: the cache holds what is asked for');

done_testing();
