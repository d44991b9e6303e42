//! The real kernel, and what the scripts need of it besides `sys`.

pub(crate) use landline::sys;

#[path = "../sockets.rs"]
pub(crate) mod sockets;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use sys::fd::{AsFd as _, OwnedFd};
use sys::poll::wait_any;
use sys::socket::{Local, connect_start, connect_unix, listen_tcp, listen_unix, set_no_delay};
use sys::socket::{local, take_error};

/// How long the kernel may take to set up a connection to itself, in milliseconds.
const PATIENCE_MS: u64 = 10_000;

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
