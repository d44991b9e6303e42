//! `Room`: who has a name, and whom a message reaches. Pure: it knows no socket and no clock.
//!
//! It lives on one worker, its home, and so has one total order and no lock. A message is encoded
//! once for each form its recipients read, never once for each recipient: what is said in one turn
//! is written into one block per form, and recipients are told their ranges of it. What it does not
//! do: send, or count what a recipient left unread (`server::connection`).
//!
//! Invariants, asserted by `check`:
//! 1. `by_name` and `by_address` hold the very members of `members`.
//! 2. A name is held by at most one member.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use memchr::memchr2;

use crate::protocol::effect::{Answer, Call, Cast, Form};
use crate::protocol::name::Name;
use crate::protocol::refusal::{Code, Refusal};
use crate::protocol::text::{self, Stamp};
use crate::protocol::wording;
use crate::transfer::segment::{LEAN_FACTOR, Shared};

/// Size of a block above which the turn's messages should be handed out, in bytes: a slow recipient
/// of one short message keeps its whole block alive.
const BLOCK_BYTES_FULL: usize = 64 * 1024;
/// Ranges at which they should be, plus four for each member, all of whom one message may reach.
const PIECES_FULL: usize = 4096;

#[derive(Debug)]
struct Member<A> {
    name: Name,
    address: A,
    form: Form,
    /// The number of the batch in which this member was last sent something, and its place there.
    last_piece: Cell<(u64, usize)>,
}

/// A range of a block that is still being written.
#[derive(Debug)]
struct Piece<A> {
    to: A,
    form: Form,
    start: usize,
    end: usize,
}

/// Named peers, and what was said to them in this turn. `A` is how a peer is found again.
#[derive(Debug)]
pub struct Room<A> {
    members: BTreeMap<u64, Member<A>>,
    by_name: HashMap<Name, u64>,
    by_address: HashMap<A, u64, BuildHasherDefault<AddressHasher>>,
    joined: u64,
    /// What was said in this turn, for each form. Nobody else holds it before it is handed out.
    blocks: [Arc<Vec<u8>>; Form::COUNT],
    pieces: Vec<Piece<A>>,
    batch: u64,
    /// The text of the message that is being passed on, where it had to be made harmless.
    text: String,
}

impl<A> Default for Room<A> {
    fn default() -> Self {
        Self {
            members: BTreeMap::new(),
            by_name: HashMap::new(),
            by_address: HashMap::default(),
            joined: 0,
            blocks: Default::default(),
            pieces: Vec::new(),
            batch: 1,
            text: String::new(),
        }
    }
}

/// Hashes addresses, which landline makes itself: unlike names, nobody can choose them so that they
/// meet in one place (Fibonacci hashing of each word).
#[derive(Debug, Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(32) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

/// A message that is being encoded: its range in each form's block, once it is there.
type Ranges = [Option<(usize, usize)>; Form::COUNT];

impl<A: Copy + Eq + Hash> Room<A> {
    /// Meets a call. `None` where nothing is answered.
    pub fn on_call(&mut self, from: A, call: &Call<'_>, stamp: &Stamp) -> Option<Answer> {
        match call {
            Call::Join { name, form } => Some(self.join(from, name, *form)),
            Call::Reform(form) => {
                if let Some(member) = self.member_at(from) {
                    member.form = *form;
                }
                Some(Answer::Reformed)
            }
            Call::List => Some(Answer::Users(self.names())),
            Call::Send { users: None, text } => Some(self.broadcast(from, text, stamp)),
            Call::Send { users: Some(users), text } => Some(self.send(from, users, text, stamp)),
            Call::Leave => {
                self.leave(from);
                None
            }
        }
    }

    /// Whether the turn's messages should be handed out before more are said.
    pub fn is_full(&self) -> bool {
        self.pieces.len() >= PIECES_FULL + 4 * self.members.len()
            || self.blocks.iter().any(|block| block.len() >= BLOCK_BYTES_FULL)
    }

    /// Hands out what was said since the last time, in order for each recipient.
    pub fn hand_out(&mut self, mut give: impl FnMut(A, Shared)) {
        if self.is_quiet() {
            return;
        }
        self.batch += 1;
        self.blocks.iter_mut().for_each(trim);
        for piece in self.pieces.drain(..) {
            let block = Arc::clone(&self.blocks[piece.form.index()]);
            give(piece.to, Shared { block, start: piece.start, end: piece.end });
        }
        self.blocks.iter_mut().for_each(renew);
    }

    /// Whether nothing waits to be handed out.
    pub fn is_quiet(&self) -> bool {
        self.pieces.is_empty()
    }

    fn join(&mut self, address: A, name: &Name, form: Form) -> Answer {
        let own = self.by_address.get(&address).copied();
        if let Some(holder) = self.by_name.get(name) {
            if own == Some(*holder) {
                return Answer::Joined(name.clone());
            }
            let why = "somebody else has this name";
            return Answer::Refused(Refusal::quoting(
                Code::NameTaken,
                name.as_str().as_bytes(),
                why,
            ));
        }
        match own {
            Some(number) => self.rename(number, name),
            None => self.enter(address, name, form),
        }
        Answer::Joined(name.clone())
    }

    fn enter(&mut self, address: A, name: &Name, form: Form) {
        self.joined += 1;
        let member = Member { name: name.clone(), address, form, last_piece: Cell::default() };
        self.members.insert(self.joined, member);
        self.by_name.insert(name.clone(), self.joined);
        self.by_address.insert(address, self.joined);
        self.note(Some(self.joined), "join", name);
        self.check();
    }

    fn rename(&mut self, number: u64, name: &Name) {
        let Some(member) = self.members.get_mut(&number) else { return };
        let old = std::mem::replace(&mut member.name, name.clone());
        self.by_name.remove(&old);
        self.by_name.insert(name.clone(), number);
        self.note(Some(number), "leave", &old);
        self.note(Some(number), "join", name);
        self.check();
    }

    fn leave(&mut self, address: A) {
        let Some(number) = self.by_address.remove(&address) else { return };
        if let Some(member) = self.members.remove(&number) {
            self.by_name.remove(&member.name);
            self.note(None, "leave", &member.name);
        }
        self.check();
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.members.values().map(|member| member.name.as_str()).collect();
        names.join(" ")
    }

    fn broadcast(&mut self, from: A, text: &[u8], stamp: &Stamp) -> Answer {
        let Self { members, by_address, blocks, pieces, batch, text: scratch, .. } = self;
        let Some((number, sender)) = sender(members, by_address.get(&from)) else {
            return nameless();
        };
        let text = harmless(scratch, text);
        let mut ranges = Ranges::default();
        let mut delivered = 0;
        for (_, member) in members.iter().filter(|(other, _)| **other != number) {
            let range = *ranges[member.form.index()].get_or_insert_with(|| {
                append(&mut blocks[member.form.index()], |block| {
                    wording::message(block, member.form, sender, Cast::Broad, text, stamp);
                })
            });
            deliver(pieces, *batch, member, range);
            delivered += 1;
        }
        Answer::Sent { delivered, unknown: String::new() }
    }

    fn send(&mut self, from: A, users: &[u8], text: &[u8], stamp: &Stamp) -> Answer {
        let Self { members, by_name, by_address, blocks, pieces, batch, text: scratch, .. } = self;
        let Some((_, sender)) = sender(members, by_address.get(&from)) else { return nameless() };
        let text = harmless(scratch, text);
        let (one, several);
        let named: &[&[u8]] = if memchr2(b' ', b'\t', users).is_none() {
            one = [users];
            &one
        } else {
            several = distinct_words(users);
            &several
        };
        let cast = if named.len() == 1 { Cast::Single } else { Cast::Multi };
        let mut ranges = Ranges::default();
        let (mut delivered, mut unknown) = (0, String::new());
        for &user in named {
            let Some(member) = by_name.get(user).and_then(|number| members.get(number)) else {
                unknown.push_str(if unknown.is_empty() { "" } else { " " });
                unknown.push_str(&text::quote(user));
                continue;
            };
            let range = *ranges[member.form.index()].get_or_insert_with(|| {
                append(&mut blocks[member.form.index()], |block| {
                    wording::message(block, member.form, sender, cast, text, stamp);
                })
            });
            deliver(pieces, *batch, member, range);
            delivered += 1;
        }
        Answer::Sent { delivered, unknown }
    }

    /// Tells every framed member but `about` who came or left.
    fn note(&mut self, about: Option<u64>, kind: &str, user: &Name) {
        let mut range = None;
        let Self { members, blocks, pieces, batch, .. } = self;
        let is_told =
            |number: u64, member: &Member<A>| member.form == Form::Framed && about != Some(number);
        for (_, member) in members.iter().filter(|(number, m)| is_told(**number, m)) {
            let range = *range.get_or_insert_with(|| {
                append(&mut blocks[Form::Framed.index()], |block| wording::note(block, kind, user))
            });
            deliver(pieces, *batch, member, range);
        }
    }

    fn member_at(&mut self, address: A) -> Option<&mut Member<A>> {
        self.members.get_mut(self.by_address.get(&address)?)
    }

    fn check(&self) {
        debug_assert_eq!(self.members.len(), self.by_name.len(), "invariants 1 and 2");
        debug_assert_eq!(self.members.len(), self.by_address.len(), "invariant 1");
    }
}

/// The words between blanks, each once.
fn distinct_words(text: &[u8]) -> Vec<&[u8]> {
    let mut seen = HashSet::new();
    let words = text.split(|byte| matches!(byte, b' ' | b'\t'));
    words.filter(|word| !word.is_empty() && seen.insert(*word)).collect()
}

fn nameless() -> Answer {
    Answer::Refused(Refusal::new(Code::NoName, "take a name first"))
}

/// Who speaks: the number a caller has among the members, if any, and that member's name.
fn sender<'a, A>(
    members: &'a BTreeMap<u64, Member<A>>,
    number: Option<&u64>,
) -> Option<(u64, &'a Name)> {
    number.and_then(|number| Some((*number, &members.get(number)?.name)))
}

/// The text as it is passed on; in `scratch` where it is another than came.
fn harmless<'a>(scratch: &'a mut String, text: &'a [u8]) -> &'a [u8] {
    if text::is_plain(text) {
        return text;
    }
    scratch.clear();
    text::clean_into(scratch, text);
    scratch.as_bytes()
}

/// Gives back what a block has too much of: whoever is slow to take it keeps all of it.
fn trim(block: &mut Arc<Vec<u8>>) {
    let bytes = block.len();
    if bytes > 0 && block.capacity() > LEAN_FACTOR * bytes {
        Arc::make_mut(block).shrink_to(bytes);
    }
}

/// Empties a block; where somebody waits for what is in it, with another in its place.
fn renew(block: &mut Arc<Vec<u8>>) {
    match Arc::get_mut(block) {
        Some(block) => block.clear(),
        None => *block = Arc::new(Vec::with_capacity(block.len())),
    }
}

/// Writes to the end of a block; says where.
fn append(block: &mut Arc<Vec<u8>>, write: impl FnOnce(&mut Vec<u8>)) -> (usize, usize) {
    // Nobody else holds what was not handed out, so that nothing is cloned.
    let block = Arc::make_mut(block);
    let start = block.len();
    write(block);
    (start, block.len())
}

/// Adds a range to what a member is sent. Ranges that touch become one.
fn deliver<A: Copy>(
    pieces: &mut Vec<Piece<A>>,
    batch: u64,
    member: &Member<A>,
    (start, end): (usize, usize),
) {
    let (last_batch, place) = member.last_piece.get();
    if last_batch == batch
        && let Some(last) = pieces.get_mut(place)
        && last.end == start
        && last.form == member.form
    {
        last.end = end;
        return;
    }
    member.last_piece.set((batch, pieces.len()));
    pieces.push(Piece { to: member.address, form: member.form, start, end });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::text::Civil;

    fn stamp() -> Stamp {
        let local = Civil { year: 2020, month: 12, day: 17, hour: 20, minute: 8, second: 3 };
        Stamp { unix_ms: 7, local: local.into() }
    }

    struct Host(Room<u32>);

    impl Host {
        fn join(&mut self, at: u32, name: &str, form: Form) -> Answer {
            let name = Name::parse(name.as_bytes()).expect("a good name");
            self.0.on_call(at, &Call::Join { name, form }, &stamp()).expect("an answer")
        }

        fn send(&mut self, from: u32, users: Option<&str>, text: &str) -> Answer {
            let users = users.map(|users| std::borrow::Cow::Borrowed(users.as_bytes()));
            let call = Call::Send { users, text: std::borrow::Cow::Borrowed(text.as_bytes()) };
            self.0.on_call(from, &call, &stamp()).expect("an answer")
        }

        fn deliveries(&mut self) -> Vec<(u32, String)> {
            let mut deliveries = Vec::new();
            self.0.hand_out(|to, range| {
                deliveries.push((to, String::from_utf8_lossy(range.bytes()).into_owned()));
            });
            deliveries
        }
    }

    fn host() -> Host {
        let mut host = Host(Room::default());
        for (at, name) in [(1, "alice"), (2, "bob"), (3, "carol")] {
            host.join(at, name, Form::Talk);
        }
        host
    }

    fn sent(delivered: usize, unknown: &str) -> Answer {
        Answer::Sent { delivered, unknown: unknown.into() }
    }

    #[test]
    fn a_broadcast_reaches_everyone_but_its_sender() {
        let mut host = host();
        assert_eq!(host.send(1, None, "hi"), sent(2, ""));
        let both = vec![(2, "alice|hi\n".to_owned()), (3, "alice|hi\n".to_owned())];
        assert_eq!(host.deliveries(), both);
        assert!(host.deliveries().is_empty());
    }

    #[test]
    fn many_ranges_are_a_reason_to_hand_out() {
        let mut host = host();
        for turn in 0..=PIECES_FULL + 4 * 3 {
            assert_eq!(host.0.is_full(), turn == PIECES_FULL + 4 * 3);
            host.send(1, Some(if turn % 2 == 0 { "bob" } else { "carol" }), "");
        }
    }

    #[test]
    fn a_user_named_twice_counts_once_and_unknown_ones_are_told() {
        let mut host = host();
        assert_eq!(
            host.send(1, Some("bob  nobody bob alice x\x1b"), "hi"),
            sent(2, "nobody x\u{fffd}")
        );
        let both = vec![(2, "alice|hi\n".to_owned()), (1, "alice|hi\n".to_owned())];
        assert_eq!(host.deliveries(), both);
    }

    #[test]
    fn a_turn_of_messages_is_one_range_for_each_recipient() {
        let mut host = host();
        host.send(1, None, "one");
        host.send(1, None, "two");
        let expected = "alice|one\nalice|two\n".to_owned();
        assert_eq!(host.deliveries(), vec![(2, expected.clone()), (3, expected)]);
    }

    #[test]
    fn a_name_belongs_to_one_until_it_is_given_back() {
        let mut host = host();
        let Answer::Refused(refusal) = host.join(4, "bob", Form::Plain) else {
            panic!("bob is there already");
        };
        assert_eq!(refusal.code, Code::NameTaken);
        assert!(matches!(host.join(2, "bob", Form::Talk), Answer::Joined(_)), "one's own name");
        host.join(2, "robert", Form::Talk);
        assert!(matches!(host.join(4, "bob", Form::Plain), Answer::Joined(_)));
        assert_eq!(host.0.names(), "alice robert carol bob");
        host.0.on_call(1, &Call::Leave, &stamp());
        assert_eq!(host.0.names(), "robert carol bob");
    }

    #[test]
    fn framed_members_are_told_who_comes_and_goes() {
        let mut host = Host(Room::default());
        host.join(1, "alice", Form::Framed);
        host.join(2, "bob", Form::Plain);
        host.join(2, "rob", Form::Plain);
        host.0.on_call(2, &Call::Leave, &stamp());
        let notes = "note 0 kind=join user=bob\nnote 0 kind=leave user=bob\n\
                     note 0 kind=join user=rob\nnote 0 kind=leave user=rob\n";
        assert_eq!(host.deliveries(), vec![(1, notes.to_owned())]);
    }

    #[test]
    fn each_recipient_reads_its_own_form_and_nothing_drives_a_terminal() {
        let mut host = Host(Room::default());
        host.join(1, "alice", Form::Talk);
        host.join(2, "bob", Form::TalkBare);
        host.join(3, "carol", Form::Framed);
        host.deliveries();
        host.send(1, Some("bob carol"), "a\x1bb");
        let (bob, carol) = ("alice|a\u{fffd}b", "msg 5 from=alice cast=multi at=7\na\u{fffd}b");
        assert_eq!(host.deliveries(), vec![(2, bob.to_owned()), (3, carol.to_owned())]);
    }

    #[test]
    fn what_somebody_waits_for_stays_as_it_was_and_is_no_larger_than_it_has_to_be() {
        let mut host = host();
        let mut say = |text: &str| {
            host.send(1, Some("bob"), text);
            let mut ranges = Vec::new();
            host.0.hand_out(|_, range| ranges.push(range));
            ranges.pop().expect("bob is there")
        };
        let large = "x".repeat(5_000);
        assert_eq!(say(&large).len(), "alice|\n".len() + large.len());
        let slow = say("first");
        assert!(slow.block.capacity() <= LEAN_FACTOR * slow.len(), "{}", slow.block.capacity());
        let next = say("second");
        assert_eq!((slow.bytes(), next.bytes()), (&b"alice|first\n"[..], &b"alice|second\n"[..]));
    }
}
