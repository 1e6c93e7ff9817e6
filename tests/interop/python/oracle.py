"""Texts as others encode them: python oracle.py IN OUT. Reads an array of texts, and writes a line for each: encoding, octets of its
parts, and those packed. The GSM alphabet is that of gsmcodecs, its parts and what is packed are python-gsmmodem's, UCS2 is
aiosmpplib's."""

import json
import sys

import gsmcodecs  # Registers the codec.
from aiosmpplib.utils import split_sms_udh
from gsmmodem.pdu import divideTextGsm7, packSeptets


def encoded(text):
    try:
        whole = text.encode("gsm23.038")
    except UnicodeError:
        parts = split_sms_udh(text, "ucs2", 7)
        # Before a single part stands its length, as in the user data of an SMS; before others a header.
        return "ucs2", [part[6 if len(parts) > 1 else 1 :] for part in parts], []
    # Where 3GPP TS 23.038 has § python-gsmmodem has `.
    texts = [text] if len(whole) <= 160 else divideTextGsm7(text.replace("§", "`"))
    parts = [part.replace("`", "§").encode("gsm23.038") for part in texts]
    # Six bits of the last octet of a header of six are counted as used already, which leaves one free.
    pad = 6 if len(parts) > 1 else 0
    return "gsm7", parts, [packSeptets(bytearray(part), pad) for part in parts]


with open(sys.argv[1], encoding="utf-8") as texts, open(sys.argv[2], "w", encoding="utf-8") as out:
    for text in json.load(texts):
        encoding, *columns = encoded(text)
        print(encoding, *(",".join(part.hex() for part in column) for column in columns), sep="\t", file=out)
