//! Moving bytes from a file to a socket; and reading pipes and files.

use std::io;

use super::fd::BorrowedFd;
use crate::kernel::descriptors::Object;
use crate::kernel::threads::sleep_us;
use crate::kernel::{Kernel, enter, os, with};

/// What became of one attempt to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// So many bytes went into the socket; at least one.
    Moved(usize),
    /// The socket takes nothing now.
    SinkFull,
    /// What comes next of the file is not in memory now.
    SourceEmpty,
    /// The file ends at or before the offset.
    SourceEnded,
}

/// The most that one call moves, in bytes (sendfile(2)).
const BYTES_MAX: usize = 2_147_479_552;
/// How much `read_ahead` reads at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// A position in a file, as the kernel takes it. EINVAL: past 2^63 − 1.
fn position(offset: u64) -> io::Result<usize> {
    let position = i64::try_from(offset).map_err(|_| os(libc::EINVAL))?;
    usize::try_from(position).map_err(|_| os(libc::EINVAL))
}

/// Waits for the disk, where some of these bytes are not in memory.
fn wait_where_cold(file: BorrowedFd<'_>, offset: usize, bytes: usize) {
    let us = with(|kernel| {
        let is_cold = kernel.is_cold(file.raw(), offset, bytes);
        if is_cold { kernel.random.between(100, 40_000) as u64 } else { 0 }
    });
    if us > 0 {
        with(|kernel| kernel.trace.note(kernel.now_us, format_args!("waits for the disk {us} us")));
        sleep_us(us);
    }
}

/// What one call takes of what it could: all of it, or less.
fn some(kernel: &mut Kernel, most: usize) -> usize {
    if most > 1 && !kernel.is_calm && kernel.random.one_in(4) {
        kernel.random.between(1, most)
    } else {
        most
    }
}

/// Sends at most `max` (at least 1) bytes of `file` from `offset` on.
pub fn send_file(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    max: usize,
) -> io::Result<Copied> {
    debug_assert!(max > 0, "nothing to copy would look like the end");
    let offset = position(offset)?;
    enter("sendfile");
    // No more is read than there is room for, and at least a page.
    let room = with(|kernel| {
        let (connection, side) = kernel.socket_of(socket.raw()).map_err(os)?;
        kernel.fault("sendfile", &[libc::EIO, libc::ENOMEM])?;
        Ok::<_, io::Error>(kernel.network.readiness(connection, side).writable)
    })?;
    let wanted = if room { max.min(READ_BYTES) } else { 1 };
    wait_where_cold(file, offset, wanted);
    with(|kernel| send_now(kernel, socket, file, offset, max.min(BYTES_MAX)))
}

fn send_now(
    kernel: &mut Kernel,
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: usize,
    max: usize,
) -> io::Result<Copied> {
    let (connection, side) = kernel.socket_of(socket.raw()).map_err(os)?;
    if kernel.sendable(file.raw(), offset, 1).map_err(os)?.is_empty() {
        return Ok(Copied::SourceEnded);
    }
    let room = kernel.socket_room(connection, side).map_err(os)?;
    if room == 0 {
        return Ok(Copied::SinkFull);
    }
    let bytes = kernel.sendable(file.raw(), offset, max.min(room)).map_err(os)?;
    let count = some(kernel, bytes.len());
    kernel.socket_push(connection, side, &bytes[..count]);
    Ok(Copied::Moved(count))
}

/// Bytes that a pipe, socket or terminal holds to be read.
pub fn bytes_readable(fd: BorrowedFd<'_>) -> io::Result<usize> {
    enter("ioctl");
    with(|kernel| match *kernel.descriptors.object(fd.raw()) {
        Object::PipeReader(pipe) => Ok(kernel.pipe_len(pipe)),
        Object::Socket(connection, side) => Ok(kernel.socket_len(connection, side)),
        Object::PtyMaster(pty) => Ok(kernel.pty_shown_len(pty)),
        _ => Err(os(libc::ENOTTY)),
    })
}

/// Reads from a pipe or file at its position.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    enter("read");
    with(|kernel| {
        let bytes = match *kernel.descriptors.object(fd.raw()) {
            Object::PipeReader(pipe) => {
                let most = some(kernel, kernel.pipe_len(pipe).min(buffer.len()));
                kernel.pipe_read(pipe, most.max(usize::from(!buffer.is_empty())))
            }
            Object::File(_) | Object::Directory(_) => {
                kernel.fault("read", &[libc::EIO])?;
                kernel.read_file(fd.raw(), buffer.len())
            }
            Object::Null => Ok(Vec::new()),
            _ => Err(libc::EBADF),
        };
        Ok(fill(buffer, &bytes.map_err(os)?))
    })
}

fn fill(buffer: &mut [u8], bytes: &[u8]) -> usize {
    buffer[..bytes.len()].copy_from_slice(bytes);
    bytes.len()
}

/// True if the byte at `offset` of a regular file can be read without waiting for a disk. Also true
/// at or past the end, and where that cannot be told.
pub fn is_cached(file: BorrowedFd<'_>, offset: u64) -> io::Result<bool> {
    match read_cached(file, offset, &mut [0]) {
        Ok(read) => Ok(read.is_some()),
        Err(error) => match error.raw_os_error() {
            Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL) => Ok(true),
            _ => Err(error),
        },
    }
}

/// Reads a file from `offset` on, without moving its position; 0 at its end.
pub fn read_at(file: BorrowedFd<'_>, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    enter("pread64");
    with(|kernel| {
        kernel.fault("pread64", &[libc::EIO])?;
        let offset = usize::try_from(offset).map_err(|_| os(libc::EINVAL))?;
        let bytes = kernel.pread_file(file.raw(), offset, buffer.len()).map_err(os)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    })
}

/// Reads what of a regular file is in memory from `offset` on; `None` where that would mean to wait
/// for a disk.
pub fn read_cached(
    file: BorrowedFd<'_>,
    offset: u64,
    buffer: &mut [u8],
) -> io::Result<Option<usize>> {
    let offset = position(offset)?;
    enter("preadv2");
    with(|kernel| {
        kernel.fault("preadv2", &[libc::EIO])?;
        match kernel.read_cached(file.raw(), offset, buffer.len()) {
            Ok(bytes) => Ok(Some(fill(buffer, bytes))),
            Err(libc::EAGAIN) => Ok(None),
            Err(errno) => Err(os(errno)),
        }
    })
}

/// Brings `len` bytes of a regular file from `offset` on into memory, and returns when they are
/// there or the file has ended.
pub fn read_ahead(file: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<()> {
    let start = position(offset)?;
    let mut done = 0;
    while done < len {
        enter("pread64");
        let piece = READ_BYTES.min(len - done);
        wait_where_cold(file, start + done, piece);
        let count = with(|kernel| {
            kernel.fault("pread64", &[libc::EIO])?;
            kernel.note_effect();
            kernel.pread_file(file.raw(), start + done, piece).map(|bytes| bytes.len()).map_err(os)
        })?;
        if count == 0 {
            break;
        }
        done += count;
    }
    Ok(())
}
