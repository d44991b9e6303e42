//! Scenes drawn from a seed: how the server is configured, what lies in its root, and who comes.

use std::path::PathBuf;

use super::expect::FAULT_CODES;
use super::rules;
use super::tree::Tree;
use crate::kernel::Kernel;
use crate::kernel::random::Random;
use crate::protocol::session::Uploads;
use crate::protocol::speech::{Service, Speech};
use crate::server::config::{
    Config, IDLE_TIMEOUT_MS, Limits, Listen, ListenAddress, LogFormat, SEND_TIMEOUT_MS, Settings,
    Verbosity,
};
use crate::service::policy::{Commands, Rule};

/// What a scene may hold.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Most clients.
    pub clients_max: usize,
    /// Most clients where there is a crowd.
    pub crowd_max: usize,
    /// Most workers.
    pub workers_max: usize,
    /// Whether calls may fail.
    pub has_faults: bool,
    /// Whether commands with bad manners are run.
    pub has_nasty: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { clients_max: 12, crowd_max: 30, workers_max: 4, has_faults: true, has_nasty: true }
    }
}

/// Who may not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// All may.
    Nobody,
    /// Over TCP.
    Inet,
    /// Over Unix sockets.
    Unix,
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
    /// What lies in the root.
    pub tree: Tree,
    /// How often SIGHUP comes.
    pub reloads: usize,
    /// SIGTERM comes while clients are there.
    pub stops_early: bool,
    /// A second SIGTERM comes while the server stops.
    pub stops_twice: bool,
    /// Who may not connect.
    pub denied: Denied,
    /// How many paths are cut.
    pub cuts: usize,
    /// How many descriptors are left once the server serves, if they are scarce.
    pub spare_fds: Option<usize>,
    /// How long the server has after the last client, in microseconds.
    pub settle_us: u64,
    /// How many clients come.
    pub clients: usize,
    /// Whether commands with bad manners are run.
    pub has_nasty: bool,
}

/// The services that are also served `+bare`, behind those.
pub const BARE_SERVICES: [Service; 3] = [Service::Line, Service::Exec, Service::Hello];

/// Where metrics are served.
pub const METRICS_PORT: u16 = 6_100;

/// The services, one TCP and one Unix listener for each.
pub const SERVICES: [Service; 6] =
    [Service::Line, Service::Chat, Service::Talk, Service::Exec, Service::Hello, Service::Echo];

impl Scene {
    /// Draws a scene, and lays out its files.
    pub fn draw(random: &mut Random, bounds: &Bounds, kernel: &mut Kernel) -> Self {
        let tree = Tree::draw(random, kernel);
        let spare_fds = random.one_in(12).then(|| random.between(2, 14));
        let has_faults = bounds.has_faults && random.one_in(3);
        let faults_one_in = if has_faults { random.between(40, 2_000) } else { 0 };
        let stops_early = random.one_in(6);
        let denied = *random.pick(&[
            Denied::Nobody,
            Denied::Nobody,
            Denied::Nobody,
            Denied::Nobody,
            Denied::Nobody,
            Denied::Nobody,
            Denied::Unix,
            Denied::Inet,
        ]);
        let cuts = if random.one_in(8) { random.between(1, 3) } else { 0 };
        let is_crowd = random.one_in(16);
        let clients_max = if is_crowd { bounds.crowd_max } else { bounds.clients_max };
        let config = Config {
            listen: listeners(random),
            root: Some(PathBuf::from("/srv")),
            workers: random.between(1, bounds.workers_max),
            metrics: Some(ListenAddress::Loopback { port: METRICS_PORT }),
            log: *random.pick(&[LogFormat::Text, LogFormat::Json]),
            verbosity: Verbosity::Verbose,
            drain_ms: *random.pick(&[0, 50, 10_000]),
            settings: settings(random, denied, tree),
        };
        Self {
            config,
            has_faults: has_faults || spare_fds.is_some(),
            faults_one_in,
            tree,
            reloads: if random.one_in(4) { 2 } else { 0 },
            stops_early,
            stops_twice: random.one_in(4),
            denied,
            cuts,
            spare_fds,
            settle_us: if cuts > 0 { 400_000_000 } else { 30_000_000 },
            clients: random.between(1, clients_max),
            has_nasty: bounds.has_nasty && random.one_in(3),
        }
    }

    /// Whether a client over this family is turned away.
    pub fn denies(&self, is_unix: bool) -> bool {
        match self.denied {
            Denied::Nobody => false,
            Denied::Inet => !is_unix,
            Denied::Unix => is_unix,
        }
    }

    /// Where a listener listens. The metrics come behind all others.
    pub fn address(&self, listener: usize) -> Option<&ListenAddress> {
        self.config
            .listen
            .get(listener)
            .map(|listen| &listen.address)
            .or(self.config.metrics.as_ref())
    }

    /// Whether a client may be turned away, or cut off, with what it said.
    pub fn may_turn_away(&self) -> bool {
        let Limits { connections_max, per_address_max, .. } = self.config.settings.limits;
        let are_places_few = connections_max.min(per_address_max) < self.clients;
        self.has_faults || self.stops_early || self.has_short_times() || are_places_few
    }

    /// Whether who does nothing for long is cut off, or who takes nothing.
    pub fn has_short_times(&self) -> bool {
        let Limits { idle_timeout_ms, send_timeout_ms, .. } = self.config.settings.limits;
        idle_timeout_ms < IDLE_TIMEOUT_MS || send_timeout_ms < SEND_TIMEOUT_MS
    }

    /// Whether commands are ended after a time.
    pub fn has_run_timeout(&self) -> bool {
        self.config.settings.limits.run_timeout_ms < u64::MAX
    }

    /// Errors that may stand where any reply, or the rest of it, should.
    pub fn excuses(&self) -> &'static [&'static str] {
        if self.has_faults { FAULT_CODES } else { &[] }
    }
}

/// Listeners: one over TCP and one Unix socket for each service, and the same for each that is also
/// served `+bare`.
fn listeners(random: &mut Random) -> Vec<Listen> {
    let plain = SERVICES.iter().map(|service| (*service, false));
    let bare = BARE_SERVICES.iter().map(|service| (*service, true));
    let mut listen = Vec::new();
    for (number, (service, bare)) in (1..).zip(plain.chain(bare)) {
        let speech = Speech { service, bare };
        let port = 6_000 + number;
        let address = match random.below(6) {
            0 => ListenAddress::All { port },
            1 => ListenAddress::Loopback { port },
            _ => ListenAddress::Host { host: "127.0.0.1".to_owned(), port },
        };
        listen.push(Listen { speech, address });
        let address = ListenAddress::Unix(PathBuf::from(format!("/run/{number}.sock")));
        listen.push(Listen { speech, address });
    }
    listen
}

fn settings(random: &mut Random, denied: Denied, tree: Tree) -> Settings {
    let rules = |texts: &[&str]| {
        texts.iter().map(|text| Rule::parse(text).expect("it is a rule")).collect::<Vec<_>>()
    };
    let limits = Limits {
        connections_max: if random.one_in(12) { 3 } else { Limits::default().connections_max },
        per_address_max: if random.one_in(16) { 2 } else { usize::MAX },
        backlog_bytes_max: *random.pick(&[4 << 20, 4 << 20, 64 << 10]),
        run_timeout_ms: *random.pick(&[u64::MAX, 1_500]),
        idle_timeout_ms: if random.one_in(10) { 4_000 } else { IDLE_TIMEOUT_MS },
        send_timeout_ms: if random.one_in(10) { 2_000 } else { SEND_TIMEOUT_MS },
        ..Limits::default()
    };
    let mut settings = Settings {
        name: "sim".to_owned(),
        hidden: tree.is_hidden_served,
        uploads: Uploads::New,
        allow: match denied {
            Denied::Nobody => Vec::new(),
            Denied::Inet => rules(&["unix", "10.0.0.0/8"]),
            Denied::Unix => rules(&["127.0.0.0/8", "::1"]),
        },
        allow_run: vec![Rule::Any],
        commands: Commands::Shell,
        limits,
    };
    rules::vary(&mut settings, random);
    settings
}
