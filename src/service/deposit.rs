//! `Deposit`: a file that is being stored beneath the served root. Under its name it is either
//! whole or absent; until then it has a temporary one beside it, which is never listed or served.
//!
//! What it does not do: know where the bytes come from. All of it may block on a disk, and is for a
//! thread that may wait.
//!
//! Invariants:
//! 1. The temporary file is gone once the deposit is, unless the process is killed meanwhile.
//! 2. Without leave to replace, no file is ever replaced, whoever makes one at the same time.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::files::{Shelf, is_refused};
use crate::protocol::refusal::{Code, Refusal};
use crate::sys::beneath::{Kind, Open};
use crate::sys::errno;
use crate::sys::fd::{AsFd as _, OwnedFd};
use crate::sys::{place, process};

/// How temporary names begin.
const TEMPORARY_START: &[u8] = b".landline-";
/// How they end.
const TEMPORARY_END: &[u8] = b".part";

/// What is to be stored, and under which name.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The path below the served root.
    pub path: Vec<u8>,
    /// Whether a file of that name may be replaced.
    pub may_replace: bool,
    /// Whether names that begin with a dot are served.
    pub serves_hidden: bool,
}

/// A file that is being stored.
#[derive(Debug)]
pub struct Deposit {
    directory: OwnedFd,
    plan: Plan,
    temporary: Vec<u8>,
    file: OwnedFd,
    is_placed: bool,
}

/// Whether this is the name of a file that is being stored.
pub(super) fn is_temporary(name: &[u8]) -> bool {
    name.starts_with(TEMPORARY_START) && name.ends_with(TEMPORARY_END)
}

impl Deposit {
    /// Begins one: an empty file of a temporary name, where the plan can be met as things are.
    pub fn begin(shelf: &Shelf, plan: Plan) -> Result<Self, Refusal> {
        let (directory, name) = split(&plan.path);
        if is_refused(&plan.path, plan.serves_hidden) || name.is_empty() && directory.is_empty() {
            return Err(no_place(&plan.path));
        }
        if name.is_empty() {
            return Err(not_a_file(&plan.path));
        }
        let refuse = |error: io::Error| refusal_of(&error, &plan.path);
        let directory = shelf.root().open(directory, Open::Directory).map_err(refuse)?;
        match place::kind(directory.as_fd(), name).map_err(refuse)? {
            Some(Kind::Directory | Kind::Other) => return Err(not_a_file(&plan.path)),
            Some(Kind::File) if !plan.may_replace => return Err(exists(&plan.path)),
            Some(Kind::File) | None => {}
        }
        let (temporary, file) = create(&directory).map_err(refuse)?;
        Ok(Self { directory, plan, temporary, file, is_placed: false })
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        place::write_all(self.file.as_fd(), bytes)
            .map_err(|error| refusal_of(&error, &self.plan.path))
    }

    /// All of it came: it reaches the disk, and gets its name.
    pub fn place(mut self) -> Result<(), Refusal> {
        self.try_place().map_err(|error| refusal_of(&error, &self.plan.path))
    }

    fn try_place(&mut self) -> io::Result<()> {
        let (_, name) = split(&self.plan.path);
        let directory = self.directory.as_fd();
        place::sync_file(self.file.as_fd())?;
        if self.plan.may_replace {
            place::replace(directory, &self.temporary, name)?;
        } else {
            place::rename(directory, &self.temporary, name)?;
        }
        self.is_placed = true;
        // Some file systems cannot sync a directory; the file itself is safe.
        let _ = place::sync(directory);
        Ok(())
    }
}

impl Drop for Deposit {
    fn drop(&mut self) {
        if !self.is_placed {
            // Whoever removed it before has done what was to be done.
            let _ = place::remove(self.directory.as_fd(), &self.temporary);
        }
    }
}

/// A file of a temporary name that nobody has.
fn create(directory: &OwnedFd) -> io::Result<(Vec<u8>, OwnedFd)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let middle = format!("{}-{count}", process::id());
        let name = [TEMPORARY_START, middle.as_bytes(), TEMPORARY_END].concat();
        match place::create(directory.as_fd(), &name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return Ok((name, created?)),
        }
    }
}

/// The directory and the name in it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b'/', path) {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

fn no_place(path: &[u8]) -> Refusal {
    Refusal::quoting(Code::NoSuchFile, path, "there is no such place to store a file")
}

fn not_a_file(path: &[u8]) -> Refusal {
    Refusal::quoting(Code::NotAFile, path, "not a regular file")
}

fn exists(path: &[u8]) -> Refusal {
    Refusal::quoting(Code::Exists, path, "a file of that name is there already")
}

fn refusal_of(error: &io::Error, path: &[u8]) -> Refusal {
    match error.raw_os_error() {
        Some(errno::EEXIST) => exists(path),
        Some(errno::EISDIR) => not_a_file(path),
        Some(errno::EMFILE | errno::ENFILE | errno::ENOMEM) => {
            Refusal::new(Code::Busy, "too many open files: try again")
        }
        Some(errno::ENOSPC | errno::EDQUOT | errno::EFBIG) => {
            Refusal::quoting(Code::Internal, path, "there is no space left to store it")
        }
        Some(errno::EACCES | errno::EPERM | errno::EROFS) => {
            Refusal::quoting(Code::Internal, path, "the server may not write there")
        }
        Some(errno::EIO) => Refusal::quoting(Code::Internal, path, "the disk failed"),
        _ => no_place(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_directory_and_a_name() {
        for (path, directory, name) in
            [("a", "", "a"), ("a/b", "a", "b"), ("a/b/c", "a/b", "c"), ("a/", "a", "")]
        {
            assert_eq!(split(path.as_bytes()), (directory.as_bytes(), name.as_bytes()), "{path}");
        }
    }

    #[test]
    fn temporary_names_are_known() {
        assert!(is_temporary(b".landline-12-0.part"));
        assert!(!is_temporary(b".landline-12-0") && !is_temporary(b"landline-1.part"));
    }
}
