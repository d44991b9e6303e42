//! The client's subcommands: their options as typed, and the `ClientCommand` they mean.
//!
//! What it does not do: connect, or look whether a file exists.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "argh shows these texts to people as they stand: [V6] is an address, not a link"
)]

use argh::{ArgsInfo, CommandInfoWithArgs, FromArgs};

use super::bench::{self, BenchArgs};
use super::{Stop, address, words};
use crate::client::command::{
    ClientCommand, Common, Family, Output, Recipients, Target, TargetHost,
};
use crate::protocol::limits::PORT;
use crate::protocol::name::Name;

/// options of every client command
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(help_triggers("--help"))]
pub(super) struct CommonArgs {
    /// use IPv4 alone
    #[argh(switch, short = '4')]
    ipv4: bool,
    /// use IPv6 alone
    #[argh(switch, short = '6')]
    ipv6: bool,
    /// the TCP port, where ADDRESS has none (default 5000)
    #[argh(option, short = 'p', arg_name = "PORT")]
    port: Option<String>,
    /// no progress, no notices
    #[argh(switch, short = 'q')]
    quiet: bool,
    /// give up after this time, decimals allowed (default 0, never)
    #[argh(option, arg_name = "SECONDS")]
    timeout: Option<String>,
}

/// talk to a server: type requests, see replies and messages as they come.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("--help"),
    example = "landline connect localhost --user alice",
    example = "landline connect unix:/run/landline.sock"
)]
struct ConnectArgs {
    /// take this user name at once, and receive messages
    #[argh(option, arg_name = "NAME")]
    user: Option<String>,
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
}

/// fetch a file. It appears under its name only when it is whole.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("--help"),
    example = "landline download localhost notes.txt",
    example = "    becomes client_notes.txt in this directory",
    example = "landline download [::1]:5001 logs/today -o today.log --force",
    example = "landline download localhost data.tar -o - | tar t"
)]
struct DownloadArgs {
    /// the target (default client_ and the base name of FILE); - is standard output
    #[argh(option, short = 'o', arg_name = "OUT")]
    output: Option<String>,
    /// replace an existing target
    #[argh(switch, short = 'f')]
    force: bool,
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
    /// the file, relative to the directory that is served
    #[argh(positional, arg_name = "FILE")]
    file: String,
}

/// run a command on a server. Its exit status is the command's, 128 and N for signal N, 124 where
/// the server's time-out ended it, 255 where landline failed or the server refused.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("--help"),
    example = "landline run localhost uptime",
    example = "landline run localhost 'ls *.log | wc -l; exit 3'",
    example = "landline run --timeout 10 db.example:5001 -- -strange-name --its-option"
)]
struct RunArgs {
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
    /// the command; several words are joined by one blank each. Options go before its first word;
    /// put -- before one that starts with a dash
    #[argh(positional, greedy, arg_name = "COMMAND")]
    command: Vec<String>,
}

/// send messages to users of a server.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("--help"),
    example = "landline send localhost --as alice --to bob,carol 'lunch at noon?'",
    example = "tail -f log | landline send localhost --as watcher --all"
)]
struct SendArgs {
    /// the sender's user name; needed
    #[argh(option, long = "as", arg_name = "NAME")]
    name: Option<String>,
    /// who receives it; this or --all is needed
    #[argh(option, arg_name = "USER[,USER]...")]
    to: Vec<String>,
    /// everyone receives it
    #[argh(switch)]
    all: bool,
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
    /// the message; without it, each line of standard input is one
    #[argh(positional, arg_name = "TEXT")]
    text: Vec<String>,
}

/// list the users of a server.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(help_triggers("--help"), example = "landline users localhost")]
struct UsersArgs {
    /// HOST, HOST:PORT, [V6]:PORT, an IPv6 address or unix:PATH
    #[argh(positional, arg_name = "ADDRESS")]
    address: String,
}

/// What `landline NAME --help` shows of it, where there is a client command of that name.
pub(super) fn info(name: &str) -> Option<CommandInfoWithArgs> {
    Some(match name {
        "bench" => BenchArgs::get_args_info(),
        "connect" => ConnectArgs::get_args_info(),
        "download" => DownloadArgs::get_args_info(),
        "run" => RunArgs::get_args_info(),
        "send" => SendArgs::get_args_info(),
        "users" => UsersArgs::get_args_info(),
        _ => return None,
    })
}

/// What the words after `landline NAME` mean.
pub(super) fn command(name: &str, args: &[String]) -> Result<ClientCommand, Stop> {
    match name {
        "bench" => measure(read(name, args)?),
        "connect" => connect(read(name, args)?),
        "download" => download(read(name, args)?),
        "run" => run(read(name, args)?),
        "send" => send(read(name, args)?),
        "users" => users(read(name, args)?),
        _ => Err(super::help::unknown(name)),
    }
    .map_err(Stop::Wrong)
}

fn read<T: FromArgs + ArgsInfo>(name: &str, args: &[String]) -> Result<(T, CommonArgs), Stop> {
    let (own, shared) = words::read(name, args, CommonArgs::get_args_info().flags)?;
    Ok((own, words::typed(name, &shared)?))
}

fn measure((own, shared): (BenchArgs, CommonArgs)) -> Result<ClientCommand, String> {
    let common = common(&own.address, &shared)?;
    Ok(ClientCommand::Bench { common, load: bench::load(&own)? })
}

fn connect((own, shared): (ConnectArgs, CommonArgs)) -> Result<ClientCommand, String> {
    let common = common(&own.address, &shared)?;
    let user = own.user.as_deref().map(|user| user_name("--user", user)).transpose()?;
    Ok(ClientCommand::Connect { common, user })
}

fn download((own, shared): (DownloadArgs, CommonArgs)) -> Result<ClientCommand, String> {
    let common = common(&own.address, &shared)?;
    check_one_line("FILE", &own.file)?;
    let base = own.file.rsplit('/').next().unwrap_or_default();
    let output = match own.output.as_deref() {
        Some("") => return Err("-o: no file name; write - for standard output".to_owned()),
        Some("-") => Output::Stdout,
        Some(path) => Output::File(path.into()),
        None if base.is_empty() => return Err(format!("FILE: \"{}\" names no file", own.file)),
        None => Output::File(format!("client_{base}").into()),
    };
    if own.file.trim_matches([' ', '\t']).is_empty() {
        return Err(format!("FILE: \"{}\" names no file", own.file));
    }
    Ok(ClientCommand::Download { common, file: own.file, output, force: own.force })
}

fn run((own, shared): (RunArgs, CommonArgs)) -> Result<ClientCommand, String> {
    let common = common(&own.address, &shared)?;
    let command = own.command.join(" ");
    if command.trim_matches([' ', '\t']).is_empty() {
        return Err("COMMAND: missing; see landline run --help".to_owned());
    }
    if command.contains(['\n', '\r']) {
        return Err("COMMAND: holds a line break; part commands by ; or &&".to_owned());
    }
    Ok(ClientCommand::Run { common, command })
}

fn send((own, shared): (SendArgs, CommonArgs)) -> Result<ClientCommand, String> {
    let common = common(&own.address, &shared)?;
    let name = own.name.as_deref().ok_or("--as: missing; say who sends it")?;
    let recipients = match (own.all, own.to.as_slice()) {
        (false, []) => return Err("--to: missing; say who receives it, or --all".to_owned()),
        (true, []) => Recipients::All,
        (true, _) => return Err("--to: contradicts --all".to_owned()),
        (false, lists) => {
            let mut users = Vec::new();
            for user in lists.iter().flat_map(|list| list.split(',')) {
                let user = user_name("--to", user)?;
                if !users.contains(&user) {
                    users.push(user);
                }
            }
            Recipients::Users(users)
        }
    };
    let text = (!own.text.is_empty()).then(|| own.text.join(" "));
    if let Some(text) = &text {
        check_one_line("TEXT", text)?;
    }
    Ok(ClientCommand::Send { common, name: user_name("--as", name)?, recipients, text })
}

fn users((own, shared): (UsersArgs, CommonArgs)) -> Result<ClientCommand, String> {
    Ok(ClientCommand::Users { common: common(&own.address, &shared)? })
}

fn common(address: &str, shared: &CommonArgs) -> Result<Common, String> {
    let family = match (shared.ipv4, shared.ipv6) {
        (true, true) => return Err("-4: contradicts -6".to_owned()),
        (true, false) => Family::V4,
        (false, true) => Family::V6,
        (false, false) => Family::Any,
    };
    let port = shared.port.as_deref().map(port).transpose()?;
    let timeout_ms = match shared.timeout.as_deref() {
        None => None,
        Some(text) => Some(words::seconds_ms(text).ok_or_else(|| {
            format!("--timeout {text}: write a number of seconds (0 means no limit)")
        })?),
    };
    let target = target(address, port, family).map_err(|why| format!("{address}: {why}"))?;
    Ok(Common { target, quiet: shared.quiet, timeout_ms: timeout_ms.filter(|ms| *ms > 0) })
}

fn port(text: &str) -> Result<u16, String> {
    text.parse::<u16>()
        .ok()
        .filter(|port| *port > 0 && !text.starts_with('+'))
        .ok_or_else(|| format!("--port {text}: write a number from 1 to 65535"))
}

fn target(address: &str, typed: Option<u16>, family: Family) -> Result<Target, String> {
    if let Some(path) = address.strip_prefix("unix:") {
        let path = address::unix_path(path)?;
        if typed.is_some() {
            return Err("a Unix socket has no port: leave --port out".to_owned());
        }
        let (host, family) = (TargetHost::Unix(path), Family::Any);
        return Ok(Target { host, port: PORT, family });
    }
    if let Some(digits) = Some(address.strip_prefix(':').unwrap_or(address))
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err(format!("a port without a host: write for example localhost:{digits}"));
    }
    let (host, written) = address::host_port(address)?;
    let port = match (written, typed) {
        (Some(0), _) => return Err("nothing listens on port 0".to_owned()),
        (Some(written), Some(typed)) if written != typed => {
            return Err(format!("contradicts --port {typed}: leave one of them out"));
        }
        (written, typed) => written.or(typed).unwrap_or(PORT),
    };
    match family {
        Family::V4 if address::is_v6(&host) => Err("an IPv6 address contradicts -4".to_owned()),
        Family::V6 if host.parse::<std::net::Ipv4Addr>().is_ok() => {
            Err("an IPv4 address contradicts -6".to_owned())
        }
        _ => Ok(Target { host: TargetHost::Host(host), port, family }),
    }
}

fn user_name(option: &str, text: &str) -> Result<Name, String> {
    Name::parse(text.as_bytes()).map_err(|refusal| format!("{option}: {}", refusal.text))
}

/// A request is one line: a break inside it would begin another.
fn check_one_line(what: &str, text: &str) -> Result<(), String> {
    if text.contains(['\n', '\r']) { Err(format!("{what}: holds a line break")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_words(words: &[&str]) -> Result<ClientCommand, String> {
        let args = words[1..].iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        command(words[0], &args).map_err(|stop| match stop {
            Stop::Wrong(why) => why,
            Stop::Print(text) => panic!("{words:?} printed {text}"),
        })
    }

    fn read_line(line: &str) -> Result<ClientCommand, String> {
        read_words(&line.split(' ').collect::<Vec<_>>())
    }

    fn meant(line: &str) -> ClientCommand {
        read_line(line).unwrap_or_else(|why| panic!("{line}: {why}"))
    }

    fn common_of(host: &str, port: u16) -> Common {
        let host = TargetHost::Host(host.to_owned());
        let target = Target { host, port, family: Family::Any };
        Common { target, quiet: false, timeout_ms: None }
    }

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).expect("a good name")
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
            assert_eq!(meant(line), ClientCommand::Users { common: common_of(host, port) });
        }
        let mut common = common_of("", 5000);
        common.target.host = TargetHost::Unix("/run/a:b".into());
        assert_eq!(meant("users unix:/run/a:b"), ClientCommand::Users { common: common.clone() });
        assert_eq!(meant("users -4 unix:/run/a:b"), ClientCommand::Users { common });
    }

    #[test]
    fn options_of_every_command_may_stand_anywhere() {
        let mut common = common_of("h", 5000);
        (common.quiet, common.timeout_ms, common.target.family) = (true, Some(1500), Family::V6);
        for line in ["users -q -6 --timeout 1.5 h", "users h --quiet --ipv6 --timeout=1.5"] {
            assert_eq!(meant(line), ClientCommand::Users { common: common.clone() });
        }
        (common.target.family, common.timeout_ms) = (Family::V4, None);
        assert_eq!(meant("users -q -4 --timeout 0 h"), ClientCommand::Users { common });
    }

    #[test]
    fn connect_may_name_a_user() {
        let common = common_of("h", 5000);
        let expected = ClientCommand::Connect { common: common.clone(), user: None };
        assert_eq!(meant("connect h"), expected);
        let expected = ClientCommand::Connect { common, user: Some(name("al")) };
        assert_eq!(meant("connect h --user al"), expected);
    }

    #[test]
    fn a_download_has_a_target() {
        let download = |file: &str, output, force| ClientCommand::Download {
            common: common_of("h", 5000),
            file: file.to_owned(),
            output,
            force,
        };
        let file = |path: &str| Output::File(path.into());
        for (line, expected) in [
            ("download h a.txt", download("a.txt", file("client_a.txt"), false)),
            ("download h d/a.txt", download("d/a.txt", file("client_a.txt"), false)),
            ("download h a -o x/y -f", download("a", file("x/y"), true)),
            ("download h --output=- --force a", download("a", Output::Stdout, true)),
            ("download h -- -a", download("-a", file("client_-a"), false)),
        ] {
            assert_eq!(meant(line), expected, "{line}");
        }
        let spaced = read_words(&["download", "h", "my file"]);
        assert_eq!(spaced, Ok(download("my file", file("client_my file"), false)));
    }

    #[test]
    fn a_command_is_all_that_follows_the_address() {
        let run =
            |text: &str| ClientCommand::Run { common: common_of("h", 7), command: text.to_owned() };
        for (line, command) in [
            ("run -p 7 h ls -p 8 --help", "ls -p 8 --help"),
            ("run h -p 7 -- -x --port=9", "-x --port=9"),
            ("run h -p 7 -- echo -- a", "echo -- a"),
            ("run h:7 help", "help"),
        ] {
            assert_eq!(meant(line), run(command), "{line}");
        }
        assert_eq!(read_words(&["run", "h:7", "echo  a; exit 3"]), Ok(run("echo  a; exit 3")));
    }

    #[test]
    fn a_message_has_a_sender_and_recipients() {
        let send = |recipients, text: Option<&str>| ClientCommand::Send {
            common: common_of("h", 5000),
            name: name("al"),
            recipients,
            text: text.map(str::to_owned),
        };
        let users = |names: &[&str]| Recipients::Users(names.iter().map(|n| name(n)).collect());
        for (line, expected) in [
            ("send h --as al --all", send(Recipients::All, None)),
            ("send h --as=al --all hi  all", send(Recipients::All, Some("hi  all"))),
            ("send h --to bob --as al -- -x", send(users(&["bob"]), Some("-x"))),
            ("send h --as al --to a,b,a --to c hi", send(users(&["a", "b", "c"]), Some("hi"))),
            ("send h help --as al --all", send(Recipients::All, Some("help"))),
        ] {
            assert_eq!(meant(line), expected, "{line}");
        }
    }

    #[test]
    fn wrong_usage_says_what_to_do() {
        for (line, why) in [
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
            ("users --timeout x h", "--timeout x: write a number of seconds (0 means no limit)"),
            ("connect h --user all", "--user: all: this name is reserved"),
            ("download h", "FILE: missing; see landline download --help"),
            ("download h a/", "FILE: \"a/\" names no file"),
            (
                "download h -o= a",
                "-o=: there is no such option; landline download --help lists them",
            ),
            ("download h --output= a", "-o: no file name; write - for standard output"),
            ("run h", "COMMAND: missing; see landline run --help"),
            ("send h --all x", "--as: missing; say who sends it"),
            ("send h --as al x", "--to: missing; say who receives it, or --all"),
            ("send h --as al --all --to bob", "--to: contradicts --all"),
            ("send h --as al --to bob,", "--to: a user name has at least one character"),
            (
                "send h --as . --all",
                "--as: .: a user name is made of A-Z a-z 0-9 _ . - and does \
              not start with - or .",
            ),
        ] {
            assert_eq!(read_line(line), Err(why.to_owned()), "{line}");
        }
    }

    #[test]
    fn a_line_break_never_begins_another_request() {
        for (words, why) in [
            (vec!["run", "h", "a\nb"], "COMMAND: holds a line break; part commands by ; or &&"),
            (vec!["download", "h", "a\nrun x"], "FILE: holds a line break"),
            (vec!["send", "h", "--as", "al", "--all", "a\r\nb"], "TEXT: holds a line break"),
        ] {
            assert_eq!(read_words(&words), Err(why.to_owned()));
        }
    }
}
