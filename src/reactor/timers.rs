//! `Timers`: what is due when, in milliseconds of the worker's clock.
//!
//! What it does not do: cancel. An entry that is no longer wanted comes up once, finds nothing to
//! do, and is forgotten; so that activity on a peer never touches the heap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Due times and the tokens they belong to.
#[derive(Debug, Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(u64, u64)>>,
}

impl Timers {
    /// Has `token` come up at `due_ms`.
    pub fn push(&mut self, due_ms: u64, token: u64) {
        self.heap.push(Reverse((due_ms, token)));
    }

    /// How many entries there are, those that are no longer wanted included.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Forgets the entries that are not wanted, told by when they are due and their token.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(u64, u64) -> bool) {
        self.heap.retain(|Reverse((due_ms, token))| is_wanted(*due_ms, *token));
    }

    /// When the next entry is due.
    pub fn next_ms(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((due_ms, _))| *due_ms)
    }

    /// Takes out an entry that is due: when it was, and its token.
    pub fn pop_due(&mut self, now_ms: u64) -> Option<(u64, u64)> {
        if self.next_ms()? > now_ms {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_up_in_order_and_not_before_they_are_due() {
        let mut timers = Timers::default();
        assert!(timers.is_empty());
        for (due_ms, token) in [(30, 3), (10, 1), (20, 2)] {
            timers.push(due_ms, token);
        }
        assert_eq!(timers.pop_due(9), None);
        assert!(!timers.is_empty());
        assert_eq!(timers.next_ms(), Some(10));
        assert_eq!((timers.pop_due(20), timers.pop_due(20)), (Some((10, 1)), Some((20, 2))));
        assert_eq!(timers.pop_due(20), None);
        assert_eq!(timers.pop_due(30), Some((30, 3)));
    }

    #[test]
    fn unwanted_entries_are_forgotten_and_the_order_stays() {
        let mut timers = Timers::default();
        (0..10).for_each(|token| timers.push(10 - token, token));
        timers.retain(|_, token| token % 2 == 0);
        assert_eq!(timers.len(), 5);
        let popped: Vec<_> = std::iter::from_fn(|| timers.pop_due(99)).map(|(_, t)| t).collect();
        assert_eq!(popped, [8, 6, 4, 2, 0]);
    }
}
