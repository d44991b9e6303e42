//! What belongs to a command besides its process: found in /proc (proc(5)), and signalled.
//!
//! A command leads a session. Its own are the processes of that session, whatever their group, and
//! those that descend from one of its own, in sessions of their own too. A process that made a
//! session of its own *and* whose parent has ended, as a daemon does, belongs to the init process,
//! and to nobody's command any more. Where /proc is not mounted, or is that of another PID
//! namespace, nothing is found.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use nix::errno::Errno;

use super::fd::reserve;
use super::signal::Ask;

/// A process as /proc shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// The id of its group.
    pub group: i32,
    parent: i32,
    session: i32,
    /// When it was started, in clock ticks since boot: with the id it names one process for ever.
    started: u64,
    is_zombie: bool,
}

/// Looks at all processes. It keeps two descriptors for the time when there are no others: one for
/// /proc, or to signal a process, and one to read what is known of a process.
#[derive(Debug)]
pub struct ProcessTable {
    reserve: [Option<OwnedFd>; 2],
}

impl ProcessTable {
    /// A table, and its reserve.
    pub fn new() -> Self {
        let mut table = Self { reserve: [None, None] };
        table.refill();
        table
    }

    /// All processes there are; none if /proc is that of another namespace, with other ids. `None`:
    /// there is no descriptor or no memory to look with now. What the reserve gave up stays free to
    /// signal processes with, until `refill`.
    pub fn look(&mut self) -> Option<Vec<Process>> {
        let found = processes().or_else(|_| {
            self.reserve = [None, None];
            processes()
        });
        found.ok()
    }

    /// Has two descriptors in reserve again, if there are any.
    pub fn refill(&mut self) {
        for place in &mut self.reserve {
            *place = place.take().or_else(|| reserve().ok());
        }
    }
}

impl Default for ProcessTable {
    fn default() -> Self {
        Self::new()
    }
}

/// All processes there are. EMFILE, ENFILE, ENOMEM: they cannot be looked at now.
fn processes() -> io::Result<Vec<Process>> {
    let this = fs::read_link("/proc/self").ok().and_then(|link| link.to_str()?.parse().ok());
    if this != Some(std::process::id()) {
        return Ok(Vec::new());
    }
    let entries = match fs::read_dir("/proc") {
        Err(error) if is_shortage(&error) => return Err(error),
        Err(_) => return Ok(Vec::new()),
        Ok(entries) => entries,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = match entry {
            Err(error) if is_shortage(&error) => return Err(error),
            Err(_) => continue,
            Ok(entry) => entry.file_name(),
        };
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) {
            found.extend(Process::look(pid)?);
        }
    }
    Ok(found)
}

fn is_shortage(error: &io::Error) -> bool {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    matches!(errno, Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)
}

/// Those of `all` that belong to the command with this `leader`, or descend from one of `known`;
/// not the leader itself, and none that has ended. With `is_reaped` the leader's number may have
/// been given to another process, which happens only once its session is empty.
pub fn of_command(
    all: &[Process],
    leader: i32,
    is_reaped: bool,
    known: &[Process],
) -> Vec<Process> {
    if is_reaped && all.iter().any(|process| process.pid == leader) {
        return Vec::new();
    }
    let is_known = |process: &Process| known.iter().any(|known| known.is(process));
    let mut own: Vec<Process> = all
        .iter()
        .copied()
        .filter(|process| process.session == leader || is_known(process))
        .collect();
    let mut looked = 0;
    while looked < own.len() {
        let parent = own[looked].pid;
        looked += 1;
        for child in all.iter().filter(|process| process.parent == parent) {
            if !own.iter().any(|process| process.is(child)) {
                own.push(*child);
            }
        }
    }
    own.retain(|process| process.pid != leader && !process.is_zombie);
    own
}

/// Ended processes that `parent` has to reap, by their ids.
pub(super) fn zombies_of(parent: i32) -> Vec<i32> {
    let all = processes().unwrap_or_default().into_iter();
    let zombies = all.filter(|process| process.is_zombie && process.parent == parent);
    zombies.map(|process| process.pid).collect()
}

impl Process {
    /// Process `pid` as it is now, if it is there. Errors as `processes`.
    fn look(pid: i32) -> io::Result<Option<Self>> {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Err(error) if is_shortage(&error) => Err(error),
            Err(_) => Ok(None),
            Ok(stat) => Ok(Self::parse(pid, &stat)),
        }
    }

    fn parse(pid: i32, stat: &str) -> Option<Self> {
        // The name, in brackets, may hold anything.
        let rest = &stat[stat.rfind(')')? + 1..];
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Self {
            pid,
            group: fields.get(2)?.parse().ok()?,
            parent: fields.get(1)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            is_zombie: matches!(*fields.first()?, "Z" | "X"),
        })
    }

    fn is(&self, other: &Self) -> bool {
        self.pid == other.pid && self.started == other.started
    }

    /// Sends what `ask` means (`pidfd_send_signal(2)`). Nothing happens where the process has ended
    /// or may not be signalled, and another one with its number is left alone.
    pub fn signal(&self, ask: Ask) {
        let Ok(pidfd) = open(self.pid) else { return };
        // What the descriptor names cannot change any more; it must be the one that was meant.
        if Self::look(self.pid).is_ok_and(|now| now.is_some_and(|now| now.is(self))) {
            for signal in ask.signals() {
                send(&pidfd, *signal);
            }
        }
    }
}

fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers alone.
    let raw = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let raw = i32::try_from(raw).map_err(|_| Errno::EOVERFLOW)?;
    // SAFETY: it succeeded, so `raw` is a new descriptor that nobody else owns, and close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Sends a signal to the process of a pidfd. ESRCH: it was reaped; EPERM: it changed its user.
pub(super) fn send(pidfd: &OwnedFd, signal: libc::c_int) {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: takes numbers, and a null pointer that is allowed.
    let _gone_either_way = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0)
    };
}

#[cfg(test)]
mod tests {
    use super::super::scratch::deny;
    use super::*;

    fn process(pid: i32, parent: i32, session: i32) -> Process {
        Process { pid, group: session, parent, session, started: 1, is_zombie: false }
    }

    fn pids(all: &[Process], is_reaped: bool, known: &[Process]) -> Vec<i32> {
        let mut pids: Vec<_> =
            of_command(all, 10, is_reaped, known).iter().map(|process| process.pid).collect();
        pids.sort_unstable();
        pids
    }

    #[test]
    fn a_session_and_all_that_descends_from_it_is_a_command_s_own() {
        let mut all = vec![
            process(14, 13, 13),
            process(1, 0, 1),
            process(10, 1, 10),
            process(11, 10, 10),
            process(12, 1, 10),
            process(13, 11, 13),
            process(20, 1, 20),
            process(21, 20, 20),
        ];
        assert_eq!(pids(&all, false, &[]), [11, 12, 13, 14]);
        // What was known stays known once its parent has ended.
        all[5].parent = 1;
        all.remove(3);
        assert_eq!(pids(&all, false, &[]), [12]);
        assert_eq!(pids(&all, false, &[process(13, 11, 13)]), [12, 13, 14]);
        let other = Process { started: 2, ..process(13, 11, 13) };
        assert_eq!(pids(&all, false, &[other]), [12]);
        // The leader's number is another process's.
        assert_eq!(pids(&all, true, &[]), []);
        all.remove(2);
        assert_eq!(pids(&all, true, &[]), [12]);
        all[2].is_zombie = true;
        assert_eq!(pids(&all, true, &[]), []);
    }

    #[test]
    fn processes_that_cannot_be_looked_at_are_not_taken_for_none() {
        for (errno, expected) in
            [(Errno::EMFILE, None), (Errno::ENOMEM, None), (Errno::EACCES, Some(Vec::new()))]
        {
            let looked = std::thread::spawn(move || {
                let mut table = ProcessTable::new();
                deny(libc::SYS_openat, errno).expect("seccomp(2) is there");
                table.look()
            });
            assert_eq!(looked.join().expect("it does not panic"), expected, "{errno}");
        }
    }

    #[test]
    fn this_process_is_found_and_another_with_its_number_is_left_alone() {
        let pid = i32::try_from(std::process::id()).expect("31 bits");
        let all = ProcessTable::new().look().expect("descriptors are left");
        let own = *all.iter().find(|process| process.pid == pid).expect("it runs");
        assert!(!own.is_zombie);
        Process { started: own.started + 1, ..own }.signal(Ask::Kill);
    }

    #[test]
    fn a_process_is_signalled_and_waits_as_a_zombie_for_its_parent() -> io::Result<()> {
        use std::os::unix::process::ExitStatusExt as _;

        let mut child = std::process::Command::new("sleep").arg("1000").spawn()?;
        let pid = i32::try_from(child.id()).expect("31 bits");
        let process = Process::look(pid)?.expect("it runs");
        assert!(!process.is_zombie && process.is(&process));
        process.signal(Ask::Kill);
        // It has ended, and is not reaped.
        let flags = libc::WEXITED | libc::WNOWAIT;
        // SAFETY: a null pointer is allowed.
        let waited = unsafe { libc::waitid(libc::P_PID, child.id(), std::ptr::null_mut(), flags) };
        assert_eq!(waited, 0);
        assert!(Process::look(pid)?.expect("it is not reaped").is_zombie);
        let this = i32::try_from(std::process::id()).expect("31 bits");
        assert!(zombies_of(this).contains(&pid) && !zombies_of(pid).contains(&pid));
        assert_eq!(child.wait()?.signal(), Some(libc::SIGKILL));
        assert!(Process::look(pid)?.is_none());
        Ok(())
    }
}
