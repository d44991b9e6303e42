//! Waiting for many descriptors at once: epoll(7), level-triggered always.
//!
//! What it does not do: know what a token means, keep descriptors alive, or notice that one was
//! closed. Deregister before closing: a closed descriptor with a living duplicate keeps firing.

use std::io;
use std::num::NonZeroU8;
use std::ops::BitOr;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::epoll as os;
use nix::sys::epoll::{EpollCreateFlags, EpollEvent, EpollFlags};

/// What to be told of, besides HUP and ERR, which epoll always tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest(NonZeroU8);

/// A bit that is always set, so that an `Option<Interest>` takes one byte.
const ANY: NonZeroU8 = NonZeroU8::MIN;

impl Interest {
    /// Nothing but HUP and ERR.
    pub const NONE: Self = Self(ANY);
    /// Input, or end of input (EPOLLIN).
    pub const READ: Self = Self(ANY.saturating_add(2));
    /// Room for output (EPOLLOUT).
    pub const WRITE: Self = Self(ANY.saturating_add(4));

    /// True if all of `other` is in `self`.
    pub fn contains(self, other: Self) -> bool {
        self.0.get() & other.0.get() == other.0.get()
    }

    fn flags(self) -> EpollFlags {
        let mut flags = EpollFlags::empty();
        flags.set(EpollFlags::EPOLLIN, self.contains(Self::READ));
        flags.set(EpollFlags::EPOLLOUT, self.contains(Self::WRITE));
        flags
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
    /// EPOLLIN: a read gives bytes, end of input or an error.
    pub readable: bool,
    /// EPOLLOUT: a write takes bytes.
    pub writable: bool,
    /// EPOLLHUP or EPOLLERR: for a socket both directions are over; for a pipe's read end the last
    /// writer is gone, though bytes may be left.
    pub gone: bool,
}

/// Room for what one wait tells.
#[derive(Debug)]
pub struct Events {
    buffer: Vec<EpollEvent>,
    count: usize,
}

impl Events {
    /// Room for `capacity` events a wait; at least one.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { buffer: vec![EpollEvent::empty(); capacity.max(1)], count: 0 }
    }

    /// How many events the last wait told.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True if the last wait told of nothing.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Event `index` of the last wait. Panics where there is none.
    pub fn get(&self, index: usize) -> Event {
        let event = self.buffer[..self.count][index];
        let flags = event.events();
        Event {
            token: event.data(),
            readable: flags.contains(EpollFlags::EPOLLIN),
            writable: flags.contains(EpollFlags::EPOLLOUT),
            gone: flags.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR),
        }
    }
}

/// An epoll instance.
#[derive(Debug)]
pub struct Epoll(os::Epoll);

impl Epoll {
    /// `epoll_create1(2)`. Fails with EMFILE or ENFILE where descriptors have run out.
    pub fn new() -> io::Result<Self> {
        Ok(Self(os::Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// Registers `fd` (`EPOLL_CTL_ADD`, `epoll_ctl(2)`). EEXIST: it is registered already; EPERM:
    /// it cannot be waited for (a regular file); ENOSPC: `fs.epoll.max_user_watches` is reached.
    pub fn add(&self, fd: BorrowedFd<'_>, interest: Interest, token: u64) -> io::Result<()> {
        Ok(self.0.add(fd, EpollEvent::new(interest.flags(), token))?)
    }

    /// Changes interest and token of `fd` (`EPOLL_CTL_MOD`). ENOENT: it is not registered.
    pub fn modify(&self, fd: BorrowedFd<'_>, interest: Interest, token: u64) -> io::Result<()> {
        Ok(self.0.modify(fd, &mut EpollEvent::new(interest.flags(), token))?)
    }

    /// Deregisters `fd` (`EPOLL_CTL_DEL`). ENOENT: it is not registered.
    pub fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(self.0.delete(fd)?)
    }

    /// Waits until something happens or `timeout_ms` have passed (`None`: for ever), and fills
    /// `events` (`epoll_wait(2)`). Interrupted by a signal (EINTR) it tells of nothing.
    pub fn wait(&self, events: &mut Events, timeout_ms: Option<u64>) -> io::Result<()> {
        events.count = 0;
        match self.0.wait(&mut events.buffer, super::timeout(timeout_ms)) {
            Ok(count) => events.count = count,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::super::scratch::wait_closed;
    use super::*;

    fn told(epoll: &Epoll, capacity: usize) -> io::Result<Vec<Event>> {
        let mut events = Events::with_capacity(capacity);
        epoll.wait(&mut events, Some(0))?;
        let all: Vec<_> = (0..events.len()).map(|index| events.get(index)).collect();
        assert_eq!(events.is_empty(), all.is_empty());
        Ok(all)
    }

    #[test]
    fn input_is_told_for_as_long_as_it_is_there() -> io::Result<()> {
        let (mut near, mut far) = UnixStream::pair()?;
        let epoll = Epoll::new()?;
        epoll.add(near.as_fd(), Interest::READ, u64::MAX)?;
        assert_eq!(told(&epoll, 8)?, []);
        far.write_all(b"x")?;
        let event = Event { token: u64::MAX, readable: true, writable: false, gone: false };
        assert_eq!(told(&epoll, 8)?, [event]);
        assert_eq!(told(&epoll, 8)?, [event]);
        near.read_exact(&mut [0])?;
        assert_eq!(told(&epoll, 8)?, []);
        Ok(())
    }

    #[test]
    fn interest_and_token_can_be_changed_and_taken_back() -> io::Result<()> {
        let (near, _far) = UnixStream::pair()?;
        let epoll = Epoll::new()?;
        epoll.add(near.as_fd(), Interest::READ | Interest::WRITE, 1)?;
        let event = Event { token: 1, readable: false, writable: true, gone: false };
        assert_eq!(told(&epoll, 8)?, [event]);
        epoll.modify(near.as_fd(), Interest::WRITE, 2)?;
        assert_eq!(told(&epoll, 8)?, [Event { token: 2, ..event }]);
        epoll.modify(near.as_fd(), Interest::NONE, 3)?;
        assert_eq!(told(&epoll, 8)?, []);
        epoll.delete(near.as_fd())?;
        let error = epoll.modify(near.as_fd(), Interest::READ, 4);
        assert_eq!(error.map_err(|error| error.kind()), Err(io::ErrorKind::NotFound));
        Ok(())
    }

    #[test]
    fn half_close_is_input_and_a_closed_peer_is_gone_whatever_the_interest() -> io::Result<()> {
        let (near, far) = UnixStream::pair()?;
        let epoll = Epoll::new()?;
        epoll.add(near.as_fd(), Interest::READ, 1)?;
        far.shutdown(std::net::Shutdown::Write)?;
        let event = Event { token: 1, readable: true, writable: false, gone: false };
        assert_eq!(told(&epoll, 8)?, [event]);
        epoll.modify(near.as_fd(), Interest::NONE, 1)?;
        assert_eq!(told(&epoll, 8)?, []);
        drop(far);
        wait_closed(near.as_fd())?;
        let event = Event { token: 1, readable: false, writable: false, gone: true };
        assert_eq!(told(&epoll, 8)?, [event]);
        Ok(())
    }

    #[test]
    fn one_wait_tells_no_more_than_there_is_room_for() -> io::Result<()> {
        let (near, far) = UnixStream::pair()?;
        let epoll = Epoll::new()?;
        epoll.add(near.as_fd(), Interest::WRITE, 1)?;
        epoll.add(far.as_fd(), Interest::WRITE, 2)?;
        assert_eq!(told(&epoll, 0)?.len(), 1);
        assert_eq!(told(&epoll, 8)?.len(), 2);
        Ok(())
    }

    #[test]
    fn interest_contains_its_parts() {
        let both = Interest::READ | Interest::WRITE;
        assert!(both.contains(Interest::READ) && both.contains(Interest::NONE));
        assert!(!Interest::READ.contains(both));
    }
}
