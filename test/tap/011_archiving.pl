# WAL archiving that never worked, works, fails, and goes nowhere.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $archive = PostgreSQL::Test::Utils::tempdir();
my $works = "cp \"%p\" \"$archive/%f\"";
my $node = new_node('archiving', allows_streaming => 1, archive_mode => 'on', archive_command => 'false');

sub settles
{
	my ($check, $expected, $name) = @_;
	ok( wait_for(
			$node, "SELECT coalesce(max(severity), 'OK') FROM opsrunbook.findings(ARRAY['$check'])", $expected),
		$name);
}

sub archive_with
{
	my ($command) = @_;
	(my $quoted = $command) =~ s/'/''/g;
	$node->safe_psql('postgres', "ALTER SYSTEM SET archive_command = '$quoted'; SELECT pg_reload_conf()");
	wait_for($node, "SELECT current_setting('archive_command') = '$quoted'");
}

sub write_segments
{
	my ($count) = @_;
	$node->safe_psql('postgres',
		"SELECT pg_logical_emit_message(false, 'test', 'x'); SELECT pg_switch_wal();" x $count);
}

settles('archiving', 'OK', 'archiving: near miss: nothing to archive yet');
write_segments(1);
ok(wait_for($node, 'SELECT failed_count > 0 FROM pg_stat_archiver'), 'the archiver tried and failed');
settles('archiving', 'WARNING', 'archiving: fires: never archived although WAL advanced');
like(
	$node->safe_psql('postgres', "SELECT message FROM opsrunbook.findings(ARRAY['archiving'])"),
	qr/nothing was ever archived/, 'archiving: says that it never worked');

archive_with($works);
write_segments(1);
ok(wait_for($node, 'SELECT archived_count > 1 FROM pg_stat_archiver'), 'archiving works');
settles('archiving', 'OK', 'archiving: clears: clear once the command works');
settles('archive_backlog', 'OK', 'archive_backlog: nothing waits');

archive_with('false');
write_segments(1);
ok(wait_for($node, 'SELECT last_failed_time > last_archived_time FROM pg_stat_archiver'), 'archiving fails again');
settles('archiving', 'OK', 'archiving: a failure of a moment ago is no alarm yet');
$node->safe_psql('postgres',
	"UPDATE performance.alert_thresholds SET warning_threshold = 0 WHERE metric_name = 'archive_wait_seconds' AND object = ''");
settles('archiving', 'WARNING', 'archiving: failing for longer than the threshold');
like(
	$node->safe_psql('postgres', "SELECT message FROM opsrunbook.findings(ARRAY['archiving'])"),
	qr/archiving fails, last at segment/, 'archiving: names the segment');
write_segments(8);
settles('archive_backlog', 'OK', 'archive_backlog: near miss: nine segments wait');
write_segments(3);
settles('archive_backlog', 'WARNING', 'archive_backlog: fires: a dozen segments wait');
write_segments(10);
settles('archive_backlog', 'CRITICAL', 'archive_backlog: more than twenty wait');
archive_with($works);
write_segments(1);
settles('archiving', 'OK', 'archiving: clear after the repair');
settles('archive_backlog', 'OK', 'archive_backlog: clears: clear after the repair');

archive_with('');
settles('archiving', 'CRITICAL', 'archiving: on, but goes nowhere');
archive_with($works);
settles('archiving', 'OK', 'archiving: clear again');

$node->stop;
done_testing();
