//! `Progress`: one line on a terminal that says how far a transfer is.
//!
//! What it does not do: appear where standard error is no terminal, or is too narrow for it: what
//! does not fit on a line of the terminal is left out, lest it be wrapped and stay.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use super::watch::now;
use crate::protocol::text;

/// Time between two looks of the line, in milliseconds.
const REFRESH_MS: u64 = 200;
/// Longest name that is shown, in characters.
const LABEL_CHARS_MAX: usize = 24;

/// How far it is.
pub(super) struct Progress {
    label: String,
    size: u64,
    /// Where it began.
    offset: u64,
    came: u64,
    begun: Instant,
    shown: Option<Instant>,
    is_on: bool,
}

impl Progress {
    /// Nothing of `size` bytes came yet.
    pub(super) fn new(size: u64, is_wanted: bool) -> Self {
        let is_on = is_wanted && io::stderr().is_terminal();
        let (label, begun) = (String::new(), now());
        Self { label, size, offset: 0, came: 0, begun, shown: None, is_on }
    }

    /// The same, of something with a name.
    pub(super) fn of(mut self, name: &str) -> Self {
        let name = text::clean(name.as_bytes());
        self.label = match name.char_indices().nth(LABEL_CHARS_MAX) {
            Some((end, _)) => format!("{}…: ", &name[..end]),
            None => format!("{name}: "),
        };
        self
    }

    /// The same, of which the first `offset` bytes were there before.
    pub(super) fn from(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// So many bytes more came.
    pub(super) fn on_bytes(&mut self, count: usize) {
        self.came += count as u64;
        if !self.is_on {
            return;
        }
        let time = now();
        let last = self.shown.unwrap_or(self.begun);
        if time.duration_since(last) >= Duration::from_millis(REFRESH_MS) {
            self.shown = Some(time);
            let line = self.line(time.duration_since(self.begun));
            // A terminal that went away is noticed elsewhere.
            let _ = write!(io::stderr(), "\r{line}\x1b[K");
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    /// All of it came; the line says so and stays.
    pub(super) fn finish(&mut self) {
        if self.is_on {
            let after = now().duration_since(self.begun);
            let (label, size, rate) = (&self.label, amount(self.size), self.rate(after));
            let time = span(after.as_secs());
            let _ = writeln!(io::stderr(), "\r{label}{size} in {time}, {}/s\x1b[K", amount(rate));
        }
    }

    /// Bytes a second, of those that came.
    fn rate(&self, after: Duration) -> u64 {
        let per_second = u128::from(self.came) * 1000 / after.as_millis().max(1);
        u64::try_from(per_second).unwrap_or(u64::MAX)
    }

    fn line(&self, after: Duration) -> String {
        let (here, rate) = (self.offset + self.came, self.rate(after));
        let percent = u128::from(here) * 100 / u128::from(self.size.max(1));
        let left = span((self.size - here.min(self.size)) / rate.max(1));
        let (label, here, size) = (&self.label, amount(here), amount(self.size));
        format!("{label}{here} of {size}, {percent} %, {}/s, {left} left", amount(rate))
    }
}

/// Seconds as people read them.
fn span(seconds: u64) -> String {
    match seconds {
        0..100 => format!("{seconds} s"),
        100..3_600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60),
    }
}

/// Bytes as people read them: three or four digits and a unit.
pub(super) fn amount(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    let mut whole = bytes;
    while whole >= 1024 * 1024 {
        whole /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", whole / 1024, whole % 1024 * 10 / 1024, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_bytes_rate_and_time() {
        let mut progress = Progress::new(12 << 20, false);
        progress.on_bytes(3 << 20);
        let text = progress.line(Duration::from_secs(2));
        assert_eq!(text, "3.0 MiB of 12.0 MiB, 25 %, 1.5 MiB/s, 6 s left");
        let mut progress = progress.of("a\x1bb").from(3 << 20);
        progress.on_bytes(0);
        let text = progress.line(Duration::from_secs(2));
        assert_eq!(text, "a\u{fffd}b: 6.0 MiB of 12.0 MiB, 50 %, 1.5 MiB/s, 4 s left");
        let text = Progress::new(0, false).line(Duration::ZERO);
        assert_eq!(text, "0 B of 0 B, 0 %, 0 B/s, 0 s left");
    }

    #[test]
    fn amounts_and_spans_have_units() {
        assert_eq!(amount(u64::MAX), "15.9 EiB");
        assert_eq!(amount(1023), "1023 B");
        assert_eq!([99, 100, 3_599, 3_600].map(span), ["99 s", "1:40", "59:59", "1:00:00"]);
        let long = Progress::new(1, false).of(&"é".repeat(40)).label;
        assert_eq!(long, format!("{}…: ", "é".repeat(LABEL_CHARS_MAX)));
    }
}
