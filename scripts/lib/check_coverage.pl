# Every health check has a planted situation that makes it fire, a near miss that does not, and its remedy run making
# it clear; every function and view of the extension is called by some test.  Names what is missing and exits 1.
#
# The tests say so themselves: a description (or a comment beside the assertion) contains
#     check_id: fires        check_id: near miss        check_id: clears
# A unit test on built observations does not count.
#
# usage: perl scripts/lib/check_coverage.pl [FOLDER OF THE SOURCES]

use strict;
use warnings FATAL => 'all';

my @kinds = ('fires', 'near miss', 'clears');

my $root = shift // '.';
my %on_server;

sub slurp
{
	my ($file) = @_;
	open my $handle, '<', $file or die "$file: $!\n";
	local $/;
	return scalar <$handle>;
}

my (%checks, @missing);
for my $file (glob("$root/src/health/checks/*.cpp"))
{
	my $text = slurp($file);
	$checks{$1} = 1 while $text =~ /^\s*(?:\{\s*)?\.id = "(\w+)"/mg;
}
die "no check found below $root/src/health/checks\n" unless %checks;

my $server_tests = '';
for my $file (glob("$root/test/pgtap/*.sql $root/test/tap/*.pl"))
{
	my $text = slurp($file);
	$server_tests .= $text;
	$on_server{$1}{$2} = 1 while $text =~ /\b(\w+): (fires|near miss|clears)\b/g;
}
for my $id (sort keys %checks)
{
	for my $kind (@kinds)
	{
		push @missing, "check $id has no test on a server called \"$id: $kind ...\"" unless $on_server{$id}{$kind};
	}
}
my $calls = $server_tests . join '', map { slurp($_) } glob("$root/sql/*.sql $root/test/isolation/specs/*.spec");
my %objects;
for my $file (glob("$root/src/*.sql $root/src/*/*.sql $root/src/*/*/*.sql"))
{
	my $text = slurp($file);
	$objects{$1} = 1
	  while $text =~ /^CREATE (?:FUNCTION|PROCEDURE|VIEW) (?:\@extschema\@|\w+)\.(\w+)(?!.*RETURNS trigger)/mg;
}
for my $object (sort keys %objects)
{
	push @missing, "no test calls $object" unless $calls =~ /\b\Q$object\E\b/;
}

print "$_\n" for @missing;
exit(@missing ? 1 : 0);
