# The scheduler observes the alerts by itself: what fires and what is over stands in the server log and is sent to who
# listens, after as many observations as are asked for; what is muted stays quiet.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('alerts', 'opsrunbook.alert_fire_after' => 2, 'opsrunbook.alert_clear_after' => 2);

sub one { my ($query) = @_; return $node->safe_psql('postgres', $query) }

sub logged
{
	my ($pattern) = @_;
	my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
	my @found = $log =~ /$pattern/g;
	return scalar @found;
}

sub observations { return one("SELECT count(*) FROM opsrunbook.job_runs WHERE job_name = 'observe' AND status = 'completed'") }

sub observed_again
{
	my ($times) = @_;
	my $wanted = observations() + $times + 1; # one may be under way already
	return wait_for($node, "SELECT count(*) >= $wanted FROM opsrunbook.job_runs WHERE job_name = 'observe' AND status = 'completed'");
}

one('CREATE TABLE queue (length int); INSERT INTO queue VALUES (0)');
one(q{SELECT opsrunbook.add_check('queue', 'SELECT length FROM queue', 10, 100)});
one(q{SELECT opsrunbook.schedule('observe', '1 seconds', 'SELECT * FROM opsrunbook.observe_alerts()')});
ok(observed_again(1), 'the scheduler observes');
is(logged(qr/queue is/), 0, 'nothing is logged while all is well');

my $listener = $node->background_psql('postgres');

# What was committed is visible before its notification has reached the listener, who reads it with its next query.
sub notified
{
	my ($pattern) = @_;
	my $heard = '';
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		$heard .= $listener->query('SELECT 1');
		return 1 if $heard =~ $pattern;
		select undef, undef, undef, 0.1;
	}
	diag("heard only: $heard");
	return 0;
}
$listener->query_safe('LISTEN opsrunbook_alert');
one('UPDATE queue SET length = 50');
ok(wait_for($node, "SELECT fired_at IS NOT NULL FROM opsrunbook.alert_state WHERE check_id = 'queue'"), 'the alert fires');
ok(wait_for($node, "SELECT status = 'completed' FROM opsrunbook.job_runs WHERE job_name = 'observe' ORDER BY started_at DESC LIMIT 1"),
	'the observation is committed');
cmp_ok(logged(qr/WARNING.*queue is 50 \(above 10\)/), '==', 1, 'it is logged once, as a warning with the numbers');
ok(notified(qr/Asynchronous notification "opsrunbook_alert" with payload "\{"event": ?"fired", ?"check": ?"queue"/),
	'and sent to who listens');
ok(observed_again(2), 'more observations');
cmp_ok(logged(qr/queue is 50 \(above 10\)/), '==', 1, 'it is not repeated');

one('UPDATE queue SET length = 0');
ok(wait_for($node, "SELECT count(*) = 0 FROM opsrunbook.alert_state WHERE check_id = 'queue' AND fired_at IS NOT NULL"), 'the alert is over');
ok(notified(qr/"event": ?"cleared", ?"check": ?"queue"/), 'that is sent, too');
cmp_ok(logged(qr/(?:cleared|over).*queue|queue.*(?:cleared|is over)/), '>=', 1, 'and logged');

one(q{SELECT opsrunbook.mute_alert('queue', reason => 'a test', until => now() + interval '1 hour')});
one('UPDATE queue SET length = 60');
ok(observed_again(3), 'observations of what is muted');
is(logged(qr/queue is 60/), 0, 'a muted alert is not logged');
unlike($listener->query('SELECT 1'), qr/fired/, 'nor sent');

$listener->quit;
$node->stop;
done_testing();
