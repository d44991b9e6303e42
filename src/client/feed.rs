//! `Feed`: standard input on its way to the server: its lines as requests, or all of it as a
//! command's input, in frames.
//!
//! What it does not do: send them (`wire`), or wait for input. A line is passed on when it is
//! whole; one that is longer than a request ever is, is passed on as it comes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};

use super::asked::{Asked, asked};
use super::failure::Failure;
use crate::protocol::input;
use crate::protocol::limits::LINE_BYTES_MAX;
use crate::protocol::reply::{self, Style};

/// Bytes that are read from standard input at once, at most.
const READ_BYTES: usize = 64 * 1024;
/// Requests that may wait for their replies; the server keeps no more either.
const ASKED_MAX: usize = 1024;

/// What is made of a line.
enum Form {
    /// Every line is a request.
    Requests,
    /// Every line is a message, sent by a request that begins so.
    Messages(String),
    /// No line counts: all is the input of the command in progress.
    Input,
}

/// Standard input.
pub(super) struct Feed {
    input: File,
    form: Form,
    line: Vec<u8>,
    is_long: bool,
    raw_left: u64,
    is_at_end: bool,
}

impl Feed {
    /// Standard input as requests.
    pub(super) fn requests() -> Result<Self, Failure> {
        Self::new(Form::Requests)
    }

    /// Standard input as messages, each sent by `start` and a line.
    pub(super) fn messages(start: &str) -> Result<Self, Failure> {
        Self::new(Form::Messages(start.to_owned()))
    }

    /// Standard input as that of the command in progress (`in`, `eof`).
    pub(super) fn input() -> Result<Self, Failure> {
        Self::new(Form::Input)
    }

    fn new(form: Form) -> Result<Self, Failure> {
        let input = io::stdin().as_fd().try_clone_to_owned();
        let input = input.map_err(|error| Failure::local("standard input", &error))?.into();
        Ok(Self { input, form, line: Vec::new(), is_long: false, raw_left: 0, is_at_end: false })
    }

    /// Whether standard input ended.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Whether no request comes any more.
    pub(super) fn ends_requests(&self) -> bool {
        // A command may be taken back after all its input.
        self.is_at_end && !matches!(self.form, Form::Input)
    }

    /// Whether more may be read, while so many requests are under way.
    pub(super) fn wants_input(&self, asked: usize) -> bool {
        !self.is_at_end && asked < ASKED_MAX
    }

    /// Nothing more is read.
    pub(super) fn stop(&mut self) {
        self.is_at_end = true;
    }

    /// Reads what is there, and appends the requests in it to `outbox`, and what they ask for to
    /// `all`.
    pub(super) fn read(
        &mut self,
        outbox: &mut Vec<u8>,
        all: &mut VecDeque<Asked>,
    ) -> Result<(), Failure> {
        let mut buffer = vec![0; READ_BYTES];
        match self.input.read(&mut buffer) {
            Ok(0) => self.on_end(outbox, all),
            Ok(count) => self.on_bytes(&buffer[..count], outbox, all),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                ) => {}
            Err(error) => return Err(Failure::local("standard input", &error)),
        }
        Ok(())
    }

    fn on_end(&mut self, outbox: &mut Vec<u8>, all: &mut VecDeque<Asked>) {
        self.is_at_end = true;
        if matches!(self.form, Form::Input) {
            outbox.extend_from_slice(b"eof 0\n");
        } else if self.is_long || !self.line.is_empty() {
            self.on_bytes(b"\n", outbox, all);
        }
    }

    fn on_bytes(&mut self, mut bytes: &[u8], outbox: &mut Vec<u8>, all: &mut VecDeque<Asked>) {
        if matches!(self.form, Form::Input) {
            return outbox.extend(reply::frame("in", &[], bytes));
        }
        while !bytes.is_empty() {
            if self.raw_left > 0 {
                let left = usize::try_from(self.raw_left).unwrap_or(usize::MAX);
                let (raw, rest) = bytes.split_at(bytes.len().min(left));
                outbox.extend_from_slice(raw);
                self.raw_left -= raw.len() as u64;
                bytes = rest;
                continue;
            }
            let newline = bytes.iter().position(|byte| *byte == b'\n');
            let (piece, rest) = bytes.split_at(newline.map_or(bytes.len(), |at| at + 1));
            bytes = rest;
            if self.is_long {
                outbox.extend_from_slice(piece);
                self.is_long = newline.is_none();
                continue;
            }
            self.line.extend_from_slice(piece);
            if newline.is_some() {
                self.on_line(outbox, all);
            } else if self.line.len() > LINE_BYTES_MAX {
                self.is_long = true;
                self.start(outbox);
                outbox.append(&mut self.line);
                all.push_back(Asked::Other);
            }
        }
    }

    fn start(&self, outbox: &mut Vec<u8>) {
        if let Form::Messages(start) = &self.form {
            outbox.extend_from_slice(start.as_bytes());
        }
    }

    fn on_line(&mut self, outbox: &mut Vec<u8>, all: &mut VecDeque<Asked>) {
        let line = std::mem::take(&mut self.line);
        let body = line.strip_suffix(b"\n").unwrap_or(&line);
        let body = body.strip_suffix(b"\r").unwrap_or(body);
        let asked = match self.form {
            Form::Messages(_) if body.iter().all(u8::is_ascii_whitespace) => return,
            Form::Messages(_) | Form::Input => Some(Asked::Other),
            Form::Requests => asked(body),
        };
        if !matches!(asked, Some(Asked::Told(_))) {
            self.start(outbox);
            outbox.extend_from_slice(&line);
            if matches!(self.form, Form::Requests) {
                self.raw_left = input::payload_bytes(body, Style::Framed);
            }
        }
        all.extend(asked);
    }
}

impl AsFd for Feed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn fed(form: Form, pieces: &[&[u8]]) -> (String, Vec<String>) {
        let input = File::open("/dev/null").expect("there is one");
        let mut feed =
            Feed { input, form, line: Vec::new(), is_long: false, raw_left: 0, is_at_end: false };
        let (mut outbox, mut all) = (Vec::new(), VecDeque::new());
        for piece in pieces {
            feed.on_bytes(piece, &mut outbox, &mut all);
        }
        assert!(feed.read(&mut outbox, &mut all).is_ok(), "/dev/null can be read");
        assert!(feed.is_at_end() && !feed.wants_input(0));
        let all = all.iter().map(|asked| format!("{asked:?}")).collect();
        (String::from_utf8_lossy(&outbox).into_owned(), all)
    }

    #[test]
    fn each_line_is_known_for_what_its_reply_will_be() {
        let lines = b"hello\nping\nquit\ndownload@5 a/no-such-target\nin 3\nab\ndownload x";
        let save = |name: &str, offset| Asked::Save { target: PathBuf::from(name), offset };
        let expected = [
            Asked::Echo,
            Asked::Other,
            Asked::Quit,
            save("client_no-such-target", 5),
            save("client_x", 0),
        ];
        let expected = expected.map(|asked| format!("{asked:?}"));
        for step in 1..lines.len() {
            let pieces: Vec<_> = lines.chunks(step).collect();
            let (sent, asked) = fed(Form::Requests, &pieces);
            assert_eq!(sent.as_bytes(), [&lines[..], b"\n"].concat());
            assert_eq!(asked, expected, "cut after each {step}");
        }
    }

    #[test]
    fn a_message_is_a_line_that_is_not_blank() {
        let form = Form::Messages("send all : ".to_owned());
        let (sent, asked) = fed(form, &[b"one\n\n \r\ntw", b"o\r\nthree"]);
        assert_eq!(sent, "send all : one\nsend all : two\r\nsend all : three\n");
        assert_eq!(asked.len(), 3);
    }

    #[test]
    fn input_of_a_command_comes_in_frames_whatever_it_holds() {
        let (sent, asked) = fed(Form::Input, &[b"a\nquit\n", b"\xff"]);
        assert_eq!(sent, "in 7\na\nquit\nin 1\n\u{fffd}eof 0\n");
        assert!(asked.is_empty());
    }

    #[test]
    fn a_long_line_is_passed_on_and_is_one_request() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        let (sent, asked) = fed(Form::Requests, &[&long, &long, b"\nping"]);
        assert_eq!(sent.len(), 2 * long.len() + 6);
        assert_eq!(asked, ["Other", "Other"]);
    }
}
