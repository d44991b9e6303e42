//! `Connection`: all that is known of one peer, and the questions its state answers by itself: what
//! to wait for, until when, and whether it can go on.
//!
//! What it does not do: read (`pump`), act (`drive`, `command`, `download`), send and close
//! (`settle`).
//!
//! Invariants, asserted by `check`:
//! 1. A task is under way exactly while the session awaits an outcome.
//! 2. Messages are held back only while a plain peer's reply is in progress.
//! 3. An idle peer owns no buffer.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use super::command::Command;
use super::config::{Limits, Settings};
use super::download::Download;
use super::mail::{Arrival, Seat};
use crate::protocol::limits::{BARE_DECIDE_MS, OUTPUT_BYTES_HIGH, OUTPUT_BYTES_LOW};
use crate::protocol::line::{Framer, Framing};
use crate::protocol::session::{Permit, Session};
use crate::reactor::token::PeerId;
use crate::service::policy::{Commands, Origin, allows};
use crate::sys::epoll::Interest;
use crate::sys::socket::Peer;
use crate::transfer::outqueue::OutQueue;
use crate::transfer::segment::Shared;

/// What the session awaits.
#[derive(Debug)]
pub(crate) enum Task {
    /// Word from another thread; whether it is wanted no more.
    Awaited {
        /// The request was cancelled.
        is_cancelled: bool,
    },
    /// A file is being sent.
    Download(Download),
    /// A command runs.
    Command(Box<Command>),
}

/// Why and how a connection ends. It may be set anywhere; it is acted on in `settle` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Send what there is, then close so that it arrives.
    Finish(&'static str),
    /// As `Finish`, but by the server's own will: what is not taken by then is not waited for.
    Dismiss(&'static str, u64),
    /// Reset it, so that nobody takes what was sent for whole.
    Reset(&'static str),
    /// Nobody is there any more.
    Gone(&'static str),
}

/// One peer.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: PeerId,
    pub(crate) socket: OwnedFd,
    pub(crate) peer: Peer,
    pub(crate) uid: Option<u32>,
    pub(crate) session: Session,
    pub(crate) framer: Framer,
    /// Bytes that came and were not yet taken: an unfinished line, or lines that have to wait.
    pub(crate) inbox: Vec<u8>,
    pub(crate) output: OutQueue,
    /// Messages that wait for a plain reply to end.
    pub(crate) held: Option<Box<VecDeque<Shared>>>,
    pub(crate) task: Option<Task>,
    pub(crate) fate: Option<Fate>,
    /// Until when a closed connection's input is read and dropped.
    pub(crate) linger_until_ms: Option<u64>,
    /// When it last did something that counts against idling; for a connection that may be bare,
    /// when its first byte came.
    pub(crate) active_ms: u64,
    /// When its timer is due, `u64::MAX` where there is none.
    pub(crate) armed_ms: u64,
    pub(crate) opened_ms: u64,
    pub(crate) requests: u32,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) watched: Option<Interest>,
    pub(crate) flags: Flags,
    pub(crate) seat: Seat,
}

/// What is so, or not, of a connection.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// No more input will come.
    pub(crate) is_at_end: bool,
    /// The last flush found the socket full.
    pub(crate) is_sink_full: bool,
    /// The last flush found the pipe empty.
    pub(crate) is_source_empty: bool,
    /// Output passed the high mark and has not come below the low one.
    pub(crate) is_choked: bool,
    /// The inbox holds what could not be taken yet, not merely an unfinished line.
    pub(crate) is_stalled: bool,
    /// It is in the list of those touched in this turn.
    pub(crate) is_touched: bool,
    /// A flush stopped because its budget was used up.
    pub(crate) is_cut_short: bool,
    /// The room was asked for a name.
    pub(crate) is_known_to_room: bool,
    /// The server stops: the connection ends with the reply in progress.
    pub(crate) is_last_reply: bool,
}

impl Connection {
    /// A connection that has just arrived.
    pub(crate) fn new(id: PeerId, arrival: Arrival, settings: &Settings, now_ms: u64) -> Self {
        let Arrival { socket, peer, uid, speech, refusal: _, seat } = arrival;
        let session = Session::new(speech, permit(peer, uid, settings));
        Self {
            id,
            socket,
            peer,
            uid,
            framer: Framer::new(session.framing()),
            session,
            inbox: Vec::new(),
            output: OutQueue::default(),
            held: None,
            task: None,
            fate: None,
            linger_until_ms: None,
            active_ms: now_ms,
            armed_ms: u64::MAX,
            opened_ms: now_ms,
            requests: 0,
            bytes_in: 0,
            bytes_out: 0,
            watched: None,
            flags: Flags::default(),
            seat,
        }
    }

    /// The configuration was read again.
    pub(crate) fn on_settings(&mut self, settings: &Settings) {
        self.session.set_permit(permit(self.peer, self.uid, settings));
    }

    /// Where the peer is, for rules.
    pub(crate) fn origin(peer: Peer, uid: Option<u32>) -> Origin {
        let address = match peer {
            Peer::Inet(address) => Some(address.ip()),
            Peer::Unix => None,
        };
        Origin { address, uid }
    }

    /// Whether the next message would be taken now.
    pub(crate) fn takes_frames(&self) -> bool {
        self.fate.is_none() && !self.flags.is_choked && self.session.takes_frames()
    }

    /// Whether there is something to take that needs no event to come.
    pub(crate) fn can_pump(&self) -> bool {
        let is_waiting = self.session.has_waiting() && self.fate.is_none() && !self.flags.is_choked;
        is_waiting || (self.flags.is_stalled && self.takes_frames())
    }

    /// Keeps the mark that output is over or below its limits.
    pub(crate) fn note_output(&mut self) {
        let bytes = self.output.memory_bytes();
        let limit = if self.flags.is_choked { OUTPUT_BYTES_LOW } else { OUTPUT_BYTES_HIGH };
        self.flags.is_choked = bytes > limit;
    }

    /// What to wait for on the socket. Always registered, since a peer that is gone is to be noticed.
    pub(crate) fn interest(&self) -> Interest {
        let is_lingering = self.linger_until_ms.is_some();
        let takes_input = self.takes_frames() && !self.flags.is_stalled;
        let mut interest = Interest::NONE;
        if !self.flags.is_at_end && (is_lingering || takes_input) {
            interest = interest | Interest::READ;
        }
        if self.flags.is_sink_full {
            interest = interest | Interest::WRITE;
        }
        interest
    }

    /// When something is to be done about this peer though nothing happens, in milliseconds.
    pub(crate) fn deadline_ms(&self, limits: &Limits) -> u64 {
        if let Some(until_ms) = self.linger_until_ms {
            return until_ms;
        }
        match (&self.fate, &self.task) {
            (Some(Fate::Dismiss(_, until_ms)), _) => *until_ms,
            (Some(_), _) => u64::MAX,
            (None, Some(Task::Command(command))) => command.deadline_ms(),
            (None, Some(_)) => u64::MAX,
            (None, None) if self.is_undecided() => self.active_ms + BARE_DECIDE_MS,
            (None, None) if self.is_idle() => self.active_ms.saturating_add(limits.idle_timeout_ms),
            (None, None) => u64::MAX,
        }
    }

    /// Whether bytes have come and it is not known whether a newline will.
    pub(crate) fn is_undecided(&self) -> bool {
        self.framer.framing() == Framing::Undecided && !self.inbox.is_empty()
    }

    /// Whether nothing is in progress for this peer and it is not there to receive messages.
    pub(crate) fn is_idle(&self) -> bool {
        !self.session.is_named() && self.task.is_none() && self.output.is_empty()
    }

    /// Bytes of messages the peer has not taken.
    pub(crate) fn backlog_bytes(&self) -> usize {
        let held = self.held.iter().flat_map(|held| held.iter());
        self.output.message_bytes() + held.map(Shared::len).sum::<usize>()
    }

    pub(crate) fn check(&self) {
        let is_over = self.fate.is_some();
        debug_assert!(is_over || self.task.is_some() == self.session.is_busy(), "invariant 1");
        let is_replying = self.session.is_busy() && !self.session.is_framed();
        debug_assert!(self.held.is_none() || is_replying || is_over, "invariant 2");
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn permit(peer: Peer, uid: Option<u32>, settings: &Settings) -> Permit {
    match settings.commands {
        Commands::Off => Permit::Off,
        _ if allows(&settings.allow_run, &Connection::origin(peer, uid)) => Permit::Granted,
        _ => Permit::Denied,
    }
}
