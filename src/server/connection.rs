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

use std::io;
use std::sync::Arc;

use super::closing::Presence;
use super::command::Command;
use super::config::{Limits, Settings};
use super::desk::Desk;
use super::download::Download;
use super::listener::detect_dead_peers;
use super::lists::ListReply;
use super::mail::{Arrival, Seat};
use super::published::Seen;
use super::start::Starting;
use super::upload::Upload;
use crate::protocol::limits::{BARE_DECIDE_MS, OUTPUT_BYTES_HIGH, OUTPUT_BYTES_LOW};
use crate::protocol::line::{Framer, Framing};
use crate::protocol::refusal::Code;
use crate::protocol::session::{Permit, Session};
use crate::protocol::speech::{Service, Speech};
use crate::reactor::offload::Ticket;
use crate::reactor::slab::Slab;
use crate::reactor::token::PeerId;
use crate::service::policy::{Commands, Origin, allows};
use crate::sys::epoll::Interest;
use crate::sys::fd::{AsFd, BorrowedFd, OwnedFd};
use crate::sys::socket::{self, Peer};
use crate::transfer::outqueue::OutQueue;
use crate::transfer::segment::{SEGMENT_BYTES, Shared};

/// What the session awaits.
#[derive(Debug)]
pub(crate) enum Task {
    /// Word from another thread: with a ticket, what a look at the shelf finds; without, the room's
    /// answer.
    Awaited(Option<Ticket>),
    /// Nothing any more: the request was cancelled.
    Cancelled,
    /// A listing is being sent.
    List(ListReply),
    /// A file is being sent.
    Download(Download),
    /// A command is being started.
    Starting(Starting),
    /// A command runs.
    Command(Command),
    /// A file is being stored.
    Upload(Upload),
}

/// Why and how a connection ends. It may be set anywhere; it is acted on in `settle` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Send what there is, then close so that it arrives.
    Finish(Why),
    /// As `Finish`, but by the server's own will: what is not taken by then is not waited for.
    Dismiss(Why, u64),
    /// All was sent and the sending side is shut: input is read and dropped until it ends, or until
    /// then.
    Linger(Why, u64),
    /// Reset it, so that the peer does not take what was sent for whole.
    Reset(Why),
    /// The peer is gone, and nothing is left to be done for it.
    Gone(Why),
}

/// Why a connection ended, as the log tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The peer shut its sending side and has all its replies.
    EndOfInput,
    /// The peer said so, or was answered in a way that ends the connection.
    Done,
    /// The peer is gone.
    Gone,
    /// The same, by a reset: what it sent last may be lost.
    Reset,
    /// A file became shorter while it was sent.
    Truncated,
    /// A file could not be read to its end.
    Unreadable,
    /// The server ended it.
    Told(Code),
    /// A failure of the server's own.
    Internal,
}

impl Why {
    /// Why a socket failed: ETIMEDOUT says that the peer took nothing, or answered no probe.
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::Told(Code::Timeout),
            io::ErrorKind::ConnectionReset => Self::Reset,
            _ => Self::Gone,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::EndOfInput => "end of input",
            Self::Done => "done",
            Self::Gone | Self::Reset => "gone",
            Self::Truncated => "truncated",
            Self::Unreadable => "read error",
            Self::Told(code) => code.as_str(),
            Self::Internal => "internal",
        }
    }
}

/// Messages that wait, in order.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) messages: Vec<Shared>,
    /// What they cost, in bytes.
    bytes: usize,
}

impl Held {
    pub(crate) fn push(&mut self, messages: Shared) {
        self.bytes += messages.len();
        if !self.messages.last_mut().is_some_and(|last| last.take_in(&messages)) {
            self.bytes += SEGMENT_BYTES;
            self.messages.push(messages.lean());
        }
    }
}

/// One peer.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: PeerId,
    pub(crate) socket: OwnedFd,
    pub(crate) peer: Peer,
    pub(crate) session: Session,
    pub(crate) framer: Framer,
    /// Bytes that came and were not yet taken: an unfinished line, or lines that have to wait.
    pub(crate) inbox: Vec<u8>,
    pub(crate) output: OutQueue,
    /// Messages that wait for a plain reply to end.
    pub(crate) held: Option<Box<Held>>,
    pub(crate) task: Option<Box<Task>>,
    pub(crate) fate: Option<Fate>,
    /// When it last did something that counts against idling, or took output; for a connection
    /// that may be bare, when its first byte came.
    pub(crate) active_ms: u64,
    /// When its timer is due, `u64::MAX` where there is none.
    pub(crate) armed_ms: u64,
    pub(crate) opened_s: u32,
    pub(crate) requests: u32,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) watched: Option<Interest>,
    pub(crate) presence: Presence,
    pub(crate) flags: Flags,
    /// Its place among the connections there may be, held for as long as it is there.
    pub(crate) seat: Seat,
}

/// What is so, or not, of a connection.
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// One byte that was taken is still in the socket (`closing`).
    pub(crate) is_byte_kept: bool,
    /// The last flush found the socket full.
    pub(crate) is_sink_full: bool,
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
    /// It came to a listener that serves clients without newlines too.
    pub(crate) may_be_bare: bool,
    /// By which settings it goes (`Seen::mark`).
    settings_seen: u8,
}

impl Connection {
    /// A connection that has just arrived.
    pub(crate) fn new(id: PeerId, arrival: Arrival, seen: &Seen, now_ms: u64) -> Self {
        let Arrival { socket, peer, uid, speech, refusal: _, seat } = arrival;
        let session = Session::new(speech, permit(peer, uid, &seen.settings));
        let flags =
            Flags { may_be_bare: speech.bare, settings_seen: seen.mark(), ..Flags::default() };
        Self {
            id,
            socket,
            peer,
            framer: Framer::new(session.framing()),
            session,
            inbox: Vec::new(),
            output: OutQueue::default(),
            held: None,
            task: None,
            fate: None,
            active_ms: now_ms,
            armed_ms: u64::MAX,
            opened_s: u32::try_from(now_ms / 1000).unwrap_or(u32::MAX),
            requests: 0,
            bytes_in: 0,
            bytes_out: 0,
            watched: None,
            presence: Presence::Open,
            flags,
            seat,
        }
    }

    /// What its listener speaks, as the log says it.
    pub(crate) fn speech(&self) -> Speech {
        Speech { service: self.session.service(), bare: self.flags.may_be_bare }
    }

    /// Goes by the settings that the worker saw last.
    #[inline]
    pub(crate) fn look_at_settings(&mut self, desk: &Desk) {
        let mark = desk.seen.mark();
        if mark != std::mem::replace(&mut self.flags.settings_seen, mark) {
            self.on_settings(&desk.seen.settings);
        }
    }

    /// The configuration was read again.
    #[cold]
    fn on_settings(&mut self, settings: &Settings) {
        let uid = socket::peer_uid(self.socket.as_fd()).ok();
        self.session.set_permit(permit(self.peer, uid, settings));
        if let Peer::Inet(_) = self.peer {
            // Where this fails, the peer is gone already.
            let _ = detect_dead_peers(self.socket.as_fd(), settings.limits.send_timeout_ms);
        }
    }

    /// Where the peer is, for rules.
    pub(crate) fn origin(peer: Peer, uid: Option<u32>) -> Origin {
        let address = match peer {
            Peer::Inet(address) => Some(address.ip()),
            Peer::Unix => None,
        };
        Origin { address, uid }
    }

    /// Whether more of the input would be taken now: a message, or a piece of payload.
    pub(crate) fn takes_input(&self) -> bool {
        let is_open = self.fate.is_none() && !self.flags.is_choked;
        is_open
            && if self.framer.is_in_payload() {
                self.session.takes_payload() && !self.is_fed_up()
            } else {
                self.session.takes_frames()
            }
    }

    /// Whether the request in progress has more input than it takes.
    fn is_fed_up(&self) -> bool {
        match self.task.as_deref() {
            Some(Task::Starting(starting)) => starting.is_fed_up(),
            Some(Task::Command(command)) => command.is_fed_up(),
            Some(Task::Upload(upload)) => upload.is_full(),
            Some(Task::Awaited(_) | Task::Cancelled | Task::Download(_) | Task::List(_)) | None => {
                false
            }
        }
    }

    /// Whether there is something to take that needs no event to come.
    pub(crate) fn can_pump(&self) -> bool {
        let is_waiting = self.session.has_waiting() && self.fate.is_none() && !self.flags.is_choked;
        // The end of input is seen once; a framed peer may have been busy then.
        let is_ended = self.presence.is_at_end() && !self.session.is_busy();
        is_waiting
            || ((self.flags.is_stalled || is_ended) && self.takes_input())
            || (self.presence.is_leaving() && self.wants_input())
    }

    /// Keeps the mark that output is over or below its limits.
    pub(crate) fn note_output(&mut self) {
        let bytes = self.output.memory_cost();
        let limit = if self.flags.is_choked { OUTPUT_BYTES_LOW } else { OUTPUT_BYTES_HIGH };
        self.flags.is_choked = bytes > limit;
    }

    /// Whether the socket is to be read.
    pub(crate) fn wants_input(&self) -> bool {
        let takes_input = self.takes_input() && !self.flags.is_stalled && !self.flags.is_byte_kept;
        !self.presence.is_at_end()
            && (self.is_lingering() || takes_input || self.hears_interrupts())
    }

    /// What to wait for on the socket. It stays registered until the peer is gone, which is to be
    /// noticed, and would then be reported for ever.
    pub(crate) fn interest(&self) -> Option<Interest> {
        if self.presence.gone().is_some() {
            return None;
        }
        // Most say nothing while they wait for an answer: those who do are looked away from then.
        let is_watched = self.watched.is_some_and(|watched| watched.contains(Interest::READ));
        let is_looked_away = self.presence.is_at_end() || self.flags.is_byte_kept;
        if self.wants_input() || (is_watched && !is_looked_away) {
            Some(self.interest_in_output() | Interest::READ)
        } else {
            Some(self.interest_in_output())
        }
    }

    /// The same, whatever comes.
    pub(crate) fn interest_in_output(&self) -> Interest {
        if self.flags.is_sink_full { Interest::WRITE } else { Interest::NONE }
    }

    /// When something is to be done about this peer though nothing happens, in milliseconds.
    pub(crate) fn deadline_ms(&self, limits: &Limits) -> u64 {
        self.stall_deadline_ms(limits).min(self.own_deadline_ms(limits))
    }

    /// When to look whether the peer takes its output.
    pub(crate) fn stall_deadline_ms(&self, limits: &Limits) -> u64 {
        self.output.stall().map_or(u64::MAX, |stall| stall.due_ms(limits.send_timeout_ms))
    }

    /// When what it does is to come to an end.
    #[inline]
    pub(crate) fn own_deadline_ms(&self, limits: &Limits) -> u64 {
        match (&self.fate, self.task.as_deref()) {
            (None | Some(Fate::Finish(_)), _) if self.is_scrape() => {
                self.scrape_deadline_ms(limits)
            }
            (Some(Fate::Dismiss(_, until_ms) | Fate::Linger(_, until_ms)), _) => *until_ms,
            // What a thread has in hand comes to its end first.
            (None, Some(Task::Upload(upload))) if upload.is_stopped() => u64::MAX,
            (Some(Fate::Finish(_)), _) | (None, Some(Task::Upload(_))) => {
                self.active_ms.saturating_add(limits.idle_timeout_ms)
            }
            (None, Some(Task::Command(command))) => command.deadline_ms(),
            (None, None) if self.is_undecided() => self.active_ms + BARE_DECIDE_MS,
            (None, None) if self.is_idle() => self.active_ms.saturating_add(limits.idle_timeout_ms),
            _ => u64::MAX,
        }
    }

    /// Whether it came for metrics.
    pub(crate) fn is_scrape(&self) -> bool {
        self.session.service() == Service::Metrics
    }

    /// When a request for metrics has to be over, answered and taken, however it comes. The clock
    /// of connections knows seconds alone: they are rounded up.
    fn scrape_deadline_ms(&self, limits: &Limits) -> u64 {
        (u64::from(self.opened_s) + 1) * 1000 + SCRAPE_MS_MAX.min(limits.idle_timeout_ms)
    }

    /// Whether bytes have come and it is not known whether a newline will.
    pub(crate) fn is_undecided(&self) -> bool {
        let has_begun = !self.inbox.is_empty() || self.framer.is_discarding();
        self.framer.framing() == Framing::Undecided && has_begun
    }

    /// Whether only the end of the peer's input is waited for.
    pub(crate) fn is_lingering(&self) -> bool {
        matches!(self.fate, Some(Fate::Linger(..)))
    }

    /// Whether nothing is in progress for this peer and it is not there to receive messages.
    pub(crate) fn is_idle(&self) -> bool {
        !self.session.is_named() && self.task.is_none() && self.output.is_empty()
    }

    /// Whether a reply is in progress that a message must not stand in: a plain one, or a frame
    /// that is sent in pieces. The answer to a message is one piece.
    pub(crate) fn is_replying(&self) -> bool {
        let is_plain = self.session.is_busy() && !self.session.is_framed();
        (is_plain && !self.session.is_sending()) || self.is_listing()
    }

    /// Whether a listing is being sent, of which the end is not queued yet.
    pub(crate) fn is_listing(&self) -> bool {
        matches!(self.task.as_deref(), Some(Task::List(_)))
    }

    /// Queues a frame that belongs to no request, behind the one that is being sent in pieces.
    pub(crate) fn push_event(&mut self, frame: Vec<u8>) {
        if self.is_listing() {
            let held = self.held.get_or_insert_default();
            let end = frame.len();
            held.bytes += end;
            held.messages.push(Shared { block: Arc::new(frame), start: 0, end });
        } else {
            self.output.push(frame);
        }
    }

    /// What the messages cost that the peer has not taken, in bytes.
    pub(crate) fn backlog_bytes(&self) -> usize {
        self.output.message_cost() + self.held.as_ref().map_or(0, |held| held.bytes)
    }

    pub(crate) fn check(&self) {
        let is_over = self.fate.is_some();
        debug_assert!(is_over || self.task.is_some() == self.session.is_busy(), "invariant 1");
        debug_assert!(self.held.is_none() || self.is_replying() || is_over, "invariant 2");
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
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

/// Longest time for a request for metrics, in milliseconds, where `--idle-timeout` is no shorter.
const SCRAPE_MS_MAX: u64 = 10_000;

/// Bytes of user memory an idle peer may cost: its slot in the slab, its timer, and nothing else.
const IDLE_BYTES_MAX: usize = 256;
/// Those of its timer, and what the slab and the heap of timers keep in hand for more.
const IDLE_EXTRA_BYTES: usize = 32;

const _: () = assert!(Slab::<Connection>::SLOT_BYTES + IDLE_EXTRA_BYTES <= IDLE_BYTES_MAX);
