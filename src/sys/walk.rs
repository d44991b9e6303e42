//! What `openat2` does with `RESOLVE_BENEATH` and `RESOLVE_NO_MAGICLINKS`, for kernels without it:
//! a path is walked one component at a time, and no link is ever left to the kernel to follow.
//!
//! What it does not do: go deeper than `DEPTH_MAX`; follow a magic link (a link is followed by its
//! text, and theirs is absolute or names nothing).
//!
//! Invariants:
//! 1. Every descriptor of `above` is a directory that was reached from the root by a name in the
//!    one before it. `..` goes back by one of these, never by asking the kernel.
//! 2. `left` holds what is still to be walked, the next component last.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat};

use super::beneath::format;
use super::retry;

/// Links followed in one walk (`path_resolution(7)`).
const LINKS_MAX: usize = 40;
/// Directories open at once in one walk.
const DEPTH_MAX: usize = 256;
/// Longest path or link in bytes, and one (`PATH_MAX` counts the final NUL).
const PATH_BYTES_MAX: usize = 4096;

struct Walk<'r> {
    root: BorrowedFd<'r>,
    above: Vec<OwnedFd>,
    left: Vec<Vec<u8>>,
    links: usize,
}

/// Opens `path` (not empty, no NUL) beneath `root` with `flags`. Errors as `beneath::Root::open`;
/// also ENAMETOOLONG where it is too deep.
pub(super) fn open(root: BorrowedFd<'_>, path: &[u8], flags: OFlag) -> io::Result<OwnedFd> {
    let mut walk = Walk { root, above: Vec::new(), left: Vec::new(), links: 0 };
    walk.push(path)?;
    while let Some(name) = walk.left.pop() {
        if let Some(opened) = walk.step(&name, flags)? {
            return Ok(opened);
        }
    }
    // The path ended at a directory.
    at(walk.here(), b".", flags)
}

fn at(directory: BorrowedFd<'_>, name: &[u8], flags: OFlag) -> io::Result<OwnedFd> {
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    retry(|| openat(directory, name, flags, Mode::empty()))
}

impl Walk<'_> {
    fn here(&self) -> BorrowedFd<'_> {
        self.above.last().map_or(self.root, AsFd::as_fd)
    }

    /// Puts the components of a path, or of a link's text, before what is left.
    fn push(&mut self, path: &[u8]) -> io::Result<()> {
        if path.first() == Some(&b'/') {
            return Err(Errno::EXDEV.into());
        }
        if path.len() >= PATH_BYTES_MAX {
            return Err(Errno::ENAMETOOLONG.into());
        }
        self.left.extend(path.rsplit(|byte| *byte == b'/').map(<[u8]>::to_vec));
        Ok(())
    }

    /// Walks one component. The opened file, if that was the last one and no directory.
    fn step(&mut self, name: &[u8], flags: OFlag) -> io::Result<Option<OwnedFd>> {
        match name {
            b"" | b"." => return Ok(None),
            b".." => {
                return self.above.pop().map(|_| None).ok_or_else(|| Errno::EXDEV.into());
            }
            _ => {}
        }
        let entry = at(self.here(), name, OFlag::O_PATH)?;
        match format(&fstat(&entry)?) {
            SFlag::S_IFLNK => self.follow(&entry)?,
            SFlag::S_IFDIR if self.above.len() == DEPTH_MAX => {
                return Err(Errno::ENAMETOOLONG.into());
            }
            SFlag::S_IFDIR => self.above.push(entry),
            _ if !self.left.is_empty() => return Err(Errno::ENOTDIR.into()),
            _ if flags.contains(OFlag::O_PATH) => return Ok(Some(entry)),
            // A link put in its place meanwhile is not followed: ELOOP.
            _ => return at(self.here(), name, flags).map(Some),
        }
        Ok(None)
    }

    fn follow(&mut self, link: &OwnedFd) -> io::Result<()> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::ELOOP.into());
        }
        let text = retry(|| readlinkat(link, ""))?.into_vec();
        self.push(&text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::super::beneath::{Open, Root};
    use super::super::scratch::{Scratch, deny, tree};
    use super::*;

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
        ("fifo", Err(Errno::ENXIO)),
    ];

    #[test]
    fn the_kernel_and_the_walker_open_the_same_and_refuse_the_same() -> io::Result<()> {
        let (_scratch, served) = tree()?;
        let root = Root::at(&served)?;
        let bare = fs::File::open(&served)?;
        let long = [b'x'; 256];
        let longer = b"dir/../".repeat(1000);
        for how in [Open::Directory, Open::Status] {
            let walk = |path: &[u8]| open(bare.as_fd(), path, how.flags());
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
        let (_scratch, served) = tree()?;
        let root = Root::at(&served)?;
        for (path, expected) in FILES {
            let got = content(root.open_file(path.as_bytes(), Open::Status).map(|(fd, _)| fd));
            assert_eq!(got.as_deref(), expected.as_ref().copied(), "{path}");
        }
        Ok(())
    }

    #[test]
    fn both_follow_forty_links_and_no_more() -> io::Result<()> {
        let scratch = Scratch::new()?;
        fs::write(scratch.path().join("0"), "file")?;
        for link in 1..=LINKS_MAX + 1 {
            symlink((link - 1).to_string(), scratch.path().join(link.to_string()))?;
        }
        let root = Root::at(scratch.path())?;
        let bare = fs::File::open(scratch.path())?;
        for (links, expected) in [(LINKS_MAX, Ok("file")), (LINKS_MAX + 1, Err(Errno::ELOOP))] {
            let path = links.to_string().into_bytes();
            let read = OFlag::O_RDONLY;
            let beneath = root.open_file(&path, Open::Status).map(|(fd, _)| fd);
            for opened in [beneath, open(bare.as_fd(), &path, read)] {
                assert_eq!(content(opened).as_deref(), expected.as_ref().copied(), "{links}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_magic_link_is_refused_by_both() -> io::Result<()> {
        let root = Root::at(Path::new("/proc"))?;
        let bare = fs::File::open("/proc")?;
        for path in ["self/root", "self/root/etc/passwd", "self/cwd", "self/exe", "self/fd/0"] {
            for how in [Open::Directory, Open::Status] {
                assert!(root.open(path.as_bytes(), how).is_err(), "{path}");
                assert!(open(bare.as_fd(), path.as_bytes(), how.flags()).is_err(), "{path}");
            }
        }
        Ok(())
    }

    #[test]
    fn without_openat2_the_walker_opens_and_nothing_is_cached() -> io::Result<()> {
        for missing in [Errno::ENOSYS, Errno::EPERM, Errno::EINVAL] {
            let outcome = std::thread::spawn(move || {
                let (_scratch, served) = tree()?;
                let root = Root::at(&served)?;
                deny(libc::SYS_openat2, missing)?;
                let got = |path: &str, how| {
                    content(root.open_file(path.as_bytes(), how).map(|(fd, _)| fd))
                };
                let cached = got("dir/inner", Open::StatusCached);
                let [inner, out] = ["dirlink/inner", "out"].map(|path| got(path, Open::Status));
                io::Result::Ok((cached, inner, out))
            });
            let (cached, inner, out) = outcome.join().expect("the thread does not panic")?;
            assert_eq!(cached, Err(Errno::EAGAIN));
            if missing != Errno::EINVAL {
                assert_eq!((inner.as_deref(), out), (Ok("inner"), Err(Errno::EXDEV)));
            }
        }
        Ok(())
    }

    #[test]
    fn the_walker_goes_only_so_deep() -> io::Result<()> {
        let scratch = Scratch::new()?;
        let deep = "d/".repeat(300);
        fs::create_dir_all(scratch.path().join(&deep))?;
        let bare = fs::File::open(scratch.path())?;
        let walk = |path: &str| open(bare.as_fd(), path.as_bytes(), OFlag::O_PATH);
        assert!(walk(&deep[..2 * 256]).is_ok());
        let error = walk(&deep).map(|_| ()).map_err(|error| errno(&error));
        assert_eq!(error, Err(Errno::ENAMETOOLONG));
        Ok(())
    }
}
