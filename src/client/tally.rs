//! `Tally`: of several files, how many were done, and the exit status that comes to.
//!
//! What it does not do: messages, whose recipients count one by one (`send`).

use super::failure::Failure;

/// Some of it was done.
pub(super) const STATUS_PARTLY: u8 = 3;

/// What became of each.
#[derive(Debug, Default)]
pub(super) struct Tally {
    done: usize,
    failure: Option<Failure>,
}

impl Tally {
    /// One was done.
    pub(super) fn done(&mut self) {
        self.done += 1;
    }

    /// One was not; why is told at once, and the others go on.
    pub(super) fn failed(&mut self, failure: Failure) {
        super::tell(&failure);
        self.failure = Some(failure);
    }

    /// The exit status: that of the last failure where none was done.
    pub(super) fn status(&self) -> u8 {
        match (&self.failure, self.done) {
            (None, _) => 0,
            (Some(failure), 0) => failure.status(),
            (Some(_), _) => STATUS_PARTLY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(done: usize, failed: usize) -> u8 {
        let mut tally = Tally::default();
        (0..done).for_each(|_| tally.done());
        // Without a text, nothing is told.
        (0..failed).for_each(|_| tally.failed(Failure::ReaderGone));
        tally.status()
    }

    #[test]
    fn all_none_and_some_are_told_apart() {
        assert_eq!([status(0, 0), status(2, 0)], [0, 0]);
        assert_eq!(status(0, 2), Failure::ReaderGone.status());
        assert_eq!(status(1, 1), STATUS_PARTLY);
    }
}
