//! Feeding: what comes from a peer for the request in progress, beyond its line.
//!
//! What it does not do: say whose it is (`protocol::session`), or keep it (`intake`, `upload`).

use super::connection::{Connection, Task};
use super::desk::Desk;
use super::intake::Intake;
use super::upload::{Stored, Upload, Work};
use crate::protocol::effect::{Input, Outcome, Terminal, UploadRequest};
use crate::reactor::offload::Ticket;
use crate::service::deposit::Plan;
use crate::service::fault::Fault;

impl Connection {
    /// Has a file stored.
    pub(crate) fn upload(&mut self, desk: &mut Desk, request: &UploadRequest<'_>) {
        let plan = Plan {
            path: request.path.to_vec(),
            may_replace: request.may_replace,
            serves_hidden: desk.seen.settings.hidden,
        };
        let ticket = Ticket::default();
        match desk.store(self.id, Work::Begin(plan), ticket.claim()) {
            Ok(()) => {
                desk.stats().uploads.add(1);
                self.task = Some(Box::new(Task::Upload(Upload::new(request.bytes, ticket))));
            }
            Err(refusal) => self.on_outcome(desk, Outcome::Refused(refusal)),
        }
    }

    /// Bytes for the request in progress.
    pub(crate) fn feed(&mut self, desk: &Desk, bytes: &[u8]) {
        self.active_ms = desk.now_ms;
        match self.task.as_deref_mut() {
            Some(Task::Upload(upload)) => upload.on_bytes(desk, self.id, bytes),
            task => intake(task).into_iter().for_each(|intake| intake.on_bytes(bytes)),
        }
    }

    /// No more bytes come for the request in progress.
    pub(crate) fn feed_end(&mut self, desk: &Desk) {
        match self.task.as_deref_mut() {
            Some(Task::Upload(upload)) => upload.on_end(desk, self.id),
            task => intake(task).into_iter().for_each(Intake::on_end),
        }
    }

    /// The terminal of the command in progress has another size.
    pub(crate) fn resize(&mut self, terminal: Terminal) {
        match self.task.as_deref_mut() {
            Some(Task::Starting(starting)) => starting.resize(terminal),
            Some(Task::Command(command)) => command.resize(terminal.size),
            _ => {}
        }
    }

    /// What came for a request while it was kept.
    pub(crate) fn feed_kept(&mut self, desk: &Desk, input: Input) {
        if let Some(terminal) = input.terminal {
            self.resize(terminal);
        }
        if !input.bytes.is_empty() {
            self.feed(desk, &input.bytes);
        }
        if input.is_ended {
            self.feed_end(desk);
        }
    }

    /// A thread is done with what it was given of an upload.
    pub(crate) fn on_stored(&mut self, desk: &Desk, stored: Result<Stored, Fault>) {
        let stored = stored.map_err(|fault| self.explain(desk, "an upload failed", fault));
        match (self.task.as_deref_mut(), stored) {
            (Some(Task::Upload(upload)), stored) => upload.on_stored(desk, self.id, stored),
            // It is wanted no more: the connection was dismissed.
            (_, Ok(Stored::Part(deposit))) => desk.discard(deposit),
            _ => {}
        }
    }
}

/// Where input of the command in progress goes, where it takes any.
fn intake(task: Option<&mut Task>) -> Option<&mut Intake> {
    match task? {
        Task::Starting(starting) => starting.intake.as_mut(),
        Task::Command(command) => command.intake(),
        Task::Awaited(_)
        | Task::Cancelled
        | Task::Download(_)
        | Task::List(_)
        | Task::Upload(_) => None,
    }
}
