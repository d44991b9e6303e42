//! The server, put together: listeners, workers, peers, and what watches over them.
//!
//! What it does not do: parse a command line (`cli`), or know how a request is spelt (`protocol`).

mod accept;
mod closing;
mod command;
pub mod config;
pub mod config_file;
mod connection;
mod desk;
mod download;
mod drive;
mod feed;
#[cfg(test)]
mod fixture;
mod intake;
mod listener;
mod lists;
mod log;
mod mail;
mod published;
mod pump;
mod settle;
mod share;
mod start;
mod stats;
mod supervisor;
mod telnet;
mod upload;
mod watched;
mod worker;

pub use supervisor::{StartError, serve};
