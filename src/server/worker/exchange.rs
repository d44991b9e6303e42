//! The worker and the room: calls that come by mail, messages that are handed out, and mail that
//! has to wait because another worker has no room for it.
//!
//! What it does not do: know who has a name (`service::room`).

use std::collections::BTreeMap;

use super::Worker;
use crate::protocol::effect::Call;
use crate::server::mail::{Address, Mail, SAID_BYTES_MAX, Said, answer_bytes};
use crate::service::room::Room;

/// What the room's answers hold that are handed out before more are made, in bytes.
const ANSWER_BYTES_FULL: usize = 1024 * 1024;

impl Worker {
    /// A peer asks the room, which is here. While another worker has no room for mail, callers
    /// wait.
    pub(super) fn on_call(&mut self, from: Address, call: Call<'static>) {
        if self.desk.is_room_stalled {
            return self.desk.deferred.push_back((from, call));
        }
        if let Call::Reform(_) = call {
            // What was said before is handed out in the form of then.
            self.hand_out();
        }
        let stamp = self.desk.stamp();
        let Some(room) = &mut self.desk.room else { return };
        let Some(answer) = room.on_call(from, &call, &stamp) else { return };
        if from.worker == self.desk.worker {
            self.with(from.peer, |c, desk, _| c.on_answer(desk, answer));
        } else {
            self.answer_bytes += answer_bytes(&answer);
            self.answers.push((from, answer));
        }
    }

    pub(super) fn hand_out_if_full(&mut self) {
        let is_full = self.desk.room.as_ref().is_some_and(Room::is_full);
        if is_full || self.answer_bytes >= ANSWER_BYTES_FULL {
            self.hand_out();
        }
    }

    /// Hands out what was said in the room, and takes the calls that had to wait for that.
    pub(super) fn hand_out(&mut self) {
        self.post_again();
        loop {
            self.hand_out_once();
            self.post_again();
            if self.desk.is_room_stalled {
                return;
            }
            let Some((from, call)) = self.desk.deferred.pop_front() else { return };
            self.on_call(from, call);
        }
    }

    fn hand_out_once(&mut self) {
        // Taken out for the while: nobody who is given a message calls the room.
        let Some(mut room) = self.desk.room.take() else { return };
        let here = self.desk.worker;
        let mut elsewhere: BTreeMap<usize, Said> = BTreeMap::new();
        room.hand_out(|Address { worker, peer }, messages| {
            if worker == here {
                self.with(peer, |c, desk, _| c.deliver(desk, messages));
            } else {
                elsewhere.entry(worker).or_default().messages.push((peer, messages));
            }
        });
        self.desk.room = Some(room);
        self.answer_bytes = 0;
        for (Address { worker, peer }, answer) in self.answers.drain(..) {
            elsewhere.entry(worker).or_default().answers.push((peer, answer));
        }
        let mail = elsewhere.into_iter().map(|(worker, said)| (worker, Mail::Said(said)));
        self.unposted.extend(mail);
    }

    /// What was said in the room comes to this worker.
    pub(super) fn on_said(&mut self, said: Said) {
        for (peer, message) in said.messages {
            self.with(peer, |c, desk, _| c.deliver(desk, message));
        }
        for (peer, answer) in said.answers {
            self.with(peer, |c, desk, _| c.on_answer(desk, answer));
        }
    }

    /// Posts what could not be posted before; order is kept for each worker.
    fn post_again(&mut self) {
        let mut full = Vec::new();
        for _ in 0..self.unposted.len() {
            let Some((worker, mail)) = self.unposted.pop_front() else { break };
            let bytes = if let Mail::Said(said) = &mail { said.bytes() } else { 0 };
            let mailbox = &self.desk.common.crew[worker].mailbox;
            let left = if full.contains(&worker) {
                Some(mail)
            } else {
                mailbox.post_within(SAID_BYTES_MAX, bytes, mail).err()
            };
            if let Some(mail) = left {
                full.push(worker);
                self.unposted.push_back((worker, mail));
            }
        }
        self.desk.is_room_stalled = !self.unposted.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io;
    use std::sync::Arc;

    use super::*;
    use crate::protocol::effect::{Answer, Form};
    use crate::protocol::name::Name;
    use crate::server::fixture::{common, peers};
    use crate::server::mail::HOME;
    use crate::sys::clock::Clock;

    /// The other worker.
    const OTHER: usize = 1;

    /// The home of two workers, neither of which runs.
    fn home() -> io::Result<Worker> {
        Worker::new(HOME, common(2, None)?, None, Clock::start())
    }

    fn join(user: &str) -> Call<'static> {
        Call::Join { name: Name::parse(user.as_bytes()).expect("a name"), form: Form::Plain }
    }

    #[test]
    fn what_finds_no_room_is_not_overtaken_by_what_would() -> io::Result<()> {
        let mut worker = home()?;
        let peer = peers(OTHER, 1)[0].peer;
        let common = Arc::clone(&worker.desk.common);
        let mailbox = &common.crew[OTHER].mailbox;
        assert!(mailbox.post_within(SAID_BYTES_MAX, SAID_BYTES_MAX, Mail::Settings).is_ok());
        let mut large = Said::default();
        large.answers.push((peer, Answer::Users("large".to_owned())));
        worker.unposted.push_back((OTHER, Mail::Said(large)));
        worker.unposted.push_back((OTHER, Mail::Said(Said::default())));
        worker.post_again();
        assert!(worker.desk.is_room_stalled);
        let mut taken = VecDeque::new();
        mailbox.take_all(&mut taken);
        assert_eq!(taken.len(), 1, "nothing else had room");
        taken.clear();
        worker.post_again();
        assert!(!worker.desk.is_room_stalled);
        mailbox.take_all(&mut taken);
        let answers = |mail| if let Mail::Said(said) = mail { said.answers.len() } else { 9 };
        assert_eq!(taken.into_iter().map(answers).collect::<Vec<_>>(), [1, 0]);
        Ok(())
    }

    #[test]
    fn calls_that_had_to_wait_have_their_turn_in_order() -> io::Result<()> {
        let mut worker = home()?;
        let peers = peers(OTHER, 3);
        worker.desk.is_room_stalled = true;
        for (from, user) in peers.iter().zip(["first", "first", "last"]) {
            worker.on_call(*from, join(user));
        }
        assert!(worker.answers.is_empty() && worker.desk.deferred.len() == 3);
        worker.hand_out();
        let mut taken = VecDeque::new();
        worker.desk.common.crew[OTHER].mailbox.take_all(&mut taken);
        let answers = taken.into_iter().flat_map(|mail| match mail {
            Mail::Said(said) => said.answers,
            _ => Vec::new(),
        });
        let joined = |(peer, answer)| (peer, matches!(answer, Answer::Joined(_)));
        let expected = peers.iter().map(|from| from.peer).zip([true, false, true]);
        assert_eq!(answers.map(joined).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        Ok(())
    }
}
