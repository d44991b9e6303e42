//! Random choices that can be replayed: `SplitMix64` (G. Steele et al., 2014); and bytes that are
//! random, but of the kind that parsers meet.
//!
//! What it does not do: be unpredictable, or read a clock.

/// Words and signs that mean something to one parser or another.
const WORDS: [&str; 40] = [
    "download",
    "download@",
    "files",
    "stat",
    "run",
    "run@in",
    "run@pty",
    "name",
    "get_list",
    "send",
    "all",
    "help",
    "ping",
    "quit",
    "close",
    "landline/1",
    "upload",
    "cancel",
    "in",
    "eof",
    "winch",
    "data",
    "done",
    "fail",
    "msg",
    "from=",
    "%4a",
    "%",
    "=",
    " ",
    "  ",
    "\t",
    ":",
    "|",
    "-",
    "0",
    "12",
    "9223372036854775808",
    "alice",
    "GET / HTTP/1.1",
];

/// Random choices from a seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xa076_1d64_78bd_642f))
    }

    /// The next 64 bits.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("a usize fits 64 bits");
        usize::try_from(self.draw() % end).expect("smaller than a usize")
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.draw().to_le_bytes()[0]
    }

    /// Random bytes of all values, fewer than `end`.
    pub(crate) fn bytes(&mut self, end: usize) -> Vec<u8> {
        (0..self.below(end)).map(|_| self.byte()).collect()
    }

    /// Words, signs and noise, with a few random changes.
    pub(crate) fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        for _ in 0..self.below(7) {
            line.extend_from_slice(WORDS[self.below(WORDS.len())].as_bytes());
            if self.below(2) == 0 {
                line.push(b' ');
            }
        }
        for _ in 0..self.below(3) {
            let (place, byte) = (self.below(line.len() + 1), self.byte());
            match self.below(3) {
                0 => line.insert(place, byte),
                1 => line.truncate(place),
                _ => line.extend(self.bytes(9)),
            }
        }
        line
    }
}
