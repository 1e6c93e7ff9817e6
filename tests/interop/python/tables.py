"""Texts as another encodes them with national language shift tables: python tables.py IN OUT. Reads an array of pairs, the numbers
of the languages of the locking and the single shift table and a text, and writes a line for each: its septets, or - where the
tables lack a character. The tables are those of gsmcodecs."""

import json
import sys

import gsmcodecs  # Registers the codecs.

with open(sys.argv[1], encoding="utf-8") as texts, open(sys.argv[2], "w", encoding="utf-8") as out:
    for locking, single, text, _ in json.load(texts):
        try:
            print(text.encode(f"gsm23.038-{locking}-{single}").hex(), file=out)
        except UnicodeError:
            print("-", file=out)
