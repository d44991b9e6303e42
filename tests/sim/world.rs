//! `World`: all peers of a scene, and what happens to them, in random order, until nothing more
//! does.
//!
//! What it does not do: judge (`main`).

use std::collections::VecDeque;

use landline::protocol::line::Framing;

use crate::desk::Desk;
use crate::peer::{Peer, Task};
use crate::random::Random;
use crate::script::{Leaves, Scene};
use crate::want::tick_ms;

/// Steps after which a simulation has got stuck.
const STEPS_MAX: usize = 3_000_000;
/// How long bytes without a newline are waited on, in milliseconds (section 2).
const DECIDE_MS: u64 = 100;

/// What one client has still to send.
struct Feed {
    bytes: Vec<u8>,
    at: usize,
    /// Where the client pauses: at each message where it is bare; until a command runs.
    pauses: VecDeque<(usize, Option<usize>)>,
    /// When the first bytes came.
    since_ms: u64,
}

/// A simulation.
pub(crate) struct World<'a> {
    pub(crate) desk: Desk<'a>,
    pub(crate) peers: Vec<Peer<'a>>,
    feeds: Vec<Feed>,
    /// Once nothing happens any more, and those who stayed end their input: how many calls the room
    /// had heard by then.
    pub(crate) settled: Option<usize>,
}

impl<'a> World<'a> {
    pub(crate) fn new(scene: &'a Scene, random: Random) -> Self {
        let peers = scene.scripts.iter().enumerate();
        let peers = peers.map(|(number, script)| Peer::new(number, script)).collect();
        let feeds = scene.scripts.iter().map(|script| {
            let (mut bytes, mut pauses) = (Vec::new(), VecDeque::new());
            for line in &script.lines {
                if script.is_bare || line.once_running.is_some() {
                    pauses.push_back((bytes.len(), line.once_running));
                }
                bytes.extend(line.wire());
            }
            Feed { bytes, at: 0, pauses, since_ms: 0 }
        });
        let feeds = feeds.collect();
        Self { desk: Desk::new(scene, random), peers, feeds, settled: None }
    }

    /// Lets things happen until nothing more can.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            self.desk.now_ms += tick_ms(&mut self.desk.random);
            let open = self.peers.iter().filter(|peer| !peer.is_closed);
            let open: Vec<usize> = open.map(|peer| peer.number).collect();
            if open.is_empty() && self.desk.is_quiet() {
                return Ok(());
            }
            self.serve_room();
            if !open.is_empty() {
                let number = open[self.desk.random.below(open.len())];
                self.step(number);
            }
            if self.settled.is_none() && self.desk.random.one_in(8) && self.is_quiet() {
                self.settled = Some(self.desk.heard.len());
            }
        }
        let open: Vec<String> = self.peers.iter().filter(|p| !p.is_closed).map(told).collect();
        Err(format!("stuck: for ever waits {}", open.join("; ")))
    }

    fn serve_room(&mut self) {
        match self.desk.random.below(4) {
            0 => self.desk.serve(),
            1 => self.desk.hand_out(),
            _ => {}
        }
    }

    fn step(&mut self, number: usize) {
        let Self { desk, peers, .. } = self;
        let peer = &mut peers[number];
        match desk.random.below(8) {
            0 | 1 => self.feed(number),
            2 => {
                if let Some(mail) = desk.mail[number].pop_front() {
                    peer.on_mail(desk, mail);
                }
            }
            3 => peer.on_coming(desk),
            4 => {
                if let Some(Task::Running(running)) = &mut peer.task {
                    let ends = desk.scene.jobs[running.job].ends;
                    running.go_on(ends, &mut desk.random);
                }
            }
            5 => {
                if let Some(Task::Running(running)) = &mut peer.task {
                    running.on_pipe(&mut peer.output, &mut desk.random);
                }
            }
            6 if peer.can_pump() => peer.take_in(desk, &[]),
            _ => self.on_time(number),
        }
        let Self { desk, peers, .. } = self;
        let peer = &mut peers[number];
        peer.is_broken |= peer.script.leaves == Leaves::InTheMiddle && desk.random.one_in(200);
        peer.is_sink_full &= !desk.random.one_in(peer.script.stinginess + 1);
        if desk.random.one_in(2) {
            peer.flush(desk);
        }
        peer.settle(desk);
    }

    /// The client sends some more, or ends its input.
    fn feed(&mut self, number: usize) {
        let Self { desk, peers, feeds, settled } = self;
        let (peer, feed) = (&mut peers[number], &mut feeds[number]);
        loop {
            if !peer.wants_input() || feed.is_paused(peer) {
                return;
            }
            if feed.at == feed.bytes.len() {
                if peer.script.leaves == Leaves::Last && settled.is_none() {
                    return;
                }
                peer.is_at_end = true;
                return peer.take_in(desk, &[]);
            }
            let is_first = peer.framer.framing() == Framing::Undecided;
            let chunk = feed.next(peer.script.is_bare, desk);
            if is_first && peer.inbox.is_empty() {
                feed.since_ms = desk.now_ms;
            }
            peer.take_in(desk, &chunk);
            let is_late = peer.framer.framing() == Framing::Undecided && !peer.script.is_bare;
            if !is_late {
                return;
            }
            // A line client's first line comes in time.
        }
    }

    fn on_time(&mut self, number: usize) {
        let Self { desk, peers, feeds, .. } = self;
        let peer = &mut peers[number];
        if peer.is_undecided() && desk.now_ms >= feeds[number].since_ms + DECIDE_MS {
            peer.framer.decide_bare();
            peer.take_in(desk, &[]);
        }
    }

    /// Whether nothing is under way: all was said, heard, handed out and received.
    fn is_quiet(&self) -> bool {
        let is_done = |peer: &Peer<'_>| {
            let feed = &self.feeds[peer.number];
            let is_said = feed.at == feed.bytes.len() && !peer.can_pump() && !peer.is_undecided();
            let is_still = peer.task.is_none() && peer.output.is_empty() && !peer.session.is_busy();
            let is_told = self.desk.mail[peer.number].is_empty();
            peer.is_closed || (peer.script.leaves == Leaves::Last && is_said && is_still && is_told)
        };
        self.desk.is_quiet() && self.peers.iter().all(is_done)
    }
}

/// The state of a peer, in short.
fn told(peer: &Peer<'_>) -> String {
    let Peer { number, is_at_end, is_stalled, is_choked, is_sink_full, .. } = peer;
    let task = match &peer.task {
        Some(Task::Awaited { coming: None, .. }) => "an answer",
        Some(Task::Awaited { .. }) => "word",
        Some(Task::Download { .. }) => "a download",
        Some(Task::Running(_)) => "a command",
        Some(Task::Upload(_)) => "an upload",
        None => "nothing",
    };
    format!(
        "peer {number} on {task} (queued {}, kept {}, at end {is_at_end}, stalled {is_stalled}, \
         choked {is_choked}, full {is_sink_full})",
        peer.output.memory_bytes(),
        peer.inbox.len()
    )
}

impl Feed {
    /// Whether the client waits for something before it goes on.
    fn is_paused(&mut self, peer: &Peer<'_>) -> bool {
        let Some((at, job)) = self.pauses.front().copied() else { return false };
        if self.at < at {
            return false;
        }
        let is_met = match (job, &peer.task) {
            (Some(job), Some(Task::Running(running))) => running.job == job,
            (Some(_), _) => false,
            (None, _) => !peer.session.is_busy() && peer.inbox.is_empty(),
        };
        if is_met {
            self.pauses.pop_front();
        }
        !is_met
    }

    /// What is read next: of a line client anything, of a bare one a message.
    fn next(&mut self, is_bare: bool, desk: &mut Desk<'_>) -> Vec<u8> {
        let end = self.pauses.front().map_or(self.bytes.len(), |(at, _)| *at);
        let most = (end - self.at).min(desk.scene.read_bytes_max);
        let count = match desk.random.below(4) {
            _ if is_bare => end - self.at,
            0 => 1,
            1 => desk.random.between(1, most.min(16)),
            2 => desk.random.between(1, most),
            _ => most,
        };
        self.at += count;
        self.bytes[self.at - count..self.at].to_vec()
    }
}
