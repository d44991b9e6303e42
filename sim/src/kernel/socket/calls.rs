//! What is done with one end of a connection.

use super::{ConnectionId, Side};
use crate::kernel::{Errno, Kernel};

impl Kernel {
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
        let now_us = self.now_us;
        let connection = self.network.connection_mut(id);
        let is_unix = connection.is_unix;
        let to = connection.end_mut(side.other());
        if is_unix {
            to.inbox.extend(bytes);
        } else {
            if !to.is_awaited() {
                to.flight_since_us = now_us;
            }
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
        let now_us = self.now_us;
        let connection = self.network.connection_mut(id);
        let is_unix = connection.is_unix;
        let is_end_taken = connection.end(side.other()).is_ended;
        let end = connection.end_mut(side);
        if !is_unix && (end.is_gone || (end.is_ended && is_end_taken)) {
            end.is_shut = true;
            return Err(libc::ENOTCONN);
        }
        if !std::mem::replace(&mut end.is_shut, true) {
            if is_unix {
                connection.end_mut(side.other()).is_ended = true;
            } else {
                connection.send_end(side, now_us);
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
        let now_us = self.now_us;
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
            connection.send_end(side, now_us);
        }
        let connection = self.network.connection(id);
        if connection.server.is_closed && connection.client.is_closed {
            self.network.connections.remove(&id);
        }
        self.note_effect();
    }

    /// The server's process ends: what it had open is closed.
    pub fn close_all_sockets(&mut self) {
        let listeners: Vec<_> = self.network.listeners.keys().copied().collect();
        for id in listeners {
            self.close_listener(id);
        }
        let connections: Vec<_> = self.network.connections.keys().copied().collect();
        for id in connections {
            self.close_end(id, Side::Server);
        }
    }
}
