//! The workloads by name, with their options.
//!
//! What it does not do: run them, but for passing on.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Outcome;
use crate::args::Args;
use crate::each::{Ask, Each};
use crate::echo::Echo;
use crate::fanout::Fanout;
use crate::fetch::Fetch;
use crate::idle::Idle;
use crate::meter::{Figures, Plan};
use crate::speech::Speech;

/// A server under load.
#[derive(Clone, Copy)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process, for processor time and memory.
    pub pid: Option<i32>,
    /// How it is spoken to.
    pub speech: Speech,
}

/// A number that no other run in this process has, nor one of another process soon, so that user
/// names do not meet those of the run before.
pub fn run_number() -> u64 {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    u64::from(std::process::id()) * 1000 + RUNS.fetch_add(1, Ordering::Relaxed)
}

/// Any workload.
#[derive(Clone)]
pub enum Workload {
    /// Lines that come back.
    Echo(Echo),
    /// Downloads on kept connections.
    Fetch(Fetch),
    /// A connection for each request.
    Each(Each),
    /// Messages.
    Fanout(Fanout),
    /// Connections without traffic.
    Idle(Idle),
}

impl Workload {
    /// Runs it.
    ///
    /// # Errors
    /// The system's, a wrong reply, or no progress.
    pub fn run(&self, target: &Target, plan: &Plan) -> Outcome<Figures> {
        match self {
            Self::Echo(echo) => echo.run(target, plan),
            Self::Fetch(fetch) => fetch.run(target, plan),
            Self::Each(each) => each.run(target, plan),
            Self::Fanout(fanout) => fanout.run(target, plan),
            Self::Idle(idle) => idle.run(target, plan),
        }
    }
}

/// The server that the options name.
///
/// # Errors
/// No address, or a wrong one.
pub fn target(args: &Args) -> Outcome<Target> {
    let speech = args.or("speaks", Speech::Landline)?;
    Ok(Target { address: args.need("to")?, pid: args.maybe("pid")?, speech })
}

/// How long the options say.
///
/// # Errors
/// A wrong number.
pub fn plan(args: &Args) -> Outcome<Plan> {
    let seconds = |name, default| -> Outcome<Duration> {
        Ok(Duration::try_from_secs_f64(args.or(name, default)?)?)
    };
    Ok(Plan { warm: seconds("warm", 0.2)?, measured: seconds("seconds", 2.0)? })
}

/// The workload that the options describe.
///
/// # Errors
/// An unknown one, or options that do not fit.
pub fn workload(verb: &str, args: &Args) -> Outcome<Workload> {
    let connections = args.or("connections", 1)?;
    let framed = args.has("framed");
    Ok(match verb {
        "echo" => Workload::Echo(Echo {
            connections,
            depth: args.or("depth", 1)?,
            size: args.or("size", 64)?,
            framed,
            beside: args.or("beside", 0)?,
            rate: args.maybe("rate")?,
            patient: args.has("patient"),
        }),
        "download" if args.has("each") => Workload::Each(Each {
            clients: connections,
            ask: Ask::Download(args.need("name")?),
            expected: args.maybe("file")?,
        }),
        "download" => Workload::Fetch(Fetch {
            connections,
            path: args.need("file")?,
            name: args.need("name")?,
            files: args.or("files", 1)?,
            framed,
        }),
        "run" => Workload::Each(Each {
            clients: connections,
            ask: Ask::Run(args.need("command")?),
            expected: args.maybe("file")?,
        }),
        "broadcast" | "direct" => Workload::Fanout(Fanout {
            receivers: if verb == "direct" { 1 } else { args.or("receivers", 100)? },
            window: args.or("window", 1)?,
            size: args.or("size", 128)?,
            direct: verb == "direct",
            framed,
        }),
        "idle" => Workload::Idle(Idle {
            connections: args.or("connections", 10_000)?,
            named: args.has("named"),
        }),
        _ => return Err("not a workload; see --help".into()),
    })
}

/// A file to compare with.
///
/// # Errors
/// It cannot be read.
pub fn file_bytes(path: &str) -> Outcome<Vec<u8>> {
    std::fs::read(path).map_err(|why| format!("{path}: {why}").into())
}
