//! What the host says of itself and of the user landline runs as; and its limit on descriptors.
//!
//! What it does not do: change anything but that limit, and how nice a thread is.

use std::io;
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

/// Lets others go first: adds `more` to the nice value of the calling thread, and of what it starts
/// from then on (nice(2), which on Linux speaks of threads). It is 19 at the most.
pub fn stand_back(more: i32) {
    // SAFETY: takes a number alone.
    let _nobody_may_forbid_it = unsafe { libc::nice(more) };
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
}
