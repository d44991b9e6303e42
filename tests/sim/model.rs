//! The model: what each client must receive, computed from what the clients meant, as the protocol
//! says it.
//!
//! What it does not do: see what the server did. It is told one thing alone, in which order the
//! room heard its calls and when, since that is for the server to choose; which call it was, it
//! knows.

use landline::protocol::session::{Permit, Uploads};
use landline::protocol::speech::Service;
use landline::protocol::wording::HELP;

use crate::answers::{exact, exec_answer, framed_run, plain, plain_run, stat_text};
use crate::script::{Ask, Ends, Line, SERVER, Scene, Spot};
use crate::want::{Event, Frames, Keys, Last, Piece, Want, date, is_name, unix_ms};

/// A call as the room heard it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) peer: usize,
    pub(crate) at_ms: u64,
    /// The peer is gone; else it is the peer's next request that needs the room.
    pub(crate) is_leave: bool,
}

/// What is written in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Framed {
    #[default]
    Nothing,
    Replies,
    /// Messages too, from when the room was told.
    All,
}

/// What one client is to receive.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) wants: Vec<Want>,
    pub(crate) events: Vec<Event>,
    /// How many of them there were when nothing more happened but farewells.
    pub(crate) due: usize,
    next: usize,
    is_named: bool,
    framed: Framed,
    is_over: bool,
}

impl Ledger {
    /// Whether all the client said was answered, so that it was not the first to end.
    pub(crate) fn is_whole(&self, lines: &[Line]) -> bool {
        self.next == lines.len() && !self.is_over
    }
}

/// All clients, and who has a name.
pub(crate) struct Model<'a> {
    scene: &'a Scene,
    pub(crate) ledgers: Vec<Ledger>,
    users: Vec<(usize, String)>,
}

impl<'a> Model<'a> {
    /// What follows from a scene, given what the room heard, `settled` calls of it before all was
    /// said and done.
    pub(crate) fn follow(
        scene: &'a Scene,
        heard: &[Heard],
        settled: usize,
    ) -> Result<Self, String> {
        let ledgers = scene.scripts.iter().map(|_| Ledger::default()).collect();
        let mut model = Self { scene, ledgers, users: Vec::new() };
        for peer in 0..scene.scripts.len() {
            model.go_on(peer);
        }
        for (number, call) in heard.iter().enumerate() {
            model.hear(*call)?;
            model.go_on(call.peer);
            if number < settled {
                model.ledgers.iter_mut().for_each(|ledger| ledger.due = ledger.events.len());
            }
        }
        Ok(model)
    }

    /// Answers requests that need nobody else.
    fn go_on(&mut self, peer: usize) {
        let script = &self.scene.scripts[peer];
        while let Some(line) = script.lines.get(self.ledgers[peer].next) {
            if self.ledgers[peer].is_over || self.needs_room(peer, line) {
                return;
            }
            let want = self.answer(peer, line);
            let ledger = &mut self.ledgers[peer];
            ledger.wants.extend(want);
            ledger.next += 1;
        }
    }

    fn needs_room(&self, peer: usize, line: &Line) -> bool {
        let is_named = self.ledgers[peer].is_named;
        let is_line = self.scene.scripts[peer].service() == Service::Line;
        match &line.ask {
            Ask::Name(user) if is_line || !is_named => is_name(user),
            Ask::List => is_line || is_named,
            Ask::Send { .. } | Ask::Framed => is_named,
            _ => false,
        }
    }

    fn is_framed(&self, peer: usize) -> bool {
        self.ledgers[peer].framed != Framed::Nothing
    }

    fn hear(&mut self, call: Heard) -> Result<(), String> {
        let Heard { peer, at_ms, is_leave } = call;
        if is_leave {
            self.leave(peer);
            return Ok(());
        }
        let ledger = &self.ledgers[peer];
        let line = self.scene.scripts[peer].lines.get(ledger.next);
        let Some(line) = line.filter(|line| self.needs_room(peer, line) && !ledger.is_over) else {
            return Err(format!("peer {peer}: the room was asked by no request (after {line:?})"));
        };
        let want = match &line.ask {
            Ask::Name(user) => self.join(peer, user),
            Ask::List => Some(self.list(peer)),
            Ask::Send { to, text, .. } => self.send(peer, to.as_deref(), text, at_ms),
            _ => Some(self.handshake(peer)),
        };
        self.ledgers[peer].wants.extend(want);
        self.ledgers[peer].next += 1;
        Ok(())
    }

    fn join(&mut self, peer: usize, user: &str) -> Option<Want> {
        let service = self.scene.scripts[peer].service();
        let own = self.users.iter().position(|(other, _)| *other == peer);
        match self.users.iter().position(|(_, name)| name == user) {
            Some(holder) if Some(holder) != own => {
                self.ledgers[peer].is_over |= service != Service::Line;
                return Some(self.error(peer, "name-taken", None));
            }
            Some(_) => {}
            None => {
                match own {
                    Some(own) => {
                        let old = std::mem::replace(&mut self.users[own].1, user.to_owned());
                        self.note(peer, "leave", &old);
                    }
                    None => self.users.push((peer, user.to_owned())),
                }
                self.note(peer, "join", user);
            }
        }
        let ledger = &mut self.ledgers[peer];
        ledger.is_named = true;
        if ledger.framed == Framed::Replies {
            ledger.framed = Framed::All;
        }
        match service {
            Service::Chat => Some(self.said(peer, vec![exact(SERVER)])),
            Service::Talk => None,
            _ => {
                let start = format!("connected to {SERVER} as {user} at ");
                Some(self.met(peer, &[], vec![exact(start), Piece::Date, exact("\n")]))
            }
        }
    }

    fn list(&self, peer: usize) -> Want {
        let names: Vec<&str> = self.users.iter().map(|(_, name)| name.as_str()).collect();
        let names = names.join(" ");
        if self.scene.scripts[peer].service() == Service::Chat {
            let rest = format!("\n\t\t\t\t\tAvailable client: {names}");
            return self.said(peer, vec![exact("\t\t\t\t\t"), Piece::Date, exact(rest)]);
        }
        let text = if names.is_empty() { "users:\n".into() } else { format!("users: {names}\n") };
        self.met(peer, &[], vec![exact(text)])
    }

    fn send(&mut self, peer: usize, to: Option<&[String]>, text: &str, at_ms: u64) -> Option<Want> {
        let mut named: Vec<&str> = Vec::new();
        for user in to.unwrap_or_default() {
            if !named.contains(&user.as_str()) {
                named.push(user);
            }
        }
        let cast = match (to, named.len()) {
            (None, _) => "broad",
            (_, 1) => "single",
            _ => "multi",
        };
        let sender = self.users.iter().find(|(other, _)| *other == peer)?.1.clone();
        let is_meant = |(other, name): &&(usize, String)| match to {
            None => *other != peer,
            Some(_) => named.contains(&name.as_str()),
        };
        let reached: Vec<usize> = self.users.iter().filter(is_meant).map(|user| user.0).collect();
        for recipient in &reached {
            let event = self.message(*recipient, &sender, cast, text, at_ms);
            self.ledgers[*recipient].events.push(event);
        }
        named.retain(|name| !self.users.iter().any(|(_, user)| user == name));
        if !named.is_empty() {
            return Some(self.error(peer, "no-such-user", Some(named.join(" "))));
        }
        Some(self.met(peer, &[("delivered", reached.len().to_string())], Vec::new()))
    }

    fn message(&self, to: usize, from: &str, cast: &str, text: &str, at_ms: u64) -> Event {
        let script = &self.scene.scripts[to];
        let end = if script.is_bare { "" } else { "\n" };
        let date = date(at_ms);
        if self.ledgers[to].framed == Framed::All {
            let at = unix_ms(at_ms).to_string();
            let keys = vec![("from", from.to_owned()), ("cast", cast.to_owned()), ("at", at)];
            return Event::Framed("msg", keys, text.to_owned());
        }
        let written = match script.service() {
            Service::Chat => {
                let tabs = "\t\t\t\t\t";
                format!("{tabs}{date}\n{tabs}{from} ({cast}casted) : {text}{end}")
            }
            Service::Talk => format!("{from}|{text}{end}"),
            _ => format!("{date} {from} ({cast}casted) : {text}{end}"),
        };
        Event::Plain(written.into_bytes())
    }

    fn leave(&mut self, peer: usize) {
        if let Some(place) = self.users.iter().position(|(other, _)| *other == peer) {
            let (_, name) = self.users.remove(place);
            self.note(peer, "leave", &name);
        }
    }

    fn note(&mut self, about: usize, kind: &str, user: &str) {
        for (other, _) in self.users.iter().filter(|(other, _)| *other != about) {
            if self.ledgers[*other].framed == Framed::All {
                let keys = vec![("kind", kind.to_owned()), ("user", user.to_owned())];
                self.ledgers[*other].events.push(Event::Framed("note", keys, String::new()));
            }
        }
    }

    fn answer(&mut self, peer: usize, line: &Line) -> Option<Want> {
        let script = &self.scene.scripts[peer];
        let is_framed = self.is_framed(peer);
        match &line.ask {
            _ if script.service() == Service::Echo => return Some(plain(exact(line.wire()))),
            Ask::TooLong => return Some(self.error(peer, "too-long", None)),
            Ask::Http => {
                self.ledgers[peer].is_over = true;
                return Some(Want::Plain(vec![exact("HTTP/1.1 400 "), Piece::Rest]));
            }
            Ask::Quit => {
                self.ledgers[peer].is_over = true;
                return Some(self.met(peer, &[], Vec::new()));
            }
            _ => {}
        }
        match script.service() {
            Service::Hello if self.ledgers[peer].next == 0 => {
                return Some(self.said(peer, vec![exact(SERVER)]));
            }
            Service::Chat | Service::Talk => {
                if !self.ledgers[peer].is_named {
                    self.ledgers[peer].is_over = true;
                    return Some(self.error(peer, "bad-name", None));
                }
                return Some(self.error(peer, "bad-request", None));
            }
            _ => {}
        }
        match &line.ask {
            Ask::Words | Ask::Cancel | Ask::Send { is_piped: true, .. } if !is_framed => {
                Some(plain(exact(line.whole())))
            }
            Ask::Words | Ask::Send { is_piped: true, .. } => {
                Some(self.met(peer, &[], vec![exact(&line.body[..])]))
            }
            Ask::Input | Ask::Eof | Ask::Winch(_) => None,
            Ask::Upload { spot, .. } => Some(self.upload(peer, *spot, line.payload.len())),
            Ask::Wrong(plain, framed) => Some(self.wrong(peer, line, [plain, framed])),
            Ask::Name(_) => Some(self.error(peer, "bad-name", None)),
            Ask::Send { .. } => Some(self.error(peer, "no-name", None)),
            Ask::Help => Some(self.met(peer, &[], vec![exact(HELP)])),
            Ask::Ping if is_framed => Some(self.met(peer, &[], vec![exact("pong")])),
            Ask::Ping => Some(self.met(peer, &[], vec![exact("pong\n")])),
            Ask::Framed => Some(self.handshake(peer)),
            Ask::Download(offset, file) => Some(self.download(peer, *offset, *file)),
            Ask::Stat(file) => {
                let want = match file {
                    Some(file) => {
                        self.met(peer, &[], vec![exact(stat_text(&self.scene.files[*file]))])
                    }
                    None => self.error(peer, "no-such-file", None),
                };
                Some(self.cancellable(peer, want))
            }
            Ask::Job(job) => Some(self.run(peer, *job)),
            _ => Some(self.met(peer, &[], Vec::new())),
        }
    }

    fn wrong(&self, peer: usize, line: &Line, codes: [&'static str; 2]) -> Want {
        let ledger = &self.ledgers[peer];
        let is_nameless = line.body.starts_with(b"send") && !ledger.is_named;
        // Both are so where a request is malformed and would be refused anyway.
        let code = match codes[usize::from(ledger.framed != Framed::Nothing)] {
            "bad-request" if line.body.starts_with(b"run") => "bad-request|disabled|denied",
            "bad-request" if is_nameless => "bad-request|no-name",
            code => code,
        };
        self.error(peer, code, None)
    }

    fn handshake(&mut self, peer: usize) -> Want {
        let ledger = &mut self.ledgers[peer];
        ledger.framed = if ledger.is_named { Framed::All } else { Framed::Replies };
        let caps = match self.scene.scripts[peer].permit {
            Permit::Off => "download,chat",
            Permit::Denied | Permit::Granted => "download,run,chat",
        };
        let keys = [("landline", "1".to_owned()), ("server", SERVER.into()), ("caps", caps.into())];
        self.met(peer, &keys, Vec::new())
    }

    fn download(&mut self, peer: usize, offset: usize, file: Option<usize>) -> Want {
        let scene = self.scene;
        let Some(file) = file.map(|file| &scene.files[file]) else {
            return self.cancellable(peer, self.error(peer, "no-such-file", None));
        };
        if offset > file.size {
            return self.cancellable(peer, self.error(peer, "bad-offset", None));
        }
        let content = file.content.get(offset..).unwrap_or_default().to_vec();
        let is_truncated = offset + content.len() < file.size;
        if !self.is_framed(peer) {
            // So that what was sent is never taken for whole.
            self.ledgers[peer].is_over |= is_truncated;
            let end = is_truncated.then_some(Piece::Reset);
            return Want::Plain([exact(content)].into_iter().chain(end).collect());
        }
        let name = file.name.rsplit('/').next().unwrap_or_default();
        let last = if is_truncated {
            Last::Fail("truncated", None)
        } else {
            Last::Done(Keys::new(), Vec::new())
        };
        let head = vec![
            ("size", file.size.to_string()),
            ("mtime", file.mtime_s.to_string()),
            ("name", name.to_owned()),
        ];
        let parts = vec![("data", content)];
        let frames = Frames { head: Some(head), parts, is_truncated, ..Frames::only(last) };
        self.cancellable(peer, Want::Framed(frames))
    }

    fn run(&self, peer: usize, job: usize) -> Want {
        let script = &self.scene.scripts[peer];
        match script.permit {
            Permit::Off => return self.error(peer, "disabled", None),
            Permit::Denied => return self.error(peer, "denied", None),
            Permit::Granted => {}
        }
        let job = &self.scene.jobs[job];
        if job.ends == Ends::Busy {
            return self.cancellable(peer, self.error(peer, "busy", None));
        }
        match script.service() {
            Service::Exec => plain(exact(exec_answer(job, script.is_bare))),
            _ if self.is_framed(peer) => {
                let (input, size) = self.input(peer);
                self.cancellable(peer, framed_run(job, &input, &size))
            }
            _ => Want::Plain(plain_run(job, script)),
        }
    }

    /// What comes for the command that is said now, and the size of its terminal in the end.
    fn input(&self, peer: usize) -> (Vec<u8>, String) {
        let (mut input, mut size) = (Vec::new(), "80x24".to_owned());
        for line in &self.scene.scripts[peer].lines[self.ledgers[peer].next + 1..] {
            match &line.ask {
                Ask::Eof => break,
                Ask::Job(job) if self.scene.jobs[*job].reads.is_some() => break,
                Ask::Input => input.extend_from_slice(&line.payload),
                Ask::Winch(other) => size.clone_from(other),
                _ => {}
            }
        }
        (input, size)
    }

    fn upload(&self, peer: usize, spot: Spot, bytes: usize) -> Want {
        let code = match (self.scene.uploads, spot) {
            (Uploads::Off, _) => "disabled",
            (_, Spot::Nowhere) => "no-such-file",
            (_, Spot::Early) => "bad-request",
            (Uploads::New, Spot::There) => "exists",
            (_, Spot::There | Spot::New) => {
                let stored = self.met(peer, &[("size", bytes.to_string())], Vec::new());
                return self.cancellable(peer, stored);
            }
        };
        self.cancellable(peer, self.error(peer, code, None))
    }

    /// Whether what this line brings may be found stored.
    pub(crate) fn may_be_stored(&self, spot: Spot) -> bool {
        match spot {
            Spot::New => self.scene.uploads != Uploads::Off,
            Spot::There => self.scene.uploads == Uploads::Replace,
            Spot::Early | Spot::Nowhere => false,
        }
    }

    /// A framed reply that a later `cancel` may have caught.
    fn cancellable(&self, peer: usize, want: Want) -> Want {
        let after = self.scene.scripts[peer].lines.iter().skip(self.ledgers[peer].next);
        let may_be_cancelled = after.into_iter().any(|line| matches!(line.ask, Ask::Cancel));
        match want {
            Want::Framed(frames) => Want::Framed(Frames { may_be_cancelled, ..frames }),
            plain @ Want::Plain(_) => plain,
        }
    }

    /// A request was met: with keys and a payload in framed, with the payload alone in plain.
    fn met(&self, peer: usize, keys: &[(&'static str, String)], mut payload: Vec<Piece>) -> Want {
        if self.is_framed(peer) {
            return Want::Framed(Frames::only(Last::Done(keys.to_vec(), payload)));
        }
        if self.scene.scripts[peer].is_bare
            && let Some(Piece::Exact(last)) = payload.last_mut()
            && last.last() == Some(&b'\n')
        {
            last.pop();
        }
        Want::Plain(payload)
    }

    /// A text of its own, in plain.
    fn said(&self, peer: usize, mut pieces: Vec<Piece>) -> Want {
        if !self.scene.scripts[peer].is_bare {
            pieces.push(exact("\n"));
        }
        Want::Plain(pieces)
    }

    fn error(&self, peer: usize, code: &'static str, text: Option<String>) -> Want {
        if self.is_framed(peer) {
            return Want::Framed(Frames::only(Last::Fail(code, text)));
        }
        let said = text.map(|text| exact(format!("error {code}: {text}")));
        self.said(peer, vec![said.unwrap_or(Piece::Error(code))])
    }
}
