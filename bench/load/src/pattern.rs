//! What is said and what must come back: a cycle of different messages, laid out so that any batch
//! of them is one slice, and any stretch of the reply can be compared with `memcmp`.
//!
//! What it does not do: carry time or connection; two connections start at different messages, so
//! that an answer to somebody else is not taken for one's own.

use std::fmt::Write as _;

use crate::speech::Speech;

/// Messages in a cycle, at most; fewer where they are large.
const CYCLE_MAX: usize = 64;
/// Bytes that a cycle should not exceed, so that comparing stays in the near cache.
const CYCLE_BYTES: usize = 256 * 1024;
/// Smallest message, in bytes with its newline.
pub const SIZE_MIN: usize = 8;

/// A cycle of messages and of their replies.
pub struct Pattern {
    said: Vec<u8>,
    reply: Vec<u8>,
    said_bytes: usize,
    reply_bytes: usize,
    count: usize,
}

impl Pattern {
    /// Echo lines of `size` bytes with their newline; `depth` of them can be said at once. The
    /// reply is the line, or with `framed` a `done` frame with the line without its ending; other
    /// languages have their own forms around the same text.
    pub fn echo(speech: Speech, size: usize, depth: usize, framed: bool) -> Self {
        let size = size.max(SIZE_MIN);
        let count = (CYCLE_BYTES / size).clamp(4, CYCLE_MAX);
        let (mut said, mut reply) = (Vec::new(), Vec::new());
        for number in 0..count {
            let (line, answer) = speech.echo(&text(number, size - 1), framed);
            said.extend_from_slice(&line);
            reply.extend_from_slice(&answer);
        }
        let (said_bytes, reply_bytes) = (said.len() / count, reply.len() / count);
        let once = said.clone();
        while said.len() < (count + depth) * said_bytes {
            said.extend_from_slice(&once);
        }
        Self { said, reply, said_bytes, reply_bytes, count }
    }

    /// Bytes of the reply to one message.
    pub fn reply_bytes(&self) -> usize {
        self.reply_bytes
    }

    /// The bytes of `messages` messages from number `from` on.
    pub fn said(&self, from: u64, messages: usize) -> &[u8] {
        let start = self.place(from) * self.said_bytes;
        &self.said[start..start + messages * self.said_bytes]
    }

    /// Whether `got` is the reply from byte `at` on, to messages counted from number `first`.
    pub fn is_reply(&self, first: u64, at: u64, mut got: &[u8]) -> bool {
        let skipped = usize::try_from(at % self.reply.len() as u64).unwrap_or(0);
        let mut start = (self.place(first) * self.reply_bytes + skipped) % self.reply.len();
        while !got.is_empty() {
            let stretch = got.len().min(self.reply.len() - start);
            if got[..stretch] != self.reply[start..start + stretch] {
                return false;
            }
            got = &got[stretch..];
            start = 0;
        }
        true
    }

    fn place(&self, number: u64) -> usize {
        usize::try_from(number % self.count as u64).unwrap_or(0)
    }
}

/// A text of exactly so many bytes (at least 7) that starts with its number and is no request.
pub fn text(number: usize, bytes: usize) -> String {
    let mut text = format!("{number:06} ");
    let mut next = number;
    while text.len() < bytes {
        let letter = char::from(b'a' + u8::try_from(next % 26).unwrap_or(0));
        text.write_char(letter).unwrap_or_default();
        next += 7;
    }
    text.truncate(bytes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_recognised_at_any_cut_and_a_flaw_is_seen() {
        let pattern = Pattern::echo(Speech::Landline, 64, 16, false);
        let said = pattern.said(60, 16).to_vec();
        assert_eq!(said.len(), 16 * 64);
        assert!(pattern.is_reply(60, 0, &said[..100]));
        assert!(pattern.is_reply(60, 100, &said[100..]));
        let mut flawed = said.clone();
        flawed[900] ^= 1;
        assert!(!pattern.is_reply(60, 0, &flawed));
        assert!(!pattern.is_reply(61, 0, &said));
    }

    #[test]
    fn a_framed_reply_is_the_line_in_a_frame() {
        let pattern = Pattern::echo(Speech::Landline, 16, 1, true);
        let line = pattern.said(3, 1).trim_ascii_end();
        let frame = [b"done 15\n".as_slice(), line].concat();
        assert_eq!(frame.len(), pattern.reply_bytes());
        assert!(pattern.is_reply(3, 0, &frame));
    }

    #[test]
    fn large_messages_are_few() {
        let pattern = Pattern::echo(Speech::Landline, 16384, 4, false);
        assert_eq!(pattern.count, 16);
        assert!(pattern.is_reply(15, 0, pattern.said(15, 4)));
    }
}
