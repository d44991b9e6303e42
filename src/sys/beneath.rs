//! Opening what lies beneath a directory, and nothing else, whatever links and `..` say.
//!
//! What it does not do: refuse hidden names, or tell kinds of files apart before opening them. What
//! leaves the root is EXDEV (or ELOOP, for a magic link of proc(5)).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use super::{retry, walk};

/// For what a path is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// To read a file. Opening never waits, not for a FIFO's writer either.
    File,
    /// As `File`, but only if no step of the path needs the disk: EAGAIN otherwise, and always
    /// where the kernel (before 5.12) cannot promise it.
    FileCached,
    /// To list a directory; ENOTDIR for anything else.
    Directory,
    /// To ask for its metadata alone (`O_PATH`): nothing is opened, not even a device.
    Status,
}

impl Open {
    pub(super) fn flags(self) -> OFlag {
        OFlag::O_CLOEXEC
            | match self {
                Self::File | Self::FileCached => {
                    OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY
                }
                Self::Directory => OFlag::O_RDONLY | OFlag::O_DIRECTORY,
                Self::Status => OFlag::O_PATH,
            }
    }

    fn resolution(self) -> OpenHow {
        let mut resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        if self == Self::FileCached {
            resolve |= ResolveFlag::from_bits_retain(libc::RESOLVE_CACHED);
        }
        OpenHow::new().flags(self.flags()).resolve(resolve)
    }
}

/// A directory beneath which paths are opened.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// Opens the directory itself (open(2)); `path` may lead anywhere. ENOTDIR: it is none.
    pub fn at(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(retry(|| open(path, flags, Mode::empty()))?))
    }

    /// Opens `path`, relative to the root; the empty path is the root itself. Symbolic links are
    /// followed for as long as they stay beneath it (openat2(2), `RESOLVE_BENEATH` and
    /// `RESOLVE_NO_MAGICLINKS`).
    ///
    /// EXDEV: it leaves the root, by `..`, by being absolute or by a link; ENOENT: there is none,
    /// or the path holds a NUL; ENXIO: a socket, or a device without a driver; ELOOP, ENOTDIR,
    /// EACCES, ENAMETOOLONG: `path_resolution(7)`. May block on a disk, unless `how` is
    /// `FileCached`.
    pub fn open(&self, path: &[u8], how: Open) -> io::Result<OwnedFd> {
        if path.contains(&0) {
            return Err(Errno::ENOENT.into());
        }
        let path = if path.is_empty() { b"." } else { path };
        let walk = || walk::open(self.0.as_fd(), path, how.flags());
        match retry(|| openat2(&self.0, path, how.resolution())) {
            Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                // EPERM: a seccomp filter older than the call (seccomp(2)) says so.
                Errno::ENOSYS | Errno::EPERM | Errno::EINVAL if how == Open::FileCached => {
                    Err(Errno::EAGAIN.into())
                }
                // EAGAIN: something was renamed while the kernel followed a `..`; the walker needs
                // no such luck.
                Errno::ENOSYS | Errno::EPERM => walk(),
                Errno::EAGAIN if how != Open::FileCached => walk(),
                _ => Err(error),
            },
            opened => opened,
        }
    }
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A FIFO, socket, device or symbolic link.
    Other,
}

/// What is known of a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Its size in bytes; of meaning for a regular file alone.
    pub bytes: u64,
    /// When its content last changed, in seconds since 1970 UTC.
    pub mtime_s: i64,
}

/// The type bits of a mode (inode(7)).
pub(super) fn format(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

impl Metadata {
    fn from_os(stat: &FileStat) -> Self {
        let kind = match format(stat) {
            SFlag::S_IFREG => Kind::File,
            SFlag::S_IFDIR => Kind::Directory,
            _ => Kind::Other,
        };
        Self { kind, bytes: u64::try_from(stat.st_size).unwrap_or(0), mtime_s: stat.st_mtime }
    }
}

/// Of an open file, however it was opened (fstat(2)).
pub fn metadata(fd: BorrowedFd<'_>) -> io::Result<Metadata> {
    Ok(Metadata::from_os(&fstat(fd)?))
}

/// Entries that are told before others may have the processor.
const ENTRIES_AT_ONCE: usize = 64;

/// Tells the name of each entry of `directory` but `.` and `..`, in no order (readdir(3)), with the
/// entry's own metadata (fstatat(2), `AT_SYMLINK_NOFOLLOW`), or `None` for a symbolic link. One
/// that went while it was being listed, or of which nothing can be known (EACCES, EIO), is left
/// out. May block on a disk; lets others have the processor now and then.
pub fn list(
    directory: OwnedFd,
    on_entry: &mut dyn FnMut(&[u8], Option<Metadata>),
) -> io::Result<()> {
    let parent = directory.try_clone()?;
    let mut entries = Dir::from_fd(directory)?;
    for (number, entry) in entries.iter().enumerate() {
        if number % ENTRIES_AT_ONCE == 0 {
            thread::yield_now();
        }
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if let Ok(stat) = retry(|| fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)) {
            let is_link = format(&stat) == SFlag::S_IFLNK;
            on_entry(name.to_bytes(), (!is_link).then(|| Metadata::from_os(&stat)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::scratch::tree;
    use super::*;

    #[test]
    fn directories_are_opened_to_be_listed_and_files_are_not() -> io::Result<()> {
        let (_scratch, served) = tree()?;
        let root = Root::at(&served)?;
        let names = |path: &[u8]| {
            let mut names = Vec::new();
            list(root.open(path, Open::Directory)?, &mut |name, metadata| {
                let kind = metadata.map(|metadata| metadata.kind);
                names.push((String::from_utf8_lossy(name).into_owned(), kind));
            })?;
            names.sort_by(|a, b| a.0.cmp(&b.0));
            io::Result::Ok(names)
        };
        let entry = |name: &str, kind| (name.to_owned(), kind);
        let inside = [
            entry("deep", Some(Kind::Directory)),
            entry("inner", Some(Kind::File)),
            entry("up", None),
        ];
        assert_eq!(names(b"dirlink")?, inside);
        let all = names(b"")?;
        assert!(all.contains(&entry("fifo", Some(Kind::Other))));
        assert!(all.contains(&entry("socket", Some(Kind::Other))));
        assert_eq!(names(b"dir/deep")?, []);
        for path in ["file", "fifo", "socket"] {
            let error = names(path.as_bytes()).map_err(|error| error.kind());
            assert_eq!(error, Err(io::ErrorKind::NotADirectory), "{path}");
        }
        Ok(())
    }

    #[test]
    fn metadata_needs_no_more_than_a_path() -> io::Result<()> {
        let (_scratch, served) = tree()?;
        let root = Root::at(&served)?;
        let of = |path: &str| metadata(root.open(path.as_bytes(), Open::Status)?.as_fd());
        let file = File::options().write(true).open(served.join("file"))?;
        let at = UNIX_EPOCH + Duration::from_secs(1_608_235_613);
        file.set_modified(at)?;
        let expected = Metadata { kind: Kind::File, bytes: 4, mtime_s: 1_608_235_613 };
        assert_eq!(of("link")?, expected);
        assert_eq!(of("")?.kind, Kind::Directory);
        assert_eq!(of("fifo")?.kind, Kind::Other);
        assert_eq!(of("socket")?.kind, Kind::Other);
        let mut listed = None;
        list(root.open(b"", Open::Directory)?, &mut |name, metadata| {
            if name == b"file" {
                listed = metadata;
            }
        })?;
        assert_eq!(listed, Some(expected));
        Ok(())
    }

    #[test]
    fn a_path_is_cached_once_it_was_used() -> io::Result<()> {
        let (_scratch, served) = tree()?;
        let root = Root::at(&served)?;
        root.open(b"dir/inner", Open::File)?;
        let mut text = String::new();
        File::from(root.open(b"dir/inner", Open::FileCached)?).read_to_string(&mut text)?;
        assert_eq!(text, "inner");
        let unknown = root.open(b"never-looked-for", Open::FileCached).map(|_| ());
        let unknown = unknown.map_err(|error| error.kind());
        assert_eq!(unknown, Err(io::ErrorKind::WouldBlock));
        Ok(())
    }
}
