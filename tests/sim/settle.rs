//! The end of a peer's turn: what is queued is sent, what is under way goes on, and the connection
//! ends where it is to end; as `server::settle` does it.
//!
//! What it does not do: read (`pump`).

use landline::protocol::effect::{Call, Outcome};
use landline::protocol::limits::OUTPUT_BYTES_HIGH;
use landline::protocol::refusal::{Code, Refusal};
use landline::protocol::reply;
use landline::transfer::outqueue::Flush;

use crate::desk::Desk;
use crate::peer::{Fate, Peer, Task};
use crate::sink::Liar;

impl Peer<'_> {
    /// Sends what can be sent now.
    pub(crate) fn flush(&mut self, desk: &mut Desk<'_>) {
        while !self.is_sink_full && !matches!(self.fate, Some(Fate::Gone | Fate::Reset)) {
            self.advance_task(desk);
            if self.output.is_empty() {
                return;
            }
            let budget = desk.random.between(1, 100_000) as u64;
            let mut output = std::mem::take(&mut self.output);
            let flushed = output.flush(&mut self.liar(desk), budget);
            self.output = output;
            match flushed {
                Ok(Flush::Drained) => {}
                Ok(Flush::SinkFull) => self.is_sink_full = true,
                Ok(Flush::SourceEmpty | Flush::Budget) => return,
                Ok(Flush::SourceEnded { missing }) => self.on_source_ended(missing),
                Err(_) => self.fate = Some(Fate::Gone),
            }
        }
    }

    pub(crate) fn liar<'l>(&'l mut self, desk: &'l mut Desk<'_>) -> Liar<'l> {
        let file: &[u8] = match &self.task {
            Some(Task::Download { file: number, .. }) => &desk.scene.files[*number].content,
            _ => &[],
        };
        let (stinginess, is_gone) = (self.script.stinginess, self.is_broken);
        let (random, taken) = (&mut desk.random, &mut self.received);
        Liar { random, taken, file, stinginess, is_gone }
    }

    fn advance_task(&mut self, desk: &mut Desk<'_>) {
        let outcome = match &mut self.task {
            Some(Task::Download { next, end, .. }) if *next < *end => {
                if !self.output.has_source() {
                    let bytes = desk.random.between(1, *end - *next).min(1 << 20) as u64;
                    self.output.push(reply::header("data", bytes, &[]));
                    self.output.push_file(*next as u64, bytes);
                    *next += usize::try_from(bytes).expect("files here are small");
                }
                None
            }
            Some(Task::Download { refusal, .. }) if !self.output.has_source() => {
                Some(refusal.take().map_or(Outcome::Sent, Outcome::Refused))
            }
            Some(Task::Running(running)) => running.outcome(),
            _ => None,
        };
        if let Some(outcome) = outcome {
            self.on_outcome(desk, outcome);
        }
    }

    fn on_source_ended(&mut self, missing: u64) {
        match &mut self.task {
            Some(Task::Download { next, end, refusal, .. }) if self.session.is_framed() => {
                let zeros = usize::try_from(missing).expect("files here are small");
                self.output.push_front(vec![0; zeros]);
                *next = *end;
                let text = "the file became shorter";
                refusal.get_or_insert(Refusal::new(Code::Truncated, text));
            }
            _ => self.fate = Some(Fate::Reset),
        }
    }

    /// Ends the connection where its time has come.
    pub(crate) fn settle(&mut self, desk: &mut Desk<'_>) {
        self.note_output();
        self.check(desk);
        let is_said = self.output.is_empty() && self.task.is_none();
        let is_over = match self.fate {
            Some(Fate::Gone | Fate::Reset) => true,
            Some(Fate::Finish) => is_said,
            Some(Fate::Dismiss) => self.output.is_empty() || desk.random.one_in(20),
            None => false,
        };
        if is_over && !self.is_closed {
            self.is_closed = true;
            if self.is_known_to_room {
                desk.call(self.number, Call::Leave);
            }
        }
    }

    /// What holds between any two steps.
    fn check(&self, desk: &Desk<'_>) {
        let is_over = self.fate.is_some();
        assert!(is_over || self.task.is_some() == self.session.is_busy(), "a task is awaited");
        let is_replying = self.session.is_busy() && !self.session.is_framed();
        assert!(self.held.is_empty() || is_replying || is_over, "messages wait for a reply alone");
        let replies_max = OUTPUT_BYTES_HIGH + desk.scene.line_bytes_max + desk.scene.read_bytes_max;
        let replies = self.output.memory_bytes() - self.output.message_bytes();
        assert!(replies <= replies_max + 4096, "memory is bounded: {replies} bytes");
        let inbox_max = desk.scene.line_bytes_max + desk.scene.read_bytes_max + 2;
        assert!(self.inbox.len() <= inbox_max, "{} bytes are kept", self.inbox.len());
        if self.output.is_empty() {
            assert_eq!(self.output.memory_bytes(), 0, "an empty queue holds nothing");
        }
    }
}
