//! `Mail`: what workers and the supervisor tell each other, and `Crew`, how they are reached.
//!
//! What it does not do: carry it (`reactor::mailbox`).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::lists::Looked;
use super::stats::Stats;
use super::upload::Stored;
use crate::protocol::effect::{Answer, Call};
use crate::protocol::refusal::Refusal;
use crate::protocol::speech::Speech;
use crate::reactor::mailbox::Mailbox;
use crate::reactor::offload::Claim;
use crate::reactor::token::PeerId;
use crate::service::fault::Fault;
use crate::service::run::Started;
use crate::sys::fd::OwnedFd;
use crate::sys::socket::Peer;
use crate::transfer::segment::Shared;

/// The worker that accepts connections and is the room's home.
pub(crate) const HOME: usize = 0;

/// A peer, wherever its worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    /// The worker's number.
    pub(crate) worker: usize,
    /// The peer there.
    pub(crate) peer: PeerId,
}

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: Peer,
    pub(crate) uid: Option<u32>,
    pub(crate) speech: Speech,
    /// Why it is to be told that it cannot stay.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) seat: Seat,
}

/// A place among the connections there may be; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<AtomicUsize>);

impl Seat {
    pub(crate) fn take(taken: &Arc<AtomicUsize>) -> Self {
        taken.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(taken))
    }

    /// Whether it is one of these.
    pub(crate) fn is_of(&self, taken: &Arc<AtomicUsize>) -> bool {
        Arc::ptr_eq(&self.0, taken)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What was said in the room: to whom a message goes, and who asked.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) messages: Vec<(PeerId, Shared)>,
    /// Answers, behind what was said before: who is told that it was, finds it delivered.
    pub(crate) answers: Vec<(PeerId, Answer)>,
}

/// What may wait for one worker of what was said in the room, in bytes. Meanwhile the room takes no
/// calls, and those who call wait.
pub(crate) const SAID_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Said {
    /// What it holds, in bytes. A block counts again if others stand between its ranges.
    pub(crate) fn bytes(&self) -> usize {
        let mut last: Option<&Arc<Vec<u8>>> = None;
        let mut blocks = 0;
        for (_, Shared { block, .. }) in &self.messages {
            if !last.is_some_and(|last| Arc::ptr_eq(last, block)) {
                blocks += block.capacity();
            }
            last = Some(block);
        }
        let answers: usize = self.answers.iter().map(|(_, answer)| answer_bytes(answer)).sum();
        size_of_val(self.messages.as_slice()) + blocks + answers
    }
}

/// What an answer of the room holds, in bytes.
pub(crate) fn answer_bytes(answer: &Answer) -> usize {
    let text = match answer {
        Answer::Users(text) | Answer::Sent { unknown: text, .. } => text.capacity(),
        Answer::Refused(refusal) => refusal.text.capacity(),
        Answer::Joined(_) | Answer::Reformed => 0,
    };
    size_of::<(PeerId, Answer)>() + text
}

/// Word to a worker.
#[derive(Debug)]
pub(crate) enum Mail {
    /// Serve this peer.
    Arrived(Arrival),
    /// A look at the shelf came to this.
    Found(PeerId, Claim, Result<Looked, Fault>),
    /// The next piece of the peer's file is in memory.
    Warmed(PeerId),
    /// A command was started, or was not.
    Started(PeerId, Result<Started, Fault>),
    /// What the peer uploads was stored, in part or whole, or could not be.
    Stored(PeerId, Result<Stored, Fault>),
    /// To the home: peers ask the room, in this order.
    Calls(Vec<(Address, Call<'static>)>),
    /// From the home: what was said in the room, for peers of this worker.
    Said(Said),
    /// To the acceptor: a peer from this address is gone.
    Left(IpAddr),
    /// The configuration was read again.
    Settings,
    /// Finish what is in progress for at most so many milliseconds, then stop.
    Drain(u64),
    /// To the home: another worker has ended.
    Ended,
    /// Stop now.
    Stop,
}

/// How a worker is reached.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) mailbox: Mailbox<Mail>,
    /// Connections the worker has.
    pub(crate) peers: AtomicUsize,
    pub(crate) stats: Stats,
}

/// All workers.
pub(crate) type Crew = Arc<[Post]>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::slab::Slab;

    #[test]
    fn what_was_said_counts_its_blocks_once_and_its_answers() {
        let peer = Slab::default().insert_with(|id| id);
        let block = Arc::new(vec![b'x'; 1000]);
        let range = |start| Shared { block: Arc::clone(&block), start, end: start + 4 };
        let mut said = Said::default();
        said.messages.extend((0..10).map(|start| (peer, range(start))));
        let places = 10 * size_of::<(PeerId, Shared)>();
        assert_eq!(said.bytes(), 1000 + places);
        said.answers.push((peer, Answer::Users("a ".repeat(500))));
        assert!(said.bytes() >= 2000 + places);
    }

    #[test]
    fn a_seat_is_of_its_own_count_and_given_back() {
        let (users, scrapes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let seat = Seat::take(&users);
        assert!(seat.is_of(&users) && !seat.is_of(&scrapes));
        let another = Seat::take(&users);
        assert_eq!(users.load(Ordering::Relaxed), 2);
        drop((seat, another));
        assert_eq!((users.load(Ordering::Relaxed), scrapes.load(Ordering::Relaxed)), (0, 0));
    }
}
