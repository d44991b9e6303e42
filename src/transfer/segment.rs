//! `Segment`: a run of output that comes from one place.
//!
//! It holds no descriptor. A peer has at most one file at a time, and its sink knows it.

use std::sync::Arc;

/// A run of output.
#[derive(Debug)]
pub enum Segment {
    /// Bytes of this peer alone.
    Owned {
        /// The bytes.
        bytes: Vec<u8>,
        /// How many of them were sent.
        sent: usize,
    },
    /// A range of a block that many peers are sent.
    Shared(Shared),
    /// A piece of the peer's open file.
    File {
        /// Where it begins, in bytes.
        offset: u64,
        /// How much of it there is to send, in bytes; never 0.
        remaining: u64,
    },
}

/// How many times larger than a range its block may be while the range waits.
pub const LEAN_FACTOR: usize = 4;

/// A range of a block of bytes that many queues share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The block. Whoever wrote it may write the next one into it once nobody else holds it.
    pub block: Arc<Vec<u8>>,
    /// Where the range begins in the block.
    pub start: usize,
    /// Where it ends; never before `start`.
    pub end: usize,
}

impl Shared {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The same bytes, in a block of their own where they are a small part of a large one: what
    /// waits for long must not keep alive what does not.
    #[must_use]
    pub fn lean(self) -> Self {
        if self.len() * LEAN_FACTOR >= self.block.len() {
            return self;
        }
        let (block, end) = (Arc::new(self.bytes().to_vec()), self.len());
        Self { block, start: 0, end }
    }

    /// Takes `next` in, where it is the same block's next range.
    pub fn merge(&mut self, next: &Self) -> bool {
        let is_next = self.end == next.start && Arc::ptr_eq(&self.block, &next.block);
        if is_next {
            self.end = next.end;
        }
        is_next
    }
}

impl Segment {
    /// The bytes still to be sent, where they are in memory.
    pub fn memory(&self) -> Option<&[u8]> {
        match self {
            Self::Owned { bytes, sent } => Some(&bytes[*sent..]),
            Self::Shared(shared) => Some(shared.bytes()),
            Self::File { .. } => None,
        }
    }
}
