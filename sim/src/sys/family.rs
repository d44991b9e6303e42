//! Processes that belong to a command.

use super::signal::Ask;
use crate::kernel::{enter, with};

/// A process as /proc shows it. No number is ever given twice here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// The id of its group.
    pub group: i32,
    parent: i32,
    session: i32,
    is_zombie: bool,
}

/// Looks at all processes. Here it needs no descriptor for that, and so no reserve.
#[derive(Debug, Default)]
pub struct ProcessTable;

impl ProcessTable {
    /// A table.
    pub fn new() -> Self {
        Self
    }

    /// All processes there are.
    pub fn look(&mut self) -> Option<Vec<Process>> {
        enter("getdents64");
        with(|kernel| {
            let shown = kernel.processes.shown().into_iter();
            let of = |(pid, parent, group, session, is_zombie)| Process {
                pid,
                group,
                parent,
                session,
                is_zombie,
            };
            Some(shown.map(of).collect())
        })
    }

    /// Nothing was given up.
    pub fn refill(&mut self) {}
}

/// Those of `all` that belong to the command with this `leader`, or descend from one of `known`;
/// not the leader itself, and none that has ended.
pub fn of_command(
    all: &[Process],
    leader: i32,
    is_reaped: bool,
    known: &[Process],
) -> Vec<Process> {
    if is_reaped && all.iter().any(|process| process.pid == leader) {
        return Vec::new();
    }
    let is_known = |process: &Process| known.iter().any(|known| known.pid == process.pid);
    let is_own = |process: &&Process| process.session == leader || is_known(process);
    let mut own: Vec<Process> = all.iter().filter(is_own).copied().collect();
    let mut looked = 0;
    while looked < own.len() {
        let parent = own[looked].pid;
        looked += 1;
        for child in all.iter().filter(|process| process.parent == parent) {
            if !own.iter().any(|process| process.pid == child.pid) {
                own.push(*child);
            }
        }
    }
    own.retain(|process| process.pid != leader && !process.is_zombie);
    own
}

impl Process {
    /// Sends what `ask` means.
    pub fn signal(&self, ask: Ask) {
        enter("pidfd_send_signal");
        with(|kernel| {
            ask.signals().iter().for_each(|signal| kernel.signal_process(self.pid, *signal));
        });
    }
}
