//! `Starting`: a command between the request for it and its first byte.
//!
//! What it does not do: start a process (`service::run`, on a thread that may wait), or pass on
//! output (`command`).
//!
//! The order is placed once all of a read was taken: what came together with the request, the size
//! of a terminal above all, is known to the command from its beginning.

use super::command::Command;
use super::connection::{Connection, Task};
use super::desk::Desk;
use super::drive::cancelled;
use super::intake::Intake;
use super::log::{Field, Level};
use crate::protocol::effect::{Ending, Outcome, RunRequest, Stdin, Terminal};
use crate::protocol::refusal::Refusal;
use crate::protocol::speech::Service;
use crate::protocol::text::quote;
use crate::service::fault::Fault;
use crate::service::run::{NotRun, Order, Slot, Started};
use crate::sys::socket::Peer;

/// A command that is being started.
#[derive(Debug)]
pub(crate) struct Starting {
    /// Until it is placed.
    order: Option<Order>,
    pub(crate) intake: Option<Intake>,
    /// What the terminal became since the order was placed.
    resized: Option<Terminal>,
    /// The request was cancelled.
    pub(crate) is_cancelled: bool,
}

impl Starting {
    fn new(order: Order) -> Self {
        let intake = match order.stdin {
            Stdin::Empty => None,
            stdin => Some(Intake::new(stdin == Stdin::Terminal)),
        };
        Self { order: Some(order), intake, resized: None, is_cancelled: false }
    }

    pub(crate) fn is_fed_up(&self) -> bool {
        self.intake.as_ref().is_some_and(Intake::is_full)
    }

    pub(crate) fn resize(&mut self, terminal: Terminal) {
        match &mut self.order {
            Some(order) => order.terminal = terminal,
            None => self.resized = Some(terminal),
        }
    }
}

impl Connection {
    /// Takes an order for a command.
    pub(crate) fn run(&mut self, desk: &mut Desk, request: &RunRequest<'_>) {
        if self.presence.gone().is_some() {
            return self.on_outcome(desk, Outcome::Refused(cancelled()));
        }
        let fields: [Field<'_>; 2] = [("peer", &self.peer), ("command", &quote(request.command))];
        desk.common.log.say(Level::Info, "run", &fields);
        match self.order(desk, request) {
            Ok(order) => self.task = Some(Box::new(Task::Starting(Starting::new(order)))),
            Err(refusal) => self.on_outcome(desk, Outcome::Refused(refusal)),
        }
    }

    fn order(&self, desk: &Desk, request: &RunRequest<'_>) -> Result<Order, Refusal> {
        let argv = desk.seen.settings.commands.argv(request.command)?;
        let slot = Slot::take(&desk.common.running, desk.seen.settings.limits.runs_max)?;
        let (remote_address, remote_port) = match self.peer {
            Peer::Inet(address) => (address.ip().to_string(), Some(address.port())),
            Peer::Unix => ("unix".to_owned(), None),
        };
        let is_exec = self.session.service() == Service::Exec;
        let has_own_err = is_exec || self.session.is_framed();
        let (stdin, terminal) = (request.stdin, Terminal::default());
        Ok(Order { slot, argv, remote_address, remote_port, has_own_err, stdin, terminal })
    }

    /// Has a command started that was ordered.
    pub(crate) fn place_order(&mut self, desk: &mut Desk) {
        let Some(Task::Starting(starting)) = self.task.as_deref_mut() else { return };
        let Some(order) = starting.order.take() else { return };
        let placed =
            if starting.is_cancelled { Err(cancelled()) } else { desk.start(self.id, order) };
        if let Err(refusal) = placed {
            self.on_outcome(desk, Outcome::Refused(refusal));
        }
    }

    /// A command was started, or was not.
    pub(crate) fn on_started(&mut self, desk: &mut Desk, started: Result<Started, Fault>) {
        let Some(Task::Starting(starting)) = self.task.as_deref_mut() else {
            // It is wanted no more: the connection was dismissed.
            if let Ok(Started::Running(job)) = started {
                desk.terminate(job);
            }
            return;
        };
        match started {
            Ok(Started::Running(job)) if starting.is_cancelled => {
                desk.terminate(job);
                self.on_outcome(desk, Outcome::Refused(cancelled()));
            }
            Ok(Started::Running(job)) => {
                desk.stats().runs.add(1);
                let (intake, resized) = (starting.intake.take(), starting.resized.take());
                let timeout_ms = desk.seen.settings.limits.run_timeout_ms;
                let until_ms = desk.now_ms.saturating_add(timeout_ms);
                let mut command = Command::begin(job, intake, &self.session, until_ms);
                if let Some(terminal) = resized {
                    command.resize(terminal.size);
                }
                self.task = Some(Box::new(Task::Command(command)));
            }
            Ok(Started::NotRun(NotRun { status, program, why })) => {
                // The client sees a status, which a program may end with as well.
                let program = quote(program.as_bytes());
                let fields: [Field<'_>; 3] =
                    [("peer", &self.peer), ("program", &program), ("why", &why)];
                desk.common.log.say(Level::Error, "a program could not be run", &fields);
                let outcome = Command::never_ran(&self.session, &Ending::Status(status));
                self.on_outcome(desk, outcome);
            }
            Err(fault) => {
                let refusal = self.explain(desk, "a command could not be started", fault);
                self.on_outcome(desk, Outcome::Refused(refusal));
            }
        }
    }
}
