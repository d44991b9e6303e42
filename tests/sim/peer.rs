//! `Peer`: one connection, put together of the crate's pure pieces in the way of `server::pump`,
//! `drive` and `settle`, with a liar for a socket.
//!
//! What it does not do: decide when something happens (`world`).

use std::collections::VecDeque;

use landline::protocol::capture::Capture;
use landline::protocol::effect::{
    Answer, Call, Effect, Ending, FileRequest, FileWish, Input, Outcome, RunRequest, Stdin,
    UploadRequest,
};
use landline::protocol::limits::{OUTPUT_BYTES_HIGH, OUTPUT_BYTES_LOW};
use landline::protocol::line::{Framer, Framing};
use landline::protocol::refusal::{Code, Refusal};
use landline::protocol::reply;
use landline::protocol::session::Session;
use landline::protocol::speech::Service;
use landline::transfer::outqueue::OutQueue;
use landline::transfer::segment::Shared;

use crate::answers::stat_text;
use crate::desk::{Desk, Mail};
use crate::intake::{Intake, Storing};
use crate::job::Running;
use crate::script::{Ends, Script};

/// What is awaited.
pub(crate) enum Task {
    /// Word from elsewhere: an outcome that is told at some moment, or the room's answer by mail.
    Awaited {
        coming: Option<Coming>,
        /// Of a command that is being started.
        intake: Option<Intake>,
        is_cancelled: bool,
    },
    Download {
        file: usize,
        next: usize,
        end: usize,
        refusal: Option<Refusal>,
    },
    Running(Box<Running>),
    Upload(Box<Storing>),
}

impl Task {
    /// Where input goes, of a command that takes some.
    fn intake(&mut self) -> Option<&mut Intake> {
        match self {
            Self::Awaited { intake, .. } => intake.as_mut(),
            Self::Running(running) => running.intake.as_mut(),
            Self::Download { .. } | Self::Upload(_) => None,
        }
    }

    fn is_fed_up(&self) -> bool {
        match self {
            Self::Awaited { intake, .. } => intake.as_ref().is_some_and(Intake::is_full),
            Self::Running(running) => running.intake.as_ref().is_some_and(Intake::is_full),
            Self::Upload(storing) => storing.is_full(),
            Self::Download { .. } => false,
        }
    }
}

/// What will be found.
pub(crate) enum Coming {
    File { file: usize, offset: usize },
    Started(usize),
    Outcome(Outcome),
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Finish,
    Dismiss,
    Reset,
    Gone,
}

/// What a peer that was dismissed had left unread.
pub(crate) struct Slow {
    /// Bytes of messages it was ever given.
    pub(crate) delivered_bytes: usize,
    /// How much it had received then.
    pub(crate) received_bytes: usize,
}

/// One connection.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, as in the server")]
pub(crate) struct Peer<'a> {
    pub(crate) number: usize,
    pub(crate) script: &'a Script,
    pub(crate) session: Session,
    pub(crate) framer: Framer,
    pub(crate) inbox: Vec<u8>,
    pub(crate) output: OutQueue,
    pub(crate) held: VecDeque<Shared>,
    pub(crate) task: Option<Task>,
    pub(crate) fate: Option<Fate>,
    pub(crate) is_at_end: bool,
    pub(crate) is_sink_full: bool,
    pub(crate) is_choked: bool,
    pub(crate) is_stalled: bool,
    pub(crate) is_closed: bool,
    pub(crate) is_known_to_room: bool,
    /// The client's end breaks down at the next write.
    pub(crate) is_broken: bool,
    /// What the client has received.
    pub(crate) received: Vec<u8>,
    pub(crate) delivered_bytes: usize,
    pub(crate) slow: Option<Slow>,
}

impl<'a> Peer<'a> {
    pub(crate) fn new(number: usize, script: &'a Script) -> Self {
        let session = Session::new(script.speech, script.permit);
        Self {
            number,
            script,
            framer: Framer::new(session.framing()),
            session,
            inbox: Vec::new(),
            output: OutQueue::default(),
            held: VecDeque::new(),
            task: None,
            fate: None,
            is_at_end: false,
            is_sink_full: false,
            is_choked: false,
            is_stalled: false,
            is_closed: false,
            is_known_to_room: false,
            is_broken: false,
            received: Vec::new(),
            delivered_bytes: 0,
            slow: None,
        }
    }

    /// Whether a message, or a piece of payload, would be taken now.
    pub(crate) fn takes_input(&self) -> bool {
        let is_open = self.fate.is_none() && !self.is_choked;
        is_open
            && if self.framer.is_in_payload() {
                self.session.takes_payload() && !self.task.as_ref().is_some_and(Task::is_fed_up)
            } else {
                self.session.takes_frames()
            }
    }

    pub(crate) fn can_pump(&self) -> bool {
        let is_waiting = self.session.has_waiting() && self.fate.is_none() && !self.is_choked;
        // An end of input that came while a framed request was in progress is acted on behind it.
        let is_ending = self.is_at_end && !self.session.is_busy();
        is_waiting || ((self.is_stalled || is_ending) && self.takes_input())
    }

    pub(crate) fn wants_input(&self) -> bool {
        !self.is_closed && !self.is_at_end && self.takes_input() && !self.is_stalled
    }

    pub(crate) fn note_output(&mut self) {
        let limit = if self.is_choked { OUTPUT_BYTES_LOW } else { OUTPUT_BYTES_HIGH };
        self.is_choked = self.output.memory_bytes() > limit;
    }

    pub(crate) fn act(&mut self, desk: &mut Desk<'_>, effect: Effect<'_>) {
        match effect {
            Effect::Nothing | Effect::Later => {}
            Effect::Upload(request) => {
                self.task = Some(Task::Upload(Box::new(store(desk, &request))));
            }
            Effect::Feed(bytes) => self.feed(bytes),
            Effect::FeedEnd => self.feed_end(),
            Effect::Resize(terminal) => {
                if let Some(intake) = self.task.as_mut().and_then(Task::intake) {
                    intake.on_size(terminal.size);
                }
            }
            Effect::Echo(bytes) => self.send_now(desk, bytes),
            Effect::Frame(payload) => self.output.push(reply::done(&[], payload)),
            Effect::Reply(bytes) => self.output.push(bytes),
            Effect::End(bytes) => {
                self.output.push(bytes);
                self.fate.get_or_insert(Fate::Finish);
            }
            Effect::Cancel => self.cancel(),
            Effect::Files(request) => self.awaits(look(desk, &request), None),
            Effect::Run(request) => {
                let intake = (request.stdin != Stdin::Empty).then(Intake::new);
                self.awaits(start(desk, &request), intake);
            }
            Effect::Room(call) => {
                self.is_known_to_room |= matches!(call, Call::Join { .. });
                let answer = desk.call(self.number, call);
                let (coming, intake) = (None, None);
                self.task = Some(Task::Awaited { coming, intake, is_cancelled: false });
                if let Some(answer) = answer {
                    self.take_messages(desk);
                    self.on_mail(desk, Mail::Answer(answer));
                }
            }
            Effect::Count(_) => panic!("no counters are asked for"),
        }
    }

    fn awaits(&mut self, coming: Coming, intake: Option<Intake>) {
        self.task = Some(Task::Awaited { coming: Some(coming), intake, is_cancelled: false });
    }

    fn feed(&mut self, bytes: &[u8]) {
        match &mut self.task {
            Some(Task::Upload(storing)) => storing.on_bytes(bytes),
            Some(task) => {
                let intake = task.intake().expect("what is fed takes it");
                intake.on_bytes(bytes);
            }
            None => panic!("there is nobody to be fed"),
        }
    }

    fn feed_end(&mut self) {
        match &mut self.task {
            Some(Task::Upload(storing)) => storing.on_end(),
            Some(task) => task.intake().into_iter().for_each(Intake::on_end),
            None => {}
        }
    }

    /// What came for a request while it was kept.
    pub(crate) fn feed_kept(&mut self, input: &Input) {
        let Some(task) = &mut self.task else { return };
        if let (Some(terminal), Some(intake)) = (&input.terminal, task.intake()) {
            intake.on_size(terminal.size);
        }
        if !input.bytes.is_empty() {
            self.feed(&input.bytes);
        }
        if input.is_ended {
            self.feed_end();
        }
    }

    fn cancel(&mut self) {
        let refusal = Refusal::new(Code::Cancelled, "the request was cancelled");
        match &mut self.task {
            Some(Task::Awaited { is_cancelled, .. }) => *is_cancelled = true,
            Some(Task::Download { next, end, refusal: why, .. }) => {
                *next = *end;
                why.get_or_insert(refusal);
            }
            Some(Task::Running(running)) => running.stop(Code::Cancelled),
            Some(Task::Upload(storing)) => storing.stop(refusal),
            None => {}
        }
    }

    /// What was looked for is found.
    pub(crate) fn on_coming(&mut self, desk: &mut Desk<'_>) {
        if let Some(Task::Upload(storing)) = &mut self.task {
            if let Some(outcome) = storing.go_on(&mut desk.stored) {
                self.on_outcome(desk, outcome);
            }
            return;
        }
        let Some(Task::Awaited { coming, intake, is_cancelled }) = &mut self.task else { return };
        let Some(coming) = coming.take() else { return };
        let intake = intake.take();
        if *is_cancelled {
            let refusal = Refusal::new(Code::Cancelled, "the request was cancelled");
            return self.on_outcome(desk, Outcome::Refused(refusal));
        }
        match coming {
            Coming::Outcome(outcome) => self.on_outcome(desk, outcome),
            Coming::File { file, offset } => self.begin_download(desk, file, offset),
            Coming::Started(number) => {
                let job = &desk.scene.jobs[number];
                if job.ends == Ends::NotFound {
                    let ending = Ending::Status(127);
                    let outcome = match self.session.service() {
                        Service::Exec => {
                            Outcome::Text(Capture::new(self.session.is_bare()).on_end(&ending))
                        }
                        _ => Outcome::Ran(ending),
                    };
                    return self.on_outcome(desk, outcome);
                }
                let running = Running::begin(number, job, intake, &self.session);
                self.task = Some(Task::Running(Box::new(running)));
            }
        }
    }

    fn begin_download(&mut self, desk: &Desk<'_>, file: usize, offset: usize) {
        let shelved = &desk.scene.files[file];
        let (end, mut next) = (shelved.size, offset);
        if self.session.is_framed() {
            let name = shelved.name.rsplit('/').next().unwrap_or_default();
            let (size, mtime) = (end.to_string(), shelved.mtime_s.to_string());
            let keys = [("size", &size), ("mtime", &mtime), ("name", &name.to_owned())];
            let keys = keys.map(|(key, value)| (key, value.as_bytes()));
            self.output.push(reply::header("file", 0, &keys));
        } else {
            self.output.push_file(offset as u64, (end - offset) as u64);
            next = end;
        }
        self.task = Some(Task::Download { file, next, end, refusal: None });
    }

    pub(crate) fn on_outcome(&mut self, desk: &mut Desk<'_>, outcome: Outcome) {
        let reply = self.session.on_outcome(outcome, &desk.terms(), &desk.stamp());
        if !self.session.is_busy() {
            self.task = None;
        }
        self.output.push(reply.bytes);
        self.output.push(reply.text);
        for message in self.held.drain(..) {
            self.output.push_shared(message);
        }
        if reply.is_end {
            self.fate = Some(Fate::Finish);
        }
    }

    /// One piece of mail.
    pub(crate) fn on_mail(&mut self, desk: &mut Desk<'_>, mail: Mail) {
        match mail {
            // A peer that was dismissed meanwhile awaits nothing any more.
            Mail::Answer(_) if !self.session.is_busy() => {}
            Mail::Answer(answer) => {
                if let Some(Task::Awaited { is_cancelled, .. }) = &mut self.task {
                    // What the room has done is not taken back.
                    *is_cancelled &= !matches!(answer, Answer::Joined(_));
                }
                self.on_outcome(desk, Outcome::Room(answer));
            }
            Mail::Message(message) => self.deliver(desk, message),
        }
    }

    /// Messages that came before an answer that was given at once.
    fn take_messages(&mut self, desk: &mut Desk<'_>) {
        for mail in std::mem::take(&mut desk.mail[self.number]) {
            self.on_mail(desk, mail);
        }
    }

    fn deliver(&mut self, desk: &mut Desk<'_>, messages: Shared) {
        if !matches!(self.fate, None | Some(Fate::Finish)) {
            return;
        }
        self.delivered_bytes += messages.len();
        let held: usize = self.held.iter().map(Shared::len).sum();
        let unread = self.output.message_bytes() + held + messages.len();
        let is_replying = self.session.is_busy() && !self.session.is_sending();
        if is_replying && !self.session.is_framed() {
            self.held.push_back(messages);
        } else {
            self.output.push_shared(messages);
        }
        if unread > desk.scene.backlog_bytes_max {
            let (delivered_bytes, received_bytes) = (self.delivered_bytes, self.received.len());
            self.slow = Some(Slow { delivered_bytes, received_bytes });
            self.dismiss();
        }
    }

    fn dismiss(&mut self) {
        self.task = None;
        self.held.clear();
        if self.is_sink_full || self.output.has_source() {
            self.fate = Some(Fate::Gone);
            return;
        }
        let text = "messages were left unread";
        self.output.push(self.session.farewell(&Refusal::new(Code::Slow, text)));
        self.fate = Some(Fate::Dismiss);
    }

    /// Whether the time for a newline may run out.
    pub(crate) fn is_undecided(&self) -> bool {
        self.framer.framing() == Framing::Undecided && !self.inbox.is_empty()
    }
}

/// Looks at the table that stands for the served root.
fn look(desk: &Desk<'_>, request: &FileRequest<'_>) -> Coming {
    let files = &desk.scene.files;
    let refused = |code| Coming::Outcome(Outcome::Refused(Refusal::new(code, "no")));
    let Some(file) = files.iter().position(|file| file.name.as_bytes() == request.path) else {
        return refused(Code::NoSuchFile);
    };
    match request.wish {
        FileWish::Download { offset } => match usize::try_from(offset) {
            Ok(offset) if offset <= files[file].size => Coming::File { file, offset },
            _ => refused(Code::BadOffset),
        },
        FileWish::Stat | FileWish::List => {
            Coming::Outcome(Outcome::Text(stat_text(&files[file]).into_bytes()))
        }
    }
}

/// Begins to store a file in that table.
fn store(desk: &Desk<'_>, request: &UploadRequest<'_>) -> Storing {
    let name = String::from_utf8(request.path.to_vec()).expect("names here are ASCII");
    let is_there = desk.scene.files.iter().any(|file| file.name == name);
    let plan = match () {
        () if name.contains('/') => Err(Code::NoSuchFile),
        () if is_there && !request.may_replace => Err(Code::Exists),
        () => Ok(()),
    };
    Storing::new(name, request.bytes, plan)
}

/// Starts `job N`.
fn start(desk: &Desk<'_>, request: &RunRequest<'_>) -> Coming {
    let command = request.command;
    let number = command.strip_prefix(b"job ").and_then(|number| str::from_utf8(number).ok());
    let number: Option<usize> = number.and_then(|number| number.parse().ok());
    let number = number.unwrap_or_else(|| panic!("no such command: {}", command.escape_ascii()));
    match desk.scene.jobs[number].ends {
        Ends::Busy => Coming::Outcome(Outcome::Refused(Refusal::new(Code::Busy, "try again"))),
        _ => Coming::Started(number),
    }
}
