"""An ESME made of PyPI's smpplib that tells nothing: python smpplib_driven.py PORT FILE. It sends what the file says, one after the
other, answers what comes, and ends when its connection does. Whoever tests it asks the SMSC."""

import json
import logging
import sys

import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.gsm

logging.disable(logging.CRITICAL)
answers = []
client = smpplib.client.Client("127.0.0.1", int(sys.argv[1]), timeout=30)
client.set_message_sent_handler(lambda pdu: answers.append(pdu))
client.set_message_received_handler(lambda pdu: 0)
# Otherwise it raises what the SMSC refuses.
client.set_error_pdu_handler(lambda pdu: None)
client.connect()
client.bind_transceiver(system_id="smpplib", password="secret")
try:
    for message in json.load(open(sys.argv[2], encoding="utf-8")):
        parts, data_coding, esm_class = smpplib.gsm.make_parts(message["text"])
        for part in parts:
            before = len(answers)
            client.send_message(
                source_addr_ton=smpplib.consts.SMPP_TON_ALNUM,
                source_addr="Test",
                dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
                dest_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
                destination_addr=message["to"],
                short_message=part,
                data_coding=data_coding,
                esm_class=esm_class,
                registered_delivery=True,
            )
            while len(answers) == before:
                client.read_once()
    while True:
        client.read_once()
except (smpplib.exceptions.ConnectionError, OSError):
    pass
