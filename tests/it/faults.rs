//! System calls that fail while commands run or lines are logged: whoever asked for something sees
//! that it went wrong, and nothing stays behind.

use nix::sys::signal::Signal;

use crate::support::shim::Shim;
use crate::support::{FramedPeer, Peer, Scratch, Server, process, wait_until};

/// A server that runs commands, and faults to come.
struct Faulty {
    shim: Shim,
    server: Server,
    scratch: Scratch,
}

impl Faulty {
    #[track_caller]
    fn new() -> Self {
        let (shim, scratch) = (Shim::new(), Scratch::new());
        let unix = format!("line@unix:{}", scratch.text("socket"));
        let args = ["-l", "line@0", "-l", "exec@0", "-l", &unix, "--run", "shell"];
        let server = Server::start_with(shim.program(), &args);
        Self { shim, server, scratch }
    }

    /// A framed peer of each family.
    #[track_caller]
    fn framed(&self) -> [FramedPeer; 2] {
        let unix = Peer::unix(&self.scratch.join("socket"));
        [self.server.framed(), FramedPeer::negotiate(unix).0]
    }

    #[track_caller]
    fn expect_no_child(&self) {
        let pid = self.server.pid();
        wait_until("its commands have ended", || process::children(pid).is_empty());
    }
}

#[test]
fn a_log_and_the_ends_of_commands_outlast_a_lack_of_memory() {
    let mut faulty = Faulty::new();
    faulty.shim.begin("poll-ENOMEM");
    let mut peer = faulty.server.peer("line");
    peer.say("run echo on; exec sleep 1000\n");
    peer.expect("on\n");
    // The log's thread, the terminator and the supervisor wait by poll(2).
    faulty.server.expect_log("echo on");
    peer.reset();
    faulty.expect_no_child();
    assert!(faulty.shim.has("poll-failed"));
    faulty.server.signal(Signal::SIGHUP);
    faulty.server.expect_log("configuration");
    assert!(!faulty.shim.has("poll-spins"), "a thread does not wait");
    faulty.shim.end("poll-ENOMEM");
    let mut peer = faulty.server.peer("line");
    peer.say("run echo later\n");
    peer.expect("later\n");
    faulty.server.expect_log("echo later");
    faulty.shim.begin("poll-ENOMEM");
    assert_eq!(faulty.server.stop().code(), Some(0));
    faulty.server.expect_log("stopped");
}

#[test]
fn a_command_whose_input_is_lost_fails_though_it_ends_well() {
    let cases = [
        ("write-pipe-ENOMEM", "run@in cat", "in 5\nhello"),
        ("write-pipe-ENOMEM", "run@in cat >&2", "in 5\nhelloeof 0\n"),
        ("write-terminal-EIO", "run@pty read x; echo got $x", "in 4\nyes\n"),
        ("tcgetattr-EIO", "run@pty cat", "eof 0\n"),
    ];
    for (fault, request, input) in cases {
        let faulty = Faulty::new();
        for mut peer in faulty.framed() {
            // What is told before the fault is passed on.
            peer.say(format!("run@in read x; echo $x\nin 3\nok\n{request}\n"));
            assert_eq!(peer.expect_reply().joined("out"), b"ok\n");
            faulty.shim.begin(fault);
            peer.say(input);
            let reply = peer.expect_reply();
            assert_eq!(reply.last.kind, "fail", "{fault}: {:?}", reply.last);
            assert_eq!(reply.last.key("code"), "internal", "{fault}");
            peer.expect_in_step();
            faulty.shim.end(fault);
        }
        faulty.expect_no_child();
        faulty.server.expect_log("a command's input could not be passed on");
    }
}

#[test]
fn a_start_that_fails_is_internal_and_its_cause_is_in_the_log() {
    let faulty = Faulty::new();
    faulty.shim.begin("open-null-EACCES");
    let mut exec = faulty.server.peer("exec");
    exec.say("echo hello\n");
    exec.expect_error("internal");
    let mut line = faulty.server.peer("line");
    line.say("run echo hello\n");
    line.expect_error("internal");
    faulty.server.expect_log("cause=\"Permission denied");
    faulty.shim.begin("posix_openpt-ENOSPC");
    let reply = faulty.server.framed().ask("run@pty echo hello");
    assert_eq!((reply.last.kind.as_str(), reply.last.key("code").as_str()), ("fail", "internal"));
    faulty.server.expect_log("cause=\"No space left on device");
    faulty.shim.end("open-null-EACCES");
    line.say("run echo hello; no-such-program\n");
    line.expect("hello\n");
}

#[test]
fn a_command_that_closed_its_input_is_none_whose_input_was_lost() {
    let faulty = Faulty::new();
    let mut peer = faulty.server.framed();
    let go = faulty.scratch.text("go");
    peer.say(format!("run@in exec <&-; echo closed; until [ -e {go} ]; do :; done; exit 3\n"));
    assert_eq!(peer.expect_own().text(), "closed\n");
    let input = format!("in 100000\n{}eof 0\n", "x".repeat(100_000));
    faulty.server.hear(&mut peer.peer, input.as_bytes());
    faulty.scratch.write("go", "");
    assert_eq!(peer.expect_done().key("exit"), "3");
}

#[test]
fn output_that_cannot_be_read_cuts_its_reply() {
    for (fault, request) in [("read-pipe-EIO", "run@in"), ("read-terminal-EIO", "run@pty")] {
        let faulty = Faulty::new();
        for mut peer in faulty.framed() {
            peer.say(format!("{request} echo on; read x; echo more; exec sleep 1000\n"));
            peer.expect_own();
            faulty.shim.begin(fault);
            peer.say("in 1\n\n");
            let came = peer.peer.expect_gone();
            let came = String::from_utf8_lossy(&came).into_owned();
            assert!(!came.contains("done "), "{fault}: {came}");
            faulty.shim.end(fault);
        }
        faulty.expect_no_child();
    }
}

#[test]
fn a_command_that_cannot_be_waited_for_cuts_its_reply() {
    for fault in ["epoll_ctl-ADD-ENOMEM", "epoll_ctl-MOD-ENOMEM", "epoll_ctl-ENOSPC"] {
        for service in ["line", "unix", "exec"] {
            let faulty = Faulty::new();
            let mut peer = match service {
                "unix" => Peer::unix(&faulty.scratch.join("socket")),
                _ => faulty.server.peer(service),
            };
            if service != "exec" {
                peer.expect_in_step();
            }
            faulty.shim.begin(fault);
            // More than the socket takes, so that it is waited for too.
            let command = "head -c 64000000 /dev/zero";
            let head = if service == "exec" { "" } else { "run " };
            peer.say(format!("{head}{command}\n"));
            peer.half_close();
            let came = peer.expect_reset();
            assert!(came.len() < 64_000_000, "{fault} {service}");
            faulty.expect_no_child();
        }
    }
}

#[test]
fn what_was_looked_at_and_cannot_be_taken_is_done_once() {
    let faulty = Faulty::new();
    let mut peer = Peer::unix(&faulty.scratch.join("socket"));
    peer.expect_in_step();
    faulty.shim.begin("recv-but-peek-ENOMEM");
    // Over a Unix socket a request is done before it is taken out of the socket.
    peer.say("once\n");
    peer.expect("once\n");
    peer.expect_error("internal");
    peer.expect_gone();
}

#[test]
fn a_lack_of_memory_is_no_leaving_of_the_peer() {
    for service in ["line", "unix"] {
        let faulty = Faulty::new();
        let mut peer = match service {
            "unix" => Peer::unix(&faulty.scratch.join("socket")),
            _ => faulty.server.peer(service),
        };
        peer.expect_in_step();
        faulty.shim.begin("recv-ENOMEM");
        peer.say("lost\n");
        peer.half_close();
        if service == "unix" {
            peer.expect_error("internal");
        }
        peer.expect_reset();
        faulty.server.expect_log("why=internal");
    }
}
