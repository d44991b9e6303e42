//! What the server does without: descriptors, a log that is read, a disk that takes what it is
//! given, a configuration that can be read, a thread that fails.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::support::server::program;
use crate::support::shim::Shim;
use crate::support::{PATIENCE, Peer, Scratch, Server, process, wait_until};

#[test]
fn without_a_descriptor_a_client_is_told_to_try_again_and_later_ones_are_served() {
    let root = Scratch::new();
    root.write("f", "content");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]).arg(program().get_program());
    let args = ["-l", "line@127.0.0.1:0", "--workers", "1", "--root", &root.text("")];
    let server = Server::start_with(command, &[&args, &["--run", "shell"][..]].concat());
    let mut first = server.peer("line");
    first.expect_in_step();
    let mut others = Vec::new();
    loop {
        assert!(others.len() < 64, "all have a descriptor");
        let mut peer = server.peer("line");
        // It may be refused before or after it has spoken.
        peer.say_what_fits(b"hello\n", PATIENCE);
        let line = peer.expect_line();
        if line.starts_with("error busy: ") {
            break;
        }
        assert_eq!(line, "hello");
        others.push(peer);
    }
    server.expect_log("no descriptor is left");
    // Who is served goes on, and is told what cannot be had now.
    for request in ["download f\n", "files\n", "run echo hi\n"] {
        first.say(request);
        first.expect_error("busy");
        first.expect_in_step();
    }
    drop(others);
    server.peer("line").expect_in_step();
    first.say("download f\nrun echo hi\n");
    first.expect("contenthi\n");
}

#[test]
fn clients_that_cannot_be_accepted_keep_no_one_busy() {
    for error in ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"] {
        let (shim, fault) = (Shim::new(), format!("accept4-{error}"));
        let server = Server::start_with(shim.program(), &["-l", "line@127.0.0.1:0"]);
        let mut first = server.peer("line");
        first.expect_in_step();
        shim.begin(&fault);
        let mut waiting = server.peer("line");
        waiting.say("hello\n");
        server.expect_log("no descriptor is left");
        let mut looks = 0;
        wait_until("the server sleeps", || {
            looks = if process::is_asleep(server.pid()) { looks + 1 } else { 0 };
            looks == 20
        });
        first.expect_in_step();
        shim.end(&fault);
        waiting.expect("hello\n");
    }
}

#[test]
fn without_a_descriptor_a_command_ends_with_all_that_belongs_to_it() {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]).arg(program().get_program());
    let args = ["-l", "line@127.0.0.1:0", "--workers", "1", "--run", "shell"];
    let server = Server::start_with(command, &args);
    let mut peer = server.framed();
    peer.say("run setsid sleep 1000 & echo $!; wait\n");
    let session = peer.expect_frame().text().trim().parse().expect("a process id");
    let mut others = Vec::new();
    loop {
        assert!(others.len() < 64, "all have a descriptor");
        let mut other = server.peer("line");
        other.say_what_fits(b"hello\n", PATIENCE);
        if other.expect_line() != "hello" {
            break;
        }
        others.push(other);
    }
    // Its connection stays, so that this makes no descriptor free.
    peer.say("cancel\n");
    wait_until("its session has ended", || process::has_ended(session));
    peer.expect_fail("cancelled");
}

#[test]
fn a_configuration_that_cannot_be_read_again_leaves_all_as_it_was() {
    let scratch = Scratch::new();
    let list = scratch.write("list", "hi = /bin/echo hi\n");
    let good = format!("run = {}\nidle-timeout = 600\n", list.display());
    let config = scratch.write("config", &good);
    let server = Server::line(&["--config", &config.display().to_string()]);
    let mut peer = server.peer("line");
    let bad = ["run = shell\nnonsense = 1\n", "run = /nowhere\n", "idle-timeout = soon\n", "\0"];
    for (round, bad) in (1..).zip(bad) {
        scratch.write("config", bad);
        server.signal(Signal::SIGHUP);
        let is_kept = |line: &&String| line.contains("configuration kept as it was");
        wait_until("it is said", || server.log().iter().filter(is_kept).count() == round);
        peer.say("run hi\nrun echo no\n");
        peer.expect("hi\n");
        peer.expect_error("denied");
        server.peer("line").expect_in_step();
    }
    scratch.write("config", "run = none\n");
    server.signal(Signal::SIGHUP);
    wait_until("a good one counts", || {
        peer.say("run hi\n");
        peer.expect_line().starts_with("error disabled: ")
    });
}

/// A server on a Unix socket, which no one hears. It is killed in the end.
struct Mute(Child);

impl Mute {
    #[track_caller]
    fn start(mut command: Command, socket: &Path) -> Self {
        let listen = format!("line@unix:{}", socket.display());
        command.args(["serve", "-v", "-l", &listen, "--run", "shell"]);
        let mute = Self(command.spawn().expect("the program starts"));
        wait_until("it listens", || std::os::unix::net::UnixStream::connect(socket).is_ok());
        mute
    }

    #[track_caller]
    fn expect_stop(&mut self) {
        process::signal(&self.0, Signal::SIGTERM);
        let status = process::wait_within(&mut self.0, PATIENCE).expect("it ends");
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_log_that_nobody_reads_holds_up_nobody() {
    let scratch = Scratch::new();
    let mut command = program();
    command.stderr(Stdio::piped());
    let mut server = Mute::start(command, &scratch.join("socket"));
    // Several lines of the log each, much more than a pipe holds.
    for _ in 0..1000 {
        let mut peer = Peer::unix(&scratch.join("socket"));
        peer.say(format!("run true {}\nquit\n", "x".repeat(100)));
        peer.expect_end();
    }
    server.expect_stop();
}

#[test]
fn a_server_without_standard_error_serves() {
    for closed in ["2>&-", "0<&- 1>&- 2>&-", "2>/dev/full"] {
        let scratch = Scratch::new();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("exec \"$0\" \"$@\" {closed}")]);
        command.arg(program().get_program());
        let mut server = Mute::start(command, &scratch.join("socket"));
        let mut peer = Peer::unix(&scratch.join("socket"));
        // What a command says is not taken for the log, nor the log for what it says.
        peer.say("run echo out; echo err >&2; cat\nhello\n");
        peer.expect("out\nerr\nhello\n");
        server.expect_stop();
        peer.expect_error("stopping");
    }
}

/// A server that stores files, and faults to come.
fn storing() -> (Scratch, Shim, Server) {
    let (root, shim) = (Scratch::new(), Shim::new());
    let args = ["-l", "line@0", "--root", &root.text(""), "--upload", "replace"];
    let server = Server::start_with(shim.program(), &args);
    (root, shim, server)
}

#[test]
fn a_thread_that_fails_ends_the_process() {
    let (_root, shim, mut server) = storing();
    let mut other = server.peer("line");
    other.expect_in_step();
    shim.begin("write-lies");
    let mut peer = server.peer("line");
    peer.say("upload 4 f\ntext");
    assert_eq!(server.expect_exit().code(), Some(70));
    assert!(server.log().iter().any(|line| line.contains("a thread failed")), "{:?}", server.log());
    other.expect_error("stopping");
}

#[test]
fn a_directory_that_cannot_be_synced_is_told_though_the_file_is_there() {
    let (root, shim, server) = storing();
    shim.begin("fsync-directory-EIO");
    let (mut plain, mut framed) = (server.peer("line"), server.framed());
    plain.say("upload 4 f\ntext");
    assert!(plain.expect_error("internal").contains("it is stored"));
    plain.expect_in_step();
    assert_eq!(fs::read(root.join("f")).expect("it is there"), b"text");
    framed.say("upload 3 g\nnew");
    assert!(framed.expect_fail("internal").contains("it is stored"));
    framed.expect_in_step();
    assert_eq!(fs::read(root.join("g")).expect("it is there"), b"new");
    server.expect_log("cause=");
}

#[test]
fn a_root_that_cannot_be_written_is_told_and_nothing_is_left() {
    for fault in ["create-EROFS", "create-EACCES", "create-ENOSPC"] {
        let (root, shim, server) = storing();
        root.write("old", "old");
        shim.begin(fault);
        let (mut plain, mut framed) = (server.peer("line"), server.framed());
        for name in ["new", "old"] {
            plain.say(format!("upload 4 {name}\ntext"));
            plain.expect_error("internal");
            plain.expect_in_step();
            framed.say(format!("upload 4 {name}\ntext"));
            framed.expect_fail("internal");
            framed.expect_in_step();
        }
        plain.say("download old\n");
        plain.expect("old");
        assert_eq!(crate::support::scratch::names(root.path()), ["old"]);
    }
}
