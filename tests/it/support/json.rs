//! Just enough JSON (RFC 8259) to see that a line is an object, and to look at its strings.
//!
//! What it does not do: keep nested values, or numbers as numbers; they come as their text.

use std::collections::BTreeMap;

/// The members of the object that `text` is. Panics where it is none.
#[track_caller]
pub(crate) fn object(text: &str) -> BTreeMap<String, String> {
    let mut reader = Reader { rest: text };
    let members = reader.object().unwrap_or_else(|| panic!("no JSON object: {text:?}"));
    assert!(reader.rest.trim().is_empty(), "something after the object: {text:?}");
    members
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn eat(&mut self, token: char) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn object(&mut self) -> Option<BTreeMap<String, String>> {
        let mut members = BTreeMap::new();
        self.eat('{')?;
        if self.eat('}').is_some() {
            return Some(members);
        }
        loop {
            let key = self.string()?;
            self.eat(':')?;
            let value = self.value()?;
            if members.insert(key, value).is_some() {
                return None; // the same key twice
            }
            if self.eat('}').is_some() {
                return Some(members);
            }
            self.eat(',')?;
        }
    }

    fn value(&mut self) -> Option<String> {
        self.rest = self.rest.trim_start();
        match self.rest.chars().next()? {
            '"' => self.string(),
            '{' => self.object().map(|members| format!("{members:?}")),
            _ => {
                let end = self.rest.find([',', '}', ' ']).unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                let is_known = matches!(word, "true" | "false" | "null");
                (is_known || word.parse::<f64>().is_ok()).then(|| word.to_string())
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.eat('"')?;
        let mut text = String::new();
        let mut characters = self.rest.char_indices();
        loop {
            let (at, character) = characters.next()?;
            match character {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                '\\' => match characters.next()?.1 {
                    'u' => {
                        let digits: String = characters.by_ref().take(4).map(|(_, c)| c).collect();
                        let code = u32::from_str_radix(&digits, 16).ok()?;
                        text.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                    }
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    escaped @ ('"' | '\\' | '/') => text.push(escaped),
                    'b' | 'f' => text.push(' '),
                    _ => return None,
                },
                control if control < ' ' => return None,
                other => text.push(other),
            }
        }
    }
}
