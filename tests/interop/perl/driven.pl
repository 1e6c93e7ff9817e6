#!/usr/bin/env perl
# An ESME made of Net::SMPP that tells nothing: perl driven.pl PORT FILE. It sends what the file says, one after the other, answers
# what comes, and ends when its connection does. Whoever tests it asks the SMSC.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use Net::SMPP;
use lib $FindBin::Bin;
use Parts qw(parts_of);

my ($port, $file) = @ARGV;
open my $in, '<:raw', $file or die "$file: $!";
my $messages = JSON::PP->new->utf8->decode(do { local $/; <$in> });

my ($smpp, $bound) = Net::SMPP->new_transceiver(
    '127.0.0.1', port => $port, system_id => 'perl', password => 'secret', smpp_version => 0x34);
die "no connection to port $port: $!" unless $smpp && $bound->status == 0;

# Reads one PDU, and answers what asks for it.
sub one {
    my $pdu = $smpp->read_pdu() or exit 0;
    if ($pdu->cmd == 0x5) { $smpp->deliver_sm_resp(seq => $pdu->seq, message_id => '') }
    elsif ($pdu->cmd == 0x15) { $smpp->enquire_link_resp(seq => $pdu->seq) }
    return $pdu;
}

my $reference = 0;
for my $message (@$messages) {
    my ($coding, @parts) = parts_of($message->{text});
    $reference = ($reference + 1) % 256;
    for my $at (0 .. $#parts) {
        my $header = @parts > 1 ? pack('C6', 5, 0, 3, $reference, scalar @parts, $at + 1) : '';
        # Not synchronously: then what comes before the answer would be dropped.
        my $seq = $smpp->submit_sm(
            source_addr => 'Test', source_addr_ton => 5, destination_addr => $message->{to}, dest_addr_ton => 1,
            dest_addr_npi => 1, registered_delivery => 1, data_coding => $coding, esm_class => @parts > 1 ? 0x40 : 0,
            short_message => $header . $parts[$at], async => 1);
        while (1) {
            my $pdu = one();
            last if $pdu->cmd == 0x80000004 && $pdu->seq == $seq;
        }
    }
}
one() while 1;
