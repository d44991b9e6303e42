//! The netcats people have, each doing the four jobs: echo, download, run, messages between two.
//!
//! What it does not do: excuse a missing program; `tests/all.sh` installs them all. What each of
//! them does by itself (at the end of its input, to a line's ending) stands in the table.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::support::server::{NAME, has_ipv6};
use super::support::{STAMP, Scratch, Seed, Server, show, wait_until};
use super::terminal::{self, Terminal};

/// One program, called in one way.
struct Tool {
    /// Its words. `{host}` and `{port}` stand for the server's, `{address}` for both as one word.
    words: &'static [&'static str],
    families: Families,
    at_end: AtEnd,
    /// How the echo of a line that was given to it with `\n` comes out.
    line_end: &'static str,
    /// What it says itself before anything from the server; `{host}` as above.
    greeting: &'static str,
}

/// Which addresses a tool can use.
#[derive(PartialEq)]
enum Families {
    Both,
    V4Alone,
}

/// What a tool does at the end of its standard input.
#[derive(PartialEq)]
enum AtEnd {
    /// It shuts its sending side down and reads on.
    HalfCloses,
    /// It reads on, and the server is told nothing: a `quit` has to.
    ReadsOn,
    /// It leaves at once, whatever is still to come: its input has to be held open.
    Leaves,
}

const PLAIN: Tool = Tool {
    words: &[],
    families: Families::Both,
    at_end: AtEnd::HalfCloses,
    line_end: "\n",
    greeting: "",
};

const TOOLS: [Tool; 10] = [
    Tool { words: &["nc.openbsd", "-N", "{host}", "{port}"], ..PLAIN },
    // Debian's `nc`: without -N it never shuts down.
    Tool { words: &["nc.openbsd", "{host}", "{port}"], at_end: AtEnd::ReadsOn, ..PLAIN },
    Tool { words: &["nc.openbsd", "-N", "-C", "{host}", "{port}"], line_end: "\r\n", ..PLAIN },
    // It knows no IPv6. With `-q 0` it would drop the reply; without -q it waits for ever.
    Tool {
        words: &["nc.traditional", "{host}", "{port}"],
        families: Families::V4Alone,
        at_end: AtEnd::ReadsOn,
        ..PLAIN
    },
    Tool { words: &["ncat", "{host}", "{port}"], ..PLAIN },
    Tool { words: &["ncat", "--no-shutdown", "{host}", "{port}"], at_end: AtEnd::ReadsOn, ..PLAIN },
    Tool { words: &["busybox", "nc", "{host}", "{port}"], ..PLAIN },
    // It waits half a second after the end of its input, or as long as -t says.
    Tool { words: &["socat", "-t", "60", "-", "TCP:{address}"], ..PLAIN },
    // On a port that is not 23 it negotiates nothing, and passes lines on as they are.
    Tool {
        words: &["telnet", "{host}", "{port}"],
        at_end: AtEnd::Leaves,
        greeting: "Trying {host}...\nConnected to {host}.\nEscape character is '^]'.\n",
        ..PLAIN
    },
    // The shell keeps its own descriptor of the connection open.
    Tool {
        words: &["bash", "-c", "exec 3<>/dev/tcp/{host}/{port}; cat <&3 & cat >&3; wait"],
        at_end: AtEnd::ReadsOn,
        ..PLAIN
    },
];

impl Tool {
    fn fill(text: &str, server: SocketAddr) -> String {
        text.replace("{host}", &server.ip().to_string())
            .replace("{port}", &server.port().to_string())
            .replace("{address}", &server.to_string())
    }

    fn command(&self, server: SocketAddr) -> Command {
        let mut command = Command::new(self.words[0]);
        command.args(self.words[1..].iter().map(|word| Self::fill(word, server)));
        command
    }

    /// Starts it with its input held open, and takes its greeting off the transcript.
    #[track_caller]
    fn hold(&self, server: SocketAddr) -> Terminal {
        let mut terminal = Terminal::open(self.command(server));
        terminal.peer.expect(Self::fill(self.greeting, server));
        terminal
    }

    /// All it is told at once, then the end of its input. Gives the reply.
    #[track_caller]
    fn run(&self, server: SocketAddr, request: &str, meanwhile: impl FnOnce()) -> Vec<u8> {
        let quit = if self.at_end == AtEnd::ReadsOn { "quit\n" } else { "" };
        let ended = terminal::run(self.command(server), &format!("{request}\n{quit}"), meanwhile);
        println!("{}", ended.errors);
        ended.output
    }
}

/// Asks the server to close; the tool shows nothing more, and ends.
#[track_caller]
fn quit(mut terminal: Terminal) {
    terminal.peer.say("quit\n");
    terminal.expect_exit();
}

/// Gives each tool to `job` with each address that it can use.
#[track_caller]
fn with_each_tool(server: &Server, job: impl Fn(&Tool, SocketAddr)) {
    for tool in &TOOLS {
        job(tool, server.v4("line"));
        if tool.families == Families::Both && has_ipv6() {
            job(tool, server.v6("line"));
        }
    }
}

#[test]
fn every_netcat_is_echoed() {
    let server = Server::line(&[]);
    with_each_tool(&server, |tool, address| {
        let mut held = tool.hold(address);
        for line in ["hello", "", "  two  blanks\tand a tab ", "déjà vu ☎"] {
            held.peer.say(format!("{line}\n"));
            held.peer.expect(format!("{line}{}", tool.line_end));
        }
        quit(held);
    });
}

#[test]
fn every_netcat_downloads() {
    let scratch = Scratch::new();
    let bytes = Seed::new().bytes(3_000_001);
    scratch.write("some bytes", &bytes);
    scratch.write("some lines", "one\ntwo\n");
    let server = Server::line(&["-r", &scratch.text("")]);
    with_each_tool(&server, |tool, address| {
        if tool.at_end == AtEnd::Leaves {
            let mut held = tool.hold(address);
            held.peer.say("download some lines\n");
            held.peer.expect("one\ntwo\n");
            return quit(held);
        }
        let reply = tool.run(address, "download some bytes", || {});
        assert!(reply == bytes, "{} bytes came: {}", reply.len(), show(&reply));
    });
}

#[test]
fn every_netcat_runs_a_command_that_is_silent_at_first() {
    let server = Server::line(&["--run", "shell"]);
    with_each_tool(&server, |tool, address| {
        let scratch = Scratch::new();
        let fifo = scratch.join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).expect("the scratch takes a fifo");
        let request = format!("run cat {}; echo two >&2; exit 3", fifo.display());
        let reply = "one\ntwo\nerror exit: status 3\n";
        let speak = || {
            let mut writer = None;
            wait_until("the command reads", || {
                let options = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).clone();
                writer = options.open(&fifo).ok();
                writer.is_some()
            });
            let mut writer = writer.expect("it was waited for");
            writer.write_all(b"one\n").expect("a fifo takes a line");
        };
        if tool.at_end == AtEnd::Leaves {
            let mut held = tool.hold(address);
            held.peer.say(format!("{request}\n"));
            speak();
            held.peer.expect(reply);
            return quit(held);
        }
        let came = tool.run(address, &request, speak);
        assert_eq!(String::from_utf8_lossy(&came), reply);
    });
}

#[test]
fn every_netcat_passes_messages() {
    let server = Server::line(&[]);
    let calls = Cell::new(0);
    with_each_tool(&server, |tool, address| {
        // Names of this call's own: one may be taken still when its user has just left.
        calls.set(calls.get() + 1);
        let (alice, bob) = (format!("alice-{}", calls.get()), format!("bob-{}", calls.get()));
        let name = |user: &str| {
            let mut held = tool.hold(address);
            held.peer.take_name(user, NAME);
            held
        };
        let (mut one, mut other) = (name(&alice), name(&bob));
        one.peer.say(format!("send {bob} : hello, bob\n"));
        other.peer.expect_matching(&format!("{STAMP} {alice} (singlecasted) : hello, bob\n"));
        other.peer.say(format!("who is it? | {alice}\n"));
        one.peer.expect_matching(&format!("{STAMP} {bob} (singlecasted) : who is it?\n"));
        quit(one);
        quit(other);
    });
}

#[test]
fn netcats_that_know_unix_sockets_reach_one() {
    let scratch = Scratch::new();
    let path = scratch.text("socket");
    let _server = Server::start(&["-l", &format!("line@unix:{path}")]);
    let by_address = format!("UNIX-CONNECT:{path}");
    let calls: [&[&str]; 3] = [
        &["nc.openbsd", "-N", "-U", &path],
        &["ncat", "-U", &path],
        &["socat", "-t", "60", "-", &by_address],
    ];
    for words in calls {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        let ended = terminal::run(command, "hello\nthere", || {});
        assert_eq!(String::from_utf8_lossy(&ended.output), "hello\nthere", "{}", ended.errors);
    }
}
