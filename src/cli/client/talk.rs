//! `landline connect`, `send` and `users`: their options as typed, and what they mean.
//!
//! What it does not do: know who is there.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "argh shows these texts to people as they stand: [V6] is an address, not a link"
)]

use argh::{ArgsInfo, FromArgs};

use super::check_one_line;
use super::common::Shared;
use crate::client::command::{ClientCommand, Recipients};
use crate::protocol::name::Name;

/// talk to a server: type requests, see replies and messages as they come.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("--help"),
    example = "landline connect localhost --user alice",
    example = "landline connect unix:/run/landline.sock"
)]
pub(super) struct ConnectArgs {
    /// take this user name at once, and receive messages
    #[argh(option, arg_name = "NAME")]
    user: Option<String>,
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
}

/// send messages to users of a server.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("--help"),
    example = "landline send localhost --as alice --to bob,carol 'lunch at noon?'",
    example = "tail -f log | landline send localhost --as watcher --all"
)]
pub(super) struct SendArgs {
    /// the sender's user name; needed
    #[argh(option, long = "as", arg_name = "NAME")]
    name: Option<String>,
    /// who receives it; this or --all is needed
    #[argh(option, arg_name = "USER[,USER]...")]
    to: Vec<String>,
    /// everyone receives it
    #[argh(switch)]
    all: bool,
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
    /// the message; without it, each line of standard input is one
    #[argh(positional, arg_name = "TEXT")]
    text: Vec<String>,
}

/// list the users of a server.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(help_triggers("--help"), example = "landline users localhost")]
pub(super) struct UsersArgs {
    /// write the list as a JSON array of strings
    #[argh(switch)]
    json: bool,
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
}

pub(super) fn connect(own: &ConnectArgs, shared: &Shared) -> Result<ClientCommand, String> {
    let common = shared.common(&own.address)?;
    let user = own.user.as_deref().map(|user| user_name("--user", user)).transpose()?;
    Ok(ClientCommand::Connect { common, user })
}

pub(super) fn send(own: &SendArgs, shared: &Shared) -> Result<ClientCommand, String> {
    let common = shared.common(&own.address)?;
    let name = own.name.as_deref().ok_or("--as: missing; say who sends it")?;
    let recipients = match (own.all, own.to.as_slice()) {
        (false, []) => return Err("--to: missing; say who receives it, or --all".to_owned()),
        (true, []) => Recipients::All,
        (true, _) => return Err("--to: contradicts --all".to_owned()),
        (false, lists) => {
            let mut users = Vec::new();
            for user in lists.iter().flat_map(|list| list.split(',')) {
                let user = user_name("--to", user)?;
                if !users.contains(&user) {
                    users.push(user);
                }
            }
            Recipients::Users(users)
        }
    };
    let text = (!own.text.is_empty()).then(|| own.text.join(" "));
    if let Some(text) = &text {
        check_one_line("TEXT", text)?;
    }
    Ok(ClientCommand::Send { common, name: user_name("--as", name)?, recipients, text })
}

pub(super) fn users(own: &UsersArgs, shared: &Shared) -> Result<ClientCommand, String> {
    let common = shared.common(&own.address)?;
    Ok(ClientCommand::Users { common, is_json: own.json || shared.is_json() })
}

fn user_name(option: &str, text: &str) -> Result<Name, String> {
    Name::parse(text.as_bytes()).map_err(|refusal| format!("{option}: {}", refusal.text))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{common_of, expect_wrong, meant, read_words};
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).expect("a good name")
    }

    #[test]
    fn connect_may_name_a_user() {
        let common = common_of("h", 5000);
        let expected = ClientCommand::Connect { common: common.clone(), user: None };
        assert_eq!(meant("connect h"), expected);
        let expected = ClientCommand::Connect { common, user: Some(name("al")) };
        assert_eq!(meant("connect h --user al"), expected);
    }

    #[test]
    fn a_message_has_a_sender_and_recipients() {
        let send = |recipients, text: Option<&str>| ClientCommand::Send {
            common: common_of("h", 5000),
            name: name("al"),
            recipients,
            text: text.map(str::to_owned),
        };
        let users = |names: &[&str]| Recipients::Users(names.iter().map(|n| name(n)).collect());
        for (line, expected) in [
            ("send h --as al --all", send(Recipients::All, None)),
            ("send h --as=al --all hi  all", send(Recipients::All, Some("hi  all"))),
            ("send h --to bob --as al -- -x", send(users(&["bob"]), Some("-x"))),
            ("send h --as al --to a,b,a --to c hi", send(users(&["a", "b", "c"]), Some("hi"))),
            ("send h help --as al --all", send(Recipients::All, Some("help"))),
        ] {
            assert_eq!(meant(line), expected, "{line}");
        }
    }

    #[test]
    fn names_and_texts_that_cannot_be_are_told() {
        expect_wrong(&[
            ("connect h --user all", "--user: all: this name is reserved"),
            ("send h --all x", "--as: missing; say who sends it"),
            ("send h --as al x", "--to: missing; say who receives it, or --all"),
            ("send h --as al --all --to bob", "--to: contradicts --all"),
            ("send h --as al --to bob,", "--to: a user name has at least one character"),
            (
                "send h --as . --all",
                "--as: .: a user name is made of A-Z a-z 0-9 _ . - and does \
              not start with - or .",
            ),
        ]);
        let broken = read_words(&["send", "h", "--as", "al", "--all", "a\r\nb"]);
        assert_eq!(broken, Err("TEXT: holds a line break".to_owned()));
    }
}
