//! `Upload`: a file on its way from a peer to the disk.
//!
//! What it does not do: write (`service::deposit`, on a thread that may wait for a disk), or read
//! the peer (the connection asks `is_full`).
//!
//! Invariants:
//! 1. The deposit is here or with a thread, never both; nothing is handed on meanwhile.
//! 2. What is kept is bounded: above `INPUT_BYTES_MAX` the peer is not read, and one read may come
//!    on top.

use super::desk::Desk;
use crate::protocol::effect::Outcome;
use crate::protocol::limits::INPUT_BYTES_MAX;
use crate::protocol::refusal::{Code, Refusal};
use crate::reactor::offload::Ticket;
use crate::reactor::token::PeerId;
use crate::service::deposit::{Deposit, Plan};
use crate::service::fault::Fault;
use crate::service::files::Shelf;

/// What a thread came back with.
#[derive(Debug)]
pub(crate) enum Stored {
    /// All so far is written; here it is for more.
    Part(Deposit),
    /// All of it is there, under its name.
    Whole,
}

/// An upload in progress.
#[derive(Debug)]
pub(crate) struct Upload {
    /// While no thread has it, and it was begun.
    deposit: Option<Deposit>,
    /// For what a thread is to do for it.
    ticket: Ticket,
    kept: Vec<u8>,
    came_bytes: u64,
    /// How many will come; `None` for all to the end of input.
    bytes: Option<u64>,
    is_ended: bool,
    /// Why it is to end before its time, as soon as no thread has it.
    refusal: Option<Refusal>,
    /// How it came out.
    result: Option<Result<u64, Refusal>>,
}

impl Upload {
    /// One that a thread was asked to begin.
    pub(crate) fn new(bytes: Option<u64>, ticket: Ticket) -> Self {
        Self {
            deposit: None,
            ticket,
            kept: Vec::new(),
            came_bytes: 0,
            bytes,
            is_ended: false,
            refusal: None,
            result: None,
        }
    }

    /// Bytes came.
    pub(crate) fn on_bytes(&mut self, desk: &Desk, peer: PeerId, bytes: &[u8]) {
        self.came_bytes += bytes.len() as u64;
        if self.refusal.is_none() {
            self.kept.extend_from_slice(bytes);
            self.go_on(desk, peer);
        }
    }

    /// The peer's input ended.
    pub(crate) fn on_end(&mut self, desk: &Desk, peer: PeerId) {
        self.is_ended = true;
        if !self.is_whole() {
            let text = "the input ended before all of the file came: nothing is stored";
            self.stop(Refusal::new(Code::BadRequest, text));
        }
        self.go_on(desk, peer);
    }

    /// The peer was lost: whether all came of a file whose size was not said is not known.
    pub(crate) fn on_torn(&mut self) {
        if self.bytes.is_none() {
            let text = "the connection was lost: nothing is stored";
            self.stop(Refusal::new(Code::BadRequest, text));
        }
    }

    /// A thread is done with what it was given.
    pub(crate) fn on_stored(&mut self, desk: &Desk, peer: PeerId, stored: Result<Stored, Refusal>) {
        match stored {
            Ok(Stored::Part(deposit)) => {
                self.deposit = Some(deposit);
                self.go_on(desk, peer);
            }
            Ok(Stored::Whole) => self.result = Some(Ok(self.came_bytes)),
            Err(refusal) => self.result = Some(Err(refusal)),
        }
    }

    /// Ends it before its time. What a thread has in hand comes to its end first.
    pub(crate) fn stop(&mut self, refusal: Refusal) {
        self.kept = Vec::new();
        self.refusal.get_or_insert(refusal);
    }

    /// Whether it is to end before its time.
    pub(crate) fn is_stopped(&self) -> bool {
        self.refusal.is_some()
    }

    /// Whether no more should be read for it now.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.len() >= INPUT_BYTES_MAX
    }

    /// How it came out, once that is known.
    pub(crate) fn outcome(&mut self) -> Option<Outcome> {
        if self.deposit.is_some()
            && let Some(refusal) = self.refusal.take()
        {
            return Some(Outcome::Refused(refusal));
        }
        Some(match self.result.take()? {
            Ok(bytes) => Outcome::Stored(bytes),
            Err(refusal) => Outcome::Refused(refusal),
        })
    }

    pub(crate) fn into_deposit(self) -> Option<Deposit> {
        self.deposit
    }

    fn is_whole(&self) -> bool {
        self.bytes.map_or(self.is_ended, |bytes| self.came_bytes == bytes)
    }

    /// Hands on what came, if there is somebody to take it.
    fn go_on(&mut self, desk: &Desk, peer: PeerId) {
        let is_whole = self.is_whole();
        if self.refusal.is_some() || (self.kept.is_empty() && !is_whole) {
            return;
        }
        let Some(deposit) = self.deposit.take() else { return };
        let work = Work::Store { deposit, bytes: std::mem::take(&mut self.kept), is_whole };
        if let Err(refusal) = desk.store(peer, work, self.ticket.claim()) {
            self.result = Some(Err(refusal));
        }
    }
}

/// What a thread is to do for an upload.
#[derive(Debug)]
pub(crate) enum Work {
    /// Begin it.
    Begin(Plan),
    /// Write more of it.
    Store {
        /// What was written so far.
        deposit: Deposit,
        /// What comes next.
        bytes: Vec<u8>,
        /// Whether that is all.
        is_whole: bool,
    },
}

impl Work {
    /// Whether that is the end of a file of which all came.
    pub(crate) fn is_last(&self) -> bool {
        matches!(self, Self::Store { is_whole: true, .. })
    }

    /// Does it, waiting for disks.
    pub(crate) fn run(self, below: &Shelf) -> Result<Stored, Fault> {
        match self {
            Self::Begin(plan) => Deposit::begin(below, plan).map(Stored::Part),
            Self::Store { mut deposit, bytes, is_whole } => {
                deposit.write(&bytes)?;
                if !is_whole {
                    return Ok(Stored::Part(deposit));
                }
                deposit.place().map(|()| Stored::Whole)
            }
        }
    }
}
