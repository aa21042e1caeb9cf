"""Counts what the rows of files have, with everything in memory."""

import re
from collections import Counter
from decimal import Decimal

import reading

LONGEST = 200  # bytes of a value in a profile
WORDS = {
    "integer": """IndvId UserId SessionId PageId EventDuration EventSecondaryDuration EventPageOffset
        EventSessionOffset EventModFrustrated EventModDead EventModError EventModSuspicious EventFirstInputDelay
        PageDuration PageActiveDuration PageScreenWidth PageScreenHeight PageViewportWidth PageViewportHeight
        PageNumEvents PageNumDerivedEvents PageNumInfos PageNumWarnings PageNumErrors PageClusterId
        PageMaxScrollDepthPercent LoadDomContentTime LoadEventTime LoadFirstPaintTime LoadLargestPaintTime ReqStatus
        NumSessions NumPages NumEvents LastSessionNumPages LastSessionNumEvents""",
    "real": """EventCumulativeLayoutShift TotalSec ActiveSec AvgSessionSec AvgSessionActiveSec MaxSessionSec
        LastSessionSec LastSessionActiveSec""",
    "time": "UserCreated SessionStart EventStart PageStart Created LastSessionStart LastEventStart",
    "object": "UserVars EventVars PageVars",
}
TYPES = {name: kind for kind, names in WORDS.items() for name in names.split()}
SUFFIXES = {"str": "string", "int": "integer", "real": "real", "bool": "bool", "date": "time"}
VARIABLE = re.compile(r"(?:user|evt|page)_.+_(str|int|real|bool|date)(s?)", re.DOTALL)
TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?", re.ASCII
)
DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


def type_of(column):
    """Returns the type of a column by its name."""
    variable = VARIABLE.fullmatch(column)
    if column in TYPES or not variable:
        return TYPES.get(column, "string")
    return SUFFIXES[variable[1]] + variable[2]


def instant(text):
    """Returns the nanoseconds from the year 0 to a time; None if text is none."""
    match = TIME.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second = (int(n) for n in match.groups()[:6])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12 or not 1 <= day <= DAYS[month - 1] + (leap and month == 2):
        return None
    away_hours, away_minutes = int(match[9] or 0), int(match[10] or 0)
    if max(hour, away_hours) > 23 or max(minute, second, away_minutes) > 59:
        return None
    before = year - 1
    days = 365 * year + (before // 4 - before // 100 + before // 400 + 1 if year else 0)
    days += sum(DAYS[: month - 1]) + (leap and month > 2) + day - 1
    away = (60 * away_hours + away_minutes) * (-1 if match[8] == "-" else 1)
    seconds = days * 86400 + hour * 3600 + (minute - away) * 60 + second
    return seconds * 10**9 + int((match[7] or "").ljust(9, "0"))


def number(value):
    """Returns the integer that a value spells; None if it is none."""
    if value and value[0] in ("number", "cell", "string") and re.fullmatch("-?[0-9]+", value[1], re.ASCII):
        return int(value[1])
    return None


def clipped(text):
    """Returns the first bytes of a text, cut at a character."""
    raw = text.encode()
    return text if len(raw) <= LONGEST else raw[:LONGEST].decode(errors="ignore")


def once(method):
    """Makes a method of a Column keep its result until there are more values."""

    def kept(self):
        if self.kept.get(method.__name__, (None,))[0] != self.present:
            self.kept[method.__name__] = (self.present, method(self))
        return self.kept[method.__name__][1]

    return kept


class Column:
    """The values of one column."""

    def __init__(self, name):
        self.name, self.type = name, type_of(name)
        self.present = self.null = self.empty = 0
        self.values = Counter()  # by (kind, text)
        self.kept = {}

    def add(self, value):
        self.present += 1
        kind, text = self.typed(value)
        hollow = kind in ("list", "object") and not text[1:-1].strip(" \t\r\n")
        if kind == "null":
            self.null += 1
        elif text == "" or hollow:
            self.empty += 1
        else:
            self.values[kind, text] += 1

    def typed(self, value):
        """Returns the value of a cell as JSON would have it, by the type of its column."""
        kind, text = value
        if kind != "cell":
            return value
        if self.type in ("integer", "real"):
            return ("number" if reading.NUMBER.fullmatch(text) else "string"), text
        if self.type == "bool":
            return ("bool" if text in ("true", "false") else "string"), text
        if self.type not in ("string", "time"):
            ends, kind = ("{}", "object") if self.type == "object" else ("[]", "list")
            whole = len(text) >= 2 and text[0] == ends[0] and text[-1] == ends[1]
            return (kind if whole else "string"), text
        return "string", text

    def plus(self, other):
        self.present += other.present
        self.null += other.null
        self.empty += other.empty
        self.values += other.values

    def kind(self, kind, text):
        """Returns the kind of a value in a profile."""
        if kind == "number":
            return "real" if re.search("[.eE]", text) else "integer"
        if kind == "string" and self.type == "time" and instant(text) is not None:
            return "time"
        return kind

    @once
    def kinds(self):
        """Counts values by kind, beyond 64 bits, and numbers that are too long for a range."""
        kinds, beyond, long = Counter(), 0, 0
        for (kind, text), rows in self.values.items():
            kinds[self.kind(kind, text)] += rows
            if kind == "number":
                long += rows * (len(text) > LONGEST)
                if not re.search("[.eE]", text):
                    beyond += rows * (len(text) > 30 or not -(2**63) <= int(text) < 2**63)
        return kinds, beyond, long

    @once
    def ordered(self):
        """Returns the values by how often they occur: the negative number of rows, whether a
        value is other than a text, and the value, clipped."""
        every = ((-n, kind != "string", clipped(text)) for (kind, text), n in self.values.items())
        return sorted(every, key=lambda v: (v[0], v[1], v[2].encode()))

    @once
    def ranges(self):
        """Returns the smallest and the largest number, text and time, as spelled."""
        orders = {
            "numbers": lambda text: (Decimal(text), text),
            "texts": lambda text: clipped(text).encode(),
            "times": lambda text: (instant(text), text.encode()),
        }
        names = {"string": "texts", "time": "times", "integer": "numbers", "real": "numbers"}
        found = {}
        for kind, text in self.values:
            of = names.get(self.kind(kind, text))
            if of and not (of == "numbers" and len(text) > LONGEST):
                found.setdefault(of, []).append(text)
        return {
            of: {"min": clipped(min(texts, key=orders[of])), "max": clipped(max(texts, key=orders[of]))}
            for of, texts in found.items()
        }


class Rows:
    """The rows of files."""

    def __init__(self):
        self.rows = 0
        self.columns = {}
        self.events, self.facts, self.hours = Counter(), Counter(), Counter()
        self.longest = 0
        self.sessions = set()
        self.times = []  # of the first and the last event, by instant

    def read(self, path):
        for row in reading.rows_of(path):
            if isinstance(row, list):
                for name in row:
                    self.column(name)
            else:
                self.add(row)
        return self

    def column(self, name):
        if name not in self.columns:
            self.columns[name] = Column(name)
        return self.columns[name]

    def add(self, row):
        self.rows += 1
        for name, value in row.items():
            self.column(name).add(value)
        scalar = {n: v[1] for n, v in row.items() if v[0] not in ("null", "list", "object") and v[1] != ""}
        kind = scalar.get("EventType")
        if kind is not None:
            self.events[kind] += 1
        self.add_facts(kind, row, scalar)
        if "UserId" in scalar and "SessionId" in scalar:
            self.sessions.add((scalar["UserId"], scalar["SessionId"]))
        at = instant(scalar.get("EventStart", ""))
        if at is not None:
            self.hours[at // (3600 * 10**9)] += 1
            if not self.times or at < self.times[0][0]:
                self.times[:1] = [(at, scalar["EventStart"])]
            if len(self.times) < 2 or at > self.times[1][0]:
                self.times[1:] = [(at, scalar["EventStart"])]

    def add_facts(self, kind, row, scalar):
        """Counts frustration and errors by what Fullstory documents of EventMod… and EventType."""
        burst, mark = number(row.get("EventModFrustrated")) or 0, number(row.get("EventModError")) or 0
        suspicious = number(row.get("EventModSuspicious"))
        self.longest = max(self.longest, burst)
        error = {0: None, 1: "unknown", 2: "console", 3: "exception"}.get(mark, "other")
        clicked = kind == "click_error" or kind == "click" and error
        facts = {
            "rage_clicks": burst == 1,
            "rage_click_rows": burst > 0,
            "dead_clicks": number(row.get("EventModDead")) == 1,
            "thrashes": kind == "thrash",
            "abandoned": kind == "abandon",
            "exceptions": kind == "exception",
            "console_errors": kind == "console_message" and scalar.get("EventSubType") == "error",
            "click_errors": kind == "click_error",
            "seen_errors": kind == "seen_error",
            "custom_errors": kind == "custom_error",
            "crashes": kind == "crashed",
            "sql_injections": suspicious == 1,
            "xss": suspicious == 2,
            "error_clicks": clicked,
            f"error_clicks {error or 'unknown'}": clicked,
            f"by_mark {error}": error,
        }
        self.facts.update(name for name, true in facts.items() if true)

    def plus(self, other):
        """Adds the rows of another file."""
        self.rows += other.rows
        for name, column in other.columns.items():
            self.column(name).plus(column)
        for mine, its in zip((self.events, self.facts, self.hours), (other.events, other.facts, other.hours)):
            mine.update(its)
        self.longest = max(self.longest, other.longest)
        self.sessions |= other.sessions
        times = sorted([*self.times[:1], *other.times[:1]], key=lambda t: t[0])[:1]
        last = [*self.times[1:], *other.times[1:]]
        self.times = times + ([max(last, key=lambda t: t[0])] if last else [])
