//! Strangers: browsers, and programs that speak another protocol, are turned away before anything
//! of theirs is acted on; whoever merely looks like one is served.

use super::support::{Peer, Scratch, Server, process, show};

/// Every service that looks for strangers.
const SERVICES: [&str; 8] =
    ["line", "hello", "exec", "chat", "talk", "line+bare", "exec+bare", "chat+bare"];

const ALERT: [u8; 7] = [0x15, 3, 1, 0, 2, 2, 0x46];

/// A server of all these services which runs commands, and a file that no stranger may make.
struct Trap {
    server: Server,
    scratch: Scratch,
}

impl Trap {
    fn new(more: &[&str]) -> Self {
        let listeners: Vec<_> =
            SERVICES.iter().map(|service| format!("{service}@127.0.0.1:0")).collect();
        let mut args = vec!["--run", "shell"];
        args.extend_from_slice(more);
        for listener in &listeners {
            args.extend(["-l", listener]);
        }
        Self { server: Server::start(&args), scratch: Scratch::new() }
    }

    /// Requests that would make the file, on any service.
    fn bait(&self) -> String {
        let trap = self.scratch.text("trap");
        format!("run touch {trap}\ntouch {trap}\n")
    }

    #[track_caller]
    fn check(&self) {
        self.server.peer("line").expect_in_step();
        assert!(!self.scratch.join("trap").exists(), "a stranger ran a command");
        assert_eq!(process::children(self.server.pid()), []);
    }
}

#[track_caller]
fn expect_http_400(peer: &mut Peer) {
    let came = peer.expect_rest();
    let answer = String::from_utf8(came).expect("it is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.") && head[8..].starts_with(" 400 "), "{answer}");
    assert!(body.to_lowercase().contains("landline"), "{answer}");
}

#[test]
fn http_gets_a_400_from_every_service() {
    let trap = Trap::new(&[]);
    let starts = [
        "GET / HTTP/1.1\r\n",
        "POST /x?y HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.0\n",
        "x / HTTP/1.1\r\n",
        "M-SEARCH * HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "a!#$%&'*+-.^_`|~9 / HTTP/1.1\r\n",
        "GET http://localhost:5000/ HTTP/1.1\r\n",
        "GET /a b c HTTP/1.1\r\n",
        "GET / HTTP/9.9 \t\r\n",
        "run id HTTP/1.1\r\n",
        " HTTP/1.1\n",
        "hOST:x\r\n",
    ];
    for service in SERVICES {
        for start in starts {
            let mut peer = trap.server.peer(service);
            peer.say(format!("{start}Host: localhost\r\n\r\n{}", trap.bait()));
            expect_http_400(&mut peer);
        }
    }
    trap.check();
}

/// On `chat` and `talk` the first line ends such a connection, since it is no name.
#[test]
fn http_that_is_told_from_a_later_line_gets_a_400() {
    let trap = Trap::new(&[]);
    let starts = [
        "\r\n\r\nGET / HTTP/1.1\r\n",
        "GET /path\r\nHost: x\r\n",
        "GET / HTTP/10.1\r\nUser-Agent: x\r\nhOST:x\r\n",
        "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\nhost:\n",
    ];
    for service in ["line", "hello", "exec", "line+bare", "exec+bare"] {
        for start in starts {
            let mut peer = trap.server.peer(service);
            peer.say(format!("{start}\r\n{}", trap.bait()));
            let came = peer.expect_rest();
            let marker = b"HTTP/1.1 400 ";
            let is_told = came.windows(marker.len()).any(|window| window == marker);
            assert!(is_told, "{service} {start:?}: {}", show(&came));
        }
    }
    trap.check();
}

#[test]
fn http_that_comes_in_pieces_is_http() {
    let trap = Trap::new(&[]);
    let start = "x / HTTP/1.1\r\nHost: x\r\n\r\n";
    for cut in 1..start.len() {
        let mut peer = trap.server.peer("line");
        trap.server.hear(&mut peer, &start.as_bytes()[..cut]);
        peer.say(format!("{}{}", &start[cut..], trap.bait()));
        expect_http_400(&mut peer);
    }
    trap.check();
}

/// A bare client's message is one read: what was cut is put together all the same.
#[test]
fn http_is_told_on_a_bare_connection_wherever_it_is_cut() {
    let trap = Trap::new(&[]);
    for start in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "x / HTTP/1.1\r\nHost: x\r\n\r\n"] {
        for cut in 1..start.len() {
            let mut peer = trap.server.peer("line+bare");
            let (first, second) = start.split_at(cut);
            peer.say(first);
            // It is either an echo, or was refused already.
            let is_http = first.contains("HTTP/1.1") || first.starts_with("GET /");
            if !is_http {
                peer.expect(first);
                peer.say(format!("{second}{}", trap.bait()));
            }
            expect_http_400(&mut peer);
        }
    }
    let mut peer = trap.server.peer("exec+bare");
    peer.say("POS");
    peer.expect("No such command");
    peer.say(format!("T / HTTP/1.1\r\nHost: x\r\n\r\n{}", trap.bait()));
    expect_http_400(&mut peer);
    for cut in ["POST /", "POST /;touch x", "OPTIONS * HT", "GET http://x/"] {
        let mut peer = trap.server.peer("exec+bare");
        peer.say(cut);
        expect_http_400(&mut peer);
    }
    trap.check();
}

#[test]
fn a_request_line_over_the_limit_is_http() {
    let trap = Trap::new(&["--max-line", "100"]);
    for service in SERVICES {
        for (start, errors) in [("GET /", 0), ("POST /", 0), ("x /", 1), ("M-SEARCH  /", 1)] {
            // The last is longer than what is read at once.
            for length in [101, 5_000, 300_000] {
                let mut peer = trap.server.peer(service);
                let path = "a".repeat(length);
                let all = format!("{start}{path} HTTP/1.1\r\nHost: x\r\n\r\n{}", trap.bait());
                peer.say(all);
                for _ in 0..errors {
                    peer.expect_error("too-long");
                }
                expect_http_400(&mut peer);
            }
        }
    }
    trap.check();
}

#[test]
fn an_honest_client_that_looks_like_http_is_served() {
    let trap = Trap::new(&["--max-line", "100"]);
    let mut peer = trap.server.peer("line");
    let said = "hello\nGET / HTTP/1.1\r\nGET me a pint\nPOST /x HTTP/1.1\n Host: x\n";
    peer.say(said);
    peer.expect(said);
    for said in [
        "GET well soon\n",
        "GET drinks now\n",
        "GET /path\n",
        "HELLO WORLD\n",
        "HTTP/1.1\n",
        "xHTTP/1.1\n",
        "I said HTTP/1.1 is old\n",
        "speak HTTP/1.1 HTTP/1\n",
        "speak HTTP/11\n",
        "Hostile: yes\n",
        "host\n",
        "\n\r\n\nhello\nGET / HTTP/1.1\n",
    ] {
        let mut peer = trap.server.peer("line");
        peer.say(said);
        peer.expect(said);
    }
    for said in ["HELLO WORLD", "GET well soon", "HELLO *", "host", "GET", "Get /x", "/ HTTP/1"] {
        let mut peer = trap.server.peer("line+bare");
        peer.say(said);
        peer.expect(said);
        peer.say("GET / HTTP/1.1");
        peer.expect("GET / HTTP/1.1");
    }
    for start in ["I love ", "run /bin/true ", "HTTP/1.1 "] {
        let mut peer = trap.server.peer("line");
        peer.say(format!("{start}{}\n", "very ".repeat(100)));
        peer.expect_error("too-long");
        peer.expect_in_step();
    }
}

#[test]
fn a_header_of_http_is_an_echo_once_a_client_was_found_honest() {
    let server = Server::line(&[]);
    let mut pinged = server.peer("line");
    pinged.say("ping\nHost: x\n");
    pinged.expect("pong\nHost: x\n");
    let mut patient = server.peer("line");
    let said = "words\n".repeat(16) + "Host: x\n";
    patient.say(&said);
    patient.expect(&said);
    let mut framed = server.framed();
    framed.say("Host: x\n");
    assert_eq!(framed.expect_done().payload, b"Host: x");
    framed.say("GET / HTTP/1.1\n");
    assert_eq!(framed.expect_done().payload, b"GET / HTTP/1.1");
}

#[test]
fn tls_is_answered_with_an_alert() {
    let trap = Trap::new(&[]);
    // A session ticket is what a server chose: it may hold lines.
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a ticket\n";
    let hello = [&hello[..], trap.bait().as_bytes()].concat();
    for service in SERVICES {
        for sent in [&hello[..], b"\x16\x03", b"\x16\x03\x01\x00\n"] {
            let mut peer = trap.server.peer(service);
            peer.say(sent);
            let came = peer.expect_rest();
            assert!(came == ALERT, "{service}: {}", show(&came));
        }
    }
    for honest in [&b"\x16\n"[..], b"\x16\x04\n", b"a\x16\x03\n", b"\n\x16\x03\n"] {
        let mut peer = trap.server.peer("line");
        peer.say(honest);
        peer.expect(honest);
    }
    trap.check();
}

#[test]
fn ssh_and_socks_are_told_where_they_are() {
    let trap = Trap::new(&[]);
    let socks_4a = b"\x04\x01\x13\x88\0\0\0\x01me\0host.example\0";
    let strangers: [(&[u8], &str); 10] = [
        (b"SSH-2.0-OpenSSH_10.0\r\n", "SSH"),
        (b"SSH-2.0-OpenSSH_10.0", "SSH"),
        (b"SSH-1.99-x\nrun id\n", "SSH"),
        (b"\x05\x01\0", "SOCKS"),
        (b"\x05\x02\0\x02", "SOCKS"),
        (b"\x05\x03\0\x01\x80", "SOCKS"),
        (b"\x04\x01\x13\x88\x7f\0\0\x01\0", "SOCKS"),
        (b"\x04\x02\x13\x88\x0a\0\0\x01root\0", "SOCKS"),
        (socks_4a, "SOCKS"),
        (b"\x04\x01\x00\x0a\0\0\0\x01\0x\0", "SOCKS"),
    ];
    for service in SERVICES {
        for (sent, protocol) in strangers {
            let mut peer = trap.server.peer(service);
            peer.say(sent);
            let text = peer.expect_error("bad-request");
            assert!(text.contains(protocol), "{service} {}: {text}", show(sent));
            peer.expect_end();
        }
    }
    for honest in [
        &b"SSH-keys are fun\n"[..],
        b"SSH-2.0\n",
        b"\x05\n",
        b"\x05\x01\0\n",
        b"\x05\x01\x05\x01\n",
        b"\x04\x03\x13\x88\x7f\0\0\x01\0\n",
        b"\x04\x01\x13\x88\x7f\0\0\x01\0\n",
        b"\x05five\n",
    ] {
        let mut peer = trap.server.peer("line");
        peer.say(honest);
        peer.expect(honest);
    }
    for honest in
        [&b"\x05"[..], b"\x05\x01", b"\x05\x02\0", b"\x05\0", b"\x05\x01\x41", b"\x04\x01", b"\x04"]
    {
        let mut peer = trap.server.peer("line+bare");
        peer.say(honest);
        peer.expect(honest);
    }
    trap.check();
}

#[test]
fn the_echo_service_takes_no_one_for_a_stranger() {
    let server = Server::start(&["-l", "echo@0", "-l", "echo+bare@0"]);
    for service in ["echo", "echo+bare"] {
        for sent in [
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            b"\x16\x03\x01\x02\0",
            b"SSH-2.0-x\r\n",
            b"\x05\x01\0",
            b"\x04\x01\x13\x88\x7f\0\0\x01\0",
        ] {
            let mut peer = server.peer(service);
            peer.say(sent);
            peer.expect(sent);
        }
    }
}
