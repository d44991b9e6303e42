//! What unit tests of this layer share: all that workers share, of a server that serves nobody.
//!
//! It exists in tests only.

use std::io;
use std::sync::Arc;

use super::config::{Limits, LogFormat, Settings, Verbosity};
use super::desk::Common;
use super::lists::Lists;
use super::log::Log;
use super::mail::{Address, Post};
use super::published::Published;
use super::stats::Stats;
use crate::protocol::session::Uploads;
use crate::reactor::mailbox::Mailbox;
use crate::reactor::offload::Offload;
use crate::reactor::slab::Slab;
use crate::service::files::Shelf;
use crate::service::policy::Commands;
use crate::service::terminate::Terminator;
use crate::sys::host;

/// Mail that may wait for one worker.
const MAIL_MAX: usize = 100;

/// What so many workers share, with this root. Each pool has one thread, so that its work is done
/// in order.
pub(crate) fn common(workers: usize, shelf: Option<Shelf>) -> io::Result<Arc<Common>> {
    let settings = Settings {
        name: "test".to_owned(),
        hidden: false,
        uploads: Uploads::Off,
        allow: Vec::new(),
        allow_run: Vec::new(),
        commands: Commands::Off,
        limits: Limits::default(),
    };
    let post = |_| {
        let mailbox = Mailbox::new(MAIL_MAX)?;
        Ok(Post { mailbox, peers: 0.into(), stats: Stats::default() })
    };
    let pool = || Offload::new("test", 1, 0, || ());
    Ok(Arc::new(Common {
        crew: (0..workers).map(post).collect::<io::Result<_>>()?,
        disks: pool()?,
        listers: pool()?,
        lists: Lists::default(),
        stores: pool()?,
        starts: pool()?,
        terminator: Terminator::new(|| ())?,
        shelf,
        settings: Published::new(Arc::new(settings)),
        user: host::user(),
        log: Log::start(LogFormat::Text, Verbosity::Quiet)?,
        running: Arc::default(),
        seats: Arc::default(),
    }))
}

/// So many peers of a worker.
pub(crate) fn peers(worker: usize, count: usize) -> Vec<Address> {
    let mut slab = Slab::<()>::default();
    (0..count).map(|_| Address { worker, peer: slab.insert_with(|_| ()) }).collect()
}
