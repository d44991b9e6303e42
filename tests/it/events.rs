//! Messages and notes as frames: who hears of what, and where it may stand.
//!
//! What it does not do: notes about the server's end (`lifecycle`) or limits (`limits`).

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::framed::{Frame, FramedPeer};
use crate::support::{STAMP, Scratch, Server};

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_millis()
}

/// The next event is a message like this.
#[track_caller]
fn expect_message(peer: &mut FramedPeer, from: &str, cast: &str, text: &str) -> Frame {
    let message = peer.expect_event();
    assert_eq!(message.kind, "msg", "{message:?}");
    assert_eq!((message.key("from").as_str(), message.key("cast").as_str()), (from, cast));
    assert_eq!(message.text(), text);
    message
}

/// The next event is a note of this kind about this user.
#[track_caller]
fn expect_note(peer: &mut FramedPeer, kind: &str, user: &str) {
    let note = peer.expect_event();
    assert_eq!(note.kind, "note", "{note:?}");
    assert_eq!((note.key("kind").as_str(), note.key("user").as_str()), (kind, user));
}

/// A framed peer with a name, and what the others hear of it.
#[track_caller]
fn join(server: &Server, user: &str, others: &mut [&mut FramedPeer]) -> FramedPeer {
    let mut peer = server.framed();
    peer.take_name(user);
    for other in others {
        expect_note(other, "join", user);
    }
    peer
}

#[test]
fn a_message_has_a_sender_a_cast_and_a_time() {
    let server = Server::line(&[]);
    let mut alice = join(&server, "alice", &mut []);
    let mut bob = join(&server, "bob", &mut [&mut alice]);
    let before = now_ms();
    alice.say("send bob : one\nsend bob alice : two\nsend all three\nfour | bob\n");
    let casts = [("single", "one"), ("multi", "two"), ("broad", "three"), ("single", "four")];
    for (cast, text) in casts {
        let message = expect_message(&mut bob, "alice", cast, text);
        let at = message.key("at").parse().expect("milliseconds");
        assert!((before - 1..=now_ms()).contains(&at), "{at} is not now, {before}");
    }
    for delivered in ["1", "2", "1", "1"] {
        assert_eq!(alice.expect_done().key("delivered"), delivered);
    }
    expect_message(&mut alice, "alice", "multi", "two");
    alice.expect_in_step();
    bob.expect_in_step();
}

#[test]
fn unknown_users_fail_after_delivery_to_the_others() {
    let server = Server::line(&[]);
    let mut alice = join(&server, "alice", &mut []);
    let mut bob = join(&server, "bob", &mut [&mut alice]);
    alice.say("send zed bob yan : hi\nsend all : nobody else\n");
    let text = alice.expect_fail("no-such-user");
    assert!(text.contains("zed") && text.contains("yan") && !text.contains("bob"), "{text:?}");
    assert_eq!(alice.expect_done().key("delivered"), "1");
    expect_message(&mut bob, "alice", "multi", "hi");
}

#[test]
fn a_message_may_stand_inside_a_reply() {
    let scratch = Scratch::new();
    let server = Server::line(&["--run", "shell"]);
    let mut bob = join(&server, "bob", &mut []);
    let mut alice = server.named("alice");
    expect_note(&mut bob, "join", "alice");
    let go = scratch.text("go");
    bob.say(format!("run echo on; while ! test -e {go}; do sleep 0.05; done; echo off\n"));
    assert_eq!(bob.expect_own().text(), "on\n");
    alice.say("send bob : now\n");
    // The command still runs: only an event in its midst can be read here.
    expect_message(&mut bob, "alice", "single", "now");
    scratch.write("go", "");
    let reply = bob.expect_reply();
    assert_eq!((reply.joined("out"), reply.last.key("exit")), (b"off\n".to_vec(), "0".into()));
    bob.expect_in_step();
}

#[test]
fn those_named_and_framed_hear_who_comes_and_goes() {
    let server = Server::line(&[]);
    let mut unnamed = server.framed();
    let mut plain = server.named("plain");
    let mut alice = join(&server, "alice", &mut []);
    let mut bob = join(&server, "bob", &mut [&mut alice]);
    let mut other = server.named("other");
    for peer in [&mut alice, &mut bob] {
        expect_note(peer, "join", "other");
    }
    other.say("name another\n");
    other.expect_matching(&format!("connected to station as another at {STAMP}\n"));
    for peer in [&mut alice, &mut bob] {
        expect_note(peer, "leave", "other");
        expect_note(peer, "join", "another");
    }
    bob.take_name("bobby");
    expect_note(&mut alice, "leave", "bob");
    expect_note(&mut alice, "join", "bobby");
    other.reset();
    for peer in [&mut alice, &mut bob] {
        expect_note(peer, "leave", "another");
    }
    bob.say("quit\n");
    bob.expect_done();
    expect_note(&mut alice, "leave", "bobby");
    alice.expect_in_step();
    unnamed.expect_in_step();
    plain.expect_in_step();
}

#[test]
fn control_characters_are_replaced_in_frames_too() {
    let server = Server::line(&[]);
    let mut bob = join(&server, "bob", &mut []);
    let mut alice = server.named("alice");
    expect_note(&mut bob, "join", "alice");
    alice.say(b"send bob : \x1b]0;x\x07\xff\xc2\x85\tend\n");
    expect_message(&mut bob, "alice", "single", "\u{fffd}]0;x\u{fffd}\u{fffd}\u{fffd}\tend");
}

#[test]
fn many_messages_keep_their_order_between_replies() {
    let server = Server::line(&["--workers", "2"]);
    let mut alice = join(&server, "alice", &mut []);
    let mut bob = join(&server, "bob", &mut [&mut alice]);
    let requests: Vec<_> = (0..300).map(|number| format!("send bob : {number}\n")).collect();
    alice.say(requests.concat());
    bob.say("ping\n".repeat(300));
    for _ in 0..300 {
        assert_eq!(bob.expect_done().text(), "pong");
        assert_eq!(alice.expect_done().key("delivered"), "1");
    }
    for number in 0..300 {
        expect_message(&mut bob, "alice", "single", &number.to_string());
    }
    bob.expect_in_step();
}
