//! Signals as input: signalfd(2), no handlers; and what a child needs to begin without ours.
//!
//! What it does not do: SIGCHLD (children are waited for by pidfd), or decide what a signal means.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;
use std::sync::OnceLock;

use nix::libc;
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

/// How many signals there are, those that the C library keeps for itself included (signal(7)).
const SIGNALS: libc::c_int = 64;
/// Size of a set of signals as the kernel has it, in bytes.
const SET_BYTES: usize = size_of::<u64>();
/// Words of the kernel's `struct sigaction`, whichever its order: the handler comes first, and all
/// zeros mean the default handling.
type Action = [u64; 4];

/// All signals are blocked for the calling thread (`rt_sigprocmask(2)`), also those that the C
/// library keeps for itself, for as long as this lives. It stays on that thread.
pub(super) struct Blocked {
    before: u64,
    _stays: PhantomData<*const ()>,
}

impl Blocked {
    pub(super) fn all() -> Self {
        Self { before: set_mask(u64::MAX), _stays: PhantomData }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        set_mask(self.before);
    }
}

/// Lets all signals through to the calling thread. Safe to be called between clone(2) and
/// execve(2).
pub(super) fn unblock_all() {
    set_mask(0);
}

/// Sets the signals the calling thread does not get, and says which those were.
fn set_mask(mask: u64) -> u64 {
    let mut before = 0_u64;
    // SAFETY: both sets are as long as is said, and outlive the call, which cannot fail then.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut before,
            SET_BYTES,
        );
    }
    before
}

/// The signals whose handling is not the default one (`rt_sigaction(2)`), as it is when this is
/// first asked for: landline changes it at its start alone.
pub(super) fn altered() -> &'static [libc::c_int] {
    static ALTERED: OnceLock<Vec<libc::c_int>> = OnceLock::new();
    ALTERED.get_or_init(|| (1..=SIGNALS).filter(|signal| !is_default(*signal)).collect())
}

fn is_default(signal: libc::c_int) -> bool {
    let mut action: Action = [0; 4];
    let nothing = ptr::null::<Action>();
    // SAFETY: nothing is set; `action` has room for all the kernel tells, and outlives the call.
    unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signal, nothing, &raw mut action, SET_BYTES);
    }
    action[0] == 0
}

/// Gives a signal its default handling. Safe to be called between clone(2) and execve(2), and knows
/// the signals that the C library keeps for itself.
pub(super) fn set_default(signal: libc::c_int) {
    let action: Action = [0; 4];
    let nothing = ptr::null_mut::<Action>();
    // SAFETY: zeros are a valid action, SIG_DFL without flags, and no handler is left that could
    // run; SIGKILL and SIGSTOP are refused, and have no other handling anyway.
    unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signal, &raw const action, nothing, SET_BYTES);
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
