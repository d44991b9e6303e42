//! Who may know whom: the layers of `docs/ARCHITECTURE.md`, read off the paths in the sources.
//!
//! What it does not do: see through macros or re-exports; a name that reaches a file without its
//! path is not noticed.

use crate::lexer::{self, Path};
use crate::tree::{File, Kind, Offence, Tree};

/// The layers, lowest first. Those that share a rank do not know each other.
const LAYERS: [(&str, u8); 9] = [
    ("sys", 0),
    ("protocol", 0),
    ("transfer", 1),
    ("reactor", 1),
    ("service", 2),
    ("server", 3),
    ("client", 3),
    ("cli", 4),
    ("main", 5),
];

/// Lower layers that one is not to know all the same: jobs know nothing of epoll.
const STRANGERS: [(&str, &str); 1] = [("service", "reactor")];

/// What `protocol` must not name, being pure: no descriptor, no clock, no threads.
const IMPURE: [&[&str]; 7] = [
    &["std", "net"],
    &["std", "os"],
    &["std", "thread"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["nix"],
    &["libc"],
];

/// The layers that reach the operating system through `sys` only.
const THROUGH_SYS: [&str; 5] = ["protocol", "transfer", "reactor", "service", "server"];

/// What they must not name, because it reaches the operating system by itself.
const SYSTEM_PATHS: [&[&str]; 21] = [
    &["std", "os"],
    &["std", "fs"],
    &["std", "env"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["std", "net", "TcpListener"],
    &["std", "net", "TcpStream"],
    &["std", "net", "UdpSocket"],
    &["std", "net", "ToSocketAddrs"],
    &["std", "io", "stdin"],
    &["std", "io", "stdout"],
    &["std", "io", "stderr"],
    &["std", "sync", "Mutex"],
    &["std", "sync", "MutexGuard"],
    &["std", "sync", "Condvar"],
    &["std", "sync", "RwLock"],
    &["std", "sync", "Barrier"],
    &["nix"],
    &["libc"],
];

/// The operating system is named in `sys` only, in unit tests too.
pub(crate) fn system_access(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    let is_held = |file: &&File| layer(file).is_some_and(|own| THROUGH_SYS.contains(&own));
    for file in sources(tree).filter(is_held) {
        let tokens = file.tokens();
        for path in lexer::paths(&tokens) {
            if is_system_path(&path, &tokens) {
                let named = path.segments.join("::");
                let why = format!("only `sys` reaches the operating system: `{named}`");
                offences.push(file.offence(path.line, why));
            }
        }
    }
    offences
}

/// Whether a path is one of `SYSTEM_PATHS`, in full or from the module that was imported: `use
/// std::net;` and then `net::TcpStream`. A `*` may stand for anything in its module.
fn is_system_path(path: &Path<'_>, tokens: &[lexer::Token<'_>]) -> bool {
    let segments = &path.segments;
    SYSTEM_PATHS.iter().any(|named| match named {
        [name] => segments[0] == *name && (segments.len() > 1 || is_imported(path, tokens)),
        [_, module @ .., last] => {
            let is_star = segments
                .split_last()
                .is_some_and(|(star, before)| *star == "*" && *before == named[..named.len() - 1]);
            let is_through_module = !module.is_empty() && segments.starts_with(&[module[0], *last]);
            segments.starts_with(named) || is_through_module || is_star
        }
        [] => false,
    })
}

/// A file names only its own layer's folder or lower ones.
pub(crate) fn layers(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in sources(tree) {
        let Some(own) = layer(file) else { continue };
        if rank(own).is_none() {
            offences.push(file.offence(0, format!("`{own}` is no layer")));
            continue;
        }
        let tokens = file.tokens();
        for path in lexer::paths(&tokens) {
            if let Some(other) = layer_named(file, &path)
                && let Some(why) = breach(own, other)
            {
                offences.push(file.offence(path.line, why));
            }
        }
    }
    offences
}

/// `protocol` is pure.
pub(crate) fn purity(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in sources(tree).filter(|file| layer(file) == Some("protocol")) {
        let tokens = file.tokens();
        for path in lexer::paths(&tokens) {
            let clock = path.segments.iter().any(|word| matches!(*word, "Instant" | "SystemTime"));
            let impure = IMPURE.iter().any(|named| path.segments.starts_with(named));
            // A lone `nix` may be any word; a path into it, or the word after `use`, is the crate.
            if clock || impure && (path.segments.len() > 1 || is_imported(&path, &tokens)) {
                let named = path.segments.join("::");
                offences.push(file.offence(path.line, format!("protocol is pure: `{named}`")));
            }
        }
    }
    offences
}

fn is_imported(path: &Path<'_>, tokens: &[lexer::Token<'_>]) -> bool {
    tokens.windows(2).any(|pair| {
        pair[0].text == "use" && pair[1].line == path.line && pair[1].text == path.segments[0]
    })
}

fn sources(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.of_kind(Kind::Rust).filter(|file| file.path.starts_with("src/"))
}

/// The layer a file belongs to; none for the crate's root, which names them all.
fn layer(file: &File) -> Option<&str> {
    let inside = file.path.strip_prefix("src/")?;
    let first = inside.split('/').next()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib").then_some(name)
}

fn rank(layer: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == layer).map(|(_, rank)| *rank)
}

/// The child of the crate's root that a path goes through, where it goes up to the root at all.
fn layer_named<'a>(file: &File, path: &Path<'a>) -> Option<&'a str> {
    let segments = &path.segments;
    if segments.first() == Some(&"crate") {
        return segments.get(1).copied();
    }
    let first_up = usize::from(segments.first() == Some(&"self"));
    let ups = segments.iter().skip(first_up).take_while(|word| **word == "super").count();
    let depth = module_depth(&file.path) + path.inline_depth;
    (ups > 0 && ups >= depth).then(|| segments.get(first_up + ups).copied()).flatten()
}

/// How many modules deep a file is: 1 for `src/cli.rs` and `src/sys/mod.rs`, 2 for `src/sys/x.rs`.
fn module_depth(path: &str) -> usize {
    let names = path.strip_prefix("src/").unwrap_or(path).split('/').count();
    if path.ends_with("/mod.rs") { names - 1 } else { names }
}

/// Why a file of layer `own` must not name `other`, if it must not.
fn breach(own: &str, other: &str) -> Option<String> {
    let Some((own_rank, other_rank)) = rank(own).zip(rank(other)) else {
        return Some(format!("`crate::{other}` is no layer: name the layer's folder"));
    };
    if own == other {
        return None;
    }
    if STRANGERS.contains(&(own, other)) {
        return Some(format!("`{own}` is to know nothing of `{other}`"));
    }
    match own_rank.cmp(&other_rank) {
        std::cmp::Ordering::Greater => None,
        std::cmp::Ordering::Equal => Some(format!("`{own}` and `{other}` are of one rank")),
        std::cmp::Ordering::Less => Some(format!("`{other}` lies above `{own}`")),
    }
}
