//! `Fault`: why a file could not be served or stored, or a command not started: what the peer is
//! told, and the cause, which is for the log alone.

use std::io;

use crate::protocol::refusal::{Code, Refusal};
use crate::sys::errno;

/// A refusal, with its cause if that is a failure of the server's own.
#[derive(Debug)]
pub struct Fault {
    /// What the peer is told.
    pub refusal: Refusal,
    /// For the log.
    pub cause: Option<io::Error>,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, cause: None }
    }
}

impl Fault {
    /// A failure of the server's own. `text` is what the peer is told.
    pub(super) fn internal(error: io::Error, path: &[u8], text: &str) -> Self {
        Self { refusal: Refusal::quoting(Code::Internal, path, text), cause: Some(error) }
    }
}

/// Whether an error says that there is nothing under a path, or nothing that is served.
pub(super) fn is_absent(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    matches!(
        errno,
        Some(
            errno::ENOENT
                | errno::ENOTDIR
                | errno::ELOOP
                | errno::EXDEV
                | errno::EACCES
                | errno::ENAMETOOLONG
                // Bytes that no name may have on that file system.
                | errno::EILSEQ
        )
    )
}

/// The refusal if the server is short of something for now, so that it is worth another try.
/// EAGAIN: another program holds a lease on the file.
pub(super) fn shortage(error: &io::Error) -> Option<Refusal> {
    let text = match error.raw_os_error()? {
        errno::EMFILE | errno::ENFILE => "too many open files: try again",
        errno::ENOMEM => "out of memory: try again",
        errno::EAGAIN => "the file is in use: try again",
        _ => return None,
    };
    Some(Refusal::new(Code::Busy, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_be_harmless_is_neither_absent_nor_a_shortage() {
        let kind = |errno| {
            let error = io::Error::from_raw_os_error(errno);
            (is_absent(&error), shortage(&error).is_some())
        };
        let absent = [errno::ENOENT, errno::ENOTDIR, errno::ELOOP, errno::EXDEV, errno::EACCES];
        let short = [errno::EMFILE, errno::ENFILE, errno::ENOMEM, errno::EAGAIN];
        for errno in 1..134 {
            let names = [errno::ENAMETOOLONG, errno::EILSEQ];
            let expected =
                (absent.contains(&errno) || names.contains(&errno), short.contains(&errno));
            assert_eq!(kind(errno), expected, "errno {errno}");
        }
    }
}
