"""Export folders with hostile values, which are written by hand: no exporter is between.

Each has a manifest that is just enough for `verify --upgrade`, which writes the profiles.
"""

import gzip
import hashlib
import json
import os

import counting

ODD = "ab\u00e9 \U0001f600 e\u0301\u0301 \u05d0 \u202e \u200b \ufeff \u2028 tab\tnl\\n \u0000 <b>*md*</b> [x](y)"
# What a column of each type may hold, as JSON; values of other types among them.
NUMBERS = """0 -0 1 -1 7 7 7 9007199254740993 9007199254740992 9223372036854775807 9223372036854775808
    -9223372036854775808 -9223372036854775809 123456789012345678 1234567890123456789 1e3 1E3 1.0e3 1000 1000.0 -2.5e-7
    0.1 0.10 1e-400 1e400 -1e400 1e99999999 0.30000000000000004 100000000000000000000000000000000000001""".split()
NUMBERS += ["9" * 200, "9" * 201, "0." + "1" * 300, '"7"', '"seven"', "true", "null", '""', "[]", "{}", "[7]"]
TEXTS = [
    '""', '" "', '"a"', '"A"', '"\\u0061"', '"a\\u0000b"', json.dumps(ODD), 
    json.dumps(ODD, ensure_ascii=False).replace("\u2028", " "),
    '"\\ud83d\\ude00"', '"\U0001f600"', '"\\ud800"', '"\\udc00\\ud800"', '"\\ud800x"', '"\ufffd"',
    '"' + "\u00e9" * 99 + 'xy"',
    '"' + "\u00e9" * 100 + '"', '"' + "\u00e9" * 101 + '"', '"' + "x" * 199 + '\u00e9"', '"' + "x" * 200 + '"',
    '"' + "x" * 201 + '"',
    '"' + "x" * 201 + 'y"', '"' + "x" * 30000 + '"', '"\\/\\b\\f\\n\\r\\t\\"\\\\"', '"null"', '"[]"', "null", "5",
    "5.0", "true", "[ ]",
    '{"a":[1,{"b":null}]}', '{ "a" : 1 }', '{"a":1}', '"person@example.com"', '"+49 170 1234567"', '"192.0.2.7"',
]
LISTS = [
    "[]", "[ \t ]", "[null]", "[[]]", "[[[[1]]],{}]", '["a","\\u0061"]', '["\\ud800"]', "[1,1.0,1e0]",
    "[1, 1.0, 1e0]", '"[1]"',
    '"x"', "1", "null", "{}", '{"a":[]}', "[" + "1," * 400 + "1]", "[" * 40 + "]" * 40,
]
TIMES = [f'"{t}"' for t in """2026-10-01T10:00:00Z 2026-10-01T10:00:00.0Z 2026-10-01T12:00:00+02:00 2026-10-01T10:00:00
    2026-10-01t10:00:00z 2026-10-01T12:00:00+02 2026-10-01T12:00:00+0200 2026-10-01T10:00:00.123456789Z
    2026-10-01T10:00:00.1234567890Z 2026-02-29T00:00:00Z 2024-02-29T00:00:00Z 1900-02-29T00:00:00Z 2000-02-29T00:00:00Z
    0000-01-01T00:00:00Z 0001-01-01T00:00:00+23:59 9999-12-31T23:59:59.999999999Z 2026-10-01T24:00:00Z
    2026-10-01T23:59:60Z 2026-10-01""".split()] + ["null", '""', "5", '"2026-10-01 10:00:00"']
BOOLS = ["true", "false", "true", '"true"', "0", "null", "[true]", '""']
MARKS = ["0", "1", "2", "3", "4", "7", '"1"', "null", '""', "true", "[1]", "1.0", "-1", "12345678901"]
KINDS = ["click", "click", "click_error", "thrash", "abandon", "exception", "console_message", "seen_error",
    "custom_error",
         "crashed", "navigate", "gr\u00f6\u00dfe", "\\u0063lick", "x" * 201, "\\ud800", ""]
COLUMNS = {
    "evt_n_int": NUMBERS, "evt_n_real": NUMBERS, "PageDuration": NUMBERS, "evt_any": NUMBERS + TEXTS + LISTS,
    "evt_t_str": TEXTS, "user_t_str": TEXTS, "UserEmail": TEXTS, "New\\u0046ield": TEXTS, "evt_l_strs": LISTS,
    "evt_l_ints": LISTS,
    "page_l_dates": LISTS, "evt_t_date": TIMES, "PageStart": TIMES, "evt_b_bool": BOOLS, "UserVars": LISTS + TEXTS,
    "": NUMBERS, " spaced \\t": TEXTS, "evt_a.b_str": TEXTS, "evt__str": NUMBERS, "UserId": NUMBERS,
    "SessionId": ["1", "2", '"2"', "null"],
    "EventSubType": ['"error"', '"other"', "null"], "EventModFrustrated": MARKS, "EventModDead": MARKS,
    "EventModError": MARKS, "EventModSuspicious": MARKS,
}


def json_rows(day, count=600):
    """Returns JSON rows as bytes. Some have a key twice, or bytes that are not UTF-8."""
    rows = []
    for i in range(count):
        at = f'"2026-10-{day:02}T{i * 7 % 24:02}:{i % 60:02}:00.{i % 1000:03}Z"'
        members = [f'"EventStart":{at}', f'"EventType":"{KINDS[i * i % 31 % len(KINDS)]}"']
        for j, (name, values) in enumerate(COLUMNS.items()):
            k = (i * (j + 3) + i // 7) % (2 * len(values))
            if k < len(values):  # otherwise absent
                members.append(f'"{name}" : {values[k]}' if i % 5 == 0 else f'"{name}":{values[k]}')
            if i % 11 == j % 11 and k < len(values):
                members.append(f'"{name}":{values[k - 1]}')  # the last one counts
        if i % 13 == 0:
            members[1] = '"EventType":"cl\udcffick"'
            members.append('"k\udcff":"a\udce2\udc82"')
        if i % 13 == 1:
            members.append('"k\udcfe":["a\udced\udca0\udc80"]')
        if i % 17 == 0:
            members.reverse()
        if i == 5:
            members.append('"evt_late_int":5')
        rows.append(("{" + ",".join(members) + "}").encode(errors="surrogateescape"))
    return rows


CELLS = ["", "a", '"a"', '""', '"a ""quoted"" text"', '"line\nend"', '"line\r\nend"', '"lone\rcr"', '"a,b"', " a ",
    "null",
         "true", "false", "0", "-0", "007", "7", "7.0", "1e3", "9007199254740993", "9223372036854775808", "1e400",
         "NaN",
         "[]", "[ ]", "{}", '"[1, ""x""]"', '"[1"', "[not json]", '"{""a"": 1}"', "2026-10-01T10:00:00Z",
         "2026-10-01T12:00:00+02:00", "soon", "\udcff\udce2\udc82", "\ufffd", "\U0001f600\u202e", "x" * 201,
         "x" * 200 + "y"]
CSV_COLUMNS = ["EventStart", "EventType", "evt_x_str", "evt_x_int", "evt_x_real", "evt_x_bool", "evt_x_date",
    "evt_x_strs", "evt_x_ints",
               "UserVars", "Other", "twice", "EventModError", "EventModDead", "UserId", "SessionId", "IndvId",
               "twice", '"quoted ""name"""', ""]


def csv_file(day, count=800, end="\n"):
    """Returns a CSV with cells of all sorts in every column, and a column twice."""
    lines = [",".join(CSV_COLUMNS)]
    for i in range(count):
        at = f"2026-10-{day:02}T{i * 5 % 24:02}:{i % 60:02}:00Z"
        cells = [CELLS[(i * (j + 2) + i // 11) % len(CELLS)] for j in range(2, len(CSV_COLUMNS))]
        kind = ["click", "cl\udcffick", '"click"', "click_error", ""][i % 5]
        lines.append(",".join([at, kind, *cells]))
    return (end.join(lines) + end).encode(errors="surrogateescape")


def wide_file(day):
    """Returns rows of 1,050 columns with more values than there is memory for counters."""
    rows = []
    for i in range(80):
        rows.append('{"EventStart":"2026-10-%02dT00:00:00Z",%s}' % (
            day, ",".join(f'"evt_c{j}_int":{i * (j + 1) % (j + 3)}' for j in range(1050))))
    return "\n".join(rows).encode()


def large_file(day):
    """Returns rows whose columns have many different values, a few of them frequent."""
    rows = []
    for i in range(8000):
        skew = i % 5 if i % 3 else i * 7919 % 6007
        rows.append(f'{{"EventStart":"2026-10-{day:02}T01:00:00.{i % 1000:03}Z","UserId":{i * i % 9973},'
                    f'"SessionId":{i // 3 % 1500},"evt_skew_str":"v{skew}","evt_id_str":"{day}-{i}"}}')
    return "\n".join(rows).encode()


def folders():
    """Returns the files of each folder, by name: their format and content by day."""
    return {
        "hostile-ndjson": ("ndjson", [b"\n".join(json_rows(d)) + b"\n" for d in (1, 2, 3)]),
        "hostile-json": ("json", [b" [\n" + b" ,\r\n".join(json_rows(d)) + b"]\n" for d in (1, 2)] + [b"[]"]),
        "hostile-csv": ("csv", [csv_file(1), b"\xef\xbb\xbf" + csv_file(2, end="\r\n"), csv_file(3).rstrip(b"\n")]),
        "one-column": ("csv", [b"EventType\nclick\n\nclick\n\"\"\n\n", b"EventType\r\n\r\nthrash"]),
        "wide": ("ndjson", [wide_file(1)]),
        "large": ("ndjson", [large_file(d) for d in (1, 2, 3)]),
    }


def write(folder, files):
    """Writes the files of a folder, packed in two gzip members each, and their manifest."""
    form, contents = files
    os.makedirs(folder)
    entries = []
    for day, content in enumerate(contents, 1):
        half = len(content) // 2
        packed = gzip.compress(content[:half], mtime=0) + gzip.compress(content[half:], mtime=0)
        name = f"2026100{day}.{form}.gz"
        with open(os.path.join(folder, name), "wb") as file:
            file.write(packed)
        rows = counting.Rows().read(os.path.join(folder, name))
        first, last = ([t[1] for t in rows.times] or ["", ""])
        entries.append({
            "name": name, "start": f"2026-10-0{day}T00:00:00Z", "end": f"2026-10-0{day + 1}T00:00:00Z",
            "bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest(), "rows": rows.rows,
            "first_event": first, "last_event": last,
        })
    request = {"segment_id": "everyone", "type": "TYPE_EVENT", "format": "FORMAT_" + form.upper(),
               "time_range": {"start": "2026-10-01T00:00:00Z", "end": "2026-10-05T00:00:00Z"}}
    if os.path.basename(folder) == "one-column":
        request["fields"] = ["EventType"]
    with open(os.path.join(folder, "manifest.json"), "w", encoding="utf-8") as file:
        json.dump({"version": 2, "state": "complete", "request": request, "files": entries}, file)
