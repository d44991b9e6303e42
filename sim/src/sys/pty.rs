//! Terminals: the master is the server's, the slave becomes a command's.

use std::io;

use super::fd::{BorrowedFd, OwnedFd};
use crate::kernel::descriptors::Object;
use crate::kernel::pty::{END_OF_INPUT, PtyId};
use crate::kernel::{Kernel, enter, os, with};

fn master_of(kernel: &Kernel, fd: BorrowedFd<'_>) -> Option<PtyId> {
    match kernel.descriptors.object(fd.raw()) {
        Object::PtyMaster(pty) => Some(*pty),
        _ => None,
    }
}

/// A terminal, master first.
pub fn new_pty(columns: u16, rows: u16) -> io::Result<(OwnedFd, OwnedFd)> {
    enter("posix_openpt");
    let (pty, master) = with(|kernel| {
        kernel.check_descriptors().map_err(os)?;
        kernel.fault("posix_openpt", &[libc::ENOSPC, libc::EMFILE, libc::ENFILE])?;
        let pty = kernel.new_pty(columns, rows);
        let master = kernel.open(Object::PtyMaster(pty)).map_err(os)?;
        Ok::<_, io::Error>((pty, OwnedFd::new(master)))
    })?;
    enter("ioctl");
    let slave = with(|kernel| {
        kernel.check_descriptors().map_err(os)?;
        kernel.fault("ioctl", &[libc::EMFILE, libc::ENFILE])?;
        kernel.open_pty_slave(pty);
        kernel.open(Object::PtySlave(pty)).map(OwnedFd::new).map_err(os)
    })?;
    Ok((master, slave))
}

/// Sets the size in characters.
pub fn resize(master: BorrowedFd<'_>, columns: u16, rows: u16) {
    enter("ioctl");
    with(|kernel| {
        if let Some(pty) = master_of(kernel, master) {
            kernel.pty_resize(pty, columns, rows);
        }
    });
}

/// What has to be typed for the terminal's reader to see the end of input.
pub fn end_of_input(master: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    enter("ioctl");
    with(|kernel| match master_of(kernel, master) {
        Some(_) => Ok(vec![END_OF_INPUT]),
        None => Err(os(libc::ENOTTY)),
    })
}

/// Types `bytes`. EAGAIN: it takes nothing now; EPIPE: nobody has it open any more.
pub fn write(master: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    enter("write");
    with(|kernel| {
        let pty = master_of(kernel, master).ok_or_else(|| os(libc::EBADF))?;
        kernel.pty_master_write(pty, bytes).map_err(os)
    })
}

/// Reads what the terminal shows; 0 once nobody has it open any more. EAGAIN: nothing now.
pub fn read(master: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    enter("read");
    with(|kernel| {
        let pty = master_of(kernel, master).ok_or_else(|| os(libc::EBADF))?;
        match kernel.pty_master_read(pty, buffer.len()) {
            Ok(bytes) => {
                buffer[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
            Err(libc::EIO) => Ok(0),
            Err(errno) => Err(os(errno)),
        }
    })
}
