//! `Landing`: where a file comes down. Under its name it is either whole or absent.
//!
//! What it does not do: know where the bytes come from. Names come from the user alone, never from
//! a server. A process that is killed without warning (SIGKILL) leaves its temporary file behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::failure::Failure;

/// A file that is being written, beside its target.
pub(super) struct Landing {
    target: PathBuf,
    temporary: PathBuf,
    file: File,
    may_replace: bool,
}

impl Landing {
    /// Fails where `target` must not be written: something is there that may not be replaced, or
    /// that is no regular file.
    pub(super) fn check(target: &Path, may_replace: bool) -> Result<(), Failure> {
        let shown = target.display();
        match target.metadata() {
            Ok(found) if found.is_dir() => {
                Err(Failure::Failed(format!("{shown}: is a directory; name a file with -o")))
            }
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
        for count in 0_u32.. {
            // The dot keeps it out of listings, those of a server of this directory too.
            let name = format!(".landline-{}-{count}.part", std::process::id());
            let temporary = target.with_file_name(name);
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    let target = target.to_owned();
                    return Ok(Self { target, temporary, file, may_replace });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(local(target, &error)),
            }
        }
        Err(Failure::Failed(format!("{}: no temporary name is free", target.display())))
    }

    /// Appends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| local(&self.target, &error))
    }

    /// All of it came: it is synced, and gets its name.
    pub(super) fn finish(self) -> Result<(), Failure> {
        self.settle().map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&self.target),
            _ => local(&self.target, &error),
        })
    }

    fn settle(&self) -> io::Result<()> {
        self.file.sync_all()?;
        if self.may_replace {
            fs::rename(&self.temporary, &self.target)?;
        } else {
            self.name_without_replacing()?;
        }
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        // Some file systems cannot sync a folder; the file itself is safe.
        let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        Ok(())
    }

    /// A link never replaces (link(2), EEXIST), even what appeared since the check. The temporary
    /// name goes when this is dropped.
    fn name_without_replacing(&self) -> io::Result<()> {
        match fs::hard_link(&self.temporary, &self.target) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                // A file system without links: look, then rename.
                if self.target.symlink_metadata().is_ok() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                fs::rename(&self.temporary, &self.target)
            }
            linked => linked,
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        // After a rename it is not there any more.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn exists(target: &Path) -> Failure {
    Failure::Failed(format!("{}: exists already; -f replaces it", target.display()))
}

fn local(target: &Path, error: &io::Error) -> Failure {
    Failure::local(&target.display().to_string(), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> io::Result<Self> {
            let name = format!("landline-landing-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path)?;
            Ok(Self(path))
        }

        fn names(&self) -> io::Result<Vec<String>> {
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
