//! Processes that the server started, and those that they started.
//!
//! - A process interprets a script (`script`), a small step at a time, when the driver says so.
//! - Ending takes two steps: first it closes what it had open, then its end shows. Between the two
//!   others see the ends of its pipes and no end of the process, as with the real kernel.
//! - A child of the server stays a zombie until it is reaped. Others are reaped at once.

mod run;
mod script;
mod signals;

use std::collections::{BTreeMap, VecDeque};

use super::descriptors::DescriptionId;
use super::{Errno, Kernel};
use crate::sys::process::Exit;
use script::Statement;

pub use script::output_bytes;

/// A process.
pub type Pid = i32;
/// The server itself.
pub const SERVER: Pid = 999;

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Cloned, and not yet the program it is to be.
    Starting,
    /// It runs.
    Running,
    /// It ends, and has everything open still.
    Ending(Exit),
    /// It ends, and has nothing open any more.
    Closed(Exit),
    /// It has ended, and its parent may ask how.
    Zombie(Exit),
    /// Nothing is left of it.
    Reaped,
}

/// A process.
#[derive(Debug)]
struct Process {
    state: State,
    parent: Pid,
    group: Pid,
    session: Pid,
    /// Signals that it ignores.
    ignored: Vec<i32>,
    /// Standard input, output and error; none: /dev/null, or closed.
    standard: [Option<DescriptionId>; 3],
    /// Everything of the server's, until its own program runs.
    inherited: Vec<DescriptionId>,
    script: VecDeque<Statement>,
    /// Status of the last statement.
    status: i32,
    /// It sleeps until then.
    due_us: Option<u64>,
}

/// All processes.
#[derive(Debug)]
pub struct Processes {
    all: BTreeMap<Pid, Process>,
    next: Pid,
    /// Programs there are, and what execve(2) says of them if it refuses.
    programs: BTreeMap<String, Option<Errno>>,
    /// How many there may be at a time.
    pub alive_max: usize,
}

impl Default for Processes {
    fn default() -> Self {
        let programs = [
            ("/bin/sh", None),
            ("/bin/script", None),
            ("/bin/secret", Some(libc::EACCES)),
            ("/bin/text", Some(libc::ENOEXEC)),
        ];
        let programs = programs.into_iter().map(|(path, errno)| (path.to_owned(), errno)).collect();
        Self { all: BTreeMap::new(), next: SERVER + 1, programs, alive_max: usize::MAX }
    }
}

impl Processes {
    fn get(&self, pid: Pid) -> &Process {
        &self.all[&pid]
    }

    fn get_mut(&mut self, pid: Pid) -> &mut Process {
        self.all.get_mut(&pid).expect("a process is never forgotten")
    }

    /// Whether a process has ended, so that its pidfd is readable.
    pub fn has_ended(&self, pid: Pid) -> bool {
        matches!(self.get(pid).state, State::Zombie(_) | State::Reaped)
    }

    /// How many processes there are, zombies among them.
    pub fn alive(&self) -> usize {
        self.all.values().filter(|process| process.state != State::Reaped).count()
    }

    /// Every process there is as /proc shows it: its id, parent, group and session, and whether it
    /// is a zombie.
    pub fn shown(&self) -> Vec<(Pid, Pid, Pid, Pid, bool)> {
        let alive = self.all.iter().filter(|(_, process)| process.state != State::Reaped);
        alive
            .map(|(pid, process)| {
                let is_zombie = matches!(process.state, State::Zombie(_));
                (*pid, process.parent, process.group, process.session, is_zombie)
            })
            .collect()
    }

    /// Every process there is, for messages.
    pub fn listed(&self) -> Vec<String> {
        let alive = self.all.iter().filter(|(_, process)| process.state != State::Reaped);
        alive
            .map(|(pid, process)| {
                let Process { state, group, session, script, due_us, .. } = process;
                let next = script.front();
                format!("{pid}: {state:?}, group {group}, session {session}, {due_us:?} {next:?}")
            })
            .collect()
    }

    /// How a program is started: whether it can be.
    pub fn program(&self, path: &str) -> Result<(), Errno> {
        match self.programs.get(path) {
            Some(None) => Ok(()),
            Some(Some(errno)) => Err(*errno),
            None => Err(libc::ENOENT),
        }
    }

    fn insert(&mut self, process: Process) -> Pid {
        let pid = self.next;
        self.next += 1;
        self.all.insert(pid, process);
        pid
    }
}

/// What a new process of the server has.
#[derive(Debug)]
pub struct Birth {
    /// Standard input, output and error, of which it gets references of its own.
    pub standard: [Option<DescriptionId>; 3],
    /// It is the leader of a new session, on the terminal that is its standard input.
    pub has_terminal: bool,
}

impl Kernel {
    /// The server clones itself: the new process has everything that the server has open. EAGAIN:
    /// there may be no more.
    pub fn clone_process(&mut self, birth: &Birth) -> Result<Pid, Errno> {
        if self.processes.alive() >= self.processes.alive_max {
            return Err(libc::EAGAIN);
        }
        let inherited = self.descriptors.all();
        for id in inherited.iter().chain(birth.standard.iter().flatten()) {
            self.share(*id);
        }
        let pid = self.processes.insert(Process {
            state: State::Starting,
            parent: SERVER,
            group: 0,
            session: 0,
            ignored: Vec::new(),
            standard: birth.standard,
            inherited,
            script: VecDeque::new(),
            status: 0,
            due_us: None,
        });
        let process = self.processes.get_mut(pid);
        (process.group, process.session) = (pid, pid);
        if birth.has_terminal {
            self.take_terminal(pid);
        }
        self.note_effect();
        Ok(pid)
    }

    fn take_terminal(&mut self, pid: Pid) {
        let input = self.processes.get(pid).standard[0];
        let object = input.map(|id| &self.descriptors.get(id).object);
        if let Some(super::descriptors::Object::PtySlave(pty)) = object {
            let pty = *pty;
            self.control_pty(pty, pid);
        }
    }

    /// The new process becomes its program, and has the standard three alone.
    pub fn exec_process(&mut self, pid: Pid, text: &str) {
        self.drop_inherited(pid);
        let process = self.processes.get_mut(pid);
        if process.state == State::Starting {
            process.script = script::parse(text);
            process.state = State::Running;
        }
        self.trace.note(self.now_us, format_args!("process {pid} runs {text:.60}"));
        self.note_effect();
    }

    /// The new process could not become its program: nothing is left of it.
    pub fn abandon_process(&mut self, pid: Pid) {
        self.drop_inherited(pid);
        self.close_standard(pid, &[0, 1, 2]);
        self.processes.get_mut(pid).state = State::Reaped;
        self.note_effect();
    }

    fn drop_inherited(&mut self, pid: Pid) {
        for id in std::mem::take(&mut self.processes.get_mut(pid).inherited) {
            self.release(id);
        }
    }

    fn close_standard(&mut self, pid: Pid, numbers: &[usize]) {
        for number in numbers {
            if let Some(id) = self.processes.get_mut(pid).standard[*number].take() {
                self.release(id);
            }
        }
    }

    /// How a child of the server ended, if it has (waitid(2)); `reaps`: it is forgotten then.
    /// ECHILD: it was before.
    pub fn wait_process(&mut self, pid: Pid, reaps: bool) -> Result<Option<Exit>, Errno> {
        match self.processes.get(pid).state {
            State::Reaped => Err(libc::ECHILD),
            State::Zombie(exit) => {
                if reaps {
                    self.processes.get_mut(pid).state = State::Reaped;
                    self.trace.note(self.now_us, format_args!("process {pid} is reaped"));
                    self.note_effect();
                }
                Ok(Some(exit))
            }
            _ => Ok(None),
        }
    }

    /// Somebody else reaps every child of the server that has ended.
    pub fn reap_zombies(&mut self) {
        for process in self.processes.all.values_mut() {
            if matches!(process.state, State::Zombie(_)) {
                process.state = State::Reaped;
            }
        }
        self.note_effect();
    }
}
