//! Making, naming and removing files in a directory that is open.

use std::ffi::{CStr, CString};
use std::io;

use super::beneath::{Kind, names_of, wait_for_disk};
use super::fd::{BorrowedFd, OwnedFd};
use crate::kernel::files::InodeId;
use crate::kernel::{Errno, Kernel, enter, os, with};

/// Does something to the entries of a directory.
fn change(
    call: &'static str,
    directory: BorrowedFd<'_>,
    errnos: &[Errno],
    act: impl FnOnce(&mut Kernel, InodeId) -> Result<(), Errno>,
) -> io::Result<()> {
    enter(call);
    with(|kernel| {
        let directory = kernel.directory_of(directory.raw()).map_err(os)?;
        kernel.fault(call, errnos)?;
        act(kernel, directory).map_err(os)?;
        kernel.note_effect();
        Ok(())
    })
}

/// Who may do what with a file. All files here are the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The mode bits.
    pub mode: u32,
}

/// The access of a regular file of that name; `None` if there is none.
pub fn access(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<Access>> {
    enter("fstatat");
    with(|kernel| {
        kernel.fault("fstatat", &[libc::EIO, libc::ENOMEM])?;
        let directory = kernel.directory_of(directory.raw());
        match directory.and_then(|directory| kernel.files.mode(directory, name)) {
            Ok(mode) => Ok(mode.map(|mode| Access { mode })),
            Err(libc::ENOENT) => Ok(None),
            Err(errno) => Err(os(errno)),
        }
    })
}

/// Gives an open file this access.
pub fn set_access(file: BorrowedFd<'_>, wanted: &Access) -> io::Result<()> {
    enter("fchmod");
    with(|kernel| {
        kernel.fault("fchmod", &[libc::EPERM, libc::EIO])?;
        kernel.set_file_mode(file.raw(), wanted.mode).map_err(os)
    })
}

/// Removes a file of a temporary name whose writer is dead: nobody has it open any more.
pub fn sweep(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    enter("unlinkat");
    with(|kernel| {
        let directory = kernel.directory_of(directory.raw()).map_err(os)?;
        kernel.files.sweep(directory, name.to_bytes()).map_err(os)
    })
}

/// Tells the name of each entry, and whether it is a directory. False from `on_entry` ends it.
pub fn names(
    directory: BorrowedFd<'_>,
    on_entry: &mut dyn FnMut(&CStr, bool) -> bool,
) -> io::Result<()> {
    for name in names_of(directory)? {
        let is_directory = kind(directory, &name)? == Some(Kind::Directory);
        let name = CString::new(name).expect("a name holds no NUL");
        if !on_entry(&name, is_directory) {
            break;
        }
    }
    Ok(())
}

/// Makes a new file, to be written.
pub fn create(directory: BorrowedFd<'_>, name: &[u8], mode: Option<u32>) -> io::Result<OwnedFd> {
    enter("openat");
    wait_for_disk();
    with(|kernel| {
        let errnos = [libc::EMFILE, libc::ENFILE, libc::ENOSPC, libc::EACCES, libc::EROFS];
        kernel.fault("openat", &errnos)?;
        kernel.create_file(directory.raw(), name, mode).map(OwnedFd::new).map_err(os)
    })
}

/// Writes all of `bytes` to an open file, where it was left off.
pub fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        enter("write");
        wait_for_disk();
        let count = with(|kernel| {
            kernel.fault("write", &[libc::ENOSPC, libc::EDQUOT, libc::EIO, libc::EFBIG])?;
            kernel.write_file(file.raw(), bytes).map_err(os)
        })?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Has the content of an open file reach the disk.
pub fn sync_file(file: BorrowedFd<'_>) -> io::Result<()> {
    let _ = file.raw();
    enter("fsync");
    wait_for_disk();
    with(|kernel| kernel.fault("fsync", &[libc::EIO, libc::ENOSPC]))
}

/// What a name stands for, itself and not what it leads to; `None` where there is nothing.
pub fn kind(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<Kind>> {
    enter("fstatat");
    with(|kernel| {
        kernel.fault("fstatat", &[libc::EIO, libc::ENOMEM])?;
        let directory = kernel.directory_of(directory.raw());
        match directory.and_then(|directory| kernel.files.status(directory, name)) {
            Ok((_, true)) => Ok(Some(Kind::File)),
            Ok((metadata, false)) => Ok(Some(metadata.kind)),
            Err(libc::ENOENT) => Ok(None),
            Err(errno) => Err(os(errno)),
        }
    })
}

/// Gives a file another name, and whoever has that name loses it.
pub fn replace(directory: BorrowedFd<'_>, from: &[u8], to: &[u8]) -> io::Result<()> {
    let errnos = [libc::EIO, libc::ENOSPC, libc::EACCES];
    change("renameat", directory, &errnos, |kernel, directory| {
        kernel.files.rename(directory, from, to, false)
    })
}

/// Gives a file another name that nobody has. EEXIST: somebody has it.
pub fn rename(directory: BorrowedFd<'_>, from: &[u8], to: &[u8]) -> io::Result<()> {
    let errnos = [libc::EIO, libc::ENOSPC, libc::EACCES];
    let renamed = change("renameat2", directory, &errnos, |kernel, directory| {
        kernel.files.rename(directory, from, to, true)
    });
    match renamed {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            change("linkat", directory, &errnos, |kernel, directory| {
                kernel.files.link(directory, from, to)
            })?;
            remove(directory, from)
        }
        renamed => renamed,
    }
}

/// Removes a file's name. No seed makes it fail: the file would stay, and nobody could help it.
pub fn remove(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    change("unlinkat", directory, &[], |kernel, directory| {
        kernel.files.remove_name(directory, name)
    })
}

/// Has what happened in the directory reach the disk.
pub fn sync(directory: BorrowedFd<'_>) -> io::Result<()> {
    enter("fsync");
    wait_for_disk();
    with(|kernel| {
        kernel.is_listable(directory.raw()).map_err(os)?;
        kernel.fault("fsync", &[libc::EIO, libc::EINVAL])
    })
}
