//! Ordered output: what is to be sent to one peer, in order, from memory, a file or a pipe.
//!
//! What it does not do: wait. A flush that cannot go on says why, and the reactor waits for that.

pub mod outqueue;
pub mod segment;
pub mod sink;
pub mod stall;
