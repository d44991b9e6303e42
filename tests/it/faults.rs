//! System calls that fail while commands run or lines are logged: whoever asked for something sees
//! that it went wrong, and nothing stays behind.

use nix::sys::signal::Signal;

use crate::support::shim::Shim;
use crate::support::{Server, process, wait_until};

/// A server that runs commands, and faults to come.
struct Faulty {
    shim: Shim,
    server: Server,
}

impl Faulty {
    #[track_caller]
    fn new() -> Self {
        let shim = Shim::new();
        let args = ["-l", "line@0", "--run", "shell"];
        let server = Server::start_with(shim.program(), &args);
        Self { shim, server }
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
