//! Signals to processes, and how processes end.

use super::{Pid, SERVER, State};
use crate::kernel::Kernel;
use crate::sys::process::Exit;

impl Kernel {
    /// A signal to all of a group (kill(2)). Nothing happens where there is no such group.
    pub fn signal_group(&mut self, group: Pid, signal: i32) {
        let members: Vec<Pid> = self
            .processes
            .all
            .iter()
            .filter(|(_, process)| process.group == group)
            .map(|(pid, _)| *pid)
            .collect();
        self.trace.note(self.now_us, format_args!("signal {signal} to group {group}"));
        for pid in members {
            self.signal_process(pid, signal);
        }
    }

    /// A signal to one process, by number or by pidfd. One that ends or has ended does not mind.
    pub fn signal_process(&mut self, pid: Pid, signal: i32) {
        let process = self.processes.get_mut(pid);
        let is_alive = matches!(process.state, State::Running | State::Starting);
        let is_minded = match signal {
            libc::SIGKILL => true,
            0 | libc::SIGCONT | libc::SIGCHLD | libc::SIGWINCH | libc::SIGURG => false,
            _ => !process.ignored.contains(&signal),
        };
        if is_alive && is_minded {
            self.end_process(pid, Exit::Signal(signal));
        }
    }

    /// A process begins to end.
    pub(super) fn end_process(&mut self, pid: Pid, exit: Exit) {
        self.trace.note(self.now_us, format_args!("process {pid} ends: {exit:?}"));
        let process = self.processes.get_mut(pid);
        process.state = State::Ending(exit);
        process.due_us = None;
        process.script.clear();
        self.note_effect();
    }

    /// It closes what it has open.
    pub(super) fn close_process(&mut self, pid: Pid, exit: Exit) {
        self.drop_inherited(pid);
        self.close_standard(pid, &[0, 1, 2]);
        self.processes.get_mut(pid).state = State::Closed(exit);
        self.note_effect();
    }

    /// Its end shows. Where it led a session on a terminal, those in the foreground are told.
    pub(super) fn bury_process(&mut self, pid: Pid, exit: Exit) {
        let process = self.processes.get_mut(pid);
        let (is_child, is_leader) = (process.parent == SERVER, process.session == pid);
        process.state = if is_child { State::Zombie(exit) } else { State::Reaped };
        if is_leader && self.leave_terminal(pid) {
            self.signal_group(pid, libc::SIGHUP);
        }
        self.note_effect();
    }

    /// The terminal of a session is gone: its leader is told.
    pub fn hang_up_leader(&mut self, leader: Pid) {
        self.signal_process(leader, libc::SIGHUP);
    }
}
