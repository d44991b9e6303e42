//! System calls that go by without the C library's wrapper. Where that is a cancellation point
//! (pthreads(7)) it does two atomic operations a call in a program with threads, in case its thread
//! is cancelled meanwhile, which landline's are not.
//!
//! What it does not do: retry. It is for the calls of every request alone.

use std::os::fd::{AsRawFd, BorrowedFd};

use libc::c_long;
use nix::errno::Errno;

/// recv(2).
pub(super) fn recv(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: libc::c_int,
) -> nix::Result<usize> {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`, and no address.
    count(unsafe {
        libc::syscall(
            libc::SYS_recvfrom,
            fd.as_raw_fd(),
            buffer.as_mut_ptr(),
            buffer.len(),
            flags,
            none,
            none,
        )
    })
}

/// send(2).
pub(super) fn send(fd: BorrowedFd<'_>, bytes: &[u8], flags: libc::c_int) -> nix::Result<usize> {
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: the kernel reads `bytes.len()` bytes of `bytes`, and no address.
    count(unsafe {
        libc::syscall(
            libc::SYS_sendto,
            fd.as_raw_fd(),
            bytes.as_ptr(),
            bytes.len(),
            flags,
            none,
            0_usize,
        )
    })
}

/// preadv2(2), into one buffer.
pub(super) fn pread(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    offset: u64,
    flags: libc::c_int,
) -> nix::Result<usize> {
    let piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // The offset comes as two words, the second of which a word of 64 bits needs no more.
    let (low, high) = (offset as c_long, (offset >> 32) as c_long);
    // SAFETY: `piece` describes `buffer`, which is writable, and both outlive the call.
    count(unsafe {
        libc::syscall(libc::SYS_preadv2, fd.as_raw_fd(), &raw const piece, 1_usize, low, high, flags)
    })
}

fn count(returned: c_long) -> nix::Result<usize> {
    Errno::result(returned).map(|count| usize::try_from(count).expect("a count is not negative"))
}
