//! `Intake`: what a peer sends to its command, on its way into the command's standard input.
//!
//! What it does not do: read the peer, or stop reading it (the connection asks `is_full`).
//!
//! Invariants:
//! 1. Bytes are kept only while the command is not there yet, or takes none now.
//! 2. Once the command takes no more, or all was said and sent, nothing is kept and the descriptor
//!    is closed in that very turn, which tells a pipe's reader that there is no more.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use super::desk::Desk;
use crate::protocol::limits::INPUT_BYTES_MAX;
use crate::reactor::token::{Facet, PeerId};
use crate::sys::epoll::Interest;
use crate::sys::{pipe, pty};

/// Where the bytes go.
#[derive(Debug)]
enum End {
    /// The command is being started.
    Awaited,
    /// Into a pipe, or where `is_terminal`, to a terminal's keyboard.
    Open(OwnedFd),
    /// Nowhere any more. A terminal's descriptor has a duplicate that reads, so that epoll would
    /// tell of this one for ever if it were not taken out before it is closed.
    Closing(OwnedFd),
    /// Nowhere any more.
    Closed,
}

/// Input of one command.
#[derive(Debug)]
pub(crate) struct Intake {
    end: End,
    kept: Vec<u8>,
    /// How much of `kept` was taken.
    taken: usize,
    /// The peer said that there is no more.
    is_ended: bool,
    is_terminal: bool,
    /// What was typed last ended a line.
    is_line_start: bool,
    watched: Option<Interest>,
}

impl Intake {
    /// Nothing came yet, for a command that is being started.
    pub(crate) fn new(is_terminal: bool) -> Self {
        let (end, kept) = (End::Awaited, Vec::new());
        let (is_ended, is_line_start) = (false, true);
        Self { end, kept, taken: 0, is_ended, is_terminal, is_line_start, watched: None }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// The command is there.
    pub(crate) fn on_start(&mut self, fd: Option<OwnedFd>) {
        self.end = fd.map_or(End::Closed, End::Open);
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
        match &self.end {
            End::Open(fd) => {
                desk.watch(peer, Facet::In, fd.as_fd(), self.watched, wanted)?;
                self.watched = wanted;
            }
            End::Closing(fd) => {
                desk.watch(peer, Facet::In, fd.as_fd(), self.watched.take(), None)?;
                self.end = End::Closed;
            }
            End::Awaited | End::Closed => {}
        }
        Ok(())
    }

    /// Waits for nothing more, before it is closed.
    pub(crate) fn unwatch(&mut self, desk: &Desk) {
        if let End::Open(fd) | End::Closing(fd) = &self.end
            && self.watched.take().is_some()
        {
            let _ = desk.epoll.delete(fd.as_fd());
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.end, End::Closing(_) | End::Closed)
    }

    /// Says how much of `bytes` was taken; where nobody is left to read, closes.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let End::Open(fd) = &self.end
            && taken < bytes.len()
        {
            match pipe::write(fd.as_fd(), &bytes[taken..]) {
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
        if let End::Open(fd) = &self.end {
            let key = if self.is_terminal { pty::end_of_input(fd.as_fd()) } else { Vec::new() };
            let count = if self.is_line_start { 1 } else { 2 };
            self.write(&key.repeat(count));
            self.close();
        }
    }

    fn close(&mut self) {
        self.end = match std::mem::replace(&mut self.end, End::Closed) {
            End::Open(fd) => End::Closing(fd),
            other => other,
        };
    }
}
