//! The terminal landline itself is used at: its size, and raw mode (termios(3)).
//!
//! What it does not do: make terminals (`pty`), or read keys.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

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

/// The modes of a terminal as they are now (tcgetattr(3)), to be set again.
pub struct Modes {
    terminal: OwnedFd,
    modes: libc::termios,
}

impl Modes {
    /// Notes them. ENOTTY: it is no terminal.
    pub fn of(terminal: BorrowedFd<'_>) -> io::Result<Self> {
        let terminal = terminal.try_clone_to_owned()?;
        let mut modes = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: tcgetattr fills `modes`, or fails.
        Errno::result(unsafe { libc::tcgetattr(terminal.as_raw_fd(), modes.as_mut_ptr()) })?;
        // SAFETY: it succeeded.
        let modes = unsafe { modes.assume_init() };
        Ok(Self { terminal, modes })
    }

    /// Whether the terminal edits lines or not, and these say otherwise.
    pub fn is_changed(&self) -> bool {
        let now = Self::of(self.terminal.as_fd());
        now.is_ok_and(|now| (now.modes.c_lflag ^ self.modes.c_lflag) & libc::ICANON != 0)
    }

    /// Sets them again.
    pub fn restore(&self) {
        // A terminal that has gone needs no modes.
        let _ = set(&self.terminal, &self.modes);
    }
}

/// A terminal in raw mode: each key is a byte, nothing is echoed, and no key is a signal. It is as
/// it was before once this is dropped.
pub struct RawMode(Modes);

impl RawMode {
    /// Begins it (tcsetattr(3), `cfmakeraw`). ENOTTY: it is no terminal.
    pub fn begin(terminal: BorrowedFd<'_>) -> io::Result<Self> {
        let before = Modes::of(terminal)?;
        let mut raw = before.modes;
        // SAFETY: changes the termios it is given, which is initialised.
        unsafe { libc::cfmakeraw(&raw mut raw) };
        set(&before.terminal, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        self.0.restore();
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
    use super::super::pty;
    use super::*;

    #[test]
    fn raw_mode_lets_each_key_through_and_ends_with_its_owner() -> io::Result<()> {
        let (master, slave) = pty::new_pty(100, 30)?;
        assert_eq!(size(slave.as_fd()), Some((100, 30)));
        assert_eq!(pty::end_of_input(slave.as_fd())?, [4]);
        let raw = RawMode::begin(slave.as_fd())?;
        // No line is edited any more.
        assert_eq!(pty::end_of_input(slave.as_fd())?, []);
        drop(raw);
        assert_eq!(pty::end_of_input(slave.as_fd())?, [4]);
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

    #[test]
    fn modes_are_changed_while_lines_are_not_edited() -> io::Result<()> {
        let (_master, slave) = pty::new_pty(80, 24)?;
        let modes = Modes::of(slave.as_fd())?;
        assert!(!modes.is_changed());
        let raw = RawMode::begin(slave.as_fd())?;
        assert!(modes.is_changed());
        modes.restore();
        assert!(!modes.is_changed());
        drop(raw);
        Ok(())
    }
}
