//! The simulated kernel held to the real one: the same random scripts of calls run against both,
//! and every result, error number and event is compared. Where they differ, the simulated one is
//! wrong.
//!
//! `LANDLINE_SEED` replays one script; `LANDLINE_SCRIPTS` sets how many there are of each kind.

#![allow(clippy::duplicate_mod, reason = "a script's text is compiled once for each kernel")]

mod calls;
mod command_calls;
mod file_calls;
mod plans;
mod real;
mod simulated;

use std::fmt::Debug;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use calls::{Call, Came, draw};
use command_calls::CommandCall;
use file_calls::{FileCall, How};
use landline_sim::kernel::random::Random;
use landline_sim::kernel::{Kernel, Machine, with};

/// Calls of one script.
const CALLS: usize = 80;
/// How much of a call and its result is shown.
const COLUMNS: usize = 400;
/// How long the real kernel may take to come to where the simulated one is at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory of this test.
pub(crate) fn scratch() -> PathBuf {
    let (process, thread) = (std::process::id(), std::thread::current().id());
    std::env::temp_dir().join(format!("landline-conformance-{process}-{thread:?}"))
}

/// Where a script's Unix socket is.
pub(crate) fn socket_path(number: u64, call: usize) -> PathBuf {
    scratch().join(format!("sockets/{number}-{call}"))
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// A simulated computer where nothing is left to chance.
pub(crate) fn calm_machine(seed: u64) -> Arc<Machine> {
    let mut kernel = Kernel::new(seed);
    kernel.is_calm = true;
    Machine::start(kernel)
}

/// Waits until the real kernel is where the simulated one is: what was sent over TCP has arrived.
/// False: it does not come there.
#[expect(clippy::disallowed_methods, reason = "waiting has an end")]
pub(crate) fn settle(mut is_settled: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !is_settled() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// What was called in a script, and what the real kernel said.
#[derive(Default)]
pub(crate) struct Said(Vec<String>);

impl Said {
    /// Notes a call; where the two differ, what to say of it.
    pub(crate) fn compare<T: PartialEq + Debug>(
        &mut self,
        call: &impl Debug,
        want: &T,
        got: &T,
    ) -> Result<(), String> {
        let line = format!("{call:?} → {want:?}");
        let shown: Vec<char> = line.chars().collect();
        let cut = shown.len().saturating_sub(COLUMNS);
        let line = if cut == 0 { line } else { cut_short(&shown) };
        self.0.push(line);
        if want == got {
            return Ok(());
        }
        let number = self.0.len();
        Err(format!("call {number}: the simulated kernel says {got:?}\n{}", self.0.join("\n")))
    }
}

/// The first part of a line and its last one.
fn cut_short(line: &[char]) -> String {
    let (first, last) = (&line[..COLUMNS / 2], &line[line.len() - COLUMNS / 2..]);
    first.iter().chain(&[' ', '…', ' ']).chain(last).collect()
}

/// Says which script it was that panics.
struct Shown(u64);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("LANDLINE_SEED={}", self.0);
        }
    }
}

/// Runs scripts of one kind, each of which says how many results it compared.
pub(crate) fn run_scripts(kind: &str, scripts: u64, script: impl Fn(u64) -> Result<usize, String>) {
    // One kind at a time: the numbers that descriptors get show in epoll, and a command that is
    // being started has everything open that another script closes.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let seeds = match number("LANDLINE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LANDLINE_SCRIPTS").unwrap_or(scripts),
    };
    let mut calls = 0;
    for seed in seeds.clone() {
        let _shown = Shown(seed);
        match script(seed) {
            Ok(count) => calls += count,
            Err(why) => panic!("LANDLINE_SEED={seed}, {kind}, {why}"),
        }
    }
    println!("{kind}: {} scripts, {calls} results compared", seeds.end - seeds.start);
}

fn compare_sockets(seed: u64) -> Result<usize, String> {
    let mut random = Random::new(seed);
    let machine = calm_machine(seed);
    let mut real = real::sockets::Runner::new(seed);
    let mut simulated = simulated::sockets::Runner::new(seed);
    let mut said = Said::default();
    for at in 0..CALLS {
        let call = draw(&mut random);
        let (mut want, got) = (real.run(at, call), simulated.run(at, call));
        if matches!(call, Call::Unsent(_)) {
            // An acknowledgement may take its time.
            settle(|| {
                want = real.run(at, call);
                want == got
            });
        }
        said.compare(&call, &want, &got)?;
        simulated::settle();
        let looks = simulated.looks();
        if !settle(|| real.looks() == looks) {
            said.compare(&"slots", &real.looks(), &looks)?;
        }
    }
    drop((real, simulated));
    machine.end();
    Ok(2 * CALLS)
}

/// The umask of this process, as far as it shows in what is made.
fn umask() -> u32 {
    let probe = scratch().join("umask");
    std::fs::create_dir_all(&probe).expect("there is room for a directory");
    let mode = std::fs::metadata(&probe).expect("it is there").permissions().mode();
    0o777 & !mode
}

fn compare_files(seed: u64, umask: u32) -> Result<usize, String> {
    let mut random = Random::new(seed);
    let machine = calm_machine(seed);
    with(|kernel| kernel.files.umask = umask);
    let mut real = real::files::Runner::new(seed);
    let mut simulated = simulated::files::Runner::new(seed);
    let mut said = Said::default();
    for at in 0..CALLS {
        let call = file_calls::draw(&mut random);
        let (mut want, got) = (real.run(at, &call), simulated.run(at, &call));
        let is_cached = |how: How| how == How::StatusCached;
        let may_be_unknown = match &call {
            FileCall::Open(_, how) | FileCall::OpenFile(_, how) => is_cached(*how),
            _ => false,
        };
        // What is in memory is each kernel's own business.
        let unknown = Came::Failed(libc::EAGAIN);
        if may_be_unknown && (want == unknown || got == unknown) {
            want = got.clone();
        }
        said.compare(&call, &want, &got)?;
    }
    drop((real, simulated));
    machine.end();
    Ok(CALLS)
}

fn compare_commands(seed: u64) -> Result<usize, String> {
    let mut random = Random::new(seed);
    let machine = calm_machine(seed);
    let mut real = real::commands::Runner::new();
    let mut simulated = simulated::commands::Runner::new();
    let mut said = Said::default();
    for _ in 0..CALLS {
        let call = command_calls::draw(&mut random);
        let (mut want, got) = (real.run(call), simulated.run(call));
        match call {
            // Processes that were left alone stay zombies until init reaps them, which may take
            // its time.
            CommandCall::HasLeft(_) if got == Came::Is(false) => want = got.clone(),
            CommandCall::Family(_) => {
                settle(|| {
                    want = real.run(call);
                    want == got
                });
            }
            _ => {}
        }
        said.compare(&call, &want, &got)?;
        simulated::settle();
        let looks = simulated.looks();
        if !settle(|| real.looks() == looks) {
            said.compare(&"commands", &real.looks(), &looks)?;
        }
    }
    drop((real, simulated));
    machine.end();
    Ok(2 * CALLS)
}

#[test]
fn commands_and_terminals_are_as_on_the_real_kernel() {
    std::fs::create_dir_all(scratch()).expect("there is room for a directory");
    run_scripts("commands", 20, compare_commands);
    std::fs::remove_dir_all(scratch()).expect("it is there");
}

fn compare_transfers(seed: u64) -> Result<usize, String> {
    let mut random = Random::new(seed);
    let plan = plans::draw(&mut random);
    let machine = calm_machine(seed);
    let real = real::transfers::Runner::new(seed, plan).run();
    let simulated = simulated::transfers::Runner::new(seed, plan).run();
    machine.end();
    Said::default().compare(&plan, &real, &simulated)?;
    Ok(real.len())
}

#[test]
fn transfers_end_as_on_the_real_kernel() {
    std::fs::create_dir_all(scratch().join("sockets")).expect("there is room for a directory");
    run_scripts("transfers", 30, compare_transfers);
    std::fs::remove_dir_all(scratch()).expect("it is there");
}

#[test]
fn files_are_as_in_the_real_kernel() {
    std::fs::create_dir_all(scratch().join("sockets")).expect("there is room for a directory");
    let umask = umask();
    run_scripts("files", 100, |seed| compare_files(seed, umask));
    std::fs::remove_dir_all(scratch()).expect("it is there");
}

#[test]
fn sockets_pipes_and_epoll_are_as_in_the_real_kernel() {
    let sockets = scratch().join("sockets");
    std::fs::create_dir_all(&sockets).expect("there is room for a directory");
    run_scripts("sockets", 300, compare_sockets);
    std::fs::remove_dir_all(scratch()).expect("it is there");
}
