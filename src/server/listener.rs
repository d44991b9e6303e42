//! Opening what was asked for with `--listen` and `--metrics`, and taking it away again.
//!
//! What it does not do: accept (`accept`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::config::{Listen, ListenAddress};
use super::supervisor::StartError;
use crate::protocol::speech::{Service, Speech};
use crate::sys::errno;
use crate::sys::fd::{AsFd, BorrowedFd, OwnedFd};
use crate::sys::inherit;
use crate::sys::socket::{self, Local};
use crate::sys::unix_path::{self, UnixPath};

/// How often a free port is asked for until both families have it.
const PORT_TRIES: usize = 16;
/// Keep-alive: seconds until the first probe, between probes, and probes without an answer after
/// which a peer is gone. A peer that vanished is found within about a minute.
const KEEP_ALIVE: (u32, u32, u32) = (15, 15, 3);
/// The shortest time after which the kernel gives a peer up that takes none of what it was sent, in
/// milliseconds: a packet may be lost twice within less.
const UNTAKEN_MS_MIN: u64 = 1_000;

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: OwnedFd,
    pub(crate) speech: Speech,
    pub(crate) local: Local,
}

/// Sockets that listen, and what is to be removed once they do not.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) paths: Vec<UnixPath>,
    /// What the log is to say about them.
    pub(crate) remarks: Vec<String>,
    /// Longest time a peer may take none of its output, in milliseconds.
    send_timeout_ms: u64,
}

impl Opened {
    /// None yet.
    pub(crate) fn new(send_timeout_ms: u64) -> Self {
        Self { send_timeout_ms, ..Self::default() }
    }

    /// Opens all that one `--listen` stands for.
    pub(crate) fn add(
        &mut self,
        listen: &Listen,
        inherited: &[(i32, String)],
    ) -> Result<(), StartError> {
        match &listen.address {
            ListenAddress::Host { host, port } => self.add_host(listen.speech, host, *port),
            ListenAddress::All { port } => {
                let (v6, v4) = (Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into());
                self.add_pair(listen.speech, v6, v4, *port)
            }
            ListenAddress::Loopback { port } => {
                let (v6, v4) = (Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into());
                self.add_pair(listen.speech, v6, v4, *port)
            }
            ListenAddress::Unix(path) => self.add_unix(listen.speech, path),
            ListenAddress::Fd(number) if inherited.iter().any(|(fd, _)| fd == number) => {
                self.add_inherited(listen.speech, *number)
            }
            ListenAddress::Fd(number) => Err(StartError::config(format!(
                "{} fd:{number}: the service manager passed no such socket",
                option(listen.speech)
            ))),
            ListenAddress::FdName(name) => {
                let numbers: Vec<i32> = inherited
                    .iter()
                    .filter(|(_, known)| known == name)
                    .map(|(fd, _)| *fd)
                    .collect();
                if numbers.is_empty() {
                    return Err(StartError::config(format!(
                        "{} fd:{name}: the service manager passed no socket of this name",
                        option(listen.speech)
                    )));
                }
                numbers.into_iter().try_for_each(|fd| self.add_inherited(listen.speech, fd))
            }
        }
    }

    fn add_host(&mut self, speech: Speech, host: &str, port: u16) -> Result<(), StartError> {
        let addresses = socket::resolve(host, port).map_err(|error| {
            StartError::system(&format!("{} {host}:{port}: {error}", option(speech)))
        })?;
        let mut bound = port;
        let mut seen: Vec<SocketAddr> = Vec::new();
        for mut address in addresses {
            if seen.contains(&address) {
                continue;
            }
            seen.push(address);
            address.set_port(bound);
            bound =
                self.add_inet(speech, address).map_err(|error| refused(speech, address, &error))?;
        }
        Ok(())
    }

    /// Both families on one port; IPv4 alone where the kernel has no IPv6.
    fn add_pair(
        &mut self,
        speech: Speech,
        v6: IpAddr,
        v4: IpAddr,
        port: u16,
    ) -> Result<(), StartError> {
        for _ in 0..PORT_TRIES {
            let before = self.listeners.len();
            let first = SocketAddr::new(v6, port);
            let shared = match self.add_inet(speech, first) {
                Ok(bound) => bound,
                Err(error) if is_without_v6(&error) => {
                    self.remarks.push(format!("no IPv6 here ({error}): listening on IPv4 alone"));
                    port
                }
                Err(error) => return Err(refused(speech, first, &error)),
            };
            let second = SocketAddr::new(v4, shared);
            match self.add_inet(speech, second) {
                Ok(_) => return Ok(()),
                // The free port of one family may be taken in the other: ask for another one.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && port == 0 => {
                    self.listeners.truncate(before);
                }
                Err(error) => return Err(refused(speech, second, &error)),
            }
        }
        Err(StartError::system("no port is free in both families"))
    }

    fn add_inet(&mut self, speech: Speech, address: SocketAddr) -> io::Result<u16> {
        let socket = socket::listen_tcp(address)?;
        prepare(socket.as_fd(), self.send_timeout_ms)?;
        let local = socket::local(socket.as_fd())?;
        let port = if let Local::Inet(bound) = &local { bound.port() } else { address.port() };
        self.listeners.push(Listener { socket, speech, local });
        Ok(port)
    }

    fn add_unix(&mut self, speech: Speech, path: &Path) -> Result<(), StartError> {
        let refuse = |error: io::Error| {
            let text = format!("{} unix:{}: {error}", option(speech), path.display());
            advise(StartError::system(&text), unix_advice(&error))
        };
        let (socket, path_made) = unix_path::listen(path).map_err(refuse)?;
        self.paths.push(path_made);
        self.listeners.push(Listener { socket, speech, local: Local::Unix(path.to_owned()) });
        Ok(())
    }

    fn add_inherited(&mut self, speech: Speech, number: i32) -> Result<(), StartError> {
        let refuse =
            |why: String| StartError::config(format!("{} fd:{number}: {why}", option(speech)));
        let socket = inherit::take(number).map_err(|error| refuse(error.to_string()))?;
        if !socket::is_listening(socket.as_fd()).unwrap_or(false) {
            return Err(refuse("this descriptor is no listening socket".to_owned()));
        }
        socket::set_nonblocking(socket.as_fd()).map_err(|error| refuse(error.to_string()))?;
        let local = socket::local(socket.as_fd()).map_err(|error| refuse(error.to_string()))?;
        if let Local::Inet(_) = local {
            prepare(socket.as_fd(), self.send_timeout_ms)
                .map_err(|error| refuse(error.to_string()))?;
        }
        self.listeners.push(Listener { socket, speech, local });
        Ok(())
    }
}

/// Sets what the sockets accepted from this one inherit (tcp(7)): no calls for each connection.
fn prepare(socket: BorrowedFd<'_>, send_timeout_ms: u64) -> io::Result<()> {
    detect_dead_peers(socket, send_timeout_ms)?;
    socket::set_no_delay(socket)
}

/// Has the kernel find a TCP peer that is gone: on a listener for all that it accepts from now on.
pub(crate) fn detect_dead_peers(socket: BorrowedFd<'_>, send_timeout_ms: u64) -> io::Result<()> {
    let untaken_ms = (send_timeout_ms < u64::MAX).then(|| send_timeout_ms.max(UNTAKEN_MS_MIN));
    socket::set_dead_peer_detection(socket, KEEP_ALIVE, untaken_ms)
}

/// Whether an error of the first, IPv6 listener means that there is no IPv6.
fn is_without_v6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(errno::EAFNOSUPPORT | errno::EADDRNOTAVAIL))
}

/// The option that asked for a listener with this service.
fn option(speech: Speech) -> &'static str {
    if speech.service == Service::Metrics { "--metrics" } else { "--listen" }
}

fn refused(speech: Speech, address: SocketAddr, error: &io::Error) -> StartError {
    let text = format!("{} {address}: {error}", option(speech));
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "stop what listens there, or choose another port",
        io::ErrorKind::AddrNotAvailable => "choose an address of this machine",
        io::ErrorKind::PermissionDenied => {
            "choose a port from 1024 on, or run with the right to it"
        }
        _ => "",
    };
    advise(StartError::system(&text), advice)
}

/// What to do where no Unix socket can be opened at a path.
fn unix_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "a server listens there, or it is no socket: choose another path"
        }
        io::ErrorKind::NotFound => "make the directory first",
        io::ErrorKind::PermissionDenied => "choose a directory that this user may write to",
        io::ErrorKind::WouldBlock => "another server is starting there: try again",
        _ => "",
    }
}

/// The same error, and what to do about it, where that is known.
fn advise(mut error: StartError, advice: &str) -> StartError {
    if !advice.is_empty() {
        error.text = format!("{}; {advice}", error.text);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_the_family_or_its_address_has_no_v6() {
        let is_without = |errno| is_without_v6(&io::Error::from_raw_os_error(errno));
        assert!(is_without(errno::EAFNOSUPPORT) && is_without(errno::EADDRNOTAVAIL));
        assert!(!is_without(errno::EACCES) && !is_without(errno::EMFILE));
        assert!(!is_without_v6(&io::Error::other("no number")));
    }

    #[test]
    fn what_cannot_be_listened_on_is_said() -> io::Result<()> {
        let add = |address: ListenAddress| {
            let speech = Speech { service: Service::Line, bare: false };
            let mut opened = Opened::new(u64::MAX);
            let added = opened.add(&Listen { speech, address }, &[(1, "other".to_owned())]);
            added.map(|()| opened.listeners.len()).map_err(|error| error.text)
        };
        let no_such = "--listen fd:77: the service manager passed no such socket";
        assert_eq!(add(ListenAddress::Fd(77)), Err(no_such.to_owned()));
        let no_such = "--listen fd:web: the service manager passed no socket of this name";
        assert_eq!(add(ListenAddress::FdName("web".to_owned())), Err(no_such.to_owned()));
        let taken = socket::listen_tcp((Ipv4Addr::LOCALHOST, 0).into())?;
        let Local::Inet(address) = socket::local(taken.as_fd())? else {
            panic!("it is a TCP socket");
        };
        let refused = add(ListenAddress::Loopback { port: address.port() });
        let text = format!("--listen {address}: Address already in use");
        assert!(refused.as_ref().is_err_and(|why| why.starts_with(&text)), "{refused:?}");
        assert!(matches!(add(ListenAddress::Loopback { port: 0 }), Ok(1 | 2)));
        Ok(())
    }
}
