"""Clients that keep to nothing, or are slow."""

import time

from client import FILES, Client, Wrong, expect

TLS = bytes.fromhex("16030100a5010000a10303") + bytes(160)
GREETINGS = [
    (b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", b"HTTP/1."),
    (b"POST /x HTTP/1.0\r\n\r\nrun touch /nowhere\n", b"HTTP/1."),
    (TLS, bytes.fromhex("15030100020246")),
    (b"SSH-2.0-OpenSSH_9.6\r\n", b"error bad-request: this port speaks landline, not SSH"),
    (b"\x05\x01\x00", b"error bad-request: this port speaks landline, not SOCKS"),
]
TELNET = b"\xff\xfd\x03\xff\xfb\x18\xff\xfb\x1f"
TELNET_ANSWER = b"\xff\xfc\x03\xff\xfe\x18\xff\xfe\x1f"
SERVICES = ("line", "echo", "exec", "chat", "talk", "hello+bare")


def connect_and_leave(soak, rng, family):
    """Connections that say nothing, or half a line, and end in every way."""
    for _ in range(4):
        with Client(soak.server, family, rng.choice(SERVICES)) as client:
            way = rng.choice(("close", "half-close", "reset", "half a line"))
            if way == "half-close":
                expect(client.say(b"", ends=True).rest(), b"", "nothing")
            elif way == "reset":
                client.reset()
            elif way == "half a line":
                client.say(rng.choice((b"down", b"name ", b"upload 10 new/x", b"\xff", b"\0")))
                client.reset()


def greetings(soak, rng, family):
    """Clients of other protocols are told so, and the connection ends."""
    data, wanted = rng.choice(GREETINGS)
    with Client(soak.server, family) as client:
        said, _ = client.say(data).rest_or_reset()
        expect(said[:len(wanted)], wanted, "a greeting's answer") if said else refused(soak)


def refused(soak):
    if not soak.is_crowded():
        raise Wrong("the connection ended without an answer")


def telnet(soak, rng, family):
    """Telnet options, a command that is interrupted, and the connection goes on.

    Of a telnet client over a Unix socket nothing is read while its command runs."""
    family = "4" if family == "unix" else family
    with Client(soak.server, family) as client:
        client.say(TELNET)
        expect(client.exactly(len(TELNET)), TELNET_ANSWER, "telnet options")
        token = soak.fresh_token()
        client.say(b"run echo up; sleep %s\r\n" % token.encode())
        expect(client.line(), b"up\n", "telnet run")
        line = client.say(b"\xff\xf4").line()
        if not line.startswith(b"error cancelled: "):
            expect(line, b"error cancelled: ...\n", "telnet interrupt")
        expect(client.say(b"ping\r\n").line(), b"pong\n", "ping")
    soak.expect_gone(token)


def too_long(soak, rng, family):
    """A line over the limit is skipped, and the connection goes on."""
    with Client(soak.server, family) as client:
        line = client.say(b"x" * rng.choice((65_537, 200_000)) + b"\n").line()
        if not line.startswith(b"error too-long: "):
            expect(line, b"error too-long: ...\n", "a line over the limit")
        expect(client.say(b"ping\n").line(), b"pong\n", "ping")


def noise(soak, rng, family):
    """Random bytes, in which a request is unlikely; the server has to outlive them."""
    with Client(soak.server, family, rng.choice(SERVICES[3:] + ("line",))) as client:
        data = rng.randbytes(rng.choice((10, 1000, 30_000))).replace(b"run", b"rUn")
        try:
            client.say(data, ends=True)
        except ConnectionError:
            return
        client.rest_or_reset()


def noise_framed(soak, rng, family):
    """Frames with wrong numbers, and verbs without operands."""
    words = (b"in 99999999999999999999\n", b"eof -1\n", b"winch 0 cols=x rows=\n", b"upload x y\n",
             b"upload 9223372036854775808 new/y\n", b"download\n", b"run\n", b"run@in\n",
             b"landline/9\n", b"name \xff\n", b"send all\n", b"files ../..\n",
             b"stat /etc/passwd\n")
    asked = [rng.choice(words) for _ in range(20)]
    with Client(soak.server, family) as client:
        client.framed().say(b"".join(asked))
        for request in asked:
            header, _, _ = client.reply()
            if not header.startswith("fail "):
                raise Wrong(f"{request!r}: {header}")
        client.say(b"ping\n")
        client.done("done 4", b"pong")


def dribble(soak, rng, family):
    """A line that comes byte by byte."""
    line = b"slowly %d\n" % rng.randint(0, 10**6)
    with Client(soak.server, family) as client:
        for at in range(len(line)):
            client.say(line[at:at + 1])
            soak.pause(0.02)
        expect(client.line(), line, "a slow line")


def slow_reader(soak, rng, family):
    """A download that is read in small pieces at first, or not at all for a while."""
    whole = FILES["large"]
    is_stopped = rng.random() < 0.5
    with Client(soak.server, family, receive_bytes=16_384) as client:
        client.say(b"download large\nping\n")
        end, seen = time.monotonic() + rng.uniform(0.5, 3), b""
        while time.monotonic() < end and not soak.shared.stop.is_set():
            soak.pause(0.02)
            if not is_stopped:
                seen += client.exactly(2000)
        seen += client.exactly(len(whole) - len(seen))
        expect(seen, whole, "a download that is read slowly")
        expect(client.line(), b"pong\n", "ping behind it")


def never_reads(soak, rng, family):
    """Many requests, nothing is read, and the end in the middle of it."""
    with Client(soak.server, family, receive_bytes=16_384) as client:
        requests = (b"download large\n", b"run cat /dev/zero\n", b"y" * 900 + b"\n")
        client.say(rng.choice(requests) * 30)
        soak.pause(rng.uniform(0, 2))
        if rng.random() < 0.5:
            client.reset()


def upload_cut(soak, rng, family):
    """An upload whose client goes away leaves nothing."""
    name = f"new/{soak.fresh_name()}"
    with Client(soak.server, family) as client:
        client.say(b"upload 500000 %s\n" % name.encode() + rng.randbytes(rng.randint(0, 400_000)))
        if rng.random() < 0.5:
            client.reset()
        else:
            line = client.say(b"", ends=True).line()
            if not line.startswith((b"error bad-request: ", b"error busy: ")):
                expect(line, b"error bad-request: ...\n", "half an upload")
    soak.expect_absent(name)
