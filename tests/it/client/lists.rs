//! `landline users`, `files`, `stats` and `ping`, and the options that all commands share.
//!
//! What it does not do: time anything; that a figure is there is seen, not what it is.

use nix::sys::signal::Signal;

use super::program::{Client, Fake, run};
use crate::support::{Scratch, Server, json, server};

#[test]
fn users_are_listed_in_order_of_joining() {
    let folder = Scratch::new();
    let server = Server::line(&[]);
    let address = server.v4("line").to_string();
    run(&folder, &["users", &address]).expect(0, "");
    run(&folder, &["users", &address, "--json"]).expect(0, "[]\n");
    let _bob = server.named("bob");
    let _al = server.named("al");
    run(&folder, &["users", &address]).expect(0, "bob\nal\n");
    run(&folder, &["users", &address, "--json"]).expect(0, "[\"bob\",\"al\"]\n");
}

#[test]
fn files_are_listed_for_people_and_for_programs() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    root.write("d/x \"y\"", "text");
    root.write("a", "");
    let server = Server::line(&["-r", &root.text("")]);
    let address = server.v4("line").to_string();
    let mut peer = server.peer("line");
    peer.say("files\n");
    let plain = [peer.expect_line(), peer.expect_line()].map(|line| line + "\n").concat();
    run(&folder, &["files", &address]).expect(0, &plain);
    peer.say("files d\n");
    let line = peer.expect_line();
    let time = line.split(' ').nth(1).expect("a line has a time").to_owned();
    run(&folder, &["files", &address, "d"]).expect(0, line + "\n");
    let entry = |name: &str, kind: &str, size: &str, time: &str| {
        let name = name.replace('"', "\\\"");
        format!("{{\"name\":\"{name}\",\"type\":\"{kind}\",\"size\":{size},\"mtime\":\"{time}\"}}")
    };
    let expected = entry("x \"y\"", "file", "4", &time);
    run(&folder, &["files", &address, "d", "--json"]).expect(0, format!("[{expected}]\n"));
    let times: Vec<_> = plain.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    let expected =
        [entry("a", "file", "0", times[0]), entry("d", "directory", "null", times[1])].join(",\n");
    run(&folder, &["files", "--json", &address]).expect(0, format!("[{expected}]\n"));
    run(&folder, &["files", &address, "nowhere"]).expect_failure(1, "no-such-file: nowhere");
}

#[test]
fn a_long_listing_is_shown_as_it_comes() {
    const ENTRY: &str = "1 2020-12-17T20:06:53Z a-name-of-some-length-to-make-it-long-enough\n";
    let folder = Scratch::new();
    let count = 20 * (1 << 20) / ENTRY.len();
    let (address, server) = Fake::serve(move |fake| {
        fake.greet("files");
        fake.say(format!("done {}\n", count * ENTRY.len()));
        fake.say(ENTRY.repeat(count));
        fake.expect_gone();
    });
    run(&folder, &["files", &address]).expect(0, ENTRY.repeat(count));
    server.join().expect("the script ran to its end");
}

#[test]
fn counters_are_shown_for_people_and_for_programs() {
    let folder = Scratch::new();
    let server = Server::line(&[]);
    let address = server.v4("line").to_string();
    let outcome = run(&folder, &["stats", &address]);
    assert_eq!(outcome.status, Some(0), "{:?}", outcome.err);
    let text = String::from_utf8(outcome.out).expect("counters are text");
    assert!(text.lines().any(|line| line == "connections_total 1"), "{text}");
    let outcome = run(&folder, &["stats", &address, "--json"]);
    let text = String::from_utf8(outcome.out).expect("counters are text");
    let counters = json::object(text.trim_end());
    assert_eq!(counters.get("connections_total").map(String::as_str), Some("2"), "{text}");
}

#[test]
fn pings_are_told_and_what_they_come_to() {
    let folder = Scratch::new();
    let server = Server::line(&[]);
    let address = server.v4("line").to_string();
    let outcome = run(&folder, &["ping", &address, "-c", "3", "-i", "0"]);
    assert_eq!((outcome.status, outcome.err.as_str()), (Some(0), ""));
    let text = String::from_utf8(outcome.out).expect("it is text");
    let lines: Vec<_> = text.lines().collect();
    for (index, line) in lines[..3].iter().enumerate() {
        let start = format!("pong from {address}: seq={} time=", index + 1);
        let ms = line.strip_prefix(&start).and_then(|rest| rest.strip_suffix(" ms"));
        assert!(ms.is_some_and(|ms| ms.parse::<f64>().is_ok_and(|ms| ms > 0.0)), "{line}");
    }
    assert_eq!(lines[3], format!("--- {address} (station) ---"));
    assert!(lines[4].starts_with("3 sent, 3 answered in "), "{text}");
    assert!(lines[5].starts_with("min/avg/max = ") && lines[6].starts_with("p50/p90/p99 = "));
    assert_eq!(lines.len(), 7, "{text}");
    let outcome = run(&folder, &["ping", &address, "-c", "2", "-i", "0", "--json"]);
    let text = String::from_utf8(outcome.out).expect("it is text");
    let figures = json::object(text.trim_end());
    let figure = |name: &str| figures.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!([figure("address"), figure("server")], [address.as_str(), "station"]);
    assert_eq!([figure("sent"), figure("answered")], ["2", "2"]);
    for name in ["min_us", "avg_us", "max_us", "p50_us", "p90_us", "p99_us"] {
        assert!(figure(name).parse::<f64>().is_ok_and(|us| us > 0.0), "{name} in {text}");
    }
}

#[test]
fn an_interrupt_ends_pings_with_what_they_come_to() {
    let folder = Scratch::new();
    let server = Server::line(&[]);
    let address = server.v4("line").to_string();
    let mut client = Client::start(&folder, &["ping", &address]);
    assert!(client.talk.expect_line().starts_with("pong from "));
    client.signal(Signal::SIGINT);
    let text = String::from_utf8(client.talk.expect_rest()).expect("it is text");
    assert!(text.contains(" answered in "), "{text}");
    assert_eq!(client.expect_exit(0), "");
}

#[test]
fn a_server_that_stops_answering_is_told_with_what_came_before() {
    let folder = Scratch::new();
    let (address, server) = Fake::serve(|fake| {
        fake.greet("ping");
        fake.say("done 4\npong");
        fake.expect_gone();
    });
    let outcome = run(&folder, &["ping", &address, "-i", "0", "--timeout", "0.5", "-q"]);
    assert_eq!(outcome.status, Some(4), "{:?}", outcome.err);
    assert_eq!(outcome.err, "landline: gave up after 0.5 s (--timeout)\n");
    let text = String::from_utf8(outcome.out).expect("it is text");
    assert!(text.contains("\n2 sent, 1 answered in "), "{text}");
    server.join().expect("the script ran to its end");
}

#[test]
fn options_are_kept_in_a_file() {
    let folder = Scratch::new();
    let server = Server::line(&[]);
    let port = server.v4("line").port();
    let path = folder.write("options", format!("# mine\nport {port}\n-4\njson\n"));
    let kept = |args: &[&str]| {
        let mut command = server::program();
        command.args(args).env("LANDLINE_CONFIG", &path);
        let output = command.stdout(std::process::Stdio::piped()).output();
        let output = output.expect("the program starts");
        let err = String::from_utf8(output.stderr).expect("what it says is UTF-8");
        (output.status.code(), String::from_utf8(output.stdout).expect("it is text"), err)
    };
    assert_eq!(kept(&["users", "127.0.0.1"]), (Some(0), "[]\n".to_owned(), String::new()));
    let (status, _, _) = kept(&["users", "127.0.0.1", "--no-config", "-p", "1"]);
    assert_eq!(status, Some(4));
    folder.write("options", "port 1\nfrob\n");
    let (status, _, err) = kept(&["run", "127.0.0.1", "true"]);
    let expected =
        format!("landline: LANDLINE_CONFIG {}: line 2: --frob: there is", path.display());
    assert!(status == Some(255) && err.starts_with(&expected), "{err}");
}
