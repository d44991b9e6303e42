//! Runs a script of calls on sockets, pipes, eventfds and epoll: the same text for both kernels.

use std::io::IoSlice;

use super::sys::epoll::{Epoll, Events, Interest};
use super::sys::fd::{AsFd as _, BorrowedFd, OwnedFd};
use super::sys::socket::{self, Local, Peer};
use super::sys::wake::Wake;
use super::sys::{copy, pipe, poll};
use super::{connect, listen};
use crate::calls::{Call, Came, Look, SLOTS, came, content};

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Listener,
    Socket,
    Reader,
    /// The read end of a pipe that waits when there is nothing.
    PatientReader,
    Writer,
    /// The write end of a pipe that waits when there is no room.
    PatientWriter,
}

pub(crate) struct Runner {
    slots: Vec<Option<(Kind, OwnedFd)>>,
    /// The address that was listened on last.
    address: Option<Local>,
    wake: Option<Wake>,
    epoll: Epoll,
    /// Which script this is, and which call of it.
    number: u64,
    call: usize,
}

fn interest(bits: u8) -> Interest {
    let read = if bits & 1 > 0 { Interest::READ } else { Interest::NONE };
    read | if bits & 2 > 0 { Interest::WRITE } else { Interest::NONE }
}

fn is_over(fd: BorrowedFd<'_>) -> bool {
    poll::wait_any(&[(fd, false, false)], Some(0)).expect("poll works")[0]
}

impl Runner {
    pub(crate) fn new(number: u64) -> Self {
        let epoll = Epoll::new().expect("an epoll instance");
        let slots = (0..SLOTS).map(|_| None).collect();
        Self { slots, address: None, wake: None, epoll, number, call: 0 }
    }

    fn put(&mut self, kind: Kind, fd: OwnedFd) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some((kind, fd));
        }
    }

    /// What every slot looks like.
    pub(crate) fn looks(&self) -> Vec<Option<Look>> {
        let look = |(kind, fd): &(Kind, OwnedFd)| {
            let is = |read, write| {
                let told = poll::wait_any(&[(fd.as_fd(), read, write)], Some(0));
                told.expect("poll works")[0]
            };
            let holds = matches!(kind, Kind::Socket | Kind::Reader | Kind::PatientReader);
            let held = if holds { copy::bytes_readable(fd.as_fd()).expect("it holds") } else { 0 };
            (is(true, false), is(false, true), is_over(fd.as_fd()), held)
        };
        self.slots.iter().map(|slot| slot.as_ref().map(look)).collect()
    }

    /// Makes call number `at` of the script.
    pub(crate) fn run(&mut self, at: usize, call: Call) -> Came {
        self.call = at;
        match call {
            Call::Listen { is_unix } => {
                let (listener, address) = listen(is_unix, self.number, self.call);
                self.address = Some(address);
                self.put(Kind::Listener, listener);
            }
            Call::Connect => {
                let Some(address) = &self.address else { return Came::Nothing };
                let connected = connect(address);
                return came(connected, |client| {
                    self.put(Kind::Socket, client);
                    Came::Nothing
                });
            }
            Call::Pair { is_unix } => self.pair(is_unix),
            Call::Pipe => {
                let (reader, writer) = pipe::new_pipe().expect("a pipe");
                self.put(Kind::Reader, reader);
                self.put(Kind::PatientWriter, writer);
            }
            Call::InputPipe => {
                let (reader, writer) = pipe::new_input_pipe().expect("a pipe");
                self.put(Kind::PatientReader, reader);
                self.put(Kind::Writer, writer);
            }
            Call::Wake => self.wake = Some(Wake::new().expect("an eventfd")),
            Call::WakeUp => self.wake.iter().for_each(Wake::wake),
            Call::Clear => self.wake.iter().for_each(Wake::clear),
            Call::Poll => return self.poll(),
            Call::Close(slot) => self.slots[slot] = None,
            Call::Duplicate(slot) => {
                if let Some((kind, fd)) = &self.slots[slot] {
                    let (kind, twin) = (*kind, fd.try_clone().expect("a duplicate"));
                    self.put(kind, twin);
                }
            }
            Call::Accept(slot) => return self.accept(slot),
            Call::Add(slot, _) | Call::Modify(slot, _) | Call::Delete(slot) => {
                return self.control(call, slot);
            }
            other => return self.on_slot(other),
        }
        Came::Nothing
    }

    fn pair(&mut self, is_unix: bool) {
        let (listener, address) = listen(is_unix, self.number, self.call);
        let client = connect(&address).expect("it listens");
        poll::wait_readable(&[listener.as_fd()], Some(60_000)).expect("poll works");
        let (server, _) = socket::accept(listener.as_fd()).expect("a connection waits");
        drop(listener);
        self.put(Kind::Socket, server);
        self.put(Kind::Socket, client);
    }

    fn accept(&mut self, slot: usize) -> Came {
        let Some((Kind::Listener, listener)) = &self.slots[slot] else { return Came::Nothing };
        came(socket::accept(listener.as_fd()), |(server, peer)| {
            self.put(Kind::Socket, server);
            Came::Is(peer == Peer::Unix)
        })
    }

    fn control(&self, call: Call, slot: usize) -> Came {
        let Some((_, fd)) = &self.slots[slot] else { return Came::Nothing };
        let (fd, token) = (fd.as_fd(), slot as u64);
        let done = match call {
            Call::Add(_, bits) => self.epoll.add(fd, interest(bits), token),
            Call::Modify(_, bits) => self.epoll.modify(fd, interest(bits), token),
            _ => self.epoll.delete(fd),
        };
        came(done, |()| Came::Nothing)
    }

    fn on_slot(&self, call: Call) -> Came {
        let (Call::Look(slot)
        | Call::Send(slot, _)
        | Call::SendPieces(slot, _)
        | Call::Receive(slot, _)
        | Call::Peek(slot, _)
        | Call::Shutdown(slot)
        | Call::ResetOnClose(slot)
        | Call::TakeError(slot)
        | Call::Unsent(slot)
        | Call::Write(slot, _)
        | Call::Read(slot, _)) = call
        else {
            return Came::Nothing;
        };
        let Some((kind, fd)) = &self.slots[slot] else { return Came::Nothing };
        match kind {
            Kind::Listener => came(socket::is_listening(fd.as_fd()), Came::Is),
            Kind::Socket => self.on_socket(call, fd.as_fd()),
            _ => self.on_pipe(call, *kind, fd.as_fd()),
        }
    }

    fn on_socket(&self, call: Call, fd: BorrowedFd<'_>) -> Came {
        match call {
            Call::Look(_) => match socket::local(fd).expect("it is bound") {
                Local::Unix(_) => Came::Is(socket::peer_uid(fd).is_ok()),
                Local::Inet(_) => came(socket::is_listening(fd), Came::Is),
            },
            Call::Send(_, bytes) => {
                came(socket::send(fd, &content(self.call, bytes), false), Came::Count)
            }
            Call::SendPieces(_, bytes) => {
                let all = content(self.call, bytes);
                let (first, second) = all.split_at(bytes / 3);
                let pieces = [IoSlice::new(first), IoSlice::new(second)];
                came(socket::send_vectored(fd, &pieces, false), Came::Count)
            }
            Call::Receive(_, bytes) => {
                let mut buffer = vec![0; bytes];
                let received = socket::receive(fd, &mut buffer);
                came(received, |count| Came::Bytes(buffer[..count].to_vec()))
            }
            Call::Peek(_, bytes) => {
                let mut buffer = vec![0; bytes];
                let peeked = socket::peek(fd, &mut buffer);
                came(peeked, |count| Came::Bytes(buffer[..count].to_vec()))
            }
            Call::Shutdown(_) => came(socket::shutdown_write(fd), |()| Came::Nothing),
            Call::ResetOnClose(_) => came(socket::set_reset_on_close(fd), |()| Came::Nothing),
            Call::TakeError(_) => came(socket::take_error(fd), |()| Came::Nothing),
            // What counts as unsent once a connection was reset depends on what was acknowledged
            // before, which may take its time.
            Call::Unsent(_) if is_over(fd) => Came::Nothing,
            Call::Unsent(_) => came(socket::unsent_bytes(fd), |count| Came::Is(count > 0)),
            _ => Came::Nothing,
        }
    }

    fn on_pipe(&self, call: Call, kind: Kind, fd: BorrowedFd<'_>) -> Came {
        let held = || copy::bytes_readable(fd).expect("a pipe holds bytes");
        match (call, kind) {
            (Call::Write(_, bytes), Kind::Writer) => {
                came(pipe::write(fd, &content(self.call, bytes)), Came::Count)
            }
            // Ten of these fit: a page each.
            (Call::Write(_, bytes), Kind::PatientWriter) if bytes <= 300 => {
                came(pipe::write(fd, &content(self.call, bytes)), Came::Count)
            }
            (Call::Read(..), Kind::PatientReader) if held() == 0 => Came::Nothing,
            (Call::Read(_, bytes), Kind::Reader | Kind::PatientReader) => {
                let mut buffer = vec![0; bytes];
                let read = copy::read(fd, &mut buffer);
                came(read, |count| Came::Bytes(buffer[..count].to_vec()))
            }
            _ => Came::Nothing,
        }
    }

    fn poll(&self) -> Came {
        let mut events = Events::with_capacity(64);
        came(self.epoll.wait(&mut events, Some(0)), |()| {
            let of = |index| {
                let event = events.get(index);
                (event.token, event.readable, event.writable, event.gone)
            };
            let mut all: Vec<_> = (0..events.len()).map(of).collect();
            all.sort_unstable();
            Came::Events(all)
        })
    }
}
