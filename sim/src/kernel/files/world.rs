//! What others do with files while the server runs. Names are paths below the root; all of it
//! happens at once, and cannot fail.

use std::collections::BTreeMap;

use super::{Content, Files, InodeId, PAGE_BYTES, ROOT, Regular};
use crate::kernel::{Errno, Kernel};

impl Files {
    /// The directory of a path, made where it is not there, and the last name.
    fn place(&mut self, path: &str) -> (InodeId, Vec<u8>) {
        let (mut at, mut left) = (ROOT, path);
        while let Some((name, rest)) = left.split_once('/') {
            let found = self.lookup(at, name.as_bytes());
            at = found.unwrap_or_else(|| {
                let content = Content::Directory { entries: BTreeMap::new(), parent: at };
                self.make(at, name.as_bytes(), content)
            });
            left = rest;
        }
        (at, left.as_bytes().to_vec())
    }

    fn find(&self, path: &str) -> Option<InodeId> {
        path.split('/').try_fold(ROOT, |at, name| match &self.get(at).content {
            Content::Directory { entries, .. } => entries.get(name.as_bytes()).copied(),
            _ => None,
        })
    }

    fn put(&mut self, path: &str, content: Content) -> InodeId {
        let (directory, name) = self.place(path);
        self.unlink(directory, &name);
        self.make(directory, &name, content)
    }

    /// A new file. Whoever had the name loses it, as by rename(2).
    pub fn create(&mut self, path: &str, bytes: Vec<u8>) {
        self.put(path, Content::Regular(Regular { bytes, ..Regular::default() }));
    }

    /// A directory.
    pub fn make_directory(&mut self, path: &str) {
        let (parent, name) = self.place(path);
        if self.lookup(parent, &name).is_none() {
            self.make(parent, &name, Content::Directory { entries: BTreeMap::new(), parent });
        }
    }

    /// A symbolic link.
    pub fn make_link(&mut self, path: &str, target: &str) {
        self.put(path, Content::Link(target.as_bytes().to_vec()));
    }

    /// A FIFO.
    pub fn make_fifo(&mut self, path: &str) {
        self.put(path, Content::Fifo);
    }

    /// A device, with a driver or without.
    pub fn make_device(&mut self, path: &str, has_driver: bool) {
        self.put(path, Content::Device { has_driver });
    }

    /// A socket.
    pub fn make_socket(&mut self, path: &str) {
        self.put(path, Content::Socket);
    }

    /// Changes a file that is there; nothing where it is none.
    fn change(&mut self, path: &str, change: impl FnOnce(&mut Regular)) {
        let found = self.find(path).and_then(|inode| self.regular_mut(inode));
        if let Some(regular) = found {
            change(regular);
        }
    }

    /// Other content in the same file.
    pub fn overwrite(&mut self, path: &str, bytes: Vec<u8>) {
        self.change(path, |regular| {
            regular.resize(bytes.len());
            regular.bytes = bytes;
        });
    }

    /// More content in the same file.
    pub fn append(&mut self, path: &str, bytes: &[u8]) {
        self.change(path, |regular| regular.bytes.extend_from_slice(bytes));
    }

    /// Cuts a file off, or fills it up with zeros.
    pub fn truncate(&mut self, path: &str, bytes: usize) {
        self.change(path, |regular| regular.resize(bytes));
    }

    /// From `offset` on the file's disk cannot be read.
    pub fn break_disk(&mut self, path: &str, offset: usize, errno: Errno) {
        self.change(path, |regular| regular.fails_from = Some((offset, errno)));
    }

    /// sendfile(2) says EINVAL of this file.
    pub fn make_unsendable(&mut self, path: &str) {
        self.change(path, |regular| regular.is_unsendable = true);
    }

    /// `RWF_NOWAIT` is not known for this file.
    pub fn make_opaque(&mut self, path: &str) {
        self.change(path, |regular| regular.is_opaque = true);
    }

    /// Nobody may open it any more, or look for names in it.
    pub fn deny(&mut self, path: &str) {
        if let Some(inode) = self.find(path) {
            self.get_mut(inode).is_denied = true;
        }
    }

    /// Gives a file a mode.
    pub fn set_mode(&mut self, path: &str, mode: u32) {
        if let Some(inode) = self.find(path) {
            self.get_mut(inode).mode = mode;
        }
    }

    /// Gives a file another name, whoever has it.
    pub fn move_to(&mut self, from: &str, to: &str) {
        let Some(inode) = self.find(from) else { return };
        let ((old, old_name), (new, new_name)) = (self.place(from), self.place(to));
        if (old, &old_name) == (new, &new_name) {
            return;
        }
        self.unlink(new, &new_name);
        self.entries(old).remove(&old_name);
        self.entries(new).insert(new_name.clone(), inode);
        self.known.insert((new, new_name));
        if let Content::Directory { parent, .. } = &mut self.get_mut(inode).content {
            *parent = new;
        }
    }

    /// Takes a name away.
    pub fn remove(&mut self, path: &str) {
        if self.find(path).is_some() {
            let (directory, name) = self.place(path);
            self.unlink(directory, &name);
        }
    }

    /// The disk takes so many more bytes.
    pub fn limit_space(&mut self, bytes: Option<usize>) {
        self.space = bytes;
    }

    /// What a regular file holds.
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        let inode = self.find(path)?;
        self.regular(inode).map(|regular| regular.bytes.clone())
    }

    /// Every name there is, but of directories.
    pub fn names(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.collect(ROOT, "", &mut all);
        all
    }

    fn collect(&self, directory: InodeId, before: &str, all: &mut Vec<String>) {
        let Content::Directory { entries, .. } = &self.get(directory).content else { return };
        for (name, inode) in entries {
            let path = format!("{before}{}", String::from_utf8_lossy(name));
            if matches!(self.get(*inode).content, Content::Directory { .. }) {
                self.collect(*inode, &format!("{path}/"), all);
            } else {
                all.push(path);
            }
        }
    }

    /// Names of files that are being stored, or were left behind.
    pub fn temporary_names(&self) -> Vec<String> {
        let is_temporary = |path: &String| {
            let name = path.rsplit('/').next().unwrap_or_default();
            name.starts_with(".landline-")
        };
        self.names().into_iter().filter(is_temporary).collect()
    }

    fn all_regular(&mut self) -> impl Iterator<Item = &mut Regular> {
        self.inodes.values_mut().filter_map(|inode| match &mut inode.content {
            Content::Regular(regular) => Some(regular),
            _ => None,
        })
    }
}

impl Kernel {
    /// Memory was needed for other things: some pages and names have to be read from the disk
    /// again. The seed decides which.
    pub fn chill_files(&mut self) {
        let random = &mut self.random;
        for regular in self.files.all_regular() {
            let pages = regular.bytes.len().div_ceil(PAGE_BYTES);
            let times = *random.pick(&[0, 1, 1, 3, 20]);
            let cold = (0..pages).filter(|_| times > 0 && random.one_in(times));
            regular.cold.extend(cold);
        }
        self.files.known.retain(|_| !random.one_in(2));
        self.note_effect();
    }
}
