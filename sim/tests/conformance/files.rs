//! Runs a script of calls on files: the same text for both kernels.
//!
//! Root may read and write anything, so that permissions are not compared.

use std::ffi::CString;

use super::sys::beneath::{Kind, Metadata, Open, Root, list, metadata};
use super::sys::epoll::{Epoll, Interest};
use super::sys::fd::{AsFd as _, BorrowedFd, OwnedFd};
use super::sys::{copy, place, poll, socket};
use super::{Tree, connect, listen};
use crate::calls::{Came, came, content};
use crate::file_calls::{Change, FileCall, How, SLOTS};

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// A directory or a file that was looked up.
    Found,
    /// A file that is read.
    Reader,
    /// A file that is being made.
    Writer,
}

pub(crate) struct Runner {
    tree: Tree,
    root: Root,
    /// The root, to be listed.
    listed: OwnedFd,
    slots: Vec<Option<(Held, OwnedFd)>>,
    /// What is sent goes in at the first and comes out at the second.
    near: OwnedFd,
    far: OwnedFd,
    call: usize,
}

fn open(how: How) -> Open {
    match how {
        How::Directory => Open::Directory,
        How::Status => Open::Status,
        How::StatusCached => Open::StatusCached,
    }
}

/// What is compared of metadata: a directory's size is the file system's own business.
fn told(metadata: Metadata) -> Came {
    Came::Text(match metadata.kind {
        Kind::File => format!("file of {}", metadata.bytes),
        Kind::Directory => "directory".to_owned(),
        Kind::Other => "other".to_owned(),
    })
}

/// What is in a directory.
fn listed(directory: BorrowedFd<'_>) -> Came {
    let mut all = Vec::new();
    let done = list(directory, &|| true, &mut |name, metadata| {
        let name = String::from_utf8_lossy(name).into_owned();
        all.push(format!("{name}: {:?}", metadata.map(told)));
        Ok(())
    });
    all.sort();
    came(done, |()| Came::Text(all.join(", ")))
}

fn named(directory: BorrowedFd<'_>) -> Came {
    let mut all = Vec::new();
    let done = place::names(directory, &mut |name, is_directory| {
        all.push(format!("{}: {is_directory}", name.to_string_lossy()));
        true
    });
    all.sort();
    came(done, |()| Came::Text(all.join(", ")))
}

fn is_directory(fd: BorrowedFd<'_>) -> bool {
    metadata(fd).expect("it is open").kind == Kind::Directory
}

impl Runner {
    pub(crate) fn new(number: u64) -> Self {
        let tree = Tree::new(number);
        let root = Root::at(&tree.root()).expect("it is there");
        let listed = root.open(b"", Open::Directory).expect("it is a directory");
        let (listener, address) = listen(number.is_multiple_of(2), number, 0);
        let far = connect(&address).expect("it listens");
        poll::wait_readable(&[listener.as_fd()], Some(60_000)).expect("poll works");
        let (near, _) = socket::accept(listener.as_fd()).expect("a connection waits");
        let slots = (0..SLOTS).map(|_| None).collect();
        Self { tree, root, listed, slots, near, far, call: 0 }
    }

    fn put(&mut self, held: Held, fd: OwnedFd) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some((held, fd));
        }
    }

    /// The directory of a slot, or the root where there is none.
    fn directory(&self, slot: usize) -> BorrowedFd<'_> {
        match &self.slots[slot] {
            Some((_, fd)) if is_directory(fd.as_fd()) => fd.as_fd(),
            _ => self.listed.as_fd(),
        }
    }

    /// Makes call number `at` of the script.
    pub(crate) fn run(&mut self, at: usize, call: &FileCall) -> Came {
        self.call = at;
        match call {
            FileCall::Change(change) => self.change(change),
            FileCall::Close(slot) => {
                self.slots[*slot] = None;
                Came::Nothing
            }
            FileCall::Open(path, how) => {
                let opened = self.root.open(path.as_bytes(), open(*how));
                self.opened(opened, Held::Found, *how)
            }
            FileCall::OpenFile(path, how) => {
                let opened = self.root.open_file(path.as_bytes(), open(*how));
                self.opened(opened.map(|(fd, _)| fd), Held::Reader, *how)
            }
            FileCall::Create(slot, name, mode) => {
                let created = place::create(self.directory(*slot), name.as_bytes(), *mode);
                self.opened(created, Held::Writer, How::Status)
            }
            // A directory is listed once: it has a position. The root is opened anew.
            FileCall::List(slot) | FileCall::Names(slot) => {
                let directory = match self.slots[*slot].take() {
                    Some((_, fd)) if is_directory(fd.as_fd()) => fd,
                    _ => self.root.open(b"", Open::Directory).expect("it is a directory"),
                };
                let is_list = matches!(call, FileCall::List(_));
                let directory = directory.as_fd();
                if is_list { listed(directory) } else { named(directory) }
            }
            other => self.look(other),
        }
    }

    fn opened(&mut self, opened: std::io::Result<OwnedFd>, held: Held, how: How) -> Came {
        came(opened, |fd| {
            let came = told(metadata(fd.as_fd()).expect("it is open"));
            // The real kernel may say at any time that a name is not in memory: this is compared
            // only where it says something else.
            if how != How::StatusCached {
                self.put(held, fd);
            }
            came
        })
    }

    fn look(&self, call: &FileCall) -> Came {
        match call {
            FileCall::Kind(slot, name) => {
                let kind = place::kind(self.directory(*slot), name.as_bytes());
                came(kind, |kind| Came::Text(format!("{kind:?}")))
            }
            FileCall::Access(slot, name) => {
                let access = place::access(self.directory(*slot), name.as_bytes());
                came(access, |access| Came::Text(format!("{:?}", access.map(|access| access.mode))))
            }
            FileCall::Replace(slot, from, to) => {
                let directory = self.directory(*slot);
                let done = place::replace(directory, from.as_bytes(), to.as_bytes());
                came(done, |()| Came::Nothing)
            }
            FileCall::Rename(slot, from, to) => {
                let directory = self.directory(*slot);
                let done = place::rename(directory, from.as_bytes(), to.as_bytes());
                came(done, |()| Came::Nothing)
            }
            FileCall::Remove(slot, name) => {
                let done = place::remove(self.directory(*slot), name.as_bytes());
                came(done, |()| Came::Nothing)
            }
            FileCall::Sweep(slot, name) => {
                let name = CString::new(name.as_str()).expect("it holds no NUL");
                came(place::sweep(self.directory(*slot), &name), Came::Is)
            }
            FileCall::Sync(slot) => came(place::sync(self.directory(*slot)), |()| Came::Nothing),
            other => self.on_file(other),
        }
    }

    fn on_file(&self, call: &FileCall) -> Came {
        let (FileCall::Metadata(slot)
        | FileCall::Write(slot, _)
        | FileCall::SyncFile(slot)
        | FileCall::SetAccess(slot, _)
        | FileCall::Read(slot, _)
        | FileCall::ReadAt(slot, ..)
        | FileCall::ReadCached(slot, ..)
        | FileCall::ReadAhead(slot, ..)
        | FileCall::Send(slot, ..)
        | FileCall::Watch(slot)) = call
        else {
            return Came::Nothing;
        };
        let Some((held, fd)) = &self.slots[*slot] else { return Came::Nothing };
        let fd = fd.as_fd();
        match (call, held) {
            (FileCall::Metadata(_), _) => came(metadata(fd), told),
            (FileCall::Watch(_), _) => {
                let epoll = Epoll::new().expect("an epoll instance");
                came(epoll.add(fd, Interest::READ, 0), |()| Came::Nothing)
            }
            (FileCall::Write(_, bytes), Held::Writer) => {
                let written = place::write_all(fd, &content(self.call, *bytes));
                came(written, |()| Came::Nothing)
            }
            (FileCall::SyncFile(_), Held::Writer) => came(place::sync_file(fd), |()| Came::Nothing),
            (FileCall::SetAccess(_, name), Held::Writer) => {
                match place::access(self.listed.as_fd(), name.as_bytes()) {
                    Ok(Some(access)) => came(place::set_access(fd, &access), |()| Came::Nothing),
                    _ => Came::Nothing,
                }
            }
            (FileCall::Read(_, bytes), _) => {
                let mut buffer = vec![0; *bytes];
                came(copy::read(fd, &mut buffer), |count| Came::Bytes(buffer[..count].to_vec()))
            }
            (FileCall::ReadAt(_, offset, bytes), _) => {
                let mut buffer = vec![0; *bytes];
                let read = copy::read_at(fd, *offset, &mut buffer);
                came(read, |count| Came::Bytes(buffer[..count].to_vec()))
            }
            (FileCall::ReadCached(_, offset, bytes), Held::Reader) => {
                let mut buffer = vec![0; *bytes];
                came(copy::read_cached(fd, *offset, &mut buffer), |count| match count {
                    Some(count) => Came::Bytes(buffer[..count].to_vec()),
                    None => Came::Failed(libc::EAGAIN),
                })
            }
            (FileCall::ReadAhead(_, offset, bytes), Held::Reader) => {
                came(copy::read_ahead(fd, *offset, *bytes), |()| Came::Nothing)
            }
            (FileCall::Send(_, offset, bytes), _) => self.send(fd, *offset, *bytes),
            _ => Came::Nothing,
        }
    }

    /// Sends from a file, and what comes out at the other end.
    fn send(&self, file: BorrowedFd<'_>, offset: u64, bytes: usize) -> Came {
        let sent = match copy::send_file(self.near.as_fd(), file, offset, bytes) {
            Ok(copy::Copied::Moved(count)) => count,
            other => return came(other, |copied| Came::Text(format!("{copied:?}"))),
        };
        super::settle();
        let (mut all, mut buffer) = (Vec::new(), vec![0; sent]);
        while all.len() < sent {
            poll::wait_readable(&[self.far.as_fd()], Some(60_000)).expect("poll works");
            let count = socket::receive(self.far.as_fd(), &mut buffer).expect("it was sent");
            all.extend_from_slice(&buffer[..count]);
        }
        Came::Bytes(all)
    }

    /// Somebody else changes something. Only what cannot fail is done.
    fn change(&mut self, change: &Change) -> Came {
        let path = match change {
            Change::Directory(path)
            | Change::Link(path, _)
            | Change::Fifo(path)
            | Change::Resize(path, _)
            | Change::Mode(path, _) => path.as_str(),
        };
        let (parent, name) = match path.split_once('/') {
            Some((parent, name)) => {
                let kind = place::kind(self.listed.as_fd(), parent.as_bytes());
                let is_link = place::access(self.listed.as_fd(), parent.as_bytes());
                if !matches!((kind, is_link), (Ok(Some(Kind::Directory)), Ok(None))) {
                    return Came::Nothing;
                }
                (self.root.open(parent.as_bytes(), Open::Directory).expect("it is there"), name)
            }
            None => (self.listed.try_clone().expect("a duplicate"), path),
        };
        let kind = place::kind(parent.as_fd(), name.as_bytes()).expect("it can be looked at");
        let access = place::access(parent.as_fd(), name.as_bytes()).expect("it can be looked at");
        let can_be = match change {
            Change::Directory(_) | Change::Link(..) | Change::Fifo(_) => kind.is_none(),
            Change::Resize(..) | Change::Mode(..) => access.is_some(),
        };
        if can_be {
            self.tree.change(change);
        }
        Came::Is(can_be)
    }
}
