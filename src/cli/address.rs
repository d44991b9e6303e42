//! Addresses as they are typed: those a server listens on, and those a client connects to.
//!
//! What it does not do: resolve a name, or open anything. Errors are the part of a sentence that
//! follows what was typed.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use crate::protocol::limits::PORT;
use crate::protocol::speech::{Service, Speech};
use crate::server::config::{Listen, ListenAddress};

/// Longest path of a Unix socket: `sun_path` less its final NUL (unix(7)).
const UNIX_PATH_BYTES_MAX: usize = 107;
/// The first descriptor a service manager passes (`sd_listen_fds(3)`).
const FD_MIN: i32 = 3;

/// Reads `[SERVICE[+bare]@]ADDRESS`.
pub(super) fn listen(text: &str) -> Result<Listen, String> {
    let (speech, address) = match text.split_once('@') {
        Some((service, address)) if !text.starts_with("unix:") => (speech(service)?, address),
        _ => (Speech { service: Service::Line, bare: false }, text),
    };
    Ok(Listen { speech, address: listen_address(address)? })
}

fn speech(text: &str) -> Result<Speech, String> {
    let (name, bare) = match text.split_once('+') {
        None => (text, false),
        Some((name, "bare")) => (name, true),
        Some((_, other)) => return Err(format!("there is no \"+{other}\", only \"+bare\"")),
    };
    let service = Service::parse(name).ok_or_else(|| {
        format!("there is no service \"{name}\": use line, echo, hello, exec, chat or talk")
    })?;
    Ok(Speech { service, bare })
}

/// Reads what may stand after `SERVICE@`.
pub(super) fn listen_address(text: &str) -> Result<ListenAddress, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix_path(path).map(ListenAddress::Unix);
    }
    if let Some(passed) = text.strip_prefix("fd:") {
        return passed_socket(passed);
    }
    if is_digits(text) {
        return Ok(ListenAddress::Loopback { port: port(text)? });
    }
    if let Some(digits) = text.strip_prefix(':').filter(|rest| is_digits(rest)) {
        return Ok(ListenAddress::All { port: port(digits)? });
    }
    if Service::parse(text.trim_end_matches("+bare")).is_some() {
        return Err(format!("a service without an address: write for example {text}@{PORT}"));
    }
    let (host, port) = host_port(text)?;
    Ok(ListenAddress::Host { host, port: port.unwrap_or(PORT) })
}

fn passed_socket(passed: &str) -> Result<ListenAddress, String> {
    if is_digits(passed) {
        return match passed.parse::<i32>() {
            Ok(number) if number >= FD_MIN => Ok(ListenAddress::Fd(number)),
            Ok(_) => Err(format!("descriptors of passed sockets start at {FD_MIN}")),
            Err(_) => Err("no descriptor has that number".to_owned()),
        };
    }
    // sd_listen_fds_with_names(3): printable ASCII without a colon.
    let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    if passed.is_empty() || !passed.bytes().all(is_name) {
        return Err("write fd:N, a descriptor's number, or fd:NAME".to_owned());
    }
    Ok(ListenAddress::FdName(passed.to_owned()))
}

pub(super) fn unix_path(path: &str) -> Result<PathBuf, String> {
    match path.len() {
        0 => Err("no path after \"unix:\"".to_owned()),
        1..=UNIX_PATH_BYTES_MAX => Ok(path.into()),
        length => Err(format!(
            "the path of a Unix socket has at most {UNIX_PATH_BYTES_MAX} bytes, not {length}"
        )),
    }
}

/// Reads `HOST`, `HOST:PORT`, `[V6]`, `[V6]:PORT` or a bare IPv6 address.
pub(super) fn host_port(text: &str) -> Result<(String, Option<u16>), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (literal, after) =
            rest.split_once(']').ok_or_else(|| "a \"[\" without its \"]\"".to_owned())?;
        if !is_v6(literal) {
            return Err(format!("\"{literal}\" is no IPv6 address"));
        }
        let port = match after.strip_prefix(':') {
            Some(digits) => Some(port(digits)?),
            None if after.is_empty() => None,
            None => return Err("after \"]\" comes nothing, or a colon and a port".to_owned()),
        };
        return Ok((literal.to_owned(), port));
    }
    if is_v6(text) {
        return Ok((text.to_owned(), None));
    }
    let (host, digits) = match text.split_once(':') {
        None => (text, None),
        Some((_, after)) if after.contains(':') => {
            return Err("no IPv6 address; with a port write [ADDRESS]:PORT".to_owned());
        }
        Some((host, digits)) => (host, Some(digits)),
    };
    check_host(host)?;
    Ok((host.to_owned(), digits.map(port).transpose()?))
}

fn check_host(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("no host".to_owned());
    }
    if host.contains('/') {
        return Err("a host name holds no \"/\"; for a Unix socket write unix:PATH".to_owned());
    }
    if host == "*" {
        return Err("for all addresses write :PORT".to_owned());
    }
    if host.contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Err("a host name holds no blanks".to_owned());
    }
    if host.contains(['@', '[', ']']) {
        return Err("no host name".to_owned());
    }
    // getaddrinfo would take `1` for 0.0.0.1, `127.1` for 127.0.0.1, and 010 for 8 (inet_aton(3)).
    let is_numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(format!("\"{host}\" is no IPv4 address"));
    }
    Ok(())
}

/// Whether `text` is an IPv6 address, perhaps with a zone (RFC 4007, section 11).
pub(super) fn is_v6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "1"));
    let is_zone = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.bytes().all(is_zone)
}

fn port(digits: &str) -> Result<u16, String> {
    Some(digits)
        .filter(|digits| is_digits(digits))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| format!("\"{digits}\" is no port: ports are 0 to 65535"))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> ListenAddress {
        listen_address(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    fn host(host: &str, port: u16) -> ListenAddress {
        ListenAddress::Host { host: host.to_owned(), port }
    }

    #[test]
    fn every_form_of_an_address_is_read() {
        for (text, address) in [
            ("localhost:0", host("localhost", 0)),
            ("localhost", host("localhost", 5000)),
            ("192.0.2.1:65535", host("192.0.2.1", 65_535)),
            ("[::1]:5001", host("::1", 5001)),
            ("[::]:5000", host("::", 5000)),
            ("[fe80::1%eth0]:7", host("fe80::1%eth0", 7)),
            ("[::1]", host("::1", 5000)),
            ("::1", host("::1", 5000)),
            ("::", host("::", 5000)),
            ("2001:db8::1", host("2001:db8::1", 5000)),
            ("fe80::1%eth0", host("fe80::1%eth0", 5000)),
            (":5000", ListenAddress::All { port: 5000 }),
            (":0", ListenAddress::All { port: 0 }),
            ("5000", ListenAddress::Loopback { port: 5000 }),
            ("0", ListenAddress::Loopback { port: 0 }),
            ("unix:/run/a.sock", ListenAddress::Unix("/run/a.sock".into())),
            ("unix:a b@c:1", ListenAddress::Unix("a b@c:1".into())),
            ("fd:3", ListenAddress::Fd(3)),
            ("fd:web", ListenAddress::FdName("web".to_owned())),
        ] {
            assert_eq!(at(text), address, "{text}");
        }
    }

    #[test]
    fn the_service_stands_before_the_address() {
        let read = |text: &str| listen(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        for service in Service::LISTENABLE {
            for (suffix, bare) in [("", false), ("+bare", true)] {
                let text = format!("{}{suffix}@[::1]:7", service.as_str());
                let speech = Speech { service, bare };
                assert_eq!(read(&text), Listen { speech, address: host("::1", 7) });
            }
        }
        assert_eq!(read("5001").speech.to_string(), "line");
        let unix = read("unix:/tmp/a@b");
        assert_eq!(unix.speech.to_string(), "line");
        assert_eq!(unix.address, ListenAddress::Unix("/tmp/a@b".into()));
        assert_eq!(read("chat@unix:/tmp/a@b").address, unix.address);
        assert_eq!(read("talk@fd:3").address, ListenAddress::Fd(3));
    }

    #[test]
    fn a_wrong_listener_is_answered_by_what_to_do() {
        let long = format!("unix:/{}", "a".repeat(107));
        for (text, why) in [
            (
                "lime@5000",
                "there is no service \"lime\": use line, echo, hello, exec, chat or talk",
            ),
            (
                "metrics@1",
                "there is no service \"metrics\": use line, echo, hello, exec, chat or talk",
            ),
            ("@5000", "there is no service \"\": use line, echo, hello, exec, chat or talk"),
            ("chat+bar@1", "there is no \"+bar\", only \"+bare\""),
            ("chat", "a service without an address: write for example chat@5000"),
            ("chat+bare", "a service without an address: write for example chat+bare@5000"),
            ("chat@", "no host"),
            ("", "no host"),
            (":", "no host"),
            ("65536", "\"65536\" is no port: ports are 0 to 65535"),
            (":99999", "\"99999\" is no port: ports are 0 to 65535"),
            ("localhost:", "\"\" is no port: ports are 0 to 65535"),
            ("localhost:+1", "\"+1\" is no port: ports are 0 to 65535"),
            ("localhost:http", "\"http\" is no port: ports are 0 to 65535"),
            ("[::1", "a \"[\" without its \"]\""),
            ("[::1]5000", "after \"]\" comes nothing, or a colon and a port"),
            ("[::1]:", "\"\" is no port: ports are 0 to 65535"),
            ("[127.0.0.1]:1", "\"127.0.0.1\" is no IPv6 address"),
            ("fe80::1%", "no IPv6 address; with a port write [ADDRESS]:PORT"),
            ("a:b:c", "no IPv6 address; with a port write [ADDRESS]:PORT"),
            ("*:5000", "for all addresses write :PORT"),
            ("/run/a.sock", "a host name holds no \"/\"; for a Unix socket write unix:PATH"),
            ("my host:1", "a host name holds no blanks"),
            ("127.1:1", "\"127.1\" is no IPv4 address"),
            ("127.0.0.256:1", "\"127.0.0.256\" is no IPv4 address"),
            ("unix:", "no path after \"unix:\""),
            (&long, "the path of a Unix socket has at most 107 bytes, not 108"),
            ("fd:2", "descriptors of passed sockets start at 3"),
            ("fd:99999999999", "no descriptor has that number"),
            ("fd:", "write fd:N, a descriptor's number, or fd:NAME"),
            ("fd:a:b", "write fd:N, a descriptor's number, or fd:NAME"),
        ] {
            assert_eq!(listen(text), Err(why.to_owned()), "{text}");
        }
    }
}
