//! `Figures`: what `landline bench` found, and how it is told; and `Times`, which `ping` counts
//! too.
//!
//! What it does not do: measure.

use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::command::{Load, Pace};

/// Longest time that is told apart from a longer one, in nanoseconds.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// How long things took, in bounded memory, exact to three digits.
pub(super) struct Times(Histogram<u64>);

impl Times {
    /// Nothing took any time yet.
    pub(super) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3);
        Self(histogram.expect("these bounds are good ones"))
    }

    /// Something took this time.
    pub(super) fn took(&mut self, time: Duration) {
        let time_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(time_ns);
    }

    /// The time that so many percent stay within.
    pub(super) fn at(&self, percentile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percentile))
    }

    fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }
}

/// What was found.
pub(super) struct Figures {
    duration_ms: u64,
    /// Lines that came back in the time measured.
    pub(super) lines: u64,
    times: Times,
}

impl Figures {
    /// Nothing was found yet.
    pub(super) fn new(duration_ms: u64) -> Self {
        Self { duration_ms, lines: 0, times: Times::new() }
    }

    /// A line came back after `time`.
    pub(super) fn took(&mut self, time: Duration) {
        self.times.took(time);
    }

    fn per_second(&self) -> u64 {
        let per_second = u128::from(self.lines) * 1_000 / u128::from(self.duration_ms);
        u64::try_from(per_second).unwrap_or(u64::MAX)
    }

    /// The times, in microseconds.
    fn times_us(&self) -> [(&'static str, f64); 4] {
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let at = |percentile: f64| us(self.times.at(percentile));
        let max = us(self.times.max());
        [("p50", at(50.0)), ("p99", at(99.0)), ("p99.9", at(99.9)), ("max", max)]
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{:<6}{:>12} lines/s\n", "rate", self.per_second());
        for (name, us) in self.times_us() {
            writeln!(text, "{name:<6}{us:>12.1} us").expect("a String takes all that is written");
        }
        text
    }

    /// As one JSON object, a line.
    pub(super) fn json(&self, load: &Load) -> String {
        let (depth, rate) = match load.pace {
            Pace::InFlight(depth) => (depth.to_string(), "null".to_owned()),
            Pace::PerSecond(rate) => ("null".to_owned(), rate.to_string()),
        };
        let Load { connections, line_bytes, .. } = load;
        let (lines, per_second) = (self.lines, self.per_second());
        let seconds = Duration::from_millis(self.duration_ms).as_secs_f64();
        let times = self.times_us().map(|(name, us)| format!(",\"{name}_us\":{us:.1}")).concat();
        format!(
            "{{\"connections\":{connections},\"depth\":{depth},\"rate\":{rate},\
             \"size\":{line_bytes},\"seconds\":{seconds},\"lines\":{lines},\
             \"lines_per_second\":{per_second}{times}}}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_times_are_told() {
        let mut figures = Figures::new(500);
        figures.lines = 1_000;
        for us in 1..=1_000 {
            figures.took(Duration::from_micros(us));
        }
        let told = "rate          2000 lines/s\n\
                    p50          500.2 us\n\
                    p99          990.2 us\n\
                    p99.9       1000.4 us\n\
                    max         1000.4 us\n";
        assert_eq!(figures.text(), told);
        let pace = Pace::InFlight(2);
        let load = Load { connections: 1, pace, line_bytes: 64, duration_ms: 500, is_json: true };
        let told = "{\"connections\":1,\"depth\":2,\"rate\":null,\"size\":64,\"seconds\":0.5,\
                    \"lines\":1000,\"lines_per_second\":2000,\"p50_us\":500.2,\
                    \"p99_us\":990.2,\"p99.9_us\":1000.4,\"max_us\":1000.4}\n";
        assert_eq!(figures.json(&load), told);
    }
}
