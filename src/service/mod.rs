//! The jobs: files, commands, messages. They know requests and answers, nothing of epoll.
//!
//! What it does not do: wait, or talk to a peer. Echo needs no file here: it is an effect.

pub mod allow_list;
pub mod deposit;
pub mod fault;
pub mod files;
pub mod listing;
pub mod policy;
pub mod room;
pub mod run;
pub mod sweep;
pub mod terminate;
