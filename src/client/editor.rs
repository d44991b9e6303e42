//! `Editor`: a line that is typed at the terminal, while other lines appear above it. The editing
//! is that of `rustyline`, which waits for keys on a thread of its own.
//!
//! What it does not do: know what a line means, or what is shown above it. A line that is given to
//! it in the instant in which another is accepted appears above the next one.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use rustyline::error::{ReadlineError, Signal as Caught};
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, ExternalPrinter};

use super::complete::Completion;
use super::failure::Failure;
use super::news::{News, Teller};
use crate::sys::poll::wait_readable;
use crate::sys::terminal::Modes;

/// Lines that may wait to be shown while the editor is busy with keys.
const ABOVE_LINES_MAX: usize = 256;
/// Lines that are remembered of each server.
const HISTORY_LINES_MAX: usize = 1000;
/// How often, and how far apart in milliseconds, it is looked whether an editor has begun.
const BEGIN_LOOKS_MAX: u32 = 100;
const BEGIN_LOOK_MS: u64 = 5;
/// Pasted text stands between marks no more (xterm's bracketed paste mode), on a line of its own.
const AFTER_EDITING: &[u8] = b"\x1b[?2004l\n";

/// The editor proper, which remembers lines.
pub(super) type Line = rustyline::Editor<Completion, FileHistory>;

/// What came of a line.
pub(super) enum Typed {
    /// It was entered; where it was pasted, it can be several.
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D on an empty line, or the terminal has gone.
    End,
}

/// The editor, and whether it is at work.
pub(super) struct Editor {
    idle: Option<Box<Line>>,
    above: SyncSender<String>,
    modes: Modes,
    history: Option<PathBuf>,
    teller: Teller,
}

impl Editor {
    /// Nothing is typed yet. Lines entered before are read from `history`.
    pub(super) fn open(history: Option<PathBuf>, teller: Teller) -> Result<Self, Failure> {
        let failed = |error| terminal_failure(&error);
        let modes = Modes::of(io::stdin().as_fd());
        let modes = modes.map_err(|error| Failure::local("the terminal", &error))?;
        let config = Config::builder()
            .max_history_size(HISTORY_LINES_MAX)
            .map_err(failed)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut line = Line::with_config(config).map_err(failed)?;
        line.set_helper(Some(Completion::new(teller.clone())));
        if let Some(path) = &history {
            // There is none at first; one that cannot be read is begun anew.
            let _ = line.load_history(path);
        }
        let printer = line.create_external_printer().map_err(failed)?;
        let (above, lines) = mpsc::sync_channel(ABOVE_LINES_MAX);
        start(move || print(printer, &lines))?;
        Ok(Self { idle: Some(Box::new(line)), above, modes, history, teller })
    }

    /// Whether a line is being typed.
    pub(super) fn is_editing(&self) -> bool {
        self.idle.is_none()
    }

    /// Where lines go that are to appear above the one that is typed.
    pub(super) fn above(&self) -> SyncSender<String> {
        self.above.clone()
    }

    /// Lets a line be typed behind `prompt`. What comes of it is told as news, with the editor,
    /// which is to be taken back.
    pub(super) fn begin(&mut self, prompt: String) -> Result<(), Failure> {
        let Some(mut line) = self.idle.take() else { return Ok(()) };
        let (teller, history) = (self.teller.clone(), self.history.clone());
        start(move || {
            let typed = read(&mut line, &prompt);
            if let Typed::Line(text) = &typed {
                remember(&mut line, text, history);
            }
            teller.tell(News::Typed(line, typed));
        })
    }

    /// The editor is ready for the next line.
    pub(super) fn take_back(&mut self, line: Box<Line>) {
        self.idle = Some(line);
    }
}

/// Leaves the terminal as it was, also where a line is being typed.
impl Drop for Editor {
    fn drop(&mut self) {
        if self.is_editing() {
            // An editor that is about to begin would change the modes after this.
            for _ in 0..BEGIN_LOOKS_MAX {
                if self.modes.is_changed() {
                    break;
                }
                // Nothing is waited for but time.
                let _ = wait_readable(&[], Some(BEGIN_LOOK_MS));
            }
            self.modes.restore();
            // A terminal that has gone takes nothing.
            let _ = io::stdout().write_all(AFTER_EDITING);
            let _ = io::stdout().flush();
        }
    }
}

fn start(work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let started = thread::Builder::new().spawn(work).map(drop);
    started.map_err(|error| Failure::local("starting a thread", &error))
}

fn print(mut printer: impl ExternalPrinter, lines: &Receiver<String>) {
    for line in lines {
        // A terminal that has gone is noticed elsewhere.
        let _ = printer.print(line);
    }
}

fn read(line: &mut Line, prompt: &str) -> Typed {
    loop {
        match line.readline(prompt) {
            Ok(text) => return Typed::Line(text),
            Err(ReadlineError::Interrupted | ReadlineError::Signal(Caught::Interrupt)) => {
                return Typed::Interrupted;
            }
            Err(ReadlineError::Signal(_)) => {}
            Err(_) => return Typed::End,
        }
    }
}

/// Keeps it at once, so that nothing is lost by a sudden end. What cannot be kept is remembered for
/// as long as this lasts.
fn remember(line: &mut Line, text: &str, history: Option<PathBuf>) {
    let is_new = !text.trim().is_empty() && line.add_history_entry(text).is_ok_and(|is_new| is_new);
    if let Some(path) = history.filter(|_| is_new) {
        let _ = line.append_history(&path);
    }
}

fn terminal_failure(error: &ReadlineError) -> Failure {
    Failure::Failed(format!("the terminal: {error}"))
}
