//! What one client says, drawn from a seed, and what must answer it.

use super::expect::{Form, Last, Piece, Reply};
use super::request::{Deed, Request, exact, framed, plain, request};
use super::scene::{FILES, Scene, content};
use crate::kernel::process::output_bytes;
use crate::kernel::random::Random;
use crate::protocol::speech::Service;

/// Writes what one client says.
pub struct Author<'a> {
    random: &'a mut Random,
    scene: &'a Scene,
    number: usize,
    count: usize,
    is_framed: bool,
}

impl<'a> Author<'a> {
    /// For client `number`.
    pub fn new(random: &'a mut Random, scene: &'a Scene, number: usize) -> Self {
        Self { random, scene, number, count: 0, is_framed: false }
    }
}

impl Author<'_> {
    /// A request after the other, on this service.
    pub fn requests(&mut self, service: Service) -> Vec<Request> {
        let mut all = Vec::new();
        let wanted = self.random.between(1, 14);
        match service {
            Service::Chat => all.push(self.first("sim\n", Form::Chat)),
            Service::Talk => all.push(self.first("", Form::Talk)),
            Service::Hello => {
                let wire = b"someone\n".to_vec();
                all.push(plain(wire, vec![exact("sim\n")], Form::Never));
            }
            Service::Line if self.random.one_in(2) => {
                self.is_framed = true;
                let keys = vec![("landline", "1".to_owned())];
                let reply = framed(Vec::new(), None, Last::Done(keys, Vec::new()));
                all.push(request(b"landline/1\n".to_vec(), reply, Form::Never));
            }
            _ => {}
        }
        let is_named = service == Service::Line && self.random.one_in(2);
        if is_named {
            all.push(self.name());
        }
        let form = match (service, is_named && !self.is_framed) {
            (Service::Chat, _) => Form::Chat,
            (Service::Talk, _) => Form::Talk,
            (_, true) => Form::Line,
            _ => Form::Never,
        };
        while all.len() < wanted {
            let mut next = match service {
                Service::Line => self.on_line(is_named),
                Service::Chat => self.send(true),
                Service::Talk => self.pipe(),
                Service::Exec => self.exec(),
                Service::Hello | Service::Echo | Service::Metrics => self.words(),
            };
            next.form = form;
            all.push(next);
        }
        if self.random.one_in(4)
            && !matches!(service, Service::Exec | Service::Echo | Service::Hello)
        {
            let mut quit = self.quit();
            quit.form = form;
            all.push(quit);
        }
        all
    }

    fn on_line(&mut self, is_named: bool) -> Request {
        match self.random.below(if is_named { 14 } else { 10 }) {
            0 | 1 => self.words(),
            2..=4 => self.download(),
            5 => self.stat(),
            6 | 7 => self.run(),
            8 => self.upload(),
            9 => self.ping(),
            _ => self.send(false),
        }
    }

    fn done(&self, text: &str, newline: &str) -> Reply {
        if self.is_framed {
            framed(Vec::new(), None, Last::Done(Vec::new(), vec![exact(text)]))
        } else {
            Reply::Plain(vec![exact(format!("{text}{newline}"))])
        }
    }

    fn words(&mut self) -> Request {
        self.count += 1;
        let length = *self.random.pick(&[1, 3, 40, 900, 20_000]);
        let text = format!("e{}.{}{}", self.number, self.count, "x".repeat(length));
        request(format!("{text}\n").into_bytes(), self.done(&text, "\n"), Form::Never)
    }

    fn ping(&mut self) -> Request {
        request(b"ping\n".to_vec(), self.done("pong", "\n"), Form::Never)
    }

    fn first(&mut self, greeting: &str, form: Form) -> Request {
        let wire = format!("u{}\n", self.number).into_bytes();
        let mut request = plain(wire, vec![exact(greeting)], form);
        request.deed = Deed::Name;
        request
    }

    fn name(&mut self) -> Request {
        let user = format!("u{}", self.number);
        let said = format!("connected to sim as {user} at ");
        let pieces = vec![exact(said), Piece::Date, exact("\n")];
        let reply = if self.is_framed {
            framed(Vec::new(), None, Last::Done(Vec::new(), pieces))
        } else {
            Reply::Plain(pieces)
        };
        let form = if self.is_framed { Form::Never } else { Form::Line };
        let mut request = request(format!("name {user}\n").into_bytes(), reply, form);
        request.deed = Deed::Name;
        request
    }

    fn download(&mut self) -> Request {
        let (name, size) = *self.random.pick(&FILES);
        if self.random.one_in(8) {
            return self.refused("download nope\n", &["no-such-file"]);
        }
        let offset = if self.random.one_in(3) { self.random.below(size + 1) } else { 0 };
        let wire = if offset > 0 {
            format!("download@{offset} {name}\n")
        } else {
            format!("download {name}\n")
        };
        let bytes = content(name, size)[offset..].to_vec();
        let reply = if self.is_framed {
            framed(vec![("data", bytes)], Some(size as u64), Last::Done(Vec::new(), Vec::new()))
        } else {
            Reply::Plain(vec![exact(bytes)])
        };
        request(wire.into_bytes(), reply, Form::Never)
    }

    fn refused(&mut self, wire: &str, codes: &'static [&'static str]) -> Request {
        let reply = if self.is_framed {
            framed(Vec::new(), None, Last::Fail(codes))
        } else {
            Reply::Plain(vec![Piece::Error(codes, true)])
        };
        request(wire.as_bytes().to_vec(), reply, Form::Never)
    }

    fn stat(&mut self) -> Request {
        let (name, size) = *self.random.pick(&FILES);
        let pieces = vec![exact(format!("{size} ")), Piece::Line];
        let reply = if self.is_framed {
            framed(Vec::new(), None, Last::Done(Vec::new(), pieces))
        } else {
            Reply::Plain(pieces)
        };
        request(format!("stat {name}\n").into_bytes(), reply, Form::Never)
    }

    /// A command with good manners: its text, what it writes to standard output and error, and its
    /// status.
    fn command(&mut self) -> (String, Vec<u8>, Vec<u8>, i32) {
        self.count += 1;
        let out = *self.random.pick(&[0, 1, 100, 5_000, 100_000]);
        let err = if self.random.one_in(3) { self.random.between(1, 300) } else { 0 };
        let sleep = *self.random.pick(&[0, 0, 5, 300]);
        let status = *self.random.pick(&[0, 0, 3]);
        let text = format!("out {out}; sleep {sleep}; err {err}; exit {status}");
        let (out, err) = (output_bytes("out", out), output_bytes("err", err));
        (text, out, err, status)
    }

    fn run(&mut self) -> Request {
        if self.scene.has_nasty && self.random.one_in(2) {
            return self.nasty();
        }
        let (text, out, err, status) = self.command();
        let reply = if self.is_framed {
            let keys = vec![("exit", status.to_string())];
            framed(vec![("out", out), ("err", err)], None, Last::Done(keys, Vec::new()))
        } else {
            let mut pieces = vec![exact([out, err].concat())];
            if status != 0 {
                pieces.push(exact(format!("error exit: status {status}\n")));
            }
            Reply::Plain(pieces)
        };
        request(format!("run {text}\n").into_bytes(), reply, Form::Never)
    }

    /// A command without manners: nothing is said of its output.
    fn nasty(&mut self) -> Request {
        let commands = [
            "trap; sleep 4000; out 10",
            "hold 3000; out 10",
            "leave; out 10; sleep 800",
            "setsid 2000; out 10",
            "out 5000; steal; out 10",
            "close; sleep 100; exit 0",
            "out 100000; out 100000; die 9",
            "closein; sleep 10; die 11",
        ];
        let text = self.random.pick(&commands);
        let mut request =
            request(format!("run {text}\n").into_bytes(), Reply::Plain(Vec::new()), Form::Never);
        request.is_loose = true;
        request
    }

    fn exec(&mut self) -> Request {
        self.count += 1;
        let length = *self.random.pick(&[0, 1, 100, 9_000]);
        let status = *self.random.pick(&[0, 0, 3]);
        let mut said = output_bytes("out", length);
        if said.is_empty() && status == 0 {
            said = b"no output".to_vec();
        }
        if !said.is_empty() && said.last() != Some(&b'\n') {
            said.push(b'\n');
        }
        if status != 0 {
            said.extend(format!("exit status {status}\n").into_bytes());
        }
        let wire = format!("out {length}; exit {status}\n").into_bytes();
        plain(wire, vec![exact(said)], Form::Never)
    }

    fn upload(&mut self) -> Request {
        self.count += 1;
        let name = format!("up-{}-{}", self.number, self.count);
        let size = *self.random.pick(&[0, 1, 500, 60_000, 200_000]);
        let bytes = content(&name, size);
        let mut wire = format!("upload {size} {name}\n").into_bytes();
        wire.extend(&bytes);
        let reply = if self.is_framed {
            let keys = vec![("size", size.to_string())];
            framed(Vec::new(), None, Last::Done(keys, Vec::new()))
        } else {
            Reply::Plain(Vec::new())
        };
        let mut request = request(wire, reply, Form::Never);
        request.deed = Deed::Upload(name, bytes);
        request
    }

    fn text(&mut self) -> String {
        self.count += 1;
        let padding = *self.random.pick(&[0, 0, 10, 3_000]);
        format!("m:{}:{}:{}", self.number, self.count, "y".repeat(padding))
    }

    fn send(&mut self, is_chat: bool) -> Request {
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
        let wire = format!("send {users}{separator} {text}\n").into_bytes();
        let reply = if self.is_framed {
            framed(Vec::new(), None, Last::Either(&["no-such-user"]))
        } else {
            Reply::Plain(vec![Piece::Maybe(&["no-such-user"])])
        };
        let form = if is_chat { Form::Chat } else { Form::Line };
        let mut request = request(wire, reply, form);
        request.deed = Deed::Send(to, text);
        request
    }

    fn pipe(&mut self) -> Request {
        let (text, to) = (self.text(), self.random.below(self.scene.clients));
        let wire = format!("{text} | u{to}\n").into_bytes();
        let mut request = plain(wire, vec![Piece::Maybe(&["no-such-user"])], Form::Talk);
        request.deed = Deed::Send(Some(vec![to]), text);
        request
    }

    fn quit(&mut self) -> Request {
        let mut request = request(b"quit\n".to_vec(), self.done("", ""), Form::Never);
        request.deed = Deed::Quit;
        request
    }
}
