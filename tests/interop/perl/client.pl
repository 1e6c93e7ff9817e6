#!/usr/bin/env perl
# An ESME made of Net::SMPP: perl client.pl PORT FILE. Sends every other message synchronously and the rest asynchronously, and
# matches receipts by the message_id that the answer had. Tells what it sees in lines of JSON.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use Net::SMPP;
use lib $FindBin::Bin;
use Parts qw(parts_of);

my ($port, $file) = @ARGV;
$| = 1;
my $json = JSON::PP->new->utf8->canonical;
sub say_event { print $json->encode({@_}), "\n" }

open my $in, '<:raw', $file or die "$file: $!";
my $messages = $json->decode(do { local $/; <$in> });

my ($smpp, $bound) = Net::SMPP->new_transceiver(
    '127.0.0.1', port => $port, system_id => 'test', password => 'secret', smpp_version => 0x34);
die "no connection to port $port: $!" unless $smpp;
say_event(event => 'bound', status => $bound->status, system_id => $bound->{system_id});

my (%sent, %asked, @early, $wanted, $receipts);
$wanted = $receipts = 0;

sub match {
    @early = grep {
        my $pdu = $_;
        (my $id = $pdu->{receipted_message_id}) =~ s/\0$//;
        my $known = exists $sent{$id};
        if ($known) {
            my ($in_text, $state) = $pdu->{short_message} =~ /^id:(\S+) .*stat:(\S+) err:/;
            my $right = defined $in_text && $in_text eq $id && $pdu->{source_addr} eq $sent{$id};
            say_event(event => 'receipt', to => $sent{$id}, id => $id, state => $state,
                message_state => unpack('C', $pdu->{message_state}), right => $right ? JSON::PP::true : JSON::PP::false);
            $receipts++;
        }
        !$known;
    } @early;
}

# What comes while an answer is waited for is dropped, unless it has a handler.
sub delivered {
    my ($smpp, $pdu) = @_;
    push @early, $pdu;
    $smpp->deliver_sm_resp(seq => $pdu->seq, message_id => '');
}
${*$smpp}{handlers}->{0x5} = \&delivered;

sub answered {
    my ($to, $answer) = @_;
    say_event(event => 'answered', status => $answer->status, to => $to, id => $answer->message_id);
    $sent{$answer->message_id} = $to;
}

my $reference = 0;
for my $number (0 .. $#$messages) {
    my ($to, $text) = @{ $messages->[$number] }{qw(to text)};
    my ($coding, @parts) = parts_of($text);
    $reference = ($reference + 1) % 256;
    for my $at (0 .. $#parts) {
        my $header = @parts > 1 ? pack('C6', 5, 0, 3, $reference, scalar @parts, $at + 1) : '';
        my $async = $number % 2;
        my $answer = $smpp->submit_sm(
            source_addr => 'Test', source_addr_ton => 5, destination_addr => $to, dest_addr_ton => 1, dest_addr_npi => 1,
            registered_delivery => 1, data_coding => $coding, esm_class => @parts > 1 ? 0x40 : 0,
            short_message => $header . $parts[$at], async => $async);
        $wanted++;
        if ($async) { $asked{$answer} = $to }
        else { answered($to, $answer // die 'no answer') }
    }
    # A synchronous request would drop the answers to those that are not.
    while (%asked) { one() }
    match();
}

# Reads one PDU, and does what it asks for.
sub one {
    my $pdu = $smpp->read_pdu() or die "the connection is gone";
    if ($pdu->cmd == 0x5) { delivered($smpp, $pdu) }
    elsif ($pdu->cmd == 0x15) { $smpp->handle_enquire_link($pdu) }
    elsif ($pdu->cmd == 0x80000004) { answered(delete $asked{$pdu->seq}, $pdu) }
    else { say_event(event => 'other', id => $pdu->cmd) }
}

match();
while ($receipts < $wanted) { one(); match() }
my $alive = $smpp->enquire_link();
say_event(event => 'enquire_link_answered', status => $alive->status);
my ($id) = sort keys %sent;
my $state = $smpp->query_sm(message_id => $id, source_addr => 'Test', source_addr_ton => 5);
say_event(event => 'queried', status => $state->status, id => $id, message_state => $state->{message_state});
my $last = $smpp->unbind();
say_event(event => 'unbound', status => $last->status);
