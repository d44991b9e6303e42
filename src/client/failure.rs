//! `Failure`: why a client command did not do what it was asked, and the exit status that says so.
//!
//! What it does not do: print (`mod`), or know the statuses of `run`, which are its command's.

use std::io;

use nix::errno::Errno;

use crate::protocol::text;
use crate::sys::signal::Signal;

/// Why a command ended early. Texts are for people; what came from the server is cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server refused, or something local stood in the way.
    Failed(String),
    /// There was no way to the server, or time ran out.
    Unreachable(String),
    /// The server broke the protocol.
    Protocol(String),
    /// The user or the system ended the command.
    Signalled(Signal),
    /// Whoever read standard output has seen enough.
    ReaderGone,
}

impl Failure {
    /// What the server said, with its code.
    pub(super) fn refused(code: &[u8], why: &[u8]) -> Self {
        Self::Failed(format!("{}: {}", text::clean(code), text::clean(why)))
    }

    /// Something of the system's about `what`.
    pub(super) fn local(what: &str, error: &io::Error) -> Self {
        Self::Failed(format!("{what}: {}", why(error)))
    }

    /// What is told on standard error, where anything is.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Failed(text) | Self::Unreachable(text) | Self::Protocol(text) => Some(text),
            Self::Signalled(_) | Self::ReaderGone => None,
        }
    }

    /// The exit status of every client command but `run`.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::ReaderGone => 0,
            Self::Failed(_) => 1,
            Self::Unreachable(_) => 4,
            Self::Protocol(_) => 5,
            Self::Signalled(signal) => signal_status(*signal),
        }
    }
}

/// 128 and the signal's number, as a shell has it.
pub(super) fn signal_status(signal: Signal) -> u8 {
    128 + signal.number()
}

/// What went wrong, in the system's words, without its number.
pub(super) fn why(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => Errno::from_raw(errno).desc().to_owned(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_cannot_drive_a_terminal() {
        let failure = Failure::refused(b"no\x1b", b"a\nb\x07");
        assert_eq!(failure.text(), Some("no\u{fffd}: a\u{fffd}b\u{fffd}"));
        assert_eq!(failure.status(), 1);
    }

    #[test]
    fn errors_of_the_system_are_told_without_their_number() {
        let error = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        assert_eq!(why(&error), "Connection refused");
        assert_eq!(why(&io::Error::other("odd")), "odd");
    }
}
