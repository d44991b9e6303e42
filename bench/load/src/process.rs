//! What the kernel tells about a process: processor time spent, memory resident.
//!
//! What it does not do: see processes that left their parent; no server here has such.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::Outcome;

/// Processor time of a process since its start: its own by its CPU clock (exact, threads that have
/// ended included), that of children waited for from `proc_pid_stat(5)` (in ticks, 10 ms), and all
/// of this for its children that still run, and theirs.
///
/// # Errors
/// The process is gone.
pub fn cpu(pid: i32) -> Outcome<Duration> {
    let mut total = alone(pid)?;
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            // One that has ended meanwhile is counted by its parent, or next time.
            total += alone(child).unwrap_or_default();
            parents.push(child);
        }
    }
    Ok(total)
}

/// Children that run, of any thread (`proc_tid_children(5)`); none of a process that is gone.
fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split(' ').filter_map(|pid| pid.trim().parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}

fn alone(pid: i32) -> Outcome<Duration> {
    let own = clock_gettime(ClockId::pid_cpu_clock_id(Pid::from_raw(pid))?)?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let children = children_ticks(&stat).ok_or("/proc/PID/stat is not as documented")?;
    let tick_hz = sysconf(SysconfVar::CLK_TCK)?.ok_or("no clock ticks")?;
    let children = Duration::from_secs_f64(children as f64 / tick_hz as f64);
    Ok(Duration::from(own) + children)
}

/// Fields 16 and 17 (cutime, cstime), counted from behind the name, which may hold blanks.
fn children_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(13);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Bytes of memory resident in a process, from its `smaps_rollup`.
///
/// # Errors
/// The process is gone, or is somebody else's.
pub fn resident_bytes(pid: i32) -> Outcome<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).ok_or("no Rss")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// Lets this process, and what it starts, open as many descriptors as it may.
///
/// # Errors
/// The system refuses.
pub fn raise_descriptor_limit() -> Outcome<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_children_are_fields_16_and_17_whatever_the_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17";
        assert_eq!(children_ticks(stat), Some(13 + 14));
    }

    #[test]
    fn a_process_that_spins_spends_time() {
        let me = i32::try_from(std::process::id()).unwrap();
        let before = cpu(me).unwrap();
        while cpu(me).unwrap() < before + Duration::from_millis(2) {}
        assert!(resident_bytes(me).unwrap() > 0);
    }
}
