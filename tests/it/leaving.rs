//! Clients that close, or are gone, right behind their last request: what they asked is done.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::{FramedPeer, Peer, Scratch, Server, process, wait_until};

/// How many clients leave at once, or requests one client leaves behind.
const COUNT: usize = 20;
/// More than a Unix socket holds.
const LARGE: usize = 1 << 20;

/// A server on TCP and on a Unix socket.
struct House {
    scratch: Scratch,
    server: Server,
}

/// How a client connects, and how it leaves.
#[derive(Clone, Copy, Debug)]
enum Way {
    TcpClose,
    TcpReset,
    UnixClose,
}

const WAYS: [Way; 3] = [Way::TcpClose, Way::TcpReset, Way::UnixClose];

impl House {
    #[track_caller]
    fn new(workers: &str) -> Self {
        let scratch = Scratch::new();
        fs::create_dir(scratch.join("root")).expect("a directory");
        let unix = format!("line@unix:{}", scratch.text("socket"));
        let server = Server::line(&[
            "-l",
            &unix,
            "--workers",
            workers,
            "--root",
            &scratch.text("root"),
            "--upload",
            "replace",
            "--run",
            "shell",
        ]);
        Self { scratch, server }
    }

    #[track_caller]
    fn peer(&self, way: Way) -> Peer {
        match way {
            Way::TcpClose | Way::TcpReset => self.server.peer("line"),
            Way::UnixClose => Peer::unix(&self.scratch.join("socket")),
        }
    }

    /// The path of a served file.
    fn served(&self, name: &str) -> std::path::PathBuf {
        self.scratch.join("root").join(name)
    }
}

fn leave(peer: Peer, way: Way) {
    match way {
        Way::TcpClose | Way::UnixClose => drop(peer),
        Way::TcpReset => peer.reset(),
    }
}

/// Waits for one message from each of these users.
#[track_caller]
fn expect_messages(alice: &mut Peer, mut from: Vec<String>) {
    while !from.is_empty() {
        let line = alice.expect_line();
        let at = from.iter().position(|user| line.ends_with(&format!(": hi from {user}")));
        let at = at.unwrap_or_else(|| panic!("{line:?} is none of {from:?}"));
        from.swap_remove(at);
    }
}

#[test]
fn messages_of_clients_that_leave_at_once_arrive() {
    for workers in ["1", "2", "3"] {
        let house = House::new(workers);
        let mut alice = house.server.named("alice");
        for way in WAYS {
            let users: Vec<_> = (0..COUNT).map(|number| format!("{way:?}-{number}")).collect();
            for user in &users {
                let mut peer = house.peer(way);
                peer.say(format!("name {user}\nsend alice : hi from {user}\n"));
                leave(peer, way);
            }
            expect_messages(&mut alice, users);
        }
        alice.expect_in_step();
    }
}

#[test]
fn all_of_many_requests_in_a_row_are_done() {
    for workers in ["1", "2"] {
        let house = House::new(workers);
        let mut alice = house.server.named("alice");
        {
            let mut peer = house.peer(Way::UnixClose);
            let text = "x".repeat(200);
            let mut said = vec!["name bot\nfiles\n".to_owned()];
            for number in 0..50 * COUNT {
                said.push(format!("send alice : {text} {number}\nno request\n"));
            }
            peer.say(said.concat());
            drop(peer);
            for number in 0..50 * COUNT {
                let line = alice.expect_line();
                assert!(line.ends_with(&format!(" {number}")), "{number}: {line:?}");
            }
        }
    }
}

#[test]
fn uploads_that_came_whole_are_stored() {
    let house = House::new("2");
    let content = "c".repeat(LARGE);
    for way in [Way::TcpClose, Way::UnixClose] {
        for number in 0..COUNT {
            let size = if number % 2 == 0 { 9 } else { LARGE };
            let mut peer = house.peer(way);
            peer.say(format!("upload {size} {way:?}-{number}\n{}", &content[..size]));
            leave(peer, way);
        }
    }
    for way in [Way::TcpClose, Way::UnixClose] {
        for number in 0..COUNT {
            let size = if number % 2 == 0 { 9 } else { LARGE };
            let path = house.served(&format!("{way:?}-{number}"));
            wait_until(&format!("{} is there", path.display()), || path.exists());
            assert_eq!(fs::read(&path).expect("it is a file").len(), size, "{way:?} {number}");
        }
    }
}

#[test]
fn an_upload_to_the_end_of_input_is_stored() {
    let house = House::new("1");
    for way in [Way::TcpClose, Way::UnixClose] {
        let mut peer = house.peer(way);
        peer.say(format!("upload - {way:?}\n{}", "c".repeat(LARGE)));
        leave(peer, way);
        let path = house.served(&format!("{way:?}"));
        wait_until("it is stored", || path.exists());
        assert_eq!(fs::read(&path).expect("it is a file").len(), LARGE, "{way:?}");
    }
}

#[test]
fn an_upload_that_did_not_come_whole_is_not_stored() {
    let house = House::new("1");
    for way in WAYS {
        let mut peer = house.peer(way);
        peer.say("upload 10 half\nfive");
        leave(peer, way);
        let mut peer = house.peer(way);
        peer.say("upload 5 whole\nwhole");
        leave(peer, way);
        wait_until("the next one is stored", || house.served("whole").exists());
        fs::remove_file(house.served("whole")).expect("it is there");
    }
    let left = || fs::read_dir(house.served("")).expect("a directory").count();
    wait_until("nothing is left behind", || left() == 0);
}

#[test]
fn what_a_reset_may_have_torn_is_not_acted_on() {
    let house = House::new("2");
    let mut alice = house.server.named("alice");
    let mut peer = house.peer(Way::TcpReset);
    peer.say("name bob\n");
    peer.expect_line();
    peer.say("send alice : hi from bob\nsend alice : half a li");
    leave(peer, Way::TcpReset);
    expect_messages(&mut alice, vec!["bob".to_owned()]);
    let mut peer = house.peer(Way::TcpReset);
    peer.say("upload - torn\nhalf a fi");
    wait_until("it is being stored", || {
        fs::read_dir(house.served("")).expect("a directory").count() > 0
    });
    leave(peer, Way::TcpReset);
    let mut peer = house.peer(Way::UnixClose);
    peer.say("name bob\nsend alice : hi from bob");
    leave(peer, Way::UnixClose);
    expect_messages(&mut alice, vec!["bob".to_owned()]);
    wait_until("nothing is stored", || {
        fs::read_dir(house.served("")).expect("a directory").count() == 0
    });
    alice.expect_in_step();
}

#[test]
fn framed_requests_behind_one_another_are_done() {
    let house = House::new("2");
    let mut alice = house.server.named("alice");
    for way in WAYS {
        let (mut peer, _) = FramedPeer::negotiate(house.peer(way));
        let user = format!("{way:?}");
        peer.say(format!(
            "name {user}\nfiles\nupload 5 {user}\n12345stat {user}\nsend alice : hi from {user}\n"
        ));
        leave(peer.peer, way);
        expect_messages(&mut alice, vec![user.clone()]);
        assert_eq!(fs::read(house.served(&user)).expect("it is stored"), b"12345");
    }
}

#[test]
fn what_stands_behind_a_reply_that_nobody_reads_is_done() {
    let house = House::new("2");
    let file = fs::File::create(house.served("large")).expect("a file");
    file.set_len(64 << 20).expect("a sparse file");
    let mut alice = house.server.named("alice");
    for way in WAYS {
        let user = format!("{way:?}");
        let mut peer = house.peer(way);
        peer.say(format!("name {user}\n"));
        peer.expect_line();
        peer.say(format!("download large\nupload 3 {user}\nabcsend alice : hi from {user}\n"));
        peer.expect([0; 8]);
        leave(peer, way);
        expect_messages(&mut alice, vec![user.clone()]);
        assert_eq!(fs::read(house.served(&user)).expect("it is stored"), b"abc");
    }
}

#[test]
fn a_command_in_progress_ends_and_what_stands_behind_it_is_done() {
    let house = House::new("2");
    let mut alice = house.server.named("alice");
    for way in [Way::TcpReset, Way::UnixClose] {
        let user = format!("{way:?}");
        let mut peer = house.peer(way);
        peer.say(format!("name {user}\n"));
        peer.expect_line();
        let never = house.scratch.text("never");
        peer.say(format!(
            "run echo $$; exec sleep 100\nrun touch {never}\nsend alice : hi from {user}\n"
        ));
        let pid = peer.expect_line().parse().expect("a process id");
        leave(peer, way);
        expect_messages(&mut alice, vec![user]);
        wait_until("the command has ended", || process::has_ended(pid));
        assert!(!house.scratch.join("never").exists(), "nobody is there to read what it says");
    }
}

#[test]
fn a_client_that_left_has_no_name_any_more() {
    let house = House::new("2");
    for way in WAYS {
        let mut peer = house.peer(way);
        peer.say("name bob\n");
        peer.expect_line();
        leave(peer, way);
        let mut other = house.peer(way);
        wait_until("the name is free", || {
            other.say("name bob\n");
            !other.expect_line().starts_with("error name-taken: ")
        });
        other.say("quit\n");
        other.expect_end();
    }
}

#[test]
fn those_who_left_cost_nothing() {
    let mut house = House::new("2");
    let ways = [Way::TcpReset, Way::UnixClose];
    let peers = ways.map(|way| {
        let mut peer = house.peer(way);
        peer.say("run echo on; exec sleep 100\nno request\nupload 100 f\nhalf");
        peer.expect("on\n");
        peer
    });
    for (peer, way) in peers.into_iter().zip(ways) {
        leave(peer, way);
    }
    let mut asker = house.server.peer("line");
    wait_until("only the asker is there, and the server sleeps", || {
        asker.say("stats\n");
        let mut lines = vec![asker.expect_line()];
        while !lines.iter().any(|line| line.starts_with("uptime_seconds ")) {
            lines.push(asker.expect_line());
        }
        lines.iter().any(|line| line == "connections 1") && process::is_asleep(house.server.pid())
    });
    house.server.signal(Signal::SIGTERM);
    assert_eq!(house.server.expect_exit().code(), Some(0));
}
