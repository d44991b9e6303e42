//! Error numbers.

pub use libc::*;
