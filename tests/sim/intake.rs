//! What comes for a request beyond its line, as the worker keeps it: `Intake`, the input of a
//! command, and `Storing`, a file on its way to the table that stands for the disk.
//!
//! What it does not do: say whose it is, which is what is tried here.

use std::collections::{BTreeMap, VecDeque};

use landline::protocol::effect::{Outcome, Terminal, WindowSize};
use landline::protocol::refusal::{Code, Refusal};

use crate::random::Random;

/// What is kept of it, at most; one read may come on top.
const KEPT_BYTES_MAX: usize = 300;

/// Files that were stored, by name.
pub(crate) type Stored = BTreeMap<String, Vec<u8>>;

/// Input of one command.
pub(crate) struct Intake {
    bytes: VecDeque<u8>,
    is_ended: bool,
    is_closed: bool,
    size: WindowSize,
}

impl Intake {
    pub(crate) fn new() -> Self {
        let size = Terminal::default().size;
        Self { bytes: VecDeque::new(), is_ended: false, is_closed: false, size }
    }

    pub(crate) fn on_bytes(&mut self, bytes: &[u8]) {
        if !self.is_ended && !self.is_closed {
            self.bytes.extend(bytes);
        }
    }

    pub(crate) fn on_end(&mut self) {
        self.is_ended = true;
    }

    pub(crate) fn on_size(&mut self, size: WindowSize) {
        self.size = size;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= KEPT_BYTES_MAX
    }

    /// What the command reads now, which is nothing where there is nothing yet; `None` at the end.
    pub(crate) fn read(&mut self, most: usize, random: &mut Random) -> Option<Vec<u8>> {
        if self.bytes.is_empty() && self.is_ended {
            return None;
        }
        let count = random.below(self.bytes.len().min(most) + 1);
        Some(self.bytes.drain(..count).collect())
    }

    /// The command reads no more.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        self.bytes.clear();
    }

    /// How a command tells the size of its terminal.
    pub(crate) fn size_text(&self) -> String {
        format!("{}x{}", self.size.columns, self.size.rows)
    }
}

/// An upload in progress.
pub(crate) struct Storing {
    name: String,
    /// What will be found when it is begun.
    plan: Option<Result<(), Code>>,
    bytes_max: Option<u64>,
    kept: Vec<u8>,
    written: Vec<u8>,
    is_ended: bool,
    refusal: Option<Refusal>,
}

impl Storing {
    pub(crate) fn new(name: String, bytes_max: Option<u64>, plan: Result<(), Code>) -> Self {
        let (kept, written) = (Vec::new(), Vec::new());
        let plan = Some(plan);
        Self { name, plan, bytes_max, kept, written, is_ended: false, refusal: None }
    }

    pub(crate) fn on_bytes(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
    }

    pub(crate) fn on_end(&mut self) {
        self.is_ended = true;
        if !self.is_whole() {
            self.stop(Refusal::new(Code::BadRequest, "the input ended too early"));
        }
    }

    pub(crate) fn stop(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.kept.len() >= KEPT_BYTES_MAX
    }

    fn is_whole(&self) -> bool {
        let came = (self.written.len() + self.kept.len()) as u64;
        self.bytes_max.map_or(self.is_ended, |bytes| came == bytes)
    }

    /// The disk does something; what came of all of it, once that is known.
    pub(crate) fn go_on(&mut self, stored: &mut Stored) -> Option<Outcome> {
        match self.plan.take() {
            Some(Ok(())) => return None,
            Some(Err(code)) => return Some(Outcome::Refused(Refusal::new(code, "no"))),
            None => {}
        }
        if let Some(refusal) = self.refusal.take() {
            return Some(Outcome::Refused(refusal));
        }
        let is_whole = self.is_whole();
        self.written.append(&mut self.kept);
        if !is_whole {
            return None;
        }
        let bytes = self.written.len() as u64;
        stored.insert(std::mem::take(&mut self.name), std::mem::take(&mut self.written));
        Some(Outcome::Stored(bytes))
    }
}
