//! What the server allocates while it works: nothing, in a steady exchange of lines and in a
//! steady broadcast alike.
//!
//! What it does not do: measure time, or what peers cost that come and go. The server runs in this
//! process, which counts every allocation of it; this side allocates nothing while it counts.

mod server;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

use server::{Peer, Server};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Lines of an exchange.
const LINES: usize = 10_000;
/// Messages of a broadcast.
const MESSAGES: usize = 1_000;
/// Allocations in a whole measurement that are not the server's: the test harness has threads too.
const STRAY: usize = 50;

/// How often `act` made anyone allocate, growing what is there included.
fn allocations(act: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    act();
    let change = region.change();
    change.allocations + change.reallocations
}

/// Says `line` so many times at once and reads the replies, over and over.
fn exchange(peer: &mut Peer, line: &[u8], reply: &[u8], depth: usize) -> usize {
    let (lines, replies) = (line.repeat(depth), reply.repeat(depth));
    let mut room = vec![0; replies.len()];
    let mut turns = |count: usize| {
        for _ in 0..count {
            peer.say(&lines);
            peer.expect(&replies, &mut room);
        }
    };
    turns(100);
    allocations(|| turns(LINES / depth))
}

#[test]
fn a_steady_exchange_of_lines_allocates_nothing() {
    let server = Server::start();
    let line = [b"0123456789abcdef".repeat(4).as_slice(), b"\n"].concat();
    let frame = [b"done 64\n".as_slice(), line.trim_ascii_end()].concat();
    for depth in [1, 16] {
        let mut peer = server.connect();
        let count = exchange(&mut peer, &line, &line, depth);
        assert!(count <= STRAY, "{count} allocations, {LINES} plain lines, {depth} in flight");
        let mut peer = server.framed();
        let count = exchange(&mut peer, &line, &frame, depth);
        assert!(count <= STRAY, "{count} allocations, {LINES} framed lines, {depth} in flight");
    }
}

/// Allocations of `MESSAGES` messages to `receivers`, `window` of them said at once.
fn broadcast(server: &Server, receivers: usize, window: usize) -> usize {
    let text = "a text of some length, as people write them";
    let sender = format!("sender{receivers}-{window}");
    let name = |number: usize| format!("receiver{receivers}-{window}-{number}");
    let mut receivers: Vec<_> = (0..receivers).map(|n| server.named(&name(n))).collect();
    let said = format!("send all : {text}\n").repeat(window);
    let form = format!("####-##-## ##:##:## {sender} (broadcasted) : {text}\n").repeat(window);
    let mut sender = server.named(&sender);
    let mut room = vec![0; form.len()];
    let mut turns = |count: usize| {
        for _ in 0..count {
            sender.say(said.as_bytes());
            for receiver in &mut receivers {
                receiver.expect_form(form.as_bytes(), &mut room);
            }
        }
    };
    turns(10);
    allocations(|| turns(MESSAGES / window))
}

#[test]
fn a_steady_broadcast_allocates_nothing() {
    let server = Server::start();
    for window in [1, 8] {
        for receivers in [2, 50] {
            let count = broadcast(&server, receivers, window);
            assert!(
                count <= STRAY,
                "{count} allocations, {MESSAGES} messages to {receivers}, {window} at once"
            );
        }
    }
}

#[test]
fn what_is_allocated_is_counted() {
    let count = allocations(|| drop(std::hint::black_box(vec![0; 100])));
    assert!((1..=STRAY).contains(&count), "{count}");
}
