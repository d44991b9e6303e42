//! Whose the bytes are that follow a request's line: the payload of an `upload`, and `in`, `eof`
//! and `winch` for a command.
//!
//! What it does not do: count them (`line`), or carry them to a file or a process. What nobody
//! takes, because it was refused or is over, is dropped, so that the connection stays in step.

use super::super::effect::{Effect, RunRequest, Stdin, Terminal};
use super::super::input;
use super::super::line::Frame;
use super::super::request::{self, Request};
use super::super::speech::Service;
use super::{Kept, Session, Stage};

/// What the request in progress takes beyond its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feeds {
    /// Nothing.
    Nothing,
    /// A command's input.
    Command,
    /// A file.
    File,
}

/// Whose payload comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// Nobody's, or that of a request which is over.
    Nobodys,
    /// That of the request in progress.
    InProgress,
    /// That of the last kept request that takes such.
    Kept(Feeds),
}

impl Session {
    /// How many bytes of payload follow this frame, whatever becomes of it.
    pub fn payload_bytes(&self, frame: &Frame<'_>) -> u64 {
        match self.service {
            Service::Line => input::payload_bytes(frame.body, self.style()),
            _ => 0,
        }
    }

    /// Whether this frame is no request, but belongs to one.
    pub fn is_input(&self, frame: &Frame<'_>) -> bool {
        self.is_framed() && input::is_input(frame.body)
    }

    /// Whether payload would be taken now.
    pub fn takes_payload(&self) -> bool {
        match self.payload {
            Payload::Kept(_) => !self.is_full(),
            Payload::Nobodys | Payload::InProgress => self.stage != Stage::Over,
        }
    }

    /// A piece of payload came.
    pub fn on_payload<'a>(&mut self, piece: &'a [u8]) -> Effect<'a> {
        match (self.payload, &mut self.waiting) {
            (Payload::InProgress, _) => Effect::Feed(piece),
            (Payload::Kept(feeds), Some(waiting)) => {
                waiting.feed(feeds, piece);
                Effect::Nothing
            }
            _ => Effect::Nothing,
        }
    }

    /// The client's input ended: the request in progress has all of it. To be told again of the
    /// next one.
    pub fn on_input_end(&self) -> Effect<'static> {
        if self.feeds() == Feeds::Nothing { Effect::Nothing } else { Effect::FeedEnd }
    }

    /// What the request in progress takes.
    pub(super) fn feeds(&self) -> Feeds {
        match self.stage {
            Stage::Busy(feeds) => feeds,
            _ => Feeds::Nothing,
        }
    }

    /// A request that takes input is in progress from now on.
    pub(super) fn await_fed<'a>(&mut self, feeds: Feeds, effect: Effect<'a>) -> Effect<'a> {
        self.stage = Stage::Busy(feeds);
        effect
    }

    /// The request in progress is over; what still comes for it is dropped.
    pub(super) fn end_feeding(&mut self) {
        if self.payload == Payload::InProgress {
            self.payload = Payload::Nobodys;
        }
    }

    /// A framed line came while a request is in progress.
    pub(super) fn keep<'a>(&mut self, line: &'a [u8]) -> Effect<'a> {
        debug_assert!(self.is_framed(), "invariant 1: a plain peer is not read while it waits");
        let request = request::parse(line, self.style());
        self.payload = Payload::Nobodys;
        let feeds = match request {
            Ok(frame @ (Request::In | Request::Eof | Request::Winch { .. })) => {
                return self.on_input(frame);
            }
            Ok(Request::Run(RunRequest { stdin: Stdin::Pipe | Stdin::Terminal, .. })) => {
                Feeds::Command
            }
            Ok(Request::Upload { .. }) => {
                self.payload = Payload::Kept(Feeds::File);
                Feeds::File
            }
            _ => Feeds::Nothing,
        };
        let line = line.into();
        self.waiting.get_or_insert_default().push(match feeds {
            Feeds::Nothing => Kept::Line(line),
            _ => Kept::Fed { line, feeds, input: Box::default() },
        });
        if request == Ok(Request::Cancel) { Effect::Cancel } else { Effect::Nothing }
    }

    /// A frame for the last command before it, if that takes input and is not over.
    pub(super) fn on_input(&mut self, frame: Request<'_>) -> Effect<'static> {
        let terminal = |size, kind: Option<&str>| Terminal { size, kind: kind.map(Into::into) };
        let waiting = self.waiting.as_mut();
        if let Some(input) = waiting.and_then(|waiting| waiting.last_input(Feeds::Command)) {
            match frame {
                Request::In => self.payload = Payload::Kept(Feeds::Command),
                Request::Eof => input.is_ended = true,
                Request::Winch { size, kind } => input.terminal = Some(terminal(size, kind)),
                _ => {}
            }
            return Effect::Nothing;
        }
        if self.feeds() != Feeds::Command {
            return Effect::Nothing;
        }
        match frame {
            Request::In => {
                self.payload = Payload::InProgress;
                Effect::Nothing
            }
            Request::Eof => Effect::FeedEnd,
            Request::Winch { size, kind } => Effect::Resize(terminal(size, kind)),
            _ => Effect::Nothing,
        }
    }

    /// A kept request of this kind has had its turn: payload that still comes for it is that of the
    /// request in progress now, if it was accepted.
    pub(super) fn on_turn(&mut self, feeds: Feeds) {
        let waiting = self.waiting.as_mut();
        let is_last = waiting.and_then(|waiting| waiting.last_input(feeds)).is_none();
        if is_last && self.payload == Payload::Kept(feeds) {
            let is_fed = self.feeds() == feeds;
            self.payload = if is_fed { Payload::InProgress } else { Payload::Nobodys };
        }
    }
}
