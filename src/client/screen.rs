//! `Screen`: standard output of `landline connect`, where replies and messages share lines.
//!
//! What it does not do: know what it shows. What goes to a terminal is cleaned here, all of it.

use std::sync::mpsc::SyncSender;

use super::failure::Failure;
use super::output::{Cleaner, Out};
use super::watch::Watch;
use crate::protocol::text;

/// What kind of line it is, which a terminal shows by colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Something of landline's or the server's own.
    Note,
    /// Something went wrong.
    Error,
    /// A message to this user alone.
    Single,
    /// A message to several.
    Multi,
    /// A message to all.
    Broad,
}

impl Tone {
    /// How it is selected (ECMA-48, 8.3.117).
    fn rendition(self) -> &'static str {
        match self {
            Self::Note => "2",
            Self::Error => "31",
            Self::Single => "32",
            Self::Multi => "33",
            Self::Broad => "36",
        }
    }
}

/// Standard output, and whether it stands at the start of a line.
pub(super) struct Screen {
    out: Out,
    cleaner: Cleaner,
    is_line_start: bool,
    has_colour: bool,
    /// While a line is being typed, whole lines go here, and appear above it.
    pub(super) above: Option<SyncSender<String>>,
}

impl Screen {
    /// Nothing was written yet.
    pub(super) fn open(has_colour: bool) -> Result<Self, Failure> {
        let out = Out::stdout()?;
        Ok(Self {
            has_colour: has_colour && out.is_terminal && !is_colourless(),
            out,
            cleaner: Cleaner::default(),
            is_line_start: true,
            above: None,
        })
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
    pub(super) fn line(
        &mut self,
        tone: Tone,
        line: &str,
        watch: &mut Watch,
    ) -> Result<(), Failure> {
        let mut shown = text::clean(line.as_bytes());
        if self.has_colour {
            shown = format!("\x1b[{}m{shown}\x1b[0m", tone.rendition());
        }
        shown.push('\n');
        if let Some(above) = &self.above {
            let sent = above.send(shown);
            return sent.map_err(|_| Failure::Failed("the terminal takes no more".to_owned()));
        }
        self.end_line(watch)?;
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

/// Whether the user wants no colour (<https://no-color.org>).
fn is_colourless() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
