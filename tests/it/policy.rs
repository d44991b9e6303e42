//! Who may connect and who may run what: `--allow`, `--allow-run`, `--run FILE`.
//!
//! What it does not do: read the lists again (`lifecycle`).

use crate::support::server::{has_ipv6, run_to_end};
use crate::support::{Peer, Scratch, Server, wait_until};

#[test]
fn run_is_disabled_until_it_is_switched_on() {
    for args in [[].as_slice(), &["--run", "none"]] {
        let server = Server::line(args);
        let mut peer = server.peer("line");
        peer.say("run id\nrun\n");
        peer.expect_error("disabled");
        peer.expect_line();
        peer.expect_in_step();
    }
}

#[test]
fn a_peer_outside_allow_run_is_denied() {
    let server = Server::line(&["--run", "shell", "--allow-run", "10.0.0.0/8"]);
    let mut peer = server.peer("line");
    peer.say("run echo no\n");
    peer.expect_error("denied");
    peer.expect_in_step();
}

#[test]
fn rules_tell_the_families_apart() {
    if !has_ipv6() {
        println!("skipped: no IPv6 loopback here");
        return;
    }
    let scratch = Scratch::new();
    let socket = scratch.join("socket");
    let unix = format!("line@unix:{}", socket.display());
    let uid = format!("uid:{}", nix::unistd::getuid());
    let cases = [
        ("127.0.0.0/8", [true, false, false]),
        ("127.0.0.1", [true, false, false]),
        ("127.0.0.2/31", [false, false, false]),
        ("::1", [false, true, false]),
        ("::/0", [false, true, false]),
        ("0.0.0.0/0", [true, false, false]),
        ("unix", [false, false, true]),
        (uid.as_str(), [false, false, true]),
        ("uid:4242", [false, false, false]),
        ("any", [true, true, true]),
    ];
    for (rule, allowed) in cases {
        let server = Server::line(&["-l", &unix, "--run", "shell", "--allow-run", rule]);
        let peers = [server.peer("line"), Peer::tcp(server.v6("line")), Peer::unix(&socket)];
        for (mut peer, allowed) in peers.into_iter().zip(allowed) {
            peer.say("run echo yes\n");
            if allowed {
                peer.expect("yes\n");
            } else {
                peer.expect_error("denied");
            }
            peer.expect_in_step();
        }
    }
}

#[test]
fn loopback_and_our_own_user_may_run_by_default() {
    let scratch = Scratch::new();
    let socket = scratch.join("socket");
    let unix = format!("line@unix:{}", socket.display());
    let server = Server::line(&["-l", &unix, "--run", "shell"]);
    let mut peers = vec![server.peer("line"), Peer::unix(&socket)];
    if has_ipv6() {
        peers.push(Peer::tcp(server.v6("line")));
    }
    for mut peer in peers {
        peer.say("run echo yes\n");
        peer.expect("yes\n");
    }
}

#[test]
fn a_peer_outside_allow_is_told_so_and_closed() {
    let server = Server::line(&["--allow", "10.0.0.0/8", "--allow", "192.0.2.1"]);
    for sent in ["", "hello\n", "GET / HTTP/1.1\r\n\r\n"] {
        let mut peer = server.peer("line");
        if !sent.is_empty() {
            peer.say(sent);
        }
        peer.expect_error("denied");
        peer.expect_end();
    }
}

#[test]
fn a_peer_inside_one_of_several_rules_is_served() {
    let server = Server::line(&["--allow", "10.0.0.0/8", "--allow", "127.0.0.1"]);
    server.peer("line").expect_in_step();
    if has_ipv6() {
        let mut peer = Peer::tcp(server.v6("line"));
        peer.expect_error("denied");
        peer.expect_end();
    }
}

#[test]
fn an_allow_list_runs_exactly_what_it_says() {
    let scratch = Scratch::new();
    let list = scratch.write(
        "list",
        "hello = /bin/echo hello\n\
         greet = /bin/echo hi {1} and {2}\n\
         show = /usr/bin/printf [%s] {*}\n\
         swap = /usr/bin/printf <%s> {2} fixed {1}\n",
    );
    let server = Server::line(&["--run", &list.display().to_string()]);
    let mut peer = server.peer("line");
    let answers = [
        ("hello", "hello\n"),
        ("greet you me", "hi you and me\n"),
        ("greet   you   me", "hi you and me\n"),
        ("show a b c", "[a][b][c]"),
        ("show a;id $(id) `id` * 'x y' \"z {1}", "[a;id][$(id)][`id`][*]['x][y'][\"z][{1}]"),
        ("show -- {*} -n", "[--][{*}][-n]"),
        ("swap 1 2", "<2><fixed><1>"),
    ];
    for (command, output) in answers {
        peer.say(format!("run {command}\n"));
        peer.expect(output);
        peer.expect_in_step();
    }
    for refused in ["hello extra", "greet a b c", "nothing", "/bin/echo hi", "hello;id", "Hello"] {
        peer.say(format!("run {refused}\n"));
        peer.expect_error("denied");
    }
    for control in ["show a\x01b", "show a\x1b", "show a\rb"] {
        peer.say(format!("run {control}\n"));
        assert!(peer.expect_line().starts_with("error "), "a control character went through");
    }
    peer.say("run\n");
    peer.expect_error("bad-request");
    peer.expect_in_step();
}

#[test]
fn a_command_of_the_allow_list_that_fails_says_so() {
    let scratch = Scratch::new();
    let list = "no = /bin/false\ngone = /no/such/program\nyes = /bin/echo yes\n";
    let list = scratch.write("list", list);
    let server = Server::line(&["--run", &list.display().to_string(), "--max-runs", "1"]);
    let mut peer = server.peer("line");
    // Its place is free for the next one.
    peer.say("run no\nrun gone\nrun yes\n");
    peer.expect("error exit: status 1\n");
    assert!(peer.expect_line().starts_with("error "));
    peer.expect("yes\n");
    peer.expect_in_step();
}

#[test]
fn an_allow_list_that_cannot_be_meant_is_a_bad_option() {
    let scratch = Scratch::new();
    for content in ["relative = echo hi\n", "no equals sign\n", "empty =\n"] {
        let list = scratch.write("list", content);
        let outcome = run_to_end(&["-l", "0", "--run", &list.display().to_string()]);
        assert_eq!(outcome.status, Some(78), "{content:?}: {outcome:?}");
        assert!(outcome.log.starts_with("landline: "), "{outcome:?}");
    }
    let outcome = run_to_end(&["-l", "0", "--run", &scratch.text("missing")]);
    assert_eq!(outcome.status, Some(78), "{outcome:?}");
}

#[test]
fn a_program_of_the_list_that_cannot_be_run_is_told_in_the_log() {
    let scratch = Scratch::new();
    let text = scratch.write("text", "no program\n").display().to_string();
    let list = format!("gone = /nonexistent/program {{*}}\ntext = {text}\n");
    let list = scratch.write("commands", &list).display().to_string();
    let server = Server::line(&["--run", &list, "-q"]);
    let cases = [
        ("gone", "/nonexistent/program", 127, "No such file or directory"),
        ("text", text.as_str(), 126, "Permission denied"),
    ];
    for (name, program, status, why) in cases {
        let mut peer = server.peer("line");
        peer.say(format!("run {name}\n"));
        peer.expect(format!("error exit: status {status}\n"));
        let peer = format!(" peer={} ", peer.local_address());
        let end = format!(" program={program} why=\"{why}");
        wait_until("the log says why", || {
            let mut lines = server.log().into_iter();
            lines.any(|line| line.contains(&peer) && line.contains(&end))
        });
    }
}
