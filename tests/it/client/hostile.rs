//! The client against servers that break the protocol, refuse, fall silent or mean harm.
//!
//! What it does not do: need a real server. Each one here is a few bytes of script.

use std::process::Command;

use nix::sys::signal::Signal;

use super::program::{Client, Fake, names, run, run_with};
use crate::support::{Scratch, wait_until};
use crate::terminal::Terminal;

#[test]
fn a_server_that_breaks_the_protocol_is_5_and_leaves_no_file() {
    let endless = "a".repeat(1 << 20);
    let oversized =
        format!("file 0 size=1048577\ndata 1048577\n{}done 0\n", "x".repeat((1 << 20) + 1));
    let scripts = [
        "",
        "done 0\n",
        "file 0\n",
        "data 3\nabc",
        "file 0 size=5\ndata 9223372036854775808\n",
        "file 0 size=9223372036854775807\ndata 1048577\n",
        "file 0 size=5\ndata 6\nabcdef",
        "file 0 size=5\ndata 3\nabcdone 0\n",
        "file 0 size=5\ndata 5\nab",
        "file 0 size=5\nfile 0 size=5\n",
        "file 0 size=5\nout 5\nabcde",
        "file 0 size=5\nbanana 0\n",
        "file 0 size=5 %\n",
        "file 0 size=5\nfail 9223372036854775807 code=internal\n",
        "error internal: a plain line\n",
        "\n",
        endless.as_str(),
        oversized.as_str(),
    ];
    for script in scripts {
        let folder = Scratch::new();
        let bytes = script.to_owned();
        let (address, server) = Fake::serve(move |fake| {
            fake.greet("download x");
            fake.say(bytes);
            fake.half_close();
            fake.expect_gone();
        });
        let outcome = run(&folder, &["download", &address, "x"]);
        let shown = &script[..script.len().min(60)];
        assert_eq!(outcome.status, Some(5), "{shown:?}: {:?}", outcome.err);
        outcome.expect_failure(5, "");
        assert_eq!(names(folder.path()), [""; 0], "{shown:?}");
        server.join().expect("the script ran to its end");
    }
}

#[test]
fn run_and_connect_hold_a_server_to_the_protocol_too() {
    for (command, request, status, script) in [
        ("run", "run x", 255, "done 0\n"),
        ("run", "run x", 255, "done 0 exit=256\n"),
        ("run", "run x", 255, "file 0 size=1\n"),
        ("connect", "x", 5, "file 0 size=1\n"),
        ("connect", "x", 5, "done 1\nxdone 0\n"),
        ("connect", "x", 5, "out 3\nabc"),
        ("connect", "x", 5, "done 4\nabcdnote 0 ki"),
    ] {
        let folder = Scratch::new();
        let (address, server) = Fake::serve(move |fake| {
            fake.greet(request);
            fake.say(script);
            fake.half_close();
            fake.expect_gone();
        });
        let args =
            if command == "run" { vec!["run", &address, "x"] } else { vec![command, &address] };
        let outcome = run_with(&folder, &args, b"x\n");
        assert_eq!(outcome.status, Some(status), "{command} {script:?}: {:?}", outcome.err);
        assert!(outcome.err.starts_with("landline: "), "{:?}", outcome.err);
        server.join().expect("the script ran to its end");
    }
}

#[test]
fn what_is_not_known_is_passed_over_and_events_may_stand_anywhere() {
    let folder = Scratch::new();
    let (address, server) = Fake::serve(|fake| {
        fake.expect("landline/1");
        fake.say("done 3 new=1 landline=1\nabc");
        fake.expect("download x");
        fake.say("msg 2 from=a cast=new at=1\nhifile 0 name=../../evil size=4 colour=red\n");
        fake.say("note 0 kind=unheard-of\ndata 3 k=v\nabcdata 0\n");
        fake.say("note 1 kind=join user=b\nxdata 1\nddone 2 sum=1\nok");
        fake.expect_gone();
    });
    run(&folder, &["download", &address, "x"]).expect(0, "");
    assert_eq!(std::fs::read(folder.join("client_x")).expect("it is there"), b"abcd");
    assert_eq!(names(folder.path()), ["client_x"]);
    server.join().expect("the script ran to its end");
}

#[test]
fn a_refusal_in_place_of_the_handshake_is_told_and_harmless() {
    for (script, status, text) in [
        ("error busy: try again\n", 1, "busy: try again"),
        ("error denied: \x1b[2Jno\n", 1, "denied: \u{fffd}[2Jno"),
        ("fail 3 code=version\nno.", 1, "version: no."),
        ("landline/1\n", 5, "no landline server"),
        ("done 0\n", 5, "no landline server"),
        ("", 5, "the connection ended"),
    ] {
        let folder = Scratch::new();
        let (address, server) = Fake::serve(move |fake| {
            fake.say(script);
            fake.half_close();
            fake.expect_gone();
        });
        run(&folder, &["users", &address]).expect_failure(status, text);
        server.join().expect("the script ran to its end");
    }
}

#[test]
fn a_connection_that_the_server_closes_with_a_word_is_refused() {
    let folder = Scratch::new();
    let (address, server) = Fake::serve(|fake| {
        fake.greet("get_list");
        fake.say("note 4 kind=closing code=slow\ntext");
        fake.half_close();
        fake.expect_gone();
    });
    run(&folder, &["users", &address]).expect_failure(1, "closed the connection: slow");
    server.join().expect("the script ran to its end");
}

#[test]
fn a_silent_server_is_given_up_in_time() {
    for (args, status) in [(vec!["users"], 4), (vec!["download"], 4), (vec!["run"], 255)] {
        let folder = Scratch::new();
        let (address, server) = Fake::serve(Fake::expect_gone);
        let mut args = [&args[..], &["--timeout", "0.2", &address, "x"]].concat();
        if args[0] == "users" {
            args.pop();
        }
        run(&folder, &args).expect_failure(status, "gave up after 0.2 s");
        server.join().expect("the script ran to its end");
    }
}

#[test]
fn a_signal_in_a_download_leaves_no_file() {
    for (signal, status) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let folder = Scratch::new();
        let (address, server) = Fake::serve(|fake| {
            fake.greet("download x");
            fake.say("file 0 size=9\ndata 5\nabc");
            fake.expect_gone();
        });
        let client = Client::start(&folder, &["download", &address, "x"]);
        wait_until("it has begun", || !names(folder.path()).is_empty());
        client.signal(signal);
        assert_eq!(client.expect_exit(status), "");
        assert_eq!(names(folder.path()), [""; 0]);
        server.join().expect("the script ran to its end");
    }
}

#[test]
fn a_second_interrupt_does_not_wait_for_the_server() {
    let folder = Scratch::new();
    let (told, hears) = std::sync::mpsc::channel();
    let (address, server) = Fake::serve(move |fake| {
        fake.greet("run x");
        fake.say("out 3\nabc");
        fake.expect("cancel");
        told.send(()).expect("the test listens");
        fake.expect_gone();
    });
    let mut client = Client::start(&folder, &["run", &address, "x"]);
    client.talk.expect("abc");
    client.signal(Signal::SIGINT);
    hears.recv().expect("the client took the command back");
    client.signal(Signal::SIGINT);
    assert_eq!(client.expect_exit(130), "");
    server.join().expect("the script ran to its end");
}

#[test]
fn a_reader_that_does_not_read_does_not_keep_signals_away() {
    let folder = Scratch::new();
    let (address, server) = Fake::serve(|fake| {
        fake.greet("download x");
        fake.say("file 0 size=8388608\n");
        for _ in 0..8 {
            fake.say("data 1048576\n");
            fake.say(vec![b'x'; 1 << 20]);
        }
        fake.expect_gone();
    });
    let mut client = Client::start(&folder, &["download", &address, "x", "-o", "-"]);
    client.talk.expect("x");
    client.signal(Signal::SIGTERM);
    assert_eq!(client.expect_exit(143), "");
    server.join().expect("the script ran to its end");
}

#[test]
fn text_of_a_hostile_server_cannot_drive_a_terminal() {
    let folder = Scratch::new();
    let (address, server) = Fake::serve(|fake| {
        fake.greet("x");
        fake.say("msg 4 from=a%1B%0Ab cast=single at=0\n\x1b[2J");
        fake.say("note 0 kind=join user=%1Bc\nfail 3 code=a%07\n\x1b\nb");
        fake.half_close();
        fake.expect_gone();
    });
    let outcome = run_with(&folder, &["connect", &address], b"x\n");
    assert_eq!(outcome.status, Some(0), "{:?}", outcome.err);
    let shown = String::from_utf8(outcome.out).expect("all of it was text");
    let (_, rest) = shown.split_at("1970-01-01 00:00:00".len());
    assert_eq!(
        rest,
        " a\u{fffd}\u{fffd}b (singlecasted) : \u{fffd}[2J\n* \u{fffd}c joined\n\
         error a\u{fffd}: \u{fffd}\u{fffd}b\n"
    );
    server.join().expect("the script ran to its end");
}

#[test]
fn a_reply_cannot_drive_a_terminal() {
    let (address, server) = Fake::serve(|fake| {
        fake.greet("x");
        fake.say("done 7\n\x1b[2J\u{e9}\r");
        fake.expect_gone();
    });
    let client = format!("'{}' connect {address} -q", env!("CARGO_BIN_EXE_landline"));
    let mut command = Command::new("script");
    command.args(["-qec", &client, "/dev/null"]).env("TERM", "dumb");
    let mut terminal = Terminal::open(command);
    terminal.peer.say("x\n");
    terminal.peer.expect("x\r\n\u{fffd}[2J\u{e9}\u{fffd}\r\n");
    drop(terminal);
    server.join().expect("the script ran to its end");
}

#[test]
fn users_of_a_hostile_server_are_harmless() {
    let folder = Scratch::new();
    let (address, server) = Fake::serve(|fake| {
        fake.greet("get_list");
        fake.say("done 14\nusers: a \x1b[2J\n");
        fake.expect_gone();
    });
    run(&folder, &["users", &address]).expect(0, "a\n\u{fffd}[2J\n");
    server.join().expect("the script ran to its end");
}
