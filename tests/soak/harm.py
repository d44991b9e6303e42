"""Files that change while they are sent, and commands that do not end by themselves."""

import os

from client import FILES, Client, Wrong, expect

LARGE = FILES["large"] * 2


def reply_of(soak, rng, family, harm):
    """Begins a plain download of a file, harms it, and reads on: the bytes, and their end."""
    name = f"changing/{soak.fresh_name()}"
    path = os.path.join(soak.server.root, name)
    with open(path, "wb") as file:
        file.write(LARGE)
    try:
        with Client(soak.server, family, receive_bytes=16_384) as client:
            client.say(b"download %s\n" % name.encode())
            head = client.exactly(rng.randint(1, 100_000))
            expect(head, LARGE[:len(head)], "the beginning")
            harm(path)
            rest, is_orderly = drain(client, len(LARGE) - len(head))
            return head + rest, is_orderly
    finally:
        soak.unlink(path)


def drain(client, count):
    """So many bytes, or what comes before the end, and whether the connection is in order then."""
    pieces = []
    try:
        while count > 0:
            piece = client.receive()
            if not piece:
                return b"".join(pieces), True
            pieces.append(piece)
            count -= len(piece)
        client.say(b"ping\n")
        expect(client.line(), b"pong\n", "ping behind a download")
    except ConnectionError:
        return b"".join(pieces), False
    return b"".join(pieces), True


def expect_beginning(data, whole):
    """Raises unless this is how the file begins. What was cut off it after the kernel took it for
    sending may be zeros, in any places."""
    step = 4096
    for at in range(0, len(data), step):
        came, wanted = data[at:at + step], whole[at:at + step]
        if came != wanted and any(a not in (0, b) for a, b in zip(came, wanted)):
            expect(came, wanted, f"byte {at} and on of a file that was cut")


def shrink(soak, rng, family):
    """A file that is cut while it is sent: whole, or visibly not."""
    size = rng.choice((0, 1000, len(LARGE) // 2))
    data, is_orderly = reply_of(soak, rng, family, lambda path: os.truncate(path, size))
    expect_beginning(data, LARGE)
    if is_orderly and len(data) < len(LARGE):
        raise Wrong(f"a file that was cut looks whole, with {len(data)} bytes over {family}")
    return "whole" if is_orderly else "reset"


def vanish(soak, rng, family):
    """A file that is removed, or replaced, while it is sent, is sent to its end all the same."""
    def harm(path):
        if rng.random() < 0.5:
            os.unlink(path)
        else:
            with open(path + ".tmp", "wb") as file:
                file.write(b"new")
            os.rename(path + ".tmp", path)
    data, _ = reply_of(soak, rng, family, harm)
    expect(data, LARGE, "a file that vanished")


def grow(soak, rng, family):
    """Of a file that grows, what it was is sent."""
    def harm(path):
        with open(path, "ab") as file:
            file.write(b"more" * 1000)
    data, _ = reply_of(soak, rng, family, harm)
    expect(data, LARGE, "a file that grew")


def shrink_framed(soak, rng, family):
    """The same in frames: the last one says what happened."""
    name = f"changing/{soak.fresh_name()}"
    path = os.path.join(soak.server.root, name)
    with open(path, "wb") as file:
        file.write(LARGE)
    try:
        with Client(soak.server, family, receive_bytes=16_384) as client:
            client.framed().say(b"download %s\n" % name.encode())
            client.part("file")
            os.truncate(path, rng.choice((0, 1000)))
            header, _, parts = client.reply()
            data = parts.get("data", b"")
            expect_beginning(data, LARGE)
            if header != "done 0" and not header.endswith(" code=truncated"):
                raise Wrong(f"a file that was cut: {header}")
            if header == "done 0" and len(data) < len(LARGE):
                raise Wrong(f"a file that was cut looks whole, with {len(data)} bytes")
            client.say(b"ping\n")
            client.done("done 4", b"pong")
            return header.partition("code=")[2] or "whole"
    finally:
        soak.unlink(path)


ENDLESS = {
    "ignores TERM": b"trap '' TERM; echo up; while :; do sleep TOKEN; done",
    "never ends": b"echo up; sleep TOKEN",
    "is stopped": b"sleep TOKEN & echo up; kill -STOP $$",
    "has children": b"sleep TOKEN & sh -c 'sleep TOKEN & echo up; sleep TOKEN'",
    "has a session": b"setsid sleep TOKEN & echo up; sleep TOKEN",
    "floods": b"echo up; while :; do cat /dev/zero; done; : TOKEN",
}


def endless(soak, rng, family):
    """A command that does not end by itself: it does once its client goes, or cancels."""
    kind = rng.choice(sorted(ENDLESS))
    token = soak.fresh_token()
    command = ENDLESS[kind].replace(b"TOKEN", token.encode())
    way = rng.choice(("close", "cancel", "terminal"))
    with Client(soak.server, family) as client:
        if way == "close":
            expect(client.say(b"run %s\n" % command).line(), b"up\n", kind)
            soak.pause(rng.uniform(0, 0.3))
            client.reset()
        else:
            verb = b"run@pty" if way == "terminal" else b"run"
            client.framed().say(b"%s %s\n" % (verb, command))
            out = client.part("out")
            expect(out[:2], b"up", kind)
            client.say(b"cancel\n")
            client.failed("cancelled")
            client.done("done 0")
            client.say(b"ping\n")
            client.done("done 4", b"pong")
    soak.expect_gone(token, f"{kind}, {way}")
    return kind


def background(soak, rng, family):
    """What a command leaves in its session ends with it, and holds up nothing."""
    token = soak.fresh_token()
    with Client(soak.server, family) as client:
        command = b"sleep %s & sleep %s & echo up\n" % (token.encode(), token.encode())
        said = client.say(b"run " + command, ends=True).rest()
        expect(said, b"up\n", "a command with background children")
    soak.expect_gone(token)


def both_sides_shut(soak, rng, family):
    """A half-close is no end; a close then is, at the latest once the output is refused."""
    token = soak.fresh_token()
    with Client(soak.server, family) as client:
        command = b"run echo up; while sleep 0.1; do echo more; done; : %s\n" % token.encode()
        expect(client.say(command, ends=True).line(), b"up\n", "half-closed")
        expect(client.line(), b"more\n", "half-closed")
    soak.expect_gone(token)
