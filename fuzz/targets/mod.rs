//! What is done with fuzzed bytes. The fuzzers run this, and `cargo test --test fuzz` runs it again
//! over the corpus that is kept in `fuzz/corpus`. A target panics if what it checks does not hold.
//!
//! The crate that includes this has `landline::protocol` at its root: the client's frame parser,
//! which no public path leads to, is compiled in from its source.

mod allow_list;
pub(crate) mod conversation;
mod frames;
#[path = "../../src/client/frames.rs"]
mod parser;
mod words;

/// What takes fuzzed bytes.
type Target = fn(&[u8]);

/// Every target, by the name of its fuzzer and of its corpus.
pub(crate) const ALL: [(&str, Target); 5] = [
    ("conversation", conversation::run),
    ("frames", frames::run),
    ("allow_list", allow_list::run),
    ("options", words::options),
    ("addresses", words::addresses),
];

/// Runs one target.
pub(crate) fn run(name: &str, data: &[u8]) {
    let (_, target) = ALL.iter().find(|(known, _)| *known == name).expect("a target of the list");
    target(data);
}

/// What a target is told beside its input: the first byte, and the rest.
fn split_first(data: &[u8]) -> Option<(usize, &[u8])> {
    data.split_first().map(|(first, rest)| (usize::from(*first), rest))
}

/// `input` in pieces, whose lengths go round in `widths` (0 counts as 1).
fn cut<'a>(input: &'a [u8], widths: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let (mut rest, mut turn) = (input, 0);
    while !rest.is_empty() {
        let width = widths.get(turn % widths.len().max(1)).map_or(1, |width| *width);
        let (piece, more) = rest.split_at(usize::from(width.max(1)).min(rest.len()));
        pieces.push(piece);
        (rest, turn) = (more, turn + 1);
    }
    pieces
}

/// A number, so many widths of pieces, and the input that is cut.
fn cut_input(data: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let (number, rest) = split_first(data)?;
    let (count, rest) = split_first(rest)?;
    let (widths, input) = rest.split_at_checked(count % 8)?;
    Some((number, widths, input))
}
