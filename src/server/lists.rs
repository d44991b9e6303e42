//! `Lists`: who waits for which listing, and how many there are in memory.
//!
//! A listing is made once for all who ask for it before it is begun. Whoever asks later gets one
//! that is begun later, so that a listing never shows less than was there when it was asked for.
//!
//! Invariants:
//! 1. One directory is listed once at a time: a large one takes one thread, however many ask.
//! 2. None is begun while those that are being sent have more than `KEPT_BYTES_MAX` in all.
//! 3. None is begun for askers who are gone, and one whose askers are gone is given up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::desk::Common;
use super::mail::{Address, Mail};
use crate::protocol::effect::Outcome;
use crate::protocol::limits::OUTPUT_BYTES_LOW;
use crate::reactor::offload::Claim;
use crate::service::fault::Fault;
use crate::service::files::{Errand, Found};
use crate::service::listing::Listing;
use crate::sys::thread::Mutex;
use crate::transfer::outqueue::OutQueue;

/// Bytes of listings in memory, above which no other one is begun.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Listings that may wait; more are refused.
const WAITING_MAX: usize = 4096;

/// All listings that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    state: Mutex<State>,
    kept_bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Batch>,
    running: Vec<Errand>,
}

/// Those who wait for one listing.
#[derive(Debug)]
struct Batch {
    errand: Errand,
    askers: Vec<(Address, Claim)>,
}

impl Batch {
    fn is_wanted(&self) -> bool {
        self.askers.iter().any(|(_, claim)| claim.is_wanted())
    }
}

impl Lists {
    /// Notes that somebody waits for a listing. False if too many wait.
    fn add(&self, errand: Errand, asker: (Address, Claim)) -> bool {
        let mut state = self.state.lock();
        if let Some(batch) = state.waiting.iter_mut().find(|batch| batch.errand == errand) {
            if batch.askers.len() == batch.askers.capacity() {
                batch.askers.retain(|(_, claim)| claim.is_wanted());
            }
            batch.askers.push(asker);
            return true;
        }
        if state.waiting.len() == WAITING_MAX {
            state.waiting.retain(Batch::is_wanted);
        }
        let has_room = state.waiting.len() < WAITING_MAX;
        if has_room {
            state.waiting.push_back(Batch { errand, askers: vec![asker] });
        }
        has_room
    }

    /// The next one to be made, if there is one that may be begun.
    fn begin(&self) -> Option<Batch> {
        if self.kept_bytes.load(Ordering::Relaxed) > KEPT_BYTES_MAX {
            return None;
        }
        let mut state = self.state.lock();
        state.waiting.retain(Batch::is_wanted);
        let State { waiting, running } = &mut *state;
        let next = waiting.iter().position(|batch| !running.contains(&batch.errand))?;
        let batch = waiting.remove(next)?;
        running.push(batch.errand.clone());
        Some(batch)
    }

    fn end(&self, errand: &Errand) {
        let mut state = self.state.lock();
        if let Some(at) = state.running.iter().position(|running| running == errand) {
            state.running.swap_remove(at);
        }
    }
}

/// Has a directory listed, or what else the path leads to looked at; what is found comes by mail.
/// False if too many wait.
pub(crate) fn ask(common: &Arc<Common>, errand: Errand, asker: (Address, Claim)) -> bool {
    let is_taken = common.lists.add(errand, asker);
    wake(common);
    is_taken
}

/// Has a thread look for one that may be begun.
fn wake(common: &Arc<Common>) {
    let shared = Arc::clone(common);
    // If too many threads are to look already, they will find it.
    common.listers.submit(Box::new(move || {
        if let Some(batch) = shared.lists.begin() {
            make(&shared, &batch);
        }
    }));
}

fn make(common: &Arc<Common>, batch: &Batch) {
    let found = common.shelf.as_ref().map(|shelf| shelf.look(&batch.errand, &|| batch.is_wanted()));
    common.lists.end(&batch.errand);
    let mut found = match found {
        Some(Ok(Found::List(listing))) => Ok(Told::List(Kept::new(common, listing))),
        Some(Ok(found)) => Ok(Told::Other(Some(found))),
        Some(Err(fault)) => Err(fault),
        None => return,
    };
    for (address, claim) in &batch.askers {
        if claim.is_wanted() {
            let mail = Mail::Found(address.peer, claim.clone(), copy(&mut found));
            common.crew[address.worker].mailbox.post_bounded(mail);
        }
    }
    wake(common);
}

/// What those who asked are told.
enum Told {
    List(Arc<Kept>),
    Other(Option<Found<'static>>),
}

/// The same for one more. The cause of a fault goes to the first, who logs it.
fn copy(found: &mut Result<Told, Fault>) -> Result<Looked, Fault> {
    match found {
        Ok(Told::List(kept)) => Ok(Looked::List(Arc::clone(kept))),
        Ok(Told::Other(found)) => {
            let text = match found {
                Some(Found::Text(text)) => text.clone(),
                _ => Vec::new(),
            };
            Ok(Looked::Found(Found::Text(text)))
        }
        Err(fault) => Err(Fault { refusal: fault.refusal.clone(), cause: fault.cause.take() }),
    }
}

/// What a look on another thread came to.
#[derive(Debug)]
pub(crate) enum Looked {
    /// A listing, which others may be sent too.
    List(Arc<Kept>),
    /// Anything else.
    Found(Found<'static>),
}

/// A listing that is being sent; it counts until all have it.
pub(crate) struct Kept {
    listing: Listing,
    common: Arc<Common>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Kept {{ bytes: {} }}", self.listing.bytes())
    }
}

impl Kept {
    fn new(common: &Arc<Common>, listing: Listing) -> Arc<Self> {
        common.lists.kept_bytes.fetch_add(listing.bytes(), Ordering::Relaxed);
        Arc::new(Self { listing, common: Arc::clone(common) })
    }

    /// How many bytes it has.
    pub(crate) fn bytes(&self) -> usize {
        self.listing.bytes()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let bytes = self.listing.bytes();
        let before = self.common.lists.kept_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if before > KEPT_BYTES_MAX {
            wake(&self.common);
        }
    }
}

/// A listing on its way to a peer.
#[derive(Debug)]
pub(crate) struct ListReply {
    kept: Arc<Kept>,
    next: usize,
    left: usize,
    /// A bare client gets no newline at the end.
    is_bare: bool,
}

impl ListReply {
    pub(crate) fn new(kept: Arc<Kept>, is_bare: bool) -> Self {
        let left = kept.bytes();
        Self { kept, next: 0, left, is_bare }
    }

    /// Queues more of it, if little is queued.
    pub(crate) fn refill(&mut self, output: &mut OutQueue) {
        while self.left > 0 && output.memory_bytes() < OUTPUT_BYTES_LOW {
            let mut piece = self.kept.listing.piece(&mut self.next, OUTPUT_BYTES_LOW);
            self.left = self.left.saturating_sub(piece.len());
            if self.left == 0 && self.is_bare {
                piece.pop();
            }
            output.push(piece);
        }
    }

    /// How it came out, once all is queued.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        (self.left == 0).then_some(Outcome::Listed)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::protocol::effect::{FileRequest, FileWish};
    use crate::reactor::offload::Ticket;
    use crate::reactor::slab::Slab;
    use crate::server::fixture::{common, peers};
    use crate::service::files::Shelf;
    use crate::sys::fd::AsFd as _;
    use crate::sys::poll::wait_readable;
    use crate::sys::scratch::Scratch;
    use crate::sys::wake::Wake;

    fn errand(path: &str) -> Errand {
        Errand::new(&FileRequest { wish: FileWish::List, path: path.as_bytes() }, false)
    }

    fn askers(count: usize) -> Vec<(Address, Ticket)> {
        let mut peers = Slab::<()>::default();
        let mut one = || Address { worker: 0, peer: peers.insert_with(|_| ()) };
        (0..count).map(|_| (one(), Ticket::default())).collect()
    }

    #[test]
    fn a_listing_is_made_once_for_all_who_ask_before_it_is_begun() {
        let lists = Lists::default();
        let askers = askers(4);
        let ask = |path, number: usize| {
            let (address, ticket) = &askers[number];
            assert!(lists.add(errand(path), (*address, ticket.claim())));
        };
        ask("big", 0);
        ask("big", 1);
        let first = lists.begin().expect("one waits");
        assert_eq!(first.askers.len(), 2);
        // Not begun while the first one runs, and not shared with it.
        ask("big", 2);
        assert!(lists.begin().is_none());
        ask("other", 3);
        assert_eq!(lists.begin().expect("another one may be begun").errand, errand("other"));
        lists.end(&errand("big"));
        assert_eq!(lists.begin().expect("its turn").askers.len(), 1);
    }

    #[test]
    fn who_is_gone_is_listed_nothing() {
        let lists = Lists::default();
        let mut askers = askers(3);
        for (address, ticket) in &askers {
            assert!(lists.add(errand("big"), (*address, ticket.claim())));
        }
        askers.truncate(1);
        let batch = lists.begin().expect("one is there still");
        assert!(batch.is_wanted());
        askers.clear();
        assert!(!batch.is_wanted());
        lists.end(&batch.errand);
        for (address, ticket) in self::askers(100) {
            assert!(lists.add(errand("big"), (address, ticket.claim())));
        }
        assert!(lists.begin().is_none());
        assert!(lists.state.lock().waiting.is_empty());
    }

    #[test]
    fn none_is_begun_while_too_much_is_kept() {
        let lists = Lists::default();
        let askers = askers(1);
        assert!(lists.add(errand("big"), (askers[0].0, askers[0].1.claim())));
        lists.kept_bytes.store(KEPT_BYTES_MAX + 1, Ordering::Relaxed);
        assert!(lists.begin().is_none());
        lists.kept_bytes.store(KEPT_BYTES_MAX, Ordering::Relaxed);
        assert!(lists.begin().is_some());
    }

    #[test]
    fn one_that_had_to_wait_for_memory_is_begun_once_there_is_some() -> io::Result<()> {
        let scratch = Scratch::new()?;
        scratch.write("file", b"content")?;
        let common = common(1, Some(Shelf::open(scratch.path())?))?;
        let shelf = common.shelf.as_ref().expect("it was just opened");
        let Ok(Found::List(listing)) = shelf.look(&errand(""), &|| true) else {
            panic!("the root cannot be listed")
        };
        common.lists.kept_bytes.fetch_add(KEPT_BYTES_MAX, Ordering::Relaxed);
        let kept = Kept::new(&common, listing);
        let ticket = Ticket::default();
        assert!(ask(&common, errand(""), (peers(0, 1)[0], ticket.claim())));
        let has_looked = Arc::new(Wake::new()?);
        let looked = Arc::clone(&has_looked);
        assert!(common.listers.submit(Box::new(move || looked.wake())));
        assert_eq!(wait_readable(&[has_looked.as_fd()], Some(10_000))?, [true]);
        let mailbox = &common.crew[0].mailbox;
        assert_eq!(wait_readable(&[mailbox.as_fd()], Some(0))?, [false], "too much is kept");
        drop(kept);
        assert_eq!(wait_readable(&[mailbox.as_fd()], Some(10_000))?, [true]);
        Ok(())
    }
}
