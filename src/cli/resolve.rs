//! What the options of `landline serve` mean: a `Config`, or why they mean nothing.
//!
//! What it does not do: open what is served, or listen. It looks whether the root is there, and
//! reads the allow-list.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;

use super::serve::ServeArgs;
use super::{Host, address, words};
use crate::protocol::limits::{BACKLOG_BYTES_MAX, LINE_BYTES_MAX};
use crate::protocol::session::Uploads;
use crate::server::config::{
    CONNECTIONS_MAX, Config, DRAIN_MS, IDLE_TIMEOUT_MS, Limits, Listen, LogFormat, RUNS_MAX,
    SEND_TIMEOUT_MS, Settings, Verbosity,
};
use crate::service::policy::{AllowList, Commands, Rule, default_run_rules};

/// Longest name of a server, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Most worker threads.
const WORKERS_MAX: usize = 1_024;

/// What `args` mean.
pub(super) fn config(args: &ServeArgs, host: &Host) -> Result<Config, String> {
    let mut listen = each("--listen", &args.listen, address::listen)?;
    if listen.is_empty() {
        listen.push(default_listen());
    }
    let metrics = args.metrics.as_deref();
    let metrics = metrics.map(|text| option("--metrics", text, address::listen_address));
    Ok(Config {
        listen,
        root: args.root.as_deref().map(|path| option("--root", path, directory)).transpose()?,
        workers: workers(args.workers.as_deref())?,
        metrics: metrics.transpose()?,
        log: match args.log.as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => return Err(format!("--log {other}: write text or json")),
        },
        verbosity: match (args.quiet, args.verbose) {
            (true, true) => return Err("-q: contradicts -v".to_owned()),
            (true, false) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        },
        drain_ms: time_ms("--drain", args.drain.as_deref(), DRAIN_MS)?,
        settings: settings(args, host)?,
    })
}

fn settings(args: &ServeArgs, host: &Host) -> Result<Settings, String> {
    let mut allow_run = each("--allow-run", &args.allow_run, Rule::parse)?;
    if allow_run.is_empty() {
        allow_run = default_run_rules(host.uid);
    }
    Ok(Settings {
        name: name(args.name.as_deref(), host)?,
        hidden: args.hidden,
        uploads: uploads(args)?,
        allow: each("--allow", &args.allow, Rule::parse)?,
        allow_run,
        commands: commands(args.run.as_deref())?,
        limits: Limits {
            connections_max: limit(
                "--max-connections",
                args.max_connections.as_deref(),
                CONNECTIONS_MAX,
            )?,
            per_address_max: limit(
                "--max-per-address",
                args.max_per_address.as_deref(),
                usize::MAX,
            )?,
            line_bytes_max: limit("--max-line", args.max_line.as_deref(), LINE_BYTES_MAX)?,
            backlog_bytes_max: limit(
                "--max-backlog",
                args.max_backlog.as_deref(),
                BACKLOG_BYTES_MAX,
            )?,
            runs_max: limit("--max-runs", args.max_runs.as_deref(), RUNS_MAX)?,
            run_timeout_ms: time_ms("--run-timeout", args.run_timeout.as_deref(), u64::MAX)?,
            idle_timeout_ms: time_ms(
                "--idle-timeout",
                args.idle_timeout.as_deref(),
                IDLE_TIMEOUT_MS,
            )?,
            send_timeout_ms: time_ms(
                "--send-timeout",
                args.send_timeout.as_deref(),
                SEND_TIMEOUT_MS,
            )?,
        },
    })
}

fn uploads(args: &ServeArgs) -> Result<Uploads, String> {
    let uploads = match args.upload.as_deref().unwrap_or("none") {
        "none" => Uploads::Off,
        "new" => Uploads::New,
        "replace" => Uploads::Replace,
        other => return Err(format!("--upload {other}: write none, new or replace")),
    };
    if uploads != Uploads::Off && args.root.is_none() {
        return Err("--upload: say with --root below which directory".to_owned());
    }
    Ok(uploads)
}

fn default_listen() -> Listen {
    address::listen("line@5000").expect("the default is well formed")
}

/// The value of one option, its errors named after the option as it was typed.
fn option<T>(
    name: &str,
    text: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    parse(text).map_err(|why| format!("{name} {text}: {why}"))
}

fn each<T>(
    name: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    texts.iter().map(|text| option(name, text, &parse)).collect()
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

fn limit(name: &str, text: Option<&str>, default: usize) -> Result<usize, String> {
    let Some(text) = text else { return Ok(default) };
    match number(text) {
        Some(0) => Ok(usize::MAX),
        Some(limit) => Ok(limit),
        None => Err(format!("{name} {text}: {}", not_taken(text, "a whole number"))),
    }
}

/// Why `text` is no limit, or no time, which is written as `what`.
pub(super) fn not_taken(text: &str, what: &str) -> String {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return "too large; write less (0 means no limit)".to_owned();
    }
    format!("write {what} (0 means no limit)")
}

fn time_ms(name: &str, text: Option<&str>, default: u64) -> Result<u64, String> {
    let Some(text) = text else { return Ok(default) };
    match words::seconds_ms(text) {
        Some(0) => Ok(u64::MAX),
        Some(milliseconds) => Ok(milliseconds),
        None => Err(format!("{name} {text}: {}", not_taken(text, words::SECONDS))),
    }
}

fn workers(text: Option<&str>) -> Result<usize, String> {
    let Some(text) = text else {
        return Ok(thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX));
    };
    number(text)
        .filter(|count| (1..=WORKERS_MAX).contains(count))
        .ok_or_else(|| format!("--workers {text}: write a number from 1 to {WORKERS_MAX}"))
}

fn name(typed: Option<&str>, host: &Host) -> Result<String, String> {
    let why_not = |name: &str| match name.len() {
        0 => Some("a name has at least one character".to_owned()),
        length if length > NAME_BYTES_MAX => {
            Some(format!("a name has at most {NAME_BYTES_MAX} bytes, not {length}"))
        }
        _ if name.contains(char::is_control) => {
            Some("a name holds no control character".to_owned())
        }
        _ => None,
    };
    match typed {
        Some(name) => match why_not(name) {
            Some(why) => Err(format!("--name {name}: {why}")),
            None => Ok(name.to_owned()),
        },
        None if why_not(&host.name).is_none() => Ok(host.name.clone()),
        None => Ok("landline".to_owned()),
    }
}

fn directory(path: &str) -> Result<PathBuf, String> {
    let metadata = fs::metadata(path).map_err(|error| why(&error))?;
    if metadata.is_dir() { Ok(path.into()) } else { Err("not a directory".to_owned()) }
}

fn commands(typed: Option<&str>) -> Result<Commands, String> {
    match typed {
        None | Some("none") => Ok(Commands::Off),
        Some("shell") => Ok(Commands::Shell),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                let advice = match error.kind() {
                    io::ErrorKind::NotFound if !path.contains('/') => {
                        "; write none, shell or the path of an allow-list"
                    }
                    _ => "",
                };
                format!("--run {path}: {}{advice}", why(&error))
            })?;
            let list = AllowList::parse(&text).map_err(|why| format!("{path}: {why}"))?;
            Ok(Commands::List(list))
        }
    }
}

/// What went wrong, without the number that `io::Error` adds.
pub(super) fn why(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::InvalidData {
        return "it is no text in UTF-8".to_owned();
    }
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::Path;

    use super::*;
    use crate::server::config::ListenAddress;
    use crate::service::policy::{Origin, allows};

    fn resolve(words: &[&str]) -> Result<Config, String> {
        let args = words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let args = words::read::<ServeArgs>("serve", &args, &[]).expect("known options").0;
        config(&args, &Host { name: "box".to_owned(), uid: 1000, client_options: None })
    }

    fn resolved(line: &str) -> Config {
        let words = line.split_whitespace().collect::<Vec<_>>();
        resolve(&words).unwrap_or_else(|why| panic!("{line}: {why}"))
    }

    /// A directory of this test's own, removed at its end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("landline-{name}-{}", std::process::id()));
            fs::create_dir(&path).expect("a fresh directory");
            Self(path)
        }

        fn file(&self, name: &str, text: &str) -> String {
            let path = self.0.join(name);
            fs::write(&path, text).expect("a fresh file");
            path.to_str().expect("a path of text").to_owned()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).expect("the directory of this test");
        }
    }

    #[test]
    fn nothing_said_means_the_defaults() {
        let config = resolved("");
        assert_eq!(config.listen.len(), 1);
        assert_eq!(config.listen[0].speech.to_string(), "line");
        assert_eq!(config.listen[0].address, ListenAddress::Loopback { port: 5000 });
        assert_eq!((config.root, config.metrics), (None, None));
        assert_eq!((config.log, config.verbosity), (LogFormat::Text, Verbosity::Normal));
        assert_eq!(config.drain_ms, 10_000);
        assert_eq!(
            config.workers,
            thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX)
        );
        let settings = config.settings;
        assert_eq!((settings.name.as_str(), settings.hidden), ("box", false));
        assert_eq!((settings.allow, settings.commands), (vec![], Commands::Off));
        assert_eq!(settings.allow_run, default_run_rules(1000));
        assert_eq!(settings.limits, Limits::default());
    }

    #[test]
    fn everything_said_is_taken() {
        let config = resolved(
            "-l echo@7 --listen chat+bare@:5001 --root / --hidden --run shell --upload none \
             --name hub --allow 10.0.0.0/8 --allow unix --allow-run any --workers 3 \
             --max-connections 4 --max-per-address 5 --max-line 6 --max-backlog 7 --max-runs 8 \
             --run-timeout 9 --idle-timeout 0.5 --send-timeout 10 --drain 11 \
             --metrics localhost:9100 --log json -v",
        );
        let speeches = config.listen.iter().map(|listen| listen.speech.to_string());
        assert_eq!(speeches.collect::<Vec<_>>(), ["echo", "chat+bare"]);
        assert_eq!(config.listen[1].address, ListenAddress::All { port: 5001 });
        assert_eq!(config.root.as_deref(), Some(Path::new("/")));
        assert_eq!(config.workers, 3);
        let metrics = ListenAddress::Host { host: "localhost".to_owned(), port: 9100 };
        assert_eq!(config.metrics, Some(metrics));
        assert_eq!((config.log, config.verbosity), (LogFormat::Json, Verbosity::Verbose));
        assert_eq!(config.drain_ms, 11_000);
        let settings = config.settings;
        assert_eq!((settings.name.as_str(), settings.hidden), ("hub", true));
        assert_eq!(settings.commands, Commands::Shell);
        let from = |address: &str| {
            let address = address.parse::<IpAddr>().expect("an address");
            Origin { address: Some(address), uid: None }
        };
        assert!(allows(&settings.allow, &from("10.9.9.9")));
        assert!(allows(&settings.allow, &Origin { address: None, uid: Some(7) }));
        assert!(!allows(&settings.allow, &from("11.0.0.0")));
        assert_eq!(settings.allow_run, [Rule::Any]);
        let limits = Limits {
            connections_max: 4,
            per_address_max: 5,
            line_bytes_max: 6,
            backlog_bytes_max: 7,
            runs_max: 8,
            run_timeout_ms: 9_000,
            idle_timeout_ms: 500,
            send_timeout_ms: 10_000,
        };
        assert_eq!(settings.limits, limits);
        assert_eq!(resolved("-q").verbosity, Verbosity::Quiet);
    }

    #[test]
    fn zero_means_none() {
        let config = resolved(
            "--max-connections 0 --max-per-address 0 --max-line 0 --max-backlog 0 --max-runs 0 \
             --run-timeout 0 --idle-timeout 0 --send-timeout 0 --drain 0.0",
        );
        assert_eq!(config.drain_ms, u64::MAX);
        let none = Limits {
            connections_max: usize::MAX,
            per_address_max: usize::MAX,
            line_bytes_max: usize::MAX,
            backlog_bytes_max: usize::MAX,
            runs_max: usize::MAX,
            run_timeout_ms: u64::MAX,
            idle_timeout_ms: u64::MAX,
            send_timeout_ms: u64::MAX,
        };
        assert_eq!(config.settings.limits, none);
    }

    #[test]
    fn a_host_without_a_good_name_is_called_landline() {
        let named = |name: &str| {
            let host = Host { name: name.to_owned(), uid: 0, client_options: None };
            config(&ServeArgs::default(), &host).expect("the defaults").settings.name
        };
        assert_eq!(named("db.example"), "db.example");
        for bad in ["", "a\nb", &"x".repeat(65)] {
            assert_eq!(named(bad), "landline");
        }
    }

    #[test]
    fn wrong_values_are_answered_by_what_to_write() {
        let long = "x".repeat(65);
        let no_limit = "write a whole number (0 means no limit)";
        let no_time = "write seconds, with up to three decimals (0 means no limit)";
        let too_large = "too large; write less (0 means no limit)";
        for (words, why) in [
            (
                ["--listen", "lime@5000"],
                "there is no service \"lime\": use line, echo, hello, exec, chat or talk".into(),
            ),
            (["--metrics", "echo@1"], "no host name".to_owned()),
            (["--allow", "10.0.0.0/40"], "\"10.0.0.0/40\": a block ends in /0 to /32".into()),
            (
                ["--allow-run", "uid:x"],
                "\"x\" is no user's number: write for example uid:1000".into(),
            ),
            (["--workers", "0"], "write a number from 1 to 1024".into()),
            (["--workers", "1025"], "write a number from 1 to 1024".into()),
            (["--max-connections", "x"], no_limit.into()),
            (["--max-per-address", "-1"], no_limit.into()),
            (["--max-line", "64K"], no_limit.into()),
            (["--max-backlog", ""], no_limit.into()),
            (["--max-runs", "+1"], no_limit.into()),
            (["--max-runs", "99999999999999999999"], too_large.into()),
            (["--drain", "99999999999999999999"], too_large.into()),
            (["--run-timeout", "1m"], no_time.into()),
            (["--idle-timeout", "-1"], no_time.into()),
            (["--drain", "1.2345"], no_time.into()),
            (["--log", "xml"], "write text or json".into()),
            (["--name", ""], "a name has at least one character".into()),
            (["--name", "a\nb"], "a name holds no control character".into()),
            (["--name", &long], "a name has at most 64 bytes, not 65".into()),
            (["--root", "/nonexistent"], "No such file or directory".into()),
            (["--root", "/dev/null"], "not a directory".into()),
            (["--run", "/nonexistent"], "No such file or directory".into()),
            (["--run", "/"], "Is a directory".into()),
        ] {
            let error = format!("{} {}: {why}", words[0], words[1]);
            assert_eq!(resolve(&words).err(), Some(error), "{words:?}");
        }
        let kinds = "--upload frob: write none, new or replace";
        assert_eq!(resolve(&["--upload", "frob"]).err().as_deref(), Some(kinds));
        let rootless = "--upload: say with --root below which directory";
        assert_eq!(resolve(&["--upload", "new"]).err().as_deref(), Some(rootless));
        for (kind, expected) in
            [("none", Uploads::Off), ("new", Uploads::New), ("replace", Uploads::Replace)]
        {
            let config = resolve(&["--root", "/", "--upload", kind]).expect("good options");
            assert_eq!(config.settings.uploads, expected);
        }
        assert_eq!(resolve(&["-v", "-q"]).err().as_deref(), Some("-q: contradicts -v"));
    }

    #[test]
    fn the_allow_list_is_read() {
        let scratch = Scratch::new("allow-list");
        let good = scratch.file("good", "up = /usr/bin/uptime");
        let config = resolve(&["--run", &good]).expect("a good list");
        let argv = config.settings.commands.argv(b"up").expect("a command of the list");
        assert_eq!(argv, [b"/usr/bin/uptime"]);
        let bad = scratch.file("bad", "\nup");
        let why = format!("{bad}: line 2: no \"=\": write NAME = /absolute/program arguments");
        assert_eq!(resolve(&["--run", &bad]).err(), Some(why));
    }

    #[test]
    fn the_config_file_is_read_and_overruled() {
        let scratch = Scratch::new("config-file");
        let file = scratch.file("conf", "listen = 1\nlisten = 2\nname = from the file\n-q");
        let host = Host { name: "box".to_owned(), uid: 0, client_options: None };
        let with = |more: &[&str]| {
            let words = [&["--config", file.as_str()], more].concat();
            let args = words.into_iter().map(str::to_owned).collect::<Vec<_>>();
            super::super::serve::config(&args, &host)
        };
        let config = with(&[]).expect("a good file");
        assert_eq!(config.listen.len(), 2);
        assert_eq!(config.settings.name, "from the file");
        assert_eq!(config.verbosity, Verbosity::Quiet);
        let config = with(&["-l", "3", "-v"]).expect("good options");
        assert_eq!(config.listen[0].address, ListenAddress::Loopback { port: 3 });
        assert_eq!((config.listen.len(), config.verbosity), (1, Verbosity::Verbose));
        fs::write(&file, "name a\nfrob").expect("the same file");
        let why = "line 2: --frob: there is no such option; landline serve --help lists them";
        assert_eq!(with(&[]).err(), Some(super::super::Stop::Wrong(format!("{file}: {why}"))));
        fs::remove_file(&file).expect("the same file");
        let why = format!("--config {file}: No such file or directory");
        assert_eq!(with(&[]).err(), Some(super::super::Stop::Wrong(why)));
    }
}
