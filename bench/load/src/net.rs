//! Sockets of the generator: connected over loopback, written to blocking, read without waiting.
//!
//! What it does not do: wait for ever; whatever makes no progress for [`STALL`] is an error.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, bind, connect, recv, setsockopt,
    socket, sockopt,
};

use crate::Outcome;

/// After this long without progress a server counts as stuck.
pub const STALL: Duration = Duration::from_secs(10);

/// How many source addresses (127.0.0.2 and up) connections are spread over.
const SOURCES: u8 = 32;

/// A connected socket.
pub struct Peer {
    stream: TcpStream,
}

/// What a read that does not wait found.
pub enum Got {
    /// So many bytes.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// The end.
    End,
}

impl Peer {
    /// Connects.
    ///
    /// # Errors
    /// The system's.
    pub fn connect(to: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        Self::guarded(stream)
    }

    /// Connects from one of several source addresses, so that many short connections do not run
    /// out of ports (ip(7), `IP_BIND_ADDRESS_NO_PORT`).
    ///
    /// # Errors
    /// The system's, or the address is not IPv4.
    pub fn connect_from(to: SocketAddr, turn: u64) -> Outcome<Self> {
        let SocketAddr::V4(to) = to else {
            return Err("only IPv4 addresses are loaded".into());
        };
        let source = u8::try_from(2 + turn % u64::from(SOURCES))?;
        let source = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, source), 0);
        let fd: OwnedFd =
            socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        setsockopt(&fd, sockopt::IpBindAddressNoPort, &true)?;
        bind(fd.as_raw_fd(), &SockaddrIn::from(source))?;
        connect(fd.as_raw_fd(), &SockaddrIn::from(to))?;
        Self::guarded(TcpStream::from(fd))
    }

    fn guarded(stream: TcpStream) -> Outcome<Self> {
        stream.set_read_timeout(Some(STALL))?;
        stream.set_write_timeout(Some(STALL))?;
        Ok(Self { stream })
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// The system's, or the server took none for [`STALL`].
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(bytes)
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// The system's.
    pub fn end_input(&self) -> io::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Write)
    }

    /// Reads what is there. With `wait`, until something is.
    ///
    /// # Errors
    /// The system's, or nothing came for [`STALL`].
    pub fn receive(&self, buffer: &mut [u8], wait: bool) -> io::Result<Got> {
        self.receive_with(buffer, wait, MsgFlags::empty())
    }

    /// As [`Peer::receive`], but the kernel throws the bytes away (tcp(7), `MSG_TRUNC`): only
    /// their number is known, and the receiver's copy does not hide what the server can do.
    ///
    /// # Errors
    /// As [`Peer::receive`].
    pub fn discard(&self, buffer: &mut [u8], wait: bool) -> io::Result<Got> {
        self.receive_with(buffer, wait, MsgFlags::MSG_TRUNC)
    }

    fn receive_with(&self, buffer: &mut [u8], wait: bool, flags: MsgFlags) -> io::Result<Got> {
        let flags = if wait { flags } else { flags | MsgFlags::MSG_DONTWAIT };
        loop {
            return match recv(self.stream.as_raw_fd(), buffer, flags) {
                Ok(0) => Ok(Got::End),
                Ok(bytes) => Ok(Got::Bytes(bytes)),
                Err(Errno::EAGAIN) if !wait => Ok(Got::Nothing),
                // With a time-out, even one who was merely stopped and continued (signal(7)).
                Err(Errno::EINTR) => continue,
                Err(errno) => Err(errno.into()),
            };
        }
    }

    /// Reads one short line, for the exchanges before a measurement.
    ///
    /// # Errors
    /// The system's, or the connection ended first.
    pub fn line(&self) -> Outcome<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        while line.last() != Some(&b'\n') {
            (&self.stream).read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Says a line and expects the answer to begin as given.
    ///
    /// # Errors
    /// The system's, or another answer.
    pub fn ask(&self, line: &str, expected: &str) -> Outcome<()> {
        self.send(line.as_bytes())?;
        let answer = self.line()?;
        if answer.starts_with(expected) {
            return Ok(());
        }
        Err(format!("{:?} was answered {answer:?}, not {expected:?}", line.trim_end()).into())
    }
}

/// Waits for any of several peers.
pub struct Poller {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Poller {
    /// An empty one.
    ///
    /// # Errors
    /// The system's.
    pub fn new() -> Outcome<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll, events: vec![EpollEvent::empty(); 1024] })
    }

    /// Watches a peer for bytes to read; `key` comes back from [`Poller::wait`].
    ///
    /// # Errors
    /// The system's.
    pub fn add(&self, peer: &Peer, key: usize) -> Outcome<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, key as u64);
        Ok(self.epoll.add(peer.stream.as_fd(), event)?)
    }

    /// The keys of those that are ready; none only where `limit` passed.
    ///
    /// # Errors
    /// The system's; with no `limit`, that nothing was ready for [`STALL`].
    pub fn wait(&mut self, limit: Option<Duration>) -> Outcome<impl Iterator<Item = usize> + '_> {
        let timeout = EpollTimeout::try_from(limit.unwrap_or(STALL))?;
        let ready = match self.epoll.wait(&mut self.events, timeout) {
            Err(Errno::EINTR) => 0,
            Ok(0) if limit.is_none() => return Err("the server made no progress".into()),
            other => other?,
        };
        Ok(self.events[..ready].iter().map(|event| usize::try_from(event.data()).unwrap_or(0)))
    }
}
