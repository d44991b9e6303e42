//! `Desk`: what a peer's worker has at hand in a simulation: the clock, the room and the mail.
//!
//! What it does not do: know peers. Peers of the room's home ask it at once, others by mail.

use std::collections::VecDeque;

use landline::protocol::effect::{Answer, Call};
use landline::protocol::session::Terms;
use landline::protocol::text::{Civil, Stamp};
use landline::service::room::Room;
use landline::transfer::segment::Shared;

use crate::intake::Stored;
use crate::model::Heard;
use crate::random::Random;
use crate::script::{SERVER, Scene};
use crate::want::unix_ms;

/// Word to a peer.
pub(crate) enum Mail {
    Answer(Answer),
    Message(Shared),
}

/// A worker's tools.
pub(crate) struct Desk<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) random: Random,
    pub(crate) now_ms: u64,
    pub(crate) heard: Vec<Heard>,
    /// Mail to each peer, in order.
    pub(crate) mail: Vec<VecDeque<Mail>>,
    pub(crate) stored: Stored,
    room: Room<usize>,
    to_room: VecDeque<(usize, Call<'static>)>,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(scene: &'a Scene, random: Random) -> Self {
        Self {
            scene,
            random,
            now_ms: 0,
            heard: Vec::new(),
            mail: scene.scripts.iter().map(|_| VecDeque::new()).collect(),
            stored: Stored::new(),
            room: Room::default(),
            to_room: VecDeque::new(),
        }
    }

    pub(crate) fn terms(&self) -> Terms<'static> {
        Terms {
            server: SERVER,
            has_files: true,
            uploads: self.scene.uploads,
            line_bytes_max: self.scene.line_bytes_max,
        }
    }

    pub(crate) fn stamp(&self) -> Stamp {
        let second = self.now_ms / 1000;
        let part = |value: u64| u8::try_from(value).expect("a simulation is short");
        let (minute, second) = (part(8 + second / 60), part(second % 60));
        let local = Civil { year: 2020, month: 12, day: 17, hour: 20, minute, second };
        Stamp { unix_ms: unix_ms(self.now_ms), local: local.into() }
    }

    /// Asks the room. `None` where the answer comes by mail, or there is none to come.
    pub(crate) fn call(&mut self, peer: usize, call: Call<'_>) -> Option<Answer> {
        if self.scene.scripts[peer].is_home {
            return self.hear(peer, &call);
        }
        self.to_room.push_back((peer, call.into_owned()));
        None
    }

    /// The room takes one piece of its mail.
    pub(crate) fn serve(&mut self) {
        let Some((peer, call)) = self.to_room.pop_front() else { return };
        if let Some(answer) = self.hear(peer, &call) {
            self.mail[peer].push_back(Mail::Answer(answer));
        }
    }

    /// Hands out what was said since the last time.
    pub(crate) fn hand_out(&mut self) {
        let mail = &mut self.mail;
        self.room.hand_out(|to, messages| mail[to].push_back(Mail::Message(messages)));
    }

    /// Whether the room has heard all and said all.
    pub(crate) fn is_quiet(&self) -> bool {
        self.to_room.is_empty() && self.room.is_quiet()
    }

    fn hear(&mut self, peer: usize, call: &Call<'_>) -> Option<Answer> {
        let is_leave = matches!(call, Call::Leave);
        self.heard.push(Heard { peer, at_ms: self.now_ms, is_leave });
        if matches!(call, Call::Reform(_)) {
            // What was said in the old form is to arrive before the new one is agreed on.
            self.hand_out();
        }
        let answer = self.room.on_call(peer, call, &self.stamp());
        if self.room.is_full() {
            self.hand_out();
        }
        answer
    }
}
