//! Parsers and cleaners against random bytes.
//!
//! What it does not do: feed them in parts (`cuts`).

use landline::protocol::input;
use landline::protocol::name::Name;
use landline::protocol::refusal::Code;
use landline::protocol::reply::{self, Header, Style};
use landline::protocol::request::{self, Message, Request};
use landline::protocol::text;

use crate::with_seeds;

#[test]
fn a_header_is_refused_or_means_the_same_when_written_again() {
    with_seeds(20_000, |random| {
        let line = if random.below(2) == 0 { random.bytes(60) } else { random.line() };
        let Ok(header) = Header::parse(&line) else { return };
        assert!(!header.kind.is_empty() && header.kind.bytes().all(|b| b.is_ascii_lowercase()));
        assert!(i64::try_from(header.len).is_ok());
        let mut again = format!("{} {}", header.kind, header.len);
        for (key, value) in &header.keys {
            again += " ";
            again += key;
            again += "=";
            again.extend(value.iter().map(|byte| format!("%{byte:02x}")));
        }
        assert_eq!(Header::parse(again.as_bytes()), Ok(header), "{}", line.escape_ascii());
    });
}

#[test]
fn what_is_written_as_a_header_is_read_back() {
    with_seeds(5_000, |random| {
        let len = random.draw() >> 1;
        let text = String::from_utf8_lossy(&random.bytes(20)).into_owned();
        let number = random.draw().to_string();
        let mut line =
            reply::header("file", len, &[("name", text.as_bytes()), ("size", number.as_bytes())]);
        assert_eq!(line.pop(), Some(b'\n'));
        assert!(line.iter().all(|byte| (b' '..=b'~').contains(byte)), "a header is ASCII");
        let header = Header::parse(&line).expect("what was written is well formed");
        assert_eq!((header.kind.as_str(), header.len), ("file", len));
        assert_eq!(header.value("name"), Some(text.as_bytes()));
        assert_eq!(header.value("size"), Some(number.as_bytes()));
    });
}

#[test]
fn any_line_is_a_request_or_refused_with_a_harmless_text() {
    with_seeds(30_000, |random| {
        let line = if random.below(4) == 0 { random.bytes(80) } else { random.line() };
        for style in [Style::Plain, Style::Framed] {
            let payload_bytes = input::payload_bytes(&line, style);
            let (first, parsed) = (line.first(), request::parse(&line, style));
            match &parsed {
                Ok(Request::Send(message)) => check_message(&line, message),
                Ok(Request::Download { path, .. }) => assert!(line.ends_with(path)),
                Ok(Request::Run(run)) => {
                    assert!(line.ends_with(run.command) && !run.command.is_empty());
                }
                Ok(_) => {}
                Err(refusal) => {
                    assert!(matches!(refusal.code, Code::BadRequest | Code::Version));
                    let is_safe = |c: char| !c.is_control();
                    assert!(refusal.text.chars().all(is_safe), "{:?}", refusal.text);
                }
            }
            let is_verb = parsed != Ok(Request::Echo);
            assert!(!is_verb || first.is_some_and(u8::is_ascii_lowercase), "{line:?}");
            assert!(payload_bytes == 0 || is_verb, "an echo has no payload: {line:?}");
        }
        if let Some(message) = request::piped(&line) {
            check_message(&line, &message);
            assert!(message.users.is_some_and(Name::is_well_formed));
        }
        request::is_http(&line);
    });
}

/// A message is a piece of its line, and nobody is sent nothing.
fn check_message(line: &[u8], message: &Message<'_>) {
    assert!(!message.text.is_empty());
    assert_eq!(text::trim(message.text), message.text);
    let pieces = [Some(message.text), message.users];
    for piece in pieces.into_iter().flatten() {
        assert!(line.windows(piece.len()).any(|window| window == piece));
    }
}

#[test]
fn a_name_is_well_formed_exactly_where_it_is_taken() {
    with_seeds(10_000, |random| {
        let mut name = random.line();
        name.truncate(random.below(40));
        assert_eq!(Name::parse(&name).is_ok(), Name::is_well_formed(&name), "{name:?}");
        if let Ok(taken) = Name::parse(&name) {
            assert_eq!(taken.as_str().as_bytes(), name);
        }
    });
}

#[test]
fn clean_text_holds_no_control_character_but_tab_and_stays_as_it_is() {
    with_seeds(10_000, |random| {
        let mut bytes = random.bytes(60);
        // Pieces of UTF-8, C1 controls among them, which random bytes seldom make.
        for piece in ["\u{85}", "\u{9b}", "é", "\u{2028}", "\u{10ffff}", "\t", "\u{7f}"] {
            let place = random.below(bytes.len() + 1);
            if random.below(2) == 0 {
                bytes.splice(place..place, piece.bytes());
            }
        }
        let clean = text::clean(&bytes);
        assert!(clean.chars().all(|c| c == '\t' || !c.is_control()), "{clean:?}");
        assert_eq!(text::clean(clean.as_bytes()), clean);
        let kept = |text: &str| text.chars().filter(|c| *c != '\u{fffd}').collect::<String>();
        let lossy =
            String::from_utf8_lossy(&bytes).replace(|c: char| c != '\t' && c.is_control(), "");
        assert_eq!(kept(&clean), kept(&lossy), "nothing else is changed");
        let quoted = text::quote(&bytes);
        assert!(!quoted.chars().any(char::is_control), "{quoted:?}");
    });
}
