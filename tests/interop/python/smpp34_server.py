"""An SMSC made of PyPI's smpp34: python smpp34_server.py. Tells what it sees in lines of JSON. Receipts are TLVs and nothing else.
It gives texts as octets, which gsmcodecs, another package, reads."""

import asyncio
import json
import socket

import gsmcodecs  # Registers the codec.
import smpp34

BEFORE_UNBIND = 20
GSM = "gsm23.038"


def say(**event):
    print(json.dumps(event), flush=True)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def read(event):
    """The header and the text of a message."""
    octets, udh = event.short_message, b""
    if event.esm_class & 0x40:
        length = octets[0] + 1
        udh, octets = octets[:length], octets[length:]
    return udh.hex(), octets.decode("utf-16-be" if event.data_coding == 8 else GSM)


async def receipt(esme, event, message_id):
    answer = await esme.deliver_sm(
        event.source_addr,
        source_addr=event.destination_addr,
        source_addr_ton=1,
        source_addr_npi=1,
        esm_class=4,
        tlvs=[
            smpp34.Tlv(smpp34.TLV_RECEIPTED_MESSAGE_ID, message_id.encode() + b"\0"),
            smpp34.Tlv(smpp34.TLV_MESSAGE_STATE, b"\x02"),
        ],
    )
    say(event="receipt_answered", status=answer.command_status)


async def inbound(esme):
    parts = ["Длинный ", "ответ 😀"]
    all_of_it = [(0, 0, "Yes {please} €".encode(GSM))]
    for number, text in enumerate(parts, 1):
        all_of_it.append((0x40, 8, bytes([5, 0, 3, 7, len(parts), number]) + text.encode("utf-16-be")))
    for esm_class, data_coding, octets in all_of_it:
        answer = await esme.deliver_sm(
            "12345",
            octets,
            source_addr="447700900999",
            source_addr_ton=1,
            source_addr_npi=1,
            esm_class=esm_class,
            data_coding=data_coding,
        )
        say(event="inbound_answered", status=answer.command_status)


async def unbind(esme, receipts):
    await asyncio.gather(*receipts)
    await esme.unbind()
    say(event="unbind_answered", status=0)


async def main():
    port = free_port()
    server = smpp34.Server("127.0.0.1", port, system_id="smpp34")
    await server.start()
    say(event="listening", port=port)
    # Receipts for what comes when this side is about to unbind wait for the next bind.
    sessions, submits, receipts, held = {}, 0, [], []
    while True:
        event = await server.next()
        if isinstance(event, smpp34.Esme):
            sessions[event.session_id] = event
            say(event="bind", system_id=event.system_id)
            if len(sessions) == 2:
                receipts.append(asyncio.create_task(inbound(event)))
                receipts.extend(asyncio.create_task(receipt(event, *late)) for late in held)
        elif isinstance(event, smpp34.SubmitSmEvent):
            submits += 1
            message_id = f"py-{submits}"
            udh, text = read(event)
            say(event="submit", to=event.destination_addr, data_coding=event.data_coding, udh=udh, text=text)
            event.accept(message_id)
            esme = sessions[event.session_id]
            if submits > BEFORE_UNBIND and len(sessions) == 1:
                held.append((event, message_id))
                continue
            receipts.append(asyncio.create_task(receipt(esme, event, message_id)))
            if submits == BEFORE_UNBIND:
                asyncio.create_task(unbind(esme, list(receipts)))
        else:
            say(event="unbound")


asyncio.run(main())
