//! Transfers that fill buffers: what is sent, how, and how it ends.

use landline_sim::kernel::random::Random;

/// How bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Send,
    Pieces,
    File,
}

/// How a transfer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The sender ends its output, and reads an answer.
    Shutdown,
    /// The sender closes.
    Close,
    /// The sender closes with `SO_LINGER` 0.
    Reset,
    /// The reader closes before it has read all.
    ReaderCloses,
    /// The file is cut off meanwhile.
    Shrinks,
}

/// A transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) is_unix: bool,
    pub(crate) by: By,
    pub(crate) end: End,
    /// How many bytes there are, and how many are sent and read at once.
    pub(crate) bytes: usize,
    pub(crate) sent_at_once: usize,
    pub(crate) read_at_once: usize,
}

/// More than any buffer holds.
pub(crate) const MANY: usize = 12_000_000;

pub(crate) fn draw(random: &mut Random) -> Plan {
    let by = *random.pick(&[By::Send, By::Pieces, By::File]);
    let ends = [End::Shutdown, End::Close, End::Reset, End::ReaderCloses, End::Shrinks];
    let end = *random.pick(if by == By::File { &ends } else { &ends[..4] });
    Plan {
        is_unix: random.one_in(2),
        by,
        end,
        bytes: *random.pick(&[1, 5_000, 100_000, MANY]),
        sent_at_once: *random.pick(&[4_096, 70_000, 1_000_000]),
        read_at_once: *random.pick(&[3_000, 65_536, 300_000]),
    }
}

/// The byte at a place of what is sent.
pub(crate) fn byte_at(place: usize) -> u8 {
    u8::try_from((place ^ (place >> 9)) % 253).expect("it is below 253")
}
