//! `sys` on the simulated kernel: the same functions, types and errors as the product's, and no
//! system call.
//!
//! A function here does what the product's says of itself; where that names a man page, `kernel`
//! follows it. Any call may give up the turn, and may fail where the seed says so.

pub mod beneath;
pub mod clock;
pub mod copy;
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
pub mod signal;
pub mod socket;
pub mod thread;
pub mod unix_path;
pub mod wake;
