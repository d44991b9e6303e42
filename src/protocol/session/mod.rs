//! `Session`: what one connection has said so far, and what follows from the next message. Every
//! transition of the wire is here: one frame, one effect, as a return value.
//!
//! What it does not do: find where a message ends (`line`), parse a verb (`request`), read a clock,
//! or move a byte.
//!
//! Invariants:
//! 1. A session awaits at most one outcome, and meanwhile a plain peer's frames are not taken, and
//!    a framed peer's are kept, in order, up to a limit; or it awaits the room's answers to a
//!    limited number of messages, and meanwhile takes further messages alone. Behind frames that
//!    are kept, all others are kept too.
//! 2. Nothing is taken once the session is over.
//! 3. Payload, and what else comes for a request (`feeding`), belongs to the last request before it
//!    that takes any, be it in progress or kept.

mod feeding;
mod outcomes;
mod requests;
mod waiting;

use super::effect::{Effect, RunRequest, Stdin};
use super::guard::{self, Guard, Stranger};
use super::limits::SENDS_MAX;
use super::line::{Frame, Framing};
use super::refusal::{Code, Refusal};
use super::reply::{self, Style};
use super::speech::{Service, Speech};
use super::telnet::{self, Opening};
use super::text::trim;
use super::wording;

pub use feeding::Feeds;
use feeding::Payload;
pub use outcomes::Reply;
pub use waiting::Kept;
use waiting::Waiting;

/// Whether this peer may run commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Nobody may: commands are switched off.
    Off,
    /// Others may, but not this peer.
    Denied,
    /// It may.
    Granted,
}

/// What may be stored below the served root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uploads {
    /// Nothing.
    #[default]
    Off,
    /// Files of new names.
    New,
    /// Any file: one of the same name is replaced.
    Replace,
}

/// What the server has switched on, and its name.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The server's name.
    pub server: &'a str,
    /// Whether there is a served root.
    pub has_files: bool,
    /// What may be stored below it.
    pub uploads: Uploads,
    /// Longest line in bytes.
    pub line_bytes_max: usize,
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was said yet.
    First,
    /// The next request is taken at once.
    Ready,
    /// An outcome is awaited, of a request that takes this beyond its line.
    Busy(Feeds),
    /// Answers of the room are awaited, to so many messages; the next message is taken at once.
    Sending(u8),
    /// The same, and what comes next is no such message, and waits.
    Sent(u8),
    /// The head of an HTTP request is being read.
    Head,
    /// The same, and nothing of ours is asked for.
    StrangeHead,
    /// Nothing more is taken.
    Over,
}

/// How the client speaks, and is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// In lines or in messages without newlines: its first message decides.
    Undecided,
    /// In lines.
    Lines,
    /// In lines, with telnet's commands among their bytes.
    Telnet,
    /// In messages without newlines.
    Bare,
    /// In lines, and it is answered in frames.
    Framed,
}

/// What is to be done about the first bytes of a connection.
#[derive(Debug)]
pub enum Start {
    /// They are taken as they come.
    Go,
    /// More have to come first.
    Wait,
    /// Telnet is spoken from now on.
    Telnet,
    /// A stranger is turned away.
    Away(Effect<'static>),
}

/// The state of one connection's conversation.
#[derive(Debug)]
pub struct Session {
    service: Service,
    manner: Manner,
    stage: Stage,
    permit: Permit,
    is_named: bool,
    payload: Payload,
    guard: Guard,
    waiting: Option<Box<Waiting>>,
}

impl Session {
    /// A session at the start of a connection.
    pub fn new(speech: Speech, permit: Permit) -> Self {
        Self {
            service: speech.service,
            manner: if speech.bare { Manner::Undecided } else { Manner::Lines },
            stage: Stage::First,
            permit,
            is_named: false,
            payload: Payload::Nobodys,
            guard: match speech.service {
                Service::Echo | Service::Metrics => Guard::OFF,
                _ => Guard::START,
            },
            waiting: None,
        }
    }

    /// How messages end, as far as it is known.
    pub fn framing(&self) -> Framing {
        match self.manner {
            _ if self.service == Service::Echo => Framing::Raw,
            Manner::Undecided => Framing::Undecided,
            Manner::Bare => Framing::Bare,
            Manner::Lines | Manner::Telnet | Manner::Framed => Framing::Lines,
        }
    }

    /// What is spoken.
    pub fn service(&self) -> Service {
        self.service
    }

    /// Whether replies are frames.
    pub fn is_framed(&self) -> bool {
        self.manner == Manner::Framed
    }

    /// Whether the client was found to send no newlines.
    pub fn is_bare(&self) -> bool {
        self.manner == Manner::Bare
    }

    /// Whether the peer has a name, and so receives messages.
    pub fn is_named(&self) -> bool {
        self.is_named
    }

    /// Whether an outcome is awaited.
    pub fn is_busy(&self) -> bool {
        matches!(self.stage, Stage::Busy(_)) || self.is_sending()
    }

    /// Whether what is awaited is the room's answers to messages.
    pub fn is_sending(&self) -> bool {
        matches!(self.stage, Stage::Sending(_) | Stage::Sent(_))
    }

    /// Whether a message would be taken now.
    pub fn takes_frames(&self) -> bool {
        match self.stage {
            Stage::Busy(_) => self.is_framed() && !self.is_full(),
            Stage::Sending(_) if self.has_kept() => !self.is_full(),
            Stage::Sending(sends) => sends < SENDS_MAX,
            Stage::Sent(_) | Stage::Over => false,
            Stage::First | Stage::Ready | Stage::Head | Stage::StrangeHead => true,
        }
    }

    fn is_full(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.is_full())
    }

    /// Whether requests are kept, behind which all others belong.
    fn has_kept(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| !waiting.is_empty())
    }

    /// Whether requests are kept that could be acted on now.
    pub fn has_waiting(&self) -> bool {
        self.stage == Stage::Ready && self.waiting.is_some()
    }

    /// Whether this peer may run commands changed (the server's configuration was read again).
    pub fn set_permit(&mut self, permit: Permit) {
        self.permit = permit;
    }

    /// Whether nothing was taken yet, and `on_start` is to be asked before anything is.
    pub fn is_at_start(&self) -> bool {
        self.guard.is_at_start()
    }

    /// These are all the bytes that came so far, and nothing of them was taken. `is_final` says
    /// that no more will come, or that more are not waited for.
    pub fn on_start(&mut self, bytes: &[u8], is_final: bool) -> Start {
        if let Some(stranger) = guard::stranger(bytes) {
            return Start::Away(self.turn_away(stranger));
        }
        match telnet::opening(bytes) {
            Opening::Telnet if self.may_become_telnet() => {
                self.become_telnet();
                Start::Telnet
            }
            Opening::Unknown if !is_final && self.may_become_telnet() => Start::Wait,
            _ => Start::Go,
        }
    }

    /// Whether telnet's commands are among what comes.
    pub fn is_telnet(&self) -> bool {
        self.manner == Manner::Telnet
    }

    /// Whether a line that begins with an interrupt makes the client one of telnet.
    pub fn may_become_telnet(&self) -> bool {
        matches!(self.manner, Manner::Undecided | Manner::Lines)
            && !matches!(self.service, Service::Echo | Service::Metrics)
    }

    /// Telnet is spoken from now on, in lines.
    pub fn become_telnet(&mut self) {
        debug_assert!(self.may_become_telnet(), "what is bare, framed or raw stays so");
        self.manner = Manner::Telnet;
    }

    /// A message came.
    pub fn on_frame<'a>(&mut self, frame: &Frame<'a>, terms: &Terms<'_>) -> Effect<'a> {
        if self.is_sending() && !self.has_kept() {
            return self.send_more(frame.body);
        }
        if self.is_busy() {
            return self.keep(frame.body);
        }
        self.note_manner(frame.is_bare);
        let effect = self.act(frame, terms);
        self.payload =
            if self.feeds() == Feeds::File { Payload::InProgress } else { Payload::Nobodys };
        effect
    }

    /// A line over the limit came, or as much of it as there may be: `head`.
    pub fn on_too_long<'a>(&mut self, head: &[u8], is_bare: bool, terms: &Terms<'_>) -> Effect<'a> {
        if self.is_sending() && !self.has_kept() {
            return self.later();
        }
        if self.is_busy() {
            self.waiting.get_or_insert_default().push(Kept::TooLong);
            return Effect::Nothing;
        }
        self.note_manner(is_bare);
        if self.service == Service::Metrics {
            return self.end(Vec::new());
        }
        // How much of the line came at once must not matter: so much of it is always there.
        let certain = &head[..head.len().min(terms.line_bytes_max + 1)];
        if self.guard.is_at_start() && guard::begins_like_http(certain) {
            return self.turn_away(Stranger::Http);
        }
        let text = format!("a line has at most {} bytes", terms.line_bytes_max);
        let mut bytes = self.refusal(&Refusal::new(Code::TooLong, text));
        if self.guard.on_bytes(head) {
            bytes.extend_from_slice(wording::NOT_HTTP.as_bytes());
            return self.end(bytes);
        }
        // The next line is the first message still.
        Effect::Reply(bytes)
    }

    /// More of a line over the limit came.
    pub fn on_dropped(&mut self, piece: &[u8]) -> Effect<'static> {
        if self.guard.on_bytes(piece) { self.turn_away(Stranger::Http) } else { Effect::Nothing }
    }

    /// Takes out the first of the requests kept, to be handed to `on_kept`.
    pub fn next_kept(&mut self) -> Option<Kept> {
        if self.stage != Stage::Ready {
            return None;
        }
        let kept = self.waiting.as_mut()?.pop();
        if kept.is_none() {
            self.waiting = None;
        }
        kept
    }

    /// A request that was kept has its turn.
    pub fn on_kept<'a>(&mut self, kept: &'a Kept, terms: &Terms<'_>) -> Effect<'a> {
        match kept {
            Kept::Line(line) => self.act(&Frame { body: line, whole: line, is_bare: false }, terms),
            Kept::Fed { line, feeds, .. } => {
                let frame = Frame { body: line, whole: line, is_bare: false };
                let effect = self.act(&frame, terms);
                self.on_turn(*feeds);
                effect
            }
            Kept::TooLong => self.on_too_long(b"", false, terms),
        }
    }

    /// The last words to a peer whose connection the server ends by itself: framed, each request
    /// that was not answered gets its last frame. Nothing is taken after.
    pub fn farewell(&mut self, refusal: &Refusal) -> Vec<u8> {
        let unanswered = self.unanswered();
        self.stage = Stage::Over;
        match self.service {
            Service::Echo | Service::Metrics => Vec::new(),
            _ if self.is_framed() => {
                let mut words = reply::fail(refusal).repeat(unanswered);
                words.extend(wording::closing_note(refusal));
                words
            }
            _ => self.refusal(refusal),
        }
    }

    /// How many requests wait for the end of their reply.
    fn unanswered(&self) -> usize {
        let in_progress = match self.stage {
            Stage::Busy(_) => 1,
            Stage::Sending(sends) | Stage::Sent(sends) => usize::from(sends),
            _ => 0,
        };
        in_progress + self.waiting.as_ref().map_or(0, |waiting| waiting.len())
    }

    /// No more will come, and all that came was answered.
    pub fn on_end(&mut self) {
        self.stage = Stage::Over;
    }

    fn act<'a>(&mut self, frame: &Frame<'a>, terms: &Terms<'_>) -> Effect<'a> {
        let service = self.service;
        let is_first = self.stage == Stage::First;
        self.leave_first();
        if self.guard.is_on() && self.is_http(frame, is_first) {
            return self.turn_away(Stranger::Http);
        }
        match service {
            Service::Echo => Effect::Echo(frame.whole),
            Service::Metrics => self.on_head(frame.body),
            Service::Line => self.on_line(frame, terms),
            Service::Hello => self.on_hello(frame, is_first, terms),
            Service::Exec => {
                self.on_command(RunRequest { command: frame.body, stdin: Stdin::Empty })
            }
            Service::Chat | Service::Talk if !self.is_named => self.join(trim(frame.body)),
            Service::Chat => self.on_chat(frame.body),
            Service::Talk => self.on_talk(frame.body),
        }
    }

    fn style(&self) -> Style {
        if self.is_framed() { Style::Framed } else { Style::Plain }
    }

    fn note_manner(&mut self, is_bare: bool) {
        if !matches!(self.manner, Manner::Framed | Manner::Telnet) {
            self.manner = if is_bare { Manner::Bare } else { Manner::Lines };
        }
    }

    fn leave_first(&mut self) {
        if self.stage == Stage::First {
            self.stage = Stage::Ready;
        }
    }

    fn await_outcome<'a>(&mut self, effect: Effect<'a>) -> Effect<'a> {
        self.await_fed(Feeds::Nothing, effect)
    }

    fn end<'a>(&mut self, bytes: Vec<u8>) -> Effect<'a> {
        self.stage = Stage::Over;
        Effect::End(bytes)
    }

    /// Whether an early message shows that HTTP is spoken.
    fn is_http(&mut self, frame: &Frame<'_>, is_first: bool) -> bool {
        let is_cut = is_first && frame.is_bare && guard::begins_like_http(frame.body);
        is_cut || self.guard.on_bytes(frame.whole) || (is_first && self.guard.is_request_line())
    }

    /// Says goodbye to a stranger in its own protocol, or in words.
    fn turn_away<'a>(&mut self, stranger: Stranger) -> Effect<'a> {
        const SSH: &str = "this port speaks landline, not SSH; try: nc HOST PORT, then help";
        const SOCKS: &str = "this port speaks landline, not SOCKS; it is no proxy";
        let refused = |text| Refusal::new(Code::BadRequest, text);
        let bytes = match stranger {
            Stranger::Http => wording::NOT_HTTP.into(),
            Stranger::Tls => wording::NOT_TLS.into(),
            Stranger::Ssh => self.refusal(&refused(SSH)),
            Stranger::Socks => self.refusal(&refused(SOCKS)),
        };
        self.guard = Guard::OFF;
        self.end(bytes)
    }
}
