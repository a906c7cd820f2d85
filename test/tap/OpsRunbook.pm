# What the TAP tests share: a server with the extension, and waiting for a condition.  Works on PostgreSQL 15 to 18.
package OpsRunbook;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use File::Path qw(make_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_node wait_for fails_with drop_database kill_postmaster private_installation);

# Initialises and starts a server and creates the extension in its database postgres.  Each name => value is a line
# of postgresql.conf, except:
#   preload          => 0      not in shared_preload_libraries (default 1)
#   allows_streaming => 1      WAL settings for a standby or a base backup
#   extension        => 0      no CREATE EXTENSION
#   install_path     => ...    another installation of the server
# Autovacuum is off, so that what a test planted stays; autovacuum => 'on' changes that.
sub new_node
{
	my ($name, %conf) = @_;
	my $preload = delete $conf{preload} // 1;
	my $allows_streaming = delete $conf{allows_streaming} // 0;
	my $extension = delete $conf{extension} // 1;
	my $install_path = delete $conf{install_path};

	$conf{autovacuum} //= 'off';
	$conf{max_worker_processes} //= 16;
	$conf{shared_preload_libraries} //= $preload ? 'pg_stat_statements,opsrunbook' : '';

	my $node = PostgreSQL::Test::Cluster->new($name, $install_path ? (install_path => $install_path) : ());
	$node->init(allows_streaming => $allows_streaming);
	for my $setting (sort keys %conf)
	{
		(my $value = $conf{$setting}) =~ s/'/''/g;
		$node->append_conf('postgresql.conf', "$setting = '$value'");
	}
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION opsrunbook') if $extension;
	return $node;
}

# A copy of the server's installation whose folder of extensions can be written to.  The server finds its files from
# where its program lies, so the programs are copied and the rest is linked to.  Returns the path for install_path and
# the folder of extensions.
sub private_installation
{
	my $root = PostgreSQL::Test::Utils::tempdir;
	my %from;
	for my $kind (qw(bindir sharedir pkglibdir))
	{
		chomp($from{$kind} = `pg_config --$kind`);
	}
	my $common = $from{bindir};
	while (grep { index("$_/", "$common/") != 0 } values %from)
	{
		$common =~ s{/[^/]*$}{};
	}
	my %to = map { $_ => $root . substr($from{$_}, length $common) } keys %from;
	make_path(@to{qw(bindir pkglibdir)}, "$to{sharedir}/extension");
	system_or_bail('sh', '-c', 'cp -pL "$1"/* "$2"', 'sh', $from{bindir}, $to{bindir});
	system_or_bail('sh', '-c', 'ln -s "$1"/* "$2"', 'sh', $from{pkglibdir}, $to{pkglibdir});
	for my $file (glob("$from{sharedir}/*"), glob("$from{sharedir}/extension/*"))
	{
		my $name = substr($file, length "$from{sharedir}/");
		symlink($file, "$to{sharedir}/$name") or die "link $name: $!" unless $name eq 'extension';
	}
	return ($to{bindir} =~ s{/bin$}{}r, "$to{sharedir}/extension");
}

# Polls until the query answers $expected (default t), and tells on failure what it answered last.
sub wait_for
{
	my ($node, $query, $expected, $database) = @_;
	$expected //= 't';
	$database //= 'postgres';
	return 1 if $node->poll_query_until($database, $query, $expected);
	my ($status, $output, $error) = $node->psql($database, $query);
	diag("waited in vain for '$expected' from: $query\nlast answer: $output\n$error");
	return 0;
}

# Drops a database that sessions are leaving or short jobs visit: the server itself waits for them for five seconds only.
sub drop_database
{
	my ($node, $database) = @_;
	my $give_up_at = time + $PostgreSQL::Test::Utils::timeout_default;
	while (1)
	{
		my ($status, $output, $error) = $node->psql('postgres', "DROP DATABASE $database");
		return if $status == 0;
		die "DROP DATABASE $database: $error" if $error !~ /is being accessed by other users/ || time > $give_up_at;
	}
}

# Signal 9 to the postmaster, and a new start.  What its children hold is free when the last of them has noticed.
sub kill_postmaster
{
	my ($node) = @_;
	$node->kill9;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $node->start(fail_ok => 1);
		select undef, undef, undef, 0.1;
		$node->stop('fast', fail_ok => 1); # forgets what the attempt left
	}
	return 0;
}

# Asserts that a statement fails with this SQLSTATE; returns the whole message for further assertions.
sub fails_with
{
	my ($node, $statement, $sqlstate, $test_name, %options) = @_;
	my ($status, $output, $error) = $node->psql(
		$options{database} // 'postgres', "\\set VERBOSITY verbose\n$statement",
		on_error_stop => 1,
		extra_params => $options{role} ? [ '-U', $options{role} ] : []);
	like($error, qr/ERROR:\s+$sqlstate:/, $test_name);
	return $error;
}

1;
