//! Sends many bytes over a connection, until it is full and beyond: the same text for both kernels.
//!
//! How much is taken at once differs. What arrives, in which order, and how it ends does not.

use std::io::{self, IoSlice};

use super::sys::beneath::{Open, Root};
use super::sys::copy::{Copied, send_file};
use super::sys::fd::{AsFd as _, OwnedFd};
use super::sys::{place, poll, socket};
use super::{Tree, connect, listen, settle};
use crate::file_calls::Change;
use crate::plans::{By, End, MANY, Plan, byte_at};

/// What the sender and the reader see, in words.
pub(crate) type Seen = Vec<String>;

pub(crate) struct Runner {
    plan: Plan,
    tree: Tree,
    file: Option<OwnedFd>,
    content: Vec<u8>,
    sender: Option<OwnedFd>,
    reader: Option<OwnedFd>,
    sent: usize,
    read: usize,
    seen: Seen,
}

fn word<T: std::fmt::Debug>(result: &io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("error {:?}", error.raw_os_error()),
    }
}

fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

impl Runner {
    pub(crate) fn new(number: u64, plan: Plan) -> Self {
        let (listener, address) = listen(plan.is_unix, number, 0);
        let reader = connect(&address).expect("it listens");
        poll::wait_readable(&[listener.as_fd()], Some(60_000)).expect("poll works");
        let (sender, _) = socket::accept(listener.as_fd()).expect("a connection waits");
        let tree = Tree::new(number);
        let content: Vec<u8> = (0..plan.bytes).map(byte_at).collect();
        let file = (plan.by == By::File).then(|| {
            let root = Root::at(&tree.root()).expect("it is there");
            let directory = root.open(b"", Open::Directory).expect("it is a directory");
            let file = place::create(directory.as_fd(), b"file", None).expect("it is new");
            place::write_all(file.as_fd(), &content).expect("there is room");
            root.open_file(b"file", Open::Status).expect("it is a file").0
        });
        let (sender, reader) = (Some(sender), Some(reader));
        Self { plan, tree, file, content, sender, reader, sent: 0, read: 0, seen: Vec::new() }
    }

    /// Runs the whole plan.
    pub(crate) fn run(mut self) -> Seen {
        let is_sent = self.send_all();
        if self.plan.bytes == MANY {
            let now = poll::wait_any(&[(self.near(), false, true)], Some(0));
            self.seen.push(format!("all sent: {is_sent}, writable: {}", word(&now)));
        }
        match self.plan.end {
            End::ReaderCloses => self.reader_closes(),
            End::Shrinks => self.shrinks(),
            End::Reset => {
                socket::set_reset_on_close(self.near()).expect("it is a socket");
                self.sender = None;
                self.read_rest();
            }
            End::Shutdown | End::Close => self.finish(is_sent),
        }
        self.seen
    }

    fn near(&self) -> super::sys::fd::BorrowedFd<'_> {
        self.sender.as_ref().expect("it is open").as_fd()
    }

    fn send_some(&self) -> io::Result<usize> {
        let end = self.content.len().min(self.sent + self.plan.sent_at_once);
        let piece = &self.content[self.sent..end];
        match (self.plan.by, &self.file) {
            (By::File, Some(file)) => {
                let offset = self.sent as u64;
                match send_file(self.near(), file.as_fd(), offset, self.plan.sent_at_once)? {
                    Copied::Moved(count) => Ok(count),
                    Copied::SourceEnded => Ok(0),
                    _ => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
            (By::Pieces, _) => {
                let (first, second) = piece.split_at(piece.len() / 2);
                let pieces = [IoSlice::new(first), IoSlice::new(second)];
                socket::send_vectored(self.near(), &pieces, false)
            }
            _ => socket::send(self.near(), piece, false),
        }
    }

    /// Sends until nothing more is taken. True: all was.
    fn send_all(&mut self) -> bool {
        loop {
            settle();
            match self.send_some() {
                Ok(0) => return true,
                Ok(count) => self.sent += count,
                Err(error) if is_full(&error) => return false,
                Err(error) => {
                    self.seen.push(format!("sender: error {:?}", error.raw_os_error()));
                    return true;
                }
            }
        }
    }

    /// Reads until nothing more is there. True: nothing more will be.
    fn read_some(&mut self, most: usize) -> bool {
        settle();
        let mut buffer = vec![0; self.plan.read_at_once];
        let mut left = most;
        while left > 0 {
            let fd = self.reader.as_ref().expect("it is open").as_fd();
            match socket::receive(fd, &mut buffer) {
                Ok(0) => {
                    self.seen.push("reader: end".to_owned());
                    return true;
                }
                Ok(count) => {
                    let wanted = &self.content[self.read..self.read + count];
                    assert!(*wanted == buffer[..count], "other bytes from {} on", self.read);
                    self.read += count;
                    left = left.saturating_sub(count);
                }
                Err(error) if is_full(&error) => {
                    settle();
                    if poll::wait_readable(&[fd], Some(0)).expect("poll works") == [false] {
                        return false;
                    }
                }
                Err(error) => {
                    self.seen.push(format!("reader: error {:?}", error.raw_os_error()));
                    return true;
                }
            }
        }
        false
    }

    /// Reads to the end of what was sent.
    fn read_rest(&mut self) {
        while !self.read_some(usize::MAX) {
            let fd = self.reader.as_ref().expect("it is open").as_fd();
            let told = poll::wait_readable(&[fd], Some(60_000)).expect("poll works");
            assert_eq!(told, [true], "nothing comes any more");
        }
        // What is lost to a reset is a matter of time.
        if self.plan.end != End::Reset || self.plan.is_unix {
            self.seen.push(format!("read all that was sent: {}", self.read == self.sent));
        }
    }

    /// All is sent and read, by turns.
    fn finish(&mut self, mut is_sent: bool) {
        while !is_sent {
            let is_over = self.read_some(usize::MAX);
            assert!(!is_over, "the sender still sends");
            let far = self.reader.as_ref().expect("it is open").as_fd();
            let wanted = [(self.near(), false, true), (far, true, false)];
            let told = poll::wait_any(&wanted, Some(60_000)).expect("poll works");
            assert!(told.contains(&true), "a reader that reads makes room");
            is_sent = self.send_all();
        }
        self.seen.push(format!("sent {}", self.sent));
        if self.plan.end == End::Close {
            self.sender = None;
            return self.read_rest();
        }
        socket::shutdown_write(self.near()).expect("it is connected");
        self.read_rest();
        let answer = socket::send(self.reader.as_ref().expect("it is open").as_fd(), b"yes", false);
        self.seen.push(word(&answer));
        self.reader = None;
        settle();
        let mut buffer = [0; 10];
        for _ in 0..2 {
            poll::wait_readable(&[self.near()], Some(60_000)).expect("poll works");
            let received = socket::receive(self.near(), &mut buffer);
            self.seen.push(format!("answer: {}", word(&received)));
        }
    }

    fn reader_closes(&mut self) {
        self.read_some(self.plan.bytes / 3);
        let fd = self.reader.as_ref().expect("it is open").as_fd();
        let unread = super::sys::copy::bytes_readable(fd).expect("a socket holds bytes");
        self.reader = None;
        settle();
        if unread == 0 {
            self.seen.push("nothing unread".to_owned());
            return;
        }
        poll::wait_any(&[(self.near(), false, false)], Some(60_000)).expect("poll works");
        let told = poll::wait_any(&[(self.near(), true, true)], Some(0));
        self.seen.push(format!("sender is told: {}", word(&told)));
        // A file that is sent to its end is sent no more.
        self.sent = 0;
        let (first, second) = (self.send_some(), self.send_some());
        self.seen.push(format!("sender: {}, {}", word(&first), word(&second)));
        let received = socket::receive(self.near(), &mut [0; 10]);
        let error = socket::take_error(self.near());
        let shut = socket::shutdown_write(self.near());
        self.seen.push(format!("then {}, {}, {}", word(&received), word(&error), word(&shut)));
    }

    /// The file is cut off where it was sent to, or before.
    fn shrinks(&mut self) {
        self.tree.change(&Change::Resize("file".to_owned(), self.sent / 2));
        let again = self.send_some();
        self.seen.push(format!("after it shrank: {}", word(&again)));
        // What is in the socket already are the file's own pages: nothing is said of them.
    }
}
