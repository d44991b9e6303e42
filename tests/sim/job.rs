//! `Running`: a command of the simulation on its way to a peer, as `server::command` has it.
//!
//! What it does not do: run anything. What a command writes is in the scene; when it writes, when
//! its pipes are looked at, and when it ends, is random.

use std::collections::VecDeque;

use landline::protocol::capture::{Capture, Output};
use landline::protocol::effect::{Ending, Outcome};
use landline::protocol::refusal::{Code, Refusal};
use landline::protocol::reply;
use landline::protocol::session::Session;
use landline::protocol::speech::Service;
use landline::transfer::outqueue::OutQueue;

use crate::intake::Intake;
use crate::random::Random;
use crate::script::{Ends, Job, Reads};

/// Most bytes a pipe holds.
const PIPE_BYTES: usize = 200;

enum Mode {
    Plain,
    Framed,
    /// What was written and not yet read, in order.
    Captured(Capture, VecDeque<(Output, Vec<u8>)>),
}

/// A command in progress.
pub(crate) struct Running {
    pub(crate) job: usize,
    pub(crate) pipes: [VecDeque<u8>; 2],
    /// No writer is left.
    pub(crate) is_ended: bool,
    mode: Mode,
    is_open: [bool; 2],
    pub(crate) intake: Option<Intake>,
    /// What it has still to do with its input.
    reads: Option<Reads>,
    /// What it still has to write, the next one last.
    writes: Vec<(bool, Vec<u8>)>,
    verdict: Option<Outcome>,
}

impl Running {
    pub(crate) fn begin(
        number: usize,
        job: &Job,
        intake: Option<Intake>,
        session: &Session,
    ) -> Self {
        let mode = match session.service() {
            Service::Exec => Mode::Captured(Capture::new(session.is_bare()), VecDeque::new()),
            _ if session.is_framed() => Mode::Framed,
            _ => Mode::Plain,
        };
        let is_plain = matches!(mode, Mode::Plain);
        let is_terminal = job.reads.is_some_and(|reads| reads.is_terminal);
        Self {
            job: number,
            pipes: [VecDeque::new(), VecDeque::new()],
            is_ended: false,
            mode,
            is_open: [true, !is_plain && !is_terminal],
            reads: job.reads.filter(|_| intake.is_some()),
            intake,
            writes: job.writes.iter().rev().cloned().collect(),
            verdict: None,
        }
    }

    /// The command does something: it writes, or comes to its end.
    pub(crate) fn go_on(&mut self, ends: Ends, random: &mut Random) {
        if self.verdict.is_none() && self.reads.is_some() {
            return self.read(random);
        }
        if let Some((is_err, bytes)) = self.writes.pop() {
            return self.write(is_err, bytes, random);
        }
        if self.verdict.is_some() {
            return;
        }
        let ending = match ends {
            Ends::Status(status) => Ending::Status(status),
            Ends::Signal(name) => Ending::Signal(name.to_owned()),
            Ends::TimesOut => return self.stop(Code::Timeout),
            Ends::Never | Ends::NotFound | Ends::Busy => return,
        };
        self.verdict = Some(Outcome::Ran(ending));
        self.is_ended = true;
    }

    /// Copies input, as far as there is some and room for it.
    fn read(&mut self, random: &mut Random) {
        let (Some(reads), Some(intake)) = (&mut self.reads, &mut self.intake) else { return };
        let room = PIPE_BYTES.saturating_sub(self.pipes[0].len());
        match intake.read(room.min(reads.most), random) {
            Some(bytes) if reads.most > 0 => {
                reads.most -= bytes.len();
                self.pipes[0].extend(bytes);
            }
            _ => {
                if reads.is_terminal {
                    self.writes.push((false, intake.size_text().into_bytes()));
                }
                intake.close();
                self.reads = None;
            }
        }
    }

    fn write(&mut self, is_err: bool, mut bytes: Vec<u8>, random: &mut Random) {
        let pipe = usize::from(is_err && self.is_open[1]);
        let there = match &mut self.mode {
            Mode::Captured(_, unread) => unread.len() * 20,
            Mode::Plain | Mode::Framed => self.pipes[pipe].len(),
        };
        let room = PIPE_BYTES.saturating_sub(there).min(bytes.len());
        let count = random.below(room + 1);
        let rest = bytes.split_off(count);
        if let Mode::Captured(_, unread) = &mut self.mode
            && !bytes.is_empty()
        {
            unread.push_back((if is_err { Output::Err } else { Output::Out }, bytes));
        } else {
            self.pipes[pipe].extend(bytes);
        }
        if !rest.is_empty() {
            self.writes.push((is_err, rest));
        }
    }

    /// Ends it before its time; what is in its pipes is sent still.
    pub(crate) fn stop(&mut self, code: Code) {
        self.verdict = Some(Outcome::Refused(Refusal::new(code, "it was stopped")));
        self.reads = None;
        self.intake.iter_mut().for_each(Intake::close);
        self.writes.clear();
        self.is_ended = true;
    }

    /// A pipe is looked at.
    pub(crate) fn on_pipe(&mut self, output: &mut OutQueue, random: &mut Random) {
        match &mut self.mode {
            Mode::Plain => self.pass_on(0, output, random),
            Mode::Framed => self.pass_on(random.below(2), output, random),
            Mode::Captured(capture, unread) => match unread.pop_front() {
                Some((from, bytes)) => output.push(capture.on_output(from, &bytes)),
                None if self.is_ended => self.is_open = [false; 2],
                None => {}
            },
        }
    }

    /// Reads a pipe, as far as it likes.
    fn pass_on(&mut self, pipe: usize, output: &mut OutQueue, random: &mut Random) {
        let there = self.pipes[pipe].len();
        if there == 0 {
            self.is_open[pipe] &= !self.is_ended;
            return;
        }
        let bytes: Vec<u8> = self.pipes[pipe].drain(..random.between(1, there)).collect();
        match self.mode {
            Mode::Plain => output.push(bytes),
            _ => output.push(reply::frame(["out", "err"][pipe], &[], &bytes)),
        }
    }

    /// How it came out, once nothing of it is left to be sent.
    pub(crate) fn outcome(&mut self) -> Option<Outcome> {
        if self.is_open != [false; 2] || !self.writes.is_empty() {
            return None;
        }
        let verdict = self.verdict.take()?;
        Some(match (&mut self.mode, verdict) {
            (Mode::Captured(capture, _), Outcome::Ran(ending)) => {
                Outcome::Text(capture.on_end(&ending))
            }
            (_, verdict) => verdict,
        })
    }
}
