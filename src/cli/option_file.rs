//! Files of options, one a line as on the command line: the server's `--config`, and the client's
//! that `LANDLINE_CONFIG` names.
//!
//! What it does not do: know any option, or how a line is taken apart
//! (`server::config_file::lines`).

use std::fs;
use std::path::Path;

use super::{Stop, resolve};
use crate::server::config_file::{self, Line};

/// The text of the file at `path`; an error says why it cannot be read.
pub(super) fn text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| resolve::why(&error))
}

/// All words of the file's `text`. Each line was taken by `check` by itself first, so that an error
/// can name its line.
pub(super) fn words(
    text: &str,
    check: impl Fn(&[String]) -> Result<(), Stop>,
) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for Line { number, words } in config_file::lines(text)? {
        check(&words).map_err(|stop| format!("line {number}: {}", why(stop)))?;
        all.extend(words);
    }
    Ok(all)
}

/// What is wrong with words of a file.
pub(super) fn why(stop: Stop) -> String {
    match stop {
        Stop::Wrong(why) => why,
        Stop::Print(_) => "--help and --version are for the command line".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_not_taken_is_named() {
        let check = |words: &[String]| match words {
            [option, ..] if option == "--bad" => Err(Stop::Wrong("why".to_owned())),
            [option, ..] if option == "--help" => Err(Stop::Print("text".to_owned())),
            _ => Ok(()),
        };
        let all = ["--one", "x", "--two"].map(str::to_owned).to_vec();
        assert_eq!(words("one x\n# none\ntwo\n", check), Ok(all));
        assert_eq!(words("one\n\nbad", check), Err("line 3: why".to_owned()));
        let help = "line 1: --help and --version are for the command line".to_owned();
        assert_eq!(words("help", check), Err(help));
    }

    #[test]
    fn a_file_that_is_not_there_is_told() {
        let told = text(Path::new("/nonexistent/options"));
        assert_eq!(told, Err("No such file or directory".to_owned()));
    }
}
