//! Reading: from the socket into the worker's scratch buffer, and from there, message by message,
//! to the session.
//!
//! What it does not do: keep what was taken. Whole messages are slices of the scratch buffer; only
//! an unfinished tail, or messages that must wait, are copied and kept.

use std::io;
use std::sync::Arc;

use super::connection::{Connection, Fate, Task, Why};
use super::desk::Desk;
use crate::protocol::effect::Effect;
use crate::protocol::line::{Cut, Frame, Framing};
use crate::protocol::reply;
use crate::protocol::session::Terms;
use crate::sys::fd::AsFd;
use crate::sys::socket;

/// Messages, or pieces that are dropped, that one peer may have taken in one turn.
const CUTS_PER_TURN: usize = 512;
/// How much memory for frames a worker keeps, in bytes.
const DRAFT_BYTES_KEPT: usize = 256 * 1024;

impl Connection {
    /// The socket has something to read.
    #[inline]
    pub(crate) fn on_readable(&mut self, desk: &mut Desk, scratch: &mut [u8]) {
        let peeks = self.peeks(desk);
        let fd = self.socket.as_fd();
        // Two calls rather than one through a pointer: both are inlined.
        match if peeks { socket::peek(fd, scratch) } else { socket::receive(fd, scratch) } {
            Ok(0) => {
                self.presence.on_end();
                self.take_in(desk, &[]);
            }
            Ok(count) => {
                self.bytes_in += count as u64;
                desk.stats().bytes_in.add(count as u64);
                self.take_in(desk, &scratch[..count]);
                if peeks {
                    self.read_taken(count, scratch);
                }
            }
            // Nothing more can come of a peer that is gone.
            Err(_) if self.presence.is_leaving() => {
                self.presence.on_end();
                self.take_in(desk, &[]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.on_socket_error(&error),
        }
    }

    /// What was kept can go on: a reply ended, or there is room for output again.
    pub(crate) fn take_up(&mut self, desk: &mut Desk, scratch: &mut [u8]) {
        if self.presence.is_leaving() && self.wants_input() {
            self.on_readable(desk, scratch);
        } else {
            self.take_in(desk, &[]);
        }
    }

    /// Takes what it can of what was kept and of `fresh`, and keeps the rest.
    pub(super) fn take_in(&mut self, desk: &mut Desk, fresh: &[u8]) {
        if self.fate.is_some() {
            return;
        }
        desk.look_at_settings();
        self.look_at_settings(desk);
        if self.session.is_telnet() {
            return self.take_in_telnet(desk, fresh);
        }
        self.take_in_as_it_is(desk, fresh);
        if self.session.is_telnet() && self.fate.is_none() {
            // It is from here on.
            self.take_in_telnet(desk, &[]);
        }
    }

    fn take_in_as_it_is(&mut self, desk: &mut Desk, fresh: &[u8]) {
        if self.inbox.is_empty() {
            if self.framer.framing() == Framing::Undecided {
                self.active_ms = desk.now_ms;
            }
            let used = self.pump(desk, fresh, true);
            self.inbox = fresh[used..].to_vec();
            return;
        }
        let mut inbox = std::mem::take(&mut self.inbox);
        inbox.extend_from_slice(fresh);
        let used = self.pump(desk, &inbox, true);
        if used < inbox.len() {
            inbox.drain(..used);
            self.inbox = inbox;
        }
    }

    /// Takes messages out of `shown` for as long as the session takes them; says how far it came.
    /// `is_all` says that nothing that came is behind it.
    pub(super) fn pump(&mut self, desk: &mut Desk, shown: &[u8], is_all: bool) -> usize {
        let settings = Arc::clone(&desk.seen.settings);
        let terms = desk.terms(&settings);
        let mut echo = Echo::default();
        let mut draft = std::mem::take(&mut desk.draft);
        let (mut used, mut cuts) = (0, 0);
        let before = self.requests;
        let mut is_unfinished = false;
        let is_at_end = is_all && self.presence.is_at_end();
        let is_whole = is_at_end && !self.presence.is_torn();
        self.pump_kept(desk, &terms);
        if self.requests == 0 && self.session.is_at_start() && !self.start(desk, shown, &terms) {
            desk.draft = draft;
            return 0;
        }
        while self.takes_input() && cuts < CUTS_PER_TURN {
            // Only then may a message not be taken that was cut.
            let before = self.session.is_sending().then(|| self.framer.clone());
            let (cut_used, effect) =
                match self.framer.cut(&shown[used..], is_whole, terms.line_bytes_max) {
                    Cut::Frame { frame, .. } if self.turns_telnet(frame.whole) => break,
                    Cut::Frame { frame, used } => (used, self.on_frame(&frame, &terms)),
                    Cut::TooLong { used: n } => {
                        (n, self.on_too_long(&shown[used..used + n], &terms))
                    }
                    Cut::Dropped { used: n } => {
                        (n, self.session.on_dropped(&shown[used..used + n]))
                    }
                    Cut::Payload(piece) => (piece.len(), self.session.on_payload(piece)),
                    Cut::Unfinished => {
                        is_unfinished = true;
                        self.turns_telnet(&shown[used..]);
                        break;
                    }
                };
            if matches!(effect, Effect::Later) {
                self.framer = before.expect("a message is left only behind others on their way");
                break;
            }
            used += cut_used;
            cuts += 1;
            match effect {
                Effect::Echo(_) => echo.extend(used - cut_used, used),
                Effect::Frame(payload) => reply::done_into(&mut draft, payload),
                Effect::Nothing => {}
                other => {
                    // Of the two, one is empty: a peer is plain or framed.
                    self.send_now(desk, echo.take(shown));
                    self.send_now(desk, &draft);
                    draft.clear();
                    self.act(desk, other, &terms);
                }
            }
            self.note_output();
        }
        self.send_now(desk, echo.take(shown));
        self.send_now(desk, &draft);
        draft.clear();
        if draft.capacity() <= DRAFT_BYTES_KEPT {
            desk.draft = draft;
        }
        let has_more = used < shown.len() || is_at_end;
        self.flags.is_stalled = has_more && !is_unfinished;
        if self.flags.is_stalled {
            self.look_for_interrupt(&shown[used..]);
        }
        self.on_taken(desk, &terms, self.requests.wrapping_sub(before), is_at_end);
        self.place_order(desk);
        used
    }

    fn on_frame<'a>(&mut self, frame: &Frame<'a>, terms: &Terms<'_>) -> Effect<'a> {
        let payload_bytes = self.session.payload_bytes(frame);
        let is_request = !self.session.is_input(frame);
        let effect = self.session.on_frame(frame, terms);
        if !matches!(effect, Effect::Later) {
            self.requests = self.requests.wrapping_add(u32::from(is_request));
            self.framer.expect_payload(payload_bytes);
        }
        effect
    }

    fn on_too_long<'a>(&mut self, head: &[u8], terms: &Terms<'_>) -> Effect<'a> {
        let is_bare = self.framer.framing() == Framing::Bare;
        let effect = self.session.on_too_long(head, is_bare, terms);
        self.requests = self.requests.wrapping_add(u32::from(!matches!(effect, Effect::Later)));
        effect
    }

    /// Requests a framed peer sent while another was in progress have their turn.
    fn pump_kept(&mut self, desk: &mut Desk, terms: &Terms<'_>) {
        while self.fate.is_none()
            && !self.flags.is_choked
            && let Some(kept) = self.session.next_kept()
        {
            let effect = self.session.on_kept(&kept, terms);
            self.act(desk, effect, terms);
            if let Some(input) = kept.into_input() {
                self.feed_kept(desk, input);
            }
            self.note_output();
        }
    }

    /// So many messages were taken; what was merely dropped does not count against idling.
    fn on_taken(&mut self, desk: &mut Desk, terms: &Terms<'_>, messages: u32, is_at_end: bool) {
        if messages > 0 {
            self.active_ms = desk.now_ms;
            desk.stats().requests.add(u64::from(messages));
        }
        if is_at_end && !self.flags.is_stalled && self.session.is_busy() {
            if let Some(Task::Upload(upload)) = self.task.as_deref_mut()
                && self.presence.is_torn()
            {
                upload.on_torn();
            }
            let effect = self.session.on_input_end();
            self.act(desk, effect, terms);
        }
        let is_all_said = !self.flags.is_stalled && !self.session.is_busy();
        if is_at_end && is_all_said && !self.session.has_waiting() {
            self.session.on_end();
            self.fate = self.fate.or(Some(Fate::Finish(Why::EndOfInput)));
        }
    }
}

/// A run of lines that are sent back as they are: one piece, however many lines.
#[derive(Default)]
struct Echo {
    start: usize,
    end: usize,
}

impl Echo {
    fn extend(&mut self, start: usize, end: usize) {
        if self.end != start || self.start == self.end {
            self.start = start;
        }
        self.end = end;
    }

    fn take<'a>(&mut self, shown: &'a [u8]) -> &'a [u8] {
        let run = &shown[self.start..self.end];
        self.start = self.end;
        run
    }
}
