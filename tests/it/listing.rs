//! Listings: `files` and `stat`, byte for byte.
//!
//! What it does not do: say which paths are refused; that is the same for downloads (`files`).

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::{Duration, UNIX_EPOCH};

use nix::sys::stat::Mode;

use crate::support::{FramedPeer, Peer, Scratch, Server};

/// 2020-12-17T20:06:53Z.
const THEN_S: u64 = 1_608_235_613;

fn set_time(scratch: &Scratch, name: &str, unix_s: u64) {
    let file = File::open(scratch.join(name)).expect("it exists");
    file.set_modified(UNIX_EPOCH + Duration::from_secs(unix_s)).expect("its time can be set");
}

#[test]
fn files_lists_size_time_and_name_in_byte_order() {
    let scratch = Scratch::new();
    scratch.write("b.txt", "12345");
    scratch.write("Z", "");
    scratch.write("sub/inner", "x".repeat(1234));
    scratch.write("sub-x", "1");
    scratch.write("sub.txt", "22");
    scratch.write("name with blanks", "333");
    scratch.write("é", "4444");
    scratch.write(".hidden", "");
    for name in ["b.txt", "Z", "sub-x", "sub.txt", "name with blanks", "é", "sub/inner"] {
        set_time(&scratch, name, THEN_S);
    }
    set_time(&scratch, "sub", 951_782_399);
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.peer("line");
    peer.say("files\n");
    peer.expect(
        "0 2020-12-17T20:06:53Z Z\n\
         5 2020-12-17T20:06:53Z b.txt\n\
         3 2020-12-17T20:06:53Z name with blanks\n\
         - 2000-02-28T23:59:59Z sub/\n\
         1 2020-12-17T20:06:53Z sub-x\n\
         2 2020-12-17T20:06:53Z sub.txt\n\
         4 2020-12-17T20:06:53Z é\n",
    );
    peer.say("files sub\n");
    peer.expect("1234 2020-12-17T20:06:53Z inner\n");
    peer.expect_in_step();
}

#[test]
fn names_that_could_break_a_listing_are_left_out() {
    let scratch = Scratch::new();
    scratch.write("good", "");
    set_time(&scratch, "good", THEN_S);
    let evil: [&[u8]; 6] =
        [b"new\nline", b"esc\x1b[2J", b"del\x7f", b"c1\xc2\x85", b"bad\xffutf8", b"cr\r"];
    for name in evil {
        fs::write(scratch.path().join(OsStr::from_bytes(name)), "").expect("a file");
    }
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.peer("line");
    peer.say("files\n");
    peer.expect("0 2020-12-17T20:06:53Z good\n");
    peer.expect_in_step();
}

#[test]
fn only_files_and_directories_and_links_to_them_are_listed() {
    let scratch = Scratch::new();
    scratch.write("outside", "1");
    scratch.write("root/file", "12");
    scratch.write("root/dir/inner", "");
    symlink("file", scratch.join("root/link")).expect("a link");
    symlink("../outside", scratch.join("root/out")).expect("a link");
    symlink("nowhere", scratch.join("root/dangling")).expect("a link");
    nix::unistd::mkfifo(&scratch.join("root/fifo"), Mode::S_IRWXU).expect("a FIFO");
    let _socket = UnixListener::bind(scratch.join("root/socket")).expect("a socket");
    for name in ["root/file", "root/dir"] {
        set_time(&scratch, name, THEN_S);
    }
    let server = Server::line(&["--root", &scratch.text("root")]);
    let mut peer = server.peer("line");
    peer.say("files\n");
    peer.expect(
        "- 2020-12-17T20:06:53Z dir/\n\
         2 2020-12-17T20:06:53Z file\n\
         2 2020-12-17T20:06:53Z link\n",
    );
    peer.expect_in_step();
}

#[test]
fn an_empty_directory_lists_nothing() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.join("empty")).expect("a directory");
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.peer("line");
    peer.say("files empty\n");
    peer.expect_in_step();
    peer.say("files absent\nfiles ..\nfiles /\nfiles .hidden\n");
    for _ in 0..4 {
        peer.expect_error("no-such-file");
    }
    // What could not be listed may be asked for again.
    for _ in 0..2 {
        peer.say("files absent\n");
        peer.expect_error("no-such-file");
    }
    peer.expect_in_step();
}

#[test]
fn stat_is_one_line_of_files() {
    let scratch = Scratch::new();
    scratch.write("data.bin", "x".repeat(70_000));
    scratch.write("sub/inner.bin", "123");
    set_time(&scratch, "data.bin", THEN_S);
    set_time(&scratch, "sub/inner.bin", THEN_S);
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.peer("line");
    for request in ["stat data.bin\n", "files data.bin\n"] {
        peer.say(request);
        peer.expect("70000 2020-12-17T20:06:53Z data.bin\n");
    }
    for request in ["stat sub/inner.bin\n", "files sub/inner.bin\n", "files sub\n"] {
        peer.say(request);
        peer.expect("3 2020-12-17T20:06:53Z inner.bin\n");
    }
    peer.say("stat\nstat absent\n");
    peer.expect_error("bad-request");
    peer.expect_error("no-such-file");
    peer.expect_in_step();
}

#[test]
fn a_listing_of_many_files_is_complete_and_others_are_served_meanwhile() {
    let scratch = Scratch::new();
    let mut names: Vec<String> = (0..3000).map(|number| format!("file {number}")).collect();
    for name in &names {
        scratch.write(name, "");
    }
    names.sort();
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.peer("line");
    peer.say("files\n");
    server.peer("line").expect_in_step();
    for name in &names {
        let line = peer.expect_line();
        assert!(line.starts_with("0 ") && line.ends_with(&format!("Z {name}")), "{line:?}");
    }
    peer.expect_in_step();
}

/// A directory whose listing has 5.75 MB. Gives its length.
fn large(scratch: &Scratch) -> usize {
    let tail = "x".repeat(200);
    fs::create_dir(scratch.join("big")).expect("a directory");
    for number in 0..25_000 {
        drop(File::create(scratch.join(&format!("big/{number:05}-{tail}"))).expect("a file"));
    }
    25_000 * ("0 2020-12-17T20:06:53Z 00000-\n".len() + tail.len())
}

#[test]
fn a_large_listing_that_is_not_read_costs_little_and_is_whole() {
    let scratch = Scratch::new();
    let bytes = large(&scratch);
    let server = Server::line(&["--root", &scratch.text("")]);
    let before = server.peak_bytes();
    let mut peers: Vec<_> = (0..8).map(|_| Peer::narrow(server.v4("line"))).collect();
    for peer in &mut peers {
        peer.say("files big\n");
    }
    let mut framed = FramedPeer::negotiate(Peer::narrow(server.v4("line"))).0;
    framed.say("files big\nping\n");
    for peer in &mut peers {
        peer.expect("0 ");
    }
    server.peer("line").expect_in_step();
    // Those who asked before the first was begun share one; the others share the next one.
    let grown = server.grown_since(before);
    assert!(grown < 4 * bytes as u64, "{grown} bytes for listings of {bytes}");
    for peer in &mut peers {
        peer.widen();
        peer.skip(bytes as u64 - 2);
        peer.expect_in_step();
    }
    framed.peer.widen();
    let done = framed.expect_done();
    assert_eq!(done.payload.len(), bytes);
    assert!(done.payload.is_sorted_by(|a, b| *a != b'\n' || *b == b'0'), "lines in order");
    assert_eq!(framed.expect_done().text(), "pong");
}

#[test]
fn nothing_stands_in_a_listing_that_is_sent_in_pieces() {
    let scratch = Scratch::new();
    let bytes = large(&scratch);
    let mut server = Server::line(&["--root", &scratch.text("")]);
    let mut framed = FramedPeer::negotiate(Peer::narrow(server.v4("line"))).0;
    let mut plain = Peer::narrow(server.v4("line"));
    framed.say("name reader\n");
    framed.expect_done();
    plain.take_name("plain", crate::support::server::NAME);
    assert_eq!(framed.expect_event().key("user"), "plain");
    framed.say("files big\n");
    plain.say("files big\n");
    plain.expect("0 ");
    framed.peer.expect(format!("done {bytes}\n"));
    // Too late: all of it was promised.
    framed.say("cancel\n");
    let mut other = server.named("other");
    other.say("send all hello\n");
    other.expect_in_step();
    server.signal(nix::sys::signal::Signal::SIGTERM);
    server.expect_log("stopping");
    framed.peer.widen();
    framed.peer.skip(bytes as u64);
    assert_eq!(framed.expect_event().kind, "note");
    assert_eq!(framed.expect_event().text(), "hello");
    plain.widen();
    plain.skip(bytes as u64 - 2);
    assert!(plain.expect_line().contains("hello"));
    assert!(server.expect_exit().success());
}

#[test]
fn a_listing_that_is_cut_off_is_not_taken_for_whole() {
    let scratch = Scratch::new();
    large(&scratch);
    let mut server = Server::line(&["--root", &scratch.text(""), "--drain", "1"]);
    let mut peer = Peer::narrow(server.v4("line"));
    peer.say("files big\n");
    peer.expect("0 ");
    server.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(server.expect_exit().success());
    let came = peer.expect_reset();
    assert!(!String::from_utf8_lossy(&came).contains("stopping"));
}

#[test]
fn listings_that_nobody_waits_for_are_given_up() {
    let scratch = Scratch::new();
    let bytes = large(&scratch);
    scratch.write("small/file", "");
    let server = Server::line(&["--root", &scratch.text("")]);
    for _ in 0..32 {
        let mut peer = server.peer("line");
        peer.say("files big\n");
        peer.reset();
    }
    let mut framed = server.framed();
    framed.say("files big\ncancel\nstat small/file\nfiles small\nfiles big\n");
    // It was cancelled, unless it was there before.
    framed.expect_reply();
    framed.expect_done();
    for _ in 0..2 {
        assert!(framed.expect_done().text().ends_with(" file\n"));
    }
    assert_eq!(framed.expect_done().payload.len(), bytes);
}
