//! Replays the corpus of the fuzzers (`fuzz/corpus`): what they found once holds in every run.

use std::fs;
use std::path::Path;

use crate::targets;

/// Files kept of one target, at most: enough for its coverage, few enough to be replayed always.
const FILES_MAX: usize = 200;
/// Bytes of one file, at most.
const FILE_BYTES_MAX: usize = 1024;

#[test]
fn what_the_fuzzers_kept_holds() {
    for (name, _) in targets::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let entries = fs::read_dir(&folder).expect("each target has a corpus");
        let mut paths: Vec<_> =
            entries.map(|entry| entry.expect("the folder is readable").path()).collect();
        paths.sort();
        assert!(!paths.is_empty() && paths.len() <= FILES_MAX, "{name}: {}", paths.len());
        for path in paths {
            let input = fs::read(&path).expect("a file of the corpus is readable");
            assert!(input.len() <= FILE_BYTES_MAX, "{}", path.display());
            // The last one that is named is the one that failed.
            println!("{}", path.display());
            targets::run(name, &input);
        }
    }
}
