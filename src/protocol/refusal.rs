//! `Refusal`: what a peer is told when a request cannot be met. A code from a closed list (section
//! 6 of `docs/PROTOCOL.md`) and a text for people.
//!
//! What it does not do: decide how it is written (plain or framed: `reply`), or close anything.

use super::text;

/// Error codes of the protocol, section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A verb with missing or malformed operands.
    BadRequest,
    /// A line over the limit.
    TooLong,
    /// That verb is switched off here.
    Disabled,
    /// Switched on, but not for this peer, or not this command.
    Denied,
    /// No such file, or one that is not to be known of.
    NoSuchFile,
    /// Not a regular file (or, for a listing, not a directory).
    NotAFile,
    /// An offset beyond the end of the file.
    BadOffset,
    /// A file of that name exists already.
    Exists,
    /// A user name that is not well formed.
    BadName,
    /// A user name that somebody else has.
    NameTaken,
    /// A request that needs a name, from a connection without one.
    NoName,
    /// Recipients that are not connected.
    NoSuchUser,
    /// A plain `run` whose command did not exit with 0.
    Exit,
    /// A request that took too long, or a peer idle for too long.
    Timeout,
    /// The client took the request back.
    Cancelled,
    /// A file that shrank while it was sent.
    Truncated,
    /// A limit of the server is reached.
    Busy,
    /// A protocol version not spoken here.
    Version,
    /// The server stops.
    Stopping,
    /// The peer left too much unread.
    Slow,
    /// A failure of the server's own; the log has the cause.
    Internal,
}

impl Code {
    /// Every code, in the order of the protocol's table.
    pub const ALL: [Self; 21] = [
        Self::BadRequest,
        Self::TooLong,
        Self::Disabled,
        Self::Denied,
        Self::NoSuchFile,
        Self::NotAFile,
        Self::BadOffset,
        Self::Exists,
        Self::BadName,
        Self::NameTaken,
        Self::NoName,
        Self::NoSuchUser,
        Self::Exit,
        Self::Timeout,
        Self::Cancelled,
        Self::Truncated,
        Self::Busy,
        Self::Version,
        Self::Stopping,
        Self::Slow,
        Self::Internal,
    ];

    /// The code as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::TooLong => "too-long",
            Self::Disabled => "disabled",
            Self::Denied => "denied",
            Self::NoSuchFile => "no-such-file",
            Self::NotAFile => "not-a-file",
            Self::BadOffset => "bad-offset",
            Self::Exists => "exists",
            Self::BadName => "bad-name",
            Self::NameTaken => "name-taken",
            Self::NoName => "no-name",
            Self::NoSuchUser => "no-such-user",
            Self::Exit => "exit",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Truncated => "truncated",
            Self::Busy => "busy",
            Self::Version => "version",
            Self::Stopping => "stopping",
            Self::Slow => "slow",
            Self::Internal => "internal",
        }
    }

    /// The code of that spelling, if there is one.
    pub fn parse(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str().as_bytes() == word)
    }
}

/// A request that is not met: why, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, for programs.
    pub code: Code,
    /// The reason, for people: one line, without control characters.
    pub text: String,
}

impl Refusal {
    /// A refusal whose text is given. Control characters in it are replaced.
    pub fn new(code: Code, text: impl AsRef<str>) -> Self {
        Self { code, text: text::clean(text.as_ref().as_bytes()) }
    }

    /// A refusal that repeats a piece of the request, cut short and made harmless, then says why.
    /// Of an empty piece there is nothing to repeat.
    pub fn quoting(code: Code, piece: &[u8], why: &str) -> Self {
        if piece.is_empty() {
            return Self::new(code, why);
        }
        Self { code, text: format!("{}: {why}", text::quote(piece)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_piece_is_not_repeated() {
        let text = |piece| Refusal::quoting(Code::BadRequest, piece, "why").text;
        assert_eq!((text(b"x").as_str(), text(b"").as_str()), ("x: why", "why"));
    }

    #[test]
    fn every_code_is_read_back_from_its_spelling() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str().as_bytes()), Some(code));
        }
        assert_eq!(Code::parse(b"nonsense"), None);
    }

    #[test]
    fn a_text_never_holds_a_control_character() {
        let refusal = Refusal::quoting(Code::NoSuchFile, b"a\x1b[31m\xffb\n", "no such file");
        assert_eq!(refusal.text, "a\u{fffd}[31m\u{fffd}b\u{fffd}: no such file");
    }
}
