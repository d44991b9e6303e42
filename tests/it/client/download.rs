//! `landline download` from the real server: whole, broken, gone on with, and refused.
//!
//! What it does not do: servers that break the protocol (`hostile`).

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;

use super::program::{Client, Outcome, Relay, content, names, run};
use crate::support::server::has_ipv6;
use crate::support::{Scratch, Server, wait_until};

/// Size of a file that breaks at half, in bytes.
const SIZE: u32 = 8_000_000;
/// What is kept of the file `big`.
const KEPT: [&str; 2] = [".landline-data-client_big.part", ".landline-note-client_big.part"];

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
fn several_files_come_over_one_connection() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    for number in 0..300_u32 {
        root.write(&format!("d/{number}"), content(number * 10));
    }
    let server = Server::line(&["-r", &root.text("")]);
    let address = server.v4("line").to_string();
    let files: Vec<_> = (0..300).map(|number| format!("d/{number}")).collect();
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    fs::create_dir(folder.join("in")).expect("a directory in the scratch");
    run(&folder, &[&["download", &address, "-o", "in/"], &files[..]].concat()).expect(0, "");
    for number in 0..300_u32 {
        let came = fs::read(folder.join("in").join(number.to_string())).expect("it is there");
        assert_eq!(came, content(number * 10), "{number}");
    }
    assert_eq!(counter(&folder, &address, "connections_total"), 2, "and one for the counters");
}

#[test]
fn one_file_that_fails_does_not_keep_the_others() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    for name in ["a", "b", "c"] {
        root.write(name, name);
    }
    folder.write("client_b", "old");
    let server = Server::line(&["-r", &root.text("")]);
    let address = server.v4("line").to_string();
    let outcome = run(&folder, &["download", &address, "a", "nothing", "b", "c"]);
    outcome.expect(3, "");
    assert_eq!(
        outcome.err,
        "landline: client_b: exists already; -f replaces it\n\
         landline: no-such-file: nothing: nothing of that name is served\n"
    );
    assert_eq!(names(folder.path()), ["client_a", "client_b", "client_c"]);
    let outcome = run(&folder, &["download", &address, "a", "nothing"]);
    assert_eq!(outcome.status, Some(1), "{:?}", outcome.err);
}

/// A counter of the server's.
#[track_caller]
fn counter(folder: &Scratch, address: &str, name: &str) -> u64 {
    let outcome = run(folder, &["stats", address]);
    assert_eq!(outcome.status, Some(0), "{:?}", outcome.err);
    let text = String::from_utf8(outcome.out).expect("counters are text");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.expect("there is such a counter").parse().expect("it is a number")
}

/// Has a download with `-c` of `big` come to its half, with nothing more to come.
#[track_caller]
fn come_to_half(folder: &Scratch, server: &Server) -> Client {
    let relay = Relay::start(server.v4("line"), u64::from(SIZE) / 2);
    let client = Client::start(folder, &["download", "-c", &relay, "big"]);
    wait_until("half of it came", || {
        folder.join(KEPT[0]).metadata().is_ok_and(|found| found.len() > u64::from(SIZE) / 3)
    });
    client
}

/// A second download with `-c` gives the whole file, of which `bytes` are sent, or a little more.
#[track_caller]
fn expect_the_rest(folder: &Scratch, root: &Scratch, args: &[&str], bytes: u64) {
    let server = Server::line(&["-r", &root.text("")]);
    let address = server.v4("line").to_string();
    run(folder, &[&["download", "-c", &address, "big"], args].concat()).expect(0, "");
    let whole = fs::read(root.join("big")).expect("it is served");
    assert!(fs::read(folder.join("client_big")).expect("it is there") == whole);
    let sent = counter(folder, &address, "sent_bytes_total");
    assert!((bytes..bytes + 100_000).contains(&sent), "{sent} bytes were sent for {bytes}");
}

#[test]
fn a_download_goes_on_where_a_server_that_was_killed_left_it() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    root.write("big", content(SIZE));
    let server = Server::line(&["-r", &root.text("")]);
    let client = come_to_half(&folder, &server);
    server.signal(Signal::SIGKILL);
    let text = client.expect_exit(5);
    assert!(text.contains(" of it are kept, and --continue goes on from there"), "{text:?}");
    assert_eq!(names(folder.path()), KEPT);
    let came = folder.join(KEPT[0]).metadata().expect("it is kept").len();
    expect_the_rest(&folder, &root, &[], u64::from(SIZE) - came);
    assert_eq!(names(folder.path()), ["client_big"]);
}

#[test]
fn a_download_goes_on_where_a_client_that_was_killed_left_it() {
    for signal in [Signal::SIGKILL, Signal::SIGINT, Signal::SIGTERM] {
        let (root, folder) = (Scratch::new(), Scratch::new());
        root.write("big", content(SIZE));
        let server = Server::line(&["-r", &root.text("")]);
        let client = come_to_half(&folder, &server);
        client.signal(signal);
        client.expect_end();
        assert_eq!(names(folder.path()), KEPT, "{signal}");
        let came = folder.join(KEPT[0]).metadata().expect("it is kept").len();
        expect_the_rest(&folder, &root, &[], u64::from(SIZE) - came);
        assert_eq!(names(folder.path()), ["client_big"], "{signal}");
    }
}

#[test]
fn a_file_that_changed_meanwhile_is_fetched_anew_and_those_behind_it_come_too() {
    for (change, size) in [("its time", SIZE), ("its size", SIZE + 1), ("most of it", 1000)] {
        let (root, folder) = (Scratch::new(), Scratch::new());
        let path = root.write("big", content(SIZE));
        let server = Server::line(&["-r", &root.text("")]);
        let client = come_to_half(&folder, &server);
        client.signal(Signal::SIGTERM);
        client.expect_end();
        let past = SystemTime::now() - Duration::from_secs(100);
        fs::write(&path, &content(SIZE + 2)[1..=size as usize]).expect("a file in the scratch");
        File::open(&path).and_then(|file| file.set_modified(past)).expect("it is ours");
        let others: Vec<_> = (0..30).map(|number| format!("other{number}")).collect();
        for name in &others {
            root.write(name, content(100_000));
        }
        let others: Vec<_> = others.iter().map(String::as_str).collect();
        let address = server.v4("line").to_string();
        let args = [&["download", "-c", &address, "big"], &others[..]].concat();
        run(&folder, &args).expect(0, "");
        for name in [&["big"], &others[..]].concat() {
            let came = fs::read(folder.join(&format!("client_{name}"))).expect("it is there");
            assert!(came == fs::read(root.join(name)).expect("it is served"), "{change}: {name}");
        }
        assert_eq!(names(folder.path()).len(), 31, "{change}");
    }
}

#[test]
fn going_on_with_a_target_that_is_whole_is_done_at_once() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    let path = root.write("big", content(SIZE));
    let server = Server::line(&["-r", &root.text("")]);
    let address = server.v4("line").to_string();
    run(&folder, &["download", "-c", &address, "big"]).expect(0, "");
    let before = counter(&folder, &address, "sent_bytes_total");
    run(&folder, &["download", "-c", &address, "big"]).expect(0, "");
    let sent = counter(&folder, &address, "sent_bytes_total") - before;
    assert!(sent < 100_000, "{sent} bytes were sent for a file that is here");
    let later = SystemTime::now() + Duration::from_secs(100);
    File::open(&path).and_then(|file| file.set_modified(later)).expect("it is ours");
    root.write("small", "x");
    let outcome = run(&folder, &["download", "-c", &address, "big", "small"]);
    outcome.expect(3, "");
    assert_eq!(outcome.err, "landline: client_big: exists already; -f replaces it\n");
    assert_eq!(names(folder.path()), ["client_big", "client_small"]);
    fs::write(&path, "shorter").expect("a file in the scratch");
    run(&folder, &["download", "-c", &address, "big"]).expect_failure(1, "client_big: exists");
    run(&folder, &["download", "-c", "-f", &address, "big"]).expect(0, "");
    assert_eq!(fs::read(folder.join("client_big")).expect("it is there"), b"shorter");
}

#[test]
fn two_at_once_do_not_spoil_what_is_kept() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    root.write("big", content(SIZE));
    let server = Server::line(&["-r", &root.text("")]);
    let first = come_to_half(&folder, &server);
    let address = server.v4("line").to_string();
    let second = run(&folder, &["download", "-c", &address, "big"]);
    second.expect_failure(1, "client_big: another landline is fetching it");
    assert_eq!(names(folder.path()), KEPT);
    first.signal(Signal::SIGTERM);
    first.expect_end();
}

/// Runs `landline ARGS` where there is room for 1 MiB alone, in a mount namespace of its own, and
/// then lists what is left there. Says nothing where no file system can be mounted here.
fn run_in_little_room(args: &[&str]) -> Option<Outcome> {
    let folder = Scratch::new();
    let script = "mount -t tmpfs -o size=1m none . && cd \"$PWD\" || exit 99; \
                  \"$@\"; status=$?; ls -A; exit $status";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_landline")).args(args).current_dir(folder.path());
    let output = command.stdin(Stdio::null()).output().expect("unshare(1) is there");
    let err = String::from_utf8(output.stderr).expect("what it says is UTF-8");
    let status = output.status.code();
    if status == Some(99) || err.starts_with("unshare:") {
        println!("NOT TESTED: nothing can be mounted here: {err}");
        return None;
    }
    Some(Outcome { status, out: output.stdout, err })
}

#[test]
fn a_full_disk_leaves_no_file() {
    let root = Scratch::new();
    root.write("big", content(SIZE));
    let server = Server::line(&["-r", &root.text("")]);
    let address = server.v4("line").to_string();
    let Some(outcome) = run_in_little_room(&["download", &address, "big"]) else { return };
    outcome.expect_failure(1, "client_big: No space left on device");
    let Some(outcome) = run_in_little_room(&["download", "-c", &address, "big"]) else { return };
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.err.contains("No space left on device; "), "{:?}", outcome.err);
    assert!(outcome.err.contains(" KiB of it are kept"), "{:?}", outcome.err);
    assert_eq!(outcome.out, (KEPT.join("\n") + "\n").into_bytes());
}

#[test]
fn a_limit_on_the_size_of_files_leaves_no_file() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    root.write("big", content(SIZE));
    let server = Server::line(&["-r", &root.text("")]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 1000 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_landline")]);
    command.args(["download", &server.v4("line").to_string(), "big"]).current_dir(folder.path());
    let output = command.output().expect("sh is there");
    let err = String::from_utf8(output.stderr).expect("what it says is UTF-8");
    assert_eq!(
        (output.status.code(), err.as_str()),
        (Some(1), "landline: client_big: File too large\n")
    );
    assert_eq!(names(folder.path()), [""; 0]);
}
