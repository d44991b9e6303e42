//! `News`: what other threads of `landline connect` have to tell the one that talks to the server,
//! and the way it reaches that one where it waits for the connection.
//!
//! What it does not do: act on any of it (`interactive`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use super::editor::{Line, Typed};
use super::failure::Failure;
use super::redial::Dialed;
use crate::sys::wake::Wake;

/// Something that happened elsewhere.
pub(super) enum News {
    /// A line was typed, or the like. The editor is ready for the next one.
    Typed(Box<Line>, Typed),
    /// An answer of the server's to this request is wanted, for completion.
    Query(String, Sender<Vec<u8>>),
    /// The server was called again.
    Dialed(Result<Box<Dialed>, Failure>),
}

/// Who tells news.
#[derive(Clone)]
pub(super) struct Teller {
    news: Sender<News>,
    wake: Arc<Wake>,
}

impl Teller {
    /// Tells it.
    pub(super) fn tell(&self, news: News) {
        // Nobody listens at the very end.
        let _ = self.news.send(news);
        self.wake.wake();
    }
}

/// Who is told.
pub(super) struct Listener {
    news: Receiver<News>,
    wake: Arc<Wake>,
}

impl Listener {
    /// One who is told, and who tells.
    pub(super) fn new() -> io::Result<(Self, Teller)> {
        let wake = Arc::new(Wake::new()?);
        let (tell, told) = mpsc::channel();
        Ok((Self { news: told, wake: Arc::clone(&wake) }, Teller { news: tell, wake }))
    }

    /// What was told first and not yet taken. Never blocks.
    pub(super) fn next(&self) -> Option<News> {
        // Cleared first: what is told after that wakes again.
        self.wake.clear();
        self.news.try_recv().ok().inspect(|_| self.wake.wake())
    }
}

impl AsFd for Listener {
    /// Readable while there may be something.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
