//! Pipes (pipe(7)): bounded, with both ends counted.
//!
//! A pipe holds pages, not bytes: a page is free again once all of it is read, and a write that
//! does not fit into the last page whole begins a new one.

use std::collections::{BTreeMap, VecDeque};

use super::epoll::Ready;
use super::{Errno, Kernel};

/// A pipe.
pub type PipeId = usize;

/// Size of a page, in bytes. Writes up to this size are whole or not at all (`PIPE_BUF`).
const PAGE_BYTES: usize = 4096;
/// Pages that a pipe can have at most (`fs.pipe-max-size`).
const PAGES_MAX: usize = 256;

/// A page that holds bytes, with how much of it was used before them.
#[derive(Debug)]
struct Page {
    bytes: VecDeque<u8>,
    read: usize,
}

impl Page {
    fn room(&self) -> usize {
        PAGE_BYTES - self.read - self.bytes.len()
    }
}

#[derive(Debug)]
struct Pipe {
    pages: VecDeque<Page>,
    pages_max: usize,
    has_reader: bool,
    has_writer: bool,
}

impl Pipe {
    fn len(&self) -> usize {
        self.pages.iter().map(|page| page.bytes.len()).sum()
    }

    fn is_full(&self) -> bool {
        self.pages.len() >= self.pages_max
    }

    /// Takes what there is room for: `pipe_write()`.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        let odd = bytes.len() % PAGE_BYTES;
        if let Some(last) = self.pages.back_mut()
            && odd > 0
            && odd <= last.room()
        {
            last.bytes.extend(&bytes[..odd]);
            done = odd;
        }
        while done < bytes.len() && !self.is_full() {
            let count = PAGE_BYTES.min(bytes.len() - done);
            let bytes = bytes[done..done + count].iter().copied().collect();
            self.pages.push_back(Page { bytes, read: 0 });
            done += count;
        }
        done
    }

    fn read(&mut self, bytes_max: usize) -> Vec<u8> {
        let mut read = Vec::new();
        while let Some(page) = self.pages.front_mut() {
            let count = page.bytes.len().min(bytes_max - read.len());
            read.extend(page.bytes.drain(..count));
            page.read += count;
            if !page.bytes.is_empty() {
                break;
            }
            self.pages.pop_front();
        }
        read
    }
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
        Ready { readable: !pipe.pages.is_empty(), hung_up: !pipe.has_writer, ..Ready::default() }
    }

    /// What the write end is ready for: ERR once no reader is left.
    pub fn writer_readiness(&self, id: PipeId) -> Ready {
        let pipe = self.get(id);
        Ready { writable: !pipe.is_full(), failed: !pipe.has_reader, ..Ready::default() }
    }
}

impl Kernel {
    /// A new pipe. Both ends are open; whoever makes it describes them.
    pub fn new_pipe(&mut self) -> PipeId {
        let id = self.pipes.next;
        self.pipes.next += 1;
        let pages_max = *self.random.pick(&[1, 4, 16]);
        let pages_max = if self.is_calm { 16 } else { pages_max };
        let pipe = Pipe { pages: VecDeque::new(), pages_max, has_reader: true, has_writer: true };
        self.pipes.pipes.insert(id, pipe);
        id
    }

    /// Reads at most `bytes_max`; nothing at the end. EAGAIN: nothing now.
    pub fn pipe_read(&mut self, id: PipeId, bytes_max: usize) -> Result<Vec<u8>, Errno> {
        let pipe = self.pipes.get_mut(id);
        if pipe.pages.is_empty() {
            return if pipe.has_writer { Err(libc::EAGAIN) } else { Ok(Vec::new()) };
        }
        let read = pipe.read(bytes_max);
        self.note_effect();
        Ok(read)
    }

    /// How many bytes a pipe holds (FIONREAD).
    pub fn pipe_len(&self, id: PipeId) -> usize {
        self.pipes.get(id).len()
    }

    /// Whether anyone could still write.
    pub fn pipe_has_writer(&self, id: PipeId) -> bool {
        self.pipes.get(id).has_writer
    }

    /// Writes what there is room for. EAGAIN: there is none; EPIPE: no reader is left.
    pub fn pipe_write(&mut self, id: PipeId, bytes: &[u8]) -> Result<usize, Errno> {
        let pipe = self.pipes.get_mut(id);
        if bytes.is_empty() {
            return Ok(0);
        }
        if !pipe.has_reader {
            return Err(libc::EPIPE);
        }
        let count = pipe.write(bytes);
        if count == 0 {
            return Err(libc::EAGAIN);
        }
        self.note_effect();
        Ok(count)
    }

    /// Sets how much a pipe holds (`F_SETPIPE_SZ`): a power of two of pages. It stays what it was
    /// where more is in it (EBUSY), or past the system's limit (EPERM).
    pub fn pipe_grow(&mut self, id: PipeId, bytes: usize) {
        let pipe = self.pipes.get_mut(id);
        let pages = bytes.div_ceil(PAGE_BYTES).max(1).next_power_of_two();
        if pages >= pipe.pages.len() && pages <= PAGES_MAX {
            pipe.pages_max = pages;
        }
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
