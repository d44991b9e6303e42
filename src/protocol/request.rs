//! Requests: what one line asks for. A table of verbs, each with the parser of its operands.
//!
//! What it does not do: know whether a verb is switched on, or what state the connection is in
//! (`session`), or meet the request.

use super::effect::{RunRequest, Stdin, WindowSize};
use super::input::{frame_bytes, no_request, winch};
use super::limits::VERSION;
use super::name::Name;
use super::refusal::{Code, Refusal};
use super::reply::{Style, number};
use super::text::trim;

/// What one line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Send the line back.
    Echo,
    /// Send a file from byte `offset` on.
    Download {
        /// Where to begin, in bytes.
        offset: u64,
        /// The file, relative to the served root.
        path: &'a [u8],
    },
    /// List a directory (the root where the path is empty); of a file, its status.
    Files(&'a [u8]),
    /// The size, time and name of a file.
    Stat(&'a [u8]),
    /// Run a command.
    Run(RunRequest<'a>),
    /// Store a file, whose bytes follow.
    Upload {
        /// How many; `None` for all to the end of input.
        bytes: Option<u64>,
        /// The file, relative to the served root.
        path: &'a [u8],
    },
    /// Take a name.
    Name(&'a [u8]),
    /// Who has a name.
    List,
    /// Pass a message on.
    Send(Message<'a>),
    /// A list of the requests.
    Help,
    /// Are you there?
    Ping,
    /// End the connection.
    Quit,
    /// Frames from now on.
    Framed,
    /// End the request in progress (framed alone).
    Cancel,
    /// The server's counters.
    Stats,
    /// No request: input for a command, as payload.
    In,
    /// No request: the end of a command's input.
    Eof,
    /// No request: what the terminal of a command is like.
    Winch {
        /// Its size.
        size: WindowSize,
        /// Its type, where it is said.
        kind: Option<&'a str>,
    },
}

/// A message and its recipients, as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The users' names with blanks between them; `None` stands for all.
    pub users: Option<&'a [u8]>,
    /// The text, without blanks around it; never empty.
    pub text: &'a [u8],
}

pub(super) type Parsed<'a> = Result<Request<'a>, Refusal>;

/// A verb: the word that selects it and the parser of what follows. A `word` that ends in `@` or
/// `/` stands for any word with that beginning; its parser sees the rest of the word as `suffix`.
struct Verb {
    word: &'static str,
    styles: &'static [Style],
    parse: for<'a> fn(suffix: &'a [u8], operands: &'a [u8]) -> Parsed<'a>,
}

const BOTH: &[Style] = &[Style::Plain, Style::Framed];
const FRAMED: &[Style] = &[Style::Framed];

/// The verbs of the `line` service. The whole word is compared, so that their order is of no
/// matter.
const VERBS: &[Verb] = &[
    Verb { word: "download", styles: BOTH, parse: |_, path| download(b"0", path) },
    Verb { word: "download@", styles: BOTH, parse: download },
    Verb { word: "files", styles: BOTH, parse: |_, path| Ok(Request::Files(path)) },
    Verb {
        word: "stat",
        styles: BOTH,
        parse: |_, path| Ok(Request::Stat(needs(path, "stat FILE")?)),
    },
    Verb { word: "run", styles: BOTH, parse: |_, command| run(command, Stdin::Empty) },
    Verb {
        word: "name",
        styles: BOTH,
        parse: |_, user| Ok(Request::Name(needs(user, "name USER")?)),
    },
    Verb { word: "get_list", styles: BOTH, parse: |_, rest| alone(rest, Request::List) },
    Verb { word: "send", styles: BOTH, parse: |_, rest| send(rest).map(Request::Send) },
    Verb { word: "help", styles: BOTH, parse: |_, rest| alone(rest, Request::Help) },
    Verb { word: "ping", styles: BOTH, parse: |_, rest| alone(rest, Request::Ping) },
    Verb { word: "quit", styles: BOTH, parse: |_, rest| alone(rest, Request::Quit) },
    Verb { word: "close", styles: BOTH, parse: |_, rest| alone(rest, Request::Quit) },
    Verb { word: "landline/", styles: BOTH, parse: version },
    Verb { word: "upload", styles: BOTH, parse: upload },
    Verb { word: "stats", styles: BOTH, parse: |_, rest| alone(rest, Request::Stats) },
    Verb { word: "run@in", styles: BOTH, parse: |_, command| run(command, Stdin::Pipe) },
    Verb { word: "run@pty", styles: BOTH, parse: |_, command| run(command, Stdin::Terminal) },
    Verb { word: "cancel", styles: FRAMED, parse: |_, rest| alone(rest, Request::Cancel) },
    Verb { word: "in", styles: FRAMED, parse: |_, rest| no_request(rest, Request::In) },
    Verb { word: "eof", styles: FRAMED, parse: |_, rest| no_request(rest, Request::Eof) },
    Verb { word: "winch", styles: FRAMED, parse: |_, rest| winch(rest) },
];

/// For each first byte of a line, how many verbs to skip: those before the first one that begins
/// so. An echo mostly begins as none does, and is compared with none.
const SKIPPED: [usize; 256] = {
    let mut skipped = [VERBS.len(); 256];
    let mut number = VERBS.len();
    while number > 0 {
        number -= 1;
        skipped[VERBS[number].word.as_bytes()[0] as usize] = number;
    }
    skipped
};

/// What a line without its ending asks for on the `line` service.
pub fn parse(line: &[u8], style: Style) -> Parsed<'_> {
    let skipped = line.first().map_or(VERBS.len(), |byte| SKIPPED[usize::from(*byte)]);
    if skipped == VERBS.len() {
        return Ok(Request::Echo);
    }
    let (word, operands) = split_word(line);
    let verb = VERBS[skipped..].iter().find_map(|verb| Some((verb, verb.suffix_of(word)?)));
    match verb {
        Some((verb, suffix)) if verb.styles.contains(&style) => {
            style_allows((verb.parse)(suffix, operands)?, style)
        }
        Some((Verb { word: "in" | "eof" | "winch", .. }, _)) if frame_bytes(operands).is_some() => {
            Err(Refusal::new(Code::BadRequest, "this is a frame: say landline/1 first"))
        }
        _ => Ok(Request::Echo),
    }
}

/// `TEXT | U`: the last `|` counts, blanks around it are dropped. `None` where there is no `|`, no
/// text, or U is not a well-formed name.
pub fn piped(line: &[u8]) -> Option<Message<'_>> {
    let bar = memchr::memrchr(b'|', line)?;
    let (text, user) = (trim(&line[..bar]), trim(&line[bar + 1..]));
    let is_message = !text.is_empty() && Name::is_well_formed(user);
    is_message.then_some(Message { users: Some(user), text })
}

/// The operands of `send`.
pub fn send(operands: &[u8]) -> Result<Message<'_>, Refusal> {
    const USAGE: &str = "use: send all TEXT, or send USER... : TEXT";
    let (users, text) = match strip_all(operands) {
        Some(text) => (None, text),
        None => match memchr::memchr(b':', operands) {
            Some(colon) => (Some(trim(&operands[..colon])), trim(&operands[colon + 1..])),
            None => return Err(Refusal::new(Code::BadRequest, USAGE)),
        },
    };
    if text.is_empty() || users.is_some_and(<[u8]>::is_empty) {
        return Err(Refusal::new(Code::BadRequest, USAGE));
    }
    Ok(Message { users, text })
}

/// Whether a line is the request line of HTTP/1 (RFC 9112, section 3), for the metrics listener.
pub fn is_http(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    !method.is_empty()
        && method.iter().all(u8::is_ascii_uppercase)
        && !target.is_empty()
        && matches!(version, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
}

impl Verb {
    /// What follows this verb's word in `word`, where `word` selects it.
    fn suffix_of<'a>(&self, word: &'a [u8]) -> Option<&'a [u8]> {
        // Most are told apart by their first byte, without a call.
        let own = self.word.as_bytes();
        if own.first() != word.first() {
            return None;
        }
        let suffix = word.strip_prefix(own)?;
        (suffix.is_empty() || self.word.ends_with(['@', '/'])).then_some(suffix)
    }
}

/// The first word, and what follows it and its blanks.
pub(super) fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let end = memchr::memchr2(b' ', b'\t', line).unwrap_or(line.len());
    let rest = &line[end..];
    let start = rest.iter().position(|byte| !is_blank(byte)).unwrap_or(rest.len());
    (&line[..end], &rest[start..])
}

fn needs<'a>(operand: &'a [u8], usage: &str) -> Result<&'a [u8], Refusal> {
    if operand.is_empty() {
        return Err(Refusal::new(Code::BadRequest, format!("use: {usage}")));
    }
    Ok(operand)
}

fn alone<'a>(operands: &[u8], request: Request<'a>) -> Parsed<'a> {
    if operands.is_empty() {
        return Ok(request);
    }
    Err(Refusal::quoting(Code::BadRequest, operands, "this request takes no operand"))
}

fn download<'a>(offset: &'a [u8], path: &'a [u8]) -> Parsed<'a> {
    if offset.is_empty() || !offset.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::quoting(Code::BadRequest, offset, "an offset is a number of bytes"));
    }
    // No file is that long, whatever the digits say beyond.
    let offset = number(offset).unwrap_or(u64::MAX);
    let path = needs(path, "download FILE, or download@OFFSET FILE")?;
    Ok(Request::Download { offset, path })
}

fn version<'a>(version: &'a [u8], operands: &'a [u8]) -> Parsed<'a> {
    if version == VERSION.to_string().as_bytes() {
        return alone(operands, Request::Framed);
    }
    Err(Refusal::quoting(Code::Version, version, "this server speaks landline/1"))
}

fn run(command: &[u8], stdin: Stdin) -> Parsed<'_> {
    let usage = match stdin {
        Stdin::Empty => "run COMMAND",
        Stdin::Pipe => "run@in COMMAND",
        Stdin::Terminal => "run@pty COMMAND",
    };
    Ok(Request::Run(RunRequest { command: needs(command, usage)?, stdin }))
}

fn upload<'a>(_: &'a [u8], operands: &'a [u8]) -> Parsed<'a> {
    let (size, path) = split_word(operands);
    let bytes = number(size);
    if path.is_empty() || (size != b"-" && bytes.is_none()) {
        return Err(Refusal::new(Code::BadRequest, "use: upload SIZE FILE, or upload - FILE"));
    }
    Ok(Request::Upload { bytes, path })
}

/// Refuses in one style what is for the other alone.
fn style_allows(request: Request<'_>, style: Style) -> Parsed<'_> {
    let why = match (request, style) {
        (Request::Run(RunRequest { stdin: Stdin::Pipe, .. }), Style::Plain) => {
            "run@in is for framed connections: say landline/1 first"
        }
        (Request::Run(RunRequest { stdin: Stdin::Terminal, .. }), Style::Plain) => {
            "run@pty is for framed connections: say landline/1 first"
        }
        (Request::Upload { bytes: None, .. }, Style::Framed) => {
            "upload - is for plain connections: say upload SIZE FILE"
        }
        (allowed, _) => return Ok(allowed),
    };
    Err(Refusal::new(Code::BadRequest, why))
}

/// The text of a broadcast, where the first word is `all`; only a `:` directly after it is dropped.
fn strip_all(operands: &[u8]) -> Option<&[u8]> {
    let rest = operands.strip_prefix(b"all")?;
    match rest.first() {
        None | Some(b' ' | b'\t' | b':') => {
            let rest = trim(rest);
            Some(trim(rest.strip_prefix(b":").unwrap_or(rest)))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(line: &str) -> Parsed<'_> {
        parse(line.as_bytes(), Style::Plain)
    }

    fn code(line: &str, style: Style) -> Code {
        parse(line.as_bytes(), style).expect_err(line).code
    }

    #[test]
    fn verbs_stand_at_the_start_and_end_at_a_blank() {
        assert_eq!(plain("download  a b "), Ok(Request::Download { offset: 0, path: b"a b " }));
        assert_eq!(plain("download@7 f"), Ok(Request::Download { offset: 7, path: b"f" }));
        let far = Request::Download { offset: u64::MAX, path: b"f" };
        assert_eq!(plain("download@18446744073709551616 f"), Ok(far));
        let run = RunRequest { command: b"ls", stdin: Stdin::Empty };
        assert_eq!(plain("run\tls"), Ok(Request::Run(run)));
        assert_eq!(plain("files"), Ok(Request::Files(b"")));
        assert_eq!(plain("quit "), Ok(Request::Quit));
        for echo in ["runner", " run ls", "Run ls", "", "downloads x", "landlines", "cancel"] {
            assert_eq!(plain(echo), Ok(Request::Echo), "{echo:?}");
        }
    }

    #[test]
    fn missing_or_malformed_operands_are_bad_requests() {
        for line in
            ["run", "run ", "download", "download@ f", "download@x f", "stat", "name", "quit now"]
        {
            assert_eq!(code(line, Style::Plain), Code::BadRequest, "{line:?}");
        }
        for line in ["send", "send bob hi", "send bob :", "send : hi", "send all", "send all : "] {
            assert_eq!(code(line, Style::Plain), Code::BadRequest, "{line:?}");
        }
    }

    #[test]
    fn versions_not_spoken_are_refused() {
        assert_eq!(plain("landline/1"), Ok(Request::Framed));
        for line in ["landline/2", "landline/", "landline/01", "landline/x"] {
            assert_eq!(code(line, Style::Plain), Code::Version, "{line:?}");
        }
    }

    #[test]
    fn what_belongs_to_frames_is_refused_in_plain_but_words_are_echoed() {
        for line in ["run@in cat", "run@pty sh", "in 5", "eof 0", "winch 0 cols=80 rows=24"] {
            assert_eq!(code(line, Style::Plain), Code::BadRequest, "{line:?}");
        }
        assert_eq!(plain("in the morning"), Ok(Request::Echo));
        assert_eq!(parse(b"in 5", Style::Framed), Ok(Request::In));
        assert_eq!(parse(b"eof 0 later=1", Style::Framed), Ok(Request::Eof));
        assert_eq!(parse(b"cancel", Style::Framed), Ok(Request::Cancel));
        let run = RunRequest { command: b"cat", stdin: Stdin::Pipe };
        assert_eq!(parse(b"run@in cat", Style::Framed), Ok(Request::Run(run)));
    }

    #[test]
    fn an_upload_has_a_size_or_in_plain_the_end_of_input() {
        let upload = |bytes| Ok(Request::Upload { bytes, path: b"a b" });
        assert_eq!(plain("upload 3 a b"), upload(Some(3)));
        assert_eq!(plain("upload - a b"), upload(None));
        assert_eq!(parse(b"upload 3 a b", Style::Framed), upload(Some(3)));
        assert_eq!(code("upload - a b", Style::Framed), Code::BadRequest);
        for line in ["upload", "upload 3", "upload x f", "upload -1 f", "upload +1 f"] {
            assert_eq!(code(line, Style::Plain), Code::BadRequest, "{line:?}");
        }
    }

    #[test]
    fn send_has_three_forms() {
        let all = |text| Ok(Message { users: None, text });
        let to = |users: &'static [u8], text| Ok(Message { users: Some(users), text });
        assert_eq!(send(b"all hi"), all(b"hi"));
        assert_eq!(send(b"all : hi"), all(b"hi"));
        assert_eq!(send(b"all: see: this"), all(b"see: this"));
        assert_eq!(send(b"all see : this"), all(b"see : this"));
        assert_eq!(send(b"bob: hi"), to(b"bob", b"hi"));
        assert_eq!(send(b"bob :hi"), to(b"bob", b"hi"));
        assert_eq!(send(b"a b : x : y"), to(b"a b", b"x : y"));
        assert_eq!(send(b"allan : hi"), to(b"allan", b"hi"));
    }

    #[test]
    fn the_last_bar_names_the_user() {
        let to = |users: &'static [u8], text| Some(Message { users: Some(users), text });
        assert_eq!(piped(b"a | b | bob"), to(b"bob", b"a | b"));
        assert_eq!(piped(b"hi|bob "), to(b"bob", b"hi"));
        assert_eq!(piped(b"ls | wc -l"), None);
        assert_eq!(piped(b" | bob"), None);
        assert_eq!(piped(b"no bar"), None);
    }

    #[test]
    fn http_request_lines_are_recognised() {
        assert!(is_http(b"GET / HTTP/1.1"));
        assert!(is_http(b"POST /a?b=c HTTP/1.0"));
        for other in ["GET /", "get / HTTP/1.1", "GET / HTTP/x", "GET  HTTP/1.1", "A B C HTTP/1.1"]
        {
            assert!(!is_http(other.as_bytes()), "{other:?}");
        }
    }
}
