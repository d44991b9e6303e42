//! Signals as input: signalfd(2), no handlers.
//!
//! What it does not do: SIGCHLD (children are waited for by pidfd), or decide what a signal means.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{self as os, SigHandler, SigSet};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::retry;

/// A signal that was sent to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// SIGHUP.
    Hangup,
}

/// The signals of the process, to be read where others read sockets.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Takes SIGTERM, SIGINT and SIGHUP out of the default handling and ignores SIGPIPE. They are
    /// blocked for the calling thread and for those it starts later: call it before any other
    /// thread runs, or that thread gets them. `process::spawn` undoes both for a child.
    pub fn take() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [os::SIGTERM, os::SIGINT, os::SIGHUP] {
            set.add(signal);
        }
        set.thread_block()?;
        // SAFETY: SIG_IGN is no function that could do anything unsafe in signal context.
        unsafe { os::signal(os::SIGPIPE, SigHandler::SigIgn)? };
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// The next signal that came; `None` if there is none. Signals of one kind that came before one
    /// was read are one. Never blocks.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        let Some(info) = retry(|| self.0.read_signal())? else {
            return Ok(None);
        };
        Ok(match libc::c_int::try_from(info.ssi_signo) {
            Ok(libc::SIGTERM) => Some(Signal::Terminate),
            Ok(libc::SIGINT) => Some(Signal::Interrupt),
            Ok(libc::SIGHUP) => Some(Signal::Hangup),
            _ => None,
        })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::super::poll::wait_readable;
    use super::*;

    #[test]
    fn signals_are_read_one_by_one_and_end_nothing() -> io::Result<()> {
        let signals = Signals::take()?;
        assert_eq!(signals.next()?, None);
        for (sent, expected) in [
            (os::SIGHUP, Signal::Hangup),
            (os::SIGINT, Signal::Interrupt),
            (os::SIGTERM, Signal::Terminate),
        ] {
            os::raise(sent)?;
            assert_eq!(wait_readable(&[signals.as_fd()], Some(0))?, [true]);
            assert_eq!(signals.next()?, Some(expected));
            assert_eq!(signals.next()?, None);
        }
        os::raise(os::SIGPIPE)?;
        assert_eq!(signals.next()?, None);
        Ok(())
    }
}
