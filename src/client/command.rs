//! `ClientCommand`: what a client was asked to do, resolved and checked.
//!
//! What it does not do: parse a command line (`cli`), resolve a host name, or connect.

use std::path::PathBuf;

use crate::protocol::name::Name;

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetHost {
    /// A host name or an address literal, without brackets; an IPv6 literal may have a zone
    /// (`%eth0`).
    Host(String),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Which addresses of a host name may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// All of them.
    #[default]
    Any,
    /// IPv4 alone (`-4`).
    V4,
    /// IPv6 alone (`-6`).
    V6,
}

/// What to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where the server is.
    pub host: TargetHost,
    /// TCP port, never 0; without meaning over a Unix socket.
    pub port: u16,
    /// Which addresses may be used; `Any` over a Unix socket.
    pub family: Family,
}

/// What every client command is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// What to connect to.
    pub target: Target,
    /// Whether progress and notices are left out (`-q`).
    pub quiet: bool,
    /// Longest time the whole command may take, in milliseconds; none where nothing is said.
    pub timeout_ms: Option<u64>,
}

/// A file to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The file, relative to the served root; never blank.
    pub file: String,
    /// Where it goes.
    pub output: Output,
}

/// Where a download goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file of this path.
    File(PathBuf),
}

/// What becomes of what is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Existing {
    /// Whether an existing target is replaced (`-f`).
    pub is_replaced: bool,
    /// Whether what came of a broken download is kept, and a download goes on from it (`-c`).
    pub is_resumed: bool,
}

/// A file to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Where it comes from.
    pub source: Source,
    /// Its name at the server, relative to the served root; never blank.
    pub name: String,
}

/// Where an upload comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file of this path.
    File(PathBuf),
}

/// Who receives a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// Everyone but the sender.
    All,
    /// These, at least one, each once.
    Users(Vec<Name>),
}

/// What keeps `bench` saying lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// So many lines in flight on each connection; the next is said when one came back.
    InFlight(u64),
    /// So many lines a second over all connections, whatever comes back; never 0.
    PerSecond(u64),
}

/// What `bench` measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Connections, at least one.
    pub connections: u64,
    /// When lines are said.
    pub pace: Pace,
    /// Length of a line, its newline included, in bytes; at least 8.
    pub line_bytes: u64,
    /// How long it is measured, in milliseconds; at least 1.
    pub duration_ms: u64,
    /// Whether the figures are written as JSON.
    pub is_json: bool,
}

/// One client subcommand with its operands. No text in it holds a line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCommand {
    /// Measure how fast the server echoes.
    Bench {
        /// What every client command is told.
        common: Common,
        /// What is measured.
        load: Load,
    },
    /// Talk to the server interactively.
    Connect {
        /// What every client command is told.
        common: Common,
        /// The name to take at once.
        user: Option<Name>,
    },
    /// Fetch files.
    Download {
        /// What every client command is told.
        common: Common,
        /// The files, at least one; no two go to the same place, and one alone to standard output.
        files: Vec<Fetch>,
        /// What becomes of what is there already.
        existing: Existing,
    },
    /// List a directory.
    Files {
        /// What every client command is told.
        common: Common,
        /// The directory or file, relative to the served root; none is the root.
        path: Option<String>,
        /// Whether it is written as JSON.
        is_json: bool,
    },
    /// Measure how long an answer takes.
    Ping {
        /// What every client command is told.
        common: Common,
        /// How many are sent, at least one; without it, until interrupted.
        count: Option<u64>,
        /// Time from one to the next, in milliseconds; 0 is as soon as the last was answered.
        interval_ms: u64,
        /// Whether the figures are written as JSON.
        is_json: bool,
    },
    /// Run a command.
    Run {
        /// What every client command is told.
        common: Common,
        /// The command, as the server gets it; never blank.
        command: String,
        /// Whether it gets a terminal (`-t`).
        is_tty: bool,
    },
    /// Send messages.
    Send {
        /// What every client command is told.
        common: Common,
        /// The sender's name.
        name: Name,
        /// Who receives it.
        recipients: Recipients,
        /// The message; none means one message per line of standard input.
        text: Option<String>,
    },
    /// Show the server's counters.
    Stats {
        /// What every client command is told.
        common: Common,
        /// Whether they are written as JSON.
        is_json: bool,
    },
    /// Store files.
    Upload {
        /// What every client command is told.
        common: Common,
        /// The files, at least one.
        files: Vec<Store>,
    },
    /// List the users.
    Users {
        /// What every client command is told.
        common: Common,
        /// Whether it is written as JSON.
        is_json: bool,
    },
}
