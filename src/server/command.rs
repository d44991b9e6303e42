//! `Command`: a command whose output is on its way to a peer.
//!
//! What it does not do: start or end processes (`service::run`), or send (`transfer`).
//!
//! Output is read when an event says that there is some and all that was read before has been
//! sent, and goes from the worker's scratch buffer into the socket: what is promised in a frame's
//! header is what was read. A command can read its own output back (`/proc/self/fd/1`), so a pipe
//! may hold less than it did a moment before.
//!
//! A command is over when its process and its pipes have ended, or the grace for those that still
//! hold the pipes; or when it was stopped, and what was in the pipes then has been read.

use std::borrow::Cow;
use std::io;

use super::connection::Flags;
use super::desk::Desk;
use super::intake::Intake;
use super::watched::Watched;
use crate::protocol::capture::{Capture, Output};
use crate::protocol::effect::{Ending, Outcome, WindowSize};
use crate::protocol::refusal::{Code, Refusal};
use crate::protocol::reply;
use crate::protocol::session::Session;
use crate::protocol::speech::Service;
use crate::reactor::token::{Facet, PeerId};
use crate::service::run::{Job, OUTPUT_GRACE_MS};
use crate::sys::copy;
use crate::sys::epoll::Interest;
use crate::sys::fd::{AsFd, OwnedFd};
use crate::sys::{pipe, pty};
use crate::transfer::outqueue::OutQueue;

/// What one read gives of a pipe that a command fills faster than it is emptied, in bytes.
const PIPE_FULL_BYTES: usize = 32 * 1024;
/// Size of the pipe of such a command, in bytes.
const PIPE_BYTES: usize = 256 * 1024;

/// What is still read of a terminal once its command is over, in bytes; it holds less.
const TERMINAL_REST_BYTES_MAX: usize = 1024 * 1024;
/// Room in the scratch buffer for the header of a frame, in bytes.
const HEADER_BYTES: usize = 32;

/// Which of a command's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Standard output (in plain replies and on a terminal standard error too).
    Out,
    /// Standard error.
    Err,
}

/// How output becomes a reply.
#[derive(Debug)]
enum Mode {
    /// As it is.
    Plain,
    Framed,
    /// As `Framed`, from a terminal.
    Terminal,
    Captured(Capture),
}

/// One of a command's pipes, or its terminal.
#[derive(Debug)]
struct Pipe {
    end: Watched,
    /// An event came, and no read has found it empty since.
    is_ready: bool,
    /// It had no writer when the last event came: it is read to its end without another event.
    is_hung_up: bool,
    /// How much more is read of it, in bytes, once its command is over.
    left: Option<usize>,
}

impl Pipe {
    fn new(fd: Option<OwnedFd>) -> Self {
        Self { end: Watched::new(fd), is_ready: false, is_hung_up: false, left: None }
    }

    /// Whether a read may give something.
    fn is_ready(&self) -> bool {
        self.is_ready && self.end.open().is_some()
    }

    fn close(&mut self) {
        self.is_ready = false;
        self.end.close();
    }

    /// `left` more bytes are all there will be.
    fn end_after(&mut self, left: usize) {
        self.left = Some(left);
        self.is_ready = true;
        if left == 0 {
            self.close();
        }
    }

    /// A read of at most `room` bytes gave `count`.
    fn on_read(&mut self, count: usize, room: usize) {
        // What came since is told by the next event.
        self.is_ready = count == room || self.is_hung_up || self.left.is_some();
        if let Some(left) = &mut self.left {
            *left -= count;
        }
        if count == 0 || self.left == Some(0) {
            self.close();
        }
    }

    /// A read found nothing.
    fn on_empty(&mut self) {
        self.is_ready = false;
        if self.left.is_some() {
            self.close();
        }
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
    /// Whether standard error was read last: both have their turn.
    is_err_last: bool,
    /// When what holds the pipes is waited for no longer; `u64::MAX` once it is not.
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
    ) -> Self {
        let is_terminal = intake.as_ref().is_some_and(Intake::is_terminal);
        if let Some(intake) = &mut intake {
            intake.on_start(job.input.take());
        }
        let mode = match session.service() {
            _ if is_terminal => Mode::Terminal,
            Service::Exec => Mode::Captured(Capture::new(session.is_bare())),
            _ if session.is_framed() => Mode::Framed,
            _ => Mode::Plain,
        };
        let (out, err) = (Pipe::new(job.out.take()), Pipe::new(job.err.take()));
        let (verdict, grace_ms) = (None, u64::MAX);
        let (job, child_watched, is_grown, is_err_last) = (Some(job), None, false, true);
        Self {
            mode,
            job,
            out,
            err,
            intake,
            child_watched,
            verdict,
            is_grown,
            is_err_last,
            grace_ms,
            timeout_ms,
        }
    }

    /// The outcome of a command that could not be run.
    pub(crate) fn never_ran(session: &Session, ending: &Ending) -> Outcome {
        match session.service() {
            Service::Exec => Outcome::Text(Capture::new(session.is_bare()).on_end(ending)),
            _ => Outcome::Ran(ending.clone()),
        }
    }

    /// The process, to be ended. With its pipes, since what it says meanwhile is not to kill it, or
    /// its terminal, which hangs up once all that belongs to the command is known.
    pub(crate) fn take_job(&mut self) -> Option<Job> {
        let mut job = self.job.take()?;
        // Without a descriptor to spare it may be killed by what it says, or by the hang-up.
        job.out = self.out.end.open().and_then(|fd| fd.try_clone_to_owned().ok());
        job.err = self.err.end.open().and_then(|fd| fd.try_clone_to_owned().ok());
        Some(job)
    }

    pub(crate) fn intake(&mut self) -> Option<&mut Intake> {
        self.intake.as_mut()
    }

    pub(crate) fn is_fed_up(&self) -> bool {
        self.intake.as_ref().is_some_and(Intake::is_full)
    }

    /// The command takes some more input, perhaps; `is_gone`: none is left that could.
    pub(crate) fn on_writable(&mut self, is_gone: bool) {
        let act = if is_gone { Intake::close } else { Intake::on_writable };
        self.intake.iter_mut().for_each(act);
    }

    /// Its terminal has another size.
    pub(crate) fn resize(&mut self, size: WindowSize) {
        if matches!(self.mode, Mode::Terminal)
            && let Some(fd) = self.out.end.open()
        {
            pty::resize(fd, size.columns, size.rows);
        }
    }

    /// When something is to be done though nothing happens. What was done is not due again.
    pub(crate) fn deadline_ms(&self) -> u64 {
        if self.verdict.is_some() { self.grace_ms } else { self.timeout_ms }
    }

    /// That time has come.
    pub(crate) fn on_deadline(&mut self, desk: &mut Desk) {
        if self.verdict.is_some() {
            self.take_rest();
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
        self.child_watched = None;
        self.job.take().into_iter().for_each(|job| desk.finish(job));
    }

    /// Ends the command before its time; what is in its pipes is sent still.
    pub(crate) fn stop(&mut self, desk: &mut Desk, refusal: Refusal) {
        if let Some(job) = self.take_job() {
            desk.terminate(job);
        }
        self.intake.iter_mut().for_each(Intake::close);
        self.verdict = Some(Outcome::Refused(refusal));
        self.take_rest();
    }

    /// A pipe has something, or has ended; `is_gone`: it has no writer.
    pub(crate) fn on_pipe(&mut self, source: Source, is_gone: bool) {
        let pipe = self.pipe(source);
        pipe.is_ready = true;
        pipe.is_hung_up = is_gone;
    }

    /// Whether a read may give some output.
    pub(crate) fn has_output(&self) -> bool {
        self.out.is_ready() || self.err.is_ready()
    }

    /// Takes what is in the pipes now for all there will be.
    fn take_rest(&mut self) {
        self.grace_ms = u64::MAX;
        let is_terminal = matches!(self.mode, Mode::Terminal);
        for pipe in [&mut self.out, &mut self.err] {
            if let Some(fd) = pipe.end.open() {
                let held = if is_terminal {
                    Ok(TERMINAL_REST_BYTES_MAX)
                } else {
                    copy::bytes_readable(fd)
                };
                pipe.end_after(held.unwrap_or(0));
            }
        }
    }

    /// How it came out, once all of its output was read.
    pub(crate) fn outcome(&mut self, output: &mut OutQueue) -> Option<Outcome> {
        let is_open = [&self.out, &self.err].iter().any(|pipe| pipe.end.open().is_some());
        if is_open {
            return None;
        }
        match (&mut self.mode, self.verdict.take()?) {
            (Mode::Captured(capture), Outcome::Ran(ending)) => {
                Some(Outcome::Text(capture.on_end(&ending)))
            }
            (Mode::Captured(capture), verdict) => {
                output.push(capture.rest());
                Some(verdict)
            }
            (_, verdict) => Some(verdict),
        }
    }

    /// Reads once from a pipe that may hold something, given that one `has_output`. What is to be
    /// sent of it, which may be nothing. Where nothing is read, that pipe is not ready any more.
    pub(crate) fn read<'s>(&mut self, scratch: &'s mut [u8]) -> io::Result<Cow<'s, [u8]>> {
        let is_err = self.err.is_ready() && !(self.is_err_last && self.out.is_ready());
        self.is_err_last = is_err;
        let source = if is_err { Source::Err } else { Source::Out };
        let is_terminal = matches!(self.mode, Mode::Terminal);
        let head = if is_terminal || matches!(self.mode, Mode::Framed) { HEADER_BYTES } else { 0 };
        let pipe = self.pipe(source);
        let Some(fd) = pipe.end.open() else { return Ok(Cow::default()) };
        let room = (scratch.len() - head).min(pipe.left.unwrap_or(usize::MAX));
        let into = &mut scratch[head..head + room];
        let count = match if is_terminal { pty::read(fd, into) } else { copy::read(fd, into) } {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                pipe.on_empty();
                return Ok(Cow::default());
            }
            Err(error) => return Err(error),
        };
        if count >= PIPE_FULL_BYTES && !is_terminal && !is_err {
            self.grow();
        }
        self.pipe(source).on_read(count, room);
        if is_terminal && self.out.end.open().is_none() {
            // Its other half: the terminal hangs up once both are closed.
            self.intake.iter_mut().for_each(Intake::close);
        }
        Ok(self.in_reply(source, scratch, head, count))
    }

    /// `count` bytes of output at `head` as they stand in the reply.
    fn in_reply<'s>(
        &mut self,
        source: Source,
        scratch: &'s mut [u8],
        head: usize,
        count: usize,
    ) -> Cow<'s, [u8]> {
        let output = head..head + count;
        match &mut self.mode {
            _ if count == 0 => Cow::default(),
            Mode::Plain => Cow::Borrowed(&scratch[output]),
            Mode::Framed | Mode::Terminal => {
                let kind = if source == Source::Out { "out" } else { "err" };
                let header = reply::header(kind, count as u64, &[]);
                let start = head - header.len();
                scratch[start..head].copy_from_slice(&header);
                Cow::Borrowed(&scratch[start..output.end])
            }
            Mode::Captured(capture) => {
                let from = if source == Source::Out { Output::Out } else { Output::Err };
                Cow::Owned(capture.on_output(from, &scratch[output]))
            }
        }
    }

    /// A command that fills its pipe gets a larger one; most never do.
    fn grow(&mut self) {
        if let Some(fd) = self.out.end.open().filter(|_| !self.is_grown) {
            pipe::grow(fd, PIPE_BYTES);
        }
        self.is_grown = true;
    }

    /// Waits for what there is to wait for.
    pub(crate) fn watch(&mut self, desk: &Desk, peer: PeerId, flags: &Flags) -> io::Result<()> {
        for (source, facet) in [(Source::Out, Facet::Out), (Source::Err, Facet::Err)] {
            let pipe = self.pipe(source);
            // What is known to be there is read once the socket takes it, without an event.
            let is_wanted = !(pipe.is_ready && flags.is_sink_full);
            pipe.end.watch(desk, peer, facet, is_wanted.then_some(Interest::READ))?;
        }
        if let Some(intake) = &mut self.intake {
            intake.watch(desk, peer)?;
        }
        if let Some(job) = &self.job {
            let wanted = Some(Interest::READ);
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
