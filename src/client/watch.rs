//! Waiting: every wait of a client command ends when its time is up, or a signal says so.
//!
//! What it does not do: know what is waited for.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::failure::Failure;
use crate::sys::poll::wait_any;
use crate::sys::signal::{Signal, Signals};
use crate::sys::socket;

/// The clock of the client.
#[expect(clippy::disallowed_methods, reason = "a client has no turns, and waits here alone")]
pub(super) fn now() -> Instant {
    Instant::now()
}

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
    cancel: Option<OwnedFd>,
    /// Whether the request in progress was taken back.
    pub(super) is_cancelled: bool,
}

impl Watch {
    /// From here on signals are taken, and not acted on by the system.
    pub(super) fn new(deadline: Deadline) -> io::Result<Self> {
        let signals = Signals::take()?;
        Ok(Self { signals, deadline, cancel: None, is_cancelled: false })
    }

    /// The first interrupt takes back the request in progress on this framed connection, which has
    /// nothing left to send; the second one ends the command as it always does.
    pub(super) fn cancel_on_interrupt(&mut self, socket: OwnedFd) {
        self.cancel = Some(socket);
    }

    /// Waits until one of `wanted` is ready (see `wait_any`), and says which are.
    pub(super) fn wait(
        &mut self,
        wanted: &[(BorrowedFd<'_>, bool, bool)],
    ) -> Result<Vec<bool>, Failure> {
        self.deadline.check()?;
        let mut all = wanted.to_vec();
        all.push((self.signals.as_fd(), true, false));
        let mut ready = wait_any(&all, self.deadline.left_ms())
            .map_err(|error| Failure::local("waiting", &error))?;
        if ready.pop() == Some(true)
            && let Some(signal) =
                self.signals.next().map_err(|error| Failure::local("signals", &error))?
        {
            self.on_signal(signal)?;
        }
        Ok(ready)
    }

    fn on_signal(&mut self, signal: Signal) -> Result<(), Failure> {
        if signal == Signal::Interrupt
            && let Some(socket) = self.cancel.take()
            && matches!(socket::send(socket.as_fd(), b"cancel\n", false), Ok(7))
        {
            self.is_cancelled = true;
            return Ok(());
        }
        Err(Failure::Signalled(signal))
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
