//! Listening, connecting and accepting.

use std::collections::VecDeque;

use super::{Connection, ConnectionId, Detection, End, Listener, ListenerId, Side};
use crate::kernel::random::Random;
use crate::kernel::{Errno, Kernel};
use crate::sys::socket::{Local, Peer};

impl Kernel {
    /// A socket listens.
    pub fn listen(&mut self, mut local: Local) -> Result<ListenerId, Errno> {
        if let Local::Inet(address) = &mut local
            && address.port() == 0
        {
            self.network.next_port += 1;
            address.set_port(5000 + self.network.next_port);
        }
        let is_inet = matches!(local, Local::Inet(_));
        if is_inet && self.network.listeners.values().any(|other| other.local == local) {
            return Err(libc::EADDRINUSE);
        }
        // Who listens on a path that was removed is in nobody's way.
        if let Local::Unix(path) = &local {
            if self.network.paths.contains_key(path) {
                return Err(libc::EADDRINUSE);
            }
            let inode = self.network.next as u64 + 1;
            self.network.paths.insert(path.clone(), inode);
        }
        let id = self.network.next;
        self.network.next += 1;
        self.network.listeners.insert(
            id,
            Listener { local, waiting: VecDeque::new(), detection: Detection::default() },
        );
        self.note_effect();
        Ok(id)
    }

    /// The last descriptor of a listener is closed: those who wait are reset, over a Unix socket
    /// too.
    pub fn close_listener(&mut self, id: ListenerId) {
        let Some(listener) = self.network.listeners.remove(&id) else { return };
        for id in listener.waiting {
            let connection = self.network.connection_mut(id);
            connection.server.resets_on_close = true;
            if connection.is_unix && !connection.client.is_closed {
                connection.client.error = Some(libc::ECONNRESET);
            }
            self.close_end(id, Side::Server);
        }
    }

    /// A client connects. `None`: the listener is gone.
    pub fn connect(&mut self, to: ListenerId, peer: Peer, uid: u32) -> Option<ConnectionId> {
        let Listener { local, detection, .. } = self.network.listeners.get(&to)?;
        let (local, detection) = (local.clone(), *detection);
        let is_unix = matches!(local, Local::Unix(_));
        let all = [1, 7, 200, 4096, 16 * 1024, 64 * 1024, 200 * 1024];
        // Tiny ones take very many steps, and so come seldom.
        let first = if self.random.one_in(8) { 0 } else { 2 };
        let sizes = if self.is_calm { &all[6..] } else { &all[first..] };
        let end = |random: &mut Random| End {
            inbox_max: (*random.pick(sizes)).max(if is_unix { 256 } else { 1 }),
            flight_max: *random.pick(sizes),
            ..End::default()
        };
        let (mut server, client) = (end(&mut self.random), end(&mut self.random));
        server.detection = detection;
        let id = self.network.next;
        self.network.next += 1;
        let connection = Connection { is_unix, server, client, peer, uid, local, cut_us: None };
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
}
