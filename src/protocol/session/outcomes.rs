//! What is replied once an outcome is there, in the form of the service and the style.
//!
//! What it does not do: act on messages (`requests`).

use super::super::effect::{Answer, Ending, Outcome};
use super::super::guard::Guard;
use super::super::refusal::{Code, Refusal};
use super::super::reply::{self, Key};
use super::super::speech::Service;
use super::super::text::Stamp;
use super::super::wording;
use super::{Session, Stage, Terms};

/// What follows an outcome.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// Bytes to be sent.
    pub bytes: Vec<u8>,
    /// Bytes to be sent behind them: a text that may be large, as it was handed in.
    pub text: Vec<u8>,
    /// Whether the connection ends behind them.
    pub is_end: bool,
}

impl Session {
    /// What was awaited came out.
    pub fn on_outcome(&mut self, outcome: Outcome, terms: &Terms<'_>, stamp: &Stamp) -> Reply {
        debug_assert!(self.is_busy(), "invariant 1: an outcome was awaited");
        self.stage = match self.stage {
            Stage::Sending(sends @ 2..) => Stage::Sending(sends - 1),
            Stage::Sent(sends @ 2..) => Stage::Sent(sends - 1),
            _ => Stage::Ready,
        };
        self.end_feeding();
        let mut text = Vec::new();
        let bytes = match outcome {
            Outcome::Room(answer) => self.on_answer(answer, terms, stamp),
            Outcome::Refused(refusal) => self.refusal(&refusal),
            Outcome::Sent => self.done(&[], b""),
            Outcome::Listed => Vec::new(),
            Outcome::Stored(size) => self.done(&[("size", size.to_string().as_bytes())], b""),
            Outcome::Text(all) => {
                text = all;
                self.on_text(&mut text)
            }
            Outcome::Ran(ending) => self.on_ran(&ending),
        };
        Reply { bytes, text, is_end: self.stage == Stage::Over }
    }

    fn on_answer(&mut self, answer: Answer, terms: &Terms<'_>, stamp: &Stamp) -> Vec<u8> {
        let service = self.service;
        match answer {
            Answer::Refused(refusal) => {
                if service != Service::Line && !self.is_named {
                    self.stage = Stage::Over;
                }
                self.refusal(&refusal)
            }
            Answer::Joined(name) => {
                self.is_named = true;
                self.guard = Guard::OFF;
                match service {
                    Service::Chat => self.spoken(terms.server.as_bytes()),
                    Service::Talk => Vec::new(),
                    _ => {
                        let text = wording::connected(terms.server, &name, stamp);
                        self.done(&[], text.as_bytes())
                    }
                }
            }
            Answer::Reformed => self.handshake(terms),
            Answer::Users(names) if service == Service::Chat => {
                self.spoken(wording::chat_users(&names, stamp).as_bytes())
            }
            Answer::Users(names) => self.done(&[], wording::users(&names).as_bytes()),
            Answer::Sent { unknown, .. } if unknown.is_empty() && !self.is_framed() => Vec::new(),
            Answer::Sent { delivered, unknown } if unknown.is_empty() => {
                self.done(&[("delivered", delivered.to_string().as_bytes())], b"")
            }
            Answer::Sent { unknown, .. } => {
                self.refusal(&Refusal { code: Code::NoSuchUser, text: unknown })
            }
        }
    }

    /// What goes before a text of `bytes` bytes that is sent in pieces and ends in
    /// `Outcome::Listed`. A bare client gets it without its last newline.
    pub fn text_head(&self, bytes: u64) -> Vec<u8> {
        if self.is_framed() { reply::header("done", bytes, &[]) } else { Vec::new() }
    }

    /// What goes before a text, which is left in its place: it may be large.
    fn on_text(&mut self, text: &mut Vec<u8>) -> Vec<u8> {
        match self.service {
            Service::Metrics => {
                self.stage = Stage::Over;
                wording::metrics_head(text.len())
            }
            _ if self.is_framed() => reply::header("done", text.len() as u64, &[]),
            Service::Line if self.is_bare() => {
                text.pop_if(|last| *last == b'\n');
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn on_ran(&self, ending: &Ending) -> Vec<u8> {
        match ending {
            Ending::Status(status) if self.is_framed() => {
                self.done(&[("exit", status.to_string().as_bytes())], b"")
            }
            Ending::Signal(name) if self.is_framed() => {
                self.done(&[("signal", name.as_bytes())], b"")
            }
            Ending::Status(0) => Vec::new(),
            other => self.refusal(&Refusal::new(Code::Exit, wording::exit_text(other))),
        }
    }

    /// A request was met: in plain its answer alone, framed the final frame.
    pub(super) fn done(&self, keys: &[Key<'_>], payload: &[u8]) -> Vec<u8> {
        match payload {
            _ if self.is_framed() => reply::done(keys, payload),
            [text @ .., b'\n'] if self.is_bare() => text.to_vec(),
            _ => payload.to_vec(),
        }
    }

    /// A request was not met.
    pub(super) fn refusal(&self, refusal: &Refusal) -> Vec<u8> {
        if self.is_framed() {
            return reply::fail(refusal);
        }
        self.spoken(&reply::error_line(refusal))
    }

    /// `text` as a message of its own: a line, or what a bare client takes for one.
    pub(super) fn spoken(&self, text: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        if !self.is_bare() {
            bytes.push(b'\n');
        }
        bytes
    }
}
