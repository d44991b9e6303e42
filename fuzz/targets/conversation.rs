//! A framer and a session together: a conversation is the same however its input is cut.

use landline::protocol::effect::{Answer, Call, Effect, Ending, Outcome};
use landline::protocol::line::{Cut, Framer};
use landline::protocol::session::{Permit, Session, Terms, Uploads};
use landline::protocol::speech::{Service, Speech};
use landline::protocol::text::{Civil, Stamp};

const TERMS: Terms<'static> =
    Terms { server: "fuzz", has_files: true, uploads: Uploads::New, line_bytes_max: 40 };
/// What of an unfinished line may be kept: a `\r` may belong to the ending that is to come.
const KEPT_BYTES_MAX: usize = TERMS.line_bytes_max + 1;

fn stamp() -> Stamp {
    Stamp { unix_ms: 7, local: Civil::from_unix(1_608_235_683).into() }
}

/// The target: a service, bare or not, and input in pieces. For a bare one the pieces are the
/// messages; it only must not break.
pub(super) fn run(data: &[u8]) {
    let Some((number, widths, input)) = super::cut_input(data) else { return };
    let service = Service::LISTENABLE[number % Service::LISTENABLE.len()];
    let pieces = super::cut(input, widths);
    if number >= 128 {
        transcript_of(Speech { service, bare: true }, &pieces);
        return;
    }
    assert_eq!(transcript(service, &[input]), transcript(service, &pieces));
}

/// What follows from input that comes in parts. What is awaited is there as soon as nothing more is
/// taken, and so at the same place however the input is cut.
pub(crate) fn transcript(service: Service, parts: &[&[u8]]) -> Vec<String> {
    transcript_of(Speech { service, bare: false }, parts)
}

fn transcript_of(speech: Speech, parts: &[&[u8]]) -> Vec<String> {
    let mut session = Session::new(speech, Permit::Granted);
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
                    assert!(more > 0 || is_end, "a frame is made of bytes");
                    used += more;
                }
                Cut::TooLong { used: more } => {
                    let outcome =
                        self.say(session.on_too_long(&shown[used..used + more], false, &TERMS));
                    self.answer(session, outcome);
                    used += more;
                }
                Cut::Dropped { used: more } => {
                    assert!(more > 0, "what is dropped is bytes");
                    let effect = session.on_dropped(&shown[used..used + more]);
                    if !matches!(effect, Effect::Nothing) {
                        self.say(effect);
                    }
                    used += more;
                }
                Cut::Payload(piece) => {
                    assert!(!piece.is_empty(), "payload is bytes");
                    if let Effect::Feed(bytes) = session.on_payload(piece) {
                        self.raw.extend_from_slice(bytes);
                    }
                    used += piece.len();
                }
                Cut::Unfinished => {
                    assert!(shown.len() - used <= KEPT_BYTES_MAX, "what is kept is bounded");
                    break;
                }
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
