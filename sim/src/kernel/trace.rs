//! What happened in a simulation: a hash of all of it, and the last steps in words.

use std::collections::VecDeque;
use std::fmt;

/// Steps that are kept in words.
const STEPS_KEPT: usize = 120;

/// A history.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    steps: u64,
    last: VecDeque<String>,
    /// Whether steps are kept in words. Only the hash is needed where nothing fails.
    pub is_kept: bool,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, steps: 0, last: VecDeque::new(), is_kept: false }
    }
}

/// Hashes what is written to it (FNV-1a).
struct Hasher<'a>(&'a mut u64);

impl fmt::Write for Hasher<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.0 = (*self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

impl Trace {
    /// Something happened.
    pub fn note(&mut self, now_us: u64, what: fmt::Arguments<'_>) {
        self.steps += 1;
        fmt::write(&mut Hasher(&mut self.hash), format_args!("{now_us} {what}\n"))
            .expect("a hash takes all that is written");
        if self.is_kept {
            if self.last.len() == STEPS_KEPT {
                self.last.pop_front();
            }
            self.last.push_back(format!("{:>9}.{:03} ms  {what}", now_us / 1000, now_us % 1000));
        }
    }

    /// A number that two equal histories share.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many steps there were.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The last steps, a line each.
    pub fn last(&self) -> String {
        let lines: Vec<&str> = self.last.iter().map(String::as_str).collect();
        lines.join("\n")
    }
}
