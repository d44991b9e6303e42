//! The two ends of a connection as landline names them.
//!
//! What it does not do: parse or resolve anything.

use std::fmt;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::path::PathBuf;

use nix::sys::socket::SockaddrStorage;

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// An address, canonical: one that arrived over IPv4 is IPv4.
    Inet(SocketAddr),
    /// A process of this host, over a Unix socket.
    Unix,
}

/// Where a socket is bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Local {
    /// An address, canonical.
    Inet(SocketAddr),
    /// A Unix socket's path; empty where it has none, `@NAME` in the abstract name space (unix(7)).
    Unix(PathBuf),
}

/// An IPv4 address mapped into IPv6 becomes the IPv4 address.
fn canonical(address: SocketAddrV6) -> SocketAddr {
    match address.ip().to_ipv4_mapped() {
        Some(ip) => SocketAddr::V4(SocketAddrV4::new(ip, address.port())),
        None => SocketAddr::V6(address),
    }
}

fn inet(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::V4(SocketAddrV4::from(*v4)));
    }
    address.as_sockaddr_in6().map(|v6| canonical(SocketAddrV6::from(*v6)))
}

impl Peer {
    pub(super) fn from_os(address: &SockaddrStorage) -> Self {
        inet(address).map_or(Self::Unix, Self::Inet)
    }
}

impl Local {
    pub(super) fn from_os(address: &SockaddrStorage) -> Option<Self> {
        if let Some(address) = inet(address) {
            return Some(Self::Inet(address));
        }
        let unix = address.as_unix_addr()?;
        let path = match (unix.path(), unix.as_abstract()) {
            (Some(path), _) => path.to_path_buf(),
            (None, Some(name)) => PathBuf::from(format!("@{}", String::from_utf8_lossy(name))),
            (None, None) => PathBuf::new(),
        };
        Some(Self::Unix(path))
    }
}

/// `127.0.0.1:52176`, `[::1]:5`, `unix`.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// `127.0.0.1:5000`, `[::1]:5`, `unix:PATH`.
impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> String {
        let address: SocketAddr = text.parse().expect("tests write valid addresses");
        Peer::from_os(&SockaddrStorage::from(address)).to_string()
    }

    #[test]
    fn a_mapped_address_is_shown_as_the_ipv4_address_it_is() {
        assert_eq!(peer("[::ffff:127.0.0.1]:52176"), "127.0.0.1:52176");
        assert_eq!(peer("127.0.0.1:52176"), "127.0.0.1:52176");
    }

    #[test]
    fn other_ipv6_addresses_stay_what_they_are() {
        assert_eq!(peer("[::1]:5"), "[::1]:5");
        assert_eq!(peer("[::127.0.0.1]:5"), "[::7f00:1]:5");
        assert_eq!(peer("[fe80::1%7]:5"), "[fe80::1%7]:5");
    }

    #[test]
    fn unix_sockets_are_named_by_their_path() {
        assert_eq!(Peer::Unix.to_string(), "unix");
        assert_eq!(Local::Unix("/run/x".into()).to_string(), "unix:/run/x");
    }
}
