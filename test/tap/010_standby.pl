# A primary and its standby: what reads works on both, what acts is refused on the standby with a hint, and the
# checks of standbys, synchronous replication and slots fire and clear.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_node('primary', allows_streaming => 1, max_wal_size => '32MB', min_wal_size => '32MB',
	'opsrunbook.scheduler' => 'off'); # the observations of alerts are made here
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "hot_standby_feedback = on");
$standby->start;
$primary->wait_for_catchup($standby, 'replay');

sub severity
{
	my ($node, $check) = @_;
	return $node->safe_psql('postgres',
		"SELECT coalesce(max(severity), 'OK') FROM opsrunbook.findings(ARRAY['$check'])");
}

sub finding
{
	my ($node, $check, $column) = @_;
	return $node->safe_psql('postgres', "SELECT $column FROM opsrunbook.findings(ARRAY['$check']) LIMIT 1");
}

sub settles
{
	my ($node, $check, $expected, $name) = @_;
	ok( wait_for(
			$node, "SELECT coalesce(max(severity), 'OK') FROM opsrunbook.findings(ARRAY['$check'])", $expected),
		$name);
}

sub threshold
{
	my ($metric, $warning, $critical) = @_;
	$primary->safe_psql('postgres',
		"UPDATE performance.alert_thresholds SET warning_threshold = $warning, critical_threshold = $critical WHERE metric_name = '$metric' AND object = ''"
	);
}

# Everything that can be called without arguments, and every view, by the names that the extension owns.
my $members = "SELECT d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass WHERE e.extname = 'opsrunbook' AND d.deptype = 'e'";
my @functions = split /\n/, $standby->safe_psql('postgres',
	"SELECT p.oid::regproc FROM pg_proc p WHERE p.oid IN ($members AND d.classid = 'pg_proc'::regclass) AND p.prokind = 'f' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND p.pronargs = p.pronargdefaults ORDER BY 1"
);
my @views = split /\n/, $standby->safe_psql('postgres',
	"SELECT c.oid::regclass FROM pg_class c WHERE c.oid IN ($members AND d.classid = 'pg_class'::regclass) AND c.relkind = 'v' ORDER BY 1"
);
cmp_ok(scalar @functions, '>', 5, 'the extension has functions to try on a standby');

for my $function (@functions)
{
	my ($status, $output, $error) =
	  $standby->psql('postgres', "\\set VERBOSITY verbose\nSELECT * FROM $function()");
	ok($status == 0 || ($error =~ /ERROR:\s+(25006|55000):/ && $error =~ /HINT:/),
		"$function() on a standby answers, or refuses with a hint")
	  or diag($error);
}
for my $view (@views)
{
	my ($status, $output, $error) = $standby->psql('postgres', "SELECT * FROM $view");
	is($status, 0, "view $view on a standby") or diag($error);
}
for my $function (
	qw(calculate_database_health_score detect_performance_bottlenecks generate_performance_report
	check_system_health performance.dashboard performance.check_alerts opsrunbook.findings
	backup_recovery.health_check))
{
	my ($status) = $standby->psql('postgres', "SELECT * FROM $function()");
	is($status, 0, "$function() reads, so it works on a standby");
}
is( $standby->safe_psql('postgres',
		"SELECT string_agg(message, '; ') FROM opsrunbook.findings() WHERE severity = 'UNKNOWN' AND category IN ('replication', 'wal', 'integrity', 'configuration')"),
	'', 'everything about the server can be measured on a standby');
fails_with($standby, "UPDATE performance.alert_thresholds SET warning_threshold = 1", '25006',
	'thresholds cannot be written on a standby');

# A healthy pair
for my $check (qw(replication_lag replication_delay synchronous_standbys replication_slots inactive_slots))
{
	settles($primary, $check, 'OK', "$check: a healthy primary");  # replication_lag: near miss, replication_delay: near miss
}
settles($standby, 'standby_replay', 'OK', 'standby_replay: near miss: a healthy standby');

# A pg_monitor member sees the same
$primary->safe_psql('postgres', 'CREATE ROLE monitoring LOGIN; GRANT pg_monitor TO monitoring');
$primary->wait_for_catchup($standby, 'replay');
for my $node ($primary, $standby)
{
	is( $node->safe_psql('postgres',
			"SELECT string_agg(check_id, ',' ORDER BY check_id) FROM opsrunbook.findings() WHERE severity = 'UNKNOWN' AND category IN ('replication', 'wal', 'integrity', 'configuration')",
			extra_params => [ '-U', 'monitoring' ]),
		'configuration_file_errors,hba_errors',
		'a pg_monitor member misses only the files that are the superuser\'s, on ' . $node->name);
}

# Synchronous standbys.  Nothing here may wait for the standby that is not there.
$ENV{PGOPTIONS} = '-c synchronous_commit=local';
my $application = $standby->name;
$primary->safe_psql('postgres',
	"ALTER SYSTEM SET synchronous_standby_names = '$application'; SELECT pg_reload_conf()");
settles($primary, 'synchronous_standbys', 'OK', 'synchronous_standbys: near miss: the named standby streams');
$primary->safe_psql('postgres',
	"ALTER SYSTEM SET synchronous_standby_names = 'FIRST 2 ($application, absent)'; SELECT pg_reload_conf()");
settles($primary, 'synchronous_standbys', 'CRITICAL', 'synchronous_standbys: fires: one of two required is missing');
my $overall = $primary->safe_psql('postgres',
	"SELECT score FROM calculate_database_health_score() WHERE component = 'overall'");
cmp_ok($overall, '<=', 30, 'hanging commits cap the score');
$primary->safe_psql('postgres', finding($primary, 'synchronous_standbys', 'fix'));
settles($primary, 'synchronous_standbys', 'OK', 'synchronous_standbys: clears: its fix asks for those that are there');
like($primary->safe_psql('postgres', 'SHOW synchronous_standby_names'), qr/^FIRST 1 \(/, 'redundancy is kept');
$primary->safe_psql('postgres',
	"ALTER SYSTEM SET synchronous_standby_names = 'absent'; SELECT pg_reload_conf()");
settles($primary, 'synchronous_standbys', 'CRITICAL', 'synchronous_standbys: the only one is missing');
$primary->safe_psql('postgres', finding($primary, 'synchronous_standbys', 'fix'));
settles($primary, 'synchronous_standbys', 'OK', 'synchronous_standbys: its fix lets commits go on');
$primary->safe_psql('postgres', "ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()");
delete $ENV{PGOPTIONS};

# Lag, and replay paused
threshold('replication_lag_mb', 1, 10000);
threshold('replication_delay_seconds', 0, 10000);
$primary->wait_for_catchup($standby, 'replay');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
ok(wait_for($standby, "SELECT pg_get_wal_replay_pause_state() = 'paused'"), 'replay is paused');
$primary->safe_psql('postgres', "CREATE TABLE much AS SELECT g, repeat('x', 500) FROM generate_series(1, 10000) g");
settles($primary, 'replication_lag', 'WARNING', 'replication_lag: fires: more WAL behind than the threshold');
settles($primary, 'replication_delay', 'WARNING', 'replication_delay: fires: later than the threshold');
settles($standby, 'standby_replay', 'WARNING', 'standby_replay: fires: paused');
is( $standby->safe_psql('postgres',
		"SELECT fix FROM opsrunbook.findings(ARRAY['standby_replay']) WHERE message LIKE 'replay is paused%'"),
	'SELECT pg_wal_replay_resume();',
	'standby_replay names its remedy');
$standby->safe_psql('postgres', finding($standby, 'standby_replay', 'fix'));
settles($standby, 'standby_replay', 'OK', 'standby_replay: clears: clear after its fix');
settles($primary, 'replication_lag', 'OK', 'replication_lag: clears: clear after catching up');
threshold('replication_delay_seconds', 5, 30);
settles($primary, 'replication_delay', 'OK', 'replication_delay: clears: clear');

# Slots: one that nobody reads, without a limit
sub write_segments
{
	my ($count) = @_;
	$primary->safe_psql('postgres',
		"SELECT pg_logical_emit_message(false, 'test', 'x')" . ("; SELECT pg_switch_wal(); SELECT pg_logical_emit_message(false, 'test', 'x')" x $count));
	$primary->wait_for_catchup($standby, 'replay'); # before a checkpoint removes what it needs
}
$primary->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('forgotten', true)");
is(severity($primary, 'replication_slots'), 'OK', 'replication_slots: near miss: a slot that keeps little');
my $known_since = $primary->safe_psql('postgres', "SELECT current_setting('server_version_num')::int >= 170000") eq 't';
if (!$known_since)
{
	is(severity($primary, 'inactive_slots'), 'UNKNOWN', 'inactive_slots: before 17 the server does not say since when');
}
$primary->safe_psql('postgres', 'SELECT * FROM opsrunbook.observe_alerts()');
is(severity($primary, 'inactive_slots'), 'OK', 'inactive_slots: near miss: unread for a moment');
write_segments(4);
settles($primary, 'replication_slots', 'WARNING', 'replication_slots: fires: keeps more than max_wal_size, nobody reads');
$primary->safe_psql('postgres',
	"UPDATE performance.alert_thresholds SET warning_threshold = 0 WHERE metric_name = 'slot_inactive_minutes' AND object = ''");
settles($primary, 'inactive_slots', 'WARNING', 'inactive_slots: fires: unread for longer than the threshold');
if (!$known_since)
{
	$primary->safe_psql('postgres', "SELECT pg_replication_slot_advance('forgotten', pg_current_wal_lsn())");
	is(severity($primary, 'inactive_slots'), 'UNKNOWN', 'inactive_slots: it was read meanwhile, since when is open again');
	write_segments(4);
}
$primary->safe_psql('postgres', finding($primary, 'replication_slots', 'fix'));
settles($primary, 'replication_slots', 'OK', 'replication_slots: clears: after its fix');
settles($primary, 'inactive_slots', 'OK', 'inactive_slots: clears: clear');

# … and with a limit, beyond it; checkpoints come only when asked for
$primary->safe_psql('postgres', "ALTER SYSTEM SET max_slot_wal_keep_size = '32MB'; ALTER SYSTEM SET max_wal_size = '1GB'; SELECT pg_reload_conf()");
ok(wait_for($primary, "SELECT current_setting('max_slot_wal_keep_size') = '32MB'"), 'a limit for slots');
$primary->safe_psql('postgres', "CHECKPOINT; SELECT pg_create_physical_replication_slot('limited', true)");
write_segments(1);
is(severity($primary, 'replication_slots'), 'OK', 'replication_slots: within the limit');
write_segments(4);
is($primary->safe_psql('postgres', "SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'limited'"),
	'unreserved', 'the slot is beyond the limit');
is(severity($primary, 'replication_slots'), 'WARNING', 'replication_slots: about to be lost');
$primary->safe_psql('postgres', 'CHECKPOINT');
settles($primary, 'replication_slots', 'CRITICAL', 'replication_slots: lost');
like(finding($primary, 'replication_slots', 'message'), qr/limited is lost/, 'the lost slot is named');
$primary->safe_psql('postgres', finding($primary, 'replication_slots', 'fix'));
settles($primary, 'replication_slots', 'OK', 'replication_slots: clear after its fix');

# What the primary works on is at work, seen from a standby that lists none of its processes
$primary->safe_psql('postgres', 'UPDATE much SET g = g + 1');
my $holder = $primary->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE much IN SHARE UPDATE EXCLUSIVE MODE; SELECT 1');
my $caller = $primary->background_psql('postgres');
$caller->query_until(qr/started/, "\\echo started\nSET opsrunbook.lock_timeout = '10min'; SELECT * FROM run_automated_maintenance();\n");
my $status = q{SELECT status FROM opsrunbook.tasks WHERE object_name = 'public.much' ORDER BY task_id DESC LIMIT 1};
ok(wait_for($primary, "SELECT ($status) = 'running'"), 'a task is running');
ok(wait_for($standby, "SELECT ($status) = 'running'"), 'and running on the standby');
$_->quit for $holder, $caller;

# A declared standby that goes away
$primary->safe_psql('postgres', "SELECT opsrunbook.declare_standby('$application'), opsrunbook.declare_standby('behind_another')");
$primary->safe_psql('postgres', 'SELECT * FROM opsrunbook.observe_alerts()');
is(severity($primary, 'missing_standby'), 'OK', 'missing_standby: near miss: one streams, and one never did from here');
$standby->stop;
settles($primary, 'missing_standby', 'WARNING', 'missing_standby: fires: it is stopped');
is(finding($primary, 'missing_standby', 'object'), $application, 'missing_standby names it');
$standby->start;
settles($primary, 'missing_standby', 'OK', 'missing_standby: clears: started again');
$standby->stop;
settles($primary, 'missing_standby', 'WARNING', 'missing_standby: stopped again');
my ($forget) = finding($primary, 'missing_standby', 'fix') =~ /(SELECT .*)$/;
$primary->safe_psql('postgres', $forget);
is(severity($primary, 'missing_standby'), 'OK', 'missing_standby: forgotten as told');
$standby->start;
$primary->wait_for_catchup($standby, 'replay');

# The primary goes away
$primary->stop;
settles($standby, 'standby_replay', 'CRITICAL', 'standby_replay: no WAL receiver');
$primary->start;
settles($standby, 'standby_replay', 'OK', 'standby_replay: connected again');

# … and the standby takes over, with what the primary had written about it
$primary->safe_psql('postgres', "SELECT opsrunbook.declare_standby('$application')");
$primary->safe_psql('postgres', 'SELECT * FROM opsrunbook.observe_alerts()');
is($primary->safe_psql('postgres', 'SELECT string_agg(name, $$, $$) FROM opsrunbook.streaming_standby'), $application, 'it streams from here');
$primary->wait_for_catchup($standby, 'replay');
$primary->stop;
$standby->promote;
is($standby->safe_psql('postgres', 'SELECT message FROM opsrunbook.findings($${missing_standby}$$, true)'),
	'no declared standby has streamed from here', 'missing_standby: near miss: once promoted it does not miss itself');

$standby->stop;
done_testing();
