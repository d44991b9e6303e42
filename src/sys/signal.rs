//! Signals as input: signalfd(2), no handlers; and what a child needs to begin without ours.
//!
//! What it does not do: decide what a signal means. Children that were started here are waited for
//! by pidfd, not by SIGCHLD.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;
use std::sync::OnceLock;

use nix::libc;
use nix::sys::signal::{self as os, SigHandler, SigSet};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::retry;

/// A signal that was sent to this process.
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
    /// SIGWINCH: the terminal has another size.
    Resize,
    /// SIGTSTP: the user wants it to stop for a while.
    Stop,
    /// SIGCONT: it goes on.
    Continue,
    /// SIGCHLD: a child has ended.
    Child,
}

/// What a command is told when it is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To end (SIGTERM).
    Terminate,
    /// That its terminal is gone (SIGHUP), and those that are stopped too (SIGCONT), as the kernel
    /// does.
    HangUp,
    /// Nothing: it ends (SIGKILL).
    Kill,
}

impl Ask {
    pub(super) fn signals(self) -> &'static [libc::c_int] {
        match self {
            Self::Terminate => &[libc::SIGTERM],
            Self::HangUp => &[libc::SIGHUP, libc::SIGCONT],
            Self::Kill => &[libc::SIGKILL],
        }
    }
}

impl Signal {
    const ALL: [(Self, os::Signal); 8] = [
        (Self::Terminate, os::SIGTERM),
        (Self::Interrupt, os::SIGINT),
        (Self::Hangup, os::SIGHUP),
        (Self::Quit, os::SIGQUIT),
        (Self::Resize, os::SIGWINCH),
        (Self::Stop, os::SIGTSTP),
        (Self::Continue, os::SIGCONT),
        (Self::Child, os::SIGCHLD),
    ];

    fn os(self) -> os::Signal {
        let found = Self::ALL.into_iter().find(|(signal, _)| *signal == self);
        found.expect("all signals are in the table").1
    }

    /// Its number (signal(7)).
    pub fn number(self) -> u8 {
        u8::try_from(self.os() as libc::c_int).expect("there are 64 signals")
    }
}

/// The signals of the process, to be read where others read sockets.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    set: SigSet,
}

impl Signals {
    /// Takes SIGTERM, SIGINT and SIGHUP out of the default handling, has SIGCHLD and the mask as if
    /// the parent had changed neither, and ignores SIGPIPE and
    /// SIGXFSZ (a file that may not grow is an error of write(2) then, EFBIG). They are blocked for
    /// the calling thread and for those it starts later: call it before any other thread runs, or
    /// that thread gets them. `process::spawn` undoes both for a child.
    pub fn take() -> io::Result<Self> {
        let set = SigSet::empty();
        // The parent may have left signals blocked, or ignored: with SIGCHLD ignored the kernel
        // reaps every child, and nobody learns how it ended.
        set.thread_set_mask()?;
        for signal in [os::SIGCHLD, os::SIGTERM, os::SIGINT, os::SIGHUP] {
            // SAFETY: SIG_DFL is no function that could do anything unsafe in signal context.
            unsafe { os::signal(signal, SigHandler::SigDfl)? };
        }
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let mut signals = Self { fd: SignalFd::with_flags(&set, flags)?, set };
        signals.take_more(&[Signal::Terminate, Signal::Interrupt, Signal::Hangup])?;
        for signal in IGNORED {
            // SAFETY: SIG_IGN is no function that could do anything unsafe in signal context.
            unsafe { os::signal(signal, SigHandler::SigIgn)? };
        }
        Ok(signals)
    }

    /// Takes these too out of the default handling, as `take` does.
    pub fn take_more(&mut self, more: &[Signal]) -> io::Result<()> {
        for signal in more {
            self.set.add(signal.os());
        }
        self.set.thread_block()?;
        Ok(self.fd.set_mask(&self.set)?)
    }

    /// These act by their default handling again, on the calling thread.
    #[cfg(feature = "client")]
    pub fn leave(&mut self, some: &[Signal]) -> io::Result<()> {
        let mut left = SigSet::empty();
        for signal in some {
            self.set.remove(signal.os());
            left.add(signal.os());
        }
        self.fd.set_mask(&self.set)?;
        Ok(left.thread_unblock()?)
    }

    /// The next signal that came; `None` if there is none. Signals of one kind that came before one
    /// was read are one. Never blocks.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        let Some(info) = retry(|| self.fd.read_signal())? else {
            return Ok(None);
        };
        let number = u8::try_from(info.ssi_signo).unwrap_or(0);
        let known = Signal::ALL.into_iter().map(|(signal, _)| signal);
        Ok(known.into_iter().find(|signal| signal.number() == number))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What `Signals::take` has the process ignore.
const IGNORED: [os::Signal; 2] = [os::SIGPIPE, os::SIGXFSZ];
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

/// The signals whose handling is not the default one (`rt_sigaction(2)`) when this is first asked
/// for, and those that `Signals::take` ignores, before or after that.
pub(super) fn altered() -> &'static [libc::c_int] {
    static ALTERED: OnceLock<Vec<libc::c_int>> = OnceLock::new();
    let is_ignored = |signal: i32| IGNORED.iter().any(|ignored| *ignored as i32 == signal);
    ALTERED.get_or_init(|| {
        (1..=SIGNALS).filter(|signal| is_ignored(*signal) || !is_default(*signal)).collect()
    })
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
        for ignored in IGNORED {
            os::raise(ignored)?;
            assert_eq!(signals.next()?, None);
        }
        Ok(())
    }

    #[test]
    fn more_signals_are_taken_where_they_are_wanted() -> io::Result<()> {
        let mut signals = Signals::take()?;
        let more = [Signal::Quit, Signal::Resize, Signal::Stop, Signal::Continue];
        signals.take_more(&more)?;
        for signal in more {
            os::raise(signal.os())?;
            assert_eq!(signals.next()?, Some(signal));
        }
        os::raise(os::SIGTERM)?;
        assert_eq!(signals.next()?, Some(Signal::Terminate));
        assert_eq!(signals.next()?, None);
        assert_eq!(Signal::Hangup.number(), 1);
        Ok(())
    }
}
