//! The house rules of `CONTRIBUTING.md` and `docs/ARCHITECTURE.md`, checked on the sources: layers,
//! lengths, what must not be there, what must.
//!
//! What it does not do: what rustfmt, clippy and the compiler do. Each rule is also given planted
//! offences that it has to report, and innocent texts that it must not (`tidy/planted.rs`).

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/planted.rs"]
mod planted;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/tree.rs"]
mod tree;

use std::fmt::Write as _;
use std::path::Path;

use tree::{Offence, Tree};

/// A rule and the name it is called by.
type Rule = (&'static str, fn(&Tree) -> Vec<Offence>);

const RULES: [Rule; 18] = [
    ("layers", layers::layers),
    ("purity", layers::purity),
    ("system access", layers::system_access),
    ("unsafety", rules::unsafety),
    ("file lengths", rules::file_lengths),
    ("function lengths", rules::function_lengths),
    ("line widths", rules::line_widths),
    ("openings", rules::openings),
    ("orphans", rules::orphans),
    ("leftovers", rules::leftovers),
    ("sleeps", rules::sleeps),
    ("unwraps", rules::unwraps),
    ("reasons", rules::reasons),
    ("machine paths", rules::machine_paths),
    ("packages", rules::packages),
    ("links", rules::links),
    ("proofs", rules::proofs),
    ("figures", rules::figures),
];

#[test]
fn the_project_keeps_its_rules() {
    let tree = Tree::read(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(tree.files.contains_key("src/lib.rs"), "the sources were not found");
    let mut report = String::new();
    for (name, rule) in RULES {
        for offence in rule(&tree) {
            writeln!(report, "{offence} [{name}]").expect("a String takes all that is written");
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn the_project_is_whole() {
    let missing = rules::presence(&Tree::read(Path::new(env!("CARGO_MANIFEST_DIR"))));
    assert!(missing.is_empty(), "{missing:?}");
}
