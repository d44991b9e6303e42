//! Standard output and standard error as bytes leave by them: unbuffered, and without waiting where
//! signals and time-outs would not be noticed. And `Cleaner`, for what goes to a terminal.
//!
//! What it does not do: decide what is cleaned.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::OpenOptionsExt as _;

use super::failure::Failure;
use super::watch::Watch;
use crate::protocol::text;

/// What a pipe that is ready takes without blocking (`PIPE_BUF`, pipe(7)), in bytes.
const PIECE_BYTES: usize = 4096;

/// One of the two.
pub(super) struct Out {
    file: File,
    name: &'static str,
    is_regular: bool,
    /// Whether a person reads it.
    pub(super) is_terminal: bool,
}

impl Out {
    /// Standard output.
    pub(super) fn stdout() -> Result<Self, Failure> {
        Self::of(&io::stdout(), "standard output")
    }

    /// Standard error.
    pub(super) fn stderr() -> Result<Self, Failure> {
        Self::of(&io::stderr(), "standard error")
    }

    fn of(stream: &impl AsFd, name: &'static str) -> Result<Self, Failure> {
        let open = || -> io::Result<Self> {
            let file = File::from(stream.as_fd().try_clone_to_owned()?);
            let is_regular = file.metadata()?.is_file();
            let is_terminal = file.is_terminal();
            let own = if is_terminal { reopened(&file).ok() } else { None };
            Ok(Self { file: own.unwrap_or(file), name, is_regular, is_terminal })
        };
        open().map_err(|error| Failure::local(name, &error))
    }

    /// Writes all of `bytes`.
    pub(super) fn write(&mut self, mut bytes: &[u8], watch: &mut Watch) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let piece = if self.is_regular {
                bytes
            } else if watch.wait(&[(self.file.as_fd(), false, true)])? == [true] {
                &bytes[..bytes.len().min(PIECE_BYTES)]
            } else {
                continue;
            };
            match self.file.write(piece) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => {}
                    io::ErrorKind::BrokenPipe => return Err(Failure::ReaderGone),
                    _ => return Err(Failure::local(self.name, &error)),
                },
            }
        }
        Ok(())
    }
}

/// The same terminal by a description of our own that never blocks: one that is stopped (Ctrl-S)
/// takes a part of a piece and would hold the rest, and with it signals and time-outs. What others
/// have open is not touched by it.
fn reopened(terminal: &File) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", terminal.as_raw_fd());
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().write(true).custom_flags(flags).open(path)
}

/// Makes bytes harmless for a terminal, piece by piece: lines stay lines, and all else that could
/// drive it is replaced (`text::clean`).
#[derive(Default)]
pub(super) struct Cleaner {
    /// The start of a character, or a `\r`, whose rest is to come.
    kept: Vec<u8>,
}

impl Cleaner {
    /// What is shown of `bytes`.
    pub(super) fn clean(&mut self, bytes: &[u8]) -> String {
        self.kept.extend_from_slice(bytes);
        let end = self.kept.len() - unfinished(&self.kept);
        let rest = self.kept.split_off(end);
        let ready = std::mem::replace(&mut self.kept, rest);
        let mut shown = String::with_capacity(ready.len());
        for line in ready.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(line) => {
                    text::clean_into(&mut shown, line.strip_suffix(b"\r").unwrap_or(line));
                    shown.push('\n');
                }
                None => text::clean_into(&mut shown, line),
            }
        }
        shown
    }

    /// What is shown of what was kept, now that nothing follows.
    pub(super) fn finish(&mut self) -> String {
        text::clean(&std::mem::take(&mut self.kept))
    }
}

/// How many bytes at the end begin a character of UTF-8, or a line's end, and do not finish it.
fn unfinished(bytes: &[u8]) -> usize {
    if bytes.ends_with(b"\r") {
        return 1;
    }
    for back in 1..=bytes.len().min(3) {
        let needed = match bytes[bytes.len() - back] {
            0x80..0xc0 => continue,
            0xc2..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0..0xf5 => 4,
            _ => 1,
        };
        return if needed > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_the_same_however_it_is_cut() {
        let bytes = "tab\té€😀\r\n\x1b[2J\u{9b}31m\n\n".as_bytes();
        let bytes = [bytes, b"\xff\xe2\x82", b"x\r", b"y\xf0\x9f"].concat();
        let expected = "tab\té€😀\n\u{fffd}[2J\u{fffd}31m\n\n\u{fffd}\u{fffd}x\u{fffd}y\u{fffd}";
        for step in 1..=bytes.len() {
            let mut cleaner = Cleaner::default();
            let mut shown: String = bytes.chunks(step).map(|piece| cleaner.clean(piece)).collect();
            shown.push_str(&cleaner.finish());
            assert_eq!(shown, expected, "cut after each {step}");
        }
    }
}
