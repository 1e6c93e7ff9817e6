"""An ESME made of PyPI's smpplib: python smpplib_client.py PORT FILE. Sends what the file says, synchronously: one message, its
answer, the next. Matches receipts by the message_id that the answer had. Tells what it sees in lines of JSON."""

import json
import logging
import re
import sys

import smpplib.client
import smpplib.consts
import smpplib.gsm

logging.disable(logging.CRITICAL)
port, file = int(sys.argv[1]), sys.argv[2]
sent, early = {}, []
count = {"answers": 0, "receipts": 0, "wanted": 0}


def say(**event):
    print(json.dumps(event), flush=True)


def answered(pdu):
    count["answers"] += 1
    message_id = pdu.message_id.decode()
    sent[message_id] = destination
    say(event="answered", status=pdu.status, to=destination, id=message_id)


def received(pdu):
    """Receipts may come before their answers."""
    early.append((pdu.receipted_message_id.rstrip(b"\0").decode(), pdu.short_message.decode("latin-1"), pdu.source_addr.decode(), pdu.message_state))
    match()
    return 0


def match():
    for receipt in early[:]:
        message_id, text, source, state = receipt
        if message_id in sent:
            early.remove(receipt)
            count["receipts"] += 1
            found = re.match(r"id:(\S+) .*stat:(\S+) err:", text)
            right = found is not None and found[1] == message_id and source == sent[message_id]
            say(event="receipt", to=sent[message_id], id=message_id, message_state=state, state=found and found[2], right=right)



client = smpplib.client.Client("127.0.0.1", port, timeout=30)
client.set_message_sent_handler(answered)
client.set_message_received_handler(received)
client.connect()
bound = client.bind_transceiver(system_id="test", password="secret")
say(event="bound", status=bound.status, system_id=bound.system_id.decode())
for message in json.load(open(file, encoding="utf-8")):
    destination = message["to"]
    parts, data_coding, esm_class = smpplib.gsm.make_parts(message["text"])
    for part in parts:
        client.send_message(
            source_addr_ton=smpplib.consts.SMPP_TON_ALNUM,
            source_addr="Test",
            dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
            dest_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
            destination_addr=destination,
            short_message=part,
            data_coding=data_coding,
            esm_class=esm_class,
            registered_delivery=True,
        )
        count["wanted"] += 1
        while count["answers"] < count["wanted"]:
            client.read_once()
    match()
while count["receipts"] < count["wanted"]:
    client.read_once()
asked = smpplib.smpp.make_pdu("enquire_link", client=client)
client.send_pdu(asked)
while True:
    pdu = client.read_pdu()
    if pdu.command == "enquire_link":
        client._enquire_link_received(pdu)
    elif pdu.command == "enquire_link_resp" and pdu.sequence == asked.sequence:
        say(event="enquire_link_answered", status=pdu.status)
        break
last = client.unbind()
say(event="unbound", status=last.status)
client.disconnect()
