//! A conversation is the same however its input is cut: in two at every place, and byte by byte.
//!
//! What it does not do: know what the effects ought to be (`tests/sim`).

use landline::protocol::effect::{Answer, Call, Effect, Ending, Outcome};
use landline::protocol::line::{Cut, Framer};
use landline::protocol::session::{Permit, Session, Terms, Uploads};
use landline::protocol::speech::{Service, Speech};
use landline::protocol::text::{Civil, Stamp};

use crate::with_seeds;

const TERMS: Terms<'static> =
    Terms { server: "fuzz", has_files: true, uploads: Uploads::New, line_bytes_max: 40 };

fn stamp() -> Stamp {
    Stamp { unix_ms: 7, local: Civil::from_unix(1_608_235_683).into() }
}

/// Conversations with something at every edge: endings, limits, payload, a change of style.
const CORPUS: [&[u8]; 16] = [
    b"",
    b"\n\r\n\n",
    b"one\ntwo\r\nthree\r\r\nfour",
    b"ping\nping\r\nquit\nping\n",
    b"1234567890123456789012345678901234567890\n1234567890123456789012345678901234567890\r\nx\n",
    b"12345678901234567890123456789012345678901\nafter\n",
    b"1234567890123456789012345678901234567890123456789012345678901234567890\r\nafter\r\n",
    b"upload 9 f\nping\nquitping\nupload 0 f\nping\n",
    b"upload - f\nping\nping\n",
    b"name alice\nsend all hi\nhi | bob\nget_list\nname bob\n",
    b"landline/1\nrun x\nping\nin 5\nab\ncdcancel\nstat f\nhello\neof 0\nquit\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\n\r\nx / HTTP/1.1\r\nHost: x\r\n\r\nping\n",
    b"x /678901234567890123456789012345678901234567890 HTTP/1.1\r\nrun x\n",
    b"GET /8901234567890123456789012345678901234567890 HTTP/1.1\r\nrun x\n",
    b"hello\nGET / HTTP/1.1\nhOsT: x\nrun x\n",
];

#[test]
fn effects_are_the_same_however_the_input_is_cut() {
    for input in CORPUS {
        for service in Service::LISTENABLE {
            cut_everywhere(service, input);
        }
    }
}

#[test]
fn random_lines_are_the_same_however_they_are_cut() {
    with_seeds(120, |random| {
        let mut input = Vec::new();
        for _ in 0..=random.below(6) {
            input.extend(random.line());
            input.extend_from_slice([&b"\n"[..], b"\r\n", b"\r"][random.below(3)]);
        }
        cut_everywhere(Service::LISTENABLE[random.below(6)], &input);
    });
}

fn cut_everywhere(service: Service, input: &[u8]) {
    let whole = transcript(service, &[input]);
    for place in 0..=input.len() {
        let (first, second) = input.split_at(place);
        let cut = transcript(service, &[first, second]);
        assert_eq!(cut, whole, "{service:?} cut at {place}: {}", input.escape_ascii());
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(transcript(service, &bytes), whole, "{service:?}: {}", input.escape_ascii());
}

/// What follows from input that comes in parts. What is awaited is there as soon as nothing more is
/// taken, and so at the same place however the input is cut.
fn transcript(service: Service, parts: &[&[u8]]) -> Vec<String> {
    let mut session = Session::new(Speech { service, bare: false }, Permit::Granted);
    let mut talk =
        Talk { framer: Framer::new(session.framing()), out: Vec::new(), raw: Vec::new() };
    let mut kept = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        kept.extend_from_slice(part);
        let used = talk.take(&mut session, &kept, number + 1 == parts.len());
        kept.drain(..used);
    }
    talk.out.push(format!("{} echoed raw, named {}", talk.raw.escape_ascii(), session.is_named()));
    talk.out
}

struct Talk {
    framer: Framer,
    out: Vec<String>,
    /// On `echo`, messages are whatever came at once: only all of them together are compared.
    raw: Vec<u8>,
}

impl Talk {
    fn take(&mut self, session: &mut Session, shown: &[u8], is_end: bool) -> usize {
        let mut used = 0;
        while self.takes_input(session) {
            match self.framer.cut(&shown[used..], is_end, TERMS.line_bytes_max) {
                Cut::Frame { frame, used: more } => {
                    let payload_bytes = session.payload_bytes(&frame);
                    let outcome = self.say(session.on_frame(&frame, &TERMS));
                    self.framer.expect_payload(payload_bytes);
                    self.answer(session, outcome);
                    used += more;
                }
                Cut::TooLong { used: more } => {
                    let outcome =
                        self.say(session.on_too_long(&shown[used..used + more], false, &TERMS));
                    self.answer(session, outcome);
                    used += more;
                }
                Cut::Dropped { used: more } => {
                    let effect = session.on_dropped(&shown[used..used + more]);
                    if !matches!(effect, Effect::Nothing) {
                        self.say(effect);
                    }
                    used += more;
                }
                Cut::Payload(piece) => {
                    if let Effect::Feed(bytes) = session.on_payload(piece) {
                        self.raw.extend_from_slice(bytes);
                    }
                    used += piece.len();
                }
                Cut::Unfinished => break,
            }
        }
        used
    }

    fn takes_input(&self, session: &Session) -> bool {
        if self.framer.is_in_payload() { session.takes_payload() } else { session.takes_frames() }
    }

    fn answer(&mut self, session: &mut Session, outcome: Option<Outcome>) {
        if let Some(outcome) = outcome {
            let reply = session.on_outcome(outcome, &TERMS, &stamp());
            let bytes = [reply.bytes, reply.text].concat();
            self.out.push(format!("{} end {}", bytes.escape_ascii(), reply.is_end));
        }
    }

    /// Writes an effect down; what comes of it, where that is awaited.
    fn say(&mut self, effect: Effect<'_>) -> Option<Outcome> {
        if let Effect::Echo(bytes) = effect {
            self.raw.extend_from_slice(bytes);
            return None;
        }
        // Line by line: two replies, or one of both, are the same to the peer.
        if let Effect::Reply(bytes) | Effect::End(bytes) = &effect {
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                self.out.push(format!("{} behind {} raw", line.escape_ascii(), self.raw.len()));
            }
        }
        match &effect {
            Effect::Reply(_) => {}
            Effect::End(_) => self.out.push("the end".into()),
            other => self.out.push(format!("{other:?} behind {} raw", self.raw.len())),
        }
        match effect {
            Effect::Files(_) => Some(Outcome::Text(b"1 2 3\n".into())),
            Effect::Upload(_) => Some(Outcome::Stored(9)),
            Effect::Run(_) => Some(Outcome::Ran(Ending::Status(3))),
            Effect::Room(Call::Join { name, .. }) => Some(Outcome::Room(Answer::Joined(name))),
            Effect::Room(Call::Reform(_)) => Some(Outcome::Room(Answer::Reformed)),
            Effect::Room(Call::List) => Some(Outcome::Room(Answer::Users("alice".into()))),
            Effect::Room(Call::Send { .. }) => {
                Some(Outcome::Room(Answer::Sent { delivered: 1, unknown: String::new() }))
            }
            _ => None,
        }
    }
}
