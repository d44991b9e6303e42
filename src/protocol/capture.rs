//! `Capture`: the answer of the `exec` service, put together from a command's two outputs and its
//! end.
//!
//! Standard error is held back until it is known that it is not to be dropped (`No such command`);
//! for a bare client all output is, up to `EXEC_PIECE_BYTES`, so that it arrives in one piece. What
//! it does not do: read pipes. The order of the two outputs is that in which they are handed in.

use super::effect::Ending;
use super::limits::EXEC_PIECE_BYTES;

/// Statuses by which a shell says that it could not run a command (POSIX, Shell, 2.8.2).
const NOT_RUN: [i32; 2] = [126, 127];

/// Which of a command's outputs bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What is known of one command's output.
#[derive(Debug)]
pub struct Capture {
    held: Vec<u8>,
    is_bare: bool,
    is_flowing: bool,
    has_out: bool,
    last: Option<u8>,
}

impl Capture {
    /// A capture of a command that has just started, for a bare client or a line client.
    pub fn new(is_bare: bool) -> Self {
        Self { held: Vec::new(), is_bare, is_flowing: false, has_out: false, last: None }
    }

    /// Takes output in; returns what is to be sent now, which may be nothing.
    pub fn on_output(&mut self, from: Output, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        self.last = bytes.last().copied().or(self.last);
        self.has_out |= from == Output::Out && !bytes.is_empty();
        let is_decided = self.has_out && !self.is_bare;
        self.is_flowing |= is_decided || self.held.len() > EXEC_PIECE_BYTES;
        if self.is_flowing { std::mem::take(&mut self.held) } else { Vec::new() }
    }

    /// The rest of the answer, once both outputs and the command have ended.
    pub fn on_end(&mut self, ending: &Ending) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.held);
        match ending {
            Ending::Status(status) if !self.has_out && NOT_RUN.contains(status) => {
                if !self.is_flowing {
                    rest.clear();
                    self.last = None;
                }
                self.say(&mut rest, "No such command");
            }
            Ending::Status(0) if self.last.is_none() => self.say(&mut rest, "no output"),
            Ending::Status(0) => {}
            Ending::Status(status) => self.say(&mut rest, &format!("exit status {status}")),
            Ending::Signal(name) => self.say(&mut rest, &format!("exit signal {name}")),
        }
        if !self.is_bare && self.last != Some(b'\n') {
            rest.push(b'\n');
        }
        rest
    }

    /// What is held, of a command that did not come to its end.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.held);
        if self.last.is_some_and(|byte| byte != b'\n') {
            rest.push(b'\n');
        }
        rest
    }

    /// Adds `text` on a line of its own.
    fn say(&mut self, rest: &mut Vec<u8>, text: &str) {
        if self.last.is_some_and(|byte| byte != b'\n') {
            rest.push(b'\n');
        }
        rest.extend_from_slice(text.as_bytes());
        self.last = text.bytes().last();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(is_bare: bool, outputs: &[(Output, &[u8])], ending: &Ending) -> String {
        let mut capture = Capture::new(is_bare);
        let mut all = Vec::new();
        for (from, bytes) in outputs {
            all.extend(capture.on_output(*from, bytes));
        }
        all.extend(capture.on_end(ending));
        String::from_utf8(all).expect("the tests use text")
    }

    #[test]
    fn a_command_without_output_says_so() {
        assert_eq!(answer(true, &[], &Ending::Status(0)), "no output");
        assert_eq!(answer(false, &[], &Ending::Status(0)), "no output\n");
    }

    #[test]
    fn a_command_that_was_not_found_loses_its_error_output() {
        let error: &[(Output, &[u8])] = &[(Output::Err, b"sh: 1: nix: not found\n")];
        assert_eq!(answer(true, error, &Ending::Status(127)), "No such command");
        assert_eq!(answer(false, error, &Ending::Status(126)), "No such command\n");
        assert_eq!(
            answer(false, error, &Ending::Status(1)),
            "sh: 1: nix: not found\nexit status 1\n"
        );
    }

    #[test]
    fn output_before_a_status_of_127_is_kept() {
        let outputs: &[(Output, &[u8])] = &[(Output::Out, b"a"), (Output::Err, b"b")];
        assert_eq!(answer(true, outputs, &Ending::Status(127)), "ab\nexit status 127");
    }

    #[test]
    fn the_ending_follows_on_a_line_of_its_own() {
        let outputs: &[(Output, &[u8])] = &[(Output::Out, b"x")];
        assert_eq!(answer(false, outputs, &Ending::Status(3)), "x\nexit status 3\n");
        assert_eq!(answer(true, outputs, &Ending::Status(0)), "x");
        assert_eq!(answer(false, outputs, &Ending::Status(0)), "x\n");
        assert_eq!(answer(true, outputs, &Ending::Signal("KILL".into())), "x\nexit signal KILL");
    }

    #[test]
    fn a_bare_client_gets_one_piece_and_a_line_client_gets_it_as_it_comes() {
        let mut bare = Capture::new(true);
        assert!(bare.on_output(Output::Out, &vec![b'x'; EXEC_PIECE_BYTES]).is_empty());
        assert_eq!(bare.on_output(Output::Out, b"y").len(), EXEC_PIECE_BYTES + 1);
        let mut line = Capture::new(false);
        assert!(line.on_output(Output::Err, b"e").is_empty());
        assert_eq!(line.on_output(Output::Out, b"o"), b"eo");
    }

    #[test]
    fn what_is_held_of_a_command_that_was_ended_ends_its_line() {
        let rest = |bytes: &[u8]| {
            let mut capture = Capture::new(true);
            assert!(capture.on_output(Output::Out, bytes).is_empty());
            (capture.rest(), capture.rest())
        };
        assert_eq!(rest(b"half"), (b"half\n".to_vec(), b"\n".to_vec()));
        assert_eq!(rest(b"whole\n"), (b"whole\n".to_vec(), Vec::new()));
        assert_eq!(rest(b""), (Vec::new(), Vec::new()));
    }
}
