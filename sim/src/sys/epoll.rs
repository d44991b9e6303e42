//! Waiting for many descriptors.

use std::io;
use std::num::NonZeroU8;
use std::ops::BitOr;

use super::fd::{AsFd as _, BorrowedFd, OwnedFd};
use crate::kernel::descriptors::Object;
use crate::kernel::epoll::{EpollSet, Registration, Told};
use crate::kernel::threads::{Wait, wait};
use crate::kernel::{enter, os, with};

/// What to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest(NonZeroU8);

/// A bit that is always set, so that an `Option<Interest>` takes one byte.
const ANY: NonZeroU8 = NonZeroU8::MIN;

impl Interest {
    /// Nothing but HUP and ERR.
    pub const NONE: Self = Self(ANY);
    /// EPOLLIN.
    pub const READ: Self = Self(ANY.saturating_add(2));
    /// EPOLLOUT.
    pub const WRITE: Self = Self(ANY.saturating_add(4));

    /// Whether all of `other` is in `self`.
    pub fn contains(self, other: Self) -> bool {
        self.0.get() & other.0.get() == other.0.get()
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What the descriptor was registered with.
    pub token: u64,
    /// EPOLLIN.
    pub readable: bool,
    /// EPOLLOUT.
    pub writable: bool,
    /// EPOLLHUP or EPOLLERR.
    pub gone: bool,
}

/// What one wait told.
#[derive(Debug)]
pub struct Events {
    told: Vec<Told>,
    capacity: usize,
}

impl Events {
    /// Room for `capacity` events.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { told: Vec::new(), capacity: capacity.max(1) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.told.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Event `index`.
    pub fn get(&self, index: usize) -> Event {
        let Told { token, readable, writable, gone } = self.told[index];
        Event { token, readable, writable, gone }
    }
}

/// An epoll instance.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

fn registration(interest: Interest, token: u64) -> Registration {
    let (read, write) = (interest.contains(Interest::READ), interest.contains(Interest::WRITE));
    Registration { read, write, token }
}

impl Epoll {
    /// A new one.
    pub fn new() -> io::Result<Self> {
        enter("epoll_create1");
        with(|kernel| {
            kernel.fault("epoll_create1", &[libc::EMFILE])?;
            let fd = kernel.open(Object::Epoll(EpollSet::default()));
            fd.map(OwnedFd::new).map(Self).map_err(os)
        })
    }

    /// `EPOLL_CTL_ADD`.
    pub fn add(&self, fd: BorrowedFd<'_>, interest: Interest, token: u64) -> io::Result<()> {
        enter("epoll_ctl");
        with(|kernel| {
            kernel.fault("epoll_ctl add", &[libc::ENOSPC, libc::ENOMEM])?;
            let wanted = registration(interest, token);
            kernel.epoll_add(self.0.raw(), fd.raw(), wanted).map_err(os)
        })
    }

    /// `EPOLL_CTL_MOD`.
    pub fn modify(&self, fd: BorrowedFd<'_>, interest: Interest, token: u64) -> io::Result<()> {
        enter("epoll_ctl");
        with(|kernel| {
            let wanted = registration(interest, token);
            kernel.epoll_modify(self.0.raw(), fd.raw(), wanted).map_err(os)
        })
    }

    /// `EPOLL_CTL_DEL`.
    pub fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        enter("epoll_ctl");
        with(|kernel| kernel.epoll_delete(self.0.raw(), fd.raw()).map_err(os))
    }

    /// Waits.
    pub fn wait(&self, events: &mut Events, timeout_ms: Option<u64>) -> io::Result<()> {
        enter("epoll_wait");
        events.told.clear();
        let fd = self.0.as_fd().raw();
        let (is_ready, due) = with(|kernel| {
            let due = timeout_ms.map(|ms| kernel.now_us.saturating_add(ms.saturating_mul(1000)));
            (kernel.epoll_is_ready(fd), due)
        });
        if !is_ready && timeout_ms != Some(0) {
            wait(Wait::Epoll(fd, due));
        }
        let is_over = with(|kernel| {
            let is_interrupted = kernel.faults.one_in > 0 && kernel.random.one_in(200);
            if !is_interrupted {
                events.told = kernel.epoll_ready(fd, events.capacity);
                kernel.note_woken();
            }
            kernel.failure.is_some()
        });
        if is_over {
            // The simulation has failed: the next call ends this thread.
            enter("epoll_wait");
        }
        Ok(())
    }
}
