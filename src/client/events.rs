//! `Events`: messages and notes, which belong to no request, as they wait to be shown; and the
//! lines they are shown as.
//!
//! What it does not do: read frames (`wire`), or show lines (`talk`).

use std::collections::VecDeque;

use super::screen::Tone;
use crate::protocol::reply::Header;
use crate::protocol::text::{self, Civil};
use crate::sys::clock;

/// Bytes of messages and notes that may wait, at most; one may come on top.
pub(super) const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// What a key takes beside its bytes: its place and two allocations.
const KEY_BYTES: usize = 96;

/// What came and was not shown.
#[derive(Debug, Default)]
pub(super) struct Events {
    waiting: VecDeque<(Header, Vec<u8>)>,
    bytes: usize,
    lost: u64,
    is_kept: bool,
}

impl Events {
    /// Somebody will want them; without this, none is kept.
    pub(super) fn keep(&mut self) {
        self.is_kept = true;
    }

    /// One came.
    pub(super) fn put(&mut self, header: Header, text: Vec<u8>) {
        if !self.is_kept {
            return;
        }
        if self.bytes >= EVENT_BYTES_MAX {
            self.lost += 1;
            return;
        }
        self.bytes += cost_bytes(&header, &text);
        self.waiting.push_back((header, text));
    }

    /// The oldest one.
    pub(super) fn next(&mut self) -> Option<(Header, Vec<u8>)> {
        let next = self.waiting.pop_front();
        self.bytes -= next.as_ref().map_or(0, |(header, text)| cost_bytes(header, text));
        next
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many were not kept since this was asked last, if any.
    pub(super) fn take_lost(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.lost)).filter(|lost| *lost > 0)
    }
}

/// What one takes while it waits, in bytes. A header's own come to more than its text: each key is
/// an allocation or two.
fn cost_bytes(header: &Header, text: &[u8]) -> usize {
    let keys = header.keys.iter().map(|(key, value)| KEY_BYTES + key.len() + value.len());
    size_of::<(Header, Vec<u8>)>() + keys.sum::<usize>() + text.len()
}

/// What is shown of a message or note; nothing where its kind is not known.
pub(super) fn line(header: &Header, text: &[u8]) -> Option<(Tone, String)> {
    match header.kind.as_str() {
        "msg" => Some(message_line(header, text)),
        _ => note_line(header, text).map(|line| (Tone::Note, line)),
    }
}

/// A message as plain connections show it, with the time of this host.
fn message_line(header: &Header, text: &[u8]) -> (Tone, String) {
    let (tone, cast) = match header.value("cast") {
        Some(b"single") => (Tone::Single, "singlecasted"),
        Some(b"multi") => (Tone::Multi, "multicasted"),
        Some(b"broad") => (Tone::Broad, "broadcasted"),
        _ => (Tone::Note, "sent"),
    };
    let unix_ms = header.number("at").and_then(|at| i64::try_from(at).ok()).unwrap_or(0);
    let from = text::clean(header.value("from").unwrap_or(b"?"));
    let mut line = String::new();
    local(unix_ms / 1000).write(&mut line);
    (tone, line + &format!(" {from} ({cast}) : {}", text::clean(text)))
}

fn local(unix_s: i64) -> Civil {
    let clock::LocalTime { year, month, day, hour, minute, second } = clock::local(unix_s);
    Civil { year, month, day, hour, minute, second }
}

/// What a note says; nothing where its kind is not known.
fn note_line(header: &Header, text: &[u8]) -> Option<String> {
    let user = text::clean(header.value("user").unwrap_or(b"?"));
    Some(match header.value("kind")? {
        b"join" => format!("* {user} joined"),
        b"leave" => format!("* {user} left"),
        b"shutdown" => "* the server is about to stop".to_owned(),
        b"closing" => format!("* the server closes this connection: {}", text::clean(text)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(line: &str) -> Header {
        Header::parse(line.as_bytes()).expect("tests write good headers")
    }

    #[test]
    fn a_message_is_one_harmless_line() {
        let (tone, line) =
            message_line(&header("msg 9 from=a%1Bb cast=multi at=0"), b"x\n\x1b[2Jy");
        assert_eq!(tone, Tone::Multi);
        let (_, rest) = line.split_at("1970-01-01 00:00:00".len());
        assert_eq!(rest, " a\u{fffd}b (multicasted) : x\u{fffd}\u{fffd}[2Jy");
        let (_, line) = message_line(&header("msg 9 at=9223372036854775807 cast=odd"), b"z");
        assert!(line.ends_with(" ? (sent) : z"), "{line}");
    }

    #[test]
    fn notes_of_known_kinds_are_told() {
        for (line, told) in [
            ("note 0 kind=join user=al", Some("* al joined")),
            ("note 0 kind=leave user=%0Aal", Some("* \u{fffd}al left")),
            ("note 0 kind=shutdown", Some("* the server is about to stop")),
            ("note 4 kind=closing code=slow", Some("* the server closes this connection: text")),
            ("note 0 kind=new", None),
            ("note 0", None),
        ] {
            assert_eq!(note_line(&header(line), b"text").as_deref(), told, "{line}");
        }
    }

    #[test]
    fn what_is_not_kept_is_counted() {
        let mut events = Events::default();
        events.put(header("note 1"), b"x".to_vec());
        assert!(events.next().is_none(), "nobody wants them");
        events.keep();
        let long = vec![b'x'; EVENT_BYTES_MAX];
        for _ in 0..3 {
            events.put(header("msg 1"), long.clone());
        }
        assert_eq!(events.next().map(|(_, text)| text.len()), Some(EVENT_BYTES_MAX));
        assert!(events.next().is_none() && events.bytes() == 0);
        assert_eq!((events.take_lost(), events.take_lost()), (Some(2), None));
        for _ in 0..EVENT_BYTES_MAX / 64 {
            events.put(header("note 0 kind=join user=al"), Vec::new());
        }
        assert!(events.waiting.len() < EVENT_BYTES_MAX / 100, "{}", events.waiting.len());
    }
}
