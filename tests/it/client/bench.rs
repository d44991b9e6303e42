//! `landline bench`: its figures, and what it makes of servers that do not echo.
//!
//! What it does not do: say anything about time, but that it was counted from when a line was due.

use std::collections::BTreeMap;

use super::program::{Fake, run};
use crate::support::{Scratch, Server, json};

fn figures(folder: &Scratch, args: &[&str]) -> BTreeMap<String, String> {
    let outcome = run(folder, &[&["bench", "--json"], args].concat());
    assert_eq!((outcome.status, outcome.err.as_str()), (Some(0), ""));
    json::object(&String::from_utf8(outcome.out).expect("figures are ASCII"))
}

#[track_caller]
fn number(figures: &BTreeMap<String, String>, key: &str) -> f64 {
    figures[key].parse().expect("figures are numbers")
}

#[test]
fn lines_are_counted_and_timed_at_any_depth_size_and_rate() {
    let folder = Scratch::new();
    let server = Server::start(&["-l", "line@0", "-l", "echo@0"]);
    let (line, echo) = (server.v4("line").to_string(), server.v4("echo").to_string());
    let closed = ["--connections", "3", "--depth", "16", "--seconds", "1"];
    let long = ["--connections", "2", "--depth", "2", "--size", "65536", "--seconds", "2"];
    let open = ["--connections", "2", "--rate", "500", "--seconds", "1"];
    for (address, args) in [(&line, &closed[..]), (&echo, &long[..]), (&line, &open[..])] {
        let figures = figures(&folder, &[args, &[address]].concat());
        for (option, key) in [("--connections", "connections"), ("--depth", "depth")] {
            let typed = args.iter().position(|word| *word == option).map(|at| args[at + 1]);
            assert_eq!(figures[key], typed.unwrap_or("null"));
        }
        assert!(number(&figures, "lines") > 0.0, "{figures:?}");
        let times = ["p50_us", "p99_us", "p99.9_us", "max_us"].map(|key| number(&figures, key));
        assert!(times[0] > 0.0 && times.is_sorted(), "{figures:?}");
    }
    let outcome = run(&folder, &["bench", &line, "--connections", "1", "--seconds", "0.1"]);
    assert_eq!(outcome.status, Some(0), "{}", outcome.err);
    let told = String::from_utf8(outcome.out).expect("figures are ASCII");
    let names: Vec<_> = told.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["rate", "p50", "p99", "p99.9", "max"]);
}

/// The lines that the only connection says, as it says them.
fn line(number: usize) -> String {
    format!("{:06}", number % 64).chars().cycle().take(63).collect()
}

#[test]
fn every_line_that_was_due_while_a_server_was_stuck_has_waited() {
    let folder = Scratch::new();
    let (address, server) = Fake::serve(|fake| {
        // Twenty lines are due, one each 10 ms, before the first of them is answered.
        let lines: Vec<_> = (0..20).map(line).collect();
        for line in &lines {
            fake.expect(line);
        }
        fake.say(lines.join("\n") + "\n");
        fake.echo();
    });
    let args = ["--connections", "1", "--rate", "100", "--seconds", "0.28", &address];
    let figures = figures(&folder, &args);
    server.join().expect("the script ran to its end");
    assert!(number(&figures, "max_us") >= 190_000.0, "{figures:?}");
}

#[test]
fn a_server_that_does_not_echo_is_told_from_one_that_refuses() {
    let folder = Scratch::new();
    let stranger = "the server sent back something else than was said";
    let scripts = [
        ("error busy: too many\x1b connections\n", 1, "busy: too many\u{fffd} connections"),
        ("error \n", 1, ""),
        ("another line\n", 5, stranger),
        ("00000", 5, "the server closed a connection"),
    ];
    for (script, status, text) in scripts {
        let (address, server) = Fake::serve(move |fake| {
            fake.expect(&line(0));
            fake.say(script);
            fake.half_close();
            fake.expect_gone();
        });
        let args = ["bench", &address, "--connections", "1", "--seconds", "10"];
        run(&folder, &args).expect_failure(status, text);
        server.join().expect("the script ran to its end");
    }
    let (address, server) = Fake::serve(|fake| {
        let twice = [line(0), line(1)].join("\n") + "\n";
        fake.expect(&line(0));
        fake.say(twice);
        fake.expect_gone();
    });
    let args = ["bench", &address, "--connections", "1", "--seconds", "10"];
    run(&folder, &args).expect_failure(5, "the server sent back more than was said");
    server.join().expect("the script ran to its end");
    let args = ["bench", &address, "--connections", "1", "--timeout", "0.3"];
    run(&folder, &args).expect_failure(4, "Connection refused");
}

#[test]
fn silence_ends_with_the_time_of_the_command() {
    let folder = Scratch::new();
    let (address, server) = Fake::serve(Fake::expect_gone);
    let args = ["bench", &address, "--connections", "1", "--timeout", "0.2"];
    run(&folder, &args).expect_failure(4, "gave up after 0.2 s");
    server.join().expect("the script ran to its end");
}
