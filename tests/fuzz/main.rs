//! Random and mutated input: what it is cut into changes nothing, and no input panics.
//!
//! What it does not do: say what is right to answer (`tests/sim`). Seeds are fixed, so that a run
//! is like the one before; `LANDLINE_SEED=N` begins with another one.

use landline::protocol;

mod bytes;
mod cuts;
mod random;
mod replay;
#[path = "../../fuzz/targets/mod.rs"]
mod targets;

/// Runs `test` with `count` seeds. One that fails is named.
fn with_seeds(count: u64, test: impl Fn(&mut random::Random)) {
    let given = std::env::var("LANDLINE_SEED").ok();
    let first: u64 = given.map_or(0, |seed| seed.parse().expect("LANDLINE_SEED is a number"));
    for seed in first..first + count {
        println!("LANDLINE_SEED={seed}");
        test(&mut random::Random::new(seed));
    }
}
