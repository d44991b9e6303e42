//! Word to the service manager, of which the trace keeps a note.

use crate::kernel::{enter, with};

/// Sends `state`.
pub fn send(state: &str) {
    enter("sendto");
    with(|kernel| kernel.trace.note(kernel.now_us, format_args!("notify {state}")));
}
