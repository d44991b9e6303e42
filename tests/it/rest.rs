//! A command that is over, or has nothing to do, while its client does not read: the server sleeps.

use crate::support::{FramedPeer, Peer, Scratch, Server, process, wait_until};

/// Looks in a row at which the server must be asleep: one that spins is never seen so often.
const LOOKS: u32 = 40;

/// Waits until all threads of the server sleep, and go on sleeping.
#[track_caller]
fn expect_rest(server: &Server) {
    let mut looks = 0;
    wait_until("the server sleeps", || {
        looks = if process::is_asleep(server.pid()) { looks + 1 } else { 0 };
        looks == LOOKS
    });
}

#[track_caller]
fn expect_no_command(server: &Server) {
    wait_until("no command is left", || process::children(server.pid()).is_empty());
}

fn shell(args: &[&str]) -> Server {
    Server::start(
        &[&["-l", "line@0", "-l", "exec@0", "--run", "shell", "--workers", "1"], args].concat(),
    )
}

/// A framed peer that reads nothing of what its command says.
#[track_caller]
fn framed(server: &Server, request: &str) -> FramedPeer {
    let (mut peer, _) = FramedPeer::negotiate(Peer::narrow(server.v4("line")));
    peer.say(format!("{request}\n"));
    peer
}

#[track_caller]
fn plain(server: &Server, service: &str, request: &str) -> Peer {
    let mut peer = Peer::narrow(server.v4(service));
    peer.say(format!("{request}\n"));
    peer
}

/// Commands that fill their client's socket and do not end, by how they are asked for.
const ENDLESS: [&str; 4] =
    ["run exec yes", "run exec yes >&2", "run yes & yes >&2", "run@pty exec yes"];

#[test]
fn a_command_that_took_too_long_costs_nothing() {
    let server = shell(&["--run-timeout", "1"]);
    let peers = ENDLESS.map(|request| framed(&server, request));
    let others = [
        plain(&server, "line", "run exec yes"),
        plain(&server, "exec", "exec yes"),
        plain(&server, "exec", "exec yes >&2"),
    ];
    wait_until("they run", || process::children(server.pid()).len() >= 7);
    expect_no_command(&server);
    expect_rest(&server);
    for mut peer in peers {
        peer.peer.widen();
        assert_eq!(peer.expect_reply().last.key("code"), "timeout");
        peer.expect_in_step();
    }
    drop(others);
}

#[test]
fn a_cancelled_command_costs_nothing() {
    let server = shell(&[]);
    let mut peers = ENDLESS.map(|request| framed(&server, request));
    for peer in &mut peers {
        assert_ne!(peer.expect_own().kind, "fail");
    }
    // All sockets are full.
    expect_rest(&server);
    for peer in &mut peers {
        peer.say("cancel\nafter\n");
    }
    expect_no_command(&server);
    expect_rest(&server);
    for mut peer in peers {
        peer.peer.widen();
        assert_eq!(peer.expect_reply().last.key("code"), "cancelled");
        peer.expect_done();
        assert_eq!(peer.expect_done().text(), "after");
    }
}

#[test]
fn a_command_that_exited_costs_nothing() {
    let server = shell(&[]);
    // What it leaves behind fills pipe and socket, and is ended when it exits.
    let command = "sh -c 'yes & yes >&2 & sleep 0.5; exit 3'";
    let mut framed =
        ["run", "run@in", "run@pty"].map(|verb| framed(&server, &format!("{verb} {command}")));
    let mut plain = plain(&server, "line", &format!("run {command}"));
    let exec = self::plain(&server, "exec", command);
    wait_until("they run", || process::children(server.pid()).len() == 5);
    expect_no_command(&server);
    expect_rest(&server);
    for peer in &mut framed {
        peer.peer.widen();
        assert_eq!(peer.expect_reply().last.key("exit"), "3");
        peer.expect_in_step();
    }
    plain.widen();
    plain.say("quit\n");
    let rest = plain.expect_rest();
    assert!(rest.ends_with(b"error exit: status 3\n"), "{} bytes", rest.len());
    drop(exec);
}

#[test]
fn keys_for_a_terminal_that_is_closed_cost_nothing() {
    let server = shell(&[]);
    // It reads no keys, fills the socket, and then nobody has the terminal open.
    let closing = "trap '' HUP; stty raw -echo; yes & sleep 1; kill $!; \
                   exec </dev/null >/dev/null 2>&1; sleep 1000";
    let mut peer = framed(&server, &format!("run@pty {closing}"));
    assert_eq!(peer.expect_own().kind, "out");
    let keys = [&b"in 60000\n"[..], &vec![b'x'; 60_000]].concat();
    peer.say(&keys);
    wait_until("only the last sleep is left", || {
        let children = process::children(server.pid());
        children.len() == 1 && process::children(children[0]).len() == 1
    });
    expect_rest(&server);
    peer.peer.widen();
    peer.say("cancel\n");
    assert_eq!(peer.expect_reply().last.key("code"), "cancelled");
}

#[test]
fn a_command_that_closed_its_output_costs_nothing() {
    let server = shell(&[]);
    let mut peers = ["exec >&- 2>&-; sleep 1000", "exec 2>&-; yes", "exec >&-; yes >&2"]
        .map(|command| framed(&server, &format!("run@in {command}")));
    wait_until("they run", || process::children(server.pid()).len() == 3);
    expect_rest(&server);
    for peer in &mut peers {
        peer.peer.widen();
        peer.say("cancel\n");
        assert_eq!(peer.expect_reply().last.key("code"), "cancelled");
    }
}

#[test]
fn an_upload_that_was_given_up_costs_nothing() {
    let scratch = Scratch::new();
    let path = scratch.join("socket");
    let (listen, root) = (format!("line@unix:{}", path.display()), scratch.text(""));
    let args = ["-l", &listen, "--root", &root, "--upload", "new", "--workers", "1"];
    let server = Server::start(&[&args[..], &["--idle-timeout", "1"]].concat());
    let (mut peer, _) = FramedPeer::negotiate(Peer::unix(&path));
    // These replies fill the socket, but are not too many to take more.
    peer.say(["x".repeat(60_000), "\n".to_owned()].concat().repeat(5));
    peer.say("upload 10 f\nabc");
    // Whoever came later is told later.
    Peer::unix(&path).expect_error("timeout");
    expect_rest(&server);
    for _ in 0..5 {
        assert_eq!(peer.expect_done().payload.len(), 60_000);
    }
    assert_eq!(peer.expect_reply().last.key("code"), "timeout");
}
