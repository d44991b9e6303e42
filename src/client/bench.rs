//! `landline bench`: says lines on many connections, compares what comes back, and tells how many a
//! second there were and how long they took.
//!
//! What it does not do: frames. Any server that echoes lines will do (RFC 862).
//!
//! With a fixed rate, a line's time begins when it was *due*, sent or not: a server that is stuck
//! for a second has not made one line wait, but all that were due in it. Replies that come after
//! the time measured count among the times and not in the rate, so that what is slow at the very
//! end is not forgotten.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use super::address;
use super::command::{Common, Load, Pace};
use super::failure::{Failure, why};
use super::figures::Figures;
use super::output::Out;
use super::watch::{Deadline, Watch, now};
use crate::protocol::text;
use crate::sys::epoll::{Epoll, Event, Events, Interest};
use crate::sys::{host, socket};

/// How long replies may take once the time is over, in milliseconds.
const GRACE_MS: u64 = 5_000;
/// Longest warm-up, in milliseconds.
const WARM_MS_MAX: u64 = 1_000;
/// Different lines, at most.
const CYCLE_LINES: usize = 64;
/// Events taken at once.
const EVENTS: usize = 256;
/// Room for one read, in bytes.
const READ_BYTES: usize = 256 * 1024;
/// What is told of a reply that is an error, at most, in bytes.
const ERROR_BYTES_MAX: usize = 300;

/// `landline bench`.
pub(super) fn bench(common: &Common, load: &Load) -> Result<(), Failure> {
    let deadline = Deadline::after(common.timeout_ms);
    // Where it cannot be raised, there may be enough all the same.
    let _ = host::raise_descriptor_limit();
    let figures = Bench::connect(common, load, deadline)?.run()?;
    let told = if load.is_json { figures.json(load) } else { figures.text() };
    let mut watch = Watch::new(deadline).map_err(|error| Failure::local("signals", &error))?;
    Out::stdout()?.write(told.as_bytes(), &mut watch)
}

/// One connection, and what is under way on it.
struct Talker {
    socket: OwnedFd,
    sent_bytes: usize,
    got_bytes: usize,
    /// When each line without a reply was said or due; the last ones may not be sent yet.
    since: VecDeque<Instant>,
    is_full: bool,
}

/// The lines that are said, over and over; each connection begins with another one.
struct Lines {
    line_bytes: usize,
    cycle_bytes: usize,
    /// The cycle, and its beginning again, so that a batch of lines is one piece.
    bytes: Vec<u8>,
}

impl Lines {
    fn new(line_bytes: usize, at_once: usize) -> Self {
        let text: String = (0..CYCLE_LINES)
            .map(|number| format!("{number:06}").chars().cycle().take(line_bytes - 1).collect())
            .map(|line: String| line + "\n")
            .collect();
        let bytes = text.bytes().cycle().take(text.len() + line_bytes * at_once).collect();
        Self { line_bytes, cycle_bytes: text.len(), bytes }
    }

    /// What follows the first `passed` bytes of connection `index`, as far as it is one piece.
    fn from(&self, index: usize, passed: usize) -> &[u8] {
        &self.bytes[(index * self.line_bytes + passed) % self.cycle_bytes..]
    }
}

/// All of it.
struct Bench {
    deadline: Deadline,
    lines: Lines,
    pace: Pace,
    talkers: Vec<Talker>,
    epoll: Epoll,
    began: Instant,
    counts_from: Instant,
    ends: Instant,
    said: u64,
    answered: u64,
    figures: Figures,
}

impl Bench {
    fn connect(common: &Common, load: &Load, deadline: Deadline) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::local("waiting", &error);
        let epoll = Epoll::new().map_err(failed)?;
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let mut talkers = Vec::with_capacity(size(load.connections));
        for token in 0..load.connections {
            let socket = address::connect(&common.target, &deadline)?;
            epoll.add(socket.as_fd(), Interest::READ, token).map_err(failed)?;
            let since = VecDeque::new();
            talkers.push(Talker { socket, sent_bytes: 0, got_bytes: 0, since, is_full: false });
        }
        let at_once = if let Pace::InFlight(depth) = load.pace { size(depth) } else { 1 };
        let began = now();
        let warm_ms = (load.duration_ms / 10).min(WARM_MS_MAX);
        let counts_from = began + Duration::from_millis(warm_ms);
        Ok(Self {
            deadline,
            lines: Lines::new(size(load.line_bytes), at_once),
            pace: load.pace,
            talkers,
            epoll,
            began,
            counts_from,
            ends: counts_from + Duration::from_millis(load.duration_ms),
            said: 0,
            answered: 0,
            figures: Figures::new(load.duration_ms),
        })
    }

    fn run(mut self) -> Result<Figures, Failure> {
        let mut events = Events::with_capacity(EVENTS);
        let mut buffer = vec![0; READ_BYTES];
        let is_over = self.ends + Duration::from_millis(GRACE_MS);
        if let Pace::InFlight(depth) = self.pace {
            for index in 0..self.talkers.len() {
                self.say(index, depth, self.began)?;
            }
        }
        loop {
            let at = now();
            self.deadline.check()?;
            let next = if at < self.ends { self.say_due(at)? } else { is_over };
            if at >= self.ends && self.said == self.answered {
                return Ok(self.figures);
            }
            if at >= is_over {
                let missing = self.said - self.answered;
                return Err(Failure::Protocol(format!("{missing} lines were never answered")));
            }
            let left = next.saturating_duration_since(at).as_millis();
            let wait_ms = u64::try_from(left).unwrap_or(u64::MAX);
            let wait_ms = self.deadline.left_ms().map_or(wait_ms, |left_ms| left_ms.min(wait_ms));
            let waited = self.epoll.wait(&mut events, Some(wait_ms));
            waited.map_err(|error| Failure::local("waiting", &error))?;
            for number in 0..events.len() {
                self.on_event(events.get(number), &mut buffer)?;
            }
        }
    }

    /// Says the lines that are due at a fixed rate, to one connection after the other. When there
    /// is something to do again; what is less than a millisecond away is spun for.
    fn say_due(&mut self, at: Instant) -> Result<Instant, Failure> {
        let Pace::PerSecond(rate) = self.pace else { return Ok(self.ends) };
        loop {
            let part = Duration::from_nanos(self.said % rate * 1_000_000_000 / rate);
            let due = self.began + Duration::from_secs(self.said / rate) + part;
            if due > at || due >= self.ends {
                return Ok(due.min(self.ends));
            }
            let index = self.said % self.talkers.len() as u64;
            self.say(usize::try_from(index).unwrap_or(0), 1, due)?;
        }
    }

    fn say(&mut self, index: usize, lines: u64, since: Instant) -> Result<(), Failure> {
        self.said += lines;
        self.talkers[index].since.extend((0..lines).map(|_| since));
        if self.talkers[index].is_full { Ok(()) } else { self.send(index) }
    }

    /// Sends what was said, as far as the socket takes it.
    fn send(&mut self, index: usize) -> Result<(), Failure> {
        let talker = &mut self.talkers[index];
        let answered_bytes = talker.got_bytes / self.lines.line_bytes * self.lines.line_bytes;
        let end = answered_bytes + talker.since.len() * self.lines.line_bytes;
        let was_full = std::mem::take(&mut talker.is_full);
        while talker.sent_bytes < end && !talker.is_full {
            let piece = self.lines.from(index, talker.sent_bytes);
            let piece = &piece[..piece.len().min(end - talker.sent_bytes)];
            match socket::send(talker.socket.as_fd(), piece, false) {
                Ok(count) => talker.sent_bytes += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => talker.is_full = true,
                // What the server said before it went tells more than this.
                Err(_) => break,
            }
        }
        if talker.is_full == was_full {
            return Ok(());
        }
        let wanted = if was_full { Interest::READ } else { Interest::READ | Interest::WRITE };
        let changed = self.epoll.modify(talker.socket.as_fd(), wanted, index as u64);
        changed.map_err(|error| Failure::local("waiting", &error))
    }

    fn on_event(&mut self, event: Event, buffer: &mut [u8]) -> Result<(), Failure> {
        let index = usize::try_from(event.token).unwrap_or(usize::MAX);
        if event.readable || event.gone {
            match socket::receive(self.talkers[index].socket.as_fd(), buffer) {
                Ok(0) => return Err(ended("the server closed a connection")),
                Ok(count) => self.on_bytes(index, &buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(ended(&why(&error))),
            }
        }
        if event.writable { self.send(index) } else { Ok(()) }
    }

    fn on_bytes(&mut self, index: usize, mut bytes: &[u8]) -> Result<(), Failure> {
        let talker = &mut self.talkers[index];
        let before = talker.got_bytes / self.lines.line_bytes;
        while !bytes.is_empty() {
            let expected = self.lines.from(index, talker.got_bytes);
            let (piece, rest) = bytes.split_at(bytes.len().min(expected.len()));
            if *piece != expected[..piece.len()] {
                return Err(wrong(bytes));
            }
            talker.got_bytes += piece.len();
            bytes = rest;
        }
        if talker.got_bytes > talker.sent_bytes {
            return Err(ended("the server sent back more than was said"));
        }
        let lines = talker.got_bytes / self.lines.line_bytes - before;
        let at = now();
        for since in talker.since.drain(..lines) {
            if at >= self.counts_from {
                self.figures.took(at - since);
            }
        }
        let lines = lines as u64;
        self.answered += lines;
        if at >= self.ends {
            return Ok(());
        }
        self.figures.lines += if at >= self.counts_from { lines } else { 0 };
        if matches!(self.pace, Pace::InFlight(_)) && lines > 0 {
            self.say(index, lines, at)?;
        }
        Ok(())
    }
}

/// Bytes came that are not those that were said; a server may say why.
fn wrong(bytes: &[u8]) -> Failure {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = text::clean(&line[..line.len().min(ERROR_BYTES_MAX)]);
    match line.strip_prefix("error ") {
        Some(error) => Failure::Failed(error.to_owned()),
        None => ended("the server sent back something else than was said"),
    }
}

fn ended(what: &str) -> Failure {
    Failure::Protocol(what.to_owned())
}
