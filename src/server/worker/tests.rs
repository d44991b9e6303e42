//! Unit tests of a worker on real sockets: each is a transcript of what clients say and are told.
//!
//! The worker runs in the thread of the test, turn by turn, so that a test can say how late it is.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::*;
use crate::protocol::refusal::Refusal;
use crate::protocol::session::Uploads;
use crate::protocol::speech::Speech;
use crate::server::config::Settings;
use crate::server::fixture::common;
use crate::server::mail::Seat;
use crate::service::files::Shelf;
use crate::service::policy::{Commands, Rule};
use crate::sys::fd::OwnedFd;
use crate::sys::poll::wait_readable;
use crate::sys::scratch::Scratch;
use crate::sys::socket::Local;

/// Turns of at most 10 ms until a test gives up.
const TURNS_MAX: usize = 2_000;

/// A worker, and the listener its clients come through.
struct Host {
    worker: Worker,
    events: Events,
    listener: OwnedFd,
    address: SocketAddr,
    scratch: Scratch,
}

struct Client {
    socket: OwnedFd,
    got: Vec<u8>,
}

impl Client {
    fn say(&self, bytes: &[u8]) {
        let sent = socket::send(self.socket.as_fd(), bytes, false).expect("it takes them");
        assert_eq!(sent, bytes.len());
    }

    /// Reads what is there. False at the end.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = vec![0; 1 << 16];
        match socket::receive(self.socket.as_fd(), &mut buffer) {
            Ok(count) => {
                self.got.extend_from_slice(&buffer[..count]);
                Ok(count > 0)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl Host {
    /// A worker that serves files, takes uploads and runs commands, with other settings as said.
    fn new(change: impl FnOnce(&mut Settings)) -> io::Result<Self> {
        let scratch = Scratch::new()?;
        let common = common(1, Some(Shelf::open(scratch.path())?))?;
        let mut settings = Settings::clone(&common.settings.see().settings);
        settings.uploads = Uploads::New;
        settings.commands = Commands::Shell;
        settings.allow_run = vec![Rule::Any];
        change(&mut settings);
        common.settings.publish(Arc::new(settings));
        let listener = socket::listen_tcp((Ipv4Addr::LOCALHOST, 0).into())?;
        let Local::Inet(address) = socket::local(listener.as_fd())? else {
            panic!("it is a TCP socket");
        };
        let worker = Worker::new(HOME, common, None, Clock::start())?;
        let events = Events::with_capacity(EVENTS_PER_TURN);
        let mut host = Self { worker, events, listener, address, scratch };
        host.worker.desk.look_at_settings();
        Ok(host)
    }

    fn client(&mut self, service: Service, bare: bool, refusal: Option<Refusal>) -> Client {
        let (mine, _) = socket::connect_start(self.address).expect("a socket");
        wait_readable(&[self.listener.as_fd()], None).expect("poll works");
        let (socket, peer) = socket::accept(self.listener.as_fd()).expect("it came");
        let common = &self.worker.desk.common;
        common.crew[HOME].peers.fetch_add(1, Ordering::Relaxed);
        let seat = Seat::take(&common.seats);
        let speech = Speech { service, bare };
        self.worker.on_arrival(Arrival { socket, peer, uid: None, speech, refusal, seat });
        self.worker.settle();
        Client { socket: mine, got: Vec::new() }
    }

    fn line(&mut self) -> Client {
        self.client(Service::Line, false, None)
    }

    fn framed(&mut self) -> Client {
        let mut client = self.line();
        client.say(b"landline/1\n");
        let greeting = self.until(&mut client, |got| got.ends_with(b"\n"));
        assert!(greeting.starts_with(b"done 0 landline=1 server=test "));
        client
    }

    fn turn(&mut self) {
        let wait_ms = self.worker.timeout_ms().unwrap_or(10).min(10);
        self.worker.desk.epoll.wait(&mut self.events, Some(wait_ms)).expect("it waits");
        self.worker.turn(&self.events);
    }

    /// Turns until what the client got is so, and takes it.
    #[track_caller]
    fn until(&mut self, client: &mut Client, mut is_so: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
        for _ in 0..TURNS_MAX {
            let is_there = client.read().expect("it is not reset");
            if is_so(&client.got) {
                return std::mem::take(&mut client.got);
            }
            assert!(is_there, "it ended: {}", client.got.escape_ascii());
            self.turn();
        }
        panic!("in vain: {}", client.got.escape_ascii());
    }

    #[track_caller]
    fn hears(&mut self, client: &mut Client, expected: &[u8]) {
        let got = self.until(client, |got| got.len() >= expected.len());
        assert_eq!(got.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    #[track_caller]
    fn asks(&mut self, client: &mut Client, said: &[u8], expected: &[u8]) {
        client.say(said);
        self.hears(client, expected);
    }

    /// The client is told this at the end, and is gone.
    #[track_caller]
    fn parts(&mut self, client: &mut Client, expected: &[u8]) {
        for _ in 0..TURNS_MAX {
            if !client.read().expect("it is not reset") {
                assert_eq!(
                    client.got.escape_ascii().to_string(),
                    expected.escape_ascii().to_string()
                );
                return;
            }
            self.turn();
        }
        panic!("it does not end: {}", client.got.escape_ascii());
    }

    /// So much later, without anything that happened meanwhile.
    fn later(&mut self, ms: u64) {
        let now_ms = self.worker.desk.now_ms + ms;
        self.worker.desk.set_time(now_ms);
        self.worker.on_time();
        self.worker.settle();
    }
}

#[test]
fn requests_are_answered_in_their_order() -> io::Result<()> {
    let mut host = Host::new(|_| ())?;
    let mut client = host.line();
    host.asks(&mut client, b"hello\nping\n\nworld\r\n", b"hello\npong\n\nworld\r\n");
    client.say(b"half");
    socket::shutdown_write(client.socket.as_fd())?;
    host.parts(&mut client, b"half");
    for _ in 0..3 {
        host.turn();
    }
    assert!(host.worker.peers.is_empty());
    assert_eq!(host.worker.desk.common.seats.load(Ordering::Relaxed), 0);
    Ok(())
}

#[test]
fn a_long_line_is_refused_and_skipped() -> io::Result<()> {
    let mut host = Host::new(|settings| settings.limits.line_bytes_max = 10)?;
    let mut client = host.line();
    let refused = b"error too-long: a line has at most 10 bytes\n";
    host.asks(&mut client, b"0123456789\n", b"0123456789\n");
    host.asks(&mut client, b"01234567890\nping\n", &[&refused[..], b"pong\n"].concat());
    client.say(&[b'x'; 5000]);
    host.hears(&mut client, refused);
    host.asks(&mut client, b"xyz\nping\n", b"pong\n");
    let mut client = host.framed();
    let refused = b"fail 27 code=too-long\na line has at most 10 bytes";
    host.asks(&mut client, b"01234567890\nping\n", &[&refused[..], b"done 4\npong"].concat());
    Ok(())
}

#[test]
fn a_client_without_newlines_is_known_by_its_silence() -> io::Result<()> {
    let mut host = Host::new(|_| ())?;
    let mut client = host.client(Service::Hello, true, None);
    client.say(b"alice");
    for _ in 0..3 {
        host.turn();
    }
    assert!(client.read()? && client.got.is_empty());
    host.later(200);
    host.hears(&mut client, b"test");
    host.asks(&mut client, b"hello", b"hello");
    let mut client = host.client(Service::Hello, true, None);
    host.asks(&mut client, b"bob\n", b"test\n");
    host.asks(&mut client, b"hello\n", b"hello\n");
    Ok(())
}

#[test]
fn stats_and_metrics_say_what_there_is() -> io::Result<()> {
    let mut host = Host::new(|_| ())?;
    let mut client = host.line();
    client.say(b"stats\n");
    let stats = host.until(&mut client, |got| got.ends_with(b"\n"));
    let stats = String::from_utf8(stats).expect("text");
    for line in ["connections 1", "commands 0", "uptime_seconds 0", "received_bytes_total 6"] {
        assert!(stats.lines().any(|other| other == line), "{line}: {stats}");
    }
    let mut scraper = host.client(Service::Metrics, false, None);
    scraper.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let page = host.until(&mut scraper, |got| got.ends_with(b"landline_uptime_seconds 0\n"));
    assert!(page.starts_with(b"HTTP/1.1 200 OK\r\n"));
    // One that asks nothing is not waited for.
    let mut silent = host.client(Service::Metrics, false, None);
    host.later(9_000);
    assert!(silent.read()?);
    host.later(3_000);
    host.parts(&mut silent, b"");
    Ok(())
}

#[test]
fn files_are_sent_listed_and_stored() -> io::Result<()> {
    let mut host = Host::new(|_| ())?;
    let large: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    host.scratch.write("large", &large)?;
    let mut client = host.line();
    host.asks(&mut client, b"download large\nping\n", &[&large[..], b"pong\n"].concat());
    host.asks(&mut client, b"download@299990 large\n", &large[299_990..]);
    host.asks(&mut client, b"upload 5 new\nhelloping\n", b"pong\n");
    host.asks(&mut client, b"download new\n", b"hello");
    let exists = b"error exists: new: a file of that name is there already\npong\n";
    host.asks(&mut client, b"upload 5 new\nworldping\n", exists);
    let mut names: Vec<String> = (0..3_000).map(|n| format!("a file of number {n:04}")).collect();
    for name in &names {
        host.scratch.write(name, b"")?;
    }
    names.extend(["large".to_owned(), "new".to_owned()]);
    client.say(b"files\nping\n");
    let list = host.until(&mut client, |got| got.ends_with(b"pong\n"));
    let list = String::from_utf8(list).expect("text");
    let listed: Vec<&str> = list.lines().filter_map(|line| line.splitn(3, ' ').nth(2)).collect();
    assert_eq!(listed, names);
    Ok(())
}

#[test]
fn an_upload_that_stops_is_given_up_and_not_stored() -> io::Result<()> {
    let mut host = Host::new(|_| ())?;
    let idle_ms = host.worker.desk.seen.settings.limits.idle_timeout_ms;
    let mut client = host.line();
    host.asks(&mut client, b"ping\nupload 5 f\nhe", b"pong\n");
    host.turn();
    host.later(idle_ms + 1);
    let refused = b"error timeout: no bytes came for too long: nothing is stored\n";
    host.hears(&mut client, refused);
    // What still comes of it is dropped.
    host.asks(
        &mut client,
        b"llodownload f\n",
        b"error no-such-file: f: nothing of that name is served\n",
    );
    Ok(())
}

#[test]
fn a_peer_that_asks_nothing_is_told_to_go() -> io::Result<()> {
    let mut host = Host::new(|_| ())?;
    let idle_ms = host.worker.desk.seen.settings.limits.idle_timeout_ms;
    let (mut idle, mut named) = (host.line(), host.line());
    named.say(b"name alice\n");
    host.until(&mut named, |got| got.ends_with(b"\n"));
    host.asks(&mut idle, b"ping\n", b"pong\n");
    host.later(idle_ms - 1_000);
    assert!(idle.read()?);
    host.later(2_000);
    host.parts(&mut idle, b"error timeout: no request came for too long\n");
    host.asks(&mut named, b"ping\n", b"pong\n");
    Ok(())
}

#[test]
fn a_peer_that_reads_nothing_is_cut_off_in_time() -> io::Result<()> {
    let mut host = Host::new(|_| ())?;
    let timeout_ms = host.worker.desk.seen.settings.limits.send_timeout_ms;
    host.scratch.write("huge", &vec![b'x'; 16 << 20])?;
    let client = host.line();
    client.say(b"download huge\n");
    let id = host.worker.peers.ids()[0];
    let is_full = |host: &mut Host| {
        let connection = host.worker.peers.get_mut(id);
        connection.is_some_and(|connection| connection.output.stall().is_some())
    };
    let turns = (0..TURNS_MAX).take_while(|_| {
        host.turn();
        !is_full(&mut host)
    });
    assert!(turns.count() < TURNS_MAX);
    host.later(timeout_ms / 2);
    assert!(host.worker.peers.contains(id));
    for _ in 0..4 {
        host.later(timeout_ms / 4);
    }
    assert!(!host.worker.peers.contains(id));
    Ok(())
}

#[test]
fn commands_run_and_end_and_are_cancelled() -> io::Result<()> {
    let mut host = Host::new(|_| ())?;
    let mut client = host.line();
    host.asks(&mut client, b"run echo hi\nping\n", b"hi\npong\n");
    host.asks(&mut client, b"run echo no >&2; exit 3\n", b"no\nerror exit: status 3\n");
    let mut exec = host.client(Service::Exec, false, None);
    host.asks(&mut exec, b"true\nprintf x; exit 4\n", b"no output\nx\nexit status 4\n");
    let mut framed = host.framed();
    let answer = b"out 3\na\nbdone 0 exit=0\n";
    host.asks(&mut framed, b"run printf 'a\\nb'\n", answer);
    framed.say(b"run echo on; sleep 1000\n");
    host.hears(&mut framed, b"out 3\non\n");
    framed.say(b"cancel\n");
    let end = host.until(&mut framed, |got| got.ends_with(b"done 0\n"));
    assert!(end.starts_with(b"fail ") && end.windows(14).any(|part| part == b"code=cancelled"));
    Ok(())
}

#[test]
fn input_of_a_command_arrives_and_ends() -> io::Result<()> {
    let mut host = Host::new(|_| ())?;
    let mut client = host.framed();
    client.say(b"run@in cat\nin 6\nhello\neof 0\nping\n");
    host.hears(&mut client, b"out 6\nhello\ndone 0 exit=0\ndone 4\npong");
    // More than the pipe takes at once, and an end behind it.
    client.say(b"run@in wc -c\n");
    let piece = [&b"in 50000\n"[..], &vec![b'x'; 50_000]].concat();
    for _ in 0..4 {
        client.say(&piece);
        host.turn();
    }
    client.say(b"eof 0\n");
    host.hears(&mut client, b"out 7\n200000\ndone 0 exit=0\n");
    // One that closes its input hears no more.
    client.say(b"run@in exec <&-; echo closed; sleep 0.2; echo on\n");
    host.hears(&mut client, b"out 7\nclosed\n");
    client.say(b"in 3\nabc");
    host.hears(&mut client, b"out 3\non\ndone 0 exit=0\n");
    host.asks(&mut client, b"in 3\nabcping\n", b"done 4\npong");
    Ok(())
}

#[test]
fn a_telnet_client_interrupts_its_command() -> io::Result<()> {
    let mut host = Host::new(|_| ())?;
    let mut client = host.line();
    host.asks(&mut client, b"run echo on; sleep 1000\n", b"on\n");
    client.say(b"\xff\xf4\xff\xfd\x06");
    let end = host.until(&mut client, |got| got.contains(&b'\n'));
    assert!(end.windows(16).any(|part| part == b"error cancelled:"), "{}", end.escape_ascii());
    client.say(b"ping\r\n");
    host.until(&mut client, |got| got.ends_with(b"pong\n"));
    Ok(())
}

#[test]
fn users_hear_each_other_and_take_names_once() -> io::Result<()> {
    let mut host = Host::new(|_| ())?;
    let (mut alice, mut bob) = (host.line(), host.client(Service::Chat, false, None));
    host.asks(&mut bob, b"bob\n", b"test\n");
    alice.say(b"name bob\nname alice\n");
    let named = host.until(&mut alice, |got| got.split(|byte| *byte == b'\n').count() == 3);
    assert!(named.starts_with(b"error name-taken: "));
    host.asks(&mut alice, b"get_list\n", b"users: bob alice\n");
    host.asks(&mut alice, b"send bob carol : hi\n", b"error no-such-user: carol\n");
    host.until(&mut bob, |got| got.ends_with(b"alice (multicasted) : hi\n"));
    bob.say(b"send all hello\n");
    host.until(&mut alice, |got| got.ends_with(b"bob (broadcasted) : hello\n"));
    // A name is free once its holder has gone.
    drop(bob);
    let mut carol = host.client(Service::Chat, false, None);
    host.turn();
    host.turn();
    host.asks(&mut carol, b"bob\n", b"test\n");
    Ok(())
}

#[test]
fn who_is_refused_or_comes_too_late_is_told_so() -> io::Result<()> {
    let mut host = Host::new(|_| ())?;
    let refusal = Refusal::new(Code::Denied, "not here");
    let mut refused = host.client(Service::Line, false, Some(refusal));
    host.parts(&mut refused, b"error denied: not here\n");
    let (mut idle, mut framed) = (host.line(), host.framed());
    host.worker.drain(10_000);
    host.worker.settle();
    let stopping = b"error stopping: this server is stopping\n";
    host.until(&mut idle, |got| got.starts_with(&stopping[..15]) && got.ends_with(b"\n"));
    host.until(&mut framed, |got| got.starts_with(b"note 22 kind=shutdown\n"));
    let mut late = host.line();
    host.until(&mut late, |got| got.starts_with(&stopping[..15]));
    assert!(!host.worker.is_stopped);
    host.worker.on_mail(Mail::Stop);
    assert!(host.worker.is_over());
    Ok(())
}

#[test]
fn new_settings_count_for_all_at_once() -> io::Result<()> {
    let mut host = Host::new(|_| ())?;
    let mut client = host.line();
    host.asks(&mut client, b"run echo hi\n", b"hi\n");
    let mut settings = Settings::clone(&host.worker.desk.seen.settings);
    settings.allow_run = vec![Rule::Unix];
    host.worker.desk.common.settings.publish(Arc::new(settings));
    host.worker.on_mail(Mail::Settings);
    host.asks(
        &mut client,
        b"run echo hi\n",
        b"error denied: this server runs commands, but not for your address\n",
    );
    Ok(())
}
