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

/// What is told of a terminal by signals.
const SIZES: [Signal; 2] = [Signal::Resize, Signal::Continue];

/// When a command gives up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Option<Instant>,
    limit_ms: u64,
    /// Whether the user chose it.
    is_option: bool,
}

impl Deadline {
    /// After `timeout_ms` from now; never where there is none.
    pub(super) fn after(timeout_ms: Option<u64>) -> Self {
        let at = timeout_ms.and_then(|ms| now().checked_add(Duration::from_millis(ms)));
        Self { at, limit_ms: timeout_ms.unwrap_or(0), is_option: true }
    }

    /// The same, by landline's own choice.
    pub(super) fn own(limit_ms: u64) -> Self {
        Self { is_option: false, ..Self::after(Some(limit_ms)) }
    }

    /// How long is left, rounded up; `None` is for ever.
    pub(super) fn left_ms(&self) -> Option<u64> {
        self.at.map(ms_until)
    }

    /// Fails once the time is up.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.left_ms() == Some(0) {
            let seconds = Duration::from_millis(self.limit_ms).as_secs_f64();
            let option = if self.is_option { " (--timeout)" } else { "" };
            return Err(Failure::Unreachable(format!("gave up after {seconds} s{option}")));
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
    /// None where others take them.
    signals: Option<Signals>,
    deadline: Deadline,
    /// When a server that was told to end something is left.
    patience: Deadline,
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
        Ok(Self { signals: Some(signals), ..Self::deaf(deadline) })
    }

    /// The same on a thread to which no signals come.
    pub(super) fn deaf(deadline: Deadline) -> Self {
        let patience = Deadline::after(None);
        let interrupt = Interrupt::Ends;
        Self { signals: None, deadline, patience, interrupt, is_resized: false }
    }

    /// The first interrupt takes back the request in progress: `Wire` says so to the server, which
    /// has a moment to answer. The second one ends the command as it always does.
    pub(super) fn cancel_on_interrupt(&mut self) {
        self.interrupt = Interrupt::TakesBack;
    }

    /// An interrupt ends the command again. Says whether one took back the request that ended.
    pub(super) fn end_on_interrupt(&mut self) -> bool {
        let was_cancelled = self.is_cancelled();
        (self.interrupt, self.patience) = (Interrupt::Ends, Deadline::after(None));
        was_cancelled
    }

    /// From here on changes of the terminal's size are noticed, and being continued.
    pub(super) fn take_sizes(&mut self) -> Result<(), Failure> {
        let taken = self.signals.as_mut().map(|signals| signals.take_more(&SIZES));
        taken.transpose().map(drop).map_err(|error| Failure::local("signals", &error))
    }

    /// Somebody else notices them.
    pub(super) fn leave_sizes(&mut self) -> Result<(), Failure> {
        let left = self.signals.as_mut().map(|signals| signals.leave(&SIZES));
        left.transpose().map(drop).map_err(|error| Failure::local("signals", &error))
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
        all.extend(self.signals.as_ref().map(|signals| (signals.as_fd(), true, false)));
        let limits = [self.deadline.left_ms(), self.patience.left_ms(), limit_ms];
        let mut ready = wait_any(&all, limits.into_iter().flatten().min())
            .map_err(|error| Failure::local("waiting", &error))?;
        let has_signal = self.signals.is_some() && ready.pop() == Some(true);
        if let Some(signals) = self.signals.as_ref().filter(|_| has_signal)
            && let Some(signal) =
                signals.next().map_err(|error| Failure::local("signals", &error))?
        {
            self.on_signal(signal)?;
        }
        Ok(ready)
    }

    fn on_signal(&mut self, signal: Signal) -> Result<(), Failure> {
        if signal == Signal::Interrupt && self.interrupt == Interrupt::TakesBack {
            self.interrupt = Interrupt::Came;
            self.patience = Deadline::after(Some(CANCEL_MS));
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
        let passed = |_| Failure::Signalled(Signal::Interrupt);
        self.patience.check().map_err(passed)?;
        let checked = self.deadline.check();
        if self.is_cancelled() { checked.map_err(passed) } else { checked }
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
        let passed = Deadline { at: Some(now()), limit_ms: 1500, is_option: true };
        let text = "gave up after 1.5 s (--timeout)".to_owned();
        assert_eq!(passed.check(), Err(Failure::Unreachable(text)));
    }
}
