//! Commands: what is run, and what comes of it.

use super::Author;
use crate::kernel::process::output_bytes;
use crate::service::policy::Commands;
use crate::world::expect::{Last, Piece, Reply};
use crate::world::request::{Request, exact, framed, plain};

/// The list of commands of a scene that has one.
pub const LIST: &str = "\
# what may be run
do = /bin/script {*}
put = /bin/script out {1}
gone = /bin/gone
secret = /bin/secret
text = /bin/text {*}
";

/// What a command writes, and how it ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Command {
    pub(super) text: String,
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
    /// Its status, or the name of the signal that ends it.
    pub(super) ending: Ending,
}

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(&'static str),
}

impl Default for Ending {
    fn default() -> Self {
        Self::Status(0)
    }
}

impl Author<'_> {
    /// A script as this server takes it.
    pub(super) fn script_text(&mut self, script: &str) -> String {
        match self.scene.config.settings.commands {
            Commands::List(_) => format!("do{}{script}", self.gap()),
            _ => script.to_owned(),
        }
    }

    /// A command with good manners.
    fn command(&mut self) -> Command {
        self.count += 1;
        let is_list = matches!(self.scene.config.settings.commands, Commands::List(_));
        match self.random.below(10) {
            0 if is_list => return self.listed(),
            0 => {
                let err = b"sh: nonsense: not found\n".to_vec();
                let ending = Ending::Status(127);
                return Command { text: "nonsense here".into(), err, ending, ..Command::default() };
            }
            _ => {}
        }
        let out = *self.random.pick(&[0, 1, 100, 5_000, 5_000, 100_000]);
        let err = if self.random.one_in(3) { self.random.between(1, 300) } else { 0 };
        // Two streams that are mixed take long to be told apart.
        let out = if err > 0 { out.min(5_000) } else { out };
        let sleep = *self.random.pick(&[0, 0, 5, 300]);
        let (end, ending) = *self.random.pick(&[
            ("exit 0", Ending::Status(0)),
            ("exit 0", Ending::Status(0)),
            ("", Ending::Status(0)),
            ("exit 3", Ending::Status(3)),
            ("exit 126", Ending::Status(126)),
            ("die KILL", Ending::Signal("KILL")),
            ("die 15", Ending::Signal("TERM")),
        ]);
        let text = self.script_text(&format!("out {out}; sleep {sleep}; err {err}; {end}"));
        let (out, err) = (output_bytes("out", out), output_bytes("err", err));
        Command { text, out, err, ending }
    }

    /// A command of the list, with a program of its own, or none.
    fn listed(&mut self) -> Command {
        let (text, out, status) = *self.random.pick(&[
            ("put 70", 70, 0),
            (" put\t 5 ", 5, 0),
            ("gone", 0, 127),
            ("secret", 0, 126),
            ("text a b c", 0, 126),
        ]);
        let (text, out) = (text.trim_start().to_owned(), output_bytes("out", out));
        Command { text, out, ending: Ending::Status(status), ..Command::default() }
    }

    /// A command that is refused, if there is such a one here.
    fn run_wrong(&mut self) -> Option<(&'static str, &'static [&'static str])> {
        let denied: &[&str] = &["denied"];
        match self.scene.config.settings.commands {
            Commands::Off => None,
            Commands::Shell => Some(("out 5\0", &["bad-request"])),
            Commands::List(_) => Some(*self.random.pick(&[
                ("nope", denied),
                ("put", denied),
                ("put 1 2", denied),
                ("/bin/script out 5", denied),
                ("do out\x01 5", denied),
                ("do out\0 5", denied),
            ])),
        }
    }

    /// Errors that may stand in for what a command says.
    pub(super) fn excuse_run(&self, request: &mut Request) {
        if self.scene.has_run_timeout() {
            request.excuses.push("timeout");
        }
        if self.scene.config.settings.limits.runs_max < 10 {
            request.excuses.push("busy");
        }
    }

    pub(super) fn run(&mut self) -> Request {
        if let Some(codes) = self.run_refusal() {
            return self.request("run out 5", self.refused(codes));
        }
        if self.random.one_in(10)
            && let Some((text, codes)) = self.run_wrong()
        {
            return self.request(format!("run {text}"), self.refused(codes));
        }
        if self.scene.has_nasty && self.random.one_in(2) {
            return self.nasty();
        }
        let command = self.command();
        let reply = if self.is_framed {
            Self::framed_run(&command)
        } else {
            let mut pieces = vec![exact([&command.out[..], &command.err].concat())];
            pieces.extend(match command.ending {
                Ending::Status(0) => None,
                Ending::Status(status) => Some(exact(format!("error exit: status {status}\n"))),
                Ending::Signal(name) => Some(exact(format!("error exit: signal {name}\n"))),
            });
            Reply::Plain(pieces)
        };
        let body = format!("run{}{}", self.gap(), command.text);
        let mut request = self.request(body, reply);
        self.excuse_run(&mut request);
        request
    }

    pub(super) fn framed_run(command: &Command) -> Reply {
        let keys = match command.ending {
            Ending::Status(status) => vec![("exit", status.to_string())],
            Ending::Signal(name) => vec![("signal", name.to_owned())],
        };
        let parts = vec![("out", command.out.clone()), ("err", command.err.clone())];
        framed(parts, None, Last::Done(keys, Vec::new()))
    }

    /// A command without manners: nothing is said of its output.
    fn nasty(&mut self) -> Request {
        let commands = [
            "trap; sleep 4000; out 10",
            "hold 3000; out 10",
            "leave; out 10; sleep 800",
            "setsid 2000; out 10",
            "out 5000; steal; out 10",
            "close; sleep 100; exit 0",
            "out 100000; out 100000; die 9",
            "closein; sleep 10; die 11",
        ];
        let script = *self.random.pick(&commands);
        let text = self.script_text(script);
        let reply = if self.is_framed { Reply::AnyFrames } else { Reply::Plain(Vec::new()) };
        let mut request = self.request(format!("run {text}"), reply);
        request.is_loose = !self.is_framed;
        request
    }

    pub(super) fn exec(&mut self) -> Request {
        if let Some(codes) = self.run_refusal() {
            let (wire, _) = self.line("out 5");
            return plain(wire, vec![Piece::Error(codes, true)]);
        }
        if self.random.one_in(10)
            && let Some((text, codes)) = self.run_wrong()
        {
            let (wire, _) = self.line(text);
            return plain(wire, vec![Piece::Error(codes, true)]);
        }
        let command = self.command();
        let (out, err) = (command.out, command.err);
        // Two pipes: what comes at once may come in any order.
        if !out.is_empty() && !err.is_empty() {
            let (wire, _) = self.line(command.text);
            let tail = match command.ending {
                Ending::Status(0) => String::new(),
                Ending::Status(status) => format!("exit status {status}\n"),
                Ending::Signal(name) => format!("exit signal {name}\n"),
            };
            let mut request = plain(wire, vec![Piece::Mixed(out, err), exact(tail)]);
            self.excuse_run(&mut request);
            return request;
        }
        let mut said = [&out[..], &err].concat();
        let newline = |said: &mut Vec<u8>| {
            if !said.is_empty() && said.last() != Some(&b'\n') {
                said.push(b'\n');
            }
        };
        match command.ending {
            Ending::Status(126 | 127) if out.is_empty() => {
                said = b"No such command\n".to_vec();
            }
            Ending::Status(0) if said.is_empty() => said = b"no output\n".to_vec(),
            Ending::Status(0) => newline(&mut said),
            Ending::Status(status) => {
                newline(&mut said);
                said.extend(format!("exit status {status}\n").into_bytes());
            }
            Ending::Signal(name) => {
                newline(&mut said);
                said.extend(format!("exit signal {name}\n").into_bytes());
            }
        }
        let (wire, _) = self.line(command.text);
        let mut request = plain(wire, vec![exact(said)]);
        self.excuse_run(&mut request);
        request
    }
}
