//! `Download`: a file on its way to a peer.
//!
//! What it does not do: open it (`service::files`), or send it (`transfer`).
//!
//! Plain, the rest of the file is one segment. Framed, it is one chunk at a time, each measured
//! right before its header promises it; what shrinks under way all the same is made up with zero
//! bytes, so that the frames stay in step, and refused at the end.

use super::desk::Desk;
use crate::protocol::effect::Outcome;
use crate::protocol::limits::CHUNK_BYTES_MAX;
use crate::protocol::refusal::{Code, Refusal};
use crate::protocol::reply::{self, Key};
use crate::reactor::offload::Ticket;
use crate::reactor::token::PeerId;
use crate::service::files::{OpenFile, SmallFile};
use crate::sys::beneath::metadata;
use crate::sys::fd::{AsFd, BorrowedFd, OwnedFd};
use crate::transfer::outqueue::OutQueue;
use crate::transfer::sink::{SocketSink, WINDOW_BYTES};

/// A download in progress.
#[derive(Debug)]
pub(crate) struct Download {
    file: OwnedFd,
    next: u64,
    end: u64,
    refusal: Option<Refusal>,
    /// Up to which offset the file was found in memory, or read ahead.
    warm_to: u64,
    /// While it is being read ahead, so that nothing of it can be sent.
    warming: Option<Ticket>,
}

impl Download {
    /// Begins one: queues its head, and plain all of it.
    pub(crate) fn begin(open: OpenFile<'_>, is_framed: bool, output: &mut OutQueue) -> Self {
        let OpenFile { file, size, mtime_s, name, offset } = open;
        let next = if is_framed {
            output.push(head(size, mtime_s, &name));
            offset
        } else {
            output.push_file(offset, size - offset);
            size
        };
        Self { file, next, end: size, refusal: None, warm_to: 0, warming: None }
    }

    /// A sink that sends of its file.
    pub(crate) fn sink<'a>(&'a self, socket: BorrowedFd<'a>) -> SocketSink<'a> {
        SocketSink::new(socket, Some(self.file.as_fd())).looked_at(self.end, self.warm_to)
    }

    /// Up to this offset its file was found in memory.
    pub(crate) fn on_looked(&mut self, warm_to: u64) {
        self.warm_to = warm_to;
    }

    pub(crate) fn is_warming(&self) -> bool {
        self.warming.is_some()
    }

    /// The next window is not in memory: has it read by a thread that may wait for a disk.
    pub(crate) fn warm(&mut self, desk: &Desk, peer: PeerId, offset: u64) {
        self.warm_to = offset + WINDOW_BYTES;
        // Where it cannot be handed on, the worker waits for the disk itself.
        let ticket = Ticket::default();
        let file = self.file.as_fd();
        let is_taken = desk.read_ahead(peer, file, offset, WINDOW_BYTES, ticket.claim());
        self.warming = is_taken.then_some(ticket);
    }

    /// The next window was read.
    pub(crate) fn on_warm(&mut self) {
        self.warming = None;
    }

    /// Queues the next chunk once the one before is sent.
    pub(crate) fn refill(&mut self, output: &mut OutQueue) {
        if self.next >= self.end || output.has_source() {
            return;
        }
        let there = metadata(self.file.as_fd()).map_or(0, |metadata| metadata.bytes);
        let bytes = CHUNK_BYTES_MAX.min(self.end - self.next).min(there.saturating_sub(self.next));
        if bytes == 0 {
            return self.stop(truncated());
        }
        output.push(reply::header("data", bytes, &[]));
        output.push_file(self.next, bytes);
        self.next += bytes;
    }

    /// Sends no more than what was promised already.
    pub(crate) fn stop(&mut self, refusal: Refusal) {
        self.next = self.end;
        self.refusal.get_or_insert(refusal);
    }

    /// `missing` bytes of a frame do not come: the file ended before it, or cannot be read.
    pub(crate) fn make_up(&mut self, missing: u64, refusal: Refusal, output: &mut OutQueue) {
        let zeros = usize::try_from(missing.min(CHUNK_BYTES_MAX)).expect("a chunk fits in memory");
        output.push_front(vec![0; zeros]);
        self.stop(refusal);
    }

    /// How it came out, once nothing of it is left to be sent.
    pub(crate) fn outcome(&mut self, output: &OutQueue) -> Option<Outcome> {
        if self.next < self.end || output.has_source() {
            return None;
        }
        Some(self.refusal.take().map_or(Outcome::Sent, Outcome::Refused))
    }
}

/// Queues all of a small file.
pub(crate) fn push_small(small: SmallFile<'_>, is_framed: bool, output: &mut OutQueue) {
    if is_framed {
        output.push(head(small.size, small.mtime_s, &small.name));
        if !small.content.is_empty() {
            output.push(reply::header("data", small.content.len() as u64, &[]));
        }
    }
    output.push(small.content);
}

/// The frame that says what comes.
fn head(size: u64, mtime_s: i64, name: &[u8]) -> Vec<u8> {
    let (size, mtime) = (size.to_string(), mtime_s.to_string());
    let keys: [Key<'_>; 3] =
        [("size", size.as_bytes()), ("mtime", mtime.as_bytes()), ("name", name)];
    reply::header("file", 0, &keys)
}

pub(crate) fn truncated() -> Refusal {
    Refusal::new(Code::Truncated, "the file became shorter while it was sent")
}
