//! History: where lines that were typed to a server are remembered.
//!
//! What it does not do: read or write them (`editor`).

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use super::address;
use super::command::Target;

/// Mode of its directory.
const PRIVATE: u32 = 0o700;

/// The file for `target`, in a directory that is made where it is not there; none where the
/// environment does not say where. It is the user's alone (mode 0600, by `rustyline`).
pub(super) fn path(target: &Target) -> Option<io::Result<PathBuf>> {
    let folder = state_home(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))?;
    let folder = folder.join("landline").join("history");
    let made = DirBuilder::new().recursive(true).mode(PRIVATE).create(&folder);
    Some(made.map(|()| folder.join(file_name(&address::shown(target)))))
}

/// As the XDG Base Directory Specification says: a path that is not absolute is ignored.
fn state_home(state: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let own = state.map(PathBuf::from).filter(|path| path.is_absolute());
    let usual = || Some(PathBuf::from(home.filter(|home| !home.is_empty())?).join(".local/state"));
    own.or_else(usual)
}

/// `address` as a file name: no `/`, and no two addresses share one.
fn file_name(address: &str) -> String {
    address.replace('%', "%25").replace('/', "%2F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_has_a_home() {
        let state = |state: &str, home: &str| state_home(Some(state.into()), Some(home.into()));
        assert_eq!(state("/s", "/h"), Some("/s".into()));
        assert_eq!(state("s", "/h"), Some("/h/.local/state".into()));
        assert_eq!(state("", ""), None);
        assert_eq!(state_home(None, None), None);
    }

    #[test]
    fn each_server_has_a_file_of_its_own() {
        assert_eq!(file_name("[fe80::1%eth0]:5000"), "[fe80::1%25eth0]:5000");
        assert_eq!(file_name("unix:/run/a%2Fb"), "unix:%2Frun%2Fa%252Fb");
    }
}
