//! `Asked`: what a request of `landline connect` asked for, as far as its reply is shown in a
//! special way.
//!
//! What it does not do: send requests (`feed`, `typed`), or show replies (`talk`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::mpsc::Sender;

use crate::protocol::name::Name;
use crate::protocol::reply::Style;
use crate::protocol::request::{self, Request};

/// What is to come for a request.
#[derive(Debug)]
pub(super) enum Asked {
    /// The line itself.
    Echo,
    /// A file from byte `offset` on, to be kept as `target`.
    Save {
        /// Where it goes.
        target: PathBuf,
        /// Where it begins, in bytes.
        offset: u64,
    },
    /// The answer that this user is called so.
    Name(Name),
    /// The end.
    Quit,
    /// Anything else.
    Other,
    /// Something the server was not asked for; this is to be said instead.
    Told(String),
    /// An answer that is not shown, but wanted here. Nobody may wait for it any more.
    Query(Sender<Vec<u8>>),
    /// What nobody wants to see.
    Dropped,
}

/// What a framed server answers to `line`; nothing for the frames that are no requests.
pub(super) fn asked(line: &[u8]) -> Option<Asked> {
    Some(match request::parse(line, Style::Framed) {
        Ok(Request::In | Request::Eof | Request::Winch { .. }) => return None,
        Ok(Request::Echo) => Asked::Echo,
        Ok(Request::Quit) => Asked::Quit,
        Ok(Request::Download { offset, path }) => save(path, offset),
        Ok(Request::Name(name)) => Name::parse(name).map_or(Asked::Other, Asked::Name),
        Ok(_) | Err(_) => Asked::Other,
    })
}

fn save(path: &[u8], offset: u64) -> Asked {
    let base = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let target = PathBuf::from(OsString::from_vec([b"client_", base].concat()));
    if target.symlink_metadata().is_ok() {
        let text = format!("error exists: {} is there already", target.display());
        return Asked::Told(text);
    }
    Asked::Save { target, offset }
}
