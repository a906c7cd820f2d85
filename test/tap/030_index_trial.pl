# Index trials: hidden but maintained, given back at once to a query that profits, kept through a restart, dropped
# only after the trial and by request, and brought back from what was recorded.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('index_trial');

sub sql { my ($statement, %options) = @_; return $node->safe_psql('postgres', $statement, %options) }
# With a factor that no query reaches, EXPLAIN shows what is hidden without ending the trial.
sub hidden_plan { return sql("SET opsrunbook.index_trial_min_gain = 1e6; EXPLAIN (COSTS off) $_[0]") }
sub state_of { return sql("SELECT state FROM opsrunbook.index_trials WHERE indexname = '$_[0]' ORDER BY trial_id DESC LIMIT 1") }

sql(q{
	CREATE TABLE event (id int, kind int, note text);
	INSERT INTO event SELECT g, g % 1000, repeat('x', 50) FROM generate_series(1, 20000) g;
	CREATE INDEX event_id_idx ON event (id);
	CREATE INDEX "Event kind" ON event (kind) WITH (fillfactor = 80);
	COMMENT ON INDEX "Event kind" IS 'by kind, isn''t it';
	VACUUM ANALYZE event;
	CREATE EXTENSION amcheck;
});
my $profits = 'SELECT note FROM event WHERE id = 5';
my $little = 'SELECT note FROM event WHERE id <= 11000';
like(hidden_plan($little), qr/event_id_idx/, 'before the trial, a query uses the index even where it gives little');

# A start that is rolled back hides nothing, not in its own session either.
like(
	sql("BEGIN; SELECT opsrunbook.start_index_trial('event_id_idx'); ROLLBACK; SET opsrunbook.index_trial_min_gain = 1e6; EXPLAIN (COSTS off) $profits"),
	qr/event_id_idx/, 'a start that was rolled back hides nothing');

# A session that has a plan plans again, when the trial starts and when it ends.
my $session = $node->background_psql('postgres');
$session->query_safe("SET opsrunbook.index_trial_min_gain = 1e6; SET plan_cache_mode = force_generic_plan; PREPARE one AS $profits");
like($session->query_safe('EXPLAIN (COSTS off) EXECUTE one'), qr/event_id_idx/, 'a prepared statement uses the index');
sql("SELECT opsrunbook.start_index_trial('event_id_idx', 14, 'nobody seems to use it')");
like($session->query_safe('EXPLAIN (COSTS off) EXECUTE one'), qr/Seq Scan/, 'it is planned again when the index is hidden');
is(state_of('event_id_idx'), 'trial', 'the trial goes on');

unlike(sql("EXPLAIN (COSTS off) $little"), qr/event_id_idx/, 'a query that profits little does without');
is(sql($little =~ s/note/count(note)/r), 11000, 'and finds its rows');
is(state_of('event_id_idx'), 'trial', 'the trial still goes on');

# Hidden, yet maintained, through a restart and a REINDEX CONCURRENTLY.
$session->quit;
$node->restart;
like(hidden_plan($profits), qr/Seq Scan/, 'hidden after a restart');
sql('REINDEX INDEX CONCURRENTLY event_id_idx');
like(hidden_plan($profits), qr/Seq Scan/, 'hidden after REINDEX CONCURRENTLY, which changes its OID');
sql("SET opsrunbook.index_trial_min_gain = 1e6; INSERT INTO event VALUES (-1, 1, 'new'); DELETE FROM event WHERE id = 7");
is(sql("SELECT bt_index_parent_check('event_id_idx', true)"), '', 'the hidden index has every row');

# A query that profits uses it at once, in a transaction that is rolled back, and the trial says why.
$session = $node->background_psql('postgres');
$session->query_safe('BEGIN READ ONLY');
like($session->query_safe("EXPLAIN (COSTS off) SELECT note FROM event WHERE id = -1"), qr/event_id_idx/, 'a query that profits uses the hidden index');
is($session->query_safe('SELECT note FROM event WHERE id = -1'), 'new', 'and finds the row written meanwhile');
$session->query_safe('ROLLBACK');
ok(wait_for($node, "SELECT state = 'restored' FROM opsrunbook.index_trials WHERE indexname = 'event_id_idx'"), 'that ends the trial');
like(
	sql("SELECT restored_reason, saved_cost > 100 FROM opsrunbook.index_trials WHERE indexname = 'event_id_idx'"),
	qr/^a query costs [\d.]+ with the index and [\d.]+ without: .*SELECT note FROM .*\|t$/, 'it says which query and what it saves');
like(hidden_plan($profits), qr/event_id_idx/, 'every session sees the index again');
$session->quit;
like(
	fails_with($node, "SELECT opsrunbook.drop_trial_index('event_id_idx')", '55000', 'a restored index is not dropped'),
	qr/DETAIL:.*a query costs/s, 'with the reason');

# Ended by hand.
sql("SELECT opsrunbook.start_index_trial('event_id_idx')");
like(hidden_plan($profits), qr/Seq Scan/, 'hidden again');
fails_with($node, "SELECT opsrunbook.start_index_trial('event_id_idx')", '55000', 'one trial at a time');
fails_with($node, "SELECT opsrunbook.drop_trial_index('event_id_idx')", '55000', 'no drop before the time is over');
sql("SELECT opsrunbook.end_index_trial('event_id_idx')");
like(hidden_plan($profits), qr/event_id_idx/, 'visible after the end');
fails_with($node, "SELECT opsrunbook.end_index_trial('event_id_idx')", '55000', 'nothing to end');

# Never what is not a matter of speed.
sql(q{
	CREATE TABLE parent (id int PRIMARY KEY, code text NOT NULL, label text);
	CREATE TABLE child (id int, parent_id int REFERENCES parent, span int4range, EXCLUDE USING gist (span WITH &&));
	CREATE INDEX child_parent ON child (parent_id);
	CREATE INDEX child_parent_brin ON child USING brin (parent_id);
	CREATE TABLE parent_2 (a int, b int, PRIMARY KEY (a, b));
	CREATE TABLE child_2 (a int, b int, FOREIGN KEY (a, b) REFERENCES parent_2);
	CREATE INDEX child_2_a_b ON child_2 (a, b);
	CREATE INDEX child_2_including ON child_2 (a) INCLUDE (b);
	CREATE UNIQUE INDEX parent_label ON parent (label);
	CREATE UNIQUE INDEX parent_code ON parent (code);
	ALTER TABLE parent REPLICA IDENTITY USING INDEX parent_code;
	CREATE INDEX child_id ON child (id);
	ALTER TABLE child CLUSTER ON child_id;
	CREATE TABLE parted (id int) PARTITION BY RANGE (id);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
	CREATE INDEX parted_id ON parted (id);
	CREATE INDEX broken ON child (id, parent_id);
	UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass;
	CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor;
});
for my $refused (
	[ 'parent_pkey', 'is the primary key' ], [ 'parent_label', 'is unique' ], [ 'parent_code', 'is the replica identity' ],
	[ 'child_parent', 'supports a foreign key' ], [ 'child_2_a_b', 'supports a foreign key' ], [ 'child_span_excl', 'enforces a constraint' ],
	[ 'child_id', 'is the one that CLUSTER uses' ], [ 'broken', 'is invalid' ], [ 'parted_id', 'is partitioned' ],
	[ 'parted_1_id_idx', 'is part of a partitioned index' ], [ 'pg_class_relname_nsp_index', 'belongs to the system' ])
{
	my ($index, $why) = @$refused;
	like(fails_with($node, "SELECT opsrunbook.start_index_trial('$index')", '55000', "$index is refused"), qr/\Q$why\E.*HINT:/s, "because it $why");
}
fails_with($node, "SELECT opsrunbook.start_index_trial('child')", '22023', 'a table is no index');
like(fails_with($node, "SELECT opsrunbook.start_index_trial('event_id_idx')", '42501', 'only the owner', role => 'monitor'), qr/HINT:/, 'with a hint');
sql('CREATE INDEX child_parent_2 ON child (parent_id, id)');
sql("SELECT opsrunbook.start_index_trial('child_parent')");
is(state_of('child_parent'), 'trial', 'a second index for a foreign key may be hidden');
fails_with($node, "SELECT opsrunbook.start_index_trial('child_parent_2')", '55000', 'but then not the other one too');

# Dropped after the trial, and brought back from the record.
sql(q{SELECT opsrunbook.start_index_trial('"Event kind"')});
is(sql('SELECT count(*) FROM opsrunbook.finished_index_trials()'), 0, 'no trial is over');
sql(q{UPDATE opsrunbook.index_trial SET until = started_at WHERE index_name = 'Event kind'});
my $undo = sql('SELECT undo FROM opsrunbook.finished_index_trials()');
like($undo, qr/^CREATE INDEX "Event kind" ON public\.event USING btree \(kind\) WITH \(fillfactor='80'\); COMMENT ON INDEX/, 'the undo is on record');
my $definition = q{SELECT pg_get_indexdef('"Event kind"'::regclass), obj_description('"Event kind"'::regclass, 'pg_class')};
my $before = sql($definition);
sql(sql('SELECT drop_command FROM opsrunbook.finished_index_trials()'));
ok(wait_for($node, q{SELECT to_regclass('"Event kind"') IS NULL}), 'the index is dropped behind');
ok(wait_for($node, q{SELECT state = 'dropped' FROM opsrunbook.index_trials WHERE indexname = 'Event kind'}), 'the trial says so');
is(sql("SELECT kind, status, undo = '" . ($undo =~ s/'/''/gr) . "' FROM opsrunbook.tasks WHERE command LIKE 'DROP INDEX CONCURRENTLY%'"), 'drop index|completed|t', 'so does the task, with the undo');
sql($undo);
is(sql($definition), $before, 'the undo brings it back as it was');

# Once it is being dropped the trial is not ended otherwise, though DROP still waits for its lock, and the record says
# what came of it.  It waits for as long as that takes.
sql('CREATE INDEX event_note ON event (note)');
sql("SELECT opsrunbook.start_index_trial('event_note')");
sql("UPDATE opsrunbook.index_trial SET until = started_at WHERE index_name = 'event_note'");
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE event IN SHARE UPDATE EXCLUSIVE MODE; SELECT 1');
sql("SET opsrunbook.lock_timeout = '10min'; SELECT opsrunbook.drop_trial_index('event_note')");
my $dropping_note = "SELECT task_id FROM opsrunbook.tasks WHERE command LIKE 'DROP INDEX CONCURRENTLY %event_note'";
ok(wait_for($node, "SELECT count(*) = 1 FROM ($dropping_note AND status = 'running') t"), 'DROP waits for its lock');
like(fails_with($node, "SELECT opsrunbook.end_index_trial('event_note')", '55000', 'the trial is not ended meanwhile'),
	qr/is being dropped.*HINT:.*cancel_task/s, 'the hint says how to call it off');
my $at_trials = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'opsrunbook index trial'";
my $trial_holder = $node->background_psql('postgres');
$trial_holder->query_safe("BEGIN; SELECT id FROM opsrunbook.index_trial WHERE index_name = 'event_note' FOR UPDATE");
sql("SELECT id FROM event WHERE note = 'none'");
ok(wait_for($node, $at_trials, '2'), 'a query that profits asks for the index');
$trial_holder->query_safe('COMMIT');
$trial_holder->quit;
ok(wait_for($node, $at_trials, '1'), 'in vain');
is(state_of('event_note'), 'trial', 'the trial was not ended by it');
fails_with($node, "SELECT opsrunbook.drop_trial_index('event_note')", '55000', 'it is dropped once');
is(sql("SELECT opsrunbook.cancel_task(($dropping_note))"), 't', 'it is called off');
ok(wait_for($node, $at_trials, '0'), 'and nobody is at it any more');
is(state_of('event_note'), 'trial', 'it is still on trial');
sql("SET opsrunbook.lock_timeout = '10min'; SELECT opsrunbook.drop_trial_index('event_note')");
ok(wait_for($node, "SELECT count(*) = 1 FROM ($dropping_note AND status = 'running') t"), 'asked again, DROP waits again');
$holder->query_safe('COMMIT');
$holder->quit;
ok(wait_for($node, "SELECT state = 'dropped' AND restored_reason IS NULL FROM opsrunbook.index_trials WHERE indexname = 'event_note'"), 'then it is dropped');
is(sql("SELECT to_regclass('event_note') IS NULL"), 't', 'as the record says');

# Whatever way a statement comes to the table.
sql(q{
	CREATE TABLE reading (id int, at date, value text) PARTITION BY RANGE (at);
	CREATE TABLE reading_2026 PARTITION OF reading FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
	CREATE TABLE region (LIKE reading);
	INSERT INTO reading SELECT g, date '2026-01-01' + g % 300, repeat('x', 50) FROM generate_series(1, 20000) g;
	CREATE INDEX reading_2026_id ON reading_2026 (id);
	CREATE VIEW of_reading AS SELECT * FROM reading;
	CREATE FUNCTION in_sql(int) RETURNS SETOF reading LANGUAGE sql STABLE AS 'SELECT * FROM reading WHERE id = $1';
	VACUUM ANALYZE reading;
});
my @ways = (
	'SELECT * FROM reading_2026 WHERE id = 5', 'SELECT * FROM reading WHERE id = 5', 'SELECT * FROM of_reading WHERE id = 5',
	'SELECT * FROM in_sql(5)', 'WITH w AS MATERIALIZED (SELECT * FROM reading WHERE id = 5) SELECT * FROM w',
	'SELECT (SELECT max(value) FROM reading WHERE id = 5)', 'SELECT 1 WHERE EXISTS (SELECT FROM reading WHERE id = 5)',
	'SELECT * FROM region r LEFT JOIN LATERAL (SELECT * FROM reading WHERE id = 5) x ON true',
	'UPDATE reading SET value = NULL WHERE id = 5', 'DELETE FROM reading USING region WHERE reading.id = 5',
	'INSERT INTO region SELECT * FROM reading WHERE id = 5', 'SELECT 1 UNION ALL SELECT id FROM reading WHERE id = 5');
like(hidden_plan($_), qr/reading_2026_id/, "used before a trial: $_") for @ways;
sql("SELECT opsrunbook.start_index_trial('reading_2026_id')");
unlike(hidden_plan($_), qr/reading_2026_id/, "hidden: $_") for @ways;
sql('ALTER TABLE reading DETACH PARTITION reading_2026');
unlike(hidden_plan($ways[0]), qr/reading_2026_id/, 'hidden when it is no partition any more');
$session = $node->background_psql('postgres');
$session->query_safe('SET opsrunbook.index_trial_min_gain = 1e6; SELECT count(*) FROM reading');
sql("CREATE TABLE world (LIKE reading) PARTITION BY RANGE (at); ALTER TABLE reading ATTACH PARTITION reading_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01'); ALTER TABLE world ATTACH PARTITION reading DEFAULT");
unlike($session->query_safe("EXPLAIN (COSTS off) $_"), qr/reading_2026_id/, 'or one again, also of another table: ' . $_)
  for ($ways[1], $ways[1] =~ s/reading/world/r);
$session->quit;
is(state_of('reading_2026_id'), 'trial', 'the trial goes on through all that');
sql('SELECT * FROM world WHERE id = 5');
ok(wait_for($node, "SELECT state = 'restored' FROM opsrunbook.index_trials WHERE indexname = 'reading_2026_id'"), 'a query on the topmost table ends it');

# The extension comes and goes while sessions plan.
$session = $node->background_psql('postgres');
like($session->query_safe("SET opsrunbook.index_trial_min_gain = 1e6; EXPLAIN (COSTS off) SELECT * FROM child WHERE parent_id = 1"), qr/child_parent_2|Seq Scan/, 'planned with a trial');
my $dropping = $node->background_psql('postgres');
$dropping->query_safe('BEGIN; DROP EXTENSION opsrunbook CASCADE; SELECT 1');
is($session->query_safe('SELECT count(*) FROM event WHERE id = 5'), 1, 'planning does not wait for an open DROP EXTENSION');
$dropping->query_safe('COMMIT');
$dropping->quit;
is($session->query_safe('SELECT count(*) FROM event WHERE id = 5'), 1, 'and works without the extension');
sql("CREATE EXTENSION opsrunbook; SELECT opsrunbook.start_index_trial('event_id_idx')");
like($session->query_safe("EXPLAIN (COSTS off) $profits"), qr/Seq Scan/, 'a session notices that it was created');
$session->quit;

# Not preloaded: refused.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
like(fails_with($node, q{SELECT opsrunbook.start_index_trial('"Event kind"')}, '55000', 'not preloaded'), qr/HINT:.*session_preload_libraries/s, 'the hint says what to set');
sql("ALTER DATABASE postgres SET session_preload_libraries = 'opsrunbook'");
sql(q{SELECT opsrunbook.start_index_trial('"Event kind"')});
like(hidden_plan('SELECT note FROM event WHERE kind = 5'), qr/Seq Scan/, 'session_preload_libraries is enough');

$node->stop;
done_testing();
