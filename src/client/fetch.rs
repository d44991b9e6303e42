//! `landline download`: files, one after the other over one connection, asked for without waiting.
//!
//! What it does not do: name files after what a server says, or write them (`landing`, `part`).
//!
//! A download that goes on from what was kept asks for the rest, and sees by the first frame
//! whether it is the same file. Where it is not, the reply is taken back by `cancel`, and the file
//! asked for again from its start, behind the others. `cancel` ends whatever is in progress when it
//! arrives, which may be the next one by then: what is cancelled is asked for again too.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt as _;

use super::command::{Common, Existing, Fetch, Output};
use super::failure::Failure;
use super::landing::{Landing, Target, exists};
use super::output::Out;
use super::part::{Origin, Part};
use super::progress::{Progress, amount};
use super::tally::Tally;
use super::watch::Watch;
use super::wire::{Wire, misplaced};
use crate::protocol::reply::Header;

pub(super) use super::transfer::Transfer;

/// How often one file is asked for.
const TRIES_MAX: u32 = 4;

/// `landline download`; gives its exit status.
pub(super) fn download(
    common: &Common,
    files: &[Fetch],
    existing: Existing,
) -> Result<u8, Failure> {
    let mut tally = Tally::default();
    let wanted: Vec<_> = files
        .iter()
        .filter(|fetch| match check(fetch, existing) {
            Ok(()) => true,
            Err(failure) => {
                tally.failed(failure);
                false
            }
        })
        .collect();
    if wanted.is_empty() {
        return Ok(tally.status());
    }
    let (wire, watch) = Wire::open(common)?;
    let shows_progress = !common.quiet;
    let queue = VecDeque::new();
    let has_cancelled = false;
    let mut fetching =
        Fetching { wire, watch, existing, shows_progress, queue, has_cancelled, tally };
    let ended = fetching.begin(&wanted).and_then(|()| fetching.run());
    ended.map_err(|failure| {
        fetching.wire.abandon();
        with_kept(failure, fetching.queue.front(), common.quiet)
    })?;
    Ok(fetching.tally.status())
}

/// Fails where a file must not be fetched, as things are. Nothing is made yet.
fn check(fetch: &Fetch, existing: Existing) -> Result<(), Failure> {
    match &fetch.output {
        Output::Stdout => Ok(()),
        Output::File(target) => Landing::check(target, existing.is_replaced || existing.is_resumed),
    }
}

/// A reply that is to come.
enum Asked<'a> {
    File(Job<'a>),
    Cancel,
}

/// A file, and what there is of it.
struct Job<'a> {
    fetch: &'a Fetch,
    here: Here,
    tries: u32,
}

/// What there is of a file here.
enum Here {
    Nothing,
    /// What came of it, to be gone on from.
    Part(Part),
    /// A target that may be the whole file already.
    Target {
        size: u64,
        mtime_s: i64,
    },
}

/// Where the bytes go.
enum Sink<'a> {
    Stdout(Out),
    File(Landing),
    Part(&'a mut Part),
    /// They are dropped.
    Nowhere,
}

impl Sink<'_> {
    fn write(&mut self, bytes: &[u8], watch: &mut Watch) -> Result<(), Failure> {
        match self {
            Self::Stdout(out) => out.write(bytes, watch),
            Self::File(landing) => landing.write(bytes),
            Self::Part(part) => part.write(bytes),
            Self::Nowhere => Ok(()),
        }
    }
}

impl<'a> Job<'a> {
    fn new(fetch: &'a Fetch, existing: Existing) -> Result<Self, Failure> {
        let here = match &fetch.output {
            Output::File(target) if existing.is_resumed => match target.metadata() {
                Ok(found) if !existing.is_replaced => {
                    Here::Target { size: found.len(), mtime_s: found.mtime() }
                }
                _ => Here::Part(Part::open(Target::open(target, existing.is_replaced)?)?),
            },
            _ => Here::Nothing,
        };
        Ok(Self { fetch, here, tries: 0 })
    }

    /// The byte from which on it is asked for.
    fn offset(&self) -> u64 {
        match &self.here {
            Here::Nothing => 0,
            Here::Part(part) => part.len(),
            Here::Target { size, .. } => *size,
        }
    }

    fn request(&self) -> String {
        match self.offset() {
            0 => format!("download {}", self.fetch.file),
            offset => format!("download@{offset} {}", self.fetch.file),
        }
    }

    /// Whether what is here is of this file.
    fn is_of(&self, origin: &Origin) -> bool {
        match &self.here {
            Here::Nothing => true,
            Here::Part(part) => part.is_of(origin),
            Here::Target { size, mtime_s } => {
                let is_no_older = |time| i64::try_from(time).is_ok_and(|time| time <= *mtime_s);
                *size == origin.size && origin.mtime_s.is_some_and(is_no_older)
            }
        }
    }

    /// What is here is of another file: it is to be asked for from its start. A target stays.
    fn start_again(&mut self) -> Result<Ended, Failure> {
        match (&mut self.here, &self.fetch.output) {
            (Here::Target { .. }, Output::File(target)) => Ok(Ended::Failed(exists(target))),
            (Here::Part(part), _) => part.forget().map(|()| Ended::Again),
            _ => Ok(Ended::Again),
        }
    }
}

/// What became of a reply.
enum Ended {
    /// The file is here.
    Done,
    /// It is not, and others may be all the same.
    Failed(Failure),
    /// It is to be asked for again.
    Again,
}

struct Fetching<'a> {
    wire: Wire,
    watch: Watch,
    existing: Existing,
    shows_progress: bool,
    queue: VecDeque<Asked<'a>>,
    has_cancelled: bool,
    tally: Tally,
}

impl<'a> Fetching<'a> {
    /// Asks for all of them.
    fn begin(&mut self, wanted: &[&'a Fetch]) -> Result<(), Failure> {
        for fetch in wanted {
            match Job::new(fetch, self.existing) {
                Ok(job) => self.ask(job),
                Err(failure @ Failure::Failed(_)) => self.tally.failed(failure),
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    fn ask(&mut self, mut job: Job<'a>) {
        job.tries += 1;
        self.wire.say(&job.request());
        self.queue.push_back(Asked::File(job));
    }

    fn run(&mut self) -> Result<(), Failure> {
        while let Some(asked) = self.queue.pop_front() {
            match asked {
                Asked::Cancel => self.cancelled()?,
                Asked::File(job) => self.file(job)?,
            }
        }
        Ok(())
    }

    /// The reply to `cancel`.
    fn cancelled(&mut self) -> Result<(), Failure> {
        let header = self.wire.reply(&mut self.watch)?;
        self.wire.text(&mut self.watch)?;
        if header.kind == "done" { Ok(()) } else { Err(misplaced(&header)) }
    }

    /// The reply to a download.
    fn file(&mut self, mut job: Job<'a>) -> Result<(), Failure> {
        let received = self.receive(&mut job);
        let ended = match received {
            Ok(ended) => ended,
            Err(failure) => {
                // What is kept of it is told of with the failure.
                self.queue.push_front(Asked::File(job));
                return Err(failure);
            }
        };
        match ended {
            Ended::Again if job.tries < TRIES_MAX => self.ask(job),
            Ended::Again => {
                let why = format!("{}: changes each time it is asked for", job.fetch.file);
                self.tally.failed(Failure::Failed(why));
            }
            Ended::Failed(failure) => self.tally.failed(failure),
            Ended::Done => {
                if let Here::Part(part) = job.here {
                    part.finish()?;
                }
                self.tally.done();
            }
        }
        Ok(())
    }

    fn receive(&mut self, job: &mut Job<'a>) -> Result<Ended, Failure> {
        let first = self.wire.reply(&mut self.watch)?;
        let offset = job.offset();
        if first.kind == "fail" {
            let ended = self.on_fail(&first)?;
            let is_shorter = first.value("code") == Some(b"bad-offset") && offset > 0;
            return if is_shorter { job.start_again() } else { Ok(ended) };
        }
        let mut transfer = Transfer::begin(&first, offset)?;
        self.wire.text(&mut self.watch)?;
        let origin = Origin {
            file: job.fetch.file.clone(),
            size: offset + transfer.size(),
            mtime_s: first.number("mtime"),
        };
        if !job.is_of(&origin) {
            return self.differs(job, &mut transfer);
        }
        let mut sink = match (&mut job.here, &job.fetch.output) {
            (Here::Target { .. }, _) => Sink::Nowhere,
            (Here::Part(part), _) => {
                part.begin(&origin)?;
                Sink::Part(part)
            }
            (Here::Nothing, Output::Stdout) => Sink::Stdout(Out::stdout()?),
            (Here::Nothing, Output::File(target)) => {
                Sink::File(Landing::begin(target, self.existing.is_replaced)?)
            }
        };
        let is_shown = self.shows_progress && matches!(sink, Sink::File(_) | Sink::Part(_));
        let label = job.fetch.file.rsplit('/').next().unwrap_or_default();
        let mut progress = Progress::new(origin.size, is_shown).of(label).from(offset);
        let received = self.content(&mut transfer, &mut sink, &mut progress);
        if matches!(received, Ok(None)) {
            progress.finish();
        } else {
            progress.clear();
        }
        match (received?, sink) {
            (Some(header), _) => self.on_fail(&header),
            (None, Sink::File(landing)) => landing.finish().map(|()| Ended::Done),
            (None, _) => Ok(Ended::Done),
        }
    }

    /// Takes what comes to the end of the reply; gives the `fail` where that is the end.
    fn content(
        &mut self,
        transfer: &mut Transfer,
        sink: &mut Sink<'_>,
        progress: &mut Progress,
    ) -> Result<Option<Header>, Failure> {
        loop {
            let header = self.wire.reply(&mut self.watch)?;
            match header.kind.as_str() {
                "fail" => return Ok(Some(header)),
                "done" => {
                    self.wire.text(&mut self.watch)?;
                    transfer.on_done()?;
                    return Ok(None);
                }
                _ => transfer.on_data(&header)?,
            }
            while let Some(piece) = self.wire.payload(&mut self.watch)? {
                sink.write(piece, &mut self.watch)?;
                progress.on_bytes(piece.len());
            }
        }
    }

    /// The reply ends in a refusal.
    fn on_fail(&mut self, header: &Header) -> Result<Ended, Failure> {
        let refusal = self.wire.refusal(header, &mut self.watch)?;
        let is_ours = header.value("code") == Some(b"cancelled") && self.has_cancelled;
        Ok(if is_ours { Ended::Again } else { Ended::Failed(refusal) })
    }

    /// The file is another one than that of which there is something here.
    fn differs(&mut self, job: &mut Job<'a>, transfer: &mut Transfer) -> Result<Ended, Failure> {
        if transfer.size() > 0 {
            self.wire.say("cancel");
            self.has_cancelled = true;
            self.queue.push_back(Asked::Cancel);
        }
        let mut progress = Progress::new(0, false);
        if let Some(header) = self.content(transfer, &mut Sink::Nowhere, &mut progress)? {
            self.wire.refusal(&header, &mut self.watch)?;
        }
        job.start_again()
    }
}

/// A failure, with what was kept of the file that it befell.
fn with_kept(failure: Failure, asked: Option<&Asked<'_>>, is_quiet: bool) -> Failure {
    let Some(Asked::File(Job { here: Here::Part(part), .. })) = asked else { return failure };
    if part.len() == 0 {
        return failure;
    }
    let kept = format!("{} of it are kept, and --continue goes on from there", amount(part.len()));
    let with = |text: String| format!("{text}; {kept}");
    match failure {
        Failure::Failed(text) => Failure::Failed(with(text)),
        Failure::Unreachable(text) => Failure::Unreachable(with(text)),
        Failure::Protocol(text) => Failure::Protocol(with(text)),
        Failure::Signalled(_) if !is_quiet => {
            super::say(&kept);
            failure
        }
        other => other,
    }
}
