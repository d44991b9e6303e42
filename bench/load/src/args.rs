//! Options as `--NAME VALUE`, and the switches of [`SWITCHES`], which take no value.
//!
//! What it does not do: know which options a workload has; whoever reads them does, and
//! [`Args::all_used`] then refuses the rest.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use crate::Outcome;

/// Options without a value.
const SWITCHES: [&str; 4] = ["each", "framed", "named", "patient"];

/// What was typed after the verb.
pub struct Args {
    given: Vec<(String, String)>,
    used: RefCell<BTreeSet<String>>,
}

impl Args {
    /// Splits the words into options.
    ///
    /// # Errors
    /// A word that is no option, or an option without its value.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut given = Vec::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("{word}: not an option"))?;
            let value = if SWITCHES.contains(&name) {
                String::new()
            } else {
                words.next().ok_or_else(|| format!("--{name}: needs a value"))?
            };
            given.push((name.to_owned(), value));
        }
        Ok(Self { given, used: RefCell::default() })
    }

    /// The values of an option, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.used.borrow_mut().insert(name.to_owned());
        self.given.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Whether a switch was given.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The last value of an option, if any.
    ///
    /// # Errors
    /// A value of the wrong form.
    pub fn maybe<T: FromStr<Err: Display>>(&self, name: &str) -> Outcome<Option<T>> {
        self.all(name)
            .last()
            .map(|value| value.parse().map_err(|why| format!("--{name} {value}: {why}").into()))
            .transpose()
    }

    /// The last value of an option, or what stands for it.
    ///
    /// # Errors
    /// A value of the wrong form.
    pub fn or<T: FromStr<Err: Display>>(&self, name: &str, default: T) -> Outcome<T> {
        Ok(self.maybe(name)?.unwrap_or(default))
    }

    /// The last value of an option that has to be there.
    ///
    /// # Errors
    /// No value, or one of the wrong form.
    pub fn need<T: FromStr<Err: Display>>(&self, name: &str) -> Outcome<T> {
        self.maybe(name)?.ok_or_else(|| format!("--{name} is needed").into())
    }

    /// Refuses options that nobody asked for.
    ///
    /// # Errors
    /// Names the first of them.
    pub fn all_used(&self) -> Outcome<()> {
        let used = self.used.borrow();
        match self.given.iter().find(|(name, _)| !used.contains(name)) {
            Some((name, _)) => Err(format!("--{name}: not an option here").into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Outcome<Args> {
        Args::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_last_value_counts_and_what_nobody_read_is_refused() {
        let args = args("--depth 4 --framed --depth 16 --windw 3").unwrap();
        assert_eq!(args.or("depth", 1).unwrap(), 16);
        assert!(args.has("framed"));
        assert_eq!(args.or("size", 64).unwrap(), 64);
        assert_eq!(args.all_used().unwrap_err().to_string(), "--windw: not an option here");
    }

    #[test]
    fn a_word_without_dashes_and_a_missing_value_are_refused() {
        assert!(args("depth 4").is_err());
        assert!(args("--depth").is_err());
        assert!(args("--depth x").unwrap().need::<usize>("depth").is_err());
    }
}
