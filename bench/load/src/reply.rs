//! What a reply has to be, byte for byte, but for a date that the server puts into it.
//!
//! What it does not do: parse.

use std::ops::Range;

/// The bytes expected.
pub struct Reply {
    bytes: Vec<u8>,
    /// Where any byte will do.
    loose: Range<usize>,
}

/// What comes before a date in HTTP (RFC 9110, 6.6.1), and how long one is.
const DATE: &[u8] = b"\r\nDate: ";
const DATE_BYTES: usize = 29;

impl Reply {
    /// A head as it was learnt, and the content behind it.
    pub fn new(head: Vec<u8>, content: &[u8]) -> Self {
        let date = head.windows(DATE.len()).position(|window| window == DATE);
        let loose = date.map_or(0..0, |at| at + DATE.len()..at + DATE.len() + DATE_BYTES);
        let mut bytes = head;
        bytes.extend_from_slice(content);
        Self { bytes, loose }
    }

    /// All of it, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether `got` is what comes from byte `at` on; `read` false where only its length is known.
    pub fn is(&self, at: usize, got: &[u8], read: bool) -> bool {
        let Some(expected) = self.bytes.get(at..at + got.len()) else {
            return false;
        };
        if !read || expected == got {
            return true;
        }
        let differs = |(place, (a, b))| a != b && !self.loose.contains(&(at + place));
        !self.loose.is_empty() && !expected.iter().zip(got).enumerate().any(differs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_alone_may_differ() {
        let head = |date: &str| format!("HTTP/1.1 200 OK\r\nDate: {date}\r\n\r\n").into_bytes();
        let reply = Reply::new(head("Sun, 06 Nov 1994 08:49:37 GMT"), b"abc");
        let mut later = head("Mon, 07 Nov 1994 08:49:38 GMT");
        later.extend_from_slice(b"abc");
        assert!(reply.is(0, &later, true));
        assert!(reply.is(20, &later[20..], true));
        later[0] = b'X';
        assert!(!reply.is(0, &later, true));
        assert!(!reply.is(reply.len() - 1, b"d", true));
        assert!(!reply.is(reply.len(), b"c", false));
    }
}
