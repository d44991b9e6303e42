//! The program's own client against its own server: each command, and its exit status.
//!
//! What it does not do: servers that misbehave (`hostile`), or `connect` (`connect`).

mod bench;
mod connect;
mod download;
mod hostile;
mod interactive;
mod lists;
mod program;
mod upload;
mod wild;

use nix::sys::signal::Signal;

use crate::support::server::has_ipv6;
use crate::support::{Scratch, Server, process, wait_until};
use program::{Client, run, run_with};

#[test]
fn a_family_can_be_asked_for() {
    if !has_ipv6() {
        return;
    }
    let folder = Scratch::new();
    let server = Server::line(&[]);
    let port = server.v4("line").port().to_string();
    run(&folder, &["users", "-4", "localhost", "-p", &port]).expect(0, "");
    run(&folder, &["users", "-6", "::1", "-p", &port]).expect(0, "");
    let only_v6 = Server::start(&["-l", "line@[::1]:0"]);
    let address = format!("localhost:{}", only_v6.v6("line").port());
    run(&folder, &["users", "-4", &address]).expect_failure(4, "127.0.0.1: Connection refused");
}

#[test]
fn output_error_output_and_status_of_a_command_are_apart() {
    let folder = Scratch::new();
    let server = Server::line(&["--run", "shell", "--run-timeout", "1"]);
    let address = server.v4("line").to_string();
    let outcome = run(&folder, &["run", &address, "echo out; echo err >&2; printf more; exit 7"]);
    outcome.expect(7, "out\nmore");
    assert_eq!(outcome.err, "err\n");
    run(&folder, &["run", &address, "--", "echo", "a  b", "c"]).expect(0, "a  b c\n");
    run(&folder, &["run", &address, "kill -KILL $$"]).expect(128 + 9, "");
    run(&folder, &["run", &address, "printf begun; exec sleep 1000"]).expect(124, "begun");
    let outcome = run(&folder, &["run", &address, "head -c 3000000 /dev/zero"]);
    outcome.expect(0, vec![0; 3_000_000]);
}

#[test]
fn a_command_that_is_refused_or_cannot_be_asked_for_is_255() {
    let folder = Scratch::new();
    let mut server = Server::line(&[]);
    let address = server.v4("line").to_string();
    run(&folder, &["run", &address, "true"]).expect_failure(255, "disabled: ");
    server.stop();
    run(&folder, &["run", &address, "true"]).expect_failure(255, "could not connect");
}

#[test]
fn an_interrupt_cancels_the_command_and_a_termination_leaves_it() {
    for (signal, status) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let folder = Scratch::new();
        let server = Server::line(&["--run", "shell"]);
        let address = server.v4("line").to_string();
        let mut client = Client::start(&folder, &["run", &address, "echo $$; exec sleep 1000"]);
        let pid = client.talk.expect_line().parse().expect("a process id");
        client.signal(signal);
        assert_eq!(client.expect_exit(status), "");
        wait_until("the command has ended", || process::has_ended(pid));
    }
}

#[test]
fn a_command_whose_reader_has_gone_is_ended() {
    let folder = Scratch::new();
    let server = Server::line(&["--run", "shell"]);
    let address = server.v4("line").to_string();
    let mut client = Client::start(&folder, &["run", &address, "echo $$; exec yes"]);
    let pid = client.talk.expect_line().parse().expect("a process id");
    client.close_talk();
    assert_eq!(client.expect_exit(128 + 13), "");
    wait_until("the command has ended", || process::has_ended(pid));
}

#[test]
fn a_message_reaches_whom_it_is_for_and_the_status_says_who_is_missing() {
    let folder = Scratch::new();
    let server = Server::line(&[]);
    let address = server.v4("line").to_string();
    let (mut al, mut bob) = (server.named("al"), server.named("bob"));
    let send = |to: &[&str]| run(&folder, &[&["send", &address, "--as", "me"], to].concat());
    send(&["--to", "al", "hi", "there"]).expect(0, "");
    al.expect_matching("####-##-## ##:##:## me (singlecasted) : hi there\n");
    send(&["--all", "x : y"]).expect(0, "");
    for peer in [&mut al, &mut bob] {
        peer.expect_matching("####-##-## ##:##:## me (broadcasted) : x : y\n");
    }
    send(&["--to", "al,zoe,bob", "two"]).expect_failure(3, "no-such-user: zoe");
    for peer in [&mut al, &mut bob] {
        peer.expect_matching("####-##-## ##:##:## me (multicasted) : two\n");
    }
    send(&["--to", "zoe", "none"]).expect_failure(1, "no-such-user: zoe");
    run(&folder, &["send", &address, "--as", "al", "--all", "x"]).expect_failure(1, "name-taken");
    bob.expect_in_step();
    al.expect_in_step();
}

#[test]
fn each_line_of_standard_input_is_a_message() {
    let folder = Scratch::new();
    let server = Server::line(&[]);
    let address = server.v4("line").to_string();
    let mut al = server.named("al");
    let lines: Vec<_> = (0..3000).map(|count| format!("line {count}\n\n")).collect();
    let input = lines.concat() + "the last";
    let args = ["send", &address, "--as", "me", "--to", "al,zoe"];
    let outcome = run_with(&folder, &args, input.as_bytes());
    outcome.expect_failure(3, "no-such-user: zoe");
    for count in 0..3000 {
        al.expect_matching("####-##-## ##:##:## me (multicasted) : line ");
        al.expect(format!("{count}\n"));
    }
    al.expect_matching("####-##-## ##:##:## me (multicasted) : the last\n");
    al.expect_in_step();
}
