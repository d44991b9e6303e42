//! One measurement: a warm-up that is not counted, then a stretch of time in which units, latencies
//! and the server's processor time are.
//!
//! What it does not do: decide what a unit is.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::{Outcome, process};

/// How long to measure.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Not counted.
    pub warm: Duration,
    /// Counted.
    pub measured: Duration,
}

/// What a measurement found.
pub struct Figures {
    /// What one unit is, for a reader.
    pub unit: &'static str,
    /// Units done in the time measured.
    pub units: f64,
    /// The time measured.
    pub elapsed: Duration,
    /// The server's processor time in it, its children's included; none without its process id.
    pub cpu: Option<Duration>,
    /// Nanoseconds a unit (or a request) took.
    pub latency_ns: Histogram<u64>,
    /// The server's resident bytes for each connection, where that was the question.
    pub bytes_per_connection: Option<f64>,
}

impl Figures {
    /// Nothing yet.
    ///
    /// # Errors
    /// None today; a histogram within these bounds can be made.
    pub fn none(unit: &'static str) -> Outcome<Self> {
        Ok(Self {
            unit,
            units: 0.0,
            elapsed: Duration::ZERO,
            cpu: None,
            latency_ns: Histogram::new_with_bounds(1, 60_000_000_000, 3)?,
            bytes_per_connection: None,
        })
    }

    /// Units a second.
    pub fn rate(&self) -> f64 {
        self.units / self.elapsed.as_secs_f64()
    }

    /// The server's microseconds for a unit.
    pub fn cpu_us(&self) -> Option<f64> {
        self.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / self.units)
    }
}

/// Counts while a workload runs.
pub struct Meter {
    plan: Plan,
    pid: Option<i32>,
    began: Instant,
    cpu_before: Option<Duration>,
    counting: bool,
    figures: Figures,
}

impl Meter {
    /// Starts the warm-up.
    ///
    /// # Errors
    /// None today; a histogram within these bounds can be made.
    pub fn start(plan: &Plan, pid: Option<i32>, unit: &'static str) -> Outcome<Self> {
        let figures = Figures::none(unit)?;
        let began = Instant::now();
        Ok(Self { plan: *plan, pid, began, cpu_before: None, counting: false, figures })
    }

    /// Counts units.
    pub fn add(&mut self, units: f64) {
        self.figures.units += units;
    }

    /// Counts how long one took.
    pub fn took(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.figures.latency_ns.saturating_record(ns);
    }

    /// Passes time on; whether to go on. From the end of the warm-up on, all is counted afresh.
    ///
    /// # Errors
    /// The server is gone.
    pub fn goes_on(&mut self, now: Instant) -> Outcome<bool> {
        let passed = now - self.began;
        if !self.counting {
            if passed >= self.plan.warm {
                self.counting = true;
                self.figures.units = 0.0;
                self.figures.latency_ns.reset();
                self.cpu_before = self.pid.map(process::cpu).transpose()?;
                self.began = Instant::now();
            }
            return Ok(true);
        }
        Ok(passed < self.plan.measured)
    }

    /// The figures, read at the very end of the time measured.
    ///
    /// # Errors
    /// The server is gone, or nothing was done.
    pub fn finish(mut self, now: Instant) -> Outcome<Figures> {
        let after = self.pid.map(process::cpu).transpose()?;
        self.figures.elapsed = now - self.began;
        self.figures.cpu =
            after.zip(self.cpu_before).map(|(after, before)| after.saturating_sub(before));
        if self.figures.units <= 0.0 {
            return Err("nothing was done in the time measured".into());
        }
        Ok(self.figures)
    }
}
