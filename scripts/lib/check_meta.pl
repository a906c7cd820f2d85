#!/usr/bin/perl
# META.json against the PGXN meta specification 1.0.0 (https://pgxn.org/spec/), as far as this project uses it, and
# against the control file, which alone decides the version.  Usage: check_meta.pl PROJECT_FOLDER

use strict;
use warnings;

use JSON::PP;

my $project = shift // '.';
my @problems;

sub slurp
{
	my ($path) = @_;
	open my $file, '<:raw', $path or die "$path: $!\n";
	local $/;
	return scalar <$file>;
}

my $meta = eval { JSON::PP->new->utf8->decode(slurp("$project/META.json")) };
die "META.json does not parse: $@" unless ref $meta eq 'HASH';

my $semantic_version = qr/^\d+\.\d+\.\d+(?:-[A-Za-z][A-Za-z0-9.-]*)?$/;

for my $key (qw(name abstract license maintainer version meta-spec provides))
{
	push @problems, "required key '$key' is missing" unless defined $meta->{$key} && $meta->{$key} ne '';
}
push @problems, 'name must be of letters, digits, - and _, two at least'
  unless ($meta->{name} // '') =~ /^[A-Za-z0-9][A-Za-z0-9_-]+$/;
push @problems, 'version is no semantic version' unless ($meta->{version} // '') =~ $semantic_version;
push @problems, "license must be 'postgresql'" unless ($meta->{license} // '') eq 'postgresql';
push @problems, 'meta-spec.version must be 1.0.0'
  unless ref $meta->{'meta-spec'} eq 'HASH' && ($meta->{'meta-spec'}{version} // '') eq '1.0.0';
push @problems, 'release_status must be stable, testing or unstable'
  if defined $meta->{release_status} && $meta->{release_status} !~ /^(?:stable|testing|unstable)$/;
push @problems, 'tags must be a list' if defined $meta->{tags} && ref $meta->{tags} ne 'ARRAY';

my %known = map { $_ => 1 }
  qw(name abstract description version date maintainer license provides prereqs resources tags release_status
  generated_by no_index meta-spec);
push @problems, "key '$_' is not of the specification"
  for grep { !$known{$_} && !/^x_/i } sort keys %$meta;

my $provides = ref $meta->{provides} eq 'HASH' ? $meta->{provides} : {};
push @problems, 'provides names no opsrunbook' unless ref $provides->{opsrunbook} eq 'HASH';
for my $extension (sort keys %$provides)
{
	my $what = $provides->{$extension};
	push @problems, "provides.$extension needs a semantic version" unless ($what->{version} // '') =~ $semantic_version;
	push @problems, "provides.$extension needs a file" unless $what->{file};
	# The install script is built, not kept.
	push @problems, "provides.$extension.file $what->{file} is not there"
	  if $what->{file} && $what->{file} !~ /--/ && !-e "$project/$what->{file}";
	push @problems, "provides.$extension.docfile $what->{docfile} is not there"
	  if $what->{docfile} && !-e "$project/$what->{docfile}";
}

for my $phase (sort keys %{ $meta->{prereqs} // {} })
{
	push @problems, "prereqs.$phase is no phase" unless $phase =~ /^(?:configure|build|test|runtime|develop)$/;
	for my $relation (sort keys %{ $meta->{prereqs}{$phase} })
	{
		push @problems, "prereqs.$phase.$relation is no relationship"
		  unless $relation =~ /^(?:requires|recommends|suggests|conflicts)$/;
		my $needed = $meta->{prereqs}{$phase}{$relation};
		push @problems, "prereqs.$phase.$relation.$_ is no version"
		  for grep { $needed->{$_} ne '0' && $needed->{$_} !~ /^(?:[<>=!]+ ?)?\d+\.\d+\.\d+/ } sort keys %$needed;
	}
}

my ($control_version) = slurp("$project/opsrunbook.control") =~ /^default_version\s*=\s*'([^']+)'/m;
push @problems, 'the control file has no default_version' unless defined $control_version;
for my $version ($meta->{version}, $provides->{opsrunbook}{version})
{
	push @problems, "the version is $version here and $control_version in the control file"
	  if defined $version && defined $control_version && $version ne $control_version;
}

print "META.json: $_\n" for @problems;
exit(@problems ? 1 : 0);
