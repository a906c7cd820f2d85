# Every function and view of the extension, by the catalog, so that a new one cannot be forgotten: those that read
# answer while a table is locked, give a member of pg_monitor the same verdicts as a superuser, and work on a standby;
# all refuse a role without rights with a hint; those that act refuse a standby.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('readers', allows_streaming => 1, 'opsrunbook.lock_timeout' => '100ms', log_statement => 'none');

sub one { my ($query) = @_; return $node->safe_psql('postgres', $query) }

# How to call what needs arguments, or what would do harm with its defaults.
my %call = (
	'performance.kill_long_queries' => '(100000)',
	'performance.reset_idle_connections' => '(100000)',
	'opsrunbook.measure_bloat' => q{('held')},
	'opsrunbook.next_runs' => q{('@daily')},
	'opsrunbook.verify_table' => q{('free')},
	'opsrunbook.still_at_work' => q{('task', 1, 1, 1, now())},
	'opsrunbook.decode_url' => q{('a%20b')},
	'opsrunbook.reason_against' => q{('free'::regclass, 'free'::regclass, NULL, NULL, 'postgres', NULL)},
	'opsrunbook.add_check' => q{('mine', 'SELECT 1', 2, 3)},
	'opsrunbook.add_orphan_rule' => q{('mine', 'free', 'v', 'free', 'v')},
	'opsrunbook.cancel_task' => '(1)',
	'opsrunbook.declare_standby' => q{('s')},
	'opsrunbook.forget_standby' => q{('s')},
	'opsrunbook.disable_job' => q{('j')},
	'opsrunbook.enable_job' => q{('j')},
	'opsrunbook.drop_retention' => q{('free')},
	'opsrunbook.drop_trial_index' => q{('free_pkey')},
	'opsrunbook.end_index_trial' => q{('free_pkey')},
	'opsrunbook.start_index_trial' => q{('free_pkey')},
	'opsrunbook.enter_maintenance_mode' => q{('a test')},
	'opsrunbook.import_index_usage' => q{('s', '{}')},
	'opsrunbook.mute_alert' => q{('dead_tuples', reason => 'a test')},
	'opsrunbook.unmute_alert' => q{('dead_tuples')},
	'opsrunbook.remove_check' => q{('mine')},
	'opsrunbook.remove_orphan_rule' => q{('mine')},
	'opsrunbook.run_job_now' => q{('j')},
	'opsrunbook.run_once' => q{('j', 'SELECT 1')},
	'opsrunbook.schedule' => q{('j', '@daily', 'SELECT 1')},
	'opsrunbook.unschedule' => q{('j')},
	'opsrunbook.set_retention' => q{('free', 'at', '1 day')},
	'public.cleanup_maintenance_history' => '(30)',
	'public.cleanup_old_user_events' => '(30)',
);
# What changes something.  Everything else reads.
my %acts = map { $_ => 1 } qw(
  opsrunbook.add_check opsrunbook.add_orphan_rule opsrunbook.apply_retention opsrunbook.cancel_task
  opsrunbook.declare_standby opsrunbook.disable_default_schedule opsrunbook.disable_job opsrunbook.drop_retention
  opsrunbook.drop_trial_index opsrunbook.enable_default_schedule opsrunbook.enable_job opsrunbook.end_index_trial
  opsrunbook.enter_maintenance_mode opsrunbook.exit_maintenance_mode opsrunbook.forget_standby
  opsrunbook.import_index_usage opsrunbook.mute_alert opsrunbook.observe_alerts opsrunbook.record_storage_sizes
  opsrunbook.remove_check opsrunbook.remove_orphan_rule opsrunbook.run_job_now opsrunbook.run_maintenance
  opsrunbook.run_once opsrunbook.run_orphan_cleanup opsrunbook.run_retention opsrunbook.schedule opsrunbook.set_retention
  opsrunbook.start_index_trial opsrunbook.unmute_alert opsrunbook.unschedule opsrunbook.verify_table backup_recovery.perform_maintenance
  public.auto_schedule_maintenance public.cleanup_maintenance_history public.cleanup_old_user_events
  public.cleanup_orphaned_images public.optimize_database public.perform_routine_maintenance
  public.run_automated_maintenance public.update_index_usage public.update_table_statistics);
# For everybody: they tell nothing of the database, or what only who reads the views' rows can ask for.
my %for_all = map { $_ => 1 } qw(opsrunbook.decode_url opsrunbook.next_runs opsrunbook.list_checks opsrunbook.reason_against opsrunbook.still_at_work);

one(q{CREATE TABLE held (id int PRIMARY KEY, v text);
	INSERT INTO held SELECT g, repeat('x', 200) FROM generate_series(1, 20000) g;
	CREATE TABLE free (id int PRIMARY KEY, v text, at timestamptz DEFAULT now());
	INSERT INTO free SELECT g, repeat('x', 200) FROM generate_series(1, 20000) g;
	UPDATE free SET v = v || 'y' WHERE id % 2 = 0;
	CREATE INDEX free_v ON free (v); CREATE INDEX free_v_again ON free (v);
	CREATE UNLOGGED TABLE fleeting (id int);
	INSERT INTO fleeting SELECT generate_series(1, 1000);
	CREATE EXTENSION pg_stat_statements; CREATE EXTENSION amcheck;
	CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher;
	CREATE ROLE nobody_special LOGIN;
	SELECT pg_stat_force_next_flush()});

my %functions = map { split /\|/ } split /\n/, one(q{SELECT DISTINCT ON (1) n.nspname || '.' || p.proname, p.prokind
	FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'opsrunbook'
	WHERE p.prorettype <> 'trigger'::regtype});
my @views = split /\n/, one(q{SELECT c.oid::regclass FROM pg_class c
	JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
	JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'opsrunbook' WHERE c.relkind = 'v' ORDER BY 1});
cmp_ok(scalar keys %functions, '>', 60, 'the catalog lists the functions');
cmp_ok(scalar @views, '>', 8, 'and the views');
is(join(' ', grep { !$functions{$_} } sort(keys %acts, keys %call)), '', 'no function is named here that does not exist');

sub statement
{
	my ($function) = @_;
	my $call = $function . ($call{$function} // '()');
	return $functions{$function} eq 'p' ? "CALL $call" : "SELECT * FROM $call";
}
my @readers = grep { !$acts{$_} } sort keys %functions;
my @reads = ((map { statement($_) } @readers), (map { "SELECT * FROM $_" } @views));

# ---- a locked table --------------------------------------------------------------------------------------------

my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE; SELECT 1');
my $waiter = $node->background_psql('postgres', on_error_stop => 0);
$waiter->query_until(qr/waits/, "\\echo waits\nSELECT count(*) FROM held;\n");
ok(wait_for($node, "SELECT count(*) = 1 FROM pg_locks WHERE relation = 'held'::regclass AND NOT granted"), 'a table is locked, and somebody waits');
for my $read (@reads)
{
	my ($status, $output, $error) = $node->psql('postgres', "SET lock_timeout = '50ms'; SET statement_timeout = '60s'; $read");
	is($error, '', "does not wait for the lock: $read");
}
like(one(q{SELECT m::text FROM opsrunbook.measure_bloat('held') m}), qr/lock/, 'the bloat of a locked table says why it is not known');
like(one(q{SELECT t::text FROM performance.table_bloat_analysis t WHERE tablename = 'held'}),
	qr/withheld.*lock/, 'the view says so, too');
$holder->query_safe('ROLLBACK');
$holder->quit;
$waiter->quit;

# ---- who may look ----------------------------------------------------------------------------------------------

# Which columns are the verdict.
my %verdict = (
	'opsrunbook.findings' => [ 'check_id, object', 'severity' ],
	'public.calculate_database_health_score' => [ 'component', 'status' ],
	'performance.check_alerts' => [ 'metric, object_name', 'alert_level' ],
	'public.detect_performance_bottlenecks' => [ 'bottleneck, object_name', 'severity' ],
	'public.check_system_health' => [ 'health_check', 'alert_level' ],
	'backup_recovery.health_check' => [ 'check_name', 'status' ],
	'public.get_unused_indexes' => [ 'indexname', 'droppable' ],
	'public.analyze_index_efficiency' => [ 'indexname', 'verdict' ],
);
my $forgotten = $node->background_psql('postgres');
$forgotten->query_safe("SET application_name = 'forgotten'; BEGIN; SELECT count(*) FROM free");
ok(wait_for($node, "SELECT state_change < now() - interval '2 seconds' FROM pg_stat_activity WHERE application_name = 'forgotten' AND state = 'idle in transaction'"),
	'a session is idle in a transaction');
one("UPDATE performance.alert_thresholds SET warning_threshold = 1.0 / 60 WHERE metric_name = 'idle_in_transaction_minutes'");
$node->psql('postgres', 'CREATE UNIQUE INDEX CONCURRENTLY never_valid ON free ((id % 10))');
for my $planted (qw(invalid_indexes idle_in_transaction unlogged_tables duplicate_indexes))
{
	like(
		$node->safe_psql('postgres', "SELECT string_agg(severity, ' ') FROM opsrunbook.findings('{$planted}')", extra_params => [ '-U', 'watcher' ]),
		qr/WARNING|CRITICAL/, "a pg_monitor member is told of $planted");
}
for my $function (sort keys %verdict)
{
	my ($object, $status) = @{ $verdict{$function} };
	my $call = $function eq 'opsrunbook.findings' ? "$function(NULL, true)" : "$function()";
	my $query = "SELECT concat_ws(' ', $object) AS what, $status AS verdict FROM $call ORDER BY 1, 2";
	my $super = $node->safe_psql('postgres', $query);
	my $watcher = $node->safe_psql('postgres', $query, extra_params => [ '-U', 'watcher' ]);
	isnt($super, '', "$function has verdicts") unless $function eq 'performance.check_alerts';
	# What a watcher cannot measure may be UNKNOWN; no row may be missing, and none may differ otherwise.
	my $differs = sub {
		my ($from, $in) = @_;
		my %of = map { $_ => 1 } split /\n/, $in;
		my %unknown = map { /^(.*)\|UNKNOWN$/ ? ($1 => 1) : () } split /\n/, $watcher;
		return join ', ', grep { !$of{$_} && !/\|UNKNOWN$/ && !$unknown{ s/\|[^|]*$//r } } split /\n/, $from;
	};
	is($differs->($watcher, $super), '', "$function: a pg_monitor member has no verdict of its own");
	is($differs->($super, $watcher), '', "$function: a pg_monitor member misses none");
}
like(
	$node->safe_psql('postgres', "SELECT string_agg(coalesce(nullif(message, ''), '?'), ' ') FROM opsrunbook.findings(NULL, true) WHERE severity = 'UNKNOWN'",
		extra_params => [ '-U', 'watcher' ]),
	qr/privilege|pg_read|superuser|permission|^$/, 'what stays unknown names the missing privilege');
for my $function (grep { !$for_all{$_} } sort keys %functions)
{
	next if $functions{$function} eq 'p';
	my ($status, $output, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\n" . statement($function), extra_params => [ '-U', 'nobody_special' ]);
	like($error, qr/ERROR:  42501:.*^HINT:/ms, "$function refuses a role without rights, with a hint");
}
for my $view (@views)
{
	my ($status, $output, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT * FROM $view", extra_params => [ '-U', 'nobody_special' ]);
	# Who meets maintenance mode may know why.
	next if $view eq 'opsrunbook.checks' || $view eq 'opsrunbook.maintenance_mode';
	like($error, qr/ERROR:  42501:/, "$view refuses a role without rights");
}

$forgotten->quit;

# ---- a standby -------------------------------------------------------------------------------------------------

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('readers_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
for my $read (@reads)
{
	my ($status, $output, $error) = $standby->psql('postgres', $read);
	is($error, '', "works on a standby: $read");
}
for my $function (sort keys %acts)
{
	my ($status, $output, $error) = $standby->psql('postgres', "\\set VERBOSITY verbose\n" . statement($function));
	like($error, qr/ERROR:  (?:25006|55000):/, "refuses a standby: $function");
}

$standby->stop;
$node->stop;
done_testing();
