//! `stats`: the counters of the server, told over its own port, and the same on the metrics page.
//!
//! What it does not do: know all of them. Which there are may change.

use std::collections::{BTreeMap, BTreeSet};

use super::options::http_get;
use crate::support::{Peer, Scratch, Server};

/// The counters, as `stats` tells them in plain.
#[track_caller]
fn stats(peer: &mut Peer) -> BTreeMap<String, u64> {
    peer.say("stats\nping\n");
    let mut figures = BTreeMap::new();
    loop {
        let line = peer.expect_line();
        if line == "pong" {
            return figures;
        }
        let (name, value) = line.split_once(' ').expect("NAME VALUE");
        let value = value.parse().expect("a value is a number");
        assert!(figures.insert(name.to_owned(), value).is_none(), "{name} twice");
    }
}

#[test]
fn what_happens_is_counted_once_whichever_worker_does_it() {
    let root = Scratch::new();
    root.write("f", vec![b'x'; 5000]);
    let args = ["--root", &root.text(""), "--run", "shell", "--upload", "new", "--workers", "2"];
    let server = Server::line(&args);
    let mut asker = server.peer("line");
    let before = stats(&mut asker);
    for round in 0..4 {
        let mut peer = server.peer("line");
        peer.say("download f\n");
        peer.expect(vec![b'x'; 5000]);
        peer.say(format!("run echo hi\nupload 7 new{round}\ncontent"));
        peer.expect("hi\n");
        peer.expect_in_step();
        peer.half_close();
        peer.expect_end();
    }
    let after = stats(&mut asker);
    let grown = |name: &str| after[name] - before[name];
    for name in ["connections_total", "downloads_total", "runs_total", "uploads_total"] {
        assert_eq!(grown(name), 4, "{name}");
    }
    // Four requests of each peer; and one `stats` and one `ping` here.
    assert_eq!(grown("requests_total"), 4 * 4 + 2);
    assert!(grown("sent_bytes_total") >= 4 * 5000, "{after:?}");
    assert!(grown("received_bytes_total") >= 4 * 7, "{after:?}");
}

#[test]
fn framed_and_plain_and_metrics_tell_the_same() {
    let server = Server::line(&["--metrics", "127.0.0.1:0"]);
    let mut plain = server.peer("line");
    let told = stats(&mut plain);
    let mut framed = server.framed();
    let text = framed.ask("stats").last.text();
    assert!(text.ends_with('\n'), "{text:?}");
    let names = text.lines().map(|line| line.split_once(' ').expect("NAME VALUE").0.to_owned());
    let names: BTreeSet<_> = names.collect();
    assert!(names.iter().eq(told.keys()), "{text}");
    let (_, page) = http_get(&server, "/metrics");
    for name in names {
        let sample = format!("\nlandline_{name} ");
        assert!(page.contains(&sample), "{name} is not on {page}");
    }
}
