//! Pseudo-terminals (pty(7)): the master is ours, the slave becomes a command's terminal.
//!
//! What it does not do: make it a controlling one (`process::spawn`), or interpret what goes over
//! it.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

use super::{poll, retry};

/// How often a call is made that fails with EIO: once more than needed to know that this was no
/// passing failure, since somebody may open the terminal between the call and the look at it.
const TRIES: usize = 3;

/// A terminal of this size in characters, master first. The master does not block; the slave is a
/// description of its own, and does, as a command expects. Both are close-on-exec. ENOENT, ENODEV:
/// no devpts is mounted; ENOSPC: no more terminals (`kernel.pty.max`); EMFILE, ENFILE: descriptors
/// have run out.
pub fn new_pty(columns: u16, rows: u16) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: takes numbers alone.
    let master = owned(Errno::result(unsafe { libc::posix_openpt(flags) })?);
    let no: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int, which outlives the call.
    Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const no) })?;
    // By the master itself and not by a path, which could lead elsewhere (`ioctl_tty(2)`).
    // SAFETY: takes numbers alone.
    let slave = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    let slave = owned(Errno::result(slave)?);
    fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    resize(master.as_fd(), columns, rows);
    Ok((master, slave))
}

/// Takes a descriptor that was just made.
fn owned(raw: RawFd) -> OwnedFd {
    // SAFETY: the caller's call made it and succeeded, so that nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

/// Sets the size in characters, of which the programs on the terminal are told (SIGWINCH). A
/// terminal that is gone stays as it was.
pub fn resize(master: BorrowedFd<'_>, columns: u16, rows: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads a winsize, which outlives the call.
    unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
}

/// What has to be typed for the terminal's reader to see the end of input: its end-of-file
/// character (VEOF, termios(3)), and nothing where lines are not being edited.
pub fn end_of_input(master: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut modes = std::mem::MaybeUninit::<libc::termios>::uninit();
    // SAFETY: tcgetattr fills `modes`, or fails.
    retry(|| Errno::result(unsafe { libc::tcgetattr(master.as_raw_fd(), modes.as_mut_ptr()) }))?;
    // SAFETY: it succeeded.
    let modes = unsafe { modes.assume_init() };
    let edits_lines = modes.c_lflag & libc::ICANON != 0;
    Ok(if edits_lines { vec![modes.c_cc[libc::VEOF]] } else { Vec::new() })
}

/// Reads what the terminal shows (read(2)); 0 once nobody has it open any more. EAGAIN: nothing
/// now; EIO: it failed though somebody has it open.
pub fn read(master: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(unless_hung_up(master, || nix::unistd::read(master, buffer))?.unwrap_or(0))
}

/// Types `bytes` (write(2)): how many of them the terminal took. EAGAIN: it takes nothing now;
/// EPIPE: nobody has it open any more; EIO: it failed though somebody has it open.
pub fn write(master: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let written = unless_hung_up(master, || nix::unistd::write(master, bytes))?;
    Ok(written.ok_or(Errno::EPIPE)?)
}

/// Makes a call of which EIO may say that nobody has the terminal open any more; `None` if that is
/// so (poll(2) says POLLHUP), and EIO if it is not.
fn unless_hung_up<T>(
    master: BorrowedFd<'_>,
    mut call: impl FnMut() -> nix::Result<T>,
) -> io::Result<Option<T>> {
    let is_io_error = |error: &io::Error| error.raw_os_error() == Some(libc::EIO);
    let mut tries = 1;
    loop {
        match retry(&mut call) {
            Err(error) if is_io_error(&error) => {
                let is_hung_up = || poll::wait_any(&[(master, false, false)], Some(0));
                if tries > 1 && is_hung_up()? == [true] {
                    return Ok(None);
                }
                if tries == TRIES {
                    return Err(error);
                }
                tries += 1;
            }
            other => return other.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scratch;
    use super::*;

    #[test]
    fn what_is_typed_is_shown_and_the_last_to_close_ends_it() -> io::Result<()> {
        let (master, slave) = new_pty(80, 24)?;
        let mut shown = [0; 64];
        let nothing = read(master.as_fd(), &mut shown).map_err(|error| error.kind());
        assert_eq!(nothing, Err(io::ErrorKind::WouldBlock));
        assert_eq!(write(master.as_fd(), b"ab\n")?, 3);
        let mut line = [0; 8];
        assert_eq!(nix::unistd::read(&slave, &mut line)?, 3);
        let count = read(master.as_fd(), &mut shown)?;
        assert_eq!(&shown[..count], b"ab\r\n");
        assert_eq!(end_of_input(master.as_fd())?, [4]);
        drop(slave);
        scratch::wait_closed(master.as_fd())?;
        assert_eq!(read(master.as_fd(), &mut shown)?, 0);
        Ok(())
    }

    #[test]
    fn an_error_is_the_end_only_if_the_terminal_has_hung_up() -> io::Result<()> {
        let (master, slave) = new_pty(80, 24)?;
        let once = || {
            let mut calls = 0;
            move || {
                calls += 1;
                if calls == 1 { Err(Errno::EIO) } else { Ok(7) }
            }
        };
        assert_eq!(unless_hung_up(master.as_fd(), once())?, Some(7));
        let always = || Err::<usize, _>(Errno::EIO);
        let failed = unless_hung_up(master.as_fd(), always).map_err(|error| error.raw_os_error());
        assert_eq!(failed, Err(Some(libc::EIO)));
        drop(slave);
        scratch::wait_closed(master.as_fd())?;
        assert_eq!(unless_hung_up(master.as_fd(), always)?, None);
        // What was written before that is still to be read.
        assert_eq!(unless_hung_up(master.as_fd(), once())?, Some(7));
        Ok(())
    }
}
