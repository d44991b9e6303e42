//! `Intake`: what a peer sends to its command, on its way into the command's standard input.
//!
//! What it does not do: read the peer, or stop reading it (the connection asks `is_full`).
//!
//! Invariants:
//! 1. Bytes are kept only while the command is not there yet, or takes none now.
//! 2. Once the command takes no more, or all was said and sent, nothing is kept and the descriptor
//!    is closed in that very turn, which tells a pipe's reader that there is no more.

use std::io;

use super::desk::Desk;
use super::watched::Watched;
use crate::protocol::limits::INPUT_BYTES_MAX;
use crate::reactor::token::{Facet, PeerId};
use crate::sys::epoll::{Epoll, Interest};
use crate::sys::fd::{BorrowedFd, OwnedFd};
use crate::sys::{pipe, pty};

/// Whether more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// It may.
    Open,
    /// The peer said that there is no more.
    Said,
    /// That was typed too, at a terminal.
    Typed,
}

/// Input of one command.
#[derive(Debug)]
pub(crate) struct Intake {
    /// Where the bytes go: into a pipe, or where `is_terminal`, to a terminal's keyboard. None
    /// while the command is being started.
    end: Option<Watched>,
    kept: Vec<u8>,
    /// How much of `kept` was taken.
    taken: usize,
    last: Last,
    is_terminal: bool,
    /// What was typed last ended a line.
    is_line_start: bool,
    /// Why some of it could not be passed on, until that is taken.
    failure: Option<io::Error>,
}

impl Intake {
    /// Nothing came yet, for a command that is being started.
    pub(crate) fn new(is_terminal: bool) -> Self {
        let (end, kept) = (None, Vec::new());
        let (taken, last, is_line_start, failure) = (0, Last::Open, true, None);
        Self { end, kept, taken, last, is_terminal, is_line_start, failure }
    }

    /// Why some of it was lost before the command took it, if it was: the command is not to be
    /// taken for one that had all its input.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// The command is there.
    pub(crate) fn on_start(&mut self, fd: Option<OwnedFd>) {
        self.end = Some(Watched::new(fd));
        self.on_writable();
    }

    /// Bytes came.
    pub(crate) fn on_bytes(&mut self, bytes: &[u8]) {
        if self.is_over() || self.last != Last::Open {
            return;
        }
        let taken = if self.kept.is_empty() { self.write(bytes) } else { 0 };
        if !self.is_over() {
            self.kept.extend_from_slice(&bytes[taken..]);
        }
    }

    /// No more bytes come.
    pub(crate) fn on_end(&mut self) {
        if self.last == Last::Open {
            self.last = Last::Said;
        }
        self.on_writable();
    }

    /// The command takes some more, perhaps.
    pub(crate) fn on_writable(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        self.taken += self.write(&kept[self.taken..]);
        if !self.is_over() && self.taken < kept.len() {
            self.kept = kept;
            self.drop_taken();
            return;
        }
        self.taken = 0;
        if self.last != Last::Open && !self.is_over() {
            self.finish();
        }
    }

    /// A command that reads slowly, but does read, would otherwise let `kept` grow without end.
    fn drop_taken(&mut self) {
        if self.taken >= INPUT_BYTES_MAX {
            self.kept.drain(..self.taken);
            self.taken = 0;
        }
    }

    /// Whether no more should be read for it now.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.len() - self.taken >= INPUT_BYTES_MAX
    }

    /// Waits for room where bytes are kept.
    pub(crate) fn watch(&mut self, desk: &Desk, peer: PeerId) -> io::Result<()> {
        let wanted = (!self.kept.is_empty()).then_some(Interest::WRITE);
        self.end.as_mut().map_or(Ok(()), |end| end.watch(desk, peer, Facet::In, wanted))
    }

    /// Waits for nothing more, before it is dropped.
    pub(crate) fn unwatch(&mut self, epoll: &Epoll) {
        self.end.iter_mut().for_each(|end| end.unwatch(epoll));
    }

    fn is_over(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.open().is_none())
    }

    /// Says how much of `bytes` was taken. Closes if nobody is left to read, or if it fails.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let write = if self.is_terminal { pty::write } else { pipe::write };
        let mut taken = 0;
        while let Some(fd) = self.open()
            && taken < bytes.len()
        {
            match write(fd, &bytes[taken..]) {
                Ok(count) => taken += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.close(),
                Err(error) => self.fail(error),
            }
        }
        if let Some(last) = bytes[..taken].last() {
            self.is_line_start = matches!(last, b'\n' | b'\r');
        }
        taken
    }

    /// All was said and sent. A terminal does not end: its reader is told as a person would. In the
    /// middle of a line that takes two of the same keys: the first one sends what was typed of it.
    fn finish(&mut self) {
        let Some(fd) = self.open() else { return };
        if !self.is_terminal || self.last == Last::Typed {
            return self.close();
        }
        match pty::end_of_input(fd) {
            Ok(key) => {
                // What the terminal does not take now is kept, as all that is typed.
                self.last = Last::Typed;
                self.kept = key.repeat(if self.is_line_start { 1 } else { 2 });
                self.on_writable();
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: io::Error) {
        self.failure = Some(error);
        self.close();
    }

    /// The command takes no more.
    pub(crate) fn close(&mut self) {
        self.kept = Vec::new();
        self.taken = 0;
        self.end.get_or_insert_default().close();
    }

    fn open(&self) -> Option<BorrowedFd<'_>> {
        self.end.as_ref().and_then(Watched::open)
    }
}
