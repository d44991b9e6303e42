//! Echo: each connection keeps so many lines in flight, or lines are sent at a fixed rate whatever
//! comes back, and counted from when they were due (so that waiting is not hidden).
//!
//! What it does not do: read what it does not check; every byte of every reply is compared.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::meter::{Figures, Meter, Plan};
use crate::net::{Got, Peer, Poller};
use crate::pattern::Pattern;
use crate::speech::Speech;
use crate::workload::{Target, run_number};

/// Room for one read.
const READ_BYTES: usize = 256 * 1024;

/// An echo workload.
#[derive(Clone)]
pub struct Echo {
    /// Connections that speak.
    pub connections: usize,
    /// Lines in flight on each, in a closed loop.
    pub depth: usize,
    /// Bytes of a line, its newline included.
    pub size: usize,
    /// Replies in frames.
    pub framed: bool,
    /// Connections that are open beside, and silent.
    pub beside: usize,
    /// Lines a second over all connections (open loop).
    pub rate: Option<f64>,
    /// In an open loop, sleep between lines, and count from when they left: for a processor that
    /// others need too.
    pub patient: bool,
}

/// One connection, and what is under way on it.
struct Talker {
    peer: Peer,
    /// The number of its first message in the pattern.
    first: u64,
    said: u64,
    got_bytes: u64,
    done: u64,
    /// When each line in flight was sent, or due.
    since: VecDeque<Instant>,
}

impl Talker {
    fn say(&mut self, pattern: &Pattern, lines: usize, since: Instant) -> Outcome<()> {
        self.peer.send(pattern.said(self.first + self.said, lines))?;
        self.said += lines as u64;
        self.since.extend(std::iter::repeat_n(since, lines));
        Ok(())
    }

    /// Checks what came; how many lines are done by it.
    fn take(&mut self, pattern: &Pattern, got: &[u8]) -> Outcome<usize> {
        if !pattern.is_reply(self.first, self.got_bytes, got) {
            return Err(format!("echo returned other bytes near byte {}", self.got_bytes).into());
        }
        self.got_bytes += got.len() as u64;
        let done = self.got_bytes / pattern.reply_bytes() as u64;
        let fresh = done - self.done;
        self.done = done;
        if done > self.said {
            return Err("echo returned more than was said".into());
        }
        Ok(usize::try_from(fresh)?)
    }
}

impl Echo {
    /// Runs it.
    ///
    /// # Errors
    /// The system's, a wrong reply, or no progress.
    pub fn run(&self, target: &Target, plan: &Plan) -> Outcome<Figures> {
        let pattern = Pattern::echo(target.speech, self.size, self.depth.max(1), self.framed);
        let beside = silent(target, self.beside)?;
        let mut talkers = self.connect(target)?;
        let meter = Meter::start(plan, target.pid, "line")?;
        let figures = match self.rate {
            None => self.closed_loop(&mut talkers, &pattern, meter),
            Some(rate) => open_loop(&mut talkers, &pattern, meter, rate, self.patient),
        };
        drop(beside);
        figures
    }

    fn connect(&self, target: &Target) -> Outcome<Vec<Talker>> {
        let mut talkers = Vec::with_capacity(self.connections);
        for number in 0..self.connections {
            let peer = Peer::connect(target.address)?;
            if self.framed {
                peer.ask("landline/1\n", "done 0 landline=1")?;
            }
            let first = number as u64 * 7;
            let since = VecDeque::with_capacity(self.depth);
            talkers.push(Talker { peer, first, said: 0, got_bytes: 0, done: 0, since });
        }
        Ok(talkers)
    }

    fn closed_loop(
        &self,
        talkers: &mut [Talker],
        pattern: &Pattern,
        mut meter: Meter,
    ) -> Outcome<Figures> {
        let mut buffer = vec![0; READ_BYTES];
        let mut poller = watching(talkers)?;
        // With one connection there is nothing to choose from: it is read blocking, and the
        // generator adds as little as it can to the round trip.
        let alone = talkers.len() == 1;
        let start = Instant::now();
        for talker in talkers.iter_mut() {
            talker.say(pattern, self.depth, start)?;
        }
        let mut ready = vec![0];
        loop {
            if !alone {
                ready.clear();
                ready.extend(poller.wait(None)?);
            }
            for &index in &ready {
                let talker = &mut talkers[index];
                let got = match talker.peer.receive(&mut buffer, alone)? {
                    Got::Bytes(bytes) => &buffer[..bytes],
                    Got::Nothing => continue,
                    Got::End => return Err("the server closed a connection".into()),
                };
                let fresh = talker.take(pattern, got)?;
                let now = Instant::now();
                settle(talker, fresh, now, &mut meter);
                if fresh > 0 {
                    talker.say(pattern, fresh, now)?;
                }
            }
            let now = Instant::now();
            if !meter.goes_on(now)? {
                return meter.finish(now);
            }
        }
    }
}

/// Says lines when they are due, whatever came back, and spins in between (it has a processor),
/// unless it is told to be patient.
fn open_loop(
    talkers: &mut [Talker],
    pattern: &Pattern,
    mut meter: Meter,
    rate: f64,
    patient: bool,
) -> Outcome<Figures> {
    let mut buffer = vec![0; READ_BYTES];
    let mut poller = watching(talkers)?;
    let pause = if patient { Duration::from_millis(1) } else { Duration::ZERO };
    let start = Instant::now();
    let mut said: u32 = 0;
    let mut ready = Vec::new();
    loop {
        let mut now = Instant::now();
        loop {
            let due = start + Duration::from_secs_f64(f64::from(said) / rate);
            if due > now {
                break;
            }
            let index = said as usize % talkers.len();
            talkers[index].say(pattern, 1, if patient { now } else { due })?;
            said += 1;
            now = Instant::now();
        }
        ready.clear();
        ready.extend(poller.wait(Some(pause))?);
        for &index in &ready {
            let talker = &mut talkers[index];
            match talker.peer.receive(&mut buffer, false)? {
                Got::Bytes(bytes) => {
                    let fresh = talker.take(pattern, &buffer[..bytes])?;
                    settle(talker, fresh, Instant::now(), &mut meter);
                }
                Got::Nothing => {}
                Got::End => return Err("the server closed a connection".into()),
            }
        }
        let now = Instant::now();
        if !meter.goes_on(now)? {
            return meter.finish(now);
        }
    }
}

fn settle(talker: &mut Talker, fresh: usize, now: Instant, meter: &mut Meter) {
    for since in talker.since.drain(..fresh) {
        meter.took(now - since);
    }
    meter.add(fresh as f64);
}

fn watching(talkers: &[Talker]) -> Outcome<Poller> {
    let poller = Poller::new()?;
    for (key, talker) in talkers.iter().enumerate() {
        poller.add(&talker.peer, key)?;
    }
    Ok(poller)
}

/// Connections that have said one line and then nothing more.
pub fn silent(target: &Target, connections: usize) -> Outcome<Vec<Peer>> {
    (0..connections)
        .map(|number| {
            // From several addresses, so that those closed last do not use up the ports.
            let peer = Peer::connect_from(target.address, number as u64)?;
            match target.speech {
                Speech::Landline | Speech::Bare => peer.ask("here\n", "here\n")?,
                // Names are told apart where a server would end the older of two that are alike.
                speech => speech.greet(&peer, &format!("i{}x{number}", run_number()))?,
            }
            Ok(peer)
        })
        .collect()
}
