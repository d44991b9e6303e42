//! Descriptors as every layer names them. A descriptor is closed when its owner is dropped.

use std::io;

pub use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::retry;

/// A descriptor of /dev/null (open(2)), to be closed when another one is needed and none is left.
/// EMFILE, ENFILE: none is left now.
pub fn reserve() -> io::Result<OwnedFd> {
    retry(|| open(c"/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()))
}
