//! `Progress`: one line on a terminal that says how far a download is.
//!
//! What it does not do: appear where standard error is no terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use super::watch::now;

/// Time between two looks of the line, in milliseconds.
const REFRESH_MS: u64 = 200;

/// How far it is.
pub(super) struct Progress {
    size: u64,
    came: u64,
    begun: Instant,
    shown: Option<Instant>,
    is_on: bool,
}

impl Progress {
    /// Nothing of `size` bytes came yet.
    pub(super) fn new(size: u64, is_wanted: bool) -> Self {
        let is_on = is_wanted && io::stderr().is_terminal();
        Self { size, came: 0, begun: now(), shown: None, is_on }
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
            let text = line(self.came, self.size, time.duration_since(self.begun));
            // A terminal that went away is noticed elsewhere.
            let _ = write!(io::stderr(), "\r{text}\x1b[K");
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(came: u64, size: u64, after: Duration) -> String {
    let per_second = u128::from(came) * 1000 / after.as_millis().max(1);
    let percent = u128::from(came) * 100 / u128::from(size.max(1));
    let left_s = u128::from(size - came.min(size)) / per_second.max(1);
    let rate = amount(u64::try_from(per_second).unwrap_or(u64::MAX));
    format!("{} of {}, {percent} %, {rate}/s, {left_s} s left", amount(came), amount(size))
}

/// Bytes as people read them: three or four digits and a unit.
fn amount(bytes: u64) -> String {
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
        let text = line(3 << 20, 12 << 20, Duration::from_secs(2));
        assert_eq!(text, "3.0 MiB of 12.0 MiB, 25 %, 1.5 MiB/s, 6 s left");
        let text = line(0, 0, Duration::ZERO);
        assert_eq!(text, "0 B of 0 B, 0 %, 0 B/s, 0 s left");
        assert_eq!(amount(u64::MAX), "15.9 EiB");
        assert_eq!(amount(1023), "1023 B");
    }
}
