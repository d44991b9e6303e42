//! `Share`: how much one peer may be sent in one turn, by whether others are served too. Either is
//! no multiple of 64 KiB, for the reason told at `WINDOW_BYTES`.
//!
//! What it does not do: count what was sent, or say whose turn is next.

use crate::reactor::token::PeerId;

/// Of a peer that is alone, in bytes.
const ALONE_BYTES: u64 = 252 * 1024;
/// Of a peer among others, who wait meanwhile, in bytes.
const AMONG_BYTES: u64 = 60 * 1024;
/// For how long after it was served a peer counts as one of the others, in milliseconds.
const AMONG_MS: u64 = 50;

/// Who was served of late.
#[derive(Debug, Default)]
pub(crate) struct Share {
    /// The peer that was served last, and when.
    last: Option<(PeerId, u64)>,
    /// Until when several are taken to be served.
    among_until_ms: u64,
}

impl Share {
    /// A peer is served in the turn of `now_ms`.
    pub(crate) fn on_served(&mut self, peer: PeerId, now_ms: u64) {
        if let Some((last, at_ms)) = self.last.replace((peer, now_ms))
            && last != peer
            && now_ms < at_ms + AMONG_MS
        {
            self.among_until_ms = now_ms + AMONG_MS;
        }
    }

    /// Bytes one peer may be sent in the turn of `now_ms`.
    pub(crate) fn bytes(&self, now_ms: u64) -> u64 {
        if now_ms < self.among_until_ms { AMONG_BYTES } else { ALONE_BYTES }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::slab::Slab;

    #[test]
    fn a_peer_has_less_while_others_are_served() {
        let mut slab = Slab::default();
        let [one, other] = [(); 2].map(|()| slab.insert_with(|id| id));
        let mut share = Share::default();
        for now_ms in [0, 1, 2] {
            share.on_served(one, now_ms);
            assert_eq!(share.bytes(now_ms), ALONE_BYTES, "at {now_ms}");
        }
        share.on_served(other, 2 + AMONG_MS);
        assert_eq!(share.bytes(2 + AMONG_MS), ALONE_BYTES, "the first was long ago");
        let now_ms = 1 + 2 * AMONG_MS;
        share.on_served(one, now_ms);
        assert_eq!(share.bytes(now_ms), AMONG_BYTES);
        share.on_served(one, now_ms + 1);
        assert_eq!(share.bytes(now_ms + AMONG_MS - 1), AMONG_BYTES);
        assert_eq!(share.bytes(now_ms + AMONG_MS), ALONE_BYTES, "the other is gone");
    }
}
