//! Reading the names in a directory (getdents64(2)).
//!
//! The C library's readdir(3) is not used: to open its stream can fail, with the descriptor left
//! open, and the errors of the calls below would have to be told from the end by errno.

use std::ffi::CStr;
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::errno::Errno;

use super::retry;

/// Size of the buffer that entries are read into, in bytes. The C library takes as much.
const BUFFER_BYTES: usize = 32 * 1024;

/// Tells each entry of an open directory but `.` and `..`, in no order, with the type that the file
/// system says it has (`DT_DIR` …, `DT_UNKNOWN` if it does not say). False from `on_entry` ends it.
/// ENOENT: the directory was removed; EIO: the disk failed.
pub(super) fn each(
    directory: BorrowedFd<'_>,
    on_entry: &mut dyn FnMut(&CStr, u8) -> io::Result<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0_u8; BUFFER_BYTES];
    loop {
        let count = retry(|| {
            // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`, which outlives
            // the call.
            Errno::result(unsafe {
                let to = buffer.as_mut_ptr();
                libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), to, buffer.len())
            })
        })?;
        let mut rest = &buffer[..usize::try_from(count).expect("a count is not negative")];
        if rest.is_empty() {
            return Ok(());
        }
        while let Some((name, kind, after)) = split(rest) {
            let is_itself = name == c"." || name == c"..";
            if !is_itself && !on_entry(name, kind)? {
                return Ok(());
            }
            rest = after;
        }
    }
}

/// The first of the entries in `bytes`, and the bytes behind it.
fn split(bytes: &[u8]) -> Option<(&CStr, u8, &[u8])> {
    const LENGTH: usize = offset_of!(libc::dirent64, d_reclen);
    let length = bytes.get(LENGTH..LENGTH + 2)?.try_into().ok().map(u16::from_ne_bytes)?;
    let (entry, after) = bytes.split_at_checked(usize::from(length))?;
    let kind = *entry.get(offset_of!(libc::dirent64, d_type))?;
    let name = entry.get(offset_of!(libc::dirent64, d_name)..)?;
    Some((CStr::from_bytes_until_nul(name).ok()?, kind, after))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd as _;

    use super::super::pipe::new_pipe;
    use super::super::scratch::{Scratch, wait_closed};
    use super::*;

    #[test]
    fn all_names_are_told_once_however_many() -> io::Result<()> {
        let scratch = Scratch::new()?;
        let mut expected = Vec::new();
        for number in 0..3_000 {
            let name = format!("{number}-{}", "x".repeat(number % 250));
            scratch.write(&name, b"")?;
            expected.push((name, libc::DT_REG));
        }
        fs::create_dir(scratch.path().join("folder"))?;
        expected.push(("folder".to_owned(), libc::DT_DIR));
        let folder = File::open(scratch.path())?;
        let mut told = Vec::new();
        each(folder.as_fd(), &mut |name, kind| {
            told.push((name.to_string_lossy().into_owned(), kind));
            Ok(true)
        })?;
        told.sort();
        expected.sort();
        assert_eq!(told, expected);
        let mut count = 0;
        each(File::open(scratch.path())?.as_fd(), &mut |_, _| {
            count += 1;
            Ok(count < 7)
        })?;
        assert_eq!(count, 7);
        Ok(())
    }

    #[test]
    fn what_is_no_directory_is_an_error() -> io::Result<()> {
        let (reader, writer) = new_pipe()?;
        let error = each(reader.as_fd(), &mut |_, _| Ok(true)).map_err(|error| error.kind());
        assert_eq!(error, Err(io::ErrorKind::NotADirectory));
        drop(reader);
        wait_closed(writer.as_fd())
    }
}
