//! Opening what lies beneath a directory.

use std::io;
use std::path::Path;

use super::fd::{AsFd as _, BorrowedFd, OwnedFd};
use crate::kernel::threads::sleep_us;
use crate::kernel::{Kernel, enter, os, with};

/// For what a path is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// To list a directory; ENOTDIR for anything else.
    Directory,
    /// To ask for its metadata (`O_PATH`).
    Status,
    /// As `Status`, but only if no step of the path needs the disk: EAGAIN otherwise.
    StatusCached,
}

/// A directory beneath which paths are opened.
#[derive(Debug)]
pub struct Root(OwnedFd);

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
    /// Its size in bytes.
    pub bytes: u64,
    /// When its content last changed, in seconds since 1970 UTC.
    pub mtime_s: i64,
}

/// Waits for a disk, now and then.
pub(super) fn wait_for_disk() {
    let us = with(|kernel| {
        let random = &mut kernel.random;
        let waits = !kernel.is_calm && random.one_in(4);
        if waits { random.between(50, 30_000) as u64 } else { 0 }
    });
    if us > 0 {
        sleep_us(us);
    }
}

impl Root {
    /// Opens the directory itself.
    pub fn at(path: &Path) -> io::Result<Self> {
        enter("open");
        with(|kernel| {
            kernel.check_descriptors().map_err(os)?;
            let object = kernel.files.open_root(path).map_err(os)?;
            kernel.open(object).map(OwnedFd::new).map(Self).map_err(os)
        })
    }

    /// Opens `path`, relative to the root.
    pub fn open(&self, path: &[u8], how: Open) -> io::Result<OwnedFd> {
        if path.contains(&0) {
            return Err(os(libc::ENOENT));
        }
        let path = if path.is_empty() { b"." } else { path };
        enter("openat2");
        if how != Open::StatusCached {
            wait_for_disk();
        }
        with(|kernel| self.open_now(kernel, path, how))
    }

    /// Opens a regular file to be read, after a look at what it is.
    pub fn open_file(&self, path: &[u8], how: Open) -> io::Result<(OwnedFd, Metadata)> {
        let found = self.open(path, how)?;
        let metadata = metadata(found.as_fd())?;
        match metadata.kind {
            Kind::File => {}
            Kind::Directory => return Err(os(libc::EISDIR)),
            Kind::Other => return Err(os(libc::ENXIO)),
        }
        enter("openat");
        let file = with(|kernel| {
            kernel.check_descriptors().map_err(os)?;
            kernel.fault("openat", &[libc::EMFILE, libc::ENFILE, libc::ENOMEM])?;
            kernel.reopen_file(found.as_fd().raw()).map(OwnedFd::new).map_err(os)
        })?;
        Ok((file, metadata))
    }

    fn open_now(&self, kernel: &mut Kernel, path: &[u8], how: Open) -> io::Result<OwnedFd> {
        kernel.check_descriptors().map_err(os)?;
        kernel.fault("openat2", &[libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EIO])?;
        if how == Open::StatusCached && !kernel.is_calm && kernel.random.one_in(16) {
            // The real one may say so at any time: memory is taken away when it pleases.
            return Err(os(libc::EAGAIN));
        }
        let root = kernel.directory_of(self.0.raw()).map_err(os)?;
        let object = kernel.files.open_beneath(root, path, how).map_err(os)?;
        kernel.open(object).map(OwnedFd::new).map_err(os)
    }
}

/// Of an open file, however it was opened.
pub fn metadata(fd: BorrowedFd<'_>) -> io::Result<Metadata> {
    enter("fstat");
    with(|kernel| {
        kernel.fault("fstat", &[libc::EIO])?;
        Ok(kernel.metadata_of(fd.raw()))
    })
}

/// What is told of an entry: its name, and its metadata unless it is a symbolic link.
pub type OnEntry<'a> = dyn FnMut(&[u8], Option<Metadata>) -> io::Result<()> + 'a;

/// Names in a directory that is open to be listed. ENOENT: it was removed.
pub(super) fn names_of(directory: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    enter("getdents64");
    wait_for_disk();
    with(|kernel| {
        kernel.is_listable(directory.raw()).map_err(os)?;
        kernel.fault("getdents64", &[libc::EIO])?;
        let inode = kernel.directory_of(directory.raw()).map_err(os)?;
        Ok(kernel.files.list(inode))
    })
}

/// Tells the name of each entry of `directory` with the entry's own metadata, or `None` for a
/// symbolic link. ECANCELED: `is_wanted` said no.
pub fn list(
    directory: BorrowedFd<'_>,
    is_wanted: &dyn Fn() -> bool,
    on_entry: &mut OnEntry<'_>,
) -> io::Result<()> {
    for name in names_of(directory)? {
        if !is_wanted() {
            return Err(os(libc::ECANCELED));
        }
        enter("fstatat");
        let found = with(|kernel| {
            let inode = kernel.directory_of(directory.raw())?;
            kernel.files.status(inode, &name)
        });
        if let Ok((metadata, is_link)) = found {
            on_entry(&name, (!is_link).then_some(metadata))?;
        }
    }
    Ok(())
}
