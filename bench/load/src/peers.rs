//! Other servers of the same trade, as Debian packages them: how each is started on a free loopback
//! port with the least configuration, and which rows it takes part in.
//!
//! What it does not do: tune them. Each has one process (or one for each connection, where that is
//! how it works), logs nothing for a request, and is allowed as many connections as are opened.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::Outcome;
use crate::speech::Speech;

/// Connections that each is told to take.
const CONNECTIONS_MAX: usize = 20_000;

/// A server, with what it runs where it only starts programs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rival {
    /// `redis-server`, nothing saved.
    Redis,
    /// `nginx`, one process.
    Nginx,
    /// `lighttpd`.
    Lighttpd,
    /// `nats-server`.
    Nats,
    /// `mosquitto`.
    Mosquitto,
    /// `ngircd`, without penalties.
    Ngircd,
    /// `xinetd`, which starts a program for each connection.
    Xinetd(Task),
    /// `tcpserver` of ucspi-tcp.
    Tcpserver(Task),
    /// `socat`, one process for each connection.
    Socat(Task),
    /// `ncat`.
    Ncat,
}

/// What a server does that serves by other programs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Returns what comes.
    Echo,
    /// Starts `/bin/true`.
    True,
    /// Starts `/bin/cat` of the 64 MiB file.
    Cat,
}

/// Where a server is to be.
pub struct Site<'a> {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// A folder for its configuration and what it writes.
    pub dir: &'a Path,
    /// The files that are served.
    pub root: &'a Path,
}

/// Who takes part in the row of a key, and how it is spoken to.
pub fn beside(key: &str) -> &'static [(Rival, Speech)] {
    use Speech::{Bare, Http, Inline, Irc, Mqtt, Mute, Resp};
    const REDIS: (Rival, Speech) = (Rival::Redis, Resp);
    const NATS: (Rival, Speech) = (Rival::Nats, Speech::Nats);
    const MQTT: (Rival, Speech) = (Rival::Mosquitto, Mqtt);
    const NCAT: (Rival, Speech) = (Rival::Ncat, Bare);
    const SOCAT: (Rival, Speech) = (Rival::Socat(Task::Echo), Bare);
    match key {
        "echo-1" | "echo-50" | "echo-50-deep" => &[REDIS, (Rival::Redis, Inline), NCAT, SOCAT],
        "get-1k" | "get-1k-of-16" | "get-1m" | "get-64m" | "get-1k-each" => {
            &[(Rival::Nginx, Http), (Rival::Lighttpd, Http)]
        }
        "run-1" | "run-16" => &[
            (Rival::Tcpserver(Task::True), Mute),
            (Rival::Xinetd(Task::True), Mute),
            (Rival::Socat(Task::True), Mute),
        ],
        "run-cat" => &[
            (Rival::Tcpserver(Task::Cat), Mute),
            (Rival::Xinetd(Task::Cat), Mute),
            (Rival::Socat(Task::Cat), Mute),
        ],
        "all-100" | "all-100-deep" => &[REDIS, NATS, MQTT, (Rival::Ngircd, Irc)],
        "all-1000" | "one-1" | "one-64" => &[REDIS, NATS, MQTT],
        "idle" => &[REDIS, NATS, MQTT, (Rival::Nginx, Http), (Rival::Lighttpd, Http)],
        _ => &[],
    }
}

impl Rival {
    /// What a reader calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Nginx => "nginx",
            Self::Lighttpd => "lighttpd",
            Self::Nats => "nats",
            Self::Mosquitto => "mosquitto",
            Self::Ngircd => "ngircd",
            Self::Xinetd(_) => "xinetd",
            Self::Tcpserver(_) => "tcpserver",
            Self::Socat(_) => "socat",
            Self::Ncat => "ncat",
        }
    }

    /// A name for its files.
    pub fn file_name(self) -> String {
        match self {
            Self::Xinetd(task) | Self::Tcpserver(task) | Self::Socat(task) => {
                format!("{}-{}", self.name(), task.name())
            }
            _ => self.name().to_owned(),
        }
    }

    /// Writes its configuration, and says how it is started.
    ///
    /// # Errors
    /// The system's.
    pub fn words(self, site: &Site<'_>) -> Outcome<Vec<String>> {
        let path = site.dir.join(format!("{}.conf", self.file_name()));
        if let Some(text) = self.configuration(site) {
            fs::write(&path, text)?;
        }
        let conf = path.display().to_string();
        let port = site.port.to_string();
        let task = |task: Task| task.words(site.root);
        let words: Vec<String> = match self {
            Self::Redis => vec!["redis-server".into(), conf],
            Self::Nginx => ["nginx", "-e", "stderr", "-c", &conf].map(str::to_owned).into(),
            Self::Lighttpd => ["lighttpd", "-D", "-f", &conf].map(str::to_owned).into(),
            Self::Nats => ["nats-server", "-c", &conf].map(str::to_owned).into(),
            Self::Mosquitto => ["mosquitto", "-c", &conf].map(str::to_owned).into(),
            Self::Ngircd => ["ngircd", "-n", "-f", &conf].map(str::to_owned).into(),
            Self::Xinetd(_) => {
                let pid = site.dir.join(format!("{}.pid", self.file_name()));
                let pid = pid.display().to_string();
                ["xinetd", "-dontfork", "-f", &conf, "-pidfile", &pid].map(str::to_owned).into()
            }
            Self::Tcpserver(what) => {
                let start = "tcpserver -H -R -l 0 -b 511 -c 1000 127.0.0.1";
                let start = start.split(' ').map(str::to_owned);
                start.chain([port]).chain(task(what)).collect()
            }
            Self::Socat(what) => {
                let listen = format!("TCP-LISTEN:{port},bind=127.0.0.1,fork,backlog=511,nodelay");
                let exec = format!("EXEC:{}", task(what).join(" "));
                match what {
                    Task::Echo => vec!["socat".into(), listen, "PIPE".into()],
                    _ => vec!["socat".into(), "-U".into(), listen, exec],
                }
            }
            Self::Ncat => {
                let start = ["ncat", "-l", "-k", "-m", "1000", "-e", "/bin/cat", "127.0.0.1"];
                start.map(str::to_owned).into_iter().chain([port]).collect()
            }
        };
        Ok(words)
    }

    fn configuration(self, site: &Site<'_>) -> Option<String> {
        let (port, dir, root) = (site.port, site.dir.display(), site.root.display());
        Some(match self {
            Self::Redis => format!(
                "bind 127.0.0.1\nport {port}\nsave \"\"\nappendonly no\nloglevel warning\n\
                 maxclients {CONNECTIONS_MAX}\nprotected-mode no\ndir {dir}\n\
                 client-output-buffer-limit pubsub 0 0 0\n"
            ),
            Self::Nginx => format!(
                "daemon off;\nmaster_process off;\npid {dir}/nginx.pid;\n\
                 events {{ worker_connections {CONNECTIONS_MAX}; }}\n\
                 http {{\n  access_log off;\n  sendfile on;\n  tcp_nopush on;\n\
                 \x20 keepalive_requests 1000000000;\n  keepalive_timeout 600;\n\
                 \x20 client_body_temp_path {dir}/body;\n  proxy_temp_path {dir}/proxy;\n\
                 \x20 fastcgi_temp_path {dir}/fastcgi;\n  uwsgi_temp_path {dir}/uwsgi;\n\
                 \x20 scgi_temp_path {dir}/scgi;\n\
                 \x20 server {{ listen 127.0.0.1:{port} backlog=511; root {root}; }}\n}}\n"
            ),
            Self::Lighttpd => format!(
                "server.document-root = \"{root}\"\nserver.bind = \"127.0.0.1\"\n\
                 server.port = {port}\nserver.max-fds = {CONNECTIONS_MAX}\n\
                 server.max-connections = {}\n\
                 server.max-keep-alive-requests = 65535\nserver.max-keep-alive-idle = 600\n\
                 server.listen-backlog = 511\n",
                // It wants twice as many descriptors.
                CONNECTIONS_MAX / 2
            ),
            Self::Nats => format!(
                "host: \"127.0.0.1\"\nport: {port}\nmax_connections: {CONNECTIONS_MAX}\n\
                 ping_interval: \"10m\"\nwrite_deadline: \"30s\"\n"
            ),
            Self::Mosquitto => format!(
                "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n\
                 set_tcp_nodelay true\nlog_type error\nmax_queued_messages 0\n{}",
                if nix::unistd::geteuid().is_root() { "user root\n" } else { "" }
            ),
            Self::Ngircd => format!(
                "[Global]\nName = bench.test\nInfo = bench\nListen = 127.0.0.1\nPorts = {port}\n\
                 MotdPhrase = hello\n{}\
                 [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxJoins = 0\n\
                 MaxNickLength = 31\nMaxPenaltyTime = 0\nPingTimeout = 600\n\
                 [Options]\nDNS = no\nIdent = no\nPAM = no\n",
                if nix::unistd::geteuid().is_root() { "ServerUID = 65534\n" } else { "" }
            ),
            Self::Xinetd(task) => {
                let words = task.words(site.root);
                let (program, arguments) = (&words[0], words[1..].join(" "));
                let uid = nix::unistd::geteuid();
                format!(
                    "defaults\n{{\n instances = UNLIMITED\n per_source = UNLIMITED\n\
                     \x20cps = 1000000 1\n}}\n\
                     service bench\n{{\n type = UNLISTED\n socket_type = stream\n protocol = tcp\n\
                     \x20wait = no\n user = {uid}\n bind = 127.0.0.1\n port = {port}\n\
                     \x20server = {program}\n server_args = {arguments}\n disable = no\n}}\n"
                )
            }
            Self::Tcpserver(_) | Self::Socat(_) | Self::Ncat => return None,
        })
    }
}

impl Task {
    fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::True => "true",
            Self::Cat => "cat",
        }
    }

    fn words(self, root: &Path) -> Vec<String> {
        match self {
            Self::Echo => vec!["/bin/cat".into()],
            Self::True => vec!["/bin/true".into()],
            Self::Cat => vec!["/bin/cat".into(), root.join("64m").display().to_string()],
        }
    }
}

/// A port of loopback that nobody listens on now.
///
/// # Errors
/// The system's.
pub fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_name_the_port_and_stay_on_loopback() {
        let site = Site { port: 4711, dir: Path::new("/d"), root: Path::new("/r") };
        for rival in [Rival::Redis, Rival::Nginx, Rival::Lighttpd, Rival::Nats, Rival::Ngircd] {
            let text = rival.configuration(&site).unwrap();
            assert!(text.contains("4711") && text.contains("127.0.0.1"), "{text}");
        }
        assert!(Rival::Ncat.words(&site).unwrap().contains(&"4711".to_owned()));
    }
}
