# ALTER EXTENSION UPDATE, DROP EXTENSION and DROP DATABASE in the middle of a busy schedule, with a job at work for long:
# none waits for the job, none fails, and the schedule goes on.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Two pretended versions, one with a column, a table and a function more, and the ways there and back.
my ($install_path, $extensions) = private_installation();
my ($version) = slurp_file("$extensions/opsrunbook.control") =~ /default_version = '(.*?)'/;
my $lock = 'LOCK TABLE opsrunbook.job, opsrunbook.job_run IN ACCESS EXCLUSIVE MODE;';
append_to_file("$extensions/opsrunbook--$version--pretended.sql", <<SQL);
$lock
ALTER TABLE opsrunbook.job_run ADD COLUMN pretended text DEFAULT 'new';
ALTER TABLE opsrunbook.job ADD COLUMN pretended text;
CREATE TABLE opsrunbook.pretended (id bigint);
CREATE FUNCTION opsrunbook.pretended() RETURNS integer LANGUAGE sql AS 'SELECT 1';
SQL
append_to_file("$extensions/opsrunbook--pretended--$version.sql", <<SQL);
$lock
ALTER TABLE opsrunbook.job_run DROP COLUMN pretended;
ALTER TABLE opsrunbook.job DROP COLUMN pretended;
DROP TABLE opsrunbook.pretended;
DROP FUNCTION opsrunbook.pretended();
SQL

my $node = new_node(
	'update',
	install_path => $install_path,
	max_worker_processes => 24,
	'opsrunbook.max_running_jobs' => 8,
	'opsrunbook.scheduler_naptime' => '1s');
sub sql { my ($statement, $database) = @_; return $node->safe_psql($database // 'postgres', $statement) }

sub busy
{
	my ($database) = @_;
	sql('CREATE TABLE hits (job text, at timestamptz DEFAULT clock_timestamp())', $database);
	sql("SELECT opsrunbook.schedule('job ' || g, '1 second', format('INSERT INTO public.hits VALUES (%L)', g)) FROM generate_series(1, 5) g", $database);
	sql("SELECT opsrunbook.schedule('observation', '1 second', 'SELECT opsrunbook.observe_alerts()')", $database);
	sql("SELECT opsrunbook.run_once('long', 'SELECT pg_sleep(3600)')", $database);
	ok(wait_for($node, "SELECT count(*) = 1 FROM opsrunbook.job_runs WHERE job_name = 'long' AND status = 'running'", 't', $database), 'a long job is at work');
	ok(wait_for($node, "SELECT count(DISTINCT job) = 5 FROM hits", 't', $database), 'and short ones come and go');
}

busy('postgres');
is(sql("SELECT extversion FROM pg_extension WHERE extname = 'opsrunbook'"), $version, 'the version that is installed');
for my $round (1 .. 10)
{
	sql("ALTER EXTENSION opsrunbook UPDATE TO 'pretended'");
	sql("ALTER EXTENSION opsrunbook UPDATE TO '$version'") if $round < 10;
}
is(sql("SELECT extversion, opsrunbook.pretended() FROM pg_extension WHERE extname = 'opsrunbook'"), 'pretended|1', 'ALTER EXTENSION UPDATE works while jobs run, again and again');
my $updated = sql('SELECT clock_timestamp()');
ok(wait_for($node, "SELECT count(DISTINCT job) = 5 FROM hits WHERE at > '$updated'"), 'every job runs on with the new version');
ok(wait_for($node, "SELECT count(*) > 0 FROM opsrunbook.job_run WHERE pretended = 'new' AND status = 'completed' AND launched_at > '$updated'"), 'and is recorded in its tables');
is(sql("SELECT count(*) FROM opsrunbook.job_runs WHERE job_name = 'long' AND status = 'running'"), '1', 'the long job is still at work');
is(sql("SELECT count(*) FROM opsrunbook.job_run WHERE status = 'failed' AND job_name LIKE 'job %'"), '0', 'no run has failed of it');

sql('DROP EXTENSION opsrunbook');
is(sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'opsrunbook'"), '0', 'DROP EXTENSION does not wait for the long job');
sql('CREATE EXTENSION opsrunbook; DROP TABLE hits');
busy('postgres');

sql('CREATE DATABASE leaving');
sql('CREATE EXTENSION opsrunbook', 'leaving');
busy('leaving');
fails_with($node, 'DROP DATABASE leaving', '55006', 'a database where a job is at work is in use, as with any session');
sql("SELECT pg_terminate_backend(worker_pid) FROM opsrunbook.job_runs WHERE job_name = 'long' AND status = 'running'", 'leaving');
sql("SELECT opsrunbook.unschedule('observation')", 'leaving');
drop_database($node, 'leaving');
pass('DROP DATABASE works while turns and short jobs come and go');
sql('CREATE DATABASE leaving');
sql('CREATE EXTENSION opsrunbook', 'leaving');
busy('leaving');
sql('DROP DATABASE leaving WITH (FORCE)');
pass('WITH (FORCE) ends the long job');
my $dropped = sql('SELECT clock_timestamp()');
ok(wait_for($node, "SELECT count(DISTINCT job) = 5 FROM hits WHERE at > '$dropped'"), 'the other database goes on');

$node->stop('immediate');
done_testing();
