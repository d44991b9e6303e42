//! `upload` as the server does it: whole files or none, plain and framed, and every refusal.
//!
//! What it does not do: the client's side of it (`client::upload`).

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::scratch::names;
use crate::support::{Scratch, Seed, Server, process, wait_until};

/// A server that stores files in `root`, and replaces them where `uploads` is `replace`.
fn server(root: &Scratch, uploads: &str) -> Server {
    Server::line(&["--root", &root.text(""), "--upload", uploads])
}

/// How many files are being stored.
fn temporaries(root: &Scratch) -> usize {
    names(root.path()).iter().filter(|name| name.starts_with(".landline-")).count()
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).expect("a scratch can be read").next().is_none()
}

#[test]
fn a_file_is_stored_whole_and_silently() {
    let root = Scratch::new();
    let server = server(&root, "new");
    std::fs::create_dir(root.join("sub")).expect("the scratch takes a directory");
    let content = Seed::new().bytes(1_500_001);
    let mut plain = server.peer("line");
    plain.say(b"upload 1500001 one\n");
    plain.say(&content);
    plain.expect_in_step();
    plain.say(b"upload 0 sub/empty\r\n");
    plain.expect_in_step();
    plain.say(b"upload 5 with blanks .txt\nquit\n");
    plain.expect_in_step();
    let mut whole = server.peer("line");
    whole.say(b"upload - two\n");
    whole.say(&content);
    whole.half_close();
    whole.expect_end();
    let mut framed = server.framed();
    framed.say([b"upload 1500001 three\n", &content[..], b"ping\n"].concat());
    assert_eq!(framed.expect_done().key("size"), "1500001");
    assert_eq!(framed.expect_done().text(), "pong");
    for name in ["one", "two", "three"] {
        assert!(std::fs::read(root.join(name)).expect("it is there") == content, "{name}");
    }
    assert_eq!(std::fs::read(root.join("with blanks .txt")).expect("it is there"), b"quit\n");
    assert_eq!(root.join("sub/empty").metadata().expect("it is there").len(), 0);
    assert_eq!(names(root.path()), ["one", "sub", "three", "two", "with blanks .txt"]);
}

#[test]
fn a_file_cut_anywhere_is_the_same_file() {
    let root = Scratch::new();
    let server = server(&root, "replace");
    let mut seed = Seed::new();
    let mut peer = server.peer("line");
    for round in 0..40 {
        let content = seed.bytes(seed_size(round));
        let said =
            [format!("upload {} f\n", content.len()).as_bytes(), &content, b"ping\n"].concat();
        let mut at = 0;
        while at < said.len() {
            let end = (at + seed.between(1, 1 + said.len() / 4)).min(said.len());
            peer.say(&said[at..end]);
            at = end;
        }
        peer.expect("pong\n");
        assert!(std::fs::read(root.join("f")).expect("it is there") == content, "round {round}");
    }
}

fn seed_size(round: usize) -> usize {
    [0, 1, 7, 4096, 65_536, 65_537, 200_000][round % 7]
}

#[test]
fn what_cannot_be_stored_is_refused_and_the_connection_stays_in_step() {
    let root = Scratch::new();
    let outside = Scratch::new();
    root.write("there", "as it was");
    root.write("folder/x", "");
    symlink(outside.path(), root.join("out")).expect("the scratch takes a link");
    symlink("there", root.join("link")).expect("the scratch takes a link");
    let fifo = root.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("the scratch takes a FIFO");
    let server = server(&root, "new");
    let (mut plain, mut framed) = (server.peer("line"), server.framed());
    for (operands, code) in [
        ("9 there", "exists"),
        ("9 link", "exists"),
        ("9 folder", "not-a-file"),
        ("9 folder/", "not-a-file"),
        ("9 fifo", "not-a-file"),
        ("9 nowhere/f", "no-such-file"),
        ("9 there/f", "no-such-file"),
        ("9 ../f", "no-such-file"),
        ("9 folder/../f", "no-such-file"),
        ("9 /f", "no-such-file"),
        ("9 out/f", "no-such-file"),
        ("9 .f", "no-such-file"),
        ("9 .landline-1-0.part", "no-such-file"),
        ("9 folder/.f", "no-such-file"),
    ] {
        plain.say(format!("upload {operands}\nrun true\n"));
        plain.expect_error(code);
        plain.expect_in_step();
        framed.say(format!("upload {operands}\nrun true\n"));
        framed.expect_fail(code);
        framed.expect_in_step();
    }
    // No bytes belong to what is no upload.
    for operands in ["", " 9", " f", " -1 f", " 9223372036854775808 f", " 0x9 f", " 9f"] {
        plain.say(format!("upload{operands}\n"));
        plain.expect_error("bad-request");
        plain.expect_in_step();
        framed.say(format!("upload{operands}\n"));
        framed.expect_fail("bad-request");
        framed.expect_in_step();
    }
    framed.say("upload - f\n");
    framed.expect_fail("bad-request");
    framed.expect_in_step();
    assert_eq!(std::fs::read(root.join("there")).expect("it is there"), b"as it was");
    assert!(is_empty(outside.path()));
    assert_eq!(names(root.path()), ["fifo", "folder", "link", "out", "there"]);
    assert_eq!(names(&root.join("folder")), ["x"]);
}

#[test]
fn replacing_takes_leave_and_replaces_a_link_itself() {
    let root = Scratch::new();
    root.write("target", "untouched");
    symlink("target", root.join("link")).expect("the scratch takes a link");
    root.write("file", "older and longer");
    let before = root.join("file").metadata().expect("it is there").ino();
    let server = server(&root, "replace");
    let mut peer = server.peer("line");
    peer.say("upload 3 file\nnewupload 3 link\nnew");
    peer.expect_in_step();
    for name in ["file", "link"] {
        assert_eq!(std::fs::read(root.join(name)).expect("it is there"), b"new");
        assert!(root.join(name).symlink_metadata().expect("it is there").is_file());
    }
    assert_ne!(root.join("file").metadata().expect("it is there").ino(), before, "it was renamed");
    assert_eq!(std::fs::read(root.join("target")).expect("it is there"), b"untouched");
    peer.say("upload 1 target/\nx");
    peer.expect_error("not-a-file");
    peer.expect_in_step();
}

#[test]
fn a_file_that_is_replaced_keeps_its_mode_and_no_one_else_reads_it_meanwhile() {
    let root = Scratch::new();
    let server = server(&root, "replace");
    let mut peer = server.peer("line");
    let mode = |name: &str| root.join(name).metadata().expect("it is there").mode() & 0o7777;
    for wanted in [0o600, 0o666, 0o755, 0o444, 0o400, 0o777, 0o000, 0o2750] {
        root.write("f", "old");
        std::fs::set_permissions(root.join("f"), Permissions::from_mode(wanted)).expect("ours");
        peer.say("upload 6 f\nhal");
        wait_until("it has begun", || temporaries(&root) == 1);
        let names = names(root.path());
        let temporary = names.iter().find(|name| name.starts_with(".landline-"));
        let meanwhile = mode(temporary.expect("it has begun"));
        assert_eq!(meanwhile & !wanted & 0o077, 0, "{meanwhile:o} for {wanted:o}");
        peer.say("ves");
        peer.expect_in_step();
        assert_eq!(format!("{:o}", mode("f")), format!("{wanted:o}"));
        std::fs::remove_file(root.join("f")).expect("it is there");
    }
    // A link has no mode of its own, and what it leads to is not what is replaced.
    root.write("target", "old");
    std::fs::set_permissions(root.join("target"), Permissions::from_mode(0o600)).expect("ours");
    symlink("target", root.join("link")).expect("the scratch takes a link");
    peer.say("upload 3 link\nnewupload 3 other\nnew");
    peer.expect_in_step();
    assert_eq!(mode("link"), mode("other"));
    assert_eq!(mode("target"), 0o600);
}

#[test]
fn what_a_killed_server_left_is_swept_at_the_next_start() {
    let root = Scratch::new();
    std::fs::create_dir_all(root.join("deep/er")).expect("a directory");
    let killed = server(&root, "replace");
    let mut peers = [killed.peer("line"), killed.peer("line")];
    for (peer, name) in peers.iter_mut().zip(["f", "deep/er/f"]) {
        peer.say(format!("upload 9 {name}\nhalf"));
    }
    wait_until("both have begun", || {
        temporaries(&root) == 1 && names(&root.join("deep/er")).len() == 1
    });
    // Another server, alive, stores a file in the same place.
    let living = server(&root, "new");
    let mut other = living.peer("line");
    other.say("upload 9 g\nhalf");
    wait_until("it has begun", || temporaries(&root) == 2);
    killed.signal(nix::sys::signal::Signal::SIGKILL);
    for mut peer in peers {
        drop(peer.expect_gone());
    }
    root.write("deep/.landline-data-f.part", "a client's own");
    let next = server(&root, "new");
    wait_until("what the dead one left is gone", || {
        temporaries(&root) == 1 && names(&root.join("deep/er")).is_empty()
    });
    next.peer("line").expect_in_step();
    other.say("whole");
    other.expect_in_step();
    assert_eq!(names(root.path()), ["deep", "g"]);
    assert_eq!(names(&root.join("deep")), [".landline-data-f.part", "er"]);
    assert_eq!(std::fs::read(root.join("g")).expect("it is there"), b"halfwhole");
}

#[test]
fn an_upload_that_does_not_come_to_its_end_leaves_nothing() {
    let root = Scratch::new();
    root.write("old", "old");
    let server = server(&root, "replace");
    let begun = || temporaries(&root) == 1;
    let mut early = server.peer("line");
    early.say("upload 9 old\nhalf");
    wait_until("it has begun", begun);
    early.half_close();
    early.expect_error("bad-request");
    early.expect_end();
    wait_until("nothing is left", || names(root.path()) == ["old"]);
    let mut gone = server.peer("line");
    gone.say("upload 9 old\nhalf");
    wait_until("it has begun", begun);
    gone.reset();
    wait_until("nothing is left", || names(root.path()) == ["old"]);
    let mut framed = server.framed();
    framed.say("upload 9 old\nhalf");
    wait_until("it has begun", begun);
    framed.peer.half_close();
    framed.expect_fail("bad-request");
    framed.peer.expect_end();
    wait_until("nothing is left", || names(root.path()) == ["old"]);
    assert_eq!(std::fs::read(root.join("old")).expect("it is there"), b"old");
}

#[test]
fn what_is_being_stored_is_neither_listed_nor_served() {
    let root = Scratch::new();
    let args = ["--root", &root.text(""), "--upload", "new", "--hidden"];
    let server = Server::line(&args);
    let mut slow = server.peer("line");
    slow.say("upload 9 f\nhalf");
    wait_until("it has begun", || names(root.path()).len() == 1);
    let temporary = names(root.path()).remove(0);
    let mut other = server.peer("line");
    other.say("files\n");
    other.expect_in_step();
    for request in ["download", "stat", "files", "upload 0"] {
        other.say(format!("{request} {temporary}\n"));
        other.expect_error("no-such-file");
    }
    other.say("stat f\n");
    other.expect_error("no-such-file");
    slow.say("whole");
    slow.expect_in_step();
    other.say("download f\n");
    other.expect("halfwhole");
    assert_eq!(names(root.path()), ["f"]);
}

#[test]
fn of_two_at_once_one_is_stored_and_none_is_mixed() {
    let root = Scratch::new();
    for uploads in ["new", "replace"] {
        let server = server(&root, uploads);
        let (mut one, mut two) = (server.framed(), server.framed());
        let content = |byte: u8| vec![byte; 100_000];
        for peer in [&mut one, &mut two] {
            peer.say(format!("upload 100000 {uploads}\n"));
        }
        wait_until("both have begun", || temporaries(&root) == 2);
        one.say(content(b'1'));
        two.say(content(b'2'));
        let lasts = [one.expect_reply().last, two.expect_reply().last];
        let stored = lasts.iter().filter(|last| last.kind == "done").count();
        assert_eq!(stored, if uploads == "new" { 1 } else { 2 }, "{lasts:?}");
        let refused = lasts.iter().filter(|last| last.kind == "fail");
        assert!(refused.map(|last| last.key("code")).all(|code| code == "exists"));
        let kept = std::fs::read(root.join(uploads)).expect("it is there");
        let is_one = kept == content(b'1') && (uploads == "replace" || lasts[0].kind == "done");
        let is_two = kept == content(b'2') && (uploads == "replace" || lasts[1].kind == "done");
        assert!(is_one || is_two, "{} bytes", kept.len());
    }
    assert_eq!(names(root.path()), ["new", "replace"]);
}

#[test]
fn readers_of_a_file_that_is_replaced_have_the_old_one_or_the_new_one() {
    const SIZE: usize = 3_000_000;
    let root = Scratch::new();
    root.write("f", vec![b'0'; SIZE]);
    let server = server(&root, "replace");
    let address = server.v4("line");
    let writer = std::thread::spawn(move || {
        let mut peer = crate::support::Peer::tcp(address);
        for round in 1..10 {
            peer.say(format!("upload {SIZE} f\n"));
            peer.say(vec![b'0' + round; SIZE]);
            peer.expect_in_step();
        }
    });
    let mut reader = server.peer("line");
    while !writer.is_finished() {
        reader.say("download f\n");
        let mut first = None;
        reader.expect_stream(SIZE as u64, |at, piece| {
            let first = *first.get_or_insert(piece[0]);
            assert!(piece.iter().all(|byte| *byte == first), "two files in one, at {at}");
        });
    }
    writer.join().expect("all of them were stored");
    reader.expect_in_step();
}

#[test]
fn what_is_taken_back_in_time_is_not_stored() {
    let root = Scratch::new();
    let server = server(&root, "new");
    let mut peer = server.framed();
    // What looks like a request is payload, up to the size; behind it, `cancel` may be too late.
    for size in [6, 7, 100_000, 2_000_000] {
        let name = format!("f{size}");
        let content = b"cancel\n".repeat(size / 7 + 1);
        let request = format!("upload {size} {name}\n");
        peer.say([request.as_bytes(), &content[..size], b"cancel\n"].concat());
        let last = peer.expect_reply().last;
        assert_eq!(peer.expect_done().payload, b"");
        peer.expect_in_step();
        let is_stored = last.kind == "done";
        assert!(is_stored || last.key("code") == "cancelled", "{last:?}");
        wait_until("nothing is under way", || names(root.path()).iter().all(|it| *it == name));
        let kept = std::fs::read(root.join(&name)).ok();
        assert!(kept == is_stored.then(|| content[..size].to_vec()), "{last:?}");
        std::fs::remove_file(root.join(&name)).ok();
    }
}

#[test]
fn an_upload_that_stalls_is_given_up() {
    let root = Scratch::new();
    let args = ["--root", &root.text(""), "--upload", "new", "--idle-timeout", "1"];
    let server = Server::line(&args);
    let (mut plain, mut framed) = (server.peer("line"), server.framed());
    plain.say("upload 9 f\nhalf");
    framed.say("upload 9 g\nhalf");
    plain.expect_error("timeout");
    framed.expect_fail("timeout");
    wait_until("nothing is left", || names(root.path()).is_empty());
    // What still comes of it is dropped. Then the peer is idle, as any other.
    plain.say("whole");
    plain.expect_in_step();
    plain.expect_error("timeout");
    plain.expect_end();
    assert_eq!(framed.expect_event().key("kind"), "closing");
    framed.peer.expect_end();
}

#[test]
fn a_server_that_stops_waits_for_an_upload_and_not_for_ever() {
    let root = Scratch::new();
    let args = ["--root", &root.text(""), "--upload", "new", "--drain", "2"];
    let mut server = Server::line(&args);
    let (mut ends, mut stalls) = (server.peer("line"), server.peer("line"));
    ends.say("upload 9 f\nhalf");
    stalls.say("upload 9 g\nhalf");
    wait_until("both have begun", || names(root.path()).len() == 2);
    server.signal(nix::sys::signal::Signal::SIGTERM);
    server.expect_log("stopping");
    ends.say("whole");
    ends.expect_error("stopping");
    ends.expect_end();
    assert_eq!(server.expect_exit().code(), Some(0));
    assert_eq!(names(root.path()), ["f"]);
    assert_eq!(std::fs::read(root.join("f")).expect("it is there"), b"halfwhole");
}

#[test]
fn a_disk_that_is_full_is_told_and_nothing_is_left() {
    let root = Scratch::new();
    // Larger files than these are refused by the system, as by a disk without room.
    let mut command = std::process::Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_landline")]);
    let args = ["--root", &root.text(""), "--upload", "new", "-l", "line@127.0.0.1:0"];
    let server = Server::start_with(command, &args);
    let (mut plain, mut framed) = (server.peer("line"), server.framed());
    let content = vec![b'x'; 500_000];
    plain.say([b"upload 500000 f\n", &content[..]].concat());
    assert!(plain.expect_error("internal").contains("no space"));
    plain.expect_in_step();
    framed.say([b"upload 500000 f\n", &content[..]].concat());
    assert!(framed.expect_fail("internal").contains("no space"));
    framed.expect_in_step();
    assert_eq!(names(root.path()), [""; 0]);
    plain.say("upload 5 f\nsmall");
    plain.expect_in_step();
    assert_eq!(names(root.path()), ["f"]);
}

#[test]
fn a_large_upload_takes_no_memory() {
    const SIZE: u64 = 256 << 20;
    let root = Scratch::new();
    let server = server(&root, "new");
    let mut peer = server.peer("line");
    let before = server.peak_bytes();
    peer.say(format!("upload {SIZE} f\n"));
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..SIZE >> 20 {
        peer.say(&piece);
    }
    peer.expect_in_step();
    assert!(server.grown_since(before) < 8 << 20, "{} bytes", server.grown_since(before));
    assert_eq!(root.join("f").metadata().expect("it is there").len(), SIZE);
    assert!(process::children(server.pid()).is_empty());
}
