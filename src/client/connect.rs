//! `landline connect`: with a person at a terminal (`interactive`), or as a filter: lines of
//! standard input are requests; replies, messages and notes are shown as they come.
//!
//! What it does not do: edit lines. As a filter it looks as plain as netcat, and speaks framed
//! underneath, so that a download is saved and a message never stands in the middle of a line.

use std::io::IsTerminal as _;

use super::command::Common;
use super::failure::Failure;
use super::feed::Feed;
use super::interactive;
use super::talk::Talk;
use crate::protocol::name::Name;

/// `landline connect`.
pub(super) fn connect(common: &Common, user: Option<&Name>) -> Result<(), Failure> {
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if is_terminal && interactive::is_possible() {
        return interactive::connect(common, user);
    }
    let mut talk = Talk::new(common, false)?;
    talk.greet(user, is_terminal.then_some("help lists the requests"))?;
    talk.wire.feed = Some(Feed::requests()?);
    run(&mut talk).inspect_err(|_| talk.wire.abandon())
}

fn run(talk: &mut Talk) -> Result<(), Failure> {
    loop {
        match talk.step()? {
            true => {}
            false if talk.wire.is_over() => return verdict(talk),
            false => talk.wire.fill(&mut talk.watch)?,
        }
    }
}

/// The connection ended. That is right once input ended too, or the user asked for it.
fn verdict(talk: &Talk) -> Result<(), Failure> {
    let is_at_end = talk.wire.feed.as_ref().is_some_and(Feed::is_at_end);
    match (talk.wire.asked.is_empty(), is_at_end) {
        _ if talk.has_quit => Ok(()),
        (false, _) => Err(talk.wire.lost()),
        (true, true) => Ok(()),
        (true, false) => Err(talk.wire.left()),
    }
}
