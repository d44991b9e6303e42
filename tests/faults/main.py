"""Makes each system call of a serving landline fail, in every way its man page names, and checks
what the affected client, every other client and the process itself see of it.

Each case is one job (`jobs`), one thread's N-th call of one kind, and one errno (`table`). With
`--short`, a fixed part of the cases. Writes docs/FAULTS.md only when all of them ran."""

import argparse
import collections
import os
import re
import sys
import tempfile
import threading
import time
from errno import ENOTCONN

import jobs
import report
import starting
import table
from server import PATIENCE_S, Server, Tracer, wait_until

NUMBERS = [1, 2, 3, 4, 5, 6, 7, 8, 12, 20, 36]
"""Which of a thread's calls is made to fail, as long as there are so many."""
SPIN_CALLS = 20_000
"""More calls of one kind than this in one job are a loop that does not wait."""
FOLLOWED = "child"
"""The role of a command before it has become its program."""


class Witness:
    """Another client: a connection that was there before the fault, and new ones after it."""

    def __init__(self, server):
        self.server = server
        self.client = jobs.Client(server)
        self.check("before the fault")

    def check(self, when):
        """None if all is right, or what is not."""
        try:
            self.client.say(b"witness\n")
            if self.client.line() != b"witness\n":
                return f"a connection from before is wrong {when}"
            for name in ("echo", "download large"):
                if (saw := jobs.JOBS[name](self.server)) != "right":
                    return f"a new client's {name} is {saw} {when}"
        except (jobs.Wrong, OSError) as error:
            return f"another client {when}: {error!r}"
        return None


class Bench:
    """A server that is replaced as soon as it is not as it was."""

    def __init__(self, place):
        self.place = place
        self.server = None

    def fresh(self):
        """A server as it was started, its witness, and its descriptors with nothing to do."""
        if self.server is None:
            jobs.lay_files(os.path.join(self.place, "root"))
            self.server = Server(self.place)
            self.witness = Witness(self.server)
            for job in ("run", "download cold", "files"):  # whatever is opened once and kept
                jobs.JOBS[job](self.server)
            wait_until(lambda: not self.server.children())
            self.settle()
        return self.server

    def settle(self):
        seen = []
        for _ in range(200):
            seen.append(self.server.descriptors())
            if len(seen) > 10 and seen[-10:] == [seen[-1]] * 10:
                break
            time.sleep(0.002)
        self.base = seen[-1]

    def discard(self):
        if self.server is not None:
            self.server.stop()
            self.server = None


def attempt(job, server):
    """What the client of this job saw."""
    try:
        return job(server)
    except jobs.Wrong as wrong:
        return f"WRONG {wrong}"
    except TimeoutError:
        return "HANG"
    except (ConnectionResetError, BrokenPipeError):
        return "reset"
    except OSError as error:
        # To shut a socket that was reset is ENOTCONN.
        return "reset" if error.errno == ENOTCONN else f"error {error.strerror}"
    except (ValueError, TypeError, IndexError) as error:
        return f"WRONG {error!r}"


def run_case(bench, name, role, call, errno, number):
    """One case: the line of the trace that failed, what was seen, and what is wrong with it."""
    server = bench.fresh()
    job = jobs.JOBS[name]
    follows = role == FOLLOWED
    threads = server.threads["start" if follows else role]
    options = [f"trace={call}", f"inject={call}:error={errno}:when={number}"]
    problems, seen = [], []
    with Tracer(server, threads, options, follows) as tracer:
        worker = threading.Thread(target=lambda: seen.append(attempt(job, server)))
        worker.start()
        wait_until(lambda: tracer.injected() or not worker.is_alive(), PATIENCE_S * 2)
        is_reached = bool(tracer.injected())
        if is_reached and (problem := bench.witness.check("meanwhile")):
            problems.append(problem)
        worker.join(PATIENCE_S * 4)
        saw = seen[0] if seen else "HANG"
        is_reached = is_reached or bool(tracer.injected())
    trace = tracer.trace()
    line = next((one for one in trace.splitlines() if "(INJECTED)" in one), None)
    if trace.count("\n") > SPIN_CALLS:
        problems.append(f"{trace.count(chr(10))} calls: it does not wait")
    if saw in table.ALLOWED and (call, errno) not in table.ALLOWED[saw]:
        saw = "WRONG " + saw
    problems += check_after(bench, saw)
    if problems:
        bench.discard()
    return line, saw, problems


def check_after(bench, saw):
    """What is wrong once the job is over."""
    server, problems = bench.server, []
    if saw == "HANG" or saw.startswith("WRONG"):
        problems.append(saw)
    if not server.lives():
        return [*problems, f"the server ended: {server.process.returncode}: {server.log()[-300:]}"]
    if lost := server.lost_threads():
        problems.append(f"threads ended: {lost}")
    if not wait_until(lambda: not server.children()):
        problems.append(f"children are left: {server.children()}")
    if not wait_until(lambda: server.descriptors() == bench.base):
        now, base = (collections.Counter(x) for x in (server.descriptors(), bench.base))
        problems.append(f"descriptors: {dict(now - base)} more, {dict(base - now)} fewer")
    if problem := bench.witness.check("afterwards"):
        problems.append(problem)
    parts = [one for one in os.listdir(server.root) if one.endswith(".part")]
    if parts:
        problems.append(f"a partial upload is left: {parts}")
        for part in parts:
            os.unlink(os.path.join(server.root, part))
    return problems


def calls_of(bench, name, role):
    """The calls of a job, for one role: {row: numbers of the calls that are of this row}."""
    server = bench.fresh()
    rows = table.CHILD if role == FOLLOWED else table.SERVING
    follows = role == FOLLOWED
    threads = server.threads["start" if follows else role]
    with Tracer(server, threads, ["trace=all"], follows) as tracer:
        attempt(jobs.JOBS[name], server)
        wait_until(lambda: not server.children())
    own = {str(thread) for all_of in server.threads.values() for thread in all_of}
    counts, found = collections.Counter(), {}
    for line in tracer.trace().splitlines():
        match = re.match(r"(\d+)? *(\w+)\(", line)
        if not match or (follows and match[1] in own):
            continue
        thread, call = match.groups()
        counts[thread, call] += 1
        row = table.row_of(rows, line)
        if row and counts[thread, call] in NUMBERS:
            found.setdefault((row[0], row[1], tuple(row[2])), set())
            found[row[0], row[1], tuple(row[2])].add(counts[thread, call])
        if follows and call == "execve":
            counts[thread, "execve"] = 10**6  # what comes later is the command's own
            own.add(thread)
    return found


def cases(bench, is_short):
    """(job, role, call, pattern, errno, number), in a fixed order."""
    turn = 0
    for name in jobs.JOBS:
        for role in ("worker", "disk", "list", "store", "start", FOLLOWED, "terminate", "log"):
            for (call, pattern, errnos), numbers in calls_of(bench, name, role).items():
                if is_short:
                    turn += 1
                    yield name, role, call, pattern, errnos[turn % len(errnos)], min(numbers)
                    continue
                for errno in errnos:
                    for number in sorted(numbers):
                        yield name, role, call, pattern, errno, number
                    if call in table.LASTING and errno != "EINTR":
                        yield name, role, call, pattern, errno, f"{min(numbers)}+"


def serving(bench, results, options):
    """All cases of a server that serves."""
    for name, role, call, pattern, errno, number in cases(bench, options.short):
        if (options.job or name) != name or (options.call or call) != call:
            continue
        line, saw, problems = run_case(bench, name, role, call, errno, number)
        rows = table.CHILD if role == FOLLOWED else table.SERVING
        row = line and table.row_of(rows, line)
        if row and row[1] == pattern:
            results.add(role, call, pattern, errno, f"{name} #{number}", saw, problems)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true", help="a fixed part, in under a minute")
    parser.add_argument("--job", help="only this job")
    parser.add_argument("--call", help="only this system call")
    options = parser.parse_args()
    is_part = options.short or options.job or options.call
    results = report.Results()
    with tempfile.TemporaryDirectory(prefix="landline-faults-") as place:
        bench = Bench(place)
        try:
            serving(bench, results, options)
        finally:
            bench.discard()
        if not (options.job or options.call):
            starting.run(place, results, options.short)
    results.say(sys.stdout)
    if not is_part:
        report.write("docs/FAULTS.md", results)
    return 1 if results.has_problems() else 0


if __name__ == "__main__":
    sys.exit(main())
