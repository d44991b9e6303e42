//! `landline connect` with a person at a terminal: lines are edited, what comes meanwhile appears
//! above them, and a connection that is lost is made again.
//!
//! What it does not do: edit (`editor`), complete (`complete`), or show (`talk`). A line is typed
//! while nothing is in progress; what a request says has the terminal for itself.

use std::collections::VecDeque;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;

use super::asked::{Asked, asked};
use super::command::{Common, Source, Target};
use super::complete::local_path;
use super::editor::{Editor, Typed};
use super::failure::Failure;
use super::feed::Feed;
use super::history;
use super::news::{Listener, News, Teller};
use super::redial::{Dialed, Redial};
use super::talk::Talk;
use super::tty;
use super::upload::Parcel;
use crate::protocol::effect::Stdin;
use crate::protocol::name::Name;
use crate::protocol::reply::Style;
use crate::protocol::request::{self, Request};
use crate::protocol::text;
use crate::sys::signal::Signal;

/// Types of terminals on which no line can be edited (terminfo(5)); `rustyline` knows the same.
const PLAIN_TERMINALS: [&str; 3] = ["dumb", "cons25", "emacs"];
/// What `help` adds to what the server says.
const HELP: &str = "here: upload FILE sends a file of this host; run@in COMMAND takes what is \
typed as its input, up to Ctrl-D; run@pty COMMAND has the terminal (Enter ~? lists its keys); \
Ctrl-C takes a request back, Tab completes, Ctrl-D leaves";

/// Whether this terminal is one for it.
pub(super) fn is_possible() -> bool {
    let kind = std::env::var("TERM").unwrap_or_default();
    !kind.is_empty() && !PLAIN_TERMINALS.contains(&kind.as_str())
}

/// Talks until the user leaves.
pub(super) fn connect(common: &Common, user: Option<&Name>) -> Result<(), Failure> {
    let mut talk = Talk::new(common, true)?;
    talk.greet(user, Some("help lists the requests, Ctrl-D leaves"))?;
    let (listener, teller) =
        Listener::new().map_err(|error| Failure::local("an eventfd", &error))?;
    let remembered = history::path(&common.target).transpose();
    if let Err(error) = &remembered {
        let failure = Failure::local("lines are not remembered", error);
        talk.note(&format!("* {}", failure.text().unwrap_or_default()))?;
    }
    let editor = Editor::open(remembered.unwrap_or_default(), teller.clone())?;
    let mut desk = Desk {
        talk,
        editor,
        listener,
        teller,
        target: common.target.clone(),
        lines: VecDeque::new(),
        redial: None,
        was_interrupted: false,
        is_over: false,
    };
    let result = desk.run();
    if result.is_err() {
        desk.talk.wire.abandon();
    }
    result
}

/// The user's place.
struct Desk {
    talk: Talk,
    editor: Editor,
    listener: Listener,
    teller: Teller,
    target: Target,
    /// Lines that were pasted behind the one in progress.
    lines: VecDeque<String>,
    /// How far getting the connection back is, where it was lost.
    redial: Option<Redial>,
    /// The last thing the user did was Ctrl-C.
    was_interrupted: bool,
    is_over: bool,
}

impl Desk {
    fn run(&mut self) -> Result<(), Failure> {
        while !self.is_over {
            match self.turn() {
                Err(failure @ (Failure::Failed(_) | Failure::Protocol(_))) if self.is_lost() => {
                    self.on_loss(&failure)?;
                }
                turned => turned?,
            }
        }
        Ok(())
    }

    /// Whether the connection has ended, and nobody said so yet.
    fn is_lost(&self) -> bool {
        self.redial.is_none() && self.talk.wire.has_ended()
    }

    fn turn(&mut self) -> Result<(), Failure> {
        if self.redial.is_none() {
            while self.talk.step()? {}
            if self.talk.has_quit {
                self.is_over = true;
                return Ok(());
            }
            if self.talk.wire.is_over() {
                let is_answered = self.talk.wire.asked.is_empty();
                let wire = &self.talk.wire;
                return Err(if is_answered { wire.left() } else { wire.lost() });
            }
        }
        if !self.is_busy() {
            self.on_answered()?;
            if let Some(line) = self.lines.pop_front() {
                return self.on_line(&line);
            }
            self.prompt()?;
        }
        self.wait()?;
        while let Some(news) = self.listener.next() {
            self.on_news(news)?;
        }
        Ok(())
    }

    /// Whether something the user asked for is in progress.
    fn is_busy(&self) -> bool {
        self.talk.wire.asked.iter().any(|asked| !matches!(asked, Asked::Query(_)))
    }

    /// All that was asked was answered.
    fn on_answered(&mut self) -> Result<(), Failure> {
        self.talk.wire.feed = None;
        if self.talk.watch.end_on_interrupt() {
            self.was_interrupted = true;
            self.lines.clear();
        }
        if self.editor.is_editing() { Ok(()) } else { self.talk.end_line() }
    }

    fn prompt(&mut self) -> Result<(), Failure> {
        if self.editor.is_editing() {
            return Ok(());
        }
        self.talk.screen.above = Some(self.editor.above());
        let name = self.talk.name.as_ref().map_or("", Name::as_str);
        self.editor.begin(format!("{name}> "))
    }

    fn wait(&mut self) -> Result<(), Failure> {
        let news = [(self.listener.as_fd(), true, false)];
        let Some(redial) = &mut self.redial else {
            return self.talk.wire.turn(&mut self.talk.watch, None, &news).map(drop);
        };
        redial.dial(&self.target, self.talk.name.as_ref(), &self.teller)?;
        self.talk.watch.wait_for(&news, redial.left_ms()).map(drop)
    }

    fn on_news(&mut self, news: News) -> Result<(), Failure> {
        match news {
            News::Typed(line, typed) => {
                self.editor.take_back(line);
                self.talk.screen.above = None;
                self.on_typed(typed)
            }
            News::Query(request, answer) => {
                // Without a connection, whoever asks is told by the end of `answer`.
                if self.redial.is_none() {
                    self.talk.wire.say(&request);
                    self.talk.wire.asked.push_back(Asked::Query(answer));
                }
                Ok(())
            }
            News::Dialed(dialed) => self.on_dialed(dialed),
        }
    }

    fn on_typed(&mut self, typed: Typed) -> Result<(), Failure> {
        match typed {
            Typed::Line(text) => {
                self.was_interrupted = false;
                self.lines.extend(text.split('\n').map(|line| line.trim_end().to_owned()));
                Ok(())
            }
            Typed::Interrupted if self.was_interrupted => {
                Err(Failure::Signalled(Signal::Interrupt))
            }
            Typed::Interrupted => {
                self.was_interrupted = true;
                self.talk.note("Ctrl-C again leaves")
            }
            Typed::End => {
                self.is_over = true;
                Ok(())
            }
        }
    }

    /// A line that was typed, now that nothing is in progress.
    fn on_line(&mut self, line: &str) -> Result<(), Failure> {
        if let Some(redial) = &mut self.redial {
            redial.hurry();
            let is_blank = line.trim().is_empty();
            return if is_blank { Ok(()) } else { self.talk.complain("not connected: not sent") };
        }
        if line.trim().is_empty() {
            return Ok(());
        }
        if let Some(path) = line.strip_prefix("upload ") {
            return self.upload(path.trim());
        }
        match request::parse(line.as_bytes(), Style::Framed) {
            Ok(Request::In | Request::Eof | Request::Winch { .. } | Request::Framed) => {
                self.talk.complain("error bad-request: what is typed here is put into frames")
            }
            Ok(Request::Run(run)) if run.stdin == Stdin::Terminal => {
                let command = String::from_utf8_lossy(run.command).into_owned();
                self.lend(&command)
            }
            Ok(Request::Run(run)) if run.stdin == Stdin::Pipe => {
                self.talk.wire.feed = Some(Feed::input()?);
                self.ask(line, Asked::Other);
                Ok(())
            }
            Ok(Request::Help) => {
                self.ask(line, Asked::Other);
                self.talk.wire.asked.push_back(Asked::Told(HELP.to_owned()));
                Ok(())
            }
            _ => {
                match asked(line.as_bytes()) {
                    Some(Asked::Told(text)) => return self.talk.complain(&text),
                    Some(asked) => self.ask(line, asked),
                    None => {}
                }
                Ok(())
            }
        }
    }

    fn ask(&mut self, line: &str, asked: Asked) {
        self.talk.wire.say(line);
        self.talk.wire.asked.push_back(asked);
        self.talk.watch.cancel_on_interrupt();
    }

    /// A command has the terminal. What comes meanwhile is shown afterwards.
    fn lend(&mut self, command: &str) -> Result<(), Failure> {
        self.await_queries()?;
        let ended = tty::lend(&mut self.talk.wire, &mut self.talk.watch, command);
        self.talk.watch.leave_sizes()?;
        if let Some(header) = ended? {
            return self.talk.on_ended(&header);
        }
        // The command's final frame, and that of this.
        self.ask("cancel", Asked::Dropped);
        self.talk.wire.asked.push_back(Asked::Dropped);
        self.talk.note("left; the command is ended")
    }

    /// Sends a file of this host.
    fn upload(&mut self, path: &str) -> Result<(), Failure> {
        let path = local_path(path);
        let name = text::clean(path.file_name().unwrap_or_default().as_bytes());
        let mut parcel = match Parcel::open(&Source::File(path)) {
            Ok(parcel) => parcel,
            Err(failure) => return self.talk.error(&failure),
        };
        self.await_queries()?;
        match self.talk.upload(&mut parcel, &name) {
            Ok(()) => self.talk.note(&format!("stored as {name}, {} bytes", parcel.size())),
            Err(Failure::Signalled(Signal::Interrupt)) => {
                self.was_interrupted = true;
                self.break_off()
            }
            Err(failure @ Failure::Failed(_)) if !self.is_lost() => {
                self.talk.error(&failure)?;
                if parcel.is_sent(&self.talk.wire) { Ok(()) } else { self.break_off() }
            }
            Err(failure) => Err(failure),
        }
    }

    /// What completion still waits for comes first.
    fn await_queries(&mut self) -> Result<(), Failure> {
        while !self.talk.wire.asked.is_empty() {
            if !self.talk.step()? {
                if self.talk.wire.is_over() {
                    return Err(self.talk.wire.lost());
                }
                self.talk.wire.fill(&mut self.talk.watch)?;
            }
        }
        Ok(())
    }

    /// A file that is not sent to its end takes the connection with it: the server waits for all
    /// the bytes that were announced.
    fn break_off(&mut self) -> Result<(), Failure> {
        self.talk.wire.hang_up();
        self.talk.give_up();
        self.lines.clear();
        self.redial = Some(Redial::soon());
        self.talk.note("* nothing was stored; connecting again")
    }

    fn on_loss(&mut self, failure: &Failure) -> Result<(), Failure> {
        let is_timed_out = self.talk.wire.is_timed_out;
        self.talk.show_events()?;
        let was_busy = self.is_busy();
        self.talk.give_up();
        self.on_answered()?;
        self.lines.clear();
        let why = failure.text().unwrap_or_default();
        if was_busy {
            self.talk.complain("error lost: nobody knows what became of the last request")?;
        }
        let next = if is_timed_out { "Enter connects again" } else { "connecting again" };
        self.redial = Some(if is_timed_out { Redial::when_asked() } else { Redial::soon() });
        self.talk.note(&format!("* {why}; {next}"))
    }

    fn on_dialed(&mut self, dialed: Result<Box<Dialed>, Failure>) -> Result<(), Failure> {
        match dialed {
            Ok(dialed) => {
                let Dialed { wire, greeting } = *dialed;
                self.redial = None;
                self.talk.wire = wire;
                let greeting = greeting.map(|text| text::clean(text.trim_ascii_end()));
                let usual = || format!("connected to {}", self.talk.wire.server);
                let text = greeting.unwrap_or_else(usual);
                self.talk.note(&format!("* {text}, again"))
            }
            Err(failure) => {
                let is_new = self.redial.as_mut().is_some_and(|redial| redial.on_failure(&failure));
                let why = failure.text().filter(|_| is_new).unwrap_or_default();
                if why.is_empty() {
                    return Ok(());
                }
                self.talk.note(&format!("* {why}; trying on, Enter tries at once"))
            }
        }
    }
}
