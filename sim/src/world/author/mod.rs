//! What one client says, drawn from a seed, and what must answer it, by `docs/PROTOCOL.md`.

mod commands;
mod files;
mod input;
mod lines;
mod room;
mod uploads;

pub use commands::LIST;

use super::expect::{Form, Last, Piece, Reply};
use super::request::{Deed, Request, exact, framed, request};
use super::scene::Scene;
use crate::kernel::random::Random;
use crate::protocol::session::Uploads;
use crate::protocol::speech::Service;
use crate::service::policy::{Commands, Rule};

/// What a client says.
pub struct Script {
    /// Its requests, in order.
    pub requests: Vec<Request>,
    /// Only the end of its input makes the last of them whole: the client shuts its sending side.
    pub ends_input: bool,
}

/// Writes what one client says.
pub struct Author<'a> {
    random: &'a mut Random,
    scene: &'a Scene,
    number: usize,
    is_unix: bool,
    count: usize,
    is_framed: bool,
    is_named: bool,
    /// What its own file in the root holds now; `None` where that cannot be said.
    own: Option<Vec<u8>>,
    is_own_uncertain: bool,
    ends_input: bool,
}

impl<'a> Author<'a> {
    /// For client `number`.
    pub fn new(random: &'a mut Random, scene: &'a Scene, number: usize, is_unix: bool) -> Self {
        Self {
            random,
            scene,
            number,
            is_unix,
            count: 0,
            is_framed: false,
            is_named: false,
            own: None,
            is_own_uncertain: false,
            ends_input: false,
        }
    }
}

impl Author<'_> {
    /// A request after the other, on this service.
    pub fn script(mut self, service: Service) -> Script {
        let mut all = Vec::new();
        let wanted = self.random.between(1, 14);
        match service {
            Service::Chat => all.push(self.first("sim\n")),
            Service::Talk => all.push(self.first("")),
            Service::Hello => all.push(self.hello()),
            Service::Line if self.random.one_in(2) => all.push(self.handshake()),
            _ => {}
        }
        if service == Service::Line && self.random.one_in(2) {
            all.push(self.name());
        }
        let form = self.form(service);
        for request in &mut all {
            request.form = form;
        }
        while all.len() < wanted && !self.ends_input {
            let before = all.len();
            self.add(service, &mut all);
            let form = self.form(service);
            for request in &mut all[before..] {
                request.form = form;
            }
        }
        let before = all.len();
        let may_quit = !matches!(service, Service::Exec | Service::Echo | Service::Hello);
        if may_quit && !self.ends_input && self.random.one_in(4) {
            all.push(self.quit());
        } else if service == Service::Line && !self.ends_input && self.random.one_in(6) {
            all.push(self.last());
            self.ends_input = true;
        }
        let form = self.form(service);
        for request in &mut all[before..] {
            request.form = form;
        }
        Script { requests: all, ends_input: self.ends_input }
    }

    /// How messages look now.
    fn form(&self, service: Service) -> Form {
        match service {
            Service::Chat => Form::Chat,
            Service::Talk => Form::Talk,
            _ if self.is_named && !self.is_framed => Form::Line,
            _ => Form::Never,
        }
    }

    /// One request more, or some that belong together.
    fn add(&mut self, service: Service, all: &mut Vec<Request>) {
        let next = match service {
            Service::Line => return self.add_on_line(all),
            Service::Exec => self.exec(),
            Service::Chat => match self.random.below(8) {
                0 => self.unknown(),
                1 if self.tries_length() => self.too_long(),
                2 => self.list(true),
                _ => self.send(true),
            },
            Service::Talk => match self.random.below(8) {
                0 => self.unknown(),
                1 if self.tries_length() => self.too_long(),
                _ => self.pipe(),
            },
            Service::Hello if self.random.one_in(10) && self.tries_length() => self.too_long(),
            Service::Hello => self.words(),
            Service::Echo | Service::Metrics => self.raw_words(),
        };
        all.push(next);
    }

    fn add_on_line(&mut self, all: &mut Vec<Request>) {
        let next = match self.random.below(if self.is_named { 31 } else { 26 }) {
            0..=2 => self.words(),
            6 => self.download_refused(),
            7 => self.stat(),
            8 | 9 => self.files(),
            10..=12 => self.run(),
            13..=15 => self.upload(),
            17 => self.help(),
            18 => self.wrong(),
            19 if self.tries_length() => self.too_long(),
            16 | 19 => self.ping(),
            20 => self.name_again(),
            21 => self.list(false),
            22 if self.random.one_in(3) => self.handshake(),
            23 if self.is_framed => return self.cancel(all),
            24 if self.is_framed => return self.fed(all),
            25 if self.is_framed && self.random.one_in(10) => return self.many(all),
            3..=5 | 22..=25 => self.download(),
            _ => self.send(false),
        };
        all.push(next);
    }

    /// A line, with one of the two endings, which is told too.
    fn line(&mut self, body: impl Into<Vec<u8>>) -> (Vec<u8>, &'static str) {
        let ending = if self.random.one_in(5) { "\r\n" } else { "\n" };
        let mut wire = body.into();
        wire.extend(ending.as_bytes());
        (wire, ending)
    }

    /// A request whose line is `body`.
    fn request(&mut self, body: impl Into<Vec<u8>>, reply: Reply) -> Request {
        let (wire, _) = self.line(body);
        request(wire, reply)
    }

    /// Blanks between a verb and its operand.
    fn gap(&mut self) -> &'static str {
        const GAPS: [&str; 6] = [" ", " ", " ", "  ", "\t", " \t "];
        let gap: &&'static str = self.random.pick(&GAPS);
        gap
    }

    /// A request was met: what it says in plain is the payload in frames.
    fn met(&self, pieces: Vec<Piece>) -> Reply {
        if self.is_framed {
            framed(Vec::new(), None, Last::Done(Vec::new(), pieces))
        } else {
            Reply::Plain(pieces)
        }
    }

    /// It was met without a word in plain, and with keys in frames.
    fn silent(&self, keys: Vec<(&'static str, String)>) -> Reply {
        if self.is_framed {
            framed(Vec::new(), None, Last::Done(keys, Vec::new()))
        } else {
            Reply::Plain(Vec::new())
        }
    }

    /// It was refused.
    fn refused(&self, codes: &'static [&'static str]) -> Reply {
        if self.is_framed {
            framed(Vec::new(), None, Last::Fail(codes))
        } else {
            Reply::Plain(vec![Piece::Error(codes, true)])
        }
    }

    /// `landline/1`, and what is switched on here.
    fn handshake(&mut self) -> Request {
        self.is_framed = true;
        let settings = &self.scene.config.settings;
        let mut caps = vec!["download", "chat"];
        if !matches!(settings.commands, Commands::Off) {
            caps.extend(["run", "run-in", "run-pty"]);
        }
        if settings.uploads != Uploads::Off {
            caps.push("upload");
        }
        caps.sort_unstable();
        let keys = vec![
            ("landline", "1".to_owned()),
            ("server", "sim".to_owned()),
            ("caps", caps.join(",")),
        ];
        self.request("landline/1", self.silent(keys))
    }

    /// Why this client may run nothing, if it may not.
    fn run_refusal(&self) -> Option<&'static [&'static str]> {
        let settings = &self.scene.config.settings;
        if matches!(settings.commands, Commands::Off) {
            return Some(&["disabled"]);
        }
        let lets_in = |rule: &Rule| match rule {
            Rule::Any => true,
            Rule::Unix => self.is_unix,
            // The only blocks of a scene are those of the loopback.
            Rule::Address(_) => !self.is_unix,
            Rule::Uid(_) => false,
        };
        (!settings.allow_run.iter().any(lets_in)).then_some(&["denied"])
    }

    fn quit(&mut self) -> Request {
        let verb = if self.random.one_in(2) { "quit" } else { "close" };
        let mut request = self.request(verb, self.silent(Vec::new()));
        request.deed = Deed::Quit;
        request
    }

    /// The last request, which lacks its newline.
    fn last(&mut self) -> Request {
        self.count += 1;
        let text = format!("e{}.{} without an end", self.number, self.count);
        request(text.clone().into_bytes(), self.met(vec![exact(text)]))
    }
}
