"""Compares plan_time_chunks with bounds that Python's zoneinfo computes.

    python3 oracle.py PROGRAM ZONEINFO_ZIP [CASES] [SEED]

Both read the zone files of the Go distribution, which this script unpacks. They
share nothing else. It exits with a non-zero status if any bound of any case differs.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import zipfile
import zoneinfo
from datetime import datetime, timedelta, timezone

UTC = timezone.utc
# Names of the archive that the tool rejects.
REJECTED = {"EST", "MST", "HST", "Factory", "localtime", "posixrules"}
DURATIONS = {  # in seconds
    "PT15M": 900, "PT90M": 5400, "PT6H": 21600, "PT7H30M": 27000, "P1D": 86400, "P1DT12H": 129600, "P2W": 1209600,
}
UNITS = ["hour", "day", "week", "month", "quarter"]
LENGTHS = {"hour": 3600, "day": 86400, "week": 604800, "month": 2592000, "quarter": 7776000}
MOST = 1000  # chunks of a case, about


def utc(instant):
    return instant.astimezone(UTC)


def first_of(date, zone):
    """Returns the first instant at which the zone's clock shows midnight of date, or later."""
    midnight = datetime(date.year, date.month, date.day, tzinfo=zone)  # fold 0: the first if there are two
    at = utc(midnight)
    if at.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return at
    # The clock skips midnight: search for the transition.
    low, high = at - timedelta(days=2), at + timedelta(days=2)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).replace(tzinfo=None) < midnight.replace(tzinfo=None):
            low = middle
        else:
            high = middle
    return high


def transitions(start, end, zone):
    """Returns the instants in (start, end] at which the zone's offset changes."""
    found, step = [], timedelta(hours=3)
    at = start
    while at < end:
        until = min(at + step, end)
        if at.astimezone(zone).utcoffset() != until.astimezone(zone).utcoffset():
            low, high = at, until
            while high - low > timedelta(seconds=1):
                middle = (low + (high - low) // 2).replace(microsecond=0)
                if middle.astimezone(zone).utcoffset() == at.astimezone(zone).utcoffset():
                    low = middle
                else:
                    high = middle
            found.append(high)
        at = until
    return found


def dates(unit, start, end, zone, sunday):
    """Yields the dates on which a unit begins, from before start until after end."""
    day = (start.astimezone(zone) - timedelta(days=100)).date()
    last = (end.astimezone(zone) + timedelta(days=2)).date()
    while day <= last:
        first = day.day == 1
        if (unit == "day" or unit == "week" and day.weekday() == (6 if sunday else 0)
                or unit == "month" and first or unit == "quarter" and first and day.month in (1, 4, 7, 10)):
            yield day
        day += timedelta(days=1)


def hours(start, end, zone):
    """Returns the instants in (start, end) at which the clock shows a full hour or is changed."""
    changes = [c for c in transitions(start, end, zone) if c < end]
    found = set(changes)
    for low, high in zip([start] + changes, changes + [end]):
        shown = low.astimezone(zone)
        at = low + timedelta(hours=1) - timedelta(minutes=shown.minute, seconds=shown.second)
        while at < high:
            found.add(at)
            at += timedelta(hours=1)
    return found


def bounds(case):
    """Returns the bounds of the chunks of a case, in order."""
    start, end, zone, chunk = case["start"], case["end"], case["zone"], case["chunk"]
    if chunk in DURATIONS:
        inner, at = set(), start
        while at < end:
            inner.add(at)
            at += timedelta(seconds=DURATIONS[chunk])
    elif chunk == "hour":
        inner = hours(start, end, zone)
    else:
        inner = {first_of(d, zone) for d in dates(chunk, start, end, zone, case["sunday"])}
    return [start] + sorted(b for b in inner if start < b < end) + [end]


def draw(rng, names):
    """Returns a random case."""
    name = rng.choice(names)
    zone = zoneinfo.ZoneInfo(name)
    chunk = rng.choice(UNITS + list(DURATIONS))
    low, high = datetime(1970, 1, 1, tzinfo=UTC), datetime(2037, 12, 31, tzinfo=UTC)
    start = low + timedelta(seconds=rng.randrange(int((high - low).total_seconds()) - 86400))
    if rng.random() < 0.7:  # most mistakes are near a change of the clock
        changes = transitions(start, min(start + timedelta(days=400), high), zone)
        if changes:
            start = rng.choice(changes) + timedelta(seconds=rng.randrange(-3 * 86400, 3 * 86400))
    length = max(1, int(rng.random() ** 3 * MOST * LENGTHS.get(chunk, DURATIONS.get(chunk, 0)) * 0.9))
    end = min(start + timedelta(seconds=length), high)
    if end <= start:
        start = end - timedelta(hours=1)
    return {"name": name, "zone": zone, "chunk": chunk, "start": start, "end": end, "sunday": rng.random() < 0.3}


class Server:
    """A client of the program over stdio."""

    def __init__(self, program, archive, folder):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FULLSTORY_")}
        environment["ZONEINFO"] = os.path.abspath(archive)  # otherwise it prefers the zones of the system
        self.process = subprocess.Popen(
            [program, "--dir", folder, "--log-level", "error"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.last = 0
        client = {"name": "oracle", "version": "1"}
        self.request("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def request(self, method, params):
        self.last += 1
        self.send({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params})
        while True:
            answer = json.loads(self.process.stdout.readline())
            if answer.get("id") == self.last:
                return answer["result"]

    def plan(self, case):
        """Returns the chunks of a case from all pages, and the count that the tool gives."""
        chunks = []
        written = "%Y-%m-%dT%H:%M:%SZ"
        while True:
            result = self.request("tools/call", {"name": "plan_time_chunks", "arguments": {
                "time_range": {"start": case["start"].strftime(written), "end": case["end"].strftime(written)},
                "chunk": case["chunk"], "timezone": case["name"],
                "week_start": "sunday" if case["sunday"] else "monday", "offset": len(chunks), "limit": 500}})
            if result.get("isError"):
                raise ValueError(result["content"][0]["text"])
            page = result["structuredContent"]
            chunks += page["chunks"]
            if not page["has_more"]:
                return chunks, page["count"]


def differences(case, chunks, count):
    """Yields the differences between the chunks of the tool and the expected bounds."""
    want = bounds(case)
    if count != len(chunks) or len(chunks) != len(want) - 1:
        yield f"{len(chunks)} chunks listed, count is {count}, {len(want) - 1} expected"
    for i, (chunk, start, end) in enumerate(zip(chunks, want, want[1:])):
        for side, at in (("start", start), ("end", end)):
            got = datetime.fromisoformat(chunk[side].replace("Z", "+00:00"))
            offset = at.astimezone(case["zone"]).utcoffset()
            if offset.seconds % 60:  # RFC 3339 has no seconds in offsets: the tool writes UTC
                offset = timedelta(0)
            if utc(got) != at or got.utcoffset() != offset:
                yield f"chunk {i}: {side} {chunk[side]}, expected {at.astimezone(case['zone']).isoformat()}"
        if chunk["index"] != i or abs(chunk["hours"] - (end - start).total_seconds() / 3600) > 1e-3:
            yield f"chunk {i}: {chunk}, expected {(end - start).total_seconds() / 3600} hours"


def main():
    program, archive = sys.argv[1:3]
    cases = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else random.randrange(10**9)
    rng = random.Random(seed)
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        zones = os.path.join(folder, "zoneinfo")
        with zipfile.ZipFile(archive) as packed:
            names = sorted(n for n in packed.namelist() if not n.endswith("/") and n not in REJECTED)
            packed.extractall(zones)
        zoneinfo.reset_tzpath([zones])
        server = Server(program, archive, os.path.join(folder, "exports"))
        total = wrong = 0
        for _ in range(cases):
            case = draw(rng, names)
            chunks, count = server.plan(case)
            found = list(differences(case, chunks, count))
            total, wrong = total + count, wrong + bool(found)
            for text in found[:3]:
                span = f"{case['start'].isoformat()} {case['end'].isoformat()}"
                print(f"{case['name']} {case['chunk']} {span} sunday={case['sunday']}: {text}")
        server.process.stdin.close()
        server.process.wait(10)
    print(f"{cases - wrong} of {cases} cases agree, {total} chunks in {len(names)} zones")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
