//! Replies that are cut short: whatever the reason, the peer sees that something is missing.

use std::fs::{File, OpenOptions};

use nix::sys::signal::Signal;

use crate::support::shim::Shim;
use crate::support::{FramedPeer, PATIENCE, Peer, Scratch, Server, process, wait_until};

const MIB: u64 = 1 << 20;
/// More than all socket buffers hold.
const SIZE: u64 = 64 * MIB;

/// A server on TCP and on a Unix socket, with a large file, and faults to come.
struct House {
    scratch: Scratch,
    shim: Shim,
    server: Server,
}

impl House {
    #[track_caller]
    fn new(args: &[&str]) -> Self {
        let (scratch, shim) = (Scratch::new(), Shim::new());
        std::fs::create_dir(scratch.join("root")).expect("a directory");
        let file = File::create(scratch.join("root/f")).expect("a file");
        file.set_len(SIZE).expect("a sparse file");
        let unix = format!("line@unix:{}", scratch.text("socket"));
        let root = scratch.text("root");
        let all = ["-l", "line@0", "-l", &unix, "--root", &root, "--run", "shell"];
        let server = Server::start_with(shim.program(), &[&all, args].concat());
        Self { scratch, shim, server }
    }

    /// A peer of each family.
    #[track_caller]
    fn peers(&self) -> [Peer; 2] {
        [Peer::narrow(self.server.v4("line")), Peer::unix(&self.scratch.join("socket"))]
    }

    /// The same, each of which began to read the large file; a second one closed its sending side.
    #[track_caller]
    fn readers(&self) -> Vec<Peer> {
        let half_closed = self.peers().map(|mut peer| {
            peer.say("download f\n");
            peer.half_close();
            peer
        });
        let open = self.peers().map(|mut peer| {
            peer.say("download f\n");
            peer
        });
        let mut all: Vec<_> = half_closed.into_iter().chain(open).collect();
        for peer in &mut all {
            peer.expect([0; 8]);
        }
        all
    }
}

#[track_caller]
fn expect_cut(peers: Vec<Peer>) {
    for mut peer in peers {
        let came = peer.expect_reset();
        assert!((came.len() as u64) < SIZE - 8, "as much as if it were whole");
    }
}

#[test]
fn a_file_that_shrinks_cuts_its_download() {
    let house = House::new(&[]);
    let readers = house.readers();
    let file = OpenOptions::new().write(true).open(house.scratch.join("root/f"));
    file.expect("the file").set_len(MIB).expect("it can shrink");
    expect_cut(readers);
    for mut peer in house.peers() {
        peer.expect_in_step();
    }
}

#[test]
fn the_end_of_a_drain_cuts_downloads() {
    let mut house = House::new(&["--drain", "1"]);
    let readers = house.readers();
    // Nobody reads on meanwhile.
    assert_eq!(house.server.stop().code(), Some(0));
    expect_cut(readers);
}

#[test]
fn a_second_signal_cuts_downloads() {
    let mut house = House::new(&["--drain", "600", "--workers", "2"]);
    let mut witness = house.server.framed();
    let readers = house.readers();
    house.server.signal(Signal::SIGTERM);
    assert_eq!(witness.expect_event().key("kind"), "shutdown");
    house.server.signal(Signal::SIGTERM);
    expect_cut(readers);
    house.server.expect_exit();
}

#[test]
fn a_panic_while_a_peer_is_served_cuts_its_download() {
    let house = House::new(&[]);
    let readers = house.readers();
    let mut other = house.server.peer("line");
    other.expect_in_step();
    house.shim.begin("preadv2-lies");
    expect_cut(readers);
    other.expect_in_step();
    house.server.peer("line").expect_in_step();
    house.server.expect_log("a failure of landline's own");
}

#[test]
fn a_socket_that_cannot_be_waited_for_cuts_its_download() {
    let house = House::new(&[]);
    let readers = house.readers();
    house.shim.begin("epoll_ctl-ENOSPC");
    expect_cut(readers);
}

#[test]
fn a_worker_that_fails_cuts_downloads_and_ends_the_process() {
    for fault in ["epoll_wait-EBADF", "epoll_wait-lies"] {
        for workers in ["1", "2"] {
            let mut house = House::new(&["--workers", workers]);
            let readers = house.readers();
            house.shim.begin(fault);
            // To read on makes room, which wakes the workers.
            expect_cut(readers);
            assert_eq!(house.server.expect_exit().code(), Some(70), "{fault} {workers}");
        }
    }
}

#[test]
fn a_worker_that_fails_alone_ends_the_process_and_cuts_the_replies_of_all() {
    for fault in ["epoll_wait-EBADF-worker-0", "epoll_wait-EBADF-worker-1"] {
        let mut house = House::new(&["--workers", "2"]);
        let mut readers = house.readers();
        readers.extend(house.readers());
        // Connections are dealt out in turn: each worker has some of these, and wakes.
        let idle = [house.peers(), house.peers()];
        house.shim.begin(fault);
        for mut peer in idle.into_iter().flatten() {
            peer.say_what_fits(b"hello\n", PATIENCE);
        }
        expect_cut(readers);
        assert_eq!(house.server.expect_exit().code(), Some(70), "{fault}");
    }
}

#[test]
fn a_worker_that_hangs_does_not_hold_up_the_second_signal() {
    let mut house = House::new(&["--drain", "600"]);
    house.shim.begin("sendfile-hangs");
    let mut peer = house.server.peer("line");
    peer.say("download f\n");
    wait_until("the worker hangs", || house.shim.has("hung"));
    house.server.signal(Signal::SIGTERM);
    house.server.expect_log("stopping");
    house.server.signal(Signal::SIGTERM);
    assert_eq!(house.server.expect_exit().code(), Some(70));
}

#[test]
fn a_framed_request_that_a_drain_cuts_off_gets_its_last_frame() {
    let mut house = House::new(&["--drain", "1"]);
    let [_, unix] = house.peers();
    let mut peers = [FramedPeer::negotiate(house.server.peer("line")).0];
    let mut others = [FramedPeer::negotiate(unix).0];
    for peer in peers.iter_mut().chain(&mut others) {
        peer.say("run echo on; exec sleep 100\nfiles\n");
        assert_eq!(peer.expect_own().text(), "on\n");
    }
    house.server.signal(Signal::SIGTERM);
    for peer in peers.iter_mut().chain(&mut others) {
        for _ in ["run", "files"] {
            peer.expect_fail("stopping");
        }
    }
    assert_eq!(house.server.expect_exit().code(), Some(0));
}

#[test]
fn a_file_that_cannot_be_read_cuts_its_download_and_the_log_says_so() {
    for fault in ["preadv2-EIO", "sendfile-EIO"] {
        let house = House::new(&[]);
        let readers = house.readers();
        house.shim.begin("pread-EIO");
        house.shim.begin(fault);
        expect_cut(readers);
        house.server.expect_log("why=\"read error\"");
        assert!(!house.server.log().iter().any(|line| line.contains("why=gone")), "{fault}");
    }
}

#[test]
fn a_file_that_cannot_be_read_fails_in_frames_and_the_connection_goes_on() {
    let house = House::new(&[]);
    let [tcp, unix] = house.peers();
    let mut peers = [tcp, unix].map(|peer| FramedPeer::negotiate(peer).0);
    for peer in &mut peers {
        peer.say("download f\n");
        assert_eq!(peer.expect_own().key("size"), SIZE.to_string());
    }
    house.shim.begin("pread-EIO");
    house.shim.begin("sendfile-EIO");
    for peer in &mut peers {
        let reply = peer.expect_reply();
        assert_eq!(reply.last.kind, "fail", "{:?}", reply.last);
        assert_eq!(reply.last.key("code"), "internal");
        peer.expect_in_step();
    }
}

#[test]
fn a_file_system_without_sendfile_is_read_instead() {
    for fault in ["sendfile-EINVAL", "sendfile-EIO"] {
        let house = House::new(&[]);
        house.shim.begin(fault);
        let content = crate::support::Seed::new().bytes(5_000_001);
        house.scratch.write("root/g", &content);
        for mut peer in house.peers() {
            peer.widen();
            peer.say("download g\nping\n");
            peer.expect(&content);
            peer.expect("pong\n");
            let mut framed = FramedPeer::negotiate(peer).0;
            let reply = framed.ask("download@1 g");
            assert_eq!(reply.last.kind, "done", "{:?}", reply.last);
            assert!(reply.joined("data") == content[1..], "other bytes");
        }
    }
}

#[test]
fn a_file_that_shrinks_is_truncated_in_frames_of_both_families() {
    let house = House::new(&[]);
    let mut peers = house.peers().map(|peer| FramedPeer::negotiate(peer).0);
    for peer in &mut peers {
        peer.say("download f\n");
        peer.expect_own();
    }
    let file = OpenOptions::new().write(true).open(house.scratch.join("root/f"));
    file.expect("the file").set_len(MIB).expect("it can shrink");
    for peer in &mut peers {
        let reply = peer.expect_reply();
        assert_eq!(reply.last.kind, "fail", "{:?}", reply.last);
        assert_eq!(reply.last.key("code"), "truncated");
        peer.expect_in_step();
    }
}

#[test]
fn an_upload_that_the_server_cannot_go_on_with_ends_in_an_error() {
    let house = House::new(&["--upload", "new"]);
    let [_, mut peer] = house.peers();
    peer.say("upload - g\nhalf");
    let is_begun = || std::fs::read_dir(house.scratch.join("root")).map(Iterator::count);
    wait_until("it is being stored", || is_begun().is_ok_and(|count| count == 2));
    house.shim.begin("epoll_ctl-ENOSPC");
    peer.half_close();
    // Whether it was stored in the end is left open: the client does not take it for stored.
    peer.expect_error("internal");
    peer.expect_end();
}

#[test]
fn a_byte_that_stays_unread_wakes_nobody_and_is_no_request() {
    let house = House::new(&[]);
    let [_, mut peer] = house.peers();
    peer.say("run echo on; exec sleep 100\n");
    peer.expect("on\n");
    let mut looks = 0;
    wait_until("the server sleeps", || {
        looks = if process::is_asleep(house.server.pid()) { looks + 1 } else { 0 };
        looks == 40
    });
    let [_, mut peer] = house.peers();
    for _ in 0..3 {
        peer.say("download f\n");
        peer.expect([0; 8]);
        peer.say("ping\nno request\n");
        peer.expect_stream(SIZE - 8, |_, piece| assert!(piece.iter().all(|byte| *byte == 0)));
        peer.expect("pong\nno request\n");
    }
    peer.say("download f\nlast");
    peer.half_close();
    peer.expect_stream(SIZE, |_, piece| assert!(piece.iter().all(|byte| *byte == 0)));
    peer.expect("last");
    peer.expect_end();
}
