//! `Stall`: since when a peer has taken nothing of the output that waits for it.
//!
//! A socket takes more only once a large part of what it holds has left (about a third with TCP),
//! so a slow reader may take bytes for minutes before the socket takes one. At each look the caller
//! therefore says how much the socket still holds: if that has become less, the peer took some.

/// Looks within one time-out. The first one only learns how much the socket holds, so a peer is
/// given up after the time-out at the earliest, and a look later at the latest.
const LOOKS: u64 = 4;

/// A peer that takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// The output that was sent when it began, in bytes.
    sent_bytes: u64,
    /// When the peer was last known to take something.
    since_ms: u64,
    looked_ms: u64,
    /// What the socket held at the last look, in bytes.
    unsent_bytes: Option<usize>,
}

impl Stall {
    /// It begins now; `sent_bytes` is all that was sent before.
    pub fn new(now_ms: u64, sent_bytes: u64) -> Self {
        Self { sent_bytes, since_ms: now_ms, looked_ms: now_ms, unsent_bytes: None }
    }

    /// Whether nothing was sent since it began.
    pub fn is_at(&self, sent_bytes: u64) -> bool {
        self.sent_bytes == sent_bytes
    }

    /// When to look again, in milliseconds. A time-out of `u64::MAX` is none.
    pub fn due_ms(&self, timeout_ms: u64) -> u64 {
        if timeout_ms == u64::MAX {
            return u64::MAX;
        }
        let look_ms = self.looked_ms.saturating_add((timeout_ms / LOOKS).max(1));
        look_ms.min(self.since_ms.saturating_add(timeout_ms)).max(self.looked_ms.saturating_add(1))
    }

    /// A look: the socket holds so many bytes, if that is known. True: the peer is to be given up.
    pub fn on_look(&mut self, now_ms: u64, timeout_ms: u64, unsent_bytes: Option<usize>) -> bool {
        let has_taken = match (self.unsent_bytes, unsent_bytes) {
            (Some(before), Some(unsent)) => unsent < before,
            (before, unsent) => before != unsent,
        };
        if has_taken {
            self.since_ms = now_ms;
        }
        (self.looked_ms, self.unsent_bytes) = (now_ms, unsent_bytes.or(self.unsent_bytes));
        now_ms.saturating_sub(self.since_ms) >= timeout_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks whenever it is due, the socket holding `unsent(now_ms)` bytes, until the peer is given
    /// up or for ten time-outs. When it was given up.
    fn given_up_ms(timeout_ms: u64, unsent: impl Fn(u64) -> Option<usize>) -> Option<u64> {
        let mut stall = Stall::new(0, 0);
        let mut now_ms = 0;
        while now_ms < 10 * timeout_ms {
            let due_ms = stall.due_ms(timeout_ms);
            assert!(due_ms > now_ms, "what was acted on is due again");
            now_ms = due_ms;
            if stall.on_look(now_ms, timeout_ms, unsent(now_ms)) {
                return Some(now_ms);
            }
        }
        None
    }

    #[test]
    fn a_peer_that_takes_nothing_is_given_up_in_time() {
        for timeout_ms in [1, 3, 1000, 60_000] {
            let at_ms = given_up_ms(timeout_ms, |_| Some(500)).expect("it is given up");
            assert!((timeout_ms..=timeout_ms + timeout_ms / 4 + 1).contains(&at_ms), "{at_ms}");
            assert_eq!(given_up_ms(timeout_ms, |_| None), Some(timeout_ms));
        }
    }

    #[test]
    fn a_peer_that_takes_a_byte_now_and_then_is_kept() {
        let unsent = |now_ms: u64| usize::try_from(1_000_000 - now_ms / 900).ok();
        assert_eq!(given_up_ms(1000, unsent), None);
        let stops = |now_ms: u64| usize::try_from(1_000_000 - now_ms.min(5000) / 900).ok();
        let at_ms = given_up_ms(1000, stops).expect("it is given up");
        assert!((5000..=6250).contains(&at_ms), "{at_ms}");
    }

    #[test]
    fn no_time_out_is_never_due() {
        assert_eq!(Stall::new(5, 0).due_ms(u64::MAX), u64::MAX);
    }
}
