//! The client's subcommands: their options as typed, and the `ClientCommand` they mean.
//!
//! What it does not do: connect, or look whether a file exists.

mod bench;
mod common;
mod files;
mod measure;
mod run;
mod talk;

use std::path::Path;

use argh::{ArgsInfo, CommandInfoWithArgs, FromArgs};

use super::{Host, Stop, words};
use crate::client::command::ClientCommand;
use bench::BenchArgs;
use common::Shared;
use files::{DownloadArgs, FilesArgs, UploadArgs};
use measure::{PingArgs, StatsArgs};
use run::RunArgs;
use talk::{ConnectArgs, SendArgs, UsersArgs};

pub(super) use common::CommonArgs;

/// What `landline NAME --help` shows of it, where there is a client command of that name.
pub(super) fn info(name: &str) -> Option<CommandInfoWithArgs> {
    Some(match name {
        "bench" => BenchArgs::get_args_info(),
        "connect" => ConnectArgs::get_args_info(),
        "download" => DownloadArgs::get_args_info(),
        "files" => FilesArgs::get_args_info(),
        "ping" => PingArgs::get_args_info(),
        "run" => RunArgs::get_args_info(),
        "send" => SendArgs::get_args_info(),
        "stats" => StatsArgs::get_args_info(),
        "upload" => UploadArgs::get_args_info(),
        "users" => UsersArgs::get_args_info(),
        _ => return None,
    })
}

/// What the words after `landline NAME` mean.
pub(super) fn command(name: &str, args: &[String], host: &Host) -> Result<ClientCommand, Stop> {
    let file = host.client_options.as_deref();
    match name {
        "bench" => read(name, args, file, bench::bench),
        "connect" => read(name, args, file, talk::connect),
        "download" => read(name, args, file, files::download),
        "files" => read(name, args, file, files::files),
        "ping" => read(name, args, file, measure::ping),
        "run" => read(name, args, file, run::run),
        "send" => read(name, args, file, talk::send),
        "stats" => read(name, args, file, measure::stats),
        "upload" => read(name, args, file, files::upload),
        "users" => read(name, args, file, talk::users),
        _ => Err(Stop::Wrong(super::help::unknown(name))),
    }
}

/// Parts the options that all commands share from a command's own, reads the file of options, and
/// has `resolve` say what they mean.
fn read<T: FromArgs + ArgsInfo>(
    name: &str,
    args: &[String],
    file: Option<&Path>,
    resolve: impl FnOnce(&T, &Shared) -> Result<ClientCommand, String>,
) -> Result<ClientCommand, Stop> {
    let (own, shared) = words::read::<T>(name, args, CommonArgs::get_args_info().flags)?;
    let typed: CommonArgs = words::typed(name, &shared)?;
    let file = file.filter(|_| !typed.no_config);
    let shared = Shared::new(&typed, file).map_err(Stop::Wrong)?;
    resolve(&own, &shared).map_err(Stop::Wrong)
}

/// A request is one line: a break inside it would begin another.
fn check_one_line(what: &str, text: &str) -> Result<(), String> {
    if text.contains(['\n', '\r']) { Err(format!("{what}: holds a line break")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::command::{Common, Family, Target, TargetHost};

    pub(super) fn read_words(words: &[&str]) -> Result<ClientCommand, String> {
        let args = words[1..].iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let host = Host { name: "box".to_owned(), uid: 1000, client_options: None };
        command(words[0], &args, &host).map_err(|stop| match stop {
            Stop::Wrong(why) => why,
            Stop::Print(text) => panic!("{words:?} printed {text}"),
        })
    }

    fn read_line(line: &str) -> Result<ClientCommand, String> {
        read_words(&line.split(' ').collect::<Vec<_>>())
    }

    pub(super) fn meant(line: &str) -> ClientCommand {
        read_line(line).unwrap_or_else(|why| panic!("{line}: {why}"))
    }

    pub(super) fn expect_wrong(lines: &[(&str, &str)]) {
        for (line, why) in lines {
            assert_eq!(read_line(line), Err((*why).to_owned()), "{line}");
        }
    }

    pub(super) fn common_of(host: &str, port: u16) -> Common {
        let host = TargetHost::Host(host.to_owned());
        let target = Target { host, port, family: Family::Any };
        Common { target, quiet: false, timeout_ms: None }
    }

    fn users(common: Common) -> ClientCommand {
        ClientCommand::Users { common, is_json: false }
    }

    #[test]
    fn every_form_of_an_address_is_a_target() {
        for (line, host, port) in [
            ("users localhost", "localhost", 5000),
            ("users localhost:7", "localhost", 7),
            ("users localhost -p 7", "localhost", 7),
            ("users --port=7 localhost:7", "localhost", 7),
            ("users 192.0.2.1", "192.0.2.1", 5000),
            ("users [::1]:7", "::1", 7),
            ("users [::1] -p 7", "::1", 7),
            ("users ::1", "::1", 5000),
            ("users ::1 -p 7", "::1", 7),
            ("users fe80::1%eth0", "fe80::1%eth0", 5000),
        ] {
            assert_eq!(meant(line), users(common_of(host, port)));
        }
        let mut common = common_of("", 5000);
        common.target.host = TargetHost::Unix("/run/a:b".into());
        assert_eq!(meant("users unix:/run/a:b"), users(common.clone()));
        assert_eq!(meant("users -4 unix:/run/a:b"), users(common));
    }

    #[test]
    fn options_of_every_command_may_stand_anywhere() {
        let mut common = common_of("h", 5000);
        (common.quiet, common.timeout_ms, common.target.family) = (true, Some(1500), Family::V6);
        for line in ["users -q -6 --timeout 1.5 h", "users h --quiet --ipv6 --timeout=1.5"] {
            assert_eq!(meant(line), users(common.clone()));
        }
        (common.target.family, common.timeout_ms) = (Family::V4, None);
        assert_eq!(meant("users -q -4 --timeout 0 h"), users(common));
        let common = common_of("h", 5000);
        assert_eq!(meant("users h --json"), ClientCommand::Users { common, is_json: true });
    }

    #[test]
    fn the_file_of_options_counts_where_it_is_not_ignored() {
        let path = std::env::temp_dir().join(format!("landline-kept-{}", std::process::id()));
        std::fs::write(&path, "port 7\njson\n").expect("the temporary directory takes a file");
        let host = Host { name: String::new(), uid: 0, client_options: Some(path.clone()) };
        let meant = |words: &[&str]| {
            let args = words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            command("users", &args, &host)
        };
        let kept = ClientCommand::Users { common: common_of("h", 7), is_json: true };
        assert_eq!(meant(&["h"]), Ok(kept));
        assert_eq!(meant(&["h", "--no-config"]), Ok(users(common_of("h", 5000))));
        std::fs::remove_file(&path).expect("it was just written");
        assert!(matches!(meant(&["h"]), Err(Stop::Wrong(_))));
        assert_eq!(meant(&["--no-config", "h"]), Ok(users(common_of("h", 5000))));
    }

    #[test]
    fn wrong_usage_says_what_to_do() {
        expect_wrong(&[
            ("users", "ADDRESS: missing; see landline users --help"),
            ("users a b", "b: one word too many; see landline users --help"),
            ("users -4 -6 h", "-4: contradicts -6"),
            ("users -4 [::1]:7", "[::1]:7: an IPv6 address contradicts -4"),
            ("users -6 127.0.0.1", "127.0.0.1: an IPv4 address contradicts -6"),
            ("users -p 0 h", "--port 0: write a number from 1 to 65535"),
            ("users -p +7 h", "--port +7: write a number from 1 to 65535"),
            ("users h:0", "h:0: nothing listens on port 0"),
            ("users h:1 -p 2", "h:1: contradicts --port 2: leave one of them out"),
            ("users unix:/a -p 1", "unix:/a: a Unix socket has no port: leave --port out"),
            ("users 5001", "5001: a port without a host: write for example localhost:5001"),
            ("users :5001", ":5001: a port without a host: write for example localhost:5001"),
            ("users a:b:c", "a:b:c: no IPv6 address; with a port write [ADDRESS]:PORT"),
            (
                "users --timeout x h",
                "--timeout x: write seconds, with up to three decimals (0 means no limit)",
            ),
        ]);
    }

    #[test]
    fn a_line_break_never_begins_another_request() {
        for (words, why) in [
            (vec!["download", "h", "a\nrun x"], "FILE: holds a line break"),
            (vec!["upload", "h", "x", "--as", "a\nrun x"], "--as: holds a line break"),
            (vec!["files", "h", "a\nrun x"], "DIR: holds a line break"),
        ] {
            assert_eq!(read_words(&words), Err(why.to_owned()));
        }
    }
}
