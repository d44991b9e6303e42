"""Users who talk with each other. Every text has a number and a checksum, so that a recipient can
check texts of strangers, and knows the order of those of its own conversation."""

import re
import zlib

from client import NAMES, Client, Wrong, expect

DATE = rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
CASTS = {"single": b"singlecasted", "multi": b"multicasted", "all": b"broadcasted"}


def text_of(sender, number, filler):
    body = b"%s %d %s" % (sender, number, filler)
    return b"%s %08x" % (body, zlib.crc32(body))


def check_text(sender, text):
    """Raises unless this is a whole text of that sender."""
    body, _, check = text.rpartition(b" ")
    if body.split(b" ")[0] != sender or b"%08x" % zlib.crc32(body) != check:
        raise Wrong(f"a message from {sender!r}: {text[:80]!r}")


class User:
    """One named client on one service."""

    def __init__(self, soak, family, service, name):
        self.service = service
        self.name = name
        self.client = Client(soak.server, family, "line" if service == "framed" else service)
        try:
            self.join()
        except BaseException:
            self.client.socket.close()
            raise

    def join(self):
        client, name = self.client, self.name
        if self.service == "framed":
            header, text, _ = client.framed().say(b"name %s\n" % name).reply()
            expect(header.encode(), b"done %d" % len(text), "name")
            self.expect_connected(text)
        elif self.service == "line":
            self.expect_connected(client.say(b"name %s\n" % name).line())
        elif self.service == "chat":
            greeting = client.say(name + b"\n").line()
            if greeting not in [server + b"\n" for server in NAMES]:
                expect(greeting, b"station\n", "greeting")
        else:  # the name is answered by nothing: what one says to oneself shows that it counts
            text = text_of(name, 0, b"hello")
            client.say(b"%s\n%s | %s\n" % (name, text, name))
            self.hear((name, text))

    def expect_connected(self, said):
        wanted = rb"connected to (station|depot) as %s at %s\n" % (re.escape(self.name), DATE)
        if not re.fullmatch(wanted, said):
            expect(said, b"connected to station as %s at ...\n" % self.name, "name")

    def send(self, cast, users, text):
        """Sends, in the way of the service; talk knows single messages alone."""
        to = b"all" if cast == "all" else b" ".join(users)
        if self.service == "talk":
            self.client.say(b"%s | %s\n" % (text, to))
        else:
            self.client.say(b"send %s : %s\n" % (to, text))
        if self.service == "framed":
            header = self.final()
            if not re.fullmatch(r"done 0 delivered=\d+", header):
                raise Wrong(f"send: {header}")

    def final(self):
        """The next final frame; events before it are kept for `hear`."""
        self.events = getattr(self, "events", [])
        while True:
            frame = self.client.frame()
            if frame[0] in ("done", "fail"):
                return frame[1]
            self.events.append(frame)

    def next_message(self):
        """Sender and text of the next message."""
        client = self.client
        if self.service == "framed":
            events = getattr(self, "events", [])
            while True:
                kind, header, payload = events.pop(0) if events else client.frame()
                if kind == "msg":
                    found = re.fullmatch(r"msg \d+ from=(\S+) cast=(single|multi|broad) at=\d+",
                                         header)
                    return self.checked(found and found[1].encode(), payload, header.encode())
                if kind != "note":
                    raise Wrong(f"{header} among messages")
        line = client.line()
        if self.service == "talk":
            found = re.fullmatch(rb"(\S+?)\|(.*)\n", line)
            return self.checked(found and found[1], found and found[2], line)
        if self.service == "chat":
            if not re.fullmatch(rb"\t{5}%s\n" % DATE, line):
                raise Wrong(f"chat: {line!r}")
            line = client.line()
            head = rb"\t{5}"
        else:
            head = DATE + b" "
        found = re.fullmatch(head + rb"(\S+) \((single|multi|broad)casted\) : (.*)\n", line)
        return self.checked(found and found[1], found and found[3], line)

    @staticmethod
    def checked(sender, text, whole):
        if sender is None:
            expect(whole, b"a message", "messages")
        check_text(sender, text)
        return sender, text

    def hear(self, wanted):
        """Waits for a message; those of other conversations may come before it."""
        group = wanted[0].rpartition(b".")[0]
        while True:
            came = self.next_message()
            if came == wanted:
                return
            if came[0].rpartition(b".")[0] == group:
                raise Wrong(f"{came[1][:60]!r} for {wanted[1][:60]!r}: lost or out of order")


def leave(user, rng):
    """Ends in one of the ways there are; true if that frees the name before it can be seen."""
    way = rng.choice(("quit", "quit", "half-close", "close", "reset"))
    if way == "quit":
        user.client.say(b"quit\n")
        user.client.rest()
    elif way == "half-close":
        user.client.say(b"", ends=True)
        user.client.rest()
    elif way == "reset":
        user.client.reset()
    user.client.socket.close()
    return way == "quit"


def conversation(soak, rng, family):
    """Four users on four services: single, multi and broadcast messages, in order."""
    group = soak.fresh_name().encode()
    users = []
    try:
        for number, service in enumerate(("talk", "chat", "line", "framed")):
            users.append(User(soak, family, service, b"%s.%d" % (group, number)))
        for number in range(1, rng.randint(5, 25)):
            sender = rng.choice(users)
            kinds = ("single",) if sender.service == "talk" else ("single", "multi", "all")
            cast = rng.choice(kinds)
            count = {"single": 1, "multi": rng.randint(2, 4), "all": 0}[cast]
            to = rng.sample(users, count) if count else [u for u in users if u is not sender]
            text = text_of(sender.name, number, b"x" * rng.choice((1, 30, 1000)))
            sender.send(cast, [user.name for user in to], text)
            for user in to:
                user.hear((sender.name, text))
        if leave(users[2], rng):
            again = User(soak, family, "line", users[2].name)
            again.client.socket.close()
    finally:
        for user in users:
            user.client.socket.close()


def deaf(soak, rng, family):
    """A user who reads nothing is disconnected; whoever writes to it never waits."""
    group = soak.fresh_name().encode()
    name = group + b".deaf"
    with Client(soak.server, family, receive_bytes=8192) as client:
        client.framed().say(b"name %s\n" % name)
        client.reply()
        speaker = User(soak, family, "framed", group + b".0")
        with speaker.client:
            text = text_of(speaker.name, 1, b"x" * 60_000)
            for _ in range(1000):
                speaker.client.say(b"send %s : %s\n" % (name, text))
                header = speaker.final()
                if "code=no-such-user" in header:
                    return
                expect(header.encode(), b"done 0 delivered=1", "send")
    raise Wrong("60 MB wait for a user who reads nothing")
