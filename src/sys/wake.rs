//! Waking a thread that waits in epoll: eventfd(2).
//!
//! What it does not do: carry anything. Any number of wakes before a clear are one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::retry;

/// A descriptor that is readable from a `wake` to the next `clear`. Any thread may do either.
#[derive(Debug)]
pub struct Wake(EventFd);

impl Wake {
    /// A new one, not yet woken. EMFILE, ENFILE: descriptors have run out.
    pub fn new() -> io::Result<Self> {
        Ok(Self(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?))
    }

    /// Makes it readable. Never blocks.
    pub fn wake(&self) {
        // EAGAIN alone can come, when the counter is full, and then it is readable already.
        let _readable_either_way = retry(|| self.0.write(1));
    }

    /// Makes it unreadable until the next wake.
    pub fn clear(&self) {
        // EAGAIN alone can come, when it was not woken.
        let _unreadable_either_way = retry(|| self.0.read());
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::super::poll::wait_readable;
    use super::*;

    #[test]
    fn it_is_readable_from_a_wake_to_the_next_clear() -> io::Result<()> {
        let wake = Wake::new()?;
        wake.clear();
        assert_eq!(wait_readable(&[wake.as_fd()], Some(0))?, [false]);
        wake.wake();
        wake.wake();
        assert_eq!(wait_readable(&[wake.as_fd()], Some(0))?, [true]);
        wake.clear();
        assert_eq!(wait_readable(&[wake.as_fd()], Some(0))?, [false]);
        Ok(())
    }

    #[test]
    fn one_thread_wakes_another() -> io::Result<()> {
        let wake = Wake::new()?;
        std::thread::scope(|scope| {
            scope.spawn(|| wake.wake());
            assert_eq!(wait_readable(&[wake.as_fd()], Some(10_000))?, [true]);
            Ok(())
        })
    }
}
