"""Samples mutants, builds them all at once (switch.py), tests one after the other, and counts.

Each stage keeps what it finds in a file of its own, so a run that was stopped goes on where it was,
and stages can run side by side. See tests/mutants.sh for how to call it."""

import argparse
import collections
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import switch

STAGES = ["unit", "simulation", "behaviour"]
FOLDERS = ["protocol", "transfer", "reactor", "service", "server", "sys"]
MEMORY_BYTES_MAX = 8 << 30
ROOT = Path(__file__).resolve().parents[2]


def say(text):
    print(text, flush=True)


def put(path, content):
    """Writes a file; one that has this content already keeps its time."""
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def folder(key):
    return key.split("/")[1]


def failures(text):
    """Tests that failed, as libtest lists them at its end."""
    listed = text.split("\nfailures:\n")[-1].splitlines() if "\nfailures:\n" in text else []
    return [line.strip() for line in listed if line.startswith("    ")]


def first_failure(text):
    if failures(text):
        return failures(text)[0]
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:120] if lines else "ended by a signal"


class Bench:
    """A copy of the sources with its builds."""

    def __init__(self, options):
        self.options = options
        self.work = Path(options.work).resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.env = dict(os.environ, RUST_BACKTRACE="0", CARGO_TERM_COLOR="never")
        for name in ("CARGO_TARGET_DIR", "LANDLINE_SEED", "LANDLINE_SEEDS", "LANDLINE_FIRST"):
            self.env.pop(name, None)
        self.env["CARGO_PROFILE_DEV_DEBUG"] = self.env["CARGO_PROFILE_TEST_DEBUG"] = "false"

    def cargo(self, tree, *arguments, part="."):
        target = str(self.work / f"target-{tree.name}")
        return subprocess.run(
            ["cargo", *arguments, "--target-dir", target], cwd=tree / part, env=self.env,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)

    def copy(self, tree, but=()):
        """Brings a copy of the sources up to date, but for these files."""
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT,
                                stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")
        names = set(filter(None, listed))
        for path in tree.rglob("*"):
            if path.is_file() and str(path.relative_to(tree)) not in names:
                path.unlink()
        for name in names:
            source, target = ROOT / name, tree / name
            if source.is_file() and name not in but:
                put(target, source.read_bytes())
                shutil.copymode(source, target)

    def sample(self):
        """The sample: drawn by what is mutated, not by its line, so it outlasts other changes."""
        globs = [f"--file=src/{name}/**" for name in FOLDERS]
        text = subprocess.run(["cargo", "mutants", "--list", "--json", *globs],
                              cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
        every, seen = json.loads(text), collections.Counter()
        for mutant in every:
            what = re.sub(r":\d+:\d+:", ":", mutant["name"], count=1)
            seen[what] += 1
            mutant["key"] = f"{what} #{seen[what]}" if seen[what] > 1 else what

        def drawn(mutant):
            return hashlib.sha256(f"{self.options.seed} {mutant['key']}".encode()).digest()

        mutants = sorted(every, key=drawn)[:self.options.sample]
        say(f"{len(every)} mutants, {len(mutants)} of them in the sample of seed "
            f"{self.options.seed}")
        return mutants

    def build(self):
        """Builds the tests with all mutants of the sample switched in that can be."""
        tree = self.work / "tree"
        mutants = self.sample()
        self.copy(tree, {m["file"] for m in mutants} | {"src/lib.rs", "sim/src/lib.rs"})
        for number, mutant in enumerate(mutants, 1):
            mutant["number"] = number
        self.copy(self.work / "alone")
        alone = set()
        while wrong := self.write(tree, mutants, alone):
            alone |= wrong
        for mutant in mutants:
            mutant["is_alone"] = mutant["number"] in alone
        say(f"{len(mutants) - len(alone)} in one build, {len(alone)} to be built alone")
        programs = {"unit": [self.program(tree, ".", ["--lib"])],
                    "simulation": [self.program(tree, "sim", ["--test", "seeds"])],
                    "behaviour": [self.program(tree, ".", ["--test", name])
                                  for name in ("sim", "fuzz", "alloc", "it")]}
        put(self.work / "built.json",
            json.dumps({"mutants": mutants, "programs": programs}).encode())

    def program(self, tree, part, what):
        built = self.cargo(tree, "test", "--no-run", "--message-format=json", *what, part=part)
        rows = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
        programs = [m["executable"] for m in rows if m.get("executable") and m["profile"]["test"]]
        if built.returncode != 0 or not programs:
            sys.exit(f"{what} is not built:\n{built.stderr}")
        return programs[-1]

    def write(self, tree, mutants, alone):
        """Writes the sources with the mutants; returns the numbers of those that do not compile."""
        files = collections.defaultdict(list)
        for mutant in mutants:
            files[mutant["file"]].append(mutant)
        wrong, texts = set(), {}
        for name, listed in files.items():
            source = switch.Source((ROOT / name).read_bytes())
            for mutant in listed:
                if mutant["number"] not in alone and not source.add(mutant["number"], mutant):
                    wrong.add(mutant["number"])
            texts[name] = source.written()
            put(tree / name, texts[name])
        put(tree / "src/mutant.rs", switch.MODULE.encode())
        for name, path in {"src": "mutant.rs", "sim/src": "../../src/mutant.rs"}.items():
            name = f"{name}/lib.rs"
            text = (ROOT / name).read_text()
            put(tree / name, f'{text}\n#[path = "{path}"]\npub mod mutant;\n'.encode())
        if wrong:
            return wrong
        checked = self.cargo(tree, "check", "-p", "landline", "--lib",
                             "--message-format=json")
        if checked.returncode == 0:
            return set()
        for line in checked.stdout.splitlines():
            message = json.loads(line).get("message") or {}
            if message.get("level") == "error":
                for span in message["spans"]:
                    if span["file_name"] in texts:
                        wrong |= switch.blamed(texts[span["file_name"]], span)
        if not wrong:
            sys.exit(checked.stderr)
        return wrong

    def run(self, program, arguments, limit_s, tree="tree", **env):
        """How a test program ended: passed, failed or timeout, and what it wrote."""
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))

        child = subprocess.Popen(
            [program, *arguments], cwd=self.work / tree, env=dict(self.env, **env),
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, preexec_fn=limit)
        try:
            text, _ = child.communicate(timeout=limit_s)
            ended = "passed" if child.returncode == 0 else "failed"
        except subprocess.TimeoutExpired:
            text, ended = b"", "timeout"
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
        return ended, text.decode(errors="replace")


class Stage:
    """Tests of one kind, what reaches which mutant, and what was found."""

    def __init__(self, bench, name):
        self.bench, self.name = bench, name
        self.found_path = bench.work / f"found-{name}.jsonl"
        self.found = {}
        if self.found_path.exists():
            for line in self.found_path.read_text().splitlines():
                row = json.loads(line)
                self.found[row["key"]] = row

    def note(self, mutant, ended, what=""):
        row = {"key": mutant["key"], "name": mutant["name"], "ended": ended, "what": what}
        self.found[mutant["key"]] = row
        with self.found_path.open("a") as out:
            out.write(json.dumps(row) + "\n")
        say(f"{self.name:10} {ended:8} {mutant['name']}  {what}")

    def prepare(self):
        """Runs all without a mutant: it has to pass, and shows what it reaches."""
        built = json.loads((self.bench.work / "built.json").read_text())
        self.mutants, self.programs = built["mutants"], built["programs"][self.name]
        start = time.monotonic()
        if self.name == "behaviour":
            self.tests = self.tests_of_behaviour()
        else:
            arguments, env = self.arguments()
            self.reached, (ended, text) = self.reach(self.programs[0], arguments, env)
            if ended != "passed":
                sys.exit(f"{self.name} without a mutant: {ended}\n{text[-3000:]}")
            say(f"{len(self.reached)} mutants are reached")
            self.tests = set(self.listed(self.programs[0]))
        took_s = time.monotonic() - start
        self.limit_s = max(60, 4 * took_s)
        say(f"{self.name}: {took_s:.0f} s without a mutant")

    def arguments(self):
        if self.name == "unit":
            return [], {}
        first = "every_seed_is_a_history_without_a_fault"
        return [first], {"LANDLINE_SEEDS": str(self.bench.options.seeds)}

    def reach(self, program, arguments, env):
        """Numbers of the mutants that are looked at on the way."""
        path = self.bench.work / f"seen-{self.name}"
        path.write_text("")
        ran = self.bench.run(program, arguments, 900, LANDLINE_MUTANTS_SEEN=str(path), **env)
        self.seen_by = collections.defaultdict(set)
        for line in path.read_text().splitlines():
            # A program that was killed may have left half a line.
            number, _, thread = line.partition(" ")
            if number.isdigit():
                self.seen_by[int(number)].add(thread)
        return set(self.seen_by), ran

    def listed(self, program):
        """The names of its tests."""
        text = self.bench.run(program, ["--list", "--format=terse"], 60)[1]
        return [line[:-len(": test")] for line in text.splitlines() if line.endswith(": test")]

    def tests_of_behaviour(self):
        """Each test, and what it reaches: kept, since finding out takes some minutes."""
        kept = self.bench.work / "reached.json"
        built = self.bench.work / "built.json"
        if kept.exists() and kept.stat().st_mtime > built.stat().st_mtime:
            return json.loads(kept.read_text())
        rows = []
        for program in self.programs:
            is_it = Path(program).name.startswith("it-")
            for test in self.listed(program) if is_it else [None]:
                arguments = ["--exact", test] if test else []
                reached, (ended, _) = self.reach(program, arguments, {})
                if ended == "passed":
                    rows.append([program, test, sorted(reached)])
                else:
                    say(f"left out, it does not pass without a mutant: {program} {test}")
        kept.write_text(json.dumps(rows))
        return rows

    def test(self, mutant):
        if mutant["is_alone"]:
            return self.test_alone(mutant)
        if self.name == "behaviour":
            return self.test_behaviour(mutant)
        if mutant["number"] not in self.reached:
            return "missed", "not reached"
        arguments, env = self.arguments()
        if self.name == "unit":
            # What a test's own threads reach is not known to be of this test.
            tests = self.seen_by[mutant["number"]]
            is_known = all(test in self.tests for test in tests)
            arguments = ["--exact", *sorted(tests)] if is_known else []
        return self.verdict(self.bench.run(self.programs[0], arguments, self.limit_s,
                                           LANDLINE_MUTANT=str(mutant["number"]), **env))

    def verdict(self, ran):
        ended, text = ran
        if ended == "passed":
            return "missed", ""
        return "caught", ended if ended == "timeout" else first_failure(text)

    def test_behaviour(self, mutant):
        number, limit_s = mutant["number"], self.bench.options.behaviour_s
        rows = [row for row in self.tests if number in row[2]]
        # First tests that are named alike, then those that reach little: both are close to it.
        words = set(re.findall(r"[a-z]{4,}", mutant["name"].split(":", 1)[1].lower()))
        words.add(Path(mutant["file"]).stem.rstrip("s"))

        def distance(row):
            name = (row[1] or "").lower()
            return row[1] is not None, -sum(word in name for word in words), len(row[2])

        rows.sort(key=distance)
        rows = rows[:self.bench.options.tests]
        for program in dict.fromkeys(row[0] for row in rows):
            tests = [row[1] for row in rows if row[0] == program and row[1]]
            arguments = ["--exact", *tests] if tests else []
            ended, text = self.bench.run(program, arguments, limit_s, LANDLINE_MUTANT=str(number))
            if ended == "passed":
                continue
            # The machine may be busy: without the mutant the same has to pass.
            failed = failures(text)
            again = ["--exact", *failed] if failed and tests else arguments
            if self.bench.run(program, again, limit_s)[0] == "passed":
                return self.verdict((ended, text))
        return "missed", "" if rows else "not reached"

    def test_alone(self, mutant):
        """One that could not be switched in: its source is changed, and built."""
        bench, alone = self.bench, self.bench.work / "alone"
        target = alone / mutant["file"]
        before = target.read_bytes()
        put(target, switch.alone(before, mutant))
        try:
            if bench.cargo(alone, "check", "-p", "landline", "--lib").returncode != 0:
                return "unviable", ""
            part, what = {"unit": (".", "--lib"), "simulation": ("sim", "--test=seeds"),
                          "behaviour": (".", "--test=it")}[self.name]
            program = bench.program(alone, part, [what])
            arguments, env = self.arguments() if self.name != "behaviour" else ([], {})
            return self.verdict(bench.run(program, arguments, 600, "alone", **env))
        finally:
            put(target, before)

    def is_wanted(self, mutant, before):
        """Not what an earlier stage caught, nor what this one looked at."""
        if any(stage.ended(mutant) in ("caught", "unviable") for stage in before):
            return False
        ended = self.ended(mutant)
        return ended is None or (ended == "missed" and self.bench.options.again)

    def ended(self, mutant):
        row = self.found.get(mutant["key"])
        return row and row["ended"]

    def go_on(self, before, deadline):
        self.prepare()
        wanted = [m for m in self.mutants if self.is_wanted(m, before)]
        wanted = [m for m in wanted if m["file"].startswith(self.bench.options.only)]
        for mutant in sorted(wanted, key=lambda m: m["is_alone"]):
            if time.monotonic() > deadline:
                return say("the time is up")
            if self.name == "simulation" and folder(mutant["file"]) == "sys":
                self.note(mutant, "missed", "the simulation has a sys of its own")
            else:
                self.note(mutant, *self.test(mutant))
        return None


def report(bench, stages):
    """Totals, a line for each folder; then what was missed."""
    mutants = json.loads((bench.work / "built.json").read_text())["mutants"]
    rows = []
    for mutant in mutants:
        ended = [(stage.name, stage.ended(mutant)) for stage in stages]
        caught = next((name for name, how in ended if how == "caught"), None)
        if any(how == "unviable" for _, how in ended):
            caught = "unviable"
        if caught or all(how for _, how in ended):
            rows.append((mutant, caught or "missed"))
    say("\nfolder      tested caught      %      unit simulation behaviour  missed unviable")
    for name in [*FOLDERS, "all"]:
        count = collections.Counter(
            by for mutant, by in rows if name in ("all", folder(mutant["file"])))
        tested = sum(count.values()) - count["unviable"]
        caught = tested - count["missed"]
        if tested:
            say(f"{name:10} {tested:7} {caught:6} {100 * caught / tested:6.1f} {count['unit']:9}"
                f" {count['simulation']:10} {count['behaviour']:9} {count['missed']:7}"
                f" {count['unviable']:8}")
    say(f"\nnot tested to the end: {len(mutants) - len(rows)} of {len(mutants)}\nmissed:")
    for mutant, by in sorted(rows, key=lambda row: row[0]["key"]):
        if by == "missed":
            say(f"  {mutant['name']}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("steps", nargs="*", choices=["build", *STAGES, "report", []])
    parser.add_argument("--sample", type=int, default=320, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1, help="which sample")
    parser.add_argument("--only", default="src/", help="files that begin so")
    parser.add_argument("--seeds", type=int, default=150, help="histories of the simulation")
    parser.add_argument("--tests", type=int, default=40, help="most tests of behaviour for one")
    parser.add_argument("--again", action="store_true", help="test again what was missed")
    parser.add_argument("--minutes", type=float, default=1e6, help="most time for each stage")
    parser.add_argument("--behaviour-s", type=int, default=180)
    parser.add_argument("--work", default=str(ROOT / "target/mutants"))
    bench = Bench(parser.parse_args())
    steps = bench.options.steps or ["build", *STAGES, "report"]
    if "build" in steps:
        bench.build()
    for step in STAGES:
        if step in steps:
            before = [Stage(bench, name) for name in STAGES[:STAGES.index(step)]]
            Stage(bench, step).go_on(before, time.monotonic() + 60 * bench.options.minutes)
    if "report" in steps:
        report(bench, [Stage(bench, name) for name in STAGES])


main()
