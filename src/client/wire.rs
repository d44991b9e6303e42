//! `Wire`: a connection that speaks framed. It connects, shakes hands, sends what it is given, and
//! hands out frames and their payloads.
//!
//! What it does not do: know what was asked. It checks what holds for every frame: known types,
//! bounded lengths, and no end inside a reply.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use super::address;
use super::command::Common;
use super::failure::Failure;
use super::feed::Feed;
use super::frames::Frames;
use super::watch::{Deadline, Watch};
use crate::protocol::limits::{CHUNK_BYTES_MAX, VERSION};
use crate::protocol::reply::{Header, Malformed};
use crate::protocol::text;
use crate::sys::socket;

/// Longest payload that is kept as a whole (an answer, an error, a message), in bytes.
const TEXT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Unsent bytes above which no more standard input is read.
const OUTBOX_BYTES_HIGH: usize = 64 * 1024;

/// A framed connection.
pub(super) struct Wire {
    socket: OwnedFd,
    frames: Frames,
    outbox: Vec<u8>,
    is_at_end: bool,
    is_shut: bool,
    farewell: Option<String>,
    /// What the server calls itself, cleaned.
    pub(super) server: String,
    /// Standard input as requests, where there is such a thing.
    pub(super) feed: Option<Feed>,
}

impl Wire {
    /// Connects and shakes hands. From then on signals are taken by the `Watch`.
    pub(super) fn open(common: &Common) -> Result<(Self, Watch), Failure> {
        let deadline = Deadline::after(common.timeout_ms);
        let socket = address::connect(&common.target, &deadline)?;
        let mut watch = Watch::new(deadline).map_err(|error| Failure::local("signals", &error))?;
        let frames = Frames::new();
        let mut wire = Self {
            socket,
            frames,
            outbox: Vec::new(),
            is_at_end: false,
            is_shut: false,
            farewell: None,
            server: String::new(),
            feed: None,
        };
        wire.shake_hands(&mut watch)?;
        Ok((wire, watch))
    }

    fn shake_hands(&mut self, watch: &mut Watch) -> Result<(), Failure> {
        self.say(&format!("landline/{VERSION}"));
        let line = loop {
            if let Some(line) = self.frames.line().map_err(|_| stranger())? {
                break line.to_vec();
            }
            if self.is_at_end {
                return Err(self.lost());
            }
            self.fill(watch)?;
        };
        if let Some(error) = line.strip_prefix(b"error ") {
            let (code, text) = split_error(error);
            return Err(Failure::refused(code, text));
        }
        let header = Header::parse(&line).map_err(|_| stranger())?;
        self.frames.expect_payload(header.len);
        let why = self.text(watch)?;
        match (header.kind.as_str(), header.number("landline")) {
            ("done", Some(version)) if version == u64::from(VERSION) => {
                self.server = text::clean(header.value("server").unwrap_or(b"a server"));
                Ok(())
            }
            ("fail", _) => Err(Failure::refused(header.value("code").unwrap_or(b"fail"), &why)),
            _ => Err(stranger()),
        }
    }

    /// Sends a request.
    pub(super) fn say(&mut self, line: &str) {
        self.outbox.extend_from_slice(line.as_bytes());
        self.outbox.push(b'\n');
    }

    /// Sends all that was said, so that nothing is left to send.
    pub(super) fn flush(&mut self, watch: &mut Watch) -> Result<(), Failure> {
        self.send();
        while !self.outbox.is_empty() && !self.is_at_end {
            self.fill(watch)?;
        }
        Ok(())
    }

    /// Another handle on the connection.
    pub(super) fn second_handle(&self) -> Result<OwnedFd, Failure> {
        self.socket.try_clone().map_err(|error| Failure::local("the connection", &error))
    }

    /// The connection is to end by a reset: a server cannot tell a client that has gone from one
    /// that has only no more requests, and would let a silent command run on.
    pub(super) fn abandon(&self) {
        // A connection that takes no options has ended already.
        let _ = socket::set_reset_on_close(self.socket.as_fd());
    }

    /// Whether nothing more comes, and all that came was taken.
    pub(super) fn is_over(&self) -> bool {
        self.is_at_end && self.frames.is_between()
    }

    /// The next frame's header, an event's too, if it is there.
    pub(super) fn arrived(&mut self) -> Result<Option<Header>, Failure> {
        let Some(header) = self.frames.header().map_err(malformed)? else {
            if self.is_at_end && !self.frames.is_between() {
                return Err(self.lost());
            }
            return Ok(None);
        };
        let limit = match header.kind.as_str() {
            "data" | "out" | "err" => CHUNK_BYTES_MAX,
            "file" | "done" | "fail" | "msg" | "note" => TEXT_BYTES_MAX,
            _ => return Err(broken(&format!("a frame of an unknown type, {}", header.kind))),
        };
        if header.len > limit {
            let text = format!("a frame `{}` of {} bytes", header.kind, header.len);
            return Err(broken(&text));
        }
        if header.kind == "note" {
            self.note(&header);
        }
        Ok(Some(header))
    }

    fn note(&mut self, header: &Header) {
        let text = match header.value("kind") {
            Some(b"closing") => {
                let code = header.value("code").unwrap_or(b"no reason");
                format!("the server closed the connection: {}", String::from_utf8_lossy(code))
            }
            Some(b"shutdown") => "the server is stopping".to_owned(),
            _ => return,
        };
        self.farewell = Some(text);
    }

    /// The next frame of a reply; events on the way are dropped.
    pub(super) fn reply(&mut self, watch: &mut Watch) -> Result<Header, Failure> {
        loop {
            match self.arrived()? {
                Some(header) if matches!(header.kind.as_str(), "msg" | "note") => {
                    self.text(watch)?;
                }
                Some(header) => return Ok(header),
                None if self.is_at_end => return Err(self.lost()),
                None => self.fill(watch)?,
            }
        }
    }

    /// A piece of the payload that follows the last header; `None` after the last piece.
    pub(super) fn payload(&mut self, watch: &mut Watch) -> Result<Option<&[u8]>, Failure> {
        if self.frames.payload_left() == 0 {
            return Ok(None);
        }
        while !self.frames.has_payload() {
            if self.is_at_end {
                return Err(self.lost());
            }
            self.fill(watch)?;
        }
        Ok(Some(self.frames.payload()))
    }

    /// The whole payload that follows the last header.
    pub(super) fn text(&mut self, watch: &mut Watch) -> Result<Vec<u8>, Failure> {
        if self.frames.payload_left() > TEXT_BYTES_MAX {
            return Err(broken("a payload without bounds"));
        }
        let mut text = Vec::new();
        while let Some(piece) = self.payload(watch)? {
            text.extend_from_slice(piece);
        }
        Ok(text)
    }

    /// The refusal that a `fail` frame says.
    pub(super) fn refusal(
        &mut self,
        header: &Header,
        watch: &mut Watch,
    ) -> Result<Failure, Failure> {
        let text = self.text(watch)?;
        Ok(Failure::refused(header.value("code").unwrap_or(b"fail"), &text))
    }

    /// Why a reply is not there, now that the connection ended.
    pub(super) fn lost(&self) -> Failure {
        match &self.farewell {
            Some(text) => Failure::Failed(text.clone()),
            None => Failure::Protocol("the connection ended before the reply did".to_owned()),
        }
    }

    /// Why the connection ended, though nothing was left unanswered.
    pub(super) fn left(&self) -> Failure {
        match &self.farewell {
            Some(text) => Failure::Failed(text.clone()),
            None => Failure::Protocol("the server closed the connection unasked".to_owned()),
        }
    }

    /// Waits, and moves what can be moved: input to requests, requests to the server, and what it
    /// sends to the frames.
    pub(super) fn fill(&mut self, watch: &mut Watch) -> Result<(), Failure> {
        self.send();
        let has_room = self.outbox.len() < OUTBOX_BYTES_HIGH && !self.is_shut;
        let mut wanted = vec![(self.socket.as_fd(), !self.is_at_end, !self.outbox.is_empty())];
        let input = self.feed.as_ref().filter(|feed| has_room && feed.wants_input());
        wanted.extend(input.map(|feed| (feed.as_fd(), true, false)));
        let ready = watch.wait(&wanted)?;
        if ready.get(1) == Some(&true)
            && let Some(feed) = &mut self.feed
        {
            feed.read(&mut self.outbox)?;
            self.send();
        }
        if ready.first() == Some(&true) {
            self.receive();
        }
        Ok(())
    }

    /// Sends what the server takes, and shuts the sending side once input ended and all is sent.
    fn send(&mut self) {
        while !self.outbox.is_empty() {
            match socket::send(self.socket.as_fd(), &self.outbox, false) {
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // The server takes no more. What it said before is still to be read.
                    self.is_shut = true;
                    self.outbox.clear();
                }
            }
        }
        if !self.is_shut && self.feed.as_ref().is_some_and(Feed::is_at_end) {
            self.is_shut = true;
            // A server that is gone is noticed by reading.
            let _ = socket::shutdown_write(self.socket.as_fd());
        }
    }

    fn receive(&mut self) {
        match socket::receive(self.socket.as_fd(), self.frames.room()) {
            Ok(0) => self.is_at_end = true,
            Ok(count) => self.frames.filled(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.is_at_end = true,
        }
    }
}

/// The server broke the protocol.
pub(super) fn broken(what: &str) -> Failure {
    Failure::Protocol(format!("the server broke the protocol: {what}"))
}

/// A frame that must not come here.
pub(super) fn misplaced(header: &Header) -> Failure {
    broken(&format!("a frame `{}` where it must not be", header.kind))
}

fn malformed(why: Malformed) -> Failure {
    broken(match why {
        Malformed::TooLong => "a header without an end",
        Malformed::Kind => "a header without a type",
        Malformed::Length => "a header without a length",
        Malformed::Key => "a header with a malformed key",
    })
}

fn stranger() -> Failure {
    let text = "this is no landline server, or not its `line` service (no answer to landline/1)";
    Failure::Protocol(text.to_owned())
}

/// The code and the text of `CODE: TEXT`.
fn split_error(error: &[u8]) -> (&[u8], &[u8]) {
    match error.iter().position(|byte| *byte == b':') {
        Some(colon) => (&error[..colon], error[colon + 1..].trim_ascii()),
        None => (b"error", error),
    }
}
