//! `landline connect`: as a filter, and as two users who talk.
//!
//! What it does not do: a terminal.

use super::program::{Client, names, run_with};
use crate::support::{STAMP, Scratch, Server};

#[test]
fn as_a_filter_it_prints_the_replies_in_order_and_ends() {
    let (root, folder) = (Scratch::new(), Scratch::new());
    root.write("a.txt", "text\n");
    let server = Server::line(&["-r", &root.text(""), "--run", "shell"]);
    let input = "hello\n\nping\nrun printf out; exit 3\nrun printf 'x\\033y\\n'\nstat nothing\n\
                 get_list\nin 4\nabc\ndownload a.txt\nthe last";
    let args = ["connect", &server.v4("line").to_string()];
    let outcome = run_with(&folder, &args, input.as_bytes());
    outcome.expect(
        0,
        "hello\n\npong\nout\nerror exit: status 3\nx\x1by\n\
         error no-such-file: nothing: nothing of that name is served\nusers:\n\
         saved as client_a.txt, 5 bytes\nthe last\n",
    );
    assert_eq!(std::fs::read(folder.join("client_a.txt")).expect("it is there"), b"text\n");
    let outcome = run_with(&folder, &args, b"download a.txt\nquit\nnever said\n");
    outcome.expect(0, "error exists: client_a.txt is there already\n");
    assert_eq!(names(folder.path()), ["client_a.txt"]);
}

#[test]
fn what_is_still_to_come_when_input_ends_is_printed() {
    let folder = Scratch::new();
    let server = Server::line(&["--run", "shell"]);
    let address = server.v4("line").to_string();
    let input = format!("run sleep 0.3; echo late\n{}\n", "x".repeat(60_000));
    let outcome = run_with(&folder, &["connect", &address], input.as_bytes());
    outcome.expect(0, format!("late\n{}\n", "x".repeat(60_000)));
}

#[test]
fn two_users_talk_while_they_type() {
    let (one, two) = (Scratch::new(), Scratch::new());
    let server = Server::line(&[]);
    let address = server.v4("line").to_string();
    let mut al = Client::start(&one, &["connect", &address, "--user", "al"]);
    al.talk.expect_matching(&format!("connected to station as al at {STAMP}\n"));
    let mut bob = Client::start(&two, &["connect", &address, "--user", "bob"]);
    bob.talk.expect_matching(&format!("connected to station as bob at {STAMP}\n"));
    al.talk.expect("* bob joined\n");
    al.talk.say("send bob : hello\n");
    bob.talk.expect_matching(&format!("{STAMP} al (singlecasted) : hello\n"));
    bob.talk.say("hello back | al\nget_list\n");
    al.talk.expect_matching(&format!("{STAMP} bob (singlecasted) : hello back\n"));
    bob.talk.expect("users: al bob\n");
    bob.talk.half_close();
    assert_eq!(bob.expect_exit(0), "");
    al.talk.expect("* bob left\n");
    al.talk.say("send bob : gone\nquit\n");
    al.talk.expect("error no-such-user: bob\n");
    al.talk.expect_end();
    assert_eq!(al.expect_exit(0), "");
}

#[test]
fn messages_are_shown_between_the_lines_of_a_reply() {
    let folder = Scratch::new();
    let server = Server::line(&["--run", "shell"]);
    let mut bob = server.named("bob");
    let mut al =
        Client::start(&folder, &["connect", &server.v4("line").to_string(), "--user", "al", "-q"]);
    al.talk.expect_matching(&format!("connected to station as al at {STAMP}\n"));
    let fifo = folder.text("go");
    al.talk.say(format!("run mkfifo {fifo}; echo ready; printf half; cat {fifo}\n"));
    al.talk.expect("ready\nhalf");
    bob.say("send al : hi\n");
    bob.expect_in_step();
    std::fs::write(&fifo, " whole\n").expect("the command reads it");
    al.talk.expect(" whole\n");
    al.talk.expect_matching(&format!("{STAMP} bob (singlecasted) : hi\n"));
    al.talk.say("run printf half\nping\n");
    al.talk.expect("halfpong\n");
    al.talk.say("run printf half\n");
    al.talk.expect("half");
    bob.say("send al : again\n");
    al.talk.expect_matching(&format!("\n{STAMP} bob (singlecasted) : again\n"));
}

#[test]
fn a_name_that_is_taken_ends_it_and_so_does_a_server_that_stops() {
    let folder = Scratch::new();
    let mut server = Server::line(&[]);
    let address = server.v4("line").to_string();
    let _al = server.named("al");
    let args = ["connect", &address, "--user", "al"];
    run_with(&folder, &args, b"").expect_failure(1, "name-taken: al");
    let mut client = Client::start(&folder, &["connect", &address]);
    client.talk.say("here\n");
    client.talk.expect("here\n");
    server.stop();
    client.talk.expect("* the server is about to stop\n");
    let text = client.expect_exit(1);
    assert!(text.contains("closed the connection: stopping"), "{text:?}");
    run_with(&folder, &["connect", &address], b"").expect_failure(4, "Connection refused");
}
