"""A client that connects anew 20 times a second, and measures how long it waits."""

import collections
import json
import multiprocessing
import time

from client import FILES, Busy, Client, Wrong, expect
from load import FAMILIES, Soak, is_certain

PERIOD_S = 0.05
SMALL = FILES["small"]


def probe(server, family, number):
    """A connection, an echo and a download of 1 KiB: when the echo came, and when all did."""
    line = b"probe %d\n" % number
    with Client(server, family) as client:
        expect(client.say(line).line(), line, "the prober's echo")
        echoed_s = time.monotonic()
        expect(client.say(b"download small\n", ends=True).rest(), SMALL, "the prober's download")
    return echoed_s, time.monotonic()


def run(server, shared, path):
    """Probes until the load stops. A probe that is late counts from when it was due."""
    soak = Soak(server, shared, "prober")
    times, counts, problems = {"calm": [], "crowded": []}, collections.Counter(), []
    due_s, number = time.monotonic(), 0
    while not shared.stop.is_set():
        soak.pause(max(0.0, due_s - time.monotonic()))
        number += 1
        try:
            echoed_s, done_s = probe(server, FAMILIES[number % 3], number)
            when = "crowded" if soak.is_crowded(due_s) else "calm"
            counts[when, "right"] += 1
            times[when].append((echoed_s - due_s, done_s - due_s))
        except (Busy, Wrong, OSError) as error:
            if soak.is_crowded(due_s) and not is_certain(error):
                counts["crowded", "busy"] += 1
            else:
                counts["calm", "error"] += 1
                problems.append(f"{time.strftime('%H:%M:%S')} prober: {error!r}")
        due_s += PERIOD_S
    with open(path, "w", encoding="utf-8") as file:
        json.dump([times, [[*key, n] for key, n in counts.items()], problems], file)


class Prober:
    """The prober in a process of its own, so that no other client's work delays it."""

    def __init__(self, server, shared):
        self.path = f"{server.place}/outcomes-prober"
        Soak.unlink(self.path)
        self.process = multiprocessing.Process(target=run, args=(server, shared, self.path))
        self.process.start()

    def end(self, patience_s):
        """Its times by state in seconds, its counts, and what was wrong. The load has stopped."""
        self.process.join(patience_s)
        if self.process.exitcode != 0:
            self.kill()
            return {"calm": [], "crowded": []}, {}, ["the prober did not end"]
        with open(self.path, encoding="utf-8") as file:
            times, counts, problems = json.load(file)
        return times, {(when, what): n for when, what, n in counts}, problems

    def kill(self):
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
