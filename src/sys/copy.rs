//! Moving bytes without carrying them, from a file to a socket; and reading pipes and files.
//!
//! What it does not do: wait, or split work into fair shares; `max` is the caller's budget. Sockets
//! must be non-blocking and SIGPIPE ignored (`signal::Signals::take`): unlike `send`, `sendfile`
//! raises it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::thread;

use nix::errno::Errno;
use nix::sys::sendfile::sendfile;

use super::retry;

/// What became of one attempt to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// So many bytes went into the socket; at least one.
    Moved(usize),
    /// The socket takes nothing now.
    SinkFull,
    /// What comes next of the file is not in memory now (`transfer::sink` looks before it sends).
    SourceEmpty,
    /// The file ends at or before the offset.
    SourceEnded,
}

/// Sends at most `max` (at least 1) bytes of `file` from `offset` on (sendfile(2)); the file's own
/// position is neither used nor moved. EAGAIN is `SinkFull`. It can block on a page that is not in
/// memory. The socket holds the file's pages, no copy: what is written to the file, or cut off it,
/// before the peer has taken them reaches the peer too. EPIPE, ECONNRESET: the peer is gone;
/// EINVAL: an offset past 2^63 − 1, or a file of a kind that cannot be sent.
pub fn send_file(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    max: usize,
) -> io::Result<Copied> {
    debug_assert!(max > 0, "nothing to copy would look like the end");
    let start = libc::off_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let sent = retry(|| {
        let mut position = start;
        sendfile(socket, file, Some(&mut position), max)
    });
    match sent {
        Ok(0) => Ok(Copied::SourceEnded),
        Ok(count) => Ok(Copied::Moved(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Copied::SinkFull),
        Err(error) => Err(error),
    }
}

/// Bytes that a pipe or socket holds to be read (FIONREAD, `ioctl_list(2)`, pipe(7)).
pub fn bytes_readable(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    retry(|| {
        // SAFETY: FIONREAD writes one int, to `count`, which outlives the call.
        Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut count) })
    })?;
    Ok(usize::try_from(count).map_err(|_| Errno::EOVERFLOW)?)
}

/// Reads from a pipe or file at its position (read(2)). 0: the end; EAGAIN: nothing yet, on a
/// non-blocking descriptor; on a blocking one it waits.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    retry(|| nix::unistd::read(fd, buffer))
}

/// Reads a file from `offset` on (pread(2)), without moving its position; 0 at its end. It can wait
/// for a disk. EIO: the disk failed; EINVAL: an offset past 2^63 − 1.
pub fn read_at(file: BorrowedFd<'_>, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    retry(|| nix::sys::uio::pread(file, buffer, position(offset, 0)?))
}

/// True if the byte at `offset` of a regular file can be read without waiting for a disk. Also true
/// at or past the end, and where the file system or kernel cannot tell. It says nothing of the
/// bytes after.
pub fn is_cached(file: BorrowedFd<'_>, offset: u64) -> io::Result<bool> {
    match read_cached(file, offset, &mut [0]) {
        Ok(read) => Ok(read.is_some()),
        Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
            Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL => Ok(true),
            _ => Err(error),
        },
    }
}

/// Reads what of a regular file is in memory from `offset` on (preadv2(2), `RWF_NOWAIT`), without
/// moving its position: how much, 0 at its end; `None` where that would mean to wait for a disk
/// (EAGAIN). EOPNOTSUPP, ENOSYS, EINVAL: the file system or kernel cannot tell.
pub fn read_cached(
    file: BorrowedFd<'_>,
    offset: u64,
    buffer: &mut [u8],
) -> io::Result<Option<usize>> {
    let position = libc::off_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let read = retry(|| {
        // SAFETY: `piece` describes `buffer`, which is writable, and both outlive the call.
        Errno::result(unsafe {
            libc::preadv2(file.as_raw_fd(), &raw const piece, 1, position, libc::RWF_NOWAIT)
        })
    });
    match read {
        Ok(count) => Ok(Some(usize::try_from(count).expect("a count is not negative"))),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Brings `len` bytes of a regular file from `offset` on into memory, and returns when they are
/// there or the file has ended. Blocks, and lets others have the processor now and then.
/// readahead(2) starts to read but, whatever its manual page says, need not wait, so the bytes are
/// then read and dropped.
pub fn read_ahead(file: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<()> {
    for done in (0..len).step_by(ASKED_BYTES) {
        let (position, asked) = (position(offset, done)?, ASKED_BYTES.min(len - done));
        // SAFETY: takes numbers alone. Only a hint: a failure means reading page by page, below.
        unsafe { libc::readahead(file.as_raw_fd(), position, asked) };
        thread::yield_now();
    }
    let mut scratch = vec![0_u8; len.min(READ_BYTES)];
    let mut done = 0;
    while done < len {
        let piece = &mut scratch[..READ_BYTES.min(len - done)];
        let count = retry(|| nix::sys::uio::pread(file, piece, position(offset, done)?))?;
        thread::yield_now();
        if count == 0 {
            break;
        }
        done += count;
    }
    Ok(())
}

/// The position `bytes` behind `offset`.
fn position(offset: u64, bytes: usize) -> Result<libc::off64_t, Errno> {
    libc::off64_t::try_from(offset + bytes as u64).map_err(|_| Errno::EOVERFLOW)
}

/// How much `read_ahead` asks the disk for at once, in bytes: the kernel does not let go of the
/// processor meanwhile.
const ASKED_BYTES: usize = 128 * 1024;
/// How much it reads at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

    use super::super::pipe::new_pipe;
    use super::super::scratch::{Scratch, wait_closed};
    use super::*;

    const MAX: usize = 1 << 16;

    fn non_blocking_pair() -> io::Result<(UnixStream, UnixStream)> {
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        Ok((near, far))
    }

    fn file(content: &[u8]) -> io::Result<(Scratch, File)> {
        let scratch = Scratch::new()?;
        let path = scratch.path().join("file");
        std::fs::write(&path, content)?;
        Ok((scratch, File::options().read(true).write(true).open(path)?))
    }

    #[test]
    fn a_full_socket_and_a_peer_that_is_gone_are_told() -> io::Result<()> {
        let (near, far) = non_blocking_pair()?;
        let block = vec![0; MAX];
        while (&near).write(&block).is_ok() {}
        let (_scratch, file) = file(b"hello")?;
        assert_eq!(send_file(near.as_fd(), file.as_fd(), 0, MAX)?, Copied::SinkFull);
        drop(far);
        wait_closed(near.as_fd())?;
        let sent = send_file(near.as_fd(), file.as_fd(), 0, MAX).map_err(|error| error.kind());
        assert!(matches!(sent, Err(io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)));
        Ok(())
    }

    #[test]
    fn a_file_is_sent_from_the_offset_to_its_end_as_it_is_now() -> io::Result<()> {
        let (near, mut far) = non_blocking_pair()?;
        let (_scratch, file) = file(b"hello, world")?;
        let send = |offset, max| send_file(near.as_fd(), file.as_fd(), offset, max);
        assert_eq!(send(7, 3)?, Copied::Moved(3));
        assert_eq!(send(10, MAX)?, Copied::Moved(2));
        assert_eq!(send(12, MAX)?, Copied::SourceEnded);
        let mut got = [0; 5];
        far.read_exact(&mut got)?;
        assert_eq!(&got, b"world");
        file.set_len(4)?;
        assert_eq!(send(7, MAX)?, Copied::SourceEnded);
        let past = send(u64::MAX, 1).map_err(|error| error.kind());
        assert_eq!(past, Err(io::ErrorKind::InvalidInput));
        Ok(())
    }

    /// Whether the first page of `file` is in memory, by another way (mincore(2)).
    fn is_resident(file: &File) -> io::Result<bool> {
        let mut pages = [0_u8];
        // SAFETY: a mapping of one page at an address of the kernel's choice, which is asked about
        // and taken away again, and never read; `pages` has room for the one page.
        unsafe {
            let (fd, protection) = (file.as_raw_fd(), libc::PROT_READ);
            let page = libc::mmap(std::ptr::null_mut(), 1, protection, libc::MAP_SHARED, fd, 0);
            if page == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let asked = Errno::result(libc::mincore(page, 1, pages.as_mut_ptr()));
            libc::munmap(page, 1);
            asked?;
        }
        Ok(pages[0] & 1 == 1)
    }

    #[test]
    fn what_is_not_in_memory_is_not_cached() -> io::Result<()> {
        let (_scratch, file) = file(b"hello")?;
        assert!(is_cached(file.as_fd(), 0)? && is_resident(&file)?);
        file.sync_all()?;
        // Some file systems keep what they hold in memory alone.
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        let was_resident = is_resident(&file)?;
        let cached = is_cached(file.as_fd(), 0)?;
        // Asking may itself have had the page read in, and pages are dropped in their own time.
        assert!(cached || !was_resident || !is_resident(&file)?);
        assert!(!cached || is_resident(&file)?);
        Ok(())
    }

    #[test]
    fn what_was_read_ahead_is_cached() -> io::Result<()> {
        let bytes = 3 * ASKED_BYTES + 1;
        let (_scratch, file) = file(&vec![7; bytes])?;
        file.sync_all()?;
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        read_ahead(file.as_fd(), 0, bytes)?;
        for offset in (0..=bytes).step_by(4096).chain([bytes]) {
            assert!(is_cached(file.as_fd(), u64::try_from(offset).expect("small"))?);
        }
        read_ahead(file.as_fd(), u64::try_from(bytes).expect("small"), 100)
    }

    #[test]
    fn a_pipe_is_read_to_its_end() -> io::Result<()> {
        let (pipe, writer) = new_pipe()?;
        let mut buffer = [0; 8];
        let nothing = read(pipe.as_fd(), &mut buffer).map_err(|error| error.kind());
        assert_eq!(nothing, Err(io::ErrorKind::WouldBlock));
        File::from(writer).write_all(b"hello")?;
        wait_closed(pipe.as_fd())?;
        assert_eq!(bytes_readable(pipe.as_fd())?, 5);
        assert_eq!(read(pipe.as_fd(), &mut buffer)?, 5);
        assert_eq!(read(pipe.as_fd(), &mut buffer)?, 0);
        Ok(())
    }
}
