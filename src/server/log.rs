//! The log: lines on standard error, written by a thread of its own so that no worker waits for a
//! terminal or a pipe.
//!
//! What it does not do: keep lines nobody takes. When the writer falls behind by `LINES_MAX`, lines
//! are dropped, and how many is said once it catches up.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::config::{LogFormat, Verbosity};
use crate::protocol::text::{Civil, clean, json_into};
use crate::reactor::mailbox::Mailbox;
use crate::sys::clock::{self, Clock};
use crate::sys::fd::AsFd;
use crate::sys::poll::wait_or_pause;
use crate::sys::wake::Wake;
use crate::sys::{host, thread};

/// Lines that may wait to be written.
const LINES_MAX: usize = 8192;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Something failed that somebody should look at.
    Error,
    /// Something an operator wants to know.
    Info,
    /// All else.
    Debug,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// One `key=value` of a line.
pub(crate) type Field<'a> = (&'a str, &'a dyn fmt::Display);

/// Where any thread puts its lines.
#[derive(Debug)]
pub(crate) struct Log {
    lines: Mailbox<Line>,
    /// Written once all is.
    written: Wake,
    dropped: AtomicU64,
    format: LogFormat,
    verbosity: Verbosity,
}

#[derive(Debug)]
enum Line {
    Text(String),
    End,
}

impl Log {
    /// A log, and the thread that writes it until `end`.
    pub(crate) fn start(format: LogFormat, verbosity: Verbosity) -> io::Result<Arc<Self>> {
        let (lines, written) = (Mailbox::new(LINES_MAX)?, Wake::new()?);
        let log = Arc::new(Self { lines, written, dropped: AtomicU64::new(0), format, verbosity });
        let writer = Arc::clone(&log);
        thread::spawn("log", move || writer.write_all())?;
        Ok(log)
    }

    /// Has the writer end once all lines so far are written, and waits for that, but not for ever:
    /// nobody may be reading them.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the end, and no turn; not `expect`: the ban names one crate"
    )]
    pub(crate) fn end(&self, wait_ms: u64) {
        self.lines.post_bounded(Line::End);
        let (clock, mut left_ms) = (Clock::start(), wait_ms);
        // A signal, or a lack of memory, is no reason to leave lines unwritten.
        while wait_or_pause(&[self.written.as_fd()], Some(left_ms)) == [false] && left_ms > 0 {
            left_ms = wait_ms.saturating_sub(clock.elapsed_ms());
        }
    }

    /// Whether lines of this level are written, so that making one can be saved.
    pub(crate) fn wants(&self, level: Level) -> bool {
        match level {
            Level::Error => true,
            Level::Info => self.verbosity >= Verbosity::Normal,
            Level::Debug => self.verbosity >= Verbosity::Verbose,
        }
    }

    /// Writes a line: what happened, and with whom and what.
    pub(crate) fn say(&self, level: Level, event: &str, fields: &[Field<'_>]) {
        if self.wants(level) {
            let line = self.line(clock::unix_ms(), level, event, fields);
            if self.lines.post(Line::Text(line)).is_err() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn line(&self, unix_ms: i64, level: Level, event: &str, fields: &[Field<'_>]) -> String {
        let mut line = String::with_capacity(128);
        let level = level.as_str();
        let mut time = String::new();
        Civil::from_unix(unix_ms.div_euclid(1000)).write_utc(&mut time);
        let written = match self.format {
            LogFormat::Text => write_text(&mut line, &time, level, event, fields),
            LogFormat::Json => write_json(&mut line, &time, level, event, fields),
        };
        written.expect("a String takes all that is written");
        line.push('\n');
        line
    }

    fn write_all(&self) {
        loop {
            wait_or_pause(&[self.lines.as_fd()], None);
            let mut batch = String::new();
            let mut is_over = false;
            while let Some(line) = self.lines.take_one() {
                match line {
                    Line::Text(text) => batch.push_str(&text),
                    Line::End => is_over = true,
                }
            }
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                let fields: [Field<'_>; 1] = [("lines", &dropped)];
                batch += &self.line(clock::unix_ms(), Level::Error, "log lines dropped", &fields);
            }
            host::write_stderr(batch.as_bytes());
            if is_over {
                return self.written.wake();
            }
        }
    }
}

fn write_text(
    line: &mut String,
    time: &str,
    level: &str,
    event: &str,
    fields: &[Field<'_>],
) -> fmt::Result {
    write!(line, "{time} {level} {event}")?;
    for (key, value) in fields {
        let value = clean(value.to_string().as_bytes());
        let is_word = !value.is_empty() && !value.contains([' ', '\t', '"', '=']);
        if is_word {
            write!(line, " {key}={value}")?;
        } else {
            write!(line, " {key}=")?;
            json_into(line, &value);
        }
    }
    Ok(())
}

fn write_json(
    line: &mut String,
    time: &str,
    level: &str,
    event: &str,
    fields: &[Field<'_>],
) -> fmt::Result {
    write!(line, "{{\"time\":\"{time}\",\"level\":\"{level}\",\"event\":")?;
    json_into(line, event);
    for (key, value) in fields {
        write!(line, ",\"{key}\":")?;
        json_into(line, &clean(value.to_string().as_bytes()));
    }
    line.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log without its thread.
    fn quiet(format: LogFormat, verbosity: Verbosity) -> Log {
        let lines = Mailbox::new(9).expect("an eventfd");
        let written = Wake::new().expect("an eventfd");
        Log { lines, written, dropped: AtomicU64::new(0), format, verbosity }
    }

    fn line(format: LogFormat) -> String {
        let log = quiet(format, Verbosity::Normal);
        let fields: [Field<'_>; 2] = [("peer", &"[::1]:5"), ("command", &"say \"hi\"\x1b\n")];
        log.line(1_608_235_613_000, Level::Info, "run", &fields)
    }

    #[test]
    fn what_is_written_depends_on_how_much_is_wanted() {
        let wanted = |verbosity| {
            let log = quiet(LogFormat::Text, verbosity);
            [Level::Error, Level::Info, Level::Debug].map(|level| log.wants(level))
        };
        assert_eq!(wanted(Verbosity::Quiet), [true, false, false]);
        assert_eq!(wanted(Verbosity::Normal), [true, true, false]);
        assert_eq!(wanted(Verbosity::Verbose), [true, true, true]);
    }

    #[test]
    fn lines_hold_no_control_character_and_quote_what_has_blanks() {
        assert_eq!(
            line(LogFormat::Text),
            "2020-12-17T20:06:53Z info run peer=[::1]:5 \
             command=\"say \\\"hi\\\"\u{fffd}\u{fffd}\"\n"
        );
        assert_eq!(
            line(LogFormat::Json),
            "{\"time\":\"2020-12-17T20:06:53Z\",\"level\":\"info\",\"event\":\"run\",\
             \"peer\":\"[::1]:5\",\"command\":\"say \\\"hi\\\"\u{fffd}\u{fffd}\"}\n"
        );
    }
}
