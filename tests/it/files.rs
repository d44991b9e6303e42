//! Files: what a download is, which paths there are, and what is no file.
//!
//! What it does not do: listings (`listing`), or files that are large or change (`transfers`).

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use nix::sys::stat::Mode;

use crate::support::{Scratch, Seed, Server, process, wait_until};

#[test]
fn a_download_is_the_file_and_nothing_else() {
    let scratch = Scratch::new();
    let content = Seed::new().bytes(3_000_001);
    scratch.write("some file  with blanks.bin", &content);
    scratch.write("sub/deep/er", "below\r\n");
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.peer("line");
    peer.say("download some file  with blanks.bin\n");
    peer.expect(&content);
    peer.expect_in_step();
    peer.say("download sub/deep/er\r\nafter\n");
    peer.expect("below\r\nafter\n");
    peer.say("download   sub/deep/er\ndownload sub/deep/er \n");
    peer.expect("below\r\n");
    peer.expect_error("no-such-file");
    peer.say("download sub/deep/er");
    peer.half_close();
    peer.expect("below\r\n");
    peer.expect_end();
}

#[test]
fn a_download_starts_at_its_offset() {
    let scratch = Scratch::new();
    let content = Seed::new().bytes(200_000);
    scratch.write("f", &content);
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.peer("line");
    for offset in [0, 1, 4096, 65_537, 199_999, 200_000] {
        peer.say(format!("download@{offset} f\n"));
        peer.expect(&content[offset..]);
        peer.expect_in_step();
    }
    peer.say("download@200001 f\ndownload@18446744073709551615 f\n");
    peer.say(format!("download@{} f\n", "9".repeat(60)));
    for _ in 0..3 {
        peer.expect_error("bad-offset");
    }
    for malformed in ["@x f", "@-1 f", "@ f", "@+1 f", "@1", "@1.5 f", "", " "] {
        peer.say(format!("download{malformed}\n"));
        peer.expect_error("bad-request");
    }
    peer.expect_in_step();
}

#[test]
fn an_empty_file_is_nothing_at_all() {
    let scratch = Scratch::new();
    scratch.write("empty", "");
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.peer("line");
    peer.say("download empty\ndownload@0 empty\ndownload@1 empty\n");
    peer.expect_error("bad-offset");
    peer.expect_in_step();
}

#[test]
fn downloads_in_one_packet_follow_each_other() {
    let scratch = Scratch::new();
    scratch.write("a", "<a>");
    scratch.write("b", "<b>".repeat(100_000));
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.peer("line");
    peer.say("download a\necho\ndownload b\ndownload nothing\ndownload a\n".repeat(5));
    for _ in 0..5 {
        peer.expect("<a>echo\n");
        peer.expect("<b>".repeat(100_000));
        peer.expect_error("no-such-file");
        peer.expect("<a>");
    }
}

#[test]
fn what_lies_outside_the_root_is_as_if_it_were_absent() {
    let scratch = Scratch::new();
    let secret = scratch.write("secret", "secret");
    scratch.write("root/inside", "inside");
    scratch.write("root/sub/file", "file");
    scratch.write("root/.hidden", "hidden");
    scratch.write("root/.git/config", "hidden");
    symlink(&secret, scratch.join("root/absolute-link")).expect("a link");
    symlink("../secret", scratch.join("root/link")).expect("a link");
    symlink("..", scratch.join("root/up")).expect("a link");
    symlink("/proc/self/environ", scratch.join("root/environ")).expect("a link");
    symlink("nowhere", scratch.join("root/dangling")).expect("a link");
    symlink("loop", scratch.join("root/loop")).expect("a link");
    let server = Server::line(&["--root", &scratch.text("root")]);
    let mut peer = server.peer("line");
    let absolute = scratch.text("root/inside");
    let paths = [
        "absent",
        "../secret",
        "sub/../../secret",
        "sub/../inside",
        "..",
        ".",
        "./inside",
        "/",
        "/etc/passwd",
        &absolute,
        "absolute-link",
        "link",
        "up/secret",
        "up/root/inside",
        "environ",
        "dangling",
        "loop",
        ".hidden",
        ".git/config",
        "sub/.hidden",
        "inside/file",
        "sub/../",
    ];
    for verb in ["download", "stat", "download@3"] {
        peer.say(format!("{verb} {}\n", paths[0]));
        let usual = peer.expect_error("no-such-file").replace("absent", "PATH");
        for path in paths {
            peer.say(format!("{verb} {path}\n"));
            let text = peer.expect_error("no-such-file").replacen(path, "PATH", 1);
            assert_eq!(text, usual, "another text for {verb} {path}");
        }
    }
    peer.expect_in_step();
}

#[test]
fn a_link_that_stays_inside_is_followed() {
    let scratch = Scratch::new();
    scratch.write("real/file", "content\n");
    symlink("real/file", scratch.join("link")).expect("a link");
    symlink("../real", scratch.join("real/again")).expect("a link");
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.peer("line");
    peer.say("download link\ndownload real/again/again/file\n");
    peer.expect("content\ncontent\n");
}

#[test]
fn a_magic_link_is_no_way_out() {
    // The test's own directory in /proc is full of them.
    let root = format!("/proc/{}", std::process::id());
    let server = Server::line(&["--root", &root]);
    let mut peer = server.peer("line");
    for path in ["exe", "root/etc/passwd", "cwd/Cargo.toml", "fd/0", "task/../exe"] {
        peer.say(format!("download {path}\n"));
        peer.expect_error("no-such-file");
    }
    peer.expect_in_step();
}

#[test]
fn hidden_names_are_served_when_asked_for() {
    let scratch = Scratch::new();
    scratch.write("root/.profile", "profile\n");
    scratch.write("root/.git/config", "config\n");
    scratch.write("secret", "secret\n");
    let server = Server::line(&["--root", &scratch.text("root"), "--hidden"]);
    let mut peer = server.peer("line");
    peer.say("download .profile\ndownload .git/config\ndownload ../secret\n");
    peer.expect("profile\nconfig\n");
    peer.expect_error("no-such-file");
    peer.say("files\n");
    for name in [".git/", ".profile"] {
        assert!(peer.expect_line().ends_with(&format!(" {name}")));
    }
    peer.expect_in_step();
}

#[test]
fn what_is_no_regular_file_is_never_waited_for() {
    let scratch = Scratch::new();
    scratch.write("directory/file", "");
    nix::unistd::mkfifo(&scratch.join("fifo"), Mode::S_IRWXU).expect("a FIFO");
    let socket = UnixListener::bind(scratch.join("socket")).expect("a socket");
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.peer("line");
    for name in ["directory", "fifo", "socket"] {
        peer.say(format!("download {name}\ndownload@7 {name}\n"));
        peer.expect_error("not-a-file");
        peer.expect_error("not-a-file");
    }
    peer.expect_in_step();
    // A reader that opened the FIFO would have let this one in.
    let path = scratch.join("fifo");
    let flags = nix::fcntl::OFlag::O_WRONLY | nix::fcntl::OFlag::O_NONBLOCK;
    let writer = nix::fcntl::open(&path, flags, Mode::empty());
    assert_eq!(writer.err(), Some(nix::Error::ENXIO), "the FIFO is still open for reading");
    drop(socket);
}

#[test]
fn a_writer_that_waits_at_a_fifo_is_left_waiting() {
    let scratch = Scratch::new();
    let fifo = scratch.join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).expect("a FIFO");
    symlink("fifo", scratch.join("link")).expect("a link");
    let mut writer = std::process::Command::new("sh");
    writer.arg("-c").arg("echo written > \"$0\"").arg(&fifo);
    let mut writer = writer.spawn().expect("a shell");
    let waits = |pid| process::status_field(pid, "State").starts_with('S');
    wait_until("it waits", || waits(writer.id()));
    let args = ["--root", &scratch.text(""), "--upload", "replace"];
    let server = Server::line(&args);
    let (mut plain, mut framed) = (server.peer("line"), server.framed());
    for round in 0..3 {
        for name in ["fifo", "link"] {
            for verb in ["download", "download@1", "stat", "files"] {
                plain.say(format!("{verb} {name}\n"));
                plain.expect_error("not-a-file");
                framed.say(format!("{verb} {name}\n"));
                framed.expect_fail("not-a-file");
            }
        }
        plain.say("upload 1 fifo\nxfiles\n");
        plain.expect_error("not-a-file");
        plain.expect_in_step();
        assert!(writer.try_wait().expect("our child").is_none(), "released in round {round}");
    }
    assert_eq!(fs::read_to_string(fifo).expect("the writer is there"), "written\n");
    assert!(writer.wait().expect("our child").success());
}

#[test]
fn a_device_is_not_a_file() {
    let server = Server::line(&["--root", "/dev"]);
    let mut peer = server.peer("line");
    peer.say("download zero\ndownload null\ndownload tty\n");
    for _ in 0..3 {
        peer.expect_error("not-a-file");
    }
    peer.expect_in_step();
}

#[test]
fn without_a_root_every_file_verb_is_disabled() {
    let server = Server::line(&[]);
    let mut peer = server.peer("line");
    for request in ["download f", "download@1 f", "files", "files sub", "stat f"] {
        peer.say(format!("{request}\n"));
        peer.expect_error("disabled");
    }
    peer.expect_in_step();
}

#[test]
fn an_error_repeats_no_control_character() {
    let scratch = Scratch::new();
    let server = Server::line(&["--root", &scratch.text("")]);
    let mut peer = server.peer("line");
    let evil = b"download no\x1b[2J\x07\x7f\xc2\x9b31m\xff\tthing\n";
    peer.say(evil);
    peer.expect_error("no-such-file");
    peer.say(b"files \x1b]0;title\x07\n");
    peer.expect_error("no-such-file");
    peer.expect_in_step();
    for line in server.log() {
        assert!(!line.chars().any(char::is_control), "a control character in the log: {line:?}");
    }
}

#[test]
fn a_missing_root_is_a_bad_option() {
    let scratch = Scratch::new();
    let outcome = crate::support::server::run_to_end(&["-l", "0", "--root", &scratch.text("gone")]);
    assert_eq!(outcome.status, Some(78), "{outcome:?}");
    assert!(outcome.log.contains("landline: "), "{outcome:?}");
    assert!(!outcome.log.contains("listening"), "{outcome:?}");
    fs::write(scratch.join("file"), "").expect("a file");
    let outcome = crate::support::server::run_to_end(&["-l", "0", "--root", &scratch.text("file")]);
    assert_eq!(outcome.status, Some(78), "{outcome:?}");
}
