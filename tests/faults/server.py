"""The server under test, and strace, which makes its system calls fail."""

import os
import re
import signal
import subprocess
import time

PROGRAM = os.environ.get("LANDLINE", "target/debug/landline")
ROLES = {"supervisor", "log", "disk", "list", "store", "start", "terminate", "worker"}
PATIENCE_S = 5.0
"""How long anything may take before it counts as a hang."""


def wait_until(condition, patience_s=PATIENCE_S):
    """True as soon as the condition holds, false if it does not within the time."""
    end = time.monotonic() + patience_s
    pause_s = 0.0005
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.02)
    return True


def words(path):
    """The words of a small file of /proc; none if it is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().split()
    except (FileNotFoundError, ProcessLookupError):
        return []


class Server:
    """One `landline serve` with every service switched on, one worker, and a log in a file."""

    def __init__(self, place):
        self.place = place
        self.root = os.path.join(place, "root")
        self.socket = os.path.join(place, "socket")
        self.log_path = os.path.join(place, "log")
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [PROGRAM, *self.arguments()], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=log)
        self.ports = {}
        if not wait_until(self._listens):
            raise RuntimeError("the server does not start: " + self.log())
        if not wait_until(self._has_threads):
            raise RuntimeError(f"these threads are not those known: {self.threads}")

    def arguments(self):
        """What the server is started with."""
        listen = ["line@0", "echo@0", "exec@0", "line@unix:" + self.socket]
        options = [word for one in listen for word in ("-l", one)]
        return ["serve", *options, "--metrics", "0", "--root", self.root, "--run", "shell",
                "--upload", "replace", "--workers", "1", "--name", "station", "--verbose"]

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def _listens(self):
        said = re.findall(r"^listening service=(\S+) address=127\.0\.0\.1:(\d+)$",
                          self.log(), re.M)
        self.ports = {service: int(port) for service, port in said}
        return len(self.ports) == 4 or self.process.poll() is not None

    def _has_threads(self):
        """Threads take their names themselves, soon after they were started."""
        self.threads = {}
        for thread in words_of_tasks(self.pid):
            name = words(f"/proc/{self.pid}/task/{thread}/comm")[0]
            role = "supervisor" if int(thread) == self.pid else name.split("-")[0]
            self.threads.setdefault(role, []).append(int(thread))
        return set(self.threads) == ROLES and len(self.threads["supervisor"]) == 1

    @property
    def pid(self):
        return self.process.pid

    def lives(self):
        return self.process.poll() is None

    def lost_threads(self):
        """Roles of threads that have ended."""
        left = words_of_tasks(self.pid)
        return [role for role, threads in self.threads.items()
                if any(str(thread) not in left for thread in threads)]

    def descriptors(self):
        """What its descriptors are, as a sorted list."""
        found = []
        for number in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                found.append(re.sub(r"\d+", "N", os.readlink(f"/proc/{self.pid}/fd/{number}")))
            except FileNotFoundError:
                pass
        return sorted(found)

    def children(self):
        """Process ids of its children, zombies included."""
        found = []
        for thread in words_of_tasks(self.pid):
            found += words(f"/proc/{self.pid}/task/{thread}/children")
        return found

    def stop(self):
        """Asks it to end; its exit status, or None if it had to be killed."""
        if self.lives():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


def words_of_tasks(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return []


class Tracer:
    """strace, attached to some threads of a server for as long as the `with` block lasts.

    A call that is made to fail is not carried out: strace gives the kernel an invalid number
    instead. Counting (`when=`) is for each thread, and begins when strace is attached."""

    def __init__(self, server, threads, expressions, follows=False):
        self.path = os.path.join(server.place, "trace")
        open(self.path, "wb").close()
        command = ["strace", "-o", self.path, "-yy", "-s", "0"]
        if follows:
            command.append("-f")
            self.expected = len(words_of_tasks(server.pid))
            command += ["-p", str(server.pid)]
        else:
            self.expected = len(threads)
            for thread in threads:
                command += ["-p", str(thread)]
        for expression in expressions:
            command += ["-e", expression]
        self.server = server
        self.command = command
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True)
        attached, said = 0, ""
        while attached < self.expected:
            line = self.process.stderr.readline()
            said += line
            if not line:
                raise RuntimeError("strace does not attach (is ptrace allowed?): " + said)
            if "attached with" in line:  # one line for a process and its threads
                attached = self.expected
            elif "attached" in line:
                attached += 1
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def trace(self):
        with open(self.path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def injected(self):
        """How often a call was made to fail."""
        return self.trace().count("(INJECTED)")
