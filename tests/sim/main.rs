//! Simulations: sessions, output queues and the room under a virtual clock, with sinks that lie,
//! against a model that knows the protocol and not the code.
//!
//! What it does not do: open a socket, start a process, or wait. `LANDLINE_SEED=N` replays one.

mod answers;
mod check;
mod desk;
mod fed;
mod grammar;
mod intake;
mod job;
mod model;
mod peer;
mod pump;
mod random;
mod script;
mod settle;
mod sink;
mod want;
mod world;

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use check::{Received, compare, quote};
use model::Model;
use peer::{Fate, Peer};
use random::Random;
use script::{Ask, Leaves, Line, Scene};
use world::World;

/// Simulations of one run of the tests.
const SEEDS: u64 = 1024;

#[test]
fn every_client_receives_what_the_protocol_says() {
    let given = std::env::var("LANDLINE_SEED").ok();
    let given: Option<u64> = given.map(|seed| seed.parse().expect("LANDLINE_SEED is a number"));
    for seed in given.map_or(0..SEEDS, |seed| seed..seed + 1) {
        let simulated = catch_unwind(AssertUnwindSafe(|| simulate(seed)));
        let failed = simulated.unwrap_or_else(|_| Err("a panic, see above".to_owned()));
        if let Err(why) = failed {
            panic!("LANDLINE_SEED={seed}\n{why}");
        }
    }
}

fn simulate(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let scene = grammar::scene(&mut random);
    let mut world = World::new(&scene, random);
    let ran = world.run();
    let model = Model::follow(&scene, &world.desk.heard, world.settled.unwrap_or(0));
    let model = model.map_err(|why| format!("{why}\n{}", transcript(&scene, &world, None)))?;
    for peer in &world.peers {
        judge(peer, &model, &scene).map_err(|why| {
            format!("peer {}: {why}\n{}", peer.number, transcript(&scene, &world, Some(peer)))
        })?;
    }
    let kept = judge_stored(&scene, &model, &world);
    kept.map_err(|why| format!("{why}\n{}", transcript(&scene, &world, None)))?;
    ran.map_err(|why| format!("{why}\n{}", transcript(&scene, &world, None)))
}

/// Whether one client received what the model says.
fn judge(peer: &Peer<'_>, model: &Model<'_>, scene: &Scene) -> Result<(), String> {
    let ledger = &model.ledgers[peer.number];
    let is_cut = peer.fate == Some(Fate::Gone) || peer.slow.is_some() || !peer.is_closed;
    let stays =
        peer.script.leaves == Leaves::Last && !is_cut && ledger.is_whole(&peer.script.lines);
    let received = Received {
        bytes: without_farewell(peer),
        is_cut,
        due: if stays { ledger.due } else { 0 },
        is_slow: peer.slow.is_some(),
        is_bare: peer.script.is_bare,
    };
    let read = compare(&received, &ledger.wants, &ledger.events)?;
    let Some(slow) = &peer.slow else { return Ok(()) };
    let read = read.iter().filter(|(end, _)| *end <= slow.received_bytes);
    let unread = slow.delivered_bytes - read.map(|(_, bytes)| bytes).sum::<usize>();
    if unread <= scene.backlog_bytes_max {
        return Err(format!("dismissed as slow with {unread} bytes unread"));
    }
    Ok(())
}

/// Whether the files are there that were stored, whole, and no others.
fn judge_stored(scene: &Scene, model: &Model<'_>, world: &World<'_>) -> Result<(), String> {
    let lines = scene.scripts.iter().flat_map(|script| &script.lines);
    for (name, content) in &world.desk.stored {
        let may_be = |line: &Line| match &line.ask {
            Ask::Upload { name: other, spot } => {
                other == name && line.payload == *content && model.may_be_stored(*spot)
            }
            _ => false,
        };
        if !lines.clone().any(may_be) {
            return Err(format!(
                "{name:?} of {} bytes is stored, which nobody sent",
                content.len()
            ));
        }
    }
    Ok(())
}

/// What a client that was dismissed received before it was told so, be it in part. Framed, that is
/// an event.
fn without_farewell<'p>(peer: &'p Peer<'_>) -> &'p [u8] {
    const FAREWELL: &[u8] = b"error slow: ";
    let bytes = &peer.received[..];
    if peer.slow.is_none() {
        return bytes;
    }
    let whole = bytes.windows(FAREWELL.len()).rposition(|window| window == FAREWELL);
    let part = || (1..FAREWELL.len()).rev().find(|end| bytes.ends_with(&FAREWELL[..*end]));
    &bytes[..whole.unwrap_or_else(|| bytes.len() - part().unwrap_or(0))]
}

/// What was said, in short: of one client, or of all.
fn transcript(scene: &Scene, world: &World<'_>, only: Option<&Peer<'_>>) -> String {
    let mut text = String::new();
    for (number, script) in scene.scripts.iter().enumerate() {
        if only.is_some_and(|peer| peer.number != number) {
            continue;
        }
        let (speech, permit, bare) = (script.speech, script.permit, script.is_bare);
        writeln!(text, "peer {number}: {speech}, bare {bare}, {permit:?}").expect("a String");
        for line in &script.lines {
            writeln!(text, "    {}", quote(&line.wire())).expect("a String");
        }
        let received = &world.peers[number].received;
        let last = &received[received.len().saturating_sub(120)..];
        writeln!(text, "    received {} bytes, at last {}", received.len(), quote(last))
            .expect("a String");
    }
    writeln!(text, "the room heard (peer, ms): {:?}", heard(world)).expect("a String");
    text
}

fn heard(world: &World<'_>) -> Vec<(usize, u64)> {
    world.desk.heard.iter().map(|heard| (heard.peer, heard.at_ms)).collect()
}
