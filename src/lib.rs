//! landline: a port you can simply talk to.
//!
//! The layers, lowest first: `sys` and `protocol`; `transfer` and `reactor`; `service`; `server`
//! and `client`; `cli`. A file names only its own layer's folder or lower ones (`tests/tidy.rs`).

pub mod cli;
#[cfg(feature = "client")]
pub mod client;
pub mod protocol;
pub mod reactor;
pub mod server;
pub mod service;
pub mod sys;
pub mod transfer;
