//! Descriptors of the server, and the open descriptions that they stand for (open(2)).
//!
//! A description lives for as long as anyone has a descriptor of it: the server, by any number of
//! them, or a process that inherited it. What is registered in epoll is a description under a
//! descriptor's number, and stays registered until the *description* is gone.

use super::epoll::EpollSet;
use super::files::{OpenDirectory, OpenFile};
use super::pipe::PipeId;
use super::process::Pid;
use super::pty::PtyId;
use super::socket::{ConnectionId, ListenerId, Side};
use super::{Errno, Kernel};

/// A number that a process has for a description.
pub type Fd = i32;
/// An open description.
pub type DescriptionId = usize;

/// What a description is open on.
#[derive(Debug)]
pub enum Object {
    /// An epoll instance.
    Epoll(EpollSet),
    /// An eventfd's counter.
    Counter(u64),
    /// A socket that listens.
    Listener(ListenerId),
    /// One end of a connection.
    Socket(ConnectionId, Side),
    /// The read end of a pipe.
    PipeReader(PipeId),
    /// The write end of a pipe.
    PipeWriter(PipeId),
    /// The master side of a terminal.
    PtyMaster(PtyId),
    /// The slave side of a terminal.
    PtySlave(PtyId),
    /// A process (`pidfd_open(2)`).
    Process(Pid),
    /// A signalfd.
    Signals,
    /// A file.
    File(OpenFile),
    /// A directory.
    Directory(OpenDirectory),
    /// `/dev/null`.
    Null,
}

/// A description.
#[derive(Debug)]
pub struct Description {
    /// What it is open on.
    pub object: Object,
    /// How many descriptors there are of it, in all processes.
    pub references: usize,
    /// Epoll instances it is registered in: the instance's description, and the number.
    pub registered: Vec<(DescriptionId, Fd)>,
}

/// All descriptions, and the server's descriptors.
#[derive(Debug)]
pub struct Descriptors {
    descriptions: Vec<Option<Description>>,
    free: Vec<DescriptionId>,
    fds: Vec<Option<DescriptionId>>,
    /// The limit on the server's descriptors (`RLIMIT_NOFILE`).
    pub fds_max: usize,
    /// How many the server has.
    pub open: usize,
}

impl Default for Descriptors {
    fn default() -> Self {
        // 0, 1 and 2 are whatever the server was started with.
        let fds = vec![Some(0), Some(0), Some(0)];
        let null = Description { object: Object::Null, references: 3, registered: Vec::new() };
        Self { descriptions: vec![Some(null)], free: Vec::new(), fds, fds_max: 1024, open: 3 }
    }
}

impl Descriptors {
    /// A new description, without a descriptor yet: whoever makes it holds one reference.
    pub fn describe(&mut self, object: Object) -> DescriptionId {
        let description = Description { object, references: 1, registered: Vec::new() };
        if let Some(id) = self.free.pop() {
            self.descriptions[id] = Some(description);
            id
        } else {
            self.descriptions.push(Some(description));
            self.descriptions.len() - 1
        }
    }

    /// The description behind a descriptor of the server. The types of `sys` see to it that it is
    /// open.
    pub fn of(&self, fd: Fd) -> DescriptionId {
        let index = usize::try_from(fd).expect("descriptors are positive");
        self.fds.get(index).copied().flatten().expect("an owned descriptor is open")
    }

    /// A description.
    pub fn get(&self, id: DescriptionId) -> &Description {
        self.descriptions[id].as_ref().expect("a description is there while it is referred to")
    }

    /// A description.
    pub fn get_mut(&mut self, id: DescriptionId) -> &mut Description {
        self.descriptions[id].as_mut().expect("a description is there while it is referred to")
    }

    /// What a descriptor of the server is open on.
    pub fn object(&self, fd: Fd) -> &Object {
        &self.get(self.of(fd)).object
    }

    /// What a descriptor of the server is open on.
    pub fn object_mut(&mut self, fd: Fd) -> &mut Object {
        let id = self.of(fd);
        &mut self.get_mut(id).object
    }

    /// All descriptions that the server has descriptors of, each once.
    pub fn all(&self) -> Vec<DescriptionId> {
        let mut all: Vec<_> = self.fds.iter().copied().flatten().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Every descriptor of the server, with what it is open on, for messages.
    pub fn listed(&self) -> Vec<(Fd, String)> {
        let of = |(fd, id): (usize, &Option<DescriptionId>)| {
            let id = (*id)?;
            Some((Fd::try_from(fd).ok()?, format!("{:?}", self.get(id).object)))
        };
        self.fds.iter().enumerate().filter_map(of).collect()
    }

    fn lowest_free(&self) -> usize {
        self.fds.iter().position(Option::is_none).unwrap_or(self.fds.len())
    }
}

impl Kernel {
    /// Gives the server a descriptor of a description to which a reference was taken. Where there
    /// is no room for one, the reference is given back. EMFILE: the limit is reached.
    pub fn install(&mut self, id: DescriptionId) -> Result<Fd, Errno> {
        let place = self.descriptors.lowest_free();
        if place >= self.descriptors.fds_max {
            self.release(id);
            return Err(libc::EMFILE);
        }
        if place == self.descriptors.fds.len() {
            self.descriptors.fds.push(None);
        }
        self.descriptors.fds[place] = Some(id);
        self.descriptors.open += 1;
        self.note_effect();
        Ok(Fd::try_from(place).expect("there are fewer descriptors than 2^31"))
    }

    /// Opens something for the server.
    pub fn open(&mut self, object: Object) -> Result<Fd, Errno> {
        let id = self.descriptors.describe(object);
        self.install(id)
    }

    /// Takes one more reference to a description.
    pub fn share(&mut self, id: DescriptionId) -> DescriptionId {
        self.descriptors.get_mut(id).references += 1;
        id
    }

    /// Closes a descriptor of the server (close(2)).
    pub fn close(&mut self, fd: Fd) {
        let id = self.descriptors.of(fd);
        let index = usize::try_from(fd).expect("descriptors are positive");
        self.descriptors.fds[index] = None;
        self.descriptors.open -= 1;
        self.note_effect();
        self.release(id);
    }

    /// Gives back a reference to a description; with the last one it is gone, and leaves epoll.
    pub fn release(&mut self, id: DescriptionId) {
        let description = self.descriptors.get_mut(id);
        description.references -= 1;
        if description.references > 0 {
            return;
        }
        let gone = self.descriptors.descriptions[id].take().expect("it was just looked at");
        self.descriptors.free.push(id);
        for (epoll, fd) in gone.registered {
            self.forget_registration(epoll, fd, id);
        }
        match gone.object {
            Object::Listener(listener) => self.close_listener(listener),
            Object::Socket(connection, side) => self.close_end(connection, side),
            Object::PipeReader(pipe) => self.close_pipe_reader(pipe),
            Object::PipeWriter(pipe) => self.close_pipe_writer(pipe),
            Object::PtyMaster(pty) => self.close_pty_master(pty),
            Object::PtySlave(pty) => self.close_pty_slave(pty),
            Object::File(file) => self.close_file(file),
            Object::Directory(directory) => self.close_directory(directory),
            Object::Epoll(set) => self.forget_instance(id, &set),
            Object::Counter(_) | Object::Process(_) | Object::Signals | Object::Null => {}
        }
    }
}
