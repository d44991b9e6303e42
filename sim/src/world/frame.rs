//! Frames as a client reads them, and the messages in them.

use super::compare::find;

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

/// A frame.
pub(super) struct Frame {
    pub(super) kind: String,
    keys: Vec<(String, String)>,
    pub(super) payload: Vec<u8>,
    pub(super) length: usize,
}

impl Frame {
    /// `Err(true)` where it is not whole, `Err(false)` where it is none.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, bool> {
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

    /// Whether this is the beginning of a frame that comes by itself.
    pub(super) fn begins_event(bytes: &[u8]) -> bool {
        let begins = |kind: &&[u8]| kind.starts_with(&bytes[..bytes.len().min(kind.len())]);
        let is_event = [b"note ".as_slice(), b"msg "].iter().any(begins);
        is_event && Self::parse(bytes).is_err_and(|is_begun| is_begun)
    }

    pub(super) fn key(&self, key: &str) -> Option<&str> {
        self.keys.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str())
    }

    /// Whether the server says here that it closes the connection by itself.
    pub(super) fn is_closing(&self) -> bool {
        self.kind == "note" && self.key("kind") == Some("closing")
    }

    pub(super) fn message(&self) -> Message {
        Message {
            from: self.key("from").unwrap_or_default().to_owned(),
            cast: self.key("cast").unwrap_or_default().to_owned(),
            text: String::from_utf8_lossy(&self.payload).into_owned(),
        }
    }
}
