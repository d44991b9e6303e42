"""Clients that do what the manual says. Each job raises `Wrong` for any reply that is wrong."""

import os

from client import FILES, LISTING, SIZES, Client, Wrong, contents, expect, stat_line


def echo(soak, rng, family):
    """The echo service: every byte comes back."""
    with Client(soak.server, family, "echo") as client:
        for _ in range(rng.randint(1, 6)):
            data = rng.randbytes(rng.choice((1, 64, 1000, 16_000)))
            expect(client.say(data).exactly(len(data)), data, "echo")
        expect(client.say(b"", ends=True).rest(), b"", "after the end")


def lines(soak, rng, family):
    """Pipelined lines of all lengths."""
    with Client(soak.server, family) as client:
        for turn in range(rng.randint(1, 5)):
            said = b""
            for number in range(rng.randint(1, 16)):
                body = rng.randbytes(rng.choice((0, 10, 100, 2000))).translate(None, b"\n")
                said += b"l%d.%d %s%s" % (turn, number, body, rng.choice((b"\n", b"\r\n")))
            expect(client.say(said).exactly(len(said)), said, "lines")
        longest = b"x" * 65_536 + b"\n"
        expect(client.say(longest, ends=True).rest(), longest, "the longest line")


def hello(soak, rng, family):
    """A bare client of the named echo: what one send says is one message."""
    with Client(soak.server, family, "hello+bare") as client:
        greeting = client.say(b"caller").receive()
        if greeting not in (b"station", b"depot"):
            expect(greeting, b"station", "greeting")
        word = b"word %d" % rng.randint(0, 10**9)
        expect(client.say(word).exactly(len(word)), word, "bare echo")
        expect(client.say(b"close").rest(), b"", "after close")


def framed(soak, rng, family):
    """All kinds of requests in frames, sent at once."""
    root, small = soak.server.root.encode(), FILES["small"]
    kinds = [
        (b"ping\n", "done 4", b"pong", {}),
        (b"hello there\n", "done 11", b"hello there", {}),
        (b"stat small\n", None, stat_line("small", SIZES["small"]), {}),
        (b"files listed\n", None, LISTING, {}),
        (b"download small\n", "done 0", b"", {"data": small}),
        (b"run cat %s/small; echo e >&2; exit 3\n" % root, "done 0 exit=3", b"",
         {"out": small, "err": b"e\n"}),
        (b"download absent\n", "no-such-file", b"", {}),
    ]
    asked = [rng.choice(kinds) for _ in range(rng.randint(1, 8))]
    with Client(soak.server, family) as client:
        client.framed().say(b"".join(request for request, *_ in asked))
        for _, header, payload, parts in asked:
            if header == "no-such-file":
                client.failed(header)
            else:
                client.done(header or f"done {len(payload)}", payload, **parts)
        client.say(b"cancel\nquit\n")
        client.done("done 0")
        client.done("done 0")
        expect(client.rest(), b"", "after quit")


def listing(soak, rng, family):
    """`files` and `stat`."""
    with Client(soak.server, family) as client:
        name = rng.choice(sorted(SIZES))
        line = stat_line(name, SIZES[name])
        expect(client.say(b"stat %s\n" % name.encode()).line(), line, "stat")
        expect(client.say(b"files listed\n").exactly(len(LISTING)), LISTING, "files")
        whole = client.say(b"files\n", ends=True).rest()
        for known in SIZES:
            if stat_line(known, SIZES[known]) not in whole:
                expect(whole, stat_line(known, SIZES[known]), "files of the root")


def download(soak, rng, family):
    """A plain download, or the end of one."""
    name = rng.choice(("small", "small", "middle", "large"))
    whole = FILES[name]
    offset = rng.choice((0, 0, rng.randint(0, len(whole)), len(whole)))
    request = b"download@%d %s\n" % (offset, name.encode())
    with Client(soak.server, family) as client:
        if rng.random() < 0.5:
            expect(client.say(request, ends=True).rest(), whole[offset:], request.decode())
        else:
            data = client.say(request).exactly(len(whole) - offset)
            expect(data, whole[offset:], request.decode())
            expect(client.say(b"ping\n").line(), b"pong\n", "ping")


def download_framed(soak, rng, family):
    """Two downloads in frames, one behind the other."""
    names = [rng.choice(("small", "small", "middle", "large")) for _ in range(2)]
    with Client(soak.server, family) as client:
        client.framed()
        client.say(b"".join(b"download %s\n" % name.encode() for name in names), ends=True)
        for name in names:
            client.done("done 0", data=FILES[name])
        expect(client.rest(), b"", "after the end")


def stored(path):
    with open(path, "rb") as file:
        return file.read()


def upload_new(soak, rng, family):
    """A file of a new name, in each of the three ways; it is then read back, and removed."""
    name = f"new/{soak.fresh_name()}"
    path = os.path.join(soak.server.root, name)
    data = rng.randbytes(rng.choice((0, 1, 5000, 200_000, 1_000_000)))
    sized = b"upload %d %s\n" % (len(data), name.encode())
    try:
        with Client(soak.server, family) as client:
            kind = rng.choice(("sized", "to the end", "framed"))
            if kind == "framed":
                client.framed().say(sized + data)
                client.done(f"done 0 size={len(data)}")
                client.say(b"download %s\n" % name.encode())
                client.done("done 0", data=data)
            elif kind == "sized":
                said = client.say(sized + data + b"ping\n", ends=True).rest()
                expect(said, b"pong\n", "upload")
            else:
                said = client.say(b"upload - %s\n%s" % (name.encode(), data), ends=True).rest()
                expect(said, b"", "upload -")
        expect(stored(path), data, "what was stored")
    finally:
        soak.unlink(path)


def upload_replace(soak, rng, family):
    """A file again and again: it is as before, or the new one, as the reply says."""
    name = f"replaced/{soak.own_name}"
    path = os.path.join(soak.server.root, name)
    before = contents(rng.randint(1, 50_000), rng.random())
    with open(path + ".tmp", "wb") as file:
        file.write(before)
    os.rename(path + ".tmp", path)
    data = rng.randbytes(rng.choice((1, 5000, 100_000)))
    with Client(soak.server, family) as client:
        client.framed().say(b"upload %d %s\n%s" % (len(data), name.encode(), data))
        header, _, _ = client.reply()
        if "code=exists" in header:
            expect(stored(path), before, "what was not to be replaced")
            return "exists"
        expect(header.encode(), b"done 0 size=%d" % len(data), "upload")
        expect(stored(path), data, "what was replaced")
    return "right"


def run(soak, rng, family):
    """A plain command: its output, and how it ended."""
    root, small = soak.server.root.encode(), FILES["small"]
    commands = [
        (b"true", b""),
        (b"exit 7", b"error exit: status 7\n"),
        (b"echo hello; kill -9 $$", b"hello\nerror exit: signal KILL\n"),
        (b"cat %s/small" % root, small),
        (b"cat %s/middle %s/small" % (root, root), FILES["middle"] + small),
        (b"wc -c </dev/stdin", b"0\n"),
    ]
    with Client(soak.server, family) as client:
        asked = [rng.choice(commands) for _ in range(2)]
        client.say(b"".join(b"run %s\n" % command for command, _ in asked), ends=True)
        expect(client.rest(), b"".join(wanted for _, wanted in asked), "run")


def run_in(soak, rng, family):
    """A command with input."""
    data = rng.randbytes(rng.choice((1, 3000, 100_000)))
    half = len(data) // 2
    with Client(soak.server, family) as client:
        client.framed().say(b"run@in cat\nin %d\n%s" % (half, data[:half]))
        client.say(b"in %d\n%seof 0\n" % (len(data) - half, data[half:]))
        client.done("done 0 exit=0", out=data)


def run_pty(soak, rng, family):
    """A command on a terminal."""
    word = b"%d" % rng.randint(0, 10**9)
    with Client(soak.server, family) as client:
        client.framed().say(b"run@pty stty size; read x; echo got $x\nwinch 0 cols=100 rows=30\n")
        client.say(b"in %d\n%s\n" % (len(word) + 1, word))
        header, _, parts = client.reply()
        expect(header.encode(), b"done 0 exit=0", "run@pty")
        # The echo of what is typed may stand before the first output or behind it.
        seen = sorted(parts.get("out", b"").split(b"\r\n"))
        expect(b" ".join(seen), b" ".join(sorted([b"", b"30 100", word, b"got " + word])), "pty")


def execute(soak, rng, family):
    """The exec service."""
    word = b"%d" % rng.randint(0, 10**9)
    with Client(soak.server, family, "exec") as client:
        expect(client.say(b"echo %s\n" % word).line(), word + b"\n", "exec")
        expect(client.say(b"true\n").line(), b"no output\n", "exec true")
        expect(client.say(b"exit 9\n", ends=True).rest(), b"exit status 9\n", "exec exit")


def metrics(soak, rng, family):
    """The page of the metrics."""
    if family == "unix":
        family = "4"
    with Client(soak.server, family, "metrics") as client:
        page = client.say(b"GET /metrics HTTP/1.0\r\n\r\n").rest()
    head, _, body = page.partition(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    if not head.startswith(b"HTTP/1.") or b" 200 " not in head or not length:
        raise Wrong(f"metrics: {head!r}")
    expect(b"%d" % len(body), length[0].split()[1], "the length of the metrics")
