# A temporary table that a crash left behind is dropped; one whose session lives is not, whoever looks.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('orphans', preload => 0, restart_after_crash => 'on');

sub one { my ($query) = @_; return $node->safe_psql('postgres', $query) }

my $temporary = q{SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'};
my $planned = q{SELECT string_agg(regexp_replace(command, 'pg_temp_\d+', 'pg_temp_N'), ', ')
	FROM opsrunbook.plan_maintenance() WHERE kind = 'drop orphan'};

one('CREATE ROLE other LOGIN; GRANT pg_monitor TO other');
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe(q{CREATE TEMP TABLE "Left" AS SELECT g, repeat('x', 3000) AS v FROM generate_series(1, 1000) g});
is(one($temporary), 1, 'there is a temporary table');
is(one($planned), '', 'nothing is planned for it while its session lives');

my $backend = $session->query_safe('SELECT pg_backend_pid()');
kill 'KILL', $backend;
ok(wait_for($node, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $backend)"), 'the server is back');
$session->quit;
is(one($temporary), 1, 'the crash left the table');

# A session that lives, beside it.
my $living = $node->background_psql('postgres');
$living->query_safe('SELECT 1');
is(one($planned), 'DROP TABLE pg_temp_N."Left"', 'it is planned to be dropped');
like(
	$node->safe_psql('postgres', 'SELECT status FROM run_automated_maintenance()', extra_params => [ '-U', 'other' ]),
	qr/^skipped/, 'a role that does not own it does not drop it');
is(one($temporary), 1, 'it is still there');

# Somebody has the same number again, and a table of his own there: what stood in the queue is not his.
one('SELECT auto_schedule_maintenance()');
is(one("SELECT status, message FROM opsrunbook.tasks WHERE kind = 'drop orphan' AND status = 'pending' ORDER BY 1 LIMIT 1") =~ /^pending/,
	1, 'the task waits in the queue');
my @sessions = map { $node->background_psql('postgres') } 1 .. 8;
$_->query_safe('CREATE TEMP TABLE "Left" (mine int)') for @sessions;
my $living_tables = one($temporary);
one('SELECT count(*) FROM run_automated_maintenance()');
is(one($temporary), 8, "exactly the tables of the living sessions are left ($living_tables before)");
$_->query_safe('SELECT mine FROM "Left"') for @sessions;
pass('each still reads its own');
$_->quit for @sessions, $living;

is(one($planned), '', 'nothing is left to drop');
is(one("SELECT count(*) FROM opsrunbook.tasks WHERE kind = 'drop orphan' AND status IN ('pending', 'running', 'failed')"),
	0, 'no task is left over');

$node->stop;
done_testing();
