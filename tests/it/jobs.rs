//! The life of a command: whose it is, and every way in which it ends before its time.
//!
//! What it does not do: say what a command prints (`run`). Commands that only an end from outside
//! is to end do end by themselves after a while, so that a broken server leaves nothing behind.

use std::time::{Duration, Instant};

use crate::support::{FramedPeer, Peer, Scratch, Server, process, wait_until};

fn shell(args: &[&str]) -> Server {
    Server::line(&[&["--run", "shell"], args].concat())
}

/// Waits until all these processes have ended. "Within a second" is the contract; the rest is for
/// the noise of the machine.
#[track_caller]
fn expect_ended(pids: &[u32]) {
    let deadline = Instant::now() + Duration::from_secs(6);
    while let Some(left) = pids.iter().find(|pid| !process::has_ended(**pid)) {
        assert!(Instant::now() < deadline, "process {left} of {pids:?} goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The numbers on the next line.
#[track_caller]
fn expect_pids(peer: &mut Peer) -> Vec<u32> {
    let line = peer.expect_line();
    let pids: Vec<u32> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(!pids.is_empty(), "expected process ids, came {line:?}");
    for pid in &pids {
        assert!(!process::has_ended(*pid), "process {pid} of {line:?} has ended already");
    }
    pids
}

#[test]
fn a_reset_ends_a_silent_command() {
    let server = shell(&[]);
    let mut peer = server.peer("line");
    peer.say("run echo $$; exec sleep 100\n");
    let pids = expect_pids(&mut peer);
    peer.reset();
    expect_ended(&pids);
    wait_until("it is reaped", || process::children(server.pid()).is_empty());
}

#[test]
fn a_reset_after_a_half_close_ends_the_command_too() {
    let server = shell(&[]);
    let mut peer = server.peer("line");
    peer.say("run echo $$; exec sleep 100");
    peer.half_close();
    let pids = expect_pids(&mut peer);
    peer.reset();
    expect_ended(&pids);
}

#[test]
fn the_whole_group_ends_with_its_peer() {
    let server = shell(&[]);
    let mut peer = server.peer("line");
    peer.say("run sleep 100 & sh -c 'sleep 101 & echo '$!' $! $$; wait'\n");
    let pids = expect_pids(&mut peer);
    assert_eq!(pids.len(), 3);
    peer.reset();
    expect_ended(&pids);
}

#[test]
fn a_command_that_ignores_every_polite_signal_ends_too() {
    let server = shell(&[]);
    let mut peer = server.peer("line");
    peer.say("run trap '' TERM HUP INT PIPE; echo $$; for i in $(seq 900); do sleep 0.1; done\n");
    let pids = expect_pids(&mut peer);
    peer.reset();
    expect_ended(&pids);
}

#[test]
fn a_command_that_writes_to_nobody_ends() {
    let server = shell(&[]);
    let mut peer = server.peer("line");
    peer.say("run echo $$; for i in $(seq 900); do echo tick; sleep 0.1; done\n");
    let pids = expect_pids(&mut peer);
    drop(peer);
    expect_ended(&pids);
}

#[test]
fn what_runs_on_in_the_background_ends_with_the_command() {
    let server = shell(&[]);
    let mut peer = server.peer("line");
    for away in ["", ">/dev/null 2>&1 "] {
        peer.say(format!("run sleep 100 {away}& echo $!; exit 5\n"));
        let pid = peer.expect_line().parse().expect("a process id");
        // Where it holds the pipe, the reply does not wait for it.
        peer.expect("error exit: status 5\n");
        peer.expect_in_step();
        expect_ended(&[pid]);
    }
}

#[test]
fn output_that_was_written_before_the_exit_is_never_lost() {
    let server = shell(&[]);
    let mut peer = server.peer("line");
    peer.say("run sleep 100 & head -c 300000 /dev/zero; printf end\nnext\n");
    peer.skip(300_000);
    peer.expect("endnext\n");
}

#[test]
fn a_process_that_left_the_group_does_not_hold_the_reply() {
    let scratch = Scratch::new();
    let server = shell(&[]);
    let mut peer = server.peer("line");
    // It leaves the session and keeps the pipe open until it is let go.
    let go = scratch.text("go");
    let escaped = format!("echo $$; until test -e {go}; do sleep 0.1; done");
    peer.say(format!("run setsid sh -c '{escaped}' & sleep 0.5\n"));
    let pids = expect_pids(&mut peer);
    peer.expect_in_step();
    scratch.write("go", "");
    expect_ended(&pids);
}

#[test]
fn a_reader_that_stops_costs_no_memory_and_its_command_ends_with_it() {
    let server = shell(&["--workers", "1"]);
    let before = server.peak_bytes();
    let mut slow = Peer::narrow(server.v4("line"));
    slow.say("run echo $$; exec yes\n");
    let pids = expect_pids(&mut slow);
    let mut other = server.peer("line");
    // Work for others, much more than `yes` needs to fill everything.
    for _ in 0..40 {
        other.say("run head -c 1000000 /dev/zero\n");
        other.skip(1_000_000);
        other.expect_in_step();
    }
    assert!(!process::has_ended(pids[0]), "a slow reader is no reason to end its command");
    let grown = server.grown_since(before);
    assert!(grown < 24 << 20, "{grown} bytes more");
    slow.expect("y\ny\n");
    slow.reset();
    expect_ended(&pids);
}

#[test]
fn a_command_that_takes_too_long_is_ended() {
    let server = shell(&["--run-timeout", "1"]);
    let mut peer = server.peer("line");
    peer.say("run echo $$; exec sleep 100\nnext\n");
    let pids = expect_pids(&mut peer);
    peer.expect_error("timeout");
    peer.expect("next\n");
    expect_ended(&pids);
}

#[test]
fn one_command_too_many_is_told_to_try_again() {
    let server = shell(&["--max-runs", "1"]);
    let (mut first, mut second) = (server.peer("line"), server.peer("line"));
    first.say("run echo on; sleep 100\n");
    first.expect("on\n");
    second.say("run echo two\n");
    second.expect_error("busy");
    second.expect_in_step();
    first.reset();
    wait_until("there is room for a command again", || {
        second.say("run echo free\n");
        let line = second.expect_line();
        assert!(line == "free" || line.starts_with("error busy: "), "{line:?}");
        line == "free"
    });
}

#[test]
fn fifty_commands_at_once_all_end_and_are_reaped() {
    let server = shell(&[]);
    let mut peers: Vec<_> = (0..50).map(|_| server.peer("line")).collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        peer.say(format!("run echo {number}; sleep 0.2; echo end\n"));
    }
    for (number, peer) in peers.iter_mut().enumerate() {
        peer.expect(format!("{number}\nend\n"));
        peer.expect_in_step();
    }
    wait_until("no child is left", || process::children(server.pid()).is_empty());
}

/// Commands that read back what they wrote, at the same time as the server does.
const THIEVES: [&str; 3] = [
    "exec 3>&1; yes & cat /proc/self/fd/3 >/dev/null",
    "exec 3>&1; while :; do echo word; done & cat /proc/self/fd/3 >/dev/null",
    "exec 3>&2; yes >&2 & cat /proc/self/fd/3 >/dev/null",
];

#[test]
fn a_command_that_reads_its_own_output_back_holds_up_nobody() {
    let server = shell(&["--workers", "1", "--run-timeout", "1"]);
    for command in THIEVES {
        let mut plain = server.peer("line");
        plain.say(format!("run {command}\n"));
        let mut framed = server.framed();
        framed.say(format!("run {command}\n"));
        for _ in 0..20 {
            server.peer("line").expect_in_step();
        }
        assert_eq!(framed.expect_reply().last.key("code"), "timeout", "{command}");
        framed.expect_in_step();
        plain.half_close();
        let rest = plain.expect_rest();
        assert!(rest.ends_with(b"error timeout: the command took too long\n"), "{command}");
    }
}

#[test]
fn a_command_that_takes_back_what_nobody_read_keeps_its_frames_in_step() {
    let server = shell(&["--workers", "1"]);
    let scratch = Scratch::new();
    let (mut peer, _) = FramedPeer::negotiate(Peer::narrow(server.v4("line")));
    let taken = scratch.join("taken");
    peer.say(format!(
        "run exec 3>&1; yes & sleep 1; kill $!; timeout 1 cat /proc/self/fd/3 >/dev/null; \
         echo taken >{}; sleep 1000\n",
        taken.display()
    ));
    wait_until("the command has taken back what is in its pipe", || taken.exists());
    peer.peer.widen();
    assert_eq!(peer.expect_own().kind, "out");
    peer.say("cancel\nafter\n");
    assert_eq!(peer.expect_reply().last.key("code"), "cancelled");
    peer.expect_done();
    assert_eq!(peer.expect_done().text(), "after");
    server.peer("line").expect_in_step();
}

#[test]
fn a_leader_that_joins_another_group_is_ended() {
    let server = shell(&["--run-timeout", "1", "--max-runs", "1"]);
    let mut peer = server.peer("line");
    // Its child makes a group, and it follows.
    let script = "$| = 1; pipe(R, W); $p = fork; \
                  if (!$p) { setpgrp(0, 0); print W \"x\"; close W; sleep 1000; } \
                  close W; read(R, $_, 1); setpgrp(0, $p); print \"$p $$\\n\"; sleep 1000;";
    peer.say(format!("run exec perl -e '{script}'\n"));
    let pids = expect_pids(&mut peer);
    peer.expect_error("timeout");
    expect_ended(&pids);
    wait_until("its slot is free", || {
        peer.say("run echo free\n");
        peer.expect_line() == "free"
    });
}

#[test]
fn what_made_a_group_or_session_of_its_own_ends_with_the_command() {
    let server = shell(&[]);
    let mut peer = server.peer("line");
    peer.say("run setsid sleep 1000 & echo $!; wait\n");
    let session = expect_pids(&mut peer);
    peer.reset();
    expect_ended(&session);
    // A group, of a command that exits.
    let mut peer = server.peer("line");
    let script = "$| = 1; $p = fork; \
                  if (!$p) { setpgrp(0, 0); close STDOUT; close STDERR; sleep 1000; } \
                  print \"$p\\n\"; sleep 1;";
    peer.say(format!("run perl -e '{script}'\n"));
    let group = expect_pids(&mut peer);
    peer.expect_in_step();
    expect_ended(&group);
}

#[test]
fn what_made_a_session_of_its_own_ends_with_a_command_on_a_terminal() {
    let server = shell(&[]);
    let mut peer = server.framed();
    // The hang-up of the terminal ends the shell, perhaps before anyone has looked at its children.
    for _ in 0..20 {
        peer.say("run@pty setsid sleep 1000 & echo $!; wait\n");
        let frame = peer.expect_frame();
        let session = frame.text().trim().parse().expect("a process id");
        peer.say("cancel\n");
        peer.expect_fail("cancelled");
        peer.expect_done();
        expect_ended(&[session]);
    }
}

#[test]
fn a_slot_is_free_once_the_process_is_dead_whatever_it_left() {
    let server = shell(&["--max-runs", "1"]);
    let mut peer = server.peer("line");
    peer.say("run (trap '' TERM; exec sh -c 'echo $$; exec sleep 1000') & exec sleep 1000\n");
    let pids = expect_pids(&mut peer);
    peer.reset();
    let mut other = server.peer("line");
    wait_until("the slot is free", || {
        other.say("run echo free\n");
        other.expect_line() == "free"
    });
    assert!(!process::has_ended(pids[0]), "what ignores SIGTERM has its grace");
    expect_ended(&pids);
}
