//! What belongs to a request beyond its line: the payload that follows it, and the frames a client
//! sends for a command it made (`in`, `eof`, `winch`; section 5 of `docs/PROTOCOL.md`).
//!
//! What it does not do: say whose it is (`session`), or carry it.

use super::effect::WindowSize;
use super::limits::TERM_BYTES_MAX;
use super::refusal::{Code, Refusal};
use super::reply::{Style, number};
use super::request::{Parsed, Request, split_word};

/// How many bytes of payload follow the line, whatever becomes of the request.
pub fn payload_bytes(line: &[u8], style: Style) -> u64 {
    // Asked of every line: one that begins otherwise is told from its first byte.
    if !matches!(line.first(), Some(b'u' | b'i' | b'e' | b'w')) {
        return 0;
    }
    let (word, operands) = split_word(line);
    let (size, rest) = split_word(operands);
    match word {
        b"in" | b"eof" | b"winch" if style == Style::Framed => number(size).unwrap_or(0),
        b"upload" if size == b"-" && !rest.is_empty() && style == Style::Plain => u64::MAX,
        b"upload" if !rest.is_empty() => number(size).unwrap_or(0),
        _ => 0,
    }
}

/// Whether a framed line is no request, but a part of one that was made before.
pub fn is_input(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'i' | b'e' | b'w'))
        && matches!(split_word(line).0, b"in" | b"eof" | b"winch")
}

/// The length of a frame from the client, behind its type.
pub(super) fn frame_bytes(operands: &[u8]) -> Option<u64> {
    number(split_word(operands).0)
}

/// `in LEN`, `eof 0`: well formed where LEN is a number; keys are for later versions.
pub(super) fn no_request<'a>(operands: &[u8], request: Request<'a>) -> Parsed<'a> {
    match frame_bytes(operands) {
        Some(_) => Ok(request),
        None => Err(Refusal::new(Code::BadRequest, "the length of a frame is a number")),
    }
}

/// `winch 0 cols=C rows=R[ term=NAME]`.
pub(super) fn winch(operands: &[u8]) -> Parsed<'_> {
    const USAGE: &str = "use: winch 0 cols=C rows=R, from 1 to 65535 each";
    let value = |key: &[u8]| {
        let mut words = operands.split(|byte| *byte == b' ');
        words.find_map(|word| word.strip_prefix(key)?.strip_prefix(b"="))
    };
    let characters = |key| u16::try_from(number(value(key)?)?).ok().filter(|count| *count > 0);
    let size =
        characters(b"cols").zip(characters(b"rows")).filter(|_| frame_bytes(operands).is_some());
    let Some((columns, rows)) = size else { return Err(Refusal::new(Code::BadRequest, USAGE)) };
    let kind = value(b"term").map(terminal_kind).transpose()?;
    Ok(Request::Winch { size: WindowSize { columns, rows }, kind })
}

/// A terminal's type, as terminfo(5) has them: it becomes a part of a command's environment.
fn terminal_kind(name: &[u8]) -> Result<&str, Refusal> {
    let is_kind = |byte: &u8| byte.is_ascii_alphanumeric() || b"._+-".contains(byte);
    let is_named = (1..=TERM_BYTES_MAX).contains(&name.len()) && name.iter().all(is_kind);
    match str::from_utf8(name) {
        Ok(kind) if is_named => Ok(kind),
        _ => Err(Refusal::quoting(Code::BadRequest, name, "no type of a terminal")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::parse;
    use super::*;

    fn code(line: &str) -> Code {
        parse(line.as_bytes(), Style::Framed).expect_err(line).code
    }

    #[test]
    fn a_terminal_has_a_size_and_perhaps_a_type() {
        let winch = |kind| Ok(Request::Winch { size: WindowSize { columns: 80, rows: 24 }, kind });
        let framed = |line: &'static str| parse(line.as_bytes(), Style::Framed);
        assert_eq!(framed("winch 0 cols=80 rows=24"), winch(None));
        assert_eq!(
            framed("winch 0 x=1 rows=24 term=xterm-256color cols=80"),
            winch(Some("xterm-256color"))
        );
        for line in [
            "winch",
            "winch 0",
            "winch 0 cols=80",
            "winch 0 cols=0 rows=1",
            "winch 0 cols=65536 rows=1",
            "winch x cols=1 rows=1",
            "winch 0 cols=1 rows=1 term=a/b",
            "winch 0 cols=1 rows=1 term=",
        ] {
            assert_eq!(code(line), Code::BadRequest, "{line:?}");
        }
    }

    #[test]
    fn payload_is_known_from_the_line() {
        assert_eq!(payload_bytes(b"upload 12 f", Style::Plain), 12);
        assert_eq!(payload_bytes(b"upload - f", Style::Plain), u64::MAX);
        assert_eq!(payload_bytes(b"upload - f", Style::Framed), 0);
        assert_eq!(payload_bytes(b"upload 12", Style::Plain), 0);
        assert_eq!(payload_bytes(b"in 5", Style::Framed), 5);
        assert_eq!(payload_bytes(b"in 5", Style::Plain), 0);
    }
}
