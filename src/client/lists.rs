//! `landline users`, `files` and `stats`: what the server lists, for people or as JSON.
//!
//! What it does not do: believe that an answer is what was asked for, or harmless. Each line is
//! checked, and cleaned. A listing is shown as it comes, however long it is.

use std::fmt::Write as _;

use super::command::Common;
use super::failure::Failure;
use super::output::Out;
use super::wire::{Wire, broken};
use crate::protocol::limits::HEADER_BYTES_MAX;
use crate::protocol::text;

/// Longest line of a listing, in bytes: no file system has names of such a length.
const ENTRY_BYTES_MAX: usize = HEADER_BYTES_MAX;
/// Columns that sizes have on a terminal.
const SIZE_COLUMNS: usize = 13;

/// `landline users`: who has a name there, one a line, in order of joining.
pub(super) fn users(common: &Common, is_json: bool) -> Result<(), Failure> {
    answered(common, "get_list", |answer| {
        let names = users_of(answer).ok_or_else(|| broken("a list without users"))?;
        Ok(if is_json {
            json_array(names.iter().map(|name| json(name)))
        } else {
            names.iter().map(|name| text::clean(name) + "\n").collect()
        })
    })
}

/// `landline stats`: counters of the server, `NAME VALUE` a line.
pub(super) fn stats(common: &Common, is_json: bool) -> Result<(), Failure> {
    answered(common, "stats", |answer| {
        let lines = answer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let counters: Option<Vec<_>> = lines.map(counter).collect();
        let counters = counters.ok_or_else(|| broken("a counter without a value"))?;
        Ok(if is_json { json_object(&counters) } else { counter_lines(&counters) })
    })
}

/// `landline files`: a directory's entries, `SIZE MTIME NAME` a line.
pub(super) fn files(common: &Common, path: Option<&str>, is_json: bool) -> Result<(), Failure> {
    let (mut wire, mut watch) = Wire::open(common)?;
    let mut out = Out::stdout()?;
    // Nothing of it is kept.
    wire.answer_bytes_max = u64::MAX;
    wire.ask(&path.map_or("files".to_owned(), |path| format!("files {path}")), &mut watch)?;
    let mut listing = Listing::new(is_json, out.is_terminal);
    while let Some(piece) = wire.payload(&mut watch)? {
        let shown = listing.on_bytes(piece)?;
        out.write(shown.as_bytes(), &mut watch)?;
    }
    out.write(listing.finish()?.as_bytes(), &mut watch)
}

/// Writes what `form` makes of the answer to `request`.
fn answered(
    common: &Common,
    request: &str,
    form: impl FnOnce(&[u8]) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let (mut wire, mut watch) = Wire::open(common)?;
    wire.ask(request, &mut watch)?;
    let answer = wire.text(&mut watch)?;
    Out::stdout()?.write(form(&answer)?.as_bytes(), &mut watch)
}

/// The names of `users: A B C`.
pub(super) fn users_of(answer: &[u8]) -> Option<Vec<&[u8]>> {
    let names = answer.strip_suffix(b"\n").unwrap_or(answer).strip_prefix(b"users:")?;
    Some(names.split(|byte| *byte == b' ').filter(|name| !name.is_empty()).collect())
}

/// The name and the value of a counter.
fn counter(line: &[u8]) -> Option<(String, String)> {
    let (name, value) = split_blank(line)?;
    let is_pair = !name.is_empty() && !value.is_empty();
    is_pair.then(|| (text::clean(name), text::clean(value)))
}

fn counter_lines(counters: &[(String, String)]) -> String {
    let pieces = counters.iter().flat_map(|(name, value)| [name, " ", value, "\n"]);
    pieces.collect()
}

fn json_object(counters: &[(String, String)]) -> String {
    let mut text = String::from("{");
    for (index, (name, value)) in counters.iter().enumerate() {
        text.push_str(if index == 0 { "" } else { "," });
        text::json_into(&mut text, name);
        text.push(':');
        if is_number(value) { text.push_str(value) } else { text::json_into(&mut text, value) }
    }
    text + "}\n"
}

/// Whether it can stand in JSON as it is: digits, and digits after a point (RFC 8259, section 6).
fn is_number(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    is_digits(whole) && is_digits(decimals) && (whole == "0" || !whole.starts_with('0'))
}

fn json_array(values: impl Iterator<Item = String>) -> String {
    format!("[{}]\n", values.collect::<Vec<_>>().join(","))
}

fn json(bytes: &[u8]) -> String {
    let mut quoted = String::new();
    text::json_into(&mut quoted, &text::clean(bytes));
    quoted
}

fn split_blank(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = line.iter().position(|byte| *byte == b' ')?;
    Some((&line[..blank], &line[blank + 1..]))
}

/// Lines of a listing, as they come.
struct Listing {
    /// The start of a line whose end is to come.
    kept: Vec<u8>,
    is_json: bool,
    is_terminal: bool,
    entries: u64,
}

impl Listing {
    fn new(is_json: bool, is_terminal: bool) -> Self {
        Self { kept: Vec::new(), is_json, is_terminal, entries: 0 }
    }

    /// What is shown of the lines that `bytes` end.
    fn on_bytes(&mut self, bytes: &[u8]) -> Result<String, Failure> {
        let mut shown = String::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.kept.extend_from_slice(piece);
            if self.kept.len() > ENTRY_BYTES_MAX {
                return Err(broken("a listing with an endless line"));
            }
            if self.kept.ends_with(b"\n") {
                self.kept.pop();
                self.on_line(&mut shown)?;
            }
        }
        Ok(shown)
    }

    fn on_line(&mut self, shown: &mut String) -> Result<(), Failure> {
        let line = std::mem::take(&mut self.kept);
        let entry = Entry::parse(&line).ok_or_else(|| broken("a listing with an odd line"))?;
        if self.is_json {
            shown.push_str(if self.entries == 0 { "[" } else { ",\n" });
            entry.write_json(shown);
        } else {
            let columns = if self.is_terminal { SIZE_COLUMNS } else { 0 };
            let Entry { size, mtime, name } = entry;
            let size = size.map_or("-".to_owned(), |size| size.to_string());
            writeln!(shown, "{size:>columns$} {mtime} {name}").expect(WRITES);
        }
        self.entries += 1;
        Ok(())
    }

    /// What is shown at the end.
    fn finish(&mut self) -> Result<&'static str, Failure> {
        match (self.kept.is_empty(), self.is_json, self.entries) {
            (false, ..) => Err(broken("a listing without an end")),
            (true, false, _) => Ok(""),
            (true, true, 0) => Ok("[]\n"),
            (true, true, _) => Ok("]\n"),
        }
    }
}

const WRITES: &str = "a String takes all that is written";

/// One line of a listing.
struct Entry<'a> {
    /// In bytes; a directory has none.
    size: Option<u64>,
    /// As it came: a date and a time in UTC.
    mtime: &'a str,
    /// Cleaned; that of a directory ends in a `/`.
    name: String,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let (size, rest) = split_blank(line)?;
        let (mtime, name) = split_blank(rest)?;
        let size = match size {
            b"-" => None,
            digits => Some(crate::protocol::reply::number(digits)?),
        };
        let mtime = str::from_utf8(mtime).ok().filter(|mtime| is_time(mtime))?;
        let is_entry = !name.is_empty() && size.is_none() == name.ends_with(b"/");
        is_entry.then(|| Self { size, mtime, name: text::clean(name) })
    }

    fn write_json(&self, out: &mut String) {
        let Self { size, mtime, name } = self;
        out.push_str("{\"name\":");
        text::json_into(out, name.strip_suffix('/').unwrap_or(name));
        let (kind, size) = match size {
            Some(size) => ("file", size.to_string()),
            None => ("directory", "null".to_owned()),
        };
        write!(out, ",\"type\":\"{kind}\",\"size\":{size},\"mtime\":\"{mtime}\"}}").expect(WRITES);
    }
}

/// Whether it has the form of `2020-12-17T20:06:53Z`.
fn is_time(text: &str) -> bool {
    let form = b"0000-00-00T00:00:00Z";
    let fits = |(byte, form): (u8, &u8)| {
        if *form == b'0' { byte.is_ascii_digit() } else { byte == *form }
    };
    text.len() == form.len() && text.bytes().zip(form).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &[u8] = b"12 2020-12-17T20:06:53Z a \"b\"\n- 1970-01-01T00:00:00Z d\x1b/\n";

    fn listed(bytes: &[u8], step: usize, is_json: bool) -> Result<String, Failure> {
        let mut listing = Listing::new(is_json, false);
        let mut shown = String::new();
        for piece in bytes.chunks(step) {
            shown.push_str(&listing.on_bytes(piece)?);
        }
        Ok(shown + listing.finish()?)
    }

    #[test]
    fn a_listing_is_the_same_however_it_is_cut() {
        let lines = "12 2020-12-17T20:06:53Z a \"b\"\n- 1970-01-01T00:00:00Z d\u{fffd}/\n";
        let json = "[{\"name\":\"a \\\"b\\\"\",\"type\":\"file\",\"size\":12,\
                    \"mtime\":\"2020-12-17T20:06:53Z\"},\n{\"name\":\"d\u{fffd}\",\
                    \"type\":\"directory\",\"size\":null,\"mtime\":\"1970-01-01T00:00:00Z\"}]\n";
        for step in 1..=LISTING.len() {
            assert_eq!(listed(LISTING, step, false).as_deref(), Ok(lines), "cut after each {step}");
            assert_eq!(listed(LISTING, step, true).as_deref(), Ok(json), "cut after each {step}");
        }
        assert_eq!(listed(b"", 1, true).as_deref(), Ok("[]\n"));
    }

    #[test]
    fn what_is_no_listing_is_none() {
        let endless = [b"1 2020-12-17T20:06:53Z ".as_slice(), &[b'a'; ENTRY_BYTES_MAX]].concat();
        for bytes in [
            &b"12 2020-12-17T20:06:53Z a"[..],
            b"12 2020-12-17T20:06:53Z \n",
            b"12 2020-12-17T20:06:53Z a/\n",
            b"- 2020-12-17T20:06:53Z a\n",
            b"-1 2020-12-17T20:06:53Z a\n",
            b"9223372036854775808 2020-12-17T20:06:53Z a\n",
            b"12 2020-12-17T20:06:53 a\n",
            b"12 \xff a\n",
            b"12\n",
            b"\n",
            &endless,
        ] {
            assert!(listed(bytes, 7, false).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn users_are_those_of_the_list() {
        let names = |answer: &'static [u8]| {
            users_of(answer).map(|names| json_array(names.iter().map(|name| json(name))))
        };
        assert_eq!(names(b"users: al bob c\n").as_deref(), Some("[\"al\",\"bob\",\"c\"]\n"));
        assert_eq!(names(b"users:\n").as_deref(), Some("[]\n"));
        assert_eq!(names(b"users: a\x1b\nb\n").as_deref(), Some("[\"a\u{fffd}\u{fffd}b\"]\n"));
        assert_eq!(names(b"nobody"), None);
    }

    #[test]
    fn counters_are_numbers_where_they_can_be() {
        let lines: [&[u8]; 4] = [b"a_total 12", b"load 0.5", b"zip 007", b"odd\x1b \"x\" y"];
        let counters: Option<Vec<_>> = lines.into_iter().map(counter).collect();
        let counters = counters.expect("good lines");
        let expected = "{\"a_total\":12,\"load\":0.5,\"zip\":\"007\",\
                        \"odd\u{fffd}\":\"\\\"x\\\" y\"}\n";
        assert_eq!(json_object(&counters), expected);
        assert_eq!(counter(b"alone"), None);
        assert_eq!(counter(b" 1"), None);
        for text in ["", ".", "1.", ".5", "-1", "1e3", "NaN"] {
            assert!(!is_number(text), "{text}");
        }
    }
}
