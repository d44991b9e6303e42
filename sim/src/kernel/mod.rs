//! The simulated kernel: a model of the part of Linux that the server uses, in memory.
//!
//! It follows the man pages, and where those are silent what the real kernel was seen to do
//! (`tests/conformance` compares the two). Where they differ, this one is wrong.
//!
//! - `Machine` is one simulated computer with one simulated process, the server. Its threads are
//!   real threads, of which one at a time may run (`threads`).
//! - `Kernel` is all state of it: descriptors, sockets, pipes, files, processes, the clock. Whoever
//!   runs may look at it and change it (`with`).
//! - A call of `sys` is an `enter`, where another thread may get its turn, and a change of
//!   `Kernel`.

pub mod descriptors;
pub mod epoll;
pub mod files;
pub mod pipe;
pub mod process;
pub mod pty;
pub mod random;
pub mod socket;
pub mod threads;
pub mod trace;

use std::io;

use descriptors::Descriptors;
use files::Files;
use pipe::Pipes;
use process::Processes;
use pty::Ptys;
use random::Random;
use socket::Network;
use threads::Threads;
use trace::Trace;

pub use threads::{Machine, enter, with};

/// An error number of Linux.
pub type Errno = i32;

/// All state of a simulated computer.
#[derive(Debug)]
pub struct Kernel {
    /// What decides all that is left open.
    pub random: Random,
    /// Time since the computer was started, in microseconds. Only the scheduler advances it.
    pub now_us: u64,
    /// Counts changes of any state. A thread that is woken and changes nothing is busy for nothing.
    pub effects: u64,
    /// What happened.
    pub trace: Trace,
    /// The server's descriptors, and what they stand for.
    pub descriptors: Descriptors,
    /// Sockets that listen, and connections.
    pub network: Network,
    /// Pipes.
    pub pipes: Pipes,
    /// Terminals.
    pub ptys: Ptys,
    /// Files.
    pub files: Files,
    /// Commands that were started.
    pub processes: Processes,
    /// The server's threads.
    pub threads: Threads,
    /// Signals that came for the server and were not read.
    pub signals: Vec<crate::sys::signal::Signal>,
    /// Which calls fail.
    pub faults: Faults,
    /// What the server wrote to standard error.
    pub stderr: Vec<u8>,
    /// Nothing is left to chance: calls move all they can, and what is sent arrives at once.
    pub is_calm: bool,
    /// The first thing that must not be: a simulation fails with it.
    pub failure: Option<String>,
    /// The status with which the server's process ended by itself.
    pub exit: Option<u8>,
}

/// Which calls fail, and how often.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// One call in so many fails; 0 for none.
    pub one_in: usize,
    /// How many failed so far.
    pub count: u64,
}

impl Kernel {
    /// A computer that has just been started.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            now_us: 1_000_000,
            effects: 0,
            trace: Trace::default(),
            descriptors: Descriptors::default(),
            network: Network::default(),
            pipes: Pipes::default(),
            ptys: Ptys::default(),
            files: Files::default(),
            processes: Processes::default(),
            threads: Threads::default(),
            signals: Vec::new(),
            faults: Faults::default(),
            stderr: Vec::new(),
            is_calm: false,
            failure: None,
            exit: None,
        }
    }

    /// Something changed.
    pub fn note_effect(&mut self) {
        self.effects += 1;
    }

    /// Records what must not be.
    pub fn fail(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }

    /// Whether this call is to fail, and with which of `errnos`.
    pub fn fault(&mut self, call: &'static str, errnos: &[Errno]) -> Result<(), io::Error> {
        if self.faults.one_in == 0 || errnos.is_empty() || !self.random.one_in(self.faults.one_in) {
            return Ok(());
        }
        let errno = *self.random.pick(errnos);
        self.faults.count += 1;
        self.trace.note(self.now_us, format_args!("fault: {call} fails with {errno}"));
        Err(os(errno))
    }
}

/// The error of a call.
pub fn os(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno)
}
