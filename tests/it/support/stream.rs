//! One byte stream to the program, whatever its family.
//!
//! What it does not do: buffer, or know what the bytes mean.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrStorage, sockopt};

/// A connected socket.
pub(crate) enum Stream {
    /// Over IPv4 or IPv6.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Connects over TCP.
    pub(crate) fn tcp(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// Connects over IPv4 with a receive buffer of a few KiB, set before the handshake so that the
    /// window is small from the start: the sender's side soon finds its socket full.
    pub(crate) fn narrow(address: SocketAddr) -> io::Result<Self> {
        let fd =
            socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        socket::setsockopt(&fd, sockopt::RcvBuf, &4096)?;
        socket::connect(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
        Ok(Self::Tcp(TcpStream::from(fd)))
    }

    /// Gives a narrow socket room again.
    pub(crate) fn widen(&self) -> io::Result<()> {
        socket::setsockopt(&self.as_fd(), sockopt::RcvBuf, &(1 << 20))?;
        Ok(())
    }

    /// Takes up to `buffer.len()` bytes off the socket without copying them (`MSG_TRUNC` on a
    /// stream, tcp(7)). The buffer's content is left as it was.
    pub(crate) fn discard(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let flags = socket::MsgFlags::MSG_TRUNC;
        loop {
            match socket::recv(self.as_fd().as_raw_fd(), buffer, flags) {
                // A socket with a time-out is not read on by itself after a signal (signal(7)).
                Err(Errno::EINTR) => {}
                read => return Ok(read?),
            }
        }
    }

    /// Connects to a path.
    pub(crate) fn unix(path: &Path) -> io::Result<Self> {
        Ok(Self::Unix(UnixStream::connect(path)?))
    }

    /// A second handle on the same socket.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }

    /// How long one read or write may wait.
    pub(crate) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))
            }
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))
            }
        }
    }

    /// No more bytes will be sent.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Our own address, over TCP.
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Closes with a reset: what is unsent or unread is thrown away (`SO_LINGER` 0, socket(7)).
    pub(crate) fn reset(self) -> io::Result<()> {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        socket::setsockopt(&self.as_fd(), sockopt::Linger, &linger)?;
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
