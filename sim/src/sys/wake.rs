//! Waking a thread that waits in epoll.

use std::io;

use super::fd::{AsFd, BorrowedFd, OwnedFd};
use crate::kernel::descriptors::Object;
use crate::kernel::{enter, os, with};

/// A descriptor that is readable from a `wake` to the next `clear`.
#[derive(Debug)]
pub struct Wake(OwnedFd);

impl Wake {
    /// A new one.
    pub fn new() -> io::Result<Self> {
        enter("eventfd2");
        with(|kernel| {
            kernel.fault("eventfd2", &[libc::EMFILE, libc::ENFILE])?;
            kernel.open(Object::Counter(0)).map(OwnedFd::new).map(Self).map_err(os)
        })
    }

    /// Makes it readable.
    pub fn wake(&self) {
        enter("write");
        self.set(|count| count + 1);
    }

    /// Makes it unreadable.
    pub fn clear(&self) {
        enter("read");
        self.set(|_| 0);
    }

    fn set(&self, change: impl FnOnce(u64) -> u64) {
        with(|kernel| {
            if let Object::Counter(count) = kernel.descriptors.object_mut(self.0.raw()) {
                let new = change(*count);
                let is_changed = (new > 0) != (*count > 0);
                *count = new;
                if is_changed {
                    kernel.note_effect();
                }
            }
        });
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
