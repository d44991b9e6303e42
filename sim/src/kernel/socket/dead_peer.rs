//! Paths that are cut, and how a TCP end finds that its peer is gone (tcp(7)).
//!
//! - Bytes that are not taken: after `TCP_USER_TIMEOUT`, be it that the path is cut or that the
//!   peer never reads. Without it, only on a cut path, after the kernel's 15 tries.
//! - Nothing to send: keep-alive, which runs only then.
//!
//! Either way the end fails with ETIMEDOUT. Nothing reaches the other end of a cut path. On a whole
//! one its next packet is answered by a reset; here the reset arrives at once.

use super::{Connection, ConnectionId, End, ListenerId, Network, Side};
use crate::kernel::Kernel;

/// How long bytes are sent again without `TCP_USER_TIMEOUT` (`tcp_retries2` of 15).
const RETRIES_US: u64 = 924_600_000;

/// How an end finds that its peer is gone. Accepted sockets inherit it from their listener.
#[derive(Clone, Copy, Debug, Default)]
pub struct Detection {
    /// `TCP_USER_TIMEOUT`.
    pub user_timeout_us: Option<u64>,
    /// `TCP_KEEPIDLE`, `TCP_KEEPINTVL` and `TCP_KEEPCNT`.
    pub keep_alive: Option<KeepAlive>,
}

/// When an end asks a silent peer whether it is there.
#[derive(Clone, Copy, Debug)]
pub struct KeepAlive {
    /// How long the peer is silent before the first probe.
    pub idle_us: u64,
    /// From one probe to the next.
    pub interval_us: u64,
    /// Probes without an answer after which the peer is gone.
    pub probes: u64,
}

impl Detection {
    /// How long a peer is silent until it is known to be gone (`tcp_keepalive_timer()`): with a
    /// user time-out, that one decides after a probe, and not the number of probes.
    fn silence_us(&self) -> Option<u64> {
        let KeepAlive { idle_us, interval_us, probes } = self.keep_alive?;
        let count = match self.user_timeout_us {
            Some(limit_us) => limit_us.saturating_sub(idle_us).div_ceil(interval_us.max(1)).max(1),
            None => probes,
        };
        Some(idle_us.saturating_add(interval_us.saturating_mul(count)))
    }
}

impl End {
    /// Whether anything was sent to this end that has not arrived.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited() > 0
    }

    /// How many bytes; the end of input counts as one.
    pub(super) fn awaited(&self) -> usize {
        self.flight.len() + usize::from(self.end_in_flight)
    }
}

impl Connection {
    /// When an end gives its peer up.
    fn gives_up_us(&self, side: Side) -> Option<u64> {
        let (own, to) = (self.end(side), self.end(side.other()));
        let is_through = own.is_shut && own.is_ended && !to.is_awaited();
        if self.is_unix || own.is_closed || own.is_gone || is_through {
            return None;
        }
        if to.is_awaited() {
            let can_arrive = self.cut_us.is_none() && to.has_room();
            let limit_us = match self.cut_us {
                _ if can_arrive => None,
                Some(_) => Some(own.detection.user_timeout_us.unwrap_or(RETRIES_US)),
                None => own.detection.user_timeout_us,
            };
            return limit_us.map(|limit_us| to.flight_since_us.saturating_add(limit_us));
        }
        let silent_since_us = self.cut_us?;
        own.detection.silence_us().map(|silence_us| silent_since_us.saturating_add(silence_us))
    }
}

impl Network {
    /// When the next end gives its peer up.
    pub fn next_due_us(&self) -> Option<u64> {
        let of = |connection: &Connection| {
            let sides = [Side::Server, Side::Client];
            sides.iter().filter_map(|side| connection.gives_up_us(*side)).min()
        };
        self.connections.values().filter_map(of).min()
    }

    /// Whether an end gives its peer up now.
    pub(super) fn gives_up(&self, id: ConnectionId, side: Side, now_us: u64) -> bool {
        self.connection(id).gives_up_us(side).is_some_and(|due_us| due_us <= now_us)
    }

    /// Sets how a listener's connections find that their peer is gone.
    pub fn set_detection(&mut self, id: ListenerId, detection: Detection) {
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.detection = detection;
        }
    }

    /// Sets how one end of a connection does.
    pub fn set_end_detection(&mut self, id: ConnectionId, side: Side, detection: Detection) {
        self.connection_mut(id).end_mut(side).detection = detection;
    }

    /// Whether the path of a connection is cut.
    pub fn is_path_cut(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|connection| connection.cut_us.is_some())
    }
}

impl Kernel {
    /// From now on nothing arrives at either end, and nobody is told: no byte, no end of input, no
    /// reset. Each end finds out by its own time-outs, if it has any. Unix sockets have no path.
    pub fn cut_path(&mut self, id: ConnectionId) {
        let now_us = self.now_us;
        if let Some(connection) = self.network.connections.get_mut(&id)
            && !connection.is_unix
        {
            connection.cut_us.get_or_insert(now_us);
            self.trace.note(now_us, format_args!("the path of {id} is cut"));
            self.note_effect();
        }
    }

    /// An end gives its peer up: `tcp_write_err()`.
    pub(super) fn give_up(&mut self, id: ConnectionId, side: Side) {
        let connection = self.network.connection_mut(id);
        connection.fail(side, libc::ETIMEDOUT);
        if connection.cut_us.is_none() {
            connection.reset(side.other());
        }
        self.trace.note(self.now_us, format_args!("{side:?} of {id} gives its peer up"));
        self.note_effect();
    }
}
