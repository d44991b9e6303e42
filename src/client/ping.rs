//! `landline ping`: how long a server takes to answer, over one connection.
//!
//! What it does not do: load the server (`bench`), or lose anything: a stream delivers all or ends.
//!
//! Pings leave when they are due, answered or not: a server that is stuck for a second has not
//! kept one waiting, but all that were due in it. Without an interval, each leaves when the last
//! one was answered.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::address;
use super::command::Common;
use super::failure::Failure;
use super::figures::Times;
use super::output::Out;
use super::watch::{Watch, ms_until, now};
use super::wire::{Wire, broken, misplaced};
use crate::protocol::reply::Header;
use crate::protocol::text;
use crate::sys::signal::Signal;

/// Pings that may be under way; then the next waits for an answer.
const UNDER_WAY_MAX: usize = 512;

/// What is wanted.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// How many; without it, until interrupted.
    pub(super) count: Option<u64>,
    /// Time from one to the next, in milliseconds.
    pub(super) interval_ms: u64,
}

/// `landline ping`. It was done where anything was answered, also where Ctrl-C ended it.
pub(super) fn ping(common: &Common, pace: Pace, is_json: bool) -> Result<(), Failure> {
    let (wire, watch) = Wire::open(common)?;
    let begun = now();
    let mut ping = Ping {
        wire,
        watch,
        out: Out::stdout()?,
        address: text::clean(address::shown(&common.target).as_bytes()),
        pace,
        is_told: !common.quiet && !is_json,
        begun,
        next: begun,
        since: VecDeque::new(),
        sent: 0,
        tally: Tally::new(),
    };
    let ended = ping.run();
    match &ended {
        Err(Failure::Signalled(signal)) if *signal != Signal::Interrupt => return ended,
        Err(Failure::ReaderGone) => return ended,
        _ => {}
    }
    let told = if is_json { ping.json() } else { ping.text() };
    ping.watch.lift_deadline();
    ping.out.write(told.as_bytes(), &mut ping.watch)?;
    match ended {
        Err(Failure::Signalled(_)) if ping.tally.answered > 0 => Ok(()),
        ended => ended,
    }
}

struct Ping {
    wire: Wire,
    watch: Watch,
    out: Out,
    address: String,
    pace: Pace,
    /// Whether each answer is told.
    is_told: bool,
    begun: Instant,
    next: Instant,
    /// When those left that are under way.
    since: VecDeque<Instant>,
    sent: u64,
    tally: Tally,
}

impl Ping {
    fn run(&mut self) -> Result<(), Failure> {
        while !self.has_all() {
            let limit_ms = self.send_due();
            self.wire.turn(&mut self.watch, limit_ms, &[])?;
            while let Some(header) = self.wire.arrived()? {
                self.on_frame(&header)?;
            }
            if self.wire.is_over() && !self.has_all() {
                return Err(self.wire.lost());
            }
        }
        Ok(())
    }

    fn has_all(&self) -> bool {
        self.pace.count == Some(self.tally.answered)
    }

    /// Says what is due, and how long there is nothing to say again.
    fn send_due(&mut self) -> Option<u64> {
        loop {
            let is_all = self.pace.count.is_some_and(|count| self.sent >= count);
            let under_way_max = if self.pace.interval_ms == 0 { 1 } else { UNDER_WAY_MAX };
            if is_all || self.since.len() >= under_way_max {
                return None;
            }
            let left_ms = ms_until(self.next);
            if left_ms > 0 {
                return Some(left_ms);
            }
            self.wire.say("ping");
            self.sent += 1;
            self.since.push_back(now());
            self.next += Duration::from_millis(self.pace.interval_ms);
        }
    }

    fn on_frame(&mut self, header: &Header) -> Result<(), Failure> {
        match header.kind.as_str() {
            "msg" | "note" => self.wire.text(&mut self.watch).map(drop),
            "fail" => Err(self.wire.refusal(header, &mut self.watch)?),
            "done" => {
                let answer = self.wire.text(&mut self.watch)?;
                let Some(since) = self.since.pop_front() else { return Err(misplaced(header)) };
                if answer != b"pong" {
                    return Err(broken("another answer than pong"));
                }
                self.on_answer(now() - since)
            }
            _ => Err(misplaced(header)),
        }
    }

    fn on_answer(&mut self, time: Duration) -> Result<(), Failure> {
        self.tally.took(time);
        if !self.is_told {
            return Ok(());
        }
        let (address, seq) = (&self.address, self.tally.answered);
        let line = format!("pong from {address}: seq={seq} time={} ms\n", ms(time));
        self.out.write(line.as_bytes(), &mut self.watch)
    }

    fn text(&self) -> String {
        let Self { address, sent, wire, .. } = self;
        let after = (now() - self.begun).as_secs_f64();
        let answered = self.tally.answered;
        let head = format!(
            "--- {address} ({}) ---\n{sent} sent, {answered} answered in {after:.1} s\n",
            wire.server
        );
        head + &self.tally.text()
    }

    fn json(&self) -> String {
        let mut text = String::from("{\"address\":");
        text::json_into(&mut text, &self.address);
        text.push_str(",\"server\":");
        text::json_into(&mut text, &self.wire.server);
        write!(text, ",\"sent\":{},\"answered\":{}", self.sent, self.tally.answered)
            .expect("a String takes all that is written");
        text + &self.tally.json() + "}\n"
    }
}

/// What it comes to.
struct Tally {
    answered: u64,
    sum: Duration,
    min: Duration,
    max: Duration,
    times: Times,
}

impl Tally {
    fn new() -> Self {
        let (sum, times) = (Duration::ZERO, Times::new());
        Self { answered: 0, sum, min: Duration::MAX, max: Duration::ZERO, times }
    }

    fn took(&mut self, time: Duration) {
        self.answered += 1;
        self.sum = self.sum.saturating_add(time);
        self.min = self.min.min(time);
        self.max = self.max.max(time);
        self.times.took(time);
    }

    /// Least, mean and longest; and the times that so many percent stay below.
    fn figures(&self) -> [(&'static str, Duration); 6] {
        let answered = u32::try_from(self.answered.max(1)).unwrap_or(u32::MAX);
        // Never past the longest one, which the percentiles only come near.
        let at = |percentile| self.times.at(percentile).max(self.min).min(self.max);
        let mean = self.sum / answered;
        let (half, most, nearly_all) = (at(50.0), at(90.0), at(99.0));
        [
            ("min", self.min),
            ("avg", mean),
            ("max", self.max),
            ("p50", half),
            ("p90", most),
            ("p99", nearly_all),
        ]
    }

    fn text(&self) -> String {
        if self.answered == 0 {
            return String::new();
        }
        let [first, second] = [0..3, 3..6].map(|part| {
            let (names, times): (Vec<_>, Vec<_>) =
                self.figures()[part].iter().map(|(name, time)| (*name, ms(*time))).unzip();
            format!("{} = {} ms\n", names.join("/"), times.join("/"))
        });
        first + &second
    }

    fn json(&self) -> String {
        let us = |time: Duration| match self.answered {
            0 => "null".to_owned(),
            _ => format!("{:.1}", time.as_secs_f64() * 1e6),
        };
        self.figures().map(|(name, time)| format!(",\"{name}_us\":{}", us(time))).concat()
    }
}

/// Milliseconds to the microsecond.
fn ms(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_to_least_mean_longest_and_percentiles() {
        let mut tally = Tally::new();
        for us in 1..=100 {
            tally.took(Duration::from_micros(us));
        }
        assert_eq!(
            tally.text(),
            "min/avg/max = 0.001/0.051/0.100 ms\np50/p90/p99 = 0.050/0.090/0.099 ms\n"
        );
        let json = ",\"min_us\":1.0,\"avg_us\":50.5,\"max_us\":100.0,\"p50_us\":50.0,\
                    \"p90_us\":90.0,\"p99_us\":99.0";
        assert!(tally.json().starts_with(&json[..40]), "{}", tally.json());
    }

    #[test]
    fn of_nothing_there_are_no_figures() {
        let tally = Tally::new();
        assert_eq!(tally.text(), "");
        let json = ",\"min_us\":null,\"avg_us\":null,\"max_us\":null,\"p50_us\":null,\
                    \"p90_us\":null,\"p99_us\":null";
        assert_eq!(tally.json(), json);
    }

    #[test]
    fn percentiles_stay_within_what_was_seen() {
        let mut tally = Tally::new();
        tally.took(Duration::from_nanos(123_456_789));
        let all = tally.figures().map(|(_, time)| ms(time));
        assert_eq!(all, ["123.457"; 6]);
    }
}
