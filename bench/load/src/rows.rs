//! The rows of the table: every workload with its goal and the bare loop it is set beside.
//!
//! What it does not do: measure. A smoke run has the same rows, with fewer of everything.

use std::path::Path;

use crate::each::{Ask, Each};
use crate::echo::Echo;
use crate::fanout::Fanout;
use crate::fetch::Fetch;
use crate::idle::Idle;
use crate::peers::{self, Rival};
use crate::speech::Speech;
use crate::workload::Workload;

/// What a row is to reach.
#[derive(Clone, Copy)]
pub enum Goal {
    /// At least this ratio of the bare loop's rate.
    Rate(f64),
    /// At most so many resident bytes for each connection.
    Bytes(f64),
    /// At most so many times the processor time of the row of this key.
    Flat(&'static str, f64),
    /// The work of the row of this key, in frames: at least this part of what that one is to reach,
    /// beside the same bare loop.
    Framed(&'static str, f64),
    /// Shown, not judged.
    Shown,
}

/// The bare loop beside a row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Base {
    /// `echo`
    Echo,
    /// `download ROOT`
    Download,
    /// `run /bin/true`
    RunTrue,
    /// `run /bin/cat FILE`
    RunCat,
    /// `broadcast`
    Broadcast,
    /// `direct`
    Direct,
}

/// A server that runs while the suite does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// landline with so many workers, on processor 0.
    Landline(u8),
    /// landline with so many workers, on processors 0 and 1, which the generator uses too.
    Free(u8),
    /// A bare loop.
    Bare(Base),
    /// Another server.
    Peer(Rival),
}

/// Who is measured in a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Contender {
    /// The server.
    pub program: Program,
    /// How it is spoken to.
    pub speech: Speech,
}

impl Contender {
    /// What a reader calls it.
    pub fn name(self) -> String {
        match self.program {
            Program::Landline(1) => "landline".to_owned(),
            Program::Landline(workers) | Program::Free(workers) => {
                format!("landline, {workers} workers")
            }
            Program::Bare(_) => "bare C".to_owned(),
            Program::Peer(rival) if self.speech == Speech::Inline => {
                format!("{}, inline", rival.name())
            }
            Program::Peer(rival) => rival.name().to_owned(),
        }
    }
}

/// Rows in which four workers are set beside one.
const WORKERS_ROWS: [&str; 10] = [
    "echo-1",
    "echo-50",
    "echo-50-deep",
    "get-1k",
    "get-1k-each",
    "run-16",
    "all-100",
    "all-100-deep",
    "one-1",
    "one-64",
];

/// One row.
pub struct Row {
    /// A short name, for `--only` and the raw figures.
    pub key: &'static str,
    /// What a reader sees.
    pub title: String,
    /// What is done.
    pub work: Workload,
    /// Beside what.
    pub base: Option<Base>,
    /// What to reach.
    pub goal: Goal,
    /// Whether nothing is pinned: two workers beside one.
    pub free: bool,
}

impl Row {
    /// Who is measured: landline first, then the bare loop where there is one, then all others.
    pub fn contenders(&self, with_peers: bool) -> Vec<Contender> {
        let ours = |program| Contender { program, speech: Speech::Landline };
        if self.free {
            return vec![ours(Program::Free(1)), ours(Program::Free(2))];
        }
        let bare = |base| Contender { program: Program::Bare(base), speech: Speech::Bare };
        let mut all = vec![ours(Program::Landline(1))];
        all.extend(self.base.map(bare));
        if WORKERS_ROWS.contains(&self.key) {
            all.push(ours(Program::Landline(4)));
        }
        let rivals = if with_peers { peers::beside(self.key) } else { &[] };
        all.extend(
            rivals
                .iter()
                .map(|&(rival, speech)| Contender { program: Program::Peer(rival), speech }),
        );
        all
    }
}

/// The served files: name and bytes.
pub const FILES: [(&str, usize); 3] = [("1k", 1 << 10), ("1m", 1 << 20), ("64m", 64 << 20)];

/// Copies of the smallest of them, `1k-0` and so on.
pub const COPIES: usize = 16;
/// What part of a plain reply's goal a framed one has to reach.
const FRAMED_PART: f64 = 0.9;

/// How many of what takes long.
pub struct Scale {
    /// Connections where it says 10,000.
    pub many: usize,
    /// Connections where it says 1,000.
    pub some: usize,
}

/// Every row, for files below `root`.
pub fn all(root: &Path, scale: &Scale) -> Vec<Row> {
    let mut rows = echo_rows(scale);
    rows.extend(file_rows(root));
    rows.extend(run_rows(root));
    rows.extend(message_rows(scale));
    rows.extend(idle_rows(scale));
    rows.extend(free_rows(root));
    rows
}

fn row(key: &'static str, title: &str, work: Workload, base: Option<Base>, goal: Goal) -> Row {
    Row { key, title: title.to_owned(), work, base, goal, free: false }
}

fn echo_rows(scale: &Scale) -> Vec<Row> {
    let plain = Echo {
        connections: 1,
        depth: 1,
        size: 64,
        framed: false,
        beside: 0,
        rate: None,
        patient: false,
    };
    let base = Some(Base::Echo);
    let echo = |key, title: &str, echo, goal| row(key, title, Workload::Echo(echo), base, goal);
    let fifty = Echo { connections: 50, ..plain };
    let ten = Echo { connections: 10, ..plain };
    let some = Echo { beside: scale.some - 10, ..ten };
    let many = Echo { beside: scale.many - 10, ..ten };
    vec![
        echo("echo-1", "echo 64 B, 1 connection", plain.clone(), Goal::Rate(0.97)),
        echo("echo-50", "echo 64 B, 50 connections", fifty.clone(), Goal::Rate(0.97)),
        echo(
            "echo-50-deep",
            "echo 64 B, 50 connections, 16 in flight",
            Echo { depth: 16, ..fifty },
            Goal::Rate(0.90),
        ),
        echo(
            "echo-16k",
            "echo 16 KiB, 8 connections, 4 in flight",
            Echo { connections: 8, depth: 4, size: 16384, ..plain },
            Goal::Rate(0.97),
        ),
        echo(
            "echo-paced",
            "echo 64 B, 50 connections, 5,000 a second (open loop)",
            Echo { rate: Some(5000.0), ..fifty },
            Goal::Shown,
        ),
        Row {
            base: None,
            ..echo(
                "echo-framed",
                "echo 64 B framed, 50 connections, 16 in flight",
                Echo { depth: 16, framed: true, ..fifty },
                Goal::Framed("echo-50-deep", FRAMED_PART),
            )
        },
        echo("echo-of-10", "echo 64 B, 10 active of 10 open", ten, Goal::Shown),
        echo(
            "echo-of-1000",
            &format!("echo 64 B, 10 active of {} open", scale.some),
            some,
            Goal::Flat("echo-of-10", 1.1),
        ),
        echo(
            "echo-of-10000",
            &format!("echo 64 B, 10 active of {} open", scale.many),
            many,
            Goal::Flat("echo-of-10", 1.1),
        ),
    ]
}

fn file_rows(root: &Path) -> Vec<Row> {
    let path = |name: &str| root.join(name).to_string_lossy().into_owned();
    let fetch = |name: &str, connections, framed| {
        let (path, name) = (path(name), name.to_owned());
        Workload::Fetch(Fetch { connections, path, name, files: 1, framed })
    };
    let of_16 = Workload::Fetch(Fetch {
        connections: COPIES,
        path: path("1k"),
        name: "1k".to_owned(),
        files: COPIES,
        framed: false,
    });
    let base = Some(Base::Download);
    let each = |clients| {
        let (ask, expected) = (Ask::Download("1k".to_owned()), Some(path("1k")));
        Workload::Each(Each { clients, ask, expected })
    };
    let reach = Goal::Rate(1.0);
    vec![
        row("get-1k", "download 1 KiB, 16 connections", fetch("1k", 16, false), base, reach),
        row(
            "get-1k-framed",
            "download 1 KiB framed, 16 connections",
            fetch("1k", 16, true),
            None,
            Goal::Framed("get-1k", FRAMED_PART),
        ),
        row("get-1k-of-16", "download 1 KiB, 16 connections, a file each", of_16, base, reach),
        row("get-1m", "download 1 MiB, 1 connection", fetch("1m", 1, false), base, reach),
        row("get-64m", "download 64 MiB, 1 connection", fetch("64m", 1, false), base, reach),
        row("get-1k-each", "download 1 KiB, a connection each, 16 clients", each(16), base, reach),
    ]
}

fn run_rows(root: &Path) -> Vec<Row> {
    let run = |clients, command: &str, expected| {
        Workload::Each(Each { clients, ask: Ask::Run(command.to_owned()), expected })
    };
    let cat = run(1, "cat", Some(root.join("64m").to_string_lossy().into_owned()));
    let (none, true_) = (None, Some(Base::RunTrue));
    vec![
        row("run-1", "run true, 1 client", run(1, "true", none.clone()), true_, Goal::Rate(0.95)),
        row("run-16", "run true, 16 clients", run(16, "true", none), true_, Goal::Rate(1.0)),
        row("run-cat", "run cat, 64 MiB", cat, Some(Base::RunCat), Goal::Rate(1.15)),
    ]
}

fn message_rows(scale: &Scale) -> Vec<Row> {
    let all = |receivers, window, framed| {
        Workload::Fanout(Fanout { receivers, window, size: 128, direct: false, framed })
    };
    let one = |window| {
        let receivers = 1;
        Workload::Fanout(Fanout { receivers, window, size: 128, direct: true, framed: false })
    };
    let (broadcast, direct) = (Some(Base::Broadcast), Some(Base::Direct));
    let some = scale.some;
    vec![
        row(
            "all-100",
            "broadcast 128 B to 100, window 1",
            all(100, 1, false),
            broadcast,
            Goal::Rate(0.95),
        ),
        row(
            "all-100-deep",
            "broadcast 128 B to 100, window 64",
            all(100, 64, false),
            broadcast,
            Goal::Rate(0.70),
        ),
        row(
            "all-100-framed",
            "broadcast 128 B to 100 framed, window 64",
            all(100, 64, true),
            None,
            Goal::Framed("all-100-deep", FRAMED_PART),
        ),
        row(
            "all-1000",
            &format!("broadcast 128 B to {some}, window 16"),
            all(some, 16, false),
            broadcast,
            Goal::Rate(0.75),
        ),
        row("one-1", "direct 128 B, window 1", one(1), direct, Goal::Rate(0.95)),
        row("one-64", "direct 128 B, window 64", one(64), direct, Goal::Rate(0.85)),
    ]
}

fn idle_rows(scale: &Scale) -> Vec<Row> {
    let idle = |named| Workload::Idle(Idle { connections: scale.many, named });
    vec![
        row(
            "idle",
            &format!("{} idle connections", scale.many),
            idle(false),
            Some(Base::Echo),
            Goal::Bytes(256.0),
        ),
        row(
            "idle-named",
            &format!("{} idle users", scale.many),
            idle(true),
            None,
            Goal::Bytes(512.0),
        ),
    ]
}

/// Nothing pinned, so that a second worker has a processor where the generator leaves one.
fn free_rows(root: &Path) -> Vec<Row> {
    let path = root.join("1m").to_string_lossy().into_owned();
    let (connections, name) = (8, "1m".to_owned());
    let fetch = Workload::Fetch(Fetch { connections, path, name, files: 1, framed: false });
    let ask = Ask::Run("true".to_owned());
    let run = Workload::Each(Each { clients: 16, ask, expected: None });
    let free = |key, title, work| Row { free: true, ..row(key, title, work, None, Goal::Shown) };
    vec![
        free("free-get-1m", "download 1 MiB, 8 connections", fetch),
        free("free-run-16", "run true, 16 clients", run),
    ]
}
