//! The path of a Unix socket (unix(7)), which stays when the socket is closed.
//!
//! No function follows a link at the end of the path.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// Whether the path is a socket (lstat(2)). False also if the path cannot be looked at.
pub fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket())
}

/// The inode at the path (lstat(2)): as long as it stays the same, so does the socket.
pub fn inode(path: &Path) -> io::Result<u64> {
    Ok(fs::symlink_metadata(path)?.ino())
}

/// Removes the path (unlink(2)).
pub fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::super::scratch::tree;
    use super::*;

    #[test]
    fn a_socket_is_told_from_other_files_and_from_links() -> io::Result<()> {
        let (_scratch, served) = tree()?;
        let socket = served.join("socket");
        std::os::unix::fs::symlink("socket", served.join("to-socket"))?;
        assert!(is_socket(&socket));
        for other in ["file", "fifo", "to-socket", "nothing"] {
            assert!(!is_socket(&served.join(other)), "{other}");
        }
        assert_ne!(inode(&socket)?, inode(&served.join("to-socket"))?);
        remove(&socket)?;
        let gone = inode(&socket).map_err(|error| error.kind());
        assert_eq!(gone, Err(io::ErrorKind::NotFound));
        Ok(())
    }
}
