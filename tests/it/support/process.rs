//! Looking at processes through /proc, and signalling our own children.
//!
//! What it does not do: touch a process that the tests did not start.

use std::fs;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Sends `signal` to a child that was not waited for yet.
pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a pid fits 31 bits");
    kill(Pid::from_raw(pid), signal).expect("our own child can be signalled");
}

/// The child's status, if it ends within `patience`.
pub(crate) fn wait_within(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().expect("our own child can be waited for") {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The one-letter state of a process (proc(5)), if it exists.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 1..].trim_start().chars().next()
}

/// True once a process has ended, whoever has to reap it.
pub(crate) fn has_ended(pid: u32) -> bool {
    matches!(state(pid), None | Some('Z' | 'X'))
}

/// Whether every thread of a process waits for something.
pub(crate) fn is_asleep(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process is alive");
    let mut stats =
        tasks.map(|task| fs::read_to_string(task.expect("a thread").path().join("stat")));
    stats.all(|stat| stat.is_ok_and(|stat| stat[stat.rfind(')').unwrap_or(0)..].starts_with(") S")))
}

/// The processes that `pid` started itself, whatever thread of it did, zombies too.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists =
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let text = lists.collect::<String>();
    text.split_whitespace().map(|word| word.parse().expect("a pid is a number")).collect()
}

/// A field of /proc/PID/status, such as `VmHWM`, without the blanks around it.
pub(crate) fn status_field(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is alive");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.expect("the kernel shows that field").trim().to_string()
}

/// A size in /proc/PID/status, in bytes.
pub(crate) fn status_bytes(pid: u32, name: &str) -> u64 {
    let field = status_field(pid, name);
    let kib = field.strip_suffix(" kB").expect("sizes are in kB").trim();
    kib.parse::<u64>().expect("sizes are numbers") * 1024
}
