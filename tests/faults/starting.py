"""Faults while the server starts, and while it stops.

A server that cannot start says why in one line and exits with 71 (the system refused) or 78 (a bad
configuration). A start that goes on all the same has to serve. What the loader and Rust's runtime
do before the server's first own call is theirs and is not made to fail."""

import collections
import os
import re
import signal
import subprocess

import jobs
import table
from server import PATIENCE_S, PROGRAM, Server, Tracer, wait_until

FIRST_CALL = "signalfd4"
"""The first system call that is the server's own."""
STATUSES = (71, 78)
NUMBERS = 12
"""How many calls of one kind are made to fail, one after the other."""


class Starting(Server):
    """A server under strace from its first instruction on."""

    def __init__(self, place, expressions):
        self.place, self.root = place, os.path.join(place, "root")
        self.socket = os.path.join(place, "socket")
        self.log_path = os.path.join(place, "log")
        self.trace_path = os.path.join(place, "trace")
        self.ports = {}
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        # With -D the process that is started becomes the server itself, and strace its grandchild.
        command = ["strace", "-D", "-f", "-yy", "-s", "0", "-o", self.trace_path]
        for expression in expressions:
            command += ["-e", expression]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*command, PROGRAM, *self.arguments()], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=log)

    def trace(self):
        with open(self.trace_path, encoding="utf-8", errors="replace") as file:
            return file.read()


def judge_start(place, results, row, errno, number):
    """One start with one fault. False once there are no more such calls."""
    call, pattern, _ = row
    server = Starting(place, [f"trace={call}", f"inject={call}:error={errno}:when={number}"])
    problems, saw = [], "HANG"
    try:
        wait_until(server._listens)
        if not server.lives():
            saw = f"exit {server.process.returncode}"
            if server.process.returncode not in STATUSES:
                problems.append(f"status {server.process.returncode}: {server.log()[-300:]}")
            elif server.log().count("\n") != 1:
                problems.append(f"not one line: {server.log()[-300:]!r}")
        elif len(server.ports) == 4:
            seen = {jobs.JOBS[name](server) for name in ("echo", "download large", "run")}
            saw = "serves"
            # Each thread has its own N-th call: the clients may have met the fault themselves.
            may_fail = server.trace().count("(INJECTED)") > 1
            if seen != {"right"} and not (may_fail and all(map(is_visible, seen))):
                problems.append(f"it serves, but clients see {seen}")
        else:
            problems.append("HANG: neither listens nor ends: " + server.log()[-300:])
    except (OSError, jobs.Wrong) as error:
        problems.append(f"it serves, but another client sees {error!r}")
    finally:
        server.stop()
    wait_until(lambda: "(INJECTED)" in server.trace() or "+++" in server.trace(), 1.0)
    line = next((one for one in server.trace().splitlines() if "(INJECTED)" in one), None)
    found = line and table.row_of(table.STARTING, line)
    if found and found[:2] == (call, pattern):
        results.add("start-up", call, pattern, errno, f"#{number}", saw, problems)


def is_visible(saw):
    """Whether a client that saw this knows how it went."""
    return saw in ("right", "reset", "cut") or saw.startswith("error ")


def calls_of_start(place):
    """{row: numbers} of one start without faults."""
    jobs.lay_files(os.path.join(place, "root"))
    server = Starting(place, ["trace=all"])
    if not wait_until(server._listens):
        raise RuntimeError("the server does not start: " + server.log())
    server.stop()
    counts, found, is_own = collections.Counter(), {}, False
    for line in server.trace().splitlines():
        match = re.match(r"(\d+) +(\w+)\(", line)
        if not match:
            continue
        if "service=" in line or re.search(r"write\(2<.*/log", line):
            break
        thread, call = match.groups()
        counts[thread, call] += 1
        is_own = is_own or call == FIRST_CALL
        row = table.row_of(table.STARTING, line) if is_own else None
        if row:
            key = (row[0], row[1], tuple(row[2]))
            found.setdefault(key, [])
            if len(found[key]) < NUMBERS and counts[thread, call] not in found[key]:
                found[key].append(counts[thread, call])
    return found


def judge_stop(place, results, role, row, errno, number):
    """SIGTERM, one fault, and the end: soon, and with a status that says how it was."""
    call, pattern, _ = row
    server = Server(place)
    problems, saw = [], "HANG"
    try:
        with jobs.Client(server) as client:
            client.say(b"hello\n").line()
            tracer = Tracer(server, server.threads[role],
                            [f"trace={call}", f"inject={call}:error={errno}:when={number}"])
            with tracer:
                server.process.send_signal(signal.SIGTERM)
                try:
                    saw = f"exit {server.process.wait(PATIENCE_S)}"
                except subprocess.TimeoutExpired:
                    problems.append("HANG: it does not stop")
            if saw not in ("HANG", "exit 0", "exit 71"):
                problems.append(f"status {saw}: {server.log()[-300:]}")
        line = next((one for one in tracer.trace().splitlines() if "(INJECTED)" in one), None)
        found = line and table.row_of(table.SERVING, line)
        if found and found[:2] == (call, pattern):
            results.add("stop", call, pattern, errno, f"{role} #{number}", saw, problems)
    finally:
        server.stop()


def calls_of_stop(place, role):
    """{row: numbers} of one stop without faults."""
    server = Server(place)
    with jobs.Client(server) as client:
        client.say(b"hello\n").line()
        with Tracer(server, server.threads[role], ["trace=all"]) as tracer:
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(PATIENCE_S)
    counts, found = collections.Counter(), {}
    for line in tracer.trace().splitlines():
        if match := re.match(r"(?:\d+ +)?(\w+)\(", line):
            counts[match[1]] += 1
            if row := table.row_of(table.SERVING, line):
                found.setdefault((row[0], row[1], tuple(row[2])), []).append(counts[match[1]])
    return found


def run(place, results, is_short):
    """All cases; with `is_short` one of each kind of call."""
    def chosen(found):
        for turn, ((call, pattern, errnos), numbers) in enumerate(sorted(found.items())):
            pairs = [(errno, number) for errno in errnos for number in numbers[:NUMBERS]]
            for errno, number in [pairs[turn % len(pairs)]] if is_short else pairs:
                yield (call, pattern, errnos), errno, number
    for row, errno, number in chosen(calls_of_start(place)):
        judge_start(place, results, row, errno, number)
    for role in ("supervisor", "worker", "log"):
        for row, errno, number in chosen(calls_of_stop(place, role)):
            judge_stop(place, results, role, row, errno, number)
