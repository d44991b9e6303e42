//! Who comes in a scene, where to, and how each leaves.

use super::author::{Author, Script};
use super::client::{Client, Leaves};
use super::compare::Piece;
use super::request::plain;
use super::scene::{SERVICES, Scene};
use super::visitor;
use crate::kernel::random::Random;
use crate::protocol::speech::Service;

/// Who comes.
pub fn clients(scene: &Scene, random: &mut Random) -> Vec<Client> {
    (0..scene.clients).map(|number| client(scene, number, random)).collect()
}

fn client(scene: &Scene, number: usize, random: &mut Random) -> Client {
    if random.one_in(6) {
        return visitor(scene, number, random);
    }
    let place = *random.pick(&[0, 0, 0, 0, 0, 1, 2, 3, 4, 5]);
    let is_unix = random.one_in(3);
    let script = if scene.denies(is_unix) {
        // An echo has no words of its own.
        let is_silent = SERVICES[place] == Service::Echo;
        let codes = &["denied"];
        let told = if is_silent { Piece::Maybe(codes) } else { Piece::Error(codes, true) };
        Script { requests: vec![plain(Vec::new(), vec![told])], ends_input: false }
    } else {
        Author::new(random, scene, number, is_unix).script(SERVICES[place])
    };
    let leaves = match random.below(10) {
        0..=6 if script.ends_input => Leaves::HalfClose,
        0..=3 => Leaves::HalfClose,
        4..=6 => Leaves::Last,
        7 | 8 => Leaves::Close,
        _ => Leaves::Reset,
    };
    Client::new(number, 2 * place + usize::from(is_unix), is_unix, script.requests, leaves, random)
}

/// One that speaks another protocol, or is turned away like any other.
fn visitor(scene: &Scene, number: usize, random: &mut Random) -> Client {
    let is_unix = random.one_in(3);
    let visit = visitor::draw(scene, random, is_unix);
    let is_unix = is_unix && visit.listener < scene.config.listen.len();
    let requests = if scene.denies(is_unix) {
        let turned_away = vec![Piece::Maybe(&["denied"])];
        vec![plain(Vec::new(), turned_away)]
    } else {
        visit.requests
    };
    Client::new(number, visit.listener, is_unix, requests, Leaves::HalfClose, random)
}
