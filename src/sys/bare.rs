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

fn count(returned: c_long) -> nix::Result<usize> {
    Errno::result(returned).map(|count| usize::try_from(count).expect("a count is not negative"))
}
