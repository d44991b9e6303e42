//! Doing what the session asks, and telling it what came of it.
//!
//! What it does not do: close a peer (it sets its fate), or wait.

use std::io::IoSlice;
use std::net::IpAddr;
use std::sync::Arc;

use super::connection::{Connection, Fate, Task, Why};
use super::desk::Desk;
use super::download::{Download, push_small};
use super::lists::{ListReply, Looked};
use super::log::{Field, Level};
use crate::protocol::effect::{Answer, Call, Effect, Outcome};
use crate::protocol::refusal::{Code, Refusal};
use crate::protocol::reply;
use crate::protocol::session::Terms;
use crate::reactor::offload::Claim;
use crate::service::fault::Fault;
use crate::service::files::Found;
use crate::sys::copy::Copied;
use crate::sys::fd::AsFd;
use crate::sys::socket::Peer;
use crate::transfer::segment::Shared;
use crate::transfer::sink::{Sink, SocketSink};

/// How long a peer whose connection the server ends may take to take the last words, and how long
/// its input is read and dropped once the sending side is shut, in milliseconds.
pub(crate) const LINGER_MS: u64 = 2_000;

impl Connection {
    /// Does what the session asks.
    pub(crate) fn act(&mut self, desk: &mut Desk, effect: Effect<'_>, terms: &Terms<'_>) {
        match effect {
            Effect::Nothing | Effect::Later => {}
            Effect::Echo(bytes) => self.send_now(desk, bytes),
            Effect::Frame(payload) => self.output.push(reply::done(&[], payload)),
            Effect::Reply(bytes) => self.output.push(bytes),
            Effect::End(bytes) => {
                self.output.push(bytes);
                // A peer that was found to be gone meanwhile stays so.
                self.fate.get_or_insert(Fate::Finish(Why::Done));
            }
            Effect::Cancel => self.cancel(desk),
            Effect::Count(account) => {
                let text = desk.account(account);
                self.on_outcome(desk, Outcome::Text(text));
            }
            Effect::Files(request) => match desk.look(self.id, &request) {
                Ok(found) => self.find(desk, found),
                Err(ticket) => self.task = Some(Box::new(Task::Awaited(Some(ticket)))),
            },
            Effect::Run(request) => self.run(desk, &request),
            Effect::Upload(request) => self.upload(desk, &request),
            Effect::Feed(bytes) => self.feed(desk, bytes),
            Effect::FeedEnd => self.feed_end(desk),
            Effect::Resize(terminal) => self.resize(terminal),
            Effect::Room(call) => self.call(desk, call, terms),
        }
    }

    /// Sends bytes without a copy where nothing is queued before them.
    pub(crate) fn send_now(&mut self, desk: &Desk, bytes: &[u8]) {
        if !bytes.is_empty() && self.is_served() {
            let sent = self.try_send(desk, bytes);
            self.output.push_copy(&bytes[sent..]);
        }
    }

    /// Sends what can be sent of `bytes` right now, which is nothing where output is queued.
    pub(crate) fn try_send(&mut self, desk: &Desk, bytes: &[u8]) -> usize {
        if !self.output.is_empty() || self.flags.is_sink_full {
            return 0;
        }
        let mut sink = SocketSink::new(self.socket.as_fd(), None);
        match sink.write_vectored(&[IoSlice::new(bytes)], false) {
            Ok(Copied::Moved(sent)) => {
                self.count_sent(desk, sent as u64);
                sent
            }
            Ok(_) => {
                self.flags.is_sink_full = true;
                0
            }
            Err(error) => {
                self.on_socket_error(&error);
                0
            }
        }
    }

    pub(crate) fn count_sent(&mut self, desk: &Desk, bytes: u64) {
        self.bytes_out += bytes;
        desk.stats().bytes_out.add(bytes);
    }

    /// What the session awaited is there.
    pub(crate) fn on_outcome(&mut self, desk: &mut Desk, outcome: Outcome) {
        let settings = Arc::clone(&desk.seen.settings);
        self.answer(desk, outcome, &desk.terms(&settings));
    }

    fn answer(&mut self, desk: &mut Desk, outcome: Outcome, terms: &Terms<'_>) {
        let reply = self.session.on_outcome(outcome, terms, &desk.stamp());
        let is_done = !self.session.is_busy();
        if is_done {
            self.end_task(desk);
        }
        self.output.push(reply.bytes);
        self.output.push(reply.text);
        for message in self.held.take().into_iter().flat_map(|held| held.messages) {
            self.output.push_shared(message);
        }
        self.active_ms = desk.now_ms;
        if reply.is_end {
            self.fate = Some(Fate::Finish(Why::Done));
        } else if desk.drained_by_ms.is_some() && is_done && self.is_served() {
            self.dismiss(desk, &stopping());
        }
    }

    /// A look at the shelf, on another thread, came to this. It may be wanted no more: the request
    /// was cancelled, or the connection dismissed.
    pub(crate) fn on_found(
        &mut self,
        desk: &mut Desk,
        claim: &Claim,
        found: Result<Looked, Fault>,
    ) {
        let is_wanted = matches!(self.task.as_deref(),
            Some(Task::Awaited(Some(ticket))) if ticket.is_for(claim));
        match found {
            _ if !is_wanted => {}
            Ok(Looked::List(kept)) => {
                self.output.push(self.session.text_head(kept.bytes() as u64));
                let reply = ListReply::new(kept, self.session.is_bare());
                self.task = Some(Box::new(Task::List(reply)));
            }
            Ok(Looked::Found(found)) => self.find(desk, Ok(found)),
            Err(fault) => self.find(desk, Err(fault)),
        }
    }

    fn find(&mut self, desk: &mut Desk, found: Result<Found<'_>, Fault>) {
        let is_framed = self.session.is_framed();
        let outcome = match found {
            Ok(Found::File(file)) => {
                desk.stats().downloads.add(1);
                let download = Download::begin(file, is_framed, &mut self.output);
                self.task = Some(Box::new(Task::Download(download)));
                return;
            }
            Ok(Found::Small(small)) => {
                desk.stats().downloads.add(1);
                push_small(small, is_framed, &mut self.output);
                Outcome::Sent
            }
            Ok(Found::Text(text)) => Outcome::Text(text),
            Ok(Found::List(listing)) => Outcome::Text(listing.piece(&mut 0, usize::MAX)),
            Err(fault) => Outcome::Refused(self.explain(desk, "a file cannot be read", fault)),
        };
        self.on_outcome(desk, outcome);
    }

    /// Logs the cause of a fault, which is not for the peer.
    pub(crate) fn explain(&self, desk: &Desk, what: &str, fault: Fault) -> Refusal {
        let Fault { refusal, cause } = fault;
        if let Some(cause) = cause {
            let fields: [Field<'_>; 3] =
                [("peer", &self.peer), ("why", &refusal.text), ("cause", &cause)];
            desk.common.log.say(Level::Error, what, &fields);
        }
        refusal
    }

    /// The room answered.
    pub(crate) fn on_answer(&mut self, desk: &mut Desk, answer: Answer) {
        if self.is_awaiting() {
            // Cancelled or not: what the room did is done.
            self.on_outcome(desk, Outcome::Room(answer));
        }
    }

    /// A message, or a batch of them, for this peer.
    pub(crate) fn deliver(&mut self, desk: &mut Desk, mut messages: Shared) {
        // One that says goodbye still gets what was said to it before.
        let is_open = matches!(self.fate, None | Some(Fate::Finish(_)));
        if !is_open || self.presence.gone().is_some() {
            return;
        }
        desk.stats().deliveries.add(1);
        if self.is_replying() {
            self.held.get_or_insert_default().push(messages);
        } else {
            messages.start += self.try_send(desk, messages.bytes());
            self.output.push_shared(messages);
        }
        let backlog_bytes_max = desk.seen.settings.limits.backlog_bytes_max;
        if self.backlog_bytes() > backlog_bytes_max {
            desk.stats().slow.add(1);
            let text = format!("more than {backlog_bytes_max} bytes of messages were left unread");
            self.dismiss(desk, &Refusal::new(Code::Slow, text));
        }
    }

    /// The server ends this connection by itself, and says so where the socket still takes it.
    pub(crate) fn dismiss(&mut self, desk: &mut Desk, refusal: &Refusal) {
        let why = Why::Told(refusal.code);
        let is_cut = self.is_listing();
        self.abandon(desk);
        self.held = None;
        let is_stuck = refusal.code == Code::Slow && self.flags.is_sink_full;
        if is_stuck || is_cut || self.output.has_source() {
            self.fate = Some(Fate::Reset(why));
            return;
        }
        let farewell = self.session.farewell(refusal);
        self.output.push(farewell);
        let until_ms = desk.drained_by_ms.unwrap_or(desk.now_ms + LINGER_MS);
        self.fate = Some(Fate::Dismiss(why, until_ms));
    }

    /// What the session awaited is over.
    fn end_task(&mut self, desk: &Desk) {
        match self.task.take().map(|task| *task) {
            Some(Task::Command(mut command)) => command.unwatch(desk),
            Some(Task::Upload(upload)) => {
                upload.into_deposit().into_iter().for_each(|deposit| desk.discard(deposit));
            }
            _ => {}
        }
    }

    /// Gives up what is under way: a command is ended with all of its group.
    pub(crate) fn abandon(&mut self, desk: &mut Desk) {
        self.end_job(desk);
        self.end_task(desk);
    }

    /// Ends the command in progress, if there is one, with all of its group.
    pub(crate) fn end_job(&mut self, desk: &mut Desk) {
        if let Some(Task::Command(command)) = self.task.as_deref_mut()
            && let Some(job) = command.take_job()
        {
            desk.terminate(job);
        }
    }

    /// Gives the peer's name back, if it has one.
    pub(crate) fn leave_room(&mut self, desk: &mut Desk) {
        if std::mem::take(&mut self.flags.is_known_to_room) {
            desk.call(self.id, Call::Leave);
        }
    }

    /// The address by which the connections of one host are counted.
    pub(crate) fn host(&self) -> Option<IpAddr> {
        match self.peer {
            Peer::Inet(address) => Some(address.ip()),
            Peer::Unix => None,
        }
    }

    pub(crate) fn cancel(&mut self, desk: &mut Desk) {
        match self.task.as_deref_mut() {
            // Not waited for: what a thread finds after all has no ticket any more.
            Some(task @ Task::Awaited(Some(_))) => *task = Task::Cancelled,
            // What the room did is done; and all of a listing was promised.
            Some(Task::Awaited(None) | Task::Cancelled | Task::List(_)) | None => {}
            Some(Task::Starting(starting)) => starting.is_cancelled = true,
            Some(Task::Download(download)) => download.stop(cancelled()),
            Some(Task::Command(command)) => command.stop(desk, cancelled()),
            Some(Task::Upload(upload)) => upload.stop(cancelled()),
        }
    }

    /// Whether word from another thread is still wanted: the connection may have been dismissed.
    fn is_awaiting(&self) -> bool {
        matches!(self.task.as_deref(), Some(Task::Awaited(None)))
    }

    fn call(&mut self, desk: &mut Desk, call: Call<'_>, terms: &Terms<'_>) {
        self.flags.is_known_to_room |= matches!(call, Call::Join { .. });
        match desk.call(self.id, call) {
            Some(answer) => self.answer(desk, Outcome::Room(answer), terms),
            None => self.task = Some(Box::new(Task::Awaited(None))),
        }
    }
}

pub(crate) fn cancelled() -> Refusal {
    Refusal::new(Code::Cancelled, "the request was cancelled")
}

/// What those connected are told when the server stops.
pub(crate) fn stopping() -> Refusal {
    Refusal::new(Code::Stopping, "the server is stopping")
}
