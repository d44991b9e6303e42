//! Transfers of files that are large, that change under way, or that nobody reads.
//!
//! What it does not do: measure speed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;

use crate::support::{FramedPeer, Peer, Scratch, Seed, Server};

const MIB: u64 = 1 << 20;

#[test]
fn a_file_of_five_gibibytes_arrives_whole() {
    const SIZE: u64 = 5 << 30;
    // One sendfile(2) call moves at most 2,147,479,552 bytes; 32-bit counts end at 4 GiB.
    const MARKS: [u64; 6] =
        [0, 2_147_479_540, (2 << 30) - 8, (4 << 30) - 8, (4 << 30) + 1_000_000, SIZE - 16];
    let scratch = Scratch::new();
    let file = File::create(scratch.join("huge")).expect("a file");
    file.set_len(SIZE).expect("a sparse file");
    for mark in MARKS {
        file.write_all_at(format!("@{mark:015}").as_bytes(), mark).expect("a mark");
    }
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.peer("line");
    peer.say("download huge\n");
    let mut at = 0;
    for mark in MARKS {
        peer.skip(mark - at);
        peer.expect(format!("@{mark:015}"));
        at = mark + 16;
    }
    assert_eq!(at, SIZE);
    peer.expect_in_step();
    peer.say(format!("download@{} huge\n", SIZE - 16));
    peer.expect(format!("@{:015}", SIZE - 16));
    peer.say("stat huge\n");
    assert!(peer.expect_line().starts_with("5368709120 "));
}

/// A file larger than all socket buffers, and a peer that read only the first bytes of it.
fn interrupted(server: &Server, scratch: &Scratch, size: u64) -> Peer {
    let file = File::create(scratch.join("f")).expect("a file");
    file.set_len(size).expect("a sparse file");
    file.write_all_at(b"start", 0).expect("a mark");
    let mut peer = Peer::narrow(server.v4("line"));
    peer.say("download f\n");
    peer.expect("start");
    peer
}

#[test]
fn a_file_that_shrinks_resets_the_connection() {
    let scratch = Scratch::new();
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = interrupted(&server, &scratch, 64 * MIB);
    let file = OpenOptions::new().write(true).open(scratch.join("f")).expect("the file");
    file.set_len(MIB).expect("it can shrink");
    peer.widen();
    let came = peer.expect_reset();
    assert!(came.len() < 64 << 20, "as much as if it were whole");
    server.peer("line").expect_in_step();
}

#[test]
fn a_file_that_shrinks_is_truncated_framed_and_the_connection_goes_on() {
    let scratch = Scratch::new();
    let server = Server::line(&["--root", &scratch.text("")]);
    let file = File::create(scratch.join("f")).expect("a file");
    file.set_len(64 * MIB).expect("a sparse file");
    let (mut peer, _) = FramedPeer::negotiate(Peer::narrow(server.v4("line")));
    peer.say("download f\n");
    assert_eq!(peer.expect_own().key("size"), (64 * MIB).to_string());
    file.set_len(MIB).expect("it can shrink");
    peer.peer.widen();
    let reply = peer.expect_reply();
    assert_eq!((reply.last.kind.as_str(), reply.last.key("code").as_str()), ("fail", "truncated"));
    peer.expect_in_step();
}

#[test]
fn a_file_that_grows_is_sent_as_large_as_it_was() {
    let scratch = Scratch::new();
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = interrupted(&server, &scratch, 64 * MIB);
    let mut file = OpenOptions::new().append(true).open(scratch.join("f")).expect("the file");
    file.write_all(&vec![b'!'; 1 << 20]).expect("it can grow");
    peer.widen();
    peer.expect_stream(64 * MIB - 5, |at, piece| {
        assert!(piece.iter().all(|byte| *byte == 0), "at {at}: what was added later");
    });
    peer.expect_in_step();
}

#[test]
fn a_file_that_is_replaced_is_sent_as_it_was_opened() {
    let scratch = Scratch::new();
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = interrupted(&server, &scratch, 32 * MIB);
    scratch.write("new", "replaced");
    std::fs::rename(scratch.join("new"), scratch.join("f")).expect("a rename");
    peer.widen();
    peer.expect_stream(32 * MIB - 5, |at, piece| {
        assert!(piece.iter().all(|byte| *byte == 0), "at {at}: of another file");
    });
    peer.say("download f\n");
    peer.expect("replaced");
}

#[test]
fn a_slow_reader_costs_no_memory_and_nobody_waits_for_it() {
    let scratch = Scratch::new();
    let content = Seed::new().bytes(48 << 20);
    scratch.write("large", &content);
    let server = Server::line(&["--root", &scratch.text(""), "--workers", "1"]);
    let before = server.peak_bytes();
    let mut slow: Vec<_> = (0..3).map(|_| Peer::narrow(server.v4("line"))).collect();
    for peer in &mut slow {
        peer.say("download large\ndownload large\n");
        peer.expect(&content[..1000]);
    }
    let mut quick = server.peer("line");
    quick.say("download large\n");
    quick.expect_stream(u64::try_from(content.len()).expect("it fits"), |at, piece| {
        let start = usize::try_from(at).expect("it fits");
        assert!(piece == &content[start..start + piece.len()], "other bytes at {at}");
    });
    quick.expect_in_step();
    let grown = server.grown_since(before);
    assert!(grown < 32 * MIB, "{grown} bytes more");
    slow[0].widen();
    slow[0].skip(u64::try_from(content.len()).expect("it fits") - 1000);
    slow[0].expect(&content[..1000]);
}

#[test]
fn a_peer_that_goes_away_in_the_middle_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let server = Server::line(&["--root", &scratch.text("")]);
    let descriptors =
        || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).map(Iterator::count);
    server.peer("line").expect_in_step();
    let before = descriptors().expect("the server runs");
    for _ in 0..10 {
        interrupted(&server, &scratch, 64 * MIB).reset();
    }
    // The first peer's own descriptor may still have been counted.
    crate::support::wait_until("its descriptors are closed", || {
        descriptors().expect("the server runs") <= before
    });
}
