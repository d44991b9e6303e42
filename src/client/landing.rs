//! `Landing`: where a file comes down. Under its name it is either whole or absent.
//!
//! What it does not do: know where the bytes come from, or keep what is not whole (`part`). Names
//! come from the user alone, never from a server. A process that is killed without warning
//! (SIGKILL) leaves its temporary file behind.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::failure::Failure;
use crate::sys::place;

/// The place of a file: the directory it is to be in, held open, and its name there.
pub(super) struct Target {
    path: PathBuf,
    directory: File,
    may_replace: bool,
}

impl Target {
    /// Fails where there is no such directory.
    pub(super) fn open(path: &Path, may_replace: bool) -> Result<Self, Failure> {
        let directory = open_directory(path).map_err(|error| failure(path, &error))?;
        Ok(Self { path: path.to_owned(), directory, may_replace })
    }

    /// As it is told.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory.
    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// The file's name in the directory.
    pub(super) fn name(&self) -> &[u8] {
        self.path.file_name().unwrap_or(OsStr::new("")).as_bytes()
    }

    /// A new file of a temporary name, and that name. The dot keeps it out of listings, and a
    /// server of this directory never shows a name of this form.
    pub(super) fn temporary(&self) -> io::Result<(Vec<u8>, File)> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!(".landline-{}-{count}.part", std::process::id()).into_bytes();
            match place::create(self.directory(), &name, None) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return Ok((name, File::from(created?))),
            }
        }
    }

    /// What is called `temporary`, and is whole, gets its name. It reaches the disk first, and its
    /// name after it.
    pub(super) fn take(&self, temporary: &[u8], file: &File) -> Result<(), Failure> {
        self.try_take(temporary, file).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&self.path),
            _ => self.failure(&error),
        })
    }

    fn try_take(&self, temporary: &[u8], file: &File) -> io::Result<()> {
        let (directory, name) = (self.directory(), self.name());
        file.sync_all()?;
        if self.may_replace {
            place::replace(directory, temporary, name)?;
        } else {
            self.take_free_name(temporary)?;
        }
        // Some file systems cannot sync a directory; the file itself is safe.
        let _ = place::sync(directory);
        Ok(())
    }

    /// Nothing is ever replaced, even what appeared since it was looked for.
    fn take_free_name(&self, temporary: &[u8]) -> io::Result<()> {
        let (directory, name) = (self.directory(), self.name());
        match place::rename(directory, temporary, name) {
            // A file system that knows neither way to be sure: look, then rename.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                if place::kind(directory, name)?.is_some() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                place::replace(directory, temporary, name)
            }
            renamed => renamed,
        }
    }

    /// Something of the system's about this file.
    pub(super) fn failure(&self, error: &io::Error) -> Failure {
        failure(&self.path, error)
    }
}

/// A directory may be written and not read; then its names alone cannot be made to reach the disk.
fn open_directory(path: &Path) -> io::Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let open = |flags| OpenOptions::new().read(true).custom_flags(flags).open(folder);
    match open(libc::O_DIRECTORY) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open(libc::O_DIRECTORY | libc::O_PATH)
        }
        opened => opened,
    }
}

/// A file that is being written, beside its target.
pub(super) struct Landing {
    target: Target,
    temporary: Vec<u8>,
    file: File,
}

impl Landing {
    /// Fails where `target` must not be written: something is there that may not be replaced, or
    /// that is no regular file.
    pub(super) fn check(target: &Path, may_replace: bool) -> Result<(), Failure> {
        let shown = target.display();
        match target.metadata() {
            Ok(found) if found.is_dir() => Err(Failure::Failed(format!(
                "{shown}: is a directory; name a file with -o, or write -o {shown}/"
            ))),
            Ok(found) if !found.is_file() => Err(Failure::Failed(format!(
                "{shown}: is no regular file; use -o - and redirect it there"
            ))),
            Ok(_) if !may_replace => Err(exists(target)),
            Err(_) if target.is_symlink() && !may_replace => Err(exists(target)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Begins to write what will become `target`.
    pub(super) fn begin(target: &Path, may_replace: bool) -> Result<Self, Failure> {
        Self::check(target, may_replace)?;
        let target = Target::open(target, may_replace)?;
        let (temporary, file) = target.temporary().map_err(|error| target.failure(&error))?;
        Ok(Self { target, temporary, file })
    }

    /// Appends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| self.target.failure(&error))
    }

    /// All of it came: it is synced, and gets its name.
    pub(super) fn finish(self) -> Result<(), Failure> {
        self.target.take(&self.temporary, &self.file)
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        // After it got its name it is not there any more.
        let _ = place::remove(self.target.directory(), &self.temporary);
    }
}

/// There is something in the way.
pub(super) fn exists(target: &Path) -> Failure {
    Failure::Failed(format!("{}: exists already; -f replaces it", target.display()))
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::local(&path.display().to_string(), error)
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;

    /// A directory of one test's own, gone with it.
    pub(in crate::client) struct Folder(pub(in crate::client) PathBuf);

    impl Folder {
        pub(in crate::client) fn new(name: &str) -> io::Result<Self> {
            let name = format!("landline-landing-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path)?;
            Ok(Self(path))
        }

        pub(in crate::client) fn names(&self) -> io::Result<Vec<String>> {
            let names = fs::read_dir(&self.0)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            let mut names = names.collect::<io::Result<Vec<_>>>()?;
            names.sort();
            Ok(names)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _left_behind_at_worst = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_whole_or_absent() -> io::Result<()> {
        let folder = Folder::new("whole")?;
        let target = folder.0.join("target");
        let mut landing = Landing::begin(&target, false).expect("the folder is empty");
        landing.write(b"half").expect("there is room");
        assert!(!target.exists());
        drop(landing);
        assert_eq!(folder.names()?, [""; 0]);
        let mut landing = Landing::begin(&target, false).expect("the folder is empty");
        landing.write(b"whole").expect("there is room");
        landing.finish().expect("nothing is in its way");
        assert_eq!(folder.names()?, ["target"]);
        assert_eq!(fs::read(&target)?, b"whole");
        Ok(())
    }

    #[test]
    fn what_exists_is_replaced_only_where_that_is_allowed() -> io::Result<()> {
        let folder = Folder::new("exists")?;
        let target = folder.0.join("target");
        let late = Landing::begin(&target, false).expect("nothing is there yet");
        fs::write(&target, "old")?;
        assert_eq!(late.finish(), Err(exists(&target)));
        assert_eq!(Landing::begin(&target, false).map(|_| ()), Err(exists(&target)));
        assert_eq!(fs::read(&target)?, b"old");
        let mut landing = Landing::begin(&target, true).expect("it may be replaced");
        landing.write(b"new").expect("there is room");
        landing.finish().expect("it may be replaced");
        assert_eq!(fs::read(&target)?, b"new");
        assert_eq!(folder.names()?, ["target"]);
        Ok(())
    }

    #[test]
    fn only_regular_files_are_ever_replaced() {
        for target in ["/dev/null", "/dev"] {
            assert!(Landing::check(Path::new(target), true).is_err(), "{target}");
        }
    }
}
