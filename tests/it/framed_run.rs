//! Commands as frames: output and error apart, the status as a key, and taking a request back.
//!
//! What it does not do: standard input (`run@in`) or terminals.

use crate::support::{FramedPeer, Peer, Scratch, Server, process, wait_until};

#[test]
fn output_and_error_come_apart_and_the_status_is_a_key() {
    let server = Server::line(&["--run", "shell"]);
    let mut peer = server.framed();
    let reply = peer.ask("run echo out; echo err >&2; printf more");
    assert_eq!(reply.joined("out"), b"out\nmore");
    assert_eq!(reply.joined("err"), b"err\n");
    assert_eq!((reply.last.kind.as_str(), reply.last.key("exit").as_str()), ("done", "0"));
    let reply = peer.ask("run exit 3");
    assert!(reply.parts.is_empty(), "{reply:?}");
    assert_eq!((reply.last.kind.as_str(), reply.last.key("exit").as_str()), ("done", "3"));
    let reply = peer.ask("run kill -KILL $$");
    assert_eq!((reply.last.kind.as_str(), reply.last.key("signal").as_str()), ("done", "KILL"));
    assert!(!reply.last.keys.contains_key("exit"), "{reply:?}");
    peer.expect_in_step();
}

#[test]
fn much_output_of_both_kinds_arrives_whole() {
    let server = Server::line(&["--run", "shell"]);
    let mut peer = server.framed();
    let reply = peer.ask(
        "run head -c 5000000 /dev/zero | tr '\\0' o & head -c 3000000 /dev/zero | tr '\\0' e >&2; \
         wait; exit 9",
    );
    for (kind, byte, size) in [("out", b'o', 5_000_000), ("err", b'e', 3_000_000)] {
        let bytes = reply.joined(kind);
        assert_eq!(bytes.len(), size, "{kind}");
        assert!(bytes.iter().all(|found| *found == byte), "{kind} has bytes of the other");
    }
    assert!(reply.parts.iter().all(|part| part.payload.len() <= 1 << 20), "a part over 1 MiB");
    assert_eq!(reply.last.key("exit"), "9");
}

#[test]
fn output_that_looks_like_frames_is_payload() {
    let server = Server::line(&["--run", "shell"]);
    let mut peer = server.framed();
    let reply = peer.ask("run printf 'done 0\\nfail 3 code=exit\\nabc'");
    assert_eq!(reply.joined("out"), b"done 0\nfail 3 code=exit\nabc");
    peer.expect_in_step();
}

#[test]
fn a_command_that_takes_too_long_fails_with_timeout() {
    let server = Server::line(&["--run", "shell", "--run-timeout", "1"]);
    let mut peer = server.framed();
    let reply = peer.ask("run echo begun; sleep 100");
    assert_eq!(reply.joined("out"), b"begun\n");
    assert_eq!((reply.last.kind.as_str(), reply.last.key("code").as_str()), ("fail", "timeout"));
    peer.expect_in_step();
}

#[test]
fn cancel_ends_a_command_and_all_replies_keep_their_order() {
    let server = Server::line(&["--run", "shell"]);
    let mut peer = server.framed();
    peer.say("run echo $$; exec sleep 100\nfirst\n");
    let pid = peer.expect_own().text().trim().parse().expect("a process id");
    peer.say("second\ncancel\nthird\n");
    let reply = peer.expect_reply();
    assert_eq!((reply.last.kind.as_str(), reply.last.key("code").as_str()), ("fail", "cancelled"));
    assert_eq!(peer.expect_done().text(), "first");
    assert_eq!(peer.expect_done().text(), "second");
    assert_eq!(peer.expect_done().text(), "", "the answer to cancel in its place");
    assert_eq!(peer.expect_done().text(), "third");
    wait_until("the command has ended", || process::has_ended(pid));
    peer.expect_in_step();
}

#[test]
fn cancel_in_the_same_packet_ends_what_was_begun_before_it() {
    let server = Server::line(&["--run", "shell"]);
    let mut peer = server.framed();
    peer.say("run sleep 100\ncancel\nafter\n");
    let reply = peer.expect_reply();
    assert_eq!((reply.last.kind.as_str(), reply.last.key("code").as_str()), ("fail", "cancelled"));
    assert_eq!(peer.expect_done().text(), "");
    assert_eq!(peer.expect_done().text(), "after");
    wait_until("no command is left", || process::children(server.pid()).is_empty());
}

#[test]
fn cancel_with_nothing_to_cancel_is_answered_too() {
    let server = Server::line(&[]);
    let mut peer = server.framed();
    peer.say("cancel\ncancel\nhello\n");
    assert_eq!(peer.expect_done().text(), "");
    assert_eq!(peer.expect_done().text(), "");
    assert_eq!(peer.expect_done().text(), "hello");
}

#[test]
fn cancel_ends_a_command_that_ignores_it() {
    let server = Server::line(&["--run", "shell"]);
    let mut peer = server.framed();
    peer.say("run trap '' TERM INT HUP; echo $$; for i in $(seq 900); do sleep 0.1; done\n");
    let pid = peer.expect_own().text().trim().parse().expect("a process id");
    peer.say("cancel\n");
    let reply = peer.expect_reply();
    assert_eq!(reply.last.key("code"), "cancelled");
    peer.expect_done();
    wait_until("the command has ended", || process::has_ended(pid));
}

#[test]
fn cancel_ends_a_command_whose_output_nobody_reads() {
    let server = Server::line(&["--run", "shell"]);
    let (mut peer, _) = FramedPeer::negotiate(Peer::narrow(server.v4("line")));
    peer.say("run exec yes\n");
    assert_eq!(peer.expect_own().kind, "out");
    peer.say("cancel\nafter\n");
    wait_until("the command has ended", || process::children(server.pid()).is_empty());
    peer.peer.widen();
    let reply = peer.expect_reply();
    assert_eq!(reply.last.key("code"), "cancelled");
    peer.expect_done();
    assert_eq!(peer.expect_done().text(), "after");
}

#[test]
fn cancel_ends_a_download() {
    let scratch = Scratch::new();
    let file = std::fs::File::create(scratch.join("f")).expect("a file");
    file.set_len(1 << 30).expect("a sparse file");
    let server = Server::line(&["--root", &scratch.text("")]);
    let (mut peer, _) = FramedPeer::negotiate(Peer::narrow(server.v4("line")));
    peer.say("download f\n");
    assert_eq!(peer.expect_own().kind, "file");
    peer.say("cancel\nafter\n");
    peer.peer.widen();
    let mut received = 0;
    let last = loop {
        let frame = peer.expect_own();
        if frame.kind != "data" {
            break frame;
        }
        received += frame.payload.len();
    };
    assert_eq!((last.kind.as_str(), last.key("code").as_str()), ("fail", "cancelled"));
    assert!(received < 1 << 29, "{received} bytes came all the same");
    peer.expect_done();
    assert_eq!(peer.expect_done().text(), "after");
}

#[test]
fn plain_peers_have_no_cancel_out_of_order() {
    let server = Server::line(&["--run", "shell"]);
    let mut peer = server.peer("line");
    // In plain it is no verb; it waits for its turn and is echoed.
    peer.say("run sleep 0.3; echo done\ncancel\n");
    peer.expect("done\ncancel\n");
    peer.expect_in_step();
}
