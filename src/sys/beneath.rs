//! Opening what lies beneath a directory, and nothing else, whatever links and `..` say.
//!
//! Only regular files and directories are ever opened. What leaves the root is EXDEV (or ELOOP, for
//! a magic link of proc(5)). Hidden names are not refused here.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use super::{dirents, retry, walk};

/// For what a path is opened. None of it opens a file: opening a FIFO alone releases a writer that
/// waits there, and opening a device may do anything. See `Root::open_file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// To list a directory; ENOTDIR for anything else.
    Directory,
    /// To ask for its metadata (`O_PATH`).
    Status,
    /// As `Status`, but only if no step of the path needs the disk: EAGAIN otherwise, and always
    /// if the kernel (before 5.12) cannot promise it.
    StatusCached,
}

impl Open {
    pub(super) fn flags(self) -> OFlag {
        OFlag::O_CLOEXEC
            | match self {
                Self::Directory => OFlag::O_RDONLY | OFlag::O_DIRECTORY,
                Self::Status | Self::StatusCached => OFlag::O_PATH,
            }
    }

    fn resolution(self) -> OpenHow {
        let mut resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        if self == Self::StatusCached {
            resolve |= ResolveFlag::from_bits_retain(libc::RESOLVE_CACHED);
        }
        OpenHow::new().flags(self.flags()).resolve(resolve)
    }
}

/// How a regular file is opened. A lease on it (fcntl(2)) is not waited for: EAGAIN.
const READ: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// A directory beneath which paths are opened.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
    /// /proc/self/fd, where it is there: how a file that was looked at is opened, and no other.
    descriptors: Option<OwnedFd>,
}

impl Root {
    /// Opens the directory itself (open(2)); `path` may lead anywhere. ENOTDIR: it is none.
    pub fn at(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = retry(|| open(path, flags, Mode::empty()))?;
        let descriptors = retry(|| open(c"/proc/self/fd", flags, Mode::empty())).ok();
        Ok(Self { directory, descriptors })
    }

    /// Opens a regular file to be read, and gives its metadata. The path is looked up as by `open`,
    /// with `how`, `Status` or `StatusCached`; the file is opened only after that has shown what it
    /// is. EISDIR: a directory; ENXIO: a FIFO, socket or device; EACCES: it may not be read; EAGAIN
    /// also if somebody holds a lease on it.
    pub fn open_file(&self, path: &[u8], how: Open) -> io::Result<(OwnedFd, Metadata)> {
        let found = self.open(path, how)?;
        let stat = fstat(&found)?;
        let metadata = Metadata::from_os(&stat);
        match metadata.kind {
            Kind::File => {}
            Kind::Directory => return Err(Errno::EISDIR.into()),
            Kind::Other => return Err(Errno::ENXIO.into()),
        }
        let file = match &self.descriptors {
            Some(descriptors) => reopen(descriptors, &found)?,
            None => self.open_same(path, &stat)?,
        };
        Ok((file, metadata))
    }

    /// Opens the path once more, without /proc: what was put there meanwhile is not given away, but
    /// it is opened.
    fn open_same(&self, path: &[u8], looked_at: &FileStat) -> io::Result<OwnedFd> {
        let resolve = Open::Status.resolution().flags(READ);
        let file = match retry(|| openat2(&self.directory, path, resolve)) {
            Err(_) => walk::open(self.directory.as_fd(), path, READ)?,
            Ok(file) => file,
        };
        let stat = fstat(&file)?;
        if (stat.st_dev, stat.st_ino) != (looked_at.st_dev, looked_at.st_ino) {
            return Err(Errno::EAGAIN.into());
        }
        Ok(file)
    }

    /// Opens `path`, relative to the root; the empty path is the root itself. Symbolic links are
    /// followed for as long as they stay beneath it (openat2(2), `RESOLVE_BENEATH` and
    /// `RESOLVE_NO_MAGICLINKS`).
    ///
    /// EXDEV: it leaves the root, by `..`, by being absolute or by a link; ENOENT: there is none,
    /// or the path holds a NUL; ELOOP, ENOTDIR,
    /// EACCES, ENAMETOOLONG: `path_resolution(7)`. May block on a disk, unless `how` is
    /// `StatusCached`.
    pub fn open(&self, path: &[u8], how: Open) -> io::Result<OwnedFd> {
        if path.contains(&0) {
            return Err(Errno::ENOENT.into());
        }
        let path = if path.is_empty() { b"." } else { path };
        let walk = || walk::open(self.directory.as_fd(), path, how.flags());
        match retry(|| openat2(&self.directory, path, how.resolution())) {
            Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                // EPERM: a seccomp filter older than the call (seccomp(2)) says so.
                Errno::ENOSYS | Errno::EPERM | Errno::EINVAL if how == Open::StatusCached => {
                    Err(Errno::EAGAIN.into())
                }
                // EAGAIN: something was renamed while the kernel followed a `..`; the walker needs
                // no such luck.
                Errno::ENOSYS | Errno::EPERM => walk(),
                Errno::EAGAIN if how != Open::StatusCached => walk(),
                _ => Err(error),
            },
            opened => opened,
        }
    }
}

/// Opens what `found` stands for, to be read: that very file, whatever has its name by now.
fn reopen(descriptors: &OwnedFd, found: &OwnedFd) -> io::Result<OwnedFd> {
    // Written by hand, for every file: the formatter takes ten times as long.
    let mut name = [0; 12];
    let (mut number, mut start) = (found.as_raw_fd(), name.len() - 1);
    loop {
        start -= 1;
        name[start] = b'0' + u8::try_from(number % 10).expect("a digit; descriptors are positive");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let name = CStr::from_bytes_until_nul(&name[start..]).expect("the last byte is 0");
    retry(|| openat(descriptors, name, READ, Mode::empty()))
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

/// Entries that are told before others may have the processor, and before it is asked again whether
/// more are wanted.
const ENTRIES_AT_ONCE: usize = 64;

/// What is told of an entry: its name, and its metadata unless it is a symbolic link.
pub type OnEntry<'a> = dyn FnMut(&[u8], Option<Metadata>) -> io::Result<()> + 'a;

/// Tells the name of each entry of `directory` but `.` and `..`, in no order (getdents64(2)), with
/// the entry's own metadata (fstatat(2), `AT_SYMLINK_NOFOLLOW`), or `None` for a symbolic link. One
/// that went while it was being listed (ENOENT) is left out; any other error ends the listing,
/// which would otherwise look whole. EACCES: the directory may be read but not searched. May block
/// on a disk; lets others have the processor now and then. ECANCELED: `is_wanted` said no.
pub fn list(
    directory: BorrowedFd<'_>,
    is_wanted: &dyn Fn() -> bool,
    on_entry: &mut OnEntry<'_>,
) -> io::Result<()> {
    let mut number: usize = 0;
    dirents::each(directory, &mut |name, _| {
        if number.is_multiple_of(ENTRIES_AT_ONCE) {
            thread::yield_now();
            if !is_wanted() {
                return Err(Errno::ECANCELED.into());
            }
        }
        number += 1;
        match retry(|| fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)) {
            Ok(stat) => {
                let is_link = format(&stat) == SFlag::S_IFLNK;
                on_entry(name.to_bytes(), (!is_link).then(|| Metadata::from_os(&stat)))?;
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::scratch::{deny, tree};
    use super::*;

    #[test]
    fn directories_are_opened_to_be_listed_and_files_are_not() -> io::Result<()> {
        let (_scratch, served) = tree()?;
        let root = Root::at(&served)?;
        let names = |path: &[u8]| {
            let mut names = Vec::new();
            list(root.open(path, Open::Directory)?.as_fd(), &|| true, &mut |name, metadata| {
                let kind = metadata.map(|metadata| metadata.kind);
                names.push((String::from_utf8_lossy(name).into_owned(), kind));
                Ok(())
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
        list(root.open(b"", Open::Directory)?.as_fd(), &|| true, &mut |name, metadata| {
            if name == b"file" {
                listed = metadata;
            }
            Ok(())
        })?;
        assert_eq!(listed, Some(expected));
        Ok(())
    }

    #[test]
    fn a_path_is_cached_once_it_was_used() -> io::Result<()> {
        let (_scratch, served) = tree()?;
        let root = Root::at(&served)?;
        root.open(b"dir/inner", Open::Status)?;
        let mut text = String::new();
        let (inner, metadata) = root.open_file(b"dir/inner", Open::StatusCached)?;
        File::from(inner).read_to_string(&mut text)?;
        assert_eq!((text.as_str(), metadata.bytes), ("inner", 5));
        let unknown = root.open(b"never-looked-for", Open::StatusCached).map(|_| ());
        let unknown = unknown.map_err(|error| error.kind());
        assert_eq!(unknown, Err(io::ErrorKind::WouldBlock));
        Ok(())
    }

    #[test]
    fn what_cannot_be_known_of_an_entry_ends_a_listing_unless_it_is_harmless() -> io::Result<()> {
        let (_scratch, served) = tree()?;
        for (errno, expected) in [
            (Errno::ENOENT, Ok(0)),
            (Errno::EACCES, Err(Some(libc::EACCES))),
            (Errno::ESTALE, Err(Some(libc::ESTALE))),
            (Errno::EIO, Err(Some(libc::EIO))),
            (Errno::ENOMEM, Err(Some(libc::ENOMEM))),
        ] {
            let served = served.clone();
            let listed = thread::spawn(move || {
                let directory = Root::at(&served)?.open(b"", Open::Directory)?;
                deny(libc::SYS_newfstatat, errno)?;
                let mut count = 0;
                list(directory.as_fd(), &|| true, &mut |_, _| {
                    count += 1;
                    Ok(())
                })?;
                io::Result::Ok(count)
            });
            let listed = listed.join().expect("the thread does not panic");
            assert_eq!(listed.map_err(|error| error.raw_os_error()), expected);
        }
        let directory = File::open(&served)?;
        let stopped = list(directory.as_fd(), &|| false, &mut |_, _| Ok(()));
        assert_eq!(stopped.map_err(|e| e.raw_os_error()), Err(Some(libc::ECANCELED)));
        Ok(())
    }

    #[test]
    fn without_proc_a_file_is_opened_all_the_same() -> io::Result<()> {
        let (_scratch, served) = tree()?;
        let root = Root { descriptors: None, ..Root::at(&served)? };
        let mut text = String::new();
        File::from(root.open_file(b"dirlink/inner", Open::Status)?.0).read_to_string(&mut text)?;
        assert_eq!(text, "inner");
        let other = fstat(root.open(b"file", Open::Status)?)?;
        let swapped = root.open_same(b"dir/inner", &other).map_err(|error| error.kind());
        assert_eq!(swapped.map(drop), Err(io::ErrorKind::WouldBlock));
        Ok(())
    }
}
