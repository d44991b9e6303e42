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

        /// All workers' counters, added up, in the Prometheus text format 0.0.4.
        pub(crate) fn metrics_text<'a>(all: impl Iterator<Item = &'a Stats> + Clone) -> String {
            let mut text = String::new();
            $(
                let sum: u64 = all.clone().map(|stats| stats.$field.value()).sum();
                writeln!(text, "# HELP {0} {1}\n# TYPE {0} counter\n{0} {sum}", $name, $help)
                    .expect("a String takes all that is written");
            )*
            text
        }
    };
}

counters! {
    connections: "landline_connections_total", "Connections that were accepted.";
    closed: "landline_connections_closed_total", "Connections that ended.";
    refused: "landline_connections_refused_total", "Connections that were refused at once.";
    requests: "landline_requests_total", "Messages and requests that came.";
    bytes_in: "landline_received_bytes_total", "Bytes received.";
    bytes_out: "landline_sent_bytes_total", "Bytes sent.";
    downloads: "landline_downloads_total", "Downloads that began.";
    runs: "landline_runs_total", "Commands that were started.";
    deliveries: "landline_deliveries_total", "Batches of messages handed to a recipient.";
    slow: "landline_slow_disconnects_total", "Recipients that left too much unread.";
    panics: "landline_panics_total", "Connections closed by a failure of landline's own.";
}

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
        let text = metrics_text(workers.iter());
        assert!(
            text.contains("# TYPE landline_requests_total counter\nlandline_requests_total 7\n")
        );
    }
}
