# Texts as the parts of messages, for the ESMEs made of Net::SMPP.
package Parts;
use strict;
use warnings;
use Encode qw(encode FB_CROAK);
use Exporter 'import';
our @EXPORT_OK = qw(parts_of);

# The alphabet, and the octets of the parts. Neither an escaped character nor a surrogate pair is torn.
sub parts_of {
    my ($text) = @_;
    my $octets = eval { encode('gsm0338', $text, FB_CROAK) };
    my ($coding, $single, $each) = defined $octets ? (0, 160, 153) : (8, 140, 134);
    $octets = encode('UTF-16BE', $text) unless defined $octets;
    return ($coding, $octets) if length $octets <= $single;
    my @parts;
    while (length $octets) {
        my $part = substr $octets, 0, $each;
        chop $part if $coding == 0 && $part =~ /\x1B$/;
        $part = substr $part, 0, -2 if $coding == 8 && $part =~ /^(?:..)*[\xD8-\xDB].$/s;
        push @parts, $part;
        substr $octets, 0, length $part, '';
    }
    return ($coding, @parts);
}

1;
