//! `Stats`: what one worker counted, and the text all of it makes.
//!
//! What it does not do: reset. Counters only grow; gauges are computed from two of them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($field:ident: $name:literal, $help:literal;)*) => {
        /// Counters of one worker. Each is written by that worker alone and read by any.
        #[derive(Debug, Default)]
        pub(crate) struct Stats {
            $(#[doc = $help] pub(crate) $field: Counter,)*
        }

        /// All workers' counters, added up.
        pub(crate) fn totals<'a>(all: impl Iterator<Item = &'a Stats> + Clone) -> Vec<Figure> {
            vec![$({
                let value = all.clone().map(|stats| stats.$field.value()).sum();
                Figure { name: $name, help: $help, is_counter: true, value }
            },)*]
        }
    };
}

counters! {
    connections: "connections_total", "Connections that were accepted.";
    closed: "connections_closed_total", "Connections that ended.";
    refused: "connections_refused_total", "Connections that were refused at once.";
    requests: "requests_total", "Messages and requests that came.";
    bytes_in: "received_bytes_total", "Bytes received.";
    bytes_out: "sent_bytes_total", "Bytes sent.";
    downloads: "downloads_total", "Downloads that began.";
    runs: "runs_total", "Commands that were started.";
    uploads: "uploads_total", "Uploads that began.";
    deliveries: "deliveries_total", "Batches of messages handed to a recipient.";
    slow: "slow_disconnects_total", "Recipients that left too much unread.";
    panics: "panics_total", "Connections closed by a failure of landline's own.";
}

/// A number, and what it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    /// Whether it only grows.
    pub(crate) is_counter: bool,
    pub(crate) value: u64,
}

/// Figures in the Prometheus text format 0.0.4.
pub(crate) fn metrics_text(figures: impl Iterator<Item = Figure>) -> Vec<u8> {
    let mut text = String::new();
    for Figure { name, help, is_counter, value } in figures {
        let kind = if is_counter { "counter" } else { "gauge" };
        let name = format!("landline_{name}");
        write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n")
            .expect(TAKES_ALL);
    }
    text.into_bytes()
}

/// Figures for `stats`: `NAME VALUE` a line.
pub(crate) fn stats_text(figures: impl Iterator<Item = Figure>) -> Vec<u8> {
    let mut text = String::new();
    for Figure { name, value, .. } in figures {
        writeln!(text, "{name} {value}").expect(TAKES_ALL);
    }
    text.into_bytes()
}

/// Why writing to a `String` cannot fail.
const TAKES_ALL: &str = "a String takes all that is written";

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds `amount`. One thread alone adds to a counter, so that no locked instruction is needed.
    pub(crate) fn add(&self, amount: u64) {
        let value = self.0.load(Ordering::Relaxed);
        self.0.store(value.wrapping_add(amount), Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_added_up() {
        let workers = [Stats::default(), Stats::default()];
        workers[0].requests.add(3);
        workers[1].requests.add(4);
        let text = |text: Vec<u8>| String::from_utf8(text).expect("it is text");
        let metrics = text(metrics_text(totals(workers.iter()).into_iter()));
        let lines = "# TYPE landline_requests_total counter\nlandline_requests_total 7\n";
        assert!(metrics.contains(lines), "{metrics}");
        let stats = text(stats_text(totals(workers.iter()).into_iter()));
        assert!(stats.lines().any(|line| line == "requests_total 7"), "{stats}");
    }
}
