//! From where the server is to a connected socket: resolving, and racing both families.
//!
//! What it does not do: speak (`wire`), or parse what was typed (`cli`).
//!
//! Addresses come from getaddrinfo(3) in the order of RFC 6724, are interleaved by family and tried
//! 250 ms apart, or at once where one fails; the first that connects is taken (RFC 8305, sections 4
//! and 5).

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::command::{Family, Target, TargetHost};
use super::failure::{Failure, why};
use super::watch::{Deadline, ms_until, now};
use crate::sys::poll::wait_any;
use crate::sys::socket;

/// Time between two attempts (the Connection Attempt Delay of RFC 8305), in milliseconds.
const STAGGER_MS: u64 = 250;
/// A silent peer is probed after this time, this often, and this many times before it is gone.
const KEEP_ALIVE: (u32, u32, u32) = (60, 10, 6);

/// Connects to `target`. Signals act as they do by default meanwhile.
pub(super) fn connect(target: &Target, deadline: &Deadline) -> Result<OwnedFd, Failure> {
    let connected = match &target.host {
        TargetHost::Unix(path) => to_unix(path),
        TargetHost::Host(host) => resolve(host, target.port, target.family, deadline)
            .and_then(|addresses| Race::new(&addresses).run(deadline)),
    };
    connected.map_err(|failure| match failure {
        Failure::Unreachable(text) => Failure::Unreachable(format!("{}: {text}", shown(target))),
        other => other,
    })
}

/// The target as it is written in messages.
pub(super) fn shown(target: &Target) -> String {
    match &target.host {
        TargetHost::Unix(path) => format!("unix:{}", path.display()),
        TargetHost::Host(host) if host.contains(':') => format!("[{host}]:{}", target.port),
        TargetHost::Host(host) => format!("{host}:{}", target.port),
    }
}

fn to_unix(path: &Path) -> Result<OwnedFd, Failure> {
    socket::connect_unix(path).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                "; is the server running, with -l unix:PATH?"
            }
            io::ErrorKind::WouldBlock => "; the server is busy, try again",
            _ => "",
        };
        Failure::Unreachable(format!("{}{hint}", why(&error)))
    })
}

/// The addresses of `host`, in the order in which they are tried. getaddrinfo takes no time-out, so
/// that it has a thread of its own, which is left behind where time runs out.
fn resolve(
    host: &str,
    port: u16,
    family: Family,
    deadline: &Deadline,
) -> Result<Vec<SocketAddr>, Failure> {
    deadline.check()?;
    let (tell, told) = mpsc::channel();
    let name = host.to_owned();
    std::thread::spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs();
        // Nobody listens once time has run out.
        let _ = tell.send(found.map(Iterator::collect::<Vec<_>>));
    });
    let left = deadline.left_ms().map_or(Duration::MAX, Duration::from_millis);
    let found = match told.recv_timeout(left) {
        Ok(found) => found.map_err(|error| Failure::Unreachable(lookup_text(&error)))?,
        Err(RecvTimeoutError::Timeout) => {
            deadline.check()?;
            return Err(Failure::Unreachable("gave up looking for its address".to_owned()));
        }
        Err(RecvTimeoutError::Disconnected) => {
            return Err(Failure::Failed("the resolver ended early".to_owned()));
        }
    };
    let wanted = found.into_iter().filter(|address| match family {
        Family::Any => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    });
    let addresses = interleaved(wanted);
    match (addresses.is_empty(), family) {
        (false, _) => Ok(addresses),
        (true, Family::V4) => Err(Failure::Unreachable("has no IPv4 address (-4)".to_owned())),
        (true, Family::V6) => Err(Failure::Unreachable("has no IPv6 address (-6)".to_owned())),
        (true, Family::Any) => Err(Failure::Unreachable("has no address".to_owned())),
    }
}

fn lookup_text(error: &io::Error) -> String {
    let text = error.to_string();
    let known = text.strip_prefix("failed to lookup address information: ");
    known.unwrap_or(&text).to_owned()
}

/// Each address once, the families in turn, beginning with that of the first.
fn interleaved(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut all: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    let Some(first) = all.first().map(SocketAddr::is_ipv6) else { return all };
    let (one, other): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut mixed = Vec::new();
    loop {
        let pair = [one.next(), other.next()];
        if pair == [None, None] {
            return mixed;
        }
        mixed.extend(pair.into_iter().flatten());
    }
}

/// Attempts to connect, some under way, some to come.
struct Race<'a> {
    to_come: &'a [SocketAddr],
    next_at: Instant,
    running: Vec<(SocketAddr, OwnedFd)>,
    failures: Vec<(SocketAddr, io::Error)>,
}

impl<'a> Race<'a> {
    fn new(addresses: &'a [SocketAddr]) -> Self {
        Self { to_come: addresses, next_at: now(), running: Vec::new(), failures: Vec::new() }
    }

    fn run(mut self, deadline: &Deadline) -> Result<OwnedFd, Failure> {
        loop {
            if let Some(fd) = self.start_due() {
                return Ok(ready(fd));
            }
            if self.running.is_empty() {
                return Err(Failure::Unreachable(self.text()));
            }
            deadline.check().map_err(|_| Failure::Unreachable(self.late_text()))?;
            let next_ms = (!self.to_come.is_empty()).then(|| ms_until(self.next_at));
            let wait_ms = [next_ms, deadline.left_ms()].into_iter().flatten().min();
            let wanted: Vec<_> =
                self.running.iter().map(|(_, fd)| (fd.as_fd(), false, true)).collect();
            let decided = wait_any(&wanted, wait_ms)
                .map_err(|error| Failure::local("waiting for a connection", &error))?;
            if let Some(fd) = self.settle(&decided) {
                return Ok(ready(fd));
            }
        }
    }

    /// Starts the attempts whose time has come. A socket that is connected at once has won.
    fn start_due(&mut self) -> Option<OwnedFd> {
        while let Some((&address, rest)) = self.to_come.split_first()
            && (self.running.is_empty() || ms_until(self.next_at) == 0)
        {
            self.to_come = rest;
            match socket::connect_start(address) {
                Ok((fd, true)) => return Some(fd),
                Ok((fd, false)) => {
                    self.running.push((address, fd));
                    self.next_at = now() + Duration::from_millis(STAGGER_MS);
                }
                Err(error) => self.failures.push((address, error)),
            }
        }
        None
    }

    /// Takes the attempts that are decided. Where one failed, the next need not wait.
    fn settle(&mut self, decided: &[bool]) -> Option<OwnedFd> {
        for index in (0..decided.len()).rev().filter(|index| decided[*index]) {
            let (address, fd) = self.running.remove(index);
            match socket::take_error(fd.as_fd()) {
                Ok(()) => return Some(fd),
                Err(error) => {
                    self.failures.push((address, error));
                    self.next_at = now();
                }
            }
        }
        None
    }

    fn text(&self) -> String {
        let mut tried: Vec<_> = self
            .failures
            .iter()
            .map(|(address, error)| format!("{}: {}", address.ip(), why(error)))
            .collect();
        tried.sort();
        let is_refused =
            |(_, error): &(_, io::Error)| error.kind() == io::ErrorKind::ConnectionRefused;
        let all_refused = self.failures.iter().all(is_refused);
        let hint = if all_refused { " (is the server running there?)" } else { "" };
        format!("could not connect: {}{hint}", tried.join(", "))
    }

    fn late_text(&self) -> String {
        let silent = self.running.iter().map(|(address, _)| format!("{}: no answer", address.ip()));
        let failed = self
            .failures
            .iter()
            .map(|(address, error)| format!("{}: {}", address.ip(), why(error)));
        let tried: Vec<_> = failed.chain(silent).collect();
        format!("could not connect in the time of --timeout: {}", tried.join(", "))
    }
}

/// Small requests leave at once, and a dead server is noticed. Neither is needed to go on.
fn ready(fd: OwnedFd) -> OwnedFd {
    let _ = socket::set_no_delay(fd.as_fd());
    // A server may leave its window shut for as long as a command does not read its input.
    let _ = socket::set_dead_peer_detection(fd.as_fd(), KEEP_ALIVE, None);
    fd
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd as _;

    use nix::sys::socket::{self as os, AddressFamily, SockFlag, SockType, SockaddrIn};

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().expect("tests write valid addresses")).collect()
    }

    /// A socket with an address of its own that does not listen: it is refused there.
    fn bound() -> io::Result<(OwnedFd, SocketAddr)> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let fd = os::socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
        os::bind(fd.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
        let socket::Local::Inet(address) = socket::local(fd.as_fd())? else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        Ok((fd, address))
    }

    #[test]
    fn families_take_turns_and_the_first_stays_first() {
        let found = addresses(&["[::1]:5", "[::2]:5", "[::1]:5", "1.0.0.1:5", "1.0.0.2:5"]);
        let order = addresses(&["[::1]:5", "1.0.0.1:5", "[::2]:5", "1.0.0.2:5"]);
        assert_eq!(interleaved(found.into_iter()), order);
        let found = addresses(&["1.0.0.1:5", "1.0.0.2:5", "[::1]:5"]);
        let order = addresses(&["1.0.0.1:5", "[::1]:5", "1.0.0.2:5"]);
        assert_eq!(interleaved(found.into_iter()), order);
        assert_eq!(interleaved(std::iter::empty()), []);
    }

    #[test]
    fn where_one_refuses_the_next_is_taken() -> io::Result<()> {
        let (_unheard, address) = bound()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let tried = [address, listener.local_addr()?];
        let deadline = Deadline::after(Some(10_000));
        assert!(Race::new(&tried).run(&deadline).is_ok());
        let failure = Race::new(&tried[..1]).run(&deadline).map(|_| ());
        let text =
            "could not connect: 127.0.0.1: Connection refused (is the server running there?)";
        assert_eq!(failure, Err(Failure::Unreachable(text.to_owned())));
        Ok(())
    }

    #[test]
    fn a_silent_address_does_not_keep_the_next_one_waiting() -> io::Result<()> {
        let (silent, address) = bound()?;
        os::listen(&silent, os::Backlog::new(0)?)?;
        // A listener whose queue is full drops what comes (listen(2)): nobody answers.
        let mut queued = Vec::new();
        loop {
            let (fd, _) = socket::connect_start(address)?;
            let answered = wait_any(&[(fd.as_fd(), false, true)], Some(50))?;
            queued.push(fd);
            if answered == [false] {
                break;
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let tried = [address, listener.local_addr()?];
        let won = Race::new(&tried).run(&Deadline::after(Some(10_000)));
        let won = std::net::TcpStream::from(won.map_err(|_| io::ErrorKind::TimedOut)?);
        assert_eq!(won.peer_addr()?, tried[1]);
        let alone = Race::new(&tried[..1]).run(&Deadline::after(Some(20))).map(|_| ());
        let text = "could not connect in the time of --timeout: 127.0.0.1: no answer";
        assert_eq!(alone, Err(Failure::Unreachable(text.to_owned())));
        Ok(())
    }

    #[test]
    fn literals_and_zones_resolve_to_one_family() {
        let deadline = Deadline::after(Some(10_000));
        let found = resolve("127.0.0.1", 7, Family::Any, &deadline);
        assert_eq!(found, Ok(addresses(&["127.0.0.1:7"])));
        let found = resolve("fe80::1%lo", 7, Family::V6, &deadline);
        assert_eq!(found, Ok(addresses(&["[fe80::1%1]:7"])));
        let none = resolve("127.0.0.1", 7, Family::V6, &deadline);
        assert_eq!(none, Err(Failure::Unreachable("has no IPv6 address (-6)".to_owned())));
    }
}
