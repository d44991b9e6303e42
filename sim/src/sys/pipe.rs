//! Pipes.

use std::io;

use super::fd::{BorrowedFd, OwnedFd};
use crate::kernel::descriptors::Object;
use crate::kernel::{Kernel, enter, os, with};

/// A pipe, read end first.
pub fn new_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    enter("pipe2");
    with(|kernel| {
        kernel.fault("pipe2", &[libc::EMFILE, libc::ENFILE])?;
        let pipe = kernel.new_pipe();
        let reader = kernel.descriptors.describe(Object::PipeReader(pipe));
        let writer = kernel.descriptors.describe(Object::PipeWriter(pipe));
        let reader = match kernel.install(reader) {
            Ok(reader) => reader,
            Err(errno) => {
                kernel.release(writer);
                return Err(os(errno));
            }
        };
        match kernel.install(writer) {
            Ok(writer) => Ok((OwnedFd::new(reader), OwnedFd::new(writer))),
            Err(errno) => {
                kernel.close(reader);
                Err(os(errno))
            }
        }
    })
}

/// A pipe whose write end is the server's.
pub fn new_input_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    new_pipe()
}

/// Writes to a pipe or a terminal.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    enter("write");
    with(|kernel| write_to(kernel, fd, bytes))
}

fn write_to(kernel: &mut Kernel, fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    match kernel.descriptors.object(fd.raw()) {
        Object::PipeWriter(pipe) => {
            let pipe = *pipe;
            kernel.pipe_write(pipe, bytes).map_err(os)
        }
        Object::PtyMaster(pty) => {
            let pty = *pty;
            kernel.pty_master_write(pty, bytes).map_err(os)
        }
        _ => Err(os(libc::EBADF)),
    }
}

/// Makes a pipe larger.
pub fn grow(pipe: BorrowedFd<'_>, bytes: usize) {
    enter("fcntl");
    with(|kernel| {
        if let Object::PipeReader(pipe) | Object::PipeWriter(pipe) =
            kernel.descriptors.object(pipe.raw())
        {
            let pipe = *pipe;
            kernel.pipe_grow(pipe, bytes);
        }
    });
}
