//! Sweeping: a server that was killed leaves the temporary files of its uploads behind. The next
//! one removes them.
//!
//! A temporary file is locked (flock(2)) while it is written, so that one of a living writer, be it
//! another server on the same root, is left alone. Files without any name (`O_TMPFILE`) would need
//! no sweeping, but cannot replace a file, and many file systems do not have them.

use std::collections::VecDeque;

use super::deposit::is_own_temporary;
use super::files::Shelf;
use crate::sys::beneath::Open;
use crate::sys::fd::AsFd as _;
use crate::sys::{place, thread};

/// Names looked at in one sweep: a tree may be without end.
const NAMES_MAX: usize = 1_000_000;
/// Directories that may wait to be looked into, so that memory is bounded.
const DIRECTORIES_MAX: usize = 64 * 1024;
/// Names looked at before others may have the processor.
const NAMES_AT_ONCE: usize = 256;

/// Removes what dead writers left beneath the root, those near the root first; how many files.
/// Waits for disks, and for a tree of a million names long. What cannot be read or removed is left.
pub fn sweep(shelf: &Shelf) -> usize {
    let mut waiting = VecDeque::from([Vec::new()]);
    let (mut seen, mut removed) = (0, 0);
    while let Some(path) = waiting.pop_front() {
        let Ok(directory) = shelf.root().open(&path, Open::Directory) else { continue };
        let directory = directory.as_fd();
        let _what_was_read_is_swept = place::names(directory, &mut |name, is_directory| {
            seen += 1;
            if seen % NAMES_AT_ONCE == 0 {
                thread::yield_now();
            }
            if is_directory && waiting.len() < DIRECTORIES_MAX {
                waiting.push_back(below(&path, name.to_bytes()));
            } else if is_own_temporary(name.to_bytes()) {
                removed += usize::from(place::sweep(directory, name).unwrap_or(false));
            }
            seen < NAMES_MAX
        });
        if seen >= NAMES_MAX {
            break;
        }
    }
    removed
}

fn below(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}
