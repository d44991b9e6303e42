//! What the host says of itself and of the user landline runs as; the limit on descriptors, how a
//! thread is scheduled, and standard error.

use std::io::{self, Write as _};
use std::sync::OnceLock;

use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd;

/// The user landline runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name, or the user id in decimal where it has none.
    pub name: String,
    /// Home directory, or `/`.
    pub home: String,
    /// Effective user id.
    pub uid: u32,
}

/// The host's name (gethostname(2)); `localhost` where there is none. Bytes that are no UTF-8 are
/// replaced by U+FFFD.
pub fn host_name() -> String {
    match unistd::gethostname() {
        Ok(name) if !name.is_empty() => name.to_string_lossy().into_owned(),
        _ => "localhost".to_owned(),
    }
}

/// The effective user (geteuid(2), `getpwuid_r(3)`). A user the database does not know, or one it
/// cannot be asked for, has the id for a name and `/` for a home. It can block: the database may be
/// on a network.
pub fn user() -> User {
    let uid = unistd::geteuid();
    match unistd::User::from_uid(uid) {
        Ok(Some(user)) => User {
            name: user.name,
            home: user.dir.to_string_lossy().into_owned(),
            uid: uid.as_raw(),
        },
        Ok(None) | Err(_) => {
            User { name: uid.to_string(), home: "/".to_owned(), uid: uid.as_raw() }
        }
    }
}

/// The soft limit on descriptors that landline was started with, where it was raised.
static DESCRIPTORS_BEFORE: OnceLock<u64> = OnceLock::new();

/// Raises the soft limit on descriptors to the hard one and returns it (`RLIMIT_NOFILE`,
/// getrlimit(2)). Commands get the former one (`process::spawn`): programs that use select(2), or
/// close all there may be, do not fare well with a large one.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        DESCRIPTORS_BEFORE.get_or_init(|| soft);
    }
    Ok(hard)
}

/// The soft limit on descriptors as it was before it was raised; `None` where it was not.
pub(super) fn descriptors_before() -> Option<u64> {
    DESCRIPTORS_BEFORE.get().copied()
}

/// Writes all of `text` to standard error (write(2)), and blocks until it is taken. A failure is
/// ignored: there is no other place to report it.
pub fn write_stderr(text: &[u8]) {
    let _nowhere_to_report_it = io::stderr().write_all(text);
}

/// Lets others go first: adds `more` to the nice value of the calling thread, and of what it starts
/// from then on (nice(2), which on Linux speaks of threads). It is 19 at the most.
pub fn stand_back(more: i32) {
    // SAFETY: takes a number alone.
    let _nobody_may_forbid_it = unsafe { libc::nice(more) };
}

/// What `sched_setattr(2)` takes, in its first version.
#[repr(C)]
#[derive(Debug, Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// How the calling thread is scheduled (`sched_getattr(2)`); `None` where that is not told.
fn sched_attr() -> Option<SchedAttr> {
    let mut attr = SchedAttr::default();
    let size = u32::try_from(size_of::<SchedAttr>()).expect("a few words");
    // SAFETY: the kernel writes at most `size` bytes there.
    let asked = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) };
    attr.size = size;
    (asked == 0).then_some(attr)
}

/// Has the calling thread run soon once it is woken, and for `slice_ns` at a time where others
/// wait: of threads that are as nice, those with shorter slices go first (EEVDF, Linux 6.12; before
/// it this changes nothing). Where an administrator chose another policy, it is left alone.
pub fn run_soon(slice_ns: u64) {
    let normal = |attr: &SchedAttr| attr.policy == libc::SCHED_OTHER.cast_unsigned();
    let Some(mut attr) = sched_attr().filter(normal) else { return };
    attr.runtime = slice_ns;
    // SAFETY: it is read alone; its size is said in it.
    let _as_before = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_user_have_names() {
        assert!(!host_name().is_empty());
        let user = user();
        assert_eq!(user.uid, unistd::geteuid().as_raw());
        assert!(!user.name.is_empty());
        assert!(user.home.starts_with('/'));
    }

    #[test]
    fn the_descriptor_limit_becomes_the_hard_one() -> io::Result<()> {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard - 1, hard)?;
        let raised = raise_descriptor_limit()?;
        assert_eq!(raised, hard);
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE)?, (raised, raised));
        Ok(())
    }

    #[test]
    fn a_thread_that_runs_soon_is_as_nice_as_before() {
        let turn = std::thread::spawn(|| {
            stand_back(3);
            let before = sched_attr().expect("Linux has it since 3.14");
            run_soon(200_000);
            (before, sched_attr().expect("as before"))
        });
        let (before, after) = turn.join().expect("it ends");
        assert_eq!((after.policy, after.nice), (before.policy, before.nice));
        // Older kernels tell of no slice.
        if before.runtime > 0 {
            assert_eq!(after.runtime, 200_000);
        }
    }
}
