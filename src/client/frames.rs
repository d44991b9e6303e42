//! `Frames`: what came from a server, taken apart into headers and payloads. Pure, and of one size
//! whatever comes.
//!
//! What it does not do: read a socket, or judge the order of frames (`wire` and the commands).
//!
//! Invariants:
//! 1. `start <= searched <= end <= buffer.len()`; what lies before `start` was taken.
//! 2. No header is looked for while payload of the last one is to come.

use crate::protocol::limits::HEADER_BYTES_MAX;
use crate::protocol::reply::{Header, Malformed};

/// Bytes that are read at once, at most.
const BUFFER_BYTES: usize = 256 * 1024;

const _: () = assert!(BUFFER_BYTES > 2 * HEADER_BYTES_MAX);

/// Bytes that came, and how far they were taken.
pub(super) struct Frames {
    buffer: Vec<u8>,
    start: usize,
    searched: usize,
    end: usize,
    payload_left: u64,
}

impl Frames {
    /// Nothing came yet.
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; BUFFER_BYTES], start: 0, searched: 0, end: 0, payload_left: 0 }
    }

    /// Where the next bytes go; never empty once all that can be taken was taken.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched -= self.start;
            self.start = 0;
        }
        &mut self.buffer[self.end..]
    }

    /// Whether more can come before something is taken.
    pub(super) fn has_room(&self) -> bool {
        self.end - self.start < self.buffer.len()
    }

    /// `count` bytes came into the room.
    pub(super) fn filled(&mut self, count: usize) {
        self.end += count;
        self.check();
    }

    /// The next line, without its newline, once it is there.
    pub(super) fn line(&mut self) -> Result<Option<&[u8]>, Malformed> {
        debug_assert_eq!(self.payload_left, 0, "invariant 2");
        let fresh = &self.buffer[self.searched..self.end];
        let newline = fresh.iter().position(|byte| *byte == b'\n').map(|at| self.searched + at);
        let line_end = newline.unwrap_or(self.end);
        if line_end - self.start > HEADER_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        self.searched = newline.map_or(self.end, |at| at + 1);
        if newline.is_none() {
            return Ok(None);
        }
        let line = self.start..line_end;
        self.start = line_end + 1;
        Ok(Some(&self.buffer[line]))
    }

    /// The next header, once it is there. Its payload follows.
    pub(super) fn header(&mut self) -> Result<Option<Header>, Malformed> {
        let Some(line) = self.line()? else { return Ok(None) };
        let header = Header::parse(line)?;
        self.expect_payload(header.len);
        Ok(Some(header))
    }

    /// What follows is `len` bytes of payload, of a header that was taken as a line.
    pub(super) fn expect_payload(&mut self, len: u64) {
        debug_assert_eq!(self.payload_left, 0, "invariant 2");
        self.payload_left = len;
    }

    /// Payload bytes that were not taken yet, whether they came or not.
    pub(super) fn payload_left(&self) -> u64 {
        self.payload_left
    }

    /// Whether something of the payload is there to be taken.
    pub(super) fn has_payload(&self) -> bool {
        self.payload_left > 0 && self.start < self.end
    }

    /// Takes what is there of the payload.
    pub(super) fn payload(&mut self) -> &[u8] {
        let wanted = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
        let piece = self.start..self.end.min(self.start.saturating_add(wanted));
        self.payload_left -= piece.len() as u64;
        self.start = piece.end;
        self.searched = piece.end;
        self.check();
        &self.buffer[piece]
    }

    /// Whether all that came was taken, to the end of a frame.
    pub(super) fn is_between(&self) -> bool {
        self.start == self.end && self.payload_left == 0
    }

    fn check(&self) {
        debug_assert!(
            self.start <= self.searched && self.searched <= self.end,
            "invariant 1: {} {} {}",
            self.start,
            self.searched,
            self.end
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(frames: &mut Frames, bytes: &[u8]) {
        frames.room()[..bytes.len()].copy_from_slice(bytes);
        frames.filled(bytes.len());
    }

    /// All frames in `bytes`, which come in pieces of `step`.
    fn read(bytes: &[u8], step: usize) -> Result<Vec<(String, Vec<u8>)>, Malformed> {
        let mut frames = Frames::new();
        let mut found: Vec<(String, Vec<u8>)> = Vec::new();
        for piece in bytes.chunks(step) {
            feed(&mut frames, piece);
            loop {
                if frames.payload_left() > 0 {
                    let payload = frames.payload();
                    if payload.is_empty() {
                        break;
                    }
                    found.last_mut().expect("payload has a header").1.extend_from_slice(payload);
                } else if let Some(header) = frames.header()? {
                    found.push((header.kind, Vec::new()));
                } else {
                    break;
                }
            }
        }
        assert!(frames.is_between());
        Ok(found)
    }

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let bytes = b"file 0 size=3\ndata 3\na\nbdata 0\nout 4\n\n\n\n\ndone 0\n";
        let expected = [("file", ""), ("data", "a\nb"), ("data", ""), ("out", "\n\n\n\n")];
        let expected: Vec<_> = expected
            .iter()
            .chain(&[("done", "")])
            .map(|(kind, payload)| ((*kind).to_owned(), payload.as_bytes().to_vec()))
            .collect();
        for step in 1..=bytes.len() {
            assert_eq!(read(bytes, step), Ok(expected.clone()), "cut after each {step}");
        }
    }

    #[test]
    fn a_header_has_an_end() {
        let mut line = vec![b'a'; HEADER_BYTES_MAX + 1];
        assert_eq!(read(&line, 1000), Err(Malformed::TooLong));
        line.push(b'\n');
        assert_eq!(read(&line, line.len()), Err(Malformed::TooLong));
        let mut longest = b"done 0 k=".to_vec();
        longest.resize(HEADER_BYTES_MAX, b'v');
        longest.push(b'\n');
        assert_eq!(read(&longest, 7).map(|frames| frames.len()), Ok(1));
    }

    #[test]
    fn a_length_of_2_to_the_63_is_refused_and_one_less_is_only_waited_for() {
        assert_eq!(read(b"data 9223372036854775808\n", 9), Err(Malformed::Length));
        let mut frames = Frames::new();
        feed(&mut frames, b"data 9223372036854775807\nabc");
        assert!(frames.header().is_ok_and(|header| header.is_some()));
        assert_eq!(frames.payload(), b"abc");
        assert_eq!(frames.payload_left(), u64::MAX / 2 - 3);
        assert!(!frames.is_between());
    }
}
