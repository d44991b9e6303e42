//! `landline run`: its options as typed, and the one line that its words become.
//!
//! What it does not do: know what reads that line at the server, a shell or a list of commands.
//!
//! One word is passed on as it is. Several are to reach the command as these words: a word that a
//! shell would read otherwise is quoted for it (POSIX.1-2017, XCU 2.2.2), all others stay bare, so
//! that a list of commands, which splits at blanks and knows no quotes, reads them too.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "argh shows these texts to people as they stand: [V6] is an address, not a link"
)]

use std::borrow::Cow;

use argh::{ArgsInfo, FromArgs};

use super::common::Shared;
use crate::client::command::ClientCommand;

/// run a command on a server. Standard input goes to it, its output and error output come back
/// apart. The exit status is the command's, 128 and N for signal N, 124 where the server's time-out
/// ended it, 255 where landline failed or the server refused. Ctrl-C takes the command back, and a
/// second one leaves at once. On a terminal (-t) all keys go to the command; after Enter, ~. leaves
/// at once, ~^Z stops landline, and ~? lists such keys.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("--help"),
    example = "landline run localhost uptime",
    example = "landline run localhost 'ls *.log | wc -l; exit 3'",
    example = "    one word is read by the shell there",
    example = "landline run localhost sh -c 'sort | uniq -c' < words",
    example = "    several reach the command as the words they are",
    example = "landline run -t localhost top",
    example = "landline run --timeout 10 db.example:5001 -- -strange-name --its-option"
)]
pub(super) struct RunArgs {
    /// give the command a terminal of the size and kind of this one
    #[argh(switch, short = 't')]
    tty: bool,
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
    /// the command. One word is passed on as it is, for the server's shell to read; of several,
    /// each is quoted where the shell would read it otherwise. A server with a list of commands has
    /// no shell and no quotes: write one word. Options go before the first word; put -- before one
    /// that starts with a dash
    #[argh(positional, greedy, arg_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn run(own: &RunArgs, shared: &Shared) -> Result<ClientCommand, String> {
    let common = shared.common(&own.address)?;
    let command = line(&own.command);
    if command.trim_matches([' ', '\t']).is_empty() {
        return Err("COMMAND: missing; see landline run --help".to_owned());
    }
    if command.contains(['\n', '\r']) {
        return Err("COMMAND: holds a line break; part commands by ; or &&".to_owned());
    }
    Ok(ClientCommand::Run { common, command, is_tty: own.tty })
}

fn line(words: &[String]) -> String {
    match words {
        [word] => word.clone(),
        words => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
    }
}

/// The word as a shell reads it back. Inside single quotes a shell reads nothing but their end.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_bare) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{common_of, expect_wrong, meant, read_words};
    use super::*;

    fn run(command: &str, is_tty: bool) -> ClientCommand {
        ClientCommand::Run { common: common_of("h", 7), command: command.to_owned(), is_tty }
    }

    #[test]
    fn a_command_is_all_that_follows_the_address() {
        for (line, command, is_tty) in [
            ("run -p 7 h ls -p 8 --help", "ls -p 8 --help", false),
            ("run h -p 7 -- -x --port=9", "-x --port=9", false),
            ("run h -p 7 -- echo -- a", "echo -- a", false),
            ("run h:7 help", "help", false),
            ("run -t h:7 top -t", "top -t", true),
            ("run h:7 --tty top", "top", true),
        ] {
            assert_eq!(meant(line), run(command, is_tty), "{line}");
        }
    }

    #[test]
    fn one_word_is_for_the_shell_and_several_stay_the_words_they_are() {
        for (words, command) in [
            (vec!["echo  a; exit 3"], "echo  a; exit 3"),
            (vec!["sh", "-c", "cat; exit 7"], "sh -c 'cat; exit 7'"),
            (
                vec!["echo", "it's", "", "a  b", "$HOME", "*"],
                r"echo 'it'\''s' '' 'a  b' '$HOME' '*'",
            ),
            (vec!["A=1", "./x-y_z", "a@b:5,%+", "~", "é"], "A=1 ./x-y_z a@b:5,%+ '~' 'é'"),
        ] {
            let words = [vec!["run", "h:7"], words].concat();
            assert_eq!(read_words(&words), Ok(run(command, false)));
        }
    }

    #[test]
    fn a_command_is_one_line_and_not_blank() {
        expect_wrong(&[("run h", "COMMAND: missing; see landline run --help")]);
        for words in [["run", "h", ""], ["run", "h", " \t"]] {
            assert!(read_words(&words).is_err(), "{words:?}");
        }
        let why = "COMMAND: holds a line break; part commands by ; or &&".to_owned();
        assert_eq!(read_words(&["run", "h", "a\nb"]), Err(why));
    }
}
