//! Commands with input or a terminal, and `cancel`: what frames alone can ask for.

use super::Author;
use super::commands::{Command, Ending};
use crate::kernel::process::output_bytes;
use crate::world::expect::Reply;
use crate::world::request::{Request, request};

/// Verbs whose requests take a while, so that `cancel` may end them.
const SLOW: [&[u8]; 5] = [b"download", b"stat", b"files", b"run", b"upload"];

impl Author<'_> {
    /// A command with input, all that is for it, and perhaps other requests in between.
    pub(super) fn fed(&mut self, all: &mut Vec<Request>) {
        let is_terminal = self.random.one_in(3);
        let (mut input, mut size) = (Vec::new(), (80, 24));
        let mut frames = Vec::new();
        for _ in 0..self.random.below(5) {
            let next = match self.random.below(5) {
                0 => self.words(),
                1 => self.winch(&mut size),
                _ => {
                    let bytes = self.input_bytes(is_terminal);
                    input.extend(&bytes);
                    Self::input_frame(&bytes)
                }
            };
            frames.push(next);
        }
        if self.random.one_in(8) {
            self.ends_input = true;
        } else {
            frames.push(self.request("eof 0", Reply::Plain(Vec::new())));
            if self.random.one_in(4) {
                // What comes behind the end is dropped.
                let bytes = self.input_bytes(false);
                frames.push(Self::input_frame(&bytes));
            }
        }
        let verb = if is_terminal { "run@pty" } else { "run@in" };
        let next = if let Some(codes) = self.run_refusal() {
            self.request(format!("{verb} cat"), self.refused(codes))
        } else {
            let command = self.reader(&input, is_terminal.then_some(size));
            let body = format!("{verb}{}{}", self.gap(), command.text);
            let mut request = self.request(body, Self::framed_run(&command));
            self.excuse_run(&mut request);
            request
        };
        all.push(next);
        all.extend(frames);
    }

    /// A command that reads, given what comes for it.
    fn reader(&mut self, input: &[u8], size: Option<(u16, u16)>) -> Command {
        let err = output_bytes("err", 40);
        let exits = Ending::Status(3);
        let (script, out, err, ending) = if let Some((columns, rows)) = size {
            let said = format!("{columns}x{rows}\n").into_bytes();
            let out = [input, &said, &err].concat();
            ("cat; size; err 40; exit 3", out, Vec::new(), exits)
        } else {
            let whole = input.to_vec();
            let own = output_bytes("out", 100);
            match self.random.below(6) {
                0 => ("drain; out 100; err 40", own, err, Ending::Status(0)),
                1 => ("closein; sleep 20; out 100; exit 3", own, Vec::new(), exits),
                2 => ("out 100; exit 3", own, Vec::new(), exits),
                3 => ("sleep 400; cat; exit 3", whole, Vec::new(), exits),
                _ => ("cat; err 40", whole, err, Ending::Status(0)),
            }
        };
        Command { text: self.script_text(script), out, err, ending }
    }

    fn input_bytes(&mut self, is_terminal: bool) -> Vec<u8> {
        let length = *self.random.pick(&[0, 1, 61, 700, 5_000, 5_000]);
        let is_much = !is_terminal && self.random.one_in(10);
        output_bytes("in", if is_much { 120_000 } else { length })
    }

    fn input_frame(bytes: &[u8]) -> Request {
        let mut wire = format!("in {}\n", bytes.len()).into_bytes();
        wire.extend(bytes);
        request(wire, Reply::Plain(Vec::new()))
    }

    fn winch(&mut self, size: &mut (u16, u16)) -> Request {
        let columns = *self.random.pick(&[1, 80, 132, 300]);
        let rows = *self.random.pick(&[1, 24, 99]);
        *size = (columns, rows);
        let term = if self.random.one_in(3) { " term=xterm-256color" } else { "" };
        let body = format!("winch 0 rows={rows} cols={columns}{term}");
        self.request(body, Reply::Plain(Vec::new()))
    }

    /// `cancel`, which may end one of all that came before it; perhaps after a command that would
    /// take long.
    pub(super) fn cancel(&mut self, all: &mut Vec<Request>) {
        if self.run_refusal().is_none() && self.random.one_in(2) {
            let ending = Ending::Status(0);
            let (text, out) = (self.script_text("out 100; sleep 9000"), output_bytes("out", 100));
            let command = Command { text, out, err: Vec::new(), ending };
            let body = format!("run {}", command.text);
            let mut request = self.request(body, Self::framed_run(&command));
            self.excuse_run(&mut request);
            all.push(request);
        }
        let is_slow =
            |request: &&mut Request| SLOW.iter().any(|verb| request.wire.starts_with(verb));
        for request in all.iter_mut().filter(is_slow) {
            request.excuses.push("cancelled");
        }
        // What reads its own file back may find that the upload before it was ended.
        let own = format!("own/own-{}", self.number).into_bytes();
        for request in all.iter_mut() {
            let head = &request.wire[..request.wire.len().min(100)];
            request.is_loose |= head.windows(own.len()).any(|part| part == own);
        }
        // Whether its own file was stored cannot be said any more.
        self.own = None;
        self.is_own_uncertain = true;
        all.push(self.request("cancel", self.silent(Vec::new())));
    }

    /// More requests than are kept while one is in progress.
    pub(super) fn many(&mut self, all: &mut Vec<Request>) {
        let first = self.run();
        all.push(first);
        for _ in 0..1_100 {
            let ping = self.ping();
            all.push(ping);
        }
    }
}
