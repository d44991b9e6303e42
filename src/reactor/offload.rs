//! `Offload`: a small pool of threads for what may block (starting a process, opening a path that
//! is not cached, listing a directory, reading a file ahead).
//!
//! What it does not do: answer. The work posts its own result to the worker that asked. Its queue
//! is no mailbox: nobody polls it, and a condition variable wakes one thread for one piece of work.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use crate::sys::clock::Clock;
use crate::sys::host::stand_back;
use crate::sys::thread::{self, Condvar, Mutex};

/// Work, with all it needs.
pub type Work = Box<dyn FnOnce() + Send>;

/// What is done where work panics.
type OnPanic = Box<dyn Fn() + Send + Sync>;

/// Held by whoever waits for work. Once it is dropped, nobody does.
#[derive(Debug, Default)]
pub struct Ticket(Arc<()>);

/// Held by the work that somebody waits for.
#[derive(Clone, Debug)]
pub struct Claim(Weak<()>);

impl Ticket {
    /// The claim of the work.
    pub fn claim(&self) -> Claim {
        Claim(Arc::downgrade(&self.0))
    }

    /// Whether the claim is that of the work which this ticket waits for.
    pub fn is_for(&self, claim: &Claim) -> bool {
        // The claim keeps the address from being given to another ticket.
        std::ptr::eq(Arc::as_ptr(&self.0), claim.0.as_ptr())
    }
}

impl Claim {
    /// Whether somebody still waits.
    pub fn is_wanted(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// Work that may wait in line at once; more is refused.
const WORK_MAX: usize = 4096;

/// A pool of threads. Work that was not begun when the pool is dropped is dropped with it.
pub struct Offload {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    came: Condvar,
    /// A thread finished its work.
    done: Condvar,
    on_panic: OnPanic,
}

#[derive(Default)]
struct Queue {
    work: VecDeque<Work>,
    /// Pieces of work in progress.
    running: usize,
    is_over: bool,
}

impl std::fmt::Debug for Offload {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Offload {{ waiting: {} }}", self.shared.queue.lock().work.len())
    }
}

impl Offload {
    /// A pool of `threads`, called `name`, whose nice value is by `nice` above this thread's: work
    /// that computes for long is to stand back behind those who serve. `on_panic` is called where
    /// work panics: its asker would wait for ever.
    pub fn new(
        name: &str,
        threads: usize,
        nice: i32,
        on_panic: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let on_panic = Box::new(on_panic);
        let shared = Shared {
            queue: Mutex::default(),
            came: Condvar::new(),
            done: Condvar::new(),
            on_panic,
        };
        let shared = Arc::new(shared);
        for number in 0..threads {
            let shared = Arc::clone(&shared);
            thread::spawn(&format!("{name}-{number}"), move || {
                stand_back(nice);
                shared.work_until_over();
            })?;
        }
        Ok(Self { shared })
    }

    /// Has `work` done by one of the threads; false where too much waits already.
    pub fn submit(&self, work: Work) -> bool {
        let mut queue = self.shared.queue.lock();
        let has_room = queue.work.len() < WORK_MAX && !queue.is_over;
        if has_room {
            queue.work.push_back(work);
            // A thread that is woken at once must not find the queue locked.
            drop(queue);
            self.shared.came.notify_one();
        }
        has_room
    }

    /// Ends the pool: drops the work that was not begun, and waits for what is in progress, at most
    /// `limit_ms`. False if that was not enough: a disk may hang.
    #[allow(
        clippy::disallowed_methods,
        reason = "no worker is left; not `expect`, as the ban names one crate"
    )]
    pub fn finish(&self, limit_ms: u64) -> bool {
        self.end();
        let clock = Clock::start();
        let mut queue = self.shared.queue.lock();
        while queue.running > 0 {
            let left_ms = limit_ms.saturating_sub(clock.elapsed_ms());
            if left_ms == 0 {
                return false;
            }
            queue = self.shared.done.wait_for(queue, left_ms);
        }
        true
    }

    fn end(&self) {
        let mut queue = self.shared.queue.lock();
        queue.is_over = true;
        let dropped = std::mem::take(&mut queue.work);
        drop(queue);
        self.shared.came.notify_all();
        // What work holds may take its time, or the lock, as it is dropped.
        drop(dropped);
    }
}

impl Drop for Offload {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn work_until_over(&self) {
        while let Some(work) = self.next() {
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                (self.on_panic)();
            }
            self.queue.lock().running -= 1;
            self.done.notify_all();
        }
    }

    /// Waits for work; `None` once the pool is dropped.
    fn next(&self) -> Option<Work> {
        let mut queue = self.queue.lock();
        while !queue.is_over {
            if let Some(work) = queue.work.pop_front() {
                queue.running += 1;
                return Some(work);
            }
            queue = self.came.wait(queue);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_piece_of_work_does_not_wait_for_another() {
        let offload = Offload::new("test", 2, 0, || ()).expect("threads start");
        let (first, from_first) = mpsc::channel::<()>();
        let (second, from_second) = mpsc::channel();
        assert!(offload.submit(Box::new(move || {
            from_first.recv_timeout(Duration::from_secs(10)).expect("the second says when");
        })));
        assert!(offload.submit(Box::new(move || second.send(7).expect("the test listens"))));
        assert_eq!(from_second.recv_timeout(Duration::from_secs(10)), Ok(7));
        first.send(()).expect("the first waits for it");
    }

    #[test]
    fn a_pool_that_ends_waits_for_what_is_begun_and_drops_the_rest() {
        let offload = Offload::new("test", 1, 0, || ()).expect("a thread starts");
        let (begun, is_begun) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let (done, is_done) = mpsc::channel();
        let held = done.clone();
        assert!(offload.submit(Box::new(move || {
            begun.send(()).expect("the test listens");
            may_go_on.recv_timeout(Duration::from_secs(10)).expect("the test says when");
            done.send("done").expect("the test listens");
        })));
        assert_eq!(is_begun.recv_timeout(Duration::from_secs(10)), Ok(()));
        assert!(offload.submit(Box::new(move || held.send("too late").expect("it listens"))));
        assert!(!offload.finish(1), "it is not done");
        go_on.send(()).expect("the work waits for it");
        assert!(offload.finish(10_000));
        assert!(!offload.submit(Box::new(|| ())));
        assert_eq!(is_done.try_iter().collect::<Vec<_>>(), ["done"]);
    }

    #[test]
    fn threads_end_with_the_pool() {
        thread_local!(static LAST_WORDS: RefCell<Option<mpsc::Sender<()>>> = RefCell::default());
        let (says, ended) = mpsc::channel();
        let offload = Offload::new("test", 1, 0, || ()).expect("a thread starts");
        assert!(offload.submit(Box::new(move || {
            says.send(()).expect("the test listens");
            LAST_WORDS.set(Some(says));
        })));
        assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Ok(()));
        drop(offload);
        // The sender goes with the thread that holds it.
        let heard = ended.recv_timeout(Duration::from_secs(10));
        assert_eq!(heard, Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
