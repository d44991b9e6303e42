//! Paths of Unix sockets: one server at a time, so that nobody competes for them.

use std::io;
use std::path::{Path, PathBuf};

use super::fd::OwnedFd;
use super::socket;
use crate::kernel::{enter, with};

/// The path of a Unix socket made here. It is removed when this is dropped.
#[derive(Debug)]
pub struct UnixPath {
    path: PathBuf,
    inode: u64,
}

/// Listens on `path`.
pub fn listen(path: &Path) -> io::Result<(OwnedFd, UnixPath)> {
    let socket = socket::listen_unix(path)?;
    let inode = with(|kernel| kernel.network.paths.get(path).copied().unwrap_or_default());
    Ok((socket, UnixPath { path: path.to_owned(), inode }))
}

impl Drop for UnixPath {
    fn drop(&mut self) {
        enter("unlink");
        with(|kernel| {
            if kernel.network.paths.get(&self.path) == Some(&self.inode) {
                kernel.network.paths.remove(&self.path);
            }
        });
    }
}
