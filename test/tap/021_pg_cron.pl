# The README's lines with the real pg_cron: it calls our functions, and the vacuum happens.

use strict;
use warnings FATAL => 'all';

use OpsRunbook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

if (system('sh', '-c', 'test -e "$(pg_config --sharedir)/extension/pg_cron.control"') != 0)
{
	plan skip_all => 'pg_cron is not installed';
}

my $node = new_node(
	'cron',
	shared_preload_libraries => 'opsrunbook,pg_cron',
	'cron.database_name' => 'postgres',
	'cron.use_background_workers' => 'on');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');
$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 20000) g; DELETE FROM t; SELECT pg_stat_force_next_flush()');
my $dead = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 't'";
ok(wait_for($node, "SELECT ($dead) > 10000"), 'there are dead rows');
$node->safe_psql('postgres',
	q{SELECT cron.schedule('nightly-maintenance', '* * * * *', $$SELECT * FROM run_automated_maintenance()$$)});
# The dead rows are gone before the task is: what follows them is its ANALYZE.
ok( wait_for($node,
		"SELECT count(*) = 1 FROM opsrunbook.tasks WHERE status = 'completed' AND command LIKE 'VACUUM%' AND object_name LIKE '%t'"),
	'pg_cron called run_automated_maintenance(), and the task is on record');
is($node->safe_psql('postgres', $dead), '0', 'the table is vacuumed');
$node->stop('fast');
done_testing();
