//! Telnet (section 8 of `docs/PROTOCOL.md`): which connections speak it, and its commands, taken
//! out of the bytes between which they stand (RFC 854).
//!
//! Every option is refused, so that nothing has to be remembered between two sequences. What is
//! incomplete stays among the bytes, and is looked at again with more. To look twice at what is
//! clean changes nothing.

use memchr::{memchr, memchr3};

use super::input;
use super::reply::Style;

const IAC: u8 = 0xff;
const DONT: u8 = 0xfe;
const DO: u8 = 0xfd;
const WONT: u8 = 0xfc;
const WILL: u8 = 0xfb;
const SB: u8 = 0xfa;
const IP: u8 = 0xf4;
const SE: u8 = 0xf0;
/// The first of the bytes that are commands behind IAC.
const FIRST_COMMAND: u8 = 0xec;
/// Option 10 and 13 are line endings in text.
const NEWLINE: u8 = b'\n';
const RETURN: u8 = b'\r';
/// The last option that has a meaning, below those from 128 on.
const OPTION_MAX: u8 = 49;
/// How long a subnegotiation that begins a connection may be, in bytes.
const FIRST_SB_BYTES_MAX: usize = 64;
/// The option whose subnegotiation may hold newlines, a window's size, and how long that is at the
/// least, in bytes.
const NAWS: u8 = 31;
const NAWS_BYTES: usize = 9;
/// What Ctrl-C sends.
pub const INTERRUPT: &[u8] = &[IAC, IP];

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A telnet client's.
    Telnet,
    /// Anything else.
    Other,
    /// More have to come before that can be said.
    Unknown,
}

/// What became of bytes whose commands were taken out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// So many bytes may be cut into lines.
    pub end: usize,
    /// What is to be sent.
    pub replies: Vec<u8>,
    /// Why nothing was taken out behind `end`.
    pub stop: Stop,
}

/// Where the search for commands stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// At the end of the bytes, or at a command there that is incomplete.
    #[default]
    End,
    /// At an interrupt, which was taken out: it is for the request that is in progress once what
    /// came before has been taken.
    Interrupt,
    /// Behind a line after which there are no commands: payload comes, or frames.
    LastLine,
}

/// What stands at an IAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sequence {
    /// So many bytes of data.
    Data(usize),
    /// A command of so many bytes.
    Command(usize),
    /// The beginning of one.
    Incomplete,
}

/// What a connection speaks that begins with these bytes, all that came so far.
pub fn opening(bytes: &[u8]) -> Opening {
    let [IAC, rest @ ..] = bytes else { return Opening::Other };
    match rest {
        [SB..=DONT, option, ..] if !is_option(*option) => Opening::Other,
        [] | [SB..=DONT] | [WONT | DONT, _] => Opening::Unknown,
        [WONT | DONT, _, 0, ..] => Opening::Other,
        [WILL..=DONT, ..] => Opening::Telnet,
        [SB, option, ..] => match sequence(bytes) {
            Sequence::Command(count) if count <= FIRST_SB_BYTES_MAX => Opening::Telnet,
            Sequence::Incomplete if may_be_first(*option, bytes) => Opening::Unknown,
            _ => Opening::Other,
        },
        _ => Opening::Other,
    }
}

/// Takes the commands out of `bytes` as far as it can. `is_end` says that no more will come.
pub fn clean(bytes: &mut Vec<u8>, is_end: bool) -> Cleaned {
    let mut cleaned = Cleaned::default();
    let (mut from, mut to, mut line) = (0, 0, 0);
    while from < bytes.len() {
        let count = match (bytes[from], sequence(&bytes[from..])) {
            (IAC, Sequence::Command(count)) => {
                let command = &bytes[from..from + count];
                cleaned.replies.extend(refusal(command).into_iter().flatten());
                let is_interrupt = command == INTERRUPT;
                from += count;
                if is_interrupt {
                    cleaned.stop = Stop::Interrupt;
                    break;
                }
                continue;
            }
            (IAC, Sequence::Incomplete) => {
                shorten(bytes, from, is_end);
                break;
            }
            (IAC, Sequence::Data(count)) => count,
            (RETURN, _) if bytes.get(from + 1) == Some(&0) => {
                bytes[from + 1] = NEWLINE;
                1
            }
            (NEWLINE | RETURN, _) => 1,
            _ => memchr3(NEWLINE, RETURN, IAC, &bytes[from..]).unwrap_or(bytes.len() - from),
        };
        let is_line = bytes[from] == NEWLINE;
        bytes.copy_within(from..from + count, to);
        (from, to) = (from + count, to + count);
        if is_line {
            if is_last_line(&bytes[line..to - 1]) {
                cleaned.stop = Stop::LastLine;
                break;
            }
            line = to;
        }
    }
    bytes.drain(to..from);
    cleaned.end = to;
    cleaned
}

/// Whether one of these lines begins with an interrupt, and is no payload.
pub fn has_interrupted_line(bytes: &[u8]) -> bool {
    let mut lines = bytes.split_inclusive(|byte| *byte == NEWLINE);
    let stop = lines.find(|line| {
        line.starts_with(INTERRUPT) || is_last_line(line.strip_suffix(b"\n").unwrap_or(line))
    });
    stop.is_some_and(|line| line.starts_with(INTERRUPT))
}

/// What stands at the beginning, which is an IAC where it matters.
fn sequence(bytes: &[u8]) -> Sequence {
    match bytes {
        [IAC] | [IAC, WILL..=DONT] => Sequence::Incomplete,
        [IAC, WILL..=DONT, ..] => Sequence::Command(3),
        [IAC, SB, rest @ ..] => match rest_of_subnegotiation(rest) {
            Ok(count) => Sequence::Command(2 + count),
            Err(_) => Sequence::Incomplete,
        },
        [IAC, IAC, ..] => Sequence::Data(2),
        [IAC, FIRST_COMMAND..=0xff, ..] => Sequence::Command(2),
        _ => Sequence::Data(1),
    }
}

/// How long a subnegotiation is behind its SB, its IAC SE counted; where it does not end, whether
/// it stops at an IAC.
fn rest_of_subnegotiation(bytes: &[u8]) -> Result<usize, bool> {
    let mut at = 0;
    while let Some(found) = memchr(IAC, &bytes[at..]) {
        at += found + 2;
        match bytes.get(at - 1) {
            Some(&SE) => return Ok(at),
            Some(_) => {}
            None => return Err(true),
        }
    }
    Err(false)
}

/// Keeps of an incomplete command only what is needed to know its end; nothing at the end of input.
fn shorten(bytes: &mut Vec<u8>, from: usize, is_end: bool) {
    if is_end {
        bytes.truncate(from);
    } else if let [IAC, SB, rest @ ..] = &bytes[from..]
        && let Err(is_at_iac) = rest_of_subnegotiation(rest)
    {
        bytes.truncate(from + 2);
        bytes.extend(is_at_iac.then_some(IAC));
    }
}

/// The answer to the offer of an option, or the wish for one.
fn refusal(command: &[u8]) -> Option<[u8; 3]> {
    match *command {
        [IAC, DO, option] => Some([IAC, WONT, option]),
        [IAC, WILL, option] => Some([IAC, DONT, option]),
        _ => None,
    }
}

/// Whether no command can come behind this line.
fn is_last_line(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    input::payload_bytes(line, Style::Plain) > 0 || line.starts_with(b"landline/")
}

/// Whether this can be an option at the beginning of a connection.
fn is_option(option: u8) -> bool {
    match option {
        NEWLINE | RETURN => false,
        option => option <= OPTION_MAX || option >= 0x80,
    }
}

/// Whether an incomplete subnegotiation may be a client's first words still.
fn may_be_first(option: u8, bytes: &[u8]) -> bool {
    let is_naws = option == NAWS && bytes.len() < NAWS_BYTES;
    is_naws || (bytes.len() < FIRST_SB_BYTES_MAX && memchr(NEWLINE, bytes).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of `input` that comes in pieces of `step` bytes, and the answers.
    fn cleaned(input: &[u8], step: usize) -> (Vec<u8>, Vec<u8>, usize) {
        let (mut bytes, mut replies, mut interrupts) = (Vec::new(), Vec::new(), 0);
        for piece in input.chunks(step) {
            bytes.extend_from_slice(piece);
            loop {
                let cleaned = clean(&mut bytes, false);
                replies.extend(cleaned.replies);
                if cleaned.stop != Stop::Interrupt {
                    break;
                }
                interrupts += 1;
            }
        }
        clean(&mut bytes, true);
        (bytes, replies, interrupts)
    }

    #[test]
    fn commands_are_taken_out_however_they_are_cut() {
        let input =
            b"\xff\xfb\x18he\xff\xfd\x01l\xff\xfa\x1f\0\x0a\xff\xff\xff\xf0lo\xff\xf4 \xff\xff\
            \xff\xf9\xff\xfe\x03\xff\xfc\x03a\r\0b\r\n\xffA\xff";
        let left = b"hello \xff\xffa\r\nb\r\n\xffA";
        let replies = b"\xff\xfe\x18\xff\xfc\x01";
        for step in 1..=input.len() {
            let expected = (left.to_vec(), replies.to_vec(), 1);
            assert_eq!(cleaned(input, step), expected, "in steps of {step}");
        }
    }

    #[test]
    fn to_clean_twice_changes_nothing() {
        let mut bytes = b"a\xff\xff\xff\xf1\xff\xff\xff\xff\xf4b\xffA\n".to_vec();
        clean(&mut bytes, false);
        let once = bytes.clone();
        assert_eq!(clean(&mut bytes, false).end, once.len());
        assert_eq!(bytes, once);
    }

    #[test]
    fn payload_is_left_alone() {
        for line in ["upload 4 f\n", "upload - f\r\n", "landline/1\n"] {
            let mut bytes = [b"pi\xff\xf1ng\n", line.as_bytes(), b"\xff\xf4\xff"].concat();
            let cleaned = clean(&mut bytes, true);
            assert_eq!((cleaned.end, cleaned.stop), (5 + line.len(), Stop::LastLine));
            assert_eq!(bytes, [b"ping\n", line.as_bytes(), b"\xff\xf4\xff"].concat());
        }
    }

    #[test]
    fn an_interrupt_is_found_at_the_beginning_of_a_line() {
        assert!(has_interrupted_line(b"\xff\xf4"));
        assert!(has_interrupted_line(b"ping\r\n\n\xff\xf4\xff\xfd\x06ping\n"));
        for bytes in [&b""[..], b"\xff\n\xf4", b"x\xff\xf4\n", b"upload 2 f\r\n\xff\xf4\n"] {
            assert!(!has_interrupted_line(bytes), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_incomplete_is_bounded() {
        let mut bytes = [&b"x\xff\xfa\x18"[..], &[b'y'; 10_000], b"\xff"].concat();
        assert_eq!(clean(&mut bytes, false).end, 1);
        assert_eq!(bytes, b"x\xff\xfa\xff");
        bytes.extend_from_slice(b"\xf0z");
        assert_eq!(clean(&mut bytes, false).end, 2);
        assert_eq!(bytes, b"xz");
    }

    #[test]
    fn text_does_not_open_telnet() {
        for bytes in [
            &b"\xff\xfd\x18"[..],
            b"\xff\xfb\x2f",
            b"\xff\xfb\xc8",
            b"\xff\xfe\x01p",
            b"\xff\xfa\x1f\0\x0a\0\x0a\xff\xf0",
        ] {
            assert_eq!(opening(bytes), Opening::Telnet, "{}", bytes.escape_ascii());
        }
        for bytes in [
            &b"\xff"[..],
            b"\xff\xfd",
            b"\xff\xfe\x01",
            b"\xff\xfa\x1f\0\x0a",
            b"\xff\xfa\x18\0xterm",
        ] {
            assert_eq!(opening(bytes), Opening::Unknown, "{}", bytes.escape_ascii());
        }
        for bytes in [
            &b"hello"[..],
            b"\xff\xff",
            b"\xff\n",
            b"\xff\xfb\n",
            b"\xff\xfd\r\n",
            b"\xff\xfeh\0",
            b"\xff\xfe1\0",
            b"\xff\xfa hello\n",
            b"\xff\xf4",
        ] {
            assert_eq!(opening(bytes), Opening::Other, "{}", bytes.escape_ascii());
        }
    }
}
