//! The target `options`: see `targets`.
#![no_main]

use landline::protocol;

#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::run("options", data));
