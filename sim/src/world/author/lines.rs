//! Lines that are echoed, and those that are answered at once.

use super::Author;
use crate::protocol::wording::HELP;
use crate::world::expect::Reply;
use crate::world::request::{Request, exact, plain, request};

/// Malformed requests: the line, and the code in plain and in frames.
const WRONG: [(&str, &[&str]); 21] = [
    ("run", RUN),
    ("run ", RUN),
    ("run@in", RUN),
    ("download", BAD),
    ("download ", BAD),
    ("download@x a.txt", BAD),
    ("download@ a.txt", BAD),
    ("download@-1 a.txt", BAD),
    ("stat", BAD),
    ("name", BAD),
    ("send", SEND),
    ("send bob hi", SEND),
    ("send : hi", SEND),
    ("send all :", SEND),
    ("quit now", BAD),
    ("ping x", BAD),
    ("get_list x", BAD),
    ("landline/2", &["version"]),
    ("landline/", &["version"]),
    ("upload x f", BAD),
    ("upload 9223372036854775808 f", BAD),
];
const BAD: &[&str] = &["bad-request"];
/// A malformed request that would be refused anyway.
const RUN: &[&str] = &["bad-request", "disabled", "denied"];
const SEND: &[&str] = &["bad-request", "no-name"];

impl Author<'_> {
    /// The longest line there may be.
    fn line_max(&self) -> usize {
        self.scene.config.settings.limits.line_bytes_max
    }

    /// Something that is no request.
    pub(super) fn words(&mut self) -> Request {
        self.count += 1;
        let tag = format!("{}.{}", self.number, self.count);
        let mut body = match self.random.below(8) {
            0 => b"".to_vec(),
            1 => format!("runner {tag}").into_bytes(),
            2 => format!(" run {tag}").into_bytes(),
            3 => format!("Ping {tag}\r").into_bytes(),
            4 if self.is_framed => return self.request("in the end", self.refused(BAD)),
            4 => format!("in the {tag} \0\x1b\x07").into_bytes(),
            5 => [b"\xc3\xff\xfe", tag.as_bytes()].concat(),
            _ => {
                let length = *self.random.pick(&[1, 40, 900, 1_900, 20_000]);
                format!("e{tag}{}", "x".repeat(length)).into_bytes()
            }
        };
        body.truncate(self.line_max());
        let (wire, ending) = self.line(&body[..]);
        if self.is_framed {
            if ending == "\n" && body.last() == Some(&b'\r') {
                // It is a part of the ending then.
                body.pop();
            }
            return request(wire, self.met(vec![exact(body)]));
        }
        plain(wire, vec![exact([&body, ending.as_bytes()].concat())])
    }

    /// On `echo`: any bytes.
    pub(super) fn raw_words(&mut self) -> Request {
        self.count += 1;
        let length = *self.random.pick(&[1, 3, 40, 900, 20_000]);
        let text = format!("e{}.{}{}", self.number, self.count, "x\n".repeat(length));
        plain(text.clone().into_bytes(), vec![exact(text)])
    }

    /// The first message on `hello`.
    pub(super) fn hello(&mut self) -> Request {
        let (wire, _) = self.line("someone, whoever");
        plain(wire, vec![exact("sim\n")])
    }

    /// On `chat` and `talk`: neither a message nor anything else that is known.
    pub(super) fn unknown(&mut self) -> Request {
        let body = *self.random.pick(&["", "run x", "download a.txt", "landline/1", "hello | -x"]);
        self.request(body, self.refused(BAD))
    }

    /// A line over the limit.
    pub(super) fn too_long(&mut self) -> Request {
        let max = self.line_max();
        let over = if self.random.one_in(2) { 1 } else { self.random.between(1, 2 * max) };
        self.request("#".repeat(max + over), self.refused(&["too-long"]))
    }

    /// Whether lines over the limit are short enough to be said here.
    pub(super) fn tries_length(&mut self) -> bool {
        self.line_max() < 10_000 || self.random.one_in(10)
    }

    pub(super) fn ping(&mut self) -> Request {
        let reply = self.met(vec![exact(if self.is_framed { "pong" } else { "pong\n" })]);
        self.request("ping", reply)
    }

    pub(super) fn help(&mut self) -> Request {
        if self.random.one_in(2) {
            return self.ping();
        }
        let reply: Reply = self.met(vec![exact(HELP)]);
        self.request("help", reply)
    }

    /// A request that is malformed.
    pub(super) fn wrong(&mut self) -> Request {
        let (body, codes) = *self.random.pick(&WRONG);
        let others = ["in 5", "eof 0", "run@in cat", "run@pty cat"];
        match (self.random.one_in(6), self.is_framed) {
            (true, false) => {
                let body = *self.random.pick(&others);
                self.request(body, self.refused(RUN))
            }
            (true, true) => self.request("upload - f", self.refused(BAD)),
            _ => self.request(body, self.refused(codes)),
        }
    }
}
