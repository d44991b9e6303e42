//! What a connection costs while nothing happens on it: the server's resident bytes before and
//! after many were opened. Each has said one line (or its name), as real ones have.
//!
//! What it does not do: count what the kernel keeps for a socket; that is the same for every
//! server. A server that has run before hides what it costs, so it should be a fresh one.

use std::time::Instant;

use crate::echo::silent;
use crate::meter::{Figures, Meter, Plan};
use crate::net::Peer;
use crate::speech::Speech;
use crate::workload::Target;
use crate::{Outcome, process};

/// Connections opened and closed first, so that code and tables are in memory.
const WARM: usize = 16;

/// An idle workload.
#[derive(Clone)]
pub struct Idle {
    /// How many to open.
    pub connections: usize,
    /// Whether each is a user with a name.
    pub named: bool,
}

impl Idle {
    /// Opens them, and reads the server's memory.
    ///
    /// # Errors
    /// The system's, or no process id of the server.
    pub fn run(&self, target: &Target, plan: &Plan) -> Outcome<Figures> {
        let pid = target.pid.ok_or("the server's --pid is needed")?;
        drop(self.open(target, WARM, "w")?);
        let before = process::resident_bytes(pid)?;
        let mut meter = Meter::start(plan, None, "connection")?;
        let kept = self.open(target, self.connections, "i")?;
        let after = process::resident_bytes(pid)?;
        meter.add(kept.len() as f64);
        let mut figures = meter.finish(Instant::now())?;
        let grown = after.saturating_sub(before) as f64;
        figures.bytes_per_connection = Some(grown / self.connections as f64);
        Ok(figures)
    }

    fn open(&self, target: &Target, connections: usize, prefix: &str) -> Outcome<Vec<Peer>> {
        if !self.named {
            return silent(target, connections);
        }
        (0..connections)
            .map(|number| {
                let peer = Peer::connect_from(target.address, number as u64)?;
                Speech::Landline.greet(&peer, &format!("{prefix}{number}"))?;
                Ok(peer)
            })
            .collect()
    }
}
