//! The list of `--run FILE`: a list and a command, with a NUL between them.
//!
//! Whatever both are: the program of an answer is absolute and stands in the list as it is, and no
//! word of the client's brings a control character along.

use landline::service::allow_list::AllowList;

/// The target.
pub(super) fn run(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (list, command) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let Ok(text) = std::str::from_utf8(list) else { return };
    let list = match AllowList::parse(text) {
        Ok(list) => list,
        Err(why) => {
            // It quotes the file, where a tab is a blank.
            assert!(
                !why.is_empty() && !why.chars().any(|c| c.is_control() && c != '\t'),
                "{why:?}"
            );
            return;
        }
    };
    match list.argv(command) {
        Ok(argv) => {
            let program = argv.first().expect("a program");
            assert!(program.starts_with(b"/"));
            let program = std::str::from_utf8(program).expect("a piece of the text");
            assert!(text.contains(program));
            assert!(argv.iter().flatten().all(|byte| !byte.is_ascii_control() || *byte == b'\t'));
        }
        Err(refusal) => {
            assert!(!refusal.text.chars().any(char::is_control), "{:?}", refusal.text);
        }
    }
}
