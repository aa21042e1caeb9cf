"""Recounts the rows of exports and compares the counts with those of `describe`.

    python3 recount.py PROGRAM [ZOO_ROWS]

It reads the files with code of its own and counts with everything in memory: rows, columns,
kinds, ranges, distinct and frequent values, frustration, sessions, days and hours. What is
exact must be equal, an estimate within 5 % (three standard errors of HyperLogLog), and frequent
values within what space-saving guarantees. In the end it changes numbers and texts of what
`describe` printed: each change must be seen as a difference. Its exit status is 1 if anything
differs.
"""

import copy
import json
import os
import subprocess
import sys
import tempfile
import time

import comparing
import counting
import hostile

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLE = os.path.join(HERE, "../../../shared/data/fullstory-events-sample.json")


class Recount:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.columns = self.values = self.differences = 0
        self.estimates = []

    def run(self, *args):
        done = subprocess.run([self.program, *args], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(args)}: {done.stderr}")
        return done.stdout

    def export(self, world, name, start, end, *flags):
        """Exports from a world of the built-in sandbox, and returns the folder."""
        folder = os.path.join(self.folder, world)
        self.run("run", "--quiet", "--sandbox", "--sandbox-op-time", "1ms", "--dir", folder, "--segment", "everyone",
                 "--yes", "--name", name, "--from", start, "--to", end, *flags)
        return os.path.join(folder, name)

    def describe(self, source, *flags):
        return json.loads(self.run("describe", source, "--json", *flags))

    def check(self, folder):
        """Compares all that the program says about a folder, and returns the rows of all files."""
        began = time.monotonic()
        c = comparing.Comparison()
        with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
            names = [f["name"] for f in json.load(file)["files"]]
        total, others = counting.Rows(), {}
        for name in names:
            c.what = name
            path = os.path.join(folder, name)
            rows = counting.Rows().read(path)
            with open(os.path.join(folder, ".profile", name + ".json"), encoding="utf-8") as file:
                profile = json.load(file)
            comparing.compare_profile(c, profile, rows)
            if len(names) > 1 and name == names[0]:
                comparing.compare_description(c, self.describe(path, "--values"), rows, 1, others_of(profile))
            total.plus(rows)
            for column, most in others_of(profile).items():
                others[column] = others.get(column, 0) + most
        c.what = os.path.basename(folder)
        self.compare(c, folder, total, len(names), others)
        self.columns, self.values = self.columns + c.columns, self.values + c.values
        self.differences += c.differences
        self.estimates += c.estimates
        print(f"{c.what}: {len(names)} files, {total.rows} rows, {len(total.columns)} columns; {c.columns} columns and "
              f"{c.values} values compared, {time.monotonic() - began:.1f} s", flush=True)
        return total, len(names), others

    def compare(self, c, folder, total, files, others):
        """Compares what is printed about a folder, with and without --values and --mask."""
        values = self.describe(folder, "--values")
        comparing.compare_description(c, values, total, files, others)
        comparing.compare_description(c, self.describe(folder), total, files, others, top=False)
        c.what += " --mask"
        comparing.compare_description(c, self.describe(folder, "--values", "--mask"), total, files, others, mask=True)
        c.what = c.what.removesuffix(" --mask")
        for pattern in ("evt_*", "?ser*", values["columns"][-2 % len(values["columns"])]["name"]):
            want = [one for one, name in zip(values["columns"], total.columns) if matches(pattern, name)]
            if want:
                c.same(f"--columns {pattern}", self.describe(folder, "--values", "--columns", pattern)["columns"], want)
        comparing.compare_hours(c, self.run("describe", folder), total)


def matches(pattern, name):
    pattern, name = pattern.lower(), name.lower()
    return {"evt_*": name.startswith("evt_"), "?ser*": name[1:4] == "ser"}.get(pattern, name == pattern)


def others_of(profile):
    return {column["name"]: column.get("others_at_most", 0) for column in profile["columns"]}


def leaves(value, path=()):
    """Yields the paths of all numbers, texts and truths."""
    if isinstance(value, dict | list):
        for key, of in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(of, (*path, key))
    else:
        yield path


def unseen_changes(description, total, files, others):
    """Changes what describe printed, one leaf at a time, and returns the changes that the
    comparison does not see."""
    paths = [p for p in leaves(description) if p[0] not in ("source", "export", "summary")]
    unseen = []
    for path in paths:
        changed = copy.deepcopy(description)
        at = changed
        for key in path[:-1]:
            at = at[key]
        was = at[path[-1]]
        by = 1
        if path[0] == "columns" and path[-1] == "rows":
            by += others[list(total.columns)[path[1]]]
        elif path[-1] in ("distinct", "people", "sessions"):
            by = 2 + was // 10  # an estimate may be wrong by less
        at[path[-1]] = not was if isinstance(was, bool) else was + by if isinstance(was, int) else was + "x"
        c = comparing.Comparison(quiet=True)
        comparing.compare_description(c, changed, total, files, others)
        if not c.differences:
            unseen.append(path)
    return len(paths), unseen


def exports(r, rows_of_zoo):
    """Makes the exports to recount, and yields their folders."""
    for kind, start, end in (("events", "2026-10-01", "2026-10-03"), ("people", "2026-10-01", "2026-10-02")):
        for form in ("ndjson", "json", "csv"):
            yield r.export("shop", f"{kind}-{form}", start, end, "--type", kind, "--format", form, "--chunk", "day",
                           "--sandbox-density", "50")
    zoo = os.path.join(r.folder, "rows.ndjson")
    script = (f"import {{ zoo }} from {json.dumps('file://' + os.path.join(HERE, '../landing/zoo.mjs'))};"
              f"process.stdout.write(zoo({rows_of_zoo}));")
    with open(zoo, "wb") as file:
        subprocess.run(["node", "--input-type=module", "-e", script], stdout=file, check=True)
    for form in ("ndjson", "json", "csv"):
        yield r.export("zoo", f"zoo-{form}", "2026-10-01", "2026-10-02", "--format", form, "--sandbox-data", zoo,
                       "--sandbox-state", os.path.join(r.folder, "zoo-state"))
    if os.path.exists(SAMPLE):
        for form in ("ndjson", "json", "csv"):
            yield r.export("real", f"real-{form}", "2020-08-27", "2020-08-31", "--format", form,
                           "--sandbox-data", SAMPLE, "--sandbox-state", os.path.join(r.folder, "real-state"))
    else:
        print(f"real rows: skipped, since {SAMPLE} is not here")
    for name, files in hostile.folders().items():
        folder = os.path.join(r.folder, name)
        hostile.write(folder, files)
        r.run("verify", "--upgrade", folder)
        yield folder


def main():
    program = os.path.abspath(sys.argv[1])
    rows_of_zoo = int(sys.argv[2]) if len(sys.argv) > 2 else 400
    changed = []
    with tempfile.TemporaryDirectory() as folder:
        r = Recount(program, folder)
        for export in exports(r, rows_of_zoo):
            total, files, others = r.check(export)
            if os.path.basename(export) == "hostile-ndjson":
                count, unseen = unseen_changes(r.describe(export, "--values"), total, files, others)
                changed.append(count)
                r.differences += len(unseen)
                for path in unseen[:20]:
                    print(f"  FAILED: a change of {path} is not seen")
    most = max((abs(e) for e in r.estimates), default=0)
    print(f"{r.columns} columns and {r.values} values compared; {len(r.estimates)} estimates of more than 768 values, "
          f"at most {100 * most:.1f} % wrong; {sum(changed)} changes seen; {r.differences or 'no'} differences")
    sys.exit(1 if r.differences or not changed else 0)


if __name__ == "__main__":
    main()
