//! The simulated kernel held to the real one: the same random scripts of calls run against both,
//! and every result, error number and event is compared. Where they differ, the simulated one is
//! wrong.
//!
//! `LANDLINE_SEED` replays one script; `LANDLINE_SCRIPTS` sets how many there are.

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;

use landline_sim::kernel::random::Random;

/// Scripts of one run of the tests.
const SCRIPTS: u64 = 400;
/// Calls of one script.
const CALLS: usize = 60;
/// Most descriptors of a script.
const SLOTS: usize = 8;

/// One call. A slot is a place for a descriptor; a call on an empty one does nothing.
#[derive(Clone, Copy, Debug)]
enum Call {
    Pair { is_unix: bool },
    Pipe,
    Wake,
    Duplicate(usize),
    Close(usize),
    Send(usize, usize),
    Receive(usize, usize),
    Shutdown(usize),
    ResetOnClose(usize),
    Write(usize, usize),
    Read(usize, usize),
    Held(usize),
    WakeUp,
    Clear,
    Add(usize, u8),
    Modify(usize, u8),
    Delete(usize),
    Poll,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    Nothing,
    Count(usize),
    Bytes(Vec<u8>),
    Failed(i32),
    Events(Vec<(u64, bool, bool, bool)>),
}

fn draw(random: &mut Random) -> Call {
    let slot = random.below(SLOTS);
    let bytes = *random.pick(&[1, 5, 300]);
    let interest = u8::try_from(random.below(4)).expect("it is below 4");
    match random.below(24) {
        0 | 1 => Call::Pair { is_unix: random.one_in(2) },
        2 => Call::Pipe,
        3 => Call::Wake,
        4 => Call::Duplicate(slot),
        5 | 6 => Call::Close(slot),
        7 | 8 => Call::Send(slot, bytes),
        9 | 10 => Call::Receive(slot, bytes),
        11 => Call::Shutdown(slot),
        12 => Call::ResetOnClose(slot),
        13 => Call::Write(slot, bytes),
        14 => Call::Read(slot, bytes),
        15 => Call::Held(slot),
        16 => Call::WakeUp,
        17 => Call::Clear,
        18 | 19 => Call::Add(slot, interest),
        20 => Call::Modify(slot, interest),
        21 => Call::Delete(slot),
        _ => Call::Poll,
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Socket,
    Reader,
    Writer,
}

fn came<T: Debug>(result: io::Result<T>, good: impl FnOnce(T) -> Came) -> Came {
    match result {
        Ok(value) => good(value),
        Err(error) => Came::Failed(error.raw_os_error().unwrap_or(-1)),
    }
}

/// One runner for each of the two kernels: the same text, on another `sys`.
macro_rules! runner {
    ($name:ident, $sys:path) => {
        mod $name {
            use $sys as sys;

            use sys::epoll::{Epoll, Events, Interest};
            use sys::fd::{AsFd as _, OwnedFd};
            use sys::wake::Wake;
            use sys::{copy, pipe, socket};

            use super::{Call, Came, Kind, SLOTS, came};

            pub(super) struct Runner {
                slots: Vec<Option<(Kind, OwnedFd)>>,
                wake: Option<Wake>,
                epoll: Epoll,
                pair: fn(bool) -> (OwnedFd, OwnedFd),
                settle: fn(),
            }

            impl Runner {
                pub(super) fn new(pair: fn(bool) -> (OwnedFd, OwnedFd), settle: fn()) -> Self {
                    let epoll = Epoll::new().expect("an epoll instance");
                    let slots = (0..SLOTS).map(|_| None).collect();
                    Self { slots, wake: None, epoll, pair, settle }
                }

                fn put(&mut self, kind: Kind, fd: OwnedFd) {
                    if let Some(slot) = self.slots.iter_mut().find(|slot| slot.is_none()) {
                        *slot = Some((kind, fd));
                    }
                }

                pub(super) fn run(&mut self, call: Call) -> Came {
                    let came = self.call(call);
                    (self.settle)();
                    came
                }

                fn call(&mut self, call: Call) -> Came {
                    match call {
                        Call::Pair { is_unix } => {
                            let (server, client) = (self.pair)(is_unix);
                            self.put(Kind::Socket, server);
                            self.put(Kind::Socket, client);
                        }
                        Call::Pipe => {
                            let (reader, writer) = pipe::new_pipe().expect("a pipe");
                            self.put(Kind::Reader, reader);
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
                        other => return self.on_slot(other),
                    }
                    Came::Nothing
                }

                fn on_slot(&mut self, call: Call) -> Came {
                    let (Call::Send(slot, _)
                    | Call::Receive(slot, _)
                    | Call::Shutdown(slot)
                    | Call::ResetOnClose(slot)
                    | Call::Write(slot, _)
                    | Call::Read(slot, _)
                    | Call::Held(slot)
                    | Call::Add(slot, _)
                    | Call::Modify(slot, _)
                    | Call::Delete(slot)) = call
                    else {
                        return Came::Nothing;
                    };
                    let Some((kind, fd)) = &self.slots[slot] else { return Came::Nothing };
                    let (kind, fd) = (*kind, fd.as_fd());
                    let interest = |bits: u8| {
                        let read = if bits & 1 > 0 { Interest::READ } else { Interest::NONE };
                        read | if bits & 2 > 0 { Interest::WRITE } else { Interest::NONE }
                    };
                    let is_socket = kind == Kind::Socket;
                    match call {
                        Call::Send(_, bytes) if is_socket => {
                            came(socket::send(fd, &vec![7; bytes], false), Came::Count)
                        }
                        Call::Receive(_, bytes) if is_socket => {
                            let mut buffer = vec![0; bytes];
                            came(socket::receive(fd, &mut buffer), |count| {
                                Came::Bytes(buffer[..count].to_vec())
                            })
                        }
                        Call::Shutdown(_) if is_socket => {
                            came(socket::shutdown_write(fd), |()| Came::Nothing)
                        }
                        Call::ResetOnClose(_) if is_socket => {
                            came(socket::set_reset_on_close(fd), |()| Came::Nothing)
                        }
                        Call::Write(_, bytes) if kind == Kind::Writer => {
                            came(pipe::write(fd, &vec![8; bytes]), Came::Count)
                        }
                        Call::Read(_, bytes) if kind == Kind::Reader => {
                            let mut buffer = vec![0; bytes];
                            came(copy::read(fd, &mut buffer), |count| {
                                Came::Bytes(buffer[..count].to_vec())
                            })
                        }
                        Call::Held(_) if kind != Kind::Writer => {
                            came(copy::bytes_readable(fd), Came::Count)
                        }
                        Call::Add(_, bits) => {
                            let added = self.epoll.add(fd, interest(bits), slot as u64);
                            came(added, |()| Came::Nothing)
                        }
                        Call::Modify(_, bits) => {
                            let changed = self.epoll.modify(fd, interest(bits), slot as u64);
                            came(changed, |()| Came::Nothing)
                        }
                        Call::Delete(_) => came(self.epoll.delete(fd), |()| Came::Nothing),
                        _ => Came::Nothing,
                    }
                }

                fn poll(&mut self) -> Came {
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
        }
    };
}

runner!(real, landline::sys);
runner!(simulated, landline_sim::sys);

mod real_pair {
    use landline::sys::fd::{AsFd as _, OwnedFd};
    use landline::sys::poll::wait_readable;
    use landline::sys::socket::{Local, accept, connect_start, connect_unix, listen_tcp};
    use landline::sys::socket::{listen_unix, local, set_no_delay};

    pub(super) fn pair(is_unix: bool) -> (OwnedFd, OwnedFd) {
        let (listener, client) = if is_unix { unix() } else { tcp() };
        wait_readable(&[listener.as_fd()], Some(10_000)).expect("poll works");
        let (server, _) = accept(listener.as_fd()).expect("a connection waits");
        if !is_unix {
            set_no_delay(server.as_fd()).expect("it is TCP");
        }
        (server, client)
    }

    fn tcp() -> (OwnedFd, OwnedFd) {
        let address = "127.0.0.1:0".parse().expect("it is an address");
        let listener = listen_tcp(address).expect("a free port");
        let Local::Inet(address) = local(listener.as_fd()).expect("it is bound") else {
            panic!("a TCP socket has an address")
        };
        let (client, _) = connect_start(address).expect("it listens");
        set_no_delay(client.as_fd()).expect("it is TCP");
        (listener, client)
    }

    fn unix() -> (OwnedFd, OwnedFd) {
        let path = super::socket_path();
        let _stale = std::fs::remove_file(&path);
        let listener = listen_unix(&path).expect("the path is free");
        let client = connect_unix(&path).expect("it listens");
        let _gone = std::fs::remove_file(&path);
        (listener, client)
    }
}

fn socket_path() -> PathBuf {
    let thread = std::thread::current().id();
    std::env::temp_dir().join(format!("landline-conf-{}-{thread:?}", std::process::id()))
}

mod simulated_pair {
    use landline_sim::kernel::descriptors::Object;
    use landline_sim::kernel::socket::{Side, client_address};
    use landline_sim::kernel::with;
    use landline_sim::sys::fd::{AsFd as _, OwnedFd};
    use landline_sim::sys::socket::{Peer, accept, listen_tcp, listen_unix};

    pub(super) fn pair(is_unix: bool) -> (OwnedFd, OwnedFd) {
        let path = super::socket_path();
        let listener = if is_unix {
            with(|kernel| kernel.network.paths.clear());
            listen_unix(&path).expect("the path is free")
        } else {
            listen_tcp("127.0.0.1:0".parse().expect("it is an address")).expect("a free port")
        };
        let peer = if is_unix { Peer::Unix } else { client_address(0, false) };
        let connection = with(|kernel| {
            let (id, _) = kernel.network.all_listeners().pop().expect("one listens");
            kernel.connect(id, peer, 1000).expect("one listens")
        });
        // In the order of the real ones: which numbers descriptors have shows in epoll.
        let client = with(|kernel| kernel.open(Object::Socket(connection, Side::Client)));
        let (server, _) = accept(listener.as_fd()).expect("a connection waits");
        (server, OwnedFd::from_raw(client.expect("there are descriptors left")))
    }

    /// What is sent over loopback has arrived when the call returns.
    pub(super) fn settle() {
        with(landline_sim::kernel::Kernel::deliver_all);
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Runs one script against both; how many calls were compared, or where they differ.
fn compare(seed: u64) -> Result<usize, String> {
    use landline_sim::kernel::Kernel;
    use landline_sim::kernel::threads::Machine;

    let mut random = Random::new(seed);
    let mut kernel = Kernel::new(seed);
    kernel.is_calm = true;
    let machine = Machine::start(kernel);
    let mut real = real::Runner::new(real_pair::pair, || {});
    let mut simulated = simulated::Runner::new(simulated_pair::pair, simulated_pair::settle);
    let mut said = Vec::new();
    for number in 0..CALLS {
        let call = draw(&mut random);
        let (want, got) = (real.run(call), simulated.run(call));
        said.push(format!("{call:?} → {want:?}"));
        if want != got {
            return Err(format!(
                "LANDLINE_SEED={seed}, call {number}: the simulated kernel says {got:?}\n{}",
                said.join("\n")
            ));
        }
    }
    drop(simulated);
    machine.end();
    Ok(CALLS)
}

#[test]
fn the_simulated_kernel_answers_as_the_real_one() {
    let seeds = match number("LANDLINE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LANDLINE_SCRIPTS").unwrap_or(SCRIPTS),
    };
    let mut calls = 0;
    for seed in seeds.clone() {
        match compare(seed) {
            Ok(count) => calls += count,
            Err(why) => panic!("{why}"),
        }
    }
    println!("{} scripts, {calls} calls compared", seeds.end - seeds.start);
}
