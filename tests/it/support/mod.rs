//! The harness: the program as a child process, peers as transcripts, and small tools around them.
//!
//! What it does not do: use one line of the program's own code. Frames are read, errors checked and
//! listeners found out independently, so that both sides cannot be wrong in the same way.

#[cfg_attr(not(feature = "client"), expect(dead_code, reason = "our client uses all of it"))]
pub(crate) mod console;
pub(crate) mod framed;
pub(crate) mod json;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod scratch;
pub(crate) mod seed;
pub(crate) mod server;
pub(crate) mod shim;
pub(crate) mod stream;

use std::time::{Duration, Instant};

pub(crate) use framed::FramedPeer;
pub(crate) use peer::Peer;
pub(crate) use scratch::Scratch;
pub(crate) use seed::Seed;
pub(crate) use server::Server;

/// How long anything may take on a busy machine before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// A date and time of day as messages show it; `#` is a digit (see `Peer::expect_matching`).
pub(crate) const STAMP: &str = "####-##-## ##:##:##";

/// Waits until `condition` holds, at most `PATIENCE`.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Bytes as a panic message shows them: readable, and not endless.
pub(crate) fn show(bytes: &[u8]) -> String {
    const SHOWN: usize = 600;
    if bytes.len() <= SHOWN {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    format!("\"{}\"… ({} bytes)", bytes[..SHOWN].escape_ascii(), bytes.len())
}
