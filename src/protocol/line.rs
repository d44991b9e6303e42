//! `Framer`: where one message ends and the next begins (section 2, "Messages and requests").
//!
//! It looks at bytes the caller keeps and says how many of them make a frame; it copies nothing.
//! What it does not do: own a buffer, know verbs, or watch the clock (the caller says `decide_bare`
//! once the time is up).
//!
//! Invariants, asserted by `check`:
//! 1. `scanned` never exceeds the bytes that were shown: each byte is searched for a newline once.
//! 2. A frame's `used` is never zero and never more than what was shown.

use memchr::memchr;

/// One message, as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The message without its ending.
    pub body: &'a [u8],
    /// The message with the very ending it came with.
    pub whole: &'a [u8],
    /// True for a message that was one read of a bare client.
    pub is_bare: bool,
}

/// What the bytes so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut<'a> {
    /// A message in the first `used` bytes.
    Frame {
        /// The message.
        frame: Frame<'a>,
        /// How many bytes it takes, its ending counted.
        used: usize,
    },
    /// A line over the limit; its first `used` bytes are to be dropped, the rest of it is skipped.
    TooLong {
        /// How many bytes to drop now.
        used: usize,
    },
    /// Bytes that belong to no message, to be dropped.
    Dropped {
        /// How many bytes to drop now.
        used: usize,
    },
    /// A piece of the payload that was announced: the first bytes, and all of them that are there.
    Payload(&'a [u8]),
    /// Nothing yet: all bytes shown are to be kept and shown again with more.
    Unfinished,
}

/// How messages end on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// At newlines.
    Lines,
    /// Not known yet: the first message of a `+bare` connection decides.
    Undecided,
    /// What one read returns is one message.
    Bare,
    /// Nowhere: bytes are passed as they come (the `echo` service).
    Raw,
}

/// The framing state of one connection. A clone from before undoes a cut that is not to count.
#[derive(Clone, Debug)]
pub struct Framer {
    framing: Framing,
    is_discarding: bool,
    scanned: u32,
    payload_bytes: u64,
}

impl Framer {
    /// A framer at the start of a connection.
    pub fn new(framing: Framing) -> Self {
        Self { framing, is_discarding: false, scanned: 0, payload_bytes: 0 }
    }

    /// How messages end, as far as it is known.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The time for a newline is up: an undecided connection is bare from now on.
    pub fn decide_bare(&mut self) {
        if self.framing == Framing::Undecided {
            self.framing = Framing::Bare;
            self.is_discarding = false;
            self.scanned = 0;
        }
    }

    /// The bytes that are kept changed, and telnet is spoken: in lines, searched from their start.
    pub fn begin_anew(&mut self) {
        if self.framing == Framing::Undecided {
            self.framing = Framing::Lines;
        }
        self.scanned = 0;
    }

    /// True while a line over the limit is being skipped to its newline.
    pub fn is_discarding(&self) -> bool {
        self.is_discarding
    }

    /// The next `bytes` bytes are payload: they are handed out as they are.
    pub fn expect_payload(&mut self, bytes: u64) {
        self.payload_bytes = self.payload_bytes.saturating_add(bytes);
    }

    /// How many bytes of payload come next.
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Whether what comes next is payload.
    pub fn is_in_payload(&self) -> bool {
        self.payload_bytes > 0
    }

    /// The next message in `shown`: bytes kept since the last frame, and those that came since.
    /// `is_end` says that no more will come.
    pub fn cut<'a>(&mut self, shown: &'a [u8], is_end: bool, line_bytes_max: usize) -> Cut<'a> {
        let cut = self.cut_unchecked(shown, is_end, line_bytes_max);
        self.check(shown, &cut);
        cut
    }

    fn cut_unchecked<'a>(&mut self, shown: &'a [u8], is_end: bool, max: usize) -> Cut<'a> {
        if shown.is_empty() {
            return Cut::Unfinished;
        }
        if self.payload_bytes > 0 {
            let used = usize::try_from(self.payload_bytes).unwrap_or(usize::MAX).min(shown.len());
            self.payload_bytes -= used as u64;
            return Cut::Payload(&shown[..used]);
        }
        match self.framing {
            Framing::Raw => whole(shown, false),
            Framing::Bare => self.cut_bare(shown, max),
            Framing::Lines | Framing::Undecided => self.cut_line(shown, is_end, max),
        }
    }

    fn cut_bare<'a>(&mut self, shown: &'a [u8], max: usize) -> Cut<'a> {
        self.scanned = 0;
        if shown.len() > max { Cut::TooLong { used: shown.len() } } else { whole(shown, true) }
    }

    fn cut_line<'a>(&mut self, shown: &'a [u8], is_end: bool, max: usize) -> Cut<'a> {
        let Some(found) = memchr(b'\n', &shown[self.scanned as usize..]) else {
            return self.cut_without_newline(shown, is_end, max);
        };
        let used = self.scanned as usize + found + 1;
        self.scanned = 0;
        self.framing = Framing::Lines;
        if self.is_discarding {
            self.is_discarding = false;
            return Cut::Dropped { used };
        }
        let body = without_carriage_return(&shown[..used - 1]);
        if body.len() > max {
            return Cut::TooLong { used };
        }
        Cut::Frame { frame: Frame { body, whole: &shown[..used], is_bare: false }, used }
    }

    fn cut_without_newline<'a>(&mut self, shown: &'a [u8], is_end: bool, max: usize) -> Cut<'a> {
        let used = shown.len();
        if self.is_discarding {
            self.scanned = 0;
            return Cut::Dropped { used };
        }
        if is_end && self.framing == Framing::Undecided {
            self.framing = Framing::Bare;
            return self.cut_bare(shown, max);
        }
        // A carriage return is part of the ending only where a newline follows.
        let line = if is_end { shown } else { without_carriage_return(shown) };
        let is_over = line.len() > max;
        if is_over {
            self.is_discarding = true;
            self.scanned = 0;
            return Cut::TooLong { used };
        }
        if is_end {
            self.scanned = 0;
            return Cut::Frame { frame: Frame { body: shown, whole: shown, is_bare: false }, used };
        }
        // A longer tail is searched again, rather than counted wrongly.
        self.scanned = u32::try_from(used).unwrap_or(0);
        Cut::Unfinished
    }

    fn check(&self, shown: &[u8], cut: &Cut<'_>) {
        debug_assert!(self.scanned as usize <= shown.len(), "invariant 1");
        if let Cut::Payload(piece) = cut {
            debug_assert!((1..=shown.len()).contains(&piece.len()), "invariant 2");
        }
        if let Cut::Frame { used, .. } | Cut::TooLong { used } | Cut::Dropped { used } = cut {
            debug_assert!((1..=shown.len()).contains(used), "invariant 2");
            debug_assert!(self.scanned == 0, "invariant 1: a cut starts anew");
        }
    }
}

fn whole(shown: &[u8], is_bare: bool) -> Cut<'_> {
    let mut body = shown;
    while is_bare && let [rest @ .., b'\n' | b'\r' | 0] = body {
        body = rest;
    }
    Cut::Frame { frame: Frame { body, whole: shown, is_bare }, used: shown.len() }
}

fn without_carriage_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 8;

    /// Feeds `input` in pieces of `step` bytes and writes down what comes out.
    fn transcript(framing: Framing, input: &[u8], step: usize) -> Vec<String> {
        let mut framer = Framer::new(framing);
        let (mut kept, mut out) = (Vec::new(), Vec::new());
        let mut pieces = input.chunks(step).peekable();
        while let Some(piece) = pieces.next() {
            kept.extend_from_slice(piece);
            loop {
                let used = match framer.cut(&kept, pieces.peek().is_none(), MAX) {
                    Cut::Frame { frame, used } => {
                        out.push(String::from_utf8_lossy(frame.whole).into_owned());
                        used
                    }
                    Cut::TooLong { used } => {
                        out.push("too long".into());
                        used
                    }
                    Cut::Dropped { used } => used,
                    Cut::Payload(piece) => piece.len(),
                    Cut::Unfinished => break,
                };
                kept.drain(..used);
            }
        }
        out
    }

    #[test]
    fn lines_are_the_same_however_they_are_chunked() {
        let input = b"one\ntwo\r\n\n12345678\n12345678\r\n123456789\nnext\ntail";
        let expected =
            ["one\n", "two\r\n", "\n", "12345678\n", "12345678\r\n", "too long", "next\n", "tail"];
        for step in 1..=input.len() {
            assert_eq!(transcript(Framing::Lines, input, step), expected, "in steps of {step}");
        }
    }

    #[test]
    fn a_carriage_return_at_the_end_of_input_is_part_of_the_line() {
        assert_eq!(transcript(Framing::Lines, b"12345678\r", 9), ["too long"]);
        assert_eq!(transcript(Framing::Lines, b"1234567\r", 8), ["1234567\r"]);
    }

    #[test]
    fn a_newline_in_the_first_message_makes_a_line_client() {
        let mut framer = Framer::new(Framing::Undecided);
        assert_eq!(framer.cut(b"ali", false, MAX), Cut::Unfinished);
        assert!(matches!(framer.cut(b"alice\nx", false, MAX), Cut::Frame { used: 6, .. }));
        assert_eq!(framer.framing(), Framing::Lines);
        framer.decide_bare();
        assert_eq!(framer.framing(), Framing::Lines);
    }

    #[test]
    fn time_or_end_of_input_makes_a_bare_client() {
        let mut framer = Framer::new(Framing::Undecided);
        assert_eq!(framer.cut(b"alice", false, MAX), Cut::Unfinished);
        framer.decide_bare();
        let Cut::Frame { frame, used: 5 } = framer.cut(b"alice", false, MAX) else {
            panic!("the name is a message now");
        };
        assert!(frame.is_bare);
        let mut long = Framer::new(Framing::Undecided);
        assert_eq!(long.cut(b"123456789", false, MAX), Cut::TooLong { used: 9 });
        assert!(long.is_discarding() && long.framing() == Framing::Undecided);
        assert_eq!(long.cut(b"10\nx", false, MAX), Cut::Dropped { used: 3 });
        assert_eq!(long.framing(), Framing::Lines);
        let mut at_end = Framer::new(Framing::Undecided);
        assert!(matches!(at_end.cut(b"bob", true, MAX), Cut::Frame { used: 3, .. }));
        assert_eq!(at_end.framing(), Framing::Bare);
    }

    #[test]
    fn a_bare_body_loses_the_padding_of_c_strings_but_the_whole_keeps_it() {
        let mut framer = Framer::new(Framing::Bare);
        let Cut::Frame { frame, .. } = framer.cut(b"ls\r\n\0\0", false, MAX) else {
            panic!("one read is one message");
        };
        assert_eq!((frame.body, frame.whole), (&b"ls"[..], &b"ls\r\n\0\0"[..]));
    }

    #[test]
    fn payload_is_handed_out_in_pieces_and_framing_goes_on_behind_it() {
        let mut framer = Framer::new(Framing::Lines);
        framer.expect_payload(5);
        assert_eq!(framer.cut(b"ab\n", false, MAX), Cut::Payload(b"ab\n"));
        assert!(framer.is_in_payload());
        assert_eq!(framer.cut(b"\n\nok\n", false, MAX), Cut::Payload(b"\n\n"));
        assert!(!framer.is_in_payload());
        assert!(matches!(framer.cut(b"ok\n", false, MAX), Cut::Frame { used: 3, .. }));
    }

    #[test]
    fn payload_is_counted_down_to_the_next_line() {
        let mut framer = Framer::new(Framing::Lines);
        framer.expect_payload(5);
        assert_eq!((framer.payload_bytes(), framer.is_in_payload()), (5, true));
        assert!(matches!(framer.cut(b"abc", false, MAX), Cut::Payload(b"abc")));
        assert_eq!(framer.payload_bytes(), 2);
        assert!(matches!(framer.cut(b"\n\nx\n", false, MAX), Cut::Payload(b"\n\n")));
        assert_eq!((framer.payload_bytes(), framer.is_in_payload()), (0, false));
        assert!(matches!(framer.cut(b"x\n", false, MAX), Cut::Frame { used: 2, .. }));
    }
}
