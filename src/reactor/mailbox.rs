//! `Mailbox`: word from any thread to one that polls. The only lock in the server.
//!
//! What it does not do: wait. Posting never blocks; a full mailbox gives the mail back. Mail from
//! one thread arrives in the order it was posted.
//!
//! Invariant: whenever mail is in the box, the eventfd is readable, or its reader is between
//! `clear` and taking, or a post is about to write it; it is written only by the post that finds
//! the box empty. It may be readable for a moment though the box is empty.

use std::collections::VecDeque;
use std::io;

use crate::sys::fd::{AsFd, BorrowedFd};
use crate::sys::thread::{Mutex, MutexGuard};
use crate::sys::wake::Wake;

/// A bounded queue with an eventfd.
#[derive(Debug)]
pub struct Mailbox<T> {
    queue: Mutex<Queue<T>>,
    wake: Wake,
    mail_max: usize,
}

#[derive(Debug)]
struct Queue<T> {
    mail: VecDeque<T>,
    /// What the mail holds that was posted with `post_within`, in bytes.
    bytes: usize,
}

impl<T> Mailbox<T> {
    /// An empty box for `mail_max` pieces of mail.
    pub fn new(mail_max: usize) -> io::Result<Self> {
        let queue = Mutex::new(Queue { mail: VecDeque::new(), bytes: 0 });
        Ok(Self { queue, wake: Wake::new()?, mail_max })
    }

    /// Puts mail in; gives it back where the box is full.
    pub fn post(&self, mail: T) -> Result<(), T> {
        self.post_within(usize::MAX, 0, mail)
    }

    /// As `post`, for mail that holds `bytes`: the box is full too if such mail would hold more
    /// than `bytes_max` together. Mail that holds more by itself is taken by a box without such
    /// mail. For boxes that are emptied by `take_all`.
    pub fn post_within(&self, bytes_max: usize, bytes: usize, mail: T) -> Result<(), T> {
        let mut queue = self.queue.lock();
        let is_heavy = queue.bytes > 0 && queue.bytes.saturating_add(bytes) > bytes_max;
        if queue.mail.len() >= self.mail_max || is_heavy {
            return Err(mail);
        }
        queue.bytes += bytes;
        self.put(queue, mail);
        Ok(())
    }

    /// Puts mail in whose number is bounded by something else: one piece for each peer or for each
    /// thing that was asked.
    pub fn post_bounded(&self, mail: T) {
        self.put(self.queue.lock(), mail);
    }

    /// Takes all mail out, into `taken`.
    pub fn take_all(&self, taken: &mut VecDeque<T>) {
        self.wake.clear();
        let mut queue = self.queue.lock();
        queue.bytes = 0;
        if taken.is_empty() {
            std::mem::swap(&mut queue.mail, taken);
        } else {
            taken.append(&mut queue.mail);
        }
    }

    /// Takes one piece out, where many threads read one box.
    pub fn take_one(&self) -> Option<T> {
        let mut queue = self.queue.lock();
        let mail = queue.mail.pop_front();
        if queue.mail.is_empty() {
            self.wake.clear();
        }
        mail
    }

    fn put(&self, mut queue: MutexGuard<'_, Queue<T>>, mail: T) {
        let was_empty = queue.mail.is_empty();
        queue.mail.push_back(mail);
        // A reader that is woken at once must not find the box locked.
        drop(queue);
        if was_empty {
            self.wake.wake();
        }
    }
}

impl<T> AsFd for Mailbox<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sys::poll::wait_readable;
    use crate::sys::thread::spawn;

    fn is_readable(mailbox: &Mailbox<u32>) -> bool {
        wait_readable(&[mailbox.as_fd()], Some(0)).expect("poll works")[0]
    }

    #[test]
    fn a_full_box_gives_mail_back() {
        let mailbox = Mailbox::new(2).expect("an eventfd");
        assert_eq!((mailbox.post(1), mailbox.post(2), mailbox.post(3)), (Ok(()), Ok(()), Err(3)));
        mailbox.post_bounded(4);
        let mut taken = VecDeque::new();
        mailbox.take_all(&mut taken);
        assert_eq!(taken, [1, 2, 4]);
    }

    #[test]
    fn a_box_is_full_by_what_its_mail_holds_too() {
        let mailbox = Mailbox::new(usize::MAX).expect("an eventfd");
        let post = |bytes, mail| mailbox.post_within(100, bytes, mail);
        assert_eq!((post(1000, 1), post(1, 2)), (Ok(()), Err(2)), "one that is too large alone");
        mailbox.post_bounded(3);
        let mut taken = VecDeque::new();
        mailbox.take_all(&mut taken);
        assert_eq!(taken, [1, 3]);
        assert_eq!((post(60, 4), post(40, 5), post(1, 6)), (Ok(()), Ok(()), Err(6)));
    }

    #[test]
    fn the_descriptor_is_readable_while_there_is_mail() {
        let mailbox = Mailbox::new(9).expect("an eventfd");
        assert!(!is_readable(&mailbox));
        mailbox.post_bounded(1);
        mailbox.post_bounded(2);
        assert!(is_readable(&mailbox));
        assert_eq!(mailbox.take_one(), Some(1));
        assert!(is_readable(&mailbox), "mail is left");
        assert_eq!(mailbox.take_one(), Some(2));
        assert!(!is_readable(&mailbox));
    }

    #[test]
    fn mail_of_one_thread_keeps_its_order() {
        let mailbox = Arc::new(Mailbox::new(usize::MAX).expect("an eventfd"));
        let writers: Vec<_> = (0..4_usize)
            .map(|writer| {
                let mailbox = Arc::clone(&mailbox);
                let post = move || (0..500).for_each(|n| mailbox.post_bounded((writer, n)));
                spawn("writer", post).expect("a thread starts")
            })
            .collect();
        let (mut taken, mut next) = (VecDeque::new(), [0; 4]);
        while next != [500; 4] {
            wait_readable(&[mailbox.as_fd()], Some(10_000)).expect("poll works");
            mailbox.take_all(&mut taken);
            for (writer, n) in taken.drain(..) {
                assert_eq!(n, next[writer], "writer {writer}");
                next[writer] += 1;
            }
        }
        for writer in writers {
            writer.join().expect("a writer that does not panic");
        }
    }
}
