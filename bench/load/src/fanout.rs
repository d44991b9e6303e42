//! Messages: one sender, and receivers that each have to get every message, whole and in order.
//! At most a window of messages is under way; one counts as arrived with its last receiver.
//!
//! What it does not do: check what a server puts before the text, but for its length, which is
//! learnt from the first message and then has to stay.

use std::collections::VecDeque;
use std::time::Instant;

use crate::Outcome;
use crate::meter::{Figures, Meter, Plan};
use crate::net::{Got, Peer, Poller};
use crate::pattern::text;
use crate::speech::Speech;
use crate::workload::{Target, run_number};

/// Different messages in a cycle.
const CYCLE: usize = 256;
/// Every so many turns the sender's own answers are thrown away, where it gets any.
const DRAIN_TURNS: u32 = 64;
/// Room for one read.
const READ_BYTES: usize = 256 * 1024;

/// A broadcast, or a message to one user.
#[derive(Clone)]
pub struct Fanout {
    /// Who gets it; 1 where it is direct.
    pub receivers: usize,
    /// Messages under way.
    pub window: usize,
    /// Bytes of the text.
    pub size: usize,
    /// To one user by name, not to all.
    pub direct: bool,
    /// Receivers get frames.
    pub framed: bool,
}

/// What is said, and what one arrival looks like.
struct Shape {
    lines: Vec<u8>,
    line_bytes: usize,
    /// What an arrival ends in, one for each of the cycle.
    endings: Vec<Vec<u8>>,
    /// Bytes of an arrival.
    unit_bytes: usize,
    /// What may come between two of them.
    aside: &'static [u8],
}

impl Shape {
    fn new(fanout: &Fanout, speech: Speech, topic: &str) -> Self {
        let mut lines: Vec<u8> = Vec::new();
        let mut endings = Vec::new();
        for number in 0..CYCLE {
            let text = text(number, fanout.size);
            let (line, ending) = speech.publish(topic, &text, fanout.direct);
            lines.extend_from_slice(&line);
            endings.push(if fanout.framed { text.into_bytes() } else { ending });
        }
        let line_bytes = lines.len() / CYCLE;
        let once = lines.clone();
        while lines.len() < (CYCLE + fanout.window) * line_bytes {
            lines.extend_from_slice(&once);
        }
        Self { lines, line_bytes, endings, unit_bytes: 0, aside: speech.aside() }
    }

    fn said(&self, from: u64, messages: usize) -> Outcome<&[u8]> {
        let start = usize::try_from(from % CYCLE as u64)? * self.line_bytes;
        Ok(&self.lines[start..start + messages * self.line_bytes])
    }

    fn ending(&self, number: u64) -> &[u8] {
        &self.endings[usize::try_from(number % CYCLE as u64).unwrap_or(0)]
    }

    fn check(&self, number: u64, arrival: &[u8]) -> Outcome<()> {
        if arrival.ends_with(self.ending(number)) {
            return Ok(());
        }
        let shown = String::from_utf8_lossy(arrival);
        Err(format!("message {number} arrived as {shown:?}").into())
    }
}

/// One receiver, how many messages it has, and the beginning of the next.
struct Receiver {
    peer: Peer,
    seen: u64,
    begun: Vec<u8>,
}

impl Receiver {
    /// Cuts what came into arrivals, checks them, and counts them with `on_arrival`.
    fn take(
        &mut self,
        shape: &Shape,
        mut got: &[u8],
        mut on_arrival: impl FnMut(u64),
    ) -> Outcome<()> {
        if !self.begun.is_empty() {
            let missing = (shape.unit_bytes - self.begun.len()).min(got.len());
            self.begun.extend_from_slice(&got[..missing]);
            got = &got[missing..];
            if self.begun.len() < shape.unit_bytes {
                return Ok(());
            }
            shape.check(self.seen, &self.begun)?;
            on_arrival(self.seen);
            self.seen += 1;
            self.begun.clear();
        }
        loop {
            if !shape.aside.is_empty() {
                got = got.strip_prefix(shape.aside).unwrap_or(got);
            }
            let Some((unit, rest)) = got.split_at_checked(shape.unit_bytes) else { break };
            shape.check(self.seen, unit)?;
            on_arrival(self.seen);
            self.seen += 1;
            got = rest;
        }
        self.begun.extend_from_slice(got);
        Ok(())
    }
}

/// The messages under way, oldest first: how many receivers still wait for it, and since when.
struct Window {
    oldest: u64,
    under_way: VecDeque<(usize, Instant)>,
}

impl Window {
    fn next(&self) -> u64 {
        self.oldest + self.under_way.len() as u64
    }

    fn arrived(&mut self, number: u64) {
        let place = number.checked_sub(self.oldest).and_then(|place| usize::try_from(place).ok());
        if let Some((missing, _)) = place.and_then(|place| self.under_way.get_mut(place)) {
            *missing -= 1;
        }
    }

    /// Drops what has reached everyone; the count of it.
    fn settle(&mut self, meter: &mut Meter, now: Instant) -> usize {
        let mut done = 0;
        while let Some((0, since)) = self.under_way.front() {
            meter.took(now - *since);
            self.under_way.pop_front();
            self.oldest += 1;
            done += 1;
        }
        done
    }
}

impl Fanout {
    /// Runs it. A unit is one message to one receiver.
    ///
    /// # Errors
    /// The system's, a wrong message, or no progress.
    pub fn run(&self, target: &Target, plan: &Plan) -> Outcome<Figures> {
        let run = run_number();
        let first = format!("r{run}x0");
        let speech = target.speech;
        let topic = speech.topic(run, self.direct.then_some(&first));
        let mut shape = Shape::new(self, speech, &topic);
        let mut receivers = Vec::new();
        for number in 0..self.receivers {
            receivers.push(self.receiver(target, &format!("r{run}x{number}"), &topic)?);
        }
        let sender = Peer::connect(target.address)?;
        speech.greet(&sender, &format!("s{run}"))?;
        if speech == Speech::Irc {
            speech.subscribe(&sender, &topic)?;
        }
        for receiver in &receivers {
            self.skip_notes(receiver)?;
            speech.fence(&receiver.peer)?;
        }
        self.learn(&sender, &mut shape, &mut receivers)?;
        let meter = Meter::start(plan, target.pid, "delivery")?;
        let answered = speech.answers_sender();
        self.measure((&sender, answered), &shape, &mut receivers, meter)
    }

    fn receiver(&self, target: &Target, name: &str, topic: &str) -> Outcome<Receiver> {
        let peer = Peer::connect(target.address)?;
        if self.framed {
            peer.ask("landline/1\n", "done 0 landline=1")?;
            peer.ask(&format!("name {name}\n"), "done ")?;
            peer.line()?;
        } else {
            target.speech.greet(&peer, name)?;
            target.speech.subscribe(&peer, topic)?;
        }
        Ok(Receiver { peer, seen: 0, begun: Vec::new() })
    }

    /// Framed receivers are told who joins: all that is read and dropped, up to an echo.
    fn skip_notes(&self, receiver: &Receiver) -> Outcome<()> {
        if self.framed {
            receiver.peer.send(b"fence\n")?;
            while receiver.peer.line()? != "done 5\n" {}
            let mut fence = [0; 5];
            let mut got = 0;
            while got < fence.len() {
                match receiver.peer.receive(&mut fence[got..], true)? {
                    Got::Bytes(bytes) => got += bytes,
                    _ => return Err("the server closed a connection".into()),
                }
            }
        }
        Ok(())
    }

    /// Sends the first message, and learns from each receiver how long an arrival is.
    fn learn(&self, sender: &Peer, shape: &mut Shape, receivers: &mut [Receiver]) -> Outcome<()> {
        sender.send(shape.said(0, 1)?)?;
        let mut buffer = vec![0; 4096 + self.size];
        for receiver in receivers {
            let mut got = 0;
            while !buffer[..got].ends_with(shape.ending(0)) {
                match receiver.peer.receive(&mut buffer[got..], true)? {
                    Got::Bytes(bytes) => got += bytes,
                    _ => return Err("the first message did not arrive".into()),
                }
            }
            if shape.unit_bytes > 0 && shape.unit_bytes != got {
                return Err("the first message differs between receivers".into());
            }
            shape.unit_bytes = got;
            receiver.seen = 1;
        }
        Ok(())
    }

    fn measure(
        &self,
        (sender, answered): (&Peer, bool),
        shape: &Shape,
        receivers: &mut [Receiver],
        mut meter: Meter,
    ) -> Outcome<Figures> {
        let mut poller = Poller::new()?;
        for (key, receiver) in receivers.iter().enumerate() {
            poller.add(&receiver.peer, key)?;
        }
        let mut buffer = vec![0; READ_BYTES];
        let mut window = Window { oldest: 1, under_way: VecDeque::with_capacity(self.window) };
        let mut room = self.window;
        let alone = receivers.len() == 1;
        let mut ready = vec![0];
        let mut now = Instant::now();
        let mut turn = 0_u32;
        loop {
            turn += 1;
            if answered && turn.is_multiple_of(DRAIN_TURNS) {
                sender.discard(&mut buffer, false)?;
            }
            if room > 0 {
                sender.send(shape.said(window.next(), room)?)?;
                window.under_way.extend(std::iter::repeat_n((self.receivers, now), room));
            }
            if !alone {
                ready.clear();
                ready.extend(poller.wait(None)?);
            }
            let mut arrivals = 0_u32;
            for &key in &ready {
                let receiver = &mut receivers[key];
                let bytes = match receiver.peer.receive(&mut buffer, alone)? {
                    Got::Bytes(bytes) => bytes,
                    Got::Nothing => continue,
                    Got::End => return Err("the server closed a connection".into()),
                };
                receiver.take(shape, &buffer[..bytes], |number| {
                    window.arrived(number);
                    arrivals += 1;
                })?;
            }
            meter.add(f64::from(arrivals));
            now = Instant::now();
            room = window.settle(&mut meter, now);
            if !meter.goes_on(now)? {
                return meter.finish(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_cut_and_checked_however_they_come() {
        let fanout = Fanout { receivers: 1, window: 4, size: 16, direct: false, framed: false };
        let mut shape = Shape::new(&fanout, Speech::Landline, "bob");
        let arrivals: Vec<u8> =
            (0..3).flat_map(|n| [b"al : ".as_slice(), shape.ending(n)].concat()).collect();
        shape.unit_bytes = arrivals.len() / 3;
        for cut in 0..arrivals.len() {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
            let mut receiver = Receiver { peer, seen: 0, begun: Vec::new() };
            let mut seen = Vec::new();
            receiver.take(&shape, &arrivals[..cut], |number| seen.push(number)).unwrap();
            receiver.take(&shape, &arrivals[cut..], |number| seen.push(number)).unwrap();
            assert_eq!(seen, [0, 1, 2]);
            assert!(receiver.take(&shape, &arrivals[..shape.unit_bytes], |_| ()).is_err());
        }
    }

    #[test]
    fn a_message_has_arrived_with_its_last_receiver() {
        let plan = Plan { warm: std::time::Duration::ZERO, measured: std::time::Duration::ZERO };
        let mut meter = Meter::start(&plan, None, "delivery").unwrap();
        let now = Instant::now();
        let mut window = Window { oldest: 5, under_way: VecDeque::from([(2, now), (2, now)]) };
        window.arrived(5);
        window.arrived(6);
        window.arrived(6);
        assert_eq!(window.settle(&mut meter, now), 0);
        window.arrived(5);
        assert_eq!(window.settle(&mut meter, now), 2);
        assert_eq!(window.next(), 7);
    }
}
