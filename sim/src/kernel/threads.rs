//! The server's threads, of which one at a time runs.
//!
//! Each is a real thread, so that the server's code needs no change, but it runs only while it has
//! the turn. A thread that waits gives the turn to the driver, which is the thread of the test. The
//! driver chooses who is next among the threads that can go on, and everything else that may happen
//! (peers, commands, the network). At any call a thread may also lose the turn for no reason.
//!
//! So one seed is one history, whatever the real processors do.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use super::Kernel;
use super::descriptors::Fd;

/// A simulated thread. 0 is the driver.
pub type ThreadId = usize;
/// The driver.
pub const DRIVER: ThreadId = 0;
/// Calls a thread may make without ever waiting: more is a loop that does not end.
const CALLS_MAX: u64 = 400_000;
/// How often a worker may be woken at one time without changing anything.
const IDLE_WAKES_MAX: u32 = 8;

/// What a thread waits for.
#[derive(Clone, Debug)]
pub enum Wait {
    /// Nothing: it can go on.
    Nothing,
    /// One of these is readable (the first flag) or writable (the second), or the time has come.
    Ready(Vec<(Fd, bool, bool)>, Option<u64>),
    /// Something is ready in an epoll instance, or the time has come.
    Epoll(Fd, Option<u64>),
    /// A lock is free.
    Lock(usize),
    /// A condition is notified.
    Condition(usize),
    /// A condition is notified, or the time has come.
    ConditionUntil(usize, u64),
    /// Another thread has ended.
    End(ThreadId),
    /// A time.
    Time(u64),
}

/// A thread as the kernel sees it.
#[derive(Debug)]
struct Thread {
    name: String,
    wait: Wait,
    has_ended: bool,
    calls: u64,
    /// When it last came back from waiting in epoll: the time, the effects there had been, and how
    /// often it did so in a row without any.
    woken: (u64, u64, u32),
}

/// All threads.
#[derive(Debug, Default)]
pub struct Threads {
    threads: Vec<Thread>,
    locked: Vec<usize>,
    /// Once set, threads that would wait unwind instead: the simulation is over.
    is_over: bool,
}

/// A simulated computer.
pub struct Machine {
    kernel: Mutex<Kernel>,
    /// Who has the turn.
    turn: AtomicUsize,
    handles: Mutex<Vec<OnceLock<thread::Thread>>>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Machine")
    }
}

/// What a thread unwinds with once the simulation is over.
#[derive(Debug)]
pub struct Over;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Machine>>> = const { RefCell::new(None) };
    static OWN: Cell<ThreadId> = const { Cell::new(DRIVER) };
    /// Whether calls are made by the driver for a peer, or by a thread that unwinds: they do not
    /// give up the turn.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

fn machine() -> Arc<Machine> {
    CURRENT.with_borrow(std::clone::Clone::clone).expect("a simulation runs on this thread")
}

/// Whether the calling thread is one of a simulated server's.
pub fn is_simulated() -> bool {
    OWN.get() != DRIVER
}

/// Looks at the kernel, or changes it. No call of `sys` may be made meanwhile.
pub fn with<R>(act: impl FnOnce(&mut Kernel) -> R) -> R {
    let machine = machine();
    let mut kernel = machine.kernel.lock().unwrap_or_else(PoisonError::into_inner);
    act(&mut kernel)
}

/// A call begins: another thread may have its turn first.
pub fn enter(call: &'static str) {
    let own = OWN.get();
    if own == DRIVER || thread::panicking() || IS_QUIET.get() {
        return;
    }
    let (is_over, gives_up) = with(|kernel| {
        let thread = &mut kernel.threads.threads[own];
        thread.calls += 1;
        let is_endless = thread.calls > CALLS_MAX;
        if is_endless {
            let why = format!("{} makes calls without end, at last {call}", thread.name);
            kernel.fail(why);
            kernel.threads.is_over = true;
        }
        (kernel.threads.is_over, kernel.random.one_in(16))
    });
    if is_over {
        resume_unwind(Box::new(Over));
    }
    if gives_up {
        wait(Wait::Nothing);
    }
}

/// Waits, and lets everything else go on meanwhile.
pub fn wait(what: Wait) {
    let own = OWN.get();
    // A thread that unwinds waits for nothing but a lock that another one has to give back.
    if own == DRIVER || (thread::panicking() && !matches!(what, Wait::Lock(_))) {
        return;
    }
    let machine = machine();
    {
        let mut kernel = machine.kernel.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = &mut kernel.threads.threads[own];
        if !matches!(what, Wait::Nothing | Wait::Lock(_)) {
            thread.calls = 0;
        }
        thread.wait = what;
    }
    machine.pass_turn(DRIVER);
    machine.await_turn(own);
    let is_over = with(|kernel| {
        kernel.threads.threads[own].wait = Wait::Nothing;
        kernel.threads.is_over
    });
    if is_over && !thread::panicking() {
        resume_unwind(Box::new(Over));
    }
}

/// Waits for so much time.
pub fn sleep_us(us: u64) {
    let until = with(|kernel| kernel.now_us + us);
    wait(Wait::Time(until));
}

impl Machine {
    /// A computer, on the thread that drives it.
    pub fn start(kernel: Kernel) -> Arc<Self> {
        let machine = Self {
            kernel: Mutex::new(kernel),
            turn: AtomicUsize::new(DRIVER),
            handles: Mutex::new(Vec::new()),
        };
        let machine = Arc::new(machine);
        CURRENT.set(Some(Arc::clone(&machine)));
        OWN.set(DRIVER);
        let own = thread::current();
        machine.lock_handles().push(OnceLock::from(own));
        with(|kernel| kernel.threads.threads.push(Thread::new("driver")));
        machine
    }

    fn lock_handles(&self) -> std::sync::MutexGuard<'_, Vec<OnceLock<thread::Thread>>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_turn(&self, to: ThreadId) {
        self.turn.store(to, Ordering::Release);
        if let Some(handle) = self.lock_handles()[to].get() {
            handle.unpark();
        }
    }

    fn await_turn(&self, own: ThreadId) {
        while self.turn.load(Ordering::Acquire) != own {
            thread::park();
        }
    }

    /// Lets a thread go on until it waits, gives up its turn, or ends.
    pub fn run(&self, thread: ThreadId) {
        self.pass_turn(thread);
        self.await_turn(DRIVER);
    }

    /// Ends the simulation: every thread unwinds.
    pub fn end(&self) {
        let count = with(|kernel| {
            kernel.threads.is_over = true;
            kernel.threads.threads.len()
        });
        while !with(|kernel| kernel.have_threads_ended()) {
            for thread in 1..count {
                if !with(|kernel| kernel.threads.threads[thread].has_ended) {
                    self.run(thread);
                }
            }
        }
        CURRENT.set(None);
    }
}

/// A thread that was started.
pub struct Handle<T> {
    id: ThreadId,
    real: thread::JoinHandle<Result<T, Box<dyn Any + Send>>>,
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "thread {}", self.id)
    }
}

impl<T> Handle<T> {
    /// Waits until it has ended; with what it panicked, where it did.
    pub fn join(self) -> Result<T, Box<dyn Any + Send>> {
        wait(Wait::End(self.id));
        self.real.join().and_then(|ended| ended)
    }
}

/// Starts a thread.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<Handle<T>> {
    let machine = machine();
    let id = with(|kernel| {
        kernel.threads.threads.push(Thread::new(name));
        kernel.note_effect();
        kernel.threads.threads.len() - 1
    });
    machine.lock_handles().push(OnceLock::new());
    let own = Arc::clone(&machine);
    let real = thread::Builder::new().name(name.to_owned()).spawn(move || {
        CURRENT.set(Some(Arc::clone(&own)));
        OWN.set(id);
        own.await_turn(id);
        let is_over = with(|kernel| kernel.threads.is_over);
        let ended = if is_over {
            drop(work);
            Err(Box::new(Over) as Box<dyn Any + Send>)
        } else {
            catch_unwind(AssertUnwindSafe(work))
        };
        with(|kernel| {
            kernel.threads.threads[id].has_ended = true;
            kernel.note_effect();
        });
        own.pass_turn(DRIVER);
        CURRENT.set(None);
        ended
    })?;
    machine.lock_handles()[id].set(real.thread().clone()).expect("it is set once");
    Ok(Handle { id, real })
}

impl Thread {
    fn new(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, wait: Wait::Nothing, has_ended: false, calls: 0, woken: (0, 0, 0) }
    }
}

impl Kernel {
    /// Threads that can go on now.
    pub fn threads_that_can_run(&mut self) -> Vec<ThreadId> {
        let count = self.threads.threads.len();
        (1..count).filter(|id| !self.threads.threads[*id].has_ended && self.can_run(*id)).collect()
    }

    fn can_run(&mut self, id: ThreadId) -> bool {
        let is_due = |kernel: &Self, due: Option<u64>| due.is_some_and(|due| due <= kernel.now_us);
        match self.threads.threads[id].wait.clone() {
            Wait::Nothing => true,
            Wait::Ready(fds, due) => {
                is_due(self, due)
                    || fds.iter().any(|(fd, read, write)| self.is_ready(*fd, *read, *write))
            }
            Wait::Epoll(fd, due) => is_due(self, due) || self.epoll_is_ready(fd),
            Wait::Lock(lock) => !self.threads.locked.contains(&lock),
            Wait::Condition(_) => false,
            Wait::End(other) => self.threads.threads[other].has_ended,
            Wait::Time(due) | Wait::ConditionUntil(_, due) => is_due(self, Some(due)),
        }
    }

    /// Whether poll(2) would say so of a descriptor.
    pub fn is_ready(&self, fd: Fd, read: bool, write: bool) -> bool {
        let ready = self.readiness(self.descriptors.of(fd));
        ready.hung_up || ready.failed || (read && ready.readable) || (write && ready.writable)
    }

    /// When the next thread can go on by time alone, or the network acts by itself.
    pub fn next_thread_due_us(&self) -> Option<u64> {
        let of = |thread: &Thread| match thread.wait {
            Wait::Ready(_, due) | Wait::Epoll(_, due) => due,
            Wait::Time(due) | Wait::ConditionUntil(_, due) => Some(due),
            _ => None,
        };
        let alive = self.threads.threads.iter().skip(1).filter(|thread| !thread.has_ended);
        alive.filter_map(of).chain(self.network.next_due_us()).min()
    }

    /// Whether a thread is in a call that takes its time.
    pub fn is_thread_asleep(&self) -> bool {
        let is_asleep = |thread: &Thread| !thread.has_ended && matches!(thread.wait, Wait::Time(_));
        self.threads.threads.iter().any(is_asleep)
    }

    /// Whether all threads have ended.
    pub fn have_threads_ended(&self) -> bool {
        self.threads.threads.iter().skip(1).all(|thread| thread.has_ended)
    }

    /// Threads that have not ended, and what they wait for.
    pub fn threads_left(&self) -> Vec<String> {
        let alive = self.threads.threads.iter().skip(1).filter(|thread| !thread.has_ended);
        alive.map(|thread| format!("{}: {:?}", thread.name, thread.wait)).collect()
    }

    /// A thread comes back from waiting in epoll, and says whether it did in vain lately.
    pub fn note_woken(&mut self) {
        let own = OWN.get();
        let (now_us, effects) = (self.now_us, self.effects);
        let thread = &mut self.threads.threads[own];
        let is_in_vain = thread.woken.0 == now_us && thread.woken.1 == effects;
        let count = if is_in_vain { thread.woken.2 + 1 } else { 0 };
        thread.woken = (now_us, effects, count);
        if count > IDLE_WAKES_MAX {
            let why = format!("{} is woken again and again and does nothing", thread.name);
            self.fail(why);
            self.threads.is_over = true;
        }
    }

    /// Takes a lock, if it is free.
    pub fn try_lock(&mut self, lock: usize) -> bool {
        let is_free = !self.threads.locked.contains(&lock);
        if is_free {
            self.threads.locked.push(lock);
        }
        is_free
    }

    /// Gives a lock back.
    pub fn unlock(&mut self, lock: usize) {
        self.threads.locked.retain(|held| *held != lock);
    }

    /// Wakes a thread that waits for a condition, or all that do.
    pub fn notify(&mut self, condition: usize, all: bool) {
        let waits = |thread: &Thread| match thread.wait {
            Wait::Condition(other) | Wait::ConditionUntil(other, _) => other == condition,
            _ => false,
        };
        let count = self.threads.threads.len();
        let mut waiting: Vec<_> =
            (1..count).filter(|id| waits(&self.threads.threads[*id])).collect();
        if !all && !waiting.is_empty() {
            let chosen = self.random.below(waiting.len());
            waiting = vec![waiting[chosen]];
        }
        for id in waiting {
            self.threads.threads[id].wait = Wait::Nothing;
        }
        self.note_effect();
    }
}
