"""The server under test, and what /proc says about it."""

import collections
import ctypes
import os
import re
import resource
import signal
import subprocess
import time

PROGRAM = os.environ.get("LANDLINE", "target/debug/landline")
SERVICES = ("line", "echo", "exec", "chat", "talk", "hello+bare")
DESCRIPTORS_MAX = 220
"""The server's RLIMIT_NOFILE: the steady load needs up to about 150, a crowd takes the rest."""
START_S = 10.0
STOP_S = 20.0
SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER, prctl(2)."""


def wait_until(condition, patience_s):
    """True as soon as the condition holds, false if it does not within the time."""
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def text_of(path):
    """The text of a file of /proc; empty if its process is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children_of(pid):
    """Process ids of the children of all threads of a process, zombies included."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return []
    return [int(child) for task in tasks
            for child in text_of(f"/proc/{pid}/task/{task}/children").split()]


def processes_with(token):
    """Process ids of those that have this text in their command line; a zombie has none."""
    return [int(pid) for pid in os.listdir("/proc")
            if pid.isdigit() and token in text_of(f"/proc/{pid}/cmdline")]


def described(pids):
    """Processes for a person: their state, parent, group, session and command line."""
    return [f"{pid}: {' '.join(text_of(f'/proc/{pid}/stat').rpartition(')')[2].split()[:4])} "
            f"{text_of(f'/proc/{pid}/cmdline')!r}" for pid in pids]


def adopt_orphans():
    """Makes whatever the server's commands leave behind a child of this process."""
    if ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def adopted(known):
    """Adopted children that still live. Reaps the dead ones."""
    living = []
    for pid in children_of(os.getpid()):
        if pid in known:
            continue
        stat = text_of(f"/proc/{pid}/stat")
        if ") Z " in stat:
            os.waitpid(pid, 0)
        elif stat:
            living.append(pid)
    return living


class Server:
    """A `landline serve` with everything switched on, and few descriptors."""

    def __init__(self, place):
        self.place = place
        self.root = os.path.join(place, "root")
        self.config = os.path.join(place, "landline.conf")
        self.log_path = os.path.join(place, "log")
        self.reloads = 0
        self.write_config()
        limit = (DESCRIPTORS_MAX, DESCRIPTORS_MAX)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [PROGRAM, *self.arguments()], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=log,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit))
        self.ports = {}
        if not wait_until(self._listens, START_S) or not self.lives():
            self.stop()
            raise RuntimeError("the server does not start: " + self.log())

    def arguments(self):
        options = []
        for service in SERVICES:
            options += ["-l", f"{service}@0", "-l", f"{service}@unix:{self.unix(service)}"]
        return ["serve", *options, "--metrics", "0", "--root", self.root, "--run", "shell",
                "--workers", "3", "--config", self.config]

    def unix(self, service):
        """The path of a service's Unix socket."""
        return os.path.join(self.place, service)

    def write_config(self):
        """Settings that change with every reload."""
        odd = self.reloads % 2
        with open(self.config + ".new", "w", encoding="utf-8") as file:
            file.write(f"upload = {'new' if odd else 'replace'}\n"
                       f"name = {'depot' if odd else 'station'}\n"
                       f"max-runs = {200 if odd else 256}\n")
        os.rename(self.config + ".new", self.config)

    def reload(self):
        self.reloads += 1
        self.write_config()
        self.process.send_signal(signal.SIGHUP)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def _listens(self):
        found = re.findall(r"^listening service=(\S+) address=(127\.0\.0\.1|\[::1\]):(\d+)$",
                           self.log(), re.M)
        self.ports = {(service, "4" if "." in host else "6"): int(port)
                      for service, host, port in found}
        return len(self.ports) == 2 * (len(SERVICES) + 1) or not self.lives()

    @property
    def pid(self):
        return self.process.pid

    def lives(self):
        return self.process.poll() is None

    def descriptors(self):
        """What its descriptors are: {what: how many}, numbers left out."""
        found = collections.Counter()
        for number in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                found[re.sub(r"\d+", "N", os.readlink(f"/proc/{self.pid}/fd/{number}"))] += 1
            except FileNotFoundError:
                pass
        return found

    def threads(self):
        """The names of its threads, sorted."""
        return sorted(text_of(f"/proc/{self.pid}/task/{task}/comm").strip()
                      for task in os.listdir(f"/proc/{self.pid}/task"))

    def waits(self):
        """What each thread waits for: its name, the kernel's function, the system call."""
        return [tuple(text_of(f"/proc/{self.pid}/task/{task}/{file}").strip()[:40]
                      for file in ("comm", "wchan", "syscall"))
                for task in os.listdir(f"/proc/{self.pid}/task")]

    def memory_kib(self):
        """RSS and PSS (smaps_rollup, proc(5))."""
        rollup = text_of(f"/proc/{self.pid}/smaps_rollup")
        return [int(re.search(rf"^{name}: +(\d+) kB", rollup, re.M)[1]) for name in ("Rss", "Pss")]

    def cpu_s(self):
        """Processor time that it and its reaped children have used."""
        fields = text_of(f"/proc/{self.pid}/stat").rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        """Asks it to end; its exit status, or None if it had to be killed."""
        if self.lives():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None
