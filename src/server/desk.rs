//! `Desk`: what a worker has at hand while it serves one peer: everything but the peers themselves.
//!
//! What it does not do: know what a peer said, or close one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::config::Settings;
use super::lists::{self, Lists, Looked};
use super::log::Log;
use super::mail::{Address, Crew, HOME, Mail};
use super::published::{Published, Seen};
use super::share::Share;
use super::stats::{Figure, Stats, metrics_text, stats_text, totals};
use super::upload::Work;
use crate::protocol::effect::{Account, Answer, Call, FileRequest, FileWish};
use crate::protocol::refusal::{Code, Refusal};
use crate::protocol::session::Terms;
use crate::protocol::text::{Civil, Date, Stamp};
use crate::reactor::offload::{Claim, Offload, Ticket};
use crate::reactor::timers::Timers;
use crate::reactor::token::{Facet, PeerId, Token};
use crate::service::deposit::Deposit;
use crate::service::fault::Fault;
use crate::service::files::{Errand, Found, Glance, Shelf};
use crate::service::policy::Commands;
use crate::service::room::Room;
use crate::service::run::{self, Job, Order};
use crate::service::terminate::Terminator;
use crate::sys::clock;
use crate::sys::copy;
use crate::sys::epoll::{Epoll, Interest};
use crate::sys::fd::{AsFd, BorrowedFd};
use crate::sys::host::User;

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) crew: Crew,
    /// Threads that wait for disks, for what a disk does in one step: opening, looking, reading a
    /// window ahead. Nothing that takes longer goes there, so that nobody waits behind it.
    pub(crate) disks: Offload,
    /// Threads that list directories, which may be without end.
    pub(crate) listers: Offload,
    /// Who waits for which listing.
    pub(crate) lists: Lists,
    /// Threads that store files: a sync takes as long as the disk takes for all that it was given.
    pub(crate) stores: Offload,
    /// Threads that start processes: they do not wait for a disk that hangs.
    pub(crate) starts: Offload,
    /// Ends commands.
    pub(crate) terminator: Terminator,
    pub(crate) shelf: Option<Shelf>,
    pub(crate) settings: Published,
    pub(crate) user: User,
    pub(crate) log: Arc<Log>,
    /// Commands that run, on all workers.
    pub(crate) running: Arc<AtomicUsize>,
    /// Connections there are, on all workers.
    pub(crate) seats: Arc<AtomicUsize>,
}

/// A worker's tools.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) worker: usize,
    pub(crate) common: Arc<Common>,
    pub(crate) epoll: Epoll,
    pub(crate) timers: Timers,
    /// The settings that this worker saw last.
    pub(crate) seen: Seen,
    /// The room, on its home.
    pub(crate) room: Option<Room<Address>>,
    /// Whether what was said could not be posted to another worker, so that the room takes no
    /// calls.
    pub(crate) is_room_stalled: bool,
    /// Calls that go to the home at the end of the turn.
    calls: Vec<(Address, Call<'static>)>,
    /// Calls that wait for that to end.
    pub(crate) deferred: VecDeque<(Address, Call<'static>)>,
    /// The time of this turn, in milliseconds of the workers' clock.
    pub(crate) now_ms: u64,
    /// The same as a date; made when it is first asked for.
    stamp: Option<Stamp>,
    /// The second whose local time is known, and that time.
    local: (i64, Date),
    share: Share,
    /// The small file that was looked at last in this turn.
    glance: Glance,
    /// Peers that something happened to in this turn.
    pub(crate) touched: Vec<PeerId>,
    /// Peers that can go on without an event.
    pub(crate) again: Vec<PeerId>,
    /// Where frames are put together that are sent at once; empty between peers.
    pub(crate) draft: Vec<u8>,
    /// The server is stopping: when it does, whatever is still in progress.
    pub(crate) drained_by_ms: Option<u64>,
}

impl Desk {
    pub(crate) fn new(worker: usize, common: Arc<Common>) -> std::io::Result<Self> {
        Ok(Self {
            worker,
            seen: common.settings.see(),
            common,
            epoll: Epoll::new()?,
            timers: Timers::default(),
            room: (worker == HOME).then(Room::default),
            is_room_stalled: false,
            calls: Vec::new(),
            deferred: VecDeque::new(),
            now_ms: 0,
            stamp: None,
            local: (i64::MIN, Civil::from_unix(0).into()),
            share: Share::default(),
            glance: Glance::default(),
            touched: Vec::new(),
            again: Vec::new(),
            draft: Vec::new(),
            drained_by_ms: None,
        })
    }

    /// A turn begins.
    pub(crate) fn set_time(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.stamp = None;
        self.glance.forget();
    }

    /// Something was read: what it asks is answered by the settings that count now.
    pub(crate) fn look_at_settings(&mut self) {
        if !self.common.settings.is_current(&self.seen) {
            self.seen = self.common.settings.see();
        }
    }

    /// A peer has something done in this turn.
    pub(crate) fn touch(&mut self, peer: PeerId) {
        self.share.on_served(peer, self.now_ms);
        self.touched.push(peer);
    }

    /// Bytes one peer may be sent in this turn.
    pub(crate) fn turn_bytes(&self) -> u64 {
        self.share.bytes(self.now_ms)
    }

    /// The time of this turn as a date.
    pub(crate) fn stamp(&mut self) -> Stamp {
        if let Some(stamp) = self.stamp {
            return stamp;
        }
        let unix_ms = clock::unix_ms();
        let second = unix_ms.div_euclid(1000);
        if self.local.0 != second {
            let clock::LocalTime { year, month, day, hour, minute, second: of_minute } =
                clock::local(second);
            let civil = Civil { year, month, day, hour, minute, second: of_minute };
            self.local = (second, civil.into());
        }
        *self.stamp.insert(Stamp { unix_ms, local: self.local.1 })
    }

    /// This worker's counters.
    pub(crate) fn stats(&self) -> &Stats {
        &self.common.crew[self.worker].stats
    }

    /// Whether some requests have replies that may be long: files, and what commands say.
    pub(crate) fn has_long_replies(&self) -> bool {
        self.common.shelf.is_some() || !matches!(self.seen.settings.commands, Commands::Off)
    }

    /// What the server has switched on.
    pub(crate) fn terms<'a>(&self, settings: &'a Settings) -> Terms<'a> {
        Terms {
            server: &settings.name,
            has_files: self.common.shelf.is_some(),
            uploads: settings.uploads,
            line_bytes_max: settings.limits.line_bytes_max,
        }
    }

    /// Asks the room. `None` where the answer comes by mail, or there is none to come.
    pub(crate) fn call(&mut self, peer: PeerId, call: Call<'_>) -> Option<Answer> {
        let from = Address { worker: self.worker, peer };
        let stamp = self.stamp();
        let goes_by_mail = self.goes_by_mail(&call);
        match &mut self.room {
            Some(_) if goes_by_mail => {}
            Some(_) if self.is_room_stalled => {
                self.deferred.push_back((from, call.into_owned()));
                return None;
            }
            Some(room) => return room.on_call(from, &call, &stamp),
            None => {}
        }
        let is_urgent = matches!(call, Call::Leave);
        self.calls.push((from, call.into_owned()));
        if is_urgent {
            // Before the peer can see its end: whoever comes next may want the name.
            self.post_calls();
        }
        None
    }

    /// Posts what peers of this worker ask the room; the rest of a turn's calls go together.
    pub(crate) fn post_calls(&mut self) {
        if !self.calls.is_empty() {
            // Bounded: a peer asks one thing at a time, or sends a limited number of messages.
            let calls = Mail::Calls(std::mem::take(&mut self.calls));
            self.common.crew[HOME].mailbox.post_bounded(calls);
        }
    }

    /// Whether a call has to take its turn among those of other workers, even from the home: a name
    /// that was given back there before is free, and what was said before a change of form is
    /// handed out in the old one.
    fn goes_by_mail(&self, call: &Call<'_>) -> bool {
        match call {
            Call::Join { .. } | Call::Leave => self.common.crew.len() > 1,
            Call::Reform(_) => true,
            Call::List | Call::Send { .. } => false,
        }
    }

    /// Looks at a file. A ticket if what is found comes by mail, for as long as the ticket is kept.
    pub(crate) fn look<'a>(
        &mut self,
        peer: PeerId,
        request: &FileRequest<'a>,
    ) -> Result<Result<Found<'a>, Fault>, Ticket> {
        let serves_hidden = self.seen.settings.hidden;
        let Some(served) = &self.common.shelf else { return Ok(Err(unserved().into())) };
        if let Some(found) = served.look_cached(request, serves_hidden, &mut self.glance) {
            return Ok(found);
        }
        let (errand, ticket) = (Errand::new(request, serves_hidden), Ticket::default());
        let (worker, claim) = (self.worker, ticket.claim());
        let is_taken = if request.wish == FileWish::List {
            lists::ask(&self.common, errand, (Address { worker, peer }, claim))
        } else {
            let common = Arc::clone(&self.common);
            self.common.disks.submit(Box::new(move || {
                if let (Some(shelf), true) = (&common.shelf, claim.is_wanted()) {
                    let found = shelf.look(&errand, &|| claim.is_wanted()).map(Looked::Found);
                    common.crew[worker].mailbox.post_bounded(Mail::Found(peer, claim, found));
                }
            }))
        };
        if is_taken { Err(ticket) } else { Ok(Err(overloaded().into())) }
    }

    /// Has a piece of a file read into memory; word of it comes by mail. False where that cannot
    /// be.
    pub(crate) fn read_ahead(
        &self,
        peer: PeerId,
        file: BorrowedFd<'_>,
        offset: u64,
        bytes: u64,
        claim: Claim,
    ) -> bool {
        let Ok(file) = file.try_clone_to_owned() else { return false };
        let (common, worker) = (Arc::clone(&self.common), self.worker);
        self.common.disks.submit(Box::new(move || {
            if !claim.is_wanted() {
                return;
            }
            // What cannot be read is met again, and told, when it is to be sent.
            let _ = copy::read_ahead(file.as_fd(), offset, usize::try_from(bytes).unwrap_or(0));
            common.crew[worker].mailbox.post_bounded(Mail::Warmed(peer));
        }))
    }

    /// Has a file stored, or a part of it; what came of it comes by mail. Of one whose peer is gone
    /// no more is written, unless all of it came.
    pub(crate) fn store(&self, peer: PeerId, work: Work, claim: Claim) -> Result<(), Refusal> {
        let (common, worker) = (Arc::clone(&self.common), self.worker);
        let is_taken = self.common.stores.submit(Box::new(move || {
            let is_wanted = claim.is_wanted() || work.is_last();
            if let (Some(shelf), true) = (&common.shelf, is_wanted) {
                let stored = Mail::Stored(peer, work.run(shelf));
                common.crew[worker].mailbox.post_bounded(stored);
            }
        }));
        if is_taken { Ok(()) } else { Err(overloaded()) }
    }

    /// Gives up a file that was to be stored; to free what it took may take a disk its time.
    pub(crate) fn discard(&self, deposit: Deposit) {
        self.common.stores.submit(Box::new(move || drop(deposit)));
    }

    /// Has a command started; what came of it comes by mail.
    pub(crate) fn start(&self, peer: PeerId, order: Order) -> Result<(), Refusal> {
        let (common, worker) = (Arc::clone(&self.common), self.worker);
        let is_taken = self.common.starts.submit(Box::new(move || {
            let started = Mail::Started(peer, run::start(order, &common.user));
            common.crew[worker].mailbox.post_bounded(started);
        }));
        if is_taken { Ok(()) } else { Err(overloaded()) }
    }

    /// Ends a command with all that belongs to it.
    pub(crate) fn terminate(&self, job: Job) {
        self.forget_child(&job);
        job.terminate(&self.common.terminator);
    }

    /// A command has exited: what it left running is ended.
    pub(crate) fn finish(&self, job: Job) {
        self.forget_child(&job);
        job.finish(&self.common.terminator);
    }

    /// Out of epoll before it is closed: a child on its way to its program has a copy.
    fn forget_child(&self, job: &Job) {
        // Registered only if that had begun; otherwise this fails, which is what is wanted.
        let _ = self.epoll.delete(job.child().as_fd());
    }

    /// The counters, in the words that are asked for.
    pub(crate) fn account(&self, account: Account) -> Vec<u8> {
        let all = self.common.crew.iter().map(|post| &post.stats);
        let now = [
            ("connections", "Connections there are now.", &self.common.seats),
            ("commands", "Commands that run now.", &self.common.running),
        ];
        let gauges = now.map(|(name, help, value)| Figure {
            name,
            help,
            is_counter: false,
            value: value.load(Ordering::Relaxed) as u64,
        });
        let uptime = Figure {
            name: "uptime_seconds",
            help: "Seconds since the server started.",
            is_counter: false,
            value: self.now_ms / 1000,
        };
        let figures = totals(all).into_iter().chain(gauges).chain([uptime]);
        match account {
            Account::Metrics => metrics_text(figures),
            Account::Stats => stats_text(figures),
        }
    }

    /// Watches a descriptor of a peer as `wanted` says, given that it is watched as `current`.
    pub(crate) fn watch(
        &self,
        peer: PeerId,
        facet: Facet,
        fd: BorrowedFd<'_>,
        current: Option<Interest>,
        wanted: Option<Interest>,
    ) -> std::io::Result<()> {
        let token = Token::Peer(peer, facet).pack();
        match (current, wanted) {
            (None, Some(interest)) => self.epoll.add(fd, interest, token),
            (Some(old), Some(new)) if old != new => self.epoll.modify(fd, new, token),
            (Some(_), None) => self.epoll.delete(fd),
            _ => Ok(()),
        }
    }
}

/// The session asks for no file where none are served; if it did, it would wait for ever.
fn unserved() -> Refusal {
    Refusal::new(Code::Disabled, "this server serves no files")
}

fn overloaded() -> Refusal {
    Refusal::new(Code::Busy, "too much waits to be done: try again")
}
