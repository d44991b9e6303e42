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
    /// Two streams in one, each in its order, and a newline where they do not end in one.
    Mixed(Vec<u8>, Vec<u8>),
    /// Names of clients, with a blank before each, this one among them, none twice.
    Users(Option<String>),
    /// These lines of a listing, each with its name, in this order; where `true`, with lines of
    /// files among them that clients stored, but none behind the last.
    Listing(Vec<(String, String)>, bool),
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
            Self::Users(own) => write!(out, "users with {own:?}"),
            Self::Mixed(first, second) => {
                write!(out, "{} and {}, mixed", show(first), show(second))
            }
            Self::Listing(lines, _) => write!(out, "{} lines of a listing", lines.len()),
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

/// Codes with which the server ends a connection by itself.
pub(super) const FAREWELL_CODES: &[&str] = &["timeout", "slow", "stopping", "busy", "internal"];
/// No line with which it does is longer, in bytes.
const FAREWELL_BYTES_MAX: usize = 100;

/// Whether a beginning of what the pieces say is broken off, and so is the error line behind it.
pub(super) fn ends_in_farewell(bytes: &[u8], pieces: &[Piece]) -> bool {
    let longest = bytes.len().min(FAREWELL_BYTES_MAX);
    (1..=longest).any(|length| {
        let (head, tail) = bytes.split_at(bytes.len() - length);
        let head = head.strip_suffix(b"\n").unwrap_or(head);
        error(tail, FAREWELL_CODES, true) == Match::Cut && begins(head, pieces)
    })
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

/// How many of these bytes are as the pieces say.
pub(super) fn agreed(bytes: &[u8], pieces: &[Piece]) -> usize {
    let mut at = 0;
    for piece in pieces {
        match (compare(&bytes[at..], piece), piece) {
            (Match::Whole(length), _) => at += length,
            (_, Piece::Exact(want)) => {
                return at + bytes[at..].iter().zip(want).take_while(|(a, b)| a == b).count();
            }
            _ => return at,
        }
    }
    at
}

pub(super) fn is_silent(pieces: &[Piece]) -> bool {
    pieces.iter().all(|piece| match piece {
        Piece::Exact(bytes) => bytes.is_empty(),
        Piece::Maybe(_) => true,
        Piece::Listing(lines, _) => lines.is_empty(),
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
        Piece::Users(own) => users(bytes, own.as_deref()),
        Piece::Mixed(first, second) => mixed(bytes, first, second),
        Piece::Listing(lines, holds_more) => listing(bytes, lines, *holds_more),
    }
}

fn users(bytes: &[u8], own: Option<&str>) -> Match {
    let Some(end) = find(bytes, b"\n") else { return Match::Cut };
    let Ok(line) = str::from_utf8(&bytes[..end]) else { return Match::Other };
    let names: Vec<&str> = line.split(' ').skip(1).collect();
    let is_client = |name: &&str| {
        let number = name.strip_prefix('u').and_then(|number| number.parse::<usize>().ok());
        number.is_some() && names.iter().filter(|other| *other == name).count() == 1
    };
    let is_begun = line.is_empty() || line.starts_with(' ');
    let is_there = own.is_none_or(|own| names.contains(&own));
    let is_right = is_begun && is_there && names.iter().all(is_client);
    if is_right { Match::Whole(end) } else { Match::Other }
}

fn mixed(bytes: &[u8], first: &[u8], second: &[u8]) -> Match {
    let length = first.len() + second.len();
    // How much of the second may be there: more than one number where both go on alike.
    let (mut taken, mut next) = (vec![0], Vec::new());
    for (at, byte) in bytes.iter().take(length).enumerate() {
        next.clear();
        for count in taken.iter().copied() {
            if first.get(at - count) == Some(byte) && !next.contains(&count) {
                next.push(count);
            }
            if second.get(count) == Some(byte) {
                next.push(count + 1);
            }
        }
        if next.is_empty() {
            return Match::Other;
        }
        std::mem::swap(&mut taken, &mut next);
    }
    if bytes.len() < length {
        return Match::Cut;
    }
    if bytes[length - 1] == b'\n' {
        return Match::Whole(length);
    }
    match bytes.get(length) {
        Some(b'\n') => Match::Whole(length + 1),
        Some(_) => Match::Other,
        None => Match::Cut,
    }
}

fn listing(bytes: &[u8], lines: &[(String, String)], holds_more: bool) -> Match {
    let (mut at, mut next) = (0, 0);
    let mut before: Option<&[u8]> = None;
    while let Some((name, line)) = lines.get(next) {
        let rest = &bytes[at..];
        let Some(end) = find(rest, b"\n") else { return Match::Cut };
        let got = &rest[..=end];
        at += got.len();
        if got == line.as_bytes() {
            before = Some(name.as_bytes());
            next += 1;
            continue;
        }
        let Some(stored) = stored_name(got).filter(|_| holds_more) else { return Match::Other };
        let is_in_order = before.is_none_or(|before| before < stored) && stored < name.as_bytes();
        if !is_in_order {
            return Match::Other;
        }
        before = Some(stored);
    }
    Match::Whole(at)
}

/// The name in a line of a listing, where it is one that clients give to what they store.
fn stored_name(line: &[u8]) -> Option<&[u8]> {
    let mut words = line.strip_suffix(b"\n")?.splitn(3, |byte| *byte == b' ');
    let (size, date, name) = (words.next()?, words.next()?, words.next()?);
    let is_size = !size.is_empty() && size.iter().all(u8::is_ascii_digit);
    let is_date = date.starts_with(b"2020-12-1") && date.ends_with(b"Z") && date.len() == 20;
    let is_stored = name.starts_with(b"up-") || name.starts_with(b"own-");
    (is_size && is_date && is_stored).then_some(name)
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
    // No error text moves a cursor or rings a bell, whatever the request held.
    if line.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
        return Match::Other;
    }
    match end {
        Some(end) => Match::Whole(end + 1),
        None if has_newline => Match::Cut,
        None => Match::Whole(bytes.len()),
    }
}

pub(super) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
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
