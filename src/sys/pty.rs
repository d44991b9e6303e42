//! Stub.
use nix::errno::Errno;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
/// Pty.
pub fn new_pty(columns: u16, rows: u16) -> io::Result<(OwnedFd, OwnedFd)> {
    unsafe {
        let m = Errno::result(libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC))?;
        let master = OwnedFd::from_raw_fd(m);
        let mut unlock: libc::c_int = 0;
        Errno::result(libc::ioctl(m, libc::TIOCSPTLCK, &raw mut unlock))?;
        let s = Errno::result(libc::ioctl(
            m,
            libc::TIOCGPTPEER,
            libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC,
        ))?;
        let slave = OwnedFd::from_raw_fd(s);
        Errno::result(libc::fcntl(m, libc::F_SETFL, libc::O_NONBLOCK))?;
        use std::os::fd::AsFd;
        resize(master.as_fd(), columns, rows);
        Ok((master, slave))
    }
}
/// Resize.
pub fn resize(master: BorrowedFd<'_>, columns: u16, rows: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    unsafe {
        libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size);
    }
}
/// Eof.
pub fn end_of_input(_master: BorrowedFd<'_>) -> Vec<u8> {
    vec![4]
}
/// Read.
pub fn read(master: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    match super::retry(|| nix::unistd::read(master, buffer)) {
        Err(e) if e.raw_os_error() == Some(libc::EIO) => Ok(0),
        other => other,
    }
}
