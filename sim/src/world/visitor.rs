//! Those who speak another protocol, or landline with an accent: strangers, scrapers, telnet, and
//! clients of `+bare` listeners. Sections 2, 7 and 8 of `docs/PROTOCOL.md` say what each gets.

use super::compare::Piece;
use super::request::{Request, exact, plain};
use super::scene::{BARE_SERVICES, SERVICES, Scene};
use crate::kernel::random::Random;
use crate::protocol::speech::Service;

/// Where a visitor goes, and what it says there.
pub struct Visit {
    /// The listener.
    pub listener: usize,
    /// What it says, and what it gets.
    pub requests: Vec<Request>,
}

fn visit(listener: usize, wire: &[u8], pieces: Vec<Piece>) -> Visit {
    Visit { listener, requests: vec![plain(wire.to_vec(), pieces)] }
}

/// A visit of one kind or another.
pub fn draw(scene: &Scene, random: &mut Random, is_unix: bool) -> Visit {
    match random.below(8) {
        0 | 1 => stranger(random, is_unix),
        2 | 3 => telnet(random, is_unix),
        4 => scrape(scene, random),
        _ => bare(random, is_unix),
    }
}

/// A listener of one of the services that look for strangers.
fn guarded(random: &mut Random, is_unix: bool) -> usize {
    let is_guarded = |place: &usize| SERVICES[*place] != Service::Echo;
    let places: Vec<usize> = (0..SERVICES.len()).filter(is_guarded).collect();
    2 * *random.pick(&places) + usize::from(is_unix)
}

/// Someone who takes this for another port.
fn stranger(random: &mut Random, is_unix: bool) -> Visit {
    let listener = guarded(random, is_unix);
    let web = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nrun out 5\n",
        "x / HTTP/1.1\r\n\r\nrun out 5\n",
        "M-SEARCH * HTTP/1.1\r\nST: all\r\n\r\n",
        "POST /run HTTP/1.0\r\n\r\nrun out 5\n",
    ];
    match random.below(4) {
        0 => visit(
            listener,
            b"\x16\x03\x01\x00\x10\x01\x00\x00\x0c\nrun out 5\n",
            vec![exact(*b"\x15\x03\x01\x00\x02\x02\x46")],
        ),
        1 => visit(
            listener,
            b"SSH-2.0-OpenSSH_9.9\r\nrun out 5\n",
            vec![Piece::Error(&["bad-request"], true)],
        ),
        _ => {
            let wire = random.pick(&web).as_bytes();
            visit(listener, wire, vec![exact("HTTP/1.1 400 "), Piece::Rest])
        }
    }
}

/// A telnet client on `line`.
fn telnet(random: &mut Random, is_unix: bool) -> Visit {
    let listener = usize::from(is_unix);
    let (wire, pieces): (&[u8], _) = *random.pick(&[
        // DO ECHO, WILL NAWS: both refused; the size of a window is dropped.
        (
            b"\xff\xfd\x01\xff\xfb\x1fone\r\n\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0two\r\n"
                .as_slice(),
            b"\xff\xfc\x01\xff\xfe\x1fone\r\ntwo\r\n".as_slice(),
        ),
        // WONT and DONT need no answer; CR NUL ends a line.
        (b"\xff\xfc\x01\xff\xfe\x03o\xff\xf1ne\r\0\xff\xfftwo\n", b"one\r\n\xff\xfftwo\n"),
        // Ctrl-C with nothing to end.
        (b"\xff\xf4one\n\xff\xf4two\r\n", b"one\ntwo\r\n"),
    ]);
    visit(listener, wire, vec![exact(pieces)])
}

/// A scraper of metrics.
fn scrape(scene: &Scene, random: &mut Random) -> Visit {
    let (wire, head) = *random.pick(&[
        ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 "),
        ("GET /metrics HTTP/1.0\n\n", "HTTP/1.1 200 "),
        ("GET /nothing HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "),
    ]);
    visit(scene.config.listen.len(), wire.as_bytes(), vec![exact(head), Piece::Rest])
}

/// A client that says its messages without newlines.
fn bare(random: &mut Random, is_unix: bool) -> Visit {
    let place = random.below(BARE_SERVICES.len());
    let listener = 2 * (SERVICES.len() + place) + usize::from(is_unix);
    match BARE_SERVICES[place] {
        // What one read returns is one message: how many there are is for the network to choose.
        Service::Exec => visit(listener, b"out 100; exit 0", vec![Piece::Rest]),
        Service::Hello => visit(listener, b"someone\nhello\n", vec![exact("sim\nhello\n")]),
        _ => {
            // However its messages are parted, an echo brings all of them back.
            let text = "x".repeat(*random.pick(&[1, 30, 900]));
            visit(listener, text.as_bytes(), vec![exact(text.as_str())])
        }
    }
}
