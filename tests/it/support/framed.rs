//! A peer that speaks framed, and the reading of frames: written from the contract alone.
//!
//! What it does not do: be lenient. A header that is not exactly as the contract has it is a panic.

use std::collections::{BTreeMap, VecDeque};

use super::{Peer, show};

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Its type: `data`, `done` …
    pub(crate) kind: String,
    /// Its keys, their values decoded.
    pub(crate) keys: BTreeMap<String, Vec<u8>>,
    /// Its payload.
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The value of a key it must have, as text.
    #[track_caller]
    pub(crate) fn key(&self, name: &str) -> String {
        let Some(value) = self.keys.get(name) else { panic!("no key {name} in {self:?}") };
        String::from_utf8(value.clone()).expect("this value is text")
    }

    /// The payload as text.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.payload.clone()).expect("this payload is text")
    }

    fn is_event(&self) -> bool {
        matches!(self.kind.as_str(), "msg" | "note")
    }

    fn is_final(&self) -> bool {
        matches!(self.kind.as_str(), "done" | "fail")
    }
}

/// All frames that answer one request.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Its part frames, in order.
    pub(crate) parts: Vec<Frame>,
    /// Its final frame.
    pub(crate) last: Frame,
}

impl Reply {
    /// The payloads of the parts of one type, joined.
    pub(crate) fn joined(&self, kind: &str) -> Vec<u8> {
        let parts = self.parts.iter().filter(|part| part.kind == kind);
        parts.flat_map(|part| part.payload.iter().copied()).collect()
    }
}

/// A connection that was switched to framed replies.
pub(crate) struct FramedPeer {
    /// The connection below, for what is no request: half-closing, going away.
    pub(crate) peer: Peer,
    events: VecDeque<Frame>,
}

impl FramedPeer {
    /// Switches `peer` to framed replies. Gives the answer too, with the server's abilities.
    #[track_caller]
    pub(crate) fn negotiate(mut peer: Peer) -> (Self, Frame) {
        peer.say("landline/1\n");
        let mut framed = Self { peer, events: VecDeque::new() };
        let hello = framed.expect_done();
        assert_eq!(hello.key("landline"), "1");
        (framed, hello)
    }

    /// Sends a request line, or several; the newlines are the caller's.
    #[track_caller]
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.peer.say(bytes);
    }

    /// The next frame, whatever it is.
    #[track_caller]
    pub(crate) fn expect_frame(&mut self) -> Frame {
        let header = self.peer.expect_line();
        let mut words = header.split(' ');
        let kind = words.next().expect("a split gives at least one piece");
        assert!(!kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase()), "{header:?}");
        let length = words.next().unwrap_or("");
        assert!(length.bytes().all(|byte| byte.is_ascii_digit()), "{header:?}");
        let length = length.parse().unwrap_or_else(|_| panic!("no length in {header:?}"));
        let keys = words.map(|word| {
            let (key, value) = word.split_once('=').unwrap_or_else(|| panic!("{header:?}"));
            (key.to_string(), decode(value))
        });
        let keys = keys.collect();
        let payload = self.peer.expect_bytes(length);
        Frame { kind: kind.to_string(), keys, payload }
    }

    /// The next frame that is no event; events on the way are kept for `expect_event`.
    #[track_caller]
    pub(crate) fn expect_own(&mut self) -> Frame {
        loop {
            let frame = self.expect_frame();
            if !frame.is_event() {
                return frame;
            }
            self.events.push_back(frame);
        }
    }

    /// The next event: one that came on the way, or else the next frame.
    #[track_caller]
    pub(crate) fn expect_event(&mut self) -> Frame {
        if let Some(event) = self.events.pop_front() {
            return event;
        }
        let frame = self.expect_frame();
        assert!(frame.is_event(), "expected an event, came {frame:?}");
        frame
    }

    /// All frames of the next reply.
    #[track_caller]
    pub(crate) fn expect_reply(&mut self) -> Reply {
        let mut parts = Vec::new();
        loop {
            let frame = self.expect_own();
            if frame.is_final() {
                return Reply { parts, last: frame };
            }
            assert!(
                matches!(frame.kind.as_str(), "file" | "data" | "out" | "err"),
                "no part of a reply: {} {:?} {}",
                frame.kind,
                frame.keys,
                show(&frame.payload)
            );
            parts.push(frame);
        }
    }

    /// The next reply is `done` alone.
    #[track_caller]
    pub(crate) fn expect_done(&mut self) -> Frame {
        let frame = self.expect_own();
        assert_eq!(frame.kind, "done", "{frame:?}");
        frame
    }

    /// The next reply is `fail` alone, of this code. Gives its text.
    #[track_caller]
    pub(crate) fn expect_fail(&mut self, code: &str) -> String {
        let frame = self.expect_own();
        assert_eq!(frame.kind, "fail", "{frame:?}");
        assert_eq!(frame.key("code"), code, "{frame:?}");
        frame.text()
    }

    /// Says one request line and gives its whole reply.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &str) -> Reply {
        self.say(format!("{request}\n"));
        self.expect_reply()
    }

    /// Nothing came before this, not even an event: a line is echoed, and that is what comes next.
    #[track_caller]
    pub(crate) fn expect_in_step(&mut self) {
        self.say("=step\n");
        let frame = self.expect_frame();
        assert_eq!((frame.kind.as_str(), frame.text().as_str()), ("done", "=step"));
        assert!(self.events.is_empty(), "events nobody expected: {:?}", self.events);
    }

    /// Takes a name.
    #[track_caller]
    pub(crate) fn take_name(&mut self, user: &str) {
        let reply = self.ask(&format!("name {user}"));
        assert_eq!(reply.last.kind, "done", "{reply:?}");
        assert!(reply.parts.is_empty(), "{reply:?}");
    }
}

/// A value as it was before the writer escaped it: bytes outside `!`–`~` and `%` are `%XX`.
#[track_caller]
fn decode(value: &str) -> Vec<u8> {
    let mut bytes = value.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        assert!((b'!'..=b'~').contains(&byte), "an unescaped byte in {value:?}");
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte.unwrap_or(b'?')).to_digit(16);
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            panic!("a broken escape in {value:?}");
        };
        decoded.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits are a byte"));
    }
    decoded
}
