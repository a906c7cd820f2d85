# A logical subscription that runs, is switched off on purpose, and stops at a conflict; and damaged pages.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = new_node('publisher', allows_streaming => 'logical');
my $subscriber = new_node('subscriber', allows_streaming => 'logical');

sub settles
{
	my ($node, $check, $expected, $name) = @_;
	ok( wait_for(
			$node, "SELECT coalesce(max(severity), 'OK') FROM opsrunbook.findings(ARRAY['$check'])", $expected),
		$name);
}

$_->safe_psql('postgres', 'CREATE TABLE t (id integer PRIMARY KEY)') for ($publisher, $subscriber);
$publisher->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE t');
my $conninfo = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION \"My Sub\" CONNECTION '$conninfo' PUBLICATION p WITH (slot_name = my_sub, disable_on_error = true)");
settles($subscriber, 'subscriptions', 'OK', 'subscriptions: running');
$publisher->safe_psql('postgres', 'INSERT INTO t VALUES (1)');
ok(wait_for($subscriber, 'SELECT count(*) = 1 FROM t'), 'rows arrive');
settles($publisher, 'replication_slots', 'OK', 'replication_slots: a logical slot with its reader');

$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION "My Sub" DISABLE');
settles($subscriber, 'subscriptions', 'OK', 'subscriptions: near miss: switched off on purpose');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION "My Sub" ENABLE');
settles($subscriber, 'subscriptions', 'OK', 'subscriptions: running again');

$subscriber->safe_psql('postgres', 'INSERT INTO t VALUES (2)');
$publisher->safe_psql('postgres', 'INSERT INTO t VALUES (2)');
settles($subscriber, 'subscriptions', 'CRITICAL', 'subscriptions: fires: disabled at a conflict');
like(
	$subscriber->safe_psql('postgres', "SELECT message FROM opsrunbook.findings(ARRAY['subscriptions'])"),
	qr/subscription "My Sub" is disabled after 1 error/, 'the subscription is named');
$subscriber->safe_psql('postgres', 'DELETE FROM t WHERE id = 2');
my $fix = $subscriber->safe_psql('postgres', "SELECT fix FROM opsrunbook.findings(ARRAY['subscriptions'])");
$subscriber->safe_psql('postgres', $fix);
ok(wait_for($subscriber, 'SELECT count(*) = 2 FROM t'), 'applied after the conflict is gone');
settles($subscriber, 'subscriptions', 'OK', 'subscriptions: clears: clear; the error it once had is history');

# A publisher that is gone: enabled, and nothing runs for long
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION "My Sub" SET (disable_on_error = false)');
settles($subscriber, 'subscriptions', 'OK', 'subscriptions: running, to be tried for ever');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION "My Sub" DISABLE');
settles($subscriber, 'subscriptions', 'OK',
	'subscriptions: near miss: switched off on purpose, whatever errors it had: no error switches this one off');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION "My Sub" ENABLE');
settles($subscriber, 'subscriptions', 'OK', 'subscriptions: running after the pause');
$publisher->stop('fast');
settles($subscriber, 'subscriptions', 'CRITICAL', 'subscriptions: enabled but not running');
$publisher->start;
settles($subscriber, 'subscriptions', 'OK', 'subscriptions: running once more');
$publisher->stop;

# Damage on disk
$subscriber->safe_psql('postgres',
	'CREATE TABLE damaged AS SELECT g FROM generate_series(1, 1000) g');
my $file = $subscriber->data_dir . '/' . $subscriber->safe_psql('postgres', "SELECT pg_relation_filepath('damaged')");
my $off = $subscriber->safe_psql('postgres', 'SHOW data_checksums') eq 'off';
$subscriber->stop;
command_ok([ 'pg_checksums', '--enable', '-D', $subscriber->data_dir ], 'checksums on') if $off;
$subscriber->start;
settles($subscriber, 'checksum_failures', 'OK', 'checksum_failures: near miss: none');
$subscriber->stop;
open my $handle, '+<:raw', $file or die "$file: $!";
seek $handle, 4000, 0;
print $handle "\xff" x 200;
close $handle;
$subscriber->start;
fails_with($subscriber, 'SELECT count(*) FROM damaged', 'XX001', 'a damaged page is noticed');
settles($subscriber, 'checksum_failures', 'CRITICAL', 'checksum_failures: fires: one is enough');
cmp_ok(
	$subscriber->safe_psql('postgres', "SELECT score FROM calculate_database_health_score() WHERE component = 'overall'"),
	'<=', 30, 'damage caps the score');
$subscriber->safe_psql('postgres', "DROP TABLE damaged; SELECT pg_stat_reset()");
settles($subscriber, 'checksum_failures', 'OK', 'checksum_failures: clears: clear when the person who mended it resets the count');
$subscriber->stop;
done_testing();
