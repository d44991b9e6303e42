//! The end of a peer's turn: what is queued is sent, and then, and only then, it is decided what to
//! wait for, and whether the connection ends.
//!
//! What it does not do: read, or free the peer; the worker does that with what is told here.

use std::io;

use super::connection::{Connection, Fate, Task, Why};
use super::desk::Desk;
use super::download::truncated;
use super::drive::cancelled;
use super::intake::Intake;
use super::log::{Field, Level};
use crate::protocol::effect::Outcome;
use crate::protocol::refusal::{Code, Refusal};
use crate::reactor::token::{Facet, Token};
use crate::sys::epoll::Interest;
use crate::sys::fd::AsFd;
use crate::sys::socket;
use crate::transfer::outqueue::Flush;
use crate::transfer::sink::{SendError, SocketSink};

impl Connection {
    /// Sends what can be sent now.
    pub(crate) fn flush(&mut self, desk: &mut Desk, scratch: &mut [u8]) {
        self.flags.is_cut_short = false;
        self.look_at_intake(desk);
        self.send_queued(desk, scratch);
        if self.presence.gone().is_some() {
            self.work_off(desk);
        }
    }

    /// A command whose input was lost on its way is ended: its reply is not to look whole.
    fn look_at_intake(&mut self, desk: &mut Desk) {
        if let Some(Task::Command(command)) = self.task.as_deref_mut()
            && let Some(error) = command.intake().and_then(Intake::take_failure)
        {
            let fields: [Field<'_>; 2] = [("peer", &self.peer), ("why", &error)];
            desk.common.log.say(Level::Error, "a command's input could not be passed on", &fields);
            let text = "the command's input could not be passed on";
            command.stop(desk, Refusal::new(Code::Internal, text));
        }
    }

    fn send_queued(&mut self, desk: &mut Desk, scratch: &mut [u8]) {
        let end = self.bytes_out + desk.turn_bytes();
        while !self.flags.is_sink_full && self.wants_flush() {
            self.advance_task(desk);
            if self.output.is_empty() {
                if self.pass_on(desk, scratch, end) {
                    continue;
                }
                return;
            }
            match self.flush_once(desk, end.saturating_sub(self.bytes_out)) {
                Ok(Flush::Drained) => {}
                Ok(Flush::SinkFull) => self.flags.is_sink_full = true,
                Ok(Flush::SourceEmpty) => self.on_source_empty(desk),
                Ok(Flush::Budget) => {
                    self.flags.is_cut_short = true;
                    return;
                }
                Ok(Flush::SourceEnded { missing }) => {
                    self.cut_file(missing, truncated(), Why::Truncated);
                }
                Err(SendError::Source(error)) => self.on_unreadable(desk, &error),
                Err(SendError::Peer(error)) => self.on_socket_error(&error),
            }
        }
    }

    /// Sends what one read of a command's pipes gives, up to `end` of all that this peer is sent.
    /// False where nothing is to be sent now.
    fn pass_on(&mut self, desk: &Desk, scratch: &mut [u8], end: u64) -> bool {
        let Some(Task::Command(command)) = self.task.as_deref_mut() else { return false };
        if !command.has_output() {
            return false;
        }
        if self.bytes_out >= end {
            self.flags.is_cut_short = true;
            return false;
        }
        match command.read(scratch) {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => {
                let sent = self.try_send(desk, &bytes);
                self.output.push_copy(&bytes[sent..]);
                if sent > 0 {
                    self.active_ms = desk.now_ms;
                }
            }
            Err(_) => self.fail(),
        }
        true
    }

    /// A timer came up. One that this peer no longer waits for says nothing.
    pub(crate) fn on_timer(&mut self, desk: &mut Desk, due_ms: u64) {
        if self.armed_ms == due_ms {
            self.armed_ms = u64::MAX;
            if self.stall_deadline_ms(&desk.seen.settings.limits) <= desk.now_ms {
                self.on_stall_deadline(desk);
            }
            if self.own_deadline_ms(&desk.seen.settings.limits) <= desk.now_ms {
                self.on_deadline(desk);
            }
        }
    }

    /// Looks whether the peer took some of its output. One that did not for too long is cut off: it
    /// is not to take what it got for whole.
    fn on_stall_deadline(&mut self, desk: &Desk) {
        let unsent = socket::unsent_bytes(self.socket.as_fd()).ok();
        let timeout_ms = desk.seen.settings.limits.send_timeout_ms;
        let Some(stall) = self.output.stall_mut() else { return };
        let is_over = matches!(self.fate, Some(Fate::Gone(_) | Fate::Reset(_)));
        if stall.on_look(desk.now_ms, timeout_ms, unsent) && !is_over {
            self.fate = Some(Fate::Reset(Why::Told(Code::Timeout)));
        }
    }

    /// Looks at what is due, though nothing happened.
    fn on_deadline(&mut self, desk: &mut Desk) {
        if self.is_undecided() {
            self.framer.decide_bare();
            return self.take_in(desk, &[]);
        }
        if let Some(Task::Command(command)) = self.task.as_deref_mut() {
            command.on_deadline(desk);
        } else if let Some(Task::Upload(upload)) = self.task.as_deref_mut() {
            upload
                .stop(Refusal::new(Code::Timeout, "no bytes came for too long: nothing is stored"));
            // Its outcome may wait, for a disk or for the socket: what was done is not due again.
            self.active_ms = desk.now_ms;
        } else if matches!(self.fate, Some(Fate::Finish(_))) {
            // It said goodbye, and what it asked for does not come to an end.
            self.fate = Some(Fate::Reset(Why::Told(Code::Timeout)));
        } else if self.fate.is_none() && (self.is_idle() || self.is_scrape()) {
            let text = "no request came for too long";
            self.dismiss(desk, &Refusal::new(Code::Timeout, text));
        }
    }

    /// Acts on the fate, and waits for what is next. Why the connection is to be closed now, if it
    /// is.
    pub(crate) fn settle(&mut self, desk: &mut Desk) -> Option<Why> {
        self.note_output();
        self.output.note_stall(self.flags.is_sink_full, desk.now_ms, self.bytes_out);
        self.check();
        if let Some(why) = self.settle_fate(desk) {
            return Some(why);
        }
        if self.watch(desk).is_err() {
            self.fail();
            return Some(Why::Internal);
        }
        self.arm(desk);
        self.output.release();
        if self.flags.is_cut_short || self.can_pump() {
            desk.again.push(self.id);
        }
        None
    }

    fn wants_flush(&self) -> bool {
        let is_over = matches!(self.fate, Some(Fate::Gone(_) | Fate::Reset(_)));
        let is_warming = matches!(self.task.as_deref(), Some(Task::Download(d)) if d.is_warming());
        !is_over && !is_warming && !self.is_lingering() && self.presence.gone().is_none()
    }

    /// Has a task queue what comes next, or say how it came out.
    fn advance_task(&mut self, desk: &mut Desk) {
        let outcome = match self.task.as_deref_mut() {
            Some(Task::Download(download)) => {
                download.refill(&mut self.output);
                download.outcome(&self.output)
            }
            Some(Task::Command(command)) => command.outcome(&mut self.output),
            Some(Task::Upload(upload)) => upload.outcome(),
            Some(Task::List(list)) => {
                list.refill(&mut self.output);
                list.outcome()
            }
            Some(Task::Cancelled) => Some(Outcome::Refused(cancelled())),
            Some(Task::Awaited(_) | Task::Starting(_)) | None => None,
        };
        if let Some(outcome) = outcome {
            self.on_outcome(desk, outcome);
        }
    }

    fn flush_once(&mut self, desk: &Desk, budget: u64) -> Result<Flush, SendError> {
        let socket = self.socket.as_fd();
        let mut sink = match self.task.as_deref() {
            Some(Task::Download(download)) => download.sink(socket),
            _ => SocketSink::new(socket, None),
        };
        let flushed = self.output.flush(&mut sink, budget);
        let (sent, warm_to) = (sink.sent(), sink.warm_to());
        if let Some(Task::Download(download)) = self.task.as_deref_mut() {
            download.on_looked(warm_to);
        }
        if sent > 0 {
            self.active_ms = desk.now_ms;
            self.count_sent(desk, sent);
        }
        flushed
    }

    fn on_source_empty(&mut self, desk: &Desk) {
        let Some(Task::Download(download)) = self.task.as_deref_mut() else { return };
        if let Some(offset) = self.output.file_offset() {
            download.warm(desk, self.id, offset);
        }
    }

    /// The file that is sent cannot be read.
    fn on_unreadable(&mut self, desk: &Desk, error: &io::Error) {
        let fields: [Field<'_>; 2] = [("peer", &self.peer), ("why", error)];
        desk.common.log.say(Level::Error, "a file could not be read", &fields);
        let missing = self.output.drop_file();
        let refusal = Refusal::new(Code::Internal, "the file could not be read to its end");
        self.cut_file(missing, refusal, Why::Unreadable);
    }

    /// `missing` promised bytes of a file do not come. Framed, the request fails; a plain reply is
    /// cut.
    fn cut_file(&mut self, missing: u64, refusal: Refusal, why: Why) {
        match self.task.as_deref_mut() {
            Some(Task::Download(download)) if self.session.is_framed() => {
                download.make_up(missing, refusal, &mut self.output);
            }
            _ => self.fate = Some(Fate::Reset(why)),
        }
    }

    /// Input came that is not to be read now: it is not told of again until it is.
    pub(crate) fn look_away(&mut self, desk: &Desk) {
        let wanted = self.presence.gone().is_none().then(|| self.interest_in_output());
        if self.watch_socket(desk, wanted).is_err() {
            self.fail();
        }
    }

    /// The server itself cannot go on with this connection: it is cut.
    pub(crate) fn fail(&mut self) {
        self.fate = Some(Fate::Reset(Why::Internal));
    }

    fn watch_socket(&mut self, desk: &Desk, wanted: Option<Interest>) -> io::Result<()> {
        desk.watch(self.id, Facet::Socket, self.socket.as_fd(), self.watched, wanted)?;
        self.watched = wanted;
        Ok(())
    }

    fn watch(&mut self, desk: &Desk) -> io::Result<()> {
        self.watch_socket(desk, self.interest())?;
        if let Some(Task::Command(command)) = self.task.as_deref_mut() {
            command.watch(desk, self.id, &self.flags)?;
        }
        Ok(())
    }

    fn arm(&mut self, desk: &mut Desk) {
        let deadline_ms = self.deadline_ms(&desk.seen.settings.limits);
        if deadline_ms < self.armed_ms {
            desk.timers.push(deadline_ms, Token::Peer(self.id, Facet::Socket).pack());
            self.armed_ms = deadline_ms;
        }
    }
}
