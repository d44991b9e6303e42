//! Words: what stands between the arguments as typed and argh, and the values that options share.
//!
//! What it does not do: know any option by name, but `--help` and `--version`. It splits
//! `--option=value`, parts the options all client commands share from a command's own, and says in
//! our words what argh found wrong.

use argh::{
    ArgsInfo, CommandInfoWithArgs, EarlyExit, FlagInfo, FlagInfoKind, FromArgs, Optionality,
};

use super::{Stop, help};

/// The words of one subcommand, as argh can take them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// Operands, and options of the subcommand's own.
    pub(super) own: Vec<String>,
    /// Options that it shares with others.
    pub(super) shared: Vec<String>,
}

/// Reads `args` as a `T`, and those of them that are `shared` options apart from it.
///
/// # Errors
/// `Print` where help or the version is asked for, `Wrong` where the words are none of `T`'s.
pub(super) fn read<T: FromArgs + ArgsInfo>(
    name: &str,
    args: &[String],
    shared: &[FlagInfo<'_>],
) -> Result<(T, Vec<String>), Stop> {
    let words = sort(name, args, &T::get_args_info(), shared)?;
    Ok((typed(name, &words.own)?, words.shared))
}

/// Hands `words` to argh.
pub(super) fn typed<T: FromArgs>(name: &str, words: &[String]) -> Result<T, Stop> {
    let words = words.iter().map(String::as_str).collect::<Vec<_>>();
    T::from_args(&["landline", name], &words)
        .map_err(|exit| Stop::Wrong(explain(&exit, &format!("landline {name} --help"))))
}

fn sort(
    name: &str,
    args: &[String],
    info: &CommandInfoWithArgs,
    shared: &[FlagInfo<'_>],
) -> Result<Words, Stop> {
    let mut words = Words::default();
    let mut operands = Vec::new();
    let is_greedy = info.positionals.iter().any(|p| p.optionality == Optionality::Greedy);
    // Operands that come before the greedy one, at which options end.
    let mut operands_left = info.positionals.len() - usize::from(is_greedy);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        // A dash alone stands for a standard stream.
        let is_operand = arg == "-" || !arg.starts_with('-');
        if arg == "--" || (is_operand && is_greedy && operands_left == 0) {
            operands.extend(is_operand.then(|| arg.clone()));
            operands.extend(rest.cloned());
            break;
        }
        if is_operand {
            operands_left = operands_left.saturating_sub(1);
            operands.push(arg.clone());
            continue;
        }
        match arg.as_str() {
            "--help" | "-h" => return Err(Stop::Print(help::page(name))),
            "--version" => return Err(Stop::Print(help::version())),
            _ => {}
        }
        let (option, value) = match arg.split_once('=').filter(|_| arg.starts_with("--")) {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (arg.as_str(), None),
        };
        let (list, flag) = match (find(info.flags, option), find(shared, option)) {
            (Some(flag), _) => (&mut words.own, flag),
            (None, Some(flag)) => (&mut words.shared, flag),
            // argh says that there is no such option.
            (None, None) => {
                words.own.push(option.to_owned());
                continue;
            }
        };
        list.push(option.to_owned());
        match (&flag.kind, value) {
            (FlagInfoKind::Switch, Some(_)) => {
                return Err(Stop::Wrong(format!("{option}: takes no value")));
            }
            (FlagInfoKind::Switch, None) => {}
            (FlagInfoKind::Option { .. }, Some(value)) => list.push(value),
            (FlagInfoKind::Option { .. }, None) => match rest.next() {
                Some(value) => list.push(value.clone()),
                None => return Err(Stop::Wrong(format!("{option}: a value must follow"))),
            },
        }
    }
    // argh takes what follows as it is, whatever it begins with.
    words.own.push("--".to_owned());
    words.own.append(&mut operands);
    Ok(words)
}

fn find<'a>(flags: &'a [FlagInfo<'a>], option: &str) -> Option<&'a FlagInfo<'a>> {
    flags.iter().find(|flag| match option.strip_prefix('-') {
        Some(short) if !short.starts_with('-') => {
            flag.short.is_some_and(|letter| short.strip_prefix(letter) == Some(""))
        }
        _ => flag.long == option,
    })
}

/// What argh found wrong, as `WHAT: WHY`.
fn explain(exit: &EarlyExit, help: &str) -> String {
    let mut lines = exit.output.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    if let Some(word) = first.strip_prefix("Unrecognized argument: ") {
        return if word.starts_with('-') {
            format!("{word}: there is no such option; {help} lists them")
        } else {
            format!("{word}: one word too many; see {help}")
        };
    }
    let is_twice = first.ends_with(": duplicate values provided");
    if let Some(option) = first.strip_prefix("Error parsing option '").filter(|_| is_twice) {
        let (option, _) = option.split_once('\'').unwrap_or((option, ""));
        return format!("{option}: given twice");
    }
    if first.starts_with("Required ") {
        let missing = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>();
        return format!("{}: missing; see {help}", missing.join(" "));
    }
    format!("{}; see {help}", first.trim_end_matches('.'))
}

/// How `seconds_ms` wants a time written.
pub(super) const SECONDS: &str = "seconds, with up to three decimals";

/// The milliseconds in `text`, a number of seconds with up to three decimals.
pub(super) fn seconds_ms(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) || decimals.len() > 3 {
        return None;
    }
    let decimals_ms = format!("{decimals:0<3}").parse::<u64>().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(decimals_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// some subcommand
    #[derive(FromArgs, ArgsInfo, Debug, PartialEq, Eq)]
    #[argh(help_triggers("--help"))]
    struct Own {
        /// a value
        #[argh(option, short = 'o')]
        out: Option<String>,
        /// a switch
        #[argh(switch)]
        force: bool,
        #[argh(positional, arg_name = "ADDRESS")]
        address: String,
        #[argh(positional, greedy, arg_name = "COMMAND")]
        command: Vec<String>,
    }

    /// options of several
    #[derive(FromArgs, ArgsInfo)]
    struct Shared {
        /// a port
        #[argh(option, short = 'p')]
        #[allow(dead_code, reason = "what is tested is how words are parted, not their values")]
        port: Option<String>,
    }

    fn read_line(line: &str) -> Result<(Own, Vec<String>), Stop> {
        let args = line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        read::<Own>("serve", &args, Shared::get_args_info().flags)
    }

    fn own(line: &str) -> Own {
        read_line(line).unwrap_or_else(|why| panic!("{line}: {why:?}")).0
    }

    #[test]
    fn a_value_follows_after_a_blank_or_a_sign() {
        for line in ["--out a=b h c", "--out=a=b h c", "-o a=b h c", "h --out=a=b c"] {
            assert_eq!(own(line).out.as_deref(), Some("a=b"), "{line}");
        }
        assert_eq!(own("--out= h c").out.as_deref(), Some(""));
        assert_eq!(own("--out --force=1 h c").out.as_deref(), Some("--force=1"));
        assert_eq!(own("-o - h c").out.as_deref(), Some("-"));
    }

    #[test]
    fn shared_options_are_parted_from_a_command_s_own() {
        let (own, shared) = read_line("-p 7 h --port=8 --force c").expect("good words");
        assert!(own.force);
        assert_eq!(shared, ["-p", "7", "--port", "8"]);
    }

    #[test]
    fn the_greedy_operand_keeps_its_words_as_they_are() {
        for (line, command) in [
            ("h grep --help -p 1 --out=x", vec!["grep", "--help", "-p", "1", "--out=x"]),
            ("h --force -- -x --out=x --", vec!["-x", "--out=x", "--"]),
            ("-- h help", vec!["help"]),
            ("h help", vec!["help"]),
            ("h a -- b", vec!["a", "--", "b"]),
            ("h - a -", vec!["-", "a", "-"]),
        ] {
            let own = own(line);
            assert_eq!((own.address.as_str(), own.command), ("h", owned(&command)), "{line}");
        }
    }

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn wrong_words_are_explained() {
        for (line, why) in [
            ("--frob h", "--frob: there is no such option; landline serve --help lists them"),
            ("--frob=1 h", "--frob: there is no such option; landline serve --help lists them"),
            ("-x h", "-x: there is no such option; landline serve --help lists them"),
            ("h --out", "--out: a value must follow"),
            ("--out a -o b h", "-o: given twice"),
            ("--force=yes h", "--force: takes no value"),
            ("--force", "ADDRESS: missing; see landline serve --help"),
        ] {
            assert_eq!(read_line(line), Err(Stop::Wrong(why.to_owned())), "{line}");
        }
        assert!(matches!(read_line("h --help"), Err(Stop::Print(_))));
    }

    #[test]
    fn seconds_have_up_to_three_decimals() {
        for (text, milliseconds) in [
            ("0", Some(0)),
            ("10", Some(10_000)),
            ("0.5", Some(500)),
            ("1.005", Some(1_005)),
            ("18446744073709551", Some(18_446_744_073_709_551_000)),
            ("18446744073709552", None),
            ("1.0005", None),
            (".5", None),
            ("1.", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("10s", None),
        ] {
            assert_eq!(seconds_ms(text), milliseconds, "{text}");
        }
    }
}
