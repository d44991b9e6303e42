//! The program: reads its command line and does what it says.
//!
//! What it does not do: anything that a test would want to call; that is in the library.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use landline::cli::{self, Host, Parsed};
use landline::server::serve;
use landline::sys::host;

/// Exit status if what was asked for could not be written.
const STATUS_NOT_WRITTEN: u8 = 1;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let client_options = std::env::var_os("LANDLINE_CONFIG").filter(|path| !path.is_empty());
    let host = Host {
        name: host::host_name(),
        uid: host::user().uid,
        client_options: client_options.map(PathBuf::from),
    };
    match cli::parse(&arguments, &host) {
        Parsed::Serve(config) => match serve(&config, &|| cli::reread(&arguments, &host)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error.text, error.status),
        },
        #[cfg(feature = "client")]
        Parsed::Client(command) => landline::client::run(command),
        Parsed::Print(text) => {
            let mut out = std::io::stdout();
            match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                // A reader that went away has seen enough.
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    let why = error.to_string();
                    // People need the words of the system's error, not its number.
                    let why = why.split(" (os error").next().unwrap_or_default();
                    fail(&format!("standard output: {why}"), STATUS_NOT_WRITTEN)
                }
                _ => ExitCode::SUCCESS,
            }
        }
        Parsed::Fail { text, status } => fail(&text, status),
    }
}

fn fail(text: &str, status: u8) -> ExitCode {
    let is_prefixed = text.starts_with("landline: ");
    let prefix = if is_prefixed { "" } else { "landline: " };
    // Nobody is left to be told that standard error takes nothing.
    let _ = writeln!(std::io::stderr(), "{prefix}{text}");
    ExitCode::from(status)
}
