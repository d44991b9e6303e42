//! How a connection ends: orderly, or so that the peer sees that something is missing.
//!
//! A peer that is gone is told nothing more, but what it sent before is worked off: requests that
//! arrived whole are acted on, and their replies are dropped. Only what is of no use without a
//! reader, commands, downloads and listings, is ended.
//!
//! One question decides between an orderly end and a reset: is a reply unfinished (`is_cut`)? TCP
//! resets at our wish. A Unix socket resets only if we close it with unread input. So the last byte
//! of a plain request is left in the socket until the reply is over (`read_taken`).

use std::io;

use super::connection::{Connection, Fate, Task, Why};
use super::desk::Desk;
use super::drive::{LINGER_MS, cancelled, stopping};
use crate::protocol::effect::Outcome;
use crate::protocol::refusal::{Code, Refusal};
use crate::protocol::session::Session;
use crate::protocol::speech::Service;
use crate::sys::errno;
use crate::sys::fd::AsFd;
use crate::sys::socket::{self, Peer};

/// What is known of the peer's end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It may send more.
    #[default]
    Open,
    /// It sends no more, and reads.
    HalfClosed,
    /// It is gone, and the socket may hold input that it sent before.
    Leaving(Why),
    /// It is gone, and all that it sent has been read.
    Left(Why),
}

impl Presence {
    /// Whether the end of input was read.
    pub(crate) const fn is_at_end(self) -> bool {
        matches!(self, Self::HalfClosed | Self::Left(_))
    }

    /// Why the peer takes nothing any more, if it does not.
    pub(crate) const fn gone(self) -> Option<Why> {
        match self {
            Self::Leaving(why) | Self::Left(why) => Some(why),
            Self::Open | Self::HalfClosed => None,
        }
    }

    /// Whether what came last may be the beginning of more that was lost on its way.
    pub(crate) const fn is_torn(self) -> bool {
        matches!(self.gone(), Some(Why::Reset | Why::Told(_)))
    }

    /// Whether what the peer left behind is still to be read.
    pub(crate) const fn is_leaving(self) -> bool {
        matches!(self, Self::Leaving(_))
    }

    /// All input has been read.
    pub(crate) fn on_end(&mut self) {
        *self = self.gone().map_or(Self::HalfClosed, Self::Left);
    }
}

impl Connection {
    /// The peer is gone. While lingering this is the expected end, but what it sent before is still
    /// to be read: a socket that is closed with unread input destroys what the peer has not read.
    /// If the connection is closing, nothing is left to be done for it.
    pub(crate) fn on_gone(&mut self, why: Why) {
        let why = match (why, self.peer) {
            // It closed without reading all. What it wrote is here.
            (Why::Reset, Peer::Unix) => Why::Gone,
            (why, _) => why,
        };
        match self.fate {
            Some(Fate::Linger(..)) if why == Why::Gone => {}
            Some(Fate::Linger(..)) => self.presence.on_end(),
            Some(_) => self.fate = Some(Fate::Gone(why)),
            None if self.presence.gone().is_some() => {}
            None if self.presence.is_at_end() => self.presence = Presence::Left(why),
            None => self.presence = Presence::Leaving(why),
        }
    }

    /// A call on the socket failed: the peer is gone, unless that says that the server is short of
    /// memory. A peer that is still there is to see that something is missing.
    pub(crate) fn on_socket_error(&mut self, error: &io::Error) {
        match error.raw_os_error() {
            Some(errno::ENOMEM | errno::ENOBUFS) => self.fail(),
            _ => self.on_gone(Why::of(error)),
        }
    }

    /// Whether the peer is there, and the connection is not closing.
    pub(crate) fn is_served(&self) -> bool {
        self.fate.is_none() && self.presence.gone().is_none()
    }

    /// Works off what a peer that is gone has left behind: replies are dropped, and what only it
    /// could have used is ended.
    pub(crate) fn work_off(&mut self, desk: &mut Desk) {
        loop {
            self.output.clear();
            self.held = None;
            self.flags.is_sink_full = false;
            let outcome = match self.task.as_deref_mut() {
                Some(
                    Task::Download(_)
                    | Task::Command(_)
                    | Task::Awaited(Some(_))
                    | Task::Cancelled
                    | Task::List(_),
                ) => {
                    self.end_job(desk);
                    Some(Outcome::Refused(cancelled()))
                }
                Some(Task::Starting(starting)) => {
                    starting.is_cancelled = true;
                    None
                }
                Some(Task::Upload(upload)) => upload.outcome(),
                Some(Task::Awaited(None)) | None => None,
            };
            let Some(outcome) = outcome else { return };
            self.on_outcome(desk, outcome);
        }
    }

    /// Acts on the fate. Why the connection is to be closed now, if it is.
    pub(super) fn settle_fate(&mut self, desk: &mut Desk) -> Option<Why> {
        let fate = self.fate?;
        if let Some(why) = self.presence.gone() {
            return Some(why);
        }
        let (why, is_patient) = match fate {
            Fate::Gone(why) | Fate::Reset(why) => return Some(why),
            Fate::Finish(why) => (why, true),
            Fate::Dismiss(why, until_ms) => (why, desk.now_ms < until_ms),
            Fate::Linger(why, until_ms) => {
                let is_over = self.presence.is_at_end() || desk.now_ms >= until_ms;
                return is_over.then_some(why);
            }
        };
        if !self.output.is_empty() || self.task.is_some() {
            return (!is_patient).then_some(why);
        }
        // Before the peer can see the end: whoever comes next may want the name.
        self.leave_room(desk);
        if self.presence.is_at_end() || socket::shutdown_write(self.socket.as_fd()).is_err() {
            return Some(why);
        }
        // Closing with unread input would destroy what was sent and not yet taken.
        self.fate = Some(Fate::Linger(why, desk.now_ms + LINGER_MS));
        self.inbox = Vec::new();
        None
    }

    /// The server ends, and waits no longer: a reply in progress ends as far as the socket takes
    /// that at once.
    pub(crate) fn cut_off(&mut self, desk: &mut Desk, scratch: &mut [u8]) {
        // It may take some by now.
        self.flags.is_sink_full = false;
        if self.session.is_framed() && self.is_served() {
            match self.task.as_deref_mut() {
                Some(Task::Download(download)) => download.stop(stopping()),
                Some(Task::Command(command)) => command.stop(desk, stopping()),
                _ => {}
            }
            // The frame that was begun, and the last one of the reply.
            self.flush_on(desk, scratch);
        }
        if self.is_served() {
            self.dismiss(desk, &stopping());
        }
        self.flush_on(desk, scratch);
        self.read_kept(scratch);
    }

    /// Sends what the socket takes, whoever else waits.
    fn flush_on(&mut self, desk: &mut Desk, scratch: &mut [u8]) {
        self.flush(desk, scratch);
        while self.flags.is_cut_short {
            self.flush(desk, scratch);
        }
    }

    /// Prepares the socket to be closed: the end is orderly, or, where a reply is unfinished, a
    /// reset. What a Unix socket needs for that has been left in it.
    pub(crate) fn prepare_close(&mut self) {
        if !self.is_cut() {
            return;
        }
        // Where these fail, the peer is gone already.
        let _ = socket::set_reset_on_close(self.socket.as_fd());
        if matches!(self.fate, Some(Fate::Reset(Why::Internal))) && self.can_be_told() {
            let text = "a failure of the server's own: the log has the cause";
            let words = self.session.farewell(&Refusal::new(Code::Internal, text));
            let _ = socket::send(self.socket.as_fd(), &words, false);
        }
    }

    /// Whether a last line would be no part of a reply, on a socket that may not be reset: all of
    /// the input may have been read.
    fn can_be_told(&self) -> bool {
        let is_replying = match self.task.as_deref() {
            Some(Task::Download(_) | Task::Command(_)) => !self.session.is_framed(),
            _ => false,
        };
        matches!(self.peer, Peer::Unix) && self.output.is_empty() && !is_replying
    }

    /// Whether the peer, if it is still there, could take what it got for whole though it is not.
    fn is_cut(&self) -> bool {
        matches!(self.fate, Some(Fate::Reset(_)))
            || self.presence.gone().is_some()
            || self.session.is_busy()
            || !self.output.is_empty()
    }

    /// Whether input is looked at before it is read, so that its last byte can be left unread.
    pub(super) fn peeks(&self, desk: &Desk) -> bool {
        matches!(self.peer, Peer::Unix)
            && self.presence == Presence::Open
            && self.fate.is_none()
            && has_long_replies(&self.session)
            && desk.has_long_replies()
    }

    /// Reads `left` bytes that were taken but are still in the socket. While a plain reply is
    /// unfinished, the last one stays there.
    pub(super) fn read_taken(&mut self, mut left: usize, scratch: &mut [u8]) {
        let is_open = self.presence == Presence::Open && has_long_replies(&self.session);
        self.flags.is_byte_kept = is_open && self.is_cut() && !self.takes_input();
        left -= usize::from(self.flags.is_byte_kept);
        while left > 0 {
            match socket::receive(self.socket.as_fd(), &mut scratch[..left]) {
                Ok(count @ 1..) => left -= count,
                // They are there, and would be taken once more: a request would be done twice.
                Ok(0) | Err(_) => return self.fail(),
            }
        }
    }

    /// Reads the byte that was kept, unless it is to be kept still.
    pub(crate) fn read_kept(&mut self, scratch: &mut [u8]) {
        if self.flags.is_byte_kept {
            self.read_taken(1, scratch);
        }
    }
}

/// Whether a reply may be long enough to be cut, and nothing in it says where it should end.
fn has_long_replies(session: &Session) -> bool {
    !session.is_framed() && matches!(session.service(), Service::Line | Service::Exec)
}
