//! Comparing bytes with the pieces of a reply.

/// A piece of a plain reply, or of a payload.
#[derive(Clone, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Exact(Vec<u8>),
    /// `YYYY-MM-DD HH:MM:SS`.
    Date,
    /// `error CODE: TEXT`, with one of these codes, and a newline where `true`.
    Error(&'static [&'static str], bool),
    /// Any line, with its newline.
    Line,
    /// Whatever comes, to the end.
    Rest,
    /// An error with one of these codes, or nothing.
    Maybe(&'static [&'static str]),
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(bytes) => out.write_str(&show(bytes)),
            Self::Date => out.write_str("a date"),
            Self::Error(codes, _) => write!(out, "error {codes:?}"),
            Self::Line => out.write_str("a line"),
            Self::Rest => out.write_str("whatever comes"),
            Self::Maybe(codes) => write!(out, "perhaps error {codes:?}"),
        }
    }
}

/// How a piece compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// It is there, and so long.
    Whole(usize),
    /// All there is begins it.
    Cut,
    /// It is something else.
    Other,
}

/// Whether these bytes begin what the pieces say.
pub(super) fn begins(bytes: &[u8], pieces: &[Piece]) -> bool {
    let mut at = 0;
    for piece in pieces {
        match compare(&bytes[at..], piece) {
            Match::Whole(length) => at += length,
            Match::Cut => return true,
            Match::Other => return false,
        }
    }
    at == bytes.len()
}

pub(super) fn is_silent(pieces: &[Piece]) -> bool {
    pieces.iter().all(|piece| match piece {
        Piece::Exact(bytes) => bytes.is_empty(),
        Piece::Maybe(_) => true,
        _ => false,
    })
}

pub(super) fn compare(bytes: &[u8], piece: &Piece) -> Match {
    match piece {
        Piece::Exact(want) if bytes.starts_with(want) => Match::Whole(want.len()),
        Piece::Exact(want) if want.starts_with(bytes) => Match::Cut,
        Piece::Exact(_) => Match::Other,
        Piece::Date if bytes.len() < 19 => Match::Cut,
        Piece::Date => date_length(bytes).map_or(Match::Other, Match::Whole),
        Piece::Error(codes, has_newline) => error(bytes, codes, *has_newline),
        Piece::Maybe(codes) => match error(bytes, codes, true) {
            Match::Other => Match::Whole(0),
            Match::Cut if bytes.is_empty() => Match::Whole(0),
            matched => matched,
        },
        Piece::Rest => Match::Whole(bytes.len()),
        Piece::Line => find(bytes, b"\n").map_or(Match::Cut, |end| Match::Whole(end + 1)),
    }
}

/// `error CODE: TEXT`.
pub(super) fn error(bytes: &[u8], codes: &[&str], has_newline: bool) -> Match {
    let head = b"error ";
    if !bytes.starts_with(&head[..bytes.len().min(head.len())]) {
        return Match::Other;
    }
    let end = find(bytes, b"\n");
    let Some(line) = bytes.get(head.len()..end.unwrap_or(bytes.len())) else { return Match::Cut };
    let is_code =
        |code: &&str| line.starts_with(code.as_bytes()) && line[code.len()..].starts_with(b": ");
    if !codes.iter().any(is_code) {
        return if end.is_none() && line.len() < 16 { Match::Cut } else { Match::Other };
    }
    match end {
        Some(end) => Match::Whole(end + 1),
        None if has_newline => Match::Cut,
        None => Match::Whole(bytes.len()),
    }
}

pub(super) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

pub(super) fn date_length(bytes: &[u8]) -> Option<usize> {
    let date = bytes.get(..19)?;
    let is_date = date.iter().zip(b"dddd-dd-dd dd:dd:dd").all(|(byte, form)| match form {
        b'd' => byte.is_ascii_digit(),
        other => byte == other,
    });
    is_date.then_some(19)
}

/// Bytes for people.
pub(super) fn show(bytes: &[u8]) -> String {
    let most = bytes.len().min(160);
    let dots = if most < bytes.len() { " …" } else { "" };
    format!("{} bytes \"{}\"{dots}", bytes.len(), bytes[..most].escape_ascii())
}
