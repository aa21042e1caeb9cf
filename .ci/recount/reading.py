"""Reads the rows of exported files: each value as it is written.

Nothing here is shared with the program. A value is a pair of its kind and its text: the
text of a string, and anything else as the file spells it.
"""

import gzip
import json
import re

SPACE = re.compile(r"[ \t\r\n]*")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
WORDS = {"t": ("bool", "true"), "f": ("bool", "false"), "n": ("null", "null")}
# A cell in quotes or not, and what ends it.
CELL = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\n|\Z)')
DECODER = json.JSONDecoder(strict=False)


def rows_of(path):
    """Yields rows: dicts of values by column. A CSV yields its header first, as a list."""
    with gzip.open(path) as file:
        text = decoded(file.read()).removeprefix("\ufeff")
    if path.endswith(".csv.gz"):
        yield from csv_rows(text)
        return
    at = SPACE.match(text, 0).end()
    array = path.endswith(".json.gz") and not path.endswith(".ndjson.gz")
    if array and at < len(text):
        at = SPACE.match(text, at + 1).end()  # after the [
    while at < len(text) and text[at] == "{":
        row, at = json_row(text, at)
        yield row
        at = SPACE.match(text, at).end()
        if array and text[at] == ",":
            at = SPACE.match(text, at + 1).end()


def decoded(raw):
    """Returns the text of UTF-8, with U+FFFD for each byte that is none."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return whole(raw.decode(errors="surrogateescape"))


def whole(text):
    """Returns a text with U+FFFD for each half of a surrogate pair."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def json_row(text, at):
    """Reads an object at text[at], of which the last value of a key counts, and where it ends."""
    row = {}
    at = SPACE.match(text, at + 1).end()
    while text[at] != "}":
        name, at = json.decoder.scanstring(text, at + 1, False)
        at = SPACE.match(text, at).end() + 1  # the colon
        at = SPACE.match(text, at).end()
        value, at = json_value(text, at)
        row[whole(name)] = value
        at = SPACE.match(text, at).end()
        if text[at] == ",":
            at = SPACE.match(text, at + 1).end()
    return row, at + 1


def json_value(text, at):
    first = text[at]
    if first == '"':
        value, end = json.decoder.scanstring(text, at + 1, False)
        return ("string", whole(value)), end
    if first in WORDS:
        return WORDS[first], at + len(WORDS[first][1])
    if first in "[{":
        _, end = DECODER.raw_decode(text, at)
        return ("list" if first == "[" else "object", text[at:end]), end
    end = NUMBER.match(text, at).end()
    return ("number", text[at:end]), end


def csv_rows(text):
    """Reads a CSV: the last column of a name counts, CR LF in quotes is LF, and blank lines
    are rows of a file with one column."""
    text = text.replace("\r\n", "\n")
    at, header, record = 0, None, []
    while at < len(text):
        cell = CELL.match(text, at)
        quoted, plain, end = cell.groups()
        at = cell.end()
        record.append(plain if quoted is None else quoted.replace('""', '"'))
        if end == "," and at == len(text):
            record.append("")
        if end == "," and at < len(text):
            continue
        if header is None:
            header = record
            yield header
        elif len(header) == 1 or record != [""]:
            yield {name: ("cell", value) for name, value in zip(header, record, strict=True)}
        record = []
