//! The real kernel, and what the scripts need of it besides `sys`.

pub(crate) use landline::sys;

#[path = "../commands.rs"]
pub(crate) mod commands;
#[path = "../files.rs"]
pub(crate) mod files;
#[path = "../sockets.rs"]
pub(crate) mod sockets;
#[path = "../transfers.rs"]
pub(crate) mod transfers;

use std::ffi::CString;
use std::fs::{File, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use crate::command_calls::{Program, Task};
use crate::file_calls::Change;
use sys::fd::{AsFd as _, OwnedFd};
use sys::poll::wait_any;
use sys::socket::{Local, connect_start, connect_unix, listen_tcp, listen_unix, set_no_delay};
use sys::socket::{local, take_error};

/// How long the kernel may take to set up a connection to itself, in milliseconds.
const PATIENCE_MS: u64 = 60_000;

/// A socket that listens. Each script has a loopback address of its own: on one address, ports
/// would be used up by connections that have ended (`TIME_WAIT`).
pub(crate) fn listen(is_unix: bool, number: u64, call: usize) -> (OwnedFd, Local) {
    let listener = if is_unix {
        let path = crate::socket_path(number, call);
        listen_unix(&path).expect("the path is free")
    } else {
        let [.., high, low] = number.to_be_bytes();
        let ip = Ipv4Addr::new(127, 1, high, low);
        let listener = listen_tcp(SocketAddr::from((ip, 0))).expect("a port is free");
        // Accepted sockets inherit it.
        set_no_delay(listener.as_fd()).expect("it is TCP");
        listener
    };
    let address = local(listener.as_fd()).expect("it is bound");
    (listener, address)
}

/// A client's end of a new connection, once it is decided whether there will be one.
pub(crate) fn connect(to: &Local) -> io::Result<OwnedFd> {
    match to {
        Local::Inet(address) => {
            let (client, _) = connect_start(*address)?;
            wait_any(&[(client.as_fd(), false, true)], Some(PATIENCE_MS))?;
            take_error(client.as_fd())?;
            set_no_delay(client.as_fd())?;
            Ok(client)
        }
        Local::Unix(path) => connect_unix(path),
    }
}

/// The files of a script.
pub(crate) struct Tree(PathBuf);

impl Tree {
    pub(crate) fn new(number: u64) -> Self {
        let tree = Self(crate::scratch().join(format!("files/{number}/root")));
        std::fs::create_dir_all(tree.root()).expect("there is room for a directory");
        tree
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.clone()
    }

    pub(crate) fn change(&self, change: &Change) {
        let done = match change {
            Change::Directory(path) => std::fs::create_dir(self.0.join(path)),
            Change::Link(path, target) => symlink(target, self.0.join(path)),
            Change::Fifo(path) => {
                let made = Command::new("mkfifo").arg(self.0.join(path)).status();
                made.map(|status| assert!(status.success(), "mkfifo fails"))
            }
            Change::Resize(path, bytes) => {
                let file = File::options().write(true).open(self.0.join(path));
                file.and_then(|file| file.set_len(*bytes as u64))
            }
            Change::Mode(path, mode) => {
                std::fs::set_permissions(self.0.join(path), Permissions::from_mode(*mode))
            }
        };
        done.expect("it was looked at before");
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let above = self.0.parent().expect("it is below a folder of its own");
        std::fs::remove_dir_all(above).expect("it is there");
    }
}

/// The real kernel does by itself what is due.
pub(crate) fn settle() {}

/// What a command does.
pub(crate) fn text(task: Task) -> &'static str {
    task.real
}

/// The path of a program.
pub(crate) fn program(wanted: Program) -> CString {
    let place = |name: &str, mode| {
        let path = crate::scratch().join(name);
        std::fs::write(&path, "no program\n").expect("there is room for a file");
        let permissions = Permissions::from_mode(mode);
        std::fs::set_permissions(&path, permissions).expect("it is there");
        CString::new(path.into_os_string().into_encoded_bytes()).expect("it holds no NUL")
    };
    match wanted {
        Program::Shell => c"/bin/sh".into(),
        Program::Missing => c"/bin/there-is-none".into(),
        Program::Secret => place("secret", 0o644),
        Program::Text => place("text", 0o755),
    }
}
