//! `run@pty`: a command on a pseudo-terminal of the server.
//!
//! What it does not do: a terminal at this end (`client::interactive`, `compat`).

use crate::support::{FramedPeer, Server, process, wait_until};

fn shell() -> Server {
    Server::line(&["--run", "shell"])
}

/// Types keys.
fn press(peer: &mut FramedPeer, keys: &str) {
    peer.say(format!("in {}\n{keys}", keys.len()));
}

/// Reads output until what came so far ends in `text`; it is all of kind `out`.
#[track_caller]
fn expect_shown(peer: &mut FramedPeer, text: &str) {
    let mut shown = String::new();
    while !shown.ends_with(text) {
        let frame = peer.expect_own();
        assert_eq!(frame.kind, "out", "after {shown:?}: {frame:?}");
        shown.push_str(&frame.text());
    }
    assert_eq!(shown, text);
}

/// The reply ends with this output and status.
#[track_caller]
fn expect_ended(peer: &mut FramedPeer, shown: &str, status: &str) {
    let reply = peer.expect_reply();
    assert_eq!(String::from_utf8_lossy(&reply.joined("out")), shown);
    assert_eq!(reply.last.key("exit"), status, "{reply:?}");
}

#[test]
fn it_is_a_terminal_with_a_size_and_a_type() {
    let server = shell();
    let mut peer = server.framed();
    let look =
        "run@pty test -t 0 && test -t 1 && test -t 2 && stty size && echo $TERM; echo e >&2\n";
    peer.say(look);
    expect_ended(&mut peer, "24 80\r\nxterm\r\ne\r\n", "0");
    // With the request it comes in time for the start.
    peer.say(format!("{look}winch 0 cols=132 rows=50 term=vt220\n"));
    expect_ended(&mut peer, "50 132\r\nvt220\r\ne\r\n", "0");
    // A type that is none is refused, keys that are not known do not count.
    let refused = "winch 0 cols=10 rows=5 term=a/b new=1\n";
    peer.say(format!("{look}{refused}winch 0 new=1 cols=10 rows=5\n"));
    expect_ended(&mut peer, "5 10\r\nxterm\r\ne\r\n", "0");
    peer.expect_fail("bad-request");
    peer.expect_in_step();
}

#[test]
fn another_size_is_told_to_the_command() {
    let server = shell();
    let mut peer = server.framed();
    let command = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.02; done";
    peer.say(format!("run@pty {command}\n"));
    expect_shown(&mut peer, "ready\r\n");
    peer.say("winch 0 cols=100 rows=30\n");
    expect_shown(&mut peer, "30 100\r\n");
    peer.say("winch 0 cols=65535 rows=1\n");
    expect_shown(&mut peer, "1 65535\r\n");
    peer.say("cancel\n");
    assert_eq!(peer.expect_reply().last.key("code"), "cancelled");
    assert_eq!(peer.expect_done().payload, b"");
}

#[test]
fn keys_are_echoed_and_edited_by_the_terminal() {
    let server = shell();
    let mut peer = server.framed();
    peer.say("run@pty read -r line; echo \"got $line\"\n");
    press(&mut peer, "helpp\u{7f}lo\r");
    // The terminal shows how it rubs out.
    let reply = peer.expect_reply();
    let shown = String::from_utf8_lossy(&reply.joined("out")).into_owned();
    assert!(shown.ends_with("got helplo\r\n"), "{shown:?}");
    assert!(shown.starts_with("helpp"), "{shown:?}");
}

#[test]
fn control_keys_reach_the_command_in_front() {
    let server = shell();
    let mut peer = server.framed();
    peer.say(
        "run@pty trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.02; done\n",
    );
    expect_shown(&mut peer, "ready\r\n");
    press(&mut peer, "\u{3}");
    expect_ended(&mut peer, "^Cinterrupted\r\n", "5");
    peer.say("run@pty echo ready; cat; echo over\n");
    expect_shown(&mut peer, "ready\r\n");
    press(&mut peer, "\u{4}");
    expect_ended(&mut peer, "over\r\n", "0");
    // A shell has jobs there: it is the leader of a session with a terminal of its own.
    peer.say("run@pty ps -o tty= -p $$ | grep -q pts && echo at a terminal\n");
    expect_ended(&mut peer, "at a terminal\r\n", "0");
}

#[test]
fn the_end_of_input_is_typed() {
    let server = shell();
    let mut peer = server.framed();
    peer.say("run@pty stty -echo; echo ready; wc -c\n");
    expect_shown(&mut peer, "ready\r\n");
    press(&mut peer, "a line\n");
    peer.say("eof 0\n");
    expect_ended(&mut peer, "7\r\n", "0");
    peer.say("run@pty stty -echo; echo ready; wc -c\n");
    expect_shown(&mut peer, "ready\r\n");
    press(&mut peer, "half a line");
    peer.peer.half_close();
    expect_ended(&mut peer, "11\r\n", "0");
    peer.peer.expect_end();
}

#[test]
fn the_terminal_hangs_up_when_its_peer_goes() {
    let server = shell();
    let scratch = crate::support::Scratch::new();
    let told = scratch.join("told");
    let mut peer = server.framed();
    let trap = format!("trap 'echo hung up > {}; exit' HUP", told.display());
    peer.say(format!("run@pty {trap}; echo ready; while :; do sleep 0.02; done\n"));
    expect_shown(&mut peer, "ready\r\n");
    peer.peer.reset();
    wait_until("the command was told", || {
        std::fs::read_to_string(&told).is_ok_and(|text| text == "hung up\n")
    });
    wait_until("no command is left", || process::children(server.pid()).is_empty());
}

#[test]
fn what_does_not_mind_a_hang_up_ends_all_the_same() {
    let server = shell();
    let mut peer = server.framed();
    peer.say("run@pty trap '' HUP TERM INT; echo $$; while :; do sleep 0.1; done\n");
    let shown = peer.expect_own().text();
    let pid = shown.trim().parse().expect("a process id");
    peer.say("cancel\n");
    assert_eq!(peer.expect_reply().last.key("code"), "cancelled");
    assert_eq!(peer.expect_done().payload, b"");
    wait_until("the command has ended", || process::has_ended(pid));
    peer.expect_in_step();
}

#[test]
fn keys_that_nobody_reads_take_no_memory() {
    let server = shell();
    let mut peer = server.framed();
    peer.say("run@pty stty raw -echo; echo ready; sleep 1000\n");
    expect_shown(&mut peer, "ready\n");
    let (before, received_before) = (server.peak_bytes(), server.received_bytes());
    let keys = [&b"in 60000\n"[..], &vec![b'x'; 60_000]].concat().repeat(300);
    peer.peer.say_what_fits(&keys, std::time::Duration::from_millis(300));
    let received = server.received_bytes() - received_before;
    assert!(received < 4 << 20, "{received} bytes were read though nobody takes them");
    assert!(server.grown_since(before) < 4 << 20, "{} bytes", server.grown_since(before));
    peer.peer.reset();
    wait_until("no command is left", || process::children(server.pid()).is_empty());
}

#[test]
fn much_output_of_a_terminal_arrives_whole() {
    let server = shell();
    let mut peer = server.framed();
    let reply = peer.ask("run@pty stty -opost; seq 200000; exit 3");
    let shown = reply.joined("out");
    let numbers = shown.split(|byte| *byte == b'\n').zip(1..=200_000);
    assert!(numbers.into_iter().all(|(line, number)| line == number.to_string().as_bytes()));
    assert_eq!(shown.len(), 1_288_895);
    assert_eq!(reply.last.key("exit"), "3");
    peer.expect_in_step();
}

#[test]
fn jobs_in_the_background_end_with_their_peer() {
    let server = shell();
    // A shell with job control gives each job a group of its own.
    for left in ["wait", "exit"] {
        let mut peer = server.framed();
        peer.say(format!("run@pty set -m; nohup sleep 1000 >/dev/null 2>&1 & echo $!; {left}\n"));
        let mut shown = String::new();
        while !shown.ends_with("\r\n") {
            shown.push_str(&peer.expect_own().text());
        }
        let pid = shown.trim().parse().expect("a process id");
        peer.peer.reset();
        wait_until("the job has ended", || process::has_ended(pid));
    }
}
