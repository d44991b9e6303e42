//! Waiting for a few descriptors once: poll(2), for the client, for threads of the server that have
//! no epoll, and for tests.
//!
//! What it does not do: serve (`epoll`).

use std::io;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use super::thread::{Condvar, Mutex};

/// How long `wait_or_pause` pauses, in milliseconds.
const PAUSE_MS: u64 = 10;

/// Waits until one of `fds` has input, has ended or failed, or `timeout_ms` have passed (`None`:
/// for ever). Says of each whether it has. Interrupted by a signal (EINTR) it says no of all.
pub fn wait_readable(fds: &[BorrowedFd<'_>], timeout_ms: Option<u64>) -> io::Result<Vec<bool>> {
    let wanted: Vec<_> = fds.iter().map(|fd| (*fd, true, false)).collect();
    wait_any(&wanted, timeout_ms)
}

/// As `wait_readable`, for threads that go on whatever happens. If poll(2) fails (ENOMEM), it
/// pauses for a moment, so that its caller does not spin, and says no of all.
pub fn wait_or_pause(fds: &[BorrowedFd<'_>], timeout_ms: Option<u64>) -> Vec<bool> {
    wait_readable(fds, timeout_ms).unwrap_or_else(|_no_memory| {
        // Nobody notifies it.
        let (lock, pause) = (Mutex::new(()), Condvar::new());
        drop(pause.wait_for(lock.lock(), PAUSE_MS.min(timeout_ms.unwrap_or(PAUSE_MS))));
        vec![false; fds.len()]
    })
}

/// As `wait_readable`, with what each is waited for: input (the first `bool`), room for output (the
/// second), both, or only its end.
pub fn wait_any(
    wanted: &[(BorrowedFd<'_>, bool, bool)],
    timeout_ms: Option<u64>,
) -> io::Result<Vec<bool>> {
    let mut polled: Vec<_> = wanted
        .iter()
        .map(|(fd, read, write)| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLIN, *read);
            flags.set(PollFlags::POLLOUT, *write);
            PollFd::new(*fd, flags)
        })
        .collect();
    match poll(&mut polled, super::timeout(timeout_ms)) {
        Ok(_) => Ok(polled.iter().map(|fd| fd.any().unwrap_or(true)).collect()),
        Err(Errno::EINTR) => Ok(vec![false; wanted.len()]),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::super::scratch::{deny, wait_closed};
    use super::*;

    #[test]
    fn it_says_which_have_input_or_ended() -> io::Result<()> {
        let (a, mut b) = UnixStream::pair()?;
        let (c, d) = UnixStream::pair()?;
        assert_eq!(wait_readable(&[a.as_fd(), c.as_fd()], Some(0))?, [false, false]);
        b.write_all(b"x")?;
        assert_eq!(wait_readable(&[a.as_fd(), c.as_fd()], None)?, [true, false]);
        drop(d);
        wait_closed(c.as_fd())?;
        assert_eq!(wait_readable(&[a.as_fd(), c.as_fd()], None)?, [true, true]);
        Ok(())
    }

    #[test]
    fn a_thread_goes_on_where_it_cannot_wait() -> io::Result<()> {
        let (a, mut b) = UnixStream::pair()?;
        b.write_all(b"x")?;
        assert_eq!(wait_or_pause(&[a.as_fd()], None), [true]);
        let waited = std::thread::spawn(move || {
            deny(libc::SYS_poll, Errno::ENOMEM)?;
            io::Result::Ok(wait_or_pause(&[a.as_fd()], None))
        });
        assert_eq!(waited.join().expect("it does not panic")?, [false]);
        Ok(())
    }

    #[test]
    fn each_is_waited_for_as_asked() -> io::Result<()> {
        let (a, b) = UnixStream::pair()?;
        let wanted = [(a.as_fd(), true, false), (b.as_fd(), true, true)];
        assert_eq!(wait_any(&wanted, None)?, [false, true]);
        assert_eq!(wait_any(&[(a.as_fd(), false, false)], Some(0))?, [false]);
        drop(b);
        assert_eq!(wait_any(&[(a.as_fd(), false, false)], Some(u64::MAX))?, [true]);
        Ok(())
    }
}
