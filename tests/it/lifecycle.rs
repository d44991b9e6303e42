//! Starting and stopping: listeners and where they come from, signals, the drain, the exit status.
//!
//! What it does not do: options that change what is served (`options`, `limits`, `policy`).

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;

use crate::support::server::{has_ipv6, program, run_to_end};
use crate::support::{PATIENCE, Peer, Scratch, Server, process, wait_until};

#[test]
fn a_signal_to_stop_ends_with_status_zero() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = Server::line(&[]);
        server.peer("line").expect_in_step();
        server.signal(signal);
        assert_eq!(server.expect_exit().code(), Some(0));
    }
}

#[test]
fn a_bad_option_is_status_78_and_nothing_is_opened() {
    let bad: [&[&str]; 11] = [
        &["--nonsense"],
        &["stray"],
        &["-l", "0", "-l", "nosuch@0"],
        &["-l", "0", "-l", "line+naked@0"],
        &["-l", "line@127.0.0.1:99999"],
        &["-l", "0", "--workers", "many"],
        &["-l", "0", "--max-line", "-1"],
        &["-l", "0", "--allow", "300.0.0.1"],
        &["-l", "0", "--allow", "10.0.0.0/33"],
        &["-l", "0", "--log", "xml"],
        &["-l", "0", "--name"],
    ];
    for args in bad {
        let outcome = run_to_end(args);
        assert_eq!(outcome.status, Some(78), "{args:?}: {outcome:?}");
        assert!(outcome.log.starts_with("landline: "), "{args:?}: {outcome:?}");
        assert!(!outcome.log.contains("listening "), "{args:?}: {outcome:?}");
    }
}

#[test]
fn an_address_in_use_is_status_71_and_its_owner_goes_on() {
    let server = Server::start(&["-l", "line@127.0.0.1:0"]);
    let taken = server.v4("line").to_string();
    let outcome = run_to_end(&["-l", &taken]);
    assert_eq!(outcome.status, Some(71), "{outcome:?}");
    assert!(outcome.log.contains("landline: "), "{outcome:?}");
    server.peer("line").expect_in_step();
}

#[test]
fn a_socket_of_a_living_server_is_status_71_and_stays() {
    let scratch = Scratch::new();
    let path = scratch.join("socket");
    let unix = format!("line@unix:{}", path.display());
    let mut server = Server::start(&["-l", &unix]);
    let outcome = run_to_end(&["-l", &unix]);
    assert_eq!(outcome.status, Some(71), "{outcome:?}");
    Peer::unix(&path).expect_in_step();
    assert_eq!(server.stop().code(), Some(0));
    assert!(!path.exists(), "the path is removed at exit");
}

#[test]
fn a_socket_left_behind_is_replaced_but_no_other_file_is() {
    let scratch = Scratch::new();
    let path = scratch.join("socket");
    drop(UnixListener::bind(&path).expect("a socket"));
    assert!(path.exists(), "std leaves the path behind");
    let unix = format!("line@unix:{}", path.display());
    let server = Server::start(&["-l", &unix]);
    Peer::unix(&path).expect_in_step();
    drop(server);

    let precious = scratch.write("precious", "data");
    let outcome = run_to_end(&["-l", &format!("line@unix:{}", precious.display())]);
    assert_ne!(outcome.status, Some(0), "{outcome:?}");
    assert_eq!(fs::read(&precious).expect("it is still there"), b"data");
}

/// Servers that are killed in the end.
struct Rivals(Vec<Child>);

impl Rivals {
    /// Starts `landline serve -l LISTEN` so many times at once.
    fn start(count: usize, listen: &str) -> Self {
        let start = || {
            let mut command = program();
            command.args(["serve", "-l", listen]).stderr(Stdio::null());
            command.spawn().expect("the program starts")
        };
        Self((0..count).map(|_| start()).collect())
    }

    /// How many have ended.
    fn ended(&mut self) -> usize {
        let all = self.0.iter_mut();
        all.filter_map(|child| child.try_wait().expect("it is our child")).count()
    }
}

impl Drop for Rivals {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

#[test]
fn of_servers_that_start_at_once_on_a_socket_left_behind_one_gets_it() {
    const RIVALS: usize = 12;
    let scratch = Scratch::new();
    let path = scratch.join("socket");
    let unix = format!("line@unix:{}", path.display());
    for _ in 0..10 {
        drop(fs::remove_file(&path));
        drop(UnixListener::bind(&path).expect("a socket"));
        let mut rivals = Rivals::start(RIVALS, &unix);
        wait_until("all but one have ended", || rivals.ended() == RIVALS - 1);
        Peer::unix(&path).expect_in_step();
        assert_eq!(rivals.ended(), RIVALS - 1, "the one goes on");
    }
}

#[test]
fn a_socket_that_another_server_took_over_is_left_to_it() {
    let scratch = Scratch::new();
    let path = scratch.join("socket");
    let unix = format!("line@unix:{}", path.display());
    let mut old = Server::start(&["-l", &unix, "--run", "shell", "--drain", "600"]);
    let mut peer = Peer::unix(&path);
    let go = scratch.text("go");
    peer.say(format!("run echo on; while ! test -e {go}; do sleep 0.05; done\n"));
    peer.expect("on\n");
    old.signal(Signal::SIGTERM);
    // While the old one finishes what is in progress, the new one starts.
    old.expect_log("stopping");
    wait_until("the old one listens no more", || UnixStream::connect(&path).is_err());
    let _new = Server::start(&["-l", &unix]);
    scratch.write("go", "");
    peer.expect_error("stopping");
    drop(peer);
    assert_eq!(old.expect_exit().code(), Some(0));
    Peer::unix(&path).expect_in_step();
}

#[test]
fn one_free_port_serves_both_families() {
    if !has_ipv6() {
        println!("skipped: no IPv6 loopback here");
        return;
    }
    let server = Server::start(&["-l", "line@0", "-l", "hello@:0"]);
    for (speech, four, six) in [("line", "127.0.0.1", "[::1]"), ("hello", "0.0.0.0", "[::]")] {
        let port = server.v4(speech).port();
        assert_ne!(port, 0);
        let mut expected = [format!("{four}:{port}"), format!("{six}:{port}")];
        let mut addresses = server.addresses(speech);
        expected.sort();
        addresses.sort();
        assert_eq!(addresses, expected);
    }
    server.peer("line").expect_in_step();
    Peer::tcp(server.v6("line")).expect_in_step();
    for address in [server.v4("hello"), server.v6("hello")] {
        let mut peer = Peer::tcp(address);
        peer.say("me\nhi\n");
        peer.expect_line();
        peer.expect("hi\n");
    }
}

#[test]
fn an_address_names_one_family_alone() {
    if !has_ipv6() {
        println!("skipped: no IPv6 loopback here");
        return;
    }
    for (listen, other) in
        [("[::1]:0", "127.0.0.1"), ("127.0.0.1:0", "::1"), ("[::]:0", "127.0.0.1")]
    {
        let server = Server::start(&["-l", listen]);
        let addresses = server.addresses("line");
        assert_eq!(addresses.len(), 1, "{addresses:?}");
        let port = addresses[0].rsplit_once(':').expect("HOST:PORT").1.parse::<u16>();
        let refused = TcpStream::connect((other, port.expect("a port")));
        assert!(refused.is_err(), "{listen} answers {other} too");
    }
}

#[test]
fn many_listeners_speak_each_its_own() {
    let server = Server::start(&[
        "-l",
        "echo@0",
        "--listen",
        "hello+bare@127.0.0.1:0",
        "-l",
        "127.0.0.1:0",
        "-l",
        "line@127.0.0.1:0",
    ]);
    assert_eq!(server.addresses("line").len(), 2, "without a service it is line");
    assert_eq!(server.addresses("hello+bare").len(), 1);
    let mut peer = server.peer("echo");
    peer.say("ping");
    peer.expect("ping");
    server.peer("line").expect_in_step();
}

#[test]
fn a_stopping_server_tells_everyone_and_closes() {
    let mut server = Server::line(&[]);
    let mut plain = server.peer("line");
    plain.expect_in_step();
    let mut named = server.named("bob");
    let mut framed = server.framed();
    server.signal(Signal::SIGTERM);
    for peer in [&mut plain, &mut named] {
        peer.expect_error("stopping");
        peer.expect_end();
    }
    let note = framed.expect_event();
    assert_eq!((note.kind.as_str(), note.key("kind").as_str()), ("note", "shutdown"));
    // What else it is told before the end is left open; it does end.
    framed.peer.expect_rest();
    drop((plain, named, framed));
    assert_eq!(server.expect_exit().code(), Some(0));
}

#[test]
fn a_reply_in_progress_is_finished_before_the_end() {
    let scratch = Scratch::new();
    scratch.write("f", "f".repeat(16 << 20));
    let mut server = Server::line(&["--run", "shell", "--root", &scratch.text("")]);
    let address = server.v4("line");
    let mut runner = server.peer("line");
    let go = scratch.text("go");
    runner.say(format!("run echo on; while ! test -e {go}; do sleep 0.05; done; echo off\n"));
    runner.expect("on\n");
    let mut loader = Peer::narrow(address);
    loader.say("download f\n");
    loader.expect("ffff");
    let mut idle = server.peer("line");
    idle.expect_in_step();
    server.signal(Signal::SIGTERM);
    idle.expect_error("stopping");
    wait_until("nobody is let in any more", || TcpStream::connect(address).is_err());
    scratch.write("go", "");
    runner.expect("off\n");
    runner.expect_error("stopping");
    runner.expect_end();
    loader.widen();
    loader.skip((16 << 20) - 4);
    loader.expect_error("stopping");
    loader.expect_end();
    drop((idle, runner, loader));
    assert_eq!(server.expect_exit().code(), Some(0));
}

#[test]
fn the_drain_has_an_end() {
    let mut server = Server::line(&["--run", "shell", "--drain", "1"]);
    let mut peer = server.peer("line");
    peer.say("run echo $$; exec sleep 100\n");
    let pid = peer.expect_line().parse().expect("a process id");
    assert_eq!(server.stop().code(), Some(0));
    wait_until("its command does not outlive the server", || process::has_ended(pid));
    peer.expect_gone();
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut server = Server::line(&["--run", "shell", "--drain", "600"]);
    let mut peer = server.peer("line");
    peer.say("run echo $$; exec sleep 100\n");
    let pid = peer.expect_line().parse().expect("a process id");
    let mut witness = server.framed();
    server.signal(Signal::SIGTERM);
    // Two signals at once would be one; the first must have been heard.
    assert_eq!(witness.expect_event().key("kind"), "shutdown");
    server.signal(Signal::SIGTERM);
    server.expect_exit();
    wait_until("its command has ended too", || process::has_ended(pid));
}

#[test]
fn a_hangup_reads_the_allow_list_again() {
    let scratch = Scratch::new();
    let list = scratch.write("list", "old = /bin/echo old\n");
    let server = Server::line(&["--run", &list.display().to_string()]);
    let mut peer = server.peer("line");
    peer.say("run old\nrun new\n");
    peer.expect("old\n");
    peer.expect_error("denied");
    scratch.write("list", "new = /bin/echo new\n");
    server.signal(Signal::SIGHUP);
    wait_until("the new list counts", || {
        peer.say("run new\n");
        let line = peer.expect_line();
        assert!(line == "new" || line.starts_with("error denied: "), "{line:?}");
        line == "new"
    });
    peer.say("run old\n");
    peer.expect_error("denied");
    peer.expect_in_step();
}

/// Says that a test is over, also if it fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_reload_counts_for_every_request_after_its_first_sign() {
    const WORKERS: usize = 4;
    let scratch = Scratch::new();
    let write = |may_run: bool| {
        let from = if may_run { "any" } else { "uid:12345" };
        scratch.write("config", format!("workers {WORKERS}\nrun shell\nallow-run {from}\n"))
    };
    let config = write(true);
    let server = Server::line(&["--config", &config.display().to_string()]);
    // Each worker has one of them, and something to do all the time.
    let mut peers: Vec<_> = (0..WORKERS).map(|_| server.peer("line")).collect();
    peers.iter_mut().for_each(Peer::expect_in_step);
    let is_over = AtomicBool::new(false);
    let flood = "x\n".repeat(16 << 10);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            let (mut busy, flood, is_over) = (server.peer("line"), &flood, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    busy.say(flood);
                    busy.expect(flood);
                }
            });
        }
        let _over = Over(&is_over);
        for round in 0..40 {
            let (first, may_run) = (round % WORKERS, round % 2 == 1);
            write(may_run);
            server.signal(Signal::SIGHUP);
            let is_running = |peer: &mut Peer| {
                peer.say("run echo on\n");
                let line = peer.expect_line();
                assert!(line == "on" || line.starts_with("error denied: "), "{line:?}");
                line == "on"
            };
            // At once, so that others may not have been told yet.
            let mut tries = 0;
            while is_running(&mut peers[first]) != may_run {
                tries += 1;
                assert!(tries < 1_000_000, "waited in vain for the new settings");
            }
            for peer in &mut peers {
                assert_eq!(is_running(peer), may_run, "round {round}");
            }
            assert_eq!(is_running(&mut server.peer("line")), may_run, "a new one, round {round}");
        }
    });
}

/// A command that passes `listener` on as descriptor 3, as a service manager does.
fn activated(listener: OwnedFd, names: &str) -> Command {
    let script = format!(
        "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={names} exec \"$0\" \"$@\""
    );
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script]).arg(program().get_program()).stdin(listener);
    command
}

#[test]
fn a_socket_can_be_passed_by_the_service_manager() {
    for (listen, speech) in [("line@fd:3", "line"), ("line+bare@fd:web", "line+bare")] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let mut server = Server::start_with(activated(listener.into(), "web"), &["-l", listen]);
        assert_eq!(server.v4(speech), address);
        Peer::tcp(address).expect_in_step();
        assert_eq!(server.stop().code(), Some(0));
    }
}

#[test]
fn a_passed_unix_socket_is_not_removed_at_exit() {
    let scratch = Scratch::new();
    let path = scratch.join("socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    let mut server = Server::start_with(activated(listener.into(), "web"), &["-l", "line@fd:3"]);
    Peer::unix(&path).expect_in_step();
    assert_eq!(server.stop().code(), Some(0));
    assert!(path.exists(), "the path is the service manager's");
}

#[test]
fn a_passed_socket_is_not_handed_on_to_commands() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let command = activated(listener.into(), "web");
    let server = Server::start_with(command, &["-l", "line@fd:3", "--run", "shell"]);
    let mut peer = server.peer("line");
    peer.say("run ls /proc/$$/fd; echo \"$LISTEN_FDS\"\n");
    peer.expect("0\n1\n2\n\n");
}

#[test]
fn the_service_manager_is_told_of_start_and_stop() {
    let scratch = Scratch::new();
    let path = scratch.join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("sockets take time-outs");
    let mut command = program();
    command.env("NOTIFY_SOCKET", &path);
    let mut server = Server::start_with(command, &["-l", "0"]);
    let expect = |wanted: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length = manager.recv(&mut buffer).expect("the manager is told in time");
            let text = std::str::from_utf8(&buffer[..length]).expect("it is text");
            if text.lines().any(|line| line == wanted) {
                return;
            }
        }
    };
    expect("READY=1");
    server.signal(Signal::SIGTERM);
    expect("STOPPING=1");
    assert_eq!(server.expect_exit().code(), Some(0));
}
