//! A small source of random choices that can be replayed.
//!
//! What it does not do: be unpredictable. It is `SplitMix64` (G. Steele et al., 2014).

use std::time::{SystemTime, UNIX_EPOCH};

/// Random choices from a printed seed.
pub(crate) struct Seed(u64);

impl Seed {
    /// Takes the seed from `LANDLINE_SEED`, or makes one; prints it, which a failing test shows.
    pub(crate) fn new() -> Self {
        let given = std::env::var("LANDLINE_SEED").ok();
        let seed = given.map_or_else(Self::of_the_clock, |text| {
            text.parse().expect("LANDLINE_SEED is a decimal number")
        });
        println!("LANDLINE_SEED={seed}");
        Self(seed)
    }

    fn of_the_clock() -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        u64::from(now.subsec_nanos()) ^ (now.as_secs() << 20)
    }

    /// The next 64 bits.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        let span = u64::try_from(high - low + 1).expect("a usize fits 64 bits");
        low + usize::try_from(self.draw() % span).expect("smaller than a usize")
    }

    /// `count` random bytes, of all values.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.draw().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}
