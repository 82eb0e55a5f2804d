#!/bin/bash
# seedbed-messages(7) quotes the program correctly: each part of a message between two "…" occurs in the sources.
# Needs only the sources.
# Labels: once
set -euo pipefail

source_dir=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/seedbed-messages-XXXXXX")
trap 'rm -rf "$work"' EXIT
export LC_ALL=C.UTF-8

fail() {
    echo "FAIL: $1" >&2
    exit 1
}

find "$source_dir"/{daemon,config,core} -name '*.cpp' >"$work/sources"
cp "${1:-$source_dir/packaging/man/seedbed-messages.md}" "$work/section"
perl -e '
    sub text_of { local $/; open(my $in, "<", $_[0]) or die "$_[0]: $!\n"; return scalar <$in>; }
    # The sources with adjacent literals joined, as by a compiler, and without escapes. A {} of fmt, and code between two literals,
    # ends a part of a message as "…" does.
    my $sources = join("", map { text_of($_) } split(/\n/, text_of($ARGV[0])));
    $sources =~ s/"\s*\n\s*"//g;
    $sources =~ s/\\"/"/g;
    my ($count, $wrong, %seen) = (0, 0);
    sub wrong { print STDERR "$_[0]\n"; $wrong = 1; }
    for (split(/\n/, text_of($ARGV[1]))) {
        next unless /^\| `([^`]*)` \|/; # the first column of a table
        my ($message, $longest) = ($1, 0);
        ++$count;
        wrong("quoted twice: $message") if $seen{$message}++;
        for my $part (grep { /[a-z]{2}/ } split(/…/, $message)) {
            $longest = length($part) if length($part) > $longest;
            $part =~ s/^[ :]+|[ :;]+$//g; # may belong to the inserted text
            wrong("not in the sources: \"$part\" of \"$message\"") if index($sources, $part) < 0;
        }
        wrong("quotes next to nothing: $message") if $longest < 8;
    }
    wrong("$count messages are quoted") if $count < 60;
    exit($wrong);' "$work/sources" "$work/section" || fail "seedbed-messages.md quotes messages that the program does not have"
echo "PASS"
