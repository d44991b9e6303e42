//! What a client must receive, in the words of the protocol, and whether it did.
//!
//! Nothing here uses the server's encoders: the expected bytes are written down from
//! `docs/PROTOCOL.md`.

use super::compare::{Match, begins, compare, date_length, error, find, is_silent, show};
use super::frame::Frame;

pub use super::compare::Piece;
pub use super::frame::Message;

/// What answers one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These, one after the other.
    Plain(Vec<Piece>),
    /// Frames: what the parts of each kind hold together, and the last one.
    Framed {
        /// `data`, `out`, `err`.
        parts: Vec<(&'static str, Vec<u8>)>,
        /// A `file` frame comes first, with this size.
        size: Option<u64>,
        /// How it ends.
        last: Last,
    },
}

/// The final frame.
#[derive(Clone, Debug)]
pub enum Last {
    /// `done`, with these keys and this payload.
    Done(Vec<(&'static str, String)>, Vec<Piece>),
    /// `fail` with one of these codes.
    Fail(&'static [&'static str]),
    /// Either of the two, with any keys.
    Either(&'static [&'static str]),
}

/// How messages look to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One line with time, sender and kind.
    Line,
    /// Two indented lines.
    Chat,
    /// `FROM|TEXT`.
    Talk,
    /// None come.
    Never,
}

/// What was made of what a client received.
#[derive(Debug, Default)]
pub struct Reading {
    /// Replies that are whole.
    pub replies: usize,
    /// Messages, in order.
    pub messages: Vec<Message>,
    /// Nothing more can be said of what came: a request failed that may fail.
    pub is_lost: bool,
    /// What is left over begins a reply, or a message, that is not whole.
    pub is_cut: bool,
    /// The same of a framed reply, of which a client sees that it is not whole.
    pub is_cut_frame: bool,
    /// The server said why it ends the connection.
    pub farewell: Option<String>,
}

/// Codes that may answer any request where calls of the kernel fail.
pub const FAULT_CODES: &[&str] = &["internal", "busy", "no-such-file", "timeout", "truncated"];
/// Codes with which the server ends a connection by itself.
const FAREWELL_CODES: &[&str] = &["timeout", "slow", "stopping", "busy", "internal"];

/// Reads bytes against what is expected.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    form: Form,
    excuses: &'static [&'static str],
    reading: Reading,
}

impl<'a> Reader<'a> {
    /// A reader of all that a client received.
    pub fn new(bytes: &'a [u8], form: Form, excuses: &'static [&'static str]) -> Self {
        Self { bytes, at: 0, form, excuses, reading: Reading::default() }
    }

    /// Compares; what was read, or why it is wrong.
    pub fn read(mut self, replies: &[(Reply, Form)]) -> Result<Reading, String> {
        for (reply, form) in replies {
            self.skip_messages();
            if self.at == self.bytes.len() {
                if !may_be_silent(reply) {
                    return Ok(self.reading);
                }
                self.reading.replies += 1;
                continue;
            }
            if self.take_farewell() {
                return Ok(self.reading);
            }
            let start = self.at;
            let matched = match reply {
                Reply::Plain(pieces) => self.plain(pieces),
                Reply::Framed { parts, size, last } => self.framed(parts, *size, last)?,
            };
            match matched {
                Match::Whole(_) => self.reading.replies += 1,
                Match::Cut => {
                    self.reading.is_cut = true;
                    self.reading.is_cut_frame = matches!(reply, Reply::Framed { .. });
                    return Ok(self.reading);
                }
                Match::Other if self.fault(start, reply) => self.reading.replies += 1,
                Match::Other if self.is_stopped(start, reply) => return Ok(self.reading),
                Match::Other if self.begins_message() || self.begins_farewell() => {
                    self.reading.is_cut = true;
                    return Ok(self.reading);
                }
                // Which reply an error belongs to cannot be told where several requests may fail.
                Match::Other if !self.excuses.is_empty() => {
                    self.reading.is_lost = true;
                    return Ok(self.reading);
                }
                Match::Other => {
                    let got = show(&self.bytes[start..]);
                    let number = self.reading.replies;
                    return Err(format!("reply {number}: want {reply:?}, got {got}"));
                }
            }
            self.form = *form;
        }
        self.skip_messages();
        let is_over = self.at == self.bytes.len() || self.take_farewell() || self.begins_message();
        if !is_over && !self.excuses.is_empty() {
            self.reading.is_lost = true;
        } else if !is_over {
            return Err(format!("more than is expected: {}", show(&self.bytes[self.at..])));
        }
        self.reading.is_cut |= self.at < self.bytes.len() && self.reading.farewell.is_none();
        Ok(self.reading)
    }

    /// The reply that begins at `start` is broken off by an error that may stand there.
    fn fault(&mut self, start: usize, reply: &Reply) -> bool {
        let found = self.broken_off(start, reply, self.excuses);
        self.at = found.unwrap_or(self.at);
        found.is_some()
    }

    /// The reply that begins at `start` is broken off because the server stops.
    fn is_stopped(&mut self, start: usize, reply: &Reply) -> bool {
        let is_last = self.broken_off(start, reply, &["stopping"]) == Some(self.bytes.len());
        if is_last {
            self.at = self.bytes.len();
            self.reading.farewell = Some("stopping".to_owned());
        }
        is_last
    }

    /// Where the error line ends that comes after a beginning of the reply.
    fn broken_off(&self, start: usize, reply: &Reply, codes: &[&str]) -> Option<usize> {
        let Reply::Plain(pieces) = reply else { return None };
        let rest = &self.bytes[start..];
        let mut from = 0;
        while let Some(found) = find(&rest[from..], b"error ") {
            let place = from + found;
            if let Match::Whole(length) = error(&rest[place..], codes, true)
                && begins(&rest[..place], pieces)
            {
                return Some(start + place + length);
            }
            from = place + 1;
        }
        None
    }

    fn plain(&mut self, pieces: &[Piece]) -> Match {
        let start = self.at;
        if is_silent(pieces)
            && let Match::Whole(length) = error(&self.bytes[start..], self.excuses, true)
        {
            // What is silent where it succeeds says so where it does not.
            self.at += length;
            return Match::Whole(length);
        }
        for piece in pieces {
            match compare(&self.bytes[self.at..], piece) {
                Match::Whole(length) => self.at += length,
                Match::Cut => return Match::Cut,
                Match::Other => {
                    self.at = start;
                    return Match::Other;
                }
            }
        }
        Match::Whole(self.at - start)
    }

    fn framed(
        &mut self,
        parts: &[(&'static str, Vec<u8>)],
        size: Option<u64>,
        last: &Last,
    ) -> Result<Match, String> {
        let mut got: Vec<(String, Vec<u8>)> = Vec::new();
        loop {
            let frame = match Frame::parse(&self.bytes[self.at..]) {
                Ok(frame) => frame,
                Err(true) => return Ok(Match::Cut),
                Err(false) => return Err(format!("no frame: {}", show(&self.bytes[self.at..]))),
            };
            self.at += frame.length;
            match frame.kind.as_str() {
                "msg" => self.reading.messages.push(frame.message()),
                "note" => {}
                "file" => {
                    let told = frame.key("size").and_then(|size| size.parse().ok());
                    if told != size {
                        return Err(format!("a file of {told:?} bytes, want {size:?}"));
                    }
                }
                "done" => return Self::done(&frame, parts, &got, last),
                "fail" => return self.failed(&frame, last),
                kind => match got.iter_mut().find(|(other, _)| other == kind) {
                    Some((_, bytes)) => bytes.extend(frame.payload),
                    None => got.push((kind.to_owned(), frame.payload)),
                },
            }
        }
    }

    fn done(
        frame: &Frame,
        parts: &[(&'static str, Vec<u8>)],
        got: &[(String, Vec<u8>)],
        last: &Last,
    ) -> Result<Match, String> {
        let (keys, payload) = match last {
            Last::Done(keys, payload) => (keys, payload),
            Last::Either(_) => return Ok(Match::Whole(0)),
            Last::Fail(_) => return Err(format!("done, want {last:?}")),
        };
        for (kind, want) in parts {
            let have = got.iter().find(|(other, _)| other == kind).map_or(&[][..], |(_, b)| b);
            if have != want {
                let (have, want) = (show(have), show(want));
                return Err(format!("{kind}: got {have}, want {want}"));
            }
        }
        for (key, want) in keys {
            if frame.key(key) != Some(want) {
                return Err(format!("{key}={:?}, want {want}", frame.key(key)));
            }
        }
        let mut at = 0;
        for piece in payload {
            match compare(&frame.payload[at..], piece) {
                Match::Whole(length) => at += length,
                _ => return Err(format!("payload {}, want {payload:?}", show(&frame.payload))),
            }
        }
        if at < frame.payload.len() {
            return Err(format!("payload {}, want {payload:?}", show(&frame.payload)));
        }
        Ok(Match::Whole(0))
    }

    fn failed(&self, frame: &Frame, last: &Last) -> Result<Match, String> {
        let code = frame.key("code").unwrap_or_default();
        let is_wanted =
            matches!(last, Last::Fail(codes) | Last::Either(codes) if codes.contains(&code));
        let is_excused = self.excuses.contains(&code) || code == "stopping";
        if is_wanted || is_excused {
            return Ok(Match::Whole(0));
        }
        Err(format!("fail {code} {}, want {last:?}", show(&frame.payload)))
    }

    fn skip_messages(&mut self) {
        while let Some((message, length)) = self.message() {
            self.at += length;
            self.reading.messages.extend(message);
        }
    }

    /// A message, or an event frame without one, that begins here, and its length.
    fn message(&self) -> Option<(Option<Message>, usize)> {
        let rest = &self.bytes[self.at..];
        if let Ok(frame) = Frame::parse(rest)
            && matches!(frame.kind.as_str(), "msg" | "note")
        {
            let is_closing = frame.key("kind") == Some("closing");
            let message = (frame.kind == "msg").then(|| frame.message());
            return (!is_closing).then_some((message, frame.length));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (skip, rest) = match self.form {
            Form::Line => (0, rest),
            Form::Chat => {
                let rest = rest.strip_prefix(b"\t\t\t\t\t")?;
                (date_length(rest)?, rest)
            }
            Form::Talk => {
                let end = find(rest, b"\n")?;
                let line = text(&rest[..end]);
                let (from, said) = line.split_once('|')?;
                let cast = String::new();
                let message = Message { from: from.to_owned(), cast, text: said.to_owned() };
                return said.starts_with("m:").then_some((Some(message), end + 1));
            }
            Form::Never => return None,
        };
        let (line, indent) = if self.form == Form::Chat {
            (rest.get(skip..)?.strip_prefix(b"\n\t\t\t\t\t")?, 5 + skip + 6)
        } else {
            let date = date_length(rest)?;
            (rest.get(date..)?.strip_prefix(b" ")?, date + 1)
        };
        let end = find(line, b"\n")?;
        let said = text(&line[..end]);
        let (head, said) = said.split_once(" : ")?;
        let (from, cast) = head.split_once(" (")?;
        let cast = cast.strip_suffix("casted)")?.to_owned();
        let message = Message { from: from.to_owned(), cast, text: said.to_owned() };
        Some((Some(message), indent + end + 1))
    }

    /// Whether what is left is a message that is not whole.
    fn begins_message(&self) -> bool {
        let rest = &self.bytes[self.at..];
        let lines = rest.split(|byte| *byte == b'\n').count() - 1;
        match self.form {
            Form::Line => lines == 0 && rest.first().is_some_and(u8::is_ascii_digit),
            Form::Chat => lines < 2 && rest.first() == Some(&b'\t'),
            Form::Talk => lines == 0,
            Form::Never => false,
        }
    }

    /// Whether what is left is a last word that is not whole.
    fn begins_farewell(&self) -> bool {
        let rest = &self.bytes[self.at..];
        FAREWELL_CODES.iter().any(|code| error(rest, &[code], true) == Match::Cut)
    }

    fn take_farewell(&mut self) -> bool {
        let rest = &self.bytes[self.at..];
        if let Ok(frame) = Frame::parse(rest)
            && frame.kind == "note"
            && frame.key("kind") == Some("closing")
        {
            self.reading.farewell = frame.key("code").map(str::to_owned);
            self.at += frame.length;
            return true;
        }
        for code in FAREWELL_CODES {
            if let Match::Whole(length) = error(rest, &[code], false)
                && length + 1 >= rest.len()
            {
                self.reading.farewell = Some((*code).to_owned());
                self.at = self.bytes.len();
                return true;
            }
        }
        false
    }
}

/// Whether a reply may be nothing at all.
fn may_be_silent(reply: &Reply) -> bool {
    matches!(reply, Reply::Plain(pieces) if is_silent(pieces))
}
