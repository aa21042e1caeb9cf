#!/usr/bin/env python3
"""Writes the pictures in this folder: terminals of 80 and 120 columns, as SVG.

    docs/captures/make.py PROGRAM

It needs tmux. The sandbox has a fixed seed and clock, so that only durations differ.
"""
import html
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SANDBOX = ["--sandbox", "--sandbox-now", "2026-11-25T12:00:00Z", "--sandbox-op-time", "1s"]
MONTH = "--segment everyone --from 2026-10-01 --to 2026-10-13 --name october"

# What another process does while a picture is taken.
BESIDE = {"status-watch": "run --segment everyone --from 2026-07-01 --to 2026-07-13 --name july --max-in-flight 2"}

# The name of a picture, the command, and an expression for the text with which it is taken.
SCENES = [
    ("demo", "demo", "rm -r "),
    ("plan", "plan --segment everyone --from 2026-10-24 --to 2026-10-28 --timezone Europe/Berlin", "Folder: "),
    ("run-under-way", "run " + MONTH + " --max-in-flight 2", r" [2-9]/12 files"),
    ("run", "run " + MONTH, "is complete"),
    ("list", "list", r"everyone\)"),
    ("status", "status october", "Check the files"),
    ("status-watch", "status july --watch", r" [3-9]/12 files"),
    ("describe", "describe october --columns EventType", r"(?m)^EventType"),
    ("doctor", "doctor", "Connect a host"),
]


def tmux(*args):
    return subprocess.run(["tmux", "-L", "captures", *args], check=True, capture_output=True, text=True).stdout


def beside(program, folder, name):
    """Starts the process beside a picture, and waits until its work is under way. Returns it, or None."""
    if name not in BESIDE:
        return None
    process = subprocess.Popen([program, *SANDBOX, "--dir", folder, *BESIDE[name].split()],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    process.stdout.readline()  # it is started
    return process


def capture(bin, folder, width, command, until):
    """Returns the lines of a terminal with escape sequences, once it shows until. The program is in the folder bin."""
    flags = [] if command == "demo" else [*SANDBOX, "--dir", folder]
    line = " ".join(["fullstory-export-mcp", *map(shlex.quote, flags), command])
    shown = "$ fullstory-export-mcp " + command
    script = f"PATH={shlex.quote(bin)}:$PATH; clear; printf '%s\\n' {shlex.quote(shown)}; {line}; sleep 60"
    tmux("new-session", "-d", "-x", str(width), "-y", "100", "-s", "scene", "bash", "--norc", "-c", script)
    try:
        for _ in range(400):
            time.sleep(0.1)
            text = tmux("capture-pane", "-e", "-p", "-t", "scene")
            if re.search(until, re.sub(r"\x1b\[[0-9;]*m", "", text)):
                return text.rstrip().split("\n")
        raise SystemExit(f"{command}: no {until!r} in\n{text}")
    finally:
        tmux("kill-session", "-t", "scene")


COLOURS = {"31": "red", "32": "green", "33": "yellow", "36": "cyan", "1": "bold"}


def svg(lines, width):
    """Returns a picture of lines with escape sequences."""
    out, classes = [], set()
    for number, line in enumerate(lines):
        column = 0
        for part in re.split(r"(\x1b\[[0-9;]*m)", line):
            if part.startswith("\x1b["):
                for code in part[2:-1].split(";"):
                    if code in ("", "0", "39"):
                        classes.clear()
                    elif code in COLOURS:
                        classes.add(COLOURS[code])
            elif part.strip():
                style = f' class="{" ".join(sorted(classes))}"' if classes else ""
                x, y = 12 + column * 8.4, 24 + number * 18
                out.append(f'<text x="{x:.1f}" y="{y}"{style} xml:space="preserve">{html.escape(part)}</text>')
            column += 0 if part.startswith("\x1b[") else len(part)
    w, h = int(24 + width * 8.4), 24 + len(lines) * 18
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" font-family="monospace" font-size="14">
<style>
  rect {{ fill: #fff }} text {{ fill: #24292f }} .bold {{ font-weight: bold }}
  .red {{ fill: #b3261e }} .green {{ fill: #1a7f37 }} .yellow {{ fill: #8a6100 }} .cyan {{ fill: #0b6e8a }}
  @media (prefers-color-scheme: dark) {{
    rect {{ fill: #14181d }} text {{ fill: #d6dbe1 }}
    .red {{ fill: #ff8f87 }} .green {{ fill: #5fd47b }} .yellow {{ fill: #e3b341 }} .cyan {{ fill: #6cc7e6 }}
  }}
</style>
<rect width="100%" height="100%" rx="6"/>
{chr(10).join(out)}
</svg>
"""


def main(program):
    tmux("new-session", "-d", "-s", "kept")  # so that the server does not end between two scenes
    try:
        draw(program)
    finally:
        tmux("kill-server")


def draw(program):
    """Writes the picture of each scene in both widths."""
    for width in (80, 120):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as bin:
            os.symlink(os.path.abspath(program), os.path.join(bin, "fullstory-export-mcp"))
            for name, command, until in SCENES:
                other = beside(os.path.abspath(program), folder, name)
                lines = capture(bin, folder, width, command, until)
                if other:
                    other.terminate()
                    other.communicate()
                lines = [re.sub(re.escape(folder), "~/fullstory-exports", line) for line in lines]
                with open(os.path.join(HERE, f"{name}-{width}.svg"), "w") as f:
                    f.write(svg(lines, width))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
