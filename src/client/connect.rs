//! `landline connect`: lines of standard input are requests; replies, messages and notes are shown
//! as they come.
//!
//! What it does not do: edit lines. It looks as plain as netcat, and speaks framed underneath, so
//! that a download is saved and a message never stands in the middle of a line.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use super::command::Common;
use super::failure::Failure;
use super::feed::{Asked, Feed};
use super::fetch::Transfer;
use super::landing::Landing;
use super::screen::Screen;
use super::watch::Watch;
use super::wire::{Wire, misplaced};
use crate::protocol::name::Name;
use crate::protocol::reply::Header;
use crate::protocol::text::{self, Civil};
use crate::sys::clock;

/// Bytes of messages that may wait for the end of a line, at most.
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// `landline connect`.
pub(super) fn connect(common: &Common, user: Option<&Name>) -> Result<(), Failure> {
    let (wire, watch) = Wire::open(common)?;
    let mut talk = Talk {
        wire,
        watch,
        screen: Screen::open()?,
        held: Vec::new(),
        held_bytes: 0,
        saving: None,
        is_in_output: false,
        is_quiet: common.quiet,
        has_quit: false,
    };
    talk.greet(user)?;
    talk.wire.feed = Some(Feed::requests()?);
    talk.run().inspect_err(|_| talk.wire.abandon())
}

/// A download that is being saved. Where it cannot be, its bytes are dropped.
struct Saving {
    transfer: Transfer,
    landing: Result<Landing, Failure>,
    target: PathBuf,
}

/// The conversation.
struct Talk {
    wire: Wire,
    watch: Watch,
    screen: Screen,
    held: Vec<String>,
    held_bytes: usize,
    saving: Option<Saving>,
    is_in_output: bool,
    is_quiet: bool,
    has_quit: bool,
}

impl Talk {
    fn greet(&mut self, user: Option<&Name>) -> Result<(), Failure> {
        if self.screen.is_terminal() && std::io::stdin().is_terminal() && !self.is_quiet {
            let text = format!("connected to {}; help lists the requests", self.wire.server);
            self.note(&text)?;
        }
        let Some(user) = user else { return Ok(()) };
        self.wire.say(&format!("name {user}"));
        let header = self.wire.reply(&mut self.watch)?;
        match header.kind.as_str() {
            "done" => self.show(),
            "fail" => Err(self.wire.refusal(&header, &mut self.watch)?),
            _ => Err(misplaced(&header)),
        }
    }

    fn run(&mut self) -> Result<(), Failure> {
        loop {
            self.tell_local()?;
            match self.wire.arrived()? {
                Some(header) => self.on_frame(&header)?,
                None if self.wire.is_over() => return self.verdict(),
                None => self.wire.fill(&mut self.watch)?,
            }
            let may_show = self.screen.is_line_start() || !self.is_in_output;
            if may_show || self.held_bytes > HELD_BYTES_MAX {
                self.show_held()?;
            }
        }
    }

    /// The connection ended. That is right once input ended too, or the user asked for it.
    fn verdict(&self) -> Result<(), Failure> {
        let is_answered = self.wire.feed.as_ref().is_none_or(|feed| feed.asked.is_empty());
        let is_at_end = self.wire.feed.as_ref().is_some_and(Feed::is_at_end);
        match (is_answered, is_at_end) {
            _ if self.has_quit => Ok(()),
            (false, _) => Err(self.wire.lost()),
            (true, true) => Ok(()),
            (true, false) => Err(self.wire.left()),
        }
    }

    /// Says in its turn what the server was not asked for.
    fn tell_local(&mut self) -> Result<(), Failure> {
        while let Some(feed) = &mut self.wire.feed
            && let Some(Asked::Told(_)) = feed.asked.front()
        {
            if let Some(Asked::Told(text)) = feed.asked.pop_front() {
                self.screen.line(&text, &mut self.watch)?;
            }
        }
        Ok(())
    }

    fn on_frame(&mut self, header: &Header) -> Result<(), Failure> {
        match header.kind.as_str() {
            "msg" => self.on_message(header),
            "note" => self.on_note(header),
            "done" | "fail" => self.on_final(header),
            _ => self.on_part(header),
        }
    }

    fn on_message(&mut self, header: &Header) -> Result<(), Failure> {
        let text = self.wire.text(&mut self.watch)?;
        let line = message_line(header, &text);
        self.hold(line);
        Ok(())
    }

    fn on_note(&mut self, header: &Header) -> Result<(), Failure> {
        let text = self.wire.text(&mut self.watch)?;
        let is_about_users = matches!(header.value("kind"), Some(b"join" | b"leave"));
        if let Some(line) = note_line(header, &text).filter(|_| !(is_about_users && self.is_quiet))
        {
            self.hold(line);
        }
        Ok(())
    }

    fn hold(&mut self, line: String) {
        self.held_bytes += line.len();
        self.held.push(line);
    }

    fn show_held(&mut self) -> Result<(), Failure> {
        self.held_bytes = 0;
        for line in std::mem::take(&mut self.held) {
            self.screen.line(&line, &mut self.watch)?;
        }
        Ok(())
    }

    fn on_part(&mut self, header: &Header) -> Result<(), Failure> {
        let front = self.wire.feed.as_ref().and_then(|feed| feed.asked.front());
        match (header.kind.as_str(), front, &mut self.saving) {
            ("out" | "err", Some(Asked::Other), None) => {
                self.is_in_output = true;
                self.show()
            }
            ("file", Some(Asked::Save { target, offset }), saving @ None) => {
                let transfer = Transfer::begin(header, *offset)?;
                let landing = Landing::begin(target, false);
                *saving = Some(Saving { transfer, landing, target: target.clone() });
                self.wire.text(&mut self.watch).map(drop)
            }
            ("data", _, Some(saving)) => {
                saving.transfer.on_data(header)?;
                while let Some(piece) = self.wire.payload(&mut self.watch)? {
                    let written = saving.landing.as_mut().map(|landing| landing.write(piece));
                    if let Ok(Err(failure)) = written {
                        saving.landing = Err(failure);
                    }
                }
                Ok(())
            }
            _ => Err(misplaced(header)),
        }
    }

    fn on_final(&mut self, header: &Header) -> Result<(), Failure> {
        let asked = self.wire.feed.as_mut().and_then(|feed| feed.asked.pop_front());
        let Some(asked) = asked else { return Err(misplaced(header)) };
        let saving = self.saving.take();
        self.is_in_output = false;
        if header.kind == "fail" {
            self.screen.end_reply(&mut self.watch)?;
            let refusal = self.wire.refusal(header, &mut self.watch)?;
            return self.error(&refusal);
        }
        self.show()?;
        self.screen.end_reply(&mut self.watch)?;
        match asked {
            Asked::Save { .. } => match saving {
                Some(saving) => self.saved(saving)?,
                None => return Err(misplaced(header)),
            },
            Asked::Echo if header.value("delivered").is_none() => {
                self.screen.pass(b"\n", &mut self.watch)?;
            }
            Asked::Quit => self.has_quit = true,
            _ => {}
        }
        match (header.value("signal"), header.number("exit")) {
            (Some(name), _) => self.note(&format!("error exit: signal {}", text::clean(name)))?,
            (None, Some(status)) if status != 0 => {
                self.note(&format!("error exit: status {status}"))?;
            }
            // Output without a last newline is left as it is; an answer without one is a line.
            (None, Some(_)) => {}
            (None, None) => self.screen.end_line(&mut self.watch)?,
        }
        Ok(())
    }

    fn saved(&mut self, saving: Saving) -> Result<(), Failure> {
        saving.transfer.on_done()?;
        match saving.landing.and_then(Landing::finish) {
            Ok(()) if self.is_quiet => Ok(()),
            Ok(()) => {
                let (target, size) = (saving.target.display(), saving.transfer.size());
                self.note(&format!("saved as {target}, {size} bytes"))
            }
            Err(failure) => self.error(&failure),
        }
    }

    /// Shows what is left of the payload.
    fn show(&mut self) -> Result<(), Failure> {
        while let Some(piece) = self.wire.payload(&mut self.watch)? {
            self.screen.pass(piece, &mut self.watch)?;
        }
        Ok(())
    }

    fn note(&mut self, line: &str) -> Result<(), Failure> {
        self.screen.line(line, &mut self.watch)
    }

    fn error(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.note(&format!("error {}", failure.text().unwrap_or_default()))
    }
}

/// A message as plain connections show it, with the time of this host.
fn message_line(header: &Header, text: &[u8]) -> String {
    let cast = match header.value("cast") {
        Some(b"single") => "singlecasted",
        Some(b"multi") => "multicasted",
        Some(b"broad") => "broadcasted",
        _ => "sent",
    };
    let unix_ms = header.number("at").and_then(|at| i64::try_from(at).ok()).unwrap_or(0);
    let from = text::clean(header.value("from").unwrap_or(b"?"));
    let mut line = String::new();
    local(unix_ms / 1000).write(&mut line);
    line + &format!(" {from} ({cast}) : {}", text::clean(text))
}

fn local(unix_s: i64) -> Civil {
    let clock::LocalTime { year, month, day, hour, minute, second } = clock::local(unix_s);
    Civil { year, month, day, hour, minute, second }
}

/// What a note says; nothing where its kind is not known.
fn note_line(header: &Header, text: &[u8]) -> Option<String> {
    let user = text::clean(header.value("user").unwrap_or(b"?"));
    Some(match header.value("kind")? {
        b"join" => format!("* {user} joined"),
        b"leave" => format!("* {user} left"),
        b"shutdown" => "* the server is about to stop".to_owned(),
        b"closing" => format!("* the server closes this connection: {}", text::clean(text)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(line: &str) -> Header {
        Header::parse(line.as_bytes()).expect("tests write good headers")
    }

    #[test]
    fn a_message_is_one_harmless_line() {
        let line = message_line(&header("msg 9 from=a%1Bb cast=multi at=0"), b"x\n\x1b[2Jy");
        let (_, rest) = line.split_at("1970-01-01 00:00:00".len());
        assert_eq!(rest, " a\u{fffd}b (multicasted) : x\u{fffd}\u{fffd}[2Jy");
        let line = message_line(&header("msg 9 at=9223372036854775807 cast=odd"), b"z");
        assert!(line.ends_with(" ? (sent) : z"), "{line}");
    }

    #[test]
    fn notes_of_known_kinds_are_told() {
        for (line, told) in [
            ("note 0 kind=join user=al", Some("* al joined")),
            ("note 0 kind=leave user=%0Aal", Some("* \u{fffd}al left")),
            ("note 0 kind=shutdown", Some("* the server is about to stop")),
            ("note 4 kind=closing code=slow", Some("* the server closes this connection: text")),
            ("note 0 kind=new", None),
            ("note 0", None),
        ] {
            assert_eq!(note_line(&header(line), b"text").as_deref(), told, "{line}");
        }
    }
}
