"""Compares the windows of syncs with those that Python's zoneinfo computes.

    python3 syncs.py WINDOWS ZONEINFO_ZIP

WINDOWS is a file of TestSyncsUnderKills (-sync-out): a JSON object for each sync, a line each. It
exits with a non-zero status if a window is missing, doubled or another one.
"""

import json
import os
import sys
import tempfile
import zipfile
import zoneinfo
from datetime import datetime, timedelta

from oracle import bounds, utc


def instant(text):
    return utc(datetime.fromisoformat(text.replace("Z", "+00:00")))


def check(sync):
    """Returns what is wrong with the windows of a sync, or an empty text."""
    zone = zoneinfo.ZoneInfo(sync["zone"])
    anchor, settled = instant(sync["anchor"]), instant(sync["until"]) - timedelta(hours=sync["lag_hours"])
    got = [(instant(w["Start"]), instant(w["End"])) for w in sync["windows"]]
    if not got:
        return "no windows"
    # The last bound is the end of the calculation, no bound of the calendar.
    latest = max(settled, got[-1][1]) + timedelta(days=3)
    calendar = bounds({"start": anchor, "end": latest, "zone": zone, "chunk": sync["every"], "sunday": False})[:-1]
    want = list(zip(calendar, calendar[1:]))
    if got != want[:len(got)]:
        wrong = next(i for i, (a, b) in enumerate(zip(got, want)) if a != b)
        return f"window {wrong} is {got[wrong]}, expected {want[wrong]}"
    if len(got) < len(want) and want[len(got)][1] <= settled:
        return f"window {len(got)}, {want[len(got)]}, is missing"
    return ""


def main():
    path, archive = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
        zoneinfo.reset_tzpath([os.path.abspath(folder)])
        syncs = windows = wrong = 0
        for line in open(path, encoding="utf-8"):
            sync = json.loads(line)
            text = check(sync)
            syncs, windows, wrong = syncs + 1, windows + len(sync["windows"]), wrong + bool(text)
            if text:
                print(f"{sync['name']} in {sync['zone']}: {text}")
    print(f"{syncs - wrong} of {syncs} syncs agree, {windows} windows")
    sys.exit(wrong > 0 or syncs == 0)


if __name__ == "__main__":
    main()
