//! Stream sockets: listening, accepting, connecting, moving bytes, options.
//!
//! What it does not do: decide which errors of `accept` matter, or remove the path
//! of a Unix socket (`unix_path`). No call here raises SIGPIPE, and none but those that say so can
//! block.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{self as os, AddressFamily, MsgFlags, SockFlag, SockType, SockaddrLike};
use nix::sys::socket::{SockaddrStorage, UnixAddr, sockopt};

use super::{bare, retry};

pub use super::address::{Local, Peer};

/// Most pieces one vectored send takes (`UIO_MAXIOV`, sendmsg(2)).
const SLICES_MAX: usize = 1024;

fn new_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    Ok(os::socket(family, SockType::Stream, flags, None)?)
}

fn family_of(address: &SocketAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// The addresses of a host's name or of an address in text, with `port`, in the order of
/// preference (getaddrinfo(3)). It can block: names may have to be asked for over the network.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

/// A non-blocking TCP socket that listens on `address`, of that address's family alone
/// (`IPV6_V6ONLY`, ipv6(7)), with `SO_REUSEADDR` and the longest queue `net.core.somaxconn` allows.
/// EADDRINUSE: another listens there; EADDRNOTAVAIL, EACCES: bind(2); EAFNOSUPPORT: no IPv6 here.
pub fn listen_tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    let fd = new_socket(family_of(&address))?;
    os::setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        os::setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    os::bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    os::listen(&fd, os::Backlog::MAXALLOWABLE)?;
    Ok(fd)
}

/// A non-blocking Unix socket that listens on `path`, which bind(2) creates (unix(7)). EADDRINUSE:
/// the path exists, whether anyone listens there or not; ENAMETOOLONG: more than 107 bytes.
pub fn listen_unix(path: &Path) -> io::Result<OwnedFd> {
    let address = UnixAddr::new(path)?;
    let fd = new_socket(AddressFamily::Unix)?;
    os::bind(fd.as_raw_fd(), &address)?;
    os::listen(&fd, os::Backlog::MAXALLOWABLE)?;
    Ok(fd)
}

/// The address `fd` is bound to (getsockname(2)). ENOTSOCK: it is no socket; EAFNOSUPPORT: one of
/// another family than IPv4, IPv6 and Unix.
pub fn local(fd: BorrowedFd<'_>) -> io::Result<Local> {
    let address: SockaddrStorage = os::getsockname(fd.as_raw_fd())?;
    Local::from_os(&address).ok_or_else(|| Errno::EAFNOSUPPORT.into())
}

/// True if `fd` is a socket that listens (`SO_ACCEPTCONN`, socket(7)). ENOTSOCK: it is no socket.
pub fn is_listening(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(os::getsockopt(&fd, sockopt::AcceptConn)?)
}

/// Sets `O_NONBLOCK` on the description of `fd` (fcntl(2)), for all who share it.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Takes a connection off a listener's queue, non-blocking (accept4(2)). EAGAIN: there is none;
/// ECONNABORTED and network errors: that one is lost, try the next; EMFILE, ENFILE, ENOBUFS,
/// ENOMEM: it stays queued, and a level-triggered wait will tell of it again at once.
pub fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, Peer)> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: all-zero bytes are a valid `sockaddr_storage` (AF_UNSPEC).
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let room = libc::socklen_t::try_from(size_of_val(&storage)).expect("an address is small");
    let mut length = room;
    let raw = retry(|| {
        length = room;
        // SAFETY: `storage` is writable and `length` says how large it is; both outlive the call.
        Errno::result(unsafe {
            libc::accept4(fd.as_raw_fd(), (&raw mut storage).cast(), &raw mut length, flags)
        })
    })?;
    // SAFETY: accept4 succeeded, so `raw` is a new descriptor that nobody else owns.
    let connection = unsafe { OwnedFd::from_raw_fd(raw) };
    // SAFETY: the kernel wrote an address of `length` bytes to `storage`; from_raw copies no more.
    let address = unsafe { SockaddrStorage::from_raw((&raw const storage).cast(), Some(length)) };
    // An address that is neither IPv4 nor IPv6 is that of an unnamed or named Unix socket.
    Ok((connection, address.map_or(Peer::Unix, |address| Peer::from_os(&address))))
}

/// Effective user id of the process at the other end of a Unix socket, as it was when it connected
/// (`SO_PEERCRED`, unix(7)).
pub fn peer_uid(fd: BorrowedFd<'_>) -> io::Result<u32> {
    Ok(os::getsockopt(&fd, sockopt::PeerCredentials)?.uid())
}

/// Reads what is there (recv(2), `MSG_DONTWAIT`). 0: end of input; EAGAIN: nothing yet; ECONNRESET:
/// the peer is gone.
pub fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    retry(|| bare::recv(fd, buffer, libc::MSG_DONTWAIT))
}

/// As `receive`, but what is read stays in the socket (`MSG_PEEK`).
pub fn peek(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    retry(|| bare::recv(fd, buffer, libc::MSG_DONTWAIT | libc::MSG_PEEK))
}

fn send_flags(more: bool) -> MsgFlags {
    let mut flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    if more {
        flags |= MsgFlags::from_bits_retain(libc::MSG_MORE);
    }
    flags
}

/// Writes what the socket takes (send(2), `MSG_DONTWAIT`); `more` follows at once (`MSG_MORE`,
/// tcp(7)). EAGAIN: it takes nothing; EPIPE, ECONNRESET: the peer is gone.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8], more: bool) -> io::Result<usize> {
    retry(|| bare::send(fd, bytes, send_flags(more).bits()))
}

/// As `send`, from several pieces in order (sendmsg(2)); pieces after the 1024th are not looked at.
pub fn send_vectored(fd: BorrowedFd<'_>, pieces: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
    let pieces = &pieces[..pieces.len().min(SLICES_MAX)];
    retry(|| os::sendmsg::<()>(fd.as_raw_fd(), pieces, &[], send_flags(more), None))
}

/// Ends output: what was written still arrives, then end of input (shutdown(2), `SHUT_WR`).
/// ENOTCONN: the peer is gone.
pub fn shutdown_write(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(os::shutdown(fd.as_raw_fd(), os::Shutdown::Write)?)
}

/// Small writes leave at once (`TCP_NODELAY`, tcp(7)). EOPNOTSUPP on a Unix socket.
pub fn set_no_delay(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(os::setsockopt(&fd, sockopt::TcpNoDelay, &true)?)
}

/// A peer that is silent for `idle_s` seconds is probed every `interval_s`, and is gone after
/// `probes` unanswered ones (`SO_KEEPALIVE`, `TCP_KEEPIDLE` …, tcp(7)). EINVAL: a value of 0, or
/// one past 32767 s or 127 probes.
fn set_keep_alive(fd: BorrowedFd<'_>, idle_s: u32, interval_s: u32, probes: u32) -> io::Result<()> {
    os::setsockopt(&fd, sockopt::KeepAlive, &true)?;
    os::setsockopt(&fd, sockopt::TcpKeepIdle, &idle_s)?;
    os::setsockopt(&fd, sockopt::TcpKeepInterval, &interval_s)?;
    Ok(os::setsockopt(&fd, sockopt::TcpKeepCount, &probes)?)
}

/// Has a TCP peer found that is gone, in either way that the kernel knows (tcp(7)): keep-alive, for
/// a peer that owes nothing; and `TCP_USER_TIMEOUT`, since keep-alive does not run while bytes are
/// unacknowledged or the peer's window is shut. A peer that takes none of the bytes sent for
/// `untaken_ms` is gone, also one that answers but never opens its window; `None` leaves that to
/// the system (about 15 minutes, and never in the second case). Sockets accepted from a listener
/// inherit both. Either way the socket then fails with ETIMEDOUT.
pub fn set_dead_peer_detection(
    fd: BorrowedFd<'_>,
    (idle_s, interval_s, probes): (u32, u32, u32),
    untaken_ms: Option<u64>,
) -> io::Result<()> {
    set_keep_alive(fd, idle_s, interval_s, probes)?;
    let untaken_ms = untaken_ms.map_or(0, |ms| u32::try_from(ms).unwrap_or(u32::MAX >> 1));
    Ok(os::setsockopt(&fd, sockopt::TcpUserTimeout, &untaken_ms)?)
}

/// Bytes sent that the peer has not taken (`SIOCOUTQ`, tcp(7)). On a Unix socket: the memory of
/// what was not read, which shrinks in pieces of up to 48 KiB.
pub fn unsent_bytes(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    retry(|| {
        // SAFETY: SIOCOUTQ (the same number as TIOCOUTQ) writes one int, to `count`, which outlives
        // the call.
        Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) })
    })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Closing `fd` will reset the connection and drop what was not sent (`SO_LINGER`, zero;
/// socket(7)).
pub fn set_reset_on_close(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(os::setsockopt(&fd, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?)
}

/// Starts to connect a new non-blocking TCP socket (connect(2)). True: it is connected. False: the
/// socket becomes writable when it is decided, and `take_error` then says how.
pub fn connect_start(address: SocketAddr) -> io::Result<(OwnedFd, bool)> {
    let fd = new_socket(family_of(&address))?;
    match os::connect(fd.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) => Ok((fd, true)),
        // An interrupted connect goes on by itself; to call it again would be EALREADY.
        Err(Errno::EINPROGRESS | Errno::EINTR) => Ok((fd, false)),
        Err(errno) => Err(errno.into()),
    }
}

/// A non-blocking Unix socket connected to `path`. ENOENT: no such path; ECONNREFUSED: nobody
/// listens there; EAGAIN: the listener's queue is full (unix sockets never say EINPROGRESS).
pub fn connect_unix(path: &Path) -> io::Result<OwnedFd> {
    let address = UnixAddr::new(path)?;
    let fd = new_socket(AddressFamily::Unix)?;
    retry(|| os::connect(fd.as_raw_fd(), &address))?;
    Ok(fd)
}

/// Takes and clears the pending error of a socket (`SO_ERROR`, socket(7)); `Ok` if there is none.
pub fn take_error(fd: BorrowedFd<'_>) -> io::Result<()> {
    match os::getsockopt(&fd, sockopt::SocketError)? {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    use nix::fcntl::FdFlag;

    use super::super::poll::{wait_any, wait_readable};
    use super::super::scratch::{Scratch, until};
    use super::*;

    const LONG_MS: Option<u64> = Some(10_000);

    fn loopback(family: &str) -> SocketAddr {
        format!("{family}:0").parse().expect("tests write valid addresses")
    }

    fn address_of(fd: &OwnedFd) -> io::Result<SocketAddr> {
        match local(fd.as_fd())? {
            Local::Inet(address) => Ok(address),
            Local::Unix(_) => Err(Errno::EAFNOSUPPORT.into()),
        }
    }

    /// Both ends of a TCP connection over loopback: client, server.
    fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
        let listener = listen_tcp(loopback("127.0.0.1"))?;
        let (client, _) = connect_start(address_of(&listener)?)?;
        assert_eq!(wait_readable(&[listener.as_fd()], LONG_MS)?, [true]);
        let (server, peer) = accept(listener.as_fd())?;
        assert_eq!(peer, Peer::Inet(address_of(&client)?));
        assert_eq!(wait_any(&[(client.as_fd(), false, true)], LONG_MS)?, [true]);
        take_error(client.as_fd())?;
        Ok((client, server))
    }

    fn kind<T>(result: io::Result<T>) -> Result<T, io::ErrorKind> {
        result.map_err(|error| error.kind())
    }

    fn flags(fd: &OwnedFd) -> io::Result<(bool, bool)> {
        let status = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
        let descriptor = FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD)?);
        Ok((status.contains(OFlag::O_NONBLOCK), descriptor.contains(FdFlag::FD_CLOEXEC)))
    }

    #[test]
    fn every_socket_is_non_blocking_and_close_on_exec() -> io::Result<()> {
        let listener = listen_tcp(loopback("127.0.0.1"))?;
        let (client, server) = pair()?;
        for fd in [&listener, &client, &server] {
            assert_eq!(flags(fd)?, (true, true));
        }
        assert_eq!(kind(accept(listener.as_fd()).map(|_| ())), Err(io::ErrorKind::WouldBlock));
        Ok(())
    }

    #[test]
    fn both_families_listen_on_one_port_and_a_second_listener_is_refused() -> io::Result<()> {
        let six = listen_tcp(loopback("[::]"))?;
        let port = address_of(&six)?.port();
        let all: SocketAddr = ([0, 0, 0, 0], port).into();
        let _four = listen_tcp(all)?;
        assert_eq!(kind(listen_tcp(all).map(|_| ())), Err(io::ErrorKind::AddrInUse));
        Ok(())
    }

    #[test]
    fn a_listener_is_told_from_a_connection_and_from_a_file() -> io::Result<()> {
        let (client, _server) = pair()?;
        let file = File::open("/dev/null")?;
        assert!(is_listening(listen_tcp(loopback("127.0.0.1"))?.as_fd())?);
        assert!(!is_listening(client.as_fd())?);
        let error = is_listening(file.as_fd()).map_err(|error| error.raw_os_error());
        assert_eq!(error, Err(Some(libc::ENOTSOCK)));
        Ok(())
    }

    #[test]
    fn bytes_arrive_in_order_then_the_end() -> io::Result<()> {
        let (client, server) = pair()?;
        let mut buffer = [0; 64];
        assert_eq!(kind(receive(server.as_fd(), &mut buffer)), Err(io::ErrorKind::WouldBlock));
        assert_eq!(send(client.as_fd(), b"one ", true)?, 4);
        let pieces = [IoSlice::new(b"two "), IoSlice::new(b""), IoSlice::new(b"three")];
        assert_eq!(send_vectored(client.as_fd(), &pieces, false)?, 9);
        shutdown_write(client.as_fd())?;
        let mut all = Vec::new();
        loop {
            assert_eq!(wait_readable(&[server.as_fd()], LONG_MS)?, [true]);
            match receive(server.as_fd(), &mut buffer)? {
                0 => break,
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
        assert_eq!(all, b"one two three");
        Ok(())
    }

    #[test]
    fn more_pieces_than_the_kernel_takes_are_cut_not_refused() -> io::Result<()> {
        let (client, _server) = pair()?;
        let pieces = vec![IoSlice::new(b"x"); SLICES_MAX + 1];
        assert_eq!(send_vectored(client.as_fd(), &pieces, false)?, SLICES_MAX);
        Ok(())
    }

    #[test]
    fn a_full_socket_takes_nothing_and_does_not_wait() -> io::Result<()> {
        let (client, _server) = pair()?;
        let block = vec![0; 1 << 20];
        let full = loop {
            if let Err(error) = send(client.as_fd(), &block, false) {
                break error;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        Ok(())
    }

    #[test]
    fn what_the_peer_did_not_take_is_counted() -> io::Result<()> {
        let (near, far) = std::os::unix::net::UnixStream::pair()?;
        for (from, to) in [pair()?, (near.into(), far.into())] {
            assert_eq!(unsent_bytes(from.as_fd())?, 0);
            set_nonblocking(from.as_fd())?;
            let block = vec![0; 1 << 16];
            while send(from.as_fd(), &block, false).is_ok() {}
            let full = unsent_bytes(from.as_fd())?;
            assert!(full > 0);
            set_nonblocking(to.as_fd())?;
            let mut buffer = vec![0; 1 << 20];
            while receive(to.as_fd(), &mut buffer).is_ok() {}
            until(|| Ok(unsent_bytes(from.as_fd())? < full))?;
        }
        Ok(())
    }

    #[test]
    fn reset_on_close_reaches_the_peer_as_a_reset() -> io::Result<()> {
        let (client, server) = pair()?;
        set_reset_on_close(server.as_fd())?;
        drop(server);
        assert_eq!(wait_readable(&[client.as_fd()], LONG_MS)?, [true]);
        let error = receive(client.as_fd(), &mut [0]);
        assert_eq!(kind(error), Err(io::ErrorKind::ConnectionReset));
        Ok(())
    }

    #[test]
    fn options_are_set() -> io::Result<()> {
        let (client, _server) = pair()?;
        set_no_delay(client.as_fd())?;
        set_dead_peer_detection(client.as_fd(), (30, 10, 3), Some(5000))?;
        assert!(os::getsockopt(&client, sockopt::TcpNoDelay)?);
        assert!(os::getsockopt(&client, sockopt::KeepAlive)?);
        assert_eq!(os::getsockopt(&client, sockopt::TcpKeepIdle)?, 30);
        assert_eq!(os::getsockopt(&client, sockopt::TcpKeepInterval)?, 10);
        assert_eq!(os::getsockopt(&client, sockopt::TcpKeepCount)?, 3);
        assert_eq!(os::getsockopt(&client, sockopt::TcpUserTimeout)?, 5000);
        set_dead_peer_detection(client.as_fd(), (30, 10, 3), None)?;
        assert_eq!(os::getsockopt(&client, sockopt::TcpUserTimeout)?, 0);
        Ok(())
    }

    #[test]
    fn a_refused_connection_is_told_by_the_socket() -> io::Result<()> {
        let unused = address_of(&listen_tcp(loopback("127.0.0.1"))?)?;
        let connect = || {
            let (fd, _) = connect_start(unused)?;
            wait_any(&[(fd.as_fd(), false, true)], LONG_MS)?;
            take_error(fd.as_fd())
        };
        until(|| Ok(kind(connect()) == Err(io::ErrorKind::ConnectionRefused)))
    }

    #[test]
    fn unix_sockets_know_the_user_at_the_other_end() -> io::Result<()> {
        let scratch = Scratch::new()?;
        let path = scratch.path().join("socket");
        assert_eq!(kind(connect_unix(&path).map(|_| ())), Err(io::ErrorKind::NotFound));
        let listener = listen_unix(&path)?;
        assert_eq!(local(listener.as_fd())?, Local::Unix(path.clone()));
        let client = connect_unix(&path)?;
        let (server, peer) = accept(listener.as_fd())?;
        assert_eq!(peer, Peer::Unix);
        assert_eq!(local(client.as_fd())?, Local::Unix(std::path::PathBuf::new()));
        assert_eq!(peer_uid(server.as_fd())?, nix::unistd::geteuid().as_raw());
        assert_eq!(kind(listen_unix(&path).map(|_| ())), Err(io::ErrorKind::AddrInUse));
        drop(listener);
        let refused = Err(io::ErrorKind::ConnectionRefused);
        until(|| Ok(kind(connect_unix(&path).map(|_| ())) == refused))
    }
}
