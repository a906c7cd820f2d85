# What counts only from a gigabyte on: bloat of tables and indexes, and shared_buffers that nobody ever set.  Rows and
# keys are wide, so that few of them fill many pages.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('gigabytes', maintenance_work_mem => '1GB', shared_buffers => '128MB');

sub finding
{
	my ($check, $column) = @_;
	return $node->safe_psql('postgres',
		"SELECT $column FROM opsrunbook.findings(ARRAY['$check']) WHERE severity IN ('WARNING', 'CRITICAL')");
}

# A diagnosis samples for 50 ms; on a busy machine it may not get to the index and says so.
sub settles
{
	my ($check, $expected, $name) = @_;
	ok( wait_for(
			$node, "SELECT coalesce(string_agg(severity, ' '), 'OK') FROM opsrunbook.findings(ARRAY['$check'])",
			$expected),
		$name);
}

# Two rows of 4 kB fill a page of the table; two keys and a page's high key fill a leaf of the index.
$node->safe_psql(
	'postgres', q{
	CREATE UNLOGGED TABLE big (id integer, key text COLLATE "C", filler text);
	ALTER TABLE big ALTER key SET STORAGE PLAIN, ALTER filler SET STORAGE PLAIN;
	INSERT INTO big SELECT n, to_char(n, 'FM0000000') || repeat('k', 2600), repeat('f', 1300)
		FROM generate_series(1, 290000) n});
settles('shared_buffers', 'OK', 'shared_buffers: near miss: a database of 1 GB');
$node->safe_psql('postgres', 'CREATE INDEX big_key ON big (key) WHERE id <= 195000');
$node->safe_psql('postgres', 'VACUUM (ANALYZE) big');

# shared_buffers
SKIP:
{
	my ($kilobytes) = slurp_file('/proc/meminfo') =~ /^MemTotal:\s+(\d+)/m;
	skip 'a machine with less than 4 GB of memory needs no more than 128 MB of shared_buffers', 3
	  if $kilobytes < 4 * 1024 * 1024;
	settles('shared_buffers', 'WARNING', 'shared_buffers: fires: 16 times 128 MB');
	$node->safe_psql('postgres', finding('shared_buffers', 'fix'));
	$node->restart;
	isnt($node->safe_psql('postgres', 'SHOW shared_buffers'), '128MB', 'the fix changes shared_buffers');
	settles('shared_buffers', 'OK', 'shared_buffers: clears: as told, and restarted');
}

# Bloat
settles('bloat', 'OK', 'bloat: a table just filled has none');
settles('index_bloat', 'OK', 'index_bloat: an index just built has none');
$node->safe_psql('postgres', 'DELETE FROM big WHERE id % 10 < 6');
settles('bloat', 'OK', 'bloat: near miss: more than half of the rows are dead, but they are less than 1 GB');
settles('index_bloat', 'OK', 'index_bloat: near miss: more than half of the keys are dead, but they are less than 1 GB');
$node->safe_psql('postgres', 'DELETE FROM big WHERE id % 20 <> 19 AND id <> 290000');
settles('bloat', 'CRITICAL', 'bloat: fires: more than 1 GB of dead rows');
settles('index_bloat', 'CRITICAL', 'index_bloat: fires: more than 1 GB of dead keys');
is(finding('bloat', 'fix'), 'VACUUM (ANALYZE) public.big;', 'bloat: dead rows are for VACUUM');
$node->safe_psql('postgres', finding('bloat', 'fix'));
settles('bloat', 'CRITICAL', 'bloat: the space is free now, but the file as large as before');
my ($rewrite) = finding('bloat', 'fix') =~ /^-- in a maintenance window.*: (VACUUM \(FULL, ANALYZE\) public\.big;)$/;
ok($rewrite, 'bloat: free space that will not be used again is for VACUUM FULL') or $rewrite = '';

settles('index_bloat', 'CRITICAL', 'index_bloat: VACUUM does not give the pages back');
$node->safe_psql('postgres', finding('index_bloat', 'fix'));
settles('index_bloat', 'OK', 'index_bloat: clears: rebuilt as told');
settles('bloat', 'CRITICAL', 'bloat: the table is as it was');
$node->safe_psql('postgres', $rewrite);
settles('bloat', 'OK', 'bloat: clears: rewritten as told');
$node->safe_psql('postgres', 'DROP TABLE big');

# Memory promised to sessions, more than the machine has
sub promise
{
	my ($work_mem) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET work_mem = '$work_mem'");
	$node->reload;
	wait_for($node, "SELECT setting = pg_size_bytes('$work_mem') / 1024 || '' FROM pg_settings WHERE name = 'work_mem'");
}
promise('1TB');
settles('memory_settings', 'CRITICAL', 'memory_settings: far more than there is');
my ($memory, $shared, $sessions) = split /\|/,
  finding('memory_settings',
	q{evidence ->> 'memory_bytes', evidence ->> 'shared_buffers_bytes', evidence ->> 'max_connections'});
promise(int((0.95 * $memory - $shared) / $sessions / 1024) . 'kB');
settles('memory_settings', 'OK', 'memory_settings: near miss: 95 % of the memory');
promise(int((1.05 * $memory - $shared) / $sessions / 1024) . 'kB');
settles('memory_settings', 'WARNING', 'memory_settings: fires: 105 % of the memory');
my $fix = finding('memory_settings', 'fix');
like($fix, qr/^ALTER SYSTEM SET work_mem/, 'memory_settings: it is work_mem that promises too much');
$node->safe_psql('postgres', $_) for split /(?<=;)\s*/, $fix;
settles('memory_settings', 'OK', 'memory_settings: clears: as told');

$node->stop;
$node->clean_node;
done_testing();
