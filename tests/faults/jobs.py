"""What clients ask the server for, and how a reply is judged.

A job returns what its client saw: `right`, a visible failure (`error CODE`, `reset`, `cut`:
the connection ended in the middle of what has a visible end), or raises `Wrong`: bytes that look
like a whole reply, and are not."""

import os
import re
import socket
import struct

from server import PATIENCE_S

LARGE_BYTES = 3_000_000
SMALL_BYTES = 3_000
RUN_IN_BYTES = 100_000


class Wrong(Exception):
    """What a client cannot tell from a right reply."""


NO_COMMAND = "no such command"
"""What `exec` says of a program that cannot be run: right if execve(2) refused it, and only then.
`table.ALLOWED` has the faults."""
INPUT_CLOSED = "input closed"
"""A command that took only a part of its input, and ended well: right if it has closed its input,
which an EPIPE that was injected cannot be told from."""


def contents(length):
    """Bytes that differ at every place, so that one that is missing or moved is seen."""
    return b"".join(struct.pack(">I", number * 2654435761 % 2**32)
                    for number in range((length + 3) // 4))[:length]


SMALL, LARGE, COLD = contents(SMALL_BYTES), contents(LARGE_BYTES), contents(LARGE_BYTES)[::-1]


def lay_files(root):
    """The files that the jobs ask for."""
    os.makedirs(root, exist_ok=True)
    for name, content in (("small", SMALL), ("large", LARGE), ("cold", COLD)):
        with open(os.path.join(root, name), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.utime(os.path.join(root, name), (1_600_000_000, 1_600_000_000))


class Client:
    """A connection, whose every step has the same patience."""

    def __init__(self, server, service="line"):
        if service == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            address = server.socket
        else:
            self.socket = socket.socket()
            address = ("127.0.0.1", server.ports[service])
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(address)
        self.kept = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, data, ends=False):
        """Sends, and with `ends` shuts the sending side."""
        self.socket.sendall(data)
        if ends:
            self.socket.shutdown(socket.SHUT_WR)
        return self

    def rest(self):
        """All until the end, and whether that was an orderly one."""
        data, self.kept = self.kept, b""
        try:
            while more := self.socket.recv(1 << 16):
                data += more
        except (ConnectionResetError, BrokenPipeError):
            return data, False
        return data, True

    def line(self):
        """One line, or what came of it before the end."""
        while b"\n" not in self.kept:
            more = self.socket.recv(1 << 16)
            if not more:
                break
            self.kept += more
        line, found, self.kept = self.kept.partition(b"\n")
        return line + found

    def exactly(self, count):
        """So many bytes, or what came of them before the end."""
        while len(self.kept) < count:
            more = self.socket.recv(1 << 16)
            if not more:
                break
            self.kept += more
        data, self.kept = self.kept[:count], self.kept[count:]
        return data

    def reply(self):
        """The frames of one reply: a list of (type, header, payload); None for one that was cut."""
        frames = []
        while True:
            header = self.line()
            if not header.endswith(b"\n"):
                return None
            if code := error_of(header):  # refused before it could ask for frames
                return [("fail", "fail 0 code=" + code.split()[1], b"")]
            kind, length = header.split()[:2]
            payload = self.exactly(int(length))
            if len(payload) < int(length):
                return None
            if kind not in (b"msg", b"note"):
                frames.append((kind.decode(), header.decode().strip(), payload))
            if kind in (b"done", b"fail"):
                return frames


def error_of(data):
    """`error CODE` if this ends in such a line; else None."""
    found = re.search(rb"error ([a-z-]+): [^\n]*\n$", data)
    return f"error {found[1].decode()}" if found else None


UNSEEN = "cut (unseen)"
"""Over a Unix socket, which cannot be reset: there, only framed replies show that they were cut."""


def judge(data, is_orderly, wanted, has_visible_end, service="line"):
    """What a plain reply is. With a visible end, one that was cut short is seen to be so."""
    if not is_orderly:
        return "reset"
    if data == wanted:
        return "right"
    if data == b"No such command\n":
        return NO_COMMAND
    if code := error_of(data):
        return code
    if wanted.startswith(data) and (has_visible_end or service == "unix"):
        return "cut" if has_visible_end else UNSEEN
    raise Wrong(f"{len(data)} bytes for {len(wanted)}: {data[:60]!r}")


def asks(request, wanted, service="line", has_visible_end=True):
    """A job: one request, the end of input, and the reply."""
    def job(server):
        with Client(server, service) as client:
            said = request(server) if callable(request) else request
            data, is_orderly = client.say(said, ends=True).rest()
            return judge(data, is_orderly, wanted(server), has_visible_end, service)
    return job


def framed(requests, wanted):
    """A job: framed replies; `requests` are sent at once, and the last reply has to be `wanted`."""
    def job(server):
        with Client(server) as client:
            client.say(b"landline/1\n" + b"".join(requests))
            for _ in range(2):
                reply = client.reply()
                if reply is None:
                    return "cut"
                kind, header, _payload = reply[-1]
                if kind == "fail":
                    return "error " + re.search(r"code=(\S+)", header)[1]
            texts = {one: b"".join(p for k, _, p in reply if k == one)
                     for one in ("data", "out", "err")}
            seen = {k: v for k, v in texts.items() if v}
            is_done = (header, seen) == wanted
            if not is_done and "exit=" in header and "exit=0" not in header:
                return header.removeprefix("done 0 ")
            if is_input_closed(requests, header, seen):
                return INPUT_CLOSED
            if not is_done:
                brief = {k: v[:40] for k, v in seen.items()}
                raise Wrong(f"{header} {brief!r}")
            return "right"
    return job


def is_input_closed(requests, header, seen):
    """Whether a `run@in cat` gave back the beginning of what it was sent, and exited with 0."""
    is_cat = requests[0] == b"run@in cat\n" and header == "done 0 exit=0"
    out = seen.get("out", b"")
    return is_cat and len(out) < RUN_IN_BYTES and LARGE.startswith(out)


def stat_line(name, size):
    return b"%d 2020-09-13T12:26:40Z %s\n" % (size, name)


def listing(_server):
    return b"".join([stat_line(b"cold", LARGE_BYTES), stat_line(b"large", LARGE_BYTES),
                     stat_line(b"small", SMALL_BYTES)])


def cold(server):
    """A download of a file that is not in memory, as far as the file system lets go of it."""
    fd = os.open(os.path.join(server.root, "cold"), os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    return asks(b"download cold\n", lambda _: COLD, has_visible_end=False)(server)


def upload(server):
    """An upload: either all is stored, or nothing, and the client is told."""
    path = os.path.join(server.root, "fresh")
    if os.path.exists(path):
        os.unlink(path)
    try:
        request = b"upload %d fresh\n" % LARGE_BYTES
        seen = framed([request, LARGE], (f"done 0 size={LARGE_BYTES}", {}))(server)
        stored = None
        if os.path.exists(path):
            with open(path, "rb") as file:
                stored = file.read()
        if stored not in (None, LARGE) or (seen == "right") > (stored == LARGE):
            raise Wrong(f"{seen}, but the file is {stored and len(stored)} bytes long")
        # The server removes what it did not finish once it sees that the client has gone.
        return seen
    finally:
        for name in os.listdir(server.root):
            if name == "fresh":
                os.unlink(path)


def messages(server):
    """Two users, and a message from one to the other."""
    with Client(server) as bob, Client(server) as alice:
        for client, name in ((bob, b"bob"), (alice, b"alice")):
            said = client.say(b"name " + name + b"\n").line()
            if not said.startswith(b"connected to station as " + name):
                return error_of(said) or "cut"
        alice.say(b"send bob : hello\nget_list\n")
        listed = alice.line()
        if listed != b"users: bob alice\n":
            return error_of(listed) or cut_or_wrong(listed, b"users: bob alice\n")
        got = bob.line()
        if not re.fullmatch(rb"\S+ \S+ alice \(singlecasted\) : hello\n", got):
            return error_of(got) or cut_or_wrong(got[:20], got[:20] or b"x")
        return "right"


def cut_or_wrong(data, wanted):
    if wanted.startswith(data):
        return "cut"
    raise Wrong(repr(data[:60]))


def metrics(server):
    """A page with its length in the header."""
    with Client(server, "metrics") as client:
        data, is_orderly = client.say(b"GET /metrics HTTP/1.0\r\n\r\n").rest()
    head, found, body = data.partition(b"\r\n\r\n")
    if not is_orderly:
        return "reset"
    length = re.search(rb"content-length: (\d+)", head.lower())
    if not found or not length or len(body) < int(length[1]):
        return "cut"
    if b" 200 " not in head.split(b"\r\n")[0] or b"landline_" not in body:
        raise Wrong(repr(head[:60]))
    return "right"


def connect_and_close(server):
    """A health check: no bytes, and the end."""
    with Client(server) as client:
        data, is_orderly = client.say(b"", ends=True).rest()
        return judge(data, is_orderly, b"", True)


def hang_up(server):
    """A command whose client resets the connection."""
    with Client(server) as client:
        client.say(b"run echo begun; exec sleep 100\n")
        begun = client.line()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return "right" if begun == b"begun\n" else error_of(begun) or cut_or_wrong(begun, b"begun\n")


def run_request(server):
    root = server.root.encode()
    return b"run cat %s/small; cat %s/large\n" % (root, root)


def of(data):
    return lambda _server: data


JOBS = {
    "echo": asks(b"hello\n", of(b"hello\n")),
    "echo unix": asks(b"hello\n", of(b"hello\n"), service="unix"),
    "echo service": asks(LARGE, of(LARGE), service="echo", has_visible_end=True),
    "connect, close": connect_and_close,
    "download small": asks(b"download small\n", of(SMALL), has_visible_end=False),
    "download large": asks(b"download large\n", of(LARGE), has_visible_end=False),
    "download unix": asks(b"download large\n", of(LARGE), "unix", has_visible_end=False),
    "download cold": cold,
    "download framed": framed([b"download large\n"], ("done 0", {"data": LARGE})),
    "files": asks(b"files\n", listing),
    "stat": asks(b"stat small\n", of(stat_line(b"small", SMALL_BYTES))),
    "run": asks(run_request, of(SMALL + LARGE), has_visible_end=False),
    "run framed": framed([b"run echo out; echo err >&2; exit 3\n"],
                         ("done 0 exit=3", {"out": b"out\n", "err": b"err\n"})),
    "run@in": framed([b"run@in cat\n", b"in %d\n" % RUN_IN_BYTES + LARGE[:RUN_IN_BYTES],
                      b"eof 0\n"],
                     ("done 0 exit=0", {"out": LARGE[:RUN_IN_BYTES]})),
    "run@pty": framed([b"run@pty read x; echo got $x\n", b"in 4\nyes\n"],
                      ("done 0 exit=0", {"out": b"yes\r\ngot yes\r\n"})),
    "run@pty, eof": framed([b"run@pty cat >/dev/null; echo over\n", b"eof 0\n"],
                           ("done 0 exit=0", {"out": b"over\r\n"})),
    "run, hang up": hang_up,
    "exec": asks(b"echo hello\n", of(b"hello\n"), service="exec"),
    "upload": upload,
    "messages": messages,
    "metrics": metrics,
}
