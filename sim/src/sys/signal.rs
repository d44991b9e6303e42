//! Signals for the server.

use std::io;

use super::fd::{AsFd, BorrowedFd, OwnedFd};
use crate::kernel::descriptors::Object;
use crate::kernel::{enter, os, with};

/// A signal that was sent to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// SIGHUP.
    Hangup,
    /// SIGQUIT.
    Quit,
    /// SIGWINCH.
    Resize,
    /// SIGTSTP.
    Stop,
    /// SIGCONT.
    Continue,
    /// SIGCHLD.
    Child,
}

/// What a command is told when it is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// SIGTERM.
    Terminate,
    /// SIGHUP, and SIGCONT.
    HangUp,
    /// SIGKILL.
    Kill,
}

impl Ask {
    pub(super) fn signals(self) -> &'static [i32] {
        match self {
            Self::Terminate => &[libc::SIGTERM],
            Self::HangUp => &[libc::SIGHUP, libc::SIGCONT],
            Self::Kill => &[libc::SIGKILL],
        }
    }
}

/// Where they are read.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Takes them out of the default handling.
    pub fn take() -> io::Result<Self> {
        enter("signalfd4");
        with(|kernel| kernel.open(Object::Signals).map(OwnedFd::new).map(Self).map_err(os))
    }

    /// Takes these too.
    pub fn take_more(&mut self, _more: &[Signal]) -> io::Result<()> {
        enter("signalfd4");
        Ok(())
    }

    /// The next one.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        enter("read");
        Ok(with(|kernel| {
            let is_there = !kernel.signals.is_empty();
            is_there.then(|| kernel.signals.remove(0))
        }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
