//! Telnet clients: what they negotiate is refused, Ctrl-C ends a command, and the requests behind
//! all that work; a byte 0xff of anyone else is data.

use super::support::{Peer, Scratch, Server, process, wait_until};

/// What a `PuTTY` sends first: NAWS, TSPEED, TTYPE, NEW-ENVIRON, DO ECHO, WILL SGA, DO SGA.
const PUTTY: &[u8] =
    b"\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfb\x27\xff\xfd\x01\xff\xfb\x03\xff\xfd\x03";
const REFUSED: &[u8] =
    b"\xff\xfe\x1f\xff\xfe\x20\xff\xfe\x18\xff\xfe\x27\xff\xfc\x01\xff\xfe\x03\xff\xfc\x03";

/// Ctrl-C as `telnet` sends it: IP, and DO TIMING-MARK.
const CTRL_C: &[u8] = b"\xff\xf4\xff\xfd\x06";
const NO_MARK: &[u8] = b"\xff\xfc\x06";

/// Takes a window size of 80 by 10: a newline within a sequence.
const NAWS: &[u8] = b"\xff\xfa\x1f\0\x50\0\x0a\xff\xf0";

fn services() -> Server {
    let services = ["line", "hello", "exec", "chat", "talk", "line+bare", "echo"];
    let listeners: Vec<_> =
        services.iter().map(|service| format!("{service}@127.0.0.1:0")).collect();
    let mut args = vec!["--run", "shell", "--name", "there"];
    for listener in &listeners {
        args.extend(["-l", listener]);
    }
    Server::start(&args)
}

#[test]
fn options_are_refused_and_requests_behind_them_work() {
    let server = services();
    for service in ["line", "line+bare"] {
        let mut peer = server.peer(service);
        peer.say([PUTTY, NAWS, b"ping\r\n"].concat());
        peer.expect(REFUSED);
        peer.expect("pong\n");
        peer.say(b"hel\xff\xfd\x18lo\xff\xf1 \xff\xff there\r\n");
        peer.expect(b"\xff\xfc\x18hello \xff\xff there\r\n");
        peer.say(b"a\r\0ping\r\0");
        peer.expect("a\r\npong\n");
        peer.say(b"\xff\xfe\x01\xff\xfc\x01\xff\xf6last\xff\xfd");
        peer.half_close();
        peer.expect("last");
        peer.expect_end();
    }
    for (service, said, reply) in [
        ("hello", "me\r\n", "there\n"),
        ("exec", "echo hi\r\n", "hi\n"),
        ("chat", "alice\r\n", "there\n"),
    ] {
        let mut peer = server.peer(service);
        peer.say([PUTTY, said.as_bytes()].concat());
        peer.expect(REFUSED);
        peer.expect(reply);
    }
}

#[test]
fn every_option_is_refused_however_it_comes() {
    let server = services();
    let mut peer = server.peer("line");
    peer.say(b"\xff\xfb\x18");
    peer.expect(b"\xff\xfe\x18");
    for option in 0..=255 {
        peer.say([255, 253, option, 255, 254, option, 255, 251, option, 255, 252, option]);
        peer.expect([255, 252, option, 255, 254, option]);
    }
    peer.expect_in_step();
}

#[test]
fn negotiation_may_be_cut_anywhere() {
    let server = services();
    let said = [b"\xff\xfb\x1f", NAWS, b"he\xff\xfd\x18llo\xff\xf4\r\n"].concat();
    for cut in 1..said.len() {
        let mut peer = server.peer("line");
        server.hear(&mut peer, &said[..cut]);
        peer.say(&said[cut..]);
        peer.expect(b"\xff\xfe\x1f\xff\xfc\x18hello\r\n");
        peer.expect_in_step();
    }
}

#[test]
fn bytes_of_others_are_data() {
    let server = services();
    for said in [
        &b"\xff\xff data\n"[..],
        b"\xff\n",
        b"\xff\xfb\n",
        b"\xff\xfd\r\n",
        b"\xff\xfehello\n",
        b"\xff\xfe1\0\n",
        b"\xff\xfa hello\n",
        b"\xff\xf5\n",
        "na\u{ef}ve \u{ff}\n".as_bytes(),
        b"caf\xe9 \xff\xfd\x18 \xff\xf4 \xff\xfb\x01\n",
        b"hello\n\xff\xfd\x18\n",
        b"a\r\0b\n",
    ] {
        let mut peer = server.peer("line");
        peer.say(said);
        peer.expect(said);
        peer.expect_in_step();
    }
    for said in [&b"\xff"[..], b"\xff\xff", b"\xff\xfb", b"x\xff\xf4"] {
        let mut peer = server.peer("line+bare");
        peer.say(said);
        peer.expect(said);
        peer.say(CTRL_C);
        peer.expect(CTRL_C);
    }
    let mut echo = server.peer("echo");
    let all = [PUTTY, CTRL_C, NAWS].concat();
    echo.say(&all);
    echo.expect(&all);
    let mut framed = server.framed();
    framed.say([PUTTY, b"\n"].concat());
    assert_eq!(framed.expect_done().payload, PUTTY);
    framed.say([CTRL_C, b"\n"].concat());
    assert_eq!(framed.expect_done().payload, CTRL_C);
}

#[track_caller]
fn expect_cancelled(peer: &mut Peer, server: &Server) {
    peer.expect_error("cancelled");
    wait_until("the command has ended", || process::children(server.pid()).is_empty());
}

#[test]
fn an_interrupt_ends_the_command_in_progress() {
    let server = services();
    for is_negotiated in [true, false] {
        let mut peer = server.peer("line");
        if is_negotiated {
            peer.say(b"\xff\xfb\x18");
            peer.expect(b"\xff\xfe\x18");
        }
        for _ in 0..3 {
            peer.say("run echo begun; exec sleep 1000\r\n");
            peer.expect("begun\n");
            peer.say(CTRL_C);
            peer.expect(NO_MARK);
            expect_cancelled(&mut peer, &server);
            peer.expect_in_step();
        }
        // What was typed ahead keeps its turn, and the interrupt is seen behind it.
        peer.say("run echo begun; exec sleep 1000\r\n");
        peer.expect("begun\n");
        peer.say("ping\r\n");
        peer.say([b"hello\r\n", CTRL_C].concat());
        peer.expect(NO_MARK);
        expect_cancelled(&mut peer, &server);
        peer.expect("pong\nhello\r\n");
    }
    let mut exec = server.peer("exec");
    exec.say([PUTTY, b"echo begun; exec sleep 1000\r\n"].concat());
    exec.expect(REFUSED);
    exec.expect("begun\n");
    exec.say(CTRL_C);
    exec.expect(NO_MARK);
    expect_cancelled(&mut exec, &server);
    exec.say("echo on\r\n");
    exec.expect("on\n");
}

/// All in one piece: the interrupt is behind the line, and ends its command, begun or not.
#[test]
fn an_interrupt_right_behind_a_command_ends_it() {
    let server = services();
    for start in [&b""[..], b"\xff\xfc\x18", b"hello\r\n"] {
        let echo = if start.ends_with(b"\n") { start } else { b"" };
        for (service, verb) in [("line", "run "), ("line+bare", "run "), ("exec", "")] {
            if service == "exec" && !echo.is_empty() {
                continue;
            }
            let mut peer = server.peer(service);
            let line = format!("{verb}exec sleep 1000\r\n{verb}echo on\r\n");
            let (first, second) = line.split_at(line.find('\n').expect("two lines") + 1);
            peer.say([start, first.as_bytes(), CTRL_C, second.as_bytes()].concat());
            peer.expect(echo);
            peer.expect(NO_MARK);
            peer.expect_error("cancelled");
            peer.expect("on\n");
            // Behind a line that waits for its turn.
            let mut peer = server.peer(service);
            peer.say([start, line.as_bytes()].concat());
            peer.expect(echo);
            wait_until("it runs", || !process::children(server.pid()).is_empty());
            peer.say(CTRL_C);
            peer.expect(NO_MARK);
            peer.expect_error("cancelled");
            peer.expect("on\n");
        }
    }
}

#[test]
fn an_interrupt_where_nothing_runs_is_dropped() {
    let server = services();
    for service in ["line", "line+bare"] {
        for before in ["", "hello\n"] {
            let mut peer = server.peer(service);
            peer.say([before.as_bytes(), CTRL_C, b"ping\r\n"].concat());
            peer.expect(before);
            peer.expect(NO_MARK);
            peer.expect("pong\n");
            peer.say(b"\xff\xf4");
            peer.expect_in_step();
        }
    }
}

#[test]
fn an_interrupt_cuts_a_download_short() {
    let scratch = Scratch::new();
    let size = 64 << 20;
    scratch.write("large", "x".repeat(size));
    scratch.write("small", "small\n");
    let server = Server::line(&["-r", &scratch.text("")]);
    let mut peer = Peer::narrow(server.v4("line"));
    peer.say(b"\xff\xfb\x18download large\r\n");
    peer.expect(b"\xff\xfe\x18xxx");
    server.hear(&mut peer, CTRL_C);
    peer.widen();
    let line = loop {
        let byte = peer.expect_bytes(1);
        if byte != b"x" {
            break byte;
        }
    };
    assert_eq!(line, b"\xff");
    peer.expect(&NO_MARK[1..]);
    peer.expect_error("cancelled");
    peer.say("download small\r\n");
    peer.expect("small\n");
}

#[test]
fn payload_is_never_touched() {
    let scratch = Scratch::new();
    let server = Server::line(&["-r", &scratch.text(""), "--upload", "replace", "--run", "shell"]);
    let payload = [PUTTY, CTRL_C, NAWS, b"\r\0"].concat();
    let upload =
        |name: &str| [format!("upload {} {name}\r\n", payload.len()).as_bytes(), &payload].concat();
    let mut peer = server.peer("line");
    peer.say(
        [PUTTY, &upload("one"), b"pi\xff\xf1ng\r\n", &upload("two"), b"\xff\xfd\x01ping\r\n"]
            .concat(),
    );
    peer.expect(REFUSED);
    peer.expect("pong\n");
    peer.expect(b"\xff\xfc\x01pong\n");
    for name in ["one", "two"] {
        assert_eq!(std::fs::read(scratch.join(name)).expect("it was stored"), payload);
    }
    // Of an upload that waits for its turn too, though a command runs.
    peer.say([b"run echo begun; echo done\r\n", &upload("three")[..], b"ping\r\n"].concat());
    peer.expect("begun\ndone\npong\n");
    assert_eq!(std::fs::read(scratch.join("three")).expect("it was stored"), payload);
    // And of a command that is given input, once frames are spoken.
    let input = [CTRL_C, b"\xff\xfb\x18"].concat();
    let head = format!("landline/1\nrun@in cat\nin {}\n", input.len());
    peer.say([head.as_bytes(), &input, b"eof 0\n"].concat());
    peer.expect("done 0 landline=1 ");
    peer.expect_line();
    peer.expect(format!("out {}\n", input.len()));
    peer.expect(&input);
    peer.expect("done 0 exit=0\n");
}

#[test]
fn what_waits_behind_a_command_is_bounded() {
    let server = services();
    let mut peer = server.peer("line");
    peer.say(b"\xff\xfb\x18run echo begun; exec sleep 1000\r\n");
    peer.expect(b"\xff\xfe\x18begun\n");
    let before = server.peak_bytes();
    let lines = b"typed ahead\n".repeat(2 << 20);
    let sent = peer.say_what_fits(&lines, std::time::Duration::from_millis(300));
    assert!(sent < lines.len(), "the server read on");
    let taken = server.received_bytes();
    assert!(taken < 256 << 10, "{taken} bytes were read behind a command");
    assert!(server.grown_since(before) < 8 << 20);
    peer.reset();
    wait_until("the command has ended", || process::children(server.pid()).is_empty());
}
