"""The campaign through smpplib: python use_smpplib.py PORT CSV WINDOW. Prints the seconds that it took."""

import logging
import socket
import sys
import time

import smpplib.client
import smpplib.consts

logging.disable(logging.CRITICAL)
port, file, window = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with open(file, encoding="utf-8") as rows:
    next(rows)
    messages = [row.rstrip("\n").split(",", 1) for row in rows]
counts = {"answers": 0, "receipts": 0}


def answered(pdu):
    counts["answers"] += 1


def received(pdu):
    counts["receipts"] += 1


client = smpplib.client.Client("127.0.0.1", port, timeout=30)
client.set_message_sent_handler(answered)
client.set_message_received_handler(received)
client.connect()
client._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
client.bind_transceiver(system_id="peer", password="secret")
started = time.monotonic()
for sent, (to, text) in enumerate(messages):
    while sent - counts["answers"] >= window:
        client.read_once()
    client.send_message(
        source_addr="", destination_addr=to, short_message=text.encode(), registered_delivery=True
    )
while counts["answers"] < len(messages) or counts["receipts"] < len(messages):
    client.read_once()
print(time.monotonic() - started)
client.unbind()
client.disconnect()
