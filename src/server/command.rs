//! `Command`: a command whose output is on its way to a peer.
//!
//! What it does not do: start or end processes (`service::run`), or send (`transfer`).
//!
//! Plain, its one pipe is one segment, spliced as it fills. Framed, each event is one frame of what
//! is in the pipe at that moment. On `exec`, output is read, since what is said depends on it
//! (`protocol::capture`). It is over when the process has ended and its pipes have, or the grace
//! for what holds them without being it; or when it was stopped, and what is in the pipes was sent.

use std::io;

use super::connection::Flags;
use super::desk::Desk;
use super::intake::Intake;
use super::watched::Watched;
use crate::protocol::capture::{Capture, Output};
use crate::protocol::effect::{Ending, Outcome, WindowSize};
use crate::protocol::limits::CHUNK_BYTES_MAX;
use crate::protocol::refusal::{Code, Refusal};
use crate::protocol::reply;
use crate::protocol::session::Session;
use crate::protocol::speech::Service;
use crate::reactor::token::{Facet, PeerId};
use crate::service::run::{Job, OUTPUT_GRACE_MS};
use crate::sys::copy;
use crate::sys::epoll::Interest;
use crate::sys::fd::{AsFd, BorrowedFd, OwnedFd};
use crate::sys::{pipe, pty};
use crate::transfer::outqueue::OutQueue;
use crate::transfer::segment::{Source, TO_ITS_END};

/// What a splice moves of a pipe that a command fills faster than it is emptied, in bytes.
const PIPE_FULL_BYTES: u64 = 32 * 1024;
/// Size of the pipe of such a command, in bytes.
const PIPE_BYTES: usize = 256 * 1024;

/// What is still read of a terminal once its command has ended, in bytes; it holds less.
const TERMINAL_REST_BYTES_MAX: usize = 1024 * 1024;

/// How output becomes a reply.
#[derive(Debug)]
enum Mode {
    Spliced,
    Framed,
    /// As `Framed`, from a terminal, which can be read alone.
    Terminal,
    Captured(Capture),
}

/// One of a command's pipes.
#[derive(Debug)]
struct Pipe {
    end: Watched,
    /// What is queued of it is all there will be.
    is_last: bool,
}

impl Pipe {
    fn new(fd: Option<OwnedFd>) -> Self {
        Self { end: Watched::new(fd), is_last: false }
    }
}

/// A command in progress.
#[derive(Debug)]
pub(crate) struct Command {
    mode: Mode,
    job: Option<Job>,
    out: Pipe,
    err: Pipe,
    intake: Option<Intake>,
    child_watched: Option<Interest>,
    verdict: Option<Outcome>,
    /// Whether the pipe of standard output was made larger.
    is_grown: bool,
    /// When what holds the pipes is waited for no longer.
    grace_ms: u64,
    /// When the command has taken too long.
    timeout_ms: u64,
}

impl Command {
    /// Begins to pass on a command's output.
    pub(crate) fn begin(
        mut job: Job,
        mut intake: Option<Intake>,
        session: &Session,
        timeout_ms: u64,
        output: &mut OutQueue,
    ) -> Self {
        let is_terminal = intake.as_ref().is_some_and(Intake::is_terminal);
        if let Some(intake) = &mut intake {
            intake.on_start(job.input.take());
        }
        let mode = match session.speech().service {
            _ if is_terminal => Mode::Terminal,
            Service::Exec => Mode::Captured(Capture::new(session.is_bare())),
            _ if session.is_framed() => Mode::Framed,
            _ => Mode::Spliced,
        };
        if matches!(mode, Mode::Spliced) {
            output.push_pipe(Source::Out, TO_ITS_END);
        }
        let (out, err) = (Pipe::new(job.out.take()), Pipe::new(job.err.take()));
        let (verdict, grace_ms) = (None, u64::MAX);
        let (job, child_watched, is_grown) = (Some(job), None, false);
        Self { mode, job, out, err, intake, child_watched, verdict, is_grown, grace_ms, timeout_ms }
    }

    /// The outcome of a command that could not be run.
    pub(crate) fn never_ran(session: &Session, ending: &Ending) -> Outcome {
        match session.speech().service {
            Service::Exec => Outcome::Text(Capture::new(session.is_bare()).on_end(ending)),
            _ => Outcome::Ran(ending.clone()),
        }
    }

    pub(crate) fn take_job(&mut self) -> Option<Job> {
        self.job.take()
    }

    pub(crate) fn intake(&mut self) -> Option<&mut Intake> {
        self.intake.as_mut()
    }

    pub(crate) fn is_fed_up(&self) -> bool {
        self.intake.as_ref().is_some_and(Intake::is_full)
    }

    /// The command takes some more input, perhaps.
    pub(crate) fn on_writable(&mut self) {
        self.intake.iter_mut().for_each(Intake::on_writable);
    }

    /// Its terminal has another size.
    pub(crate) fn resize(&mut self, size: WindowSize) {
        if matches!(self.mode, Mode::Terminal)
            && let Some(fd) = self.out.end.open()
        {
            pty::resize(fd, size.columns, size.rows);
        }
    }

    pub(crate) fn out(&self) -> Option<BorrowedFd<'_>> {
        self.out.end.open()
    }

    pub(crate) fn err(&self) -> Option<BorrowedFd<'_>> {
        self.err.end.open()
    }

    /// When something is to be done though nothing happens.
    pub(crate) fn deadline_ms(&self) -> u64 {
        if self.verdict.is_some() { self.grace_ms } else { self.timeout_ms }
    }

    /// That time has come.
    pub(crate) fn on_deadline(&mut self, desk: &mut Desk) {
        if self.verdict.is_some() {
            self.grace_ms = 0;
        } else {
            self.stop(desk, Refusal::new(Code::Timeout, "the command took too long"));
        }
    }

    /// The process has ended, perhaps.
    pub(crate) fn on_child(&mut self, desk: &Desk) {
        let Some(job) = self.job.as_ref().filter(|_| self.verdict.is_none()) else { return };
        self.verdict = match job.ending() {
            Ok(None) => return,
            Ok(Some(ending)) => Some(Outcome::Ran(ending)),
            Err(_) => Some(Outcome::Refused(Refusal::new(Code::Internal, "lost the command"))),
        };
        self.grace_ms = desk.now_ms + OUTPUT_GRACE_MS;
    }

    /// Ends the command before its time; what is in its pipes is sent still.
    pub(crate) fn stop(&mut self, desk: &mut Desk, refusal: Refusal) {
        if let Some(job) = self.job.take() {
            desk.condemn(job);
        }
        if !matches!(self.mode, Mode::Terminal) {
            self.intake.iter_mut().for_each(Intake::close);
        }
        self.verdict = Some(Outcome::Refused(refusal));
        self.grace_ms = 0;
    }

    /// A pipe has something, or has ended.
    pub(crate) fn on_pipe(
        &mut self,
        source: Source,
        output: &mut OutQueue,
        scratch: &mut [u8],
    ) -> io::Result<()> {
        match self.mode {
            Mode::Spliced => Ok(()),
            Mode::Framed => self.queue_frame(source, true, output),
            Mode::Terminal => self.read_terminal(output, scratch).map(drop),
            Mode::Captured(_) => self.capture(source, output, scratch).map(drop),
        }
    }

    /// So much was spliced at once. A command that fills its pipe gets a larger one; most never do.
    pub(crate) fn on_spliced(&mut self, bytes: u64) {
        if !self.is_grown && bytes >= PIPE_FULL_BYTES {
            self.is_grown = true;
            if let Some(fd) = self.out() {
                pipe::grow(fd, PIPE_BYTES);
            }
        }
    }

    /// A splice found the pipe drained and without a writer.
    pub(crate) fn on_source_ended(&mut self) {
        self.out.end.close();
    }

    /// How it came out, once nothing of it is left to be sent.
    pub(crate) fn outcome(
        &mut self,
        output: &mut OutQueue,
        scratch: &mut [u8],
    ) -> io::Result<Option<Outcome>> {
        if self.verdict.is_some() && self.grace_ms == 0 {
            self.take_rest(output, scratch)?;
        }
        let is_drained = self.out().is_none() && self.err().is_none() && !output.has_source();
        if !is_drained {
            return Ok(None);
        }
        let verdict = self.verdict.take();
        Ok(match (&mut self.mode, verdict) {
            (Mode::Captured(capture), Some(Outcome::Ran(ending))) => {
                Some(Outcome::Text(capture.on_end(&ending)))
            }
            (Mode::Captured(capture), Some(verdict)) => {
                output.push(capture.rest());
                Some(verdict)
            }
            (_, verdict) => verdict,
        })
    }

    /// Takes what is in the pipes now for all there will be.
    fn take_rest(&mut self, output: &mut OutQueue, scratch: &mut [u8]) -> io::Result<()> {
        if matches!(self.mode, Mode::Terminal) {
            return self.take_rest_of_terminal(output, scratch);
        }
        for source in [Source::Out, Source::Err] {
            let pipe = self.pipe(source);
            let Some(fd) = pipe.end.open() else { continue };
            let left = copy::bytes_readable(fd)?;
            let is_cut = matches!(self.mode, Mode::Spliced) && output.cut_pipes();
            if is_cut {
                output.push_pipe(source, left as u64);
            }
            if output.has_pipe(source) {
                self.pipe(source).is_last |= is_cut;
            } else if self.pipe(source).is_last {
                self.pipe(source).end.close();
            } else {
                self.queue_rest(source, left, output, scratch)?;
            }
        }
        Ok(())
    }

    fn queue_rest(
        &mut self,
        source: Source,
        left: usize,
        output: &mut OutQueue,
        scratch: &mut [u8],
    ) -> io::Result<()> {
        let mut taken = 0;
        if matches!(self.mode, Mode::Framed) {
            self.queue_frame(source, false, output)?;
        }
        while matches!(self.mode, Mode::Captured(_)) && taken < left {
            match self.capture(source, output, scratch)? {
                0 => break,
                count => taken += count,
            }
        }
        let pipe = self.pipe(source);
        pipe.is_last = true;
        if !output.has_pipe(source) {
            pipe.end.close();
        }
        Ok(())
    }

    /// Queues a frame of what is in the pipe. Nothing in a pipe that epoll reports means its end.
    fn queue_frame(
        &mut self,
        source: Source,
        is_event: bool,
        output: &mut OutQueue,
    ) -> io::Result<()> {
        let pipe = self.pipe(source);
        let Some(fd) = pipe.end.open().filter(|_| !output.has_pipe(source)) else { return Ok(()) };
        let bytes = (copy::bytes_readable(fd)? as u64).min(CHUNK_BYTES_MAX);
        if bytes == 0 {
            if is_event {
                pipe.end.close();
            }
            return Ok(());
        }
        let kind = if source == Source::Out { "out" } else { "err" };
        output.push(reply::header(kind, bytes, &[]));
        output.push_pipe(source, bytes);
        Ok(())
    }

    /// Queues a frame of what a terminal shows; how much. Its end means that nobody has it open.
    fn read_terminal(&mut self, output: &mut OutQueue, scratch: &mut [u8]) -> io::Result<usize> {
        let Some(fd) = self.out() else { return Ok(0) };
        let count = match pty::read(fd, scratch) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error),
        };
        if count == 0 {
            self.close_terminal();
        } else {
            output.push(reply::frame("out", &[], &scratch[..count]));
        }
        Ok(count)
    }

    fn take_rest_of_terminal(
        &mut self,
        output: &mut OutQueue,
        scratch: &mut [u8],
    ) -> io::Result<()> {
        let mut taken = 0;
        while taken < TERMINAL_REST_BYTES_MAX {
            match self.read_terminal(output, scratch)? {
                0 => break,
                count => taken += count,
            }
        }
        self.close_terminal();
        Ok(())
    }

    /// Hangs up.
    fn close_terminal(&mut self) {
        self.intake.iter_mut().for_each(Intake::close);
        self.out.end.close();
    }

    /// Reads from a pipe into the answer; how much.
    fn capture(
        &mut self,
        source: Source,
        output: &mut OutQueue,
        scratch: &mut [u8],
    ) -> io::Result<usize> {
        let pipe = match source {
            Source::Out => &mut self.out,
            Source::Err => &mut self.err,
        };
        let (Mode::Captured(capture), Some(fd)) = (&mut self.mode, pipe.end.open()) else {
            return Ok(0);
        };
        match copy::read(fd, scratch) {
            Ok(0) => {
                pipe.end.close();
                Ok(0)
            }
            Ok(count) => {
                let from = if source == Source::Out { Output::Out } else { Output::Err };
                output.push(capture.on_output(from, &scratch[..count]));
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Waits for what there is to wait for.
    pub(crate) fn watch(
        &mut self,
        desk: &Desk,
        peer: PeerId,
        output: &OutQueue,
        flags: &Flags,
    ) -> io::Result<()> {
        for (source, facet) in [(Source::Out, Facet::Out), (Source::Err, Facet::Err)] {
            let is_wanted = self.grace_ms > 0
                && match self.mode {
                    Mode::Spliced => flags.is_source_empty,
                    Mode::Framed => !output.has_pipe(source) && !flags.is_choked,
                    Mode::Terminal | Mode::Captured(_) => !flags.is_choked,
                };
            let wanted = is_wanted.then_some(Interest::READ);
            self.pipe(source).end.watch(desk, peer, facet, wanted)?;
        }
        if let Some(intake) = &mut self.intake {
            intake.watch(desk, peer)?;
        }
        if let Some(job) = &self.job {
            if self.verdict.is_some() && self.child_watched.is_some() {
                // It has exited, and something still holds its pipes.
                job.end_rest();
            }
            let wanted = self.verdict.is_none().then_some(Interest::READ);
            desk.watch(peer, Facet::Child, job.child().as_fd(), self.child_watched, wanted)?;
            self.child_watched = wanted;
        }
        Ok(())
    }

    /// Waits for nothing more, before all is dropped.
    pub(crate) fn unwatch(&mut self, desk: &Desk) {
        self.out.end.unwatch(&desk.epoll);
        self.err.end.unwatch(&desk.epoll);
        self.intake.iter_mut().for_each(|intake| intake.unwatch(&desk.epoll));
        if let Some(job) = self.job.as_ref().filter(|_| self.child_watched.is_some()) {
            // As `Watched::unwatch`.
            let _ = desk.epoll.delete(job.child().as_fd());
        }
    }

    fn pipe(&mut self, source: Source) -> &mut Pipe {
        match source {
            Source::Out => &mut self.out,
            Source::Err => &mut self.err,
        }
    }
}
