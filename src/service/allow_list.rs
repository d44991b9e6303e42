//! `AllowList`: the commands of a `--run FILE`, and how a client's words become their arguments.
//!
//! What it does not do: know a shell. There is no quoting and no expansion, on either side: words
//! are split at blanks (space, tab), and each becomes exactly one argument, or part of one.
//!
//! A line of the list is `NAME = /absolute/program arg … {1} {2} … {*}`. Empty lines, and lines
//! that start with `#`, count for nothing. `{N}` is the client's Nth word after NAME; it may stand
//! inside a word (`--name={1}`), though not in the program. `{*}`, all of the client's words as so
//! many arguments, stands alone. Any other brace is itself. A client must give every word that the
//! line names, and no more than it names.

use crate::protocol::refusal::{Code, Refusal};
use crate::protocol::text;

/// The commands that may be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowList {
    entries: Vec<Entry>,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    /// Where it stands in the file, from 1 on.
    line: usize,
    /// The program, then its arguments.
    template: Vec<Word>,
    /// How many of the client's words are named: the highest N of `{N}`.
    words_min: usize,
    /// Whether `{*}` takes words beyond those.
    takes_all: bool,
}

/// One word of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// Pieces that make one argument together.
    Pieces(Vec<Piece>),
    /// `{*}`.
    All,
}

/// A piece of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Itself.
    Literal(String),
    /// `{N}`, counted from 0 on.
    Nth(usize),
}

impl AllowList {
    /// Reads a list.
    ///
    /// # Errors
    /// A text that names the line, says what is wrong with it, and what to do.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut entries: Vec<Entry> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let (line, number) = (line.trim_matches(is_blank), index + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry =
                Entry::parse(line, number).map_err(|why| format!("line {number}: {why}"))?;
            if let Some(earlier) = entries.iter().find(|earlier| earlier.name == entry.name) {
                return Err(format!(
                    "line {number}: \"{}\" stands on line {} already: give one of them another \
                     name",
                    entry.name, earlier.line
                ));
            }
            entries.push(entry);
        }
        Ok(Self { entries })
    }

    /// The program and arguments that `command`, a NAME and words, stands for.
    ///
    /// # Errors
    /// `bad-request` where there is no NAME; `denied` where NAME is not on the list, a word holds a
    /// control character, or there are too many or too few words.
    pub fn argv(&self, command: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut words =
            command.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        let name =
            words.next().ok_or_else(|| Refusal::new(Code::BadRequest, "run: no command given"))?;
        let words = words.collect::<Vec<_>>();
        if std::iter::once(&name).chain(&words).any(|word| has_control(word)) {
            return Err(Refusal::new(Code::Denied, "a control character in the command"));
        }
        self.entries
            .iter()
            .find(|entry| entry.name.as_bytes() == name)
            .ok_or_else(|| Refusal::quoting(Code::Denied, name, "not on this server's list"))?
            .expand(&words)
    }
}

impl Entry {
    fn parse(line: &str, number: usize) -> Result<Self, String> {
        if line.chars().any(text::is_control) {
            return Err("a control character: remove it".to_owned());
        }
        let (name, command) = line
            .split_once('=')
            .ok_or_else(|| "no \"=\": write NAME = /absolute/program arguments".to_owned())?;
        let name = name.trim_matches(is_blank);
        if name.is_empty() || name.contains(is_blank) {
            return Err(format!("\"{name}\" is no NAME: write one word before the \"=\""));
        }
        let template = command.split(is_blank).filter(|word| !word.is_empty()).map(Word::parse);
        let template = template.collect::<Result<Vec<_>, _>>()?;
        check_program(template.first())?;
        let named = template.iter().flat_map(Word::named).collect::<Vec<_>>();
        let words_min = named.iter().max().map_or(0, |highest| highest + 1);
        if let Some(absent) = (0..words_min).find(|nth| !named.contains(nth)) {
            return Err(format!("{{{words_min}}} without {{{}}}: count from {{1}} on", absent + 1));
        }
        let takes_all = template.contains(&Word::All);
        Ok(Self { name: name.to_owned(), line: number, template, words_min, takes_all })
    }

    fn expand(&self, words: &[&[u8]]) -> Result<Vec<Vec<u8>>, Refusal> {
        let (min, count) = (self.words_min, words.len());
        if count < min || (count > min && !self.takes_all) {
            let least = if self.takes_all { "at least " } else { "" };
            let plural = if min == 1 { "" } else { "s" };
            let why = format!("takes {least}{min} word{plural}, not {count}");
            return Err(Refusal::quoting(Code::Denied, self.name.as_bytes(), &why));
        }
        let mut argv = Vec::with_capacity(self.template.len() + count);
        for word in &self.template {
            match word {
                Word::All => argv.extend(words.iter().map(|word| word.to_vec())),
                Word::Pieces(pieces) => argv.push(join(pieces, words)),
            }
        }
        Ok(argv)
    }
}

impl Word {
    fn parse(word: &str) -> Result<Self, String> {
        if word == "{*}" {
            return Ok(Self::All);
        }
        if word.contains("{*}") {
            return Err(format!("\"{word}\": {{*}} must stand alone, between blanks"));
        }
        let mut pieces = Vec::new();
        let (mut literal, mut rest) = (String::new(), word);
        while let Some(brace) = rest.find('{') {
            let inside = rest[brace + 1..].split_once('}').map(|(inside, _)| inside);
            let Some(digits) = inside.filter(|inside| is_number(inside)) else {
                literal.push_str(&rest[..=brace]);
                rest = &rest[brace + 1..];
                continue;
            };
            literal.push_str(&rest[..brace]);
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            let nth = digits.parse::<u8>().ok().and_then(|n| n.checked_sub(1));
            let nth = nth.ok_or_else(|| format!("{{{digits}}}: write {{1}} to {{255}}"))?;
            pieces.push(Piece::Nth(nth.into()));
            rest = &rest[brace + digits.len() + 2..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self::Pieces(pieces))
    }

    /// The words of the client's that stand in this one, counted from 0 on.
    fn named(&self) -> impl Iterator<Item = usize> + '_ {
        let pieces = match self {
            Self::Pieces(pieces) => pieces.as_slice(),
            Self::All => &[],
        };
        pieces.iter().filter_map(|piece| match piece {
            Piece::Nth(nth) => Some(*nth),
            Piece::Literal(_) => None,
        })
    }
}

/// The program is fixed: no word of a client's may choose it.
fn check_program(program: Option<&Word>) -> Result<(), String> {
    let Some(program) = program else {
        return Err("no program after the \"=\": write its absolute path".to_owned());
    };
    match program {
        Word::Pieces(pieces) => match pieces.as_slice() {
            [Piece::Literal(path)] if path.starts_with('/') => Ok(()),
            [Piece::Literal(path)] => {
                Err(format!("the program \"{path}\" is not absolute: start it with a \"/\""))
            }
            _ => Err("the program itself cannot hold {1}: write its absolute path".to_owned()),
        },
        Word::All => Err("the program itself cannot be {*}: write its absolute path".to_owned()),
    }
}

fn join(pieces: &[Piece], words: &[&[u8]]) -> Vec<u8> {
    let mut argument = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => argument.extend_from_slice(literal.as_bytes()),
            Piece::Nth(nth) => argument.extend_from_slice(words[*nth]),
        }
    }
    argument
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Bytes that are no UTF-8 are no control characters: file names may hold them.
fn has_control(word: &[u8]) -> bool {
    word.utf8_chunks().any(|chunk| chunk.valid().chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> AllowList {
        AllowList::parse(text).expect("a list")
    }

    fn argv(text: &str, command: &str) -> Vec<String> {
        let argv = list(text).argv(command.as_bytes()).expect("a command of the list");
        argv.into_iter().map(|word| String::from_utf8(word).expect("UTF-8")).collect()
    }

    fn refusal(text: &str, command: &[u8]) -> (Code, String) {
        let refusal = list(text).argv(command).expect_err("not a command of the list");
        (refusal.code, refusal.text)
    }

    #[test]
    fn a_name_stands_for_its_program_and_arguments() {
        let text = "# what may be run\n\n  up = /usr/bin/uptime\t-p \r\nls=/bin/ls";
        assert_eq!(argv(text, "up"), ["/usr/bin/uptime", "-p"]);
        assert_eq!(argv(text, " ls "), ["/bin/ls"]);
    }

    #[test]
    fn words_are_put_where_the_line_says() {
        let text = "tail = /usr/bin/tail -n {2} --file={1}.log -- {1}{2}";
        let expected = ["/usr/bin/tail", "-n", "9", "--file=app.log", "--", "app9"];
        assert_eq!(argv(text, "tail app  \t9"), expected);
    }

    #[test]
    fn all_words_become_so_many_arguments() {
        let text = "echo = /bin/echo -- {*} end\nfirst = /bin/echo {1} of {*}";
        assert_eq!(
            argv(text, "echo a 'b c' $HOME"),
            ["/bin/echo", "--", "a", "'b", "c'", "$HOME", "end"]
        );
        assert_eq!(argv(text, "echo"), ["/bin/echo", "--", "end"]);
        assert_eq!(argv(text, "first a b"), ["/bin/echo", "a", "of", "a", "b"]);
        let few = (Code::Denied, "first: takes at least 1 word, not 0".to_owned());
        assert_eq!(refusal(text, b"first"), few);
    }

    #[test]
    fn what_a_word_holds_is_not_expanded_again() {
        assert_eq!(argv("e = /bin/echo {1} {2}", "e {2} {*}"), ["/bin/echo", "{2}", "{*}"]);
    }

    #[test]
    fn other_braces_are_themselves() {
        assert_eq!(
            argv("f = /bin/f {} a{b}c {1 {{1}}", "f x"),
            ["/bin/f", "{}", "a{b}c", "{1", "{x}"]
        );
    }

    #[test]
    fn words_the_line_does_not_take_are_denied() {
        let text = "up = /usr/bin/uptime\ncat = /bin/cat {1}";
        for (command, why) in [
            ("up -p", "up: takes 0 words, not 1"),
            ("cat", "cat: takes 1 word, not 0"),
            ("cat a b", "cat: takes 1 word, not 2"),
            ("UP", "UP: not on this server's list"),
            ("/usr/bin/uptime", "/usr/bin/uptime: not on this server's list"),
        ] {
            assert_eq!(refusal(text, command.as_bytes()), (Code::Denied, why.to_owned()));
        }
        let none = (Code::BadRequest, "run: no command given".to_owned());
        assert_eq!(refusal(text, b" \t"), none);
        assert_eq!(refusal("", b"up").0, Code::Denied);
    }

    #[test]
    fn control_characters_are_denied_wherever_they_stand() {
        let text = "cat = /bin/cat {*}";
        for command in ["cat a\0b", "cat a\x1b[m", "ca\rt", "cat \u{9b}", "cat a\x0bb", "cat \x7f"]
        {
            let why = "a control character in the command".to_owned();
            assert_eq!(refusal(text, command.as_bytes()), (Code::Denied, why), "{command:?}");
        }
        let name = list(text).argv(b"cat \xff").expect("a file may be so named");
        assert_eq!(name[1], b"\xff");
    }

    #[test]
    fn a_wrong_line_is_named_with_what_to_do() {
        for (text, error) in [
            ("\nup", "line 2: no \"=\": write NAME = /absolute/program arguments"),
            ("= /bin/ls", "line 1: \"\" is no NAME: write one word before the \"=\""),
            ("a b = /bin/ls", "line 1: \"a b\" is no NAME: write one word before the \"=\""),
            ("a =", "line 1: no program after the \"=\": write its absolute path"),
            ("a = ls -l", "line 1: the program \"ls\" is not absolute: start it with a \"/\""),
            ("a = /{1}", "line 1: the program itself cannot hold {1}: write its absolute path"),
            ("a = {*}", "line 1: the program itself cannot be {*}: write its absolute path"),
            ("a = /b x{*}", "line 1: \"x{*}\": {*} must stand alone, between blanks"),
            ("a = /b {0}", "line 1: {0}: write {1} to {255}"),
            ("a = /b {256}", "line 1: {256}: write {1} to {255}"),
            ("a = /b {3} {1}", "line 1: {3} without {2}: count from {1} on"),
            ("a = /b \x1b", "line 1: a control character: remove it"),
            (
                "a = /b\n#\na = /c",
                "line 3: \"a\" stands on line 1 already: give one of them another name",
            ),
        ] {
            assert_eq!(AllowList::parse(text), Err(error.to_owned()), "{text:?}");
        }
    }
}
