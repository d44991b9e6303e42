//! Making, naming and removing files in a directory that is open.
//!
//! A name is one component; no link is followed.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat};
use nix::unistd::{Gid, LinkatFlags, Uid, UnlinkatFlags, fchown, fsync, linkat, unlinkat, write};

use super::beneath::{Kind, format};
use super::{dirents, retry};

/// Mode of a new file, of which the umask takes away (umask(2)).
const MODE: u32 = 0o666;

/// Makes a new file of a temporary name, to be written (openat(2), `O_EXCL`), and takes its lock,
/// which says that its writer is alive (`sweep`). It may do what `mode` says, if that is given, but
/// for what the umask takes away. EEXIST: something of that name is there, be it a link that leads
/// nowhere, or was swept away just now; EACCES, EROFS, ENOSPC, EDQUOT: it cannot be made.
pub fn create(directory: BorrowedFd<'_>, name: &[u8], mode: Option<u32>) -> io::Result<OwnedFd> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(mode.map_or(MODE, |mode| mode & 0o777 | 0o600));
    let file = retry(|| openat(directory, name, flags, mode))?;
    // Some file systems have no locks. Nothing is swept there.
    let has_lock = lock(file.as_fd()).unwrap_or(true);
    if !has_lock || fstat(&file).is_ok_and(|stat| stat.st_nlink == 0) {
        return Err(Errno::EEXIST.into());
    }
    Ok(file)
}

/// Removes a file of a temporary name whose writer is dead: nobody has its lock (flock(2)). True if
/// it was removed.
pub fn sweep(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    let looked_at = retry(|| fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW))?;
    if format(&looked_at) != SFlag::S_IFREG {
        return Ok(false);
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = retry(|| openat(directory, name, flags, Mode::empty()))?;
    if !lock(file.as_fd())? {
        return Ok(false);
    }
    // The lock is that of the file, which need not have the name any more.
    let (locked, named) =
        (fstat(&file)?, retry(|| fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW))?);
    if (locked.st_dev, locked.st_ino) != (named.st_dev, named.st_ino) {
        return Ok(false);
    }
    retry(|| unlinkat(directory, name, UnlinkatFlags::NoRemoveDir))?;
    Ok(true)
}

/// Tells the name of each entry of an open directory, in no order (getdents64(2)), and whether it
/// is a directory. False from `on_entry` ends it. ENOENT: the directory was removed.
pub fn names(
    directory: BorrowedFd<'_>,
    on_entry: &mut dyn FnMut(&CStr, bool) -> bool,
) -> io::Result<()> {
    dirents::each(directory, &mut |name, kind| {
        let is_directory = match kind {
            libc::DT_DIR => true,
            // Not every file system says it.
            libc::DT_UNKNOWN => self::kind(directory, name.to_bytes())
                .is_ok_and(|kind| kind == Some(Kind::Directory)),
            _ => false,
        };
        Ok(on_entry(name, is_directory))
    })
}

/// Who owns a regular file, and who may do what with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The mode's permission bits (inode(7)), those above them included.
    pub mode: u32,
    uid: u32,
    gid: u32,
}

impl Access {
    fn from_os(stat: &FileStat) -> Self {
        Self { mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid }
    }
}

/// The access of a regular file of that name (fstatat(2)); `None` if there is nothing, or something
/// else, such as a link.
pub fn access(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<Access>> {
    match retry(|| fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)) {
        Ok(stat) => Ok((format(&stat) == SFlag::S_IFREG).then(|| Access::from_os(&stat))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives an open file this access (fchown(2), fchmod(2)). Owner and group are given as far as this
/// process may; without them, the bits that lend their rights are taken away. EPERM: the mode
/// cannot be set.
pub fn set_access(file: BorrowedFd<'_>, wanted: &Access) -> io::Result<()> {
    let mut own = Access::from_os(&fstat(file)?);
    if (own.uid, own.gid) != (wanted.uid, wanted.gid) {
        let (uid, gid) = (Uid::from_raw(wanted.uid), Gid::from_raw(wanted.gid));
        // What could be done is seen below.
        let _ = fchown(file, Some(uid), Some(gid)).or_else(|_| fchown(file, None, Some(gid)));
        own = Access::from_os(&fstat(file)?);
    }
    let lent = [(own.uid == wanted.uid, 0o4000), (own.gid == wanted.gid, 0o2000)];
    let lost = lent.iter().filter(|(is_kept, _)| !is_kept).map(|(_, bit)| bit).sum::<u32>();
    let mode = wanted.mode & !lost;
    if own.mode != mode {
        retry(|| fchmod(file, Mode::from_bits_truncate(mode)))?;
    }
    Ok(())
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
                // It has its name. The other one is swept at the next start if it stays.
                let _ = remove(directory, from);
                Ok(())
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

    use super::super::scratch::{deny_renameat2, tree};
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
        let part = create(here, b"part", None)?;
        write_all(part.as_fd(), b"te")?;
        write_all(part.as_fd(), b"xt")?;
        sync_file(part.as_fd())?;
        let again = create(here, b"part", None).map(|_| ()).map_err(|error| error.kind());
        assert_eq!(again, Err(io::ErrorKind::AlreadyExists));
        rename(here, b"part", b"whole")?;
        sync(here)?;
        assert_eq!(fs::read(served.join("dir/deep/whole"))?, b"text");
        write_all(create(here, b"part", None)?.as_fd(), b"other")?;
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

    #[test]
    fn without_renameat2_a_name_is_given_that_nobody_has_and_none_is_replaced() -> io::Result<()> {
        for missing in [libc::EINVAL, libc::ENOSYS] {
            let (_scratch, served) = tree()?;
            let deep = served.join("dir/deep");
            let folder = File::open(&deep)?;
            let outcome = std::thread::spawn(move || {
                deny_renameat2(missing)?;
                let here = folder.as_fd();
                write_all(create(here, b"part", None)?.as_fd(), b"one")?;
                rename(here, b"part", b"whole")?;
                write_all(create(here, b"part", None)?.as_fd(), b"two")?;
                let taken = rename(here, b"part", b"whole").map_err(|error| error.kind());
                io::Result::Ok(taken)
            });
            let taken = outcome.join().expect("the thread does not panic")?;
            assert_eq!(taken, Err(io::ErrorKind::AlreadyExists));
            assert_eq!(fs::read(deep.join("whole"))?, b"one");
            assert_eq!(names(&deep)?, ["part", "whole"]);
        }
        Ok(())
    }

    #[test]
    fn only_what_a_dead_writer_left_is_swept() -> io::Result<()> {
        let (_scratch, served) = tree()?;
        let folder = File::open(&served)?;
        let here = folder.as_fd();
        let writer = create(here, b"part", None)?;
        assert!(!sweep(here, c"part")?);
        drop(writer);
        assert!(sweep(here, c"part")?);
        for name in [c"fifo", c"dir", c"link", c"socket"] {
            assert!(!sweep(here, name)?, "{name:?}");
        }
        let gone = sweep(here, c"part").map_err(|error| error.kind());
        assert_eq!(gone, Err(io::ErrorKind::NotFound));
        Ok(())
    }

    #[test]
    fn access_is_that_of_a_regular_file_and_can_be_given_to_another() -> io::Result<()> {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

        let (_scratch, served) = tree()?;
        let folder = File::open(&served)?;
        let here = folder.as_fd();
        for name in ["nobody", "dir", "fifo", "dangling", "loop"] {
            assert_eq!(access(here, name.as_bytes())?, None, "{name}");
        }
        let mode =
            |name: &str| Ok::<_, io::Error>(fs::metadata(served.join(name))?.mode() & 0o7777);
        for wanted in [0o600, 0o640, 0o4755, 0o2710] {
            fs::set_permissions(served.join("file"), fs::Permissions::from_mode(wanted))?;
            let found = access(here, b"file")?.expect("it is a file");
            assert_eq!(found.mode, wanted);
            let part = create(here, b"part", None)?;
            set_access(part.as_fd(), &found)?;
            assert_eq!(mode("part")?, wanted);
            remove(here, b"part")?;
        }
        // Bits that lend the rights of an owner stay away where the owner is another.
        let file = fs::metadata(served.join("file"))?;
        let other = Access { mode: 0o6711, uid: file.uid() + 1, gid: file.gid() + 1 };
        let part = create(here, b"part", None)?;
        set_access(part.as_fd(), &other)?;
        let part = fs::metadata(served.join("part"))?;
        let lent = [(part.uid() == other.uid, 0o4000), (part.gid() == other.gid, 0o2000)];
        let lent = lent.iter().filter(|(is_given, _)| *is_given).map(|(_, bit)| bit);
        assert_eq!(part.mode() & 0o7777, 0o711 + lent.sum::<u32>());
        Ok(())
    }
}
