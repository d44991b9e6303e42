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
        match SFlag::from_bits_truncate(fstat(&entry)?.st_mode) & SFlag::S_IFMT {
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
