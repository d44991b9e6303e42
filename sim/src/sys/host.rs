//! What the simulated computer says of itself.

use std::io;

use crate::kernel::{enter, with};

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Home directory.
    pub home: String,
    /// Effective user id.
    pub uid: u32,
}

/// The computer's name.
pub fn host_name() -> String {
    "sim".to_owned()
}

/// The user the server runs as.
pub fn user() -> User {
    User { name: "landline".to_owned(), home: "/".to_owned(), uid: 1000 }
}

/// The limit on descriptors.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    enter("setrlimit");
    Ok(with(|kernel| kernel.descriptors.fds_max as u64))
}

/// Nothing here depends on it.
pub fn stand_back(_more: i32) {}

/// Nothing here depends on it.
pub fn run_soon(_slice_ns: u64) {}

/// Writes to standard error, which takes all.
pub fn write_stderr(bytes: &[u8]) {
    enter("write");
    with(|kernel| kernel.stderr.extend_from_slice(bytes));
}
