//! A reader of Rust good enough for the house rules: which characters are code and which are
//! comment, the words of the code, where functions and test-only items begin and end.
//!
//! What it does not do: parse. It knows literals, comments and matching brackets, nothing of
//! macros or types, and it trusts that the text compiles.

/// A word or one mark of punctuation (`::` counts as one), and its line, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

/// A function with a body: its name and the lines of `fn` and of its closing brace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    pub(crate) first_line: usize,
    pub(crate) last_line: usize,
}

/// A path such as `crate::sys::epoll`; the branches of a `use` tree are paths of their own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    pub(crate) segments: Vec<&'a str>,
    pub(crate) line: usize,
    /// How many inline modules (`mod tests { … }`) it stands in.
    pub(crate) inline_depth: usize,
}

/// A source with its code and its comments apart: both keep every line and column of the source;
/// what belongs to the other, or to the inside of a literal, is blank.
pub(crate) struct Split {
    pub(crate) code: String,
    pub(crate) comments: String,
}

/// Tells code, comments and literals apart.
pub(crate) fn split(source: &str) -> Split {
    let mut splitter = Splitter {
        chars: source.chars().collect(),
        at: 0,
        out: Split { code: String::new(), comments: String::new() },
    };
    while let Some(character) = splitter.peek(0) {
        match (character, splitter.peek(1)) {
            ('/', Some('/')) => splitter.line_comment(),
            ('/', Some('*')) => splitter.block_comment(),
            ('"', _) => splitter.string(),
            ('\'', _) => splitter.quote(),
            _ if is_word(character) => splitter.word(),
            _ => splitter.code(1),
        }
    }
    splitter.out
}

struct Splitter {
    chars: Vec<char>,
    at: usize,
    out: Split,
}

impl Splitter {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    /// Moves past `count` characters: `keep` says which of the two texts shows them.
    fn advance(&mut self, count: usize, keep: fn(char) -> (char, char)) {
        for _ in 0..count {
            let Some(character) = self.peek(0) else { return };
            let (code, comment) = if character == '\n' { ('\n', '\n') } else { keep(character) };
            self.out.code.push(code);
            self.out.comments.push(comment);
            self.at += 1;
        }
    }

    fn code(&mut self, count: usize) {
        self.advance(count, |character| (character, ' '));
    }

    fn comment(&mut self, count: usize) {
        self.advance(count, |character| (' ', character));
    }

    fn literal(&mut self, count: usize) {
        self.advance(count, |_| (' ', ' '));
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|character| character != '\n') {
            self.comment(1);
        }
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (None, _) => return,
                _ => {
                    self.comment(1);
                    continue;
                }
            }
            self.comment(2);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.code(1);
        while let Some(character) = self.peek(0) {
            match character {
                '"' => return self.code(1),
                '\\' => self.literal(2),
                _ => self.literal(1),
            }
        }
    }

    /// A quote opens a character, or a lifetime, which has no closing quote.
    fn quote(&mut self) {
        if self.peek(1) == Some('\\') {
            self.literal(3);
            while self.peek(0).is_some_and(|character| character != '\'') {
                self.literal(1);
            }
            self.literal(1);
        } else if self.peek(2) == Some('\'') {
            self.literal(3);
        } else {
            self.code(1);
        }
    }

    fn word(&mut self) {
        let start = self.at;
        while self.peek(0).is_some_and(is_word) {
            self.code(1);
        }
        if matches!(&self.chars[start..self.at], ['r'] | ['b' | 'c', 'r']) {
            self.raw_string();
        }
    }

    /// After `r`: any number of `#`, a quote, and all up to a quote with as many `#`. Without the
    /// quote it was a raw identifier, and nothing is taken.
    fn raw_string(&mut self) {
        let hashes = self.chars[self.at..].iter().take_while(|c| **c == '#').count();
        if self.peek(hashes) != Some('"') {
            return;
        }
        self.literal(hashes + 1);
        while let Some(character) = self.peek(0) {
            let closes =
                character == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            self.literal(if closes { hashes + 1 } else { 1 });
            if closes {
                return;
            }
        }
    }
}

/// True for a character of an identifier, a keyword or a number.
pub(crate) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The tokens of `code`, blanks dropped.
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = code;
    while let Some(character) = rest.chars().next() {
        let word_bytes = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let bytes = match character {
            _ if word_bytes > 0 => word_bytes,
            ':' if rest.starts_with("::") => 2,
            _ => character.len_utf8(),
        };
        if !character.is_whitespace() {
            found.push(Token { text: &rest[..bytes], line });
        }
        line += usize::from(character == '\n');
        rest = &rest[bytes..];
    }
    found
}

/// The text of token `at`, or nothing beyond the end.
pub(crate) fn text<'a>(tokens: &[Token<'a>], at: usize) -> &'a str {
    tokens.get(at).map_or("", |token| token.text)
}

/// Where an item that starts at `at` ends: the `;` outside all brackets, or the brace that closes
/// the first one opened outside all other brackets.
pub(crate) fn item_end(tokens: &[Token<'_>], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index;
                }
            }
            ";" if depth == 0 => return index,
            _ => {}
        }
    }
    tokens.len().saturating_sub(1)
}

/// Every function that has a body, also those inside others.
pub(crate) fn functions<'a>(tokens: &[Token<'a>]) -> Vec<Function<'a>> {
    let is_name = |word: &str| word.starts_with(is_word);
    let starts =
        (0..tokens.len()).filter(|at| tokens[*at].text == "fn" && is_name(text(tokens, at + 1)));
    let spans = starts.map(|at| (at, item_end(tokens, at)));
    spans
        .filter(|(_, end)| text(tokens, *end) == "}")
        .map(|(at, end)| Function {
            name: tokens[at + 1].text,
            first_line: tokens[at].line,
            last_line: tokens[end].line,
        })
        .collect()
}

/// The tokens that are not below a `#[cfg(test)]`.
pub(crate) fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if ATTRIBUTE.iter().enumerate().all(|(ahead, part)| text(tokens, at + ahead) == *part) {
            at = item_end(tokens, at + ATTRIBUTE.len()) + 1;
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

/// Every path of the code; a lone word is a path of one segment.
pub(crate) fn paths<'a>(tokens: &[Token<'a>]) -> Vec<Path<'a>> {
    let mut found = Vec::new();
    let mut braces: Vec<bool> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].text {
            "{" => braces.push(at >= 2 && tokens[at - 2].text == "mod"),
            "}" => drop(braces.pop()),
            word if word.starts_with(is_word) => {
                let inline_depth = braces.iter().filter(|is_module| **is_module).count();
                at = branches(tokens, at, &[], inline_depth, &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Adds the paths that go on from `prefix` at token `at`; returns the token after them.
fn branches<'a>(
    tokens: &[Token<'a>],
    mut at: usize,
    prefix: &[&'a str],
    inline_depth: usize,
    found: &mut Vec<Path<'a>>,
) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.line);
    loop {
        let word = text(tokens, at);
        if word == "{" {
            at += 1;
            while !matches!(text(tokens, at), "}" | "") {
                at = match text(tokens, at) {
                    "," => at + 1,
                    // Then comes the new name, which is no path.
                    "as" => at + 2,
                    // A step at least, also over what no `use` tree holds.
                    _ => branches(tokens, at, &segments, inline_depth, found).max(at + 1),
                };
            }
            return at + 1;
        }
        let is_segment = word == "*" || word.starts_with(is_word);
        if is_segment {
            segments.push(word);
            at += 1;
        }
        if is_segment && text(tokens, at) == "::" {
            at += 1;
            continue;
        }
        found.push(Path { segments, line, inline_depth });
        return at;
    }
}
