//! `Acceptor`: taking connections in, deciding whether each may stay, and which worker serves it.
//!
//! What it does not do: serve them. It lives on the home worker; the others get theirs by mail.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::config::Settings;
use super::connection::Connection;
use super::desk::Desk;
use super::listener::{Listener, detect_dead_peers};
use super::log::{Field, Level};
use super::mail::{Arrival, Mail, Seat};
use crate::protocol::refusal::{Code, Refusal};
use crate::protocol::reply::error_line;
use crate::protocol::speech::Service;
use crate::reactor::token::Token;
use crate::service::policy::allows;
use crate::sys::epoll::Interest;
use crate::sys::errno;
use crate::sys::fd::{AsFd, OwnedFd, reserve};
use crate::sys::socket::{self, Local, Peer};

/// Connections taken from one listener in one turn.
const ACCEPTS_PER_TURN: usize = 64;
/// How long no connection is accepted once descriptors ran out, in milliseconds.
const PAUSE_MS: u64 = 100;
/// Connections over the limit that are told so at once, rather than merely closed.
const REFUSED_MAX: usize = 256;
/// Connections at once for metrics. Scrapers make one each, for a moment.
const SCRAPES_MAX: usize = 64;

/// What takes connections in.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listeners: Vec<Listener>,
    /// Users' connections from each address that has any.
    per_address: HashMap<IpAddr, usize>,
    /// A descriptor to give up when there is no other, to be able to refuse.
    reserve: Option<OwnedFd>,
    /// When to listen again, where that had to stop.
    paused_until_ms: Option<u64>,
    /// Connections for metrics, which take no places of users.
    metrics_seats: Arc<AtomicUsize>,
    /// Connections that are being told that they cannot stay.
    refused_seats: Arc<AtomicUsize>,
}

impl Acceptor {
    pub(crate) fn new(listeners: Vec<Listener>) -> io::Result<Self> {
        Ok(Self {
            listeners,
            per_address: HashMap::new(),
            reserve: Some(reserve()?),
            paused_until_ms: None,
            metrics_seats: Arc::default(),
            refused_seats: Arc::default(),
        })
    }

    /// Has the listeners watched. Listener N is the worker's own token N + 1.
    pub(crate) fn watch(&self, desk: &Desk) -> io::Result<()> {
        for (number, listener) in (1..).zip(&self.listeners) {
            let token = Token::Own(number).pack();
            match desk.epoll.add(listener.socket.as_fd(), Interest::READ, token) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// When to look though nothing happens.
    pub(crate) fn deadline_ms(&self) -> Option<u64> {
        self.paused_until_ms
    }

    /// Listens again after a pause, once its time has come.
    pub(crate) fn on_time(&mut self, desk: &Desk) {
        if self.paused_until_ms.is_some_and(|until_ms| desk.now_ms >= until_ms) {
            self.reserve = self.reserve.take().or_else(|| reserve().ok());
            let is_watched = self.watch(desk).is_ok();
            self.paused_until_ms = (!is_watched).then_some(desk.now_ms + PAUSE_MS);
        }
    }

    /// The configuration was read again.
    pub(crate) fn on_settings(&self, settings: &Settings) {
        for listener in &self.listeners {
            if let Local::Inet(_) = listener.local {
                // It was set when the socket was opened: it does not fail.
                let _ = detect_dead_peers(listener.socket.as_fd(), settings.limits.send_timeout_ms);
            }
        }
    }

    /// The server stops: connections are accepted no more.
    pub(crate) fn close(&mut self, desk: &Desk) {
        self.unwatch(desk);
        self.listeners.clear();
        self.paused_until_ms = None;
    }

    /// Connections wait at listener `number` (from 0). Those this worker serves are put into
    /// `here`.
    pub(crate) fn accept(&mut self, number: usize, desk: &mut Desk, here: &mut Vec<Arrival>) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(listener) = self.listeners.get(number) else { return };
            let speech = listener.speech;
            match socket::accept(listener.socket.as_fd()) {
                Ok((socket, peer)) => {
                    desk.stats().connections.add(1);
                    desk.look_at_settings();
                    let seats = match speech.service {
                        Service::Metrics => &self.metrics_seats,
                        _ => &desk.common.seats,
                    };
                    let seat = Seat::take(seats);
                    let uid = match peer {
                        Peer::Unix => socket::peer_uid(socket.as_fd()).ok(),
                        Peer::Inet(_) => None,
                    };
                    let arrival = Arrival { socket, peer, uid, speech, refusal: None, seat };
                    if let Some(arrival) = self.judge(arrival, desk) {
                        place(arrival, desk, here);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_exhausted(&error) => return self.pause(number, desk),
                // That connection was gone before it was accepted (accept(2)); the next may not be.
                Err(_) => {}
            }
        }
    }

    /// A connection that counted for this address is gone.
    pub(crate) fn on_left(&mut self, host: IpAddr) {
        if let Some(count) = self.per_address.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&host);
            }
        }
    }

    /// Counts a connection for its address; false if there are as many as there may be.
    fn enter(&mut self, peer: Peer, per_address_max: usize) -> bool {
        let Peer::Inet(address) = peer else { return true };
        let count = self.per_address.entry(address.ip()).or_default();
        let is_in = *count < per_address_max;
        *count += usize::from(is_in);
        is_in
    }

    /// Decides whether a connection may stay. `None` where it is not even told that it may not.
    fn judge(&mut self, mut arrival: Arrival, desk: &Desk) -> Option<Arrival> {
        let limits = &desk.seen.settings.limits;
        let is_scrape = arrival.speech.service == Service::Metrics;
        let taken = |seats: &AtomicUsize| seats.load(Ordering::Relaxed);
        let origin = Connection::origin(arrival.peer, arrival.uid);
        let refusal = if !desk.seen.settings.allow.is_empty()
            && !allows(&desk.seen.settings.allow, &origin)
        {
            Refusal::new(Code::Denied, "this server does not serve your address")
        } else if is_scrape && taken(&self.metrics_seats) > SCRAPES_MAX {
            Refusal::new(Code::Busy, "too many connections for metrics")
        } else if is_scrape {
            return Some(arrival);
        } else if taken(&desk.common.seats) > limits.connections_max {
            Refusal::new(Code::Busy, "too many connections: try again")
        } else if !self.enter(arrival.peer, limits.per_address_max) {
            Refusal::new(Code::Busy, "too many connections from your address: try again")
        } else {
            return Some(arrival);
        };
        desk.stats().refused.add(1);
        let fields: [Field<'_>; 2] = [("peer", &arrival.peer), ("why", &refusal.text)];
        desk.common.log.say(Level::Info, "refused", &fields);
        if is_scrape || taken(&self.refused_seats) >= REFUSED_MAX {
            return None;
        }
        arrival.seat = Seat::take(&self.refused_seats);
        arrival.refusal = Some(refusal);
        Some(arrival)
    }

    /// There is no descriptor left: the one in reserve serves to refuse whoever waits, and nobody
    /// is accepted for a while, since a level-triggered listener would spin.
    fn pause(&mut self, number: usize, desk: &Desk) {
        self.reserve = None;
        if let Some(listener) = self.listeners.get(number)
            && let Ok((socket, _)) = socket::accept(listener.socket.as_fd())
        {
            let refusal = Refusal::new(Code::Busy, "too many connections: try again");
            let line = [error_line(&refusal).as_slice(), b"\n"].concat();
            if !matches!(listener.speech.service, Service::Echo | Service::Metrics) {
                // It is refused either way.
                let _ = socket::send(socket.as_fd(), &line, false);
            }
        }
        self.reserve = reserve().ok();
        desk.common.log.say(Level::Error, "no descriptor is left to accept with", &[]);
        self.unwatch(desk);
        self.paused_until_ms = Some(desk.now_ms + PAUSE_MS);
    }

    /// Has the listeners watched no more. Closing them is not enough: a child on its way to its
    /// program has a copy, and epoll would tell of connections that nobody accepts (epoll(7)).
    fn unwatch(&self, desk: &Desk) {
        for listener in &self.listeners {
            // One that is not watched already needs no more.
            let _ = desk.epoll.delete(listener.socket.as_fd());
        }
    }
}

/// Gives a connection to the worker with the fewest.
fn place(arrival: Arrival, desk: &Desk, here: &mut Vec<Arrival>) {
    let crew = &desk.common.crew;
    let load = |worker: &usize| crew[*worker].peers.load(Ordering::Relaxed);
    let worker = (0..crew.len()).min_by_key(load).unwrap_or(desk.worker);
    crew[worker].peers.fetch_add(1, Ordering::Relaxed);
    if worker == desk.worker {
        here.push(arrival);
    } else {
        // Bounded by the number of connections there may be.
        crew[worker].mailbox.post_bounded(Mail::Arrived(arrival));
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    matches!(errno, Some(errno::EMFILE | errno::ENFILE | errno::ENOBUFS | errno::ENOMEM))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::protocol::speech::Speech;
    use crate::server::fixture::common;
    use crate::server::mail::HOME;
    use crate::service::policy::Rule;
    use crate::sys::poll::wait_readable;

    /// A listener, what takes its connections in, and the worker's tools for that.
    struct Door {
        acceptor: Acceptor,
        desk: Desk,
        address: SocketAddr,
        clients: Vec<OwnedFd>,
    }

    impl Door {
        fn new(service: Service, change: impl FnOnce(&mut Settings)) -> io::Result<Self> {
            let desk = Desk::new(HOME, common(1, None)?)?;
            let mut settings = Settings::clone(&desk.seen.settings);
            change(&mut settings);
            desk.common.settings.publish(Arc::new(settings));
            let socket = socket::listen_tcp((Ipv4Addr::LOCALHOST, 0).into())?;
            let local = socket::local(socket.as_fd())?;
            let Local::Inet(address) = local else { panic!("it is a TCP socket") };
            let speech = Speech { service, bare: false };
            let acceptor = Acceptor::new(vec![Listener { socket, speech, local }])?;
            acceptor.watch(&desk)?;
            Ok(Self { acceptor, desk, address, clients: Vec::new() })
        }

        fn connect(&mut self) -> io::Result<()> {
            self.clients.push(socket::connect_start(self.address)?.0);
            wait_readable(&[self.acceptor.listeners[0].socket.as_fd()], None)?;
            Ok(())
        }

        /// Another client comes: what the worker gets, if anything.
        fn come(&mut self) -> io::Result<Option<Arrival>> {
            self.connect()?;
            let mut here = Vec::new();
            self.acceptor.accept(0, &mut self.desk, &mut here);
            assert!(here.len() <= 1);
            Ok(here.pop())
        }
    }

    fn why(arrival: Option<&Arrival>) -> &str {
        let arrival = arrival.expect("it is accepted");
        arrival.refusal.as_ref().map_or("", |refusal| &refusal.text)
    }

    #[test]
    fn an_address_has_its_places_and_gives_them_back() -> io::Result<()> {
        let mut door = Door::new(Service::Line, |it| it.limits.per_address_max = 2)?;
        let (first, second, third) = (door.come()?, door.come()?, door.come()?);
        assert_eq!((why(first.as_ref()), why(second.as_ref())), ("", ""));
        assert_eq!(why(third.as_ref()), "too many connections from your address: try again");
        let host = door.address.ip();
        door.acceptor.on_left(host);
        assert_eq!(why(door.come()?.as_ref()), "");
        door.acceptor.on_left(host);
        door.acceptor.on_left(host);
        assert!(door.acceptor.per_address.is_empty());
        Ok(())
    }

    #[test]
    fn users_have_so_many_places_and_refusals_take_none() -> io::Result<()> {
        let mut door = Door::new(Service::Line, |it| it.limits.connections_max = 1)?;
        let (first, second) = (door.come()?, door.come()?);
        assert_eq!(why(first.as_ref()), "");
        assert_eq!(why(second.as_ref()), "too many connections: try again");
        let taken = |seats: &AtomicUsize| seats.load(Ordering::Relaxed);
        assert_eq!(taken(&door.desk.common.seats), 1);
        assert_eq!(taken(&door.acceptor.refused_seats), 1);
        // Only so many are told.
        door.acceptor.refused_seats.store(REFUSED_MAX - 1, Ordering::Relaxed);
        let told = door.come()?;
        assert!(told.is_some() && door.come()?.is_none());
        drop(first);
        assert_eq!(why(door.come()?.as_ref()), "");
        Ok(())
    }

    #[test]
    fn an_address_that_is_not_allowed_is_told_so() -> io::Result<()> {
        let mut door = Door::new(Service::Line, |it| it.allow = vec![Rule::Unix])?;
        let denied = door.come()?;
        assert_eq!(why(denied.as_ref()), "this server does not serve your address");
        let mut door = Door::new(Service::Line, |it| it.allow = vec![Rule::Unix, Rule::Any])?;
        assert_eq!(why(door.come()?.as_ref()), "");
        Ok(())
    }

    #[test]
    fn scrapes_have_places_of_their_own_and_are_not_told() -> io::Result<()> {
        let mut door = Door::new(Service::Metrics, |it| it.limits.connections_max = 0)?;
        let first = door.come()?;
        assert_eq!(why(first.as_ref()), "");
        assert!(door.acceptor.per_address.is_empty());
        door.acceptor.metrics_seats.store(SCRAPES_MAX - 1, Ordering::Relaxed);
        let last = door.come()?;
        assert!(last.is_some() && door.come()?.is_none());
        assert_eq!(door.desk.common.seats.load(Ordering::Relaxed), 0);
        Ok(())
    }

    #[test]
    fn without_descriptors_one_is_told_and_the_others_wait_for_a_moment() -> io::Result<()> {
        let mut door = Door::new(Service::Line, |_| ())?;
        door.connect()?;
        door.acceptor.pause(0, &door.desk);
        let mut told = [0; 100];
        wait_readable(&[door.clients[0].as_fd()], None)?;
        let count = socket::receive(door.clients[0].as_fd(), &mut told)?;
        assert_eq!(&told[..count], b"error busy: too many connections: try again\n");
        let until_ms = door.desk.now_ms + PAUSE_MS;
        assert_eq!(door.acceptor.deadline_ms(), Some(until_ms));
        door.acceptor.reserve = None;
        door.acceptor.on_time(&door.desk);
        assert_eq!(door.acceptor.deadline_ms(), Some(until_ms));
        door.desk.set_time(until_ms);
        door.acceptor.on_time(&door.desk);
        assert_eq!(door.acceptor.deadline_ms(), None);
        assert!(door.acceptor.reserve.is_some());
        // It was watched no more, and is again.
        let listener = door.acceptor.listeners[0].socket.as_fd();
        door.desk.epoll.delete(listener)
    }
}
