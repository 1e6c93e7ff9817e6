"""An ESME made of PyPI's aiosmpplib: python aiosmpplib_client.py PORT FILE. Its broker takes the messages, it cuts long ones into
parts itself, and its correlator says whose an answer or a receipt is. Tells what it sees in lines of JSON."""

import asyncio
import json
import logging
import sys

from aiosmpplib import ESME, NPI, TON, PhoneNumber, SubmitSm
from aiosmpplib.hook import AbstractHook

port, file = int(sys.argv[1]), sys.argv[2]


def say(**event):
    print(json.dumps(event), flush=True)


class Hook(AbstractHook):
    def __init__(self):
        self.receipts = 0
        self.changed = asyncio.Event()

    async def sending(self, message, pdu, client_id):
        pass

    async def received(self, message, pdu, client_id):
        name = type(message).__name__
        if name == "SubmitSmResp":
            say(event="answered", status=int(message.command_status), to=message.log_id, id=message.message_id)
        elif name == "DeliverSm" and message.is_receipt():
            self.receipts += 1
            self.changed.set()
            receipt = message.parse_receipt()
            # What the correlator found, or else nothing.
            say(event="receipt", to=message.log_id, id=receipt["id"], state=receipt["stat"], right=bool(message.log_id))
        elif name == "EnquireLinkResp":
            say(event="enquire_link_answered", status=int(message.command_status))
        else:
            say(event="other", name=name)

    async def send_error(self, message, error, client_id):
        say(event="error", words=repr(error), to=message.log_id)


async def main():
    hook = Hook()
    esme = ESME("127.0.0.1", port, "test", "secret", hook=hook, enquire_link_interval=5.0, log_level=logging.CRITICAL)
    messages = json.load(open(file, encoding="utf-8"))
    await esme.connect()
    say(event="bound", status=0)
    task = asyncio.create_task(esme.start())
    for message in messages:
        submit = SubmitSm(
            short_message=message["text"],
            source=PhoneNumber("Test", TON.ALPHANUMERIC, NPI.UNKNOWN),
            destination=PhoneNumber(message["to"], TON.INTERNATIONAL, NPI.ISDN),
            registered_delivery=1,
            esm_class=0b01000000,
            log_id=message["to"],
            auto_message_payload=False,
        )
        await esme.broker.enqueue(submit)
    while hook.receipts < len(messages):
        await hook.changed.wait()
        hook.changed.clear()
    await esme.stop()
    say(event="unbound", status=0)


asyncio.run(main())
