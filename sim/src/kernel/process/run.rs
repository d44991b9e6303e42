//! One step of a process.

use std::collections::VecDeque;

use super::script::{Statement, Text};
use super::{Pid, Process, State};
use crate::kernel::descriptors::Object;
use crate::kernel::{Errno, Kernel};
use crate::sys::process::Exit;

/// How much a process reads or writes at once, at the most.
const PIECES: [usize; 5] = [1, 100, 4096, 8192, 65_536];

impl Kernel {
    /// Processes that can do something now.
    pub fn processes_that_can_run(&self) -> Vec<Pid> {
        let all = self.processes.all.iter();
        all.filter(|(_, process)| self.can_process_run(process)).map(|(pid, _)| *pid).collect()
    }

    /// When the next process that sleeps goes on. One that is due and waits for something else,
    /// such as room in a pipe, does not sleep.
    pub fn next_process_due_us(&self) -> Option<u64> {
        let running = self.processes.all.values().filter(|process| process.state == State::Running);
        running.filter_map(|process| process.due_us).filter(|due_us| *due_us > self.now_us).min()
    }

    fn can_process_run(&self, process: &Process) -> bool {
        match process.state {
            State::Starting | State::Zombie(_) | State::Reaped => return false,
            State::Ending(_) | State::Closed(_) => return true,
            State::Running => {}
        }
        if process.due_us.is_some_and(|due_us| due_us > self.now_us) {
            return false;
        }
        match process.script.front() {
            Some(Statement::Write { to, .. }) => self.can_use(process, *to, false),
            Some(Statement::Read { .. }) => self.can_use(process, 0, true),
            _ => true,
        }
    }

    /// Whether reading or writing would not wait.
    fn can_use(&self, process: &Process, number: usize, reads: bool) -> bool {
        let Some(id) = process.standard[number] else { return true };
        let told = self.readiness(id);
        told.hung_up || told.failed || if reads { told.readable } else { told.writable }
    }

    /// A process does a little.
    pub fn process_step(&mut self, pid: Pid) {
        let process = self.processes.get_mut(pid);
        match process.state {
            State::Ending(exit) => return self.close_process(pid, exit),
            State::Closed(exit) => return self.bury_process(pid, exit),
            State::Running => {}
            State::Starting | State::Zombie(_) | State::Reaped => return,
        }
        process.due_us = None;
        let status = process.status;
        let Some(statement) = process.script.pop_front() else {
            return self.end_process(pid, Exit::Status(status));
        };
        process.status = 0;
        match statement {
            Statement::Write { to, text, done } => self.step_write(pid, to, text, done),
            Statement::Read { copies } => self.step_read(pid, copies),
            Statement::Size => self.step_size(pid),
            Statement::Sleep(ms) => process.due_us = Some(self.now_us + ms * 1000),
            Statement::Exit(status) => self.end_process(pid, Exit::Status(status)),
            Statement::Die(signal) => self.signal_process(pid, signal),
            Statement::Trap => process.ignored.extend([libc::SIGTERM, libc::SIGHUP]),
            Statement::Hold(ms) => {
                self.fork_process(pid, ms, true);
            }
            Statement::Setsid(ms) => {
                let child = self.fork_process(pid, ms, true);
                let process = self.processes.get_mut(child);
                (process.group, process.session) = (child, child);
            }
            Statement::Leave => {
                let child = self.fork_process(pid, 1, false);
                self.processes.get_mut(child).group = child;
                self.processes.get_mut(pid).group = child;
            }
            Statement::Steal => self.steal(pid),
            Statement::Close => self.close_standard(pid, &[1, 2]),
            Statement::CloseIn => self.close_standard(pid, &[0]),
            Statement::NotFound => process.status = 127,
        }
        self.note_effect();
    }

    /// Starts a process that has the pipes open for so long, or nothing.
    fn fork_process(&mut self, parent: Pid, ms: u64, holds: bool) -> Pid {
        let Process { group, session, ignored, standard, .. } = self.processes.get(parent);
        let standard = if holds { [None, standard[1], standard[2]] } else { [None; 3] };
        let child = Process {
            state: State::Running,
            parent,
            group: *group,
            session: *session,
            ignored: ignored.clone(),
            standard,
            inherited: Vec::new(),
            script: VecDeque::from([Statement::Sleep(ms)]),
            status: 0,
            due_us: None,
        };
        for id in standard.into_iter().flatten() {
            self.share(id);
        }
        let pid = self.processes.insert(child);
        self.trace.note(self.now_us, format_args!("process {parent} starts {pid} for {ms} ms"));
        pid
    }

    fn again(&mut self, pid: Pid, statement: Statement) {
        let process = self.processes.get_mut(pid);
        if process.state == State::Running {
            process.script.push_front(statement);
        }
    }

    fn step_write(&mut self, pid: Pid, to: usize, text: Text, done: usize) {
        let piece = text.piece(done, *self.random.pick(&PIECES));
        if piece.is_empty() {
            return;
        }
        match self.process_write(pid, to, &piece) {
            Ok(count) if done + count < text.len() => {
                self.again(pid, Statement::Write { to, text, done: done + count });
            }
            Ok(_) => {}
            Err(libc::EAGAIN) => self.again(pid, Statement::Write { to, text, done }),
            Err(libc::EPIPE) => {
                self.signal_process(pid, libc::SIGPIPE);
                self.processes.get_mut(pid).status = 1;
            }
            Err(_) => self.processes.get_mut(pid).status = 1,
        }
    }

    fn process_write(&mut self, pid: Pid, to: usize, bytes: &[u8]) -> Result<usize, Errno> {
        let id = self.processes.get(pid).standard[to].ok_or(libc::EBADF)?;
        match self.descriptors.get(id).object {
            Object::PipeWriter(pipe) => self.pipe_write(pipe, bytes),
            Object::PtySlave(pty) => self.pty_slave_write(pty, bytes),
            Object::Socket(connection, side) => self.socket_send(connection, side, bytes),
            Object::Null => Ok(bytes.len()),
            _ => Err(libc::EBADF),
        }
    }

    fn step_read(&mut self, pid: Pid, copies: bool) {
        let most = *self.random.pick(&PIECES);
        match self.process_read(pid, most) {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => {
                self.again(pid, Statement::Read { copies });
                if copies {
                    let text = Text::Given(bytes);
                    self.again(pid, Statement::Write { to: 1, text, done: 0 });
                }
            }
            Err(libc::EAGAIN) => self.again(pid, Statement::Read { copies }),
            Err(_) => self.processes.get_mut(pid).status = 1,
        }
    }

    fn step_size(&mut self, pid: Pid) {
        let input = self.processes.get(pid).standard[0];
        let size = input.and_then(|id| match self.descriptors.get(id).object {
            Object::PtySlave(pty) => self.ptys.size(pty),
            _ => None,
        });
        let said = size.map_or_else(String::new, |(columns, rows)| format!("{columns}x{rows}\n"));
        let text = Text::Given(said.into_bytes());
        self.again(pid, Statement::Write { to: 1, text, done: 0 });
    }

    fn process_read(&mut self, pid: Pid, bytes_max: usize) -> Result<Vec<u8>, Errno> {
        let Some(id) = self.processes.get(pid).standard[0] else { return Ok(Vec::new()) };
        match self.descriptors.get(id).object {
            Object::PipeReader(pipe) => self.pipe_read(pipe, bytes_max),
            Object::PtySlave(pty) => self.pty_slave_read(pty, bytes_max),
            Object::Socket(connection, side) => self.socket_receive(connection, side, bytes_max),
            _ => Ok(Vec::new()),
        }
    }

    /// Reads its own standard output back.
    fn steal(&mut self, pid: Pid) {
        let Some(id) = self.processes.get(pid).standard[1] else { return };
        if let Object::PipeWriter(pipe) = self.descriptors.get(id).object {
            let held = self.pipe_len(pipe);
            let stolen = if held == 0 { Ok(Vec::new()) } else { self.pipe_read(pipe, held) };
            let count = stolen.map_or(0, |bytes| bytes.len());
            self.trace.note(self.now_us, format_args!("process {pid} takes {count} bytes back"));
        }
    }
}
