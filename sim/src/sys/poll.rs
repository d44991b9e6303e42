//! Waiting for a few descriptors.

use std::io;

use super::fd::BorrowedFd;
use crate::kernel::threads::{Wait, sleep_us, wait};
use crate::kernel::{enter, with};

/// Waits until one is readable.
pub fn wait_readable(fds: &[BorrowedFd<'_>], timeout_ms: Option<u64>) -> io::Result<Vec<bool>> {
    let wanted: Vec<_> = fds.iter().map(|fd| (*fd, true, false)).collect();
    wait_any(&wanted, timeout_ms)
}

/// As `wait_readable`, for threads that go on whatever happens.
pub fn wait_or_pause(fds: &[BorrowedFd<'_>], timeout_ms: Option<u64>) -> Vec<bool> {
    wait_readable(fds, timeout_ms).unwrap_or_else(|_| {
        sleep_us(10_000);
        vec![false; fds.len()]
    })
}

/// Waits until one is as it is wanted.
pub fn wait_any(
    wanted: &[(BorrowedFd<'_>, bool, bool)],
    timeout_ms: Option<u64>,
) -> io::Result<Vec<bool>> {
    enter("poll");
    let fds: Vec<_> = wanted.iter().map(|(fd, read, write)| (fd.raw(), *read, *write)).collect();
    let told = || {
        with(|kernel| {
            let is_ready =
                |(fd, read, write): &(i32, bool, bool)| kernel.is_ready(*fd, *read, *write);
            fds.iter().map(is_ready).collect::<Vec<bool>>()
        })
    };
    let now = told();
    if now.contains(&true) || timeout_ms == Some(0) {
        return Ok(now);
    }
    let due = timeout_ms.map(|ms| with(|kernel| kernel.now_us).saturating_add(ms * 1000));
    wait(Wait::Ready(fds.clone(), due));
    Ok(told())
}
