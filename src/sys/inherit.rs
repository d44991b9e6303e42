//! Descriptors that the service manager opened for landline: `sd_listen_fds(3)`.
//!
//! What it does not do: look at what a descriptor is (`socket::is_listening`), or clear the
//! environment (children get one made from nothing).

use std::collections::BTreeSet;
use std::env;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;

/// The first descriptor that is passed (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;

/// The name of a descriptor that `LISTEN_FDNAMES` does not name.
const NAMELESS: &str = "unknown";

/// The descriptors that were passed, with their names, in order. None where `LISTEN_PID` is not
/// this process, or where one of the variables is malformed.
pub fn listen_fds() -> Vec<(RawFd, String)> {
    let text = |name: &str| env::var(name).unwrap_or_default();
    parse(&text("LISTEN_PID"), &text("LISTEN_FDS"), &text("LISTEN_FDNAMES"), std::process::id())
}

fn parse(pid: &str, count: &str, names: &str, own_pid: u32) -> Vec<(RawFd, String)> {
    // No service manager passes more than a u16 can count.
    let (Ok(pid), Ok(count)) = (pid.parse::<u32>(), count.parse::<u16>()) else {
        return Vec::new();
    };
    if pid != own_pid {
        return Vec::new();
    }
    let names = names.split(':').filter(|name| !name.is_empty()).chain(std::iter::repeat(NAMELESS));
    (FIRST..FIRST + RawFd::from(count)).zip(names.map(str::to_owned)).collect()
}

/// Makes an inherited descriptor landline's own, close-on-exec (fcntl(2), `FD_CLOEXEC`). EBADF: it
/// is not open, is below 3, or was taken before: each number can be taken once in a process.
///
/// The number must be one that was inherited, not one that landline opened by itself: take those
/// that are wanted before anything else is opened.
pub fn take(fd: RawFd) -> io::Result<OwnedFd> {
    static TAKEN: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if fd < FIRST || taken.contains(&fd) {
        return Err(Errno::EBADF.into());
    }
    // SAFETY: sets a flag on a number; on one that is not open it fails with EBADF.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    taken.insert(fd);
    // SAFETY: it is open, and by the contract above and `TAKEN` nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    use super::super::scratch::DESCRIPTORS;
    use super::*;

    fn fds(pid: &str, count: &str, names: &str) -> Vec<(RawFd, String)> {
        parse(pid, count, names, 77)
    }

    #[test]
    fn descriptors_are_counted_from_three_and_named_in_order() {
        let named = |fd, name: &str| (fd, name.to_owned());
        assert_eq!(fds("77", "2", "web:chat"), [named(3, "web"), named(4, "chat")]);
        assert_eq!(fds("77", "2", "web"), [named(3, "web"), named(4, "unknown")]);
        assert_eq!(fds("77", "1", ""), [named(3, "unknown")]);
        assert_eq!(fds("77", "1", "web:chat"), [named(3, "web")]);
    }

    #[test]
    fn what_is_meant_for_another_process_or_malformed_is_left_alone() {
        for (pid, count) in [("78", "1"), ("", "1"), ("77", ""), ("77", "-1"), ("77", "99999999")] {
            assert_eq!(fds(pid, count, "web"), []);
        }
        assert_eq!(fds("77", "0", "web"), []);
    }

    #[test]
    fn a_descriptor_is_taken_once_and_closes_on_exec() -> io::Result<()> {
        let _alone = DESCRIPTORS.lock();
        let null = File::open("/dev/null")?;
        let fd = fcntl(&null, FcntlArg::F_DUPFD(900))?;
        let taken = take(fd)?;
        let flags = FdFlag::from_bits_retain(fcntl(&taken, FcntlArg::F_GETFD)?);
        assert!(flags.contains(FdFlag::FD_CLOEXEC));
        for fd in [fd, 0, 2, -1, RawFd::MAX] {
            let error = take(fd).map(|_| ()).map_err(|error| error.raw_os_error());
            assert_eq!(error, Err(Some(libc::EBADF)), "descriptor {fd}");
        }
        Ok(())
    }
}
