//! The pipes a command writes its output to, and reads its input from.
//!
//! What it does not do: read output (`copy`).

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use super::retry;

/// A pipe, read end first (pipe2(2)), of the size the kernel gives (pipe(7): mostly 64 KiB). The
/// read end is non-blocking; the write end is a description of its own and blocks, as a command
/// expects. EMFILE, ENFILE: descriptors have run out.
pub fn new_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}

/// The other way round: the write end is non-blocking, and the read end blocks, as a command
/// expects of its standard input.
pub fn new_input_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}

/// Writes to a pipe (write(2)): how much of `bytes` it took. EAGAIN: it takes nothing now; EPIPE:
/// nobody is left to read it. Of a terminal: `pty::write`.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    retry(|| nix::unistd::write(fd, bytes))
}

/// Makes a pipe hold `bytes` (`F_SETPIPE_SZ`, fcntl(2)), where that is allowed: past
/// `fs.pipe-max-size` (EPERM) its size stays what it was.
pub fn grow(pipe: BorrowedFd<'_>, bytes: usize) {
    if let Ok(size) = i32::try_from(bytes) {
        let _only_wished_for = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(size));
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use nix::fcntl::FdFlag;

    use super::*;

    #[test]
    fn our_end_alone_is_non_blocking_and_all_close_on_exec() -> io::Result<()> {
        let (read, write) = new_pipe()?;
        let (input, feed) = new_input_pipe()?;
        for (fd, is_nonblocking) in [(&read, true), (&write, false), (&input, false), (&feed, true)]
        {
            let status = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
            let descriptor = FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD)?);
            assert_eq!(status.contains(OFlag::O_NONBLOCK), is_nonblocking);
            assert!(descriptor.contains(FdFlag::FD_CLOEXEC));
        }
        Ok(())
    }

    #[test]
    fn a_pipe_grows_to_the_size_asked_for_or_stays_as_it_was() -> io::Result<()> {
        let (read, _write) = new_pipe()?;
        grow(read.as_fd(), 1 << 17);
        assert_eq!(fcntl(&read, FcntlArg::F_GETPIPE_SZ)?, 1 << 17);
        grow(read.as_fd(), usize::MAX);
        assert_eq!(fcntl(&read, FcntlArg::F_GETPIPE_SZ)?, 1 << 17);
        Ok(())
    }
}
