//! `Talk`: a conversation of `landline connect`: replies, messages and notes as they are shown, and
//! downloads as they are saved.
//!
//! What it does not do: know where requests come from (`connect`, `interactive`), or wait.

use std::path::PathBuf;

use super::asked::Asked;
use super::command::Common;
use super::events::{self, EVENT_BYTES_MAX};
use super::failure::Failure;
use super::landing::Landing;
use super::progress::Progress;
use super::screen::{Screen, Tone};
use super::transfer::Transfer;
use super::upload::Parcel;
use super::watch::Watch;
use super::wire::{Wire, misplaced};
use crate::protocol::name::Name;
use crate::protocol::reply::Header;
use crate::protocol::text;

/// A download that is being saved. Where it cannot be, its bytes are dropped.
struct Saving {
    transfer: Transfer,
    landing: Result<Landing, Failure>,
    target: PathBuf,
    progress: Progress,
}

/// The conversation.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Talk {
    pub(super) wire: Wire,
    pub(super) watch: Watch,
    pub(super) screen: Screen,
    saving: Option<Saving>,
    is_in_output: bool,
    is_quiet: bool,
    /// Whether a person watches.
    has_progress: bool,
    /// What the user is called, once that is so.
    pub(super) name: Option<Name>,
    /// The server has agreed that it is over.
    pub(super) has_quit: bool,
}

impl Talk {
    /// Nothing was said yet.
    pub(super) fn new(common: &Common, has_progress: bool) -> Result<Self, Failure> {
        let (mut wire, watch) = Wire::open(common)?;
        wire.events.keep();
        let screen = Screen::open(has_progress)?;
        Ok(Self {
            wire,
            watch,
            screen,
            saving: None,
            is_in_output: false,
            is_quiet: common.quiet,
            has_progress: has_progress && !common.quiet,
            name: None,
            has_quit: false,
        })
    }

    /// Says what this is, and takes a name where one is wanted.
    pub(super) fn greet(&mut self, user: Option<&Name>, hint: Option<&str>) -> Result<(), Failure> {
        if let Some(hint) = hint.filter(|_| !self.is_quiet) {
            let text = format!("connected to {}; {hint}", self.wire.server);
            self.note(&text)?;
        }
        let Some(user) = user else { return Ok(()) };
        let header = self.wire.ask(&format!("name {user}"), &mut self.watch)?;
        self.name = Some(user.clone());
        debug_assert_eq!(header.kind, "done");
        self.show()
    }

    /// What the server says next is shown. Says whether there was something.
    pub(super) fn step(&mut self) -> Result<bool, Failure> {
        self.tell_local()?;
        let came = self.wire.arrived()?;
        if let Some(header) = &came {
            self.on_frame(header)?;
        }
        let may_show = self.screen.is_line_start() || !self.is_in_output;
        if may_show || self.wire.events.bytes() > EVENT_BYTES_MAX / 2 {
            self.show_events()?;
        }
        Ok(came.is_some())
    }

    /// Says in its turn what the server was not asked for.
    fn tell_local(&mut self) -> Result<(), Failure> {
        while let Some(Asked::Told(_)) = self.wire.asked.front() {
            if let Some(Asked::Told(text)) = self.wire.asked.pop_front() {
                self.complain(&text)?;
            }
        }
        Ok(())
    }

    fn on_frame(&mut self, header: &Header) -> Result<(), Failure> {
        match header.kind.as_str() {
            "msg" | "note" => self.wire.event(header, &mut self.watch),
            "done" | "fail" => self.on_final(header),
            _ => self.on_part(header),
        }
    }

    /// Shows the messages and notes that came.
    pub(super) fn show_events(&mut self) -> Result<(), Failure> {
        while let Some((header, text)) = self.wire.events.next() {
            let is_about_users = matches!(header.value("kind"), Some(b"join" | b"leave"));
            if let Some((tone, line)) = events::line(&header, &text)
                && !(is_about_users && self.is_quiet)
            {
                self.line(tone, &line)?;
            }
        }
        if let Some(lost) = self.wire.events.take_lost() {
            self.note(&format!("* {lost} messages or notes came meanwhile that were not kept"))?;
        }
        Ok(())
    }

    fn on_part(&mut self, header: &Header) -> Result<(), Failure> {
        match (header.kind.as_str(), self.wire.asked.front(), &mut self.saving) {
            ("out" | "err", Some(Asked::Other), None) => {
                self.is_in_output = true;
                self.show()
            }
            ("out" | "err", Some(Asked::Dropped), None) => self.drop_payload(),
            ("file", Some(Asked::Save { target, offset }), saving @ None) => {
                let transfer = Transfer::begin(header, *offset)?;
                let landing = Landing::begin(target, false);
                let progress = Progress::new(transfer.size(), self.has_progress && landing.is_ok());
                let target = target.clone();
                *saving = Some(Saving { transfer, landing, target, progress });
                self.wire.text(&mut self.watch).map(drop)
            }
            ("data", _, Some(saving)) => {
                saving.transfer.on_data(header)?;
                while let Some(piece) = self.wire.payload(&mut self.watch)? {
                    saving.progress.on_bytes(piece.len());
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
        let Some(asked) = self.wire.asked.pop_front() else { return Err(misplaced(header)) };
        let mut saving = self.saving.take();
        if let Some(saving) = &mut saving {
            saving.progress.clear();
        }
        self.is_in_output = false;
        match (header.kind.as_str(), asked) {
            ("done", Asked::Query(answer)) => {
                let text = self.wire.text(&mut self.watch)?;
                // Whoever asked may have given up.
                let _ = answer.send(text);
                Ok(())
            }
            (_, Asked::Dropped | Asked::Query(_)) => self.drop_payload(),
            ("fail", _) => {
                self.screen.end_reply(&mut self.watch)?;
                let refusal = self.wire.refusal(header, &mut self.watch)?;
                self.error(&refusal)
            }
            (_, asked) => self.on_done(header, asked, saving),
        }
    }

    fn on_done(
        &mut self,
        header: &Header,
        asked: Asked,
        saving: Option<Saving>,
    ) -> Result<(), Failure> {
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
            Asked::Name(name) => self.name = Some(name),
            Asked::Quit => self.has_quit = true,
            _ => {}
        }
        self.tell_exit(header)
    }

    /// How a command ended, where it was one.
    fn tell_exit(&mut self, header: &Header) -> Result<(), Failure> {
        match (header.value("signal"), header.number("exit")) {
            (Some(name), _) => {
                self.complain(&format!("error exit: signal {}", text::clean(name)))?;
            }
            (None, Some(status)) if status != 0 => {
                self.complain(&format!("error exit: status {status}"))?;
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

    /// A command that had the terminal ended.
    pub(super) fn on_ended(&mut self, header: &Header) -> Result<(), Failure> {
        if header.kind == "fail" {
            let refusal = self.wire.refusal(header, &mut self.watch)?;
            return self.error(&refusal);
        }
        self.drop_payload()?;
        self.tell_exit(header)
    }

    /// Stores a file.
    pub(super) fn upload(&mut self, parcel: &mut Parcel, name: &str) -> Result<(), Failure> {
        parcel.send(&mut self.wire, &mut self.watch, name, self.has_progress)
    }

    /// Nothing more comes of what was asked.
    pub(super) fn give_up(&mut self) {
        self.wire.asked.clear();
        self.is_in_output = false;
        if let Some(mut saving) = self.saving.take() {
            saving.progress.clear();
        }
    }

    /// Shows what is left of the payload.
    fn show(&mut self) -> Result<(), Failure> {
        while let Some(piece) = self.wire.payload(&mut self.watch)? {
            self.screen.pass(piece, &mut self.watch)?;
        }
        Ok(())
    }

    fn drop_payload(&mut self) -> Result<(), Failure> {
        while self.wire.payload(&mut self.watch)?.is_some() {}
        Ok(())
    }

    /// The end of the line, where there is one to end.
    pub(super) fn end_line(&mut self) -> Result<(), Failure> {
        self.screen.end_line(&mut self.watch)
    }

    /// Says something of landline's own.
    pub(super) fn note(&mut self, line: &str) -> Result<(), Failure> {
        self.line(Tone::Note, line)
    }

    /// Says that something went wrong.
    pub(super) fn complain(&mut self, line: &str) -> Result<(), Failure> {
        self.line(Tone::Error, line)
    }

    /// Says what went wrong, as plain connections are told.
    pub(super) fn error(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.complain(&format!("error {}", failure.text().unwrap_or_default()))
    }

    fn line(&mut self, tone: Tone, line: &str) -> Result<(), Failure> {
        if let Some(saving) = &mut self.saving {
            saving.progress.clear();
        }
        self.screen.line(tone, line, &mut self.watch)
    }
}
