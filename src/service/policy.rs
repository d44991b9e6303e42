//! `Rule`, who may do something, and `Commands`, which commands there are to be run.
//!
//! What it does not do: know who a peer is (an `Origin` is passed in), read a file (a text is
//! passed in), or start anything: it says what would be started, or why not.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

pub use super::allow_list::AllowList;
use crate::protocol::refusal::{Code, Refusal};

/// Where a peer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its address, an IPv4 one never as `::ffff:…`; none over a Unix socket.
    pub address: Option<IpAddr>,
    /// The user it runs as (`SO_PEERCRED`); over a Unix socket alone.
    pub uid: Option<u32>,
}

/// A block of addresses, as CIDR writes it (RFC 4632); a single address is the longest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The first address; all bits after the prefix are 0.
    first: IpAddr,
    /// How many leading bits are common to the block: 0 to 32, or 0 to 128.
    prefix_bits: u8,
}

/// One FROM of the command line: who it lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Peers whose address is in this block.
    Address(Block),
    /// Everyone who came over a Unix socket.
    Unix,
    /// Who came over a Unix socket and runs as this user.
    Uid(u32),
    /// Everyone.
    Any,
}

/// Whether one of `rules` lets `origin` in.
pub fn allows(rules: &[Rule], origin: &Origin) -> bool {
    rules.iter().any(|rule| rule.matches(origin))
}

/// Who may run commands where nothing is said: loopback, and over Unix sockets root and the
/// server's own user.
pub fn default_run_rules(own_uid: u32) -> Vec<Rule> {
    let mut rules = vec![
        Rule::Address(Block { first: Ipv4Addr::new(127, 0, 0, 0).into(), prefix_bits: 8 }),
        Rule::Address(Block { first: Ipv6Addr::LOCALHOST.into(), prefix_bits: 128 }),
        Rule::Uid(0),
    ];
    if own_uid != 0 {
        rules.push(Rule::Uid(own_uid));
    }
    rules
}

impl Rule {
    /// Reads a FROM: an address, a CIDR block, `unix`, `uid:N` or `any`.
    ///
    /// # Errors
    /// A text that says what is wrong, and what was probably meant.
    pub fn parse(from: &str) -> Result<Self, String> {
        match from {
            "any" => return Ok(Self::Any),
            "unix" => return Ok(Self::Unix),
            _ => {}
        }
        if let Some(uid) = from.strip_prefix("uid:") {
            let number = decimal(uid).ok_or_else(|| {
                format!("\"{uid}\" is no user's number: write for example uid:1000")
            })?;
            return Ok(Self::Uid(number));
        }
        Block::parse(from).map(Self::Address)
    }

    /// Whether this rule lets `origin` in.
    pub fn matches(&self, origin: &Origin) -> bool {
        match self {
            Self::Any => true,
            Self::Unix => origin.address.is_none(),
            Self::Uid(uid) => origin.address.is_none() && origin.uid == Some(*uid),
            Self::Address(block) => origin.address.is_some_and(|address| block.contains(address)),
        }
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(from: &str) -> Result<Self, String> {
        Self::parse(from)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(block) => block.fmt(out),
            Self::Unix => out.write_str("unix"),
            Self::Uid(uid) => write!(out, "uid:{uid}"),
            Self::Any => out.write_str("any"),
        }
    }
}

impl Block {
    /// Reads `ADDRESS` or `ADDRESS/BITS`. A block of IPv4-mapped addresses (`::ffff:a.b.c.d/96+N`)
    /// is the IPv4 block, since peers are told apart by their IPv4 address.
    fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let written = address.parse::<IpAddr>().map_err(|_| {
            format!(
                "\"{text}\" is neither an address, a block such as 10.0.0.0/8, unix, uid:N nor any"
            )
        })?;
        let bits_max = if written.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            None => bits_max,
            Some(bits) => decimal(bits)
                .and_then(|bits| u8::try_from(bits).ok())
                .filter(|bits| *bits <= bits_max)
                .ok_or_else(|| format!("\"{text}\": a block ends in /0 to /{bits_max}"))?,
        };
        let block = Self { first: masked(written, prefix_bits), prefix_bits };
        if block.first != written {
            return Err(format!(
                "\"{text}\" has bits set after its first {prefix_bits}: write {block} for the \
                 whole block, or {written} for the one address"
            ));
        }
        Ok(match block.first.to_canonical() {
            first @ IpAddr::V4(_) if written.is_ipv6() && prefix_bits >= 96 => {
                Self { first, prefix_bits: prefix_bits - 96 }
            }
            _ => block,
        })
    }

    /// Whether `address` is one of this block's; an IPv4-mapped address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.prefix_bits) == self.first
    }
}

impl fmt::Display for Block {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.first, self.prefix_bits)
    }
}

/// `address` with all but its first `prefix_bits` bits set to 0.
fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
    let prefix_bits = u32::from(prefix_bits);
    // A shift by the full width, which /0 asks for, gives None: then no bit is kept.
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - prefix_bits).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - prefix_bits).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

/// A decimal number without sign, which `u32::from_str` would take.
fn decimal(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Which commands there are (`--run`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Commands {
    /// None: `run` is switched off.
    #[default]
    Off,
    /// Any, by `/bin/sh -c`.
    Shell,
    /// Those of a list.
    List(AllowList),
}

impl Commands {
    /// The program and arguments that `command`, what a client wrote after `run`, stands for.
    ///
    /// # Errors
    /// `disabled` where there are no commands, `denied` where this one is not on the list,
    /// `bad-request` where it cannot be passed to a program (NUL) or the list is asked for nothing.
    pub fn argv(&self, command: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
        match self {
            Self::Off => Err(Refusal::new(Code::Disabled, "this server runs no commands")),
            Self::Shell if command.contains(&0) => {
                Err(Refusal::new(Code::BadRequest, "a command cannot hold a NUL byte"))
            }
            Self::Shell => {
                let mut argv = vec![b"/bin/sh".to_vec(), b"-c".to_vec()];
                // sh looks for options after -c too (POSIX.1-2024, sh): `-x` would be one.
                if command.starts_with(b"-") || command.starts_with(b"+") {
                    argv.push(b"--".to_vec());
                }
                argv.push(command.to_vec());
                Ok(argv)
            }
            Self::List(list) => list.argv(command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over_tcp(address: &str) -> Origin {
        Origin { address: Some(address.parse().expect("an address")), uid: None }
    }

    fn over_unix(uid: u32) -> Origin {
        Origin { address: None, uid: Some(uid) }
    }

    fn lets_in(rule: &str, address: &str) -> bool {
        Rule::parse(rule).expect("a rule").matches(&over_tcp(address))
    }

    #[test]
    fn an_address_lets_in_itself_alone() {
        assert!(lets_in("192.0.2.7", "192.0.2.7"));
        assert!(!lets_in("192.0.2.7", "192.0.2.6"));
        assert!(lets_in("2001:db8::1", "2001:db8::1"));
        assert!(!lets_in("2001:db8::1", "2001:db8::2"));
    }

    #[test]
    fn a_block_lets_in_its_first_and_last_address_and_no_neighbour() {
        for (rule, inside, outside) in [
            ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]),
            ("192.0.2.4/32", ["192.0.2.4", "192.0.2.4"], ["192.0.2.3", "192.0.2.5"]),
            ("192.0.2.4/31", ["192.0.2.4", "192.0.2.5"], ["192.0.2.3", "192.0.2.6"]),
            ("2001:db8::/32", ["2001:db8::", "2001:db8:ffff::1"], ["2001:db7::", "2001:db9::"]),
            ("::1/128", ["::1", "::1"], ["::", "::2"]),
            ("fe80::/127", ["fe80::", "fe80::1"], ["fe7f::", "fe80::2"]),
        ] {
            for address in inside {
                assert!(lets_in(rule, address), "{rule} should let in {address}");
            }
            for address in outside {
                assert!(!lets_in(rule, address), "{rule} should not let in {address}");
            }
        }
    }

    #[test]
    fn a_block_of_all_addresses_keeps_to_its_family() {
        assert!(lets_in("0.0.0.0/0", "255.255.255.255"));
        assert!(!lets_in("0.0.0.0/0", "::1"));
        assert!(lets_in("::/0", "ffff::1"));
        assert!(!lets_in("::/0", "127.0.0.1"));
    }

    #[test]
    fn mapped_addresses_count_as_ipv4() {
        assert!(lets_in("127.0.0.0/8", "::ffff:127.0.0.1"));
        assert!(!lets_in("::/0", "::ffff:127.0.0.1"));
        assert!(lets_in("::ffff:192.0.2.7", "192.0.2.7"));
        assert!(lets_in("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert!(!lets_in("::ffff:10.0.0.0/104", "11.0.0.0"));
    }

    #[test]
    fn users_are_known_over_unix_sockets_alone() {
        let rule = |from| Rule::parse(from).expect("a rule");
        assert!(rule("unix").matches(&over_unix(5)));
        assert!(!rule("unix").matches(&over_tcp("127.0.0.1")));
        assert!(rule("uid:5").matches(&over_unix(5)));
        assert!(!rule("uid:5").matches(&over_unix(6)));
        assert!(!rule("uid:5").matches(&Origin { address: None, uid: None }));
        assert!(rule("any").matches(&over_unix(5)) && rule("any").matches(&over_tcp("::1")));
        assert!(!lets_in("uid:0", "127.0.0.1"));
        assert!(!rule("0.0.0.0/0").matches(&over_unix(0)));
    }

    #[test]
    fn no_rule_lets_nobody_in() {
        assert!(!allows(&[], &over_tcp("127.0.0.1")));
        assert!(!allows(&[], &over_unix(0)));
    }

    #[test]
    fn loopback_root_and_the_own_user_may_run_by_default() {
        let rules = default_run_rules(1000);
        for origin in [over_tcp("127.0.0.1"), over_tcp("127.9.9.9"), over_tcp("::1"), over_unix(0)]
        {
            assert!(allows(&rules, &origin), "{origin:?}");
        }
        assert!(allows(&rules, &over_unix(1000)));
        for origin in [over_tcp("192.0.2.1"), over_tcp("::2"), over_unix(1001)] {
            assert!(!allows(&rules, &origin), "{origin:?}");
        }
    }

    #[test]
    fn a_wrong_rule_is_answered_by_what_was_probably_meant() {
        let neither = "is neither an address, a block such as 10.0.0.0/8, unix, uid:N nor any";
        for (from, error) in [
            ("uid:bob", "\"bob\" is no user's number: write for example uid:1000".to_owned()),
            ("uid:", "\"\" is no user's number: write for example uid:1000".to_owned()),
            ("uid:+5", "\"+5\" is no user's number: write for example uid:1000".to_owned()),
            ("localhost", format!("\"localhost\" {neither}")),
            ("", format!("\"\" {neither}")),
            ("10.0.0.0/33", "\"10.0.0.0/33\": a block ends in /0 to /32".to_owned()),
            ("::/129", "\"::/129\": a block ends in /0 to /128".to_owned()),
            ("::/", "\"::/\": a block ends in /0 to /128".to_owned()),
            ("10.0.0.0/+8", "\"10.0.0.0/+8\": a block ends in /0 to /32".to_owned()),
            (
                "10.1.2.3/8",
                "\"10.1.2.3/8\" has bits set after its first 8: write 10.0.0.0/8 for the whole \
                 block, or 10.1.2.3 for the one address"
                    .to_owned(),
            ),
        ] {
            assert_eq!(Rule::parse(from), Err(error), "{from}");
        }
    }

    #[test]
    fn rules_are_written_as_they_are_read() {
        for from in ["10.0.0.0/8", "2001:db8::/32", "unix", "uid:7", "any"] {
            assert_eq!(Rule::parse(from).expect("a rule").to_string(), from);
        }
    }

    fn words(argv: &[Vec<u8>]) -> Vec<String> {
        argv.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    #[test]
    fn commands_that_are_off_are_disabled() {
        let refusal = Commands::Off.argv(b"id").expect_err("off");
        assert_eq!(refusal.code, Code::Disabled);
        assert_eq!(refusal.text, "this server runs no commands");
    }

    #[test]
    fn the_shell_gets_the_command_as_one_word() {
        let argv = Commands::Shell.argv(b"echo 'a  b' | wc -c").expect("any command");
        assert_eq!(words(&argv), ["/bin/sh", "-c", "echo 'a  b' | wc -c"]);
        let argv = Commands::Shell.argv(b"-x").expect("any command");
        assert_eq!(words(&argv), ["/bin/sh", "-c", "--", "-x"]);
        let refusal = Commands::Shell.argv(b"echo \0").expect_err("NUL");
        assert_eq!(refusal.code, Code::BadRequest);
    }
}
