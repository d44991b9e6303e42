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

/// What a segment costs beyond its bytes, in bytes: its place in a queue that has room for as many
/// again, the head of its block, and what an allocator adds to the block and to its head.
pub const SEGMENT_BYTES: usize = 2 * size_of::<Segment>() + size_of::<Vec<u8>>() + 4 * 16;
/// Size up to which messages that wait for one peer are put together in a block of its own, in
/// bytes.
const CHUNK_BYTES_MAX: usize = 16 * 1024;
/// Size up to which a message that waits is copied rather than shared, in bytes: what it costs to
/// share one is as much.
const SMALL_BYTES_MAX: usize = 512;
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

    /// The same bytes, in a block of their own if they are few, or a small part of a large block:
    /// what waits for long must not keep alive what does not.
    #[must_use]
    pub fn lean(self) -> Self {
        if self.len() > SMALL_BYTES_MAX && self.len() * LEAN_FACTOR >= self.block.len() {
            return self;
        }
        let (block, end) = (Arc::new(self.bytes().to_vec()), self.len());
        Self { block, start: 0, end }
    }

    /// Takes `next` in, if that can be: as the same block's next range, or by a copy into this
    /// block, if nobody else holds it and both are not large. A block grows to twice its size at a
    /// time, but never beyond the largest, so that little of it is unused.
    pub fn take_in(&mut self, next: &Self) -> bool {
        if self.merge(next) {
            return true;
        }
        let bytes = self.end + next.len();
        let Some(block) = Arc::get_mut(&mut self.block) else { return false };
        if self.end != block.len() || bytes > CHUNK_BYTES_MAX {
            return false;
        }
        if bytes > block.capacity() {
            block.reserve_exact((2 * bytes).min(CHUNK_BYTES_MAX) - block.len());
        }
        block.extend_from_slice(next.bytes());
        self.end = bytes;
        true
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

#[cfg(test)]
mod tests {
    use super::*;

    fn range(block: &Arc<Vec<u8>>, start: usize, end: usize) -> Shared {
        Shared { block: Arc::clone(block), start, end }
    }

    #[test]
    fn small_messages_that_wait_share_a_block_of_their_own() {
        let room: Arc<Vec<u8>> = Arc::new((0..=255).cycle().take(1024).collect());
        let mut waiting = range(&room, 7, 11).lean();
        let mut expected = room[7..11].to_vec();
        for start in (0..1020).step_by(2) {
            assert!(waiting.take_in(&range(&room, start, start + 4)), "{start}");
            expected.extend_from_slice(&room[start..start + 4]);
            assert!(waiting.block.capacity() <= 2 * waiting.len(), "{start}");
        }
        assert_eq!(waiting.bytes(), expected);
    }

    #[test]
    fn a_block_that_another_holds_or_that_is_full_stays_as_it_is() {
        let room = Arc::new(vec![b'x'; CHUNK_BYTES_MAX]);
        let mut first = range(&room, 0, 4);
        assert!(!first.take_in(&range(&room, 8, 12)), "the room holds it");
        assert!(first.take_in(&range(&room, 4, 8)), "it is the next range");
        let mut own = range(&room, 0, 4).lean();
        let copy = own.clone();
        assert!(!own.take_in(&range(&room, 8, 12)), "a copy holds it");
        drop(copy);
        assert!(own.take_in(&range(&room, 0, CHUNK_BYTES_MAX - 4)));
        assert_eq!((own.len(), own.block.capacity()), (CHUNK_BYTES_MAX, CHUNK_BYTES_MAX));
        assert!(!own.take_in(&range(&room, 0, 1)), "it is full");
    }

    #[test]
    fn a_small_part_of_a_large_block_does_not_keep_it() {
        let large = Arc::new(vec![b'x'; 100 * SMALL_BYTES_MAX]);
        let is_copied = |part: Shared| {
            let (block, bytes) = (Arc::clone(&part.block), part.bytes().to_vec());
            let lean = part.lean();
            assert_eq!(lean.bytes(), bytes);
            !Arc::ptr_eq(&lean.block, &block)
        };
        let part = large.len() / LEAN_FACTOR;
        assert!(part > SMALL_BYTES_MAX + 1);
        assert!(!is_copied(range(&large, 0, large.len())));
        assert!(!is_copied(range(&large, 1, 1 + part)));
        assert!(is_copied(range(&large, 1, part)), "one byte less than its share");
        // Few bytes are copied, whatever their block is.
        let small = Arc::new(vec![b'x'; SMALL_BYTES_MAX + 1]);
        assert!(is_copied(range(&small, 0, SMALL_BYTES_MAX)));
        assert!(!is_copied(range(&small, 0, SMALL_BYTES_MAX + 1)));
    }

    #[test]
    fn a_block_grows_once_it_is_full_and_not_before() {
        let room: Arc<Vec<u8>> = Arc::new(vec![b'x'; 64]);
        let mut waiting = range(&room, 0, 4).lean();
        let mut grown = Vec::new();
        for _ in 0..4 {
            assert!(waiting.take_in(&range(&room, 8, 12)));
            grown.push(waiting.block.capacity());
        }
        assert_eq!(grown, [16, 16, 16, 40]);
    }
}
