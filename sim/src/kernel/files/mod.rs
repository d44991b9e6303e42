//! Files: one tree, of which `/srv` is the root, in memory.
//!
//! - A file is an inode; a name is an entry of a directory. An inode is there for as long as it has
//!   a name or is open.
//! - Pages can be cold: reading them waits for the disk. So can names: finding them out does.
//! - What is sent from a file is copied at once. The real kernel may send what is written later.

mod io;
mod resolve;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use super::descriptors::{Fd, Object};
use super::{Errno, Kernel};
use crate::sys::beneath::{Kind, Metadata};
use crate::sys::clock::START_UNIX_S;

/// An inode.
pub type InodeId = usize;

/// Where the tree is.
pub const ROOT_PATH: &str = "/srv";
/// The inode of its root.
pub const ROOT: InodeId = 0;
/// Size of a page, in bytes.
pub const PAGE_BYTES: usize = 4096;
/// The longest name, in bytes (`NAME_MAX`).
const NAME_BYTES_MAX: usize = 255;

/// Mode of a new file, of which the umask takes away.
const MODE: u32 = 0o666;

/// The content of a regular file.
#[derive(Debug, Default)]
struct Regular {
    bytes: Vec<u8>,
    /// Pages that are not in memory.
    cold: BTreeSet<usize>,
    /// From this byte on, the disk cannot be read.
    fails_from: Option<(usize, Errno)>,
    /// sendfile(2) does not know its file system.
    is_unsendable: bool,
    /// preadv2(2) does not know whether its pages are in memory.
    is_opaque: bool,
}

#[derive(Debug)]
enum Content {
    Regular(Regular),
    Directory { entries: BTreeMap<Vec<u8>, InodeId>, parent: InodeId },
    Link(Vec<u8>),
    Fifo,
    Device { has_driver: bool },
    Socket,
}

#[derive(Debug)]
struct Inode {
    content: Content,
    mtime_s: i64,
    names: usize,
    open: usize,
    /// Its permission bits (inode(7)). Nothing here depends on them.
    mode: u32,
    /// Descriptions by which it is being written, each of which has its lock (flock(2)).
    writers: usize,
    /// Nobody may read it, or look for names in it.
    is_denied: bool,
}

/// All files.
#[derive(Debug)]
pub struct Files {
    inodes: BTreeMap<InodeId, Inode>,
    next: InodeId,
    /// Names that were looked for, or made, and are in memory.
    known: BTreeSet<(InodeId, Vec<u8>)>,
    /// Bytes that the disk takes still; `None` where it never fills up.
    space: Option<usize>,
    /// What the modes of new files lack (umask(2)).
    pub umask: u32,
    /// `RENAME_NOREPLACE` is known.
    pub has_noreplace: bool,
    /// `RESOLVE_CACHED` is known.
    pub has_cached_lookup: bool,
    /// How often a FIFO or device was opened for reading, which nobody may do.
    pub odd_opens: u64,
}

/// A file that is open.
#[derive(Debug)]
pub struct OpenFile {
    inode: InodeId,
    position: usize,
    is_path: bool,
    is_writable: bool,
}

/// A directory that is open.
#[derive(Debug)]
pub struct OpenDirectory {
    inode: InodeId,
    is_path: bool,
}

impl Inode {
    fn new(content: Content) -> Self {
        let (names, open, mode, writers) = (1, 0, MODE, 0);
        Self { content, mtime_s: START_UNIX_S, names, open, mode, writers, is_denied: false }
    }

    fn metadata(&self) -> Metadata {
        let (kind, bytes) = match &self.content {
            Content::Regular(regular) => (Kind::File, regular.bytes.len()),
            Content::Directory { .. } => (Kind::Directory, PAGE_BYTES),
            Content::Link(target) => (Kind::Other, target.len()),
            Content::Fifo | Content::Device { .. } | Content::Socket => (Kind::Other, 0),
        };
        Metadata { kind, bytes: bytes as u64, mtime_s: self.mtime_s }
    }
}

impl Regular {
    /// What can be read at once.
    fn read(&self, offset: usize, bytes_max: usize) -> Result<&[u8], Errno> {
        let mut end = self.bytes.len().min(offset.saturating_add(bytes_max));
        if offset >= end {
            return Ok(&[]);
        }
        if let Some((from, errno)) = self.fails_from {
            if offset >= from {
                return Err(errno);
            }
            end = end.min(from);
        }
        Ok(&self.bytes[offset..end])
    }

    /// What of it is in memory; `None`: not even its beginning.
    fn read_cached(&self, offset: usize, bytes_max: usize) -> Option<&[u8]> {
        // What cannot be read never comes into memory.
        let found = self.read(offset, bytes_max).ok()?;
        if found.is_empty() {
            return Some(found);
        }
        let end = offset + found.len();
        let cold = self.cold.range(offset / PAGE_BYTES..).next().map(|page| page * PAGE_BYTES);
        match cold {
            Some(cold) if cold <= offset => None,
            Some(cold) if cold < end => Some(&found[..cold - offset]),
            _ => Some(found),
        }
    }

    fn warm(&mut self, offset: usize, bytes: usize) {
        let end = offset.saturating_add(bytes);
        self.cold.retain(|page| (page + 1) * PAGE_BYTES <= offset || page * PAGE_BYTES >= end);
    }

    fn resize(&mut self, bytes: usize) {
        self.bytes.resize(bytes, 0);
        self.cold.retain(|page| page * PAGE_BYTES < bytes);
    }
}

impl Default for Files {
    fn default() -> Self {
        let content = Content::Directory { entries: BTreeMap::new(), parent: ROOT };
        Self {
            inodes: BTreeMap::from([(ROOT, Inode::new(content))]),
            next: ROOT + 1,
            known: BTreeSet::new(),
            space: None,
            umask: 0o022,
            has_noreplace: true,
            has_cached_lookup: true,
            odd_opens: 0,
        }
    }
}

impl Files {
    fn get(&self, id: InodeId) -> &Inode {
        &self.inodes[&id]
    }

    fn get_mut(&mut self, id: InodeId) -> &mut Inode {
        self.inodes.get_mut(&id).expect("an inode is there while it is named or open")
    }

    fn entries(&mut self, directory: InodeId) -> &mut BTreeMap<Vec<u8>, InodeId> {
        match &mut self.get_mut(directory).content {
            Content::Directory { entries, .. } => entries,
            other => panic!("not a directory: {other:?}"),
        }
    }

    fn regular(&self, id: InodeId) -> Option<&Regular> {
        match &self.get(id).content {
            Content::Regular(regular) => Some(regular),
            _ => None,
        }
    }

    fn regular_mut(&mut self, id: InodeId) -> Option<&mut Regular> {
        match &mut self.get_mut(id).content {
            Content::Regular(regular) => Some(regular),
            _ => None,
        }
    }

    /// What a name in a directory stands for.
    fn lookup(&mut self, directory: InodeId, name: &[u8]) -> Option<InodeId> {
        self.entries(directory).get(name).copied()
    }

    /// Makes an inode with one name, which nobody has.
    fn make(&mut self, directory: InodeId, name: &[u8], content: Content) -> InodeId {
        let id = self.next;
        self.next += 1;
        let mut inode = Inode::new(content);
        inode.mode &= !self.umask;
        self.inodes.insert(id, inode);
        self.entries(directory).insert(name.to_vec(), id);
        self.known.insert((directory, name.to_vec()));
        id
    }

    fn unlink(&mut self, directory: InodeId, name: &[u8]) {
        if let Some(id) = self.entries(directory).remove(name) {
            self.get_mut(id).names -= 1;
            self.forget_unused(id);
        }
    }

    fn forget_unused(&mut self, id: InodeId) {
        let inode = self.get(id);
        if inode.names == 0 && inode.open == 0 {
            let freed = self.regular(id).map_or(0, |regular| regular.bytes.len());
            self.space = self.space.map(|space| space + freed);
            self.inodes.remove(&id);
        }
    }

    fn close(&mut self, id: InodeId) {
        self.get_mut(id).open -= 1;
        self.forget_unused(id);
    }

    /// How many open descriptions of files and directories there are.
    pub fn open_count(&self) -> usize {
        self.inodes.values().map(|inode| inode.open).sum()
    }

    /// The names in a directory that is open, now (readdir(3)).
    pub fn list(&self, directory: InodeId) -> Vec<Vec<u8>> {
        match &self.get(directory).content {
            Content::Directory { entries, .. } => entries.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// What a name stands for, itself (`AT_SYMLINK_NOFOLLOW`), and whether that is a link. ENOENT.
    pub fn status(&mut self, directory: InodeId, name: &[u8]) -> Result<(Metadata, bool), Errno> {
        check_name(name)?;
        self.known.insert((directory, name.to_vec()));
        let id = self.lookup(directory, name).ok_or(libc::ENOENT)?;
        let inode = self.get(id);
        Ok((inode.metadata(), matches!(inode.content, Content::Link(_))))
    }

    /// The mode of a regular file of that name; `None` if there is nothing, or something else.
    pub fn mode(&self, directory: InodeId, name: &[u8]) -> Result<Option<u32>, Errno> {
        check_name(name)?;
        let Content::Directory { entries, .. } = &self.get(directory).content else {
            return Err(libc::ENOTDIR);
        };
        let found = entries.get(name).map(|id| self.get(*id));
        let is_regular = |inode: &&Inode| matches!(inode.content, Content::Regular(_));
        Ok(found.filter(is_regular).map(|inode| inode.mode))
    }

    /// Removes a regular file that nobody writes any more. True if it was removed. ENOENT.
    pub fn sweep(&mut self, directory: InodeId, name: &[u8]) -> Result<bool, Errno> {
        check_name(name)?;
        let id = self.lookup(directory, name).ok_or(libc::ENOENT)?;
        let inode = self.get(id);
        let is_left = matches!(inode.content, Content::Regular(_)) && inode.writers == 0;
        if is_left {
            self.unlink(directory, name);
        }
        Ok(is_left)
    }

    /// Gives a file another name (renameat2(2)). ENOENT; EEXIST: `is_new` and it is taken; EINVAL:
    /// `is_new` is not known; EISDIR, ENOTDIR: one of two is a directory.
    pub fn rename(
        &mut self,
        directory: InodeId,
        from: &[u8],
        to: &[u8],
        is_new: bool,
    ) -> Result<(), Errno> {
        if is_new && !self.has_noreplace {
            return Err(libc::EINVAL);
        }
        if from.is_empty() || to.is_empty() {
            return Err(libc::ENOENT);
        }
        check_name(from)?;
        let moved = self.lookup(directory, from).ok_or(libc::ENOENT)?;
        check_name(to)?;
        if let Some(other) = self.lookup(directory, to) {
            let is_directory = |id| matches!(self.get(id).content, Content::Directory { .. });
            match (is_directory(moved), is_directory(other)) {
                _ if is_new => return Err(libc::EEXIST),
                _ if moved == other => return Ok(()),
                (false, true) => return Err(libc::EISDIR),
                (true, false) => return Err(libc::ENOTDIR),
                (true, true) if !self.list(other).is_empty() => return Err(libc::ENOTEMPTY),
                _ => self.unlink(directory, to),
            }
        }
        self.entries(directory).remove(from);
        self.entries(directory).insert(to.to_vec(), moved);
        self.known.insert((directory, to.to_vec()));
        Ok(())
    }

    /// Gives a file one more name (linkat(2)). ENOENT, EEXIST, EPERM: a directory.
    pub fn link(&mut self, directory: InodeId, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        check_name(to)?;
        let id = self.lookup(directory, from).ok_or(libc::ENOENT)?;
        if self.lookup(directory, to).is_some() {
            return Err(libc::EEXIST);
        }
        if matches!(self.get(id).content, Content::Directory { .. }) {
            return Err(libc::EPERM);
        }
        self.get_mut(id).names += 1;
        self.entries(directory).insert(to.to_vec(), id);
        self.known.insert((directory, to.to_vec()));
        Ok(())
    }

    /// Removes a name (unlinkat(2)). ENOENT, EISDIR.
    pub fn remove_name(&mut self, directory: InodeId, name: &[u8]) -> Result<(), Errno> {
        check_name(name)?;
        let id = self.lookup(directory, name).ok_or(libc::ENOENT)?;
        if matches!(self.get(id).content, Content::Directory { .. }) {
            return Err(libc::EISDIR);
        }
        self.unlink(directory, name);
        Ok(())
    }
}

fn check_name(name: &[u8]) -> Result<(), Errno> {
    match name {
        _ if name.len() > NAME_BYTES_MAX => Err(libc::ENAMETOOLONG),
        b"" => Err(libc::ENOENT),
        _ => Ok(()),
    }
}

impl Kernel {
    /// The last descriptor of a file is closed.
    pub fn close_file(&mut self, OpenFile { inode, is_writable, .. }: OpenFile) {
        self.files.get_mut(inode).writers -= usize::from(is_writable);
        self.files.close(inode);
    }

    /// The last descriptor of a directory is closed.
    pub fn close_directory(&mut self, OpenDirectory { inode, .. }: OpenDirectory) {
        self.files.close(inode);
    }

    /// The directory that a descriptor is open on. ENOTDIR; ENOENT: it was removed.
    pub fn directory_of(&self, fd: Fd) -> Result<InodeId, Errno> {
        match self.descriptors.object(fd) {
            Object::Directory(open) if self.files.get(open.inode).names == 0 => Err(libc::ENOENT),
            Object::Directory(open) => Ok(open.inode),
            _ => Err(libc::ENOTDIR),
        }
    }

    /// Whether a directory is open for more than its path. EBADF: it is not; ENOTDIR.
    pub fn is_listable(&self, fd: Fd) -> Result<(), Errno> {
        match self.descriptors.object(fd) {
            Object::Directory(open) if open.is_path => Err(libc::EBADF),
            Object::Directory(_) => Ok(()),
            _ => Err(libc::ENOTDIR),
        }
    }

    /// Whether a file or directory is open for its path alone (`O_PATH`).
    pub fn is_path_only(&self, fd: Fd) -> bool {
        match self.descriptors.object(fd) {
            Object::File(open) => open.is_path,
            Object::Directory(open) => open.is_path,
            _ => false,
        }
    }

    /// What a descriptor is open on (fstat(2)).
    pub fn metadata_of(&self, fd: Fd) -> Metadata {
        match self.descriptors.object(fd) {
            Object::File(open) => self.files.get(open.inode).metadata(),
            Object::Directory(open) => self.files.get(open.inode).metadata(),
            _ => Metadata { kind: Kind::Other, bytes: 0, mtime_s: START_UNIX_S },
        }
    }

    /// Gives an open file a mode (fchmod(2)). EBADF: it is open for its path alone.
    pub fn set_file_mode(&mut self, fd: Fd, mode: u32) -> Result<(), Errno> {
        match self.descriptors.object(fd) {
            Object::File(open) if !open.is_path => {
                let inode = open.inode;
                self.files.get_mut(inode).mode = mode;
                Ok(())
            }
            _ => Err(libc::EBADF),
        }
    }

    /// Makes a file that is written (openat(2), `O_EXCL`). EEXIST, ENOENT, ENOSPC, EMFILE.
    pub fn create_file(
        &mut self,
        directory: Fd,
        name: &[u8],
        mode: Option<u32>,
    ) -> Result<Fd, Errno> {
        self.check_descriptors()?;
        let directory = self.directory_of(directory)?;
        check_name(name)?;
        if self.files.lookup(directory, name).is_some() {
            return Err(libc::EEXIST);
        }
        if self.files.space == Some(0) {
            return Err(libc::ENOSPC);
        }
        let inode = self.files.make(directory, name, Content::Regular(Regular::default()));
        let now_s = self.now_s();
        let mode = mode.map_or(MODE, |mode| mode & 0o777 | 0o600) & !self.files.umask;
        let created = self.files.get_mut(inode);
        (created.mtime_s, created.mode) = (now_s, mode);
        created.open += 1;
        created.writers += 1;
        let open = OpenFile { inode, position: 0, is_path: false, is_writable: true };
        self.open(Object::File(open))
    }

    /// EMFILE: the next descriptor would be one too many. The real kernel sets one aside before it
    /// does anything.
    pub fn check_descriptors(&self) -> Result<(), Errno> {
        let is_full = self.descriptors.open >= self.descriptors.fds_max;
        if is_full { Err(libc::EMFILE) } else { Ok(()) }
    }

    fn now_s(&self) -> i64 {
        START_UNIX_S + i64::try_from(self.now_us / 1_000_000).expect("a simulation is short")
    }
}
