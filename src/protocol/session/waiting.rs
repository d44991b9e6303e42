//! `Waiting`: the requests of a framed peer that came while one was in progress.
//!
//! What it does not do: act on them. It is bounded in bytes and in number (`limits`); the bound is
//! kept by not reading: one read's worth may come on top.

use std::collections::VecDeque;

use super::super::limits::{WAITING_BYTES_MAX, WAITING_REQUESTS_MAX};

/// A request that was kept.
#[derive(Debug, PartialEq, Eq)]
pub enum Kept {
    /// A line, without its ending.
    Line(Box<[u8]>),
    /// A line over the limit, which is to be refused in its turn.
    TooLong,
}

/// Kept requests, in order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: VecDeque<Kept>,
    line_bytes: usize,
}

impl Waiting {
    pub(super) fn push(&mut self, kept: Kept) {
        self.line_bytes += kept.line_bytes();
        self.queue.push_back(kept);
    }

    pub(super) fn pop(&mut self) -> Option<Kept> {
        let kept = self.queue.pop_front()?;
        self.line_bytes -= kept.line_bytes();
        Some(kept)
    }

    pub(super) fn is_full(&self) -> bool {
        self.line_bytes >= WAITING_BYTES_MAX || self.queue.len() >= WAITING_REQUESTS_MAX
    }
}

impl Kept {
    fn line_bytes(&self) -> usize {
        match self {
            Self::Line(line) => line.len(),
            Self::TooLong => 0,
        }
    }
}
