//! Names, and messages.

use super::Author;
use crate::world::expect::{Last, Piece, Reply};
use crate::world::request::{Deed, Request, exact, framed, plain};

impl Author<'_> {
    /// The first message on `chat` and `talk`: the name.
    pub(super) fn first(&mut self, greeting: &str) -> Request {
        let (wire, _) = self.line(format!("u{}", self.number));
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

    fn text(&mut self) -> String {
        self.count += 1;
        let padding = *self.random.pick(&[0, 0, 10, 1_500]);
        format!("m:{}:{}:{}", self.number, self.count, "y".repeat(padding))
    }

    pub(super) fn send(&mut self, is_chat: bool) -> Request {
        let text = self.text();
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
            users.join(" ")
        });
        let separator = if to.is_some() { " :" } else { "" };
        let body = format!("send {users}{separator} {text}");
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

    pub(super) fn pipe(&mut self) -> Request {
        let (text, to) = (self.text(), self.random.below(self.scene.clients));
        let (wire, _) = self.line(format!("{text} | u{to}"));
        let mut request = plain(wire, vec![Piece::Maybe(&["no-such-user"])]);
        request.deed = Deed::Send(Some(vec![to]), text);
        request
    }
}
