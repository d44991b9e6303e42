//! Threads, locks and conditions, of which one at a time runs.

use std::any::Any;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex as Real, MutexGuard as RealGuard, PoisonError};

use crate::kernel::threads::{self, Handle, Wait};
use crate::kernel::{enter, with};

/// A thread that was started.
#[derive(Debug)]
pub struct JoinHandle<T>(Handle<T>);

impl<T> JoinHandle<T> {
    /// Waits for its end.
    pub fn join(self) -> Result<T, Box<dyn Any + Send>> {
        enter("join");
        self.0.join()
    }
}

/// Starts a thread.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    enter("clone");
    threads::spawn(name, work).map(JoinHandle)
}

/// Lets others have the processor.
pub fn yield_now() {
    enter("sched_yield");
}

fn fresh() -> usize {
    // Only compared: which numbers they are never shows.
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A lock.
#[derive(Debug)]
pub struct Mutex<T> {
    id: usize,
    value: Real<T>,
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// A lock that is held.
#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    lock: &'a Mutex<T>,
    value: Option<RealGuard<'a, T>>,
}

impl<T> Mutex<T> {
    /// A lock that is free.
    pub fn new(value: T) -> Self {
        Self { id: fresh(), value: Real::new(value) }
    }

    /// Takes it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        enter("futex");
        while !with(|kernel| kernel.try_lock(self.id)) {
            threads::wait(Wait::Lock(self.id));
        }
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard { lock: self, value: Some(value) }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("a guard has its value until it is dropped")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("a guard has its value until it is dropped")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        with(|kernel| kernel.unlock(self.lock.id));
    }
}

/// A condition that threads wait for.
#[derive(Debug)]
pub struct Condvar(usize);

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl Condvar {
    /// One that nobody waits for.
    pub fn new() -> Self {
        Self(fresh())
    }

    /// Gives the lock back, waits, and takes it again. It may come back for no reason.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let lock = guard.lock;
        drop(guard);
        threads::wait(Wait::Condition(self.0));
        lock.lock()
    }

    /// As `wait`, but no longer than `limit_ms`.
    pub fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, limit_ms: u64) -> MutexGuard<'a, T> {
        let lock = guard.lock;
        drop(guard);
        let due = with(|kernel| kernel.now_us.saturating_add(limit_ms.saturating_mul(1000)));
        threads::wait(Wait::ConditionUntil(self.0, due));
        lock.lock()
    }

    /// Wakes one who waits.
    pub fn notify_one(&self) {
        with(|kernel| kernel.notify(self.0, false));
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        with(|kernel| kernel.notify(self.0, true));
    }
}
