//! Stream sockets: TCP and Unix, as they differ.
//!
//! - A connection has two ends. What one end sends over TCP is on its way for as long as the driver
//!   wants; over a Unix socket it arrives at once.
//! - TCP: a close without unread input is a FIN, which the other end cannot tell from a half-close;
//!   what it sends then is answered by a reset. A close with unread input, or with `SO_LINGER` 0,
//!   is a reset. What arrived before a reset can be read still.
//! - Unix: a close is HUP at the other end at once, with whatever it had not read; a close with
//!   unread input is ECONNRESET there, once. `SO_LINGER` means nothing.

mod delivery;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;

use super::epoll::Ready;
use super::{Errno, Kernel};
use crate::sys::socket::{Local, Peer};

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
    /// The path is cut: nothing arrives any more, and nobody is told.
    is_path_cut: bool,
}

#[derive(Debug)]
struct Listener {
    local: Local,
    waiting: VecDeque<ConnectionId>,
    user_timeout_us: Option<u64>,
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
        if own.is_gone || own.is_shut {
            return true;
        }
        // unix_writable() and sk_stream_is_writeable(): not for a byte, but for a good part.
        if self.is_unix {
            to.inbox.len() * 4 <= to.inbox_max
        } else {
            self.room(from) * 3 >= to.flight_max
        }
    }

    /// A reset reaches one end: `tcp_reset()`. An end that has read or is to read the end of input
    /// (`CLOSE_WAIT`) fails with EPIPE, any other with ECONNRESET, one that is through (CLOSE) not.
    fn reset(&mut self, side: Side) {
        let end = self.end_mut(side);
        let is_through = end.is_shut && end.is_ended;
        if !end.is_gone && !is_through {
            end.is_gone = true;
            end.error = Some(if end.is_ended { libc::EPIPE } else { libc::ECONNRESET });
            end.flight.clear();
            end.end_in_flight = false;
        }
        self.end_mut(side.other()).flight.clear();
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

    /// `TCP_USER_TIMEOUT`, which accepted sockets inherit.
    pub fn set_user_timeout(&mut self, id: ListenerId, untaken_ms: Option<u64>) {
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.user_timeout_us = untaken_ms.map(|ms| ms.saturating_mul(1000));
        }
    }

    /// Bytes that an end sent and the other end's kernel (TCP) or reader (Unix) has not taken.
    pub fn unsent(&self, id: ConnectionId, from: Side) -> usize {
        let connection = self.connection(id);
        let to = connection.end(from.other());
        if connection.is_unix { to.inbox.len() } else { to.flight.len() }
    }

    /// How many connections there are of which the server has its end.
    pub fn open(&self) -> usize {
        self.connections.values().filter(|connection| !connection.server.is_closed).count()
    }
}

impl Kernel {
    /// A socket listens.
    pub fn listen(&mut self, mut local: Local) -> Result<ListenerId, Errno> {
        if let Local::Inet(address) = &mut local
            && address.port() == 0
        {
            self.network.next_port += 1;
            address.set_port(5000 + self.network.next_port);
        }
        if self.network.listeners.values().any(|other| other.local == local) {
            return Err(libc::EADDRINUSE);
        }
        if let Local::Unix(path) = &local {
            if self.network.paths.contains_key(path) {
                return Err(libc::EADDRINUSE);
            }
            let inode = self.network.next as u64 + 1;
            self.network.paths.insert(path.clone(), inode);
        }
        let id = self.network.next;
        self.network.next += 1;
        self.network
            .listeners
            .insert(id, Listener { local, waiting: VecDeque::new(), user_timeout_us: None });
        self.note_effect();
        Ok(id)
    }

    /// The last descriptor of a listener is closed: those who wait are reset.
    pub fn close_listener(&mut self, id: ListenerId) {
        let Some(listener) = self.network.listeners.remove(&id) else { return };
        for connection in listener.waiting {
            self.network.connection_mut(connection).server.resets_on_close = true;
            self.close_end(connection, Side::Server);
        }
    }

    /// A client connects. `None`: the listener is gone.
    pub fn connect(&mut self, to: ListenerId, peer: Peer, uid: u32) -> Option<ConnectionId> {
        let local = self.network.listeners.get(&to)?.local.clone();
        let is_unix = matches!(local, Local::Unix(_));
        let all = [1, 7, 200, 4096, 16 * 1024, 64 * 1024, 200 * 1024];
        // Tiny ones take very many steps, and so come seldom.
        let first = if self.random.one_in(8) { 0 } else { 2 };
        let sizes = if self.is_calm { &all[6..] } else { &all[first..] };
        let end = |random: &mut super::random::Random| End {
            inbox_max: (*random.pick(sizes)).max(if is_unix { 256 } else { 1 }),
            flight_max: *random.pick(sizes),
            ..End::default()
        };
        let (server, client) = (end(&mut self.random), end(&mut self.random));
        let id = self.network.next;
        self.network.next += 1;
        let connection =
            Connection { is_unix, server, client, peer, uid, local, is_path_cut: false };
        self.network.connections.insert(id, connection);
        self.network.listeners.get_mut(&to)?.waiting.push_back(id);
        self.note_effect();
        Some(id)
    }

    /// Takes a connection off a listener's queue.
    pub fn accept(&mut self, listener: ListenerId) -> Result<(ConnectionId, Peer), Errno> {
        let listener = self.network.listeners.get_mut(&listener).ok_or(libc::EINVAL)?;
        let id = listener.waiting.pop_front().ok_or(libc::EAGAIN)?;
        self.note_effect();
        Ok((id, self.network.connection(id).peer))
    }

    /// Puts a connection back that could not be accepted.
    pub fn unaccept(&mut self, listener: ListenerId, id: ConnectionId) {
        if let Some(listener) = self.network.listeners.get_mut(&listener) {
            listener.waiting.push_front(id);
        }
    }

    /// Bytes that would be taken now; 0: none (EAGAIN). ECONNRESET, EPIPE: the other end is gone.
    pub fn socket_room(&mut self, id: ConnectionId, side: Side) -> Result<usize, Errno> {
        let connection = self.network.connection_mut(id);
        let is_unix = connection.is_unix;
        let end = connection.end_mut(side);
        if end.is_gone || end.is_shut {
            // A Unix socket keeps its error for whoever reads.
            let error = if is_unix { None } else { end.error.take() };
            return Err(error.unwrap_or(libc::EPIPE));
        }
        Ok(connection.room(side))
    }

    /// Sends bytes that there is room for.
    pub fn socket_push(&mut self, id: ConnectionId, side: Side, bytes: &[u8]) {
        let connection = self.network.connection_mut(id);
        let is_unix = connection.is_unix;
        let to = connection.end_mut(side.other());
        if is_unix {
            to.inbox.extend(bytes);
        } else {
            to.flight.extend(bytes);
        }
        if !bytes.is_empty() {
            self.note_effect();
        }
    }

    /// Sends what there is room for, or less. EAGAIN, ECONNRESET, EPIPE.
    pub fn socket_send(
        &mut self,
        id: ConnectionId,
        side: Side,
        bytes: &[u8],
    ) -> Result<usize, Errno> {
        let room = self.socket_room(id, side)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        if room == 0 {
            return Err(libc::EAGAIN);
        }
        let most = room.min(bytes.len());
        let is_short = !self.is_calm && self.random.one_in(4);
        let count = if is_short { self.random.between(1, most) } else { most };
        self.socket_push(id, side, &bytes[..count]);
        Ok(count)
    }

    /// Reads what there is; nothing at the end. EAGAIN, ECONNRESET.
    pub fn socket_receive(
        &mut self,
        id: ConnectionId,
        side: Side,
        bytes_max: usize,
    ) -> Result<Vec<u8>, Errno> {
        let connection = self.network.connection_mut(id);
        let is_unix = connection.is_unix;
        let end = connection.end_mut(side);
        if !end.inbox.is_empty() {
            let count = end.inbox.len().min(bytes_max);
            end.read_bytes += count as u64;
            let bytes = end.inbox.drain(..count).collect();
            self.note_effect();
            return Ok(bytes);
        }
        // The end of input over TCP stays one, whatever came behind it (SOCK_DONE).
        if (is_unix || !end.is_ended)
            && let Some(error) = end.error.take()
        {
            self.note_effect();
            return Err(error);
        }
        if end.is_ended || end.is_gone { Ok(Vec::new()) } else { Err(libc::EAGAIN) }
    }

    /// As `socket_receive`, and what is read stays.
    pub fn socket_peek(
        &mut self,
        id: ConnectionId,
        side: Side,
        buffer: &mut [u8],
    ) -> Result<usize, Errno> {
        let end = self.network.connection_mut(id).end_mut(side);
        if end.inbox.is_empty() {
            return self.socket_receive(id, side, buffer.len()).map(|bytes| bytes.len());
        }
        let count = end.inbox.len().min(buffer.len());
        buffer.iter_mut().zip(&end.inbox).for_each(|(to, from)| *to = *from);
        Ok(count)
    }

    /// Bytes that could be read (FIONREAD).
    pub fn socket_len(&self, id: ConnectionId, side: Side) -> usize {
        self.network.connection(id).end(side).inbox.len()
    }

    /// Shuts the sending side. ENOTCONN over TCP: the connection was reset, or both ends are
    /// through with it and know it (CLOSE).
    pub fn socket_shutdown(&mut self, id: ConnectionId, side: Side) -> Result<(), Errno> {
        let connection = self.network.connection_mut(id);
        let is_unix = connection.is_unix;
        let is_end_taken = connection.end(side.other()).is_ended;
        let end = connection.end_mut(side);
        if !is_unix && (end.is_gone || (end.is_ended && is_end_taken)) {
            end.is_shut = true;
            return Err(libc::ENOTCONN);
        }
        if !std::mem::replace(&mut end.is_shut, true) {
            let to = connection.end_mut(side.other());
            if is_unix {
                to.is_ended = true;
            } else {
                to.end_in_flight = true;
            }
            self.note_effect();
        }
        Ok(())
    }

    /// `SO_LINGER` 0.
    pub fn socket_reset_on_close(&mut self, id: ConnectionId, side: Side) {
        self.network.connection_mut(id).end_mut(side).resets_on_close = true;
    }

    /// The pending error, which is told once (`SO_ERROR`).
    pub fn socket_take_error(&mut self, id: ConnectionId, side: Side) -> Option<Errno> {
        self.network.connection_mut(id).end_mut(side).error.take()
    }

    /// The last descriptor of an end is closed.
    pub fn close_end(&mut self, id: ConnectionId, side: Side) {
        let Some(connection) = self.network.connections.get_mut(&id) else { return };
        let end = connection.end_mut(side);
        // The process may have ended before its threads let go.
        if end.is_closed {
            return;
        }
        let (was_gone, was_shut) = (end.is_gone, end.is_shut);
        end.is_closed = true;
        let has_unread = !end.inbox.is_empty();
        let resets = has_unread || end.resets_on_close;
        if connection.is_unix {
            let other = connection.end_mut(side.other());
            other.is_gone = true;
            if has_unread {
                other.error = Some(libc::ECONNRESET);
            }
        } else if resets && !was_gone {
            connection.reset(side.other());
        } else if !was_gone && !was_shut {
            connection.end_mut(side.other()).end_in_flight = true;
        }
        let connection = self.network.connection(id);
        if connection.server.is_closed && connection.client.is_closed {
            self.network.connections.remove(&id);
        }
        self.note_effect();
    }
}

/// The address of a client.
pub fn client_address(number: usize, is_v6: bool) -> Peer {
    let port = u16::try_from(20_000 + number % 40_000).expect("it is below 65536");
    let ip = if is_v6 { "[::1]" } else { "127.0.0.1" };
    let address: SocketAddr = format!("{ip}:{port}").parse().expect("it is an address");
    Peer::Inet(address)
}
