# What users set and what was recorded survives pg_dump and pg_restore, whichever format; nothing of a new database's
# own is in the way.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('dumped', 'opsrunbook.scheduler' => 'off');

sub in_source { return $node->safe_psql('source', shift) }

$node->safe_psql('postgres', 'CREATE DATABASE source');
in_source('CREATE EXTENSION opsrunbook');
in_source(<<'SQL');
CREATE TABLE "User's events" (id bigint PRIMARY KEY, created_at timestamptz, photo text);
CREATE TABLE photos (name text, size bigint, added timestamptz);
INSERT INTO "User's events" SELECT g, now() - g * interval '1 day', g FROM generate_series(1, 1000) g;
CREATE INDEX unused ON "User's events" (photo);
DELETE FROM "User's events" WHERE id % 3 = 0;
UPDATE performance.alert_thresholds SET warning_threshold = 1, critical_threshold = 2 WHERE metric_name = 'dead_tuples';
INSERT INTO performance.alert_thresholds (metric_name, object, warning_threshold) VALUES ('dead_tuples', 'public.*', 77);
SELECT opsrunbook.add_check('stock', 'SELECT 7', 5, 6, description => 'it''s low');
SELECT opsrunbook.mute_alert('stock', reason => 'counted "by hand"');
SELECT opsrunbook.set_retention('"User''s events"', 'created_at', interval '900 days');
SELECT opsrunbook.add_orphan_rule('photos of nobody', 'photos', 'name', '"User''s events"', 'photo', age_column => 'added');
SELECT opsrunbook.schedule('night''s work', '0 3 * * *', 'SELECT 1', timezone => 'Europe/Berlin');
SELECT update_index_usage();
SELECT opsrunbook.declare_standby('replica');
INSERT INTO opsrunbook.standby_index_usage VALUES ('replica', 'public', 'unused', 1, now() - interval '100 days');
SELECT opsrunbook.record_storage_sizes();
SELECT pg_stat_force_next_flush(); -- a session that ends may count what it did after the next one has looked
SQL
in_source('SELECT count(*) FROM run_automated_maintenance()');
in_source(q{SELECT count(*) FROM opsrunbook.apply_retention('"User''s events"')});
in_source(q{SELECT count(*) FROM opsrunbook.enter_maintenance_mode('moving house')});
in_source('SELECT opsrunbook.exit_maintenance_mode()');
in_source(
	q{INSERT INTO opsrunbook.job_run (job_id, job_name, scheduled_for, attempt, reason, role, command, started_at, finished_at, status)
	SELECT id, name, now(), 1, 'scheduled', role, command, now(), now(), 'completed' FROM opsrunbook.job});
in_source(q{SELECT opsrunbook.start_index_trial('unused')});
in_source(q{SELECT opsrunbook.end_index_trial('unused')});
in_source(q{SELECT opsrunbook.declare_standby('reports')});
in_source(q{INSERT INTO opsrunbook.standby_index_usage VALUES ('reports', 'public', 'unused', 7, now())});

my @tables = split /\n/, in_source(
	"SELECT c.oid::regclass FROM pg_class c WHERE c.relkind = 'r' AND c.oid = ANY ((SELECT extconfig FROM pg_extension WHERE extname = 'opsrunbook')::oid[]) ORDER BY 1"
);
my @sequences = split /\n/, in_source(
	"SELECT c.oid::regclass FROM pg_class c WHERE c.relkind = 'S' AND c.oid = ANY ((SELECT extconfig FROM pg_extension WHERE extname = 'opsrunbook')::oid[]) ORDER BY 1"
);
cmp_ok(scalar @tables, '>', 10, 'there are tables to dump');

sub content
{
	my ($database, $table) = @_;
	return $node->safe_psql($database, "SELECT t::text FROM $table t ORDER BY t::text COLLATE \"C\"");
}

for my $table (@tables)
{
	isnt(content('source', $table), '', "$table has something to lose");
}
for my $format (qw(custom plain))
{
	my $file = $node->basedir . "/$format.dump";
	my $database = "restored_$format";
	$node->command_ok([ 'pg_dump', '--format', $format, '-f', $file, 'source' ], "dumped, $format");
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	if ($format eq 'custom')
	{
		$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $database, $file ], 'restored');
	}
	else
	{
		$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $database, '-f', $file ], 'restored by psql');
	}
	for my $table (@tables)
	{
		is(content($database, $table), content('source', $table), "$table is the same, $format");
	}
	for my $sequence (@sequences)
	{
		is( $node->safe_psql($database, "SELECT last_value, is_called FROM $sequence"),
			in_source("SELECT last_value, is_called FROM $sequence"),
			"$sequence goes on from there, $format");
	}
	# … and is in force.
	is( $node->safe_psql($database,
			"SELECT warning_threshold FROM performance.alert_thresholds WHERE metric_name = 'dead_tuples' ORDER BY object"),
		"1\n77", 'the thresholds count');
	is($node->safe_psql($database, "SELECT severity, muted FROM opsrunbook.findings(ARRAY['stock'])"),
		'CRITICAL|t', 'the user\'s check runs, and is muted');
	is( $node->safe_psql($database, 'SELECT relation FROM opsrunbook.retention_policies'),
		in_source('SELECT relation FROM opsrunbook.retention_policies'),
		'the retention policy knows its table');
	is($node->safe_psql($database, q{SELECT status FROM opsrunbook.apply_retention('"User''s events"')}),
		'completed', 'and is applied');
}

$node->stop;
done_testing();
