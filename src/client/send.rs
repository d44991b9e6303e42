//! `landline send`: one message, or one for each line of standard input.
//!
//! What it does not do: wait for one message's fate before it sends the next.

use super::command::{Common, Recipients};
use super::failure::Failure;
use super::feed::Feed;
use super::tally::STATUS_PARTLY;
use super::watch::Watch;
use super::wire::{Wire, is_event, misplaced};
use crate::protocol::name::Name;
use crate::protocol::reply::Header;

/// `landline send`; gives its exit status.
pub(super) fn send(
    common: &Common,
    name: &Name,
    recipients: &Recipients,
    text: Option<&str>,
) -> Result<u8, Failure> {
    let (mut wire, mut watch) = Wire::open(common)?;
    wire.ask(&format!("name {name}"), &mut watch)?;
    wire.text(&mut watch)?;
    let start = start(recipients);
    let mut tally = Tally::new(recipients);
    if let Some(text) = text {
        wire.say(&format!("{start}{text}"));
        let header = wire.reply(&mut watch)?;
        tally.on_reply(&header, &mut wire, &mut watch)?;
        return Ok(tally.status());
    }
    wire.feed = Some(Feed::messages(&start)?);
    while is_open(&wire) {
        let header = match wire.arrived()? {
            Some(header) if is_event(&header) => {
                wire.event(&header, &mut watch)?;
                continue;
            }
            Some(header) => header,
            None if wire.is_over() => return Err(wire.lost()),
            None => {
                wire.fill(&mut watch)?;
                continue;
            }
        };
        if wire.asked.pop_front().is_none() {
            return Err(misplaced(&header));
        }
        tally.on_reply(&header, &mut wire, &mut watch)?;
    }
    Ok(tally.status())
}

/// Whether lines or their replies are to come.
fn is_open(wire: &Wire) -> bool {
    !wire.asked.is_empty() || wire.feed.as_ref().is_some_and(|feed| !feed.is_at_end())
}

/// How the request of a message begins.
fn start(recipients: &Recipients) -> String {
    match recipients {
        Recipients::All => "send all : ".to_owned(),
        Recipients::Users(names) => {
            let names: Vec<_> = names.iter().map(Name::as_str).collect();
            format!("send {} : ", names.join(" "))
        }
    }
}

/// What became of the messages.
struct Tally {
    recipients: usize,
    was_delivered: bool,
    failure: Option<Failure>,
}

impl Tally {
    fn new(recipients: &Recipients) -> Self {
        let recipients = match recipients {
            Recipients::All => 0,
            Recipients::Users(names) => names.len(),
        };
        Self { recipients, was_delivered: false, failure: None }
    }

    fn on_reply(
        &mut self,
        header: &Header,
        wire: &mut Wire,
        watch: &mut Watch,
    ) -> Result<(), Failure> {
        let text = wire.text(watch)?;
        match header.kind.as_str() {
            "done" => self.was_delivered = true,
            "fail" => {
                // Of many lines to the same absent user, the first is told of.
                if self.on_fail(header.value("code").unwrap_or(b"fail"), &text) {
                    self.failure.iter().for_each(super::tell);
                }
            }
            _ => return Err(misplaced(header)),
        }
        Ok(())
    }

    /// The payload of `no-such-user` is the names of those who did not receive it. Says whether
    /// this failure is another than the last one.
    fn on_fail(&mut self, code: &[u8], text: &[u8]) -> bool {
        let unknown = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        if code == b"no-such-user" && unknown.count() < self.recipients {
            self.was_delivered = true;
        }
        let failure = Some(Failure::refused(code, text));
        let is_new = self.failure != failure;
        self.failure = failure;
        is_new
    }

    /// The exit status.
    fn status(&self) -> u8 {
        match (&self.failure, self.was_delivered) {
            (None, _) => 0,
            (Some(_), true) => STATUS_PARTLY,
            (Some(failure), false) => failure.status(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(names: &[&str]) -> Recipients {
        let name = |name: &&str| Name::parse(name.as_bytes()).expect("tests write good names");
        Recipients::Users(names.iter().map(name).collect())
    }

    #[test]
    fn recipients_are_written_before_the_text() {
        assert_eq!(start(&Recipients::All), "send all : ");
        assert_eq!(start(&to(&["a", "b"])), "send a b : ");
    }

    #[test]
    fn some_unknown_is_told_from_all_unknown() {
        let status = |unknown: &[&str]| {
            let mut tally = Tally::new(&to(&["a", "b"]));
            for names in unknown {
                tally.on_fail(b"no-such-user", names.as_bytes());
            }
            tally.status()
        };
        assert_eq!(status(&[]), 0);
        assert_eq!(status(&["b"]), 3);
        assert_eq!(status(&["a b\n"]), 1);
        assert_eq!(status(&["a b", "a b", "a"]), 3, "the last one reached b");
    }
}
