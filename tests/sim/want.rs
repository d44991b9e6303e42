//! What a client is to receive, in the words of the protocol: pieces of plain replies, frames, and
//! messages.
//!
//! What it does not do: know why (`model`), or compare (`check`). Nothing here uses the encoders of
//! the crate.

use std::fmt;

use crate::random::Random;

/// A run of bytes of a plain reply, or of a payload.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Exact(Vec<u8>),
    /// `error CODE: ` and a text for people; one of the codes, with `|` between them.
    Error(&'static str),
    /// A date and time of day within the simulation.
    Date,
    /// Whatever follows, to the end.
    Rest,
    /// The connection is reset here.
    Reset,
}

impl fmt::Debug for Piece {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(bytes) => write!(out, "\"{}\"", bytes.escape_ascii()),
            Self::Error(codes) => write!(out, "error {codes}"),
            Self::Date => out.write_str("a date"),
            Self::Rest => out.write_str("whatever follows"),
            Self::Reset => out.write_str("a reset"),
        }
    }
}

/// `KEY=VALUE`, decoded.
pub(crate) type Keys = Vec<(&'static str, String)>;

/// The last frame of a reply.
#[derive(Clone, Debug)]
pub(crate) enum Last {
    Done(Keys, Vec<Piece>),
    /// One of these codes, with `|` between them, and the payload where it is fixed.
    Fail(&'static str, Option<String>),
}

/// A framed reply.
#[derive(Clone, Debug)]
pub(crate) struct Frames {
    /// The keys of the `file` frame of a download.
    pub(crate) head: Option<Keys>,
    /// The content of all frames of a kind, put together.
    pub(crate) parts: Vec<(&'static str, Vec<u8>)>,
    pub(crate) last: Last,
    /// A cancel came later: it may have caught this request.
    pub(crate) may_be_cancelled: bool,
    /// Zero bytes may stand for what was promised and then not there.
    pub(crate) is_truncated: bool,
}

/// What one request is answered.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    Plain(Vec<Piece>),
    Framed(Frames),
}

/// What comes by itself.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Plain(Vec<u8>),
    Framed(&'static str, Keys, String),
}

impl Frames {
    pub(crate) fn only(last: Last) -> Self {
        let parts = Vec::new();
        Self { head: None, parts, last, may_be_cancelled: false, is_truncated: false }
    }
}

/// When a simulation begins: 2020-12-17 20:08:00, in milliseconds since 1970 (UTC is local here).
pub(crate) const START_UNIX_MS: i64 = 1_608_235_680_000;

/// The date and time of day so many milliseconds after the start, which is less than 52 minutes.
pub(crate) fn date(at_ms: u64) -> String {
    let second = at_ms / 1000;
    format!("2020-12-17 20:{:02}:{:02}", 8 + second / 60, second % 60)
}

/// Milliseconds since 1970, so many after the start.
pub(crate) fn unix_ms(at_ms: u64) -> i64 {
    START_UNIX_MS + i64::try_from(at_ms).expect("a simulation is short")
}

/// What is a well-formed user name (section 6).
pub(crate) fn is_name(user: &str) -> bool {
    let is_spelt = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    (1..=32).contains(&user.len())
        && user.chars().all(is_spelt)
        && !user.starts_with(['-', '.'])
        && user != "all"
        && user != "server"
}

/// How far the clock goes on between two steps.
pub(crate) fn tick_ms(random: &mut Random) -> u64 {
    if random.one_in(50) { 60 } else { random.draw() % 4 }
}
