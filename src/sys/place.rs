//! Making, naming and removing files in a directory that is open.
//!
//! What it does not do: follow a link, or look beyond that directory: a name is one component.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{LinkatFlags, UnlinkatFlags, fsync, linkat, unlinkat, write};

use super::beneath::{Kind, format};
use super::retry;

/// Mode of a new file, of which the umask takes away (umask(2)).
const MODE: u32 = 0o666;

/// Makes a new file, to be written (openat(2), `O_EXCL`). EEXIST: something of that name is there,
/// be it a link that leads nowhere; EACCES, EROFS, ENOSPC, EDQUOT: it cannot be made.
pub fn create(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(MODE);
    retry(|| openat(directory, name, flags, mode))
}

/// Opens a file to be read and written on, and makes it where nothing is (openat(2)). ELOOP: a
/// symbolic link, which is not followed; EISDIR: a directory. A FIFO is not waited for.
pub fn open(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(MODE);
    retry(|| openat(directory, name, flags | OFlag::O_NONBLOCK, mode))
}

/// Writes all of `bytes` to an open file, where it was left off (write(2)). ENOSPC, EDQUOT, EFBIG:
/// there is no space for them; EIO: the disk failed. Some of them may be written then.
pub fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match retry(|| write(file, bytes))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => bytes = &bytes[count..],
        }
    }
    Ok(())
}

/// Has the content of an open file and its metadata reach the disk (fsync(2)).
pub fn sync_file(file: BorrowedFd<'_>) -> io::Result<()> {
    retry(|| fsync(file))
}

/// Takes the lock of an open file, until `unlock` or for as long as it is open (flock(2)). False:
/// another has it.
pub fn lock(file: BorrowedFd<'_>) -> io::Result<bool> {
    match flock(file, libc::LOCK_EX | libc::LOCK_NB) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives the lock back (flock(2)).
pub fn unlock(file: BorrowedFd<'_>) -> io::Result<()> {
    flock(file, libc::LOCK_UN)
}

fn flock(file: BorrowedFd<'_>, operation: libc::c_int) -> io::Result<()> {
    retry(|| {
        // SAFETY: takes numbers alone, and `file` is open.
        Errno::result(unsafe { libc::flock(file.as_raw_fd(), operation) })
    })?;
    Ok(())
}

/// What a name stands for, itself and not what it leads to (fstatat(2), `AT_SYMLINK_NOFOLLOW`);
/// `None` where there is nothing. A symbolic link is `Kind::File` here: it can be replaced.
pub fn kind(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<Kind>> {
    match retry(|| fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)) {
        Ok(stat) => Ok(Some(match format(&stat) {
            SFlag::S_IFREG | SFlag::S_IFLNK => Kind::File,
            SFlag::S_IFDIR => Kind::Directory,
            _ => Kind::Other,
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives a file another name, and whoever has that name loses it (renameat(2)).
pub fn replace(directory: BorrowedFd<'_>, from: &[u8], to: &[u8]) -> io::Result<()> {
    retry(|| renameat(directory, from, directory, to))
}

/// Gives a file another name that nobody has (renameat2(2), `RENAME_NOREPLACE`; where the file
/// system does not know that, by link(2), which never replaces). EEXIST: somebody has it.
pub fn rename(directory: BorrowedFd<'_>, from: &[u8], to: &[u8]) -> io::Result<()> {
    let flags = RenameFlags::RENAME_NOREPLACE;
    match retry(|| renameat2(directory, from, directory, to, flags)) {
        Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
            Errno::EINVAL | Errno::ENOSYS => {
                retry(|| linkat(directory, from, directory, to, LinkatFlags::empty()))?;
                remove(directory, from)
            }
            _ => Err(error),
        },
        renamed => renamed,
    }
}

/// Removes a file's name (unlinkat(2)).
pub fn remove(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    retry(|| unlinkat(directory, name, UnlinkatFlags::NoRemoveDir))
}

/// Has what happened in the directory reach the disk (fsync(2)). EINVAL: its file system has none.
pub fn sync(directory: BorrowedFd<'_>) -> io::Result<()> {
    retry(|| fsync(directory))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd as _;

    use super::super::scratch::tree;
    use super::*;

    fn names(path: &std::path::Path) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(path)?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    #[test]
    fn a_file_is_made_written_named_and_removed() -> io::Result<()> {
        let (_scratch, served) = tree()?;
        let folder = File::open(served.join("dir/deep"))?;
        let here = folder.as_fd();
        let part = create(here, b"part")?;
        write_all(part.as_fd(), b"te")?;
        write_all(part.as_fd(), b"xt")?;
        sync_file(part.as_fd())?;
        let again = create(here, b"part").map(|_| ()).map_err(|error| error.kind());
        assert_eq!(again, Err(io::ErrorKind::AlreadyExists));
        rename(here, b"part", b"whole")?;
        sync(here)?;
        assert_eq!(fs::read(served.join("dir/deep/whole"))?, b"text");
        write_all(create(here, b"part")?.as_fd(), b"other")?;
        let taken = rename(here, b"part", b"whole").map_err(|error| error.kind());
        assert_eq!(taken, Err(io::ErrorKind::AlreadyExists));
        replace(here, b"part", b"whole")?;
        assert_eq!(fs::read(served.join("dir/deep/whole"))?, b"other");
        remove(here, b"whole")?;
        assert_eq!(names(&served.join("dir/deep"))?, [""; 0]);
        Ok(())
    }

    #[test]
    fn a_file_is_opened_again_and_locked_once() -> io::Result<()> {
        let (_scratch, served) = tree()?;
        let folder = File::open(&served)?;
        let first = open(folder.as_fd(), b"part")?;
        write_all(first.as_fd(), b"text")?;
        assert!(lock(first.as_fd())?);
        let second = open(folder.as_fd(), b"part")?;
        assert_eq!(File::from(second.try_clone()?).metadata()?.len(), 4);
        assert!(!lock(second.as_fd())?);
        unlock(first.as_fd())?;
        assert!(lock(second.as_fd())?);
        let link = open(folder.as_fd(), b"dangling").map_err(|error| error.raw_os_error());
        assert_eq!(link.map(drop), Err(Some(libc::ELOOP)));
        Ok(())
    }

    #[test]
    fn a_kind_is_that_of_the_name_itself() -> io::Result<()> {
        let (_scratch, served) = tree()?;
        let folder = File::open(&served)?;
        let kind = |name: &str| kind(folder.as_fd(), name.as_bytes());
        assert_eq!(kind("nobody")?, None);
        assert_eq!(kind("file")?, Some(Kind::File));
        assert_eq!(kind("dir")?, Some(Kind::Directory));
        assert_eq!(kind("fifo")?, Some(Kind::Other));
        for link in ["dirlink", "dangling", "loop"] {
            assert_eq!(kind(link)?, Some(Kind::File), "{link}");
        }
        Ok(())
    }
}
