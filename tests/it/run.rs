//! `run`: what a command gives back, and what it is given.
//!
//! What it does not do: say how a command ends before its time (`jobs`) or who may run (`policy`).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::support::server::{NAME, has_ipv6, program};
use crate::support::{Peer, Scratch, Server, process, wait_until};

fn shell() -> Server {
    Server::line(&["--run", "shell"])
}

#[test]
fn output_comes_as_it_is_and_nothing_is_added() {
    let server = shell();
    let mut peer = server.peer("line");
    peer.say(
        "run echo hello\nrun printf 'a\\nb'\nnext\nrun true\nrun printf '\\0\\377\\r'\nlast\n",
    );
    peer.expect("hello\na\nbnext\n\0");
    peer.expect(b"\xff\rlast\n");
    peer.expect_in_step();
}

#[test]
fn standard_error_comes_with_the_output_as_it_is_written() {
    let server = shell();
    let mut peer = server.peer("line");
    peer.say("run echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three\n");
    peer.expect("one\ntwo\nthree\n");
    peer.expect_in_step();
}

#[test]
fn output_is_passed_on_while_the_command_still_runs() {
    let scratch = Scratch::new();
    let server = shell();
    let mut peer = server.peer("line");
    let go = scratch.text("go");
    peer.say(format!("run echo begun; while ! test -e {go}; do sleep 0.05; done; echo ended\n"));
    peer.expect("begun\n");
    scratch.write("go", "");
    peer.expect("ended\n");
    peer.expect_in_step();
}

#[test]
fn what_is_said_while_a_command_runs_waits_and_keeps_nobody_busy() {
    let scratch = Scratch::new();
    let server = Server::line(&["--run", "shell", "--workers", "1"]);
    let mut peer = server.peer("line");
    let go = scratch.text("go");
    peer.say(format!("run echo begun; while ! test -e {go}; do sleep 0.05; done\n"));
    peer.expect("begun\n");
    peer.say("later\n");
    server.peer("line").expect_in_step();
    wait_until("the server sleeps", || process::is_asleep(server.pid()));
    scratch.write("go", "");
    peer.expect("later\n");
}

#[test]
fn a_status_other_than_zero_follows_the_output_directly() {
    let server = shell();
    let mut peer = server.peer("line");
    peer.say("run exit 3\nrun echo out; exit 255\nrun printf out; exit 1\nrun false\n");
    peer.expect("error exit: status 3\n");
    peer.expect("out\nerror exit: status 255\n");
    peer.expect("outerror exit: status 1\n");
    peer.expect("error exit: status 1\n");
    peer.expect_in_step();
}

#[test]
fn a_signal_is_told_by_its_short_name() {
    let server = shell();
    let mut peer = server.peer("line");
    for signal in ["KILL", "TERM", "HUP", "USR1", "PIPE"] {
        peer.say(format!("run printf x; kill -{signal} $$; sleep 5\n"));
        peer.expect(format!("xerror exit: signal {signal}\n"));
    }
    peer.expect_in_step();
}

#[test]
fn a_command_that_is_not_there_is_told_by_the_shell() {
    let server = shell();
    let mut peer = server.peer("line");
    peer.say("run no-such-command-here\n");
    assert!(peer.expect_line().contains("no-such-command-here"));
    peer.expect("error exit: status 127\n");
    peer.expect_in_step();
}

#[test]
fn a_silent_command_of_a_half_closed_peer_is_waited_for() {
    let server = shell();
    for (command, output) in [("sleep 0.4; echo done", "done\n"), ("sleep 0.4", ""), ("exit 2", "")]
    {
        let mut peer = server.peer("line");
        peer.say(format!("run {command}"));
        peer.half_close();
        peer.expect(output);
        if command == "exit 2" {
            peer.expect("error exit: status 2\n");
        }
        peer.expect_end();
    }
}

#[test]
fn a_command_that_closes_its_output_is_waited_for() {
    let server = shell();
    let mut peer = server.peer("line");
    peer.say("run exec >&- 2>&-; sleep 0.4; exit 7\nnext\n");
    peer.expect("error exit: status 7\nnext\n");
}

#[test]
fn standard_input_is_empty() {
    let server = shell();
    let mut peer = server.peer("line");
    peer.say("run wc -c\nnot for wc\n");
    assert_eq!(peer.expect_line().trim(), "0");
    peer.expect("not for wc\n");
}

#[test]
fn run_without_a_command_is_a_bad_request() {
    let server = shell();
    let mut peer = server.peer("line");
    peer.say("run\nrun \nrun@in cat\nrun@pty cat\n");
    for _ in 0..4 {
        peer.expect_error("bad-request");
    }
    peer.expect_in_step();
}

#[test]
fn much_output_arrives_whole() {
    let server = shell();
    let mut peer = server.peer("line");
    peer.say("run head -c 50000000 /dev/zero | tr '\\0' x; printf 'e%s' nd; exit 9\n");
    peer.expect("xxx");
    peer.skip(50_000_000 - 6);
    peer.expect("xxxenderror exit: status 9\n");
    peer.expect_in_step();
}

#[test]
fn a_broken_pipe_ends_a_command_as_in_a_shell() {
    let server = shell();
    let mut peer = server.peer("line");
    // Where SIGPIPE is ignored, `yes` complains instead of ending.
    peer.say("run yes | head -n 1\n");
    peer.expect("y\n");
    peer.expect_in_step();
}

/// Runs a request that prints the environment, and gives it.
#[track_caller]
fn environment(mut peer: Peer, request: &str) -> BTreeMap<String, String> {
    peer.say(format!("{request}\n"));
    peer.half_close();
    let text = String::from_utf8(peer.expect_rest()).expect("this environment is text");
    let pairs = text.lines().map(|line| line.split_once('=').expect("NAME=VALUE"));
    pairs.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[track_caller]
fn assert_environment(environment: &BTreeMap<String, String>, address: &str, port: Option<u16>) {
    let mut names = vec!["HOME", "LANG", "PATH", "REMOTE_ADDR", "USER"];
    if port.is_some() {
        names.insert(4, "REMOTE_PORT");
    }
    assert_eq!(environment.keys().map(String::as_str).collect::<Vec<_>>(), names);
    assert_eq!(environment["REMOTE_ADDR"], address);
    assert_eq!(environment.get("REMOTE_PORT"), port.map(|port| port.to_string()).as_ref());
    assert!(environment["PATH"].contains("/bin"), "{environment:?}");
    assert!(Path::new(&environment["HOME"]).is_absolute(), "{environment:?}");
    assert!(!environment["USER"].is_empty(), "{environment:?}");
}

#[test]
fn the_environment_is_made_from_nothing() {
    let scratch = Scratch::new();
    let list = scratch.write("list", "env = /usr/bin/env\n").display().to_string();
    let socket = scratch.join("socket");
    let unix = format!("line@unix:{}", socket.display());
    let mut command = program();
    command.env("SECRET", "of the server").env("REMOTE_ADDR", "forged").env("LC_ALL", "C");
    let args = ["-l", "line@0", "-l", &unix, "--name", NAME, "--run", &list];
    let server = Server::start_with(command, &args);
    let peer = server.peer("line");
    let port = Some(peer.local_address().port());
    assert_environment(&environment(peer, "run env"), "127.0.0.1", port);
    assert_environment(&environment(Peer::unix(&socket), "run env"), "unix", None);
    if has_ipv6() {
        let peer = Peer::tcp(server.v6("line"));
        let port = Some(peer.local_address().port());
        assert_environment(&environment(peer, "run env"), "::1", port);
    }
}

#[test]
fn a_command_stands_back_behind_the_server() {
    let own = Command::new("nice").output().expect("nice runs").stdout;
    let own: i32 = String::from_utf8(own).expect("a number").trim().parse().expect("a number");
    let server = shell();
    let mut peer = server.peer("line");
    peer.say("run nice\n");
    peer.expect(format!("{}\n", (own + 5).min(19)));
}

#[test]
fn a_shell_adds_only_its_own_to_the_environment() {
    let mut command = program();
    command.env("SECRET", "of the server");
    let args = ["-l", "line@0", "--name", NAME, "--run", "shell"];
    let server = Server::start_with(command, &args);
    let peer = server.peer("line");
    let port = Some(peer.local_address().port());
    let mut environment = environment(peer, "run env");
    for own in ["PWD", "OLDPWD", "SHLVL", "_"] {
        environment.remove(own);
    }
    assert_environment(&environment, "127.0.0.1", port);
}

#[test]
fn a_command_inherits_three_descriptors_and_no_more() {
    let server = shell();
    let others: Vec<_> = (0..20).map(|_| server.peer("line")).collect();
    let mut peer = server.peer("line");
    let mut second = server.peer("line");
    second.say("run echo on; sleep 2\n");
    second.expect("on\n");
    peer.say("run ls /proc/$$/fd\n");
    peer.expect("0\n1\n2\n");
    peer.expect_in_step();
    drop(others);
}

#[test]
fn a_command_starts_with_default_signals() {
    let server = shell();
    let mut peer = server.peer("line");
    peer.say("run grep -E '^Sig(Blk|Ign):' /proc/self/status\n");
    peer.expect("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    peer.expect_in_step();
}

#[test]
fn a_command_leads_a_process_group_of_its_own() {
    let server = shell();
    let mut peer = server.peer("line");
    peer.say("run cut -d' ' -f1,5 /proc/$$/stat; cut -d' ' -f5 /proc/self/stat\n");
    let line = peer.expect_line();
    let (pid, group) = line.split_once(' ').expect("two numbers");
    assert_eq!(pid, group, "the shell leads its group");
    peer.expect(format!("{group}\n"));
}

#[test]
fn commands_of_two_peers_run_side_by_side() {
    let scratch = Scratch::new();
    let fifo = scratch.text("fifo");
    nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let server = Server::line(&["--run", "shell", "--workers", "1"]);
    let (mut reader, mut writer) = (server.peer("line"), server.peer("line"));
    // Each waits for the other at the FIFO; one after the other would be for ever.
    reader.say(format!("run cat {fifo}\nread\n"));
    writer.say(format!("run echo through > {fifo}\nwritten\n"));
    reader.expect("through\nread\n");
    writer.expect("written\n");
}

#[test]
fn commands_that_ended_are_reaped() {
    let server = shell();
    let mut peer = server.peer("line");
    for number in 0..30 {
        peer.say(format!("run exit {}\n", number % 2));
    }
    for number in 0..30 {
        if number % 2 == 1 {
            peer.expect("error exit: status 1\n");
        }
    }
    peer.expect_in_step();
    crate::support::wait_until("no child is left", || process::children(server.pid()).is_empty());
}
