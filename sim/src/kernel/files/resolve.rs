//! From a path to an inode, as openat2(2) goes with `RESOLVE_BENEATH` and `RESOLVE_NO_MAGICLINKS`.

use std::collections::VecDeque;

use super::super::descriptors::Fd;
use super::{Content, Files, InodeId, OpenDirectory, OpenFile, check_name};
use crate::kernel::Errno;
use crate::kernel::descriptors::Object;
use crate::sys::beneath::Open;

/// Symbolic links that are followed on one way (`path_resolution(7)`).
const LINKS_MAX: usize = 40;
/// The longest path, with the NUL that ends it, in bytes (`PATH_MAX`).
const PATH_BYTES_MAX: usize = 4096;

/// The components of a path. A slash at its end stands for `.`: it has to be a directory.
fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
    let last = path.ends_with(b"/").then(|| b".".to_vec());
    parts.map(<[u8]>::to_vec).chain(last)
}

impl Files {
    /// Follows a path beneath `root`. EXDEV: it leaves it; ELOOP, ENOENT, ENOTDIR, EACCES,
    /// ENAMETOOLONG. EAGAIN: `is_cached`, and a name on the way was not looked for before.
    fn resolve(&mut self, root: InodeId, path: &[u8], is_cached: bool) -> Result<InodeId, Errno> {
        if path.len() >= PATH_BYTES_MAX {
            return Err(libc::ENAMETOOLONG);
        }
        if path.starts_with(b"/") {
            return Err(libc::EXDEV);
        }
        let (mut at, mut links) = (root, 0);
        let mut left: VecDeque<Vec<u8>> = components(path).collect();
        while let Some(name) = left.pop_front() {
            let inode = self.get(at);
            let Content::Directory { entries, parent } = &inode.content else {
                return Err(libc::ENOTDIR);
            };
            if inode.is_denied {
                return Err(libc::EACCES);
            }
            match &name[..] {
                b"." => continue,
                b".." if at == root => return Err(libc::EXDEV),
                b".." => {
                    at = *parent;
                    continue;
                }
                _ => check_name(&name)?,
            }
            let found = entries.get(&name).copied();
            if is_cached && !self.known.contains(&(at, name.clone())) {
                return Err(libc::EAGAIN);
            }
            self.known.insert((at, name));
            let found = found.ok_or(libc::ENOENT)?;
            let Content::Link(target) = &self.get(found).content else {
                at = found;
                continue;
            };
            links += 1;
            if links > LINKS_MAX {
                return Err(libc::ELOOP);
            }
            if target.starts_with(b"/") {
                return Err(libc::EXDEV);
            }
            for part in components(target).rev() {
                left.push_front(part);
            }
        }
        Ok(at)
    }

    /// Opens what a path beneath `root` leads to; as `sys::beneath::Root::open`.
    pub fn open_beneath(&mut self, root: InodeId, path: &[u8], how: Open) -> Result<Object, Errno> {
        let is_cached = how == Open::StatusCached;
        if is_cached && !self.has_cached_lookup {
            return Err(libc::EAGAIN);
        }
        let inode = self.resolve(root, path, is_cached)?;
        let is_path = matches!(how, Open::Status | Open::StatusCached);
        let there = self.get(inode);
        let is_directory = matches!(there.content, Content::Directory { .. });
        if how == Open::Directory && !is_directory {
            return Err(libc::ENOTDIR);
        }
        if !is_path {
            if there.is_denied {
                return Err(libc::EACCES);
            }
            match there.content {
                Content::Socket => return Err(libc::ENXIO),
                Content::Device { has_driver: false } => {
                    self.odd_opens += 1;
                    return Err(libc::ENXIO);
                }
                Content::Fifo | Content::Device { .. } => self.odd_opens += 1,
                _ => {}
            }
        }
        self.get_mut(inode).open += 1;
        Ok(if is_directory {
            Object::Directory(OpenDirectory { inode, is_path })
        } else {
            Object::File(OpenFile { inode, position: 0, is_path, is_writable: false })
        })
    }

    /// Opens the root itself, to look beneath it.
    pub fn open_root(&mut self, path: &std::path::Path) -> Result<Object, Errno> {
        if path != std::path::Path::new(super::ROOT_PATH) {
            return Err(libc::ENOENT);
        }
        self.get_mut(super::ROOT).open += 1;
        Ok(Object::Directory(OpenDirectory { inode: super::ROOT, is_path: true }))
    }
}

impl crate::kernel::Kernel {
    /// Opens a file to be read that is open by `O_PATH` (through /proc/self/fd). EACCES.
    pub fn reopen_file(&mut self, fd: Fd) -> Result<Fd, Errno> {
        let Object::File(open) = self.descriptors.object(fd) else { return Err(libc::EINVAL) };
        let inode = open.inode;
        if self.files.get(inode).is_denied {
            return Err(libc::EACCES);
        }
        self.files.get_mut(inode).open += 1;
        let open = OpenFile { inode, position: 0, is_path: false, is_writable: false };
        self.open(Object::File(open))
    }
}
