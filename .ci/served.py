"""Shared by the scripts of this folder that run the program under test."""
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request


class Failed(Exception):
    """A check that failed."""


class Late(Failed):
    """A condition that was not met in time."""


def install(package, *programs):
    """Installs a package of Debian if one of its programs is missing."""
    if not all(shutil.which(p) for p in programs):
        missing = next(p for p in programs if not shutil.which(p))
        subprocess.run([os.path.join(os.path.dirname(__file__), "need"), missing, package], check=True)


def until(what, seconds, condition):
    """Calls condition until its result is true, and returns that result. Raises Late
    after so many seconds."""
    limit = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > limit:
            raise Late(f"{what}: not within {seconds} s")
        time.sleep(0.1)
    return found


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def fetch(url, body=None, headers={}):
    """Returns the headers and the text of an answer."""
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        return answer.headers, answer.read().decode()


@contextlib.contextmanager
def running(command, log, address=None, **options):
    """Runs a command with its output in the file log, and stops it with SIGTERM in the
    end. It yields the process. If address is given, a regular expression, it waits until
    the output matches, and yields the process and the first group of the match."""
    with open(log, "w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, **options)

        def found():
            with open(log) as f:
                text = f.read()
            if process.poll() is not None:
                raise Failed(f"{command[0]} ended:\n{text}")
            return re.search(address, text)

        try:
            yield (process, until(f"{command[0]} prints its address", 20, found)[1]) if address else process
        finally:
            stop(process)


def stop(process):
    """Stops a process with SIGTERM, as a service manager does. Fails if that takes more
    than 20 s."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise Failed(f"{process.args[0]} does not end within 20 s") from None


class Client:
    """An MCP client over Streamable HTTP."""

    def __init__(self, base, **headers):
        self.url = base + "/mcp"
        self.headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
        received, _ = self.send("initialize", HELLO)
        self.headers["Mcp-Session-Id"] = received["Mcp-Session-Id"]

    def send(self, method, params):
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return fetch(self.url, json.dumps(message).encode(), self.headers)

    def call(self, tool, fails=False, **arguments):
        """Returns the structured result of a call, which must fail if fails is true, and
        succeed otherwise."""
        _, answer = self.send("tools/call", {"name": tool, "arguments": arguments})
        events = [line.removeprefix("data:") for line in answer.splitlines() if line.startswith("data:")]
        result = json.loads((events or [answer])[-1])["result"]
        if result.get("isError", False) != fails:
            raise Failed(f"{tool} answered {result['content'][0]['text']}")
        return result.get("structuredContent")


HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "ci", "version": "1"}}
