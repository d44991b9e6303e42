"""One client connection, the files that jobs ask for, and what a wrong reply is."""

import os
import random
import re
import socket
import struct

PATIENCE_S = 20.0
"""How long one step of a client may take before it counts as a hang."""
SIZES = {"small": 1024, "middle": 300_000, "large": 6_000_000}
MTIME_S = 1_600_000_000
MTIME = b"2020-09-13T12:26:40Z"
NAMES = (b"station", b"depot")
"""The server's name; every reload changes it."""


class Wrong(Exception):
    """A reply that is not what it has to be."""


class Busy(Exception):
    """The server said that it has no descriptors left."""


def contents(length, seed):
    """Random bytes, so that any that are missing, moved or of another file are seen."""
    return random.Random(seed).randbytes(length)


FILES = {name: contents(length, name) for name, length in SIZES.items()}
LISTED = {f"entry-{number:02}": contents(number * 10, number) for number in range(40)}


def lay_files(root):
    """Files that nobody changes, and a place for those that are."""
    for folder in ("", "listed", "new", "replaced", "changing"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    for name, content in [*FILES.items(), *((f"listed/{n}", c) for n, c in LISTED.items())]:
        with open(os.path.join(root, name), "wb") as file:
            file.write(content)
        os.utime(os.path.join(root, name), (MTIME_S, MTIME_S))


def stat_line(name, size):
    return b"%d %s %s\n" % (size, MTIME, name.encode())


LISTING = b"".join(stat_line(name, len(content)) for name, content in sorted(LISTED.items()))


BUSY = b"error busy: "


def expect(saw, wanted, what):
    """Raises unless a reply is, byte by byte, what it has to be."""
    if saw == wanted:
        return
    pairs = zip(saw, wanted)
    at = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(saw), len(wanted)))
    # It may follow output that ends in no newline.
    for start in (at, saw.rfind(b"\n", 0, at) + 1):
        found = saw[start:start + len(BUSY)]
        if found and BUSY.startswith(found):
            raise Busy(what)
    raise Wrong(f"{what}: {len(saw)} bytes for {len(wanted)}, the first wrong one is {at}: "
                f"{saw[at:at + 60]!r} for {wanted[at:at + 60]!r}")


def is_busy(data):
    """Whether a refusal is at the end of this, and at most a few short replies behind it."""
    return any(line.startswith(BUSY) for line in data[-300:].splitlines())


class Client:
    """A connection over IPv4, IPv6 or a Unix socket."""

    def __init__(self, server, family, service="line", receive_bytes=None):
        kind = {"4": socket.AF_INET, "6": socket.AF_INET6, "unix": socket.AF_UNIX}[family]
        self.socket = socket.socket(kind)
        self.family = family
        self.kept = b""
        try:
            if receive_bytes:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            self.socket.settimeout(PATIENCE_S)
            if family == "unix":
                self.socket.connect(server.unix(service))
            else:
                host = "127.0.0.1" if family == "4" else "::1"
                self.socket.connect((host, server.ports[service, family]))
        except BaseException:
            self.socket.close()
            raise

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

    def receive(self, count=1 << 18):
        """What came, at most `count` bytes; empty at the end."""
        data, self.kept = self.kept[:count], self.kept[count:]
        return data or self.socket.recv(count)

    def rest(self):
        """All until an orderly end."""
        pieces = []
        while piece := self.receive():
            pieces.append(piece)
        return b"".join(pieces)

    def rest_or_reset(self):
        """All until the end, and whether that was an orderly one."""
        pieces = []
        try:
            while piece := self.receive():
                pieces.append(piece)
        except ConnectionError:
            return b"".join(pieces), False
        return b"".join(pieces), True

    def line(self):
        """One line, or what came of it before the end."""
        pieces = []
        while piece := self.receive():
            head, newline, tail = piece.partition(b"\n")
            pieces.append(head + newline)
            if newline:
                self.kept = tail + self.kept
                break
        return b"".join(pieces)

    def exactly(self, count):
        """So many bytes, or what came of them before the end."""
        pieces = []
        while count > 0 and (piece := self.receive(min(count, 1 << 18))):
            pieces.append(piece)
            count -= len(piece)
            if count > 0 and is_busy(b"".join(pieces[-2:])):
                raise Busy
        return b"".join(pieces)

    def frame(self):
        """One frame: its type, header and payload."""
        header = self.line()
        found = re.match(rb"([a-z]+) (\d+)(?: [^ =]+=[^ ]+)*\n\Z", header)
        if not found:
            expect(header, b"TYPE LEN ...\n", "a frame's header")
        payload = self.exactly(int(found[2]))
        if len(payload) < int(found[2]):
            raise Wrong(f"a frame was cut: {header!r}, {len(payload)} bytes")
        return found[1].decode(), header.decode().strip(), payload

    def part(self, wanted):
        """The payload of the next frame, which has to be a part of this type."""
        kind, header, payload = self.frame()
        if "code=busy" in header:
            raise Busy(header)
        expect(kind.encode(), wanted.encode(), header)
        return payload

    def reply(self):
        """The final frame of one reply, and the payloads of its parts by type; no events."""
        parts = {}
        while True:
            kind, header, payload = self.frame()
            if kind == "fail" and "code=busy" in header:
                raise Busy(payload.decode())
            if kind in ("done", "fail"):
                return header, payload, {k: b"".join(v) for k, v in parts.items()}
            if kind not in ("msg", "note"):
                parts.setdefault(kind, []).append(payload)

    def framed(self):
        """Asks for frames."""
        header, _, _ = self.say(b"landline/1\n").reply()
        if not header.startswith("done 0 landline=1 server="):
            raise Wrong(f"landline/1: {header}")
        return self

    def done(self, wanted, payload=b"", **parts):
        """Expects a reply that ends in `wanted`."""
        header, got, came = self.reply()
        came.pop("file", None)
        expect(header.encode(), wanted.encode(), "the last header")
        expect(got, payload, "the last payload")
        for kind in {*parts, *came}:
            expect(came.get(kind, b""), parts.get(kind, b""), f"{kind} frames")

    def failed(self, code):
        """Expects a reply that fails with this code; the payloads that came before."""
        header, _, came = self.reply()
        if not header.startswith("fail ") or not header.endswith(f" code={code}"):
            raise Wrong(f"{header} for a failure, {code}")
        return came

    def reset(self):
        """Closes with a reset; a Unix socket can only be closed."""
        if self.family != "unix":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
