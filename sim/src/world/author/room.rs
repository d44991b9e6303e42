//! Names, and messages.

use super::Author;
use crate::world::expect::{Last, Piece, Reply};
use crate::world::request::{Deed, Request, exact, framed, plain};

const LONG_NAME: &str = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";
/// What a text may be made of: as it is sent, and as it is received (section 6).
const ATOMS: [(&[u8], &str); 9] = [
    (b" hello ", " hello "),
    (b"\t", "\t"),
    (b": a | b", ": a | b"),
    (b"\x1b[2J", "\u{fffd}[2J"),
    (b"\x7f", "\u{fffd}"),
    (b"\xff.", "\u{fffd}."),
    (b"\xc2\x9b", "\u{fffd}"),
    ("ünï".as_bytes(), "ünï"),
    (b"\r.", "\u{fffd}."),
];

impl Author<'_> {
    /// The first message on `chat` and `talk`: the name.
    pub(super) fn first(&mut self, greeting: &str) -> Request {
        let (wire, _) = self.line(format!("u{}", self.number));
        self.is_named = true;
        let mut request = plain(wire, vec![exact(greeting)]);
        request.deed = Deed::Name;
        request
    }

    pub(super) fn name(&mut self) -> Request {
        self.is_named = true;
        let user = format!("u{}", self.number);
        let said = format!("connected to sim as {user} at ");
        let reply = self.met(vec![exact(said), Piece::Date, exact("\n")]);
        let body = format!("name{}{user}", self.gap());
        let mut request = self.request(body, reply);
        request.deed = Deed::Name;
        request
    }

    /// A text as it is sent, and as it is received.
    fn text(&mut self) -> (Vec<u8>, String) {
        self.count += 1;
        let padding = *self.random.pick(&[0, 0, 10, 1_500]);
        let tag = format!("m:{}:{}:{}", self.number, self.count, "y".repeat(padding));
        let (mut sent, mut received) = (tag.clone().into_bytes(), tag);
        for _ in 0..self.random.below(4) {
            let (raw, clean) = *self.random.pick(&ATOMS);
            sent.extend(raw);
            received.push_str(clean);
        }
        sent.push(b'#');
        received.push('#');
        (sent, received)
    }

    pub(super) fn send(&mut self, is_chat: bool) -> Request {
        let (sent, text) = self.text();
        let to = (!self.random.one_in(3)).then(|| {
            let mut to = vec![self.random.below(self.scene.clients)];
            if self.random.one_in(2) {
                to.push(self.random.below(self.scene.clients));
            }
            to.dedup();
            to
        });
        let users = to.as_ref().map_or("all".to_owned(), |to| {
            let users: Vec<String> = to.iter().map(|number| format!("u{number}")).collect();
            users.join(*self.random.pick(&[" ", "  ", "\t"]))
        });
        let separator = match to {
            Some(_) => *self.random.pick(&[" : ", ": ", ":", "\t:  "]),
            None => *self.random.pick(&[" ", " : ", ": ", ":", "\t"]),
        };
        let mut body = format!("send{}{users}{separator}", self.gap()).into_bytes();
        body.extend(sent);
        body.extend(self.random.pick(&["", "", " ", " \t"]).as_bytes());
        let reply = if self.is_framed {
            framed(Vec::new(), None, Last::Either(&["no-such-user"]))
        } else {
            Reply::Plain(vec![Piece::Maybe(&["no-such-user"])])
        };
        debug_assert!(!is_chat || !self.is_framed, "chat is plain");
        let mut request = self.request(body, reply);
        request.deed = Deed::Send(to, text);
        request
    }

    /// A name that is none, or the client's own once more.
    pub(super) fn name_again(&mut self) -> Request {
        if self.is_named && self.random.one_in(2) {
            return self.name();
        }
        let name = *self.random.pick(&["all", "server", "-x", ".x", "a b", "ä", "x!", LONG_NAME]);
        self.request(format!("name {name}"), self.refused(&["bad-name"]))
    }

    /// `get_list`, on `line` and `chat`.
    pub(super) fn list(&mut self, is_chat: bool) -> Request {
        let own = self.is_named.then(|| format!("u{}", self.number));
        if is_chat {
            let tabs = || exact("\t\t\t\t\t");
            let said = exact("\n\t\t\t\t\tAvailable client:");
            let pieces = vec![tabs(), Piece::Date, said, Piece::Users(own), exact("\n")];
            let (wire, _) = self.line("get_list");
            return plain(wire, pieces);
        }
        let reply = self.met(vec![exact("users:"), Piece::Users(own), exact("\n")]);
        self.request("get_list", reply)
    }

    pub(super) fn pipe(&mut self) -> Request {
        let ((mut body, text), to) = (self.text(), self.random.below(self.scene.clients));
        let bar = *self.random.pick(&["|", " | ", "\t|  "]);
        body.extend(format!("{bar}u{to}").as_bytes());
        let (wire, _) = self.line(body);
        let mut request = plain(wire, vec![Piece::Maybe(&["no-such-user"])]);
        request.deed = Deed::Send(Some(vec![to]), text);
        request
    }
}
