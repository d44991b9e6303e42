//! What a client must receive, in the words of the protocol, and whether it did.
//!
//! Nothing here uses the server's encoders: the expected bytes are written down from
//! `docs/PROTOCOL.md`.

/// A piece of a plain reply, or of a payload.
#[derive(Clone, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Exact(Vec<u8>),
    /// `YYYY-MM-DD HH:MM:SS`.
    Date,
    /// `error CODE: TEXT`, with one of these codes, and a newline where `true`.
    Error(&'static [&'static str], bool),
    /// Any line, with its newline.
    Line,
    /// An error with one of these codes, or nothing.
    Maybe(&'static [&'static str]),
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(bytes) => out.write_str(&show(bytes)),
            Self::Date => out.write_str("a date"),
            Self::Error(codes, _) => write!(out, "error {codes:?}"),
            Self::Line => out.write_str("a line"),
            Self::Maybe(codes) => write!(out, "perhaps error {codes:?}"),
        }
    }
}

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

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sent it.
    pub from: String,
    /// `single`, `multi`, `broad`; empty where the form does not say.
    pub cast: String,
    /// What it says.
    pub text: String,
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

/// How a piece compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    /// It is there, and so long.
    Whole(usize),
    /// All there is begins it.
    Cut,
    /// It is something else.
    Other,
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
                Match::Other if self.fault(start) => self.reading.replies += 1,
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

    /// An error stands where the rest of the reply should, and it may.
    fn fault(&mut self, start: usize) -> bool {
        // What came before the error is a beginning of the reply; an error line ends it.
        let rest = &self.bytes[start..];
        let mut from = 0;
        while let Some(found) = find(&rest[from..], b"error ") {
            let place = from + found;
            if let Match::Whole(length) = error(&rest[place..], self.excuses, true) {
                self.at = start + place + length;
                return true;
            }
            from = place + 1;
        }
        false
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
                "done" => return self.done(&frame, parts, &got, last),
                "fail" => return self.failed(&frame, last),
                kind => match got.iter_mut().find(|(other, _)| other == kind) {
                    Some((_, bytes)) => bytes.extend(frame.payload),
                    None => got.push((kind.to_owned(), frame.payload)),
                },
            }
        }
    }

    fn done(
        &self,
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

    /// Whether what is left could become a message.
    fn begins_message(&self) -> bool {
        let rest = &self.bytes[self.at..];
        self.form != Form::Never && find(rest, b"\n\n").is_none() && rest.len() < 8_000
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

fn is_silent(pieces: &[Piece]) -> bool {
    pieces.iter().all(|piece| match piece {
        Piece::Exact(bytes) => bytes.is_empty(),
        Piece::Maybe(_) => true,
        _ => false,
    })
}

fn compare(bytes: &[u8], piece: &Piece) -> Match {
    match piece {
        Piece::Exact(want) if bytes.starts_with(want) => Match::Whole(want.len()),
        Piece::Exact(want) if want.starts_with(bytes) => Match::Cut,
        Piece::Exact(_) => Match::Other,
        Piece::Date if bytes.len() < 19 => Match::Cut,
        Piece::Date => date_length(bytes).map_or(Match::Other, Match::Whole),
        Piece::Error(codes, has_newline) => error(bytes, codes, *has_newline),
        Piece::Maybe(codes) => match error(bytes, codes, true) {
            Match::Other => Match::Whole(0),
            Match::Cut if bytes.is_empty() => Match::Whole(0),
            matched => matched,
        },
        Piece::Line => find(bytes, b"\n").map_or(Match::Cut, |end| Match::Whole(end + 1)),
    }
}

/// `error CODE: TEXT`.
fn error(bytes: &[u8], codes: &[&str], has_newline: bool) -> Match {
    let head = b"error ";
    if !bytes.starts_with(&head[..bytes.len().min(head.len())]) {
        return Match::Other;
    }
    let end = find(bytes, b"\n");
    let Some(line) = bytes.get(head.len()..end.unwrap_or(bytes.len())) else { return Match::Cut };
    let is_code =
        |code: &&str| line.starts_with(code.as_bytes()) && line[code.len()..].starts_with(b": ");
    if !codes.iter().any(is_code) {
        return if end.is_none() && line.len() < 16 { Match::Cut } else { Match::Other };
    }
    match end {
        Some(end) => Match::Whole(end + 1),
        None if has_newline => Match::Cut,
        None => Match::Whole(bytes.len()),
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn date_length(bytes: &[u8]) -> Option<usize> {
    let date = bytes.get(..19)?;
    let is_date = date.iter().zip(b"dddd-dd-dd dd:dd:dd").all(|(byte, form)| match form {
        b'd' => byte.is_ascii_digit(),
        other => byte == other,
    });
    is_date.then_some(19)
}

/// Bytes for people.
pub fn show(bytes: &[u8]) -> String {
    let most = bytes.len().min(160);
    let dots = if most < bytes.len() { " …" } else { "" };
    format!("{} bytes \"{}\"{dots}", bytes.len(), bytes[..most].escape_ascii())
}

/// A frame.
struct Frame {
    kind: String,
    keys: Vec<(String, String)>,
    payload: Vec<u8>,
    length: usize,
}

impl Frame {
    /// `Err(true)` where it is not whole, `Err(false)` where it is none.
    fn parse(bytes: &[u8]) -> Result<Self, bool> {
        let is_begun = bytes.len() < 300 && bytes.first().is_none_or(u8::is_ascii_lowercase);
        let end = find(&bytes[..bytes.len().min(4096)], b"\n").ok_or(is_begun)?;
        let header = str::from_utf8(&bytes[..end]).map_err(|_| false)?;
        let mut words = header.split(' ');
        let kind = words.next().unwrap_or_default().to_owned();
        let length: usize = words.next().and_then(|word| word.parse().ok()).ok_or(false)?;
        if !["msg", "note", "file", "data", "out", "err", "done", "fail"].contains(&&*kind) {
            return Err(false);
        }
        let keys = words.map(|word| {
            let (key, value) = word.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        });
        let keys: Option<Vec<_>> = keys.collect();
        let payload = bytes.get(end + 1..end + 1 + length).ok_or(true)?.to_vec();
        Ok(Self { kind, keys: keys.ok_or(false)?, payload, length: end + 1 + length })
    }

    fn key(&self, key: &str) -> Option<&str> {
        self.keys.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str())
    }

    fn message(&self) -> Message {
        Message {
            from: self.key("from").unwrap_or_default().to_owned(),
            cast: self.key("cast").unwrap_or_default().to_owned(),
            text: String::from_utf8_lossy(&self.payload).into_owned(),
        }
    }
}
