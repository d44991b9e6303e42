//! Servers that the suite starts: on processor 0, on a port of their own choice, and ended with it.
//!
//! What it does not do: look for processes by name; it ends exactly those it started. If the suite
//! itself is killed, the kernel ends them (`setpriv --pdeathsig`).

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Outcome;
use crate::workload::Target;

/// How long a server may take until it listens, and to stop.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A server that runs, until this is dropped.
pub struct Server {
    child: Child,
    target: Target,
}

impl Server {
    /// Starts a program on processor 0 and waits for its `listening … address=ADDRESS` line on
    /// standard error, which goes to `log`.
    ///
    /// # Errors
    /// It does not start, ends, or does not listen in time.
    pub fn start(words: &[String], log: &Path, bare: bool) -> Outcome<Self> {
        let child = Command::new("taskset")
            .args(["-c", "0", "setpriv", "--pdeathsig", "KILL"])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log)?)
            .spawn()
            .map_err(|why| format!("taskset: {why}"))?;
        let pid = Some(i32::try_from(child.id())?);
        // Made before waiting, so that the child is ended on every way out.
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { child, target: Target { address: unknown, pid, bare } };
        server.target.address = server.listening(words, log)?;
        Ok(server)
    }

    fn listening(&mut self, words: &[String], log: &Path) -> Outcome<SocketAddr> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let text = fs::read_to_string(log)?;
            let line = text.split_inclusive('\n').find(|line| line.starts_with("listening "));
            if let Some(line) = line.filter(|line| line.ends_with('\n')) {
                let (_, address) = line.rsplit_once("address=").ok_or("no address")?;
                return Ok(address.trim().parse()?);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("{}: {status}: {}", words.join(" "), text.trim()).into());
            }
            sleep(LOOK_AGAIN);
        }
        Err(format!("{} does not listen", words.join(" ")).into())
    }

    /// Where to load it.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Ends it as its user would, and checks how it ended.
    ///
    /// # Errors
    /// It does not stop in time, or had ended before. A bare loop ends by the signal.
    pub fn stop(mut self) -> Outcome<()> {
        if let Some(status) = self.child.try_wait()? {
            return Err(format!("the server had ended by itself: {status}").into());
        }
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            match self.child.try_wait()? {
                Some(status) if status.success() || self.target.bare => return Ok(()),
                Some(status) => return Err(format!("the server stopped with {status}").into()),
                None => sleep(LOOK_AGAIN),
            }
        }
        Err("the server did not stop".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either fails only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
