//! `Redial`: getting back to a server whose connection was lost, and to the name there.
//!
//! What it does not do: wait (`interactive`). Each attempt has a thread of its own and a limit;
//! between two of them passes a time that doubles, with chance in it, lest all clients of a server
//! come back at once.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::thread;
use std::time::{Duration, Instant};

use super::address;
use super::command::Target;
use super::failure::Failure;
use super::news::{News, Teller};
use super::watch::{Deadline, Watch, ms_until, now};
use super::wire::Wire;
use crate::protocol::name::Name;

/// Time to the first attempt, in milliseconds, and to the latest ones.
const DELAY_MS: (u64, u64) = (250, 30_000);
/// How long one attempt may take, in milliseconds.
const ATTEMPT_MS: u64 = 10_000;

/// A connection, and what the server said to the name.
pub(super) struct Dialed {
    /// The connection.
    pub(super) wire: Wire,
    /// The answer to `name`, where one was taken.
    pub(super) greeting: Option<Vec<u8>>,
}

/// How far it is.
pub(super) struct Redial {
    delay_ms: u64,
    /// When the next attempt is made; none waits for the user.
    due: Option<Instant>,
    is_dialing: bool,
    told: Option<Failure>,
}

impl Redial {
    /// The connection was just lost.
    pub(super) fn soon() -> Self {
        let mut redial = Self::when_asked();
        redial.put_off();
        redial
    }

    /// As soon as the user wants it.
    pub(super) fn when_asked() -> Self {
        Self { delay_ms: DELAY_MS.0, due: None, is_dialing: false, told: None }
    }

    /// The user wants it now.
    pub(super) fn hurry(&mut self) {
        self.due = Some(now());
    }

    /// How long nothing is to be done, in milliseconds; `None` is until news come.
    pub(super) fn left_ms(&self) -> Option<u64> {
        self.due.filter(|_| !self.is_dialing).map(ms_until)
    }

    /// Calls the server if it is time to do so.
    pub(super) fn dial(
        &mut self,
        target: &Target,
        name: Option<&Name>,
        teller: &Teller,
    ) -> Result<(), Failure> {
        if self.left_ms() != Some(0) {
            return Ok(());
        }
        self.is_dialing = true;
        let (target, name, teller) = (target.clone(), name.cloned(), teller.clone());
        let attempt = move || teller.tell(News::Dialed(attempt(&target, name.as_ref())));
        let started = thread::Builder::new().spawn(attempt).map(drop);
        started.map_err(|error| Failure::local("starting a thread", &error))
    }

    /// It did not work. Says whether the user should hear of it: it is not what failed last time.
    pub(super) fn on_failure(&mut self, failure: &Failure) -> bool {
        self.is_dialing = false;
        self.put_off();
        self.told.replace(failure.clone()).as_ref() != Some(failure)
    }

    /// Half of the delay is sure, the other half left to chance; the next one is twice as long.
    fn put_off(&mut self) {
        let half = self.delay_ms / 2;
        let chance = RandomState::new().hash_one(self.delay_ms) % (half + 1);
        self.due = now().checked_add(Duration::from_millis(half + chance));
        self.delay_ms = (self.delay_ms * 2).min(DELAY_MS.1);
    }
}

fn attempt(target: &Target, name: Option<&Name>) -> Result<Box<Dialed>, Failure> {
    let deadline = Deadline::own(ATTEMPT_MS);
    let socket = address::connect(target, &deadline)?;
    let mut watch = Watch::deaf(deadline);
    let mut wire = Wire::over(socket, &mut watch)?;
    wire.events.keep();
    let Some(name) = name else { return Ok(Box::new(Dialed { wire, greeting: None })) };
    wire.ask(&format!("name {name}"), &mut watch)?;
    let greeting = Some(wire.text(&mut watch)?);
    Ok(Box::new(Dialed { wire, greeting }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_limit_and_a_failure_is_told_once() {
        let mut redial = Redial::soon();
        let failure = Failure::Failed("x".to_owned());
        let mut last_ms = DELAY_MS.0;
        for attempt in 0..20 {
            let left_ms = redial.left_ms().expect("it is put off");
            assert!(left_ms <= last_ms, "{left_ms} of {last_ms}");
            last_ms = (last_ms * 2).min(DELAY_MS.1);
            assert_eq!(redial.on_failure(&failure), attempt == 0);
        }
        assert_eq!(redial.delay_ms, DELAY_MS.1);
        assert!(redial.on_failure(&Failure::Failed("y".to_owned())));
        redial.hurry();
        assert_eq!(redial.left_ms(), Some(0));
        assert_eq!(Redial::when_asked().left_ms(), None);
    }
}
