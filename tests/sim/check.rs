//! Comparing what a client received with what the model says it must receive.
//!
//! Replies are compared in order and byte for byte, but for texts that are for people alone. What
//! comes by itself may stand between two plain replies, and between any two frames, in its order.
//! What this does not do: take anything for granted that the crate's parsers say; it has its own.

use crate::want::{Event, Last, Piece, Want};

/// What a client received, and what may be amiss with it.
pub(crate) struct Received<'a> {
    pub(crate) bytes: &'a [u8],
    /// The connection broke: replies may end anywhere.
    pub(crate) is_cut: bool,
    /// So many messages may not be missing.
    pub(crate) due: usize,
    /// It was dismissed for leaving messages unread: the last frame may say so.
    pub(crate) is_slow: bool,
    /// It sends no newlines, so that error texts may end anywhere.
    pub(crate) is_bare: bool,
}

/// Where, in what was received, each message ended, and how long it was.
pub(crate) type Read = Vec<(usize, usize)>;

/// Compares; on success, the messages that were received.
pub(crate) fn compare(
    received: &Received<'_>,
    wants: &[Want],
    events: &[Event],
) -> Result<Read, String> {
    let mut matcher = Matcher { received, wants, events, read: Vec::new(), furthest: None };
    if matcher.go(Place { at: 0, want: 0, piece: 0, event: 0 }) {
        return Ok(matcher.read);
    }
    let (at, why) = matcher.furthest.unwrap_or((0, "nothing matched".to_owned()));
    let got = &received.bytes[at..received.bytes.len().min(at + 120)];
    Err(format!("byte {at} of {}: {why}; got {}", received.bytes.len(), quote(got)))
}

/// Bytes as a person reads them.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let short = &bytes[..bytes.len().min(120)];
    let more = if bytes.len() > short.len() { "…" } else { "" };
    format!("\"{}\"{more}", short.escape_ascii())
}

#[derive(Clone, Copy)]
struct Place {
    at: usize,
    want: usize,
    piece: usize,
    event: usize,
}

struct Matcher<'a> {
    received: &'a Received<'a>,
    wants: &'a [Want],
    events: &'a [Event],
    read: Read,
    furthest: Option<(usize, String)>,
}

impl Matcher<'_> {
    fn rest(&self, at: usize) -> &[u8] {
        &self.received.bytes[at..]
    }

    fn fail(&mut self, at: usize, why: impl FnOnce() -> String) -> bool {
        if self.furthest.as_ref().is_none_or(|(other, _)| at >= *other) {
            self.furthest = Some((at, why()));
        }
        false
    }

    /// Whether `wanted` stands at `at`, `Some(false)` where the stream was cut off within it.
    fn stands(&self, at: usize, wanted: &[u8]) -> Option<bool> {
        let rest = self.rest(at);
        if rest.starts_with(wanted) {
            return Some(true);
        }
        (self.received.is_cut && wanted.starts_with(rest)).then_some(false)
    }

    /// Matches from here on. Tries a message first, where one may stand.
    fn go(&mut self, place: Place) -> bool {
        let Place { at, want, piece, event } = place;
        if piece == 0
            && let Some(Event::Plain(bytes)) = self.events.get(event)
        {
            match self.stands(at, bytes) {
                Some(true) => {
                    self.read.push((at + bytes.len(), bytes.len()));
                    if self.go(Place { at: at + bytes.len(), event: event + 1, ..place }) {
                        return true;
                    }
                    self.read.pop();
                }
                Some(false) => return true,
                None => {}
            }
        }
        match self.wants.get(want) {
            None => self.ends(at, event),
            Some(Want::Framed(_)) => self.frames(place),
            Some(Want::Plain(pieces)) if piece == pieces.len() => {
                self.go(Place { want: want + 1, piece: 0, ..place })
            }
            Some(Want::Plain(pieces)) => self.piece(place, &pieces[piece]),
        }
    }

    fn ends(&mut self, at: usize, event: usize) -> bool {
        if at < self.received.bytes.len() {
            return self.fail(at, || "nothing more is due".to_owned());
        }
        if event < self.received.due {
            return self.fail(at, || format!("a message is missing: {:?}", self.events[event]));
        }
        true
    }

    fn piece(&mut self, place: Place, piece: &Piece) -> bool {
        let next = |at: usize| Place { at, piece: place.piece + 1, ..place };
        let at = place.at;
        match piece {
            Piece::Exact(bytes) => match self.stands(at, bytes) {
                Some(true) => self.go(next(at + bytes.len())),
                Some(false) => true,
                None => self.fail(at, || format!("want {}", quote(bytes))),
            },
            Piece::Error(codes) => self.error(place, codes),
            Piece::Date => match date_end(self.rest(at)) {
                Some(end) => self.go(next(at + end)),
                None if self.received.is_cut && self.rest(at).len() < 19 => true,
                None => self.fail(at, || "want a date".to_owned()),
            },
            Piece::Rest => true,
            Piece::Reset if self.rest(at).is_empty() => true,
            Piece::Reset => self.fail(at, || "want the connection to be reset".to_owned()),
        }
    }

    fn error(&mut self, place: Place, codes: &'static str) -> bool {
        let at = place.at;
        for code in codes.split('|') {
            let start = format!("error {code}: ");
            match self.stands(at, start.as_bytes()) {
                Some(true) => {}
                Some(false) => return true,
                None => continue,
            }
            let text = self.rest(at + start.len());
            let longest = text.iter().position(|byte| *byte < b' ').unwrap_or(text.len());
            let text_at = at + start.len();
            if self.received.is_cut && longest == text.len() {
                return true;
            }
            let shortest = if self.received.is_bare { 1 } else { longest };
            for end in shortest..=longest {
                if self.go(Place { at: text_at + end, piece: place.piece + 1, ..place }) {
                    return true;
                }
            }
        }
        self.fail(at, || format!("want an error {codes}"))
    }

    /// Frames from here to the end.
    fn frames(&mut self, mut place: Place) -> bool {
        let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
        while place.at < self.received.bytes.len() {
            let at = place.at;
            let frame = match Frame::parse(self.rest(at)) {
                Ok(frame) => frame,
                Err(true) if self.received.is_cut => return true,
                Err(_) => return self.fail(at, || "want a frame".to_owned()),
            };
            place.at += frame.bytes;
            let matched = match frame.kind.as_str() {
                "msg" | "note" => self.event(&frame, &mut place),
                "done" | "fail" => {
                    let parts = std::mem::take(&mut parts);
                    let matched = self.last(&frame, &parts, place.want);
                    place.want += 1;
                    matched
                }
                _ => {
                    match parts.iter_mut().find(|(kind, _)| *kind == frame.kind) {
                        Some((_, content)) => content.extend_from_slice(&frame.payload),
                        None => parts.push((frame.kind.clone(), frame.payload.clone())),
                    }
                    self.part(&frame, &parts, place.want)
                }
            };
            if let Err(why) = matched {
                return self.fail(at, || why);
            }
        }
        if self.received.is_cut {
            return true;
        }
        if place.want < self.wants.len() || !parts.is_empty() {
            return self.fail(place.at, || format!("want {:?}", self.wants.get(place.want)));
        }
        self.ends(place.at, place.event)
    }

    fn event(&mut self, frame: &Frame, place: &mut Place) -> Result<(), String> {
        if frame.is("kind", "closing") && self.received.is_slow {
            return if frame.is("code", "slow") { Ok(()) } else { Err("want code=slow".into()) };
        }
        let Some(Event::Framed(kind, keys, text)) = self.events.get(place.event) else {
            return Err(format!("want {:?}", self.events.get(place.event)));
        };
        if frame.kind != *kind || !frame.has(keys) || frame.payload != text.as_bytes() {
            return Err(format!("want {kind} {keys:?} {text:?}"));
        }
        self.read.push((place.at, frame.bytes));
        place.event += 1;
        Ok(())
    }

    /// One more part of a reply came: together they are a beginning of what is wanted.
    fn part(&self, frame: &Frame, parts: &[(String, Vec<u8>)], want: usize) -> Result<(), String> {
        let Some(Want::Framed(frames)) = self.wants.get(want) else {
            return Err("no reply is due".into());
        };
        if frame.kind == "file" {
            let keys = frames.head.as_ref().ok_or("no file is due")?;
            let is_first = parts.len() == 1 && frame.payload.is_empty();
            return if is_first && frame.has(keys) {
                Ok(())
            } else {
                Err(format!("want {keys:?}"))
            };
        }
        if frame.payload.len() > 1 << 20 {
            return Err("a part holds at most 1 MiB".into());
        }
        let wanted = frames.parts.iter().find(|(kind, _)| *kind == frame.kind);
        let (_, wanted) = wanted.ok_or_else(|| format!("want {frames:?}"))?;
        let content = parts.iter().find(|(kind, _)| *kind == frame.kind).map(|part| &part.1[..]);
        let content = content.unwrap_or_default();
        let common = content.len().min(wanted.len());
        let is_made_up = frames.is_truncated && content[common..].iter().all(|byte| *byte == 0);
        if content[..common] != wanted[..common] || (content.len() > common && !is_made_up) {
            return Err(format!("want {} in all", quote(wanted)));
        }
        Ok(())
    }

    fn last(&self, frame: &Frame, parts: &[(String, Vec<u8>)], want: usize) -> Result<(), String> {
        let Some(Want::Framed(frames)) = self.wants.get(want) else {
            return Err("no reply is due".into());
        };
        if frames.may_be_cancelled && frame.kind == "fail" && frame.is("code", "cancelled") {
            return Ok(());
        }
        for (kind, wanted) in &frames.parts {
            let content = parts.iter().find(|(other, _)| other == kind).map(|part| &part.1[..]);
            let content = content.unwrap_or_default();
            // How a part goes on was seen when it came.
            if content.len() < wanted.len() {
                return Err(format!("{kind} ends after {} of {}", content.len(), wanted.len()));
            }
        }
        if frames.head.is_some() && !parts.iter().any(|(kind, _)| kind == "file") {
            return Err("want a file frame first".into());
        }
        match &frames.last {
            Last::Done(keys, payload) => {
                let is_met = frame.kind == "done" && frame.has(keys);
                let is_met = is_met && is_whole(&frame.payload, payload);
                if is_met { Ok(()) } else { Err(format!("want done {keys:?} {payload:?}")) }
            }
            Last::Fail(codes, text) => {
                let has_code = codes.split('|').any(|code| frame.is("code", code));
                let has_text = text.as_ref().is_none_or(|text| frame.payload == text.as_bytes());
                let is_safe = frame.payload.iter().all(|byte| *byte >= b' ');
                let is_met = frame.kind == "fail" && has_code && has_text && is_safe;
                if is_met { Ok(()) } else { Err(format!("want fail {codes} {text:?}")) }
            }
        }
    }
}

/// Whether all of `bytes` is these pieces.
fn is_whole(mut bytes: &[u8], pieces: &[Piece]) -> bool {
    for piece in pieces {
        let end = match piece {
            Piece::Exact(wanted) => bytes.starts_with(wanted).then_some(wanted.len()),
            Piece::Date => date_end(bytes),
            Piece::Error(_) | Piece::Rest | Piece::Reset => None,
        };
        let Some(end) = end else { return false };
        bytes = &bytes[end..];
    }
    bytes.is_empty()
}

/// `2020-12-17 20:MM:SS`: a time of the simulation.
fn date_end(bytes: &[u8]) -> Option<usize> {
    let clock = bytes.get(..19)?.strip_prefix(b"2020-12-17 20:")?;
    let is_clock = clock.iter().enumerate().all(|(place, byte)| match place {
        2 => *byte == b':',
        0 | 3 => (b'0'..b'6').contains(byte),
        _ => byte.is_ascii_digit(),
    });
    is_clock.then_some(19)
}

/// A frame, read by the words of section 4.
struct Frame {
    kind: String,
    keys: Vec<(String, Vec<u8>)>,
    payload: Vec<u8>,
    /// Bytes of all of it.
    bytes: usize,
}

impl Frame {
    /// `Err(true)` where the bytes end too early.
    fn parse(bytes: &[u8]) -> Result<Self, bool> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(bytes.len() < 200)?;
        let header = str::from_utf8(&bytes[..end]).map_err(|_| false)?;
        let mut words = header.split(' ');
        let kind = words.next().unwrap_or_default().to_owned();
        let len: usize = words.next().and_then(|len| len.parse().ok()).ok_or(false)?;
        let keys: Option<Vec<_>> = words.map(key_value).collect();
        let payload = bytes.get(end + 1..end + 1 + len).ok_or(true)?.to_vec();
        Ok(Self { kind, keys: keys.ok_or(false)?, payload, bytes: end + 1 + len })
    }

    fn is(&self, key: &str, value: &str) -> bool {
        self.keys.iter().any(|(other, found)| other == key && found == value.as_bytes())
    }

    /// Whether all these keys are there; of `caps` it is enough to hold what is wanted.
    fn has(&self, keys: &[(&'static str, String)]) -> bool {
        keys.iter().all(|(key, value)| match *key {
            "caps" => {
                let found = self.keys.iter().find(|(other, _)| other == "caps");
                let found = found.map(|(_, value)| String::from_utf8_lossy(value));
                let found = found.unwrap_or_default();
                value.split(',').all(|cap| found.split(',').any(|other| other == cap))
                    && found.split(',').any(|cap| cap == "run") == value.contains("run")
            }
            _ => self.is(key, value),
        })
    }
}

fn key_value(word: &str) -> Option<(String, Vec<u8>)> {
    let (key, value) = word.split_once('=')?;
    let mut decoded = Vec::new();
    let mut rest = value;
    while let Some(first) = rest.chars().next() {
        if first == '%' {
            decoded.push(u8::from_str_radix(rest.get(1..3)?, 16).ok()?);
            rest = &rest[3..];
        } else {
            decoded.push(u8::try_from(first).ok().filter(u8::is_ascii_graphic)?);
            rest = &rest[1..];
        }
    }
    Some((key.to_owned(), decoded))
}
