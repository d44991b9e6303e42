"""The C clients of c-compat/, built with sanitizers, against servers that keep to nothing.

    python3 tests/hostile/main.py FOLDER_OF_PROGRAMS [--short]

Each client meets each script below, sent at once, byte by byte, and cut off by a reset. It has to
end by itself, in time, without a word of a sanitizer. None of these scripts holds a whole
reply, so a client that asks for a file or a command must not say that all went well."""

import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

PATIENCE_S = 20
SANITIZER_STATUS = 99
HELLO = b"done 0 landline=1 server=x caps=download,run,run-in,run-pty,upload,chat\n"
FILE = HELLO + b"file 0 size=100 mtime=1 name=a\n"

SCRIPTS = {
    "nothing": b"",
    "an end in the greeting": HELLO[:20],
    "a greeting alone": HELLO,
    "NULs": b"\0" * 5000,
    "one newline": b"\n",
    "newlines": b"\n" * 5000,
    "no newline": b"x" * 200_000,
    "all bytes": bytes(range(256)) * 40,
    "a header that does not end": HELLO + b"done 0 a=" + b"b" * 200_000,
    "a header of 4096 bytes": HELLO + b"data 0 a=" + b"b" * 4086 + b"\n",
    "a header of 4097 bytes": HELLO + b"data 0 a=" + b"b" * 4088 + b"\n",
    "headers without end": HELLO + b"data 0\n" * 30_000,
    "notes without end": HELLO + b"note 1 kind=join user=u\nx" * 20_000,
    "many keys": HELLO + b"done 0 " + b" ".join(b"k%d=v" % n for n in range(500)) + b"\n",
    "a length of 2^63-1": HELLO + b"data 9223372036854775807\n" + b"x" * 1000,
    "a length of 2^63": HELLO + b"data 9223372036854775808\n" + b"x" * 1000,
    "a length of 2^64": HELLO + b"data 18446744073709551616\nx",
    "a long length": HELLO + b"data " + b"9" * 3000 + b"\nx",
    "a negative length": HELLO + b"data -1\nx",
    "no length": HELLO + b"data\nx",
    "a huge text": HELLO + b"fail 9223372036854775807 code=internal\n" + b"x" * 100_000,
    "a huge message": HELLO + b"msg 9223372036854775807 from=a cast=single at=1\nx",
    "a bad time": HELLO + b"msg 1 from=a cast=single at=9223372036854775807\nx" * 3,
    "a bad escape": HELLO + b"msg 1 from=%zz cast=single at=1\nx",
    "an escape at the end": HELLO + b"msg 1 from=a% cast=single at=1\nx",
    "an escaped NUL": HELLO + b"file 0 size=1 mtime=1 name=%00%2f..%2fx\ndata 1\nx",
    "terminal codes": HELLO + b"msg 9 from=a cast=single at=1\n\x1b]0;x\x07\x1b[2J",
    "a file cut off": FILE + b"data 100\n" + b"x" * 50,
    "a file without its end": FILE + b"data 100\n" + b"x" * 100,
    "more than the size": FILE + b"data 1000\n" + b"x" * 1000 + b"done 0\n",
    "less than the size": FILE + b"data 10\n" + b"x" * 10 + b"done 0\n",
    "a size of 2^63-1": HELLO + b"file 0 size=9223372036854775807 mtime=1 name=a\ndata 1\nxdone 0\n",
    "no size": HELLO + b"file 0\ndata 1\nx",
    "an unknown type": HELLO + b"frob 3\nabc",
    "a status of 2^31": HELLO + b"out 1\nxdone 0 exit=2147483648x\n",
    "no signal of that name": HELLO + b"done 0 signal=" + b"A" * 3000 + b"\n",
    "another version": b"fail 3 code=version\nabc",
    "a plain error": b"error busy: " + b"x" * 9000 + b"\n",
}
CUT_BY_RESET = {"nothing", "a greeting alone", "a file cut off", "no newline"}

CLIENTS = {
    "bare_hello": ["HOST", "PORT", "ada", "hello"],
    "bare_exec": ["HOST", "PORT", "echo"],
    "bare_chat": ["HOST", "PORT", "ada"],
    "bare_talk": ["HOST", "PORT", "ada"],
    "line_client": ["HOST", "PORT"],
    "line_client -d": ["-d", "a", "-o", "OUT", "HOST", "PORT"],
    "framed_download": ["HOST", "PORT", "a", "OUT"],
    "framed_run": ["HOST", "PORT", "echo"],
    "framed_pty": ["HOST", "PORT", "echo"],
    "framed_chat": ["HOST", "PORT", "ada"],
}
WANT_A_REPLY = ("framed_download", "framed_run", "framed_pty")
"""Clients whose exit status 0 says that a reply came whole."""


def serve_once(listener, script, step, resets):
    """One connection: the script, and the end."""
    peer, _ = listener.accept()
    with peer:
        try:
            peer.settimeout(PATIENCE_S)
            peer.recv(1)
            if step:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for at in range(0, len(script), step):
                    peer.sendall(script[at:at + step])
            else:
                peer.sendall(script)
            if resets:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(1 << 16):
                pass
        except OSError:
            pass  # the client has had enough


def meet(folder, client, script, step, resets):
    """What is wrong with how a client took a script; None if nothing is."""
    program = client.split()[0]
    with tempfile.TemporaryDirectory() as place, socket.create_server(("127.0.0.1", 0)) as listener:
        words = {"HOST": "127.0.0.1", "PORT": str(listener.getsockname()[1]),
                 "OUT": os.path.join(place, "out")}
        server = threading.Thread(target=serve_once, args=(listener, script, step, resets),
                                  daemon=True)
        server.start()
        options = f"exitcode={SANITIZER_STATUS}:abort_on_error=0"
        environment = {**os.environ, "ASAN_OPTIONS": options,
                       "UBSAN_OPTIONS": options + ":halt_on_error=1:print_stacktrace=1"}
        try:
            ended = subprocess.run(
                [os.path.join(folder, program), *(words.get(one, one) for one in CLIENTS[client])],
                input=b"hello\n", capture_output=True, timeout=PATIENCE_S, env=environment,
                cwd=place, check=False)
        except subprocess.TimeoutExpired:
            return "it does not end"
        finally:
            if server.is_alive():  # a client that refused its words never came
                socket.create_connection(listener.getsockname()).close()
        said = ended.stderr.decode(errors="replace")
        if ended.returncode in (SANITIZER_STATUS,) or ended.returncode < 0 or "Sanitizer" in said \
                or "runtime error" in said:
            return f"status {ended.returncode}: {said[:1500]}"
        if ended.returncode == 0 and program in WANT_A_REPLY:
            return "it says that all went well"
        if program == "framed_download" and os.listdir(place):
            return f"it leaves {os.listdir(place)}"
    return None


def main():
    folder, is_short = sys.argv[1], "--short" in sys.argv[2:]
    passed, failed = 0, 0
    for number, (name, script) in enumerate(SCRIPTS.items()):
        for turn, client in enumerate(CLIENTS):
            ways = [(0, False), (0, True)] if name in CUT_BY_RESET else [(0, False)]
            if len(script) <= 6000:
                ways.append((1 if len(script) < 1500 else 7, False))
            if is_short:
                ways = [ways[(number + turn) % len(ways)]]
            for step, resets in ways:
                if problem := meet(folder, client, script, step, resets):
                    failed += 1
                    how = " by reset" if resets else f" in steps of {step}" if step else ""
                    print(f"FAILED {client}, {name}{how}: {problem}")
                else:
                    passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
