//! Where things are: the served files, the allow-list, the programs; and how each server starts.
//!
//! What it does not do: choose what is measured.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::args::Args;
use crate::children::{Kind, Server};
use crate::peers::{Rival, Site, free_port};
use crate::rows::{Base, COPIES, FILES, Program};

/// Connections that landline is told to take.
const CONNECTIONS_MAX: usize = 20_000;
/// Where servers run, and where those that are not pinned do.
const PINNED: &str = "0";
const FREE: &str = "0,1";

/// Where things are.
pub struct House {
    landline: PathBuf,
    base: PathBuf,
    /// Logs and raw figures.
    pub work: PathBuf,
    /// What is served.
    pub root: PathBuf,
    /// Where other servers' configurations go; none where there are to be none.
    pub peers: Option<PathBuf>,
}

impl House {
    /// Writes the files that are served, and what else the servers need.
    ///
    /// # Errors
    /// The system's, or an option that is missing.
    pub fn furnish(args: &Args) -> Outcome<Self> {
        let work: PathBuf = args.need("work")?;
        let root = work.join("root");
        fs::create_dir_all(&root)?;
        let root = root.canonicalize()?;
        for (seed, (name, bytes)) in FILES.iter().enumerate() {
            fs::write(root.join(name), noise(seed as u64 + 1, *bytes))?;
        }
        for copy in 0..COPIES {
            fs::copy(root.join("1k"), root.join(format!("1k-{copy}")))?;
        }
        let cat = root.join("64m");
        let allowed = format!("true = /bin/true\ncat = /bin/cat {}\n", cat.display());
        fs::write(work.join("allow-list"), allowed)?;
        let peers: Option<PathBuf> = args.maybe("peers")?;
        let peers = peers.map(|dir| fs::create_dir_all(&dir).and_then(|()| dir.canonicalize()));
        let peers = peers.transpose()?;
        Ok(Self { landline: args.need("landline")?, base: args.need("base")?, work, root, peers })
    }

    /// Starts a server; `log` tells its log from that of another run of the same program.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start(&self, program: Program, log: &str) -> Outcome<Server> {
        match program {
            Program::Landline(workers) => self.start_landline(workers, &self.root, PINNED, log),
            Program::Free(workers) => self.start_landline(workers, &self.root, FREE, log),
            Program::Bare(base) => self.start_base(base, log),
            Program::Peer(rival) => self.start_peer(rival, log),
        }
    }

    /// landline on files of its own, and on the processors given (as `taskset` takes them).
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_serving(&self, root: &Path, on: &str, log: &str) -> Outcome<Server> {
        self.start_landline(1, root, on, log)
    }

    fn start_landline(
        &self,
        workers: u8,
        root: &Path,
        processors: &str,
        log: &str,
    ) -> Outcome<Server> {
        let workers = workers.to_string();
        let (root, run) = (root.display().to_string(), self.work.join("allow-list"));
        let (landline, run) = (self.landline.display().to_string(), run.display().to_string());
        let connections = CONNECTIONS_MAX.to_string();
        let words = [
            &landline,
            "serve",
            "-q",
            "--workers",
            &workers,
            "--root",
            &root,
            "--run",
            &run,
            "--max-connections",
            &connections,
            "-l",
            "line@127.0.0.1:0",
        ]
        .map(str::to_owned);
        let log = self.work.join(format!("landline-{workers}-on-{processors}{log}.log"));
        Server::start(&words, &log, Kind::Landline, processors)
    }

    fn start_base(&self, base: Base, log: &str) -> Outcome<Server> {
        let program = |name: &str| self.base.join(name).display().to_string();
        let root = self.root.display().to_string();
        let (name, words) = match base {
            Base::Echo => ("echo", vec![program("echo")]),
            Base::Download => ("download", vec![program("download"), root]),
            Base::RunTrue => ("run-true", vec![program("run"), "/bin/true".into()]),
            Base::RunCat => {
                let file = format!("{root}/64m");
                ("run-cat", vec![program("run"), "/bin/cat".into(), file])
            }
            Base::Broadcast => ("broadcast", vec![program("broadcast")]),
            Base::Direct => ("direct", vec![program("direct")]),
        };
        let log = self.work.join(format!("{name}{log}.log"));
        Server::start(&words, &log, Kind::Bare, PINNED)
    }

    fn start_peer(&self, rival: Rival, log: &str) -> Outcome<Server> {
        let dir = self.peers.as_deref().ok_or("no folder for other servers")?;
        let port = free_port()?;
        let words = rival.words(&Site { port, dir, root: &self.root })?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let log = self.work.join(format!("{}{log}.log", rival.file_name()));
        Server::start(&words, &log, Kind::Told(address), PINNED)
    }
}

/// Bytes that do not compress, the same every time.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).to_le_bytes()
    };
    std::iter::repeat_with(next)
        .flat_map(|word| [word[0], word[1], word[2], word[3]])
        .take(bytes)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_of_the_length_asked_for_and_differs_by_seed() {
        assert_eq!(noise(1, 1021).len(), 1021);
        assert_ne!(noise(1, 64), noise(2, 64));
    }
}
