//! `Listing`: the lines of a directory, sorted, as they are sent: in pieces, to as many as asked.
//!
//! Its memory is the text itself and 24 bytes a line; each line is written once, where it is found.

use super::files::entry_line;
use crate::sys::beneath::Metadata;

/// The lines of a directory, `SIZE MTIME NAME`.
#[derive(Debug, Default)]
pub struct Listing {
    text: Vec<u8>,
    lines: Vec<Line>,
}

/// Where a line is in the text.
#[derive(Clone, Copy, Debug)]
struct Line {
    start: usize,
    /// Where its name begins, and its end.
    name: usize,
    end: usize,
}

impl Listing {
    /// Adds an entry.
    pub(super) fn push(&mut self, name: &[u8], metadata: &Metadata) {
        let start = self.text.len();
        self.text.extend_from_slice(entry_line(name, metadata).as_bytes());
        let end = self.text.len();
        // A directory's name is followed by a slash, and every line by its newline.
        let tail_bytes = if self.text.ends_with(b"/\n") { 2 } else { 1 };
        let name = end - tail_bytes - name.len();
        self.lines.push(Line { start, name, end });
    }

    /// Puts the lines in the order of their names' bytes, without the slash behind a directory's.
    pub(super) fn sort(&mut self) {
        let text = &self.text;
        let name = |line: &Line| {
            let name = &text[line.name..line.end - 1];
            name.strip_suffix(b"/").unwrap_or(name)
        };
        self.lines.sort_unstable_by(|a, b| name(a).cmp(name(b)));
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The lines from number `next` on, as many as make up `bytes_max` bytes, but at least one if
    /// there is one; `next` becomes the number of the line behind them.
    pub fn piece(&self, next: &mut usize, bytes_max: usize) -> Vec<u8> {
        let mut piece = Vec::new();
        while let Some(line) = self.lines.get(*next) {
            if !piece.is_empty() && piece.len() + (line.end - line.start) > bytes_max {
                break;
            }
            piece.extend_from_slice(&self.text[line.start..line.end]);
            *next += 1;
        }
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::beneath::Kind;

    #[test]
    fn pieces_are_whole_lines_in_order_and_make_up_the_text() {
        let mut listing = Listing::default();
        let metadata = |kind| Metadata { kind, bytes: 7, mtime_s: 0 };
        for (name, kind) in [
            ("b-x", Kind::File),
            ("b", Kind::Directory),
            ("é", Kind::File),
            ("a b", Kind::File),
            ("b.txt", Kind::File),
        ] {
            listing.push(name.as_bytes(), &metadata(kind));
        }
        listing.sort();
        let whole = listing.piece(&mut 0, usize::MAX);
        let names = String::from_utf8(whole.clone()).expect("it is text");
        let names: Vec<_> = names.lines().filter_map(|line| line.splitn(3, ' ').last()).collect();
        assert_eq!(names, ["a b", "b/", "b-x", "b.txt", "é"]);
        assert_eq!(listing.bytes(), whole.len());
        for bytes_max in [0, 1, 40, 60, 100] {
            let (mut next, mut all) = (0, Vec::new());
            loop {
                let piece = listing.piece(&mut next, bytes_max);
                if piece.is_empty() {
                    break;
                }
                assert!(piece.ends_with(b"\n") && piece.len() <= bytes_max.max(40));
                all.extend(piece);
            }
            assert_eq!(all, whole);
        }
    }
}
