//! What each service makes of a message.
//!
//! What it does not do: answer what was awaited (`outcomes`).

use std::borrow::Cow;

use super::super::effect::{
    Account, Call, Effect, FileRequest, FileWish, Form, RunRequest, Stdin, UploadRequest,
};
use super::super::guard::Guard;
use super::super::limits::{SENDS_LINE_BYTES_MAX, VERSION};
use super::super::line::Frame;
use super::super::name::Name;
use super::super::refusal::{Code, Refusal};
use super::super::reply::Key;
use super::super::request::{self, Message, Request};
use super::super::speech::Service;
use super::super::text::trim;
use super::super::wording;
use super::{Feeds, Manner, Permit, Session, Stage, Terms, Uploads};

impl Session {
    /// A message on `line`.
    pub(super) fn on_line<'a>(&mut self, frame: &Frame<'a>, terms: &Terms<'_>) -> Effect<'a> {
        let request = match request::parse(frame.body, self.style()) {
            Ok(Request::Echo) => return self.on_words(frame),
            request => request,
        };
        // HTTP has no such line.
        self.guard = Guard::OFF;
        match request {
            Ok(request) => self.on_request(request, terms),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn on_request<'a>(&mut self, request: Request<'a>, terms: &Terms<'_>) -> Effect<'a> {
        match request {
            Request::Download { offset, path } => {
                self.look(FileWish::Download { offset }, path, terms)
            }
            Request::Files(path) => self.look(FileWish::List, path, terms),
            Request::Stat(path) => self.look(FileWish::Stat, path, terms),
            Request::Run(request) => self.on_command(request),
            Request::Upload { bytes, path } => self.upload(bytes, path, terms),
            Request::Name(user) => self.join(trim(user)),
            Request::List => self.await_outcome(Effect::Room(Call::List)),
            Request::Send(message) => self.send(&message),
            Request::Help => Effect::Reply(self.done(&[], wording::HELP.as_bytes())),
            Request::Ping if self.is_framed() => Effect::Reply(self.done(&[], b"pong")),
            Request::Ping => Effect::Reply(self.done(&[], b"pong\n")),
            Request::Quit => self.quit(),
            Request::Framed => self.on_version(terms),
            Request::Cancel => Effect::Reply(self.done(&[], b"")),
            Request::Stats => self.await_outcome(Effect::Count(Account::Stats)),
            Request::In | Request::Eof | Request::Winch { .. } => self.on_input(request),
            Request::Echo => Effect::Nothing,
        }
    }

    /// A line that is no request: a message to one user where it can be, an echo otherwise.
    fn on_words<'a>(&mut self, frame: &Frame<'a>) -> Effect<'a> {
        if self.is_named
            && let Some(message) = request::piped(frame.body)
        {
            return self.send(&message);
        }
        if self.is_framed() {
            return Effect::Frame(frame.body);
        }
        Effect::Echo(frame.whole)
    }

    fn look<'a>(&mut self, wish: FileWish, path: &'a [u8], terms: &Terms<'_>) -> Effect<'a> {
        if !terms.has_files {
            let text = "this server serves no files (it was started without --root)";
            return self.refuse(&Refusal::new(Code::Disabled, text));
        }
        self.await_outcome(Effect::Files(FileRequest { wish, path }))
    }

    fn upload<'a>(&mut self, bytes: Option<u64>, path: &'a [u8], terms: &Terms<'_>) -> Effect<'a> {
        let why = match terms.uploads {
            _ if !terms.has_files => "this server stores no files (it was started without --root)",
            Uploads::Off => "this server stores no files (it was started without --upload)",
            Uploads::New | Uploads::Replace => {
                let may_replace = terms.uploads == Uploads::Replace;
                let request = UploadRequest { bytes, path, may_replace };
                return self.await_fed(Feeds::File, Effect::Upload(request));
            }
        };
        self.refuse(&Refusal::new(Code::Disabled, why))
    }

    /// A command, on `line` or `exec`.
    pub(super) fn on_command<'a>(&mut self, request: RunRequest<'a>) -> Effect<'a> {
        let feeds = match request.stdin {
            Stdin::Empty => Feeds::Nothing,
            Stdin::Pipe | Stdin::Terminal => Feeds::Command,
        };
        match self.permit {
            Permit::Granted => self.await_fed(feeds, Effect::Run(request)),
            Permit::Off => self.refuse(&Refusal::new(
                Code::Disabled,
                "this server runs no commands (it was started without --run)",
            )),
            Permit::Denied => self.refuse(&Refusal::new(
                Code::Denied,
                "this server runs commands, but not for your address",
            )),
        }
    }

    fn on_version<'a>(&mut self, terms: &Terms<'_>) -> Effect<'a> {
        self.manner = Manner::Framed;
        if self.is_named {
            return self.await_outcome(Effect::Room(Call::Reform(Form::Framed)));
        }
        Effect::Reply(self.handshake(terms))
    }

    /// The answer to `landline/1`.
    pub(super) fn handshake(&self, terms: &Terms<'_>) -> Vec<u8> {
        let runs = self.permit != Permit::Off;
        let stores = terms.has_files && terms.uploads != Uploads::Off;
        let caps = [
            ("download", terms.has_files),
            ("run", runs),
            ("run-in", runs),
            ("run-pty", runs),
            ("upload", stores),
            ("chat", true),
        ];
        let caps = caps.into_iter().filter_map(|(cap, is_on)| is_on.then_some(cap));
        let caps: Vec<&str> = caps.collect();
        let (version, caps) = (VERSION.to_string(), caps.join(","));
        let keys: [Key<'_>; 3] = [
            ("landline", version.as_bytes()),
            ("server", terms.server.as_bytes()),
            ("caps", caps.as_bytes()),
        ];
        self.done(&keys, b"")
    }

    fn quit<'a>(&mut self) -> Effect<'a> {
        let bytes = self.done(&[], b"");
        self.end(bytes)
    }

    /// A message on `hello`: the name first, then what is to be echoed.
    pub(super) fn on_hello<'a>(
        &mut self,
        frame: &Frame<'a>,
        is_first: bool,
        terms: &Terms<'_>,
    ) -> Effect<'a> {
        if is_first {
            return Effect::Reply(self.spoken(terms.server.as_bytes()));
        }
        if trim(frame.body) == b"close" {
            return self.end(Vec::new());
        }
        if frame.is_bare || frame.whole.ends_with(b"\n") {
            return Effect::Echo(frame.whole);
        }
        Effect::Reply(self.spoken(frame.whole))
    }

    /// A request on `chat`.
    pub(super) fn on_chat<'a>(&mut self, line: &'a [u8]) -> Effect<'a> {
        match trim(line) {
            b"get_list" => self.await_outcome(Effect::Room(Call::List)),
            b"quit" | b"close" => self.end(Vec::new()),
            _ => match chat_operands(line).map(request::send) {
                Some(Ok(message)) => self.send(&message),
                Some(Err(refusal)) => self.refuse(&refusal),
                None => self.refuse(&Refusal::quoting(
                    Code::BadRequest,
                    line,
                    "use: get_list, send all TEXT, send USER... : TEXT, or quit",
                )),
            },
        }
    }

    /// A request on `talk`.
    pub(super) fn on_talk<'a>(&mut self, line: &'a [u8]) -> Effect<'a> {
        if matches!(trim(line), b"quit" | b"close") {
            return self.end(Vec::new());
        }
        match request::piped(line) {
            Some(message) => self.send(&message),
            None => self.refuse(&Refusal::quoting(Code::BadRequest, line, "use: TEXT | USER")),
        }
    }

    /// A line of an HTTP request's head, on the metrics listener. The empty line ends the head.
    pub(super) fn on_head<'a>(&mut self, line: &[u8]) -> Effect<'a> {
        match (self.stage, line) {
            (Stage::Head, b"") => self.await_outcome(Effect::Count(Account::Metrics)),
            (Stage::StrangeHead, b"") => self.end(wording::NO_SUCH_PAGE.into()),
            (Stage::Head | Stage::StrangeHead, _) => Effect::Nothing,
            _ if !request::is_http(line) => self.end(Vec::new()),
            _ => {
                // A scraper may add a query, which says nothing here.
                let is_ours =
                    line.starts_with(b"GET /metrics ") || line.starts_with(b"GET /metrics?");
                self.stage = if is_ours { Stage::Head } else { Stage::StrangeHead };
                Effect::Nothing
            }
        }
    }

    /// Takes a name, on `line`, `chat` and `talk`.
    pub(super) fn join<'a>(&mut self, user: &[u8]) -> Effect<'a> {
        match Name::parse(user) {
            Ok(name) => {
                let form = self.form();
                self.await_outcome(Effect::Room(Call::Join { name, form }))
            }
            Err(refusal) if self.service == Service::Line => self.refuse(&refusal),
            Err(refusal) => {
                let bytes = self.refusal(&refusal);
                self.end(bytes)
            }
        }
    }

    fn send<'a>(&mut self, message: &Message<'a>) -> Effect<'a> {
        if !self.is_named {
            let text = "take a name first: name USER";
            return self.refuse(&Refusal::new(Code::NoName, text));
        }
        self.stage = match self.stage {
            Stage::Sending(sends) => Stage::Sending(sends + 1),
            _ => Stage::Sending(1),
        };
        Effect::Room(Call::Send {
            users: message.users.map(Cow::Borrowed),
            text: Cow::Borrowed(message.text),
        })
    }

    /// A message or line that came while messages are on their way to the room: a further message
    /// goes after them, so that a stream of them does not wait for each answer; all else waits.
    pub(super) fn send_more<'a>(&mut self, line: &'a [u8]) -> Effect<'a> {
        let is_short = line.len() <= SENDS_LINE_BYTES_MAX;
        match self.message_in(line).filter(|_| is_short) {
            Some(message) => self.send(&message),
            None => self.later(),
        }
    }

    /// What comes next waits until all messages on their way are answered.
    pub(super) fn later<'a>(&mut self) -> Effect<'a> {
        if let Stage::Sending(sends) = self.stage {
            self.stage = Stage::Sent(sends);
        }
        Effect::Later
    }

    /// The message that a line is, if it is one.
    fn message_in<'a>(&self, line: &'a [u8]) -> Option<Message<'a>> {
        match self.service {
            Service::Line => match request::parse(line, self.style()) {
                Ok(Request::Send(message)) => Some(message),
                Ok(Request::Echo) => request::piped(line),
                _ => None,
            },
            Service::Chat => request::send(chat_operands(line)?).ok(),
            Service::Talk => request::piped(line),
            _ => None,
        }
    }

    pub(super) fn refuse<'a>(&self, refusal: &Refusal) -> Effect<'a> {
        Effect::Reply(self.refusal(refusal))
    }

    /// How messages are written to this peer.
    fn form(&self) -> Form {
        match (self.service, self.is_bare()) {
            _ if self.is_framed() => Form::Framed,
            (Service::Chat, true) => Form::ChatBare,
            (Service::Chat, false) => Form::Chat,
            (Service::Talk, true) => Form::TalkBare,
            (Service::Talk, false) => Form::Talk,
            (_, true) => Form::PlainBare,
            (_, false) => Form::Plain,
        }
    }
}

/// What follows `send` on `chat`.
fn chat_operands(line: &[u8]) -> Option<&[u8]> {
    let operands = line.strip_prefix(b"send")?;
    matches!(operands.first(), None | Some(b' ' | b'\t')).then(|| trim(operands))
}
