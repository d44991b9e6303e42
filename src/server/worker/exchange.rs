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
