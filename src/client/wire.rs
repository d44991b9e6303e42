//! `Wire`: a connection that speaks framed. It connects, shakes hands, sends what it is given, and
//! hands out frames and their payloads.
//!
//! What it does not do: know what was asked. It checks what holds for every frame: known types,
//! bounded lengths, and no end inside a reply.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use super::address;
use super::asked::Asked;
use super::command::Common;
use super::events::Events;
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
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Wire {
    socket: OwnedFd,
    frames: Frames,
    outbox: Vec<u8>,
    /// How much of it was sent.
    outbox_start: usize,
    is_at_end: bool,
    is_shut: bool,
    farewell: Option<String>,
    /// The server ended it because nothing was said.
    pub(super) is_timed_out: bool,
    caps: Vec<u8>,
    /// What the server calls itself, cleaned.
    pub(super) server: String,
    /// Longest answer (`done`) that is taken, in bytes; `text` keeps no more than its own limit.
    pub(super) answer_bytes_max: u64,
    /// Whether more is to be said as soon as there is room for it.
    pub(super) has_more: bool,
    /// Standard input as requests, where there is such a thing.
    pub(super) feed: Option<Feed>,
    /// What was asked by a feed, or by whoever keeps account here, and not answered yet, in order.
    pub(super) asked: VecDeque<Asked>,
    /// Messages and notes that came.
    pub(super) events: Events,
}

impl Wire {
    /// Connects and shakes hands. From then on signals are taken by the `Watch`.
    pub(super) fn open(common: &Common) -> Result<(Self, Watch), Failure> {
        let deadline = Deadline::after(common.timeout_ms);
        let socket = address::connect(&common.target, &deadline)?;
        let mut watch = Watch::new(deadline).map_err(|error| Failure::local("signals", &error))?;
        Ok((Self::over(socket, &mut watch)?, watch))
    }

    /// Shakes hands over a connection.
    pub(super) fn over(socket: OwnedFd, watch: &mut Watch) -> Result<Self, Failure> {
        let mut wire = Self {
            socket,
            frames: Frames::new(),
            outbox: Vec::new(),
            outbox_start: 0,
            is_at_end: false,
            is_shut: false,
            farewell: None,
            is_timed_out: false,
            caps: Vec::new(),
            server: String::new(),
            answer_bytes_max: TEXT_BYTES_MAX,
            has_more: false,
            feed: None,
            asked: VecDeque::new(),
            events: Events::default(),
        };
        wire.shake_hands(watch)?;
        Ok(wire)
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
                self.caps = header.value("caps").unwrap_or_default().to_vec();
                self.server = text::clean(header.value("server").unwrap_or(b"a server"));
                Ok(())
            }
            ("fail", _) => Err(Failure::refused(header.value("code").unwrap_or(b"fail"), &why)),
            _ => Err(stranger()),
        }
    }

    /// Whether the server says that it can do this (`run-in` …).
    pub(super) fn can(&self, ability: &str) -> bool {
        self.caps.split(|byte| *byte == b',').any(|cap| cap == ability.as_bytes())
    }

    /// Asks for something whose answer is its final frame alone, and gives its header. The answer
    /// is its payload.
    pub(super) fn ask(&mut self, request: &str, watch: &mut Watch) -> Result<Header, Failure> {
        self.say(request);
        let header = self.reply(watch)?;
        match header.kind.as_str() {
            "done" => Ok(header),
            "fail" => Err(self.refusal(&header, watch)?),
            _ => Err(misplaced(&header)),
        }
    }

    /// Sends a request.
    pub(super) fn say(&mut self, line: &str) {
        self.outbox.extend_from_slice(line.as_bytes());
        self.outbox.push(b'\n');
    }

    /// Sends bytes that belong to a request; no more than there is room for.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.outbox.extend_from_slice(bytes);
    }

    /// Whether more should be said before what was said is sent.
    pub(super) fn has_room(&self) -> bool {
        self.unsent() < OUTBOX_BYTES_HIGH && !self.is_shut
    }

    /// Sends all that was said, so that nothing is left to send.
    pub(super) fn flush(&mut self, watch: &mut Watch) -> Result<(), Failure> {
        loop {
            self.send();
            if self.unsent() == 0 || self.is_at_end {
                return Ok(());
            }
            // Not `fill`, which sends first: where that sends all, nobody is left to be waited for.
            self.wait(watch, None, &[])?;
        }
    }

    /// The connection is to end by a reset: a server cannot tell a client that has gone from one
    /// that has only no more requests, and would let a silent command run on.
    pub(super) fn abandon(&self) {
        // A connection that takes no options has ended already.
        let _ = socket::set_reset_on_close(self.socket.as_fd());
    }

    /// Says nothing more, whatever was announced.
    pub(super) fn hang_up(&mut self) {
        self.is_at_end = true;
        self.is_shut = true;
        // A server that is gone needs no notice.
        let _ = socket::shutdown_write(self.socket.as_fd());
    }

    /// Whether nothing more comes, whatever is left of what came.
    pub(super) fn has_ended(&self) -> bool {
        self.is_at_end
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
            "done" => self.answer_bytes_max,
            "file" | "fail" | "msg" | "note" => TEXT_BYTES_MAX,
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
                self.is_timed_out = code == b"timeout";
                format!("the server closed the connection: {}", String::from_utf8_lossy(code))
            }
            Some(b"shutdown") => "the server is stopping".to_owned(),
            _ => return,
        };
        self.farewell = Some(text);
    }

    /// Takes the rest of a message or note.
    pub(super) fn event(&mut self, header: &Header, watch: &mut Watch) -> Result<(), Failure> {
        let text = self.text(watch)?;
        self.events.put(header.clone(), text);
        Ok(())
    }

    /// The next frame of a reply; events on the way are put aside.
    pub(super) fn reply(&mut self, watch: &mut Watch) -> Result<Header, Failure> {
        loop {
            match self.arrived()? {
                Some(header) if is_event(&header) => self.event(&header, watch)?,
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
        self.turn(watch, None, &[]).map(drop)
    }

    /// As `fill`, but no longer than `limit_ms`, and with `others` that are waited for beside the
    /// connection (see `wait_any`). Says which of them are ready.
    pub(super) fn turn(
        &mut self,
        watch: &mut Watch,
        limit_ms: Option<u64>,
        others: &[(BorrowedFd<'_>, bool, bool)],
    ) -> Result<Vec<bool>, Failure> {
        self.takes_back(watch);
        self.send();
        self.wait(watch, limit_ms, others)
    }

    /// Waits as `turn` does, and takes what came.
    fn wait(
        &mut self,
        watch: &mut Watch,
        limit_ms: Option<u64>,
        others: &[(BorrowedFd<'_>, bool, bool)],
    ) -> Result<Vec<bool>, Failure> {
        // Whoever has more goes on at once where all was sent: no event would tell of that.
        let limit_ms = if self.has_more && self.has_room() { Some(0) } else { limit_ms };
        let (reads, writes) = (!self.is_at_end && self.frames.has_room(), self.unsent() > 0);
        let has_room = self.has_room();
        let asked = self.asked.len();
        let input = self.feed.as_ref().filter(|feed| has_room && feed.wants_input(asked));
        let mut wanted = others.to_vec();
        wanted.extend(input.map(|feed| (feed.as_fd(), true, false)));
        // Of a socket that is not wanted, poll(2) would still tell its end, over and over.
        wanted.extend((reads || writes).then(|| (self.socket.as_fd(), reads, writes)));
        let has_input = input.is_some();
        let mut found = watch.wait_for(&wanted, limit_ms)?;
        if self.takes_back(watch) {
            return Ok(vec![false; others.len()]);
        }
        let has_news = (reads || writes) && found.pop() == Some(true);
        if has_news && reads {
            self.receive();
        }
        if has_input
            && found.pop() == Some(true)
            && let Some(feed) = &mut self.feed
        {
            feed.read(&mut self.outbox, &mut self.asked)?;
            self.send();
        }
        Ok(found)
    }

    /// Tells the server once that the request in progress was taken back.
    fn takes_back(&mut self, watch: &mut Watch) -> bool {
        let is_new = watch.takes_back();
        if is_new {
            self.feed.iter_mut().for_each(Feed::stop);
            self.say("cancel");
            self.asked.push_back(Asked::Dropped);
        }
        is_new
    }

    /// Bytes that were said and not sent yet.
    pub(super) fn unsent(&self) -> usize {
        self.outbox.len() - self.outbox_start
    }

    /// Sends what the server takes, and shuts the sending side once input ended and all is sent.
    fn send(&mut self) {
        while self.unsent() > 0 {
            match socket::send(self.socket.as_fd(), &self.outbox[self.outbox_start..], false) {
                Ok(count) => self.outbox_start += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // The server takes no more. What it said before is still to be read.
                    self.is_shut = true;
                    self.outbox_start = self.outbox.len();
                }
            }
        }
        self.outbox.clear();
        self.outbox_start = 0;
        if !self.is_shut && self.feed.as_ref().is_some_and(Feed::ends_requests) {
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

/// Whether it is a message or a note, which belong to no request.
pub(super) fn is_event(header: &Header) -> bool {
    matches!(header.kind.as_str(), "msg" | "note")
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    #[test]
    fn a_flush_ends_once_all_is_sent_though_the_server_says_nothing() {
        let (near, mut far) = UnixStream::pair().expect("a pair of sockets");
        near.set_nonblocking(true).expect("a socket");
        let server = thread::spawn(move || {
            let mut lines = BufReader::new(far.try_clone().expect("a descriptor is free"));
            lines.read_line(&mut String::new()).expect("a version comes");
            far.write_all(b"done 0 landline=1\n").expect("it is taken");
            io::copy(&mut lines, &mut io::sink()).expect("all that is said")
        });
        let mut watch = Watch::deaf(Deadline::own(15_000));
        let mut wire = Wire::over(near.into(), &mut watch).expect("they shake hands");
        // More than a socket takes at once: it is full, and empty again, at any time.
        let (rounds, piece) = (2_000, vec![b'x'; 300_000]);
        for round in 0..rounds {
            wire.push(&piece);
            let flushed = wire.flush(&mut watch);
            assert!(flushed.is_ok(), "in round {round}: {flushed:?}");
        }
        drop(wire);
        assert_eq!(server.join().expect("it ends"), (rounds * piece.len()) as u64);
    }
}
