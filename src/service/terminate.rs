//! Terminating: ending commands with all that belongs to them, on a thread of its own.
//!
//! To find what belongs to a command /proc is read, which takes milliseconds: no worker waits for
//! that. A command is asked to end, and killed after a grace. Its slot is given back as soon as its
//! process is dead, whatever it left.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::run::Slot;
use crate::sys::clock::Clock;
use crate::sys::family::{self, Process, ProcessTable};
use crate::sys::fd::{AsFd as _, OwnedFd};
use crate::sys::poll::wait_or_pause;
use crate::sys::process::Child;
use crate::sys::signal::Ask;
use crate::sys::thread::{self, JoinHandle, Mutex};
use crate::sys::wake::Wake;

/// How long a command that was asked to end may take, in milliseconds.
pub const END_GRACE_MS: u64 = 500;
/// When to look whether what was killed is gone, in milliseconds; each time it takes twice as long.
const LOOK_MS: u64 = 20;
/// How often a look may fail, for want of descriptors, before the command is asked to end without
/// one. What has a session of its own cannot be found any more once its parent has ended.
const BLIND_LOOKS: u32 = 25;
/// How often that is looked at: what is left then cannot be killed (it changed its user).
const LOOKS: u32 = 8;
/// What is still looked at once the server ends.
const LAST_LOOKS: u32 = 4;

/// A command that is being ended.
#[derive(Debug)]
pub struct Terminating {
    child: Child,
    /// Its place among the commands there may be; given back once the process is reaped.
    slot: Option<Slot>,
    /// Its output, which nobody reads any more, until it is reaped: what it still says is to block
    /// it at the worst, not to kill it (SIGPIPE). A terminal is closed as soon as the command was
    /// asked to end: if it hung up earlier, the process might be dead before the first look, and
    /// what it put into sessions of its own could not be found.
    output: [Option<OwnedFd>; 2],
    ask: Ask,
    /// What was found of it besides its process.
    known: Vec<Process>,
    /// Whether the last look told all of it.
    is_known: bool,
    /// How often a look told nothing.
    blind_looks: u32,
    is_asked: bool,
    is_reaped: bool,
    /// When it is killed, or looked at again.
    due_ms: u64,
    /// How often it was killed.
    kills: u32,
}

/// The thread that ends commands.
pub struct Terminator {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    inbox: Mutex<Inbox>,
    wake: Wake,
}

#[derive(Default)]
struct Inbox {
    came: Vec<Terminating>,
    is_over: bool,
}

impl fmt::Debug for Terminator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Terminator")
    }
}

impl Terminating {
    /// A command that is to be asked by `ask`.
    pub(super) fn new(child: Child, slot: Slot, output: [Option<OwnedFd>; 2], ask: Ask) -> Self {
        let mut terminating = Self::left_by(child, ask);
        (terminating.slot, terminating.output) = (Some(slot), output);
        terminating.is_reaped = false;
        terminating
    }

    /// What a command left behind whose process was reaped.
    pub(super) fn left_by(child: Child, ask: Ask) -> Self {
        Self {
            child,
            slot: None,
            output: [None, None],
            ask,
            known: Vec::new(),
            is_known: false,
            blind_looks: 0,
            is_asked: false,
            is_reaped: true,
            due_ms: 0,
            kills: 0,
        }
    }

    fn needs_look(&self, now_ms: u64) -> bool {
        now_ms >= self.due_ms
    }

    /// Notes which of `all` processes belong to it; `None` if they cannot be looked at.
    fn look(&mut self, all: Option<&[Process]>) {
        self.is_known = all.is_some();
        match all {
            Some(all) => {
                let leader = self.child.pid();
                self.known = family::of_command(all, leader, self.is_reaped, &self.known);
            }
            None => self.blind_looks += 1,
        }
    }

    /// Does what is due, knowing `all` processes if it `needs_look`, or that these cannot be looked
    /// at. False once nothing is left.
    fn go_on(&mut self, all: Option<&[Process]>, now_ms: u64) -> bool {
        let is_due = self.needs_look(now_ms);
        if is_due {
            self.look(all);
        }
        if is_due && !self.is_known && !self.is_asked && self.blind_looks <= BLIND_LOOKS {
            self.due_ms = now_ms + LOOK_MS;
        } else if is_due {
            let ask = if self.is_asked { Ask::Kill } else { self.ask };
            self.child.signal(ask);
            self.known.iter().filter(|own| self.is_apart(own, ask)).for_each(|own| own.signal(ask));
            self.kills += u32::from(self.is_asked);
            let wait_ms = if self.is_asked { LOOK_MS << self.kills } else { END_GRACE_MS };
            self.is_asked = true;
            if self.ask == Ask::HangUp {
                self.output = [None, None];
            }
            self.due_ms = now_ms + wait_ms;
        }
        if !self.is_reaped && !matches!(self.child.reap(), Ok(None)) {
            self.is_reaped = true;
            self.slot = None;
            self.output = [None, None];
            if self.has_nothing() && !self.child.has_left() {
                return false;
            }
        }
        // After a kill and a look nothing was found: that was all.
        !(self.is_reaped && self.has_nothing() && self.kills > 0) && self.kills < LOOKS
    }

    /// Whether the last look found nothing but the process itself.
    fn has_nothing(&self) -> bool {
        self.is_known && self.known.is_empty()
    }

    /// Whether a process has to be signalled by itself: the group is asked as a whole, and a
    /// handler is not to run twice.
    fn is_apart(&self, own: &Process, ask: Ask) -> bool {
        self.is_reaped || ask == Ask::Kill || own.group != self.child.pid()
    }
}

impl Drop for Terminating {
    fn drop(&mut self) {
        self.child.signal(Ask::Kill);
        // It is reaped if it has ended; otherwise landline ends too.
        let _ = self.child.reap();
    }
}

impl Terminator {
    /// Starts the thread. `on_panic` is called if it panics: nothing would ever end.
    pub fn new(on_panic: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared { inbox: Mutex::default(), wake: Wake::new()? });
        let of_thread = Arc::clone(&shared);
        let thread = thread::spawn("terminate", move || {
            if catch_unwind(AssertUnwindSafe(|| of_thread.work())).is_err() {
                on_panic();
            }
        })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Ends a command. Never blocks.
    pub fn take(&self, terminating: Terminating) {
        self.shared.inbox.lock().came.push(terminating);
        self.shared.wake.wake();
    }

    /// Waits until all that was taken has ended, or cannot be ended. Nothing is taken any more.
    pub fn finish(&self) {
        self.shared.inbox.lock().is_over = true;
        self.shared.wake.wake();
        if let Some(thread) = self.thread.lock().take() {
            // Where it panicked, the process has ended.
            let _ = thread.join();
        }
    }
}

impl Shared {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one clock of this thread; not `expect`: the ban names one crate"
    )]
    fn work(&self) {
        let clock = Clock::start();
        let mut under_way: Vec<Terminating> = Vec::new();
        let mut table = ProcessTable::new();
        loop {
            self.wake.clear();
            let is_over = {
                let mut inbox = self.inbox.lock();
                under_way.append(&mut inbox.came);
                inbox.is_over
            };
            let now_ms = clock.elapsed_ms();
            let is_looked_at = under_way.iter().any(|one| one.needs_look(now_ms));
            let all = if is_looked_at { table.look() } else { None };
            under_way.retain_mut(|one| one.go_on(all.as_deref(), now_ms));
            table.refill();
            if is_over {
                under_way.retain(|one| one.kills < LAST_LOOKS);
            }
            if is_over && under_way.is_empty() {
                return;
            }
            let due_ms = under_way.iter().map(|one| one.due_ms).min();
            let living = under_way.iter().filter(|one| !one.is_reaped);
            let mut fds: Vec<_> = living.map(|one| one.child.as_fd()).collect();
            fds.push(self.wake.as_fd());
            wait_or_pause(&fds, due_ms.map(|due_ms| due_ms.saturating_sub(now_ms)));
        }
    }
}
