# Space that runs out: pg_wal beyond what the settings explain, and a file system of a tablespace.

use strict;
use warnings FATAL => 'all';

use File::Temp qw(tempdir);
use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('space', allows_streaming => 1, max_wal_size => '64MB', min_wal_size => '32MB');

sub findings
{
	my ($check, $columns, $object) = @_;
	my $condition = $object ? "WHERE object ~ '$object'" : '';
	return "SELECT $columns FROM opsrunbook.findings(ARRAY['$check']) $condition";
}

sub settles
{
	my ($check, $expected, $name, $object) = @_;
	ok(wait_for($node, findings($check, q{coalesce(string_agg(severity, ' '), 'OK')}, $object), $expected), $name);
}

sub write_segments
{
	my ($count) = @_;
	$node->safe_psql('postgres',
		"SELECT pg_logical_emit_message(false, 'test', 'x'); SELECT pg_switch_wal();" x $count);
}

# A slot that nobody reads
$node->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('forgotten', true)");
write_segments(50);
settles('wal_directory', 'OK', 'wal_directory: near miss: many times max_wal_size, but less than 1 GB');
write_segments(25);
settles('wal_directory', 'CRITICAL', 'wal_directory: fires: 1 GB more than the settings explain');
like($node->safe_psql('postgres', findings('wal_directory', 'cause')),
	qr/^replication slot forgotten keeps 1\.\d GB/, 'wal_directory: names the slot');
$node->safe_psql('postgres', $node->safe_psql('postgres', findings('wal_directory', 'fix')));
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'), '0', 'wal_directory: the fix drops the slot');
is($node->safe_psql('postgres', findings('wal_directory', 'fix')),
	'CHECKPOINT;', 'wal_directory: the next checkpoint removes what the slot kept');
$node->safe_psql('postgres', 'CHECKPOINT');
settles('wal_directory', 'OK', 'wal_directory: clears: without the slot');

# A file system that gets full by a table.  The one of shared memory is small wherever there is one; others write to it,
# but little.
SKIP:
{
	my $folder = eval { tempdir('opsrunbook_XXXXXX', DIR => '/dev/shm', CLEANUP => 1) };
	skip 'no /dev/shm to write to', 4 unless $folder;
	$node->safe_psql('postgres', "CREATE TABLESPACE roomy LOCATION '$folder'");
	my $threshold = "UPDATE performance.alert_thresholds SET warning_threshold = %f, critical_threshold = 0
		WHERE metric_name = 'disk_free_pct' AND object = ''";
	$node->safe_psql('postgres', sprintf($threshold, 101));
	my $seen = $node->safe_psql('postgres',
		findings('disk_space', q{evidence ->> 'free_bytes', evidence ->> 'total_bytes'}, 'roomy'));
	skip 'more than 200 GB left below /dev/shm', 4 unless $seen;
	my ($free, $total) = split /\|/, $seen;
	my $amount = $free / 4 < 64e6 ? $free / 4 : 64e6;
	$node->safe_psql('postgres', sprintf($threshold, 100 * ($free - $amount / 2) / $total));
	settles('disk_space', 'OK', 'disk_space: near miss: as much as the threshold is left', 'roomy');
	$node->safe_psql('postgres', sprintf(
		q{CREATE TABLE filler TABLESPACE roomy AS SELECT repeat('x', 1900) AS filler FROM generate_series(1, %d)},
		$amount / 2048));
	settles('disk_space', 'WARNING', 'disk_space: fires: less is left', 'roomy');
	my $list = $node->safe_psql('postgres', $node->safe_psql('postgres', findings('disk_space', 'fix', 'roomy')));
	like($list, qr/^table\|public\.filler\|/m, 'disk_space: the fix lists the table that takes the space');
	$node->safe_psql('postgres', 'DROP TABLE filler');
	settles('disk_space', 'OK', 'disk_space: clears: without that table', 'roomy');
	$node->safe_psql('postgres', 'DROP TABLESPACE roomy');
}

$node->stop;
done_testing();
