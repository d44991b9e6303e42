//! Servers that the suite starts: on processor 0 (or the first two), on a free port, and ended with
//! it.
//!
//! What it does not do: look for processes by name; it ends exactly those it started. If the suite
//! itself is killed, the kernel ends them (`setpriv --pdeathsig`).

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Outcome;
use crate::speech::Speech;
use crate::workload::Target;

/// How long a server may take until it listens, and to stop.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A server that runs, until this is dropped.
pub struct Server {
    child: Child,
    address: SocketAddr,
    kind: Kind,
}

/// How a server starts and ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Says where it listens; ends with status 0.
    Landline,
    /// Says where it listens; ends by the signal.
    Bare,
    /// Was told where to listen; ends as it likes.
    Told(SocketAddr),
}

impl Server {
    /// Starts a program on the processors that `taskset` is given, and waits until it listens: for
    /// its `listening … address=ADDRESS` line on standard error, which goes to `log`, or until its
    /// port takes a connection.
    ///
    /// # Errors
    /// It does not start, ends, or does not listen in time.
    pub fn start(words: &[String], log: &Path, kind: Kind, processors: &str) -> Outcome<Self> {
        let child = Command::new("taskset")
            .args(["-c", processors, "setpriv", "--pdeathsig", "KILL"])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log)?)
            .spawn()
            .map_err(|why| format!("taskset: {why}"))?;
        // Made before waiting, so that the child is ended on every way out.
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { child, address: unknown, kind };
        server.address = server.listening(words, log)?;
        Ok(server)
    }

    fn listening(&mut self, words: &[String], log: &Path) -> Outcome<SocketAddr> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Kind::Told(address) = self.kind
                && TcpStream::connect(address).is_ok()
            {
                return Ok(address);
            }
            let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
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
    ///
    /// # Errors
    /// None today; process ids fit.
    pub fn target(&self, speech: Speech) -> Outcome<Target> {
        let pid = Some(i32::try_from(self.child.id())?);
        Ok(Target { address: self.address, pid, speech })
    }

    /// Ends it as its user would, and checks how it ended.
    ///
    /// # Errors
    /// It does not stop in time, or had ended before; landline also with another status than 0.
    pub fn stop(mut self) -> Outcome<()> {
        if let Some(status) = self.child.try_wait()? {
            return Err(format!("the server had ended by itself: {status}").into());
        }
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            match self.child.try_wait()? {
                Some(status) if status.success() || self.kind != Kind::Landline => return Ok(()),
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
