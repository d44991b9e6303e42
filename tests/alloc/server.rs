//! The server on a thread of its own, and plain sockets to talk with it that allocate nothing.
//!
//! What it does not do: stop it. It ends with the process, as its listeners do.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use landline::protocol::speech::{Service, Speech};
use landline::server::config::{
    Config, DRAIN_MS, Limits, Listen, ListenAddress, LogFormat, Settings, Verbosity,
};
use landline::service::policy::Commands;

/// The longest any wait may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server with one worker. There is one at a time: what another one allocates would be counted.
pub(crate) struct Server {
    path: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Server {
    /// Starts it, and waits until it can be talked to.
    pub(crate) fn start() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("landline-alloc-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let config = config(path.clone());
        std::thread::spawn(move || {
            let ended = landline::server::serve(&config, &|| Ok(config.settings.clone()));
            panic!("the server ended: {ended:?}");
        });
        #[expect(clippy::disallowed_methods, reason = "waiting has an end")]
        let began = Instant::now();
        while UnixStream::connect(&path).is_err() {
            assert!(began.elapsed() < PATIENCE, "the server does not listen");
            std::thread::yield_now();
        }
        Self { path, _alone: alone }
    }

    /// A plain connection.
    pub(crate) fn connect(&self) -> Peer {
        let stream = UnixStream::connect(&self.path).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("sockets take time-outs");
        Peer(stream)
    }

    /// A connection with framed replies.
    pub(crate) fn framed(&self) -> Peer {
        self.asked("landline/1\n", "done 0 landline=1 server=box caps=chat\n")
    }

    /// A plain connection with a user name.
    pub(crate) fn named(&self, name: &str) -> Peer {
        let reply = format!("connected to box as {name} at ####-##-## ##:##:##\n");
        self.asked(&format!("name {name}\n"), &reply)
    }

    fn asked(&self, request: &str, reply: &str) -> Peer {
        let mut peer = self.connect();
        peer.say(request.as_bytes());
        peer.expect_form(reply.as_bytes(), &mut vec![0; reply.len()]);
        peer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

fn config(path: PathBuf) -> Config {
    let speech = Speech { service: Service::Line, bare: false };
    Config {
        listen: vec![Listen { speech, address: ListenAddress::Unix(path) }],
        root: None,
        workers: 1,
        metrics: None,
        log: LogFormat::Text,
        verbosity: Verbosity::Quiet,
        drain_ms: DRAIN_MS,
        settings: Settings {
            name: "box".to_owned(),
            hidden: false,
            uploads: landline::protocol::session::Uploads::Off,
            allow: Vec::new(),
            allow_run: Vec::new(),
            commands: Commands::Off,
            limits: Limits::default(),
        },
    }
}

/// One connection. Nothing here allocates, but to say what went wrong.
pub(crate) struct Peer(UnixStream);

impl Peer {
    /// Sends all of `bytes`.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the server reads");
    }

    /// Next comes `reply`, which is read into `room`, as long as it.
    #[track_caller]
    pub(crate) fn expect(&mut self, reply: &[u8], room: &mut [u8]) {
        self.0.read_exact(room).expect("the server answers");
        assert!(room == reply, "{:?}", String::from_utf8_lossy(room));
    }

    /// The same, where `#` in `form` is any digit.
    #[track_caller]
    pub(crate) fn expect_form(&mut self, form: &[u8], room: &mut [u8]) {
        self.0.read_exact(room).expect("the server answers");
        let is_right = form
            .iter()
            .zip(&*room)
            .all(|(form, came)| form == came || *form == b'#' && came.is_ascii_digit());
        assert!(is_right, "{:?}", String::from_utf8_lossy(room));
    }
}
