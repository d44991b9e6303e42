//! The program as a child process that serves: where it listens, what it logs, how it ends.
//!
//! What it does not do: know the program's options. What a test passes is what the program gets.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::framed::Frame;
use super::{FramedPeer, PATIENCE, Peer, process};

/// The name that `Server::line` gives the server.
pub(crate) const NAME: &str = "station";

/// A running server, stopped when dropped.
pub(crate) struct Server {
    child: Child,
    log: Arc<Log>,
    listeners: Vec<Listener>,
}

/// One listening socket, as the server's own line tells it.
#[derive(Clone, Debug)]
struct Listener {
    speech: String,
    address: String,
}

/// A program that ended by itself.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Its exit status; None where a signal ended it.
    pub(crate) status: Option<i32>,
    /// All it wrote to standard error.
    pub(crate) log: String,
}

/// The program, ready to be given arguments, with nothing on standard input and output.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landline"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    for inherited in ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
        command.env_remove(inherited);
    }
    command
}

/// Runs `landline serve ARGS`, which must end by itself.
#[track_caller]
pub(crate) fn run_to_end(args: &[&str]) -> Outcome {
    let mut command = program();
    command.arg("serve").args(args).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let log = Log::follow(child.stderr.take().expect("its standard error is a pipe"));
    let Some(status) = process::wait_within(&mut child, PATIENCE) else {
        drop(child.kill());
        drop(child.wait());
        panic!("the program did not end; it said {:?}", log.text());
    };
    log.wait_for_end();
    Outcome { status: status.code(), log: log.text() }
}

/// True where the machine has an IPv6 loopback address.
pub(crate) fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

impl Server {
    /// Starts `landline serve ARGS` and waits until it listens.
    #[track_caller]
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(program(), args)
    }

    /// Starts a server named `station` with one `line` listener on loopback, and more options.
    #[track_caller]
    pub(crate) fn line(args: &[&str]) -> Self {
        Self::start(&[&["-l", "line@0", "--name", NAME], args].concat())
    }

    /// The same from a prepared command (environment, a wrapper): `serve` and `args` are added.
    #[track_caller]
    pub(crate) fn start_with(mut command: Command, args: &[&str]) -> Self {
        command.arg("serve").args(args).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let log = Log::follow(child.stderr.take().expect("its standard error is a pipe"));
        let mut server = Self { child, log, listeners: Vec::new() };
        server.await_listeners(sockets_of(args));
        server
    }

    #[track_caller]
    fn await_listeners(&mut self, count: usize) {
        let is_listener = |line: &&String| line.starts_with("listening ");
        let found = self.log.wait_for(|lines| lines.iter().filter(is_listener).count() >= count);
        let lines = self.log.lines();
        assert!(found, "expected {count} listening sockets, the program said {lines:#?}");
        self.listeners =
            lines.iter().filter(is_listener).map(|line| Listener::parse(line)).collect();
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where `speech` (`line`, `chat+bare` …) listens, as the server says it.
    #[track_caller]
    pub(crate) fn addresses(&self, speech: &str) -> Vec<String> {
        let of_it = self.listeners.iter().filter(|listener| listener.speech == speech);
        let addresses: Vec<_> = of_it.map(|listener| listener.address.clone()).collect();
        assert!(!addresses.is_empty(), "no listener {speech} in {:?}", self.listeners);
        addresses
    }

    /// Where `speech` listens over IPv4.
    #[track_caller]
    pub(crate) fn v4(&self, speech: &str) -> SocketAddr {
        let found = self.tcp(speech).find(SocketAddr::is_ipv4).expect("it listens over IPv4");
        if found.ip().is_unspecified() {
            return SocketAddr::from(([127, 0, 0, 1], found.port()));
        }
        found
    }

    /// Where `speech` listens over IPv6.
    #[track_caller]
    pub(crate) fn v6(&self, speech: &str) -> SocketAddr {
        let found = self.tcp(speech).find(SocketAddr::is_ipv6).expect("it listens over IPv6");
        if found.ip().is_unspecified() {
            return SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, found.port()));
        }
        found
    }

    #[track_caller]
    fn tcp(&self, speech: &str) -> impl Iterator<Item = SocketAddr> {
        self.addresses(speech).into_iter().filter_map(|address| address.parse().ok())
    }

    /// A new peer of `speech`, over IPv4.
    #[track_caller]
    pub(crate) fn peer(&self, speech: &str) -> Peer {
        Peer::tcp(self.v4(speech))
    }

    /// A new peer of the `line` listener who took a name.
    #[track_caller]
    pub(crate) fn named(&self, user: &str) -> Peer {
        let mut peer = self.peer("line");
        peer.take_name(user, NAME);
        peer
    }

    /// Waits until `user` is among the users: `talk` answers a name by nothing.
    #[track_caller]
    pub(crate) fn await_user(&self, user: &str) {
        let mut peer = self.peer("line");
        super::wait_until(&format!("{user} has joined"), || {
            peer.say("get_list\n");
            peer.expect_line().split(' ').any(|word| word == user)
        });
    }

    /// A new framed peer of the `line` listener.
    #[track_caller]
    pub(crate) fn framed(&self) -> FramedPeer {
        self.framed_hello().0
    }

    /// The same, with the answer to `landline/1`.
    #[track_caller]
    pub(crate) fn framed_hello(&self) -> (FramedPeer, Frame) {
        FramedPeer::negotiate(self.peer("line"))
    }

    /// Waits until a line of the log holds `text`.
    #[track_caller]
    pub(crate) fn expect_log(&self, text: &str) {
        let found = self.log.wait_for(|lines| lines.iter().any(|line| line.contains(text)));
        assert!(found, "nothing in the log holds {text:?}: {:#?}", self.log.lines());
    }

    /// The lines of the log so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Sends a signal to the server.
    pub(crate) fn signal(&self, signal: Signal) {
        process::signal(&self.child, signal);
    }

    /// Memory in use now, in bytes: what is resident and not a file's.
    pub(crate) fn resident_bytes(&self) -> u64 {
        process::status_bytes(self.pid(), "RssAnon")
    }

    /// The most that was ever resident, in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        process::status_bytes(self.pid(), "VmHWM")
    }

    /// How much more was ever resident than `before`, an earlier `peak_bytes`. The kernel counts
    /// roughly, so that even a peak can seem to shrink.
    pub(crate) fn grown_since(&self, before: u64) -> u64 {
        self.peak_bytes().saturating_sub(before)
    }

    /// How much the server has read of its peers, in bytes: what sockets hold is not in it.
    #[track_caller]
    pub(crate) fn received_bytes(&self) -> u64 {
        let mut peer = self.peer("line");
        peer.say("stats\n");
        loop {
            if let Some(bytes) = peer.expect_line().strip_prefix("received_bytes_total ") {
                return bytes.parse().expect("a counter is a number");
            }
        }
    }

    /// Says something, and waits until the server has read it.
    #[track_caller]
    pub(crate) fn hear(&self, peer: &mut Peer, bytes: &[u8]) {
        // To ask for the counter is to send six bytes.
        let mut wanted = self.received_bytes() + bytes.len() as u64;
        peer.say(bytes);
        super::wait_until("it was read", || {
            wanted += "stats\n".len() as u64;
            self.received_bytes() >= wanted
        });
    }

    /// Waits for the server to end by itself or by a signal sent before.
    #[track_caller]
    pub(crate) fn expect_exit(&mut self) -> ExitStatus {
        let status = process::wait_within(&mut self.child, PATIENCE);
        let status = status.unwrap_or_else(|| panic!("it does not end: {:#?}", self.log.lines()));
        self.log.wait_for_end();
        status
    }

    /// Asks the server to stop and gives its exit status.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.expect_exit()
    }
}

impl Drop for Server {
    /// Ends the server with increasing force. A drain that takes its time is cut short.
    fn drop(&mut self) {
        for force in [Signal::SIGTERM, Signal::SIGTERM, Signal::SIGKILL] {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            process::signal(&self.child, force);
            if process::wait_within(&mut self.child, Duration::from_secs(3)).is_some() {
                return;
            }
        }
    }
}

impl Listener {
    #[track_caller]
    fn parse(line: &str) -> Self {
        let fields = line.strip_prefix("listening service=");
        let fields = fields.and_then(|rest| rest.split_once(" address="));
        let (speech, address) = fields.unwrap_or_else(|| panic!("no listener in {line:?}"));
        Self { speech: speech.to_string(), address: address.to_string() }
    }
}

/// How many listening sockets these arguments ask for.
fn sockets_of(args: &[&str]) -> usize {
    let pairs = args.windows(2);
    let listens = pairs.filter(|pair| matches!(pair[0], "-l" | "--listen" | "--metrics"));
    let counts = listens.map(|pair| {
        let address = pair[1].split_once('@').map_or(pair[1], |(_, address)| address);
        let port = address.strip_prefix(':').unwrap_or(address);
        let both = port.bytes().all(|byte| byte.is_ascii_digit());
        if both && has_ipv6() { 2 } else { 1 }
    });
    counts.sum::<usize>().max(1)
}

/// What the program writes to standard error, line by line.
struct Log {
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Default)]
struct LogState {
    lines: Vec<String>,
    has_ended: bool,
}

impl Log {
    fn follow(stderr: ChildStderr) -> Arc<Self> {
        let log = Arc::new(Self { state: Mutex::default(), changed: Condvar::new() });
        let writer = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n') {
                let Ok(line) = line else { break };
                let line = String::from_utf8_lossy(&line).into_owned();
                writer.change(|state| state.lines.push(line));
            }
            writer.change(|state| state.has_ended = true);
        });
        log
    }

    fn change(&self, change: impl FnOnce(&mut LogState)) {
        change(&mut self.state.lock().expect("no thread panics with the log"));
        self.changed.notify_all();
    }

    fn lines(&self) -> Vec<String> {
        self.state.lock().expect("no thread panics with the log").lines.clone()
    }

    fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// Waits until the lines are as wanted; false if they will never be, or were not in time.
    fn wait_for(&self, is_wanted: impl Fn(&[String]) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock().expect("no thread panics with the log");
        loop {
            if is_wanted(&state.lines) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.has_ended || left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.expect("no thread panics with the log").0;
        }
    }

    /// Waits until standard error is closed.
    fn wait_for_end(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock().expect("no thread panics with the log");
        while !state.has_ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(state);
                panic!("standard error stays open: {:#?}", self.lines());
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.expect("no thread panics with the log").0;
        }
    }
}
