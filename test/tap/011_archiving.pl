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

# Base backups
settles('base_backup_age', 'OK', 'base_backup_age: near miss: none yet, of a new cluster');
sub backup_thresholds
{
	my ($warning, $critical) = @_;
	$node->safe_psql('postgres',
		"UPDATE performance.alert_thresholds SET warning_threshold = $warning, critical_threshold = $critical"
		  . " WHERE metric_name = 'last_backup_age_hours' AND object = ''");
}
backup_thresholds('0', '0.0001');
settles('base_backup_age', 'WARNING', 'base_backup_age: fires: none is on record; a warning at most');
like(
	$node->safe_psql('postgres', "SELECT message FROM opsrunbook.findings(ARRAY['base_backup_age'])"),
	qr/^no base backup is on record, and this cluster is [\d. mins]+ old:/, 'the age of the cluster is right');
backup_thresholds('26', '48');
$node->backup('first');

# Makes the newest base backup this old.
sub backup_of
{
	my ($hours) = @_;
	my $then = time - 3600 * $hours;
	my @files = glob($node->data_dir . '/pg_wal/*.backup');
	utime $then, $then, $files[-1] or die "cannot date @files: $!";
}
settles('base_backup_age', 'OK', 'base_backup_age: a new one');
backup_of(25);
settles('base_backup_age', 'OK', 'base_backup_age: near miss: 25 hours');
backup_of(27);
settles('base_backup_age', 'WARNING', 'base_backup_age: 27 hours');
backup_of(49);
settles('base_backup_age', 'CRITICAL', 'base_backup_age: 49 hours');
like(
	$node->safe_psql('postgres', "SELECT message FROM opsrunbook.findings(ARRAY['base_backup_age'])"),
	qr/^the last base backup ended 2 d 1 h ago/, 'it says how old');
is( $node->safe_psql('postgres', "SELECT status FROM calculate_database_health_score() WHERE component = 'backup'"),
	'CRITICAL', 'and the score has it');
$node->safe_psql('postgres', 'CHECKPOINT; SELECT pg_switch_wal(); CHECKPOINT');
settles('base_backup_age', 'CRITICAL', 'base_backup_age: the record outlives checkpoints and the archiver');
$node->backup('second');
settles('base_backup_age', 'OK', 'base_backup_age: clears: another base backup');
is( $node->safe_psql('postgres', 'SET ROLE pg_monitor; SELECT message FROM opsrunbook.findings(ARRAY[$$base_backup_age$$], true)') =~ s/\d+(\.\d+)? (ms|s)/N/r,
	'the last base backup ended N ago', 'a monitor sees the same');
$node->append_conf('postgresql.conf', 'archive_mode = off');
$node->restart;
is( $node->safe_psql('postgres', "SELECT count(*) FROM calculate_database_health_score() WHERE component = 'backup'"),
	0, 'without archiving nothing is known of backups, good or bad');

$node->stop;
done_testing();
