//! Whether one peer's slow work stalls another: what 20 quiet clients wait for their echo while a
//! large file is downloaded that is not in memory, commands start, and a large directory is listed.
//!
//! What it does not do: run for ever, or leave its files. The clients say lines at a fixed rate,
//! whatever comes back, and latency counts from when a line left. Burdens run in this process, with
//! the least priority, so that they rarely hold up the clients; where they do, it counts.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::Outcome;
use crate::echo::Echo;
use crate::house::{House, noise};
use crate::meter::Plan;
use crate::net::{Got, Peer};
use crate::report::p99_us;
use crate::speech::Speech;
use crate::stats::{median, short, spread};
use crate::workload::Target;

/// Clients that wait for their echo, and what they say a second, all together.
const CLIENTS: usize = 20;
const LINES_PER_S: f64 = 2000.0;
/// Commands a second.
const COMMANDS_PER_S: u64 = 50;
/// The p99 may be so many times the quiet one.
const GOAL: f64 = 2.0;
/// The large file is written, and its content checked, in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;
/// Room for one read, and one in so many is compared.
const READ_BYTES: usize = 256 * 1024;
const SAMPLED: u64 = 64;

/// What is done beside the quiet clients.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Burden {
    Cold,
    Commands,
    Listing,
}

/// Each condition, as a reader sees it.
const CONDITIONS: [(&str, &[Burden]); 5] = [
    ("quiet", &[]),
    ("a cold file is downloaded", &[Burden::Cold]),
    ("50 commands a second start", &[Burden::Commands]),
    ("a large directory is listed", &[Burden::Listing]),
    ("all three at once", &[Burden::Cold, Burden::Commands, Burden::Listing]),
];

/// How much of it.
struct Size {
    repetitions: usize,
    measured: Duration,
    file_bytes: usize,
    entries: usize,
}

impl Size {
    fn of(mode: &str) -> Self {
        let (repetitions, seconds, file_mib, entries) = match mode {
            "smoke" => (1, 0.2, 16, 1_000),
            "quick" => (3, 1.5, 2048, 100_000),
            _ => (5, 3.0, 2048, 100_000),
        };
        let measured = Duration::from_secs_f64(seconds);
        Self { repetitions, measured, file_bytes: file_mib << 20, entries }
    }
}

/// What was done beside, in units: MiB, commands, listings.
#[derive(Default)]
struct Done([AtomicU64; 3]);

/// What was found: for each condition the p99 of each repetition in µs, and what was done in it.
pub struct Stalled {
    p99_us: Vec<Vec<f64>>,
    done: Vec<[u64; 3]>,
    seconds: f64,
    size: Size,
    on: String,
}

/// What everyone needs.
struct Scene<'a> {
    target: Target,
    file: &'a Path,
    size: &'a Size,
    piece: &'a [u8],
}

/// Files that are gone when this is.
struct Props {
    root: PathBuf,
}

impl Drop for Props {
    fn drop(&mut self) {
        // Nothing is lost where it fails but room.
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Runs every condition, in turns, with files below `dir` (which must be on a disk).
///
/// # Errors
/// Any part that does not work, or answers wrongly.
pub fn run(house: &House, dir: &Path, mode: &str, on: &str) -> Outcome<Stalled> {
    let size = Size::of(mode);
    fs::create_dir_all(dir)?;
    let props = Props { root: dir.canonicalize()?.join(format!("stalls-{}", std::process::id())) };
    let piece = noise(9, PIECE_BYTES);
    let file = props.root.join("large");
    furnish(&props.root, &file, &size, &piece)?;
    let server = house.start_serving(&props.root, on, "-stalls")?;
    let target = server.target(Speech::Landline)?;
    let scene = Scene { target, file: &file, size: &size, piece: &piece };
    let mut p99_us = vec![Vec::new(); CONDITIONS.len()];
    let mut done = vec![[0; 3]; CONDITIONS.len()];
    for repetition in 0..size.repetitions {
        for (place, (_, burdens)) in CONDITIONS.iter().enumerate() {
            let (p99, units) = scene.condition(burdens)?;
            p99_us[place].push(p99);
            for (sum, unit) in done[place].iter_mut().zip(units) {
                *sum += unit;
            }
        }
        eprintln!("stalls: repetition {} of {}", repetition + 1, size.repetitions);
    }
    server.stop()?;
    let seconds = size.measured.as_secs_f64() * size.repetitions as f64;
    Ok(Stalled { p99_us, done, seconds, size, on: on.to_owned() })
}

fn furnish(root: &Path, large: &Path, size: &Size, piece: &[u8]) -> Outcome<()> {
    let listed = root.join("listed");
    fs::create_dir_all(&listed)?;
    for number in 0..size.entries {
        File::create(listed.join(format!("entry-{number:06}")))?;
    }
    let mut file = File::create(large)?;
    for _ in 0..size.file_bytes / PIECE_BYTES {
        file.write_all(piece)?;
    }
    // Pages that were not written yet cannot be dropped.
    Ok(file.sync_all()?)
}

impl Scene<'_> {
    /// The p99 with these burdens, in µs, and what they did.
    fn condition(&self, burdens: &[Burden]) -> Outcome<(f64, [u64; 3])> {
        let (stop, done) = (AtomicBool::new(false), Done::default());
        thread::scope(|scope| {
            let (stop, done) = (&stop, &done);
            let loads: Vec<_> = burdens
                .iter()
                .map(|&burden| {
                    scope.spawn(move || {
                        let outcome = least_priority().and_then(|()| self.load(burden, stop, done));
                        outcome.map_err(|why| why.to_string())
                    })
                })
                .collect();
            let waited = self.clients();
            stop.store(true, Ordering::Relaxed);
            for load in loads {
                load.join().map_err(|_| "a burden panicked")??;
            }
            Ok((waited?, done.0.each_ref().map(|units| units.load(Ordering::Relaxed))))
        })
    }

    fn clients(&self) -> Outcome<f64> {
        let echo = Echo {
            connections: CLIENTS,
            depth: 1,
            size: 64,
            framed: false,
            beside: 0,
            rate: Some(LINES_PER_S),
            patient: true,
        };
        let plan = Plan { warm: Duration::from_millis(200), measured: self.size.measured };
        let figures = echo.run(&self.target, &plan)?;
        p99_us(&figures).ok_or_else(|| "no line came back".into())
    }

    fn load(&self, burden: Burden, stop: &AtomicBool, done: &Done) -> Outcome<()> {
        let units = &done.0[burden as usize];
        let began = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            match burden {
                Burden::Cold => self.download_cold(stop, units)?,
                Burden::Commands => {
                    self.command()?;
                    let count = units.fetch_add(1, Ordering::Relaxed) + 1;
                    let due = began + Duration::from_millis(count * 1000 / COMMANDS_PER_S);
                    sleep(due.saturating_duration_since(Instant::now()));
                }
                Burden::Listing => {
                    self.list()?;
                    units.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }

    /// Drops the file from memory, then downloads it, to its end or until told to stop.
    fn download_cold(&self, stop: &AtomicBool, mib: &AtomicU64) -> Outcome<()> {
        let file = File::open(self.file)?;
        // In one call it would keep this processor from the clients for as long as it takes.
        for start in (0..self.size.file_bytes).step_by(PIECE_BYTES) {
            let (start, len) = (i64::try_from(start)?, i64::try_from(PIECE_BYTES)?);
            posix_fadvise(file.as_fd(), start, len, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        }
        let peer = Peer::connect(self.target.address)?;
        peer.send(b"download large\n")?;
        let mut buffer = vec![0; READ_BYTES];
        let (mut at, mut reads) = (0, 0_u64);
        while at < self.size.file_bytes && !stop.load(Ordering::Relaxed) {
            let sampled = reads.is_multiple_of(SAMPLED);
            // Never across the end of a piece, so that what came is one stretch of it.
            let room = READ_BYTES.min(PIECE_BYTES - at % PIECE_BYTES);
            let got = if sampled {
                peer.receive(&mut buffer[..room], true)?
            } else {
                peer.discard(&mut buffer[..room], true)?
            };
            let Got::Bytes(bytes) = got else { return Err("the download ended early".into()) };
            let start = at % PIECE_BYTES;
            if sampled && buffer[..bytes] != self.piece[start..start + bytes] {
                return Err(format!("the cold file differs near byte {at}").into());
            }
            let before = at >> 20;
            at += bytes;
            reads += 1;
            mib.fetch_add(((at >> 20) - before) as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    fn command(&self) -> Outcome<()> {
        let peer = Peer::connect(self.target.address)?;
        peer.send(b"run true\n")?;
        peer.end_input()?;
        let mut answer = [0; 256];
        match peer.receive(&mut answer, true)? {
            Got::Bytes(bytes) => Err(String::from_utf8_lossy(&answer[..bytes]).into()),
            _ => Ok(()),
        }
    }

    fn list(&self) -> Outcome<()> {
        let peer = Peer::connect(self.target.address)?;
        peer.send(b"files listed\n")?;
        peer.end_input()?;
        let mut buffer = vec![0; READ_BYTES];
        let mut lines = 0;
        while let Got::Bytes(bytes) = peer.receive(&mut buffer, true)? {
            lines += buffer[..bytes].split(|&byte| byte == b'\n').count() - 1;
        }
        if lines == self.size.entries {
            return Ok(());
        }
        Err(format!("{lines} entries were listed of {}", self.size.entries).into())
    }
}

/// Gives this thread the least priority (on Linux a thread has its own, see setpriority(2)).
fn least_priority() -> Outcome<()> {
    let thread = nix::unistd::gettid().to_string();
    let done = Command::new("renice").args(["-n", "19", "-p", &thread]).output()?;
    if done.status.success() { Ok(()) } else { Err("renice failed".into()) }
}

impl Stalled {
    /// The table in Markdown.
    pub fn block(&self) -> String {
        let mut text = format!(
            "\n## Stalls\n\n{CLIENTS} clients say {LINES_PER_S} lines a second; server and its \
             commands on processor {}, everyone else on 1. Cold file: {} MiB, dropped \
             from memory before each download; directory: {} entries.\n\n\
             | meanwhile | echo p99 µs | ratio to quiet (lowest–highest) | goal | reached | \
             done a second |\n| --- | --- | --- | --- | --- | --- |\n",
            self.on,
            self.size.file_bytes >> 20,
            self.size.entries
        );
        for (place, (title, burdens)) in CONDITIONS.iter().enumerate() {
            let p99 = median(self.p99_us[place].iter().copied()).map_or(String::new(), short);
            let pairs = self.p99_us[place].iter().zip(&self.p99_us[0]);
            let ratios: Vec<f64> = pairs.map(|(loaded, quiet)| loaded / quiet).collect();
            let met = median(ratios.iter().copied()).is_some_and(|ratio| ratio <= GOAL);
            let (ratio, goal, met) = match (burdens.is_empty(), met) {
                (true, _) => (String::new(), String::new(), ""),
                (false, true) => (spread(&ratios), format!("≤ {GOAL:.1}"), "yes"),
                (false, false) => (spread(&ratios), format!("≤ {GOAL:.1}"), "**no**"),
            };
            let done = burdens.iter().map(|&burden| {
                let unit = ["MiB", "commands", "listings"][burden as usize];
                let each = self.done[place][burden as usize] as f64 / self.seconds;
                format!("{} {unit}", short(each))
            });
            let done = done.collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "| {title} | {p99} | {ratio} | {goal} | {met} | {done} |");
        }
        text
    }
}
