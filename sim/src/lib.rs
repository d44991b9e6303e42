//! The server on a simulated kernel.
//!
//! Everything above `sys` is the product's own code, compiled from the product's own files. Only
//! `sys` is another one: it has the same functions and types, and calls `kernel`, a model of Linux
//! in memory, instead of Linux. `world` puts peers, files and commands around the server and lets a
//! seed decide what happens next. One seed is one history.
// The server's unit tests run with the real `sys`; `cargo check --all-targets` would build them.
#![cfg(not(test))]
#![allow(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    clippy::option_option,
    reason = "a model of Linux has many states that are on or off, under the names Linux gives them"
)]
#![allow(dead_code, unreachable_pub, reason = "the server's modules are used from outside here")]

#[path = "../../src/protocol/mod.rs"]
pub mod protocol;
#[path = "../../src/reactor/mod.rs"]
pub mod reactor;
#[path = "../../src/server/mod.rs"]
pub mod server;
#[path = "../../src/service/mod.rs"]
pub mod service;
#[path = "../../src/transfer/mod.rs"]
pub mod transfer;

pub mod kernel;
pub mod sys;
pub mod world;
