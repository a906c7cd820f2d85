# Tables are verified with amcheck: in order, damaged in an index, damaged themselves, locked, and by whom.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('verify');

sub one { return $node->safe_psql('postgres', $_[0]) }

# The lines that CALL opsrunbook.run_maintenance() says of verification; $_[0]: statements before it.
sub verified_by_call
{
	my (undef, undef, $notices) = $node->psql('postgres', ($_[0] // '') . 'CALL opsrunbook.run_maintenance()');
	return join "\n", grep { /verify_table/ } split /\n/, $notices;
}

sub verdict { return one("SELECT coalesce(max(severity), 'OK') FROM opsrunbook.findings(ARRAY['$_[0]'])") }

# Without amcheck
one('CREATE TABLE plain (id int PRIMARY KEY, v text); INSERT INTO plain SELECT g, g FROM generate_series(1, 1000) g');
my $error = fails_with($node, "SELECT * FROM opsrunbook.verify_table('plain')", '55000', 'verification takes amcheck');
like($error, qr/HINT:\s+CREATE EXTENSION amcheck;/, 'the hint says what to do');
is(verified_by_call(), '', 'a run does without');

one("CREATE EXTENSION amcheck VERSION '1.2'");
$error = fails_with($node, "SELECT * FROM opsrunbook.verify_table('plain')", '55000', 'and a new one');
like($error, qr/HINT:\s+ALTER EXTENSION amcheck UPDATE;/, 'the hint says so');
is(verified_by_call(), '', 'a run does without an old one');
one('DROP EXTENSION amcheck');

# In order
one('CREATE SCHEMA "Check It"; CREATE EXTENSION amcheck SCHEMA "Check It"');
is( one("SELECT * FROM opsrunbook.verify_table('plain')"),
	"public.plain|completed|every row can be read\npublic.plain_pkey|completed|in order, and has every row",
	'a table and its index are in order');
is(verdict('verification_failed'), 'OK', 'verification_failed: near miss: verified, and in order');
is(one("SELECT relation_name, damage IS NULL FROM opsrunbook.verifications"), 'public.plain|t', 'the outcome is remembered');
fails_with($node, "SELECT * FROM opsrunbook.verify_table('plain_pkey')", '22023', 'an index is verified with its table');

# Who may
one('CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher');
$error = fails_with($node, "SELECT * FROM opsrunbook.verify_table('plain')", '42501', 'a monitor may not verify', role => 'watcher');
my ($grants) = $error =~ /HINT:\s+(GRANT USAGE.*)/;
one($grants);
like(
	$node->safe_psql('postgres', "SELECT * FROM opsrunbook.verify_table('plain')", extra_params => [ '-U', 'watcher' ]),
	qr/^public\.plain\|completed/, 'the hint says what to grant');

# When
one('CREATE TABLE later (id int PRIMARY KEY); INSERT INTO later VALUES (1)');
is( one("SELECT count(*) FROM run_automated_maintenance() WHERE task_name = 'verify'"),
	0, 'a SELECT that somebody waits for does not verify');
like(verified_by_call(), qr/verify_table\('public\.later'\): completed: 2 relations verified: the table and its btree indexes/, 'a CALL does');
is(verified_by_call(), '', 'once within the interval');
one("UPDATE opsrunbook.verified SET verified_at = now() - interval '8 days' WHERE relation = 'plain'::regclass");
is( one("SELECT kind, object_name, reason FROM opsrunbook.plan_maintenance()") =~ /^verify\|public\.plain\|last verified 8 d/m,
	1, 'it is due again after the interval');
like(verified_by_call(), qr/\A[^\n]*verify_table\('public\.plain'\): completed[^\n]*\z/, 'and is verified alone');
one("UPDATE opsrunbook.verified SET verified_at = now() - interval '8 days' WHERE relation = 'plain'::regclass");
is(verified_by_call('SET opsrunbook.verify_interval_days = 0; '), '', 'an interval of 0 verifies nothing');
is(verdict('amcheck_age'), 'OK', 'amcheck_age: near miss: 8 days ago');
one("UPDATE opsrunbook.verified SET verified_at = now() - interval '15 days' WHERE relation = 'plain'::regclass");
is(verdict('amcheck_age'), 'WARNING', 'amcheck_age: fires: a table is not verified any more');
one(one("SELECT fix FROM opsrunbook.findings(ARRAY['amcheck_age'])"));
is(verdict('amcheck_age'), 'OK', 'amcheck_age: clears: after its fix');

# A damaged index: its operator class sorts otherwise than when it was built, as a new collation library does.
one(q{CREATE FUNCTION fickle(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.btint4cmp($1, $2)';
	CREATE OPERATOR CLASS fickle_ops FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,
		OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 fickle(int, int);
	CREATE TABLE "Out of Order" (id int); INSERT INTO "Out of Order" SELECT generate_series(1, 1000);
	CREATE INDEX "Fickle" ON "Out of Order" (id fickle_ops);
	CREATE OR REPLACE FUNCTION fickle(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.btint4cmp($2, $1)'});
my (undef, undef, $said) = $node->psql('postgres', 'CALL opsrunbook.run_maintenance()');
like($said, qr/ERROR:  1 of \d+ maintenance tasks failed.*"Fickle": item order invariant violated/s,
	'a run that finds damage fails');
is(one("SELECT sqlstate FROM opsrunbook.tasks WHERE kind = 'verify' AND status = 'failed'"), 'XX002', 'its task says so');
is(verdict('verification_failed'), 'CRITICAL', 'verification_failed: fires: an index is out of order');
is( one('SELECT count(*) FROM calculate_database_health_score() WHERE component = $$overall$$ AND score <= 40'),
	1, 'and caps the score');
is( one("SELECT object, fix FROM opsrunbook.findings(ARRAY['verification_failed'])"),
	q{public."Out of Order"|REINDEX TABLE CONCURRENTLY public."Out of Order"; SELECT * FROM opsrunbook.verify_table('public."Out of Order"');},
	'the fix rebuilds its indexes');
like(verified_by_call(), qr/Out of Order.*failed/, 'what is damaged is verified in each run');
one($_) for split /(?<=;) /, one("SELECT fix FROM opsrunbook.findings(ARRAY['verification_failed'])");
is(verdict('verification_failed'), 'OK', 'verification_failed: clears: after its fix');

# A damaged table: a line pointer that leads nowhere.
one(q{CREATE TABLE lost (id int); INSERT INTO lost SELECT generate_series(1, 100); CHECKPOINT});
my $file = $node->data_dir . '/' . one("SELECT pg_relation_filepath('lost')");

# Writes four bytes into the third line pointer of the table's first page; what stood there.
sub write_line_pointer
{
	my ($bytes) = @_;
	$node->stop;
	open my $handle, '+<:raw', $file or die "$file: $!";
	sysseek $handle, 24 + 2 * 4, 0;
	sysread $handle, my $before, 4;
	sysseek $handle, 24 + 2 * 4, 0;
	syswrite $handle, $bytes;
	close $handle or die "$file: $!";
	$node->start;
	return $before;
}
my $redirected_beyond_the_end = pack('L', 2000 | 2 << 15);
my $whole = write_line_pointer($redirected_beyond_the_end);
like(
	one("SELECT object, status, message FROM opsrunbook.verify_table('lost')"),
	# With page checksums, which 18 has by default, the page is not even read.
	qr/^public\.lost\|failed\|(1 place damaged: block 0, item 3: .*2000|invalid page in block 0)/,
	'a damaged table is found');
is(one("SELECT severity, object FROM opsrunbook.findings(ARRAY['verification_failed'])"), 'CRITICAL|public.lost', 'it is a finding');
like(one("SELECT fix FROM opsrunbook.findings(ARRAY['verification_failed'])"), qr/^-- .*restore the table/, 'that no statement mends');
write_line_pointer($whole);
is(one("SELECT status FROM opsrunbook.verify_table('lost')"), 'completed', 'restored, it is in order');
is(verdict('verification_failed'), 'OK', 'and no finding any more');

# A locked table is not verified, and what is known of it stays.
my $before = one("SELECT verified_at FROM opsrunbook.verifications WHERE relation_name = 'public.lost'");
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE lost IN ACCESS EXCLUSIVE MODE; SELECT 1');
is( one("SET lock_timeout = '100ms'; SELECT status, message FROM opsrunbook.verify_table('lost')"),
	'skipped|canceling statement due to lock timeout', 'a locked table is skipped');
$holder->query_safe('COMMIT');
$holder->quit;
is(one("SELECT verified_at FROM opsrunbook.verifications WHERE relation_name = 'public.lost'"), $before, 'and nothing is remembered');

# A table that is gone is forgotten.
one('DROP TABLE lost');
verified_by_call();
is(one('SELECT count(*) FROM opsrunbook.verified v WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = v.relation)'), 0, 'a table that is gone is forgotten');

# A job of the type verification: all tables, the catalogs too, and damage makes it fail.
one("SELECT opsrunbook.schedule('all', '\@yearly', 'verification'), opsrunbook.run_job_now('all')");
my $runs = "SELECT status, sqlstate, message FROM opsrunbook.job_runs WHERE job_name = 'all' AND finished_at IS NOT NULL ORDER BY run_id DESC LIMIT 1";
ok(wait_for($node, $runs, 'completed||done'), 'a job verifies all');
is(one("SELECT count(*) FROM pg_class c WHERE relkind IN ('r', 'm') AND NOT EXISTS (SELECT FROM opsrunbook.verified v WHERE v.relation = c.oid AND v.damage IS NULL)"),
	0, 'each table, and none is damaged');
one(q{CREATE OR REPLACE FUNCTION fickle(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.btint4cmp($1, $2)'});
one("SELECT opsrunbook.run_job_now('all')");
ok(wait_for($node, $runs, 'failed|XX001|damaged relations: 1'), 'and fails when one is damaged');
is(verdict('verification_failed'), 'CRITICAL', 'which is remembered');

$node->stop;
done_testing();
