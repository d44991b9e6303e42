//! Reading of a telnet client: its commands are taken out of what came before that is cut into
//! lines; and an interrupt ends what is in progress.
//!
//! All of it is beside the way of other clients, of whom only the beginning is looked at: of a
//! connection, of a line, and of what first comes while a command of theirs is in progress.

use super::connection::{Connection, Task};
use super::desk::Desk;
use crate::protocol::limits::TELNET_AHEAD_BYTES_MAX;
use crate::protocol::line::Framing;
use crate::protocol::session::{Start, Terms};
use crate::protocol::telnet::{self, Cleaned, INTERRUPT, Stop};
use crate::sys::fd::AsFd;
use crate::sys::socket;

/// How often the search for commands goes on, in one turn, behind an interrupt or a payload.
const STOPS_PER_TURN: usize = 16;

impl Connection {
    /// The first bytes of the connection: whether they can be taken as they are.
    pub(super) fn start(&mut self, desk: &mut Desk, shown: &[u8], terms: &Terms<'_>) -> bool {
        let is_final = self.presence.is_at_end() || self.framer.framing() == Framing::Bare;
        self.flags.is_stalled = false;
        match self.session.on_start(shown, is_final) {
            Start::Go => return true,
            Start::Wait | Start::Telnet => {}
            Start::Away(effect) => self.act(desk, effect, terms),
        }
        false
    }

    /// Whether this line, or what there is of it, makes the client one of telnet.
    pub(super) fn turns_telnet(&mut self, line: &[u8]) -> bool {
        let is_so = line.first() == INTERRUPT.first()
            && line.starts_with(INTERRUPT)
            && self.session.may_become_telnet()
            && !self.framer.is_discarding();
        if is_so {
            self.session.become_telnet();
        }
        is_so
    }

    /// Takes in what came of a telnet client.
    pub(super) fn take_in_telnet(&mut self, desk: &mut Desk, fresh: &[u8]) {
        let mut inbox = std::mem::take(&mut self.inbox);
        inbox.extend_from_slice(fresh);
        let is_cut_short = (0..STOPS_PER_TURN).all(|_| self.take_some(desk, &mut inbox));
        // An idle peer owns no buffer.
        self.inbox = if inbox.is_empty() { Vec::new() } else { inbox };
        if is_cut_short {
            self.flags.is_stalled = true;
        } else if !self.session.is_telnet() {
            self.take_in(desk, &[]);
        }
    }

    /// Takes in what comes before the next stop; whether there may be more to take behind it.
    fn take_some(&mut self, desk: &mut Desk, inbox: &mut Vec<u8>) -> bool {
        let Cleaned { end, replies, stop } = self.clean(inbox);
        self.output.push(replies);
        let used = self.pump(desk, &inbox[..end], end == inbox.len());
        inbox.drain(..used);
        if stop == Stop::Interrupt {
            self.interrupt(desk);
        }
        let goes_on = stop == Stop::Interrupt || (stop == Stop::LastLine && used == end);
        goes_on && self.fate.is_none() && self.session.is_telnet() && !inbox.is_empty()
    }

    fn clean(&mut self, inbox: &mut Vec<u8>) -> Cleaned {
        self.framer.begin_anew();
        if !self.framer.is_in_payload() {
            return telnet::clean(inbox, self.presence.is_at_end());
        }
        let payload = usize::try_from(self.framer.payload_bytes()).unwrap_or(usize::MAX);
        let end = payload.min(inbox.len());
        Cleaned { end, stop: Stop::LastLine, replies: Vec::new() }
    }

    /// Ends the request in progress.
    fn interrupt(&mut self, desk: &mut Desk) {
        if self.session.is_busy() {
            if let Some(Task::Download(_)) = self.task.as_deref() {
                self.output.cut_file();
            }
            self.cancel(desk);
        }
    }

    /// Whether the socket is read though a request is in progress. A Unix socket keeps a byte then
    /// (`closing`), and no telnet client comes by one.
    pub(super) fn hears_interrupts(&self) -> bool {
        self.session.is_telnet()
            && self.task.is_some()
            && self.is_served()
            && self.host().is_some()
            && !self.flags.is_choked
            && !self.framer.is_in_payload()
            && self.inbox.len() < TELNET_AHEAD_BYTES_MAX
    }

    /// Whether what came of a client that is not read, because its command is in progress, begins
    /// with an interrupt.
    pub(crate) fn is_interrupted(&mut self) -> bool {
        if !self.may_be_interrupted() {
            return false;
        }
        let mut first = [0; INTERRUPT.len()];
        let is_so = socket::peek(self.socket.as_fd(), &mut first).is_ok() && first == *INTERRUPT;
        if is_so && self.is_at_line_start() {
            self.session.become_telnet();
        }
        self.session.is_telnet()
    }

    /// What waits behind a command that was just begun may hold an interrupt for it.
    pub(super) fn look_for_interrupt(&mut self, rest: &[u8]) {
        if rest.len() <= TELNET_AHEAD_BYTES_MAX
            && self.may_be_interrupted()
            && telnet::has_interrupted_line(rest)
        {
            self.session.become_telnet();
        }
    }

    /// Whether a command is in progress that an interrupt would end, and none has come before.
    fn may_be_interrupted(&self) -> bool {
        matches!(self.task.as_deref(), Some(Task::Starting(_) | Task::Command(_)))
            && self.session.may_become_telnet()
            && self.is_served()
            && self.host().is_some()
    }

    /// Whether what comes next begins a line, as far as what waits shows.
    fn is_at_line_start(&self) -> bool {
        let is_payload = || {
            let cleaned = telnet::clean(&mut self.inbox.clone(), false);
            cleaned.stop == Stop::LastLine || self.framer.is_in_payload()
        };
        self.inbox.is_empty() || (self.inbox.ends_with(b"\n") && !is_payload())
    }
}
