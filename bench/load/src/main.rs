//! Loads a server over loopback, checks every answer, and says what it took: one workload at a
//! time (JSON on standard output), or all of them beside the bare C loops (`suite`).
//!
//! What it does not do: start on processors (that is `taskset`'s, see `bench/run.sh`), or load
//! anything that is not on this machine.

mod args;
mod chart;
mod children;
mod each;
mod echo;
mod fanout;
mod fetch;
mod house;
mod idle;
mod json;
mod meter;
mod net;
mod pattern;
mod peers;
mod process;
mod reply;
mod report;
mod rivals;
mod rows;
mod speech;
mod stalls;
mod stats;
mod suite;
mod workload;

use std::error::Error;
use std::process::ExitCode;

/// What every part returns: errors are read by a person, and end the program.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

const USAGE: &str = "\
usage: landline-load WORKLOAD --to ADDRESS [--OPTION VALUE]...
       landline-load suite --mode smoke|quick|full --landline PROGRAM --base DIR --work DIR
                           [--only TEXT] [--results FILE] [--fact TEXT]...
WORKLOAD is echo, download, run, broadcast, direct or idle; README.md lists the options.";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(verb) = words.next().filter(|verb| verb != "--help" && verb != "help") else {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    };
    let done = args::Args::parse(words).and_then(|args| match verb.as_str() {
        "suite" => suite::run(&args),
        _ => single(&verb, &args),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("landline-load: {verb}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One workload against a server that runs already; the result is one line of JSON.
fn single(verb: &str, args: &args::Args) -> Outcome<()> {
    process::raise_descriptor_limit()?;
    let target = workload::target(args)?;
    let plan = workload::plan(args)?;
    let work = workload::workload(verb, args)?;
    args.all_used()?;
    let figures = work.run(&target, &plan)?;
    println!("{}", json::figures(verb, &figures));
    Ok(())
}
