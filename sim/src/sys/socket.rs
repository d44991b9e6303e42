//! Stream sockets.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::fd::{BorrowedFd, OwnedFd};
use crate::kernel::descriptors::Object;
use crate::kernel::socket::{Detection, KeepAlive};
use crate::kernel::{Kernel, enter, os, with};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// An address.
    Inet(SocketAddr),
    /// A process of this host.
    Unix,
}

/// Where a socket is bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Local {
    /// An address.
    Inet(SocketAddr),
    /// A Unix socket's path.
    Unix(PathBuf),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn listen(local: Local) -> io::Result<OwnedFd> {
    enter("listen");
    with(|kernel| {
        let listener = kernel.listen(local).map_err(os)?;
        kernel.open(Object::Listener(listener)).map(OwnedFd::new).map_err(os)
    })
}

/// A TCP socket that listens.
pub fn listen_tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    listen(Local::Inet(address))
}

/// A Unix socket that listens.
pub fn listen_unix(path: &Path) -> io::Result<OwnedFd> {
    listen(Local::Unix(path.to_owned()))
}

/// Where a socket is bound.
pub fn local(fd: BorrowedFd<'_>) -> io::Result<Local> {
    enter("getsockname");
    with(|kernel| match kernel.descriptors.object(fd.raw()) {
        Object::Listener(listener) => {
            kernel.network.listener_local(*listener).cloned().ok_or_else(|| os(libc::EINVAL))
        }
        Object::Socket(connection, _) => Ok(kernel.network.local(*connection).clone()),
        _ => Err(os(libc::ENOTSOCK)),
    })
}

/// Whether a socket listens.
pub fn is_listening(fd: BorrowedFd<'_>) -> io::Result<bool> {
    enter("getsockopt");
    with(|kernel| match kernel.descriptors.object(fd.raw()) {
        Object::Listener(_) => Ok(true),
        Object::Socket(..) => Ok(false),
        _ => Err(os(libc::ENOTSOCK)),
    })
}

/// All sockets here are non-blocking.
pub fn set_nonblocking(_fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

/// Takes a connection off a listener's queue.
pub fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, Peer)> {
    enter("accept4");
    with(|kernel| {
        let Object::Listener(listener) = kernel.descriptors.object(fd.raw()) else {
            return Err(os(libc::EINVAL));
        };
        let listener = *listener;
        if kernel.network.has_waiting(listener) {
            let errnos = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
            kernel.fault("accept4", &errnos)?;
        }
        let (connection, peer) = kernel.accept(listener).map_err(os)?;
        let end = Object::Socket(connection, crate::kernel::socket::Side::Server);
        // The queue keeps the connection where no descriptor is left.
        if kernel.descriptors.open >= kernel.descriptors.fds_max {
            kernel.unaccept(listener, connection);
            return Err(os(libc::EMFILE));
        }
        kernel.trace.note(kernel.now_us, format_args!("accept {connection}"));
        kernel.open(end).map(|fd| (OwnedFd::new(fd), peer)).map_err(os)
    })
}

/// The user at the other end.
pub fn peer_uid(fd: BorrowedFd<'_>) -> io::Result<u32> {
    enter("getsockopt");
    with(|kernel| {
        let (connection, _) = kernel.socket_of(fd.raw()).map_err(os)?;
        Ok(kernel.network.uid(connection).unwrap_or(u32::MAX))
    })
}

/// Reads what is there.
pub fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    enter("recv");
    with(|kernel| {
        let (connection, side) = kernel.socket_of(fd.raw()).map_err(os)?;
        let is_short = !kernel.is_calm && kernel.random.one_in(3);
        let most =
            if is_short { kernel.random.between(1, buffer.len().min(64)) } else { buffer.len() };
        let bytes = kernel.socket_receive(connection, side, most).map_err(os)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        note(kernel, "recv", connection, bytes.len());
        Ok(bytes.len())
    })
}

/// As `receive`, but what is read stays in the socket (`MSG_PEEK`).
pub fn peek(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    enter("recv");
    with(|kernel| {
        let (connection, side) = kernel.socket_of(fd.raw()).map_err(os)?;
        kernel.socket_peek(connection, side, buffer).map_err(os)
    })
}

/// Writes what the socket takes.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8], _more: bool) -> io::Result<usize> {
    enter("send");
    with(|kernel| {
        let (connection, side) = kernel.socket_of(fd.raw()).map_err(os)?;
        let sent = kernel.socket_send(connection, side, bytes).map_err(os)?;
        note(kernel, "send", connection, sent);
        Ok(sent)
    })
}

/// Bytes that no connection has room for: more need not be looked at.
const SEND_MAX: usize = 1 << 20;

/// As `send`, from several pieces.
pub fn send_vectored(fd: BorrowedFd<'_>, pieces: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
    let mut bytes = Vec::new();
    for piece in pieces {
        if bytes.len() >= SEND_MAX {
            break;
        }
        bytes.extend_from_slice(&piece[..piece.len().min(SEND_MAX)]);
    }
    send(fd, &bytes, more)
}

fn note(kernel: &mut Kernel, call: &str, connection: usize, bytes: usize) {
    kernel.trace.note(kernel.now_us, format_args!("{call} {connection}: {bytes}"));
}

/// Ends output.
pub fn shutdown_write(fd: BorrowedFd<'_>) -> io::Result<()> {
    enter("shutdown");
    with(|kernel| {
        let (connection, side) = kernel.socket_of(fd.raw()).map_err(os)?;
        kernel.trace.note(kernel.now_us, format_args!("shutdown {connection}"));
        kernel.socket_shutdown(connection, side).map_err(os)
    })
}

/// Nothing here depends on it.
pub fn set_no_delay(_fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

/// Has a TCP peer found that is gone: `untaken_ms` is `TCP_USER_TIMEOUT`.
pub fn set_dead_peer_detection(
    fd: BorrowedFd<'_>,
    (idle_s, interval_s, probes): (u32, u32, u32),
    untaken_ms: Option<u64>,
) -> io::Result<()> {
    enter("setsockopt");
    let us = |s: u32| u64::from(s) * 1_000_000;
    let detection = Detection {
        user_timeout_us: untaken_ms.map(|ms| ms.saturating_mul(1000)),
        keep_alive: Some(KeepAlive {
            idle_us: us(idle_s),
            interval_us: us(interval_s),
            probes: u64::from(probes),
        }),
    };
    with(|kernel| match *kernel.descriptors.object(fd.raw()) {
        Object::Listener(listener) => {
            kernel.network.set_detection(listener, detection);
            Ok(())
        }
        Object::Socket(connection, side) => {
            kernel.network.set_end_detection(connection, side, detection);
            Ok(())
        }
        _ => Err(os(libc::ENOTSOCK)),
    })
}

/// Bytes sent that the peer has not taken (`SIOCOUTQ`).
pub fn unsent_bytes(fd: BorrowedFd<'_>) -> io::Result<usize> {
    enter("ioctl");
    with(|kernel| {
        let (connection, side) = kernel.socket_of(fd.raw()).map_err(os)?;
        Ok(kernel.network.unsent(connection, side))
    })
}

/// Closing will reset the connection (TCP only).
pub fn set_reset_on_close(fd: BorrowedFd<'_>) -> io::Result<()> {
    enter("setsockopt");
    with(|kernel| {
        let (connection, side) = kernel.socket_of(fd.raw()).map_err(os)?;
        kernel.socket_reset_on_close(connection, side);
        Ok(())
    })
}

/// Whether anyone listens on a path: the answer of connect(2).
pub fn connect_unix(path: &Path) -> io::Result<OwnedFd> {
    enter("connect");
    with(|kernel| {
        let is_there = kernel.network.paths.contains_key(path);
        Err(os(if is_there { libc::ECONNREFUSED } else { libc::ENOENT }))
    })
}

/// The addresses of a name: loopback.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    enter("getaddrinfo");
    let ip = host.parse().map_err(|_| os(libc::ENOENT))?;
    Ok(vec![SocketAddr::new(ip, port)])
}

/// The pending error.
pub fn take_error(fd: BorrowedFd<'_>) -> io::Result<()> {
    enter("getsockopt");
    with(|kernel| {
        let (connection, side) = kernel.socket_of(fd.raw()).map_err(os)?;
        kernel.socket_take_error(connection, side).map_or(Ok(()), |errno| Err(os(errno)))
    })
}
