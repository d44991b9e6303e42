//! Text that people will see: replacing what could drive a terminal, and dates.
//!
//! What it does not do: touch echo, files or command output, which are never changed.

use std::fmt;

use super::limits::QUOTE_BYTES_MAX;

/// True for the characters no message, error or log line may carry: C0 but tab, DEL, C1.
pub fn is_control(character: char) -> bool {
    character != '\t' && character.is_control()
}

/// Whether `bytes` are printable ASCII, as most text is, which `clean` leaves as it is.
pub fn is_plain(bytes: &[u8]) -> bool {
    // Without a way out before the end, so that the compiler takes many bytes at once.
    bytes.iter().fold(true, |is_plain, byte| is_plain & matches!(byte, 0x20..0x7f))
}

/// `bytes` as text: each control character (but tab) and each invalid sequence of UTF-8 becomes one
/// U+FFFD.
pub fn clean(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    clean_into(&mut text, bytes);
    text
}

/// As `clean`, appended to `text`.
pub fn clean_into(text: &mut String, bytes: &[u8]) {
    if is_plain(bytes)
        && let Ok(plain) = str::from_utf8(bytes)
    {
        return text.push_str(plain);
    }
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        text.extend(valid.chars().map(|c| if is_control(c) { '\u{fffd}' } else { c }));
        if !chunk.invalid().is_empty() {
            text.push('\u{fffd}');
        }
    }
}

/// `text`, which holds no control character but the tab (`clean`), as a JSON string (RFC 8259,
/// section 7), appended to `out`.
pub fn json_into(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// A piece of a request as an error text repeats it: harmless, and cut after `QUOTE_BYTES_MAX`.
pub fn quote(piece: &[u8]) -> String {
    if piece.len() <= QUOTE_BYTES_MAX {
        return clean(piece).replace('\t', "\u{fffd}");
    }
    let mut end = QUOTE_BYTES_MAX;
    while end > 0 && piece[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    clean(&piece[..end]).replace('\t', "\u{fffd}") + "…"
}

/// `bytes` without blanks (space, tab) at either end.
pub fn trim(bytes: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// A point in time as it is shown: the server's local time to the second, and the exact instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Milliseconds since 1970-01-01 00:00:00 UTC.
    pub unix_ms: i64,
    /// The same instant in the server's time zone.
    pub local: Date,
}

/// A date and a time of day as people read it, `2020-12-17 20:08:03`: it is written once, and goes
/// out with every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date([u8; DATE_BYTES]);

const DATE_BYTES: usize = "2020-12-17 20:08:03".len();

impl Date {
    /// The text's bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Civil> for Date {
    fn from(civil: Civil) -> Self {
        let mut text = String::with_capacity(DATE_BYTES);
        civil.write(&mut text);
        Self(text.as_bytes().try_into().expect("a year has four digits, all else two"))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// A date and a time of day, in whatever zone the caller says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year of the common era.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 60.
    pub second: u8,
}

impl Civil {
    /// The UTC date of a Unix time in seconds: days to civil date in the proleptic Gregorian
    /// calendar (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    pub fn from_unix(unix_s: i64) -> Self {
        let days = unix_s.div_euclid(86_400);
        let of_day = unix_s.rem_euclid(86_400);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let small = |value: i64| u8::try_from(value).expect("parts of a date are below 256");
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: small(month),
            day: small(of_year - (153 * shifted_month + 2) / 5 + 1),
            hour: small(of_day / 3_600),
            minute: small(of_day / 60 % 60),
            second: small(of_day % 60),
        }
    }

    /// `2020-12-17 20:08:03`.
    pub fn write(&self, out: &mut String) {
        self.write_parts(out, ' ');
    }

    /// `2020-12-17T20:06:53Z`, for a time in UTC (RFC 3339).
    pub fn write_utc(&self, out: &mut String) {
        self.write_parts(out, 'T');
        out.push('Z');
    }

    fn write_parts(&self, out: &mut String, between: char) {
        // Written for every file of a list, so digit by digit rather than by `write!`.
        let year = self.year.clamp(0, 9999);
        let digit = |value: i64| char::from(b'0' + u8::try_from(value % 10).unwrap_or(0));
        out.extend([1000, 100, 10, 1].map(|place| digit(year / place)));
        let mut two = |before: char, value: u8| {
            out.push(before);
            out.push(char::from(b'0' + value / 10 % 10));
            out.push(char::from(b'0' + value % 10));
        };
        two('-', self.month);
        two('-', self.day);
        two(between, self.hour);
        two(':', self.minute);
        two(':', self.second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_broken_utf8_are_each_replaced() {
        assert_eq!(clean(b"a\tb"), "a\tb");
        assert_eq!(clean(b"\x1b[2J\x7f\r\0"), "\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(clean("\u{9b}31m é".as_bytes()), "\u{fffd}31m é");
        assert_eq!(clean(b"\xff\xfeok"), "\u{fffd}\u{fffd}ok");
    }

    #[test]
    fn clean_text_is_a_json_string() {
        let mut out = String::new();
        json_into(&mut out, &clean(b"a\"\\\t\x1b\xff"));
        assert_eq!(out, "\"a\\\"\\\\\\t\u{fffd}\u{fffd}\"");
    }

    #[test]
    fn a_quote_is_cut_between_characters() {
        let long = "é".repeat(300);
        let quoted = quote(long.as_bytes());
        assert_eq!(quoted, "é".repeat(100) + "…");
        assert_eq!(quote(&[0x80; 300]), "…");
    }

    #[test]
    fn blanks_are_dropped_at_the_ends_alone() {
        assert_eq!(trim(b" \ta  b\t "), b"a  b");
        assert_eq!(trim(b" \t "), b"");
    }

    #[test]
    fn unix_times_become_dates() {
        let mut out = String::new();
        Civil::from_unix(1_608_235_613).write_utc(&mut out);
        assert_eq!(out, "2020-12-17T20:06:53Z");
        out.clear();
        Civil::from_unix(951_782_399).write(&mut out);
        assert_eq!(out, "2000-02-28 23:59:59");
        out.clear();
        Civil::from_unix(-1).write(&mut out);
        assert_eq!(out, "1969-12-31 23:59:59");
    }

    #[test]
    fn dates_follow_each_other_as_on_a_calendar() {
        // From 1600-02-28 on, over more than two cycles of 400 years.
        let (mut year, mut month, mut day) = (1600, 2, 28);
        for days in -135_082..170_000 {
            let civil = Civil::from_unix(days * 86_400);
            assert_eq!((civil.year, civil.month, civil.day), (year, month, day), "{days}");
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + u8::from(is_leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > last {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }

    #[test]
    fn times_of_a_day_are_told_to_the_second() {
        let time = |unix_s| {
            let civil = Civil::from_unix(unix_s);
            (civil.day, civil.hour, civil.minute, civil.second)
        };
        assert_eq!(time(0), (1, 0, 0, 0));
        assert_eq!(time(59), (1, 0, 0, 59));
        assert_eq!(time(60), (1, 0, 1, 0));
        assert_eq!(time(3_599), (1, 0, 59, 59));
        assert_eq!(time(3_600), (1, 1, 0, 0));
        assert_eq!(time(86_399), (1, 23, 59, 59));
        assert_eq!(time(86_400), (2, 0, 0, 0));
    }
}
