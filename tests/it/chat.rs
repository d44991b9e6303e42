//! Names and messages on the `line` service: who is there, and who receives what.
//!
//! What it does not do: other services (`services`), or messages as frames (`events`).

use nix::sys::signal::Signal;

use crate::support::server::{NAME, has_ipv6};
use crate::support::{Peer, STAMP, Scratch, Server, process, wait_until};

/// A way to end one's connection.
type Leave = fn(Peer);

/// The next thing this peer receives is such a message.
#[track_caller]
fn expect_message(peer: &mut Peer, from: &str, cast: &str, text: &str) {
    peer.expect_matching(&format!("{STAMP} {from} ({cast}) : "));
    peer.expect(format!("{text}\n"));
}

#[test]
fn a_name_is_greeted_and_listed_in_order_of_joining() {
    let server = Server::line(&[]);
    let mut nobody = server.peer("line");
    nobody.say("get_list\n");
    nobody.expect("users:\n");
    let mut carol = server.named("carol");
    let _alice = server.named("alice");
    let _bob = server.named("bob");
    for peer in [&mut carol, &mut nobody] {
        peer.say("get_list\n");
        peer.expect("users: carol alice bob\n");
    }
}

#[test]
fn a_second_name_renames_and_frees_the_first() {
    let server = Server::line(&[]);
    let mut alice = server.named("alice");
    alice.take_name("alice", NAME);
    alice.take_name("alicia", NAME);
    alice.say("get_list\n");
    alice.expect("users: alicia\n");
    let mut other = server.named("alice");
    alice.say("name alice\nsend alice : hello\n");
    alice.expect_error("name-taken");
    expect_message(&mut other, "alicia", "singlecasted", "hello");
    alice.expect_in_step();
}

#[test]
fn a_name_that_is_taken_or_not_well_formed_is_refused() {
    let server = Server::line(&[]);
    let _alice = server.named("alice");
    let mut peer = server.peer("line");
    peer.say("name alice\n");
    peer.expect_error("name-taken");
    let long = "x".repeat(33);
    for bad in ["all", "server", "-x", ".x", "é", "a|b", "a:b", "a/b", "a\x1b[m", "a\u{9b}", &long]
    {
        peer.say(format!("name {bad}\n"));
        peer.expect_error("bad-name");
    }
    for bad in ["name", "name ", "name two words"] {
        peer.say(format!("{bad}\n"));
        assert!(peer.expect_line().starts_with("error bad-"), "{bad}");
    }
    peer.say("get_list\n");
    peer.expect("users: alice\n");
    let longest = "x".repeat(32);
    for good in ["ALICE", "All", "Server", "_", "0", "a.b-c_d", "x-", longest.as_str()] {
        peer.take_name(good, NAME);
    }
}

#[test]
fn the_ways_to_write_to_one_user_are_the_same() {
    let server = Server::line(&[]);
    let (mut alice, mut bob) = (server.named("alice"), server.named("bob"));
    let requests = [
        ("send bob : hi", "hi"),
        ("send bob: hi", "hi"),
        ("send bob :hi", "hi"),
        ("send bob:hi", "hi"),
        ("send   bob   :   hi  there   ", "hi  there"),
        ("send bob : a : b | c", "a : b | c"),
        ("send bob : send all : x", "send all : x"),
        ("send bob bob : once", "once"),
        ("send\tbob\t:\ttabs\tinside\t", "tabs\tinside"),
        ("hi | bob", "hi"),
        ("hi|bob", "hi"),
        ("  hi  there |  bob ", "hi  there"),
        ("a | b | bob", "a | b"),
        ("send bob : grüße ✓\t!", "grüße ✓\t!"),
    ];
    for (request, text) in requests {
        alice.say(format!("{request}\r\n"));
        expect_message(&mut bob, "alice", "singlecasted", text);
    }
    alice.expect_in_step();
    bob.expect_in_step();
}

#[test]
fn several_users_each_receive_a_message_once() {
    let server = Server::line(&[]);
    let mut alice = server.named("alice");
    let (mut bob, mut carol, mut dave) =
        (server.named("bob"), server.named("carol"), server.named("dave"));
    alice.say("send bob carol : both\nsend carol bob alice carol: thrice\n");
    for peer in [&mut bob, &mut carol] {
        expect_message(peer, "alice", "multicasted", "both");
        expect_message(peer, "alice", "multicasted", "thrice");
        peer.expect_in_step();
    }
    expect_message(&mut alice, "alice", "multicasted", "thrice");
    alice.expect_in_step();
    dave.expect_in_step();
}

#[test]
fn a_broadcast_reaches_every_named_peer_but_its_sender() {
    let server = Server::line(&[]);
    let mut alice = server.named("alice");
    let mut unnamed = server.peer("line");
    let mut others: Vec<_> =
        (0..100).map(|number| server.named(&format!("user{number}"))).collect();
    alice.say("send all hello\nsend all : hello again\nsend all a : b\nsend all bob : x\n");
    for peer in &mut others {
        for text in ["hello", "hello again", "a : b", "bob : x"] {
            expect_message(peer, "alice", "broadcasted", text);
        }
        peer.expect_in_step();
    }
    alice.expect_in_step();
    unnamed.expect_in_step();
}

#[test]
fn unknown_users_are_reported_and_the_others_still_receive() {
    let server = Server::line(&[]);
    let (mut alice, mut bob) = (server.named("alice"), server.named("bob"));
    alice.say("send zed bob Bob : hi\nsend nobody : hi\nhi | nobody\nsend alice : self\n");
    alice.expect("error no-such-user: zed Bob\n");
    alice.expect("error no-such-user: nobody\n");
    alice.expect("error no-such-user: nobody\n");
    expect_message(&mut alice, "alice", "singlecasted", "self");
    expect_message(&mut bob, "alice", "multicasted", "hi");
    bob.expect_in_step();
}

#[test]
fn malformed_messages_are_bad_requests_and_reach_nobody() {
    let server = Server::line(&[]);
    let (mut alice, mut bob) = (server.named("alice"), server.named("bob"));
    let requests =
        ["send", "send ", "send bob", "send bob hi", "send : hi", "send all", "send bob :"];
    for request in requests {
        alice.say(format!("{request}\n"));
        alice.expect_error("bad-request");
    }
    alice.expect_in_step();
    bob.expect_in_step();
}

#[test]
fn a_bar_makes_a_message_only_before_a_name() {
    let server = Server::line(&["--run", "shell"]);
    let mut alice = server.named("alice");
    for echoed in ["hi |\n", "hi | two words\n", "hi | all\n", "hi | -x\n", "|\r\n", "a | b c\r\n"]
    {
        alice.say(echoed);
        alice.expect(echoed);
    }
    alice.say("run echo through | cat\n");
    alice.expect("through\n");
    alice.expect_in_step();
}

#[test]
fn without_a_name_nothing_can_be_sent() {
    let server = Server::line(&[]);
    let mut bob = server.named("bob");
    let mut peer = server.peer("line");
    peer.say("send bob : hi\nsend all hi\nhi | bob\n");
    peer.expect_error("no-name");
    peer.expect_error("no-name");
    peer.expect("hi | bob\n");
    bob.expect_in_step();
}

#[test]
fn no_message_can_drive_a_terminal() {
    let server = Server::line(&[]);
    let (mut alice, mut bob) = (server.named("alice"), server.named("bob"));
    alice.say(b"send bob : \x1b[2J\x07\x7f\xc2\x9b31m\xc2\x80\xff.\xfe\0\x08a\rb\tc\n");
    let text = "\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}31m\u{fffd}\u{fffd}.\u{fffd}\u{fffd}\u{fffd}a\
                \u{fffd}b\tc";
    expect_message(&mut bob, "alice", "singlecasted", text);
    bob.expect_in_step();
}

#[test]
fn messages_of_one_sender_keep_their_order() {
    let server = Server::line(&["--workers", "2"]);
    let mut alice = server.named("alice");
    let mut others = [server.named("bob"), server.named("carol"), server.named("dave")];
    let mut requests = String::new();
    for number in 0..400 {
        let to = ["all", "bob carol dave :"][number % 2];
        requests = requests + "send " + to + " " + &number.to_string() + "\n";
    }
    alice.say(&requests);
    for peer in &mut others {
        for number in 0..400 {
            let cast = ["broadcasted", "multicasted"][number % 2];
            expect_message(peer, "alice", cast, &number.to_string());
        }
        peer.expect_in_step();
    }
    alice.expect_in_step();
}

#[test]
fn a_message_waits_for_the_reply_in_progress() {
    let scratch = Scratch::new();
    let server = Server::line(&["--run", "shell"]);
    let (mut alice, mut bob) = (server.named("alice"), server.named("bob"));
    let go = scratch.text("go");
    bob.say(format!("run echo on; while ! test -e {go}; do sleep 0.05; done; echo off; exit 3\n"));
    bob.expect("on\n");
    alice.say("send bob : early\nsend alice : sent\n");
    expect_message(&mut alice, "alice", "singlecasted", "sent");
    scratch.write("go", "");
    bob.expect("off\nerror exit: status 3\n");
    expect_message(&mut bob, "alice", "singlecasted", "early");
    bob.expect_in_step();
}

#[test]
fn a_message_is_never_put_inside_a_download() {
    let scratch = Scratch::new();
    scratch.write("f", "f".repeat(16 << 20));
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut bob = Peer::narrow(server.v4("line"));
    bob.take_name("bob", NAME);
    let mut alice = server.named("alice");
    bob.say("download f\n");
    bob.expect("ffff");
    alice.say("send bob : early\nsend alice : sent\n");
    expect_message(&mut alice, "alice", "singlecasted", "sent");
    bob.widen();
    bob.expect_stream((16 << 20) - 4, |at, piece| {
        assert!(piece.iter().all(|byte| *byte == b'f'), "something else at {at}");
    });
    expect_message(&mut bob, "alice", "singlecasted", "early");
}

#[test]
fn a_recipient_who_does_not_read_is_disconnected_and_nobody_waits() {
    let server = Server::line(&["--max-backlog", "100000"]);
    let mut bob = Peer::narrow(server.v4("line"));
    bob.take_name("bob", NAME);
    let (mut alice, mut carol) = (server.named("alice"), server.named("carol"));
    let text = "m".repeat(1000);
    let batch = format!("send all {text}\n").repeat(50);
    // The sockets between hold some; the backlog counts only what they do not take.
    let mut batches = 0;
    loop {
        batches += 1;
        assert!(batches < 400, "20 MB unread, and still connected");
        alice.say(&batch);
        for _ in 0..50 {
            expect_message(&mut carol, "alice", "broadcasted", &text);
        }
        alice.say("get_list\n");
        if alice.expect_line() == "users: alice carol" {
            break;
        }
    }
    server.expect_log("slow");
    bob.expect_gone();
    let mut bob = server.named("bob");
    alice.say("send all after\n");
    expect_message(&mut carol, "alice", "broadcasted", "after");
    expect_message(&mut bob, "alice", "broadcasted", "after");
}

#[test]
fn whoever_leaves_frees_the_name() {
    let server = Server::line(&[]);
    let mut watcher = server.named("watcher");
    let ways: [(&str, Leave); 4] = [
        ("quit", |mut peer| {
            peer.say("quit\n");
            peer.expect_end();
        }),
        ("half-close", |mut peer| {
            peer.half_close();
            peer.expect_end();
        }),
        ("reset", Peer::reset),
        ("close", drop),
    ];
    for (way, leave) in ways {
        leave(server.named("bob"));
        wait_until(&format!("bob left by {way}"), || {
            watcher.say("get_list\n");
            watcher.expect_line() == "users: watcher"
        });
        let mut next = server.named("bob");
        watcher.say("send bob : hello\n");
        expect_message(&mut next, "watcher", "singlecasted", "hello");
        next.say("quit\n");
        next.expect_end();
    }
}

#[test]
fn a_name_is_free_before_its_owner_sees_the_end() {
    let server = Server::line(&[]);
    let mut alice = server.named("alice");
    let mut gone = Vec::new();
    for round in 0..20 {
        let mut bob = server.named("bob");
        alice.say(format!("send bob : {round}\nget_list\n"));
        alice.expect("users: alice bob\n");
        bob.say("quit\n");
        expect_message(&mut bob, "alice", "singlecasted", &round.to_string());
        bob.expect_end();
        // It keeps its own side open.
        gone.push(bob);
    }
}

#[test]
fn who_says_goodbye_receives_until_all_replies_are_taken() {
    let scratch = Scratch::new();
    let path = scratch.join("socket");
    let listen = format!("line@unix:{}", path.display());
    let server = Server::line(&["-l", &listen, "--workers", "1"]);
    let mut bob = Peer::unix(&path);
    bob.take_name("bob", NAME);
    let mut alice = server.named("alice");
    // More than the socket takes.
    let line = "x".repeat(60_000) + "\n";
    server.hear(&mut bob, (line.repeat(5) + "quit\n").as_bytes());
    alice.say("send bob : still there?\n");
    alice.expect_in_step();
    bob.expect(line.repeat(5));
    expect_message(&mut bob, "alice", "singlecasted", "still there?");
    bob.expect_end();
    alice.say("send bob : gone?\n");
    alice.expect_error("no-such-user");
}

#[test]
fn users_of_every_family_reach_each_other() {
    let scratch = Scratch::new();
    let path = scratch.join("socket");
    let unix = format!("line@unix:{}", path.display());
    let server = Server::line(&["-l", &unix]);
    let mut peers = vec![("four", server.peer("line")), ("unix", Peer::unix(&path))];
    if has_ipv6() {
        peers.push(("six", Peer::tcp(server.v6("line"))));
    }
    for (name, peer) in &mut peers {
        peer.take_name(name, NAME);
    }
    for sender in 0..peers.len() {
        let from = peers[sender].0;
        peers[sender].1.say("send all hello\n");
        for (receiver, (_, peer)) in peers.iter_mut().enumerate() {
            if receiver != sender {
                expect_message(peer, from, "broadcasted", "hello");
            }
        }
    }
}

#[test]
fn one_peer_s_many_messages_leave_room_for_those_of_others() {
    let server = Server::line(&["--workers", "1"]);
    let [mut alice, mut bob, mut carol] = ["alice", "bob", "carol"].map(|user| server.named(user));
    // Both have said all of it before the server looks.
    server.signal(Signal::SIGSTOP);
    wait_until("it is stopped", || process::state(server.pid()) == Some('T'));
    alice.say("a|carol\n".repeat(4000));
    bob.say("b|carol\n");
    server.signal(Signal::SIGCONT);
    let mut before = 0;
    while carol.expect_line().ends_with(": a") {
        before += 1;
    }
    assert!(before < 2000, "{before} messages of one peer came before the first of another");
}
