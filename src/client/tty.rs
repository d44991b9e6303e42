//! `landline run -t`: a command on a terminal there, which is this one here.
//!
//! What it does not do: interpret what the command shows; a terminal is lent to it whole. Raw mode
//! ends with `run`, whichever way it is left, so that errors are told on a terminal as it was.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;

use nix::sys::signal::{Signal as Named, raise};

use super::command::Common;
use super::failure::Failure;
use super::keys::{HELP, Keys, Wish};
use super::output::Out;
use super::run::{ending, failing};
use super::watch::Watch;
use super::wire::{Wire, misplaced};
use crate::protocol::limits::TERM_BYTES_MAX;
use crate::protocol::reply::{self, Header};
use crate::sys::terminal::{self, RawMode};

/// Keys that are read at once; more come from a pipe alone.
const READ_BYTES: usize = 16 * 1024;

/// Runs `command` on a terminal and gives its exit status.
pub(super) fn run(common: &Common, command: &str) -> Result<u8, Failure> {
    let (mut wire, mut watch) = Wire::open(common)?;
    let ended = lend(&mut wire, &mut watch, command).inspect_err(|_| wire.abandon())?;
    let Some(header) = ended else {
        wire.abandon();
        return Err(Failure::Failed("left (~.); the command is ended".to_owned()));
    };
    if header.kind == "done" { ending(&header) } else { failing(&header, &mut wire, &mut watch) }
}

/// Asks for `command` and lends it this terminal, until it ends. Gives the final frame, whose
/// payload is to come, or nothing where the user left it running.
pub(super) fn lend(
    wire: &mut Wire,
    watch: &mut Watch,
    command: &str,
) -> Result<Option<Header>, Failure> {
    watch.take_sizes()?;
    // In one piece: the command begins with this size.
    wire.push(format!("run@pty {command}\n{}", winch(true)).as_bytes());
    Seat::take(watch)?.follow(wire, watch)
}

/// This terminal, as far as it is one.
struct Seat {
    input: File,
    keys: Keys,
    /// No more keys come.
    is_ended: bool,
    /// The user has had enough of it.
    is_left: bool,
    raw: Option<RawMode>,
    out: Out,
}

impl Seat {
    fn take(watch: &mut Watch) -> Result<Self, Failure> {
        let stdin = io::stdin();
        let input = stdin.as_fd().try_clone_to_owned();
        let input = input.map_err(|error| Failure::local("standard input", &error))?.into();
        let out = Out::stdout()?;
        let mut seat =
            Self { input, keys: Keys::new(), is_ended: false, is_left: false, raw: None, out };
        if stdin.is_terminal() {
            seat.begin_raw()?;
        } else {
            // Ctrl-C is a signal then.
            watch.cancel_on_interrupt();
        }
        Ok(seat)
    }

    fn begin_raw(&mut self) -> Result<(), Failure> {
        let raw = RawMode::begin(self.input.as_fd());
        self.raw = Some(raw.map_err(|error| Failure::local("the terminal", &error))?);
        Ok(())
    }

    /// Passes on keys and what is shown, until the command ends or is left.
    fn follow(&mut self, wire: &mut Wire, watch: &mut Watch) -> Result<Option<Header>, Failure> {
        while !self.is_left {
            if watch.takes_size() {
                // Whoever continued us may have set modes of its own.
                if self.raw.is_some() {
                    self.raw = None;
                    self.begin_raw()?;
                }
                wire.push(winch(false).as_bytes());
            }
            let Some(header) = wire.arrived()? else {
                if wire.is_over() {
                    return Err(wire.lost());
                }
                self.wait(wire, watch)?;
                continue;
            };
            match header.kind.as_str() {
                "out" | "err" => {
                    while let Some(piece) = wire.payload(watch)? {
                        self.out.write(piece, watch)?;
                    }
                }
                "msg" | "note" => wire.event(&header, watch)?,
                "done" | "fail" => return Ok(Some(header)),
                _ => return Err(misplaced(&header)),
            }
        }
        Ok(None)
    }

    fn wait(&mut self, wire: &mut Wire, watch: &mut Watch) -> Result<(), Failure> {
        let wants_keys = !self.is_ended && wire.has_room();
        let keys = wants_keys.then(|| (self.input.as_fd(), true, false));
        let ready = wire.turn(watch, None, keys.as_slice())?;
        if ready.first() == Some(&true) { self.on_keys(wire) } else { Ok(()) }
    }

    fn on_keys(&mut self, wire: &mut Wire) -> Result<(), Failure> {
        let mut bytes = vec![0; READ_BYTES];
        let count = match self.input.read(&mut bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(Failure::local("standard input", &error)),
        };
        if count == 0 {
            self.is_ended = true;
            wire.say("eof 0");
            return Ok(());
        }
        let mut typed = Vec::new();
        let mut wishes = Vec::new();
        if self.raw.is_some() {
            wishes = self.keys.on_bytes(&bytes[..count], &mut typed);
        } else {
            typed.extend_from_slice(&bytes[..count]);
        }
        if !typed.is_empty() {
            wire.push(&reply::frame("in", &[], &typed));
        }
        wishes.into_iter().try_for_each(|wish| self.grant(wish))
    }

    fn grant(&mut self, wish: Wish) -> Result<(), Failure> {
        match wish {
            Wish::Leave => self.is_left = true,
            Wish::Help => {
                // A terminal that has gone is noticed elsewhere.
                let _ = io::stderr().write_all(HELP.as_bytes());
            }
            Wish::Stop => {
                self.raw = None;
                raise(Named::SIGTSTP)
                    .map_err(|error| Failure::local("stopping", &io::Error::from(error)))?;
                self.begin_raw()?;
            }
        }
        Ok(())
    }
}

/// The frame that says what this terminal is like; nothing where there is none.
fn winch(says_kind: bool) -> String {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let size = terminal::size(stdin.as_fd()).or_else(|| terminal::size(stdout.as_fd()));
    let Some((columns, rows)) = size else { return String::new() };
    let kind = std::env::var("TERM").ok().filter(|kind| says_kind && is_kind(kind));
    let kind = kind.map(|kind| format!(" term={kind}")).unwrap_or_default();
    format!("winch 0 cols={columns} rows={rows}{kind}\n")
}

/// Whether a server takes this for the type of a terminal.
fn is_kind(kind: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    (1..=TERM_BYTES_MAX).contains(&kind.len()) && kind.bytes().all(is_letter)
}
