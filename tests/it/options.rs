//! Options around the service: configuration files, logs, metrics, help.
//!
//! What it does not do: look at colours or wording.

use std::process::{Command, Stdio};

use crate::support::server::{program, run_to_end};
use crate::support::{Peer, Scratch, Server, json};

#[test]
fn a_configuration_file_holds_options_and_the_command_line_wins() {
    let scratch = Scratch::new();
    let file = scratch.write(
        "landline.conf",
        "# a comment\n\n--name from-file\n--run shell\n  # another\n--max-line 100\n",
    );
    let file = file.display().to_string();
    let server = Server::start(&["-l", "line@0", "--config", &file]);
    let mut peer = server.peer("line");
    peer.take_name("bob", "from-file");
    peer.say(format!("run echo hi\n{}\n", "x".repeat(101)));
    peer.expect("hi\n");
    peer.expect_error("too-long");

    let args = ["-l", "line@0", "--name", "typed", "--run", "none", "--config", &file];
    let server = Server::start(&args);
    let mut peer = server.peer("line");
    peer.take_name("bob", "typed");
    peer.say("run echo hi\n");
    peer.expect_error("disabled");
}

#[test]
fn a_configuration_file_may_name_listeners() {
    let scratch = Scratch::new();
    let file = scratch.write("landline.conf", "--listen hello@127.0.0.1:0\n--name here\n");
    let server = Server::start(&["--config", &file.display().to_string()]);
    let mut peer = server.peer("hello");
    peer.say("me\n");
    peer.expect("here\n");
}

#[test]
fn a_configuration_that_cannot_be_meant_is_status_78() {
    let scratch = Scratch::new();
    for content in ["--nonsense\n", "stray words\n", "--workers many\n", "--log xml\n"] {
        let file = scratch.write("landline.conf", content);
        let outcome = run_to_end(&["-l", "0", "--config", &file.display().to_string()]);
        assert_eq!(outcome.status, Some(78), "{content:?}: {outcome:?}");
        assert!(outcome.log.starts_with("landline: "), "{outcome:?}");
    }
    let outcome = run_to_end(&["-l", "0", "--config", &scratch.text("missing")]);
    assert_eq!(outcome.status, Some(78), "{outcome:?}");
}

/// Runs `landline serve ARGS`, which must fail in one line that ends in `end`.
#[track_caller]
fn expect_failure(args: &[&str], status: i32, end: &str) {
    let outcome = run_to_end(args);
    assert_eq!(outcome.status, Some(status), "{args:?}: {outcome:?}");
    let line = outcome.log.trim_end_matches('\n');
    assert!(line.starts_with("landline: ") && line.ends_with(end), "{args:?}: {line:?}");
}

#[test]
fn a_listener_that_cannot_be_opened_is_told_with_what_to_do() {
    let scratch = Scratch::new();
    let server = Server::line(&[]);
    let taken = server.v4("line").to_string();
    let in_use = "Address already in use; stop what listens there, or choose another port";
    for option in ["--listen", "--metrics"] {
        let free: &[&str] = if option == "--listen" { &[] } else { &["-l", "0"] };
        let expect = |address: &str, end: &str| {
            let end = format!("{option} {address}: {end}");
            expect_failure(&[free, &[option, address]].concat(), 71, &end);
        };
        expect(&taken, in_use);
        // TEST-NET-1: it is no machine's own.
        let foreign = "Cannot assign requested address; choose an address of this machine";
        expect("192.0.2.1:5000", foreign);
        let file = format!("unix:{}", scratch.write("file", "").display());
        let other = "Address already in use; a server listens there, or it is no socket: choose \
                     another path";
        expect(&file, other);
        let nowhere = format!("unix:{}", scratch.text("nowhere/socket"));
        expect(&nowhere, "No such file or directory; make the directory first");
    }
    let end = "--metrics fd:9: the service manager passed no such socket";
    expect_failure(&["-l", "0", "--metrics", "fd:9"], 78, end);
}

#[test]
fn a_file_that_cannot_be_read_is_told_in_plain_words() {
    let scratch = Scratch::new();
    std::fs::write(scratch.join("binary"), b"\xff\xfe\x00").expect("a fresh file");
    for option in ["--run", "--config"] {
        let end = "binary: it is no text in UTF-8";
        expect_failure(&["-l", "0", option, &scratch.text("binary")], 78, end);
    }
    let end =
        "--run yes: No such file or directory; write none, shell or the path of an allow-list";
    expect_failure(&["-l", "0", "--run", "yes"], 78, end);
}

/// Gives the log something to say, some of it hostile.
fn stir(server: &Server) {
    let mut peer = server.peer("line");
    peer.say(
        b"hello\nname bo\x1b[31mb\nname bob\ndownload a\x07\"b\\c\xff\nrun echo \"\x1b]0;x\x07\"\n",
    );
    peer.expect("hello\n");
    peer.expect_error("bad-name");
    peer.expect_line();
    peer.expect_error("disabled");
    peer.expect("\x1b]0;x\x07\n");
    peer.say("run exit 3\nquit\n");
    peer.expect("error exit: status 3\n");
    peer.expect_end();
    server.peer("line").reset();
    server.peer("line").expect_in_step();
}

#[test]
fn a_json_log_is_one_object_a_line() {
    let mut server = Server::line(&["--log", "json", "-v", "--run", "shell"]);
    stir(&server);
    server.stop();
    let lines = server.log();
    let objects = lines.iter().filter(|line| !line.starts_with("listening "));
    let count = objects.map(|line| json::object(line)).filter(|object| !object.is_empty()).count();
    assert!(count > 0, "a verbose log says something: {lines:?}");
}

#[test]
fn no_line_of_the_log_holds_a_control_character() {
    let mut server = Server::line(&["-v", "--run", "shell"]);
    stir(&server);
    server.stop();
    let lines = server.log();
    assert!(lines.iter().any(|line| !line.starts_with("listening ")), "{lines:?}");
    for line in lines {
        assert!(!line.chars().any(char::is_control), "a control character in {line:?}");
    }
}

#[test]
fn a_quiet_server_says_where_it_listens_and_no_more() {
    let mut server = Server::line(&["-q", "--run", "shell"]);
    stir(&server);
    server.stop();
    for line in server.log() {
        assert!(line.starts_with("listening service=line address="), "{line:?}");
    }
}

/// Asks a metrics listener for a path; gives the head and the body.
#[track_caller]
pub(crate) fn http_get(server: &Server, path: &str) -> (String, String) {
    let mut peer = Peer::tcp(server.v4("metrics"));
    peer.say(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    let answer = String::from_utf8(peer.expect_rest()).expect("it is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_string(), body.to_string())
}

#[test]
fn metrics_are_prometheus_text() {
    let server = Server::line(&["--metrics", "127.0.0.1:0"]);
    server.peer("line").expect_in_step();
    let (head, body) = http_get(&server, "/metrics");
    assert!(head.starts_with("HTTP/1.") && head[8..].starts_with(" 200 "), "{head}");
    assert!(head.to_lowercase().contains("\r\ncontent-type: text/plain"), "{head}");
    let samples = body.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut count = 0;
    for sample in samples {
        let (name, value) = sample.rsplit_once(' ').expect("NAME VALUE");
        let name = name.split('{').next().expect("a split gives at least one piece");
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        assert!(!name.is_empty() && name.chars().all(is_name), "{sample:?}");
        value.parse::<f64>().expect("a value is a number");
        count += 1;
    }
    assert!(count > 0, "there are samples: {body}");
    assert!(body.ends_with('\n'), "the last line ends");
    for (path, status) in [
        ("/metrics?", " 200 "),
        ("/metrics?name%5B%5D=up&x", " 200 "),
        ("/elsewhere", " 404 "),
        ("/elsewhere?/metrics", " 404 "),
        ("/metrics/", " 404 "),
        ("/metricsx", " 404 "),
    ] {
        let (head, _) = http_get(&server, path);
        assert!(head.starts_with("HTTP/1.") && head[8..].starts_with(status), "{path}: {head}");
    }
    server.peer("line").expect_in_step();
}

/// Runs the program with these arguments; gives status, standard output and standard error.
fn outcome_of(args: &[&str]) -> (Option<i32>, String, String) {
    let mut command: Command = program();
    let output = command.args(args).stdout(Stdio::piped()).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program speaks UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn version_and_help_work_everywhere() {
    let (status, output, errors) = outcome_of(&["--version"]);
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    assert!(output.contains(env!("CARGO_PKG_VERSION")), "{output:?}");
    for args in [["help"].as_slice(), &["--help"], &["serve", "--help"]] {
        let (status, output, errors) = outcome_of(args);
        assert_eq!((status, errors.as_str()), (Some(0), ""), "{args:?}");
        assert!(output.contains("landline"), "{args:?}: {output:?}");
    }
    let (_, output, _) = outcome_of(&["serve", "--help"]);
    for option in ["--listen", "--root", "--run", "--allow", "--idle-timeout", "--metrics"] {
        assert!(output.contains(option), "{option} is not in the help");
    }
}

#[test]
fn a_wrong_subcommand_is_told_with_the_program_s_name() {
    let (status, output, errors) = outcome_of(&["serv"]);
    assert_ne!(status, Some(0));
    assert_eq!(output, "");
    assert!(errors.starts_with("landline: "), "{errors:?}");
}

/// Runs the program with standard output on a full disk.
#[track_caller]
fn run_full(args: &[&str]) -> std::process::Output {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let mut command = program();
    command.args(args).stdout(full).stderr(Stdio::piped());
    command.output().expect("the program starts")
}

#[test]
fn what_cannot_be_written_is_an_error() {
    for args in [
        &["--version"][..],
        &["-V"],
        &["--help"],
        &["help"],
        &["help", "serve"],
        &["serve", "--help"],
        &["serve", "--version"],
    ] {
        let output = run_full(args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {told}");
        assert_eq!(told, "landline: standard output: No space left on device\n", "{args:?}");
    }
}

#[cfg(feature = "client")]
#[test]
fn what_a_client_command_cannot_write_is_an_error() {
    let scratch = Scratch::new();
    scratch.write("f", "content");
    let server = Server::line(&["--run", "shell", "--root", &scratch.text("")]);
    let at = server.v4("line").to_string();
    for args in [
        &["files"][..],
        &["files", "--json"],
        &["users", "--json"],
        &["stats"],
        &["stats", "--json"],
        &["ping", "--count", "1"],
        &["download", "-o", "-", "f"],
        &["run", "echo hello"],
    ] {
        let (name, rest) = args.split_first().expect("a command");
        let (rest, last): (&[&str], &[&str]) = match *name {
            "download" => (&rest[..2], &rest[2..]),
            "run" => (&[], rest),
            _ => (rest, &[]),
        };
        let words = [&[*name], rest, &[&at], last].concat();
        let output = run_full(&words);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code().is_some_and(|status| status != 0), "{words:?}: {told}");
        assert!(told.contains("No space left on device"), "{words:?}: {told}");
    }
}
