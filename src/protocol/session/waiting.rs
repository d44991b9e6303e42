//! `Waiting`: the requests of a framed peer that came while one was in progress, each with the
//! input that came for it.
//!
//! What it does not do: act on them. It is bounded in bytes and in number (`limits`); the bound is
//! kept by not reading: one read's worth may come on top.

use std::collections::VecDeque;

use super::super::effect::Input;
use super::super::limits::{WAITING_BYTES_MAX, WAITING_REQUESTS_MAX};
use super::Feeds;

/// A request that was kept.
#[derive(Debug, PartialEq, Eq)]
pub enum Kept {
    /// A request that takes nothing but its line, which is without its ending.
    Line(Box<[u8]>),
    /// A request that takes more.
    Fed {
        /// The line.
        line: Box<[u8]>,
        /// What it takes beyond that.
        feeds: Feeds,
        /// What came of that so far.
        input: Box<Input>,
    },
    /// A line over the limit, which is to be refused in its turn.
    TooLong,
}

/// Kept requests, in order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: VecDeque<Kept>,
    bytes: usize,
}

impl Waiting {
    pub(super) fn push(&mut self, kept: Kept) {
        self.bytes += kept.bytes();
        self.queue.push_back(kept);
    }

    pub(super) fn pop(&mut self) -> Option<Kept> {
        let kept = self.queue.pop_front()?;
        self.bytes -= kept.bytes();
        Some(kept)
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= WAITING_BYTES_MAX || self.queue.len() >= WAITING_REQUESTS_MAX
    }

    /// What came for the last of them that takes such input.
    pub(super) fn last_input(&mut self, wanted: Feeds) -> Option<&mut Input> {
        self.queue.iter_mut().rev().find_map(|kept| match kept {
            Kept::Fed { feeds, input, .. } if *feeds == wanted => Some(&mut **input),
            _ => None,
        })
    }

    /// Adds to it; what comes behind its end is dropped.
    pub(super) fn feed(&mut self, wanted: Feeds, bytes: &[u8]) {
        if let Some(input) = self.last_input(wanted).filter(|input| !input.is_ended) {
            input.bytes.extend_from_slice(bytes);
            self.bytes += bytes.len();
        }
    }
}

impl Kept {
    /// What came for it; whoever acted on it gives that to what came of it.
    pub fn into_input(self) -> Option<Input> {
        match self {
            Self::Fed { input, .. } => Some(*input),
            Self::Line(_) | Self::TooLong => None,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Line(line) => line.len(),
            Self::Fed { line, input, .. } => line.len() + input.bytes.len(),
            Self::TooLong => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(feeds: Feeds) -> Kept {
        Kept::Fed { line: Box::from(&b"run@in cat"[..]), feeds, input: Box::default() }
    }

    #[test]
    fn it_is_full_by_bytes_and_by_requests_until_some_are_taken() {
        let mut waiting = Waiting::default();
        assert!(waiting.is_empty() && !waiting.is_full());
        waiting.push(Kept::Line(vec![b'x'; WAITING_BYTES_MAX - 1].into()));
        assert!(!waiting.is_empty() && !waiting.is_full());
        waiting.push(Kept::Line(Box::from(&b"x"[..])));
        assert!(waiting.is_full());
        assert!(waiting.pop().is_some());
        assert_eq!((waiting.len(), waiting.is_full()), (1, false));
        (2..WAITING_REQUESTS_MAX).for_each(|_| waiting.push(Kept::TooLong));
        assert!(!waiting.is_full());
        waiting.push(Kept::TooLong);
        assert!(waiting.is_full());
    }

    #[test]
    fn input_belongs_to_the_last_request_that_takes_such() {
        let mut waiting = Waiting::default();
        waiting.push(fed(Feeds::Command));
        waiting.push(fed(Feeds::Command));
        waiting.push(fed(Feeds::File));
        waiting.push(Kept::Line(Box::from(&b"ping"[..])));
        waiting.feed(Feeds::Command, b"hello");
        waiting.feed(Feeds::File, &vec![b'x'; WAITING_BYTES_MAX]);
        assert!(waiting.is_full(), "input counts too");
        waiting.last_input(Feeds::Command).expect("there is one").is_ended = true;
        waiting.feed(Feeds::Command, b" behind its end");
        let inputs = std::iter::from_fn(|| waiting.pop()).map(Kept::into_input);
        let bytes: Vec<_> = inputs.map(|input| input.map(|input| input.bytes.len())).collect();
        assert_eq!(bytes, [Some(0), Some(5), Some(WAITING_BYTES_MAX), None]);
        assert!(waiting.is_empty() && !waiting.is_full());
    }
}
