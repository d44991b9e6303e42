//! `landline run`: a command's input, output, error output and exit status, apart.
//!
//! What it does not do: terminals (`tty`). What a command reads and wrote is passed on unchanged.

use std::fs::{File, Metadata};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::str::FromStr as _;

use nix::sys::signal::Signal as Named;

use super::command::Common;
use super::failure::{Failure, signal_status};
use super::feed::Feed;
use super::output::Out;
use super::tty;
use super::watch::Watch;
use super::wire::{Wire, broken, misplaced};
use crate::protocol::reply::Header;
use crate::protocol::text;
use crate::sys::signal::Signal;

/// Where the server's time-out ended the command.
const STATUS_TIMEOUT: u8 = 124;
/// Where standard output was closed, as a command here would end by SIGPIPE.
const STATUS_READER_GONE: u8 = 128 + 13;
/// Where landline failed or the server refused.
const STATUS_FAILED: u8 = 255;

/// Runs `command` and gives its exit status. SIGINT takes it back; a second one leaves at once.
pub(super) fn run(common: &Common, command: &str, is_tty: bool) -> Result<u8, Failure> {
    if is_tty {
        return tty::run(common, command);
    }
    let (mut wire, mut watch) = Wire::open(common)?;
    begin(&mut wire, &mut watch, command)
        .and_then(|()| follow(&mut wire, &mut watch))
        .inspect_err(|_| wire.abandon())
}

fn begin(wire: &mut Wire, watch: &mut Watch, command: &str) -> Result<(), Failure> {
    if wire.can("run-in") && !is_input_empty() {
        wire.say(&format!("run@in {command}"));
        wire.feed = Some(Feed::input()?);
    } else {
        wire.say(&format!("run {command}"));
    }
    wire.flush(watch)?;
    watch.cancel_on_interrupt();
    Ok(())
}

/// Whether standard input is /dev/null, so that there is nothing to be passed on.
fn is_input_empty() -> bool {
    let kind = |file: std::io::Result<Metadata>| file.ok().map(|it| (it.file_type(), it.rdev()));
    let input = std::io::stdin().as_fd().try_clone_to_owned();
    let input = input.and_then(|input| File::from(input).metadata());
    kind(input) == kind(std::fs::metadata("/dev/null"))
}

/// Passes on what the command writes, until it ends.
fn follow(wire: &mut Wire, watch: &mut Watch) -> Result<u8, Failure> {
    let (mut out, mut err) = (Out::stdout()?, Out::stderr()?);
    loop {
        let header = wire.reply(watch)?;
        let stream = match header.kind.as_str() {
            "out" => &mut out,
            "err" => &mut err,
            "done" => return ending(&header),
            "fail" => return failing(&header, wire, watch),
            _ => return Err(misplaced(&header)),
        };
        while let Some(piece) = wire.payload(watch)? {
            stream.write(piece, watch)?;
        }
    }
}

/// The exit status for a command that could not be run to its end, or not be asked for.
pub(super) fn status(failure: &Failure) -> u8 {
    match failure {
        Failure::ReaderGone => STATUS_READER_GONE,
        Failure::Signalled(signal) => signal_status(*signal),
        _ => STATUS_FAILED,
    }
}

/// The status in `done`.
pub(super) fn ending(header: &Header) -> Result<u8, Failure> {
    if let Some(name) = header.value("signal") {
        return signalled(name);
    }
    let status = header.number("exit").and_then(|status| u8::try_from(status).ok());
    status.ok_or_else(|| broken("a command that ended without a status"))
}

/// 128 and the number of the signal of that name (`KILL`), as it is on this host.
fn signalled(name: &[u8]) -> Result<u8, Failure> {
    let shown = text::clean(name);
    let number = match Named::from_str(&format!("SIG{shown}")) {
        Ok(signal) => Some(signal as i32),
        Err(_) => real_time(&shown).or_else(|| shown.parse().ok()),
    };
    match number.map(u8::try_from) {
        Some(Ok(number @ 1..=64)) => Ok(128 + number),
        _ => Err(Failure::Failed(format!("ended by signal {shown}, which is not known here"))),
    }
}

/// `RTMIN`, `RTMIN+3` (signal(7)).
fn real_time(name: &str) -> Option<i32> {
    let past = name.strip_prefix("RTMIN")?;
    let past = if past.is_empty() { 0 } else { past.strip_prefix('+')?.parse::<u8>().ok()? };
    Some(libc::SIGRTMIN() + i32::from(past))
}

pub(super) fn failing(header: &Header, wire: &mut Wire, watch: &mut Watch) -> Result<u8, Failure> {
    let refusal = wire.refusal(header, watch)?;
    match header.value("code") {
        Some(b"cancelled") if watch.is_cancelled() => Ok(signal_status(Signal::Interrupt)),
        Some(b"timeout") => {
            super::tell(&refusal);
            Ok(STATUS_TIMEOUT)
        }
        _ => Err(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_of(line: &str) -> Option<u8> {
        let header = Header::parse(line.as_bytes()).expect("tests write good headers");
        ending(&header).ok()
    }

    #[test]
    fn the_status_is_that_of_the_command() {
        for (line, status) in [
            ("done 0 exit=0", Some(0)),
            ("done 0 exit=255", Some(255)),
            ("done 0 signal=KILL", Some(137)),
            ("done 0 signal=TERM", Some(143)),
            ("done 0 signal=34", Some(162)),
            ("done 0 signal=RTMIN+3", Some(128 + 37)),
            ("done 0 signal=RTMIN+99", None),
            ("done 0 exit=256", None),
            ("done 0 signal=NONSENSE", None),
            ("done 0 signal=0", None),
            ("done 0", None),
        ] {
            assert_eq!(status_of(line), status, "{line}");
        }
    }
}
