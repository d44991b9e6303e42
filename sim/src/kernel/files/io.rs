//! Reading, writing and sending files that are open.

use super::{InodeId, PAGE_BYTES};
use crate::kernel::descriptors::{Fd, Object};
use crate::kernel::{Errno, Kernel};

impl Kernel {
    /// The file behind a descriptor that reads. EBADF: it does not; EISDIR.
    fn readable_file(&self, fd: Fd) -> Result<InodeId, Errno> {
        match self.descriptors.object(fd) {
            Object::File(open) if open.is_path || open.is_writable => Err(libc::EBADF),
            Object::File(open) => Ok(open.inode),
            Object::Directory(open) if open.is_path => Err(libc::EBADF),
            Object::Directory(_) => Err(libc::EISDIR),
            _ => Err(libc::EINVAL),
        }
    }

    /// Writes some of `bytes` where the last write ended (write(2)). EBADF, ENOSPC.
    pub fn write_file(&mut self, fd: Fd, bytes: &[u8]) -> Result<usize, Errno> {
        let Object::File(open) = self.descriptors.object(fd) else { return Err(libc::EBADF) };
        if !open.is_writable {
            return Err(libc::EBADF);
        }
        let (inode, position) = (open.inode, open.position);
        let room = self.files.space.unwrap_or(usize::MAX);
        let have = self.files.regular(inode).map_or(0, |regular| regular.bytes.len());
        let most = bytes.len().min(room.saturating_add(have.saturating_sub(position)));
        if most == 0 && !bytes.is_empty() {
            return Err(libc::ENOSPC);
        }
        let is_short = most > 1 && !self.is_calm && self.random.one_in(8);
        let count = if is_short { self.random.between(1, most) } else { most };
        let (end, now_s) = (position + count, self.now_s());
        self.files.get_mut(inode).mtime_s = now_s;
        let Some(regular) = self.files.regular_mut(inode) else { return Err(libc::EINVAL) };
        if regular.bytes.len() < end {
            regular.resize(end);
        }
        regular.bytes[position..end].copy_from_slice(&bytes[..count]);
        let grown = end.saturating_sub(have);
        self.files.space = self.files.space.map(|space| space.saturating_sub(grown));
        if let Object::File(open) = self.descriptors.object_mut(fd) {
            open.position = end;
        }
        self.note_effect();
        Ok(count)
    }

    /// Reads from where the last read ended (read(2)). EBADF, EISDIR, and what the disk says.
    pub fn read_file(&mut self, fd: Fd, bytes_max: usize) -> Result<Vec<u8>, Errno> {
        let inode = self.readable_file(fd)?;
        let Object::File(open) = self.descriptors.object(fd) else { return Err(libc::EBADF) };
        let read = self.file_read_at(inode, open.position, bytes_max)?.to_vec();
        if let Object::File(open) = self.descriptors.object_mut(fd) {
            open.position += read.len();
        }
        Ok(read)
    }

    fn file_read_at(&self, inode: InodeId, offset: usize, max: usize) -> Result<&[u8], Errno> {
        self.files.regular(inode).ok_or(libc::EINVAL)?.read(offset, max)
    }

    /// Reads at an offset (pread(2)), and has what was read in memory from then on.
    pub fn pread_file(&mut self, fd: Fd, offset: usize, max: usize) -> Result<Vec<u8>, Errno> {
        let inode = self.readable_file(fd)?;
        let read = self.file_read_at(inode, offset, max)?.to_vec();
        if let Some(regular) = self.files.regular_mut(inode) {
            regular.warm(offset, read.len());
        }
        Ok(read)
    }

    /// Whether some of these bytes are to be waited for.
    pub fn is_cold(&self, fd: Fd, offset: usize, bytes: usize) -> bool {
        let inode = self.readable_file(fd).ok().and_then(|inode| self.files.regular(inode));
        inode.is_some_and(|regular| {
            let end = regular.bytes.len().min(offset.saturating_add(bytes));
            let pages = offset / PAGE_BYTES..end.div_ceil(PAGE_BYTES);
            !pages.is_empty() && regular.cold.range(pages).next().is_some()
        })
    }

    /// Reads what is in memory (preadv2(2), `RWF_NOWAIT`). EAGAIN; EOPNOTSUPP: it cannot be told.
    pub fn read_cached(&self, fd: Fd, offset: usize, max: usize) -> Result<&[u8], Errno> {
        let inode = self.readable_file(fd)?;
        let regular = self.files.regular(inode).ok_or(libc::EINVAL)?;
        if regular.is_opaque {
            return Err(libc::EOPNOTSUPP);
        }
        regular.read_cached(offset, max).ok_or(libc::EAGAIN)
    }

    /// What sendfile(2) would send from an offset on. EINVAL: it cannot.
    pub fn sendable(&mut self, fd: Fd, offset: usize, max: usize) -> Result<Vec<u8>, Errno> {
        let inode = self.readable_file(fd).map_err(|errno| match errno {
            libc::EISDIR => libc::EINVAL,
            other => other,
        })?;
        let regular = self.files.regular(inode).ok_or(libc::EINVAL)?;
        if regular.is_unsendable {
            return Err(libc::EINVAL);
        }
        self.pread_file(fd, offset, max)
    }
}
