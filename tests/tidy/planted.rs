//! Offences planted for the rules to find, and texts they must leave alone: a rule that reports
//! nothing would otherwise look like a project that keeps it.
//!
//! What it does not do: look at the project's own files.

use crate::lexer::{self, Path};
use crate::rules::{COLUMNS_MAX, FILE_LINES_MAX, FILE_LINES_MIN, FUNCTION_LINES_MAX};
use crate::tree::{Offence, Tree};
use crate::{RULES, rules};

/// Rule, path, text, and the lines where the rule has to find something.
type Planted = (&'static str, &'static str, &'static str, &'static [usize]);

/// Texts that fit in a line; longer ones are made by the tests below.
const PLANTED: &[Planted] = &[
    ("layers", "src/transfer/a.rs", "use crate::service::run;", &[1]),
    ("layers", "src/transfer/a.rs", "\nuse crate::reactor::slab;", &[2]),
    ("layers", "src/reactor/a.rs", "fn f() { crate::transfer::sink() }", &[1]),
    (
        "layers",
        "src/sys/a.rs",
        "use crate::{\n    sys::b,\n    protocol::{text, name},\n};",
        &[3, 3],
    ),
    ("layers", "src/protocol/a.rs", "use super::super::sys;", &[1]),
    ("layers", "src/protocol/mod.rs", "use super::sys::epoll as e;", &[1]),
    ("layers", "src/protocol/a/b.rs", "use super::super::super::{text, sys};", &[1, 1]),
    ("layers", "src/protocol/a.rs", "mod tests {\n    use super::super::super::sys;\n}", &[2]),
    ("layers", "src/service/a.rs", "use crate::reactor::token::Token;", &[1]),
    ("layers", "src/server/a.rs", "use crate::client::run;", &[1]),
    ("layers", "src/client/a.rs", "use crate::server::config;", &[1]),
    ("layers", "src/server/a.rs", "type T = crate::cli::Options;", &[1]),
    ("layers", "src/server/a.rs", "use crate::Config;", &[1]),
    ("layers", "src/server/a.rs", "use crate::*;", &[1]),
    ("layers", "src/util/a.rs", "", &[0]),
    ("purity", "src/protocol/a.rs", "use std::net::IpAddr;", &[1]),
    ("purity", "src/protocol/a.rs", "use std::{fmt, os::fd::RawFd};", &[1]),
    ("purity", "src/protocol/a.rs", "use nix;\nfn f() { libc::close(0) }", &[1, 2]),
    ("purity", "src/protocol/a.rs", "use std::time;\nlet t = time::Instant::now();", &[2]),
    ("purity", "src/protocol/a.rs", "use std::time::{Duration, SystemTime};", &[1]),
    ("purity", "src/protocol/a.rs", "std::thread::spawn(f);", &[1]),
    ("system access", "src/server/a.rs", "use std::os::fd::OwnedFd;\nuse std::{fmt, fs};", &[1, 2]),
    ("system access", "src/service/a.rs", "mod tests {\n    fn f() { std::env::vars() }\n}", &[2]),
    ("system access", "src/transfer/a.rs", "use std::thread;\nstd::process::id();", &[1, 2]),
    ("system access", "src/reactor/a.rs", "use std::sync::{Arc, Condvar, Mutex, RwLock};", &[1; 3]),
    ("system access", "src/protocol/a.rs", "use std::net::{IpAddr, TcpListener};", &[1]),
    ("system access", "src/server/a.rs", "use std::net::{TcpStream, ToSocketAddrs};", &[1; 2]),
    ("system access", "src/server/a.rs", "use std::net;\nnet::UdpSocket::bind(a);", &[2]),
    ("system access", "src/server/a.rs", "use std::time::{Instant, SystemTime};", &[1; 2]),
    ("system access", "src/server/a.rs", "use std::io;\nio::stderr().flush();", &[2]),
    ("system access", "src/server/a.rs", "use nix::libc;\nlibc::EIO;\nuse libc;", &[1, 2, 3]),
    ("system access", "src/server/a.rs", "use std::time::*;\nuse std::*;", &[1, 2]),
    ("unsafety", "src/server/a.rs", "fn f() {\n    unsafe { g() }\n}", &[2]),
    ("unsafety", "tests/it/a.rs", "unsafe fn f() {}", &[1]),
    ("file lengths", "src/sys/a.rs", "//! Short.\n", &[0]),
    ("function lengths", "bench/a.rs", LONG_FUNCTION, &[2]),
    ("line widths", "c-compat/a.h", WIDE_LINE, &[2]),
    ("openings", "tests/it/a.rs", "use std::fs;", &[1]),
    ("openings", "src/sys/a.rs", "// A comment, but no document.", &[1]),
    ("openings", "c-compat/a.c", "#include <stdio.h>", &[1]),
    ("openings", "tests/a.sh", "#!/bin/sh\nset -e", &[1]),
    ("openings", ".ci/a", "#!/usr/bin/env bash\nset -e", &[1]),
    ("orphans", "src/sys/a.rs", "mod a;", &[0]),
    ("orphans", "tests/it/a/mod.rs", "", &[0]),
    ("leftovers", "src/sys/a.rs", concat!("fn f() {}\n// TO", "DO: more"), &[2]),
    ("leftovers", "docs/a.md", concat!("(FIX", "ME)"), &[1]),
    ("leftovers", "tests/a.sh", concat!("true # XX", "X"), &[1]),
    ("leftovers", "src/sys/a.rs", "fn f() { todo!() }\nfn g() {\n    unimplemented!()\n}", &[1, 3]),
    ("leftovers", "tests/it/a.rs", "#[test]\n#[ignore]\nfn f() { dbg!(1); }", &[2, 3]),
    ("sleeps", "tests/it/a.rs", "use std::thread::sleep as s;", &[1]),
    ("sleeps", "src/server/a.rs", "fn f() { sleep(TICK) }", &[1]),
    ("unwraps", "src/sys/a.rs", "fn f() {\n    g()\n        .unwrap();\n}", &[3]),
    ("unwraps", "src/sys/a.rs", "#[cfg(test)]\nmod t { }\nfn f() { g().unwrap() }", &[3]),
    ("figures", "README.md", "| work | rate |\n| echo | 1.02 | 0.95 |\n", &[2]),
    ("reasons", "src/sys/a.rs", "fn f() {}\n\n#[allow(dead_code)]\nfn g() {}", &[3]),
    ("reasons", "src/sys/a.rs", "#![expect(unused)]", &[1]),
    ("machine paths", "docs/a.md", concat!("see `/ho", "me/me/file`"), &[1]),
    ("machine paths", "a.toml", concat!("a = 1\npath = \"/ro", "ot/x\""), &[2]),
    ("packages", "Cargo.toml", "[dependencies]\nargh = \"1\"\nlibc = \"1\"\nnix = \"1\"", &[0]),
    ("packages", "Cargo.toml", FIVE_PACKAGES, &[0]),
    ("links", "docs/a.md", "[b](b.md) and [c](../docs/a.md#part)", &[1]),
    ("proofs", "docs/a.md", "Text.\n`a.rs::b` and\n`x`, `src/a.rs::c`.", &[2, 3]),
    ("links", "a.md", "[out](../a.md)\n![picture](a.md \"title\")", &[1]),
];

/// What looks like an offence, and is none. Every rule sees each of them.
const INNOCENT: &[(&str, &str)] = &[
    ("service/a.rs", "use crate::transfer::sink; use crate::sys::copy; use super::policy;"),
    ("server/a.rs", "mod tests { use super::super::b; } pub(crate) fn f() { super::b() }"),
    ("server/b/c.rs", "use super::super::listener; use self::super::d;"),
    ("protocol/a.rs", "use std::time::Duration; let nix = 1; let _ = nix; // std::net, libc::x"),
    ("server/a.rs", "use std::io; use std::net::SocketAddr; use std::sync::Arc; let nix = 1;"),
    ("server/a.rs", "use crate::sys::thread::{self, Mutex}; fn f() { thread::spawn(g) }"),
    ("client/a.rs", "use std::fs; use std::os::fd::AsFd; fn f() { nix::g(libc::EIO) }"),
    ("sys/a.rs", "fn f() { unsafe { g() } } // use crate::server;"),
    ("cli.rs", "use crate::server::config; use crate::client::run; use super::sys;"),
    ("lib.rs", "pub mod sys; pub use server::Config;"),
    ("main.rs", "use landline::cli;"),
    ("server/a.rs", "const A: &str = \"unsafe { .unwrap() } sleep( crate::cli::x \\\" dbg!(\";"),
    ("server/a.rs", "const A: &str = r#\" \" unsafe \"#; const B: &[u8] = br\" unsafe \\\"; "),
    ("server/a.rs", "/* unsafe /* nested */ .unwrap() */ fn f<'a>(x: &'a str) -> char { '\"' }"),
    ("server/a.rs", "fn f() { g('\\'', b'\\\\', '\\u{7f}', 'x'); r#type::h(); deep_sleep(); }"),
    ("server/a.rs", "#[cfg(test)] mod tests { fn f() { g().unwrap() } } fn sleep_ms() {}"),
    ("server/a.rs", "#[cfg(test)] use a::b; fn f() { g().expect(\"why\").unwrap_or(1) }"),
    ("server/a.rs", "#[allow(dead_code, reason = \"a table of the protocol\")] fn f() {}"),
    ("server/a.rs", "// Only one platform has it.\n#[expect(dead_code)]\nfn f() { g.expect(1) }"),
    ("server/a.rs", "fn f() { vec![expect(1)] }"),
    ("../Cargo.toml", FOUR_PACKAGES),
    ("../docs/a.md", "[a](https://a.b/c) [b](#part) [c](../src) `a`\n```\n[d](gone)\n```\n"),
    ("../docs/a.md", "`server::config`, `x` a.rs::b `[a::b]` and `a.rs`"),
    ("../docs/a.md", concat!("$HOME/wo", "rk/x, https://a.b/ho", "me/x, ${A}/ro", "ot/, TODOS")),
];

const FOUR_PACKAGES: &str = "[package]\nname = \"x\"\n[dependencies]\nlibc = \"1\"\n\
    nix = { version = \"1\", features = [\n    \"fs\", \"net\",\n] }\nmemchr = \"1\"\n\
    bar = { version = \"1\", optional = true }\n[dependencies.argh]\nversion = \"1\"\n\
    [dependencies.line]\nversion = \"1\"\noptional = true\n[dev-dependencies]\nrand = \"1\"\n";
const FIVE_PACKAGES: &str = "[dependencies]\nargh = \"1\"\nlibc = \"1\"\nmemchr = \"1\"\n\
    nix = \"1\"\n[target.'cfg(unix)'.dependencies]\nmio = \"1\"\n";
const LONG_FUNCTION: &str = concat!(
    "fn short() -> [u8; 1] { [0] }\nfn long() {",
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "}\n"
);
const WIDE_LINE: &str = concat!(
    "/* é */\n",
    "12345678901234567890123456789012345678901234567890",
    "12345678901234567890123456789012345678901234567890x\n"
);

fn reported(rule: &str, path: &str, text: &str) -> Vec<Offence> {
    let (_, check) = RULES.iter().find(|(name, _)| *name == rule).expect("a rule of that name");
    let mut tree = Tree::default();
    tree.add(path, text);
    check(&tree)
}

#[test]
fn every_planted_offence_is_reported_at_its_line() {
    for (rule, path, text, lines) in PLANTED {
        let found = reported(rule, path, text);
        let found_lines: Vec<usize> = found.iter().map(|offence| offence.line).collect();
        assert_eq!(found_lines, *lines, "{rule}, {path}: {text:?}: {found:?}");
    }
}

#[test]
fn every_rule_has_a_planted_offence() {
    for (name, _) in RULES {
        assert!(PLANTED.iter().any(|(rule, ..)| *rule == name), "{name}");
    }
}

#[test]
fn innocent_texts_are_left_alone() {
    // These look at a file's shape, which a text of one line does not have.
    let shapes = ["file lengths", "openings", "orphans"];
    for (path, text) in INNOCENT {
        let path = format!("src/{path}").replace("src/../", "");
        for (rule, _) in RULES.iter().filter(|(name, _)| !shapes.contains(name)) {
            let mut tree = Tree::default();
            tree.paths.insert("src".to_owned());
            tree.add(&path, text);
            let (_, check) = RULES.iter().find(|(name, _)| name == rule).expect("a rule");
            let found = check(&tree);
            assert!(found.is_empty(), "{rule}: {found:?}");
        }
    }
}

#[test]
fn lengths_are_judged_to_the_line() {
    let long = |lines: usize| "//! Text.\n".repeat(lines);
    assert!(reported("file lengths", "src/sys/a.rs", &long(FILE_LINES_MAX)).is_empty());
    assert_eq!(reported("file lengths", "tests/a.sh", &long(FILE_LINES_MAX + 1)).len(), 1);
    assert!(reported("file lengths", "src/sys/a.rs", &long(FILE_LINES_MIN)).is_empty());
    assert!(reported("file lengths", "src/sys/mod.rs", &long(1)).is_empty());
    let body = |lines: usize| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2));
    assert!(reported("function lengths", "a.rs", &body(FUNCTION_LINES_MAX)).is_empty());
    assert_eq!(reported("function lengths", "a.rs", &body(FUNCTION_LINES_MAX + 1)).len(), 1);
    let wide = |columns: usize| "é".repeat(columns);
    assert!(reported("line widths", "a.rs", &wide(COLUMNS_MAX)).is_empty());
    assert_eq!(reported("line widths", "a.rs", &wide(COLUMNS_MAX + 1)).len(), 1);
}

#[test]
fn a_missing_document_is_reported() {
    let mut tree = Tree::default();
    let all = rules::presence(&tree).len();
    tree.add("CHANGELOG.md", "");
    assert_eq!(rules::presence(&tree).len(), all - 1);
}

#[test]
fn modules_have_a_file_that_names_them() {
    let mut tree = Tree::default();
    for path in ["src/sys/epoll.rs", "src/cli.rs", "src/sys/process/tests.rs", "tests/it/chat.rs"] {
        tree.add(path, "//! Text.");
    }
    tree.add("src/lib.rs", "pub mod sys; mod cli;");
    tree.add("src/sys/mod.rs", "pub(crate) mod epoll; mod process;");
    tree.add("src/sys/process.rs", "#[cfg(test)] mod tests;");
    tree.add("tests/it/main.rs", "mod chat;");
    tree.add("tests/alone.rs", "");
    assert_eq!(rules::orphans(&tree), []);
    tree.add("src/sys/mod.rs", "mod epoll; // mod process;");
    assert_eq!(rules::orphans(&tree).len(), 1);
}

#[test]
fn use_trees_are_taken_apart() {
    let split = lexer::split("use a::{self, b::{c as d, e}, f::*};\nmod m { x::<Y>() }");
    let tokens = lexer::tokens(&split.code);
    let found = lexer::paths(&tokens);
    let joined: Vec<String> = found.iter().map(|path| path.segments.join("::")).collect();
    let wanted = ["use", "a::self", "a::b::c", "a::b::e", "a::f::*", "mod", "m", "x", "Y"];
    assert_eq!(joined, wanted);
    assert_eq!(found.last(), Some(&Path { segments: vec!["Y"], line: 2, inline_depth: 1 }));
}

#[test]
fn literals_and_comments_keep_their_places() {
    let source = "let a = \"x\\\"y\"; // \"z\nlet b = 'c'; /* d\n */ let e = 1;";
    let split = lexer::split(source);
    assert_eq!(split.code, "let a = \"    \";      \nlet b =    ;     \n    let e = 1;");
    assert_eq!(split.comments.trim(), "// \"z\n             /* d\n */");
}
