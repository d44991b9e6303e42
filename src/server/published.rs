//! `Published`: the settings that count now, for all workers at once.
//!
//! A worker keeps what it saw last, and looks whether that still counts after each read of a peer,
//! before it acts on what came: one load, and no lock unless the settings changed. Whoever was
//! answered by new settings and then sends a request, over whichever connection, is therefore
//! answered by them again: the request was read after they were published.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::config::Settings;
use crate::sys::thread::Mutex;

/// Where settings are published.
#[derive(Debug)]
pub(crate) struct Published {
    settings: Mutex<Arc<Settings>>,
    generation: AtomicU64,
}

/// Settings as they were seen at some time.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) settings: Arc<Settings>,
    generation: u64,
}

impl Published {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self { settings: Mutex::new(settings), generation: AtomicU64::new(0) }
    }

    /// From now on these settings count.
    pub(crate) fn publish(&self, settings: Arc<Settings>) {
        let mut published = self.settings.lock();
        *published = settings;
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The settings that count now.
    pub(crate) fn see(&self) -> Seen {
        let published = self.settings.lock();
        let generation = self.generation.load(Ordering::Relaxed);
        Seen { settings: Arc::clone(&published), generation }
    }

    /// Whether these settings still count.
    pub(crate) fn is_current(&self, seen: &Seen) -> bool {
        self.generation.load(Ordering::Acquire) == seen.generation
    }
}

impl Seen {
    /// A number that the settings before and after do not have.
    pub(crate) fn mark(&self) -> u8 {
        self.generation.to_le_bytes()[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::session::Uploads;
    use crate::server::config::Limits;
    use crate::service::policy::Commands;

    fn named(name: &str) -> Arc<Settings> {
        let (allow, allow_run) = (Vec::new(), Vec::new());
        let (uploads, commands, limits) = (Uploads::Off, Commands::Off, Limits::default());
        let name = name.to_owned();
        Arc::new(Settings { name, hidden: false, uploads, allow, allow_run, commands, limits })
    }

    #[test]
    fn what_was_seen_counts_until_something_else_is_published() {
        let published = Published::new(named("old"));
        let old = published.see();
        assert!(published.is_current(&old));
        published.publish(named("new"));
        assert!(!published.is_current(&old));
        let new = published.see();
        assert!(published.is_current(&new));
        assert_eq!((old.settings.name.as_str(), new.settings.name.as_str()), ("old", "new"));
        assert_ne!(old.mark(), new.mark());
    }
}
