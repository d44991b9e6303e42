//! `Offload`: a small pool of threads for what may block (starting a process, opening a path that
//! is not cached, listing a directory).
//!
//! What it does not do: answer. The work posts its own result to the worker that asked.

use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::mailbox::Mailbox;
use crate::sys::poll::wait_readable;

/// Work, with all it needs.
pub type Work = Box<dyn FnOnce() + Send>;

/// Work that may wait in line at once; more is refused.
const WORK_MAX: usize = 4096;

/// A pool of threads. Work that was not begun when the pool is dropped is dropped with it.
#[derive(Debug)]
pub struct Offload {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mailbox<Stored>,
    is_over: AtomicBool,
    on_panic: fn(),
}

struct Stored(Work);

impl std::fmt::Debug for Stored {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Work")
    }
}

impl Offload {
    /// A pool of `threads`, called `name`. `on_panic` is called where work panics: its asker would
    /// wait for ever.
    pub fn new(name: &str, threads: usize, on_panic: fn()) -> io::Result<Self> {
        let queue = Mailbox::new(WORK_MAX)?;
        let shared = Arc::new(Shared { queue, is_over: AtomicBool::new(false), on_panic });
        for number in 0..threads {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || shared.work_until_over())?;
        }
        Ok(Self { shared })
    }

    /// Has `work` done by one of the threads; false where too much waits already.
    pub fn submit(&self, work: Work) -> bool {
        self.shared.queue.post(Stored(work)).is_ok()
    }
}

impl Drop for Offload {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        self.shared.queue.post_bounded(Stored(Box::new(|| ())));
    }
}

impl Shared {
    fn work_until_over(&self) {
        while !self.is_over.load(Ordering::Acquire) {
            if let Some(Stored(work)) = self.queue.take_one() {
                if catch_unwind(AssertUnwindSafe(work)).is_err() {
                    (self.on_panic)();
                }
            } else if wait_readable(&[self.queue.as_fd()], None).is_err() {
                return;
            }
        }
        // What ends this thread is to end the next one too.
        self.queue.post_bounded(Stored(Box::new(|| ())));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_piece_of_work_does_not_wait_for_another() {
        let offload = Offload::new("test", 2, || ()).expect("threads start");
        let (first, from_first) = mpsc::channel::<()>();
        let (second, from_second) = mpsc::channel();
        assert!(offload.submit(Box::new(move || {
            from_first.recv_timeout(Duration::from_secs(10)).expect("the second says when");
        })));
        assert!(offload.submit(Box::new(move || second.send(7).expect("the test listens"))));
        assert_eq!(from_second.recv_timeout(Duration::from_secs(10)), Ok(7));
        first.send(()).expect("the first waits for it");
    }
}
