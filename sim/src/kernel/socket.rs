//! Stream sockets: TCP and Unix, as they differ.
//!
//! - A connection has two ends. What one end sends over TCP is on its way for as long as the driver
//!   wants; over a Unix socket it arrives at once.
//! - TCP: a close without unread input is a FIN, which the other end cannot tell from a half-close;
//!   what it sends then is answered by a reset. A close with unread input, or with `SO_LINGER` 0,
//!   is a reset. What arrived before a reset can be read still.
//! - Unix: a close is HUP at the other end at once, with whatever it had not read; a close with
//!   unread input is ECONNRESET there, once. `SO_LINGER` means nothing.

mod calls;
mod dead_peer;
mod delivery;
mod listening;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;

use super::Errno;
use super::epoll::Ready;
use crate::sys::socket::{Local, Peer};

pub use dead_peer::{Detection, KeepAlive};

/// A connection.
pub type ConnectionId = usize;
/// A listening socket.
pub type ListenerId = usize;

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The one that was accepted.
    Server,
    /// The one that connected.
    Client,
}

impl Side {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}

/// One end of a connection.
#[derive(Debug, Default)]
struct End {
    /// What arrived and was not read.
    inbox: VecDeque<u8>,
    inbox_max: usize,
    /// What was sent to this end and has not arrived; with Unix sockets always empty.
    flight: VecDeque<u8>,
    flight_max: usize,
    /// When it was sent, or the last of it arrived.
    flight_since_us: u64,
    /// The end of input is on its way.
    end_in_flight: bool,
    /// The end of input arrived.
    is_ended: bool,
    /// This end has shut its sending side.
    is_shut: bool,
    /// The connection was reset, or the other end of a Unix socket is closed.
    is_gone: bool,
    /// An error that was not told yet.
    error: Option<Errno>,
    /// No descriptor is left of it.
    is_closed: bool,
    /// `SO_LINGER` 0.
    resets_on_close: bool,
    /// Bytes that were ever read at this end, and how many sends of it succeeded.
    read_bytes: u64,
    /// What it had sent and its peer had not taken when it was reset. It still counts as unsent.
    lost_bytes: usize,
    /// How this end finds that its peer is gone.
    detection: Detection,
}

/// A connection.
#[derive(Debug)]
struct Connection {
    is_unix: bool,
    server: End,
    client: End,
    peer: Peer,
    uid: u32,
    local: Local,
    /// Since when the path is cut: nothing arrives any more, and nobody is told.
    cut_us: Option<u64>,
}

#[derive(Debug)]
struct Listener {
    local: Local,
    waiting: VecDeque<ConnectionId>,
    detection: Detection,
}

/// All sockets.
#[derive(Debug, Default)]
pub struct Network {
    listeners: BTreeMap<ListenerId, Listener>,
    connections: BTreeMap<ConnectionId, Connection>,
    next: usize,
    next_port: u16,
    /// Paths of Unix sockets that exist, with the inode, whether anyone listens there or not.
    pub paths: BTreeMap<PathBuf, u64>,
}

/// What a client's read gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Bytes.
    Bytes(Vec<u8>),
    /// Nothing now.
    Nothing,
    /// The end of what the server sends: a clean one.
    End,
    /// The connection was reset.
    Reset,
}

impl End {
    /// Whether more could arrive here.
    fn has_room(&self) -> bool {
        self.is_closed || self.inbox.len() < self.inbox_max
    }
}

impl Connection {
    fn end(&self, side: Side) -> &End {
        match side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        }
    }

    fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        }
    }

    /// Bytes that one end could send now.
    fn room(&self, from: Side) -> usize {
        let to = self.end(from.other());
        if self.is_unix {
            to.inbox_max.saturating_sub(to.inbox.len())
        } else {
            to.flight_max.saturating_sub(to.flight.len())
        }
    }

    fn is_writable(&self, from: Side) -> bool {
        let (own, to) = (self.end(from), self.end(from.other()));
        // unix_writable() and sk_stream_is_writeable(): not for a byte, but for a good part.
        if self.is_unix {
            to.is_closed || to.inbox.len() * 4 <= to.inbox_max
        } else {
            own.is_gone || own.is_shut || self.room(from) * 3 >= to.flight_max
        }
    }

    /// One end sends the end of its output over TCP.
    fn send_end(&mut self, from: Side, now_us: u64) {
        let to = self.end_mut(from.other());
        if !to.is_awaited() {
            to.flight_since_us = now_us;
        }
        to.end_in_flight = true;
    }

    /// One end is over by an error. Nothing is on its way any more.
    fn fail(&mut self, side: Side, errno: Errno) {
        let lost_bytes = self.end(side.other()).awaited();
        let end = self.end_mut(side);
        (end.is_gone, end.error, end.lost_bytes) = (true, Some(errno), lost_bytes);
        for end in [&mut self.server, &mut self.client] {
            end.flight.clear();
            end.end_in_flight = false;
        }
    }

    /// A reset reaches one end: `tcp_reset()`. An end that has read or is to read the end of input
    /// (`CLOSE_WAIT`) fails with EPIPE, any other with ECONNRESET, one that is through (CLOSE) not.
    fn reset(&mut self, side: Side) {
        if self.cut_us.is_some() {
            return;
        }
        let end = self.end(side);
        let is_through = end.is_shut && end.is_ended && !self.end(side.other()).is_awaited();
        if !end.is_gone && !is_through {
            let errno = if end.is_ended { libc::EPIPE } else { libc::ECONNRESET };
            self.fail(side, errno);
        }
    }
}

impl Network {
    fn connection(&self, id: ConnectionId) -> &Connection {
        &self.connections[&id]
    }

    fn connection_mut(&mut self, id: ConnectionId) -> &mut Connection {
        self.connections.get_mut(&id).expect("a connection is there while one end is")
    }

    /// Whether someone waits to be accepted.
    pub fn has_waiting(&self, listener: ListenerId) -> bool {
        self.listeners.get(&listener).is_some_and(|listener| !listener.waiting.is_empty())
    }

    /// What an end is ready for.
    pub fn readiness(&self, id: ConnectionId, side: Side) -> Ready {
        let connection = self.connection(id);
        let end = connection.end(side);
        Ready {
            readable: !end.inbox.is_empty() || end.is_ended || end.is_gone,
            writable: connection.is_writable(side),
            hung_up: end.is_gone || (end.is_shut && end.is_ended),
            failed: end.error.is_some(),
        }
    }

    /// Whether an end could send a byte now.
    pub fn has_room(&self, id: ConnectionId, from: Side) -> bool {
        let connection = self.connection(id);
        let own = connection.end(from);
        !own.is_gone && !own.is_shut && connection.room(from) > 0
    }

    /// Where a listener is bound.
    pub fn listener_local(&self, id: ListenerId) -> Option<&Local> {
        self.listeners.get(&id).map(|listener| &listener.local)
    }

    /// Where a connection's server end is bound.
    pub fn local(&self, id: ConnectionId) -> &Local {
        &self.connection(id).local
    }

    /// The user at the other end, over a Unix socket.
    pub fn uid(&self, id: ConnectionId) -> Option<u32> {
        let connection = self.connection(id);
        connection.is_unix.then_some(connection.uid)
    }

    /// All listeners, in the order in which they were opened.
    pub fn all_listeners(&self) -> Vec<(ListenerId, Local)> {
        self.listeners.iter().map(|(id, listener)| (*id, listener.local.clone())).collect()
    }

    /// Whether the server's end of a connection is closed, or was never accepted.
    pub fn is_server_closed(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_none_or(|connection| connection.server.is_closed)
    }

    /// Bytes that an end sent and the other end's kernel (TCP) or reader (Unix) has not taken.
    pub fn unsent(&self, id: ConnectionId, from: Side) -> usize {
        let connection = self.connection(id);
        let (own, to) = (connection.end(from), connection.end(from.other()));
        match connection.is_unix {
            true if to.is_closed => 0,
            true => to.inbox.len(),
            false if own.is_gone => own.lost_bytes,
            false => to.awaited(),
        }
    }

    /// How many connections there are of which the server has its end.
    pub fn open(&self) -> usize {
        self.connections.values().filter(|connection| !connection.server.is_closed).count()
    }
}

/// The address of a client.
pub fn client_address(number: usize, is_v6: bool) -> Peer {
    let port = u16::try_from(20_000 + number % 40_000).expect("it is below 65536");
    let ip = if is_v6 { "[::1]" } else { "127.0.0.1" };
    let address: SocketAddr = format!("{ip}:{port}").parse().expect("it is an address");
    Peer::Inet(address)
}
