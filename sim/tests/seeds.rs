//! Simulations of the whole server: `LANDLINE_SEEDS` of them, or the one of `LANDLINE_SEED`.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use landline_sim::world::{Bounds, run};

/// Simulations of one run of the tests.
const SEEDS: u64 = 1_000;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Threads of the server that unwind because a simulation is over are no news.
fn silence() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !landline_sim::kernel::threads::is_simulated() {
            before(info);
        }
    }));
}

fn fails(seed: u64) -> Option<String> {
    let first = run(seed, &Bounds::default(), true);
    first.err()
}

#[test]
fn every_seed_is_a_history_without_a_fault() {
    silence();
    if let Some(seed) = number("LANDLINE_SEED") {
        let failed = fails(seed);
        assert!(failed.is_none(), "LANDLINE_SEED={seed}\n{}", failed.unwrap_or_default());
        return;
    }
    let (first, count) = (number("LANDLINE_FIRST").unwrap_or(0), number("LANDLINE_SEEDS"));
    let end = first + count.unwrap_or(SEEDS);
    let next = AtomicU64::new(first);
    let is_failed = AtomicBool::new(false);
    let threads = thread::available_parallelism().map_or(2, NonZero::get);
    let failures: Vec<String> = thread::scope(|scope| {
        let runners: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    while !is_failed.load(Ordering::Relaxed) {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= end {
                            break;
                        }
                        if let Err(why) = run(seed, &Bounds::default(), false) {
                            is_failed.store(true, Ordering::Relaxed);
                            let told = fails(seed).unwrap_or(why);
                            return Some(format!("LANDLINE_SEED={seed}\n{told}"));
                        }
                    }
                    None
                })
            })
            .collect();
        let join = |runner: thread::ScopedJoinHandle<'_, Option<String>>| {
            runner.join().unwrap_or_else(|_| Some("the simulation itself panicked".to_owned()))
        };
        runners.into_iter().filter_map(join).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn a_seed_run_twice_is_one_history() {
    silence();
    for seed in 0..20 {
        let hash = || run(seed, &Bounds::default(), false).map(|report| report.hash);
        assert_eq!(hash(), hash(), "seed {seed}");
    }
}
