//! Scenes drawn from a seed: how the server is configured, what lies in its root, and who comes.

use std::path::PathBuf;

use super::expect::FAULT_CODES;
use crate::kernel::Kernel;
use crate::kernel::process::output_bytes;
use crate::kernel::random::Random;
use crate::protocol::session::Uploads;
use crate::protocol::speech::{Service, Speech};
use crate::server::config::{
    Config, Limits, Listen, ListenAddress, LogFormat, Settings, Verbosity,
};
use crate::service::policy::{Commands, Rule};

/// What a scene may hold.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Most clients.
    pub clients_max: usize,
    /// Most workers.
    pub workers_max: usize,
    /// Whether calls may fail.
    pub has_faults: bool,
    /// Whether commands with bad manners are run.
    pub has_nasty: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { clients_max: 12, workers_max: 4, has_faults: true, has_nasty: true }
    }
}

/// A scene.
#[derive(Debug)]
pub struct Scene {
    /// How the server is started.
    pub config: Config,
    /// Whether calls of the kernel fail.
    pub has_faults: bool,
    /// How many calls there are for one that fails, once the server serves; 0 where none does.
    pub faults_one_in: usize,
    /// How often SIGHUP comes.
    pub reloads: usize,
    /// SIGTERM comes while clients are there.
    pub stops_early: bool,
    /// How long the server has after the last client, in microseconds.
    pub settle_us: u64,
    /// How many clients come.
    pub clients: usize,
    /// Whether commands with bad manners are run.
    pub has_nasty: bool,
}

/// Files in the root: name, size.
pub const FILES: [(&str, usize); 6] = [
    ("a.txt", 12),
    ("empty", 0),
    ("small", 3_000),
    ("sub/nine thousand", 9_000),
    ("big", 70_000),
    ("bigger", 300_000),
];

/// The content of a file.
pub fn content(name: &str, size: usize) -> Vec<u8> {
    output_bytes(name, size)
}

/// The services, one TCP and one Unix listener for each.
pub const SERVICES: [Service; 6] =
    [Service::Line, Service::Chat, Service::Talk, Service::Exec, Service::Hello, Service::Echo];

impl Scene {
    /// Draws a scene, and lays out its files.
    pub fn draw(random: &mut Random, bounds: &Bounds, kernel: &mut Kernel) -> Self {
        let mut listen = Vec::new();
        for (number, service) in (1..).zip(SERVICES) {
            let speech = Speech { service, bare: false };
            let host = "127.0.0.1".to_owned();
            let address = ListenAddress::Host { host, port: 6000 + number };
            listen.push(Listen { speech, address });
            let address = ListenAddress::Unix(PathBuf::from(format!("/run/{number}.sock")));
            listen.push(Listen { speech, address });
        }
        for (name, size) in FILES {
            kernel.files.create(name, content(name, size));
        }
        let has_faults = bounds.has_faults && random.one_in(3);
        let faults_one_in = if has_faults { random.between(40, 2_000) } else { 0 };
        let stops_early = random.one_in(6);
        let limits = Limits {
            backlog_bytes_max: *random.pick(&[4 << 20, 4 << 20, 64 << 10]),
            run_timeout_ms: *random.pick(&[u64::MAX, 1_500]),
            ..Limits::default()
        };
        let settings = Settings {
            name: "sim".to_owned(),
            hidden: false,
            uploads: Uploads::New,
            allow: Vec::new(),
            allow_run: vec![Rule::Any],
            commands: Commands::Shell,
            limits,
        };
        let config = Config {
            listen,
            root: Some(PathBuf::from("/srv")),
            workers: random.between(1, bounds.workers_max),
            metrics: None,
            log: LogFormat::Text,
            verbosity: Verbosity::Verbose,
            drain_ms: *random.pick(&[0, 50, 10_000]),
            settings,
        };
        Self {
            config,
            has_faults,
            faults_one_in,
            reloads: if random.one_in(4) { 2 } else { 0 },
            stops_early,
            settle_us: 30_000_000,
            clients: random.between(1, bounds.clients_max),
            has_nasty: bounds.has_nasty && random.one_in(3),
        }
    }

    /// Whether commands are ended after a time.
    pub fn has_run_timeout(&self) -> bool {
        self.config.settings.limits.run_timeout_ms < u64::MAX
    }

    /// Errors that may stand where any reply, or the rest of it, should.
    pub fn excuses(&self) -> &'static [&'static str] {
        match (self.has_faults, self.has_run_timeout()) {
            (true, _) => FAULT_CODES,
            (false, true) => &["timeout"],
            (false, false) => &[],
        }
    }
}
