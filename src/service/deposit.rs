//! `Deposit`: a file that is being stored beneath the served root. Under its name it is either
//! whole or absent; until then it has a temporary one beside it, which is never listed or served.
//!
//! All of it may block on a disk, and is for a thread that may wait.
//!
//! Invariants:
//! 1. The temporary file is gone once the deposit is. If the process is killed meanwhile, the next
//!    start sweeps it away (`sweep`).
//! 2. Without leave to replace, no file is ever replaced, whoever makes one at the same time.
//! 3. A file that replaces another has its mode, and its owner as far as the server may give that;
//!    until then it lets nobody read what the other one would not.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fault::{Fault, is_absent, shortage};
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

/// Whether this is such a name as `create` gives.
pub(super) fn is_own_temporary(name: &[u8]) -> bool {
    let middle = name.strip_prefix(TEMPORARY_START).and_then(|it| it.strip_suffix(TEMPORARY_END));
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let mut parts = middle.into_iter().flat_map(|middle| middle.split(|byte| *byte == b'-'));
    parts.next().is_some_and(is_number)
        && parts.next().is_some_and(is_number)
        && parts.next().is_none()
}

impl Deposit {
    /// Begins one: an empty file of a temporary name, where the plan can be met as things are.
    pub fn begin(shelf: &Shelf, plan: Plan) -> Result<Self, Fault> {
        let (directory, name) = split(&plan.path);
        if is_refused(&plan.path, plan.serves_hidden) || name.is_empty() && directory.is_empty() {
            return Err(no_place(&plan.path).into());
        }
        if name.is_empty() {
            return Err(not_a_file(&plan.path).into());
        }
        let find = |error: io::Error| {
            let is_absent = is_absent(&error);
            if is_absent { no_place(&plan.path).into() } else { fault_of(error, &plan.path) }
        };
        let directory = shelf.root().open(directory, Open::Directory).map_err(find)?;
        match place::kind(directory.as_fd(), name).map_err(find)? {
            Some(Kind::Directory | Kind::Other) => return Err(not_a_file(&plan.path).into()),
            Some(Kind::File) if !plan.may_replace => return Err(exists(&plan.path).into()),
            Some(Kind::File) | None => {}
        }
        let access = place::access(directory.as_fd(), name).map_err(find)?;
        let created = create(&directory, access.map(|access| access.mode));
        let (temporary, file) = created.map_err(|error| fault_of(error, &plan.path))?;
        Ok(Self { directory, plan, temporary, file, is_placed: false })
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        place::write_all(self.file.as_fd(), bytes).map_err(|error| fault_of(error, &self.plan.path))
    }

    /// All of it came: it reaches the disk, and gets its name.
    pub fn place(mut self) -> Result<(), Fault> {
        let (_, name) = split(&self.plan.path);
        let directory = self.directory.as_fd();
        let fault = |error: io::Error| fault_of(error, &self.plan.path);
        if self.plan.may_replace {
            if place::kind(directory, name).map_err(fault)? == Some(Kind::Other) {
                return Err(not_a_file(&self.plan.path).into());
            }
            if let Some(access) = place::access(directory, name).map_err(fault)? {
                place::set_access(self.file.as_fd(), &access).map_err(fault)?;
            }
        }
        place::sync_file(self.file.as_fd()).map_err(fault)?;
        let named = if self.plan.may_replace {
            place::replace(directory, &self.temporary, name)
        } else {
            place::rename(directory, &self.temporary, name)
        };
        named.map_err(fault)?;
        self.is_placed = true;
        match place::sync(directory) {
            // Some file systems cannot sync a directory.
            Err(error) if !matches!(error.raw_os_error(), Some(errno::EINVAL | errno::ENOSYS)) => {
                let text = "it is stored, but may be lost if the machine fails now";
                Err(Fault::internal(error, &self.plan.path, text))
            }
            _ => Ok(()),
        }
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

/// A file of a temporary name that nobody has. `mode`: of what it is to replace.
fn create(directory: &OwnedFd, mode: Option<u32>) -> io::Result<(Vec<u8>, OwnedFd)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let middle = format!("{}-{count}", process::id());
        let name = [TEMPORARY_START, middle.as_bytes(), TEMPORARY_END].concat();
        match place::create(directory.as_fd(), &name, mode) {
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

fn fault_of(error: io::Error, path: &[u8]) -> Fault {
    if let Some(refusal) = shortage(&error) {
        return refusal.into();
    }
    let text = match error.raw_os_error() {
        Some(errno::EEXIST) => return exists(path).into(),
        Some(errno::EISDIR) => return not_a_file(path).into(),
        // The directory was removed.
        Some(errno::ENOENT) => return no_place(path).into(),
        Some(errno::ENOSPC | errno::EDQUOT | errno::EFBIG) => "there is no space left to store it",
        Some(errno::EACCES | errno::EPERM | errno::EROFS) => "the server may not write there",
        Some(errno::EIO) => "the disk failed",
        _ => "it cannot be stored",
    };
    Fault::internal(error, path, text)
}

#[cfg(test)]
mod tests {
    use super::super::sweep::sweep;
    use super::*;
    use crate::sys::scratch::{Scratch, deny_fsync};
    use crate::sys::thread;

    #[test]
    fn a_path_is_a_directory_and_a_name() {
        for (path, directory, name) in
            [("a", "", "a"), ("a/b", "a", "b"), ("a/b/c", "a/b", "c"), ("a/", "a", "")]
        {
            assert_eq!(split(path.as_bytes()), (directory.as_bytes(), name.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_file_has_no_name_before_it_reached_the_disk() -> io::Result<()> {
        for may_replace in [false, true] {
            let root = Scratch::new()?;
            let shelf = Shelf::open(root.path())?;
            let plan = Plan { path: b"f".to_vec(), may_replace, serves_hidden: false };
            let tried = thread::spawn("syncs", move || {
                let mut deposit = Deposit::begin(&shelf, plan).map_err(|fault| fault.refusal)?;
                deposit.write(b"text").map_err(|fault| fault.refusal)?;
                deny_fsync(errno::EIO).expect("a filter is taken");
                let placed = deposit.place().map_err(|fault| fault.cause);
                Ok::<_, Refusal>((placed, shelf))
            })?;
            let (placed, shelf) = tried.join().expect("it does not panic").expect("it is begun");
            let cause = placed.expect_err("it is not on the disk").and_then(|it| it.raw_os_error());
            assert_eq!(cause, Some(errno::EIO));
            let directory = shelf.root().open(b"", Open::Directory)?;
            let mut names = Vec::new();
            place::names(directory.as_fd(), &mut |name, _| {
                names.push(name.to_owned());
                true
            })?;
            assert_eq!(
                names,
                [] as [std::ffi::CString; 0],
                "neither that name nor a temporary one"
            );
        }
        Ok(())
    }

    #[test]
    fn what_a_lost_writer_left_is_swept_and_nothing_else() -> io::Result<()> {
        let root = Scratch::new()?;
        for name in [".landline-1-0.part", ".landline-x.part", ".landline-data-1.part", "f.part"] {
            root.write(name, b"")?;
        }
        let shelf = Shelf::open(root.path())?;
        let plan = Plan { path: b"f".to_vec(), may_replace: true, serves_hidden: false };
        let deposit = Deposit::begin(&shelf, plan).expect("it is begun");
        assert_eq!(sweep(&shelf), 1);
        deposit.place().expect("it is there still");
        assert_eq!(sweep(&shelf), 0);
        for name in [".landline-x.part", ".landline-data-1.part", "f.part", "f"] {
            root.open(name)?;
        }
        Ok(())
    }

    #[test]
    fn temporary_names_are_known() {
        assert!(is_own_temporary(b".landline-12-0.part"));
        for name in ["data-1", "1", "1-", "-1", "1-2-3", "1-2x", "upload-1-2"] {
            assert!(!is_own_temporary(format!(".landline-{name}.part").as_bytes()), "{name}");
        }
        assert!(is_temporary(b".landline-12-0.part"));
        assert!(!is_temporary(b".landline-12-0") && !is_temporary(b"landline-1.part"));
    }
}
