//! `landline upload`, and `landline run` with input: what a client sends.
//!
//! What it does not do: a server's own refusals (`upload` of the server's tests).

use std::fs;
use std::io::Write as _;

use nix::sys::signal::Signal;

use super::program::{Client, Fake, run, run_with};
use crate::support::{Scratch, Seed, Server, process, wait_until};

fn server(root: &Scratch, uploads: &str) -> (Server, String) {
    let server = Server::line(&["-r", &root.text(""), "--upload", uploads, "--run", "shell"]);
    let address = server.v4("line").to_string();
    (server, address)
}

#[test]
fn files_are_stored_whole_and_those_that_cannot_be_are_told() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    let (_server, address) = server(&root, "new");
    let content = Seed::new().bytes(3_000_000);
    folder.write("big", &content);
    folder.write("empty", "");
    run(&folder, &["upload", &address, "big", "empty"]).expect(0, "");
    assert_eq!(fs::read(root.join("big")).expect("it is stored"), content);
    assert_eq!(fs::read(root.join("empty")).expect("it is stored"), b"");
    run(&folder, &["upload", &address, "big"]).expect_failure(1, "exists: big");
    // Of several, the others are stored all the same.
    let outcome = run(&folder, &["upload", &address, "big", "absent", "empty", "--as", "no/"]);
    assert_eq!(outcome.status, Some(1), "{}", outcome.err);
    fs::create_dir(root.join("in")).expect("the scratch takes a directory");
    let outcome = run(&folder, &["upload", &address, "absent", "big", "--as", "in/"]);
    outcome.expect(3, "");
    assert!(outcome.err.contains("absent: No such file"), "{}", outcome.err);
    assert_eq!(fs::read(root.join("in/big")).expect("it is stored"), content);
}

#[test]
fn what_comes_through_a_pipe_is_stored_under_a_name() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    let (_server, address) = server(&root, "replace");
    let content = Seed::new().bytes(500_000);
    run_with(&folder, &["upload", &address, "-", "--as", "piped"], &content).expect(0, "");
    assert_eq!(fs::read(root.join("piped")).expect("it is stored"), content);
    run_with(&folder, &["upload", &address, "-", "--as", "piped"], b"").expect(0, "");
    assert_eq!(fs::read(root.join("piped")).expect("it is replaced"), b"");
}

#[test]
fn a_small_file_that_is_refused_does_not_cost_the_connection() {
    let folder = Scratch::new();
    folder.write("first", vec![b'x'; 4_000_000]);
    folder.write("second", "");
    let (address, server) = Fake::serve(|fake| {
        fake.greet("upload 4000000 first");
        fake.say("fail 2 code=exists\nno");
        fake.skip(4_000_000);
        fake.expect("upload 0 second");
        fake.say("done 0 size=0\n");
        fake.expect_gone();
    });
    let outcome = run(&folder, &["upload", &address, "first", "second"]);
    assert_eq!(outcome.status, Some(3), "{}", outcome.err);
    assert!(outcome.err.contains("exists: no"), "{}", outcome.err);
    server.join().expect("the script ran to its end");
}

#[test]
fn a_file_that_grows_meanwhile_is_stored_as_it_was() {
    let folder = Scratch::new();
    let size = 30_000_000;
    let path = folder.write("log", vec![b'x'; size]);
    let (address, server) = Fake::serve(move |fake| {
        fake.greet("upload 30000000 log");
        // Not all of it is sent yet: nobody has read what came.
        let mut log = fs::OpenOptions::new().append(true).open(path).expect("it is there");
        log.write_all(&vec![b'y'; 100_000]).expect("it grows");
        fake.skip(size);
        fake.say("done 0 size=30000000\n");
        fake.expect_gone();
    });
    run(&folder, &["upload", &address, "log"]).expect(0, "");
    server.join().expect("the script ran to its end");
}

#[test]
fn a_file_that_shrinks_meanwhile_is_an_error_and_not_stored() {
    let folder = Scratch::new();
    for left in [0, 1_000_000, 29_999_999] {
        let path = folder.write("file", vec![b'x'; 30_000_000]);
        let (address, server) = Fake::serve(move |fake| {
            fake.greet("upload 30000000 file");
            fs::OpenOptions::new()
                .write(true)
                .open(path)
                .and_then(|file| file.set_len(left))
                .expect("it shrinks");
            fake.expect_gone();
        });
        run(&folder, &["upload", &address, "file"]).expect_failure(1, "file: became shorter");
        server.join().expect("the script ran to its end");
    }
}

#[test]
fn a_server_that_stores_nothing_says_so() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    let (_server, address) = server(&root, "none");
    folder.write("file", vec![b'x'; 20_000_000]);
    run(&folder, &["upload", &address, "file"]).expect_failure(1, "disabled: ");
    run(&folder, &["upload", &address, "/dev/null"]).expect_failure(1, "no regular file");
    // A writer that waits there for a reader is not released.
    let fifo = folder.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let writer = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs::write(fifo, "written").map_err(|error| error.kind())
    });
    for _ in 0..20 {
        run(&folder, &["upload", &address, "fifo"]).expect_failure(1, "no regular file");
    }
    assert_eq!(fs::read(fifo).expect("the writer is there"), b"written");
    assert_eq!(writer.join().expect("it does not panic"), Ok(()));
}

#[test]
fn input_reaches_the_command_and_all_comes_back() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    let (_server, address) = server(&root, "none");
    let content = Seed::new().bytes(5_000_000);
    let args = ["run", &address, "sh", "-c", "cat; echo err >&2; exit 7"];
    let outcome = run_with(&folder, &args, &content);
    outcome.expect(7, &content);
    assert_eq!(outcome.err, "err\n");
    // Not every command reads all that it is given.
    run_with(&folder, &["run", &address, "head -c 3"], &content).expect(0, &content[..3]);
    run_with(&folder, &["run", &address, "exec <&-; echo no"], &content).expect(0, "no\n");
}

#[test]
fn an_interrupt_takes_a_command_back_though_it_reads_nothing() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    let (_server, address) = server(&root, "none");
    let mut client = Client::start(&folder, &["run", &address, "echo $$; exec sleep 1000"]);
    let pid = client.talk.expect_line().parse().expect("a process id");
    // More than the server keeps for it: what says so is stuck behind.
    let mut input = client.talk.second_handle();
    let writer = std::thread::spawn(move || drop(input.write_all(&vec![b'x'; 20_000_000])));
    client.signal(Signal::SIGINT);
    assert_eq!(client.expect_exit(130), "");
    wait_until("the command has ended", || process::has_ended(pid));
    // Nobody is left who would take the rest.
    writer.join().expect("the writer does not panic");
}

#[test]
fn a_terminal_there_without_one_here_types_what_comes() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    let (_server, address) = server(&root, "none");
    let command = "test -t 0 && stty size; echo $TERM; read line; echo got $line; cat; exit 3";
    let outcome = run_with(&folder, &["run", "-t", &address, command], b"one\ntwo\n");
    let shown = String::from_utf8(outcome.out).expect("it is text");
    assert_eq!(outcome.status, Some(3), "{shown} {}", outcome.err);
    // The terminal echoes what is typed whenever that comes.
    assert!(shown.contains("24 80\r\n") && shown.contains("xterm\r\n"), "{shown:?}");
    assert!(shown.contains("got one\r\n") && shown.ends_with("two\r\n"), "{shown:?}");
    run(&folder, &["run", "-t", &address, "kill -TERM $$"]).expect(143, "");
}
