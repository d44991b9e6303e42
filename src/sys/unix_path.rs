//! Listening on the path of a Unix socket (unix(7)), which stays when the socket is closed: taking
//! over a path that was left behind, and removing one's own.
//!
//! Both look at the path first and act on it then. So that no other server acts in between, each
//! holds the lock of the directory (flock(2)) for that moment. A directory that cannot be locked
//! (one that may not be read, or of a file system without locks) is used without.
//!
//! No function follows a link at the end of the path.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{place, poll, socket};

/// How often the lock is asked for, and how long is waited in between, in milliseconds. It is held
/// for less than a millisecond, by whoever starts or stops.
const LOCK_TRIES: usize = 1_000;
const LOCK_PAUSE_MS: u64 = 5;

/// The path of a Unix socket made here. It is removed when this is dropped, if it is still that
/// socket.
#[derive(Debug)]
pub struct UnixPath {
    path: PathBuf,
    /// The socket's inode, kept in use: while it is, no other file can get its number.
    inode: File,
}

/// Listens on `path`, and takes it over if it is a socket on which no process listens any more.
/// EADDRINUSE: one does, or it is another file; EWOULDBLOCK: the directory stays locked; others as
/// for `socket::listen_unix`.
pub fn listen(path: &Path) -> io::Result<(OwnedFd, UnixPath)> {
    let _lock = lock_directory_of(path)?;
    let socket = match socket::listen_unix(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_dead(path) => {
            fs::remove_file(path)?;
            socket::listen_unix(path)
        }
        other => other,
    }?;
    let inode = open_inode(path)?;
    Ok((socket, UnixPath { path: path.to_owned(), inode }))
}

impl UnixPath {
    fn is_there(&self) -> io::Result<bool> {
        let id = |file: &Metadata| (file.dev(), file.ino());
        Ok(id(&fs::symlink_metadata(&self.path)?) == id(&self.inode.metadata()?))
    }
}

impl Drop for UnixPath {
    fn drop(&mut self) {
        let Ok(_lock) = lock_directory_of(&self.path) else { return };
        if self.is_there().unwrap_or(false) {
            // Nobody is left to be told.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a path is a socket that nobody listens on any more.
fn is_dead(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket());
    is_socket
        && socket::connect_unix(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn open_inode(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path)
}

/// Takes the lock of the directory that `path` is in, until what is returned is dropped; `None` if
/// it has none.
fn lock_directory_of(path: &Path) -> io::Result<Option<File>> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let flags = libc::O_DIRECTORY;
    let directory = parent.unwrap_or(Path::new("."));
    let Ok(directory) = OpenOptions::new().read(true).custom_flags(flags).open(directory) else {
        return Ok(None);
    };
    for _ in 0..LOCK_TRIES {
        match place::lock(directory.as_fd()) {
            Ok(true) => return Ok(Some(directory)),
            Ok(false) => drop(poll::wait_any(&[], Some(LOCK_PAUSE_MS))?),
            Err(_) => return Ok(None),
        }
    }
    let text = "another program keeps the directory locked";
    Err(io::Error::new(io::ErrorKind::WouldBlock, text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::sync::Barrier;
    use std::thread;

    use super::super::scratch::{Scratch, tree};
    use super::*;

    fn kind<T>(result: io::Result<T>) -> Result<(), io::ErrorKind> {
        result.map(drop).map_err(|error| error.kind())
    }

    #[test]
    fn a_path_that_was_left_behind_is_taken_over_and_no_other() -> io::Result<()> {
        let (_scratch, served) = tree()?;
        let path = served.join("left");
        drop(UnixListener::bind(&path)?);
        let (socket, own) = listen(&path)?;
        assert_eq!(kind(listen(&path)), Err(io::ErrorKind::AddrInUse), "it is in use");
        std::os::unix::fs::symlink("left", served.join("to-left"))?;
        for other in ["file", "fifo", "dir", "to-left"] {
            let refused = kind(listen(&served.join(other)));
            assert_eq!(refused, Err(io::ErrorKind::AddrInUse), "{other}");
        }
        drop(socket);
        drop(own);
        assert!(!path.exists());
        Ok(())
    }

    #[test]
    fn a_path_that_another_took_over_is_left_to_it() -> io::Result<()> {
        let scratch = Scratch::new()?;
        let path = scratch.path().join("socket");
        let (old_socket, old) = listen(&path)?;
        // Often enough that a number which is free would be given out again.
        for _ in 0..16 {
            fs::remove_file(&path)?;
            drop(UnixListener::bind(&path)?);
        }
        drop(old_socket);
        for _ in 0..16 {
            fs::remove_file(&path)?;
            drop(UnixListener::bind(&path)?);
        }
        let (_new_socket, new) = listen(&path)?;
        drop(old);
        assert!(path.exists(), "it is the other's");
        drop(new);
        assert!(!path.exists());
        Ok(())
    }

    #[test]
    fn of_many_who_find_one_path_left_behind_one_gets_it() -> io::Result<()> {
        const RIVALS: usize = 8;
        let scratch = Scratch::new()?;
        let path = scratch.path().join("socket");
        for round in 0..20 {
            drop(UnixListener::bind(&path)?);
            let start = Barrier::new(RIVALS);
            let all: Vec<_> = thread::scope(|scope| {
                let rival = || {
                    start.wait();
                    listen(&path)
                };
                let threads: Vec<_> = (0..RIVALS).map(|_| scope.spawn(rival)).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            let owners = all.iter().filter(|rival| rival.is_ok()).count();
            assert_eq!(owners, 1, "round {round}: {all:?}");
            assert_eq!(kind(socket::connect_unix(&path)), Ok(()), "round {round}");
            drop(all);
            assert!(!path.exists());
        }
        Ok(())
    }
}
