//! Peers that vanish: their network is gone, and nothing says so.
//!
//! The server and the peer run in a network namespace of their own, whose loopback interface is
//! taken down. The server's own commands are what gets there, over a Unix socket.

use std::process::Command;

use crate::support::server::program;
use crate::support::{Peer, Scratch, Server, wait_until};

const UNSHARE: [&str; 3] = ["--user", "--map-root-user", "--net"];

/// Perl that has the loopback interface up (1) or down (0): `SIOCSIFFLAGS` (netdevice(7)).
fn loopback(is_up: bool) -> String {
    let flags = u8::from(is_up);
    format!(
        "socket(my $s, 2, 2, 0) or die; my $f = pack(\"a16sx22\", \"lo\", {flags}); \
         ioctl($s, 0x8914, $f) or die \"$!\";"
    )
}

/// A server in a namespace of its own; `None` if there are none here.
fn secluded(socket: &str, args: &[&str]) -> Option<Server> {
    let can = Command::new("unshare").args(UNSHARE).arg("true").status();
    if !can.is_ok_and(|status| status.success()) {
        println!("skipped: no namespaces here");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(UNSHARE).args(["perl", "-e", &format!("{} exec @ARGV", loopback(true))]);
    command.arg(program().get_program());
    let unix = format!("line@unix:{socket}");
    let own = ["-l", "line@127.0.0.1:0", "-l", &unix, "--run", "shell", "--allow-run", "any"];
    Some(Server::start_with(command, &[&own, args].concat()))
}

#[test]
fn a_peer_that_vanished_gives_its_name_back() {
    let scratch = Scratch::new();
    let socket = scratch.join("socket");
    let Some(server) = secluded(&scratch.text("socket"), &["--send-timeout", "1"]) else { return };
    let port = server.v4("line").port();
    let mut bob = Peer::unix(&socket);
    bob.say(format!(
        "run exec perl -e '$| = 1; use IO::Socket; \
         my $c = IO::Socket::INET->new(\"127.0.0.1:{port}\") or die; print $c \"name bob\\n\"; \
         print scalar <$c>; sleep 1000'\n"
    ));
    assert!(bob.expect_line().starts_with("connected to "));
    let mut alice = Peer::unix(&socket);
    alice.say(format!("run perl -e '{}'\nname alice\n", loopback(false)));
    assert!(alice.expect_line().starts_with("connected to "));
    alice.say("send bob : are you there?\n");
    wait_until("the name is free", || {
        alice.say("get_list\n");
        alice.expect_line() == "users: alice"
    });
    server.expect_log("why=timeout");
}
