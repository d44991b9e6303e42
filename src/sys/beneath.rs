//! Opening what lies beneath a directory, and nothing else, whatever links and `..` say.
//!
//! What it does not do: refuse hidden names, or tell kinds of files apart before opening them. What
//! leaves the root is EXDEV (or ELOOP, for a magic link of proc(5)).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::dir::{Dir, Type};
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

impl Metadata {
    fn from_os(stat: &FileStat) -> Self {
        let format = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        let kind = match format {
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

/// Tells the name of each entry of `directory` but `.` and `..`, in no order (readdir(3)), with the
/// entry's own metadata (fstatat(2), `AT_SYMLINK_NOFOLLOW`), or `None` for a symbolic link. One
/// that went while it was being listed is left out. May block on a disk.
pub fn list(
    directory: OwnedFd,
    on_entry: &mut dyn FnMut(&[u8], Option<Metadata>),
) -> io::Result<()> {
    let parent = directory.try_clone()?;
    let mut entries = Dir::from_fd(directory)?;
    for entry in entries.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if entry.file_type() == Some(Type::Symlink) {
            on_entry(name.to_bytes(), None);
            continue;
        }
        match retry(|| fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)) {
            Ok(stat) => {
                // Some file systems tell no type while listing.
                let is_link =
                    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFLNK;
                on_entry(name.to_bytes(), (!is_link).then(|| Metadata::from_os(&stat)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use nix::unistd::mkfifo;

    use super::super::scratch::Scratch;
    use super::*;

    /// `served`, with something of every kind and links of every kind, and a neighbour.
    fn tree() -> io::Result<(Scratch, Root)> {
        let scratch = Scratch::new()?;
        let served = scratch.path().join("served");
        fs::create_dir_all(served.join("dir/deep"))?;
        fs::write(scratch.path().join("outside"), "outside")?;
        fs::write(served.join("file"), "file")?;
        fs::write(served.join("dir/inner"), "inner")?;
        for (target, link) in [
            ("file", "link"),
            ("./link", "chain"),
            ("dir/deep/../../file", "around"),
            ("../file", "dir/up"),
            ("dir", "dirlink"),
            ("dir/", "dirslash"),
            ("loop", "loop"),
            ("nothing", "dangling"),
            ("../outside", "out"),
            ("../served/file", "out-and-in"),
            ("dirlink/../../outside", "sly"),
            ("/etc/passwd", "absolute"),
            ("/proc/self/root", "magic"),
        ] {
            symlink(target, served.join(link))?;
        }
        symlink(served.join("file"), served.join("absolute-inside"))?;
        mkfifo(&served.join("fifo"), Mode::S_IRWXU)?;
        drop(UnixListener::bind(served.join("socket"))?);
        let root = Root::at(&served)?;
        Ok((scratch, root))
    }

    fn content(opened: io::Result<OwnedFd>) -> Result<String, Errno> {
        let mut text = String::new();
        opened
            .and_then(|fd| fs::File::from(fd).read_to_string(&mut text))
            .map(|_| text)
            .map_err(|error| errno(&error))
    }

    fn errno(error: &io::Error) -> Errno {
        Errno::from_raw(error.raw_os_error().unwrap_or(0))
    }

    /// What each path opens as a file: its content, or the errno.
    const FILES: &[(&str, Result<&str, Errno>)] = &[
        ("file", Ok("file")),
        ("./file", Ok("file")),
        ("dir/inner", Ok("inner")),
        (".//dir///inner", Ok("inner")),
        ("dir/../file", Ok("file")),
        ("dir/deep/../inner", Ok("inner")),
        ("link", Ok("file")),
        ("chain", Ok("file")),
        ("around", Ok("file")),
        ("dir/up", Ok("file")),
        ("dirlink/inner", Ok("inner")),
        ("dirlink/up", Ok("file")),
        ("dirslash/deep/../inner", Ok("inner")),
        ("", Err(Errno::EISDIR)),
        (".", Err(Errno::EISDIR)),
        ("dir", Err(Errno::EISDIR)),
        ("dir/", Err(Errno::EISDIR)),
        ("dir/..", Err(Errno::EISDIR)),
        ("nothing", Err(Errno::ENOENT)),
        ("nothing/../file", Err(Errno::ENOENT)),
        ("dangling", Err(Errno::ENOENT)),
        ("file\0", Err(Errno::ENOENT)),
        ("file/", Err(Errno::ENOTDIR)),
        ("file/.", Err(Errno::ENOTDIR)),
        ("file/..", Err(Errno::ENOTDIR)),
        ("link/", Err(Errno::ENOTDIR)),
        ("file/inner", Err(Errno::ENOTDIR)),
        ("loop", Err(Errno::ELOOP)),
        ("..", Err(Errno::EXDEV)),
        ("../outside", Err(Errno::EXDEV)),
        ("../served/file", Err(Errno::EXDEV)),
        ("dir/../../outside", Err(Errno::EXDEV)),
        ("dirlink/../../outside", Err(Errno::EXDEV)),
        ("/", Err(Errno::EXDEV)),
        ("/file", Err(Errno::EXDEV)),
        ("//etc/passwd", Err(Errno::EXDEV)),
        ("out", Err(Errno::EXDEV)),
        ("out-and-in", Err(Errno::EXDEV)),
        ("sly", Err(Errno::EXDEV)),
        ("absolute", Err(Errno::EXDEV)),
        ("absolute-inside", Err(Errno::EXDEV)),
        ("magic", Err(Errno::EXDEV)),
        ("magic/etc/passwd", Err(Errno::EXDEV)),
        ("socket", Err(Errno::ENXIO)),
        ("fifo", Ok("")),
    ];

    #[test]
    fn the_kernel_and_the_walker_open_the_same_and_refuse_the_same() -> io::Result<()> {
        let (_scratch, root) = tree()?;
        let long = [b'x'; 256];
        let longer = b"dir/../".repeat(1000);
        for how in [Open::File, Open::Directory, Open::Status] {
            let walk = |path: &[u8]| walk::open(root.0.as_fd(), path, how.flags());
            for path in FILES.iter().map(|case| case.0.as_bytes()).chain([&long[..], &longer]) {
                let outcome = |opened: io::Result<OwnedFd>| {
                    opened.and_then(|fd| Ok(fstat(fd)?.st_ino)).map_err(|error| errno(&error))
                };
                // The walker is only ever given these as `Root::open` leaves them.
                if !path.is_empty() && !path.contains(&0) {
                    let shown = String::from_utf8_lossy(path);
                    assert_eq!(outcome(walk(path)), outcome(root.open(path, how)), "{shown}");
                }
            }
            assert_eq!(
                walk(&longer).map_err(|error| errno(&error)).err(),
                Some(Errno::ENAMETOOLONG)
            );
        }
        Ok(())
    }

    #[test]
    fn what_is_beneath_is_opened_and_nothing_else() -> io::Result<()> {
        let (_scratch, root) = tree()?;
        for (path, expected) in FILES {
            let got = content(root.open(path.as_bytes(), Open::File));
            assert_eq!(got.as_deref(), expected.as_ref().copied(), "{path}");
        }
        Ok(())
    }

    #[test]
    fn a_magic_link_is_refused_by_both() -> io::Result<()> {
        let root = Root::at(Path::new("/proc"))?;
        for path in ["self/root", "self/root/etc/passwd", "self/cwd", "self/exe", "self/fd/0"] {
            for how in [Open::File, Open::Status] {
                assert!(root.open(path.as_bytes(), how).is_err(), "{path}");
                assert!(
                    walk::open(root.0.as_fd(), path.as_bytes(), how.flags()).is_err(),
                    "{path}"
                );
            }
        }
        Ok(())
    }

    #[test]
    fn directories_are_opened_to_be_listed_and_files_are_not() -> io::Result<()> {
        let (_scratch, root) = tree()?;
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
            let error = names(path.as_bytes()).map_err(|error| errno(&error));
            assert_eq!(error, Err(Errno::ENOTDIR), "{path}");
        }
        Ok(())
    }

    #[test]
    fn metadata_needs_no_more_than_a_path() -> io::Result<()> {
        let (scratch, root) = tree()?;
        let of = |path: &str| metadata(root.open(path.as_bytes(), Open::Status)?.as_fd());
        let file = fs::File::options().write(true).open(scratch.path().join("served/file"))?;
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_608_235_613);
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
    fn a_path_that_was_just_used_is_cached() -> io::Result<()> {
        let (_scratch, root) = tree()?;
        root.open(b"dir/inner", Open::File)?;
        let got = content(root.open(b"dir/inner", Open::FileCached));
        assert_eq!(got.as_deref(), Ok("inner"));
        Ok(())
    }

    #[test]
    fn the_walker_goes_only_so_deep() -> io::Result<()> {
        let scratch = Scratch::new()?;
        let deep = "d/".repeat(300);
        fs::create_dir_all(scratch.path().join(&deep))?;
        let root = Root::at(scratch.path())?;
        let walk = |path: &str| walk::open(root.0.as_fd(), path.as_bytes(), OFlag::O_PATH);
        assert!(walk(&deep[..2 * 256]).is_ok());
        let error = walk(&deep).map(|_| ()).map_err(|error| errno(&error));
        assert_eq!(error, Err(Errno::ENAMETOOLONG));
        Ok(())
    }
}
