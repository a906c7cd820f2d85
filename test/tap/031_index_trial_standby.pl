# Index trials and standbys: what a declared standby uses is neither hidden nor dropped, nothing is dropped before its
# counts are here, a standby itself hides nothing, and hides what it should once it is promoted.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('trial_primary', allows_streaming => 1);
sub sql { my ($statement, %options) = @_; return $node->safe_psql('postgres', $statement, %options) }
sql(q{
	CREATE TABLE event (id int, kind int, note text);
	INSERT INTO event SELECT g, g % 1000, repeat('x', 50) FROM generate_series(1, 20000) g;
	CREATE INDEX event_id ON event (id);
	CREATE INDEX event_kind ON event (kind);
	CREATE INDEX event_note ON event (note);
	VACUUM ANALYZE event;
	CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor;
});
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('trial_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

my $reads = { event_id => 'SELECT note FROM event WHERE id = 5', event_kind => 'SELECT note FROM event WHERE kind = 5' };
sub export { return $standby->safe_psql('postgres', 'SELECT opsrunbook.export_index_usage()') }
# A session's counts are there soon after it ended.
sub used_there
{
	my ($index) = @_;
	$standby->safe_psql('postgres', "SET enable_seqscan = off; $reads->{$index}");
	ok(wait_for($standby, "SELECT opsrunbook.export_index_usage() \@? '\$.indexes[*] ? (\@.index == \"$index\")'"), "the standby counts its use of $index");
}
sub import_from { my ($name, $usage) = @_; return "SELECT opsrunbook.import_index_usage('$name', '" . ($usage =~ s/'/''/gr) . "')" }

is(sql("SELECT opsrunbook.declare_standby('replica')"), 't', 'a standby is declared');
is(sql("SELECT opsrunbook.declare_standby('replica')"), 'f', 'once');
like(sql("SELECT droppable, reason FROM get_unused_indexes() WHERE indexname = 'event_id'"),
	qr/^f\|.*whether a declared standby uses it is not known.*: replica/, 'no index is unused before its counts are here');
used_there('event_id');
like($standby->safe_psql('postgres', 'SELECT opsrunbook.export_index_usage()', extra_params => [ '-U', 'monitor' ]), qr/event_id/, 'a monitoring role may read the counts');
is(sql(import_from('replica', export())), '1', 'its counts come to the primary');
is(sql('SELECT standby, indexname FROM opsrunbook.standby_index_usage', extra_params => [ '-U', 'monitor' ]), 'replica|event_id', 'where they are to be seen');
like(sql("SELECT droppable, reason FROM get_unused_indexes() WHERE indexname = 'event_id'"),
	qr/^f\|a standby uses it: replica \(last on 2/, 'and what it uses is not to be dropped');
unlike(sql("SELECT reason FROM get_unused_indexes() WHERE indexname = 'event_note'"), qr/replica/, 'what it does not use, nobody does');
like(fails_with($node, "SELECT opsrunbook.start_index_trial('event_id')", '55000', 'an index that it uses is not hidden'),
	qr/is used on a standby.*DETAIL:\s+It is used on replica \(last on 2.*HINT:.*forget_standby/s, 'with the reason');

# What cannot be such counts.
my $usage = export();
fails_with($node, import_from('other', $usage), '42704', 'a standby that was not declared');
fails_with($node, import_from('replica', $usage =~ s/"system": "\d+"/"system": "1"/r), '22023', 'counts of another server');
fails_with($node, import_from('replica', $usage =~ s/"database": "postgres"/"database": "other"/r), '22023', 'counts of another database');
fails_with($node, import_from('replica', '{"a": 1}'), '22023', 'no counts at all');
fails_with($node, "SELECT opsrunbook.import_index_usage('replica', NULL)", '22023', 'nothing');
fails_with($node, "SELECT opsrunbook.declare_standby('')", '22023', 'a standby without a name');
fails_with($node, import_from('replica', $usage), '42501', 'only superusers decide what counts', role => 'monitor');
fails_with($node, "SELECT opsrunbook.declare_standby('mine')", '42501', 'and who', role => 'monitor');
fails_with($node, "SELECT opsrunbook.forget_standby('replica')", '42501', 'and who no more', role => 'monitor');

# Two trials, over without a use on the primary.
my $hidden = 'SET opsrunbook.index_trial_min_gain = 1e6; EXPLAIN (COSTS off) ';
for my $index (qw(event_kind event_note))
{
	sql("SELECT opsrunbook.start_index_trial('$index')");
}
$node->wait_for_catchup($standby, 'replay');
unlike(sql($hidden . $reads->{event_kind}), qr/event_kind/, 'hidden on the primary');
like($standby->safe_psql('postgres', $hidden . $reads->{event_kind}), qr/event_kind/, 'not on the standby, which could not give it back');
sql('UPDATE opsrunbook.index_trial SET until = clock_timestamp()');
like(sql("SELECT drop_command IS NULL, note FROM opsrunbook.finished_index_trials() WHERE indexname = 'event_note'"),
	qr/^t\|.*not known, for want of counts from after the trial: replica/, 'a trial that is over waits for the counts');
like(fails_with($node, "SELECT opsrunbook.drop_trial_index('event_note')", '55000', 'nothing is dropped before'), qr/DETAIL:.*replica.*HINT:.*export_index_usage/s, 'it says what to do');
used_there('event_kind');
is(sql(import_from('replica', export())), '2', 'the counts come');
is(sql("SELECT indexname, drop_command IS NULL FROM opsrunbook.finished_index_trials() ORDER BY 1"), "event_kind|t\nevent_note|f", 'one may go, the other is used there');
like(fails_with($node, "SELECT opsrunbook.drop_trial_index('event_kind')", '55000', 'which stays'), qr/is used on a standby/, 'for that');
sql("SELECT opsrunbook.drop_trial_index('event_note')");
ok(wait_for($node, "SELECT state = 'dropped' FROM opsrunbook.index_trials WHERE indexname = 'event_note'"), 'the one that nobody uses is dropped');
is(sql("SELECT to_regclass('event_note') IS NULL"), 't', 'as the record says');

# The same counts again are no use since then.
sql("UPDATE opsrunbook.standby_index_usage SET used_at = used_at - interval '40 days'");
sql(import_from('replica', export()));
is(sql("SELECT count(*) FROM opsrunbook.standby_index_usage WHERE used_at < now() - interval '39 days'"), '2', 'counts that stand still tell of no use');
is(sql("SELECT drop_command FROM opsrunbook.finished_index_trials()"), "SELECT opsrunbook.drop_trial_index('public.event_kind');", 'after 35 days without one it may go');
is(sql("SELECT opsrunbook.forget_standby('replica'), opsrunbook.forget_standby('replica')"), 't|f', 'a standby is forgotten');
is(sql('SELECT count(*) FROM opsrunbook.standby_index_usage'), '0', 'with its counts');

# Promoted, it goes on with the trial.
$node->wait_for_catchup($standby, 'replay');
$node->stop('fast');
$standby->promote;
unlike($standby->safe_psql('postgres', $hidden . $reads->{event_kind}), qr/event_kind/, 'a promoted standby hides the index');
$standby->safe_psql('postgres', $reads->{event_kind});
ok(wait_for($standby, "SELECT state = 'restored' FROM opsrunbook.index_trials WHERE indexname = 'event_kind'"), 'and gives it back when a query needs it');

$standby->stop;
done_testing();
