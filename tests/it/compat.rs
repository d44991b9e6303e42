//! The C clients of `c-compat/` against the real program, over both families.
//!
//! What it does not do: test the clients' own corners; what they are promised by the server counts.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use nix::sys::signal::Signal;

use super::support::console::Console;
use super::support::server::{NAME, has_ipv6};
use super::support::{Peer, STAMP, Scratch, Seed, Server, process, wait_until};
use super::terminal::{self, Ended, Terminal};

/// Where the clients are, built when the first test asks.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let build = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-compat");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("c-compat");
        let mut make = Command::new("make");
        make.arg("-C").arg(source).arg(format!("BUILD={}", build.display()));
        let outcome = make.output().expect("make is installed: run tests/all.sh");
        assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
        build
    })
}

/// A client on its way to `server`; `before` and `after` are its words around host and port.
fn client(program: &str, before: &[&str], server: SocketAddr, after: &[&str]) -> Command {
    let mut command = Command::new(built().join(program));
    command.args(before).arg(server.ip().to_string()).arg(server.port().to_string()).args(after);
    command
}

/// Where `speech` listens, over each family that the machine has.
#[track_caller]
fn families(server: &Server, speech: &str) -> Vec<SocketAddr> {
    let mut addresses = vec![server.v4(speech)];
    if has_ipv6() {
        addresses.push(server.v6(speech));
    }
    addresses
}

/// A server of one service, named as the greetings expect it.
#[track_caller]
fn serve(speech: &str, args: &[&str]) -> Server {
    Server::start(&[&["-l", &format!("{speech}@0"), "--name", NAME], args].concat())
}

#[track_caller]
fn expect_output(ended: &Ended, status: i32, output: &str) {
    assert_eq!(String::from_utf8_lossy(&ended.output), output, "{}", ended.errors);
    assert_eq!(ended.status, Some(status), "{}", ended.errors);
}

#[track_caller]
fn expect_refused(ended: &Ended, code: &str) {
    let shown = String::from_utf8_lossy(&ended.output) + ended.errors.as_str();
    assert!(shown.contains(code), "expected {code}, came {shown:?}");
    assert_eq!(ended.status, Some(1), "{shown}");
}

#[test]
fn bare_hello_is_greeted_and_echoed() {
    let server = serve("hello+bare", &[]);
    for address in families(&server, "hello+bare") {
        let words = ["ada", "one", "two words", "drei"];
        let ended = terminal::run(client("bare_hello", &[], address, &words), "", || {});
        expect_output(&ended, 0, &format!("{NAME}\none\ntwo words\ndrei\n"));
    }
}

#[test]
fn bare_exec_gets_each_reply_in_one_piece() {
    let server = serve("exec+bare", &["--run", "shell"]);
    for address in families(&server, "exec+bare") {
        let commands = ["echo one", "echo two >&2", "true", "no-such-command-here", "false"];
        let ended = terminal::run(client("bare_exec", &["-l"], address, &commands), "", || {});
        expect_output(&ended, 0, "one\ntwo\nno output\nNo such command\nexit status 1\n");
        let commands = ["printf begin; head -c 65525 /dev/zero | tr '\\0' x; printf end"];
        // One send() may still arrive in two parts: the client is told how much to wait for.
        let expected = ["-n", "65533"];
        let ended = terminal::run(client("bare_exec", &expected, address, &commands), "", || {});
        expect_output(&ended, 0, &format!("begin{}end", "x".repeat(65_525)));
    }
}

#[test]
fn bare_exec_is_refused_where_commands_are_off() {
    let server = serve("exec+bare", &[]);
    for address in families(&server, "exec+bare") {
        let ended = terminal::run(client("bare_exec", &[], address, &["echo"]), "", || {});
        expect_refused(&ended, "error disabled: ");
    }
}

#[test]
fn bare_chat_passes_messages_between_all() {
    const INDENT: &str = "\t\t\t\t\t";
    let server = serve("chat+bare", &[]);
    for (address, family) in families(&server, "chat+bare").into_iter().zip(["v4", "v6"]) {
        let names = ["alice", "bob", "carol"].map(|name| format!("{name}-{family}"));
        let mut users = names.each_ref().map(|name| {
            let mut user = Terminal::open(client("bare_chat", &[], address, &[name]));
            user.peer.expect(format!("{NAME}\n"));
            user
        });
        let [alice, bob, _] = &names;
        users[0].peer.say("get_list\n");
        let list = format!("{INDENT}Available client: {}\n", names.join(" "));
        users[0].peer.expect_matching(&format!("{INDENT}{STAMP}\n{list}"));
        users[0].peer.say(format!("send {bob} : hello, bob\n"));
        let told = format!("{INDENT}{STAMP}\n{INDENT}{alice} (singlecasted) : hello, bob\n");
        users[1].peer.expect_matching(&told);
        users[1].peer.say("send all : hello, all\n");
        let told = format!("{INDENT}{STAMP}\n{INDENT}{bob} (broadcasted) : hello, all\n");
        users[0].peer.expect_matching(&told);
        users[2].peer.expect_matching(&told);
        let taken = terminal::run(client("bare_chat", &[], address, &[alice]), "", || {});
        expect_refused(&taken, "error name-taken: ");
        for mut user in users {
            user.peer.say("quit\n");
            assert_eq!(user.expect_exit(), Some(0));
        }
    }
}

#[test]
fn bare_talk_reaches_users_of_other_services() {
    let server = Server::start(&["-l", "talk+bare@0", "-l", "line@0", "--name", NAME]);
    for (address, family) in families(&server, "talk+bare").into_iter().zip(["v4", "v6"]) {
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| format!("{name}-{family}"));
        let mut watcher = server.named(&carol);
        let open = |name: &str| Terminal::open(client("bare_talk", &[], address, &[name]));
        // Nothing answers a good name: that it is known is seen from the list of users.
        let mut one = open(&alice);
        wait_for_users(&mut watcher, &[&carol, &alice]);
        let mut other = open(&bob);
        wait_for_users(&mut watcher, &[&carol, &alice, &bob]);
        one.peer.say(format!("hello, bob | {bob}\n"));
        other.peer.expect(format!("{alice}|hello, bob\n"));
        other.peer.say(format!("hello, carol|{carol}\n"));
        watcher.expect_matching(&format!("{STAMP} {bob} (singlecasted) : hello, carol\n"));
        watcher.say(format!("send {alice} : hello, alice\n"));
        one.peer.expect(format!("{carol}|hello, alice\n"));
        for user in [one, other] {
            assert_eq!(user.expect_exit(), Some(0));
        }
        wait_for_users(&mut watcher, &[&carol]);
        watcher.say("quit\n");
        watcher.expect_end();
    }
}

/// Asks for the list until these are its last users.
#[track_caller]
fn wait_for_users(watcher: &mut Peer, users: &[&str]) {
    wait_until("these users are listed", || {
        watcher.say("get_list\n");
        watcher.expect_line() == format!("users: {}", users.join(" "))
    });
}

#[test]
fn line_client_speaks_for_standard_input() {
    let server = Server::line(&["--run", "shell"]);
    for address in families(&server, "line") {
        let requests = "hello\nrun echo one; exit 3\n\nno newline at the end";
        let ended = terminal::run(client("line_client", &[], address, &[]), requests, || {});
        let replies = "hello\none\nerror exit: status 3\n\nno newline at the end";
        expect_output(&ended, 0, replies);
    }
}

#[test]
fn line_client_reaches_a_unix_socket() {
    let scratch = Scratch::new();
    let path = format!("unix:{}", scratch.text("socket"));
    let _server = Server::start(&["-l", &format!("line@{path}")]);
    let mut command = Command::new(built().join("line_client"));
    command.args([&path, "-"]);
    expect_output(&terminal::run(command, "hello\n", || {}), 0, "hello\n");
}

#[test]
fn downloads_are_whole_or_refused() {
    let scratch = Scratch::new();
    let bytes = Seed::new().bytes(2_500_001);
    scratch.write("root/some bytes", &bytes);
    scratch.write("root/nothing", "");
    let server = Server::line(&["-r", &scratch.text("root")]);
    for address in families(&server, "line") {
        let target = scratch.text("fetched");
        let calls = |file: &str| {
            [
                client("line_client", &["-d", file, "-o", &target], address, &[]),
                client("framed_download", &[], address, &[file, &target]),
            ]
        };
        for (file, content) in [("some bytes", bytes.as_slice()), ("nothing", b"")] {
            for call in calls(file) {
                expect_output(&terminal::run(call, "", || {}), 0, "");
                let fetched = fs::read(&target).expect("the client has saved the file");
                assert!(fetched == content, "{file}: {} bytes", fetched.len());
                fs::remove_file(&target).expect("a file in the scratch");
            }
        }
        for call in calls("no such") {
            expect_refused(&terminal::run(call, "", || {}), "no-such-file");
            assert!(!Path::new(&target).exists(), "a refused download leaves nothing");
        }
    }
}

#[test]
fn framed_run_keeps_both_streams_and_the_status() {
    let server = Server::line(&["--run", "shell"]);
    for address in families(&server, "line") {
        let run = |command: &str| {
            terminal::run(client("framed_run", &[], address, &[command]), "", || {})
        };
        let ended = run("echo one; echo two >&2; exit 7");
        expect_output(&ended, 7, "one\n");
        assert_eq!(ended.errors, "two\n");
        expect_output(&run("kill -KILL $$"), 128 + 9, "");
    }
}

#[test]
fn framed_run_is_refused_where_commands_are_off() {
    let server = Server::line(&[]);
    for address in families(&server, "line") {
        let ended = terminal::run(client("framed_run", &[], address, &["echo"]), "", || {});
        assert_eq!(ended.status, Some(255), "{}", ended.errors);
        assert!(ended.errors.contains("disabled"), "{}", ended.errors);
    }
}

#[test]
fn framed_chat_talks_to_users_of_other_clients() {
    let server = Server::line(&[]);
    for (address, family) in families(&server, "line").into_iter().zip(["v4", "v6"]) {
        let names = ["alice", "bob"].map(|name| format!("{name}-{family}"));
        let [alice, bob] = &names;
        let [mut one, mut two] = names.each_ref().map(|name| {
            let mut user = Terminal::open(client("framed_chat", &[], address, &[name]));
            let greeting = format!("connected to {NAME} as {name} at {STAMP}\n");
            user.peer.expect_matching(&greeting);
            user
        });
        one.peer.expect(format!("* {bob} joined\n"));
        let mut carol = server.named(&format!("carol-{family}"));
        for user in [&mut one, &mut two] {
            user.peer.expect(format!("* carol-{family} joined\n"));
        }
        one.peer
            .say(format!("send {bob} : one\nto all\nsend {bob} carol-{family} : two\nhi | x\n"));
        one.peer.expect("error no-such-user: x\n");
        for (cast, text) in [("single", "one"), ("broad", "to all"), ("multi", "two")] {
            let told = format!("{STAMP} {alice} ({cast}casted) : {text}\n");
            two.peer.expect_matching(&told);
            if cast != "single" {
                carol.expect_matching(&told);
            }
        }
        let long = "x".repeat(10_000);
        carol.say(format!("send {alice} : {long}\n"));
        carol.expect_in_step();
        let told = format!("{STAMP} carol-{family} (singlecasted) : {long}\n");
        one.peer.expect_matching(&told);
        let taken = terminal::run(client("framed_chat", &[], address, &[alice]), "", || {});
        assert_eq!(taken.status, Some(1));
        assert!(taken.errors.contains("name-taken"), "{}", taken.errors);
        two.peer.say("get_list\nquit\n");
        two.peer.expect(format!("users: {alice} {bob} carol-{family}\n"));
        assert_eq!(two.expect_exit(), Some(0));
        one.peer.expect(format!("* {bob} left\n"));
        one.peer.half_close();
        assert_eq!(one.expect_exit(), Some(0));
    }
}

#[test]
fn framed_pty_lends_its_terminal_and_takes_it_back() {
    let folder = Scratch::new();
    let server = Server::line(&["--run", "shell"]);
    let program = built().join("framed_pty");
    for address in families(&server, "line") {
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let start = |command: &str| {
            let program = program.to_str().expect("the target directory has a plain name");
            Console::start(folder.path(), program, &[&host, &port, command], (90, 20))
        };
        let command =
            "trap 'stty size' WINCH; stty size; echo $TERM; while ! read l; do :; done; exit 7";
        let mut run = start(command);
        run.expect(&["20 90", "xterm"]);
        assert!(!run.is_cooked(), "each key is the command's");
        run.resize(100, 30);
        run.expect(&["30 100"]);
        run.press("go\r");
        run.expect_exit(7);
        let run = start("echo ready; exec sleep 1000");
        run.expect(&["ready"]);
        let command = process::children(server.pid());
        run.signal(Signal::SIGTERM);
        run.expect_exit(128 + 15);
        wait_until("the command is gone", || command.iter().all(|pid| process::has_ended(*pid)));
    }
}

#[test]
fn framed_pty_types_what_comes_through_a_pipe() {
    let server = Server::line(&["--run", "shell"]);
    for address in families(&server, "line") {
        // More than is kept of it anywhere. Some of it is echoed before that is switched off.
        let input = format!("{}\n", "y".repeat(99)).repeat(20_000);
        let command = "stty -echo; head -n 20000 | wc -c; exit 3";
        let ended = terminal::run(client("framed_pty", &[], address, &[command]), &input, || {});
        assert_eq!(ended.status, Some(3), "{}", ended.errors);
        assert!(ended.output.ends_with(b"2000000\r\n"), "{} bytes", ended.output.len());
    }
}

#[test]
fn the_vectors_are_read_as_they_say() {
    let make = Command::new("make")
        .arg("-C")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("c-compat"))
        .arg(format!("BUILD={}", built().display()))
        .arg("check")
        .output();
    let make = make.expect("make is installed: run tests/all.sh");
    assert!(make.status.success(), "{}", String::from_utf8_lossy(&make.stderr));
    assert!(String::from_utf8_lossy(&make.stdout).contains(" 0 wrong\n"), "{make:?}");
}
