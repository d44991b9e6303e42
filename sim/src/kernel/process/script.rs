//! The language of the simulated commands: statements, separated by `;`.
//!
//! | Statement | What it does |
//! |---|---|
//! | `out N`, `err N` | writes N bytes, those of `output_bytes("out", N)` and `("err", N)` |
//! | `say WORDS` | writes the words and a newline |
//! | `cat`, `drain` | reads standard input to its end, and writes it, or does not |
//! | `size` | writes the size of its terminal, `COLUMNSxROWS`, and a newline |
//! | `sleep MS` | waits |
//! | `exit N`, `die SIGNAL` | ends with a status, or by a signal of that number or name |
//! | `trap` | from now on TERM and HUP are ignored |
//! | `hold MS` | starts a process in the same group that has the pipes open for so long |
//! | `setsid MS` | the same, in a session of its own |
//! | `leave` | joins the group of a process that it starts, which ends at once |
//! | `steal` | takes back what it wrote and nobody has read, through `/proc/self/fd/1` |
//! | `close`, `closein` | closes standard output and error, or standard input |
//!
//! Anything else is a command that is not found.

use std::collections::VecDeque;

/// Bytes to be written.
#[derive(Clone, Debug)]
pub(super) enum Text {
    /// These.
    Given(Vec<u8>),
    /// So many of those that a name stands for.
    Made(u64, usize),
}

/// A statement.
#[derive(Clone, Debug)]
pub(super) enum Statement {
    /// Writes to descriptor 1 or 2; so much is written.
    Write {
        to: usize,
        text: Text,
        done: usize,
    },
    /// Copies standard input to standard output, or nowhere.
    Read {
        copies: bool,
    },
    Size,
    Sleep(u64),
    Exit(i32),
    Die(i32),
    Trap,
    Hold(u64),
    Setsid(u64),
    Leave,
    Steal,
    Close,
    CloseIn,
    NotFound,
}

impl Text {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Given(bytes) => bytes.len(),
            Self::Made(_, count) => *count,
        }
    }

    /// At most `max` bytes from `start` on.
    pub(super) fn piece(&self, start: usize, max: usize) -> Vec<u8> {
        let end = self.len().min(start.saturating_add(max));
        match self {
            Self::Given(bytes) => bytes[start..end].to_vec(),
            Self::Made(name, _) => (start..end).map(|place| byte_at(*name, place)).collect(),
        }
    }
}

/// A number for a name (FNV-1a).
fn number_of(name: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    name.bytes()
        .fold(start, |number, byte| (number ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The byte of a name at a place: a letter or digit, or a newline now and then.
fn byte_at(name: u64, place: usize) -> u8 {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    if place % 61 == 60 {
        return b'\n';
    }
    let mut mixed = name.wrapping_add((place as u64 / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    LETTERS[usize::from(mixed.to_le_bytes()[place % 8] % 32)]
}

/// The first `count` bytes that a name stands for: always the same.
pub fn output_bytes(name: &str, count: usize) -> Vec<u8> {
    Text::Made(number_of(name), count).piece(0, count)
}

/// The statements of a text.
pub(super) fn parse(text: &str) -> VecDeque<Statement> {
    let statements = text.split([';', '\n']).map(str::trim).filter(|part| !part.is_empty());
    statements.flat_map(statement).collect()
}

fn statement(part: &str) -> Vec<Statement> {
    let (verb, rest) = part.split_once(' ').unwrap_or((part, ""));
    let rest = rest.trim();
    let number = rest.parse::<u32>().unwrap_or(0);
    let write = |to, text| vec![Statement::Write { to, text, done: 0 }];
    let made = |name| Text::Made(number_of(name), usize::try_from(number).unwrap_or(0));
    let ms = u64::from(number);
    match verb {
        "out" => write(1, made("out")),
        "err" => write(2, made("err")),
        "say" => write(1, Text::Given(format!("{rest}\n").into_bytes())),
        "cat" => vec![Statement::Read { copies: true }],
        "drain" => vec![Statement::Read { copies: false }],
        "size" => vec![Statement::Size],
        "sleep" => vec![Statement::Sleep(ms)],
        "exit" => vec![Statement::Exit(i32::try_from(number % 256).unwrap_or(0))],
        "die" => vec![Statement::Die(signal(rest))],
        "trap" => vec![Statement::Trap],
        "hold" => vec![Statement::Hold(ms)],
        "setsid" => vec![Statement::Setsid(ms)],
        "leave" => vec![Statement::Leave],
        "steal" => vec![Statement::Steal],
        "close" => vec![Statement::Close],
        "closein" => vec![Statement::CloseIn],
        _ => {
            let said = format!("sh: {verb}: not found\n").into_bytes();
            let mut both = write(2, Text::Given(said));
            both.push(Statement::NotFound);
            both
        }
    }
}

fn signal(word: &str) -> i32 {
    match word {
        "TERM" => libc::SIGTERM,
        "HUP" => libc::SIGHUP,
        "INT" => libc::SIGINT,
        "PIPE" => libc::SIGPIPE,
        "KILL" => libc::SIGKILL,
        _ => word.parse().unwrap_or(libc::SIGKILL),
    }
}
