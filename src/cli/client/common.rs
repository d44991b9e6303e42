//! What every client command is told: the server's address, and the options all of them share, as
//! typed or from the file that `LANDLINE_CONFIG` names.
//!
//! What it does not do: any command's own options. What was typed wins over the file, also where
//! the address says it: a port of the file is for addresses without one.

use std::net::Ipv4Addr;
use std::path::Path;

use argh::{ArgsInfo, FromArgs};

use super::super::{Stop, address, option_file, resolve, words};
use crate::client::command::{Common, Family, Target, TargetHost};
use crate::protocol::limits::PORT;

/// options of every client command
#[expect(clippy::struct_excessive_bools, reason = "each is an option that is there or not")]
#[derive(FromArgs, ArgsInfo, Debug, Default)]
#[argh(help_triggers("--help"))]
pub(in crate::cli) struct CommonArgs {
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
    /// ignore the file of options that `LANDLINE_CONFIG` names
    #[argh(switch)]
    pub(super) no_config: bool,
}

/// what a file of options may hold besides
#[derive(FromArgs, ArgsInfo, Debug, Default)]
#[argh(help_triggers("--help"))]
struct FileArgs {
    /// write lists and figures as JSON
    #[argh(switch)]
    json: bool,
}

/// What a file of options holds.
#[derive(Debug, Default)]
struct Kept {
    family: Family,
    port: Option<u16>,
    quiet: bool,
    timeout_ms: Option<u64>,
    is_json: bool,
}

/// The options a command shares with others.
#[derive(Debug, Default)]
pub(super) struct Shared {
    family: Family,
    port: Option<u16>,
    quiet: bool,
    timeout_ms: Option<u64>,
    kept: Kept,
}

impl Shared {
    /// What is `typed`, and what the file holds, where it is silent.
    pub(super) fn new(typed: &CommonArgs, file: Option<&Path>) -> Result<Self, String> {
        let kept = file.map(|path| {
            Kept::read(path).map_err(|why| format!("LANDLINE_CONFIG {}: {why}", path.display()))
        });
        let kept = kept.transpose()?.unwrap_or_default();
        let timeout_ms = typed.timeout.as_deref().map(timeout).transpose()?;
        Ok(Self {
            family: family(typed.ipv4, typed.ipv6)?,
            port: typed.port.as_deref().map(port).transpose()?,
            quiet: typed.quiet || kept.quiet,
            timeout_ms: timeout_ms.or(kept.timeout_ms).filter(|ms| *ms > 0),
            kept,
        })
    }

    /// Whether the file asks for JSON where there is such a thing.
    pub(super) fn is_json(&self) -> bool {
        self.kept.is_json
    }

    /// With the address.
    pub(super) fn common(&self, address: &str) -> Result<Common, String> {
        let target = self.target(address).map_err(|why| format!("{address}: {why}"))?;
        Ok(Common { target, quiet: self.quiet, timeout_ms: self.timeout_ms })
    }

    fn target(&self, address: &str) -> Result<Target, String> {
        if let Some(path) = address.strip_prefix("unix:") {
            let path = address::unix_path(path)?;
            if self.port.is_some() {
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
        let port = match (written, self.port) {
            (Some(0), _) => return Err("nothing listens on port 0".to_owned()),
            (Some(written), Some(typed)) if written != typed => {
                return Err(format!("contradicts --port {typed}: leave one of them out"));
            }
            (written, typed) => written.or(typed).or(self.kept.port).unwrap_or(PORT),
        };
        let family = self.family_for(&host)?;
        Ok(Target { host: TargetHost::Host(host), port, family })
    }

    fn family_for(&self, host: &str) -> Result<Family, String> {
        let (is_v6, is_v4) = (address::is_v6(host), host.parse::<Ipv4Addr>().is_ok());
        match self.family {
            Family::V4 if is_v6 => Err("an IPv6 address contradicts -4".to_owned()),
            Family::V6 if is_v4 => Err("an IPv4 address contradicts -6".to_owned()),
            Family::Any if is_v4 || is_v6 => Ok(Family::Any),
            Family::Any => Ok(self.kept.family),
            typed => Ok(typed),
        }
    }
}

impl Kept {
    fn read(path: &Path) -> Result<Self, String> {
        let text = option_file::text(path);
        Self::parse(&text.map_err(|why| format!("{why}; --no-config ignores it"))?)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let all = option_file::words(text, |line| file_args(line).map(drop))?;
        let (own, shared) = file_args(&all).map_err(option_file::why)?;
        Ok(Self {
            family: family(shared.ipv4, shared.ipv6)?,
            port: shared.port.as_deref().map(port).transpose()?,
            quiet: shared.quiet,
            timeout_ms: shared.timeout.as_deref().map(timeout).transpose()?,
            is_json: own.json,
        })
    }
}

fn file_args(words: &[String]) -> Result<(FileArgs, CommonArgs), Stop> {
    let name = "users";
    let (own, shared) = words::read(name, words, CommonArgs::get_args_info().flags)?;
    let shared: CommonArgs = words::typed(name, &shared)?;
    if shared.no_config {
        return Err(Stop::Wrong("--no-config is for the command line".to_owned()));
    }
    Ok((own, shared))
}

fn family(ipv4: bool, ipv6: bool) -> Result<Family, String> {
    match (ipv4, ipv6) {
        (true, true) => Err("-4: contradicts -6".to_owned()),
        (true, false) => Ok(Family::V4),
        (false, true) => Ok(Family::V6),
        (false, false) => Ok(Family::Any),
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse::<u16>()
        .ok()
        .filter(|port| *port > 0 && !text.starts_with('+'))
        .ok_or_else(|| format!("--port {text}: write a number from 1 to 65535"))
}

/// In milliseconds; 0 is none.
fn timeout(text: &str) -> Result<u64, String> {
    words::seconds_ms(text)
        .ok_or_else(|| format!("--timeout {text}: {}", resolve::not_taken(text, words::SECONDS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> CommonArgs {
        let words = line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        words::typed("users", &words).expect("tests type good options")
    }

    /// What `line` and a file of this text mean for `address`.
    fn meant(line: &str, text: &str, address: &str) -> Result<Common, String> {
        let path = std::env::temp_dir().join(format!(
            "landline-options-{}-{}",
            std::process::id(),
            line.len() + text.len()
        ));
        std::fs::write(&path, text).expect("the temporary directory takes a file");
        let shared = Shared::new(&typed(line), Some(&path));
        std::fs::remove_file(&path).expect("it was just written");
        shared.and_then(|shared| shared.common(address))
    }

    fn common(host: &str, port: u16, family: Family) -> Common {
        let host = TargetHost::Host(host.to_owned());
        Common { target: Target { host, port, family }, quiet: false, timeout_ms: None }
    }

    #[test]
    fn what_is_typed_wins_over_the_file() {
        let text = "# mine\nport = 7\ntimeout 1.5\nipv6\n-q\njson\n";
        let mut kept = common("h", 7, Family::V6);
        (kept.quiet, kept.timeout_ms) = (true, Some(1_500));
        assert_eq!(meant("", text, "h"), Ok(kept.clone()));
        kept.target.port = 9;
        assert_eq!(meant("-p 9", text, "h"), Ok(kept.clone()));
        assert_eq!(meant("", text, "h:9"), Ok(kept.clone()), "an address is typed too");
        (kept.target.family, kept.timeout_ms) = (Family::V4, None);
        assert_eq!(meant("-4 --timeout 0", text, "h:9"), Ok(kept.clone()));
        let four = meant("", text, "192.0.2.1:9").map(|common| common.target.family);
        assert_eq!(four, Ok(Family::Any));
        kept.target.host = TargetHost::Unix("/run/a".into());
        (kept.target.port, kept.target.family, kept.timeout_ms) = (PORT, Family::Any, Some(1_500));
        assert_eq!(meant("", text, "unix:/run/a"), Ok(kept));
    }

    #[test]
    fn a_wrong_line_of_the_file_is_named() {
        for (text, why) in [
            ("quiet\nfrob", "line 2: --frob: there is no such option; landline users --help"),
            ("port 0", "--port 0: write a number from 1 to 65535"),
            ("timeout soon", "--timeout soon: write seconds, with up to three"),
            ("port 1\nport 2", "--port: given twice"),
            ("no-config", "line 1: --no-config is for the command line"),
            ("-4\n-6", "-4: contradicts -6"),
            ("help", "line 1: --help and --version are for the command line"),
        ] {
            let told = meant("", text, "h").expect_err(text);
            let told = told.strip_prefix("LANDLINE_CONFIG /").expect("it names the file");
            assert!(told.contains(&format!(": {why}")), "{told}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_can_be_ignored() {
        let told = Shared::new(&typed(""), Some(Path::new("/nonexistent/options"))).map(|_| ());
        let why = "LANDLINE_CONFIG /nonexistent/options: No such file or directory; --no-config \
                   ignores it";
        assert_eq!(told, Err(why.to_owned()));
    }
}
