//! `landline ping` and `stats`: their options as typed, and what they mean.
//!
//! What it does not do: `bench`, which has more of them.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "argh shows these texts to people as they stand: [V6] is an address, not a link"
)]

use argh::{ArgsInfo, FromArgs};

use super::super::words;
use super::common::Shared;
use crate::client::command::ClientCommand;

/// Longest time between two pings, in milliseconds.
const INTERVAL_MS_MAX: u64 = 86_400_000;

/// measure how long a server takes to answer. It goes on until Ctrl-C, or for COUNT answers, and
/// ends with least, mean and longest time, and percentiles.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("--help"),
    example = "landline ping localhost",
    example = "landline ping -c 1000 -i 0 -q localhost",
    example = "    only what it comes to, of a thousand without a pause"
)]
pub(super) struct PingArgs {
    /// stop after so many (default none, until Ctrl-C)
    #[argh(option, short = 'c', arg_name = "COUNT")]
    count: Option<String>,
    /// time from one to the next, decimals allowed; 0 is without a pause (default 1)
    #[argh(option, short = 'i', arg_name = "SECONDS")]
    interval: Option<String>,
    /// write the figures as one JSON object
    #[argh(switch)]
    json: bool,
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
}

/// show the counters of a server, one a line: its name and its value.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("--help"),
    example = "landline stats localhost",
    example = "landline stats localhost --json"
)]
pub(super) struct StatsArgs {
    /// write them as one JSON object
    #[argh(switch)]
    json: bool,
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
}

pub(super) fn ping(own: &PingArgs, shared: &Shared) -> Result<ClientCommand, String> {
    let common = shared.common(&own.address)?;
    let count = own.count.as_deref().map(|text| {
        let count = text.parse().ok().filter(|count| *count > 0 && !text.starts_with('+'));
        count.ok_or_else(|| format!("--count {text}: write a number, at least 1"))
    });
    let interval_ms = match own.interval.as_deref() {
        None => 1_000,
        Some(text) => {
            words::seconds_ms(text).filter(|ms| *ms <= INTERVAL_MS_MAX).ok_or_else(|| {
                format!(
                    "--interval {text}: write seconds, at most a day, with up to three decimals"
                )
            })?
        }
    };
    let is_json = own.json || shared.is_json();
    Ok(ClientCommand::Ping { common, count: count.transpose()?, interval_ms, is_json })
}

pub(super) fn stats(own: &StatsArgs, shared: &Shared) -> Result<ClientCommand, String> {
    let common = shared.common(&own.address)?;
    Ok(ClientCommand::Stats { common, is_json: own.json || shared.is_json() })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{common_of, expect_wrong, meant};
    use super::*;

    #[test]
    fn pings_have_a_number_and_a_pace() {
        let ping = |count, interval_ms, is_json| ClientCommand::Ping {
            common: common_of("h", 5000),
            count,
            interval_ms,
            is_json,
        };
        for (line, expected) in [
            ("ping h", ping(None, 1_000, false)),
            ("ping -c 3 h -i 0.2", ping(Some(3), 200, false)),
            ("ping --json --count=1 --interval 0 h", ping(Some(1), 0, true)),
        ] {
            assert_eq!(meant(line), expected, "{line}");
        }
        let common = common_of("h", 5000);
        assert_eq!(meant("stats h --json"), ClientCommand::Stats { common, is_json: true });
    }

    #[test]
    fn numbers_that_mean_nothing_are_told() {
        expect_wrong(&[
            ("ping h -c 0", "--count 0: write a number, at least 1"),
            ("ping h -c +1", "--count +1: write a number, at least 1"),
            (
                "ping h -i 86401",
                "--interval 86401: write seconds, at most a day, with up to three decimals",
            ),
        ]);
    }
}
