//! What is typed or stands in a file of options: any text is taken or refused with a text for
//! people; nothing else happens.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use landline::cli::{self, Host, Parsed};
use landline::server::config_file;
use landline::service::policy::{Origin, Rule};

/// The options that name a file: a fuzzer is not to open files.
const READS_FILES: [&str; 4] = ["--config", "--run", "--root", "-r"];

/// A file of options, as `--config` takes it.
pub(super) fn options(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = match config_file::lines(text) {
        Ok(lines) => lines,
        Err(why) => return assert!(!why.is_empty()),
    };
    let mut args = vec![OsString::from("serve")];
    let mut before = 0;
    for line in lines {
        assert!(line.number > before, "lines are counted from 1 on, in their order");
        assert!(!line.words.is_empty());
        before = line.number;
        args.extend(line.words.into_iter().map(OsString::from));
    }
    assert!(before <= text.lines().count().max(1));
    parse(&args);
}

/// An address, everywhere where one may stand.
pub(super) fn addresses(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Rule::parse(text) {
        Ok(rule) => {
            assert_eq!(Rule::parse(&rule.to_string()), Ok(rule), "it is read as it is written");
            if let Rule::Address(block) = rule {
                let written = block.to_string();
                let first = written.split('/').next().and_then(|first| first.parse().ok());
                let origin = Origin { address: first, uid: None };
                assert!(first.is_some() && rule.matches(&origin), "{written}");
            }
        }
        // The command line cleans it before anyone sees it, below.
        Err(why) => assert!(!why.is_empty()),
    }
    for option in ["-l", "--metrics", "--allow", "--allow-run"] {
        parse(&["serve", option, text].map(OsString::from));
    }
    for command in ["ping", "connect", "users"] {
        parse(&[OsString::from(command), OsString::from_vec(data.to_vec())]);
    }
}

fn parse(args: &[OsString]) {
    let reads = |arg: &OsString| {
        arg.to_str().is_none_or(|arg| READS_FILES.iter().any(|option| arg.starts_with(option)))
    };
    if args.iter().any(reads) {
        return;
    }
    let host = Host { name: "fuzz".to_owned(), uid: 1000, client_options: None };
    let parsed = cli::parse(args, &host);
    if let Parsed::Fail { text, status } = &parsed {
        assert!(text.starts_with("landline: ") || text.contains("Usage: "), "{text:?}");
        assert!(matches!(status, 2 | 78 | 255), "{status}");
        check_text(&text.replace('\n', " "));
    } else if let Parsed::Print(text) = &parsed {
        assert!(text.ends_with('\n'));
    }
}

/// An error is for a terminal too, where a tab is a blank.
fn check_text(text: &str) {
    assert!(!text.chars().any(|c| c.is_control() && c != '\t'), "{text:?}");
}
