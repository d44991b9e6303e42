//! The texts people and programs read: greetings, lists, messages in each form, farewells, help.
//!
//! What it does not do: decide when they are sent (`session`, `service::room`).

use std::io::Write as _;

use super::effect::{Cast, Ending, Form};
use super::name::Name;
use super::refusal::Refusal;
use super::reply::{self, Key};
use super::text::Stamp;

/// The indentation of the original chat program's lines.
const CHAT_INDENT: &str = "\t\t\t\t\t";

/// Why writing to a `Vec` cannot fail.
const TAKES_ALL: &str = "memory takes all that is written";

/// The answer to `help`.
pub const HELP: &str = "\
download FILE            the file's bytes
download@OFFSET FILE     the same from a byte offset on
files [DIR]              what can be downloaded: size, time, name
stat FILE                size, time and name of one file
run COMMAND              a command's output
name USER                take a name, and receive messages from then on
get_list                 who has a name
send all TEXT            a message to everyone else
send USER... : TEXT      a message to some
TEXT | USER              a message to one, once you have a name
upload SIZE FILE         store the SIZE bytes that follow (upload - FILE: to the end)
ping                     pong
stats                    the server's counters
help                     this list
quit                     end the connection
anything else            comes back as it is
";

/// What a web browser is told, with the connection closed behind it (RFC 9112).
pub const NOT_HTTP: &str = "HTTP/1.1 400 Bad Request\r\n\
Content-Type: text/plain; charset=utf-8\r\n\
Content-Length: 61\r\n\
Connection: close\r\n\
\r\n\
This port speaks landline, not HTTP. Try: nc HOST PORT, help\n";

/// What a TLS client is told (RFC 8446, section 6): a fatal alert, `protocol_version`.
pub const NOT_TLS: &[u8] = b"\x15\x03\x01\x00\x02\x02\x46";

/// What is answered on the metrics listener where something else than `/metrics` is asked for.
pub const NO_SUCH_PAGE: &str = "HTTP/1.1 404 Not Found\r\n\
Content-Length: 0\r\n\
Connection: close\r\n\
\r\n";

/// What goes before the page at `/metrics` (Prometheus text exposition format 0.0.4).
pub fn metrics_head(page_bytes: usize) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\
         Content-Length: {page_bytes}\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

/// The answer to `name`.
pub fn connected(server: &str, user: &Name, stamp: &Stamp) -> String {
    format!("connected to {server} as {user} at {}\n", stamp.local)
}

/// The answer to `get_list` on `line`.
pub fn users(names: &str) -> String {
    if names.is_empty() { "users:\n".to_owned() } else { format!("users: {names}\n") }
}

/// The answer to `get_list` on `chat`, without a newline.
pub fn chat_users(names: &str, stamp: &Stamp) -> String {
    format!("{CHAT_INDENT}{}\n{CHAT_INDENT}Available client: {names}", stamp.local)
}

/// What follows the output of a command on `line` that did not exit with 0.
pub fn exit_text(ending: &Ending) -> String {
    match ending {
        Ending::Status(status) => format!("status {status}"),
        Ending::Signal(name) => format!("signal {name}"),
    }
}

/// A message, appended to `out` in the form its recipient reads. `text` is clean already.
pub fn message(out: &mut Vec<u8>, form: Form, from: &Name, cast: Cast, text: &[u8], stamp: &Stamp) {
    let (name, date) = (from.as_str().as_bytes(), stamp.local.as_bytes());
    let word = cast_word(cast).as_bytes();
    match form {
        Form::Plain | Form::PlainBare => {
            push_all(out, &[date, b" ", name, b" (", word, b") : ", text]);
        }
        Form::Chat | Form::ChatBare => {
            let indent = CHAT_INDENT.as_bytes();
            push_all(out, &[indent, date, b"\n", indent, name, b" (", word, b") : ", text]);
        }
        Form::Talk | Form::TalkBare => push_all(out, &[name, b"|", text]),
        Form::Framed => {
            let (len, cast, at) = (text.len(), cast_key(cast), stamp.unix_ms);
            writeln!(out, "msg {len} from={from} cast={cast} at={at}").expect(TAKES_ALL);
            out.extend_from_slice(text);
        }
    }
    if matches!(form, Form::Plain | Form::Chat | Form::Talk) {
        out.push(b'\n');
    }
}

/// Appends pieces one by one: what `write!` does, without its detours.
fn push_all(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

/// A `note` frame about a user who came or left.
pub fn note(out: &mut Vec<u8>, kind: &str, user: &Name) {
    writeln!(out, "note 0 kind={kind} user={user}").expect(TAKES_ALL);
}

/// The `note` frame that tells a framed peer why it is closed.
pub fn closing_note(refusal: &Refusal) -> Vec<u8> {
    let keys: [Key<'_>; 2] = [("kind", b"closing"), ("code", refusal.code.as_str().as_bytes())];
    reply::frame("note", &keys, refusal.text.as_bytes())
}

/// The `note` frame that tells a framed peer that the server is about to stop.
pub fn shutdown_note() -> Vec<u8> {
    reply::frame("note", &[("kind", b"shutdown")], b"the server is stopping")
}

const fn cast_word(cast: Cast) -> &'static str {
    match cast {
        Cast::Single => "singlecasted",
        Cast::Multi => "multicasted",
        Cast::Broad => "broadcasted",
    }
}

const fn cast_key(cast: Cast) -> &'static str {
    match cast {
        Cast::Single => "single",
        Cast::Multi => "multi",
        Cast::Broad => "broad",
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::Civil;
    use super::*;

    fn stamp() -> Stamp {
        let local = Civil { year: 2020, month: 12, day: 17, hour: 20, minute: 8, second: 3 };
        Stamp { unix_ms: 1_608_235_683_500, local: local.into() }
    }

    fn written(form: Form, cast: Cast) -> String {
        let alice = Name::parse(b"alice").expect("a good name");
        let mut out = Vec::new();
        message(&mut out, form, &alice, cast, b"hello", &stamp());
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn each_form_is_as_the_protocol_says() {
        let chat = "\t\t\t\t\t2020-12-17 20:08:03\n\t\t\t\t\talice (broadcasted) : hello";
        assert_eq!(
            written(Form::Plain, Cast::Single),
            "2020-12-17 20:08:03 alice (singlecasted) : hello\n"
        );
        assert_eq!(written(Form::ChatBare, Cast::Broad), chat);
        assert_eq!(written(Form::Chat, Cast::Broad), format!("{chat}\n"));
        assert_eq!(written(Form::Talk, Cast::Multi), "alice|hello\n");
        assert_eq!(written(Form::TalkBare, Cast::Multi), "alice|hello");
        assert_eq!(
            written(Form::Framed, Cast::Multi),
            "msg 5 from=alice cast=multi at=1608235683500\nhello"
        );
    }

    #[test]
    fn the_http_answer_says_its_own_length() {
        let body = NOT_HTTP.split("\r\n\r\n").nth(1).expect("a head and a body");
        assert!(NOT_HTTP.contains(&format!("Content-Length: {}\r\n", body.len())));
    }

    #[test]
    fn users_are_listed_as_each_service_has_it() {
        assert_eq!(users(""), "users:\n");
        assert_eq!(users("alice bob"), "users: alice bob\n");
        assert_eq!(
            chat_users("alice bob", &stamp()),
            "\t\t\t\t\t2020-12-17 20:08:03\n\t\t\t\t\tAvailable client: alice bob"
        );
        let alice = Name::parse(b"alice").expect("a good name");
        let greeting = "connected to here as alice at 2020-12-17 20:08:03\n";
        assert_eq!(connected("here", &alice, &stamp()), greeting);
    }
}
