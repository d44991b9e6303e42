//! `Token`: who an event is for, in the 64 bits epoll keeps for us.
//!
//! What it does not do: keep anything alive. A token of a peer that is gone finds nothing, because
//! its generation is no longer in the slab; so an event for a closed peer never reaches the next
//! one.

/// Which of a peer's descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Facet {
    /// Its socket.
    Socket = 0,
    /// The pipe of its command's standard output.
    Out = 1,
    /// The pipe of its command's standard error.
    Err = 2,
    /// Its command's process.
    Child = 3,
    /// The pipe of its command's standard input.
    In = 4,
}

/// A slot of the slab and the generation of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId {
    /// Where in the slab.
    pub slot: u32,
    /// Which of the peers that were there in turn; never 0, at most `GENERATION_MAX`.
    pub generation: u32,
}

/// The largest generation: 29 bits; after it comes 1 again.
pub const GENERATION_MAX: u32 = (1 << 29) - 1;

/// Who an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A descriptor of a peer.
    Peer(PeerId, Facet),
    /// One of the worker's own: the mailbox, or a listener by its number.
    Own(u32),
}

impl Token {
    /// The token as epoll keeps it: generation, slot, facet from the high bits down.
    pub fn pack(self) -> u64 {
        match self {
            Self::Peer(peer, facet) => {
                u64::from(peer.generation) << 35 | u64::from(peer.slot) << 3 | facet as u64
            }
            Self::Own(number) => u64::from(number) << 3,
        }
    }

    /// The token epoll gave back.
    pub fn unpack(packed: u64) -> Self {
        let low = |value: u64| u32::try_from(value & 0xffff_ffff).expect("32 bits were masked");
        let slot = low(packed >> 3);
        let generation = low(packed >> 35);
        if generation == 0 {
            return Self::Own(slot);
        }
        let facet = match packed & 7 {
            0 => Facet::Socket,
            1 => Facet::Out,
            2 => Facet::Err,
            3 => Facet::Child,
            _ => Facet::In,
        };
        Self::Peer(PeerId { slot, generation }, facet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went() {
        for generation in [1, 77, GENERATION_MAX] {
            for slot in [0, 5, u32::MAX] {
                for facet in [Facet::Socket, Facet::Out, Facet::Err, Facet::Child, Facet::In] {
                    let token = Token::Peer(PeerId { slot, generation }, facet);
                    assert_eq!(Token::unpack(token.pack()), token);
                }
            }
        }
        assert_eq!(Token::unpack(Token::Own(9).pack()), Token::Own(9));
    }
}
