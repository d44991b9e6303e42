//! The floor: every system call that the server makes goes through here, and here alone is
//! `unsafe`. Files, sockets, threads, locks and clocks have the types of this folder, and no type
//! of `std`, `nix` or `libc` but `io::{Error, ErrorKind, IoSlice, Result}`, `net::{IpAddr,
//! SocketAddr}`, `path`, `ffi` and what `fd` and `thread` name.
//!
//! What is promised:
//! - Each function is one call of the kernel, or the few that make up one idea, named and typed for
//!   what it does. Errors are `io::Error` built from the errno, so `kind` and `raw_os_error` work;
//!   where an errno means something to landline it became a value of its own (`copy::Copied`).
//! - A call that a signal interrupted is made again. Waiting (`epoll`, `poll`) is the exception: an
//!   interrupted wait ends with no events.
//! - Each descriptor made here is close-on-exec from birth, and is owned by the value returned.
//! - Counts, sizes and times are converted with a check, never cut.
//!
//! What is not promised:
//! - Policy. Nothing is retried after a failure, logged, limited or remembered; no time-out is
//!   chosen; which errno of `accept` is harmless is the listener's business.
//! - That a call does not block, unless its documentation says so.
//! - Fairness, or that a wait wakes for a state that was seen before: readiness is level-triggered
//!   and describes the moment of the wait.
//! - Any system but Linux, 5.4 or later: `openat2` and `close_range` have fallbacks, pidfds have
//!   none.
#![allow(
    unsafe_code,
    reason = "the one place where system calls are made that no safe wrapper covers"
)]

use std::io;

use nix::errno::Errno;

mod address;
mod bare;
pub mod beneath;
pub mod clock;
pub mod copy;
mod dirents;
pub mod epoll;
pub mod errno;
pub mod family;
pub mod fd;
pub mod host;
pub mod inherit;
pub mod notify;
pub mod orphans;
pub mod pipe;
pub mod place;
pub mod poll;
pub mod process;
pub mod pty;
#[cfg(test)]
pub(crate) mod scratch;
pub mod signal;
pub mod socket;
#[cfg(feature = "client")]
pub mod terminal;
pub mod thread;
pub mod unix_path;
mod vfork;
pub mod wake;
mod walk;

/// Makes `call` until it ends otherwise than by EINTR.
fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other.map_err(io::Error::from),
        }
    }
}

/// A time-out for `poll` and `epoll_wait`: `None` waits for ever, and what an `int` of milliseconds
/// cannot hold (24 days) becomes the longest it can.
fn timeout(timeout_ms: Option<u64>) -> nix::poll::PollTimeout {
    use nix::poll::PollTimeout;
    timeout_ms.map_or(PollTimeout::NONE, |ms| PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX))
}
