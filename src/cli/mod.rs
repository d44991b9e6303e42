//! The command line: what was typed, and what it means.
//!
//! What it does not do: act. `parse` gives a resolved `Config` or `ClientCommand`, or the text and
//! status to end with; `main` does the rest. It reads files that options name, and opens nothing.
//!
//! Two steps, for every subcommand: argh types that hold strings (what was typed), then their
//! resolution (what it means, or why it means nothing). `words` stands before argh, since argh
//! knows neither `--option=value` nor options that several subcommands share.

mod address;
#[cfg(feature = "client")]
mod client;
mod help;
mod option_file;
mod resolve;
mod serve;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;

#[cfg(feature = "client")]
use crate::client::command::ClientCommand;
use crate::protocol::text;
use crate::server::config::{Config, Settings};

/// Exit status for a bad option or configuration of the server (`EX_CONFIG`, sysexits.h).
const STATUS_CONFIG: u8 = 78;
/// Exit status for wrong usage.
const STATUS_USAGE: u8 = 2;
/// Exit status of `run` for failures of landline's own: the others are the command's.
#[cfg(feature = "client")]
const STATUS_RUN: u8 = 255;

/// What a command line asks for.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// Be a server.
    Serve(Box<Config>),
    /// Be a client.
    #[cfg(feature = "client")]
    Client(ClientCommand),
    /// Write this, which ends in a newline, to standard output, and exit with 0.
    Print(String),
    /// Write this and a newline to standard error, and exit.
    Fail {
        /// What is wrong; begins with `landline: `.
        text: String,
        /// Exit status.
        status: u8,
    },
}

/// What the machine says of itself, where the command line is silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The host's name (gethostname(2)).
    pub name: String,
    /// The user this process runs as (geteuid(2)).
    pub uid: u32,
    /// The file of client options that `LANDLINE_CONFIG` names.
    pub client_options: Option<PathBuf>,
}

/// Why no command came of the words.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stop {
    /// Help or the version was asked for.
    Print(String),
    /// They are wrong: `WHAT: WHY`.
    Wrong(String),
}

/// Reads `args`, all that follows the program's name.
pub fn parse(args: &[OsString], host: &Host) -> Parsed {
    let words = match utf8(args) {
        Ok(words) => words,
        Err(why) => return fail(&why, status(args.first().and_then(|first| first.to_str()))),
    };
    let Some((first, rest)) = words.split_first() else {
        return Parsed::Fail { text: help::usage(), status: STATUS_USAGE };
    };
    let parsed = match first.as_str() {
        "--help" | "-h" => Err(Stop::Print(help::overview())),
        "--version" | "-V" => Err(Stop::Print(help::version())),
        "help" => help::asked(rest).and_then(|page| Err(Stop::Print(page))),
        "serve" => serve::config(rest, host).map(|config| Parsed::Serve(Box::new(config))),
        #[cfg(feature = "client")]
        name if help::is_client(name) => client::command(name, rest, host).map(Parsed::Client),
        other => Err(Stop::Wrong(help::unknown(other))),
    };
    match parsed {
        Ok(parsed) => parsed,
        Err(Stop::Print(text)) => Parsed::Print(text),
        Err(Stop::Wrong(why)) => fail(&why, status(Some(first))),
    }
}

/// Reads `args`, those `parse` made a `Config` of, and the files they name once more (SIGHUP).
///
/// # Errors
/// `WHAT: WHY`, for the log, where they mean nothing any more.
pub fn reread(args: &[OsString], host: &Host) -> Result<Settings, String> {
    let words = utf8(args)?;
    let options = match words.split_first() {
        Some((first, rest)) if first == "serve" => rest,
        _ => return Err("these are not the options of a server".to_owned()),
    };
    match serve::config(options, host) {
        Ok(config) => Ok(config.settings),
        Err(Stop::Wrong(why) | Stop::Print(why)) => Err(harmless(&why)),
    }
}

fn fail(why: &str, status: u8) -> Parsed {
    Parsed::Fail { text: format!("landline: {}", harmless(why)), status }
}

/// A mistyped word may hold what drives a terminal.
fn harmless(why: &str) -> String {
    text::clean(why.as_bytes())
}

fn status(subcommand: Option<&str>) -> u8 {
    match subcommand {
        Some("serve") => STATUS_CONFIG,
        #[cfg(feature = "client")]
        Some("run") => STATUS_RUN,
        _ => STATUS_USAGE,
    }
}

/// argh reads text alone, so text alone is taken.
fn utf8(args: &[OsString]) -> Result<Vec<String>, String> {
    let text = |arg: &OsString| {
        let text = arg.to_str().map(str::to_owned);
        text.ok_or_else(|| format!("{}: not valid UTF-8", arg.to_string_lossy()))
    };
    args.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn parsed(line: &str) -> Parsed {
        let args = line.split_whitespace().map(OsString::from).collect::<Vec<_>>();
        parse(&args, &Host { name: "box".to_owned(), uid: 1000, client_options: None })
    }

    fn failure(line: &str) -> (String, u8) {
        match parsed(line) {
            Parsed::Fail { text, status } => (text, status),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn printed(line: &str) -> String {
        match parsed(line) {
            Parsed::Print(text) => text,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn version_and_help_are_printed_wherever_they_are_asked_for() {
        let version = concat!("landline ", env!("CARGO_PKG_VERSION"), "\n");
        for line in ["--version", "-V", "serve --version"] {
            assert_eq!(printed(line), version, "{line}");
        }
        let overview = printed("help");
        assert!(overview.starts_with("Examples:\n"), "{overview}");
        for line in ["--help", "-h", "help help", "help --help"] {
            assert_eq!(printed(line), overview, "{line}");
        }
        let page = printed("help serve");
        for line in ["serve --help", "serve -h", "serve --run nonsense --bad --help"] {
            assert_eq!(printed(line), page, "{line}");
        }
    }

    #[test]
    fn no_word_and_unknown_words_are_wrong_usage() {
        let (text, status) = failure("");
        assert!(text.starts_with("usage: landline COMMAND"), "{text}");
        assert_eq!(status, 2);
        let why = "frob: there is no such command; landline help lists them";
        for line in ["frob", "help frob"] {
            assert_eq!(failure(line), (format!("landline: {why}"), 2));
        }
        let twice = "landline: help: takes the name of one command";
        assert_eq!(failure("help serve serve"), (twice.to_owned(), 2));
    }

    #[test]
    fn each_side_has_its_own_status() {
        let text = "landline: --frob: there is no such option; landline serve --help lists them";
        assert_eq!(failure("serve --frob"), (text.to_owned(), 78));
        #[cfg(feature = "client")]
        for (name, expected) in [("run", 255), ("users", 2), ("download", 2)] {
            let (text, status) = failure(&format!("{name} host --frob"));
            let help = format!("landline {name} --help");
            let why = format!("landline: --frob: there is no such option; {help} lists them");
            assert_eq!((text, status), (why, expected));
        }
    }

    #[test]
    fn words_that_are_no_text_are_an_error() {
        let args = vec![OsString::from("serve"), OsString::from_vec(b"--name=\xff".to_vec())];
        let host = Host { name: "box".to_owned(), uid: 0, client_options: None };
        let Parsed::Fail { text, status } = parse(&args, &host) else { panic!("taken") };
        assert_eq!((text.as_str(), status), ("landline: --name=\u{fffd}: not valid UTF-8", 78));
    }

    #[test]
    fn an_error_drives_no_terminal() {
        let (text, _) = failure("serve --\x1b[31m");
        assert!(!text.contains('\x1b'), "{text:?}");
    }

    #[test]
    fn reread_gives_settings_or_says_why_not() {
        let host = Host { name: "box".to_owned(), uid: 0, client_options: None };
        let args = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let settings = reread(&args("serve --hidden"), &host).expect("good options");
        assert!(settings.hidden);
        let why = reread(&args("serve --run /nonexistent/list"), &host).expect_err("no file");
        assert_eq!(why, "--run /nonexistent/list: No such file or directory");
    }
}
