//! Waiting: every wait of a client command ends when its time is up, or a signal says so.
//!
//! What it does not do: know what is waited for.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use super::failure::Failure;
use crate::sys::poll::wait_any;
use crate::sys::signal::{Signal, Signals};

/// The clock of the client.
#[expect(clippy::disallowed_methods, reason = "a client has no turns, and waits here alone")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// How long a server may take to end what was taken back, in milliseconds.
const CANCEL_MS: u64 = 2_000;

/// When a command gives up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Option<Instant>,
    limit_ms: u64,
}

impl Deadline {
    /// After `timeout_ms` from now; never where there is none.
    pub(super) fn after(timeout_ms: Option<u64>) -> Self {
        let at = timeout_ms.and_then(|ms| now().checked_add(Duration::from_millis(ms)));
        Self { at, limit_ms: timeout_ms.unwrap_or(0) }
    }

    /// The same, but no later than so long from now.
    fn or_after(self, timeout_ms: u64) -> Self {
        let other = Self::after(Some(timeout_ms));
        let is_sooner = self.at.is_some_and(|at| other.at.is_none_or(|other| at < other));
        if is_sooner { self } else { other }
    }

    /// How long is left, rounded up; `None` is for ever.
    pub(super) fn left_ms(&self) -> Option<u64> {
        self.at.map(ms_until)
    }

    /// Fails once the time is up.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.left_ms() == Some(0) {
            let seconds = Duration::from_millis(self.limit_ms).as_secs_f64();
            return Err(Failure::Unreachable(format!("gave up after {seconds} s (--timeout)")));
        }
        Ok(())
    }
}

/// Milliseconds until `at`, rounded up; 0 where it has passed.
pub(super) fn ms_until(at: Instant) -> u64 {
    let left = at.saturating_duration_since(now());
    u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// What ends a wait besides what is waited for.
pub(super) struct Watch {
    signals: Signals,
    deadline: Deadline,
    interrupt: Interrupt,
    /// The terminal has another size, or is ours again.
    is_resized: bool,
}

/// What an interrupt (Ctrl-C) does, or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interrupt {
    /// It ends the command.
    Ends,
    /// It takes back the request in progress.
    TakesBack,
    /// It came, and the server is to be told; another one ends the command.
    Came,
    /// It came, and the server was told.
    Told,
}

impl Watch {
    /// From here on signals are taken, and not acted on by the system.
    pub(super) fn new(deadline: Deadline) -> io::Result<Self> {
        let mut signals = Signals::take()?;
        signals.take_more(&[Signal::Quit])?;
        Ok(Self { signals, deadline, interrupt: Interrupt::Ends, is_resized: false })
    }

    /// The first interrupt takes back the request in progress: `Wire` says so to the server, which
    /// has a moment to answer. The second one ends the command as it always does.
    pub(super) fn cancel_on_interrupt(&mut self) {
        self.interrupt = Interrupt::TakesBack;
    }

    /// From here on changes of the terminal's size are noticed, and being continued.
    pub(super) fn take_sizes(&mut self) -> Result<(), Failure> {
        let taken = self.signals.take_more(&[Signal::Resize, Signal::Continue]);
        taken.map_err(|error| Failure::local("signals", &error))
    }

    /// Whether the terminal has another size since this was asked last.
    pub(super) fn takes_size(&mut self) -> bool {
        std::mem::take(&mut self.is_resized)
    }

    /// Whether the request in progress was taken back.
    pub(super) fn is_cancelled(&self) -> bool {
        matches!(self.interrupt, Interrupt::Came | Interrupt::Told)
    }

    /// Whether the server is to be told of that, which is so once.
    pub(super) fn takes_back(&mut self) -> bool {
        let is_new = self.interrupt == Interrupt::Came;
        if is_new {
            self.interrupt = Interrupt::Told;
        }
        is_new
    }

    /// There is time again: what came before the deadline is to be told.
    pub(super) fn lift_deadline(&mut self) {
        self.deadline = Deadline::after(None);
    }

    /// Waits until one of `wanted` is ready (see `wait_any`), and says which are.
    pub(super) fn wait(
        &mut self,
        wanted: &[(BorrowedFd<'_>, bool, bool)],
    ) -> Result<Vec<bool>, Failure> {
        self.wait_for(wanted, None)
    }

    /// As `wait`, but no longer than `limit_ms`.
    pub(super) fn wait_for(
        &mut self,
        wanted: &[(BorrowedFd<'_>, bool, bool)],
        limit_ms: Option<u64>,
    ) -> Result<Vec<bool>, Failure> {
        self.check()?;
        let mut all = wanted.to_vec();
        all.push((self.signals.as_fd(), true, false));
        let wait_ms = [self.deadline.left_ms(), limit_ms].into_iter().flatten().min();
        let mut ready =
            wait_any(&all, wait_ms).map_err(|error| Failure::local("waiting", &error))?;
        if ready.pop() == Some(true)
            && let Some(signal) =
                self.signals.next().map_err(|error| Failure::local("signals", &error))?
        {
            self.on_signal(signal)?;
        }
        Ok(ready)
    }

    fn on_signal(&mut self, signal: Signal) -> Result<(), Failure> {
        if signal == Signal::Interrupt && self.interrupt == Interrupt::TakesBack {
            self.interrupt = Interrupt::Came;
            self.deadline = self.deadline.or_after(CANCEL_MS);
            return Ok(());
        }
        if matches!(signal, Signal::Resize | Signal::Continue) {
            self.is_resized = true;
            return Ok(());
        }
        Err(Failure::Signalled(signal))
    }

    /// Fails once the time is up. A server that does not say in time what became of what was taken
    /// back is left.
    fn check(&self) -> Result<(), Failure> {
        let checked = self.deadline.check();
        if self.is_cancelled() {
            return checked.map_err(|_| Failure::Signalled(Signal::Interrupt));
        }
        checked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_and_none_never_does() {
        assert_eq!(Deadline::after(None).left_ms(), None);
        assert!(Deadline::after(None).check().is_ok());
        let far = Deadline::after(Some(60_000));
        assert!(far.check().is_ok() && far.left_ms() > Some(50_000));
        let passed = Deadline { at: Some(now()), limit_ms: 1500 };
        let text = "gave up after 1.5 s (--timeout)".to_owned();
        assert_eq!(passed.check(), Err(Failure::Unreachable(text)));
    }
}
