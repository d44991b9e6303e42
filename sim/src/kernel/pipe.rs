//! Pipes (pipe(7)): bounded, with both ends counted.

use std::collections::{BTreeMap, VecDeque};

use super::epoll::Ready;
use super::{Errno, Kernel};

/// A pipe.
pub type PipeId = usize;

/// Writes up to this size are whole or not at all (`PIPE_BUF`).
const ATOMIC_BYTES: usize = 4096;

#[derive(Debug)]
struct Pipe {
    bytes: VecDeque<u8>,
    capacity: usize,
    has_reader: bool,
    has_writer: bool,
}

/// All pipes.
#[derive(Debug, Default)]
pub struct Pipes {
    pipes: BTreeMap<PipeId, Pipe>,
    next: PipeId,
}

impl Pipes {
    fn get(&self, id: PipeId) -> &Pipe {
        &self.pipes[&id]
    }

    fn get_mut(&mut self, id: PipeId) -> &mut Pipe {
        self.pipes.get_mut(&id).expect("a pipe is there while one end is")
    }

    /// What the read end is ready for: HUP once no writer is left, whether it holds bytes or not.
    pub fn reader_readiness(&self, id: PipeId) -> Ready {
        let pipe = self.get(id);
        Ready { readable: !pipe.bytes.is_empty(), hung_up: !pipe.has_writer, ..Ready::default() }
    }

    /// What the write end is ready for: ERR once no reader is left.
    pub fn writer_readiness(&self, id: PipeId) -> Ready {
        let pipe = self.get(id);
        let writable = pipe.capacity - pipe.bytes.len().min(pipe.capacity) >= ATOMIC_BYTES;
        Ready {
            writable: writable || !pipe.has_reader,
            failed: !pipe.has_reader,
            ..Ready::default()
        }
    }
}

impl Kernel {
    /// A new pipe. Both ends are open; whoever makes it describes them.
    pub fn new_pipe(&mut self) -> PipeId {
        let id = self.pipes.next;
        self.pipes.next += 1;
        let capacity = *self.random.pick(&[4096, 16 * 1024, 64 * 1024]);
        let capacity = if self.is_calm { 64 * 1024 } else { capacity };
        let pipe = Pipe { bytes: VecDeque::new(), capacity, has_reader: true, has_writer: true };
        self.pipes.pipes.insert(id, pipe);
        id
    }

    /// Reads at most `bytes_max`; nothing at the end. EAGAIN: nothing now.
    pub fn pipe_read(&mut self, id: PipeId, bytes_max: usize) -> Result<Vec<u8>, Errno> {
        let pipe = self.pipes.get_mut(id);
        if pipe.bytes.is_empty() {
            return if pipe.has_writer { Err(libc::EAGAIN) } else { Ok(Vec::new()) };
        }
        let count = pipe.bytes.len().min(bytes_max);
        let read = pipe.bytes.drain(..count).collect();
        self.note_effect();
        Ok(read)
    }

    /// Puts bytes back that were read, but could not be passed on (splice(2)).
    pub fn pipe_unread(&mut self, id: PipeId, bytes: &[u8]) {
        let pipe = self.pipes.get_mut(id);
        for byte in bytes.iter().rev() {
            pipe.bytes.push_front(*byte);
        }
    }

    /// How many bytes a pipe holds (FIONREAD).
    pub fn pipe_len(&self, id: PipeId) -> usize {
        self.pipes.get(id).bytes.len()
    }

    /// Whether anyone could still write.
    pub fn pipe_has_writer(&self, id: PipeId) -> bool {
        self.pipes.get(id).has_writer
    }

    /// Writes what there is room for. EAGAIN: there is none; EPIPE: no reader is left.
    pub fn pipe_write(&mut self, id: PipeId, bytes: &[u8]) -> Result<usize, Errno> {
        let pipe = self.pipes.get_mut(id);
        if !pipe.has_reader {
            return Err(libc::EPIPE);
        }
        let room = pipe.capacity.saturating_sub(pipe.bytes.len());
        let is_short = room < bytes.len();
        if room == 0 || (is_short && bytes.len() <= ATOMIC_BYTES) {
            return Err(libc::EAGAIN);
        }
        let count = bytes.len().min(room);
        pipe.bytes.extend(&bytes[..count]);
        self.note_effect();
        Ok(count)
    }

    /// Makes a pipe larger (`F_SETPIPE_SZ`).
    pub fn pipe_grow(&mut self, id: PipeId, bytes: usize) {
        let pipe = self.pipes.get_mut(id);
        pipe.capacity = pipe.capacity.max(bytes.min(1 << 20));
    }

    /// The last descriptor of the read end is closed.
    pub fn close_pipe_reader(&mut self, id: PipeId) {
        self.pipes.get_mut(id).has_reader = false;
        self.forget_pipe(id);
    }

    /// The last descriptor of the write end is closed.
    pub fn close_pipe_writer(&mut self, id: PipeId) {
        self.pipes.get_mut(id).has_writer = false;
        self.forget_pipe(id);
    }

    fn forget_pipe(&mut self, id: PipeId) {
        let pipe = self.pipes.get(id);
        if !pipe.has_reader && !pipe.has_writer {
            self.pipes.pipes.remove(&id);
        }
        self.note_effect();
    }
}
