//! Help: the texts of `landline help` and `--help`, examples first, and the list of subcommands.
//!
//! What it does not do: describe an option; each is described once, where it is declared.

use std::fmt::Write as _;

use argh::{ArgsInfo as _, CommandInfoWithArgs, FlagInfo, FlagInfoKind};

use super::{Stop, serve};

/// Columns of a page.
const WIDTH: usize = 80;
/// The column at which descriptions start.
const INDENT: usize = 26;

/// A subcommand: its name, and what follows it.
type Synopsis = (&'static str, &'static str);

const SERVE: Synopsis = ("serve", "[OPTION]...");
#[cfg(feature = "client")]
const CLIENT: [Synopsis; 10] = [
    ("bench", "[OPTION]... ADDRESS"),
    ("connect", "[OPTION]... ADDRESS"),
    ("download", "[OPTION]... ADDRESS FILE..."),
    ("files", "[OPTION]... ADDRESS [DIR]"),
    ("ping", "[OPTION]... ADDRESS"),
    ("run", "[OPTION]... ADDRESS [--] COMMAND..."),
    ("send", "ADDRESS --as NAME (--to USER[,USER]... | --all) [TEXT]..."),
    ("stats", "[OPTION]... ADDRESS"),
    ("upload", "[OPTION]... ADDRESS FILE..."),
    ("users", "[OPTION]... ADDRESS"),
];
#[cfg(not(feature = "client"))]
const CLIENT: [Synopsis; 0] = [];
/// The subcommands of a client, whether this is one or not.
const NAMES_CLIENT: [&str; 10] =
    ["bench", "connect", "download", "files", "ping", "run", "send", "stats", "upload", "users"];

const EXAMPLES: &str = "Examples:
  landline serve --root /srv/files   echo, files and messages on port 5000, here
  nc localhost 5000                  talk to it by hand: type help
";
#[cfg(feature = "client")]
const EXAMPLES_CLIENT: &str = "  landline download localhost FILE   fetch a file
  landline run localhost 'uptime'    run a command, where the server has --run
  landline connect localhost         talk to it in comfort
";
#[cfg(not(feature = "client"))]
const EXAMPLES_CLIENT: &str = "";

fn synopses() -> impl Iterator<Item = Synopsis> {
    std::iter::once(SERVE).chain(CLIENT)
}

/// Whether there is a client subcommand of that name.
#[cfg(feature = "client")]
pub(super) fn is_client(name: &str) -> bool {
    CLIENT.iter().any(|(client, _)| *client == name)
}

/// `landline --version`.
pub(super) fn version() -> String {
    concat!("landline ", env!("CARGO_PKG_VERSION"), "\n").to_owned()
}

/// What is wrong with a word that is no subcommand.
pub(super) fn unknown(name: &str) -> String {
    if cfg!(not(feature = "client")) && NAMES_CLIENT.contains(&name) {
        return format!("{name}: this landline was built without its client");
    }
    format!("{name}: there is no such command; landline help lists them")
}

/// For someone who typed no word at all.
pub(super) fn usage() -> String {
    let names = synopses().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    let mut text = String::from("usage: landline COMMAND [OPTION]...\ncommands: ");
    wrap(&mut text, "commands: ".len(), &format!("{names}, help"));
    text + "for more: landline help, landline COMMAND --help"
}

/// What `landline help` with these words shows.
pub(super) fn asked(words: &[String]) -> Result<String, Stop> {
    match words {
        [] => Ok(overview()),
        [word] if ["help", "--help", "-h"].contains(&word.as_str()) => Ok(overview()),
        [name] if synopses().any(|(known, _)| known == name) => Ok(page(name)),
        [name] => Err(Stop::Wrong(unknown(name))),
        _ => Err(Stop::Wrong("help: takes the name of one command".to_owned())),
    }
}

/// `landline help`.
pub(super) fn overview() -> String {
    let mut page = format!(
        "{EXAMPLES}{EXAMPLES_CLIENT}\n\
         Usage: landline COMMAND [OPTION]... [OPERAND]...\n\n\
         A port you can simply talk to: echo, files, commands and messages.\n\n\
         Commands:\n"
    );
    for (name, _) in synopses() {
        let description = info(name).description;
        let (first, _) = description.split_once(". ").unwrap_or((description, ""));
        entry(&mut page, name, first.trim_end_matches('.'));
    }
    entry(&mut page, "help [COMMAND]", "this text, or that of one command (COMMAND --help)");
    entry(&mut page, "--version", "the version");
    page
}

/// `landline NAME --help`, for a NAME there is.
pub(super) fn page(name: &str) -> String {
    let info = info(name);
    let operands = synopses().find(|(known, _)| *known == name).map_or("", |(_, rest)| rest);
    let mut page = String::from("Examples:\n");
    for example in info.examples {
        for line in example.lines() {
            page.push_str(format!("  {line}").trim_end());
            page.push('\n');
        }
    }
    write!(page, "\nUsage: landline {name} {operands}\n\n").expect(WRITES);
    wrap(&mut page, 0, &capital(info.description));
    for positional in info.positionals.iter().filter(|operand| !operand.description.is_empty()) {
        if positional.name == info.positionals[0].name {
            page.push_str("\nOperands:\n");
        }
        entry(&mut page, positional.name, positional.description);
    }
    page.push_str("\nOptions:\n");
    let is_ours = |flag: &&FlagInfo<'_>| flag.long != "--help";
    for flag in info.flags.iter().chain(shared(name)).filter(is_ours) {
        option(&mut page, flag);
    }
    entry(&mut page, "-h, --help", "this text");
    page
}

const WRITES: &str = "a String takes all that is written";

fn info(name: &str) -> CommandInfoWithArgs {
    #[cfg(feature = "client")]
    if let Some(info) = super::client::info(name) {
        return info;
    }
    debug_assert_eq!(name, SERVE.0, "every client command has its own");
    serve::ServeArgs::get_args_info()
}

#[cfg(feature = "client")]
fn shared(name: &str) -> &'static [FlagInfo<'static>] {
    if is_client(name) { super::client::CommonArgs::get_args_info().flags } else { &[] }
}

#[cfg(not(feature = "client"))]
fn shared(_name: &str) -> &'static [FlagInfo<'static>] {
    &[]
}

fn option(page: &mut String, flag: &FlagInfo<'_>) {
    let mut name = match flag.short {
        Some(letter) => format!("-{letter}, {}", flag.long),
        None => format!("    {}", flag.long),
    };
    if let FlagInfoKind::Option { arg_name } = flag.kind {
        write!(name, " {arg_name}").expect(WRITES);
    }
    entry(page, &name, flag.description);
}

/// argh wants descriptions without a capital letter; as sentences they begin with one.
fn capital(text: &str) -> String {
    let (first, rest) = text.split_at_checked(1).unwrap_or((text, ""));
    first.to_ascii_uppercase() + rest
}

/// A name, and its description in the column beside it, or below where the name is too long.
fn entry(page: &mut String, name: &str, description: &str) {
    let start = page.len();
    write!(page, "  {name}").expect(WRITES);
    let width = page.len() - start;
    if width + 2 <= INDENT {
        page.extend(std::iter::repeat_n(' ', INDENT - width));
    } else {
        write!(page, "\n{:INDENT$}", "").expect(WRITES);
    }
    wrap(page, INDENT, description);
}

/// Writes `text` from column `indent` on, where `page` stands already.
fn wrap(page: &mut String, indent: usize, text: &str) {
    let mut column = indent;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > indent && column + 1 + width > WIDTH {
            write!(page, "\n{:indent$}", "").expect(WRITES);
            column = indent;
        } else if column > indent {
            page.push(' ');
            column += 1;
        }
        page.push_str(word);
        column += width;
    }
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_examples_then_usage_then_every_option() {
        for (name, _) in synopses() {
            let page = page(name);
            let position = |text: &str| {
                page.find(text).unwrap_or_else(|| panic!("{name}: no {text} in:\n{page}"))
            };
            assert_eq!(position("Examples:\n  landline "), 0, "{name}");
            assert!(position("\nUsage: landline ") < position("\nOptions:\n"), "{name}");
            for flag in info(name).flags.iter().chain(shared(name)) {
                assert!(position(flag.long) > 0);
                assert!(!flag.description.is_empty(), "{name} {}", flag.long);
            }
        }
    }

    #[test]
    fn the_manual_names_every_command_and_option() {
        let manual = include_str!("../../dist/landline.1");
        for (name, _) in synopses() {
            assert!(manual.contains(&format!("\n.Cm {name}\n")), "{name}");
            for flag in info(name).flags.iter().chain(shared(name)) {
                let option = format!("Fl {}", &flag.long[1..]);
                let is_named = manual.split(['\n', ',']).any(|part| {
                    let after = part.split_once(&option).map(|(_, after)| after);
                    after.is_some_and(|after| after.is_empty() || after.starts_with(' '))
                });
                assert!(is_named, "{name}: no {option}");
            }
        }
    }

    #[test]
    #[cfg(feature = "client")]
    fn every_client_command_is_known_where_there_is_no_client() {
        assert_eq!(CLIENT.map(|(name, _)| name), NAMES_CLIENT);
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        for text in synopses().map(|(name, _)| page(name)).chain([overview(), usage()]) {
            for line in text.lines() {
                assert!(line.chars().count() <= WIDTH, "{line}");
                assert_eq!(line.trim_end(), line);
            }
        }
    }

    #[test]
    fn a_long_description_goes_on_in_its_column() {
        let mut page = String::new();
        let long = "word ".repeat(15);
        entry(&mut page, "--short", &long);
        entry(&mut page, "--very-long-option VALUE..", "text");
        let gap = " ".repeat(INDENT);
        let first = "word ".repeat(11);
        assert_eq!(
            page,
            format!(
                "  --short                 {}\n{gap}word word word word\n  \
                 --very-long-option VALUE..\n{gap}text\n",
                first.trim_end()
            )
        );
    }
}
