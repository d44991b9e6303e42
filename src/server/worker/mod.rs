//! `Worker`: a thread with its peers, and its turn, in fixed phases:
//!
//! ```text
//! wait → now → accept → read and pump → mail → time → flush → settle
//! ```
//!
//! What it does not do: know what a peer says, or what a job does. It owns the only clock, the slab
//! of peers, and the closing of them.
//!
//! Invariants:
//! 1. A peer is closed at the end of a turn alone, so that no phase before meets half of one.
//! 2. A peer in `touched` is flushed and settled in this very turn.

mod exchange;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::accept::Acceptor;
use super::command::Source;
use super::connection::{Connection, Fate, Task, Why};
use super::desk::{Common, Desk};
use super::drive::stopping;
use super::log::{Field, Level};
use super::mail::{Address, Arrival, HOME, Mail};
use super::upload::Stored;
use crate::protocol::effect::Answer;
use crate::protocol::refusal::Code;
use crate::protocol::speech::Service;
use crate::protocol::wording;
use crate::reactor::slab::Slab;
use crate::reactor::token::{Facet, PeerId, Token};
use crate::service::room::Room;
use crate::service::run::Started;
use crate::sys::clock::Clock;
use crate::sys::epoll::{Event, Events, Interest};
use crate::sys::fd::AsFd;
use crate::sys::{host, socket};

/// Events taken in one turn.
const EVENTS_PER_TURN: usize = 512;
/// How long a worker runs at a time where others wait for its processor, in nanoseconds: the least
/// there is. Threads that wait for disks, and commands, have longer turns, later.
const SLICE_NS: u64 = 100_000;
/// Size of the buffer all peers of a worker are read into, in bytes.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Timers of peers that are gone which are no reason to look for them.
const TIMERS_KEPT: usize = 4096;
/// The worker's own token for its mailbox; listeners follow.
const MAILBOX: u32 = 0;

/// A worker.
#[derive(Debug)]
pub(crate) struct Worker {
    desk: Desk,
    peers: Slab<Connection>,
    acceptor: Option<Acceptor>,
    scratch: Vec<u8>,
    mail: VecDeque<Mail>,
    /// Mail another worker had no room for, by its number.
    unposted: VecDeque<(usize, Mail)>,
    /// The room's answers of this turn to peers of other workers.
    answers: Vec<(Address, Answer)>,
    /// What they hold, in bytes.
    answer_bytes: usize,
    clock: Clock,
    /// Other workers that have not ended, as far as the home knows.
    others: usize,
    is_stopped: bool,
}

impl Worker {
    /// A worker that has not begun. The home gets the acceptor. All workers have one `clock`.
    pub(crate) fn new(
        number: usize,
        common: Arc<Common>,
        acceptor: Option<Acceptor>,
        clock: Clock,
    ) -> io::Result<Self> {
        let desk = Desk::new(number, common)?;
        let crew_len = desk.common.crew.len();
        let mailbox = &desk.common.crew[number].mailbox;
        desk.epoll.add(mailbox.as_fd(), Interest::READ, Token::Own(MAILBOX).pack())?;
        if let Some(acceptor) = &acceptor {
            acceptor.watch(&desk)?;
        }
        Ok(Self {
            desk,
            peers: Slab::default(),
            acceptor,
            scratch: vec![0; SCRATCH_BYTES],
            mail: VecDeque::new(),
            unposted: VecDeque::new(),
            answers: Vec::new(),
            answer_bytes: 0,
            clock,
            others: if number == HOME { crew_len - 1 } else { 0 },
            is_stopped: false,
        })
    }

    /// Turns until it is told to stop, or has drained.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let ended = self.run_turns();
        self.leave();
        ended
    }

    fn run_turns(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        host::run_soon(SLICE_NS);
        self.set_time();
        while !self.is_over() {
            self.desk.epoll.wait(&mut events, self.timeout_ms())?;
            self.turn(&events);
        }
        Ok(())
    }

    /// The end: what is cut off in the middle must not be taken for whole, and the home, which
    /// still answers for the room, may end too.
    fn leave(&mut self) {
        for peer in self.peers.ids() {
            self.with(peer, |connection, desk, scratch| {
                connection.cut_off(desk, scratch);
            });
            self.close(peer, Why::Told(Code::Stopping));
        }
        if self.desk.worker != HOME {
            self.desk.common.crew[HOME].mailbox.post_bounded(Mail::Ended);
        }
    }

    fn turn(&mut self, events: &Events) {
        self.set_time();
        let mut has_mail = false;
        for index in 0..events.len() {
            let event = events.get(index);
            match Token::unpack(event.token) {
                Token::Own(MAILBOX) => has_mail = true,
                Token::Own(number) => self.accept(number as usize - 1),
                Token::Peer(peer, facet) => self.on_event(peer, facet, event),
            }
            self.hand_out_if_full();
        }
        // What goes on in this turn may want to go on in the next one, but not in this one again.
        for index in 0..self.desk.again.len() {
            let peer = self.desk.again[index];
            self.with(peer, Connection::take_up);
        }
        self.desk.again.clear();
        if has_mail {
            self.take_mail();
        }
        self.on_time();
        loop {
            self.hand_out();
            self.settle();
            self.desk.post_calls();
            // Who was closed has left the room, which others are to be told in this very turn.
            let is_quiet = self.desk.room.as_ref().is_none_or(Room::is_quiet);
            if is_quiet && self.answers.is_empty() {
                return;
            }
        }
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "the one reading of the clock in a turn; not `expect`, as the ban names one crate"
    )]
    fn set_time(&mut self) {
        self.desk.set_time(self.clock.elapsed_ms());
    }

    /// How long to wait at the most.
    fn timeout_ms(&self) -> Option<u64> {
        let desk = &self.desk;
        if !desk.again.is_empty() || !self.unposted.is_empty() {
            return Some(u64::from(!self.unposted.is_empty()));
        }
        let paused = self.acceptor.as_ref().and_then(Acceptor::deadline_ms);
        let due = [desk.timers.next_ms(), paused, desk.drained_by_ms];
        due.into_iter().flatten().min().map(|due_ms| due_ms.saturating_sub(desk.now_ms))
    }

    fn is_over(&self) -> bool {
        let desk = &self.desk;
        let is_drained = self.peers.is_empty() && self.others == 0;
        let is_late = |by_ms| is_drained || desk.now_ms >= by_ms;
        self.is_stopped || desk.drained_by_ms.is_some_and(is_late)
    }

    fn accept(&mut self, listener: usize) {
        let mut here = Vec::new();
        if let Some(acceptor) = &mut self.acceptor {
            acceptor.accept(listener, &mut self.desk, &mut here);
        }
        for arrival in here {
            self.on_arrival(arrival);
        }
    }

    fn on_arrival(&mut self, mut arrival: Arrival) {
        let refusal = arrival.refusal.take();
        let (seen, now_ms) = (self.desk.seen.clone(), self.desk.now_ms);
        let peer = self.peers.insert_with(|peer| Connection::new(peer, arrival, &seen, now_ms));
        let is_draining = self.desk.drained_by_ms.is_some();
        self.with(peer, |connection, desk, _| match refusal {
            Some(refusal) => connection.dismiss(desk, &refusal),
            None if is_draining => connection.dismiss(desk, &stopping()),
            None => {}
        });
    }

    /// Has something done to a peer, if it is still there. A panic closes that peer alone.
    fn with(&mut self, peer: PeerId, act: impl FnOnce(&mut Connection, &mut Desk, &mut [u8])) {
        let Self { peers, desk, scratch, .. } = self;
        let Some(connection) = peers.get_mut(peer) else { return };
        if !connection.flags.is_touched {
            connection.flags.is_touched = true;
            desk.touch(peer);
        }
        let acted = catch_unwind(AssertUnwindSafe(|| act(connection, desk, scratch)));
        if acted.is_err() {
            desk.stats().panics.add(1);
            let fields: [Field<'_>; 1] = [("peer", &connection.peer)];
            desk.common.log.say(Level::Error, "a failure of landline's own", &fields);
            connection.fail();
        }
    }

    fn on_event(&mut self, peer: PeerId, facet: Facet, event: Event) {
        self.with(peer, |connection, desk, scratch| match facet {
            Facet::Socket => {
                if event.writable {
                    connection.flags.is_sink_full = false;
                }
                if event.gone {
                    let error = socket::take_error(connection.socket.as_fd()).err();
                    connection.on_gone(error.as_ref().map_or(Why::Gone, Why::of));
                    connection.read_kept(scratch);
                }
                if event.readable && (connection.wants_input() || connection.is_interrupted()) {
                    connection.on_readable(desk, scratch);
                } else if event.readable {
                    connection.look_away(desk);
                }
            }
            facet => {
                let Some(Task::Command(command)) = connection.task.as_deref_mut() else { return };
                match facet {
                    Facet::Out => command.on_pipe(Source::Out, event.gone),
                    Facet::Err => command.on_pipe(Source::Err, event.gone),
                    Facet::In => command.on_writable(event.gone),
                    Facet::Child | Facet::Socket => command.on_child(desk),
                }
            }
        });
    }

    fn take_mail(&mut self) {
        let mut mail = std::mem::take(&mut self.mail);
        self.desk.common.crew[self.desk.worker].mailbox.take_all(&mut mail);
        for piece in mail.drain(..) {
            self.on_mail(piece);
            self.hand_out_if_full();
        }
        self.mail = mail;
    }

    fn on_mail(&mut self, mail: Mail) {
        match mail {
            Mail::Arrived(arrival) => self.on_arrival(arrival),
            Mail::Found(peer, claim, found) => {
                self.with(peer, |c, desk, _| c.on_found(desk, &claim, found));
            }
            Mail::Warmed(peer) => self.with(peer, |c, _, _| {
                if let Some(Task::Download(download)) = c.task.as_deref_mut() {
                    download.on_warm();
                }
            }),
            Mail::Started(peer, Ok(Started::Running(job))) if !self.peers.contains(peer) => {
                self.desk.terminate(job);
            }
            Mail::Started(peer, started) => {
                self.with(peer, |c, desk, _| c.on_started(desk, started));
            }
            Mail::Stored(peer, Ok(Stored::Part(deposit))) if !self.peers.contains(peer) => {
                self.desk.discard(deposit);
            }
            Mail::Stored(peer, stored) => self.with(peer, |c, desk, _| c.on_stored(desk, stored)),
            Mail::Said(said) => self.on_said(said),
            Mail::Calls(calls) => {
                for (from, call) in calls {
                    self.on_call(from, call);
                    self.hand_out_if_full();
                }
            }
            Mail::Left(host) => {
                if let Some(acceptor) = &mut self.acceptor {
                    acceptor.on_left(host);
                }
            }
            Mail::Settings => self.on_settings(),
            Mail::Drain(drain_ms) => self.drain(drain_ms),
            Mail::Ended => self.others -= 1,
            Mail::Stop => self.is_stopped = true,
        }
    }

    fn on_time(&mut self) {
        while let Some((due_ms, token)) = self.desk.timers.pop_due(self.desk.now_ms) {
            if let Token::Peer(peer, _) = Token::unpack(token) {
                self.with(peer, |connection, desk, _| connection.on_timer(desk, due_ms));
            }
        }
        self.forget_timers();
        if let Some(acceptor) = &mut self.acceptor {
            acceptor.on_time(&self.desk);
        }
    }

    /// Forgets the timers of peers that are gone, once they are many: a connection that lived for a
    /// moment would otherwise leave an entry for as long as it might have idled.
    fn forget_timers(&mut self) {
        let Self { peers, desk, .. } = self;
        if desk.timers.len() > 2 * peers.len() + TIMERS_KEPT {
            desk.timers.retain(|due_ms, token| match Token::unpack(token) {
                Token::Peer(peer, _) => peers.get_mut(peer).is_some_and(|p| p.armed_ms == due_ms),
                Token::Own(_) => true,
            });
        }
    }

    fn on_settings(&mut self) {
        self.desk.look_at_settings();
        if let Some(acceptor) = &self.acceptor {
            acceptor.on_settings(&self.desk.seen.settings);
        }
        for peer in self.peers.ids() {
            self.with(peer, |connection, desk, _| connection.look_at_settings(desk));
        }
    }

    /// The server stops: nobody is accepted, those who wait for nothing are told and closed, the
    /// others once the reply in progress has ended.
    fn drain(&mut self, drain_ms: u64) {
        self.desk.drained_by_ms = Some(self.desk.now_ms.saturating_add(drain_ms));
        if let Some(acceptor) = &mut self.acceptor {
            acceptor.close(&self.desk);
        }
        for peer in self.peers.ids() {
            self.with(peer, |connection, desk, _| {
                // What a peer that is gone has left behind is worked off.
                if !connection.is_served() {
                    return;
                }
                if connection.session.is_framed() {
                    connection.push_event(wording::shutdown_note());
                }
                // A reply in progress comes to its end first.
                if !connection.session.is_busy() {
                    connection.dismiss(desk, &stopping());
                }
            });
        }
    }

    fn settle(&mut self) {
        while let Some(peer) = self.desk.touched.pop() {
            let mut why = None;
            self.with(peer, |connection, desk, scratch| {
                connection.flush(desk, scratch);
                connection.read_kept(scratch);
                why = connection.settle(desk);
            });
            let Some(connection) = self.peers.get_mut(peer) else { continue };
            connection.flags.is_touched = false;
            if let Some(Fate::Gone(reason) | Fate::Reset(reason)) = connection.fate {
                why = why.or(Some(reason));
            }
            if let Some(why) = why {
                self.close(peer, why);
            }
        }
    }

    fn close(&mut self, peer: PeerId, why: Why) {
        let Some(mut connection) = self.peers.remove(peer) else { return };
        connection.prepare_close();
        let desk = &mut self.desk;
        connection.abandon(desk);
        connection.leave_room(desk);
        // As in `Watched`: a child on its way to its program has a copy, also one that another
        // worker starts at this moment. Where it fails, it is not registered, which is what is
        // wanted.
        let _ = desk.epoll.delete(connection.socket.as_fd());
        desk.stats().closed.add(1);
        desk.common.crew[desk.worker].peers.fetch_sub(1, Ordering::Relaxed);
        // Neither a scrape nor one that was refused counts for its address.
        let is_user = connection.seat.is_of(&desk.common.seats);
        if let Some(host) = connection.host().filter(|_| is_user) {
            match &mut self.acceptor {
                Some(acceptor) => acceptor.on_left(host),
                None => desk.common.crew[HOME].mailbox.post_bounded(Mail::Left(host)),
            }
        }
        say_closed(desk, &connection, why);
    }
}

/// A worker that panicked still has its peers: what is cut off is to be seen by them.
impl Drop for Worker {
    fn drop(&mut self) {
        for peer in self.peers.ids() {
            if let Some(connection) = self.peers.get_mut(peer) {
                connection.prepare_close();
            }
        }
    }
}

/// A line of the log for a connection that ended. Health checks and scrapes are told at debug
/// level.
fn say_closed(desk: &Desk, connection: &Connection, why: Why) {
    let is_silent = connection.bytes_in == 0;
    let is_scrape = connection.session.service() == Service::Metrics;
    let level = if is_silent || is_scrape { Level::Debug } else { Level::Info };
    if !desk.common.log.wants(level) {
        return;
    }
    let open_s = (desk.now_ms / 1000).saturating_sub(u64::from(connection.opened_s));
    let fields: [Field<'_>; 7] = [
        ("peer", &connection.peer),
        ("service", &connection.speech()),
        ("why", &why.as_str()),
        ("requests", &connection.requests),
        ("received", &connection.bytes_in),
        ("sent", &connection.bytes_out),
        ("open_s", &open_s),
    ];
    desk.common.log.say(level, "closed", &fields);
}
