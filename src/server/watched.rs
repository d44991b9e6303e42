//! `Watched`: a descriptor of a command's, and what is waited for on it.
//!
//! What it does not do: know what comes through it.
//!
//! It is taken out of epoll before it is closed. Others have copies of it, a child on its way to
//! its program of all there are, and epoll would tell of it for as long as they do.

use std::io;

use super::desk::Desk;
use crate::reactor::token::{Facet, PeerId};
use crate::sys::epoll::{Epoll, Interest};
use crate::sys::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// A descriptor, until it is closed.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    fd: Option<OwnedFd>,
    /// It is to be closed.
    is_over: bool,
    interest: Option<Interest>,
}

impl Watched {
    /// One that nothing is waited for yet.
    pub(crate) fn new(fd: Option<OwnedFd>) -> Self {
        Self { fd, is_over: false, interest: None }
    }

    /// The descriptor, for as long as it is of use.
    pub(crate) fn open(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().filter(|_| !self.is_over).map(OwnedFd::as_fd)
    }

    /// It is of no use any more, and closed when next it is decided what to wait for.
    pub(crate) fn close(&mut self) {
        self.is_over = true;
    }

    /// Waits for what is wanted now.
    pub(crate) fn watch(
        &mut self,
        desk: &Desk,
        peer: PeerId,
        facet: Facet,
        wanted: Option<Interest>,
    ) -> io::Result<()> {
        if self.is_over {
            self.unwatch(&desk.epoll);
            self.fd = None;
        }
        let Some(fd) = &self.fd else { return Ok(()) };
        desk.watch(peer, facet, fd.as_fd(), self.interest, wanted)?;
        self.interest = wanted;
        Ok(())
    }

    /// Waits for nothing more, before it is dropped.
    pub(crate) fn unwatch(&mut self, epoll: &Epoll) {
        if let Some(fd) = self.fd.as_ref().filter(|_| self.interest.is_some()) {
            // Where that fails, it was not registered, which is what is wanted.
            let _ = epoll.delete(fd.as_fd());
        }
        self.interest = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::epoll::Events;
    use crate::sys::pipe::new_pipe;

    #[test]
    fn nothing_is_told_of_what_was_unwatched_though_others_have_copies() -> io::Result<()> {
        let epoll = Epoll::new()?;
        let (pipe, writer) = new_pipe()?;
        let _copy_of_a_child = pipe.try_clone()?;
        epoll.add(pipe.as_fd(), Interest::READ, 7)?;
        let mut watched =
            Watched { fd: Some(pipe), is_over: false, interest: Some(Interest::READ) };
        drop(writer);
        let mut events = Events::with_capacity(1);
        epoll.wait(&mut events, Some(10_000))?;
        assert!(events.len() == 1 && events.get(0).gone, "the pipe has ended");
        watched.close();
        assert!(watched.open().is_none());
        watched.unwatch(&epoll);
        drop(watched);
        epoll.wait(&mut events, Some(0))?;
        assert!(events.is_empty());
        Ok(())
    }
}
