//! `Completion`: what a word of a line that is being typed can become: requests, users, files there
//! and files here.
//!
//! What it does not do: ask the server (`interactive` does, while the line is typed), or offer a
//! name that could drive a terminal.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::lists::users_of;
use super::news::{News, Teller};
use crate::protocol::text;

/// How long somebody who presses Tab waits for the server, in milliseconds.
const ANSWER_MS: u64 = 2_000;

/// What can be asked; a blank stands behind those that need more.
const REQUESTS: &[&str] = &[
    "close",
    "download ",
    "files",
    "get_list",
    "help",
    "name ",
    "ping",
    "quit",
    "run ",
    "run@in ",
    "run@pty ",
    "send ",
    "stat ",
    "stats",
    "upload ",
];

/// The words that can stand where one is typed.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    Request,
    User { with_all: bool },
    There { path: &'a str, only_folders: bool },
    Here { path: &'a str },
}

/// Completes words.
pub(super) struct Completion {
    teller: Teller,
}

impl Completion {
    /// One that asks the server by telling that it wants to know.
    pub(super) fn new(teller: Teller) -> Self {
        Self { teller }
    }

    fn candidates(&self, place: &Place<'_>) -> Vec<Pair> {
        match place {
            Place::Request => REQUESTS.iter().map(|request| pair("", request)).collect(),
            Place::User { with_all } => {
                let answer = self.ask("get_list");
                let users = users_of(&answer).unwrap_or_default();
                let all = with_all.then(|| "all".to_owned());
                names(users).chain(all).map(|name| pair("", &name)).collect()
            }
            Place::There { path, only_folders } => {
                let (folder, _) = split_path(path);
                let answer = self.ask(format!("files {folder}").trim_end());
                let entries = names(answer.split(|byte| *byte == b'\n').filter_map(entry_name));
                let entries = entries.filter(|name| !only_folders || name.ends_with('/'));
                entries.map(|name| pair(folder, &name)).collect()
            }
            Place::Here { path } => {
                let (folder, base) = split_path(path);
                let entries = entries(&local_path(if folder.is_empty() { "./" } else { folder }));
                let entries =
                    entries.filter(|name| base.starts_with('.') || !name.starts_with('.'));
                entries.map(|name| pair(folder, &name)).collect()
            }
        }
    }

    /// The server's answer; nothing where there is none in time.
    fn ask(&self, request: &str) -> Vec<u8> {
        let (answer, answered) = mpsc::channel();
        self.teller.tell(News::Query(request.to_owned(), answer));
        answered.recv_timeout(Duration::from_millis(ANSWER_MS)).unwrap_or_default()
    }
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let Some((start, place)) = place(&line[..position]) else {
            return Ok((position, Vec::new()));
        };
        let typed = &line[start..position];
        let mut candidates = self.candidates(&place);
        candidates.retain(|pair| pair.replacement.starts_with(typed));
        candidates.sort_by(|one, other| one.replacement.cmp(&other.replacement));
        Ok((start, candidates))
    }
}

impl Helper for Completion {}
impl Highlighter for Completion {}
impl Validator for Completion {}
impl Hinter for Completion {
    type Hint = String;
}

/// Where the word at the end of `head` starts, and what it is; `head` is a line up to the cursor.
fn place(head: &str) -> Option<(usize, Place<'_>)> {
    let Some((request, rest)) = head.split_once(' ') else {
        return Some((0, Place::Request));
    };
    let path = rest.trim_start();
    let start = head.len() - path.len();
    let word_start = head.rfind([' ', '|']).map_or(0, |blank| blank + 1);
    match request {
        "download" | "stat" => Some((start, Place::There { path, only_folders: false })),
        "files" => Some((start, Place::There { path, only_folders: true })),
        "upload" => Some((start, Place::Here { path })),
        "send" if rest.contains(':') || rest.trim_start().starts_with("all ") => None,
        "send" => Some((word_start, Place::User { with_all: true })),
        _ => {
            let (_, user) = head.rsplit_once('|')?;
            let is_word = !user.trim_start().contains(' ');
            is_word.then_some((word_start, Place::User { with_all: false }))
        }
    }
}

/// The folder of `path`, up to its last `/`, and what follows.
fn split_path(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('/').map_or(0, |slash| slash + 1))
}

/// What stands behind size and time in a line of a listing.
fn entry_name(line: &[u8]) -> Option<&[u8]> {
    line.splitn(3, |byte| *byte == b' ').nth(2)
}

/// Those that can be shown as they are.
fn names<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = String> {
    let shown = names.into_iter().map(|name| (name, text::clean(name)));
    shown.filter(|(name, shown)| *name == shown.as_bytes()).map(|(_, shown)| shown)
}

fn pair(folder: &str, name: &str) -> Pair {
    Pair { display: name.trim_end().to_owned(), replacement: format!("{folder}{name}") }
}

/// The names in a folder here; of a folder in it, with a `/`.
fn entries(folder: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let is_folder = entry.path().is_dir();
        let is_harmless = text::clean(name.as_bytes()) == name;
        is_harmless.then(|| if is_folder { name + "/" } else { name })
    })
}

/// A path as it is typed: `~/` is the home of the user.
pub(super) fn local_path(typed: &str) -> PathBuf {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    match (typed.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(typed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_completed_by_what_can_stand_there() {
        let there = |path, only_folders| Place::There { path, only_folders };
        let (to_all, to_one) = (Place::User { with_all: true }, Place::User { with_all: false });
        for (head, expected) in [
            ("", Some((0, Place::Request))),
            ("dow", Some((0, Place::Request))),
            ("download ", Some((9, there("", false)))),
            ("download  sub/a b", Some((10, there("sub/a b", false)))),
            ("files s", Some((6, there("s", true)))),
            ("upload ~/a", Some((7, Place::Here { path: "~/a" }))),
            ("send b", Some((5, to_all))),
            ("send all hi", None),
            ("send a b : h", None),
            ("hello there", None),
            ("hello | b", Some((8, to_one))),
            ("hello | b c", None),
            ("run ls", None),
        ] {
            assert_eq!(place(head), expected, "{head:?}");
        }
        let Some((start, Place::User { .. })) = place("send alice bo") else { panic!("a user") };
        assert_eq!(start, "send alice ".len());
        assert_eq!(place("hi |b").map(|(start, _)| start), Some("hi |".len()));
    }

    #[test]
    fn names_that_could_drive_a_terminal_are_not_offered() {
        let offered: Vec<_> =
            names([&b"a"[..], b"b\x1b[2J", b"\xff", "\u{e9}".as_bytes()]).collect();
        assert_eq!(offered, ["a", "\u{e9}"]);
        assert_eq!(entry_name(b"12 2020-12-17T20:06:53Z a b"), Some(&b"a b"[..]));
        assert_eq!(split_path("a/b/c"), ("a/b/", "c"));
    }
}
