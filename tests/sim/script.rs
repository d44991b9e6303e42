//! What clients say in a simulation: requests with their meaning, and the things they ask for.
//!
//! What it does not do: choose (`grammar`), or say what follows (`model`).

use landline::protocol::session::{Permit, Uploads};
use landline::protocol::speech::{Service, Speech};

/// The server's name in every simulation.
pub(crate) const SERVER: &str = "sim";

/// A file of the table that stands for the served root.
pub(crate) struct Shelved {
    pub(crate) name: &'static str,
    /// Size when it was opened, in bytes.
    pub(crate) size: usize,
    /// What can be read of it: less than `size` where it shrinks.
    pub(crate) content: Vec<u8>,
    pub(crate) mtime_s: i64,
}

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Status(i32),
    Signal(&'static str),
    /// It takes too long.
    TimesOut,
    /// It goes on until it is cancelled.
    Never,
    /// It cannot be started: status 127.
    NotFound,
    /// It is not started: too many run.
    Busy,
}

/// A command: what it writes, in order, and how it ends.
pub(crate) struct Job {
    /// Whether to standard error, and what.
    pub(crate) writes: Vec<(bool, Vec<u8>)>,
    pub(crate) ends: Ends,
    /// What it does with input, before it writes.
    pub(crate) reads: Option<Reads>,
}

/// A command copies its input to its output, up to so many bytes, and then reads no more. At a
/// terminal it tells the terminal's size, once it has come to the end of its input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reads {
    pub(crate) most: usize,
    pub(crate) is_terminal: bool,
}

/// Where a file is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// Under a name that nobody else uses.
    New,
    /// The same, and the input ends too early.
    Early,
    /// Where a file is.
    There,
    /// In a directory that is not there.
    Nowhere,
}

/// What a line means.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// Words that are no request.
    Words,
    TooLong,
    /// From an offset on; the file's number, where there is one of that name.
    Download(usize, Option<usize>),
    Stat(Option<usize>),
    Job(usize),
    Name(String),
    List,
    /// To these, or to all; the text as it is received. Written `TEXT | U` or with `send`.
    Send {
        to: Option<Vec<String>>,
        text: String,
        is_piped: bool,
    },
    Ping,
    Help,
    Framed,
    Quit,
    Cancel,
    /// Bytes for the last command before it that takes any (framed).
    Input,
    /// The end of them.
    Eof,
    /// Its terminal has this size.
    Winch(String),
    Upload {
        name: String,
        spot: Spot,
    },
    /// Refused: with which code in plain, and with which in framed.
    Wrong(&'static str, &'static str),
    /// A request line of HTTP.
    Http,
}

/// One line, as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) ask: Ask,
    pub(crate) body: Vec<u8>,
    pub(crate) ending: &'static str,
    /// What follows the line and belongs to it.
    pub(crate) payload: Vec<u8>,
    /// The client sends this only once that command runs.
    pub(crate) once_running: Option<usize>,
}

impl Line {
    pub(crate) fn new(ask: Ask, body: impl Into<Vec<u8>>) -> Self {
        let (ending, payload, once_running) = ("\n", Vec::new(), None);
        Self { ask, body: body.into(), ending, payload, once_running }
    }

    /// The line with its ending.
    pub(crate) fn whole(&self) -> Vec<u8> {
        [&self.body, self.ending.as_bytes()].concat()
    }

    /// All bytes of it.
    pub(crate) fn wire(&self) -> Vec<u8> {
        [self.whole(), self.payload.clone()].concat()
    }
}

/// How a client goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// It ends its input once it has said all.
    AtOnce,
    /// It ends its input only when nothing more happens anywhere.
    Last,
    /// It breaks down at some point, if it has not said all by then.
    InTheMiddle,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) speech: Speech,
    /// It sends no newlines: one write is one message.
    pub(crate) is_bare: bool,
    pub(crate) permit: Permit,
    pub(crate) lines: Vec<Line>,
    pub(crate) leaves: Leaves,
    /// How rarely it takes something.
    pub(crate) stinginess: usize,
    /// Its worker is the room's home.
    pub(crate) is_home: bool,
}

impl Script {
    pub(crate) fn service(&self) -> Service {
        self.speech.service
    }
}

/// One simulation: what is there, and who says what.
pub(crate) struct Scene {
    pub(crate) files: Vec<Shelved>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) scripts: Vec<Script>,
    pub(crate) uploads: Uploads,
    pub(crate) line_bytes_max: usize,
    pub(crate) backlog_bytes_max: usize,
    /// Most bytes of one read.
    pub(crate) read_bytes_max: usize,
}
