//! `landline serve`: its options as typed, on the command line and in the `--config` file.
//!
//! What it does not do: say what a value means; that is `resolve`.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "argh shows these texts to people as they stand: [V6] is an address, not a link"
)]

use argh::{ArgsInfo, FromArgs};

use super::{Host, Stop, option_file, resolve, words};
use crate::server::config::Config;

/// be a server: echo, files, commands and messages for anyone with netcat. A limit or time-out of 0
/// means none; seconds may have decimals.
#[derive(FromArgs, ArgsInfo, Clone, Debug, Default)]
#[argh(
    help_triggers("--help"),
    example = "landline serve",
    example = "    echo and messages on port 5000, for this machine",
    example = "landline serve --listen :5000 --root /srv/files",
    example = "    the same for everyone who can reach it, and the files of a directory",
    example = "landline serve --run shell",
    example = "    commands too, for this machine",
    example = "landline serve -l :5000 -l chat+bare@:5001 -l line@unix:/run/landline.sock",
    example = "    several listeners, one set of users",
    example = "landline serve --config /etc/landline.conf"
)]
pub(super) struct ServeArgs {
    /// where to listen, and what to speak there: line, echo, hello, exec, chat or talk; ADDRESS is
    /// HOST:PORT, [V6]:PORT, :PORT (all addresses), PORT (loopback), unix:PATH, fd:N or fd:NAME;
    /// any number of times (default line@5000)
    #[argh(option, short = 'l', arg_name = "[SERVICE[+bare]@]ADDRESS")]
    pub(super) listen: Vec<String>,
    /// the directory that download, files and stat serve (default none)
    #[argh(option, short = 'r', arg_name = "DIR")]
    pub(super) root: Option<String>,
    /// serve names that start with a dot too
    #[argh(switch)]
    pub(super) hidden: bool,
    /// which commands may be run: none, shell (any, by /bin/sh -c), or FILE, an allow-list with one
    /// command a line, NAME = /absolute/program arguments; see landline(1) (default none)
    #[argh(option, arg_name = "none|shell|FILE")]
    pub(super) run: Option<String>,
    /// what may be stored below the served directory: none, files of new names, or replace (a file
    /// of the same name is replaced) (default none)
    #[argh(option, arg_name = "none|new|replace")]
    pub(super) upload: Option<String>,
    /// the server's name in greetings, at most 64 bytes (default the host's name)
    #[argh(option, arg_name = "NAME")]
    pub(super) name: Option<String>,
    /// who may connect: an address, a block such as 10.0.0.0/8, unix, uid:N or any; any number of
    /// times (default everyone the listeners reach)
    #[argh(option, arg_name = "FROM")]
    pub(super) allow: Vec<String>,
    /// who may run commands; any number of times (default loopback, and over Unix sockets root and
    /// the server's own user)
    #[argh(option, arg_name = "FROM")]
    pub(super) allow_run: Vec<String>,
    /// worker threads, 1 to 1024 (default one per processor)
    #[argh(option, arg_name = "N")]
    pub(super) workers: Option<String>,
    /// connections at once (default 16384)
    #[argh(option, arg_name = "N")]
    pub(super) max_connections: Option<String>,
    /// connections at once from one address (default 0)
    #[argh(option, arg_name = "N")]
    pub(super) max_per_address: Option<String>,
    /// longest request line (default 65536)
    #[argh(option, arg_name = "BYTES")]
    pub(super) max_line: Option<String>,
    /// unread messages after which a recipient is disconnected (default 4194304)
    #[argh(option, arg_name = "BYTES")]
    pub(super) max_backlog: Option<String>,
    /// commands at once (default 256)
    #[argh(option, arg_name = "N")]
    pub(super) max_runs: Option<String>,
    /// longest time a command may take (default 0)
    #[argh(option, arg_name = "SECONDS")]
    pub(super) run_timeout: Option<String>,
    /// longest time without a complete request from a peer that has no name (default 600)
    #[argh(option, arg_name = "SECONDS")]
    pub(super) idle_timeout: Option<String>,
    /// longest time in which a peer takes no byte of the output that waits for it; it is then cut
    /// off with a reset (default 60)
    #[argh(option, arg_name = "SECONDS")]
    pub(super) send_timeout: Option<String>,
    /// longest time to finish replies in progress once told to stop (default 10)
    #[argh(option, arg_name = "SECONDS")]
    pub(super) drain: Option<String>,
    /// serve Prometheus metrics over HTTP here, at /metrics (default nowhere)
    #[argh(option, arg_name = "ADDRESS")]
    pub(super) metrics: Option<String>,
    /// how log lines are written (default text)
    #[argh(option, arg_name = "text|json")]
    pub(super) log: Option<String>,
    /// log every connection and request
    #[argh(switch, short = 'v')]
    pub(super) verbose: bool,
    /// log errors alone
    #[argh(switch, short = 'q')]
    pub(super) quiet: bool,
    /// a file of options, one a line as they stand here, with # comments; what the command line
    /// says wins
    #[argh(option, arg_name = "FILE")]
    pub(super) config: Option<String>,
}

impl ServeArgs {
    /// These options, and those of `file` that these do not say.
    fn over(self, file: Self) -> Self {
        let list = |own: Vec<String>, file| if own.is_empty() { file } else { own };
        let says_verbosity = self.verbose || self.quiet;
        Self {
            listen: list(self.listen, file.listen),
            root: self.root.or(file.root),
            hidden: self.hidden || file.hidden,
            run: self.run.or(file.run),
            upload: self.upload.or(file.upload),
            name: self.name.or(file.name),
            allow: list(self.allow, file.allow),
            allow_run: list(self.allow_run, file.allow_run),
            workers: self.workers.or(file.workers),
            max_connections: self.max_connections.or(file.max_connections),
            max_per_address: self.max_per_address.or(file.max_per_address),
            max_line: self.max_line.or(file.max_line),
            max_backlog: self.max_backlog.or(file.max_backlog),
            max_runs: self.max_runs.or(file.max_runs),
            run_timeout: self.run_timeout.or(file.run_timeout),
            idle_timeout: self.idle_timeout.or(file.idle_timeout),
            send_timeout: self.send_timeout.or(file.send_timeout),
            drain: self.drain.or(file.drain),
            metrics: self.metrics.or(file.metrics),
            log: self.log.or(file.log),
            verbose: self.verbose || (file.verbose && !says_verbosity),
            quiet: self.quiet || (file.quiet && !says_verbosity),
            config: self.config,
        }
    }
}

/// What the words after `landline serve` mean.
pub(super) fn config(args: &[String], host: &Host) -> Result<Config, Stop> {
    let (typed, _) = words::read::<ServeArgs>("serve", args, &[])?;
    resolve::config(&with_file(typed).map_err(Stop::Wrong)?, host).map_err(Stop::Wrong)
}

fn with_file(typed: ServeArgs) -> Result<ServeArgs, String> {
    let Some(path) = &typed.config else { return Ok(typed) };
    let text = option_file::text(path.as_ref()).map_err(|why| format!("--config {path}: {why}"))?;
    let file = read_file(&text).map_err(|why| format!("{path}: {why}"))?;
    Ok(typed.over(file))
}

fn read_file(text: &str) -> Result<ServeArgs, String> {
    let all = option_file::words(text, |line| {
        let (line, _) = words::read::<ServeArgs>("serve", line, &[])?;
        match line.config {
            None => Ok(()),
            Some(_) => Err(Stop::Wrong("a configuration file cannot name another".to_owned())),
        }
    })?;
    words::read("serve", &all, &[]).map(|(file, _)| file).map_err(option_file::why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> ServeArgs {
        let args = line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        words::read("serve", &args, &[]).unwrap_or_else(|why| panic!("{line}: {why:?}")).0
    }

    /// Every option that has a value, and what reads it. `--config` is not one a file may hold.
    type Field = (&'static str, fn(&ServeArgs) -> Option<&String>);
    const FIELDS: [Field; 19] = [
        ("listen", |args| args.listen.first()),
        ("root", |args| args.root.as_ref()),
        ("run", |args| args.run.as_ref()),
        ("upload", |args| args.upload.as_ref()),
        ("name", |args| args.name.as_ref()),
        ("allow", |args| args.allow.first()),
        ("allow-run", |args| args.allow_run.first()),
        ("workers", |args| args.workers.as_ref()),
        ("max-connections", |args| args.max_connections.as_ref()),
        ("max-per-address", |args| args.max_per_address.as_ref()),
        ("max-line", |args| args.max_line.as_ref()),
        ("max-backlog", |args| args.max_backlog.as_ref()),
        ("max-runs", |args| args.max_runs.as_ref()),
        ("run-timeout", |args| args.run_timeout.as_ref()),
        ("idle-timeout", |args| args.idle_timeout.as_ref()),
        ("send-timeout", |args| args.send_timeout.as_ref()),
        ("drain", |args| args.drain.as_ref()),
        ("metrics", |args| args.metrics.as_ref()),
        ("log", |args| args.log.as_ref()),
    ];

    #[test]
    fn the_command_line_wins_over_the_file_option_by_option() {
        let file = FIELDS.map(|(name, _)| format!("{name} = file\n")).concat();
        let file = read_file(&file).expect("a good file");
        for (name, value) in FIELDS {
            let both = typed(&format!("--{name} typed")).over(file.clone());
            for (other, of_other) in FIELDS {
                let expected = if other == name { "typed" } else { "file" };
                assert_eq!(of_other(&both).expect(other), expected, "--{name}: {other}");
            }
            assert_eq!(value(&typed("").over(file.clone())).expect(name), "file");
        }
    }

    #[test]
    fn every_option_is_known_to_these_tests() {
        let known = FIELDS.map(|(name, _)| name);
        let others = ["hidden", "verbose", "quiet", "config", "help"];
        for flag in ServeArgs::get_args_info().flags {
            let name = flag.long.trim_start_matches('-');
            assert!(known.contains(&name) || others.contains(&name), "{name}");
        }
    }

    #[test]
    fn lists_of_the_command_line_replace_those_of_the_file() {
        let file = read_file("listen 1\nlisten 2\nallow unix\nallow any").expect("a good file");
        assert_eq!(file.listen, ["1", "2"]);
        let both = typed("-l 3 --listen 4").over(file);
        assert_eq!(both.listen, ["3", "4"]);
        assert_eq!(both.allow, ["unix", "any"]);
    }

    #[test]
    fn switches_add_up_but_verbosity_is_replaced() {
        let file = || read_file("hidden\n-q").expect("a good file");
        let both = typed("").over(file());
        assert!(both.hidden && both.quiet && !both.verbose);
        let both = typed("-v").over(file());
        assert!(both.hidden && !both.quiet && both.verbose);
        assert!(!typed("").hidden && typed("--hidden").hidden);
    }

    #[test]
    fn a_wrong_line_of_the_file_is_named() {
        for (text, why) in [
            (
                "# one\nlisten 1\nfrob x",
                "line 3: --frob: there is no such option; landline serve --help lists them",
            ),
            ("hidden yes", "line 1: yes: one word too many; see landline serve --help"),
            ("-v\nroot", "line 2: --root: a value must follow"),
            ("config other", "line 1: a configuration file cannot name another"),
            ("help", "line 1: --help and --version are for the command line"),
            ("name a\nname b", "--name: given twice"),
            ("name \x1b", "line 1: a control character: remove it"),
        ] {
            assert_eq!(read_file(text).err(), Some(why.to_owned()), "{text:?}");
        }
    }
}
