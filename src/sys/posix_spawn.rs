//! The two tables `posix_spawn(3)` takes, each with its end: what a child is to be, and which
//! descriptors it gets.
//!
//! What it does not do: start anything (`process`).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;

/// An errno that is returned, not set: `posix_spawn(3)` and its kin.
pub(super) fn check(errno: libc::c_int) -> io::Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

/// `posix_spawnattr_t` with its end: nix's has no way to name realtime signals.
pub(super) struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    /// Own process group, every signal at its default, none blocked.
    pub(super) fn new() -> io::Result<Self> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: posix_spawnattr_init initialises what it is given, or fails.
        check(unsafe { libc::posix_spawnattr_init(raw.as_mut_ptr()) })?;
        // SAFETY: it succeeded.
        let mut this = Self(unsafe { raw.assume_init() });
        let mut none = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: a set of all bits or of no bits is a valid sigset_t. sigfillset(3) would leave
        // out the two signals the C library keeps for itself, which a child must have at default
        // too.
        let all = unsafe {
            let mut all = MaybeUninit::<libc::sigset_t>::uninit();
            ptr::write_bytes(all.as_mut_ptr(), 0xff, 1);
            all.assume_init()
        };
        let flags = libc::POSIX_SPAWN_SETPGROUP
            | libc::POSIX_SPAWN_SETSIGDEF
            | libc::POSIX_SPAWN_SETSIGMASK;
        let flags = libc::c_short::try_from(flags).expect("flags of posix_spawn are a short");
        // SAFETY: `this` is initialised, and each call copies what it is given.
        unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            check(libc::posix_spawnattr_setsigdefault(&raw mut this.0, &raw const all))?;
            check(libc::posix_spawnattr_setsigmask(&raw mut this.0, none.as_ptr()))?;
            check(libc::posix_spawnattr_setpgroup(&raw mut this.0, 0))?;
            check(libc::posix_spawnattr_setflags(&raw mut this.0, flags))?;
        }
        Ok(this)
    }

    pub(super) fn as_ptr(&self) -> *const libc::posix_spawnattr_t {
        &raw const self.0
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: `new` initialised it, and nothing uses it afterwards.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

/// `posix_spawn_file_actions_t` with its end: nix's loses an ENOMEM, and a child without its
/// redirection would write into the server's own files.
pub(super) struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    pub(super) fn new() -> io::Result<Self> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: posix_spawn_file_actions_init initialises what it is given, or fails.
        check(unsafe { libc::posix_spawn_file_actions_init(raw.as_mut_ptr()) })?;
        // SAFETY: it succeeded.
        Ok(Self(unsafe { raw.assume_init() }))
    }

    /// In the child, `target` becomes a duplicate of `fd` that survives exec.
    pub(super) fn duplicate(&mut self, fd: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
        // SAFETY: `self` is initialised; the numbers are only noted down.
        check(unsafe {
            libc::posix_spawn_file_actions_adddup2(&raw mut self.0, fd.as_raw_fd(), target)
        })
    }
    pub(super) fn as_ptr(&self) -> *const libc::posix_spawn_file_actions_t {
        &raw const self.0
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: `new` initialised it, and nothing uses it afterwards.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}
