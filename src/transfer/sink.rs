//! `Sink`: where output goes. A socket in the server, a liar in the simulation.
//!
//! What it does not do: queue. Each call moves what it can now and says what stopped it.

use std::io::{self, IoSlice};

use crate::sys::copy::{self, Copied};
use crate::sys::fd::BorrowedFd;
use crate::sys::socket;

/// Which end failed.
#[derive(Debug)]
pub enum SendError {
    /// The file cannot be read.
    Source(io::Error),
    /// The peer takes nothing any more.
    Peer(io::Error),
}

/// Two ways to send, neither of which waits.
pub trait Sink {
    /// Sends bytes from memory; `Moved` or `SinkFull`. `more` says that something follows at once,
    /// so that the kernel may put both in one packet (`MSG_MORE`, send(2)).
    fn write_vectored(&mut self, slices: &[IoSlice<'_>], more: bool) -> io::Result<Copied>;
    /// Sends at most `bytes_max` of the peer's open file; `SourceEnded` where it ends before,
    /// `SourceEmpty` where what comes next would have to be read from a disk first.
    fn send_file(&mut self, offset: u64, bytes_max: u64) -> Result<Copied, SendError>;
}

/// The most one call moves from a file, in bytes: what may be done between two looks at
/// the other peers. No multiple of the 64 KiB that `sendfile` moves at once within: BBR sends what
/// ends in a short piece up to twice as fast, others send both alike (docs/SCALING.md).
pub const WINDOW_BYTES: u64 = 1020 * 1024;
/// How much is read at once of a file that `sendfile` does not send, in bytes.
const COPY_BYTES: usize = 60 * 1024;
/// How far apart the pages are that are looked at to tell whether a window is in memory, in bytes.
const PROBE_BYTES: u64 = 256 * 1024;

/// A peer's socket and what may be sent to it without a copy.
#[derive(Debug)]
pub struct SocketSink<'a> {
    socket: BorrowedFd<'a>,
    file: Option<BorrowedFd<'a>>,
    /// Where the file ends, as far as anyone knows.
    file_end: u64,
    warm_to: u64,
    sent: u64,
}

impl<'a> SocketSink<'a> {
    /// A sink for the peer at `socket`, with the file of a download in progress.
    pub fn new(socket: BorrowedFd<'a>, file: Option<BorrowedFd<'a>>) -> Self {
        Self { socket, file, file_end: u64::MAX, warm_to: 0, sent: 0 }
    }

    /// The file ends at `file_end`, and was found in memory, or read ahead, up to `warm_to`:
    /// nothing is asked of what comes before that.
    #[must_use]
    pub fn looked_at(self, file_end: u64, warm_to: u64) -> Self {
        Self { file_end, warm_to, ..self }
    }

    /// Up to which offset the file was found in memory by now.
    pub fn warm_to(&self) -> u64 {
        self.warm_to
    }

    /// How many bytes were sent, from wherever.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends of the file by reading it. An error of `sendfile` does not say which end failed, and
    /// some file systems do not have it at all: here each call has one end.
    fn copy_file(
        &mut self,
        file: BorrowedFd<'_>,
        offset: u64,
        bytes: u64,
    ) -> Result<Copied, SendError> {
        let mut buffer = vec![0; window(bytes).min(COPY_BYTES)];
        match copy::read_at(file, offset, &mut buffer).map_err(SendError::Source)? {
            0 => Ok(Copied::SourceEnded),
            count => {
                let piece = IoSlice::new(&buffer[..count]);
                self.write_vectored(&[piece], false).map_err(SendError::Peer)
            }
        }
    }

    fn count(&mut self, copied: Copied) -> Copied {
        if let Copied::Moved(bytes) = copied {
            self.sent += bytes as u64;
        }
        copied
    }
}

/// Whether a piece of a file seems to be in memory: `sendfile` would wait for a disk otherwise, and
/// with it every peer of this worker. Pages between those that are looked at may still be missing;
/// the kernel reads ahead for a reader in sequence.
fn is_in_memory(file: BorrowedFd<'_>, offset: u64, bytes: u64) -> io::Result<bool> {
    let last = offset + bytes.saturating_sub(1);
    let mut probe = offset;
    while copy::is_cached(file, probe)? {
        if probe == last {
            return Ok(true);
        }
        probe = (probe + PROBE_BYTES).min(last);
    }
    Ok(false)
}

fn window(bytes_max: u64) -> usize {
    usize::try_from(bytes_max.min(WINDOW_BYTES)).expect("a window fits in memory")
}

impl Sink for SocketSink<'_> {
    fn write_vectored(&mut self, slices: &[IoSlice<'_>], more: bool) -> io::Result<Copied> {
        let sent = match slices {
            [single] => socket::send(self.socket, single, more),
            several => socket::send_vectored(self.socket, several, more),
        };
        match sent {
            Ok(bytes) => Ok(self.count(Copied::Moved(bytes))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Copied::SinkFull),
            Err(error) => Err(error),
        }
    }

    fn send_file(&mut self, offset: u64, bytes_max: u64) -> Result<Copied, SendError> {
        let Some(file) = self.file else { return Ok(Copied::SourceEnded) };
        let bytes = bytes_max.min(WINDOW_BYTES);
        if offset + bytes > self.warm_to {
            // A whole window is looked at, however little of it is sent now.
            let ahead = bytes.max(WINDOW_BYTES.min(self.file_end.saturating_sub(offset)));
            if !is_in_memory(file, offset, ahead).map_err(SendError::Source)? {
                return Ok(Copied::SourceEmpty);
            }
            self.warm_to = offset + ahead;
        }
        match copy::send_file(self.socket, file, offset, window(bytes)) {
            Ok(copied) => Ok(self.count(copied)),
            Err(first) => match self.copy_file(file, offset, bytes) {
                // A socket tells once why it failed (SO_ERROR, socket(7)), and EPIPE from then on.
                Err(SendError::Peer(_)) if tells_why(&first) => Err(SendError::Peer(first)),
                copied => copied,
            },
        }
    }
}

/// Whether an error says how a peer left.
fn tells_why(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::AsFd as _;
    use crate::sys::scratch::{Scratch, reset_socket, socket_pair};

    #[test]
    fn a_window_is_looked_at_once_and_no_further_than_the_file_s_end() -> io::Result<()> {
        let (near, _far) = socket_pair()?;
        // What was just written is in memory.
        let scratch = Scratch::new()?;
        let end = 2 * WINDOW_BYTES;
        let bytes = usize::try_from(end).expect("two windows fit in memory");
        scratch.write("file", &vec![7; bytes])?;
        let file = scratch.open("file")?;
        let mut sink = SocketSink::new(near.as_fd(), Some(file.as_fd()));
        sink = sink.looked_at(end, 0);
        let Copied::Moved(first) = sink.send_file(0, 4096).expect("a file is sent") else {
            panic!("nothing was sent")
        };
        assert_eq!((sink.warm_to(), sink.sent()), (WINDOW_BYTES, first as u64));
        sink.send_file(4096, 4096).expect("a file is sent");
        assert_eq!(sink.warm_to(), WINDOW_BYTES);
        let mut sink = SocketSink::new(near.as_fd(), Some(file.as_fd()));
        sink = sink.looked_at(5000, 0);
        sink.send_file(4096, 100).expect("a file is sent");
        assert_eq!(sink.warm_to(), 5000);
        Ok(())
    }

    #[test]
    fn a_reset_is_told_as_one_though_sendfile_found_it() -> io::Result<()> {
        let near = reset_socket()?;
        let scratch = Scratch::new()?;
        scratch.write("file", b"content")?;
        let file = scratch.open("file")?;
        let mut sink = SocketSink::new(near.as_fd(), Some(file.as_fd())).looked_at(7, 7);
        let Err(SendError::Peer(error)) = sink.send_file(0, 7) else {
            panic!("nobody is there to take it")
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        Ok(())
    }
}
