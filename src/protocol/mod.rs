//! The wire, pure: bytes in, effects out.
//!
//! What it does not do: own a descriptor, read a clock, or know what a socket is. Time is passed
//! in.

pub mod capture;
pub mod effect;
pub mod guard;
pub mod input;
pub mod limits;
pub mod line;
pub mod name;
pub mod refusal;
pub mod reply;
pub mod request;
pub mod session;
pub mod speech;
pub mod telnet;
pub mod text;
pub mod wording;
