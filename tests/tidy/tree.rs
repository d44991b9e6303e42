//! The project's files as the rules see them: texts by path, sources with code and comments apart.
//!
//! What it does not do: judge. It leaves out what is built, measured or fetched (`target`,
//! `bench/out`, `.git`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use crate::lexer::{self, Token};

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Offence {
    pub(crate) path: String,
    /// Counted from 1; 0 where the file as a whole is meant.
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// The language of a file, where a rule asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rust,
    C,
    Shell,
    Other,
}

/// One text file.
pub(crate) struct File {
    /// Relative to the project's root, parts separated by `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) kind: Kind,
    /// For Rust, the text without comments and literals; else the text.
    pub(crate) code: String,
    /// For Rust, the comments; else the text.
    pub(crate) comments: String,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        let kind = kind(path, text);
        let (code, comments) = if kind == Kind::Rust {
            let split = lexer::split(text);
            (split.code, split.comments)
        } else {
            (text.to_owned(), text.to_owned())
        };
        Self { path: path.to_owned(), text: text.to_owned(), kind, code, comments }
    }

    pub(crate) fn tokens(&self) -> Vec<Token<'_>> {
        lexer::tokens(&self.code)
    }

    pub(crate) fn offence(&self, line: usize, what: impl Into<String>) -> Offence {
        Offence { path: self.path.clone(), line, what: what.into() }
    }
}

fn kind(path: &str, text: &str) -> Kind {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
    match extension {
        Some("rs") => Kind::Rust,
        Some("c" | "h") => Kind::C,
        Some("sh") => Kind::Shell,
        _ if text.starts_with("#!") && text.lines().next().is_some_and(|l| l.ends_with("sh")) => {
            Kind::Shell
        }
        _ => Kind::Other,
    }
}

/// All files of the project.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<String, File>,
    /// Folders and files alike, also those that are no text.
    pub(crate) paths: BTreeSet<String>,
}

/// What `bench/run.sh` leaves.
const BENCH_OUT: &str = "bench/out";

impl Tree {
    /// Reads the project below `root`.
    pub(crate) fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        tree.read_folder(root, "");
        tree
    }

    fn read_folder(&mut self, root: &Path, folder: &str) {
        let entries = fs::read_dir(root.join(folder)).expect("a folder of the project is readable");
        for entry in entries {
            let entry = entry.expect("a folder of the project is readable");
            let name = entry.file_name().into_string().expect("names of the project are UTF-8");
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if matches!(path.rsplit('/').next(), Some("target" | ".git")) || path == BENCH_OUT {
                continue;
            }
            let kind = entry.file_type().expect("a file of the project has a type");
            if kind.is_dir() {
                self.read_folder(root, &path);
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).expect("a file of the project is readable");
                if let Ok(text) = String::from_utf8(bytes) {
                    self.add(&path, &text);
                }
            }
            self.paths.insert(path);
        }
    }

    /// Adds one text; planted offences come this way.
    pub(crate) fn add(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), File::new(path, text));
        self.paths.insert(path.to_owned());
    }

    /// The files of one language.
    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &File> {
        self.files.values().filter(move |file| file.kind == kind)
    }
}
