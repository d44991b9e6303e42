//! `Liar`: a sink that takes as little as it likes, as late as it likes, and is gone when it likes.
//!
//! What it does not do: lose or change a byte. What it says it moved is in `taken`, in order.

use std::io::{self, IoSlice};

use landline::sys::copy::Copied;
use landline::transfer::sink::{SendError, Sink};

use crate::random::Random;

/// Where a peer's output goes for the length of one flush.
pub(crate) struct Liar<'a> {
    pub(crate) random: &'a mut Random,
    /// What the client has received.
    pub(crate) taken: &'a mut Vec<u8>,
    /// What is really there of the file that is sent.
    pub(crate) file: &'a [u8],
    /// How rarely the client takes something: never 0.
    pub(crate) stinginess: usize,
    /// Whether writing to this peer fails from now on.
    pub(crate) is_gone: bool,
}

impl Liar<'_> {
    /// How many of `there` bytes move now; none where the client takes nothing.
    fn whim(&mut self, there: usize) -> io::Result<usize> {
        if self.is_gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !self.random.one_in(self.stinginess) {
            return Ok(0);
        }
        Ok(match self.random.below(4) {
            0 => 1,
            1 => self.random.between(1, there.min(20)),
            2 => self.random.between(1, there),
            _ => there,
        })
    }
}

impl Sink for Liar<'_> {
    fn write_vectored(&mut self, slices: &[IoSlice<'_>], _more: bool) -> io::Result<Copied> {
        let there = slices.iter().map(|slice| slice.len()).sum();
        assert!(there > 0, "nothing is written");
        let moved = self.whim(there)?;
        let mut left = moved;
        for slice in slices {
            let taken = left.min(slice.len());
            self.taken.extend_from_slice(&slice[..taken]);
            left -= taken;
        }
        Ok(if moved == 0 { Copied::SinkFull } else { Copied::Moved(moved) })
    }

    fn send_file(&mut self, offset: u64, bytes_max: u64) -> Result<Copied, SendError> {
        let offset = usize::try_from(offset).expect("files here are small");
        let there = self.file.get(offset..).unwrap_or_default();
        if there.is_empty() {
            return Ok(Copied::SourceEnded);
        }
        if self.random.one_in(8) {
            return Ok(Copied::SourceEmpty);
        }
        let there = &there[..there.len().min(usize::try_from(bytes_max).unwrap_or(usize::MAX))];
        let moved = self.whim(there.len()).map_err(SendError::Peer)?;
        self.taken.extend_from_slice(&there[..moved]);
        Ok(if moved == 0 { Copied::SinkFull } else { Copied::Moved(moved) })
    }
}
