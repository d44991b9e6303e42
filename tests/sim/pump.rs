//! Reading: from a client's bytes, message by message, to the session; as `server::pump` does it.
//!
//! What it does not do: act on what the session asks (`peer`), but for echoes.

use std::io::IoSlice;

use landline::protocol::effect::Effect;
use landline::protocol::line::{Cut, Framing};
use landline::sys::copy::Copied;
use landline::transfer::sink::Sink as _;

use crate::desk::Desk;
use crate::peer::{Fate, Peer};

impl Peer<'_> {
    /// Bytes came, or what was kept can go on.
    pub(crate) fn take_in(&mut self, desk: &mut Desk<'_>, fresh: &[u8]) {
        if self.fate.is_some() {
            return;
        }
        let mut inbox = std::mem::take(&mut self.inbox);
        inbox.extend_from_slice(fresh);
        let used = self.pump(desk, &inbox);
        inbox.drain(..used);
        self.inbox = inbox;
    }

    fn pump(&mut self, desk: &mut Desk<'_>, shown: &[u8]) -> usize {
        let terms = desk.terms();
        let frames_max = desk.random.between(1, 30);
        let (mut used, mut frames, mut echo) = (0, 0, 0..0);
        self.is_stalled = true;
        self.pump_kept(desk);
        while self.takes_input() && frames < frames_max {
            let before = self.framer.clone();
            let cut = self.framer.cut(&shown[used..], self.is_at_end, terms.line_bytes_max);
            let (cut_used, effect) = match cut {
                Cut::Frame { frame, used } => {
                    let payload_bytes = self.session.payload_bytes(&frame);
                    let effect = self.session.on_frame(&frame, &terms);
                    if !matches!(effect, Effect::Later) {
                        self.framer.expect_payload(payload_bytes);
                    }
                    (used, effect)
                }
                Cut::TooLong { used: more } => {
                    let is_bare = self.framer.framing() == Framing::Bare;
                    let head = &shown[used..used + more];
                    (more, self.session.on_too_long(head, is_bare, &terms))
                }
                Cut::Dropped { used: more } => {
                    (more, self.session.on_dropped(&shown[used..used + more]))
                }
                Cut::Payload(piece) => (piece.len(), self.session.on_payload(piece)),
                Cut::Unfinished => {
                    self.is_stalled = false;
                    break;
                }
            };
            if matches!(effect, Effect::Later) {
                self.framer = before;
                break;
            }
            used += cut_used;
            frames += 1;
            if let Effect::Echo(bytes) = &effect {
                assert_eq!(*bytes, &shown[used - cut_used..used], "an echo is what came");
            }
            match effect {
                Effect::Echo(_) if echo.end == used - cut_used => echo.end = used,
                Effect::Echo(_) => {
                    self.send_now(desk, &shown[echo]);
                    echo = used - cut_used..used;
                }
                Effect::Nothing => {}
                other => {
                    self.send_now(desk, &shown[echo]);
                    echo = used..used;
                    self.act(desk, other);
                }
            }
            self.note_output();
        }
        self.send_now(desk, &shown[echo]);
        if self.is_at_end && !self.is_stalled && self.session.is_busy() {
            let effect = self.session.on_input_end();
            self.act(desk, effect);
        }
        let is_all_said = !self.is_stalled && !self.session.is_busy();
        if self.is_at_end && is_all_said && !self.session.has_waiting() {
            self.session.on_end();
            self.fate = self.fate.or(Some(Fate::Finish));
        }
        used
    }

    fn pump_kept(&mut self, desk: &mut Desk<'_>) {
        while self.fate.is_none()
            && !self.is_choked
            && let Some(kept) = self.session.next_kept()
        {
            let effect = self.session.on_kept(&kept, &desk.terms());
            self.act(desk, effect);
            if let Some(input) = kept.into_input() {
                self.feed_kept(&input);
            }
            self.note_output();
        }
    }

    pub(crate) fn send_now(&mut self, desk: &mut Desk<'_>, bytes: &[u8]) {
        if bytes.is_empty() || self.fate.is_some() {
            return;
        }
        let mut sent = 0;
        if self.output.is_empty() && !self.is_sink_full {
            let slices = [IoSlice::new(bytes)];
            match self.liar(desk).write_vectored(&slices, false) {
                Ok(Copied::Moved(count)) => sent = count,
                Ok(_) => self.is_sink_full = true,
                Err(_) => {
                    self.fate = Some(Fate::Gone);
                    return;
                }
            }
        }
        self.output.push_copy(&bytes[sent..]);
    }
}
