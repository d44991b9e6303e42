//! Framed replies: the same requests as in plain, with parts, finals and codes.
//!
//! What it does not do: commands as frames (`framed_run`), or messages and notes (`events`).

use std::fs::File;
use std::time::{Duration, UNIX_EPOCH};

use crate::support::{FramedPeer, Peer, Scratch, Seed, Server};

/// The abilities that the answer to `landline/1` lists.
fn abilities(server: &Server) -> Vec<String> {
    let (_, hello) = server.framed_hello();
    hello.key("caps").split(',').map(str::to_string).collect()
}

#[test]
fn the_switch_is_answered_with_name_and_abilities() {
    let server = Server::start(&["-l", "line@0", "--name", "a b%c"]);
    let (mut peer, hello) = server.framed_hello();
    assert_eq!((hello.key("server").as_str(), hello.payload.len()), ("a b%c", 0));
    let caps = abilities(&server);
    assert!(caps.contains(&"chat".to_string()), "{caps:?}");
    for off in ["download", "run", "run-in", "run-pty", "upload"] {
        assert!(!caps.contains(&off.to_string()), "{off} in {caps:?}");
    }
    peer.expect_in_step();

    let scratch = Scratch::new();
    let server = Server::line(&["--root", &scratch.text(""), "--run", "shell"]);
    let caps = abilities(&server);
    for on in ["download", "run", "chat"] {
        assert!(caps.contains(&on.to_string()), "{on} not in {caps:?}");
    }
    assert!(!caps.contains(&"upload".to_string()), "{caps:?}");
}

#[test]
fn a_version_not_spoken_here_leaves_the_connection_as_it_was() {
    let server = Server::line(&[]);
    let mut peer = server.peer("line");
    peer.say("landline/2\n");
    peer.expect_error("version");
    peer.expect_in_step();
    let (mut framed, _) = FramedPeer::negotiate(peer);
    framed.say("landline/3\n");
    framed.expect_fail("version");
    framed.expect_in_step();
}

#[test]
fn requests_before_the_switch_are_answered_plain() {
    let server = Server::line(&[]);
    let mut peer = server.peer("line");
    peer.say("hello\r\nping\n");
    peer.expect("hello\r\npong\n");
    let (mut framed, _) = FramedPeer::negotiate(peer);
    framed.expect_in_step();
}

#[test]
fn an_echo_is_the_line_without_its_ending() {
    let server = Server::line(&[]);
    let mut peer = server.framed();
    for line in
        [b"hello\n".as_slice(), b"hello\r\n", b"\n", b"\r\n", b"a\rb\0\xff\x1b\n", b"runner\n"]
    {
        peer.say(line);
        let content = line.strip_suffix(b"\n").expect("each line has one");
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        assert_eq!(peer.expect_done().payload, content);
    }
    peer.say("ping\nlast");
    peer.peer.half_close();
    assert_eq!(peer.expect_done().text(), "pong");
    assert_eq!(peer.expect_done().text(), "last");
    peer.peer.expect_end();
}

#[test]
fn a_download_comes_in_parts_with_its_size_first() {
    let scratch = Scratch::new();
    let content = Seed::new().bytes(3_500_000);
    scratch.write("some file%.bin", &content);
    let file = File::open(scratch.join("some file%.bin")).expect("it exists");
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1_608_235_613)).expect("its time");
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.framed();
    // The last one leaves so little that it is copied, not sent from the file.
    let offsets = [("@0", 0), ("", 0), ("@3000000", 3_000_000), ("@3499000", 3_499_000)];
    for (from, offset) in offsets {
        let reply = peer.ask(&format!("download{from} some file%.bin"));
        let first = &reply.parts[0];
        assert_eq!((first.kind.as_str(), first.payload.len()), ("file", 0));
        assert_eq!(first.key("size"), "3500000", "the size is that of the whole file");
        assert_eq!(first.key("mtime"), "1608235613");
        assert_eq!(first.key("name"), "some file%.bin");
        for part in &reply.parts[1..] {
            assert_eq!(part.kind, "data");
            assert!((1..=1 << 20).contains(&part.payload.len()), "{} bytes", part.payload.len());
        }
        assert_eq!(reply.last.kind, "done");
        assert!(reply.joined("data") == content[offset..], "other content from {offset}");
    }
    peer.expect_in_step();
}

#[test]
fn an_empty_file_has_a_size_and_no_data() {
    let scratch = Scratch::new();
    scratch.write("empty", "");
    scratch.write("full", "1234");
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.framed();
    for (request, size) in [("download empty", "0"), ("download@4 full", "4")] {
        let reply = peer.ask(request);
        assert_eq!((reply.parts.len(), reply.parts[0].key("size").as_str()), (1, size));
        assert_eq!(reply.last.kind, "done");
    }
}

#[test]
fn texts_are_the_same_as_in_plain() {
    let scratch = Scratch::new();
    scratch.write("b", "12345");
    scratch.write("sub/inner", "");
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut framed = server.framed();
    let mut plain = server.peer("line");
    for request in ["files", "files sub", "stat b", "files b", "get_list", "help", "files sub/"] {
        plain.say(format!("{request}\n=end\n"));
        let mut text = String::new();
        loop {
            match plain.expect_line() {
                line if line == "=end" => break,
                line => text = text + &line + "\n",
            }
        }
        let reply = framed.ask(request);
        assert!(reply.parts.is_empty(), "{reply:?}");
        if reply.last.kind == "fail" {
            assert!(text.starts_with("error "), "{text:?}");
        } else {
            assert_eq!(reply.last.text(), text, "{request}");
        }
    }
}

#[test]
fn every_refusal_has_its_code() {
    let scratch = Scratch::new();
    scratch.write("f", "1234");
    scratch.write("dir/inner", "");
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.framed();
    let requests = [
        ("download", "bad-request"),
        ("download@x f", "bad-request"),
        ("download@5 f", "bad-offset"),
        ("download ../f", "no-such-file"),
        ("download dir", "not-a-file"),
        ("stat absent", "no-such-file"),
        ("files absent", "no-such-file"),
        ("run id", "disabled"),
        ("name all", "bad-name"),
        ("send all hi", "no-name"),
        ("upload 0 f", "disabled"),
    ];
    for (request, code) in requests {
        peer.say(format!("{request}\n"));
        let text = peer.expect_fail(code);
        assert!(!text.is_empty() && !text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
    peer.say("x".repeat(65_537) + "\n");
    peer.expect_fail("too-long");
    peer.expect_in_step();
}

#[test]
fn two_hundred_requests_in_one_packet_are_answered_in_order() {
    let scratch = Scratch::new();
    scratch.write("f", "content");
    let server = Server::line(&["--root", &scratch.text(""), "--run", "shell"]);
    let mut peer = server.framed();
    let kinds = ["echo", "download f", "ping", "run echo out", "download absent"];
    peer.say((0..200).map(|number| kinds[number % 5].to_string() + "\n").collect::<String>());
    for number in 0..200 {
        let reply = peer.expect_reply();
        match number % 5 {
            0 => assert_eq!(reply.last.text(), "echo"),
            1 => assert_eq!(reply.joined("data"), b"content"),
            2 => assert_eq!(reply.last.text(), "pong"),
            3 => assert_eq!(reply.joined("out"), b"out\n"),
            _ => assert_eq!(reply.last.key("code"), "no-such-file"),
        }
    }
    peer.expect_in_step();
}

#[test]
fn quit_is_answered_and_then_the_connection_closes() {
    let server = Server::line(&[]);
    let mut peer = server.framed();
    peer.say("one\nquit\nnever seen\n");
    assert_eq!(peer.expect_done().text(), "one");
    assert_eq!(peer.expect_done().payload, b"");
    peer.peer.expect_end();
}

#[test]
fn a_refused_upload_is_read_and_dropped() {
    let scratch = Scratch::new();
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut plain = server.peer("line");
    let mut framed = server.framed();
    for content in ["hello", "ping\nrun id\n", ""] {
        plain.say(format!("upload {} f\n{content}", content.len()));
        plain.expect_error("disabled");
        plain.expect_in_step();
        framed.say(format!("upload {} f\n{content}", content.len()));
        framed.expect_fail("disabled");
        framed.expect_in_step();
    }
    plain.say("upload - f\nping\nping\n");
    plain.half_close();
    plain.expect_error("disabled");
    plain.expect_end();
    assert!(!scratch.join("f").exists());
}

#[test]
fn a_unix_socket_speaks_framed_too() {
    let scratch = Scratch::new();
    scratch.write("f", "content");
    let path = scratch.join("socket");
    let unix = format!("line@unix:{}", path.display());
    let _server = Server::start(&["-l", &unix, "--root", &scratch.text("")]);
    let (mut peer, _) = FramedPeer::negotiate(Peer::unix(&path));
    assert_eq!(peer.ask("download f").joined("data"), b"content");
    peer.expect_in_step();
}
