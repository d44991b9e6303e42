//! The `--config` file, and a client's of the same form: its text, taken apart into words as a
//! command line would have them.
//!
//! What it does not do: read the file, or know any option; that is `cli`, which treats these words
//! as it treats those that were typed.
//!
//! One option a line, with or without its leading dashes, its value after a blank or a `=`:
//! `--listen chat@5001`, `listen chat@5001`, `listen = chat@5001`, `hidden`. A value is all the
//! rest of the line, blanks inside it included; there is no quoting. `#` starts a comment at the
//! start of a line or after a blank.

/// One option of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it stands in the file, from 1 on.
    pub number: usize,
    /// The option with its dashes, then its value where it has one.
    pub words: Vec<String>,
}

/// Takes the text of a file apart.
///
/// # Errors
/// A text that names the line and what is wrong with it.
pub fn lines(text: &str) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for (index, written) in text.lines().enumerate() {
        let number = index + 1;
        let written = without_comment(written).trim_matches(is_blank);
        if written.contains(|character: char| character.is_control() && character != '\t') {
            return Err(format!("line {number}: a control character: remove it"));
        }
        if !written.is_empty() {
            lines.push(Line { number, words: words(written) });
        }
    }
    Ok(lines)
}

fn without_comment(line: &str) -> &str {
    let starts_comment = |at: usize| at == 0 || line[..at].ends_with(is_blank);
    match line.match_indices('#').find(|(at, _)| starts_comment(*at)) {
        Some((at, _)) => &line[..at],
        None => line,
    }
}

fn words(written: &str) -> Vec<String> {
    let end = written.find(|character| is_blank(character) || character == '=');
    let (name, value) = written.split_at(end.unwrap_or(written.len()));
    let name = if name.starts_with('-') { name.to_owned() } else { format!("--{name}") };
    let value = value.trim_start_matches(is_blank);
    let value = value.strip_prefix('=').unwrap_or(value).trim_start_matches(is_blank);
    if value.is_empty() { vec![name] } else { vec![name, value.to_owned()] }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, Vec<String>)> {
        let lines = lines(text).expect("a good file");
        lines.into_iter().map(|line| (line.number, line.words)).collect()
    }

    #[test]
    fn every_way_to_write_an_option_is_the_same_option() {
        for text in [
            "listen chat@5001",
            "listen = chat@5001",
            "listen=chat@5001",
            "--listen chat@5001",
            "--listen=chat@5001\r\n",
            "\t listen \t chat@5001 \t# who talks",
        ] {
            let words = vec!["--listen".to_owned(), "chat@5001".to_owned()];
            assert_eq!(read(text), [(1, words)], "{text:?}");
        }
        assert_eq!(read("-l 5001")[0].1, ["-l", "5001"]);
        assert_eq!(read("hidden")[0].1, ["--hidden"]);
        assert_eq!(read("hidden =")[0].1, ["--hidden"]);
    }

    #[test]
    fn comments_and_empty_lines_count_for_nothing_but_the_number() {
        assert_eq!(
            read("# all of it\n\n \t\nhidden#\n  # more\n-v"),
            [(4, vec!["--hidden#".to_owned()]), (6, vec!["-v".to_owned()])]
        );
    }

    #[test]
    fn a_value_is_the_rest_of_the_line() {
        assert_eq!(read("name = Tom's = #1 server")[0].1, ["--name", "Tom's ="]);
        assert_eq!(read("root /srv/my  files")[0].1, ["--root", "/srv/my  files"]);
        assert_eq!(read("root /srv/a#b")[0].1, ["--root", "/srv/a#b"]);
    }

    #[test]
    fn control_characters_are_refused() {
        let error = "line 2: a control character: remove it".to_owned();
        assert_eq!(lines("hidden\nroot /srv\0/x"), Err(error));
    }
}
