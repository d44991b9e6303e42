//! Black-box tests: transcripts against the real program, on free ports of the loopback interface.
//!
//! What they rest on: `docs/PROTOCOL.md` and the manual pages, never the server's code. What they
//! do not do: time anything, or take silence for an answer after a while. That nothing was sent is
//! seen from what comes next: a later request whose reply must follow directly.
//!
//! Every wait has a deadline. A random choice prints its seed and takes it back (`LANDLINE_SEED`).
#![allow(clippy::disallowed_methods, reason = "waits have deadlines on the real clock")]

mod chat;
#[cfg(feature = "client")]
mod client;
mod compat;
#[cfg(feature = "client")]
mod completions;
mod cuts;
mod echo;
mod ends;
mod events;
mod faults;
mod files;
mod framed;
mod framed_input;
mod framed_pty;
mod framed_run;
mod jobs;
mod leaving;
mod lifecycle;
mod limits;
mod listing;
mod netcats;
mod options;
mod policy;
mod rest;
mod run;
mod services;
mod shortages;
mod stats;
mod strangers;
mod support;
mod telnet;
mod terminal;
mod transfers;
mod uploads;
mod vanished;
