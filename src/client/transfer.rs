//! `Transfer`: the rules of a download's frames, for whoever takes one.
//!
//! What it does not do: keep the bytes, or ask for them.

use super::failure::Failure;
use super::wire::{broken, misplaced};
use crate::protocol::reply::Header;

/// A download under way: `file` has come, so many bytes of `data` are to come, then `done`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    size: u64,
    left: u64,
}

impl Transfer {
    /// The first frame of the reply, to a request for the bytes from `offset` on.
    pub(super) fn begin(header: &Header, offset: u64) -> Result<Self, Failure> {
        if header.kind != "file" {
            return Err(misplaced(header));
        }
        let size = header.number("size").ok_or_else(|| broken("a file without a size"))?;
        match size.checked_sub(offset) {
            Some(size) => Ok(Self { size, left: size }),
            None => Err(broken("a file that ends before it begins")),
        }
    }

    /// A further part of the reply.
    pub(super) fn on_data(&mut self, header: &Header) -> Result<(), Failure> {
        if header.kind != "data" {
            return Err(misplaced(header));
        }
        let left = self.left.checked_sub(header.len);
        self.left = left.ok_or_else(|| broken("more data than the file has"))?;
        Ok(())
    }

    /// The end of the reply, which says that it is whole.
    pub(super) fn on_done(&self) -> Result<(), Failure> {
        if self.left > 0 {
            return Err(broken(&format!("{} bytes of the file are missing", self.left)));
        }
        Ok(())
    }

    /// Bytes the whole of it has.
    pub(super) fn size(&self) -> u64 {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(line: &str) -> Header {
        Header::parse(line.as_bytes()).expect("tests write good headers")
    }

    #[test]
    fn a_transfer_is_whole_when_every_byte_came() {
        let mut transfer = Transfer::begin(&header("file 0 size=9"), 2).expect("a good start");
        assert!(transfer.on_data(&header("data 4")).is_ok());
        assert!(transfer.on_done().is_err(), "3 bytes are missing");
        assert!(transfer.on_data(&header("data 3")).is_ok());
        assert_eq!(transfer.on_done(), Ok(()));
        assert!(transfer.on_data(&header("data 1")).is_err(), "one byte too many");
    }

    #[test]
    fn frames_of_other_replies_do_not_belong_here() {
        for line in ["data 1", "file 0", "file 0 size=-1", "file 0 size=1", "out 3"] {
            assert!(Transfer::begin(&header(line), 2).is_err(), "{line}");
        }
        let mut transfer = Transfer::begin(&header("file 0 size=9"), 0).expect("a good start");
        for line in ["out 1", "err 1", "file 0 size=9"] {
            assert!(transfer.on_data(&header(line)).is_err(), "{line}");
        }
    }
}
