//! `run@in`: a command's standard input from the client, frame by frame, and its end.
//!
//! What it does not do: terminals (`framed_pty`), or the client's side (`client::upload`).

use crate::support::{FramedPeer, Peer, Seed, Server, process, wait_until};

/// An `in` frame.
fn input(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("in {}\n", bytes.len()).as_bytes(), bytes].concat()
}

fn shell() -> Server {
    Server::line(&["--run", "shell"])
}

/// How a command ended: its output, and the keys of its final frame.
#[track_caller]
fn expect_output(peer: &mut FramedPeer, output: impl AsRef<[u8]>, status: &str) {
    let reply = peer.expect_reply();
    let came = reply.joined("out");
    assert!(came == output.as_ref(), "{} bytes: {reply:.200?}", came.len());
    assert_eq!((reply.last.kind.as_str(), reply.last.key("exit").as_str()), ("done", status));
}

#[test]
fn input_arrives_whole_and_in_order() {
    let server = shell();
    let mut peer = server.framed();
    let mut seed = Seed::new();
    let content = seed.bytes(3_000_000);
    let mut said = b"run@in cat; echo err >&2; exit 7\n".to_vec();
    let mut at = 0;
    while at < content.len() {
        let end = (at + seed.between(0, 70_000)).min(content.len());
        said.extend(input(&content[at..end]));
        at = end;
    }
    said.extend(b"eof 0\nping\n");
    let writer = peer.peer.say_aside(said);
    let reply = peer.expect_reply();
    assert!(reply.joined("out") == content, "{} bytes", reply.joined("out").len());
    assert_eq!((reply.joined("err"), reply.last.key("exit")), (b"err\n".to_vec(), "7".to_owned()));
    assert_eq!(peer.expect_done().text(), "pong");
    writer.join().expect("no panic").expect("all of it was taken");
}

#[test]
fn the_end_of_input_is_said_by_eof_or_by_half_closing() {
    let server = shell();
    let mut peer = server.framed();
    peer.say([b"run@in wc -c\n", &input("hello")[..], b"eof 0\n"].concat());
    expect_output(&mut peer, "5\n", "0");
    peer.say("run@in wc -c\neof 0\n");
    expect_output(&mut peer, "0\n", "0");
    // What comes behind the end is dropped.
    peer.say([b"run@in wc -c\neof 0\n", &input("late")[..], b"eof 0\nping\n"].concat());
    expect_output(&mut peer, "0\n", "0");
    assert_eq!(peer.expect_done().text(), "pong");
    peer.say([b"run@in sort\n", &input("b\na\n")[..]].concat());
    peer.peer.half_close();
    expect_output(&mut peer, "a\nb\n", "0");
    peer.peer.expect_end();
}

#[test]
fn a_conversation_goes_both_ways() {
    let server = shell();
    let mut peer = server.framed();
    peer.say("run@in while read -r line; do echo \"got $line\"; done\n");
    for word in ["one", "two", "three"] {
        peer.say(input(format!("{word}\n")));
        let frame = peer.expect_own();
        assert_eq!((frame.kind.as_str(), frame.text()), ("out", format!("got {word}\n")));
    }
    peer.say("eof 0\n");
    expect_output(&mut peer, "", "0");
}

#[test]
fn input_waits_with_its_command_behind_others() {
    let server = shell();
    let mut peer = server.framed();
    let mut said = b"run echo first\n".to_vec();
    for word in ["two", "three"] {
        said.extend(b"run@in tr a-z A-Z\n");
        said.extend(input(word));
        said.extend(input(" more"));
        said.extend(b"eof 0\n");
    }
    said.extend(b"run@in cat\n");
    peer.say(said);
    expect_output(&mut peer, "first\n", "0");
    expect_output(&mut peer, "TWO MORE", "0");
    expect_output(&mut peer, "THREE MORE", "0");
    peer.say([input("the last one is still open"), b"eof 0\n".to_vec()].concat());
    expect_output(&mut peer, "the last one is still open", "0");
    peer.expect_in_step();
}

#[test]
fn input_that_nobody_takes_is_dropped() {
    let server = shell();
    let mut peer = server.framed();
    let late = [input("ping\n"), input(vec![b'x'; 500_000]), b"eof 0\n".to_vec()].concat();
    // No command at all; one without input; one that ended; one that has closed its input.
    peer.say(&late);
    peer.expect_in_step();
    peer.say([b"run echo deaf\n", &late[..]].concat());
    expect_output(&mut peer, "deaf\n", "0");
    peer.expect_in_step();
    peer.say("run@in exit 3\n");
    expect_output(&mut peer, "", "3");
    peer.say(&late);
    peer.expect_in_step();
    peer.say([b"run@in exec 0<&-; echo closed; sleep 0.1\n", &late[..]].concat());
    expect_output(&mut peer, "closed\n", "0");
    peer.expect_in_step();
    // A pipe whose reader has gone is no reason to end the command.
    peer.say([b"run@in head -c 1; exec 0<&-; read x <&1; echo on\n", &late[..]].concat());
    assert_eq!(peer.expect_reply().last.key("exit"), "0");
    peer.expect_in_step();
}

#[test]
fn input_for_a_refused_command_is_dropped() {
    let server = Server::line(&[]);
    let mut peer = server.framed();
    for verb in ["run@in", "run@pty"] {
        peer.say(format!("{verb} cat\n"));
        peer.expect_fail("disabled");
        // What the client sent for it meanwhile is no request and gets no reply.
        peer.say("in 5\nping\neof 0\nwinch 0 cols=80 rows=25\n");
        peer.expect_in_step();
    }
    let (_, hello) = server.framed_hello();
    assert!(!hello.key("caps").contains("run"), "{hello:?}");
    let (_, hello) = shell().framed_hello();
    let caps = hello.key("caps");
    assert!(["run", "run-in", "run-pty"].iter().all(|cap| caps.split(',').any(|it| it == *cap)));
}

#[test]
fn malformed_frames_of_input_are_refused() {
    let server = shell();
    let mut peer = server.framed();
    for frame in [
        "in",
        "in x",
        "in -1",
        "in 9223372036854775808",
        "eof",
        "eof x",
        "winch",
        "winch 0",
        "winch 0 cols=0 rows=5",
        "winch 0 cols=80",
        "winch 0 cols=x rows=y",
    ] {
        peer.say(format!("{frame}\n"));
        peer.expect_fail("bad-request");
        peer.expect_in_step();
    }
    // In plain there is no such thing, whatever is running.
    let mut plain = server.peer("line");
    for line in ["run@in cat", "run@pty cat", "in 5", "eof 0", "winch 0 cols=80 rows=25"] {
        plain.say(format!("{line}\n"));
        plain.expect_error("bad-request");
    }
    for line in ["in the morning\n", "eof is near\n", "winches\n"] {
        plain.say(line);
        plain.expect(line);
    }
    plain.expect_in_step();
}

#[test]
fn a_command_that_does_not_read_stops_its_peer_and_takes_no_memory() {
    let server = shell();
    let mut peer = server.framed();
    peer.say("run@in echo here; exec sleep 1000\n");
    assert_eq!(peer.expect_own().text(), "here\n");
    let (before, received_before) = (server.peak_bytes(), server.received_bytes());
    let much = input(vec![b'x'; 65_536]).repeat(512);
    peer.peer.say_what_fits(&much, std::time::Duration::from_millis(300));
    let received = server.received_bytes() - received_before;
    assert!(received < 4 << 20, "{received} bytes were read though nobody takes them");
    assert!(server.grown_since(before) < 4 << 20, "{} bytes", server.grown_since(before));
    let pid = process::children(server.pid());
    assert_eq!(pid.len(), 1);
    peer.peer.reset();
    wait_until("the command has ended", || process::children(server.pid()).is_empty());
}

#[test]
fn output_that_is_not_read_holds_back_input_and_takes_no_memory() {
    let server = shell();
    let (mut peer, _) = FramedPeer::negotiate(Peer::narrow(server.v4("line")));
    let before = server.peak_bytes();
    let content = Seed::new().bytes(20_000_000);
    let mut said = b"run@in cat\n".to_vec();
    content.chunks(60_000).for_each(|piece| said.extend(input(piece)));
    said.extend(b"eof 0\n");
    let writer = peer.peer.say_aside(said);
    // The writer is held up by what is not read here.
    assert_eq!(peer.expect_own().kind, "out");
    assert!(!writer.is_finished(), "nobody holds the input back");
    assert!(server.grown_since(before) < 8 << 20, "{} bytes", server.grown_since(before));
    peer.peer.widen();
    let reply = peer.expect_reply();
    assert!(content.ends_with(&reply.joined("out")), "{} bytes", reply.joined("out").len());
    writer.join().expect("no panic").expect("all of it was taken");
}

#[test]
fn cancel_ends_a_command_that_waits_for_input() {
    let server = shell();
    let mut peer = server.framed();
    peer.say("run@in cat\n");
    peer.say([input(vec![b'x'; 100_000]), b"cancel\n".to_vec()].concat());
    let reply = peer.expect_reply();
    assert_eq!((reply.last.kind.as_str(), reply.last.key("code").as_str()), ("fail", "cancelled"));
    assert_eq!(peer.expect_done().payload, b"");
    // What was under way for it is dropped.
    peer.say([input("late"), b"eof 0\n".to_vec()].concat());
    peer.expect_in_step();
    wait_until("no command is left", || process::children(server.pid()).is_empty());
    // 100 KiB of input that is not read stand before this one.
    peer.say([b"run@in sleep 1000\n", &input(vec![b'x'; 100_000])[..], b"cancel\n"].concat());
    assert_eq!(peer.expect_reply().last.key("code"), "cancelled");
    assert_eq!(peer.expect_done().payload, b"");
    peer.expect_in_step();
}

#[test]
fn a_silent_command_with_open_input_ends_with_its_peer() {
    let server = shell();
    for _ in 0..3 {
        let mut peer = server.framed();
        peer.say("run@in echo here; cat\n");
        assert_eq!(peer.expect_own().text(), "here\n");
        peer.peer.reset();
    }
    wait_until("no command is left", || process::children(server.pid()).is_empty());
}

#[test]
fn an_allow_list_knows_input_too() {
    let scratch = crate::support::Scratch::new();
    let list = scratch.write("commands", "upper = /usr/bin/tr a-z A-Z\n");
    let server = Server::line(&["--run", &list.display().to_string()]);
    let mut peer = server.framed();
    peer.say([b"run@in upper\n", &input("text")[..], b"eof 0\n"].concat());
    expect_output(&mut peer, "TEXT", "0");
    peer.say([b"run@in cat\n", &input("text")[..], b"eof 0\n"].concat());
    peer.expect_fail("denied");
    peer.expect_in_step();
}
