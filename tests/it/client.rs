//! The program's own client against its own server: each command, and its exit status.
//!
//! What it does not do: servers that misbehave (`hostile`), or `connect` (`connect`).

mod bench;
mod connect;
mod hostile;
mod program;

use nix::sys::signal::Signal;

use crate::support::server::has_ipv6;
use crate::support::{Scratch, Server, process, wait_until};
use program::{Client, names, run, run_with};

/// Every byte value, in an order that repeats at no power of two.
fn content(size: u32) -> Vec<u8> {
    (0..size).map(|at| u8::try_from(at % 251).expect("below 256")).collect()
}

#[test]
fn a_download_comes_whole_over_every_kind_of_address() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    let bytes = content(3_000_000);
    root.write("dir/big", &bytes);
    let socket = root.text("socket");
    let unix = format!("unix:{socket}");
    let server =
        Server::start(&["-l", "line@0", "-l", &format!("line@{unix}"), "-r", &root.text("")]);
    let (v4, port) = (server.v4("line").to_string(), server.v4("line").port());
    let mut addresses = vec![v4, format!("localhost:{port}"), unix];
    if has_ipv6() {
        addresses.push(format!("[::1]:{port}"));
    }
    for address in &addresses {
        run(&folder, &["download", address, "dir/big", "-o", "copy", "-f"]).expect(0, "");
        assert_eq!(std::fs::read(folder.join("copy")).expect("it is there"), bytes, "{address}");
        run(&folder, &["download", address, "dir/big", "-o", "-"]).expect(0, &bytes);
    }
    assert_eq!(names(folder.path()), ["copy"]);
}

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
fn an_existing_target_is_replaced_by_force_alone() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    root.write("a.txt", "new");
    let server = Server::line(&["-r", &root.text("")]);
    let address = server.v4("line").to_string();
    run(&folder, &["download", &address, "a.txt"]).expect(0, "");
    folder.write("client_a.txt", "old");
    run(&folder, &["download", &address, "a.txt"]).expect_failure(1, "client_a.txt: exists");
    assert_eq!(std::fs::read(folder.join("client_a.txt")).expect("it is there"), b"old");
    run(&folder, &["download", &address, "a.txt", "-f"]).expect(0, "");
    assert_eq!(std::fs::read(folder.join("client_a.txt")).expect("it is there"), b"new");
    assert_eq!(names(folder.path()), ["client_a.txt"]);
}

#[test]
fn what_cannot_be_had_or_kept_leaves_nothing() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    root.write("a.txt", "text");
    let server = Server::line(&["-r", &root.text("")]);
    let address = server.v4("line").to_string();
    let download = |file: &str, out: &str| run(&folder, &["download", &address, file, "-o", out]);
    download("nothing", "x").expect_failure(1, "no-such-file: nothing");
    download("a.txt", "no/such/folder").expect_failure(1, "No such file or directory");
    download("a.txt", ".").expect_failure(1, "is a directory");
    assert_eq!(names(folder.path()), [""; 0]);
    let gone = Server::line(&[]).v4("line").to_string();
    run(&folder, &["download", &gone, "x"]).expect_failure(4, "Connection refused");
    run(&folder, &["download", "unix:nowhere", "x"]).expect_failure(4, "unix:nowhere: No such");
}

#[test]
fn a_server_that_dies_half_way_leaves_no_file() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    let file = std::fs::File::create(root.join("huge")).expect("a file in the scratch");
    file.set_len(1 << 36).expect("holes take no room");
    let server = Server::line(&["-r", &root.text("")]);
    let client = Client::start(&folder, &["download", &server.v4("line").to_string(), "huge"]);
    let has_begun = || {
        let temporary = names(folder.path()).into_iter().find(|name| name.starts_with(".landline"));
        let size = temporary.and_then(|name| folder.join(&name).metadata().ok());
        size.is_some_and(|found| found.len() > 0)
    };
    wait_until("some of it came", has_begun);
    server.signal(Signal::SIGKILL);
    let text = client.expect_exit(5);
    assert!(text.contains("the connection ended"), "{text:?}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn output_error_output_and_status_of_a_command_are_apart() {
    let folder = Scratch::new();
    let server = Server::line(&["--run", "shell", "--run-timeout", "1"]);
    let address = server.v4("line").to_string();
    let outcome = run(&folder, &["run", &address, "echo out; echo err >&2; printf more; exit 7"]);
    outcome.expect(7, "out\nmore");
    assert_eq!(outcome.err, "err\n");
    run(&folder, &["run", &address, "--", "echo", "a  b", "c"]).expect(0, "a b c\n");
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
fn users_are_listed_in_order_of_joining() {
    let folder = Scratch::new();
    let server = Server::line(&[]);
    let address = server.v4("line").to_string();
    run(&folder, &["users", &address]).expect(0, "");
    let _bob = server.named("bob");
    let _al = server.named("al");
    run(&folder, &["users", &address]).expect(0, "bob\nal\n");
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
