//! Commands and the end of the server; and what the server inherits from its parent.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::server::program;
use crate::support::{Peer, Scratch, Server, process, wait_until};

/// A command that says into `told` that it was asked to end, and is ready.
fn polite(peer: &mut Peer, told: &str) {
    peer.say(format!(
        "run trap 'sleep 0.2; echo told >{told}; exit' TERM; echo ready; \
         while :; do sleep 0.05; done\n"
    ));
    peer.expect("ready\n");
}

#[test]
fn commands_have_their_grace_when_the_drain_ends() {
    let scratch = Scratch::new();
    let told = scratch.join("told");
    let mut server = Server::line(&["--run", "shell", "--drain", "1"]);
    let mut peers = [server.peer("line"), server.peer("line")];
    polite(&mut peers[0], &told.display().to_string());
    peers[1].say("run trap '' TERM; echo $$; while :; do sleep 0.1; done\n");
    let stubborn = peers[1].expect_line().parse().expect("a process id");
    assert_eq!(server.stop().code(), Some(0));
    assert!(told.exists(), "it was killed without being asked");
    assert!(process::has_ended(stubborn));
}

#[test]
fn commands_have_their_grace_after_a_second_signal() {
    let scratch = Scratch::new();
    let told = scratch.join("told");
    let mut server = Server::line(&["--run", "shell", "--drain", "600"]);
    let mut peer = server.peer("line");
    polite(&mut peer, &told.display().to_string());
    let mut witness = server.framed();
    server.signal(Signal::SIGTERM);
    assert_eq!(witness.expect_event().key("kind"), "shutdown");
    server.signal(Signal::SIGTERM);
    server.expect_exit();
    assert!(told.exists(), "it was killed without being asked");
}

#[test]
fn a_drain_of_zero_has_no_limit() {
    let scratch = Scratch::new();
    let go = scratch.text("go");
    let mut server = Server::line(&["--run", "shell", "--drain", "0"]);
    let mut peer = server.peer("line");
    peer.say(format!("run echo on; while ! test -e {go}; do sleep 0.05; done; echo off\n"));
    peer.expect("on\n");
    let mut witness = server.framed();
    server.signal(Signal::SIGTERM);
    assert_eq!(witness.expect_event().key("kind"), "shutdown");
    // Whoever is not busy is gone before the one who is.
    witness.peer.expect_rest();
    scratch.write("go", "");
    peer.expect("off\n");
    peer.expect_error("stopping");
    peer.expect_end();
    drop((peer, witness));
    assert_eq!(server.expect_exit().code(), Some(0));
}

#[test]
fn a_silent_command_does_not_outlive_a_server_that_is_killed() {
    let mut server = Server::line(&["--run", "shell"]);
    let mut peer = server.peer("line");
    peer.say("run echo $$; exec sleep 1000\n");
    let pid = peer.expect_line().parse().expect("a process id");
    server.signal(Signal::SIGKILL);
    server.expect_exit();
    wait_until("the command has ended", || process::has_ended(pid));
}

/// The program by way of a Perl that does `before` first.
fn after(before: &str) -> Command {
    let mut command = Command::new("perl");
    command.args(["-MPOSIX", "-e", &format!("{before}; exec @ARGV")]);
    command.arg(program().get_program());
    command
}

#[test]
fn signals_that_the_parent_ignored_or_blocked_change_nothing() {
    let args = ["-l", "line@0", "--run", "shell"];
    let ignored = "$SIG{$_} = 'IGNORE' for qw(CHLD TERM INT HUP PIPE USR1)";
    let blocked =
        "sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM, SIGCHLD, SIGINT, SIGHUP, SIGSEGV))";
    for before in [ignored, blocked] {
        let mut server = Server::start_with(after(before), &args);
        let mut peer = server.peer("line");
        peer.say("run exit 3\nrun kill -KILL $$\n");
        peer.expect("error exit: status 3\nerror exit: signal KILL\n");
        server.signal(Signal::SIGHUP);
        server.expect_log("configuration read again");
        assert_eq!(server.stop().code(), Some(0));
    }
}

#[test]
fn as_the_first_process_it_reaps_what_it_did_not_start() {
    let unshare = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let can = Command::new("unshare").args(unshare).arg("true").status();
    if !can.is_ok_and(|status| status.success()) {
        println!("skipped: no namespaces here");
        return;
    }
    let mut command = Command::new("unshare");
    command.args(unshare).arg(program().get_program());
    let server = Server::start_with(command, &["-l", "line@0", "--run", "shell"]);
    let first = process::children(server.pid())[0];
    let mut peer = server.peer("line");
    for _ in 0..20 {
        peer.say("run (setsid sleep 0.1 &) >/dev/null 2>&1; exit 3\n");
        peer.expect("error exit: status 3\n");
    }
    wait_until("no child is left", || process::children(first).is_empty());
    peer.expect_in_step();
}
