//! The simulated kernel, and what the scripts need of it besides `sys`.

pub(crate) use landline_sim::sys;

#[path = "../commands.rs"]
pub(crate) mod commands;
#[path = "../files.rs"]
pub(crate) mod files;
#[path = "../sockets.rs"]
pub(crate) mod sockets;
#[path = "../transfers.rs"]
pub(crate) mod transfers;

use std::ffi::CString;
use std::io;
use std::path::PathBuf;

use crate::command_calls::{Program, Task};
use crate::file_calls::Change;
use landline_sim::kernel::descriptors::Object;
use landline_sim::kernel::files::ROOT_PATH;
use landline_sim::kernel::socket::{Side, client_address};
use landline_sim::kernel::{os, with};
use sys::fd::{AsFd as _, OwnedFd};
use sys::socket::{Local, Peer, listen_tcp, listen_unix, local};

/// A socket that listens.
pub(crate) fn listen(is_unix: bool, number: u64, call: usize) -> (OwnedFd, Local) {
    let listener = if is_unix {
        let path = crate::socket_path(number, call);
        listen_unix(&path).expect("the path is free")
    } else {
        listen_tcp("127.0.0.1:0".parse().expect("it is an address")).expect("a port is free")
    };
    let address = local(listener.as_fd()).expect("it is bound");
    (listener, address)
}

/// A client's end of a new connection.
pub(crate) fn connect(to: &Local) -> io::Result<OwnedFd> {
    with(|kernel| {
        let all = kernel.network.all_listeners();
        let listener = all.into_iter().find(|(_, local)| local == to).map(|(id, _)| id);
        let (peer, refused) = match to {
            Local::Unix(path) if !kernel.network.paths.contains_key(path) => {
                (Peer::Unix, libc::ENOENT)
            }
            Local::Unix(_) => (Peer::Unix, libc::ECONNREFUSED),
            Local::Inet(_) => (client_address(0, false), libc::ECONNREFUSED),
        };
        let connected = listener.and_then(|id| kernel.connect(id, peer, 1000));
        let connection = connected.ok_or_else(|| os(refused))?;
        let client = kernel.open(Object::Socket(connection, Side::Client)).map_err(os)?;
        Ok(OwnedFd::from_raw(client))
    })
}

/// All that was sent arrives, and commands do all that they can.
pub(crate) fn settle() {
    with(|kernel| {
        kernel.deliver_all();
        loop {
            let able = kernel.processes_that_can_run();
            if able.is_empty() {
                break;
            }
            for pid in able {
                kernel.process_step(pid);
            }
        }
    });
}

/// The files of a script.
pub(crate) struct Tree;

#[expect(clippy::unused_self, reason = "there is one tree; the real kernel has one a script")]
impl Tree {
    pub(crate) fn new(_number: u64) -> Self {
        Self
    }

    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from(ROOT_PATH)
    }

    pub(crate) fn change(&self, change: &Change) {
        with(|kernel| match change {
            Change::Directory(path) => kernel.files.make_directory(path),
            Change::Link(path, target) => kernel.files.make_link(path, target),
            Change::Fifo(path) => kernel.files.make_fifo(path),
            Change::Resize(path, bytes) => kernel.files.truncate(path, *bytes),
            Change::Mode(path, mode) => kernel.files.set_mode(path, *mode),
        });
    }
}

/// What a command does.
pub(crate) fn text(task: Task) -> &'static str {
    task.simulated
}

/// The path of a program.
pub(crate) fn program(wanted: Program) -> CString {
    let path = match wanted {
        Program::Shell => c"/bin/sh",
        Program::Missing => c"/bin/there-is-none",
        Program::Secret => c"/bin/secret",
        Program::Text => c"/bin/text",
    };
    path.into()
}
