//! The supervisor: opens what was asked for, starts the workers, and then waits for signals.
//!
//! What it does not do: touch a peer. It talks to the workers by mail alone.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::accept::Acceptor;
use super::config::{Config, Listen, Settings};
use super::desk::Common;
use super::listener::{Listener, Opened};
use super::lists::Lists;
use super::log::{Field, Level, Log};
use super::mail::{Crew, HOME, Mail, Post};
use super::published::Published;
use super::stats::Stats;
use super::worker::Worker;
use crate::protocol::session::Uploads;
use crate::protocol::speech::{Service, Speech};
use crate::reactor::mailbox::Mailbox;
use crate::reactor::offload::Offload;
use crate::service::files::Shelf;
use crate::service::sweep::sweep;
use crate::service::terminate::Terminator;
use crate::sys::clock::Clock;
use crate::sys::fd::AsFd;
use crate::sys::poll::wait_or_pause;
use crate::sys::signal::{Signal, Signals};
use crate::sys::thread::{self, JoinHandle};
use crate::sys::wake::Wake;
use crate::sys::{host, inherit, notify, orphans, process};

/// Mail that may wait for one worker, but for what is bounded otherwise.
const MAIL_MAX: usize = 64 * 1024;
/// Threads that wait for disks, for what a disk does in one step.
const DISK_THREADS: usize = 4;
/// Threads that list directories.
const LIST_THREADS: usize = 4;
/// Threads that store files.
const STORE_THREADS: usize = 4;
/// How far they stand back behind the workers, as a nice value: a long listing is work for a
/// processor too.
const DISK_NICE: i32 = 10;
/// Threads that start processes.
const START_THREADS: usize = 2;
/// How far they, and so the commands, stand back behind the workers, as a nice value. Where both
/// want one processor, Linux lets whoever ran least go on, which is not a worker that just served
/// somebody: with less than this, a line waits until the command has had its time.
const START_NICE: i32 = 5;
/// How long uploads that were cut off may take to be taken back, in milliseconds.
const STORES_END_MS: u64 = 2_000;
/// How long the log may take to write its last lines, in milliseconds.
const LOG_END_MS: u64 = 1_000;

/// How long workers may take to end once they have to, in milliseconds.
const STOP_MS: u64 = 3_000;

/// Exit status for a bad option or configuration (sysexits.h, `EX_CONFIG`).
const STATUS_CONFIG: u8 = 78;
/// Exit status where the system refused (`EX_OSERR`).
const STATUS_SYSTEM: u8 = 71;
/// Exit status for a failure of landline's own (`EX_SOFTWARE`).
const STATUS_INTERNAL: u8 = 70;

/// Why the server did not start, or did not end as it should.
#[derive(Debug)]
pub struct StartError {
    /// What went wrong, and why.
    pub text: String,
    /// The exit status that says so.
    pub status: u8,
}

impl StartError {
    pub(crate) fn config(text: String) -> Self {
        Self { text, status: STATUS_CONFIG }
    }

    pub(crate) fn system(text: &str) -> Self {
        // People need the words of the system's error, not its number.
        let words = text.split(" (os error").next().unwrap_or_default().to_owned();
        Self { text: words, status: STATUS_SYSTEM }
    }

    fn internal(text: String) -> Self {
        Self { text, status: STATUS_INTERNAL }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// Serves until told to stop. `reread` gives the settings anew on SIGHUP.
pub fn serve(
    config: &Config,
    reread: &dyn Fn() -> Result<Settings, String>,
) -> Result<(), StartError> {
    let system = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| StartError::system(&format!("{what}: {error}"))
    };
    let mut signals = Signals::take().map_err(system("signals"))?;
    if orphans::come_here() {
        signals.take_more(&[Signal::Child]).map_err(system("signals"))?;
    }
    let inherited = inherit::listen_fds();
    let opened = open(config, &inherited)?;
    process::seal_descriptors().map_err(system("descriptors"))?;
    let shelf = config.root.as_deref().map(|root| {
        Shelf::open(root)
            .map_err(|error| StartError::config(format!("--root {}: {error}", root.display())))
    });
    let shelf = shelf.transpose()?;
    let Opened { listeners, paths, remarks, .. } = opened;
    let lines = listening_lines(&listeners);
    let log = Log::start(config.log, config.verbosity).map_err(system("the log"))?;
    let server =
        Server::start(config, listeners, shelf, Arc::clone(&log)).map_err(system("workers"))?;
    host::write_stderr(lines.as_bytes());
    for remark in &remarks {
        log.say(Level::Info, "listening", &[("remark", remark)]);
    }
    warn_of_descriptors(config, &log);
    server.sweep(&config.settings);
    notify::send("READY=1");
    let ended = server.watch(&signals, config.drain_ms, reread);
    drop(paths);
    log.say(Level::Info, "stopped", &[]);
    log.end(LOG_END_MS);
    ended
}

fn open(config: &Config, inherited: &[(i32, String)]) -> Result<Opened, StartError> {
    let mut opened = Opened::new(config.settings.limits.send_timeout_ms);
    for listen in &config.listen {
        opened.add(listen, inherited)?;
    }
    if let Some(address) = &config.metrics {
        let speech = Speech { service: Service::Metrics, bare: false };
        opened.add(&Listen { speech, address: address.clone() }, inherited)?;
    }
    Ok(opened)
}

/// What is said once all is ready: one line for each listening socket.
fn listening_lines(listeners: &[Listener]) -> String {
    let line = |l: &Listener| format!("listening service={} address={}\n", l.speech, l.local);
    listeners.iter().map(line).collect()
}

/// Raises the descriptor limit, and says where it will not do.
fn warn_of_descriptors(config: &Config, log: &Log) {
    let wanted = config.settings.limits.connections_max;
    match host::raise_descriptor_limit() {
        Ok(limit) if usize::try_from(limit).is_ok_and(|limit| limit < wanted) => {
            let fields: [Field<'_>; 2] = [("descriptors", &limit), ("max_connections", &wanted)];
            log.say(Level::Info, "fewer descriptors than connections may need", &fields);
        }
        Ok(_) => {}
        Err(error) => log.say(Level::Info, "descriptor limit", &[("error", &error)]),
    }
}

/// The threads of a server that runs.
struct Server {
    common: Arc<Common>,
    workers: Vec<JoinHandle<io::Result<()>>>,
    ended: Arc<Ended>,
}

/// How many workers have ended, and whether some thread failed; the eventfd is written at each
/// change.
#[derive(Debug)]
struct Ended {
    count: AtomicUsize,
    has_failed: AtomicBool,
    wake: Wake,
}

impl Ended {
    fn on_failure(&self) {
        self.has_failed.store(true, Ordering::Release);
        self.wake.wake();
    }
}

/// How far the server is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Replies in progress are being finished.
    Draining,
    /// Workers end at once.
    Stopping,
}

impl Server {
    fn start(
        config: &Config,
        listeners: Vec<Listener>,
        shelf: Option<Shelf>,
        log: Arc<Log>,
    ) -> io::Result<Self> {
        let (count, has_failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let ended = Arc::new(Ended { count, has_failed, wake: Wake::new()? });
        let on_panic = {
            let ended = Arc::clone(&ended);
            // Whoever asked for the work would wait for ever.
            move || ended.on_failure()
        };
        let pool = |name, threads, nice| Offload::new(name, threads, nice, on_panic.clone());
        let common = Arc::new(Common {
            crew: crew(config.workers)?,
            disks: pool("disk", DISK_THREADS, DISK_NICE)?,
            lists: Lists::default(),
            listers: pool("list", LIST_THREADS, DISK_NICE)?,
            stores: pool("store", STORE_THREADS, DISK_NICE)?,
            starts: pool("start", START_THREADS, START_NICE)?,
            terminator: Terminator::new(on_panic.clone())?,
            shelf,
            settings: Published::new(Arc::new(config.settings.clone())),
            user: host::user(),
            log,
            running: Arc::default(),
            seats: Arc::default(),
        });
        let mut acceptor = Some(Acceptor::new(listeners)?);
        let clock = Clock::start();
        let mut workers = Vec::new();
        for number in 0..config.workers {
            let acceptor = if number == HOME { acceptor.take() } else { None };
            let common = Arc::clone(&common);
            let worker = Worker::new(number, common, acceptor, clock)?;
            let on_end = OnEnd { ended: Arc::clone(&ended), is_orderly: false };
            workers.push(thread::spawn(&format!("worker-{number}"), move || {
                let mut on_end = on_end;
                let result = worker.run();
                on_end.is_orderly = result.is_ok();
                result
            })?);
        }
        Ok(Self { common, workers, ended })
    }

    /// Removes what uploads to a server that was killed left behind, while others are served.
    fn sweep(&self, settings: &Settings) {
        if settings.uploads == Uploads::Off {
            return;
        }
        let common = Arc::clone(&self.common);
        self.common.listers.submit(Box::new(move || {
            let removed = common.shelf.as_ref().map_or(0, sweep);
            if removed > 0 {
                let fields: [Field<'_>; 1] = [("files", &removed)];
                common.log.say(Level::Info, "removed what unfinished uploads left", &fields);
            }
        }));
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "the supervisor has no turns; not `expect`: the ban names one crate"
    )]
    /// Waits for signals until all workers have ended, or one that has to end does not.
    fn watch(
        self,
        signals: &Signals,
        drain_ms: u64,
        reread: &dyn Fn() -> Result<Settings, String>,
    ) -> Result<(), StartError> {
        let (mut phase, mut by_ms, clock) = (Phase::Serving, u64::MAX, Clock::start());
        while self.ended() < self.workers.len() {
            let now_ms = clock.elapsed_ms();
            if now_ms >= by_ms {
                return Err(StartError::internal("a worker does not answer".to_owned()));
            }
            let wait_ms = (by_ms < u64::MAX).then(|| by_ms - now_ms);
            wait_or_pause(&[signals.as_fd(), self.ended.wake.as_fd()], wait_ms);
            self.ended.wake.clear();
            let before = phase;
            while let Ok(Some(signal)) = signals.next() {
                match (signal, phase) {
                    (Signal::Hangup, _) => self.on_hangup(reread),
                    (Signal::Terminate | Signal::Interrupt, Phase::Serving) => {
                        phase = Phase::Draining;
                        self.common.log.say(Level::Info, "stopping", &[]);
                        notify::send("STOPPING=1");
                        self.tell(|| Mail::Drain(drain_ms));
                    }
                    (Signal::Terminate | Signal::Interrupt, _) => phase = Phase::Stopping,
                    (Signal::Child, _) => orphans::reap(),
                    // Not among those taken.
                    (Signal::Quit | Signal::Resize | Signal::Stop | Signal::Continue, _) => {}
                }
            }
            let is_incomplete = phase == Phase::Serving && self.ended() > 0;
            if is_incomplete || self.has_failed() {
                phase = Phase::Stopping;
            }
            if phase != before {
                let rest_ms = if phase == Phase::Draining { drain_ms } else { 0 };
                by_ms = clock.elapsed_ms().saturating_add(rest_ms).saturating_add(STOP_MS);
            }
            if phase == Phase::Stopping && before != Phase::Stopping {
                self.tell(|| Mail::Stop);
            }
        }
        self.outcome()
    }

    /// How the workers ended, all of which have.
    fn outcome(self) -> Result<(), StartError> {
        let has_failed = self.has_failed();
        let ended: Vec<_> = self.workers.into_iter().map(JoinHandle::join).collect();
        // What is being stored for peers that are gone by now leaves its temporary file otherwise.
        self.common.stores.finish(STORES_END_MS);
        for post in self.common.crew.iter() {
            post.mailbox.take_all(&mut VecDeque::new());
        }
        // The commands that were cut off have their grace.
        self.common.terminator.finish();
        for worker in ended {
            match worker {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    return Err(StartError::internal(format!("a worker cannot go on: {error}")));
                }
                Err(_panic) => {
                    return Err(StartError::internal("a worker failed (see above)".to_owned()));
                }
            }
        }
        if has_failed {
            return Err(StartError::internal("a thread failed (see above)".to_owned()));
        }
        Ok(())
    }

    fn has_failed(&self) -> bool {
        self.ended.has_failed.load(Ordering::Acquire)
    }

    fn ended(&self) -> usize {
        self.ended.count.load(Ordering::Acquire)
    }

    fn on_hangup(&self, reread: &dyn Fn() -> Result<Settings, String>) {
        match reread() {
            Ok(settings) => {
                self.common.settings.publish(Arc::new(settings));
                // A peer that sends nothing has deadlines too.
                self.tell(|| Mail::Settings);
                let remark = "listeners, root, workers, metrics, log and drain stay as they were";
                let fields: [Field<'_>; 1] = [("remark", &remark)];
                self.common.log.say(Level::Info, "configuration read again", &fields);
            }
            Err(why) => {
                let fields: [Field<'_>; 1] = [("why", &why)];
                self.common.log.say(Level::Error, "configuration kept as it was", &fields);
            }
        }
    }

    fn tell(&self, mail: impl Fn() -> Mail) {
        for post in self.common.crew.iter() {
            // Bounded: one piece for each signal.
            post.mailbox.post_bounded(mail());
        }
    }
}

/// Tells the supervisor that a worker has ended, also where it panicked.
struct OnEnd {
    ended: Arc<Ended>,
    is_orderly: bool,
}

impl Drop for OnEnd {
    fn drop(&mut self) {
        if !self.is_orderly {
            self.ended.on_failure();
        }
        self.ended.count.fetch_add(1, Ordering::Release);
        self.ended.wake.wake();
    }
}

fn crew(workers: usize) -> io::Result<Crew> {
    let post = || {
        let mailbox = Mailbox::new(MAIL_MAX)?;
        Ok(Post { mailbox, peers: 0.into(), stats: Stats::default() })
    };
    (0..workers).map(|_| post()).collect::<io::Result<Vec<Post>>>().map(Into::into)
}
