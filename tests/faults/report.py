"""What was found, as a table for people, and as lines for whoever waits for it."""

import collections
import textwrap

ROLES = {
    "worker": "Worker: the loop that serves",
    "disk": "Threads that wait for disks",
    "list": "Threads that list directories",
    "store": "Threads that store uploads",
    "terminate": "The thread that ends commands",
    "start": "Threads that start commands",
    "child": "A command, before it has become its program",
    "log": "The log's thread",
    "start-up": "Start-up",
    "stop": "Stopping",
}

HEAD = """\
# What landline does when a system call fails

`tests/faults.sh` wrote this page; change it there. It runs the real program under strace(1), makes
one system call of one thread fail, and looks at everybody: the client whose request met the fault,
another client at the same time and afterwards (echo, and a download compared byte by byte), the
process, its descriptors and its children.

What the affected client saw, over all jobs and all calls that were made to fail:

- *right*: the whole reply, as if nothing had happened;
- *error CODE*: an error as [PROTOCOL.md](PROTOCOL.md) has it, as the reply or at its end;
- *reset*, *cut*: the connection ended in a way that no client takes for a whole reply;
- *no such command*: what `exec` says of a program that execve(2) refuses;
- *input closed*: the command took a part of its input, and ended well. After EPIPE that is right;
- *cut (unseen)*: a plain reply over a Unix socket ended early, and in order. PROTOCOL.md names the
  cases in which such a socket cannot be reset;
- **HANG**, **WRONG**: no end within 5 seconds; bytes that look like a whole reply, and are not.

A call that is made to fail is not carried out. So `close` cannot be tested this way (the kernel
closes the descriptor even if it reports an error), nor can `futex`, nor can a write to an eventfd:
these do not fail in a running system. Wherever a verdict is not *ok*, the end of the page says what
was seen.
"""


class Results:
    """What was seen, by role, call and errno."""

    def __init__(self):
        self.rows = {}
        self.count = 0

    def add(self, role, call, pattern, errno, where, saw, problems):
        row = self.rows.setdefault((role, call, pattern, errno),
                                   {"saw": collections.Counter(), "problems": []})
        row["saw"][saw.split(" ")[0] if saw.startswith("WRONG") else saw] += 1
        row["problems"] += [(where, problem) for problem in problems]
        self.count += 1

    def has_problems(self):
        return any(row["problems"] for row in self.rows.values())

    def say(self, out):
        """The problems, one a line, and the plain closing line."""
        failed = 0
        for (role, call, pattern, errno), row in self.rows.items():
            failed += len({where for where, _ in row["problems"]})
            for where, problem in row["problems"]:
                out.write(f"FAILED {role} {call} {pattern} {errno} ({where}): {problem}\n")
        out.write(f"{self.count - failed} passed, {failed} failed\n")


def verdict(problems):
    """In a word or two."""
    words = []
    for word, sign in (("server ends", "server ended"), ("thread ends", "threads ended"),
                       ("hang", "HANG"), ("wrong", "WRONG"), ("descriptors", "descriptors:"),
                       ("children", "children are"), ("others", "client"),
                       ("others", "connection from"), ("loops", "not wait"),
                       ("partial file", "partial upload"), ("status", "status")):
        if any(sign in problem for _, problem in problems) and word not in words:
            words.append(word)
    return ", ".join(words) or ("bad" if problems else "ok")


def title(call, pattern):
    plain = "".join(c for c in pattern.replace(".*/", "") if c.isalnum() or c in "_| ")
    return f"`{call}`" + (f" ({plain.replace('|', ', ')})" if plain else "")


def not_ok(results):
    """The last section: each problem, in a few lines."""
    lines = [f"## Not ok\n\nOf {results.count} cases"]
    if not results.has_problems():
        return [lines[0] + ": none."]
    lines[0] += ":\n"
    for (role, call, pattern, errno), row in sorted(results.rows.items()):
        for where, problem in row["problems"]:
            brief = " ".join(problem.split(": b'")[0].split())[:240]
            text = f"- {role}, {title(call, pattern)}, {errno}, {where}: {brief}"
            lines.append(textwrap.fill(text, 99, subsequent_indent="  ",
                                       break_long_words=False, break_on_hyphens=False))
    return lines


def write(path, results):
    """The whole page."""
    lines = [HEAD]
    for role, heading in ROLES.items():
        rows = {key: row for key, row in results.rows.items() if key[0] == role}
        if not rows:
            continue
        lines.append(f"## {heading}\n")
        lines.append("| system call | errno | the client saw | lives | descriptors | verdict |")
        lines.append("| --- | --- | --- | --- | --- | --- |")
        for (_, call, pattern, errno), row in sorted(rows.items()):
            judged = verdict(row["problems"])
            lives = "no" if "server ends" in judged else "yes"
            back = "no" if "descriptors" in judged else "back"
            if role in ("start-up", "stop"):
                lives = back = "–"
            saw = ", ".join(sorted(row["saw"]))
            lines.append(f"| {title(call, pattern)} | {errno} | {saw} | {lives} | {back} "
                         f"| {judged} |")
        lines.append("")
    lines += not_ok(results)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
