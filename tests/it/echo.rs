//! Echo: whatever is no request comes back as it was, and so does everything on the `echo` service.

use crate::support::server::has_ipv6;
use crate::support::{Peer, Scratch, Seed, Server};

#[test]
fn a_line_comes_back_with_the_ending_it_came_with() {
    let server = Server::line(&[]);
    let mut peer = server.peer("line");
    for line in ["hello\n", "hello\r\n", "\n", "\r\n", "a\rb\n", "a\r\r\n", " \t \n", "\r\r\n"] {
        peer.say(line);
        peer.expect(line);
    }
}

#[test]
fn the_last_line_needs_no_newline() {
    let server = Server::line(&[]);
    for last in ["last", "last\r", "\r"] {
        let mut peer = server.peer("line");
        peer.say(format!("first\n{last}"));
        peer.half_close();
        peer.expect(format!("first\n{last}"));
        peer.expect_end();
    }
}

#[test]
fn the_server_never_speaks_first() {
    let server = Server::start(&[
        "-l",
        "line@0",
        "-l",
        "hello@0",
        "-l",
        "exec@0",
        "-l",
        "chat@0",
        "-l",
        "talk@0",
        "-l",
        "echo@0",
        "-l",
        "chat+bare@0",
        "--run",
        "shell",
    ]);
    for speech in ["line", "hello", "exec", "chat", "talk", "echo", "chat+bare"] {
        let mut peer = server.peer(speech);
        peer.half_close();
        peer.expect_end();
    }
}

#[test]
fn every_byte_value_comes_back_unchanged() {
    let server = Server::line(&[]);
    let mut peer = server.peer("line");
    let mut line: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    line.extend_from_slice(b"\xff\xfe\xed\xa0\x80 | \x1b[2J\n");
    peer.say(&line);
    peer.expect(&line);
}

#[test]
fn a_word_that_only_looks_like_a_verb_is_echoed() {
    let server = Server::line(&["--run", "shell"]);
    let mut peer = server.peer("line");
    let lines = [
        "runner\n",
        "Run id\n",
        "RUN id\n",
        " run id\n",
        "downloads\n",
        "filesystem\n",
        "names\n",
        "get_lists\n",
        "sender\n",
        "stats!\n",
        "statue\n",
        "helpme\n",
        "quitter\n",
        "closed\n",
        "uploads\n",
        "pinging\n",
        "cancelled\n",
        "landlines\n",
        "hi | bob\n",
        "| bob\n",
    ];
    for line in lines {
        peer.say(line);
        peer.expect(line);
    }
}

#[test]
fn operands_where_none_belong_are_a_bad_request() {
    let server = Server::line(&[]);
    let mut peer = server.peer("line");
    for request in ["quit now", "close it", "get_list x", "help me", "ping 3", "in 5", "eof 0"] {
        peer.say(format!("{request}\n"));
        peer.expect_error("bad-request");
    }
    peer.say("winch 0 cols=80 rows=24\n");
    peer.expect_error("bad-request");
    for line in ["in the morning\n", "eof\r\n", "winch it up\n", "cancel\n"] {
        peer.say(line);
        peer.expect(line);
    }
}

#[test]
fn a_line_sent_byte_by_byte_is_one_line() {
    let server = Server::line(&[]);
    let mut peer = server.peer("line");
    for byte in "piece by piece\r\nping\n".bytes() {
        peer.say([byte]);
    }
    peer.expect("piece by piece\r\npong\n");
}

#[test]
fn three_hundred_requests_in_one_packet_are_answered_in_order() {
    let server = Server::line(&[]);
    let mut peer = server.peer("line");
    let numbers: Vec<_> = (0..300).map(|number| number.to_string()).collect();
    let requests = numbers.join("\n") + "\n";
    peer.say(&requests);
    peer.expect(&requests);
    let mixed = numbers.join("\nping\n") + "\n";
    peer.say(&mixed);
    peer.expect(mixed.replace("ping", "pong"));
}

#[test]
fn however_the_bytes_are_cut_the_lines_are_the_same() {
    let server = Server::line(&[]);
    let mut peer = server.peer("line");
    let mut seed = Seed::new();
    let mut bytes = Vec::new();
    for _ in 0..200 {
        // "=" first, so that no line is a request by chance.
        let longest = if seed.between(0, 9) == 0 { 9_000 } else { 80 };
        let count = seed.between(0, longest);
        let mut line = seed.bytes(count);
        line.retain(|byte| *byte != b'\n');
        bytes.push(b'=');
        bytes.append(&mut line);
        bytes.extend_from_slice(if seed.between(0, 1) == 0 { b"\n" } else { b"\r\n" });
    }
    let mut pieces = Vec::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let longest = if seed.between(0, 3) == 0 { 9_000 } else { 20 };
        let (piece, after) = rest.split_at(seed.between(1, longest).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    for piece in pieces {
        peer.say(piece);
    }
    peer.expect(&bytes);
    peer.expect_in_step();
}

#[test]
fn a_line_of_the_longest_length_is_echoed_and_one_byte_more_is_an_error() {
    let server = Server::line(&[]);
    let mut peer = server.peer("line");
    for ending in ["\n", "\r\n"] {
        let longest = "x".repeat(65_536) + ending;
        peer.say(&longest);
        peer.expect(&longest);
        peer.say("x".repeat(65_537) + ending);
        peer.expect_error("too-long");
        peer.expect_in_step();
    }
    peer.say("x".repeat(65_537) + "\nrun id\n" + &"y".repeat(1 << 20) + "\nnext\n");
    peer.expect_error("too-long");
    peer.expect_error("disabled");
    peer.expect_error("too-long");
    peer.expect("next\n");
}

#[test]
fn a_line_too_long_at_the_end_of_input_is_an_error_too() {
    let server = Server::line(&["--max-line", "100"]);
    let mut peer = server.peer("line");
    peer.say(format!("{}\n{}\n", "a".repeat(100), "b".repeat(101)));
    peer.expect(format!("{}\n", "a".repeat(100)));
    peer.expect_error("too-long");
    peer.say("c".repeat(101));
    peer.half_close();
    peer.expect_error("too-long");
    peer.expect_end();
}

#[test]
fn a_half_closed_peer_gets_every_reply() {
    let server = Server::line(&["--run", "shell"]);
    let mut peer = server.peer("line");
    peer.say("one\nrun sleep 0.3; echo two\nthree\nrun sleep 0.3; echo four");
    peer.half_close();
    peer.expect("one\ntwo\nthree\nfour\n");
    peer.expect_end();
}

#[test]
fn quit_and_close_end_the_connection_after_earlier_replies() {
    let server = Server::line(&["--run", "shell"]);
    for last in ["quit", "close"] {
        let mut peer = server.peer("line");
        peer.say(format!("run sleep 0.1; echo done\nbye\n{last}\nnever seen\n"));
        peer.expect("done\nbye\n");
        peer.expect_end();
    }
}

#[test]
fn ping_and_help_are_answered() {
    let server = Server::line(&[]);
    let mut peer = server.peer("line");
    peer.say("ping\nhelp\n=end of help\n");
    peer.half_close();
    peer.expect("pong\n");
    let rest = String::from_utf8(peer.expect_rest()).expect("help is text");
    let help = rest.strip_suffix("=end of help\n").expect("the echo follows the help");
    for verb in ["download", "files", "stat", "run", "name", "send", "get_list", "quit"] {
        assert!(help.contains(verb), "{verb} is not in the help: {help}");
    }
}

#[test]
fn the_families_are_served_alike() {
    let scratch = Scratch::new();
    let path = scratch.join("socket");
    let listen = format!("line@unix:{}", path.display());
    let server = Server::line(&["-l", &listen]);
    let mut peers = vec![server.peer("line"), Peer::unix(&path)];
    if has_ipv6() {
        assert_eq!(server.v4("line").port(), server.v6("line").port());
        peers.push(Peer::tcp(server.v6("line")));
    }
    for mut peer in peers {
        peer.say("hello\r\nping\ntail");
        peer.half_close();
        peer.expect("hello\r\npong\ntail");
        peer.expect_end();
    }
}

#[test]
fn the_echo_service_returns_every_byte() {
    const SIZE: usize = 8 << 20;
    let server = Server::start(&["-l", "echo@0"]);
    let mut peer = server.peer("echo");
    let bytes = Seed::new().bytes(SIZE);
    let talking = peer.say_aside(bytes.clone());
    peer.expect(&bytes);
    talking.join().expect("no panic").expect("all was taken");
    peer.say("GET / HTTP/1.1\r\n\r\nno newline after this");
    peer.half_close();
    peer.expect("GET / HTTP/1.1\r\n\r\nno newline after this");
    peer.expect_end();
}

#[test]
fn an_echo_peer_that_never_reads_costs_no_memory() {
    let server = Server::start(&["-l", "echo@0", "-l", "line@0"]);
    for speech in ["echo", "line"] {
        let before = server.peak_bytes();
        let mut peer = Peer::narrow(server.v4(speech));
        let bytes = b"0123456789abcde\n".repeat(4 << 20);
        // The server must stop reading: of 64 MiB, far less than all goes anywhere.
        let sent = peer.say_what_fits(&bytes, std::time::Duration::from_millis(700));
        assert!(sent < bytes.len(), "the server read on while its replies were not read");
        let grown = server.grown_since(before);
        assert!(grown < 24 << 20, "{speech}: {grown} bytes more for one peer");
        server.peer("line").expect_in_step();
        peer.half_close();
        peer.widen();
        peer.expect_stream(u64::try_from(sent).expect("it fits"), |at, piece| {
            let start = usize::try_from(at).expect("it fits");
            assert_eq!(piece, &bytes[start..start + piece.len()], "at {at}");
        });
        peer.expect_end();
    }
}

#[test]
fn a_health_check_leaves_no_line_in_the_log() {
    let mut server = Server::line(&["--workers", "1"]);
    let mut addresses = Vec::new();
    for _ in 0..3 {
        let peer = server.peer("line");
        addresses.push(peer.local_address().to_string());
        drop(peer);
    }
    server.peer("line").expect_in_step();
    server.stop();
    for line in server.log().iter().filter(|line| !line.starts_with("listening ")) {
        assert!(!addresses.iter().any(|address| line.contains(address)), "logged: {line}");
    }
}
