//! Waiting for a few descriptors once: poll(2), for the client and for tests.
//!
//! What it does not do: serve (`epoll`).

use std::io;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

/// Waits until one of `fds` has input, has ended or failed, or `timeout_ms` have passed (`None`:
/// for ever). Says of each whether it has. Interrupted by a signal (EINTR) it says no of all.
pub fn wait_readable(fds: &[BorrowedFd<'_>], timeout_ms: Option<u64>) -> io::Result<Vec<bool>> {
    let wanted: Vec<_> = fds.iter().map(|fd| (*fd, true, false)).collect();
    wait_any(&wanted, timeout_ms)
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

    use super::super::scratch::wait_closed;
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
