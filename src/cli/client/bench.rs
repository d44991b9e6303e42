//! The options of `landline bench`, and the `Load` they mean.
//!
//! What it does not do: the options it shares with other client commands (`client`).

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "argh shows these texts to people as they stand: [V6] is an address, not a link"
)]

use argh::{ArgsInfo, FromArgs};

use super::super::words;
use super::common::Shared;
use crate::client::command::{ClientCommand, Load, Pace};

/// Shortest line, in bytes with its newline: there must be room to tell lines apart.
const LINE_BYTES_MIN: u64 = 8;
/// Longest line: what a server takes where it was not told otherwise.
const LINE_BYTES_MAX: u64 = 65_536;
/// Most connections: about what one client address has ports for.
const CONNECTIONS_MAX: u64 = 60_000;
/// Most lines in flight on a connection.
const DEPTH_MAX: u64 = 10_000;
/// Most lines a second.
const RATE_MAX: u64 = 100_000_000;
/// Longest measurement, in milliseconds.
const DURATION_MS_MAX: u64 = 86_400_000;

/// measure how fast a server echoes lines. Every reply is compared with what was sent.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("--help"),
    example = "landline bench localhost",
    example = "landline bench localhost --connections 200 --depth 16 --json",
    example = "landline bench localhost --rate 20000",
    example = "    is a fixed rate; how long a line took is counted from when it was due"
)]
pub(super) struct BenchArgs {
    /// connections that speak at once (default 50)
    #[argh(option, arg_name = "N")]
    connections: Option<String>,
    /// lines in flight on each connection (default 1)
    #[argh(option, arg_name = "N")]
    depth: Option<String>,
    /// length of a line with its newline (default 64)
    #[argh(option, arg_name = "BYTES")]
    size: Option<String>,
    /// send so many lines a second in all, whatever comes back
    #[argh(option, arg_name = "N")]
    rate: Option<String>,
    /// time to measure, decimals allowed, after a warm-up of a tenth of it (default 5)
    #[argh(option, arg_name = "SECONDS")]
    seconds: Option<String>,
    /// write the figures as one JSON object
    #[argh(switch)]
    json: bool,
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
}

pub(super) fn bench(own: &BenchArgs, shared: &Shared) -> Result<ClientCommand, String> {
    let common = shared.common(&own.address)?;
    let mut load = load(own)?;
    load.is_json |= shared.is_json();
    Ok(ClientCommand::Bench { common, load })
}

/// What these options mean.
fn load(typed: &BenchArgs) -> Result<Load, String> {
    let depth = number("--depth", typed.depth.as_deref(), 1, DEPTH_MAX)?;
    let pace = match (number("--rate", typed.rate.as_deref(), 1, RATE_MAX)?, depth) {
        (Some(_), Some(_)) => return Err("--depth: contradicts --rate".to_owned()),
        (Some(rate), None) => Pace::PerSecond(rate),
        (None, depth) => Pace::InFlight(depth.unwrap_or(1)),
    };
    let connections = number("--connections", typed.connections.as_deref(), 1, CONNECTIONS_MAX)?;
    let size = number("--size", typed.size.as_deref(), LINE_BYTES_MIN, LINE_BYTES_MAX)?;
    let duration_ms = match typed.seconds.as_deref() {
        None => 5_000,
        Some(text) => words::seconds_ms(text)
            .filter(|ms| (1..=DURATION_MS_MAX).contains(ms))
            .ok_or_else(|| {
                format!("--seconds {text}: write seconds, at most a day, with up to three decimals")
            })?,
    };
    Ok(Load {
        connections: connections.unwrap_or(50),
        pace,
        line_bytes: size.unwrap_or(64),
        duration_ms,
        is_json: typed.json,
    })
}

fn number(option: &str, text: Option<&str>, min: u64, max: u64) -> Result<Option<u64>, String> {
    let Some(text) = text else { return Ok(None) };
    let number = text.parse().ok().filter(|number| (min..=max).contains(number));
    match number.filter(|_| !text.starts_with('+')) {
        Some(number) => Ok(Some(number)),
        None => Err(format!("{option} {text}: write a number from {min} to {max}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(words: &[&str]) -> Result<Load, String> {
        let words = [words, &["h"]].concat();
        load(&BenchArgs::from_args(&["landline", "bench"], &words).expect("argh takes them"))
    }

    #[test]
    fn what_is_not_said_is_modest() {
        let pace = Pace::InFlight(1);
        let load =
            Load { connections: 50, pace, line_bytes: 64, duration_ms: 5_000, is_json: false };
        assert_eq!(meant(&[]), Ok(load));
    }

    #[test]
    fn every_option_counts() {
        let pace = Pace::InFlight(16);
        let load = Load { connections: 2, pace, line_bytes: 9, duration_ms: 500, is_json: true };
        let all = ["--connections", "2", "--depth", "16", "--size", "9", "--seconds", ".5"];
        assert!(meant(&all).is_err(), "a number begins with a digit");
        let all = [&all[..7], &["0.5", "--json"]].concat();
        assert_eq!(meant(&all), Ok(load));
        assert_eq!(meant(&["--rate", "7"]).map(|load| load.pace), Ok(Pace::PerSecond(7)));
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        for (words, why) in [
            (["--depth", "0"], "--depth 0: write a number from 1 to 10000"),
            (["--size", "7"], "--size 7: write a number from 8 to 65536"),
            (["--rate", "+1"], "--rate +1: write a number from 1 to 100000000"),
            (["--connections", "x"], "--connections x: write a number from 1 to 60000"),
            (
                ["--seconds", "0"],
                "--seconds 0: write seconds, at most a day, with up to three decimals",
            ),
        ] {
            assert_eq!(meant(&words), Err(why.to_owned()));
        }
        let both = meant(&["--rate", "1", "--depth", "1"]);
        assert_eq!(both, Err("--depth: contradicts --rate".to_owned()));
    }
}
