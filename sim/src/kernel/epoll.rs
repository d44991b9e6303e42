//! epoll(7), level-triggered.
//!
//! What is ready is computed from state whenever it is asked for, so that nothing can be told twice
//! or too late. HUP and ERR are told whatever was asked for. A description that was registered is
//! told of until it is deregistered or *it* is gone: closing one descriptor of several is no end.

use std::collections::BTreeMap;

use super::descriptors::{DescriptionId, Fd, Object};
use super::socket::Side;
use super::{Errno, Kernel};

/// What a description is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// EPOLLIN.
    pub readable: bool,
    /// EPOLLOUT.
    pub writable: bool,
    /// EPOLLHUP.
    pub hung_up: bool,
    /// EPOLLERR.
    pub failed: bool,
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Registration {
    /// EPOLLIN.
    pub read: bool,
    /// EPOLLOUT.
    pub write: bool,
    /// What the event carries.
    pub token: u64,
}

/// An epoll instance: what is registered, by number and description.
#[derive(Debug, Default)]
pub struct EpollSet {
    registered: BTreeMap<(Fd, DescriptionId), Registration>,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// What was registered.
    pub token: u64,
    /// EPOLLIN.
    pub readable: bool,
    /// EPOLLOUT.
    pub writable: bool,
    /// EPOLLHUP or EPOLLERR.
    pub gone: bool,
}

impl Kernel {
    fn set(&mut self, epoll: Fd) -> &mut EpollSet {
        match self.descriptors.object_mut(epoll) {
            Object::Epoll(set) => set,
            other => panic!("not an epoll instance: {other:?}"),
        }
    }

    /// `EPOLL_CTL_ADD`. EEXIST: it is there already; EPERM: a file cannot be waited for; EBADF: it
    /// is open for its path alone.
    pub fn epoll_add(&mut self, epoll: Fd, fd: Fd, wanted: Registration) -> Result<(), Errno> {
        if self.is_path_only(fd) {
            return Err(libc::EBADF);
        }
        let id = self.descriptors.of(fd);
        if matches!(
            self.descriptors.get(id).object,
            Object::File(_) | Object::Directory(_) | Object::Null
        ) {
            return Err(libc::EPERM);
        }
        let set = self.set(epoll);
        if set.registered.contains_key(&(fd, id)) {
            return Err(libc::EEXIST);
        }
        set.registered.insert((fd, id), wanted);
        let instance = self.descriptors.of(epoll);
        self.descriptors.get_mut(id).registered.push((instance, fd));
        self.note_effect();
        Ok(())
    }

    /// `EPOLL_CTL_MOD`. ENOENT: it is not there.
    pub fn epoll_modify(&mut self, epoll: Fd, fd: Fd, wanted: Registration) -> Result<(), Errno> {
        let id = self.descriptors.of(fd);
        let there = self.set(epoll).registered.get_mut(&(fd, id)).ok_or(libc::ENOENT)?;
        *there = wanted;
        self.note_effect();
        Ok(())
    }

    /// `EPOLL_CTL_DEL`. ENOENT: it is not there.
    pub fn epoll_delete(&mut self, epoll: Fd, fd: Fd) -> Result<(), Errno> {
        let id = self.descriptors.of(fd);
        self.set(epoll).registered.remove(&(fd, id)).ok_or(libc::ENOENT)?;
        let instance = self.descriptors.of(epoll);
        self.descriptors.get_mut(id).registered.retain(|there| *there != (instance, fd));
        self.note_effect();
        Ok(())
    }

    /// A description that was registered is gone.
    pub fn forget_registration(&mut self, epoll: DescriptionId, fd: Fd, id: DescriptionId) {
        if let Object::Epoll(set) = &mut self.descriptors.get_mut(epoll).object {
            set.registered.remove(&(fd, id));
        }
    }

    /// An epoll instance is gone.
    pub fn forget_instance(&mut self, epoll: DescriptionId, set: &EpollSet) {
        for (fd, id) in set.registered.keys() {
            let registered = &mut self.descriptors.get_mut(*id).registered;
            registered.retain(|there| *there != (epoll, *fd));
        }
    }

    /// What is ready now, at most `events_max` of it, in an order of the seed's choosing.
    pub fn epoll_ready(&mut self, epoll: Fd, events_max: usize) -> Vec<Told> {
        let all: Vec<_> =
            self.set(epoll).registered.iter().map(|((_, id), wanted)| (*id, *wanted)).collect();
        let mut told = Vec::new();
        for (id, wanted) in all {
            let ready = self.readiness(id);
            let event = Told {
                token: wanted.token,
                readable: wanted.read && ready.readable,
                writable: wanted.write && ready.writable,
                gone: ready.hung_up || ready.failed,
            };
            if event.readable || event.writable || event.gone {
                told.push(event);
            }
        }
        for place in (1..told.len()).rev() {
            let other = self.random.below(place + 1);
            told.swap(place, other);
        }
        told.truncate(events_max);
        told
    }

    /// Whether anything is ready.
    pub fn epoll_is_ready(&mut self, epoll: Fd) -> bool {
        let all: Vec<_> =
            self.set(epoll).registered.iter().map(|((_, id), wanted)| (*id, *wanted)).collect();
        all.iter().any(|(id, wanted)| {
            let ready = self.readiness(*id);
            ready.hung_up
                || ready.failed
                || (wanted.read && ready.readable)
                || (wanted.write && ready.writable)
        })
    }

    /// What a description is ready for (poll(2)).
    pub fn readiness(&self, id: DescriptionId) -> Ready {
        let readable = |readable| Ready { readable, ..Ready::default() };
        match &self.descriptors.get(id).object {
            Object::Epoll(_) => Ready::default(),
            Object::Counter(count) => {
                Ready { readable: *count > 0, writable: true, ..Ready::default() }
            }
            Object::Listener(listener) => readable(self.network.has_waiting(*listener)),
            Object::Socket(connection, side) => self.network.readiness(*connection, *side),
            Object::PipeReader(pipe) => self.pipes.reader_readiness(*pipe),
            Object::PipeWriter(pipe) => self.pipes.writer_readiness(*pipe),
            Object::PtyMaster(pty) => self.ptys.master_readiness(*pty),
            Object::PtySlave(pty) => self.ptys.slave_readiness(*pty),
            Object::Process(pid) => readable(self.processes.has_ended(*pid)),
            Object::Signals => readable(!self.signals.is_empty()),
            Object::File(_) | Object::Directory(_) | Object::Null => {
                Ready { readable: true, writable: true, ..Ready::default() }
            }
        }
    }

    /// The server's end of a connection, as a descriptor is open on it.
    pub fn socket_of(&self, fd: Fd) -> Result<(super::socket::ConnectionId, Side), Errno> {
        match self.descriptors.object(fd) {
            Object::Socket(connection, side) => Ok((*connection, *side)),
            _ => Err(libc::ENOTSOCK),
        }
    }
}
