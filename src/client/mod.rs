//! The client: one command, from its operands to its exit status.
//!
//! What it does not do: parse a command line (`cli`), or know more of a server than
//! `docs/PROTOCOL.md` says.

pub mod command;

mod address;
mod asked;
mod bench;
mod complete;
mod connect;
mod editor;
mod events;
mod failure;
mod feed;
mod fetch;
mod figures;
mod frames;
mod history;
mod interactive;
mod keys;
mod landing;
mod lists;
mod news;
mod output;
mod part;
mod ping;
mod progress;
mod redial;
mod run;
mod screen;
mod send;
mod talk;
mod tally;
mod transfer;
mod tty;
mod upload;
mod watch;
mod wire;

use std::io::Write as _;
use std::process::ExitCode;

use command::ClientCommand;
use failure::Failure;

use crate::protocol::text;

/// Does what `command` says, tells on standard error what went wrong, and gives the exit status.
#[expect(clippy::needless_pass_by_value, reason = "a process does one command, and ends")]
pub fn run(command: ClientCommand) -> ExitCode {
    let is_run = matches!(command, ClientCommand::Run { .. });
    let status = dispatch(&command).unwrap_or_else(|failure| {
        tell(&failure);
        if is_run { run::status(&failure) } else { failure.status() }
    });
    ExitCode::from(status)
}

fn dispatch(command: &ClientCommand) -> Result<u8, Failure> {
    match command {
        ClientCommand::Bench { common, load } => bench::bench(common, load).map(|()| 0),
        ClientCommand::Connect { common, user } => {
            connect::connect(common, user.as_ref()).map(|()| 0)
        }
        ClientCommand::Download { common, files, existing } => {
            fetch::download(common, files, *existing)
        }
        ClientCommand::Files { common, path, is_json } => {
            lists::files(common, path.as_deref(), *is_json).map(|()| 0)
        }
        ClientCommand::Ping { common, count, interval_ms, is_json } => {
            let pace = ping::Pace { count: *count, interval_ms: *interval_ms };
            ping::ping(common, pace, *is_json).map(|()| 0)
        }
        ClientCommand::Run { common, command, is_tty } => run::run(common, command, *is_tty),
        ClientCommand::Send { common, name, recipients, text } => {
            send::send(common, name, recipients, text.as_deref())
        }
        ClientCommand::Stats { common, is_json } => lists::stats(common, *is_json).map(|()| 0),
        ClientCommand::Upload { common, files } => upload::upload(common, files),
        ClientCommand::Users { common, is_json } => lists::users(common, *is_json).map(|()| 0),
    }
}

/// Says on standard error what went wrong.
fn tell(failure: &Failure) {
    if let Some(told) = failure.text() {
        say(told);
    }
}

/// A line on standard error.
fn say(line: &str) {
    // Nobody is left to be told that standard error takes nothing.
    let _ = writeln!(std::io::stderr(), "landline: {}", text::clean(line.as_bytes()));
}
