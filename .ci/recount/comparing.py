"""Compares what the program says about files with a recount of their rows."""

import re
import unicodedata
from datetime import datetime, timedelta

import counting

K = 128  # of space-saving, for files of at most 100 columns
MOST_TOP = 32  # values that a profile of a file lists for a column, at most
WITHIN = 0.05  # of an estimate of more than 768 values: three standard errors of HyperLogLog
SHOWN = 120  # characters of a value
COLUMNS = 1000  # of a profile
EVENTS = 30  # types of events that are listed
DAYS = 31  # days that are listed
PLACEHOLDERS = re.compile(r"\[(?:email|card|iban|coordinates|ip|phone)\]")
PERSONAL = re.compile(
    "(?:UserEmail|UserDisplayName|UserAppKey|PageIp|PageLatLong|Email|DisplayName|Uid|LastIp|LastLatLong|UserVars|"
    "EventVars|PageVars|user_.*|(?:evt|page)_(?:.*[_.-])?(?:email|phone|address|password|ip)(?:[_.-].*)?)",
    re.IGNORECASE | re.DOTALL,
)


class Comparison:
    """Counts what was compared, and the differences."""

    def __init__(self, quiet=False):
        self.columns = self.values = self.differences = 0
        self.estimates = []  # relative errors
        self.quiet, self.what = quiet, ""

    def same(self, what, got, want):
        self.values += 1
        if got != want:
            self.differ(f"{what}: {show(got)}, want {show(want)}")

    def differ(self, text):
        self.differences += 1
        if not self.quiet and self.differences <= 30:
            print(f"  FAILED {self.what}: {text}")

    def check(self, true, text):
        self.values += 1
        if not true:
            self.differ(text)

    def estimate(self, what, got, exact):
        """Compares an estimate: up to 768 values it may be one too small."""
        self.values += 1
        if exact <= 768:
            right = exact - 1 <= got <= exact
        else:
            self.estimates.append(got / exact - 1)
            right = abs(got - exact) <= WITHIN * exact
        if not right:
            self.differ(f"{what}: about {got}, and there are {exact}")


def show(value):
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"


def shown(text, most=SHOWN):
    """Returns a text as it is shown: on one line, without what does not show, and cut."""
    out, marks = "", 4
    for c in text:
        kind = unicodedata.category(c)
        if c in "\n\t" or kind[0] == "Z":
            out, marks = out + " ", 4
        elif kind in ("Cc", "Cf", "Co") or 0xFE00 <= ord(c) <= 0xFE0F or kind == "Cn" and ord(c) & 0xFFFE == 0xFFFE:
            continue
        elif kind not in ("Mn", "Me"):
            out, marks = out + ("\ufffd" if kind == "Cn" else c), 0
        elif marks < 4:
            out, marks = out + c, marks + 1
    return out if len(out) <= most else out[:most] + "…"


def compare_profile(c, got, rows):
    """Compares the profile of one file, all that is in it."""
    c.same("rows", got["rows"], rows.rows)
    c.same("events", {e["type"]: e["rows"] for e in got.get("events", [])}, top_events(rows))
    c.same("other events", got.get("other_events", 0), rows.events.total() - sum(top_events(rows).values()))
    facts = dict(flat({**got["frustration"], **got["errors"]}))
    c.same("longest rage click", facts.pop("longest_rage_click", 0), min(rows.longest, 999_999_999))
    c.same("facts", {k: n for k, n in facts.items() if n}, {k: n for k, n in rows.facts.items() if k != "error_clicks"})
    c.estimate("sessions", got["sessions"]["estimate"], len(rows.sessions))
    names = list(rows.columns)
    c.same("columns", [column["name"] for column in got["columns"]], names[:COLUMNS])
    c.same("columns left out", got.get("columns_left_out", 0), len(names[COLUMNS:]))
    for column in got["columns"]:
        if column["name"] in rows.columns:
            compare_profile_column(c, column, rows.columns[column["name"]], len(names) <= 100)


def top_events(rows):
    return {kind: n for kind, n in rows.events.items() if len(kind.encode()) <= 200}


def flat(facts):
    for name, n in facts.items():
        if isinstance(n, dict):
            yield from ((f"{name} {kind}", of) for kind, of in n.items())
        else:
            yield name, n


def compare_profile_column(c, got, column, few):
    c.columns += 1
    kinds, beyond, long = column.kinds()
    want = {"name": column.name, "type": column.type, "present": column.present, "kinds": dict(kinds)}
    rest = {"null": column.null, "empty": column.empty, "beyond_int64": beyond, "too_long": long, **column.ranges()}
    want.update({name: value for name, value in rest.items() if value})
    for name in sorted((got.keys() | want.keys()) - {"distinct", "top", "others_at_most"}):
        c.same(f"{name} of {column.name}", got.get(name), want.get(name))
    c.estimate(f"distinct of {column.name}", got["distinct"]["estimate"], len(column.values))
    compare_profile_top(c, got, column, few)


def compare_profile_top(c, got, column, few):
    """Checks what space-saving guarantees for each value of the column."""
    top, others = got.get("top", []), got.get("others_at_most", 0)
    left = dict(column.values)
    floor = column.values.total() // K if few else column.values.total()
    for listed in top:
        json, count, over = listed.get("json", False), listed["count"], listed.get("error", 0)
        found = [
            (kind, text)
            for kind, text in left
            if (kind != "string") == json and fits(text, listed) and count - over <= left[kind, text] <= count
        ]
        c.check(found and over <= floor, f"top of {column.name}: {show(listed)} is not so, or too inexact")
        if found:
            del left[found[0]]
    most = max(left.values(), default=0)
    c.check(most <= others, f"top of {column.name}: a value occurs {most} times, others at most {others}")
    if few:
        repeated = most if most > 1 else 1
        c.check(others <= max(repeated, 1) + floor or not left, f"top of {column.name}: others at most {others}")
        want = min(MOST_TOP, sum(1 for n in column.values.values() if n > max(1, floor)))
        c.check(len(top) >= min(want, MOST_TOP), f"top of {column.name} has {len(top)} values, want {want}")


def fits(text, listed):
    if "cut" in listed:
        return len(text.encode()) > counting.LONGEST and counting.clipped(text) == listed["value"]
    return text == listed["value"]


def compare_description(c, got, rows, files, others, mask=False, top=True):
    """Compares the JSON of describe. others is, by column, how often a value that top of the
    profiles lacks occurs at most: the sum of all files."""
    c.same("files", got["files"], files)
    c.same("rows", got["rows"], rows.rows)
    columns = list(rows.columns.values())[:COLUMNS]
    c.check(f" has {rows.rows} " in got["summary"] and f" {len(columns)} column" in got["summary"], got["summary"])
    c.same("a word about left out columns", "left out" in got["summary"], len(rows.columns) > COLUMNS)
    timed = bool(rows.times)
    first, last = (rows.times[0][1], rows.times[1][1]) if timed else ("", "")
    c.same("range", got["range"], {"first_event": first, "last_event": last})
    people = next((rows.columns[n] for n in ("IndvId", "UserId") if n in rows.columns), None)
    c.estimate("people", got["people"], len(people.values) if people else 0)
    c.estimate("sessions", got["sessions"], len(rows.sessions))
    events = sorted(rows.events.items(), key=lambda e: (-e[1], e[0].encode()))
    listed = [{"type": shown(kind, 60), "rows": n} for kind, n in events[:EVENTS]]
    if events[EVENTS:]:
        listed.append({"type": "all other types", "rows": sum(n for _, n in events[EVENTS:])})
    c.same("events", got["events"], listed)
    names = {"thrashed_cursor": "thrashes", "abandoned_forms": "abandoned"}
    for name, n in got["frustration"].items():
        c.same(name, n, rows.facts[names.get(name, name)])
    c.same("days", got["days"], days(rows))
    c.same("number of columns", got["column_count"], len(columns))
    c.same("has more", got["has_more"], False)
    c.same("columns", [column["name"] for column in got["columns"]], [shown(of.name) for of in columns])
    for column, want in zip(got["columns"], columns):
        compare_column(c, column, want, others.get(want.name, 0), mask, top)


def days(rows):
    by = {}
    for hour, n in rows.hours.items():
        by[hour // 24] = by.get(hour // 24, 0) + n
    listed = sorted(by.items())[-DAYS:]
    return [{"day": date(day), "rows": n} for day, n in listed]


def date(day):
    """Returns the date of a day since the year 0, which has 366 days."""
    return str((datetime(1, 1, 1) + timedelta(days=day - 366)).date())


def compare_column(c, got, column, others, mask, top):
    c.columns += 1
    name = column.name
    masked = mask and bool(PERSONAL.fullmatch(name))
    if mask and got.get("masked") and not masked:
        masked = name.startswith(("evt_", "page_"))  # the program has more words
    c.same(f"masked of {name}", got.get("masked", False), masked)
    c.same(f"type of {name}", got["type"], column.type)
    c.same(f"present of {name}", got["present"], column.present)
    c.same(f"empty of {name}", got["empty"], column.null + column.empty)
    c.estimate(f"distinct of {name}", got["distinct"], len(column.values))
    if masked:
        c.check(not got.keys() & {"min", "max", "top"}, f"{name} is masked and has values: {show(got)}")
        return
    ranges = column.ranges()
    span = next((ranges[of] for of in ("times", "numbers", "texts") if of in ranges), {"min": "", "max": ""})
    for end in ("min", "max"):
        same_text(c, f"{end} of {name}", got.get(end, ""), shown(span[end]), mask)
    if top:
        compare_top(c, got.get("top", []), column, others, mask)
    else:
        c.check("top" not in got, f"{name} has top without --values")


def same_text(c, what, got, want, mask):
    if mask and PLACEHOLDERS.search(got):
        return
    c.same(what, got, want)


def compare_top(c, got, column, others, mask):
    """Checks the frequent values that are shown. They are exact if all profiles have all."""
    exact = column.ordered()
    if others == 0:
        want = [{"value": shown(text), "rows": -n} for n, _, text in exact[:10]]
        c.same(f"top of {column.name}", len(got), len(want))
        for i, (value, of) in enumerate(zip(got, want)):
            c.same(f"rows of top {i} of {column.name}", value["rows"], of["rows"])
            same_text(c, f"top {i} of {column.name}", value["value"], of["value"], mask)
        return
    left = [(-n, shown(text)) for n, _, text in exact]
    tenth = 0
    for value in got:
        within = (v for v in left if v[0] <= value["rows"] <= v[0] + others)
        found = next((v for v in within if close(value["value"], v[1], mask)), None)
        c.check(found, f"top of {column.name}: {show(value)} is not so; others at most {others}")
        if found:
            left.remove(found)
            tenth = found[0]
    most = left[0][0] if left else 0
    # A value that is only known to occur once is not shown.
    c.check(most <= (tenth if len(got) == 10 else 1) + others, f"top of {column.name} lacks a value of {most} rows")


def close(got, want, mask):
    return got == want or mask and bool(PLACEHOLDERS.search(got))


def compare_hours(c, text, rows):
    """Compares the rows of each hour of the day, which only the description for readers has."""
    part = re.search(r"\nRows by hour \(UTC\)\n((?:[0-9].*\n)+)", text)
    if not rows.times:
        return c.check(not part, "there are hours without times")
    want = [0] * 24
    for hour, n in rows.hours.items():
        want[hour % 24] += n
    got = [int(line.split()[1].replace(",", "")) for line in part[1].splitlines()] if part else []
    c.same("rows by hour", got, want)
