//! Waiting: who is who among events (`token`, `slab`), when (`timers`), word between threads
//! (`mailbox`), and what may block (`offload`).
//!
//! What it does not do: know what a peer says; the worker's turn is `server::worker`.

pub mod mailbox;
pub mod offload;
pub mod slab;
pub mod timers;
pub mod token;
