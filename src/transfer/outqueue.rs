//! `OutQueue`: all that is to be sent to one peer, in order, with one count of what it holds.
//!
//! What it does not do: wait, or own a descriptor (`sink`).
//!
//! Invariants, asserted by `check`:
//! 1. `memory_bytes` is the sum of what the segments hold in memory unsent.
//! 2. `message_bytes` is the part of it in shared segments: what the peer leaves unread of
//!    messages.
//! 3. No segment is empty.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use super::segment::{SEGMENT_BYTES, Segment, Shared};
use super::sink::{SendError, Sink};
use super::stall::Stall;
use crate::sys::copy::Copied;

/// How many pieces one `sendmsg` gathers at the most (`IOV_MAX` is 1024).
const SLICES_MAX: usize = 64;
/// Size up to which small replies are put together into one piece of memory, in bytes.
const JOIN_BYTES_MAX: usize = 16 * 1024;

/// Why a flush ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// All was sent.
    Drained,
    /// The peer takes no more for now.
    SinkFull,
    /// A file's next piece is not in memory, for now.
    SourceEmpty,
    /// The budget is used up.
    Budget,
    /// A file ended; its segment is gone, with `missing` bytes of it not sent.
    SourceEnded {
        /// Promised bytes that will never come.
        missing: u64,
    },
}

/// Segments in order. An empty queue is one word: most peers are idle, and have nothing to be sent.
#[derive(Debug, Default)]
struct Segments(Option<Box<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    segments: VecDeque<Segment>,
    /// How many of them are messages.
    messages: usize,
    /// The peer takes nothing.
    stall: Option<Stall>,
}

impl Segments {
    fn get(&self) -> &VecDeque<Segment> {
        static NONE: VecDeque<Segment> = VecDeque::new();
        self.0.as_ref().map_or(&NONE, |queue| &queue.segments)
    }

    fn get_mut(&mut self) -> &mut VecDeque<Segment> {
        &mut self.0.get_or_insert_default().segments
    }
}

/// Ordered output.
#[derive(Debug, Default)]
pub struct OutQueue {
    segments: Segments,
    memory_bytes: usize,
    message_bytes: usize,
}

impl OutQueue {
    /// Whether all was sent.
    pub fn is_empty(&self) -> bool {
        self.segments.get().is_empty()
    }

    /// Bytes in memory that were not sent.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Bytes of messages that were not sent.
    pub fn message_bytes(&self) -> usize {
        self.message_bytes
    }

    /// What all of it costs, in bytes.
    pub fn memory_cost(&self) -> usize {
        self.memory_bytes + self.segments.get().len() * SEGMENT_BYTES
    }

    /// What messages that were not sent cost, in bytes.
    pub fn message_cost(&self) -> usize {
        let messages = self.segments.0.as_ref().map_or(0, |queue| queue.messages);
        self.message_bytes + messages * SEGMENT_BYTES
    }

    /// Keeps account of a peer that takes nothing: `is_full` if its socket took no more at the end
    /// of a turn, after `sent_bytes` in all.
    pub fn note_stall(&mut self, is_full: bool, now_ms: u64, sent_bytes: u64) {
        let Some(queue) = self.segments.0.as_deref_mut() else { return };
        let is_stalled = is_full && !queue.segments.is_empty();
        if !is_stalled {
            queue.stall = None;
        } else if queue.stall.is_none_or(|stall| !stall.is_at(sent_bytes)) {
            queue.stall = Some(Stall::new(now_ms, sent_bytes));
        }
    }

    /// The account of a peer that takes nothing, if it does not.
    pub fn stall(&self) -> Option<&Stall> {
        self.segments.0.as_ref()?.stall.as_ref()
    }

    /// The same, for a look.
    pub fn stall_mut(&mut self) -> Option<&mut Stall> {
        self.segments.0.as_mut()?.stall.as_mut()
    }

    /// Whether something is to come from a file.
    pub fn has_source(&self) -> bool {
        self.segments.get().iter().any(|segment| segment.memory().is_none())
    }

    /// Adds bytes, by taking them.
    pub fn push(&mut self, bytes: Vec<u8>) {
        if bytes.len() < JOIN_BYTES_MAX && self.has_joint() {
            return self.push_copy(&bytes);
        }
        if !bytes.is_empty() {
            self.memory_bytes += bytes.len();
            self.segments.get_mut().push_back(Segment::Owned { bytes, sent: 0 });
        }
        self.check();
    }

    /// Adds bytes, by copying them.
    pub fn push_copy(&mut self, added: &[u8]) {
        if added.is_empty() {
            return;
        }
        self.memory_bytes += added.len();
        let segments = self.segments.get_mut();
        match segments.back_mut() {
            Some(Segment::Owned { bytes, .. }) if bytes.len() < JOIN_BYTES_MAX => {
                bytes.extend_from_slice(added);
            }
            _ => segments.push_back(Segment::Owned { bytes: added.to_vec(), sent: 0 }),
        }
        self.check();
    }

    /// Adds a range of a shared block: a message.
    pub fn push_shared(&mut self, shared: Shared) {
        if shared.is_empty() {
            return;
        }
        self.memory_bytes += shared.len();
        self.message_bytes += shared.len();
        let queue = self.segments.0.get_or_insert_default();
        let is_taken_in = match queue.segments.back_mut() {
            Some(Segment::Shared(last)) => last.take_in(&shared),
            _ => false,
        };
        if !is_taken_in {
            // What could be sent at once is not queued: this will wait.
            queue.segments.push_back(Segment::Shared(shared.lean()));
            queue.messages += 1;
        }
        self.check();
    }

    /// Adds a piece of the peer's open file.
    pub fn push_file(&mut self, offset: u64, bytes: u64) {
        if bytes > 0 {
            self.segments.get_mut().push_back(Segment::File { offset, remaining: bytes });
        }
    }

    /// Where the piece of the peer's file begins that comes next.
    pub fn file_offset(&self) -> Option<u64> {
        self.segments.get().iter().find_map(|segment| match segment {
            Segment::File { offset, .. } => Some(*offset),
            _ => None,
        })
    }

    /// Gives up what is still to come from the peer's file.
    pub fn cut_file(&mut self) {
        if self.has_source() {
            self.segments.get_mut().retain(|segment| segment.memory().is_some());
        }
    }

    /// Puts bytes before all that is queued.
    pub fn push_front(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.memory_bytes += bytes.len();
            self.segments.get_mut().push_front(Segment::Owned { bytes, sent: 0 });
        }
        self.check();
    }

    /// Forgets all that was not sent: the peer is gone.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Gives back the memory of an empty queue: an idle peer owns none.
    pub fn release(&mut self) {
        if self.is_empty() {
            self.segments.0 = None;
        }
    }

    /// Sends what can be sent now, at most `budget_bytes`. After an error of the source the file
    /// is still queued (`drop_file`).
    pub fn flush(&mut self, sink: &mut impl Sink, budget_bytes: u64) -> Result<Flush, SendError> {
        let mut budget = budget_bytes;
        loop {
            let Some(first) = self.segments.get().front() else { return Ok(Flush::Drained) };
            if budget == 0 {
                return Ok(Flush::Budget);
            }
            let copied = match *first {
                Segment::File { offset, remaining } => {
                    sink.send_file(offset, remaining.min(budget))?
                }
                Segment::Owned { .. } | Segment::Shared(_) => {
                    self.write_memory(sink, budget).map_err(SendError::Peer)?
                }
            };
            match copied {
                Copied::Moved(bytes) => {
                    self.advance(bytes);
                    budget = budget.saturating_sub(bytes as u64);
                }
                Copied::SinkFull => return Ok(Flush::SinkFull),
                Copied::SourceEmpty => return Ok(Flush::SourceEmpty),
                Copied::SourceEnded => return Ok(Flush::SourceEnded { missing: self.drop_file() }),
            }
        }
    }

    /// Sends the memory segments at the front in one call, at most `budget_bytes` of them: to copy
    /// megabytes into a socket takes long enough for others to wait.
    fn write_memory(&self, sink: &mut impl Sink, budget_bytes: u64) -> io::Result<Copied> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        let mut room = usize::try_from(budget_bytes).unwrap_or(usize::MAX);
        for (slice, bytes) in
            slices.iter_mut().zip(self.segments.get().iter().map_while(Segment::memory))
        {
            if room == 0 {
                break;
            }
            let bytes = &bytes[..bytes.len().min(room)];
            *slice = IoSlice::new(bytes);
            room -= bytes.len();
            count += 1;
        }
        let more = self.segments.get().len() > count;
        sink.write_vectored(&slices[..count], more)
    }

    /// Takes `moved` bytes off the front.
    fn advance(&mut self, mut moved: usize) {
        while moved > 0 {
            let Some(first) = self.segments.get_mut().front_mut() else { break };
            let (taken, is_done) = take(first, moved);
            moved -= taken;
            match first {
                Segment::Owned { .. } => self.memory_bytes -= taken,
                Segment::Shared(_) => {
                    self.memory_bytes -= taken;
                    self.message_bytes -= taken;
                }
                Segment::File { .. } => {}
            }
            if is_done {
                self.pop_front();
            }
        }
        debug_assert_eq!(moved, 0, "a sink moves no more than it was given");
        self.check();
    }

    /// Forgets the piece of the file that comes next; how much of it was not sent, in bytes.
    pub fn drop_file(&mut self) -> u64 {
        match self.pop_front() {
            Some(Segment::File { remaining, .. }) => remaining,
            _ => 0,
        }
    }

    fn pop_front(&mut self) -> Option<Segment> {
        let queue = self.segments.0.as_deref_mut()?;
        let first = queue.segments.pop_front();
        queue.messages -= usize::from(matches!(first, Some(Segment::Shared(_))));
        first
    }

    fn has_joint(&self) -> bool {
        matches!(self.segments.get().back(), Some(Segment::Owned { bytes, .. })
            if bytes.len() < JOIN_BYTES_MAX)
    }

    fn check(&self) {
        if cfg!(debug_assertions) && self.segments.get().len() < SLICES_MAX {
            let memory = self.segments.get().iter().filter_map(Segment::memory);
            assert_eq!(memory.map(<[u8]>::len).sum::<usize>(), self.memory_bytes, "invariant 1");
            let shared = self.segments.get().iter().filter(|s| matches!(s, Segment::Shared(_)));
            let shared = shared.filter_map(Segment::memory).map(<[u8]>::len).sum::<usize>();
            assert_eq!(shared, self.message_bytes, "invariant 2");
            let messages = self.segments.get().iter().filter(|s| matches!(s, Segment::Shared(_)));
            let counted = self.segments.0.as_ref().map_or(0, |queue| queue.messages);
            assert_eq!(messages.count(), counted, "invariant 2");
            let is_none_empty = self.segments.get().iter().all(|s| s.memory() != Some(&[]));
            assert!(is_none_empty, "invariant 3");
        }
    }
}

/// Takes at most `moved` bytes off `segment`: how many, and whether it is used up.
fn take(segment: &mut Segment, moved: usize) -> (usize, bool) {
    match segment {
        Segment::Owned { bytes, sent } => {
            let taken = moved.min(bytes.len() - *sent);
            *sent += taken;
            (taken, *sent == bytes.len())
        }
        Segment::Shared(shared) => {
            let taken = moved.min(shared.len());
            shared.start += taken;
            (taken, shared.is_empty())
        }
        Segment::File { offset, remaining } => {
            *offset += moved as u64;
            *remaining = remaining.saturating_sub(moved as u64);
            (moved, *remaining == 0)
        }
    }
}

#[cfg(test)]
mod tests;
