//! Comparing all that a client received with what it must receive.

use super::compare::{
    FAREWELL_CODES, Match, agreed, begins, compare, date_length, ends_in_farewell, error, find,
    is_silent, show,
};
use super::expect::{Form, Last, Message, Piece, Reading, Reply};
use super::frame::Frame;
use super::request::Request;

/// Reads bytes against what is expected.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    form: Form,
    excuses: &'static [&'static str],
    reading: Reading,
    progress: Progress,
    /// The reply that is read may still be a plain one.
    is_handshake: bool,
}

/// How far replies were read.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Replies that are whole for certain.
    pub replies: usize,
    /// Where the next begins, or something that comes before it.
    at: usize,
    form: Form,
}

impl Default for Progress {
    fn default() -> Self {
        Self { replies: 0, at: 0, form: Form::Never }
    }
}

/// What a framed reply holds; `None`: anything.
type Want<'a> = Option<(&'a [(&'static str, Vec<u8>)], Option<u64>, &'a Last)>;

impl<'a> Reader<'a> {
    /// A reader of all that a client received.
    pub fn new(bytes: &'a [u8], excuses: &'static [&'static str]) -> Self {
        let progress = Progress::default();
        Self {
            bytes,
            at: 0,
            form: Form::Never,
            excuses,
            reading: Reading::default(),
            progress,
            is_handshake: false,
        }
    }

    /// How far the replies are certain to have come, from where that was before. More bytes may
    /// follow.
    pub fn advance(
        bytes: &'a [u8],
        before: Progress,
        requests: &[Request],
        excuses: &'static [&'static str],
    ) -> Progress {
        let mut reader = Self::new(bytes, excuses);
        (reader.at, reader.form, reader.progress) = (before.at, before.form, before);
        reader.reading.replies = before.replies;
        // What is wrong is told in the end.
        let _later = reader.compare(&requests[before.replies.min(requests.len())..]);
        reader.progress
    }

    /// Compares; what was read, or why it is wrong.
    pub fn read(mut self, requests: &[Request]) -> Result<Reading, String> {
        if !self.compare(requests)? {
            return Ok(self.reading);
        }
        self.skip_messages();
        let is_over = self.at == self.bytes.len()
            || self.take_farewell()
            || self.begins_message()
            || self.begins_farewell();
        if !is_over && !self.excuses.is_empty() {
            self.reading.is_lost = true;
        } else if !is_over {
            return Err(format!("more than is expected: {}", show(&self.bytes[self.at..])));
        }
        self.reading.is_cut |= self.at < self.bytes.len() && self.reading.farewell.is_none();
        Ok(self.reading)
    }

    /// Compares with the replies to these. False where it cannot go on to the last of them.
    fn compare(&mut self, requests: &[Request]) -> Result<bool, String> {
        for request in requests {
            self.skip_messages();
            if self.at == self.bytes.len() {
                if !may_be_silent(&request.reply) {
                    return Ok(false);
                }
                self.reading.replies += 1;
                self.form = request.form;
                continue;
            }
            self.progress =
                Progress { replies: self.reading.replies, at: self.at, form: self.form };
            if !self.reply(request)? {
                return Ok(false);
            }
            self.form = request.form;
            if !may_be_silent(&request.reply) {
                self.progress =
                    Progress { replies: self.reading.replies, at: self.at, form: self.form };
            }
        }
        Ok(true)
    }

    /// Compares with the reply to one request. False where nothing can be said of what follows.
    fn reply(&mut self, request: &Request) -> Result<bool, String> {
        let (start, reply) = (self.at, &request.reply);
        self.is_handshake = request.wire.starts_with(b"landline/1");
        let matched = match reply {
            Reply::Plain(pieces) => self.plain(pieces),
            Reply::Framed { parts, size, last } => {
                self.framed(Some((parts, *size, last)), &request.excuses)?
            }
            Reply::AnyFrames => self.framed(None, &request.excuses)?,
            Reply::Damaged(content) => self.damaged(content, &request.excuses)?,
        };
        match matched {
            Match::Whole(_) => self.reading.replies += 1,
            Match::Cut => {
                self.reading.is_cut = true;
                self.reading.is_cut_frame = !matches!(reply, Reply::Plain(_));
                return Ok(false);
            }
            Match::Other if self.take_farewell() => return Ok(false),
            Match::Other if self.fault(start, request) => self.reading.replies += 1,
            Match::Other if self.is_stopped(start, reply) => return Ok(false),
            Match::Other
                if self.begins_message()
                    || self.begins_farewell()
                    || self.ends_in_farewell(start, reply) =>
            {
                self.reading.is_cut = true;
                return Ok(false);
            }
            // Which reply an error belongs to cannot be told where several requests may fail.
            Match::Other if !self.excuses.is_empty() => {
                self.reading.is_lost = true;
                return Ok(false);
            }
            Match::Other => {
                let agreed = if let Reply::Plain(pieces) = reply {
                    agreed(&self.bytes[start..], pieces)
                } else {
                    0
                };
                let got = show(&self.bytes[start + agreed..]);
                let number = self.reading.replies;
                return Err(format!(
                    "reply {number}: want {reply:?}, got after {agreed} bytes: {got}"
                ));
            }
        }
        Ok(true)
    }

    /// The reply that begins at `start` is broken off by an error that may stand there.
    fn fault(&mut self, start: usize, request: &Request) -> bool {
        let codes = [self.excuses, &request.excuses].concat();
        let found = self.broken_off(start, &request.reply, &codes, true);
        self.at = found.unwrap_or(self.at);
        found.is_some()
    }

    /// The reply that begins at `start` is broken off because the server stops.
    fn is_stopped(&mut self, start: usize, reply: &Reply) -> bool {
        let is_last = self.broken_off(start, reply, &["stopping"], false) == Some(self.bytes.len());
        if is_last {
            self.at = self.bytes.len();
            self.reading.farewell = Some("stopping".to_owned());
        }
        is_last
    }

    fn ends_in_farewell(&self, start: usize, reply: &Reply) -> bool {
        matches!(reply, Reply::Plain(pieces) if ends_in_farewell(&self.bytes[start..], pieces))
    }

    /// Where the error line ends that comes after a beginning of the reply.
    fn broken_off(
        &self,
        start: usize,
        reply: &Reply,
        codes: &[&str],
        has_newline: bool,
    ) -> Option<usize> {
        let Reply::Plain(pieces) = reply else { return None };
        let rest = &self.bytes[start..];
        let mut from = 0;
        while let Some(found) = find(&rest[from..], b"error ") {
            let place = from + found;
            if let Match::Whole(length) = error(&rest[place..], codes, has_newline)
                && (begins(&rest[..place], pieces)
                    // On `exec` it stands on a line of its own.
                    || rest[..place].strip_suffix(b"\n").is_some_and(|rest| begins(rest, pieces)))
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

    fn framed(&mut self, want: Want<'_>, excuses: &[&str]) -> Result<Match, String> {
        let mut got: Vec<(String, Vec<u8>)> = Vec::new();
        loop {
            let frame = match Frame::parse(&self.bytes[self.at..]) {
                Ok(frame) => frame,
                Err(true) => return Ok(Match::Cut),
                // The server stops before it has read that frames are wanted.
                Err(false) if self.is_handshake && got.is_empty() => {
                    return Ok(Match::Other);
                }
                Err(false) => return Err(format!("no frame: {}", show(&self.bytes[self.at..]))),
            };
            if frame.is_closing() {
                return Ok(Match::Other);
            }
            self.at += frame.length;
            match (frame.kind.as_str(), want) {
                ("msg", _) => self.reading.messages.push(frame.message()),
                ("done" | "fail", None) => return Ok(Match::Whole(0)),
                ("note", _) | (_, None) => {}
                ("file", Some((_, size, _))) => {
                    let told = frame.key("size").and_then(|size| size.parse().ok());
                    if told != size || !got.is_empty() {
                        return Err(format!("a file of {told:?} bytes, want {size:?}"));
                    }
                    got.push(("file".to_owned(), Vec::new()));
                }
                ("done", Some((parts, size, last))) => {
                    if size.is_some() != got.iter().any(|(kind, _)| kind == "file") {
                        return Err("a file frame is missing, or one too many".to_owned());
                    }
                    // What was to be in the way was not stored, where calls fail.
                    if matches!(last, Last::Fail(_)) && !self.excuses.is_empty() {
                        return Ok(Match::Whole(0));
                    }
                    return Self::done(&frame, parts, &got, last);
                }
                ("fail", Some((parts, _, last))) => {
                    return self.failed(&frame, parts, &got, last, excuses);
                }
                (kind, _) => match got.iter_mut().find(|(other, _)| other == kind) {
                    Some((_, bytes)) => bytes.extend(frame.payload),
                    None => got.push((kind.to_owned(), frame.payload)),
                },
            }
        }
    }

    /// A download of which something is lost: what came is how the file begins, and zeros may
    /// stand for the rest of a frame if the reply says that it failed.
    fn damaged(&mut self, content: &[u8], excuses: &[&str]) -> Result<Match, String> {
        let mut got: Vec<u8> = Vec::new();
        let mut size = None;
        loop {
            let frame = match Frame::parse(&self.bytes[self.at..]) {
                Ok(frame) => frame,
                Err(true) => return Ok(Match::Cut),
                Err(false) => return Err(format!("no frame: {}", show(&self.bytes[self.at..]))),
            };
            if frame.is_closing() {
                return Ok(Match::Other);
            }
            self.at += frame.length;
            let code = frame.key("code").unwrap_or_default();
            let alike = got.iter().zip(content).take_while(|(a, b)| a == b).count();
            match frame.kind.as_str() {
                "msg" => self.reading.messages.push(frame.message()),
                "note" => {}
                "file" => size = frame.key("size").and_then(|size| size.parse::<usize>().ok()),
                "data" => got.extend(frame.payload),
                "done" if size == Some(got.len()) && alike == got.len() => {
                    return Ok(Match::Whole(0));
                }
                "fail" if got[alike..].iter().all(|byte| *byte == 0) => {
                    let is_known = ["truncated", "internal", "stopping"].contains(&code)
                        || self.excuses.contains(&code)
                        || excuses.contains(&code);
                    self.reading.cancelled += usize::from(code == "cancelled");
                    let wrong = || Err(format!("fail {code} of a damaged file"));
                    return if is_known { Ok(Match::Whole(0)) } else { wrong() };
                }
                kind => {
                    let got = got.len();
                    return Err(format!("{kind} {code} after {got} bytes, {alike} of them right"));
                }
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
            let mut have: Vec<&str> = frame.key(key).unwrap_or_default().split(',').collect();
            have.sort_unstable();
            if have.join(",") != *want {
                return Err(format!("{key}={:?}, want {want}", frame.key(key)));
            }
        }
        let is_known = |kind: &String| kind == "file" || parts.iter().any(|(own, _)| own == kind);
        if let Some((kind, bytes)) = got.iter().find(|(kind, _)| !is_known(kind)) {
            return Err(format!("{kind} is not expected: {}", show(bytes)));
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

    fn failed(
        &mut self,
        frame: &Frame,
        parts: &[(&'static str, Vec<u8>)],
        got: &[(String, Vec<u8>)],
        last: &Last,
        excuses: &[&str],
    ) -> Result<Match, String> {
        let code = frame.key("code").unwrap_or_default();
        if frame.payload.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
            return Err(format!("fail {code} holds control characters: {}", show(&frame.payload)));
        }
        let is_wanted =
            matches!(last, Last::Fail(codes) | Last::Either(codes) if codes.contains(&code));
        if is_wanted {
            if code == "no-such-user" {
                let names = String::from_utf8_lossy(&frame.payload).into_owned();
                self.reading.unknown.push((self.reading.replies, names));
            }
            return Ok(Match::Whole(0));
        }
        self.reading.cancelled += usize::from(code == "cancelled");
        let is_excused =
            self.excuses.contains(&code) || excuses.contains(&code) || code == "stopping";
        if !is_excused {
            return Err(format!("fail {code} {}, want {last:?}", show(&frame.payload)));
        }
        for (kind, have) in got {
            let want = parts.iter().find(|(other, _)| other == kind);
            let is_begun = want.is_some_and(|(_, want)| want.starts_with(have));
            if kind != "file" && !is_begun && self.excuses.is_empty() {
                return Err(format!("{kind}: got {}, want {want:.100?}", show(have)));
            }
        }
        Ok(Match::Whole(0))
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
        Frame::begins_event(rest)
            || FAREWELL_CODES.iter().any(|code| error(rest, &[code], true) == Match::Cut)
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
