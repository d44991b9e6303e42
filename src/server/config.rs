//! `Config`: all the server was told, resolved and checked, and the defaults of all it was not.
//!
//! What it does not do: parse a command line (`cli`), or open anything.

use std::path::PathBuf;

use crate::protocol::limits;
use crate::protocol::session::Uploads;
use crate::protocol::speech::Speech;
use crate::service::policy::{Commands, Rule};

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `HOST:PORT` or `[V6]:PORT`: every address the host name or literal stands for.
    Host {
        /// A name or an address literal, without brackets.
        host: String,
        /// TCP port; 0 asks for a free one.
        port: u16,
    },
    /// `:PORT`: all addresses of both families.
    All {
        /// TCP port; 0 asks for a free one, the same for both families.
        port: u16,
    },
    /// `PORT`: the loopback addresses of both families.
    Loopback {
        /// TCP port; 0 asks for a free one, the same for both families.
        port: u16,
    },
    /// `unix:PATH`.
    Unix(PathBuf),
    /// `fd:N`: a listening socket passed by the service manager, by its descriptor's number.
    Fd(i32),
    /// `fd:NAME`: the same by its name in `LISTEN_FDNAMES`.
    FdName(String),
}

/// One `--listen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken there.
    pub speech: Speech,
    /// Where.
    pub address: ListenAddress,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value` words for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors alone (`-q`).
    Quiet,
    /// What an operator wants to know.
    #[default]
    Normal,
    /// Every connection and request too (`-v`).
    Verbose,
}

/// Limits an operator may set; each is a time, a size or a count, and 0 was turned into "none"
/// (the largest value of the type) when it was resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, over all listeners but metrics.
    pub connections_max: usize,
    /// Connections at once from one address.
    pub per_address_max: usize,
    /// Longest line in bytes, its ending not counted.
    pub line_bytes_max: usize,
    /// Unread message bytes after which a recipient is disconnected.
    pub backlog_bytes_max: usize,
    /// Commands at once.
    pub runs_max: usize,
    /// Longest time a command may take, in milliseconds.
    pub run_timeout_ms: u64,
    /// Longest time a peer may idle, in milliseconds.
    pub idle_timeout_ms: u64,
    /// Longest time a peer may take none of the output that waits for it, in milliseconds.
    pub send_timeout_ms: u64,
}

/// Connections at once where nothing is said. The descriptor limit is raised to fit where it may
/// be.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Commands at once where nothing is said.
pub const RUNS_MAX: usize = 256;
/// Idle time-out where nothing is said, in milliseconds.
pub const IDLE_TIMEOUT_MS: u64 = 600_000;
/// Send time-out if nothing is said, in milliseconds.
pub const SEND_TIMEOUT_MS: u64 = 60_000;
/// Drain time where nothing is said, in milliseconds.
pub const DRAIN_MS: u64 = 10_000;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            per_address_max: usize::MAX,
            line_bytes_max: limits::LINE_BYTES_MAX,
            backlog_bytes_max: limits::BACKLOG_BYTES_MAX,
            runs_max: RUNS_MAX,
            run_timeout_ms: u64::MAX,
            idle_timeout_ms: IDLE_TIMEOUT_MS,
            send_timeout_ms: SEND_TIMEOUT_MS,
        }
    }
}

/// What may be changed while the server runs (SIGHUP).
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's name in greetings.
    pub name: String,
    /// Whether names that start with a dot are served.
    pub hidden: bool,
    /// What may be stored below the served root.
    pub uploads: Uploads,
    /// Who may connect; empty means everyone the listeners reach.
    pub allow: Vec<Rule>,
    /// Who may run commands; never empty once resolved.
    pub allow_run: Vec<Rule>,
    /// Which commands there are.
    pub commands: Commands,
    /// Limits.
    pub limits: Limits,
}

/// All the server was told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Listeners, at least one.
    pub listen: Vec<Listen>,
    /// The served directory, where there is one.
    pub root: Option<PathBuf>,
    /// Worker threads, at least one.
    pub workers: usize,
    /// Where metrics are served.
    pub metrics: Option<ListenAddress>,
    /// How log lines are written.
    pub log: LogFormat,
    /// Which log lines are written.
    pub verbosity: Verbosity,
    /// Longest time replies in progress may take once the server stops, in milliseconds.
    pub drain_ms: u64,
    /// What may be changed while the server runs.
    pub settings: Settings,
}
