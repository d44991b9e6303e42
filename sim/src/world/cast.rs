//! Who comes in a scene, where to, and how each leaves.

use super::author::Author;
use super::client::{Client, Leaves};
use super::scene::{SERVICES, Scene};
use crate::kernel::random::Random;

/// Who comes.
pub fn clients(scene: &Scene, random: &mut Random) -> Vec<Client> {
    (0..scene.clients).map(|number| client(scene, number, random)).collect()
}

fn client(scene: &Scene, number: usize, random: &mut Random) -> Client {
    let place = *random.pick(&[0, 0, 0, 0, 0, 1, 2, 3, 4, 5]);
    let is_unix = random.one_in(3);
    let requests = Author::new(random, scene, number).requests(SERVICES[place]);
    let leaves = match random.below(10) {
        0..=3 => Leaves::HalfClose,
        4..=6 => Leaves::Last,
        7 | 8 => Leaves::Close,
        _ => Leaves::Reset,
    };
    Client::new(number, 2 * place + usize::from(is_unix), is_unix, requests, leaves, random)
}
