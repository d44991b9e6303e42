//! The client against servers that send anything: what is random but of the right kind, and what
//! does not end.
//!
//! What it does not do: judge what is shown of a reply that happens to be right.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};

use super::program::{Fake, names};
use crate::support::{Scratch, Seed, show};

/// Every command, what it is told after the address, and replies to it that are right.
const COMMANDS: [(&[&str], &str); 15] = [
    (&["download", "x"], "file 0 size=4 mtime=9 name=x\ndata 1\naDATAdone 0\n"),
    (&["download", "x", "-c"], "file 0 size=4 mtime=9 name=x\ndata 1\naDATAdone 0\n"),
    (&["download", "x", "y"], "FILEdone 0\nfile 0 size=0\ndone 0\n"),
    (&["download", "x", "-o", "-"], "FILEEVENTdone 0\n"),
    (&["upload", "sent"], "EVENTdone 0 size=0\n"),
    (&["run", "x"], "out 3\nabcEVENTerr 3\nabcdone 0 exit=0\n"),
    (&["run", "-t", "x"], "out 3\nabcEVENTout 0\ndone 0 exit=0\n"),
    (&["send", "--as", "al", "--to", "bob", "x"], "GREETEVENTdone 0 delivered=1\n"),
    (&["users"], "EVENTdone 14\nusers: al bob\n"),
    (&["files"], "done 51\n3 2020-12-17T20:06:53Z a\n- 2020-12-17T20:06:53Z b/\n"),
    (&["files", "--json"], "done 51\n3 2020-12-17T20:06:53Z a\n- 2020-12-17T20:06:53Z b/\n"),
    (&["stats"], "done 8\na 1\nb 2\n"),
    (&["stats", "--json"], "done 8\na 1\nb 2\n"),
    (&["ping", "-c", "1"], "EVENTdone 4\npong"),
    (
        &["connect"],
        "done 5\nhellodone 0\nout 1\nadone 0 exit=0\nFILEdone 0\n\
                                   EVENTdone 0 delivered=2\ndone 0\n",
    ),
];
/// What the capitals above stand for.
const PIECES: [(&str, &str); 4] = [
    ("DATA", "data 3\nbcd"),
    ("FILE", "file 0 size=4 mtime=9 name=x\ndata 4\nabcd"),
    ("EVENT", "msg 2 from=bob cast=single at=1795000000000\nhinote 0 kind=join user=eve\n"),
    ("GREET", "done 5\nhello"),
];
/// Bytes of anonymous memory that a client may have, threads' stacks and all.
const MEMORY_BYTES: u32 = 48 << 20;
/// A handshake with all that a server can do.
const HELLO: &str = "done 0 landline=1 server=fake caps=download,run,run-in,run-pty,upload,chat\n";
/// Random servers that each command meets.
const ROUNDS: usize = 40;

/// Runs a command against a server that says this, with so much memory and no more.
fn meet(folder: &Scratch, command: &[&str], script: Script) -> Output {
    let has_requests = command == ["connect"];
    let (address, server) = Fake::serve(move |fake| {
        fake.say(script.hello);
        // A reply that comes before its request is wrong, whatever it says.
        has_requests.then(|| fake.skip_to("quit"));
        fake.say(script.replies);
        fake.half_close();
        fake.expect_gone();
    });
    let limit = format!("--data={MEMORY_BYTES}");
    let mut client = Command::new("prlimit");
    client.args([&limit, "timeout", "-s", "KILL", "30", env!("CARGO_BIN_EXE_landline")]);
    client.arg(command[0]).args(["--timeout", "20", &address]).args(&command[1..]);
    let input = folder.write("asked", "hello\nfiles\nrun x\ndownload w\nsend all : hi\nquit\n");
    let input = File::open(input).expect("it was just written");
    client.current_dir(folder.path()).env_remove("LANDLINE_CONFIG").stdin(input);
    let output = client.output().expect("prlimit and timeout are part of every system");
    server.join().expect("the script ran to its end");
    output
}

/// It ended by itself, as `CLI.md` says it may, and said why in one clean line for each failure.
fn judge(folder: &Scratch, command: &[&str], script: &[u8], output: &Output) {
    let context = || {
        let (out, err) = (show(&output.stdout), show(&output.stderr));
        format!("{command:?} {:?}\n{out}\n{err}\nby {}", output.status, show(script))
    };
    assert_eq!(output.status.signal(), None, "{}", context());
    let status = output.status.code().expect("no signal ended it");
    let is_run = command[0] == "run";
    // 3 is what only some files or recipients had.
    assert!(is_run || matches!(status, 0 | 1 | 3 | 5), "{}", context());
    // 101 is a panic, 134 an abort; a command that ended so was told by `done 0 exit=101`.
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!err.contains("panicked") && !err.contains("memory allocation"), "{}", context());
    let shows_raw = is_run || command[0] == "connect";
    let is_dirty = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t');
    if !shows_raw {
        assert!(!output.stderr.iter().any(is_dirty), "{}", context());
        assert!(std::str::from_utf8(&output.stderr).is_ok(), "{}", context());
        assert!(status == 0 || !err.is_empty(), "{}", context());
    }
    if !shows_raw && command[0] != "download" {
        assert!(!output.stdout.iter().any(is_dirty), "{}", context());
    }
    judge_files(folder, command, status, &context);
}

/// Only a download that went well leaves files, and only those that were asked for.
fn judge_files(folder: &Scratch, command: &[&str], status: i32, context: &dyn Fn() -> String) {
    let mut left = names(folder.path());
    left.retain(|name| name != "sent" && name != "asked");
    let may_keep = command.contains(&"-c");
    left.retain(|name| !may_keep || name.starts_with("client_"));
    let wanted: Vec<_> = match command[0] {
        "download" => command[1..].iter().map(|name| format!("client_{name}")).collect(),
        "connect" => vec!["client_w".to_owned()],
        _ => Vec::new(),
    };
    assert!(left.iter().all(|name| wanted.contains(name)), "{left:?} {}", context());
    let is_whole = command == ["download", "x"] && status == 0;
    assert!(!is_whole || left == ["client_x"], "{left:?} {}", context());
    let has_all = command[0] == "download" && left.len() == wanted.len();
    assert!(status == 0 || !has_all, "{left:?} {}", context());
}

/// What a server says: its answer to the handshake, and all behind it.
struct Script {
    hello: Vec<u8>,
    replies: Vec<u8>,
}

impl Script {
    fn right(replies: &str) -> Self {
        let expand = |text: String, (name, bytes): &(&str, &str)| text.replace(name, bytes);
        let replies = PIECES.iter().fold(replies.to_owned(), expand).into_bytes();
        Self { hello: HELLO.into(), replies }
    }

    fn bytes(&self) -> Vec<u8> {
        [&self.hello[..], &self.replies].concat()
    }
}

/// Does one thing wrong.
fn spoil(seed: &mut Seed, bytes: &mut Vec<u8>) {
    let at = seed.between(0, bytes.len());
    let end = at + seed.between(0, (bytes.len() - at).min(20));
    match seed.between(0, 4) {
        0 => drop(bytes.splice(at..at, piece(seed))),
        1 => drop(bytes.splice(at..end, piece(seed))),
        2 => drop(bytes.drain(at..end)),
        3 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
        _ => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << seed.between(0, 7)),
    }
}

fn pick<'a>(seed: &mut Seed, from: &[&'a str]) -> &'a str {
    from[seed.between(0, from.len() - 1)]
}

fn piece(seed: &mut Seed) -> Vec<u8> {
    if seed.between(0, 9) == 0 {
        let count = seed.between(0, 300);
        return seed.bytes(count);
    }
    let known = ["file", "data", "out", "err", "done", "fail", "msg", "note"];
    let kinds: &[&str] = if seed.between(0, 15) == 0 { &["Data", "in", ""] } else { &known };
    let payload = payload(seed);
    let length = match seed.between(0, 11) {
        0 => payload.len().saturating_add(1).to_string(),
        1 => payload.len().saturating_sub(1).to_string(),
        2 => {
            pick(seed, &["9223372036854775808", "18446744073709551616", "-1", "1048577", ""]).into()
        }
        _ => payload.len().to_string(),
    };
    let mut frame = format!("{} {length}", pick(seed, kinds)).into_bytes();
    for _ in 0..seed.between(0, 3) {
        frame.extend_from_slice(pair(seed).as_bytes());
    }
    frame.push(b'\n');
    frame.extend(payload);
    frame
}

fn payload(seed: &mut Seed) -> Vec<u8> {
    let texts = ["pong", "users: al bob\n", "3 2020-12-17T20:06:53Z a\n", "a 1\nb 2\n", "", "\n"];
    match seed.between(0, 3) {
        0 => Vec::new(),
        1 => pick(seed, &texts).into(),
        2 => [b"\x1b[2J\x07\x9b", pick(seed, &texts).as_bytes()].concat(),
        _ => {
            let count = seed.between(0, 40);
            seed.bytes(count)
        }
    }
}

fn pair(seed: &mut Seed) -> String {
    let keys = ["size", "mtime", "name", "exit", "signal", "code", "from", "cast", "at", "kind"];
    let more = ["user", "delivered", "landline", "colour", "a=", "", "%41"];
    let from: &[&str] = if seed.between(0, 15) == 0 { &more } else { &keys };
    let key = pick(seed, from);
    let values = [
        "0",
        "1",
        "3",
        "5",
        "255",
        "256",
        "18446744073709551615",
        "-1",
        "al",
        "KILL",
        "%1B%5B2J",
        "..%2F..%2Fevil",
        "%2Fetc%2Fpasswd",
        "%",
        "%zz",
        "join",
        "closing",
        "single",
        "busy",
        "",
    ];
    let separator = if seed.between(0, 15) == 0 { "  " } else { " " };
    format!("{separator}{key}={}", pick(seed, &values))
}

#[test]
fn no_bytes_harm_any_command() {
    let mut seed = Seed::new();
    for round in 0..ROUNDS {
        for (command, replies) in COMMANDS {
            let wrongs = round.min(seed.between(1, 4));
            let mut script = Script::right(replies);
            for _ in 0..wrongs {
                let is_early = command != ["connect"] && seed.between(0, 9) == 0;
                let bytes = if is_early { &mut script.hello } else { &mut script.replies };
                spoil(&mut seed, bytes);
            }
            let folder = Scratch::new();
            folder.write("sent", vec![b'x'; if wrongs == 0 { 0 } else { 70_000 }]);
            let said = script.bytes();
            let output = meet(&folder, command, script);
            judge(&folder, command, &said, &output);
            assert!(wrongs > 0 || output.status.success(), "{command:?} {output:?}");
        }
    }
}

#[test]
fn no_server_fills_the_memory_of_a_client() {
    let messages = "msg 65536 from=al cast=single at=1\n".to_owned() + &"x".repeat(65_536);
    let notes = "note 0 kind=join user=al\n".repeat(2000);
    // What is sent over and over, and how many bytes of it are too many to be kept.
    let floods = [
        ("a header", "file 0 name=".to_owned(), "x".repeat(65_536), 64 << 20),
        ("an answer", format!("done {}\n", i64::MAX), "x".repeat(65_536), 64 << 20),
        ("an error", format!("fail {} code=internal\n", i64::MAX), "x\n".repeat(32_768), 64 << 20),
        ("messages", String::new(), messages, 64 << 20),
        ("notes", String::new(), notes, 4 << 20),
    ];
    for (command, _) in COMMANDS {
        for (what, start, rest, bytes) in &floods {
            let folder = Scratch::new();
            folder.write("sent", "x");
            let rest = rest.repeat(bytes / rest.len());
            let replies = [start.as_bytes(), rest.as_bytes()].concat();
            let script = Script { hello: HELLO.into(), replies };
            let output = meet(&folder, command, script);
            judge(&folder, command, what.as_bytes(), &output);
            assert_ne!(output.status.code(), Some(0), "{command:?} {what}");
        }
    }
}
