//! Threads and their locks.
//!
//! Locks are those of `std` without poison. Poison protects data that a panic left half changed. A
//! panic on a worker or a pool thread either ends the process or is caught where the locked data
//! are whole, because each change to them is one call. The next thread can use them.

use std::io;
use std::sync::{self, PoisonError};
use std::thread;
use std::time::Duration;

pub use std::sync::MutexGuard;
pub use std::thread::JoinHandle;

/// Starts a thread called `name`, of which Linux shows the first 15 bytes. EAGAIN: there may be no
/// more threads.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Lets other threads have the processor (`sched_yield(2)`).
pub fn yield_now() {
    thread::yield_now();
}

/// A lock around `T`.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A lock that no thread holds.
    pub const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    /// Waits until no other thread holds the lock, and takes it. It is held until the guard is
    /// dropped.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        // See above: a panic leaves the data whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Threads that wait for a change to what a `Mutex` protects.
#[derive(Debug, Default)]
pub struct Condvar(sync::Condvar);

impl Condvar {
    /// A condition that no thread waits for.
    pub const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    /// Releases the lock, waits to be notified, and takes the lock again. It may also return
    /// without a reason: look at the condition again.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// As `wait`, but no longer than `limit_ms`.
    pub fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, limit_ms: u64) -> MutexGuard<'a, T> {
        let limit = Duration::from_millis(limit_ms);
        self.0.wait_timeout(guard, limit).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Wakes one thread that waits, if there is one.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all threads that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_thread_has_its_name_and_its_result() -> io::Result<()> {
        let named = spawn("a-name", || thread::current().name().map(str::to_owned))?;
        assert_eq!(named.join().expect("it does not panic"), Some("a-name".to_owned()));
        Ok(())
    }

    #[test]
    fn a_lock_outlives_the_panic_of_a_thread_that_held_it() -> io::Result<()> {
        let lock = Arc::new(Mutex::new(1));
        let held = Arc::clone(&lock);
        let panics = spawn("panics", move || {
            *held.lock() = 2;
            let _guard = held.lock();
            panic!("as the test wants it");
        })?;
        assert!(panics.join().is_err());
        assert_eq!(*lock.lock(), 2);
        Ok(())
    }

    #[test]
    fn a_thread_that_waits_is_notified() -> io::Result<()> {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let waiting = Arc::clone(&shared);
        let waits = spawn("waits", move || {
            let mut is_set = waiting.0.lock();
            while !*is_set {
                is_set = waiting.1.wait(is_set);
            }
        })?;
        *shared.0.lock() = true;
        shared.1.notify_one();
        assert!(waits.join().is_ok());
        Ok(())
    }
}
