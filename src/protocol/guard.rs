//! `Guard`: tells strangers from clients at the beginning of a connection (section 7 of
//! `docs/PROTOCOL.md`). A stranger is a browser that a web page made speak to this port, or a
//! program that speaks another protocol.
//!
//! HTTP is looked for in the lines of a connection as they are taken, so that it is found however
//! it is cut. What the others begin with is looked for in the bytes that came, before any is taken,
//! because they wait for an answer without having sent a newline.
//!
//! What it does not do: look at anything once the first lines are over.

use memchr::memchr;

/// Lines of a connection among which a header of HTTP may be.
const EARLY_LINES: u8 = 16;
/// What every browser sends as one of the first header lines, without regard to case.
const HOST: &[u8] = b"host:";
/// What the request line of HTTP ends in; `0` stands for a digit, a blank for a tab too.
const VERSION: &[u8] = b" HTTP/0.0";
/// How much of the end of a line is searched for that, in bytes.
const LINE_END_BYTES: usize = 64;
/// Where a line does not match, whatever follows in it. `HOST` as a whole is no state to be in.
const NO_MATCH: u8 = 5;
/// How many bytes of `HOST` may have matched, and `NO_MATCH`.
const HOST_STATES: u8 = NO_MATCH + 1;
/// All of `VERSION` has matched.
const COMPLETE: u8 = 9;
/// How many bytes of `VERSION` may have matched, and `COMPLETE + 1`.
const VERSION_STATES: u8 = COMPLETE + 2;
/// The first state of a guard that is in the first line: there is one for each of `Later` below.
const FIRST: u8 = 1 + (EARLY_LINES - 1) * HOST_STATES;

const _: () = assert!(NO_MATCH as usize == HOST.len() && COMPLETE as usize == VERSION.len());
const _: () = assert!(FIRST as usize + VERSION_STATES as usize * HOST_STATES as usize <= 256);
/// Methods that a SOCKS 5 client may offer in a greeting that is taken for one.
const SOCKS_METHODS_MAX: usize = 9;

/// What a stranger speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// HTTP in any version.
    Http,
    /// TLS, and its forerunner SSL 3.
    Tls,
    /// SSH.
    Ssh,
    /// A client of a SOCKS 4, 4a or 5 proxy.
    Socks,
}

/// How far the search has come, in one byte, since every connection has one.
#[derive(Clone, Copy, Debug)]
pub struct Guard(u8);

/// The same, to be worked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Search {
    line: Line,
    /// How many bytes of `HOST` the line has matched, or `NO_MATCH`.
    host: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// The first one, which so far ends in so many bytes of `VERSION`.
    First { version: u8 },
    /// A later one, with so many to come, itself counted.
    Later { left: u8 },
}

impl Guard {
    /// A guard at the beginning of a connection.
    pub const START: Self = Self(FIRST);
    /// A guard that looks at nothing.
    pub const OFF: Self = Self(0);

    /// Whether a stranger may still be found.
    pub const fn is_on(self) -> bool {
        self.0 != Self::OFF.0
    }

    /// Whether nothing of the connection was taken yet, but for empty lines.
    pub const fn is_at_start(self) -> bool {
        self.0 == Self::START.0
    }

    /// These bytes are taken: whether they show that HTTP is spoken.
    pub fn on_bytes(&mut self, mut bytes: &[u8]) -> bool {
        while let Some(mut search) = self.search()
            && !bytes.is_empty()
        {
            let end = memchr(b'\n', bytes);
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            let is_host = search.on_piece(piece, end.is_some());
            let is_version = end.is_some() && search.has_version();
            if is_host || is_version {
                return true;
            }
            let next = if end.is_some() { search.next_line() } else { Some(search) };
            *self = next.map_or(Self::OFF, Search::packed);
            bytes = rest.get(1..).unwrap_or_default();
        }
        false
    }

    /// The first message ended without a newline: whether it is the request line of HTTP.
    pub fn is_request_line(self) -> bool {
        self.search().is_some_and(Search::has_version)
    }

    fn search(self) -> Option<Search> {
        let (line, host) = match self.0 {
            0 => return None,
            later @ ..FIRST => {
                (Line::Later { left: 1 + (later - 1) / HOST_STATES }, (later - 1) % HOST_STATES)
            }
            first => {
                let first = first - FIRST;
                (Line::First { version: first / HOST_STATES }, first % HOST_STATES)
            }
        };
        Some(Search { line, host })
    }
}

impl Search {
    fn packed(self) -> Guard {
        Guard(match self.line {
            Line::Later { left } => 1 + (left - 1) * HOST_STATES + self.host,
            Line::First { version } => FIRST + version * HOST_STATES + self.host,
        })
    }

    /// A piece of the line came, without its ending: whether it begins as no client's does.
    /// `is_last` says that the line ends behind it.
    fn on_piece(&mut self, piece: &[u8], is_last: bool) -> bool {
        for byte in piece {
            match HOST.get(usize::from(self.host)) {
                // An empty line may end in CR LF.
                Some(_) if self.host == 0 && *byte == b'\r' => {}
                Some(wanted) if byte.eq_ignore_ascii_case(wanted) => self.host += 1,
                _ => {
                    self.host = NO_MATCH;
                    break;
                }
            }
            if usize::from(self.host) == HOST.len() {
                return true;
            }
        }
        if let Line::First { version } = &mut self.line {
            if is_last && ends_otherwise(piece) {
                *version = 0;
                return false;
            }
            let end = &piece[piece.len().saturating_sub(LINE_END_BYTES)..];
            let before = if end.len() < piece.len() { 0 } else { *version };
            *version = end.iter().fold(before, |matched, byte| next(matched, *byte));
        }
        false
    }

    fn has_version(self) -> bool {
        matches!(self.line, Line::First { version } if version >= COMPLETE)
    }

    /// The line ended. Nothing where it was the last.
    fn next_line(self) -> Option<Self> {
        let line = match self.line {
            first @ Line::First { .. } if self.host == 0 => first,
            Line::First { .. } => Line::Later { left: EARLY_LINES - 1 },
            Line::Later { left: 1 } => return None,
            Line::Later { left } => Line::Later { left: left - 1 },
        };
        Some(Self { line, host: 0 })
    }
}

/// Whether the end of a line shows at a glance that it does not end in `VERSION`: nearly all lines
/// are told so without the search.
fn ends_otherwise(end: &[u8]) -> bool {
    let last = end.iter().rfind(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
    last.is_some_and(|last| !last.is_ascii_digit())
}

/// How many bytes of `VERSION` a line ends in behind this byte. All of it and a blank counts as one
/// more, since the blank may begin it anew.
fn next(matched: u8, byte: u8) -> u8 {
    let is_blank = matches!(byte, b' ' | b'\t');
    let matched = match matched {
        COMPLETE.. if byte == b'\r' => return COMPLETE,
        COMPLETE.. if is_blank => return COMPLETE + 1,
        past if past == COMPLETE + 1 => 1,
        matched => matched,
    };
    let is_next = match VERSION.get(usize::from(matched)) {
        Some(b' ') => is_blank,
        Some(b'0') => byte.is_ascii_digit(),
        Some(wanted) => byte == *wanted,
        None => false,
    };
    if is_next { matched + 1 } else { u8::from(is_blank) }
}

/// Who a connection is from that begins with these bytes, if that is a stranger. They are all that
/// came so far.
pub fn stranger(bytes: &[u8]) -> Option<Stranger> {
    match bytes {
        [0x16, 0x03, ..] => Some(Stranger::Tls),
        [b'S', ..] if is_ssh(bytes) => Some(Stranger::Ssh),
        [0x04 | 0x05, ..] if is_socks(bytes) => Some(Stranger::Socks),
        _ => None,
    }
}

/// Whether this is the beginning of an HTTP request, the rest of which is not known: of a bare
/// client's first message, or of a line over the limit. Only methods in capital letters count,
/// since `cat /etc/motd` begins like the others.
pub fn begins_like_http(head: &[u8]) -> bool {
    const TARGETS: [&[u8]; 4] = [b" /", b" http://", b" https://", b" * H"];
    let is_method = |byte: &&u8| byte.is_ascii_uppercase() || **byte == b'-';
    let method = head.iter().take_while(is_method).count();
    method > 0 && TARGETS.iter().any(|target| head[method..].starts_with(target))
}

/// The identification string of SSH (RFC 4253, section 4.2).
fn is_ssh(bytes: &[u8]) -> bool {
    let Some(version) = bytes.strip_prefix(b"SSH-") else { return false };
    let (major, rest) = digits(version);
    let Some(rest) = rest.strip_prefix(b".").filter(|_| major > 0) else { return false };
    let (minor, rest) = digits(rest);
    minor > 0 && rest.starts_with(b"-")
}

/// The first message of a SOCKS client, whole: it waits for the answer.
fn is_socks(bytes: &[u8]) -> bool {
    match bytes {
        // RFC 1928, section 3.
        [0x05, count, methods @ ..] => {
            let count = usize::from(*count);
            (1..=SOCKS_METHODS_MAX).contains(&count)
                && methods.len() == count
                && methods.iter().all(|method| matches!(method, 0..=9 | 0x80..))
        }
        [0x04, 1 | 2, _, _, a, b, c, d, names @ ..] => {
            let has_host = matches!((a, b, c, d), (0, 0, 0, 1..));
            is_socks_names(names, has_host)
        }
        _ => false,
    }
}

/// The user's name, and the host's in SOCKS 4a, each with a zero behind it.
fn is_socks_names(names: &[u8], has_host: bool) -> bool {
    let Some(names) = names.strip_suffix(&[0]) else { return false };
    let mut words = names.split(|byte| *byte == 0);
    let (user, host) = (words.next(), words.next());
    let is_word = |word: &[u8]| word.iter().all(u8::is_ascii_graphic);
    user.is_some_and(is_word)
        && host.is_some() == has_host
        && host.is_none_or(|host| !host.is_empty() && is_word(host))
        && words.next().is_none()
}

/// How many digits there are at the beginning, and what follows them.
fn digits(bytes: &[u8]) -> (usize, &[u8]) {
    let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count, &bytes[count..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether HTTP is seen in these bytes, however they are cut in two.
    #[track_caller]
    fn is_http(bytes: &[u8]) -> bool {
        let mut whole = Guard::START;
        let whole = whole.on_bytes(bytes);
        for cut in 0..bytes.len() {
            let mut guard = Guard::START;
            let is_seen = guard.on_bytes(&bytes[..cut]) || guard.on_bytes(&bytes[cut..]);
            assert_eq!(is_seen, whole, "{} cut at {cut}", bytes.escape_ascii());
        }
        whole
    }

    #[test]
    fn a_first_line_that_ends_in_a_version_is_http() {
        for line in [
            "GET / HTTP/1.1\n",
            "x / HTTP/1.1\r\n",
            "PRI * HTTP/2.0\r\n",
            "GET / HTTP/1.1 \t \r\n",
            "GET / HTTP/1.1 HTTP/1.0\n",
            "GET / HTTP/1. HTTP/1.0\n",
            "GET /  HTTP/1.1\n",
            "GET /\tHTTP/1.1\n",
            "\n\r\nGET / HTTP/1.1\n",
        ] {
            assert!(is_http(line.as_bytes()), "{line:?}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(1_000));
        assert!(is_http(long.as_bytes()));
        for line in [
            "GET / HTTP/1.1",
            "GET /HTTP/1.1\n",
            "GET / HTTP/1.1x\n",
            "GET / HTTP/11\n",
            "GET / HTTP/1.12\n",
            "GET / HTTP/1.1 HTTP\n",
            "hello\nGET / HTTP/1.1\n",
        ] {
            assert!(!is_http(line.as_bytes()), "{line:?}");
        }
    }

    #[test]
    fn an_early_line_that_begins_with_host_is_http() {
        assert!(is_http(b"Host:"));
        assert!(is_http(b"GET /\r\nhOsT: x\r\n"));
        assert!(is_http(&[&b"x\n".repeat(15)[..], b"host:"].concat()));
        assert!(!is_http(&[&b"x\n".repeat(16)[..], b"host:"].concat()));
        for line in ["host\n", " Host: x\n", "Hosts: x\n", "a host: b\n", "hos\nt:\n"] {
            assert!(!is_http(line.as_bytes()), "{line:?}");
        }
    }

    #[test]
    fn the_beginning_of_a_request_can_be_enough() {
        for head in ["GET /", "POST /x", "OPTIONS * HT", "M-SEARCH * HTTP", "GET http://x"] {
            assert!(begins_like_http(head.as_bytes()), "{head:?}");
        }
        for head in
            ["GET well soon", "HELLO WORLD", "cat /etc/motd", "GET/", "HELLO * ALL", " /", ""]
        {
            assert!(!begins_like_http(head.as_bytes()), "{head:?}");
        }
    }

    #[test]
    fn strangers_are_told_from_their_first_bytes() {
        let socks_4 = b"\x04\x01\0\x50\x0a\0\0\x01me\0";
        let socks_4a = b"\x04\x01\0\x50\0\0\0\x01\0host\0";
        for (bytes, wanted) in [
            (&b"\x16\x03"[..], Stranger::Tls),
            (b"SSH-2.0-x", Stranger::Ssh),
            (b"SSH-1.99-", Stranger::Ssh),
            (b"\x05\x01\0", Stranger::Socks),
            (b"\x05\x03\0\x01\xfe", Stranger::Socks),
            (socks_4, Stranger::Socks),
            (socks_4a, Stranger::Socks),
        ] {
            assert_eq!(stranger(bytes), Some(wanted), "{}", bytes.escape_ascii());
        }
        for bytes in [
            &b""[..],
            b"\x16",
            b"\x16\x04",
            b"SSH-",
            b"SSH-2-x",
            b"SSH-.0-x",
            b"SSH-2.-x",
            b"\x05",
            b"\x05\0",
            b"\x05\x02\0",
            b"\x05\x01\0\n",
            b"\x05\x01A",
            b"\x04\x01\0\x50\x7f\0\0\x01",
            b"\x04\x01\0\x50\x7f\0\0\x01\0host\0",
            b"\x04\x01\0\x50\0\0\0\x01\0",
            b"\x04\x01\0\x50\0\0\0\x01\0\0",
            b"\x04\x09\0\x50\x7f\0\0\x01\0",
        ] {
            assert_eq!(stranger(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
