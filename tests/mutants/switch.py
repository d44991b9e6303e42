"""Puts many mutants of cargo-mutants into one copy of the sources, each behind a switch.

cargo-mutants builds the program anew for each mutant. Here one build has all of them:
`a < b` becomes `(if crate::mutant::is(7) { a > b } else { a < b })`, and LANDLINE_MUTANT=7 in the
environment switches that one on. Each mutant keeps its line, so the compiler's errors can be
attributed. A mutant that cannot be written as an expression at run time (in a constant, say) is
given back, and is built alone.
"""

import re

import tree_sitter
import tree_sitter_rust

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))
NUMBER = re.compile(rb"mutant::is\((\d+)\)")

MODULE = """//! Which mutant is switched on, and which ones are looked at.
use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Write as _;
use std::sync::LazyLock;

static ACTIVE: LazyLock<u32> = LazyLock::new(|| {
    std::env::var("LANDLINE_MUTANT").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
});
static PATH: LazyLock<Option<std::ffi::OsString>> =
    LazyLock::new(|| std::env::var_os("LANDLINE_MUTANTS_SEEN"));

thread_local! {
    static SEEN: RefCell<HashSet<u32>> = RefCell::default();
}

/// Whether it is this one.
pub fn is(number: u32) -> bool {
    if PATH.is_some() {
        see(number);
    }
    *ACTIVE == number
}

/// Notes the number and the thread: libtest names threads for their tests.
fn see(number: u32) {
    let is_new = SEEN.try_with(|seen| seen.borrow_mut().insert(number));
    if let Some(path) = &*PATH
        && is_new == Ok(true)
        && let Ok(mut file) = std::fs::OpenOptions::new().append(true).open(path)
    {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("?");
        let _ = file.write_all(format!("{number} {name}\\n").as_bytes());
    }
}
"""


def alone(text, mutant):
    """The source with this one mutant and no switch."""
    source = Source(text)
    start, end = source.at(mutant["span"]["start"]), source.at(mutant["span"]["end"])
    return text[:start] + mutant["replacement"].encode() + text[end:]


def blamed(text, span):
    """Numbers of the mutants in the lines of an error; if there are none, in its function."""
    lines = text.split(b"\n")
    first, last = span["line_start"] - 1, span["line_end"]
    found = NUMBER.findall(b"\n".join(lines[first:last]))
    if not found and span["is_primary"]:
        node = PARSER.parse(text).root_node
        node = node.descendant_for_point_range((first, 4), (last - 1, 4))
        while node is not None and node.type != "function_item":
            node = node.parent
        found = NUMBER.findall(node.text) if node else []
    return {int(number) for number in found}


class Edit:
    """One place, and the mutants of it. `kind` says how it is rewritten."""

    def __init__(self, start, end, kind):
        self.start, self.end, self.kind = start, end, kind
        self.mutants = []  # (number, replacement)
        self.node = None

    def order(self):
        """Outer ones first. The value of a function stands before its first expression."""
        return (self.start, self.kind != "value", -self.end)


def switch(number):
    return f"crate::mutant::is({number})".encode()


class Source:
    """A file whose mutants are to be written in."""

    def __init__(self, text):
        self.text = text
        self.tree = PARSER.parse(text)
        self.lines = [0]
        for line in text.split(b"\n"):
            self.lines.append(self.lines[-1] + len(line) + 1)
        self.edits = {}

    def at(self, place):
        """The byte of a line and a column (in characters), both from 1."""
        start = self.lines[place["line"] - 1]
        line = self.text[start:self.lines[place["line"]]].decode()
        return start + len(line[:place["column"] - 1].encode())

    def add(self, number, mutant):
        """Notes a mutant; False if it has to be built alone."""
        start, end = self.at(mutant["span"]["start"]), self.at(mutant["span"]["end"])
        genre = mutant["genre"]
        place = getattr(self, f"on_{genre}", lambda *_: None)(start, end)
        if place is None:
            return False
        key = (place.start, place.end, place.kind)
        edit = self.edits.setdefault(key, place)
        edit.mutants.append((number, mutant["replacement"].encode()))
        return True

    def on_FnValue(self, start, _end):
        return Edit(start, start, "value")

    def named(self, start, end, *kinds):
        """The smallest node of one of these kinds around a place."""
        node = self.tree.root_node.descendant_for_byte_range(start, end)
        while node is not None and node.type not in kinds:
            node = node.parent
        return node

    def on_BinaryOperator(self, start, end):
        node = self.named(start, end, "binary_expression", "compound_assignment_expr")
        if node is None:
            return None
        operator = node.child_by_field_name("operator")
        if operator is None or operator.start_byte != start:
            return None
        edit = Edit(node.start_byte, node.end_byte, "operator")
        edit.node = node
        return edit

    def on_UnaryOperator(self, start, end):
        node = self.named(start, end, "unary_expression")
        if node is None or node.start_byte != start:
            return None
        edit = Edit(node.start_byte, node.end_byte, "unary")
        edit.node = node
        return edit

    def on_MatchArmGuard(self, start, end):
        return Edit(start, end, "guard")

    def on_MatchArm(self, start, end):
        node = self.named(start, max(start + 1, end - 1), "match_arm")
        pattern = node and node.child_by_field_name("pattern")
        if pattern is None or not start <= pattern.start_byte <= end:
            return None
        guard = pattern.child_by_field_name("condition")
        if guard is not None:
            return Edit(guard.start_byte, guard.end_byte, "guard")
        return Edit(pattern.end_byte, pattern.end_byte, "arm")

    def written(self):
        """The file with all that was added."""
        order = sorted(self.edits.values(), key=Edit.order)
        return self.render(0, len(self.text), order)

    def render(self, start, end, edits):
        """A part of the file, with those edits, which lie in it."""
        out, at = [], start
        while edits:
            edit, edits = edits[0], edits[1:]
            out.append(self.text[at:edit.start])
            inner = [other for other in edits if other.end <= edit.end]
            edits = [other for other in edits if other.end > edit.end]
            out.append(self.rewritten(edit, inner))
            at = edit.end
        out.append(self.text[at:end])
        return b"".join(out)

    def rewritten(self, edit, inner):
        """What stands in an edit's place. What lies within it is switched in one branch only."""
        whole = self.render(edit.start, edit.end, inner)
        if edit.kind == "value":
            return b"".join(
                b"if %s { return %s; } " % (switch(number), value)
                for number, value in edit.mutants
            )
        if edit.kind == "arm":
            return b"".join(b" if !%s" % switch(number) for number, _ in edit.mutants)
        if edit.kind == "guard":
            for number, value in edit.mutants:
                form = b"(%s || (%s))" if value == b"true" else b"(!%s && (%s))"
                whole = form % (switch(number), whole)
            return whole
        branches = b""
        for number, value in edit.mutants:
            branches += b"if %s { %s } else " % (switch(number), self.mutated(edit, value))
        return b"(%s{ %s })" % (branches, whole)

    def mutated(self, edit, value):
        """The expression of an operator with the mutant's in its place."""
        if edit.kind == "unary":
            return self.text[edit.start + 1:edit.end]
        operator = edit.node.child_by_field_name("operator")
        return (
            self.text[edit.start:operator.start_byte] + value
            + self.text[operator.end_byte:edit.end]
        )
