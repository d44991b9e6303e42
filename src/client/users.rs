//! `landline users`: who has a name there, one a line, in order of joining.
//!
//! What it does not do: believe that names are harmless; they are cleaned.

use super::command::Common;
use super::failure::Failure;
use super::output::Out;
use super::wire::{Wire, broken, misplaced};
use crate::protocol::text;

/// `landline users`.
pub(super) fn users(common: &Common) -> Result<(), Failure> {
    let (mut wire, mut watch) = Wire::open(common)?;
    wire.say("get_list");
    let header = wire.reply(&mut watch)?;
    match header.kind.as_str() {
        "done" => {}
        "fail" => return Err(wire.refusal(&header, &mut watch)?),
        _ => return Err(misplaced(&header)),
    }
    let answer = wire.text(&mut watch)?;
    let lines = one_a_line(&answer).ok_or_else(|| broken("a list without users"))?;
    Out::stdout()?.write(lines.as_bytes(), &mut watch)
}

/// The names of `users: A B C`.
fn one_a_line(answer: &[u8]) -> Option<String> {
    let names = answer.strip_suffix(b"\n").unwrap_or(answer).strip_prefix(b"users:")?;
    let names = names.split(|byte| *byte == b' ').filter(|name| !name.is_empty());
    Some(names.map(|name| text::clean(name) + "\n").collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_one_a_line() {
        assert_eq!(one_a_line(b"users: al bob c\n").as_deref(), Some("al\nbob\nc\n"));
        assert_eq!(one_a_line(b"users:\n").as_deref(), Some(""));
        assert_eq!(one_a_line(b"users: a\x1b\nb\n").as_deref(), Some("a\u{fffd}\u{fffd}b\n"));
        assert_eq!(one_a_line(b"nobody"), None);
    }
}
