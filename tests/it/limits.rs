//! Limits: how many may come, how long one may idle, and what one peer may cost.
//!
//! What it does not do: the limits on commands (`jobs`), lines (`echo`) and backlogs (`chat`).

use std::time::Duration;

use super::options::http_get;
use crate::support::server::{NAME, has_ipv6};
use crate::support::{FramedPeer, Peer, Scratch, Server, wait_until};

#[test]
fn one_connection_too_many_is_told_to_try_again() {
    let server = Server::line(&["--max-connections", "2"]);
    let mut first = server.peer("line");
    let mut second = server.peer("line");
    first.expect_in_step();
    second.expect_in_step();
    let mut third = server.peer("line");
    third.expect_error("busy");
    third.expect_end();
    first.expect_in_step();
    second.reset();
    wait_until("there is room again", || {
        let mut peer = server.peer("line");
        // It may be refused before or after it has spoken.
        let sent = peer.say_what_fits(b"hello\nquit\n", Duration::from_secs(5));
        let came = peer.expect_gone();
        assert!(came == b"hello\n" || came.starts_with(b"error busy: ") || sent == 0, "{came:?}");
        came == b"hello\n"
    });
    first.expect_in_step();
}

#[test]
fn one_address_may_be_limited_alone() {
    let server = Server::line(&["--max-per-address", "1"]);
    let mut first = server.peer("line");
    first.expect_in_step();
    let mut second = server.peer("line");
    second.expect_error("busy");
    second.expect_end();
    if has_ipv6() {
        Peer::tcp(server.v6("line")).expect_in_step();
    }
    drop(second);
    // That one was refused and is gone changes nothing.
    for _ in 0..20 {
        let mut refused = server.peer("line");
        refused.expect_error("busy");
        refused.expect_end();
    }
    first.expect_in_step();
}

#[test]
fn a_place_of_an_address_is_free_again_whichever_worker_served_it() {
    let server = Server::line(&["--workers", "2", "--max-per-address", "2"]);
    let is_served = |peer: &mut Peer| {
        peer.say_what_fits(b"hello\n", Duration::from_secs(5));
        peer.expect_line() == "hello"
    };
    for _ in 0..3 {
        wait_until("both have a place", || {
            let mut peers = [server.peer("line"), server.peer("line")];
            peers.iter_mut().all(is_served)
        });
    }
}

#[test]
fn who_was_refused_takes_no_place_of_its_address() {
    let server = Server::line(&["--max-per-address", "1"]);
    let mut first = server.peer("line");
    first.expect_in_step();
    let mut refused = Vec::new();
    let mut refuse = || {
        let mut peer = server.peer("line");
        peer.say("hello\n");
        let line = peer.expect_line();
        // It stays, though the server has said that it is to go.
        refused.push(peer);
        line
    };
    assert!(refuse().starts_with("error busy: "));
    drop(first);
    wait_until("there is room again", || refuse() == "hello");
}

#[test]
fn scrapes_and_users_take_no_places_of_each_other() {
    let args = ["--metrics", "127.0.0.1:0", "--max-per-address", "1", "--max-connections", "1"];
    let server = Server::line(&args);
    let scrapes: Vec<_> = (0..3).map(|_| server.peer("metrics")).collect();
    let mut user = server.peer("line");
    user.expect_in_step();
    server.peer("line").expect_error("busy");
    http_get(&server, "/metrics");
    user.expect_in_step();
    drop(scrapes);
    user.reset();
    wait_until("there is room again", || {
        let mut peer = server.peer("line");
        peer.say("hello\nquit\n");
        peer.expect_gone() == b"hello\n"
    });
}

#[test]
fn scrapes_have_a_limit_of_their_own() {
    let server = Server::line(&["--metrics", "127.0.0.1:0", "--max-connections", "0"]);
    let mut scrapes: Vec<_> = (0..100).map(|_| server.peer("metrics")).collect();
    scrapes.last_mut().expect("there are many").expect_gone();
    // At once: the first one would be gone too, once its time had passed.
    scrapes[0].say("GET /metrics HTTP/1.1\r\n\r\n");
    assert!(scrapes[0].expect_gone().starts_with(b"HTTP/1.1 200 "));
    server.peer("line").expect_in_step();
    drop(scrapes);
    wait_until("there is room again", || {
        let mut peer = server.peer("metrics");
        peer.say_what_fits(b"GET /metrics HTTP/1.1\r\n\r\n", Duration::from_secs(5));
        peer.expect_gone().starts_with(b"HTTP/1.1 200 ")
    });
}

#[test]
fn a_scrape_that_dribbles_is_closed() {
    let server = Server::line(&["--metrics", "127.0.0.1:0", "--idle-timeout", "1"]);
    for piece in ["x: y\r\n", "x"] {
        let mut peer = server.peer("metrics");
        peer.say("GET /metrics HTTP/1.1\r\n");
        peer.dribble(piece);
        assert_eq!(peer.expect_gone(), b"");
    }
}

#[test]
fn an_idle_peer_is_told_so_and_closed() {
    let server = Server::line(&["--idle-timeout", "1"]);
    let silent = server.peer("line");
    let mut partial = server.peer("line");
    partial.say("no newline");
    let mut spoke = server.peer("line");
    spoke.expect_in_step();
    for mut peer in [silent, partial, spoke] {
        peer.expect_error("timeout");
        peer.expect_end();
    }
}

#[test]
fn a_framed_idle_peer_is_told_by_a_note() {
    let server = Server::line(&["--idle-timeout", "1"]);
    let mut peer = server.framed();
    let note = peer.expect_event();
    assert_eq!((note.kind.as_str(), note.key("kind").as_str()), ("note", "closing"));
    assert_eq!(note.key("code"), "timeout");
    peer.peer.expect_end();
}

#[test]
fn dribbling_bytes_is_idling() {
    let server = Server::line(&["--idle-timeout", "1"]);
    let mut peer = server.peer("line");
    // Without a newline no byte of it counts.
    peer.dribble("x");
    peer.expect_error("timeout");
}

#[test]
fn who_has_a_name_or_a_request_in_progress_is_not_idle() {
    let server = Server::line(&["--idle-timeout", "1", "--run", "shell"]);
    let mut named = server.named("bob");
    let mut framed = server.framed();
    framed.take_name("carol");
    let mut running = server.peer("line");
    running.say("run sleep 2.5; echo done\n");
    // Twice the time-out passes by itself.
    for _ in 0..2 {
        server.peer("line").expect_error("timeout");
    }
    named.expect_in_step();
    framed.say("send bob : hi\n");
    assert_eq!(framed.expect_done().key("delivered"), "1");
    running.expect("done\n");
    running.expect_in_step();
}

#[test]
fn an_idle_time_out_of_zero_is_none() {
    let server = Server::line(&["--idle-timeout", "0", "--max-connections", "0", "--drain", "1"]);
    let mut peer = server.peer("line");
    peer.expect_in_step();
    let mut other = server.peer("line");
    other.expect_in_step();
    peer.expect_in_step();
}

/// A server that gives peers a second to take something of a large file, or of a command's output.
fn impatient(root: &Scratch, args: &[&str]) -> Server {
    let file = std::fs::File::create(root.join("large")).expect("a fresh file");
    file.set_len(1 << 30).expect("a file with a hole");
    let own = ["--root", &root.text(""), "--run", "shell", "--send-timeout", "1"];
    Server::line(&[&own, args].concat())
}

/// Waits until the server has cut off a peer that took no output.
#[track_caller]
fn expect_cut(server: &Server, peer: &Peer) {
    let peer = format!("peer={}", peer.local_address());
    wait_until("the peer is cut off", || {
        let log = server.log();
        log.iter().any(|line| line.contains(&peer) && line.contains("why=timeout"))
    });
}

#[test]
fn a_peer_that_takes_no_output_is_cut_off() {
    let root = Scratch::new();
    let server = impatient(&root, &[]);
    let replies = "help\n".repeat(20_000);
    for requests in ["download large\n", "run yes\n", "run yes\nquit\n", &replies] {
        let mut peer = Peer::narrow(server.v4("line"));
        peer.say_what_fits(requests.as_bytes(), Duration::from_millis(300));
        expect_cut(&server, &peer);
        peer.expect_reset();
    }
    for requests in ["download large\nquit\n", "run yes\n", &"ping\n".repeat(100_000)] {
        let (mut peer, _) = FramedPeer::negotiate(Peer::narrow(server.v4("line")));
        peer.peer.say_what_fits(requests.as_bytes(), Duration::from_millis(300));
        expect_cut(&server, &peer.peer);
        peer.peer.expect_reset();
    }
}

/// Of a Unix socket the kernel does not look after this.
#[test]
fn a_peer_of_a_unix_socket_that_takes_no_output_is_cut_off() {
    let (root, socket) = (Scratch::new(), Scratch::new());
    let listen = format!("line@unix:{}", socket.text("socket"));
    let server = impatient(&root, &["-l", &listen]);
    let is_cut = |line: &&String| line.contains("peer=unix") && line.contains("why=timeout");
    let replies = "help\n".repeat(20_000);
    for (count, requests) in
        (1..).zip(["download large\n", "run yes\n", "run yes\nquit\n", &replies])
    {
        let mut peer = Peer::unix(&socket.join("socket"));
        peer.say_what_fits(requests.as_bytes(), Duration::from_millis(300));
        wait_until("the peer is cut off", || server.log().iter().filter(is_cut).count() == count);
        peer.expect_reset();
    }
}

#[test]
fn a_peer_that_says_goodbye_and_takes_nothing_is_cut_off() {
    let root = Scratch::new();
    let server = impatient(&root, &[]);
    let mut half_closed = Peer::narrow(server.v4("line"));
    half_closed.say("download large\n");
    half_closed.half_close();
    let mut leaving = Peer::narrow(server.v4("line"));
    leaving.say("download large\nquit\n");
    for mut peer in [half_closed, leaving] {
        expect_cut(&server, &peer);
        peer.expect_reset();
    }
}

#[test]
fn what_a_peer_that_takes_nothing_held_is_free_again() {
    let root = Scratch::new();
    let server = impatient(&root, &["--max-runs", "1", "--max-connections", "4"]);
    let mut peer = Peer::narrow(server.v4("line"));
    peer.take_name("bob", NAME);
    peer.say("run exec yes\n");
    expect_cut(&server, &peer);
    server.named("bob").expect_in_step();
    wait_until("its command is over", || {
        let mut peer = server.peer("line");
        peer.say("run echo hi\n");
        peer.expect_line() == "hi"
    });
    drop(peer);
}

#[test]
fn messages_that_are_not_taken_are_output_too() {
    let root = Scratch::new();
    let server = impatient(&root, &["--max-backlog", "0"]);
    let mut deaf = Peer::narrow(server.v4("line"));
    deaf.take_name("deaf", NAME);
    let mut sender = server.named("sender");
    let text = format!("send deaf : {}\n", "x".repeat(60_000));
    for _ in 0..200 {
        sender.say(&text);
    }
    expect_cut(&server, &deaf);
    sender.say("send deaf : hi\n=end\n");
    // It may have been cut off before all was said.
    sender.expect_error("no-such-user");
    while sender.expect_line() != "=end" {}
    deaf.expect_reset();
}

#[test]
fn a_peer_that_reads_slowly_is_not_cut_off() {
    let root = Scratch::new();
    let server = impatient(&root, &[]);
    let mut slow = Peer::narrow(server.v4("line"));
    slow.say("download large\n");
    let mut loader = Peer::narrow(server.v4("line"));
    loader.say("run yes\n");
    // Each of these takes at least the time-out.
    for _ in 0..3 {
        let mut deaf = Peer::narrow(server.v4("line"));
        deaf.say("download large\n");
        let address = format!("peer={} ", deaf.local_address());
        wait_until("the deaf peer is cut off", || {
            slow.skip(1500);
            loader.skip(1500);
            server.log().iter().any(|line| line.contains(&address) && line.contains("why=timeout"))
        });
    }
    // In turns: while one is read, the other must not be taken for deaf.
    for _ in 0..256 {
        slow.skip(4 << 10);
        loader.skip(4 << 10);
    }
}

#[test]
fn a_send_time_out_is_read_again_and_zero_is_none() {
    let root = Scratch::new();
    let file = std::fs::File::create(root.join("large")).expect("a fresh file");
    file.set_len(1 << 30).expect("a file with a hole");
    let config = root.write("config", "send-timeout = 0\n");
    let server = Server::line(&["--root", &root.text(""), "--config", &config.to_string_lossy()]);
    let mut deaf = Peer::narrow(server.v4("line"));
    deaf.say("download large\n");
    // Its output waits by now, and it is looked at no more.
    wait_until("it is sent something", || server.received_bytes() > 0);
    root.write("config", "send-timeout = 1\n");
    server.signal(nix::sys::signal::Signal::SIGHUP);
    expect_cut(&server, &deaf);
    deaf.expect_reset();
}

/// Sends `request` over and over to a server whose replies are not read: its memory must not grow.
#[track_caller]
fn flood(server: &Server, mut peer: Peer, request: &str) {
    let before = server.peak_bytes();
    let requests = request.repeat((16 << 20) / request.len());
    peer.say_what_fits(requests.as_bytes(), Duration::from_millis(300));
    server.peer("line").expect_in_step();
    let grown = server.grown_since(before);
    assert!(grown < 24 << 20, "{request:?}: {grown} bytes more");
    peer.reset();
}

/// A server that can answer much with little.
fn generous(scratch: &Scratch) -> Server {
    for number in 0..1000 {
        scratch.write(&format!("a file with quite a long name, {number}"), "");
    }
    Server::line(&["--root", &scratch.text(""), "--run", "shell", "--workers", "1"])
}

#[test]
fn requests_whose_replies_are_not_read_cost_no_memory() {
    let scratch = Scratch::new();
    let server = generous(&scratch);
    for request in ["files\n", "help\n", "stat nothing\n", "run echo hi\n", "\n", "send x : y\n"] {
        flood(&server, Peer::narrow(server.v4("line")), request);
    }
}

#[test]
fn framed_requests_whose_replies_are_not_read_cost_no_memory() {
    let scratch = Scratch::new();
    let server = generous(&scratch);
    for request in ["files\n", "run echo hi\n", "ping\n", "cancel\n"] {
        let (framed, _) = FramedPeer::negotiate(Peer::narrow(server.v4("line")));
        flood(&server, framed.peer, request);
    }
}

#[test]
fn small_messages_that_are_not_read_cost_what_the_limit_says() {
    let args = ["-l", "talk@0", "--max-backlog", "1000000", "--send-timeout", "0"];
    let server = Server::line(&args);
    let mut deaf = Peer::narrow(server.v4("talk"));
    let (mut sender, mut ear) = (server.peer("talk"), server.peer("talk"));
    for (user, peer) in [("deaf", &mut deaf), ("a", &mut sender), ("ear", &mut ear)] {
        peer.say(format!("{user}\n"));
        server.await_user(user);
    }
    let before = server.peak_bytes();
    // The two have their turns, so that no two messages for one of them stand together.
    let round = "four | deaf\nfour | ear\n".repeat(500);
    let mut rounds = 0;
    let mut is_dismissed = false;
    while !is_dismissed {
        rounds += 1;
        assert!(rounds < 10_000, "what it has not read is far more than the limit");
        sender.say(format!("{round}hi | a\n"));
        ear.skip(500 * "a|four\n".len() as u64);
        // Once it is dismissed, each message to it is an error, and the log has said why.
        while sender.expect_line() != "a|hi" {
            is_dismissed = true;
        }
    }
    wait_until("the log says why", || server.log().iter().any(|line| line.contains("why=slow")));
    let grown = server.grown_since(before);
    assert!(grown < 6 << 20, "{grown} bytes more");
    drop((deaf, sender, ear));
}

#[test]
fn an_endless_line_costs_no_memory() {
    let server = Server::line(&[]);
    let before = server.peak_bytes();
    let mut peer = server.peer("line");
    for _ in 0..64 {
        peer.say(vec![b'x'; 1 << 20]);
    }
    peer.say("\n");
    peer.expect_error("too-long");
    peer.expect_in_step();
    let grown = server.grown_since(before);
    assert!(grown < 24 << 20, "{grown} bytes more");
}

#[test]
fn idle_peers_cost_next_to_nothing() {
    const PEERS: u64 = 1500;
    let server = Server::line(&["--idle-timeout", "0"]);
    let mut peers: Vec<_> = (0..50).map(|_| server.peer("line")).collect();
    peers.iter_mut().for_each(Peer::expect_in_step);
    let before = server.resident_bytes();
    peers.extend((0..PEERS).map(|_| server.peer("line")));
    peers.iter_mut().for_each(Peer::expect_in_step);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < PEERS * 4096, "{grown} bytes for {PEERS} peers");
    drop(peers);
    server.named("alice").take_name("alice", NAME);
}
