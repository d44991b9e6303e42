//! Commands: starting one, and knowing when it and its output have ended.
//!
//! What it does not do: move output (`transfer`), or decide who may run what (`policy`).
//!
//! Invariants:
//! 1. A process that was started is reaped: by its job's end, by the `Terminator`, or by `Drop`.
//! 2. Its group is signalled only while the process is not reaped: the number is still its own.

use std::ffi::CString;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fault::Fault;
use super::terminate::{Terminating, Terminator};
use crate::protocol::effect::{Ending, Stdin, Terminal, WindowSize};
use crate::protocol::refusal::{Code, Refusal};
use crate::sys::errno;
use crate::sys::fd::{AsFd, OwnedFd};
use crate::sys::host::User;
use crate::sys::pipe::{new_input_pipe, new_pipe};
use crate::sys::process::{Child, Exit, Spawn, SpawnError, Standard, signal_name, spawn};
use crate::sys::pty;
use crate::sys::signal::Ask;

/// Where commands look for programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What a terminal is taken for where the client does not say: what nearly all are like.
const TERM: &str = "xterm";
/// How long the output of a command that exited is waited for, in milliseconds, where something
/// that it left behind holds the pipe.
pub const OUTPUT_GRACE_MS: u64 = 200;

/// One of the places for commands there may be at once; given back when dropped.
#[derive(Debug)]
pub struct Slot(Arc<AtomicUsize>);

impl Slot {
    /// Takes a place; `busy` where all `runs_max` are taken.
    pub fn take(taken: &Arc<AtomicUsize>, runs_max: usize) -> Result<Self, Refusal> {
        let one_more = |count| (count < runs_max).then_some(count + 1);
        let is_full = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err();
        if is_full {
            let text = format!("{runs_max} commands are running already: try again");
            return Err(Refusal::new(Code::Busy, text));
        }
        Ok(Self(Arc::clone(taken)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A command that is to be started.
#[derive(Debug)]
pub struct Order {
    /// Its place among the commands there may be.
    pub slot: Slot,
    /// Program and arguments.
    pub argv: Vec<Vec<u8>>,
    /// The peer's address, `unix` over a Unix socket.
    pub remote_address: String,
    /// The peer's port, where it has one.
    pub remote_port: Option<u16>,
    /// Whether standard error is to have a pipe of its own.
    pub has_own_err: bool,
    /// Where standard input comes from.
    pub stdin: Stdin,
    /// What the terminal is like, where that is one.
    pub terminal: Terminal,
}

/// What came of an order.
#[derive(Debug)]
pub enum Started {
    /// The command runs.
    Running(Job),
    /// Its program could not be run.
    NotRun(NotRun),
}

/// Why a command is not running.
#[derive(Debug)]
pub struct NotRun {
    /// The status by which a shell would tell it (POSIX, Shell, 2.8.2).
    pub status: i32,
    /// Path of the program.
    pub program: CString,
    /// What the system said.
    pub why: io::Error,
}

/// A command that was started.
#[derive(Debug)]
pub struct Job {
    running: Option<(Child, Slot)>,
    is_at_terminal: bool,
    /// The pipe of its standard output, or its terminal, until that has ended.
    pub out: Option<OwnedFd>,
    /// The pipe of its standard error, until that has ended; none where both share one.
    pub err: Option<OwnedFd>,
    /// The pipe of its standard input, or its terminal again; none where that is empty.
    pub input: Option<OwnedFd>,
}

/// Starts a command. Blocks until its program runs.
pub fn start(order: Order, user: &User) -> Result<Started, Fault> {
    let strings = |words: &[Vec<u8>]| -> Result<Vec<CString>, Refusal> {
        let strings: Result<_, _> = words.iter().cloned().map(CString::new).collect();
        strings.map_err(|_| Refusal::new(Code::BadRequest, "a command holds no NUL byte"))
    };
    let arguments = strings(&order.argv)?;
    let environment = strings(&environment(&order, user))?;
    let program = arguments.first().ok_or_else(|| internal("a command has a program"))?;
    let ends = Ends::open(&order).map_err(fault_of)?;
    let spawned = spawn(&Spawn {
        program,
        arguments: &arguments,
        environment: &environment,
        standard: ends.theirs(),
    });
    match spawned {
        Ok(child) => {
            let Ends { out, err, input, is_terminal: is_at_terminal, .. } = ends;
            let running = Some((child, order.slot));
            Ok(Started::Running(Job { running, is_at_terminal, out: Some(out), err, input }))
        }
        Err(SpawnError::Failed(error)) => Err(fault_of(error)),
        Err(SpawnError::Refused(error)) => {
            let status = match error.raw_os_error() {
                Some(errno::ENOENT | errno::ENOTDIR) => 127,
                Some(errno::EACCES | errno::ENOEXEC) => 126,
                _ => return Err(fault_of(error)),
            };
            let program = program.clone();
            Ok(Started::NotRun(NotRun { status, program, why: error }))
        }
    }
}

/// What stands between a command and its peer: our ends, and the command's, which are closed here
/// once it has them.
#[derive(Debug)]
struct Ends {
    out: OwnedFd,
    err: Option<OwnedFd>,
    input: Option<OwnedFd>,
    their_out: OwnedFd,
    their_err: Option<OwnedFd>,
    their_input: Option<OwnedFd>,
    is_terminal: bool,
}

impl Ends {
    fn open(order: &Order) -> io::Result<Self> {
        if order.stdin == Stdin::Terminal {
            return Self::open_terminal(order.terminal.size);
        }
        let (out, their_out) = new_pipe()?;
        let (err, their_err) = order.has_own_err.then(new_pipe).transpose()?.unzip();
        let is_fed = order.stdin == Stdin::Pipe;
        let (their_input, input) = is_fed.then(new_input_pipe).transpose()?.unzip();
        Ok(Self { out, err, input, their_out, their_err, their_input, is_terminal: false })
    }

    fn open_terminal(size: WindowSize) -> io::Result<Self> {
        let (out, their_out) = pty::new_pty(size.columns, size.rows)?;
        let input = Some(out.try_clone()?);
        let (err, their_err, their_input) = (None, None, None);
        Ok(Self { out, err, input, their_out, their_err, their_input, is_terminal: true })
    }

    fn theirs(&self) -> Standard<'_> {
        let output = self.their_out.as_fd();
        if self.is_terminal {
            return Standard::Terminal(output);
        }
        let error = self.their_err.as_ref().map_or(output, AsFd::as_fd);
        Standard::Streams { input: self.their_input.as_ref().map(AsFd::as_fd), output, error }
    }
}

/// The whole environment of a command: made from nothing.
fn environment(order: &Order, user: &User) -> Vec<Vec<u8>> {
    let port = order.remote_port.map(|port| port.to_string()).unwrap_or_default();
    let pairs = [
        ("PATH", PATH),
        ("HOME", &user.home),
        ("USER", &user.name),
        ("LANG", "C.UTF-8"),
        ("REMOTE_ADDR", &order.remote_address),
        ("REMOTE_PORT", &port),
        ("TERM", order.terminal.kind.as_deref().unwrap_or(TERM)),
    ];
    let is_given = |name: &str| match name {
        "REMOTE_PORT" => order.remote_port.is_some(),
        "TERM" => order.stdin == Stdin::Terminal,
        _ => true,
    };
    pairs
        .into_iter()
        .filter(|(name, _)| is_given(name))
        .map(|(name, value)| format!("{name}={value}").into_bytes())
        .collect()
}

impl Job {
    /// The process, to wait for.
    pub fn child(&self) -> &Child {
        let (child, _) = self.running.as_ref().expect("a job has its process until it is dropped");
        child
    }

    /// How the command ended, if it has. It is not reaped by this.
    pub fn ending(&self) -> io::Result<Option<Ending>> {
        Ok(self.child().status()?.map(ending))
    }

    /// Shells at a terminal do not mind SIGTERM; all that are at one know what a hang-up means.
    fn ask(&self) -> Ask {
        if self.is_at_terminal { Ask::HangUp } else { Ask::Terminate }
    }

    /// Has the command ended, with all that belongs to it.
    pub fn terminate(mut self, terminator: &Terminator) {
        let ask = self.ask();
        if let Some((child, slot)) = self.running.take() {
            let output = [self.out.take(), self.err.take()];
            terminator.take(Terminating::new(child, slot, output, ask));
        }
    }

    /// The command has exited: reaps it, gives its slot back, and has ended what it left running.
    pub fn finish(mut self, terminator: &Terminator) {
        let ask = self.ask();
        let Some((child, slot)) = self.running.take() else { return };
        child.signal(ask);
        // An error means that there is nothing left to reap.
        if matches!(child.reap(), Ok(None)) {
            terminator.take(Terminating::new(child, slot, [None, None], ask));
        } else if child.has_left() {
            terminator.take(Terminating::left_by(child, ask));
        }
    }
}

/// The end of a job that nobody finished: the server ends.
impl Drop for Job {
    fn drop(&mut self) {
        if let Some((child, _)) = self.running.take() {
            child.signal(Ask::Kill);
            // It is reaped if it has ended already.
            let _ = child.reap();
        }
    }
}

fn ending(exit: Exit) -> Ending {
    match exit {
        Exit::Status(status) => Ending::Status(status),
        Exit::Signal(signal) => Ending::Signal(signal_name(signal)),
    }
}

fn fault_of(error: io::Error) -> Fault {
    let refusal = match error.raw_os_error() {
        Some(errno::E2BIG) => Refusal::new(Code::BadRequest, "the command is too long"),
        Some(errno::EAGAIN | errno::ENOMEM | errno::EMFILE | errno::ENFILE) => {
            Refusal::new(Code::Busy, "no command can be started now: try again")
        }
        _ => {
            let refusal = internal("the command could not be started");
            return Fault { refusal, cause: Some(error) };
        }
    };
    refusal.into()
}

fn internal(text: &str) -> Refusal {
    Refusal::new(Code::Internal, text)
}
