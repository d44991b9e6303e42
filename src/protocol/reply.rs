//! How a reply is written: plain lines for people, frames for programs; and how frames are read.
//!
//! A frame is a header line, `TYPE LEN[ KEY=VALUE]...`, and LEN bytes of payload (section 4 of
//! `docs/PROTOCOL.md`). What it does not do: decide what is replied (`session`), or move bytes.

use std::fmt::Write as _;

use super::limits::HEADER_BYTES_MAX;
use super::refusal::Refusal;

/// The two ways a reply is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For a person, and for `nc … > file`.
    Plain,
    /// For programs.
    Framed,
}

/// One `KEY=VALUE` of a header; the value is written with `%XX` where it must be.
pub type Key<'a> = (&'a str, &'a [u8]);

/// A frame with its payload.
pub fn frame(kind: &str, keys: &[Key<'_>], payload: &[u8]) -> Vec<u8> {
    let mut out = header(kind, payload.len() as u64, keys);
    out.extend_from_slice(payload);
    out
}

/// A frame's header line alone, for a payload of `len` bytes that follows by itself.
pub fn header(kind: &str, len: u64, keys: &[Key<'_>]) -> Vec<u8> {
    let mut line = String::with_capacity(24 + 24 * keys.len());
    write!(line, "{kind} {len}").expect("a String takes all that is written");
    for (key, value) in keys {
        line.push(' ');
        line.push_str(key);
        line.push('=');
        escape(&mut line, value);
    }
    line.push('\n');
    line.into_bytes()
}

/// The final frame of a request that was met.
pub fn done(keys: &[Key<'_>], payload: &[u8]) -> Vec<u8> {
    frame("done", keys, payload)
}

/// The same without keys, behind what is in `out`.
pub fn done_into(out: &mut Vec<u8>, payload: &[u8]) {
    out.extend_from_slice(b"done ");
    push_number(out, payload.len());
    out.push(b'\n');
    out.extend_from_slice(payload);
}

/// A number in decimal: what `write!` does, without its detours.
fn push_number(out: &mut Vec<u8>, mut number: usize) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b"0123456789"[number % 10];
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// The final frame of a request that was not met.
pub fn fail(refusal: &Refusal) -> Vec<u8> {
    frame("fail", &[("code", refusal.code.as_str().as_bytes())], refusal.text.as_bytes())
}

/// The line `error CODE: TEXT`, without its newline.
pub fn error_line(refusal: &Refusal) -> Vec<u8> {
    format!("error {}: {}", refusal.code.as_str(), refusal.text).into_bytes()
}

/// Bytes as a VALUE: what is outside `!`–`~`, and `%`, as `%XX`.
fn escape(line: &mut String, value: &[u8]) {
    for &byte in value {
        if byte.is_ascii_graphic() && byte != b'%' {
            line.push(char::from(byte));
        } else {
            write!(line, "%{byte:02X}").expect("a String takes all that is written");
        }
    }
}

/// A header as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// TYPE: lower-case letters.
    pub kind: String,
    /// LEN: bytes of payload that follow.
    pub len: u64,
    /// Keys and their decoded values, in order.
    pub keys: Vec<(String, Vec<u8>)>,
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Longer than `HEADER_BYTES_MAX`.
    TooLong,
    /// TYPE is not made of lower-case letters.
    Kind,
    /// LEN is not a number below 2^63.
    Length,
    /// Not `KEY=VALUE`, bytes in it that are not from `!` to `~`, or a VALUE with a bad `%XX`.
    Key,
}

impl Header {
    /// Reads a header line, without its newline.
    pub fn parse(line: &[u8]) -> Result<Self, Malformed> {
        if line.len() > HEADER_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        let mut words = line.split(|byte| *byte == b' ');
        let kind = words.next().unwrap_or_default();
        if kind.is_empty() || !kind.iter().all(u8::is_ascii_lowercase) {
            return Err(Malformed::Kind);
        }
        let len = words.next().and_then(number).ok_or(Malformed::Length)?;
        let keys = words.map(key_value).collect::<Option<_>>().ok_or(Malformed::Key)?;
        Ok(Self { kind: String::from_utf8_lossy(kind).into_owned(), len, keys })
    }

    /// The value of `key`, where it is there.
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.keys.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_slice())
    }

    /// The value of `key` as a decimal number, where it is there and is one.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.value(key).and_then(number)
    }
}

/// A decimal number below 2^63, digits alone.
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: u64 = str::from_utf8(digits).ok()?.parse().ok()?;
    (i64::try_from(value).is_ok()).then_some(value)
}

fn key_value(word: &[u8]) -> Option<(String, Vec<u8>)> {
    let middle = word.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&word[..middle], &word[middle + 1..]);
    let is_pair = !key.is_empty() && word.iter().all(u8::is_ascii_graphic);
    is_pair.then_some(())?;
    Some((String::from_utf8_lossy(key).into_owned(), unescape(value)?))
}

fn unescape(value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, after @ ..] = rest {
        if *first != b'%' {
            out.push(*first);
            rest = after;
            continue;
        }
        let digits = after.get(..2).filter(|two| two.iter().all(u8::is_ascii_hexdigit))?;
        let digits = str::from_utf8(digits).ok()?;
        out.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::refusal::Code;
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = frame("file", &[("size", b"12"), ("name", "a b%é".as_bytes())], b"payload");
        let end = bytes.iter().position(|byte| *byte == b'\n').expect("a header is a line");
        let header = Header::parse(&bytes[..end]).expect("what was written is well formed");
        assert_eq!((header.kind.as_str(), header.len), ("file", 7));
        assert_eq!(header.number("size"), Some(12));
        assert_eq!(header.value("name"), Some("a b%é".as_bytes()));
        assert_eq!(header.value("none"), None);
        assert_eq!(&bytes[end + 1..], b"payload");
    }

    #[test]
    fn headers_are_written_byte_for_byte() {
        assert_eq!(header("data", 5, &[]), b"data 5\n");
        assert_eq!(done(&[("exit", b"3")], b""), b"done 0 exit=3\n");
        for payload in [vec![], vec![b'x'; 9], vec![b'x'; 10], vec![b'x'; 12_345]] {
            let mut out = b"before".to_vec();
            done_into(&mut out, &payload);
            assert_eq!(out, [b"before", &*done(&[], &payload)].concat());
        }
        let refusal = Refusal::new(Code::Version, "no");
        assert_eq!(fail(&refusal), b"fail 2 code=version\nno");
        assert_eq!(error_line(&refusal), b"error version: no");
    }

    #[test]
    fn malformed_headers_are_told_apart() {
        let long = vec![b'a'; HEADER_BYTES_MAX + 1];
        let cases: [(&[u8], Malformed); 9] = [
            (b"", Malformed::Kind),
            (b"Done 0", Malformed::Kind),
            (b"done", Malformed::Length),
            (b"done -1", Malformed::Length),
            (b"done 9223372036854775808", Malformed::Length),
            (b"done 0 key", Malformed::Key),
            (b"done 0 k=%4", Malformed::Key),
            (b"done 0 k=%+4", Malformed::Key),
            (&long, Malformed::TooLong),
        ];
        for (line, expected) in cases {
            assert_eq!(Header::parse(line), Err(expected), "{}", String::from_utf8_lossy(line));
        }
    }

    /// The frames that the C tests read too.
    const VECTORS: &str = include_str!("../../c-compat/vectors/frames.txt");

    fn bytes_of(digits: &str) -> Vec<u8> {
        let pairs = digits.as_bytes().chunks_exact(2).map(|pair| str::from_utf8(pair));
        let byte = |pair: Result<&str, _>| u8::from_str_radix(pair.ok()?, 16).ok();
        pairs.map(|pair| byte(pair).expect("two hexadecimal digits")).collect()
    }

    fn bytes(word: &str) -> Vec<u8> {
        if word == "-" { Vec::new() } else { bytes_of(word) }
    }

    #[test]
    fn vectors_are_read_as_they_say() {
        let lines = VECTORS.lines().filter(|line| !line.starts_with('#'));
        let mut counts = [0, 0];
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            let (is_good, frame) = (words[0] == "good", bytes(words[2]));
            counts[usize::from(is_good)] += 1;
            let end = frame.iter().position(|byte| *byte == b'\n').unwrap_or(frame.len());
            let parsed = Header::parse(&frame[..end]);
            if !is_good {
                assert!(parsed.is_err(), "{line}: {parsed:?}");
                continue;
            }
            let header = parsed.unwrap_or_else(|why| panic!("{line}: {why:?}"));
            assert_eq!(
                (header.kind.as_str(), header.len.to_string().as_str()),
                (words[3], words[4])
            );
            assert_eq!(frame[end + 1..], bytes(words[5]), "{line}");
            for pair in &words[6..] {
                let (key, value) = pair.rsplit_once('=').expect("KEY=VALUE");
                assert_eq!(header.value(key), Some(bytes(value).as_slice()), "{line}");
            }
        }
        assert!(counts.iter().all(|count| *count > 9), "{counts:?} vectors");
    }
}
