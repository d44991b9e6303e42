//! Calls on sockets, pipes, eventfds and epoll that a script is made of, and what they come to.

use std::fmt::Debug;
use std::io;

use landline_sim::kernel::random::Random;

/// Most descriptors of a script.
pub(crate) const SLOTS: usize = 10;

/// One call. A slot is a place for a descriptor; a call on one that is empty, or holds something
/// that the call is not for, does nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Listen {
        is_unix: bool,
    },
    /// To the latest address, whether anyone listens there still or not.
    Connect,
    Accept(usize),
    /// Both ends of a connection.
    Pair {
        is_unix: bool,
    },
    Pipe,
    InputPipe,
    Wake,
    Duplicate(usize),
    Close(usize),
    Look(usize),
    Send(usize, usize),
    SendPieces(usize, usize),
    Receive(usize, usize),
    Peek(usize, usize),
    Shutdown(usize),
    ResetOnClose(usize),
    TakeError(usize),
    /// Whether anything is unsent.
    Unsent(usize),
    Write(usize, usize),
    Read(usize, usize),
    WakeUp,
    Clear,
    Add(usize, u8),
    Modify(usize, u8),
    Delete(usize),
    Poll,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Nothing,
    Count(usize),
    Bytes(Vec<u8>),
    Is(bool),
    Text(String),
    Failed(i32),
    Events(Vec<(u64, bool, bool, bool)>),
}

/// What a slot looks like: readable, writable, over, and how many bytes it holds.
pub(crate) type Look = (bool, bool, bool, usize);

pub(crate) fn draw(random: &mut Random) -> Call {
    let slot = random.below(SLOTS);
    let bytes = *random.pick(&[0, 1, 5, 300, 5000]);
    let some = bytes.max(1);
    let is_unix = random.one_in(2);
    let interest = u8::try_from(random.below(4)).expect("it is below 4");
    match random.below(44) {
        0..3 => Call::Pair { is_unix },
        3 => Call::Listen { is_unix },
        4 | 5 => Call::Connect,
        6 | 7 => Call::Accept(slot),
        8 => Call::Pipe,
        9 => Call::InputPipe,
        10 => Call::Wake,
        11 => Call::Duplicate(slot),
        12..16 => Call::Close(slot),
        16 => Call::Look(slot),
        17..20 => Call::Send(slot, bytes),
        20 => Call::SendPieces(slot, bytes),
        21..24 => Call::Receive(slot, some),
        24 => Call::Peek(slot, some),
        25 | 26 => Call::Shutdown(slot),
        27 => Call::ResetOnClose(slot),
        28 => Call::TakeError(slot),
        29 if random.one_in(8) => Call::Unsent(slot),
        29..32 => Call::Write(slot, *random.pick(&[0, 1, 300, 4095, 4096, 5000, 70_000])),
        32..34 => Call::Read(slot, *random.pick(&[1, 300, 4096, 5000, 70_000])),
        34 => Call::WakeUp,
        35 => Call::Clear,
        36..39 => Call::Add(slot, interest),
        39 => Call::Modify(slot, interest),
        40 => Call::Delete(slot),
        _ => Call::Poll,
    }
}

/// What a result comes to.
pub(crate) fn came<T: Debug>(result: io::Result<T>, good: impl FnOnce(T) -> Came) -> Came {
    match result {
        Ok(value) => good(value),
        Err(error) => Came::Failed(error.raw_os_error().unwrap_or(-1)),
    }
}

/// Bytes that differ from one call to the next.
pub(crate) fn content(call: usize, count: usize) -> Vec<u8> {
    let byte = |place: usize| u8::try_from((call * 31 + place) % 251).expect("it is below 251");
    (0..count).map(byte).collect()
}
