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

/// Input of one command.
#[derive(Debug)]
pub(crate) struct Intake {
    /// Where the bytes go: into a pipe, or where `is_terminal`, to a terminal's keyboard. None
    /// while the command is being started.
    end: Option<Watched>,
    kept: Vec<u8>,
    /// How much of `kept` was taken.
    taken: usize,
    /// The peer said that there is no more.
    is_ended: bool,
    is_terminal: bool,
    /// What was typed last ended a line.
    is_line_start: bool,
}

impl Intake {
    /// Nothing came yet, for a command that is being started.
    pub(crate) fn new(is_terminal: bool) -> Self {
        let (end, kept) = (None, Vec::new());
        let (is_ended, is_line_start) = (false, true);
        Self { end, kept, taken: 0, is_ended, is_terminal, is_line_start }
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
        if self.is_over() || self.is_ended {
            return;
        }
        let taken = if self.kept.is_empty() { self.write(bytes) } else { 0 };
        if !self.is_over() {
            self.kept.extend_from_slice(&bytes[taken..]);
        }
    }

    /// No more bytes come.
    pub(crate) fn on_end(&mut self) {
        self.is_ended = true;
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
        if self.is_ended {
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

    /// Says how much of `bytes` was taken; where nobody is left to read, closes.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(fd) = self.open()
            && taken < bytes.len()
        {
            match pipe::write(fd, &bytes[taken..]) {
                Ok(count) => taken += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.close(),
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
        if let Some(fd) = self.open() {
            let key = if self.is_terminal { pty::end_of_input(fd) } else { Vec::new() };
            let count = if self.is_line_start { 1 } else { 2 };
            self.write(&key.repeat(count));
            self.close();
        }
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
