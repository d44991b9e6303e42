//! The client.
//!
//! What it does not do: yet.

pub mod command;

use std::process::ExitCode;

/// Runs a client command.
pub fn run(_command: command::ClientCommand) -> ExitCode {
    ExitCode::FAILURE
}
