//! The terminal landline itself is used at: its size, and raw mode (termios(3)).
//!
//! What it does not do: make terminals (`pty`), or read keys.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;

use super::retry;

/// Columns and rows in characters (TIOCGWINSZ, `ioctl_tty(2)`); `None` where it is no terminal, or
/// one that does not know.
pub fn size(terminal: BorrowedFd<'_>) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ fills a winsize, which outlives the call.
    let asked = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (asked == 0 && size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// A terminal in raw mode: each key is a byte, nothing is echoed, and no key is a signal. It is as
/// it was before once this is dropped.
pub struct RawMode {
    terminal: OwnedFd,
    before: libc::termios,
}

impl RawMode {
    /// Begins it (tcsetattr(3), `cfmakeraw`). ENOTTY: it is no terminal.
    pub fn begin(terminal: BorrowedFd<'_>) -> io::Result<Self> {
        let terminal = terminal.try_clone_to_owned()?;
        let mut before = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: tcgetattr fills `before`, or fails.
        Errno::result(unsafe { libc::tcgetattr(terminal.as_raw_fd(), before.as_mut_ptr()) })?;
        // SAFETY: it succeeded.
        let before = unsafe { before.assume_init() };
        let mut raw = before;
        // SAFETY: changes the termios it is given, which is initialised.
        unsafe { libc::cfmakeraw(&raw mut raw) };
        set(&terminal, &raw)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that has gone needs no modes.
        let _ = set(&self.terminal, &self.before);
    }
}

fn set(terminal: &OwnedFd, modes: &libc::termios) -> io::Result<()> {
    retry(|| {
        // SAFETY: reads the modes, which are initialised and outlive the call.
        Errno::result(unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSADRAIN, modes) })
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::super::pty;
    use super::*;

    #[test]
    fn raw_mode_lets_each_key_through_and_ends_with_its_owner() -> io::Result<()> {
        let (master, slave) = pty::new_pty(100, 30)?;
        assert_eq!(size(slave.as_fd()), Some((100, 30)));
        assert_eq!(pty::end_of_input(slave.as_fd()), [4]);
        let raw = RawMode::begin(slave.as_fd())?;
        // No line is edited any more.
        assert_eq!(pty::end_of_input(slave.as_fd()), []);
        drop(raw);
        assert_eq!(pty::end_of_input(slave.as_fd()), [4]);
        drop(master);
        Ok(())
    }

    #[test]
    fn what_is_no_terminal_has_no_size_and_no_modes() -> io::Result<()> {
        let null = std::fs::File::open("/dev/null")?;
        assert_eq!(size(null.as_fd()), None);
        let raw = RawMode::begin(null.as_fd()).map(|_| ()).map_err(|error| error.raw_os_error());
        assert_eq!(raw, Err(Some(libc::ENOTTY)));
        Ok(())
    }
}
