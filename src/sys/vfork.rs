//! The way of a child from its birth to its program: clone(2), a few calls, execve(2).
//!
//! `posix_spawn(3)` would do, but asks for every signal's handling each time, and knows nothing of
//! terminals and limits. As there, no page table is copied: until the child has become its program
//! or has ended, it lives in our memory, and the thread that started it stands still (`CLONE_VM`,
//! `CLONE_VFORK`). What it does not do: search PATH, open or close descriptors, watch what it
//! started (`process`).
//!
//! Invariants, which make it sound that a second process runs in our memory:
//! 1. The child has a stack of its own, inside the frame of the thread that stands still.
//! 2. All signals are blocked meanwhile, those that the C library keeps for itself included, and
//!    none is let through before its handling is the default one: no handler ever runs in it.
//! 3. It calls nothing but what signal-safety(7) allows: it allocates nothing, takes no lock,
//!    cannot panic, and never returns.
//! 4. Of our memory it writes its stack, two atomics of `Attempt`, and the errno of the thread that
//!    waits.
//!
//! An emulator may lend the child a copy of the memory instead (qemu-user, valgrind). All works
//! then but that a program which cannot be run looks like one that exited with 127.

use std::convert::Infallible;
use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::errno::Errno;

use super::retry;
use super::signal::{Blocked, unblock_all};

/// Size of the child's stack: some hundred bytes are used, and a loader that looks up a function
/// late needs several KiB.
const STACK_BYTES: usize = 32 * 1024;
/// The status of a child that did not become its program, which is seen where memory is not shared.
const STATUS_NOT_RUN: libc::c_int = 127;

/// Aligned as stacks are.
#[repr(C, align(16))]
struct Stack(MaybeUninit<[u8; STACK_BYTES]>);

/// What a child is to be.
pub(super) struct Plan<'a> {
    /// Path of the program.
    pub(super) program: &'a CStr,
    /// Its arguments, and a null pointer.
    pub(super) arguments: &'a [*const libc::c_char],
    /// Its environment, and a null pointer.
    pub(super) environment: &'a [*const libc::c_char],
    /// What becomes descriptors 0, 1 and 2; all are above these.
    pub(super) standard: [RawFd; 3],
    /// Descriptor 0 is its controlling terminal.
    pub(super) has_terminal: bool,
    /// Signals that must be set to their default handling.
    pub(super) altered: &'a [libc::c_int],
    /// The process that starts it.
    pub(super) parent: libc::pid_t,
    /// Its soft limit on descriptors, where that is another one than ours.
    pub(super) descriptors_max: Option<libc::rlim_t>,
}

/// Why a process was not started.
#[derive(Debug)]
pub enum SpawnError {
    /// execve(2) refused the program. ENOENT, EACCES, ENOEXEC, E2BIG ….
    Refused(io::Error),
    /// Anything before that failed, whatever the program is. EAGAIN, ENOMEM: no more processes;
    /// EMFILE, ENFILE: no more descriptors.
    Failed(io::Error),
}

impl From<io::Error> for SpawnError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A plan, and the errno by which it failed, 0 for none, which the child leaves here.
struct Attempt<'a> {
    plan: &'a Plan<'a>,
    failure: AtomicI32,
    /// Whether all but execve(2) succeeded.
    has_prepared: AtomicBool,
}

/// Has a child carry out `plan`: its process id, and a descriptor of it (`CLONE_PIDFD`,
/// close-on-exec) that is readable once it has ended. Returns when the program runs. The errno of
/// what failed, in clone(2) or in the child, which is reaped then.
pub(super) fn start(plan: &Plan<'_>) -> Result<(libc::pid_t, OwnedFd), SpawnError> {
    debug_assert!(plan.arguments.last().is_some_and(|last| last.is_null()));
    debug_assert!(plan.environment.last().is_some_and(|last| last.is_null()));
    let (failure, has_prepared) = (AtomicI32::new(0), AtomicBool::new(false));
    let attempt = Attempt { plan, failure, has_prepared };
    let (pid, pidfd) = clone(&attempt)?;
    let error = match attempt.failure.load(Ordering::Relaxed) {
        0 => return Ok((pid, pidfd)),
        errno => io::Error::from_raw_os_error(errno),
    };
    reap(&pidfd);
    let is_refused = attempt.has_prepared.load(Ordering::Relaxed);
    Err(if is_refused { SpawnError::Refused(error) } else { SpawnError::Failed(error) })
}

fn clone(attempt: &Attempt<'_>) -> io::Result<(libc::pid_t, OwnedFd)> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let mut stack = Stack(MaybeUninit::uninit());
    // It grows downwards wherever Rust and Linux 5.4 run.
    let top = (&raw mut stack).wrapping_add(1).cast();
    let argument = ptr::from_ref(attempt).cast_mut().cast();
    let mut pidfd: RawFd = -1;
    let nothing = ptr::null_mut::<libc::c_void>();
    let blocked = Blocked::all();
    // SAFETY: by the invariants above. The child has all of `stack`, which nothing else touches,
    // and `attempt`, whose fields that are written are atomics; all three, and `pidfd`, outlive
    // the child's stay, since this thread stands still. The last two arguments are not looked at
    // with these flags.
    let pid = Errno::result(unsafe {
        libc::clone(child, top, flags, argument, &raw mut pidfd, nothing, nothing)
    });
    drop(blocked);
    let pid = pid?;
    // SAFETY: clone succeeded, so it is a new descriptor that nobody else owns.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// Waits for the end of a child that is about to end. ECHILD: somebody ignores SIGCHLD, and the
/// kernel has reaped it.
fn reap(pidfd: &OwnedFd) {
    let id = libc::id_t::try_from(pidfd.as_raw_fd()).expect("descriptors are positive");
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    let _gone = retry(|| {
        // SAFETY: `info` is writable and outlives the call.
        Errno::result(unsafe { libc::waitid(libc::P_PIDFD, id, info.as_mut_ptr(), libc::WEXITED) })
    });
}

/// What runs in the child, from its first to its last moment in our memory.
extern "C" fn child(attempt: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `clone` above passed a reference to an `Attempt`, which outlives this process's stay.
    let attempt = unsafe { &*attempt.cast_const().cast::<Attempt<'_>>() };
    let Err(errno) = become_program(attempt.plan, &attempt.has_prepared);
    attempt.failure.store(errno as i32, Ordering::Relaxed);
    // SAFETY: ends this process alone, and runs nothing of ours.
    unsafe { libc::_exit(STATUS_NOT_RUN) }
}

fn become_program(plan: &Plan<'_>, has_prepared: &AtomicBool) -> Result<Infallible, Errno> {
    // SAFETY: all of these take numbers alone, and act on this process, whose descriptors and
    // groups are its own.
    unsafe {
        Errno::result(libc::setsid())?;
        Errno::result(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        if libc::getppid() != plan.parent {
            // It ended before it could be told.
            return Err(Errno::ECHILD);
        }
        for (target, fd) in (0..).zip(plan.standard) {
            Errno::result(libc::dup2(fd, target))?;
        }
        if plan.has_terminal {
            Errno::result(libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0))?;
        }
    }
    if let Some(wanted) = plan.descriptors_max {
        limit_descriptors(wanted)?;
    }
    for signal in plan.altered {
        super::signal::set_default(*signal);
    }
    unblock_all();
    has_prepared.store(true, Ordering::Relaxed);
    // SAFETY: the three are strings and arrays of strings as execve(2) wants them, by `Plan`.
    unsafe {
        libc::execve(plan.program.as_ptr(), plan.arguments.as_ptr(), plan.environment.as_ptr())
    };
    Err(Errno::last())
}

/// Sets the soft limit, to the hard one where somebody has lowered that (getrlimit(2)).
fn limit_descriptors(wanted: libc::rlim_t) -> Result<(), Errno> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that outlives both calls, which read and write that alone.
    unsafe {
        Errno::result(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit))?;
        limit.rlim_cur = wanted.min(limit.rlim_max);
        Errno::result(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::scratch::deny;
    use super::*;

    impl From<SpawnError> for io::Error {
        fn from(error: SpawnError) -> Self {
            let (SpawnError::Refused(error) | SpawnError::Failed(error)) = error;
            error
        }
    }

    /// Why `program` cannot be started: whether it was refused, and the errno.
    fn why(program: &CStr) -> Option<(bool, Option<i32>)> {
        let started = start(&Plan {
            program,
            arguments: &[program.as_ptr(), ptr::null()],
            environment: &[ptr::null()],
            standard: [libc::STDERR_FILENO; 3],
            has_terminal: false,
            altered: &[],
            parent: nix::unistd::getpid().as_raw(),
            descriptors_max: None,
        });
        match started {
            Ok((_, pidfd)) => {
                reap(&pidfd);
                None
            }
            Err(SpawnError::Refused(error)) => Some((true, error.raw_os_error())),
            Err(SpawnError::Failed(error)) => Some((false, error.raw_os_error())),
        }
    }

    #[test]
    fn what_fails_before_execve_is_no_word_on_the_program() {
        assert_eq!(why(c"/bin/true"), None);
        assert_eq!(why(c"/no/such/program"), Some((true, Some(libc::ENOENT))));
        assert_eq!(why(c"/dev/null"), Some((true, Some(libc::EACCES))));
        for number in [libc::SYS_clone, libc::SYS_setsid, libc::SYS_prctl, libc::SYS_dup2] {
            let failed =
                thread::spawn(move || deny(number, Errno::EACCES).map(|()| why(c"/bin/true")));
            let failed = failed.join().expect("it does not panic").expect("a filter is taken");
            assert_eq!(failed, Some((false, Some(libc::EACCES))), "call {number}");
        }
    }
}
