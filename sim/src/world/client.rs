//! One client: what it has to say, how it says it, how it reads and how it leaves.

use super::compare::show;
use super::expect::Reading;
use super::reader::{Progress, Reader};
use super::request::{Deed, Request};
use super::scene::Scene;
use crate::kernel::random::Random;
use crate::kernel::socket::{ConnectionId, Received, Side, client_address};
use crate::kernel::with;
use crate::protocol::speech::Service;
use crate::server::config::ListenAddress;
use crate::sys::socket::{Local, Peer};

/// Reads and sends after which a client is slow, or narrow, no more: all comes to an end.
const ACTS_SLOW_MAX: u32 = 5_000;

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// It shuts its sending side once all is said, and reads to the end.
    HalfClose,
    /// The same, but only once nobody else has anything to do.
    Last,
    /// It closes once all is said, whatever it has not read.
    Close,
    /// It resets the connection at some point.
    Reset,
}

/// How a connection ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By a clean end of what the server sends.
    Clean,
    /// By a reset.
    Reset,
    /// The client left first.
    Own,
    /// The server was not there.
    Never,
}

/// A client.
#[derive(Debug)]
pub struct Client {
    /// Its number; its name is `uNUMBER`.
    pub number: usize,
    listener: usize,
    is_unix: bool,
    /// What it says.
    pub requests: Vec<Request>,
    /// How it leaves.
    pub leaves: Leaves,
    connection: Option<ConnectionId>,
    wire: Vec<u8>,
    sent: usize,
    /// All it received.
    pub received: Vec<u8>,
    /// How it ended.
    pub end: Option<End>,
    /// When it does something again.
    due_us: u64,
    /// How often it did something.
    acts: u32,
    /// How long it waits between two reads, at the most.
    slowness_us: u64,
    /// It reads nothing before then.
    deaf_until_us: u64,
    may_leave: bool,
    is_shut: bool,
    is_broken: bool,
    has_seen_reset: bool,
    /// When it had its name for certain, and when it began to leave.
    pub named_us: Option<u64>,
    /// When it ended its input, closed or reset.
    pub left_us: Option<u64>,
    /// When the last byte of each request was handed to the kernel.
    pub said_us: Vec<u64>,
    /// When each reply had been read, at the latest.
    pub answered_us: Vec<u64>,
    progress: Progress,
    /// It closed with nothing left to read, so that all it said arrives.
    pub is_clean_close: bool,
}

impl Client {
    /// A client that has not come yet.
    pub fn new(
        number: usize,
        listener: usize,
        is_unix: bool,
        requests: Vec<Request>,
        leaves: Leaves,
        random: &mut Random,
    ) -> Self {
        let wire = requests.iter().flat_map(|request| request.wire.clone()).collect();
        let start_us = 2_000_000 + random.draw() % 300_000;
        let deaf_us = if random.one_in(6) { random.draw() % 8_000_000 } else { 0 };
        Self {
            number,
            listener,
            is_unix,
            requests,
            leaves,
            connection: None,
            wire,
            sent: 0,
            received: Vec::new(),
            end: None,
            due_us: start_us,
            acts: 0,
            slowness_us: *random.pick(&[0, 0, 0, 2_000, 20_000]),
            deaf_until_us: start_us + deaf_us,
            may_leave: false,
            is_shut: false,
            is_broken: false,
            has_seen_reset: false,
            named_us: None,
            left_us: None,
            said_us: Vec::new(),
            answered_us: Vec::new(),
            progress: Progress::default(),
            is_clean_close: false,
        }
    }

    /// The network is taken from it: it says and hears nothing more.
    pub fn lose_network(&mut self) {
        if let Some(connection) = self.connection.filter(|_| self.end.is_none() && !self.is_unix) {
            with(|kernel| kernel.cut_path(connection));
            self.end = Some(End::Own);
        }
    }

    /// Whether it is gone.
    pub fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// Whether it has said all and only stays to the end.
    pub fn waits_for_all(&self) -> bool {
        let is_quiet = self.leaves == Leaves::Last && self.sent == self.wire.len();
        self.connection.is_some() && is_quiet && !self.is_shut
    }

    /// It may go now.
    pub fn leave_at_last(&mut self) {
        self.may_leave = true;
    }

    /// When it does something by itself.
    pub fn due_us(&self) -> Option<u64> {
        let has_more = self.end.is_none() && !self.is_idle();
        has_more.then(|| self.due_us.max(if self.is_reading() { 0 } else { self.deaf_until_us }))
    }

    fn is_idle(&self) -> bool {
        self.connection.is_some() && !self.can_read() && !self.can_send() && !self.can_go()
    }

    fn is_reading(&self) -> bool {
        self.can_send() || self.can_go() || self.connection.is_none()
    }

    fn ready(&self) -> crate::kernel::epoll::Ready {
        let connection = self.connection.filter(|_| self.end.is_none());
        connection.map_or_else(Default::default, |connection| {
            with(|kernel| kernel.network.readiness(connection, Side::Client))
        })
    }

    fn can_read(&self) -> bool {
        self.ready().readable
    }

    fn can_send(&self) -> bool {
        let is_open = !self.is_broken && !self.is_shut && self.end.is_none();
        let has_more = self.sent < self.wire.len() && is_open;
        self.connection.is_some_and(|connection| {
            has_more && with(|kernel| kernel.network.has_room(connection, Side::Client))
        })
    }

    fn can_go(&self) -> bool {
        let is_said = self.sent == self.wire.len();
        self.connection.is_some()
            && !self.is_shut
            && match self.leaves {
                Leaves::HalfClose | Leaves::Close => is_said,
                Leaves::Last => is_said && self.may_leave,
                Leaves::Reset => true,
            }
    }

    /// Whether it can do something at this time.
    pub fn can_act(&self, now_us: u64) -> bool {
        let reads = now_us >= self.deaf_until_us && self.can_read();
        self.end.is_none()
            && now_us >= self.due_us
            && (self.connection.is_none() || reads || self.can_send() || self.can_go())
    }

    /// Does something.
    pub fn act(&mut self, random: &mut Random, scene: &Scene) {
        let now_us = with(|kernel| kernel.now_us);
        let Some(connection) = self.connection else { return self.connect(scene) };
        self.acts += 1;
        if self.acts == ACTS_SLOW_MAX {
            self.slowness_us = 0;
            with(|kernel| kernel.widen(connection));
        }
        if self.slowness_us > 0 {
            self.due_us = now_us + random.draw() % self.slowness_us;
        }
        let reads = now_us >= self.deaf_until_us && self.can_read();
        if reads && random.one_in(2) {
            return self.read(connection, random, scene, now_us);
        }
        if self.can_send() && !(self.leaves == Leaves::Reset && random.one_in(12)) {
            return self.send(connection, random, now_us);
        }
        if self.can_go() {
            return self.leave(connection, now_us);
        }
        if reads {
            self.read(connection, random, scene, now_us);
        }
    }

    fn connect(&mut self, scene: &Scene) {
        let wanted = scene.address(self.listener);
        let found = with(|kernel| {
            let is_it = |local: &Local| wanted.is_some_and(|wanted| is_address(wanted, local));
            let all = kernel.network.all_listeners();
            let listener = all.into_iter().find(|(_, local)| is_it(local));
            let is_v6 = matches!(&listener, Some((_, Local::Inet(local))) if local.is_ipv6());
            let peer = if self.is_unix { Peer::Unix } else { client_address(self.number, is_v6) };
            listener.and_then(|(id, _)| kernel.connect(id, peer, 1000))
        });
        match found {
            Some(connection) => self.connection = Some(connection),
            None => self.end = Some(End::Never),
        }
        let note = format!("client {} connects: {:?}", self.number, self.connection);
        with(|kernel| kernel.trace.note(kernel.now_us, format_args!("{note}")));
    }

    fn send(&mut self, connection: ConnectionId, random: &mut Random, now_us: u64) {
        let left = &self.wire[self.sent..];
        let most = *random.pick(&[1, 10, 100, 5_000, 70_000]);
        let piece = &left[..left.len().min(most)];
        let sent = with(|kernel| kernel.socket_send(connection, Side::Client, piece));
        match sent {
            Ok(count) => self.sent += count,
            Err(libc::EAGAIN) => {}
            Err(errno) => {
                self.is_broken = true;
                self.has_seen_reset |= errno == libc::ECONNRESET;
            }
        }
        let mut end = 0;
        for (number, request) in self.requests.iter().enumerate() {
            end += request.wire.len();
            if end <= self.sent && self.said_us.len() == number {
                self.said_us.push(now_us);
            }
        }
    }

    fn read(&mut self, connection: ConnectionId, random: &mut Random, scene: &Scene, now_us: u64) {
        let most = *random.pick(&[1, 50, 4_096, 100_000]);
        let received = with(|kernel| kernel.client_receive(connection, most));
        match received {
            Received::Bytes(bytes) => {
                self.received.extend(bytes);
                if !self.can_read() {
                    self.look(scene, now_us);
                }
            }
            Received::Nothing => {}
            // The error that a send gave is not told again.
            Received::End if self.has_seen_reset => self.finish(connection, End::Reset),
            Received::End => self.finish(connection, End::Clean),
            Received::Reset => self.finish(connection, End::Reset),
        }
    }

    /// Looks which replies are there. It has read all there is at this time.
    fn look(&mut self, scene: &Scene, now_us: u64) {
        let excuses = scene.excuses();
        let firm = firm(&self.requests);
        self.progress = Reader::advance(&self.received, self.progress, firm, excuses);
        self.answered_us.resize(self.progress.replies, now_us);
        let name = self.requests.iter().position(|request| request.deed == Deed::Name);
        if name.is_some_and(|name| name < self.progress.replies) {
            self.named_us.get_or_insert(now_us);
        }
    }

    fn leave(&mut self, connection: ConnectionId, now_us: u64) {
        self.left_us = Some(now_us);
        match self.leaves {
            Leaves::HalfClose | Leaves::Last => {
                self.is_shut = true;
                // Where the server is gone, the next read tells.
                let _gone = with(|kernel| kernel.socket_shutdown(connection, Side::Client));
            }
            Leaves::Close => {
                let (unread, unsent) = with(|kernel| {
                    let unread = kernel.socket_len(connection, Side::Client);
                    (unread, kernel.network.unsent(connection, Side::Client))
                });
                // What is still on its way is lost if the server answers meanwhile.
                let arrives = self.is_unix || (unread == 0 && unsent == 0);
                self.is_clean_close = arrives && !self.is_broken;
                self.finish(connection, End::Own);
            }
            Leaves::Reset => {
                with(|kernel| kernel.socket_reset_on_close(connection, Side::Client));
                self.finish(connection, End::Own);
            }
        }
    }

    fn finish(&mut self, connection: ConnectionId, end: End) {
        let now_us = with(|kernel| {
            kernel.trace.note(kernel.now_us, format_args!("client {}: {end:?}", self.number));
            kernel.close_end(connection, Side::Client);
            kernel.now_us
        });
        self.left_us.get_or_insert(now_us);
        self.end = Some(end);
    }

    /// What it received, as far as anything can be said of it.
    pub fn reading(&self, scene: &Scene) -> Result<Reading, String> {
        Reader::new(&self.received, scene.excuses()).read(firm(&self.requests))
    }

    /// Whether something can be said of all it received.
    pub fn is_firm(&self) -> bool {
        self.requests.iter().all(|request| !request.is_loose)
    }

    /// Whether it received what it must.
    pub fn judge(&self, scene: &Scene) -> Result<(), String> {
        if !self.is_firm() {
            return Ok(());
        }
        let reading = self.reading(scene)?;
        let cancels = self.requests.iter().filter(|request| request.wire.starts_with(b"cancel"));
        let cancels = cancels.count();
        if reading.cancelled > cancels {
            return Err(format!("{} requests cancelled by {cancels}", reading.cancelled));
        }
        let is_whole = reading.replies == self.requests.len() && !reading.is_cut;
        let is_excused = scene.stops_early || scene.has_faults || scene.has_short_times();
        if reading.is_lost {
            return Ok(());
        }
        match self.end {
            Some(End::Clean) if is_whole || reading.farewell.is_some() => Ok(()),
            // A cut frame is seen to be one. Over a Unix socket, what is lost from memory when the
            // server stops is not.
            Some(End::Clean) if reading.is_cut && reading.is_cut_frame && is_excused => Ok(()),
            Some(End::Clean) if reading.is_cut && self.is_unix && is_excused => Ok(()),
            // Where no descriptor is left, one attempt is made to say so.
            Some(End::Clean) if reading.is_cut && self.hears_no_place() && scene.has_faults => {
                Ok(())
            }
            // An echo is a stream without replies.
            Some(End::Clean) if reading.is_cut && scene.stops_early && self.is_echo(scene) => {
                Ok(())
            }
            Some(End::Clean) if reading.is_cut => {
                Err("a reply that is cut short ends in a clean end of file".to_owned())
            }
            Some(End::Clean) if is_excused => Ok(()),
            // An echo is turned away without words.
            Some(End::Clean)
                if self.received.is_empty() && self.is_echo(scene) && scene.may_turn_away() =>
            {
                Ok(())
            }
            Some(End::Clean) => Err(format!(
                "a clean end after {} of {} replies",
                reading.replies,
                self.requests.len()
            )),
            // Who is turned away is waited for, but not for long.
            Some(End::Reset) if scene.may_turn_away() && self.hears_no_place() => Ok(()),
            Some(End::Reset) if !is_excused && !self.may_be_cut(scene) => {
                Err("the connection was reset".to_owned())
            }
            Some(_) => Ok(()),
            None => Err("it never came to an end".to_owned()),
        }
    }

    /// Whether it left in the middle of what it had to say, and the server cannot know.
    pub fn is_torn(&self) -> bool {
        self.is_unix && self.sent < self.wire.len()
    }

    /// Whether all it heard is that there is no place for it, or the beginning of that.
    fn hears_no_place(&self) -> bool {
        const NO_PLACE: &[u8] = b"error busy: ";
        let length = self.received.len().min(NO_PLACE.len());
        self.received[..length] == NO_PLACE[..length]
    }

    fn is_echo(&self, scene: &Scene) -> bool {
        let listen = scene.config.listen.get(self.listener);
        listen.is_some_and(|listen| listen.speech.service == Service::Echo)
    }

    /// Whether the server may cut it off: it left too much unread for too long.
    fn may_be_cut(&self, scene: &Scene) -> bool {
        scene.has_run_timeout() || self.deaf_until_us > 0 && self.slowness_us > 0
    }

    /// What was said and heard, in short.
    pub fn transcript(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        let Self { number, listener, is_unix, leaves, connection, end, .. } = self;
        writeln!(
            text,
            "client {number}: listener {listener}, unix {is_unix}, {leaves:?}, connection \
             {connection:?}, end {end:?}, sent {} of {}",
            self.sent,
            self.wire.len()
        )
        .expect("a String takes all that is written");
        for request in &self.requests {
            writeln!(text, "    {}", show(&request.wire)).expect("as above");
        }
        let last = &self.received[self.received.len().saturating_sub(150)..];
        write!(text, "    received {} bytes, at last {}", self.received.len(), show(last))
            .expect("as above");
        text
    }
}

/// Whether this is where one listens.
fn is_address(wanted: &ListenAddress, local: &Local) -> bool {
    match (wanted, local) {
        (ListenAddress::Unix(path), Local::Unix(other)) => path == other,
        (
            ListenAddress::Host { port, .. }
            | ListenAddress::All { port }
            | ListenAddress::Loopback { port },
            Local::Inet(other),
        ) => *port == other.port(),
        _ => false,
    }
}

/// The requests up to the one of which nothing can be said.
fn firm(requests: &[Request]) -> &[Request] {
    let end = requests.iter().position(|request| request.is_loose).unwrap_or(requests.len());
    &requests[..end]
}
