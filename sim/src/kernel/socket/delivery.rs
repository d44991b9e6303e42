//! What is on its way, and what a client reads.

use super::{ConnectionId, Received, Side};
use crate::kernel::Kernel;

/// Bytes that fit each direction of a wide connection.
const WIDE: usize = 256 * 1024;

impl Kernel {
    /// Ends of connections to which something is on its way, or that give their peer up.
    pub fn deliverable(&self) -> Vec<(ConnectionId, Side)> {
        let mut all = Vec::new();
        for (id, connection) in &self.network.connections {
            for side in [Side::Server, Side::Client] {
                let end = connection.end(side);
                let can_arrive = connection.cut_us.is_none() && end.is_awaited();
                let is_due = can_arrive && (end.flight.is_empty() || end.has_room());
                if is_due || self.network.gives_up(*id, side, self.now_us) {
                    all.push((*id, side));
                }
            }
        }
        all
    }

    /// Some of what is on its way arrives, or the end gives its peer up.
    pub fn deliver(&mut self, id: ConnectionId, side: Side) {
        if !self.network.connections.contains_key(&id) {
            return;
        }
        if self.network.gives_up(id, side, self.now_us) {
            return self.give_up(id, side);
        }
        let now_us = self.now_us;
        let connection = self.network.connection_mut(id);
        let end = connection.end_mut(side);
        end.flight_since_us = now_us;
        if end.is_closed && !end.flight.is_empty() {
            // Nobody is there to take it.
            connection.reset(side.other());
        } else if end.flight.is_empty() {
            end.end_in_flight = false;
            end.is_ended = true;
        } else {
            let most = end.flight.len().min(end.inbox_max - end.inbox.len());
            let count = if self.random.one_in(3) { self.random.between(1, most) } else { most };
            let bytes: Vec<u8> = end.flight.drain(..count).collect();
            end.inbox.extend(bytes);
        }
        self.note_effect();
    }

    /// All that is on its way arrives.
    pub fn deliver_all(&mut self) {
        loop {
            let due = self.deliverable();
            if due.is_empty() {
                return;
            }
            for (connection, side) in due {
                self.deliver(connection, side);
            }
        }
    }

    /// From now on the connection has plenty of room in both directions.
    pub fn widen(&mut self, id: ConnectionId) {
        if let Some(connection) = self.network.connections.get_mut(&id) {
            for end in [&mut connection.server, &mut connection.client] {
                end.inbox_max = end.inbox_max.max(WIDE);
                end.flight_max = end.flight_max.max(WIDE);
            }
            self.note_effect();
        }
    }

    /// What a client's read gives.
    pub fn client_receive(&mut self, id: ConnectionId, bytes_max: usize) -> Received {
        match self.socket_receive(id, Side::Client, bytes_max) {
            Ok(bytes) if bytes.is_empty() => Received::End,
            Ok(bytes) => Received::Bytes(bytes),
            Err(libc::EAGAIN) => Received::Nothing,
            Err(_) => Received::Reset,
        }
    }
}
