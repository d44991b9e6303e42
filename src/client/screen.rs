//! `Screen`: standard output of `landline connect`, where replies and messages share lines.
//!
//! What it does not do: know what it shows. What goes to a terminal is cleaned here, all of it.

use super::failure::Failure;
use super::output::{Cleaner, Out};
use super::watch::Watch;
use crate::protocol::text;

/// Standard output, and whether it stands at the start of a line.
pub(super) struct Screen {
    out: Out,
    cleaner: Cleaner,
    is_line_start: bool,
}

impl Screen {
    /// Nothing was written yet.
    pub(super) fn open() -> Result<Self, Failure> {
        Ok(Self { out: Out::stdout()?, cleaner: Cleaner::default(), is_line_start: true })
    }

    /// Whether a person reads it.
    pub(super) fn is_terminal(&self) -> bool {
        self.out.is_terminal
    }

    /// Whether a line can begin here.
    pub(super) fn is_line_start(&self) -> bool {
        self.is_line_start
    }

    /// A piece of a reply: unchanged, but on a terminal.
    pub(super) fn pass(&mut self, bytes: &[u8], watch: &mut Watch) -> Result<(), Failure> {
        if self.out.is_terminal {
            let shown = self.cleaner.clean(bytes);
            return self.write(shown.as_bytes(), watch);
        }
        self.write(bytes, watch)
    }

    /// No more pieces of this reply come.
    pub(super) fn end_reply(&mut self, watch: &mut Watch) -> Result<(), Failure> {
        let rest = self.cleaner.finish();
        self.write(rest.as_bytes(), watch)
    }

    /// A line of its own, harmless wherever it goes.
    pub(super) fn line(&mut self, line: &str, watch: &mut Watch) -> Result<(), Failure> {
        if !self.is_line_start {
            self.write(b"\n", watch)?;
        }
        let mut shown = text::clean(line.as_bytes());
        shown.push('\n');
        self.write(shown.as_bytes(), watch)
    }

    /// The end of the line, where there is one to end.
    pub(super) fn end_line(&mut self, watch: &mut Watch) -> Result<(), Failure> {
        if self.is_line_start { Ok(()) } else { self.write(b"\n", watch) }
    }

    fn write(&mut self, bytes: &[u8], watch: &mut Watch) -> Result<(), Failure> {
        if let Some(last) = bytes.last() {
            self.is_line_start = *last == b'\n';
        }
        self.out.write(bytes, watch)
    }
}
