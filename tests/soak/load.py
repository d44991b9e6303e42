"""The load: processes of a few threads each, which do one job after another, at a bounded rate."""

import collections
import itertools
import json
import multiprocessing
import os
import random
import threading
import time
import traceback

import harm
import rooms
import rude
import steady
from client import Busy, Wrong
from server import described, processes_with, wait_until

FAMILIES = ("4", "6", "unix")
GONE_S = 10.0
"""How long what belonged to a command, or an upload, may outlive its client here. The server takes
half a second for a command that ignores SIGTERM; the rest is for a busy machine."""
AFTER_CROWD_S = 1.0
"""How long after a crowd a refusal is still its doing: the server looks again every 100 ms."""
PROBLEMS_MAX = 20
GROUPS = {
    # name: (threads, mean pause between two jobs of one thread in seconds, jobs)
    "steady": (3, 0.08, (steady.echo, steady.lines, steady.hello, steady.framed, steady.listing,
                         steady.metrics, steady.execute)),
    "transfers": (3, 0.12, (steady.download, steady.download_framed, steady.upload_new,
                            steady.upload_replace, harm.shrink, harm.vanish, harm.grow,
                            harm.shrink_framed)),
    "commands": (3, 0.2, (steady.run, steady.run_in, steady.run_pty, harm.endless,
                          harm.background, harm.both_sides_shut)),
    "rooms": (2, 0.2, (rooms.conversation, rooms.conversation, rooms.conversation, rooms.deaf)),
    "rude": (4, 0.1, (rude.connect_and_leave, rude.greetings, rude.telnet, rude.too_long,
                      rude.noise, rude.noise_framed, rude.dribble, rude.slow_reader,
                      rude.never_reads, rude.upload_cut, rude.connect_and_leave)),
}


class Soak:
    """What a thread's jobs share: the server, names of its own, and when to stop."""

    def __init__(self, server, shared, own_name):
        self.server = server
        self.shared = shared
        self.own_name = own_name
        self.numbers = itertools.count()

    def fresh_name(self):
        """A name that was never used before."""
        return f"{self.own_name}-{next(self.numbers)}"

    def fresh_token(self):
        """An argument of sleep(1) that finds a command and its children."""
        thread = "".join(f"{ord(letter):03}" for letter in self.own_name)
        return f"8{next(self.numbers):06}.{self.shared.token}{thread}"

    def pause(self, time_s):
        """Lets time go by; the end of the load cuts it short."""
        self.shared.stop.wait(time_s)

    def is_crowded(self, since_s=None):
        """Whether the descriptors had run out, at any time since then."""
        since_s = time.monotonic() if since_s is None else since_s
        return self.shared.crowd_end.value + AFTER_CROWD_S >= since_s

    def expect_gone(self, token, what=""):
        """Waits until no process has this token in its command line."""
        if not wait_until(lambda: not processes_with(token), GONE_S):
            left = described(processes_with(token))
            raise Wrong(f"processes of a command live on: {left} {what}")

    def expect_absent(self, name):
        if os.path.exists(os.path.join(self.server.root, name)):
            raise Wrong(f"{name} is there")

    @staticmethod
    def unlink(path):
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass


class Shared:
    """What all processes see."""

    def __init__(self):
        self.stop = multiprocessing.Event()
        # Until when descriptors are short: far away while they are, in the past otherwise.
        self.crowd_end = multiprocessing.Value("d", 0.0)
        self.token = f"{os.getpid()}"
        """In the command lines of all commands that may have to be looked for."""
        self.phases = itertools.count()


def attempt(job, soak, rng, family):
    """What came of one job, and the problem where there is one."""
    begun_s = time.monotonic()
    try:
        return job(soak, rng, family) or "right", None
    except (Busy, Wrong, OSError) as error:
        # A refused connection may end in a reset, or before the first byte of a reply.
        if soak.is_crowded(begun_s) and not is_certain(error):
            return "busy", None
        kind = "hang" if isinstance(error, TimeoutError) else "wrong"
        place = traceback.extract_tb(error.__traceback__)[1:]
        where = " < ".join(f"{one.name}:{one.lineno}" for one in reversed(place))
        return kind, f"{error!r} in {where}"


def is_certain(error):
    """Whether no lack of descriptors explains an error."""
    return isinstance(error, (TimeoutError, Wrong))


def work(soak, jobs, mean_pause_s, rng, outcomes, problems):
    """One thread: the jobs in an order that changes, until the load stops."""
    families = itertools.cycle(rng.sample(FAMILIES, 3))
    while not soak.shared.stop.is_set():
        for job in rng.sample(jobs, len(jobs)):
            if soak.shared.stop.is_set():
                return
            family = next(families)
            saw, problem = attempt(job, soak, rng, family)
            outcomes[job.__name__, saw] += 1
            if problem and len(problems) < PROBLEMS_MAX:
                at = time.strftime("%H:%M:%S")
                problems.append(f"{at} {job.__name__} over {family}: {problem}")
            soak.pause(rng.uniform(0, 2 * mean_pause_s))


def guarded(problems, *arguments):
    """A thread's end that nobody foresaw is a problem too."""
    try:
        work(*arguments)
    except Exception:  # it is reported, whatever it is
        problems.append(traceback.format_exc())


def group(server, shared, name, phase, seed, path):
    """One process of the load. Writes its outcomes to a file when it ends."""
    os.nice(5)
    count, pause_s, jobs = GROUPS[name]
    outcomes, problems, threads = collections.Counter(), [], []
    for number in range(count):
        soak = Soak(server, shared, f"{name}{phase}{number}")
        rng = random.Random(f"{seed}/{name}/{number}")
        arguments = (problems, soak, jobs, pause_s, rng, outcomes, problems)
        threads.append(threading.Thread(target=guarded, args=arguments))
        threads[-1].start()
    for thread in threads:
        thread.join()
    with open(path, "w", encoding="utf-8") as file:
        json.dump([[list(key) + [n] for key, n in outcomes.items()], problems], file)


class Load:
    """All groups at once."""

    def __init__(self, server, shared, seed):
        shared.stop.clear()
        phase = next(shared.phases)
        self.shared = shared
        self.paths = {name: os.path.join(server.place, f"outcomes-{name}") for name in GROUPS}
        for path in self.paths.values():
            Soak.unlink(path)
        self.processes = [
            multiprocessing.Process(target=group, args=(server, shared, name, phase, seed, path))
            for name, path in self.paths.items()]
        for process in self.processes:
            process.start()

    def lives(self):
        return any(process.is_alive() for process in self.processes)

    def end(self):
        """How often each job ended in which way, and what was wrong."""
        outcomes, problems = collections.Counter(), []
        for process, (name, path) in zip(self.processes, self.paths.items()):
            if process.is_alive():
                process.kill()
                process.join()
            if not os.path.exists(path):
                problems.append(f"the load {name} ended with {process.exitcode}")
                continue
            with open(path, encoding="utf-8") as file:
                counted, wrong = json.load(file)
            outcomes.update({(job, saw): number for job, saw, number in counted})
            problems += wrong
        return outcomes, problems

    def kill(self):
        for process in self.processes:
            if process.is_alive():
                process.kill()
                process.join()
