//! The pipe a command writes its output to.
//!
//! What it does not do: read it (`copy`).

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use super::socket::set_nonblocking;

/// A pipe, read end first (pipe2(2)). The read end is non-blocking; the write end is a description
/// of its own and blocks, as a command expects. `bytes` is asked for as its size (`F_SETPIPE_SZ`,
/// fcntl(2)); where that is refused (EPERM past `fs.pipe-max-size`, EBUSY) the size stays what the
/// kernel gave. EMFILE, ENFILE: descriptors have run out.
pub fn new_pipe(bytes: usize) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    set_nonblocking(read.as_fd())?;
    if let Ok(size) = i32::try_from(bytes) {
        let _only_wished_for = fcntl(&read, FcntlArg::F_SETPIPE_SZ(size));
    }
    Ok((read, write))
}

#[cfg(test)]
mod tests {
    use nix::fcntl::FdFlag;

    use super::*;

    #[test]
    fn only_the_read_end_is_non_blocking_and_both_close_on_exec() -> io::Result<()> {
        let (read, write) = new_pipe(1 << 16)?;
        for (fd, is_nonblocking) in [(&read, true), (&write, false)] {
            let status = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
            let descriptor = FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD)?);
            assert_eq!(status.contains(OFlag::O_NONBLOCK), is_nonblocking);
            assert!(descriptor.contains(FdFlag::FD_CLOEXEC));
        }
        Ok(())
    }

    #[test]
    fn the_size_is_as_asked_or_else_there_is_a_pipe_nevertheless() -> io::Result<()> {
        let (read, _write) = new_pipe(1 << 15)?;
        assert_eq!(fcntl(&read, FcntlArg::F_GETPIPE_SZ)?, 1 << 15);
        let (read, _write) = new_pipe(usize::MAX)?;
        assert!(fcntl(&read, FcntlArg::F_GETPIPE_SZ)? > 0);
        Ok(())
    }
}
