//! The house rules that one file, or the list of files, can break by itself.
//!
//! What it does not do: judge what the compiler, clippy and rustfmt judge, or the layers
//! (`layers`). Words that a rule looks for are put together here, so that it does not find itself.

use std::path::Path;

use crate::lexer::{self, is_word};
use crate::tree::{File, Kind, Offence, Tree};

/// Lines of a source file, at most.
pub(crate) const FILE_LINES_MAX: usize = 500;
/// Lines of a file in `src` that is more than a list of modules, at least.
pub(crate) const FILE_LINES_MIN: usize = 10;
/// Lines of a function with its signature, at most.
pub(crate) const FUNCTION_LINES_MAX: usize = 70;
/// Columns of a line, at most.
pub(crate) const COLUMNS_MAX: usize = 100;

/// Files that may sleep, and why no condition can be waited for instead.
const SLEEPERS: [(&str, &str); 4] = [
    ("tests/it/jobs.rs", "looks again and again whether grandchildren have ended"),
    ("tests/it/limits.rs", "says a byte now and then, which is what it tests"),
    ("tests/it/support/mod.rs", "looks again and again at what nothing announces"),
    ("tests/it/support/process.rs", "looks again and again whether a child has ended"),
];
/// The server's packages; there are no others.
const PACKAGES: [&str; 4] = ["argh", "libc", "memchr", "nix"];
/// Files without which the project is not whole.
const REQUIRED: [&str; 8] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "docs/ARCHITECTURE.md",
    "docs/PROTOCOL.md",
    "docs/RELIABILITY.md",
];
/// Folders of somebody's machine.
const MACHINE_FOLDERS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

/// `unsafe` stands below `src/sys` alone.
pub(crate) fn unsafety(tree: &Tree) -> Vec<Offence> {
    let outside = tree.of_kind(Kind::Rust).filter(|file| !file.path.starts_with("src/sys/"));
    words(outside, &[&["unsafe"]], "`unsafe` outside src/sys")
}

/// Source files are short, and no file of `src` is next to nothing.
pub(crate) fn file_lengths(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.files.values().filter(|file| file.kind != Kind::Other) {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            offences.push(file.offence(0, format!("{lines} lines, {FILE_LINES_MAX} is the end")));
        }
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let is_list = matches!(name, "lib.rs" | "main.rs" | "mod.rs");
        if lines < FILE_LINES_MIN && file.path.starts_with("src/") && !is_list {
            offences.push(file.offence(0, format!("{lines} lines are not worth a file")));
        }
    }
    offences
}

/// Functions are short.
pub(crate) fn function_lengths(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.of_kind(Kind::Rust) {
        for function in lexer::functions(&file.tokens()) {
            let lines = function.last_line - function.first_line + 1;
            if lines > FUNCTION_LINES_MAX {
                let what = format!("`fn {}` has {lines} lines", function.name);
                offences.push(file.offence(function.first_line, what));
            }
        }
    }
    offences
}

/// Lines are short.
pub(crate) fn line_widths(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.files.values().filter(|file| file.kind != Kind::Other) {
        for (index, line) in file.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                offences.push(file.offence(index + 1, format!("{columns} columns")));
            }
        }
    }
    offences
}

/// Each source opens with what it is.
pub(crate) fn openings(tree: &Tree) -> Vec<Offence> {
    let opens = |file: &File| match file.kind {
        Kind::Rust => file.text.starts_with("//! "),
        Kind::C => file.text.starts_with("/*") || file.text.starts_with("//"),
        Kind::Shell => file.text.lines().nth(1).is_some_and(|line| line.starts_with("# ")),
        Kind::Other => true,
    };
    let closed = tree.files.values().filter(|file| !opens(file));
    closed.map(|file| file.offence(1, "does not open with what it is")).collect()
}

/// Every source is a module of another one: what nobody names is not even compiled.
pub(crate) fn orphans(tree: &Tree) -> Vec<Offence> {
    const ROOTS: [&str; 3] = ["lib", "main", "mod"];
    let mut offences = Vec::new();
    for file in tree.of_kind(Kind::Rust) {
        let module = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
        let Some((folder, name)) = module.rsplit_once('/') else { continue };
        let is_crate = folder == "tests" || name == "lib" || name == "main";
        if is_crate || !file.path.starts_with("src/") && !file.path.starts_with("tests/") {
            continue;
        }
        let in_folder = ROOTS.iter().map(|root| format!("{folder}/{root}.rs"));
        let parents = in_folder.chain([format!("{folder}.rs")]);
        let is_named = parents.filter_map(|path| tree.files.get(&path)).any(|parent| {
            parent.tokens().windows(2).any(|pair| pair[0].text == "mod" && pair[1].text == name)
        });
        if !is_named {
            offences.push(file.offence(0, "is no module of any other file"));
        }
    }
    offences
}

/// Nothing is left for later: no notes to oneself, no stubs, no test that is passed over.
pub(crate) fn leftovers(tree: &Tree) -> Vec<Offence> {
    const NOTES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    const STUBS: [&[&str]; 4] =
        [&["todo", "!"], &["unimplemented", "!"], &["dbg", "!"], &["#", "[", "ignore"]];
    let mut offences = words(tree.of_kind(Kind::Rust), &STUBS, "left over");
    for file in tree.files.values() {
        for (index, line) in file.comments.lines().enumerate() {
            let mut in_line = line.split(|character| !is_word(character));
            if in_line.any(|word| NOTES.contains(&word)) {
                offences.push(file.offence(index + 1, "a note to oneself"));
            }
        }
    }
    offences
}

/// Conditions are waited for, time is not.
pub(crate) fn sleeps(tree: &Tree) -> Vec<Offence> {
    let wakeful = tree.of_kind(Kind::Rust).filter(|file| {
        let is_read = file.path.starts_with("src/") || file.path.starts_with("tests/");
        is_read && !SLEEPERS.iter().any(|(path, _)| *path == file.path)
    });
    words(wakeful, &[&["sleep", "("], &["thread", "::", "sleep"]], "a sleep instead of a condition")
}

/// `unwrap` says nothing of why it cannot fail.
pub(crate) fn unwraps(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.of_kind(Kind::Rust).filter(|file| file.path.starts_with("src/")) {
        let tokens = file.tokens();
        let kept = lexer::without_tests(&tokens);
        for call in kept.windows(3).filter(|w| w[0].text == "." && w[2].text == "(") {
            if call[1].text == "unwrap" {
                offences.push(file.offence(call[1].line, "`unwrap` outside tests"));
            }
        }
    }
    offences
}

/// A lint that is switched off has a reason, in the attribute or in a comment at it.
pub(crate) fn reasons(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.of_kind(Kind::Rust) {
        let tokens = file.tokens();
        for at in 2..tokens.len() {
            let before = |back: usize| at.checked_sub(back).map_or("", |index| tokens[index].text);
            let opens = before(2) == "#" || before(2) == "!" && before(3) == "#";
            if !opens || before(1) != "[" || !matches!(tokens[at].text, "allow" | "expect") {
                continue;
            }
            let attribute = &tokens[at..=lexer::item_end(&tokens, at)];
            let inside = attribute.iter().take_while(|token| token.text != "]");
            let line = tokens[at].line;
            let mut comments = file.comments.lines().skip(line.saturating_sub(2)).take(2);
            let is_explained = comments.any(|comment| !comment.trim().is_empty());
            if !is_explained && !inside.into_iter().any(|token| token.text == "reason") {
                offences.push(file.offence(line, "a lint is switched off without a reason"));
            }
        }
    }
    offences
}

/// Nothing names a folder of somebody's machine.
pub(crate) fn machine_paths(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.files.values() {
        for (index, line) in file.text.lines().enumerate() {
            for folder in MACHINE_FOLDERS {
                let is_absolute = |(at, _): (usize, &str)| {
                    let before = line[..at].chars().next_back();
                    !before.is_some_and(|c| is_word(c) || "-.})/".contains(c))
                };
                if line.match_indices(folder).any(is_absolute) {
                    offences
                        .push(file.offence(index + 1, format!("a path of a machine, {folder}")));
                }
            }
        }
    }
    offences
}

/// The server stands on four packages; every other is optional.
pub(crate) fn packages(tree: &Tree) -> Vec<Offence> {
    let Some(manifest) = tree.files.get("Cargo.toml") else { return Vec::new() };
    let mut needed: Vec<&str> = Vec::new();
    let mut section = "";
    for line in manifest.text.lines().map(str::trim_end) {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            // `[dependencies.NAME]` gives one package a table of its own.
            if let Some((_, name)) = section.split_once("dependencies.")
                && !section.contains("-dependencies.")
            {
                needed.push(name);
            }
        } else if let Some((name, value)) = line.split_once('=')
            && name.starts_with(is_word)
        {
            let is_optional = value.replace(' ', "").contains("optional=true");
            if section == "dependencies" || section.ends_with(".dependencies") {
                needed.extend((!is_optional).then(|| name.trim()));
            } else if section.contains("dependencies.") && name.trim() == "optional" {
                needed.pop();
            }
        }
    }
    needed.sort_unstable();
    if needed == PACKAGES {
        return Vec::new();
    }
    vec![manifest.offence(0, format!("needs {needed:?}, not {PACKAGES:?}"))]
}

/// Links of the documents lead to files that are there.
pub(crate) fn links(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    let is_document = |file: &&File| Path::new(&file.path).extension() == Some("md".as_ref());
    for file in tree.files.values().filter(is_document) {
        let mut is_fenced = false;
        for (index, line) in file.text.lines().enumerate() {
            is_fenced ^= line.trim_start().starts_with("```");
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            for target in targets.filter(|_| !is_fenced) {
                let place = target.split(['#', ' ']).next().unwrap_or_default();
                if !place.is_empty() && !place.contains(':') && !leads(tree, file, place) {
                    offences.push(file.offence(index + 1, format!("`{place}` is not there")));
                }
            }
        }
    }
    offences
}

/// A test that a document names, `file.rs::name` in code, is there: in `tests/it`, or below `src`.
pub(crate) fn proofs(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    let is_document = |file: &&File| Path::new(&file.path).extension() == Some("md".as_ref());
    for file in tree.files.values().filter(is_document) {
        for (index, line) in file.text.lines().enumerate() {
            let named = line.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::"));
            let is_source = |place: &str| Path::new(place).extension() == Some("rs".as_ref());
            for (place, name) in named.filter(|(place, _)| is_source(place)) {
                let is_unit = place.starts_with("src/");
                let path = if is_unit { place.to_owned() } else { format!("tests/it/{place}") };
                let head = format!("fn {name}(");
                if !tree.files.get(&path).is_some_and(|test| test.text.contains(&head)) {
                    let what = format!("there is no test `{place}::{name}`");
                    offences.push(file.offence(index + 1, what));
                }
            }
        }
    }
    offences
}

/// What the README quotes is what the benchmark's page says: landline's ratio, and the best of the
/// others in the same work.
pub(crate) fn figures(tree: &Tree) -> Vec<Offence> {
    let Some(readme) = tree.files.get("README.md") else { return Vec::new() };
    let results = tree.files.get("bench/RESULTS.md").map_or("", |file| &file.text);
    let mut offences = Vec::new();
    for (index, line) in readme.text.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", work, ours, others, ""] = cells[..]
            && ours.starts_with(|c: char| c.is_ascii_digit())
            && measured(results, work) != Some((ours, others.split(' ').next().unwrap_or("")))
        {
            offences.push(readme.offence(index + 1, format!("`{work}` was not measured so")));
        }
    }
    offences
}

/// The ratios of landline and of the best of the others in a work, in the benchmark's page.
fn measured<'a>(results: &'a str, work: &str) -> Option<(&'a str, &'a str)> {
    let ratio = |line: &'a str| line.split('|').nth(3)?.split_whitespace().next();
    let mut lines = results.lines();
    let ours = lines.find(|line| line.starts_with(&format!("| {work} | landline |")))?;
    let others = lines.take_while(|line| line.starts_with("|  |")).filter_map(ratio);
    Some((ratio(ours)?, others.max()?))
}

/// True where `place`, relative to the folder of `file`, is a file or a folder of the project.
fn leads(tree: &Tree, file: &File, place: &str) -> bool {
    let mut parts: Vec<&str> = file.path.split('/').collect();
    parts.pop();
    for part in place.split('/') {
        match part {
            ".." if parts.pop().is_none() => return false,
            "" | "." | ".." => {}
            name => parts.push(name),
        }
    }
    parts.is_empty() || tree.paths.contains(&parts.join("/"))
}

/// What every reader looks for is there.
pub(crate) fn presence(tree: &Tree) -> Vec<Offence> {
    let missing = REQUIRED.iter().filter(|path| !tree.paths.contains(**path));
    let offence =
        |path: &&str| Offence { path: (**path).to_owned(), line: 0, what: "is missing".to_owned() };
    missing.map(offence).collect()
}

/// Every place where one of `wanted`, each a run of tokens, stands in the code of `files`.
fn words<'a>(
    files: impl Iterator<Item = &'a File>,
    wanted: &[&[&str]],
    what: &str,
) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in files {
        let tokens = file.tokens();
        for at in 0..tokens.len() {
            let stands = |run: &&[&str]| {
                run.iter().enumerate().all(|(ahead, word)| {
                    tokens.get(at + ahead).is_some_and(|token| token.text == *word)
                })
            };
            if wanted.iter().any(stands) {
                let line = tokens[at].line;
                offences.push(file.offence(line, format!("{what}: `{}`", tokens[at].text)));
            }
        }
    }
    offences
}
