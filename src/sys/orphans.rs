//! Orphans: children that landline did not start, and has to reap all the same.
//!
//! Only the init process of a container (or a "child subreaper", prctl(2)) gets any: a process
//! becomes its child when the parent ends. A command's own process is never reaped here.

use std::collections::BTreeSet;
use std::ptr;
use std::sync::OnceLock;

use super::family;
use super::thread::{Mutex, MutexGuard};

/// The processes that were started here and are not reaped; only known where orphans come.
static OWN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Whether orphans become children of this process.
pub fn come_here() -> bool {
    static COME: OnceLock<bool> = OnceLock::new();
    *COME.get_or_init(|| {
        let mut is_subreaper: libc::c_int = 0;
        // SAFETY: it writes one int, which outlives the call.
        let asked = unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut is_subreaper) };
        std::process::id() == 1 || (asked == 0 && is_subreaper != 0)
    })
}

/// Has orphans wait while a child is started: until it is known, it could be taken for one. `None`
/// where no orphans come.
pub(super) fn hold() -> Option<MutexGuard<'static, BTreeSet<i32>>> {
    come_here().then(|| OWN.lock())
}

/// A process that was started here is reaped.
pub(super) fn forget(pid: i32) {
    if come_here() {
        OWN.lock().remove(&pid);
    }
}

/// Reaps those that have ended (waitid(2)).
pub fn reap() {
    let own = OWN.lock();
    let this = i32::try_from(std::process::id()).expect("ids have 31 bits");
    for pid in family::zombies_of(this).into_iter().filter(|pid| !own.contains(pid)) {
        let id = libc::id_t::try_from(pid).expect("ids are positive");
        let flags = libc::WEXITED | libc::WNOHANG;
        // SAFETY: a null pointer is allowed; a child that is not known here is reaped by nobody.
        let _gone_either_way = unsafe { libc::waitid(libc::P_PID, id, ptr::null_mut(), flags) };
    }
}
